"""Tables of pages as a spreadsheet or as CSV, page by page as they come."""

from __future__ import annotations

import csv
import io
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, time
from decimal import Decimal
from pathlib import Path
from typing import Any

from digitnet.core.files import cell, write_atomic
from digitnet.reading.batch import Read
from digitnet.reading.result import Number
from digitnet.reading.tables import grids

TRUSTED, DOUBTED = 0.95, 0.5
"""Confidences below which a cell is orange, and red."""

ORANGE, RED = "FFE4B5", "F4A6A0"

MAX_DIGITS = 15
"""Digits of a number beyond which a spreadsheet rounds it."""

MAX_TITLE = 31
"""Characters of a sheet's name, at most."""


@contextmanager
def sheet_writer(out: Path, least: float) -> Iterator[Callable[[Read], None]]:
    """Give the function that adds a page as a sheet of the workbook `out`, which is written at the end, atomically.

    Numbers are numbers; with leading zeros, or more digits than a spreadsheet keeps, text. least: cells of numbers that
    are less confident are red, as all below one half; those below 0.95 are orange. Raises ImportError without openpyxl.
    """
    from openpyxl import Workbook
    from openpyxl.styles import PatternFill

    book = Workbook(write_only=False)
    book.remove(book.active)
    fills = {colour: PatternFill("solid", fgColor=colour) for colour in (ORANGE, RED)}

    def write(each: Read) -> None:
        if each.reading is None:
            return
        sheet = book.create_sheet(_title(each, len(book.sheetnames) + 1))
        line = 0
        for rows in grids(each.reading.numbers, each.reading.turned):
            for row in rows:
                line += 1
                for column, number in enumerate(row, 1):
                    if number is not None:
                        put = sheet.cell(line, column, _value(number))
                        if colour := _colour(number, least):
                            put.fill = fills[colour]
            line += 1

    yield write
    if not book.sheetnames:
        book.create_sheet("empty")
    packed = io.BytesIO()
    book.save(packed)
    write_atomic(out, packed.getvalue())


@contextmanager
def table_writer(out: Path | None, many: bool, least: float) -> Iterator[Callable[[Read], None]]:
    """Give the function that writes a page's tables as CSV, to a file or to standard output; an empty line between two.

    many: whether every row begins with its file. least: numbers that are less confident are written as ?.
    """
    stream: Any = sys.stdout if out is None else io.StringIO(newline="")
    rows = csv.writer(stream, lineterminator="\n")
    begun = False

    def write(each: Read) -> None:
        nonlocal begun
        for grid in grids(each.reading.numbers, each.reading.turned) if each.reading else ():
            if begun:
                stream.write("\n")
            begun = True
            name = [cell(each.file)] if many else []
            rows.writerows([*name, *(_text(number, least) for number in row)] for row in grid)

    yield write
    if out is not None:
        write_atomic(out, stream.getvalue().encode("utf-8", "surrogateescape"))


def _text(number: Number | None, least: float) -> str:
    return "" if number is None else number.text if number.accepted(least) else "?"


def _value(number: Number) -> int | float | date | time | str:
    """Return what a cell holds."""
    if number.written != number.text:
        value = number.value
        if isinstance(value, Decimal):
            return int(value) if value == value.to_integral_value() else float(value)
        return value if isinstance(value, date | time) else number.written
    kept = number.text.startswith("0") and len(number.text) > 1
    return number.text if kept or len(number.text) > MAX_DIGITS else int(number.text)


def _colour(number: Number, least: float) -> str | None:
    if number.confidence < max(DOUBTED, least):
        return RED
    return ORANGE if number.confidence < TRUSTED else None


def _title(each: Read, index: int) -> str:
    """Return a sheet's name, unlike that of any other."""
    page = f" page {each.page}" if each.page > 1 else ""
    name = re.sub(r"[^\w .-]", "_", Path(each.file).name if each.file != "-" else "standard input")
    return f"{index} {name}"[: MAX_TITLE - len(page)] + page
