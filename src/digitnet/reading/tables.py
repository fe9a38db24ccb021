"""Numbers that stand in a grid: rows and columns, from where they are on the page alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np

from digitnet.imaging.geometry import Box, Corners, around, level
from digitnet.imaging.page_turn import slant


class Boxed(Protocol):
    """What has a box."""

    @property
    def box(self) -> Box:
        """Where it is, pixels of the page."""


class Cell(Boxed, Protocol):
    """What a table holds: a `result.Number`."""

    @property
    def text(self) -> str:
        """What it says."""

    @property
    def corners(self) -> Corners:
        """Its corners in the direction of writing."""

    @property
    def digits(self) -> Sequence[Boxed]:
        """Its digits."""


Its = TypeVar("Its", bound=Cell)

MIN_ROWS, MIN_COLUMNS = 2, 2

FILLED = 0.5
"""Share of a grid's cells that have a number."""

SAME_COLUMN = 0.3
"""Share of the narrower of two numbers that is above or below the other where both are of one column."""

SAME_ROW = 0.6
"""Distance between the middles of two numbers of one row, in heights, at most."""


@dataclass(frozen=True)
class Table(Generic[Its]):
    """A grid of numbers. rows: from top to bottom, each from left to right, None where a cell is empty. box: around."""

    rows: tuple[tuple[Its | None, ...], ...]
    box: Box


def tables_of(numbers: Sequence[Its], turned: float) -> list[Table[Its]]:
    """Return the tables among the numbers of a page that is rotated by so many degrees, from top to bottom.

    A table has at least two rows and two columns, mostly filled.
    """
    lines = _lines(numbers, turned)
    spans = [(start, stop) for start in range(len(lines)) for stop in range(start + MIN_ROWS, len(lines) + 1)]
    taken: set[int] = set()
    found: list[tuple[int, tuple[tuple[Its | None, ...], ...]]] = []
    for start, stop in sorted(spans, key=lambda span: (span[0] - span[1], span[0])):
        if taken.isdisjoint(range(start, stop)) and (rows := _grid(lines[start:stop])):
            taken.update(range(start, stop))
            found.append((start, rows))
    return [Table(rows, around([each.box for row in rows for each in row if each])) for _, rows in sorted(found)]


def grids(numbers: Sequence[Its], turned: float) -> list[tuple[tuple[Its | None, ...], ...]]:
    """Return all numbers of a page as rows: its tables, and then the lines of those that are in none."""
    tables = [table.rows for table in tables_of(numbers, turned)]
    within = {id(each) for rows in tables for row in rows for each in row}
    rest = [[each for _, each in line if id(each) not in within] for line in _lines(numbers, turned)]
    lines = tuple(tuple(line) for line in rest if line)
    return [*tables, lines] if lines else tables


Level = tuple[float, float, float, float]
"""A box on the level page."""


def _lines(numbers: Sequence[Its], turned: float) -> list[list[tuple[Level, Its]]]:
    """Return a page's numbers in rows, however they were ordered; at most as many as a table may have."""
    boxes = [np.array([digit.box for digit in number.digits], np.float64) for number in numbers if number.digits]
    digits = [(its[:, :2] + its[:, 2:]) / 2 for its in boxes]
    angle = np.radians(-turned)
    back = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    turned = turned + slant([points @ back.T for points in digits if len(points)])
    placed = sorted(
        ((level(number.box, number.corners, turned), number) for number in numbers if number.text),
        key=lambda each: _middle(each[0]),
    )
    lines: list[list[tuple[Level, Its]]] = []
    for box, number in placed:
        near = [box[3] - box[1], *(its[3] - its[1] for its, _ in lines[-1])] if lines else []
        if lines and _middle(box) - np.mean([_middle(its) for its, _ in lines[-1]]) < SAME_ROW * float(np.median(near)):
            lines[-1].append((box, number))
        else:
            lines.append([(box, number)])
    return [sorted(line, key=lambda each: each[0][0]) for line in lines]


def _middle(box: Sequence[float]) -> float:
    return (box[1] + box[3]) / 2


def _grid(lines: Sequence[Sequence[tuple[Level, Its]]]) -> tuple[tuple[Its | None, ...], ...] | None:
    """Return lines as rows of one table, or None where they are none."""
    columns: list[tuple[float, float]] = []
    for left, right in sorted((box[0], box[2]) for line in lines for box, _ in line):
        if columns:
            first, last = columns[-1]
            if min(right, last) - left > SAME_COLUMN * min(right - left, last - first):
                columns[-1] = (first, max(last, right))
                continue
        columns.append((left, right))
    cells: list[list[Its | None]] = [[None] * len(columns) for _ in lines]
    for row, line in zip(cells, lines, strict=True):
        for box, number in line:
            shares = [min(box[2], last) - max(box[0], first) for first, last in columns]
            column = int(np.argmax(shares))
            if row[column] is not None:
                return None
            row[column] = number
    counts = [sum(cell is not None for cell in column) for column in zip(*cells, strict=True)]
    enough = (
        len(columns) >= MIN_COLUMNS and min(counts) >= MIN_ROWS and sum(counts) >= FILLED * len(columns) * len(lines)
    )
    return tuple(tuple(row) for row in cells) if enough else None
