"""The tables of a large job as Parquet: one row per number, per page, and per input that could not be read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from digitnet.reading.batch import Read
from digitnet.reading.bulk.inputs import Input
from digitnet.reading.values import value_text

ROWS = 20_000
"""Rows of a table that are kept as Python values until they are packed; those take ten times the memory."""


def schemas() -> tuple[Any, Any]:
    """Return the pyarrow schemas of numbers and of pages."""
    import pyarrow as pa

    whole, real, text = pa.int32(), pa.float32(), pa.string()
    numbers = [
        *(("input", pa.int64()), ("source", text), ("page", whole), ("number", whole), ("text", text)),
        *(("confidence", real), ("left", whole), ("top", whole), ("right", whole), ("bottom", whole)),
        ("alternatives", pa.list_(pa.struct([("text", text), ("confidence", real)]))),
        *(("reasons", pa.list_(text)), ("seen", text), ("model", text)),
        *(("status", text), ("rules_applied", pa.bool_()), ("written", text), ("written_confidence", real)),
        *(("value", text), ("no_value", text), ("printed", real)),
    ]
    pages = [
        *(("input", pa.int64()), ("source", text), ("page", whole), ("width", whole), ("height", whole)),
        *(("numbers", whole), ("error", text), ("unread", whole), ("no_numbers", text)),
    ]
    return pa.schema(numbers), pa.schema(pages)


def packed(rows: Any, schema: Any) -> bytes:
    """Return rows, as a pyarrow table or a list of dicts, as the bytes of a Parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pylist(rows, schema) if isinstance(rows, list) else rows
    out = pa.BufferOutputStream()
    pq.write_table(table, out, compression="zstd")
    return bytes(out.getvalue())


def tables(inputs: Sequence[Input], reads: Iterable[Read], model: str) -> tuple[bytes, bytes]:
    """Return what was read of inputs as Parquet: the table of numbers, the table of pages.

    reads: pages in the inputs' order, each naming its input. Equal readings give equal bytes.
    """
    import pyarrow as pa

    numbers, pages = schemas()
    known = {each.name: each for each in inputs}
    shown = {name: unicode(name) for name in known}
    done: list[list[Any]] = [[], []]
    begun: list[list[dict[str, Any]]] = [[], []]

    def pack(least: int) -> None:
        for schema, rows, batches in zip((numbers, pages), begun, done, strict=True):
            if len(rows) > least:
                batches.append(pa.RecordBatch.from_pylist(rows, schema))
                rows.clear()

    for read in reads:
        where = {"input": known[read.file].number, "source": shown[read.file], "page": read.page}
        begun[1].append(where | _page(read))
        for place, number in enumerate(read.reading.numbers if read.reading else (), 1):
            left, top, right, bottom = number.box
            row = {
                **where,
                **{"number": place, "text": number.text, "confidence": number.confidence},
                **{"left": left, "top": top, "right": right, "bottom": bottom},
                "alternatives": [{"text": text, "confidence": sure} for text, sure in number.alternatives],
                **{"reasons": list(number.reasons), "seen": number.seen, "model": model},
                **{"status": number.status, "rules_applied": number.rules_applied},
                **{"written": number.written, "written_confidence": number.written_confidence},
                **{"value": None if number.value is None else value_text(number.value), "no_value": number.no_value},
                "printed": number.printed,
            }
            begun[0].append(row)
        pack(ROWS)
    pack(0)
    first, second = (pa.Table.from_batches(b, s) for b, s in zip(done, (numbers, pages), strict=True))
    return packed(first, numbers), packed(second, pages)


def unicode(name: str) -> str:
    r"""Return a name as text that any table can hold: bytes that are not UTF-8 as \xff."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _page(read: Read) -> dict[str, Any]:
    if read.reading is None:
        size = {"width": None, "height": None, "numbers": 0, "error": unicode(read.error or "")}
        return size | {"unread": None, "no_numbers": None}
    height, width = read.reading.page.shape
    counts = {"numbers": len(read.reading.numbers), "unread": len(read.reading.unread)}
    return {"width": width, "height": height, **counts, "error": None, "no_numbers": read.reading.no_numbers}
