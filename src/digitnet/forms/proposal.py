"""A template proposed from a scan of a blank form: boxes, combs, boxes to tick and lines to write on.

Boxes are areas that ruled lines enclose. Equal boxes side by side are a comb, as is a box with short strokes at its
foot. Fields are named f1, f2, ... in reading order; their kinds are guesses, to be edited by hand.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from digitnet.core.errors import DataError
from digitnet.forms.cutting import SCALE
from digitnet.forms.template import MAX_SIDE, MIN_SIDE, VERSION, Box, Template
from digitnet.imaging.deskew import levelled
from digitnet.imaging.ink import MIN_STROKE, ink_of
from digitnet.imaging.pages import Dpi

SHEETS = (210.0, 297.0), (215.9, 279.4)
"""Width and height of A4 and Letter, millimetres: by its proportions, a sheet of unknown size is taken for one of them,
otherwise to be 210 mm wide."""

SIZES = (*SHEETS, (148.0, 210.0), (105.0, 148.0), (297.0, 420.0), (215.9, 355.6), (139.7, 215.9))
"""The common sheets that one of known size is compared with: also A5, A6, A3, Legal and Statement, millimetres."""

SAME_SIZE = 0.02
"""Share by which the sides of a scan, and its proportions, may differ from those of a common sheet: scanners crop."""

MIN_DPI = 100
"""Resolution from which one that a file states is believed: lower ones, of which 72 and 96 are frequent, are written by
programs that do not know it."""

MIN_LEVEL_LINE, MIN_UPRIGHT_LINE = 4.0, 3.0
"""Least length of level and of upright ruled lines, millimetres."""

MIN_BOX_SIDE, MAX_TICK_SIDE, MIN_AREA_HEIGHT = 3.0, 8.0, 25.0
"""Least side of a box; largest side of a box to tick; height from which a box is a free area, millimetres."""

MIN_WRITING_LINE, WRITING_HEIGHT = 15.0, 8.0
"""Least length of a line to write on, and the height of the field above it, millimetres."""

MAX_CELL_WIDTH = 1.3
"""Width of a comb's cell in heights, at most."""

MAX_FIELDS = 200
"""Fields of a template, at most."""


@dataclass(frozen=True, eq=False)
class Draft:
    """What is proposed for a scan of a blank form.

    template: as plain values, perhaps without any field. reference: the levelled scan to store beside it, (h, w) uint8.
    assumed: a line on the size of the sheet if the scan does not tell it.
    """

    template: dict[str, Any]
    reference: NDArray[np.uint8]
    assumed: str | None

    def checked(self) -> Template:
        """Return the template. Raises DataError where nothing to fill in is seen."""
        if not self.template["fields"]:
            fact = "found neither boxes nor lines to write on"
            raise DataError(f"{fact}; scan a blank form at 150 dpi or more, or write the template by hand")
        return Template.model_validate(self.template)


def drafted(page: NDArray[np.uint8], dpi: Dpi | None, name: str, reference: str) -> Draft:
    """Return what is proposed for a scan of a blank form, (h, w) uint8, edge to edge.

    dpi: its resolution across and down, None if it is not known. name: of the form. reference: the picture's name in
    the template.
    """
    size, assumed = _size(page.shape, dpi)
    picture = _upright(page, size)
    ink = (ink_of(picture) > MIN_STROKE).astype(np.uint8)
    level = _opened(ink, 1, round(MIN_LEVEL_LINE * SCALE))
    plumb = _opened(ink, round(MIN_UPRIGHT_LINE * SCALE), 1)
    boxes = list(_enclosed(np.asarray(cv2.dilate(level | plumb, np.ones((3, 3), np.uint8)), np.uint8)))
    fields = [*_fields(boxes, ink), *(("digits", box, None) for box in _lines(level, boxes))]
    fields.sort(key=lambda each: (round(each[1][1] / 4), each[1][0]))
    named = [
        {"name": f"f{number}", "kind": kind, "box": _within(box, size)} | ({"cells": cells} if cells else {})
        for number, (kind, box, cells) in enumerate(fields[:MAX_FIELDS], 1)
    ]
    plain = {"version": VERSION, "name": name, "page": size, "reference": reference, "fields": named}
    return Draft(plain, picture, assumed)


def name_of(stem: str) -> str:
    """Return the name of a form whose file has this name, without its suffix."""
    return re.sub(r"^(?=[0-9])|[^A-Za-z0-9_]", "_", stem)[:60] or "form"


def _size(shape: tuple[int, ...], dpi: Dpi | None) -> tuple[tuple[float, float], str | None]:
    """Return the size of a sheet, millimetres, and a line on it if it is a guess by the proportions."""
    height, width = shape
    if dpi is not None and min(dpi) >= MIN_DPI:
        size = round(25.4 * width / dpi[0], 1), round(25.4 * height / dpi[1], 1)
        if min(size) >= MIN_SIDE and max(size) <= MAX_SIDE:
            common = (its for its in _either_way(SIZES) if _alike(size[0], its[0]) and _alike(size[1], its[1]))
            return next(common, size), None
    wide = min(210.0, MAX_SIDE * width / height)
    other = round(max(MIN_SIDE, wide), 1), round(max(MIN_SIDE, wide * height / width), 1)
    size = next((its for its in _either_way(SHEETS) if _alike(width / height, its[0] / its[1])), other)
    return size, f"the file does not tell the size of the sheet, which is taken to be {size[0]:g} x {size[1]:g} mm"


def _either_way(sizes: Sequence[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    """Yield sizes of sheets, upright and on their side."""
    for short, long in sizes:
        yield from ((short, long), (long, short))


def _alike(one: float, other: float) -> bool:
    return abs(one / other - 1) < SAME_SIZE


def _upright(page: NDArray[np.uint8], size: tuple[float, float]) -> NDArray[np.uint8]:
    """Return a page with level lines, `SCALE` pixels to a millimetre."""
    turned, back = levelled(ink_of(page))
    if turned.shape != page.shape:
        middle = (np.array(turned.shape[::-1]) - page.shape[::-1]) / 2
        back = back.copy()
        back[:, 2] += back[:, :2] @ middle
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    level = cv2.warpAffine(page, back, page.shape[::-1], flags=flags, borderMode=cv2.BORDER_REPLICATE)
    pixels = round(size[0] * SCALE), round(size[1] * SCALE)
    return np.asarray(cv2.resize(level, pixels, interpolation=cv2.INTER_AREA), np.uint8)


def _opened(ink: NDArray[np.uint8], high: int, wide: int) -> NDArray[np.uint8]:
    """Return the ink that is of runs of at least this size, pixels."""
    return np.asarray(cv2.morphologyEx(ink, cv2.MORPH_OPEN, np.ones((high, wide), np.uint8)), np.uint8)


def _enclosed(lines: NDArray[np.uint8]) -> Iterator[Box]:
    """Yield the rectangles that lines enclose, millimetres."""
    height, width = lines.shape
    _, _, stats, _ = cv2.connectedComponentsWithStats((lines == 0).astype(np.uint8), connectivity=4)
    for left, top, wide, high, area in stats[1:].tolist():
        inner = left > 0 and top > 0 and left + wide < width and top + high < height
        if inner and min(wide, high) >= MIN_BOX_SIDE * SCALE and area >= 0.85 * wide * high:
            yield tuple(round(edge / SCALE, 1) for edge in (left - 2, top - 2, left + wide + 2, top + high + 2))


def _fields(boxes: Sequence[Box], ink: NDArray[np.uint8]) -> Iterator[tuple[str, Box, int | None]]:
    """Yield a kind, a box and a number of cells for each box, or row of boxes that are a comb."""
    rows: list[list[Box]] = []
    for box in sorted(boxes, key=lambda each: (round(each[1]), each[0])):
        if not (rows and _continues(rows[-1], box)):
            rows.append([])
        rows[-1].append(box)
    for row in rows:
        (left, top, _, bottom), right = row[0], row[-1][2]
        wide, high = right - left, bottom - top
        cells = len(row) if len(row) > 1 else _teeth(ink, row[0])
        if cells > 1:
            yield "comb", (left, top, right, bottom), cells
        elif max(wide, high) <= MAX_TICK_SIDE and abs(wide - high) < 0.25 * high:
            yield "mark", row[0], None
        else:
            yield ("area" if high >= MIN_AREA_HEIGHT else "digits"), row[0], None


def _continues(row: Sequence[Box], box: Box) -> bool:
    """Return whether a box is the next cell of a comb."""
    last = row[-1]
    wide, high = last[2] - last[0], last[3] - last[1]
    level = abs(box[1] - last[1]) < 0.6 and abs(box[3] - last[3]) < 0.6
    alike = abs((box[2] - box[0]) - wide) < 0.15 * wide
    return level and alike and abs(box[0] - last[2]) < 1 and wide <= MAX_CELL_WIDTH * high


def _teeth(ink: NDArray[np.uint8], box: Box) -> int:
    """Return how many equal cells the short strokes at a box's foot make of it; 1 where there are none."""
    left, top, right, bottom = (round(edge * SCALE) for edge in box)
    foot = ink[bottom - (bottom - top) // 4 : bottom - 4, left + 8 : right - 8]
    if not foot.size:
        return 1
    inked = np.flatnonzero(np.diff((foot.mean(axis=0) > 0.8).astype(np.int8), prepend=0, append=0))
    places = (inked[::2] + inked[1::2]) / 2 + 8
    edges = np.array([0.0, *places, float(right - left)])
    steps = np.diff(edges)
    even = len(places) > 0 and np.ptp(steps) < 0.25 * steps.mean() and steps.mean() <= MAX_CELL_WIDTH * (bottom - top)
    return len(steps) if even else 1


def _lines(level: NDArray[np.uint8], boxes: Sequence[Box]) -> Iterator[Box]:
    """Yield the room above level lines that are not of a box, to write on; it ends at the next line above."""
    grown = cv2.dilate(level, np.ones((3, 5), np.uint8))
    _, _, stats, _ = cv2.connectedComponentsWithStats(grown, connectivity=8)
    places = stats[1:, :4] / SCALE
    lefts, tops = places[:, 0], places[:, 1]
    rights, bottoms = lefts + places[:, 2], tops + places[:, 3]
    for x0, top, x1, y in zip(*(each.tolist() for each in (lefts, tops, rights, bottoms)), strict=True):
        of_box = any(x0 < box[2] + 1 and box[0] - 1 < x1 and box[1] - 1.5 < y < box[3] + 1.5 for box in boxes)
        above = bottoms[(lefts < x1) & (rights > x0) & (bottoms < y)].max(initial=0)
        room = min(WRITING_HEIGHT, y - float(above))
        wide, thin, low = x1 - x0 >= MIN_WRITING_LINE, y - top < 1.5, y > WRITING_HEIGHT
        if wide and thin and low and room >= MIN_BOX_SIDE and not of_box:
            yield round(x0, 1), round(y - room, 1), round(x1, 1), round(y, 1)


def _within(box: Box, size: tuple[float, float]) -> Box:
    left, top, right, bottom = box
    return max(0.0, left), max(0.0, top), min(right, size[0]), min(bottom, size[1])
