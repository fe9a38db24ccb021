"""Results as text, JSON, JSON lines or CSV, page by page as they arrive; and resuming such a file."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

from digitnet.core.errors import DataError
from digitnet.core.files import cell, cell_text, write_atomic
from digitnet.core.text import printable
from digitnet.reading.batch import Read
from digitnet.reading.result import Number, Reading
from digitnet.reading.values import Value, value_text

COLUMNS = (
    *("file", "page", "number", "text", "confidence", "accepted"),
    *("left", "top", "right", "bottom", "reasons", "seen", "error"),
    *("status", "rules_applied", "written", "written_confidence", "value", "no_value"),
    *("printed", "unread", "no_numbers"),
)
"""The columns of CSV: a row a number, and one for a page without numbers or a file that could not be read.

`unread` counts the places of the page that look like numbers and were not read.
"""

_ERROR = COLUMNS.index("error")

_HEAD, _OPENING = ",".join(COLUMNS) + "\n", '{"file": "'


@contextmanager
def writer(
    out: Path | None, form: str, many: bool, least: float, shown: str = "text"
) -> Iterator[Callable[[Read], None]]:
    """Give the function that writes one page after the other to a file, at its end, or to standard output.

    form: text, json, jsonl or csv. many: whether text names the files. least: numbers that are less confident, and
    unreadable ones, are for a manual review: ? in text, not `accepted` elsewhere. Names that are not Unicode are
    written as the bytes they are; text escapes control characters in them, CSV what a spreadsheet takes for a formula
    (`files.cell`). shown: what text gives of a number, its `text`, `written` or `value`. The function raises
    DataError where the disk is full.
    """
    if out is None:
        stream: Any = sys.stdout
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="surrogateescape")
    else:
        stream = out.open("a", encoding="utf-8", errors="surrogateescape", newline="")
    rows = csv.writer(stream, lineterminator="\n")
    first, whole = True, False

    @contextmanager
    def named() -> Iterator[None]:
        try:
            yield
            stream.flush()
        except OSError as error:
            if out is None:
                raise
            then = "continue with --resume" if form in ("jsonl", "csv") else "read again"
            raise DataError(f"{out}: cannot be written ({error.strerror}); fix this, then {then}") from error

    @named()
    def write(each: Read) -> None:
        nonlocal first
        if form == "text":
            stream.write(_text(each, many, least, shown))
        elif form == "csv":
            if first and (out is None or not stream.tell()):
                rows.writerow(COLUMNS)
            rows.writerows(_rows(each, least))
        else:
            opening = "[\n" if first else ",\n"
            stream.write((opening if form == "json" else "") + json.dumps(_plain(each, least)))
            stream.write("\n" if form == "jsonl" else "")
        first = False

    try:
        yield write
        if form == "json":
            with named():
                stream.write("[]\n" if first else "\n]\n")
        whole = True
    finally:
        if out is not None:
            with suppress(OSError):  # what it still holds has been missed already
                stream.close()
            if not whole and not out.stat().st_size:  # stopped before a line was written: leave nothing in the way
                out.unlink()


def resume(out: Path, form: str) -> set[str]:
    """Return the files that a CSV or JSON-lines file holds whole; take out what is after them.

    Left out, and taken out, are a line that was cut off, the last file, of which pages may be missing, and files that
    could not be read. Raises DataError, and changes nothing, where `writer` did not write this file.
    """
    raw = out.read_bytes()
    text = raw.decode("utf-8", "surrogateescape")
    whole = text[: text.rfind("\n") + 1]
    begins = _HEAD if form == "csv" else _OPENING
    ours = whole.startswith(begins) if whole else begins.startswith(text[: len(begins)])
    try:
        if not ours:
            raise ValueError
        records = _csv_records(whole) if form == "csv" else _json_records(whole)
    except (ValueError, KeyError, TypeError, IndexError, csv.Error) as error:
        raise DataError(f"{out}: not the {form} file of an earlier read; choose another --out") from error
    bad = {file for file, failed, _ in records if failed} | {file for file, _, _ in records[-1:]}
    kept = [(file, line) for file, _, line in records if file not in bad]
    content = (_HEAD if form == "csv" and kept else "") + "".join(line for _, line in kept)
    if content != text:
        write_atomic(out, content.encode("utf-8", "surrogateescape"))
    return {file for file, _ in kept}


def _csv_records(text: str) -> list[tuple[str, bool, str]]:
    """Return each row's file, whether it could not be read, and the row as text."""
    records = []
    for row in list(csv.reader(io.StringIO(text, newline=""), strict=True))[1:]:
        if len(row) != len(COLUMNS):
            raise ValueError
        line = io.StringIO()
        csv.writer(line, lineterminator="\n").writerow(row)
        records.append((cell_text(row[0]), bool(row[_ERROR]), line.getvalue()))
    return records


def _json_records(text: str) -> list[tuple[str, bool, str]]:
    """Return each line's file, whether it could not be read, and the line."""
    records = []
    for line in text.split("\n")[:-1]:
        page = json.loads(line)
        if not {"error", "numbers"} & page.keys():
            raise ValueError
        records.append((str(page["file"]), "error" in page, line + "\n"))
    return records


def _text(each: Read, many: bool, least: float, shown: str) -> str:
    if each.reading is None:
        return ""
    numbers = iter(each.reading.numbers)
    lines = []
    for line in each.reading.text.split("\n"):
        lines.append(" ".join(_shown(number, least, shown) for _, number in zip(line.split(" "), numbers)))  # noqa: B905
    name = printable(each.file, surrogates=True)
    return "".join(f"{name}\t{line}\n" if many else f"{line}\n" for line in lines)


def _shown(number: Number, least: float, shown: str) -> str:
    doubted = shown != "text" and number.status == "read" and number.written_confidence < least
    if doubted or not number.accepted(least):
        return "?"
    if shown == "value" and number.status == "read":
        return "?" if number.value is None else value_text(number.value)
    return number.written if shown == "written" else number.text


def _plain(each: Read, least: float) -> dict[str, Any]:
    plain: dict[str, Any] = {"file": each.file, "page": each.page}
    if each.reading is None:
        return plain | {"error": each.error}
    return plain | judged(each.reading, least)


def judged(reading: Reading, least: float) -> dict[str, Any]:
    """Return a reading as `to_dict` does, each number with `accepted`, see `Number.accepted`."""
    said = reading.to_dict()
    for plain, number in zip(said["numbers"], reading.numbers, strict=True):
        plain["accepted"] = number.accepted(least)
    return said


def _rows(each: Read, least: float) -> Iterator[list[Any]]:
    file = cell(each.file)
    if each.reading is None or not each.reading.numbers:
        left = ("", "") if each.reading is None else (len(each.reading.unread), each.reading.no_numbers or "")
        empty = [""] * (len(COLUMNS) - _ERROR - 1 - len(left))
        yield [file, each.page, *[""] * (_ERROR - 2), cell(each.error or ""), *empty, *left]
        return
    for place, number in enumerate(each.reading.numbers, 1):
        yield [
            *(file, each.page, place, number.text, f"{number.confidence:.4f}", int(number.accepted(least))),
            *(*number.box, " ".join(number.reasons), number.seen or "", "", number.status),
            "" if number.rules_applied is None else int(number.rules_applied),
            *(cell(number.written), f"{number.written_confidence:.4f}"),
            *(_value_cell(number.value), number.no_value or ""),
            "" if number.printed is None else f"{number.printed:.4f}",
            *(len(each.reading.unread), each.reading.no_numbers or ""),
        ]


def _value_cell(value: Value | None) -> str:
    """Return a value as a cell of CSV; a negative number is no formula."""
    text = "" if value is None else value_text(value)
    return text if isinstance(value, Decimal) else cell(text)
