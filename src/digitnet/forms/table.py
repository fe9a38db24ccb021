"""Results of forms as tables, a row a sheet: CSV, lines of JSON, Parquet and Excel."""

from __future__ import annotations

import csv
import io
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from digitnet.core.errors import DataError
from digitnet.core.files import cell, cell_text, write_atomic
from digitnet.core.text import printable
from digitnet.forms.sheets import Sheet
from digitnet.forms.template import Field, Template, TemplateError
from digitnet.reading.batch import Done

FORMATS = ("csv", "jsonl", "parquet", "xlsx")
"""The kinds of tables, by the suffix of their file."""

HEAD = ("file", "page", "form", "status", "turned", "notes", "error")
"""The columns before those of fields."""

ROWS = 1_000
"""Rows of a Parquet row group."""

Row = Mapping[str, Any]
Write = Callable[[Row], None]


def columns(templates: Sequence[Template], reviewed: bool = False) -> dict[str, type]:
    """Return the columns of the table and their types: those of a field are its value, name, confidence and status.

    reviewed: whether the people who decided fields have columns, too. Raises TemplateError where two have one name.
    """
    found: dict[str, type] = {name: int if name in ("page", "turned") else str for name in HEAD}
    for template in templates:
        its: dict[str, type] = {}
        for number, field in enumerate(template.fields):
            for name, kind in _columns(field, reviewed).items():
                if name in its or name in HEAD:
                    line = f"field {field.name!r}: {name} is another column of the results; rename it"
                    raise TemplateError(f"form {template.name}", line, number)
                its[name] = kind
        found |= its  # forms may share fields
    return found


def _columns(field: Field, reviewed: bool) -> dict[str, type]:
    name = {f"{field.name}_name": str} if field.values else {}
    by = {f"{field.name}_by": str} if reviewed else {}
    return {field.name: str, **name, f"{field.name}_confidence": float, f"{field.name}_status": str, **by}


def format_of(out: Path | None) -> str:
    """Return which of `FORMATS` a file is of, by its suffix; CSV for standard output. Raises DataError for others."""
    form = "csv" if out is None else out.suffix.lower().removeprefix(".")
    if form not in FORMATS:
        raise DataError(f"{out}: expected a name that ends in .{', .'.join(FORMATS)}")
    return form


def row(done: Done[Sheet]) -> dict[str, Any]:
    """Return a sheet as the cells of its row, by column; only those that it has."""
    plain: dict[str, Any] = {"file": done.file, "page": done.page}
    if done.result is None:
        return plain | {"status": "error", "error": done.error}
    sheet = done.result
    plain |= {"form": sheet.form or "", "status": sheet.status, "turned": sheet.turned, "notes": "; ".join(sheet.notes)}
    for name, answer in sheet.fields.items():
        plain[name] = answer.text
        if answer.name is not None:
            plain[f"{name}_name"] = answer.name
        plain[f"{name}_confidence"] = round(answer.confidence, 4)
        plain[f"{name}_status"] = answer.status
        if answer.by is not None:
            plain[f"{name}_by"] = answer.by
    return plain


@contextmanager
def writer(
    out: Path | None, templates: Sequence[Template], reviewed: bool = False
) -> Iterator[Callable[[Done[Sheet]], None]]:
    """Give the function that adds a sheet to a table; see `table`. reviewed: as for `columns`."""
    fields = {field.name: field for template in templates for field in template.fields}
    with table(out, columns(templates, reviewed), fields) as write:
        yield lambda done: write(row(done))


@contextmanager
def table(out: Path | None, kinds: Mapping[str, type], fields: Mapping[str, Field]) -> Iterator[Write]:
    """Give the function that adds a row to a table: a file, or CSV to standard output.

    kinds: the columns and their types. fields: those of columns that hold values of a form. CSV and lines of JSON are
    added to as rows come, Parquet and Excel files appear at the end. Text that a spreadsheet would take for a formula
    is kept as text. Raises DataError where the file cannot be written.
    """
    try:
        with _opened(out, format_of(out), kinds, fields) as write:
            yield write
    except OSError as error:
        if out is None:
            raise
        raise DataError(f"{out}: cannot be written ({error.strerror}); free space, or choose another --out") from error


def _opened(
    out: Path | None, form: str, kinds: Mapping[str, type], fields: Mapping[str, Field]
) -> AbstractContextManager[Write]:
    if out is None or form == "csv":
        return _csv(out, list(kinds))
    if form == "jsonl":
        return _jsonl(out)
    return _parquet(out, kinds) if form == "parquet" else _xlsx(out, list(kinds), fields)


@contextmanager
def _csv(out: Path | None, names: Sequence[str]) -> Iterator[Write]:
    with _stream(out) as stream:
        rows = csv.writer(stream, lineterminator="\n")
        if out is None or not stream.tell():
            rows.writerow(names)

        def write(its: Row) -> None:
            rows.writerow([cell(value) if isinstance(value := its.get(name, ""), str) else value for name in names])
            stream.flush()

        yield write


@contextmanager
def _jsonl(out: Path) -> Iterator[Write]:
    with _stream(out) as stream:

        def write(its: Row) -> None:
            stream.write(json.dumps(its) + "\n")
            stream.flush()

        yield write


@contextmanager
def _stream(out: Path | None) -> Iterator[Any]:
    if out is None:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="surrogateescape")
        yield sys.stdout
        return
    with out.open("a", encoding="utf-8", errors="surrogateescape", newline="") as stream:
        yield stream


@contextmanager
def _parquet(out: Path, columns: Mapping[str, type]) -> Iterator[Write]:
    import pyarrow as pa
    from pyarrow import parquet

    kinds = {int: pa.int32(), float: pa.float32(), str: pa.string()}
    schema = pa.schema([(name, kinds[kind]) for name, kind in columns.items()])
    rows: list[Row] = []
    with _whole(out) as part, parquet.ParquetWriter(part, schema) as file:

        def flush() -> None:
            file.write_table(pa.Table.from_pylist(rows, schema))
            rows.clear()

        def write(its: Row) -> None:
            rows.append({name: _utf8(value) for name, value in its.items()})
            if len(rows) == ROWS:
                flush()

        yield write
        flush()


@contextmanager
def _xlsx(out: Path, names: Sequence[str], fields: Mapping[str, Field]) -> Iterator[Write]:
    from openpyxl import Workbook
    from openpyxl.cell import WriteOnlyCell

    book = Workbook(write_only=True)
    page = book.create_sheet("sheets")
    page.append(list(names))

    def written(name: str, value: Any) -> Any:
        value = _number(fields[name], value) if name in fields else value
        if isinstance(value, str):
            its = WriteOnlyCell(page)
            its._value, its.data_type = printable(_utf8(value)), "s"  # a text is no formula
            return its
        return value

    def write(its: Row) -> None:
        page.append([written(name, its.get(name)) for name in names])

    with _whole(out) as part:
        yield write
        book.save(part)


def _number(field: Field, text: Any) -> Any:
    """Return a value as Excel should have it: amounts as numbers, dates as dates, numbers that are names as text."""
    if not text:
        return text
    try:
        if field.kind in ("integer", "decimal") or (field.kind in ("digits", "comb") and field.range):
            return Decimal(text)
        return date.fromisoformat(text) if field.kind == "date" else text
    except (ValueError, InvalidOperation):  # a person insisted on it
        return text


def _utf8(value: Any) -> Any:
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace") if isinstance(value, str) else value


@contextmanager
def _whole(out: Path) -> Iterator[Path]:
    """Give the part file that becomes `out` where all goes well."""
    out.parent.mkdir(parents=True, exist_ok=True)
    part = out.with_name(f"{out.name}.{os.getpid()}.part")
    try:
        yield part
        part.replace(out)
    finally:
        part.unlink(missing_ok=True)


def resume(out: Path, templates: Sequence[Template]) -> set[str]:
    """Return the files that a table holds whole, CSV or lines of JSON; take out what is after them.

    Left out, and taken out, are a line that was cut off, the last file, of which pages may be missing, and files that
    could not be read. Raises DataError, and changes nothing, where the table is not of these templates.
    """
    form = format_of(out)
    if form not in ("csv", "jsonl"):
        raise DataError(f"{out}: --resume supports only .csv and .jsonl; choose another --out to read again")
    raw = out.read_bytes().decode("utf-8", "surrogateescape")
    whole = raw[: raw.rfind("\n") + 1]
    names = list(columns(templates))
    head = ",".join(names) + "\n" if form == "csv" else ""
    try:
        if whole and not whole.startswith(head):
            raise ValueError
        lines = _csv_lines(whole, names) if form == "csv" else _json_lines(whole)
    except (ValueError, KeyError, TypeError, csv.Error) as error:
        raise DataError(f"{out}: not the table of an earlier read of these forms; choose another --out") from error
    bad = {file for file, failed, _ in lines if failed} | {file for file, _, _ in lines[-1:]}
    kept = [(file, line) for file, _, line in lines if file not in bad]
    content = (head if kept else "") + "".join(line for _, line in kept)
    if content != raw:
        write_atomic(out, content.encode("utf-8", "surrogateescape"))
    return {file for file, _ in kept}


def _csv_lines(text: str, names: Sequence[str]) -> list[tuple[str, bool, str]]:
    found = []
    for cells in list(csv.reader(io.StringIO(text, newline=""), strict=True))[1:]:
        if len(cells) != len(names):
            raise ValueError
        line = io.StringIO()
        csv.writer(line, lineterminator="\n").writerow(cells)
        found.append((cell_text(cells[0]), cells[HEAD.index("status")] == "error", line.getvalue()))
    return found


def _json_lines(text: str) -> list[tuple[str, bool, str]]:
    found = []
    for line in text.splitlines(keepends=True):
        plain = json.loads(line)
        found.append((str(plain["file"]), plain["status"] == "error", line))
    return found
