"""Segmentation without a model: a grey page -> regions with one handwritten number each, in reading order.

The page's ink (`ink.py`) is turned upright and ruled lines and boxes are taken away (`line_removal.py`); what is left
falls into connected parts, and the parts of one number are put together (`grouping.py`). Not covered: whether a region
really holds digits, and which.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from digitnet.imaging.deskew import levelled
from digitnet.imaging.geometry import Affine, Box
from digitnet.imaging.grouping import MAX_COMPONENTS, MIN_DIGIT_HEIGHT, at_most, candidates, groups, median
from digitnet.imaging.ink import MIN_STROKE, Gray, checked, ink_of, quantiles
from digitnet.imaging.line_removal import without_rules
from digitnet.imaging.page_find import Place
from digitnet.imaging.reduction import LARGEST, drawn_part, reduced

Ints = NDArray[np.int32]
Rows = NDArray[np.intp]

MIN_STRONG_INK = 96
"""Ink strength that a fifth of a stroke must have on paper."""

MIN_DEVIATIONS = 5
"""On a texture, standard deviations by which strong ink is above what is usual: of texture alone hardly a blot is."""

MIN_BLOT_FILL, MIN_ROUND_BLOT_FILL = 0.88, 0.84
"""Share of its convex outline that a blot fills and a digit does not; and where it is as wide as high."""

REGION_MARGIN = 0.12
"""Empty margin around a region's ink, in its height."""

MAX_LONE_GAP = 0.4
"""Between two parts of a drawing's only number at most, in the height of its parts."""

MAX_PANEL_DEPTH, MAX_PANELS = 2, 30
"""How often a dark box in a box is looked into, and how many boxes at each depth, the largest ones."""


@dataclass(frozen=True, eq=False)
class Region:
    """One number on a page.

    box: left, top, right, bottom in pixels of the page as it was given.
    ink: (h, w) uint8, 0 paper .. 255 ink: this number's ink alone and upright, with a margin.
    parts: boxes of its connected parts, left to right, in pixels of `ink`.
    to_page: (2, 3) float64, the affine map from (x, y, 1) in pixels of `ink` to (x, y) in pixels of the page.
    picture: (h, w) uint8, that part of the page, ink bright; None where it has yet to be cut out.
    place: what the page network found, pixels of the page that it looked at; None for what thresholds found.
    """

    box: Box
    ink: Gray
    parts: tuple[Box, ...]
    to_page: Affine
    picture: Gray | None = None
    place: Place | None = None

    @property
    def printed(self) -> float | None:
        """The probability that it is set in type, 0..1; None where it is unknown."""
        return self.place.printed if self.place else None


class Found(NamedTuple):
    """A page's regions in reading order; codes of `result.LIMITS` if some are left out, and their boxes if known.

    lines: of handwriting, words and numbers, as the page network finds them.
    """

    regions: list[Region]
    limits: tuple[str, ...]
    beyond: tuple[Box, ...] = ()
    lines: tuple[Place, ...] = ()


def find(page: Gray) -> list[Region]:
    """Return the regions of `search`."""
    return search(page).regions


def search(page: Gray) -> Found:
    """Find the numbers on a page: lines from top to bottom, in a line from left to right.

    page: (h, w) uint8, 0 black .. 255 white; ink darker or lighter than the paper. Raises ImageError for others.
    """
    page = checked(page)
    small, back = drawn_part(page) or reduced(page)
    limits: set[str] = set()
    regions = _ordered(_find(small, 0, limits))
    return Found([moved(region, back, page.shape) for region in regions], tuple(sorted(limits)))


def whole(page: Gray) -> Region:
    """Take a whole image for one number: the region of all its ink, rules and specks aside.

    page: as for `find`. An image without ink gives a region of zeros, without parts.
    Raises ImageError as `find` does.
    """
    page = checked(page)
    small, back = reduced(page)
    return moved(_whole(small), back, page.shape)


def lone(page: Gray) -> Region | None:
    """Return the region of a drawing's only number: of all its ink, if that is few strokes near each other.

    page: as for `find`. None for drawings with rules, specks or parts that are apart, and for pages that are none.
    """
    part = drawn_part(checked(page))
    if part is None:
        return None
    small, back = part
    seen = ink_of(small)
    ink = without_rules(seen)
    labels, boxes, areas = _components(ink, MIN_STRONG_INK)
    numbers = groups(boxes, areas)
    if len(numbers) != 1 or len(numbers[0]) < len(boxes) or not np.array_equal(ink, seen):
        return None
    rows = np.array(numbers[0])
    ends = np.maximum.accumulate(boxes[rows, 2])
    if (boxes[rows[1:], 0] - ends[:-1] > MAX_LONE_GAP * median(boxes[rows, 3] - boxes[rows, 1])).any():
        return None
    return moved(_cut(ink, labels, boxes[rows], rows + 1, np.eye(2, 3), small.shape), back, page.shape)


def _whole(page: Gray) -> Region:
    ink = ink_of(page)
    ink = without_rules(ink)
    labels, boxes, areas = _components(ink, MIN_STRONG_INK)
    rows = _of_one_number(boxes, areas)
    if not len(rows):
        height, width = page.shape
        return Region((0, 0, width, height), np.zeros_like(page), (), np.eye(2, 3))
    return _cut(ink, labels, boxes[rows], rows + 1, np.eye(2, 3), page.shape)


def _of_one_number(boxes: Ints, areas: Ints) -> Rows:
    """Return the rows of boxes that are no specks beside the tallest, nor far above or below the tall ones."""
    sizes = boxes[:, 2:] - boxes[:, :2]
    if not areas.any():
        return np.zeros(0, np.intp)
    tallest = sizes[areas > 0, 1].max(initial=0)
    tall = (areas > 0) & (sizes[:, 1] > 0.4 * tallest)
    top, bottom = boxes[tall, 1].min() - 0.1 * tallest, boxes[tall, 3].max() + 0.2 * tallest
    middle = boxes[:, [1, 3]].mean(1)
    return np.flatnonzero((areas > 0) & (sizes.max(1) > 0.08 * tallest) & (middle > top) & (middle < bottom))


def _find(page: Gray, depth: int, limits: set[str]) -> list[Region]:
    """Find the numbers on a page of the size that is worked at, then those in boxes of the other polarity on it.

    limits: codes of `result.LIMITS` are added.
    """
    ink = ink_of(page)
    ink, turn = levelled(ink)
    ink = without_rules(ink)
    labels, boxes, areas = _components(ink, _strong(ink))
    regions = []
    if depth < MAX_PANEL_DEPTH:
        for row, shape in _panels(labels, boxes, areas):
            if inside := _inside(page, boxes[row], shape, turn, depth, limits):
                regions += inside
                left, top, right, bottom = boxes[row]
                within = (boxes[:, :2] >= (left, top)).all(1) & (boxes[:, 2:] <= (right, bottom)).all(1)
                areas[within] = 0  # the paper around its ink, and the paper in the loops of its ink
    if len(candidates(boxes, areas)) > MAX_COMPONENTS:
        limits.add("too_many_parts")
    numbers, more = at_most(groups(boxes, areas), boxes, LARGEST)
    limits |= more
    for rows in numbers:
        largest = max(rows, key=lambda row: int(areas[row]))
        if areas[largest] > 0.8 * areas[rows].sum() and _solid(labels, boxes[largest], largest + 1):
            continue
        regions.append(_cut(ink, labels, boxes[rows], np.array(rows) + 1, turn, page.shape))
    return regions


def _solid(labels: NDArray[Any], box: Ints, label: int) -> bool:
    """Say whether a part is a dot, a blot or a piece of shadow: without bays or loops, and no upright bar."""
    left, top, right, bottom = box
    if right - left < 0.5 * (bottom - top):
        return False
    part = labels[top:bottom, left:right] == label
    count = np.count_nonzero(part)
    if count < 0.4 * (right - left) * (bottom - top):
        return False
    # The ends of its rows have the same outline as all of its pixels.
    y = np.flatnonzero(part.any(axis=1))
    first, last = part[y].argmax(axis=1), part.shape[1] - part[y, ::-1].argmax(axis=1)
    corners = np.concatenate([np.stack([x, y + b], 1) for x in (first, last) for b in (0, 1)]).astype(np.int32)
    _, sides, _ = cv2.minAreaRect(corners)
    full = count / cv2.contourArea(cv2.convexHull(corners))
    round_enough = min(sides) / max(sides)
    return bool((full > MIN_BLOT_FILL and round_enough > 0.5) or (full > MIN_ROUND_BLOT_FILL and round_enough > 0.85))


def _panels(labels: NDArray[Any], boxes: Ints, areas: Ints) -> list[tuple[int, Gray]]:
    """Return parts so large, full and rectangular that they may be other paper, written on: their rows and shapes.

    There are at most `MAX_PANELS`, and all together they are at most as large as the page.
    """
    wide, high = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    full = np.flatnonzero((areas > 0.4 * wide * high) & (wide >= 24) & (high >= 20) & (high < 3 * wide))
    sizes = wide[full].astype(np.int64) * high[full]
    panels: list[tuple[int, Gray]] = []
    room, tries = labels.size, 10 * MAX_PANELS
    for row in full[np.argsort(-sizes, kind="stable")[:tries]].tolist():
        if len(panels) == MAX_PANELS:
            break
        left, top, right, bottom = boxes[row].tolist()
        shape = (labels[top:bottom, left:right] == row + 1).astype(np.uint8)
        outlines = cv2.findContours(shape, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[0]
        cv2.drawContours(shape, outlines, -1, 1, cv2.FILLED)
        rim = 1 + min(shape.shape) // 40
        shape = np.pad(shape, rim)
        cv2.morphologyEx(
            shape, cv2.MORPH_OPEN, np.ones((2 * rim, 2 * rim), np.uint8), dst=shape
        )  # without what touches
        outlines = cv2.findContours(shape, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[0]
        if not outlines:
            continue
        outline = max(outlines, key=cv2.contourArea)
        _, sides, _ = cv2.minAreaRect(outline)
        if cv2.contourArea(outline) > max(0.93 * sides[0] * sides[1], 0.5 * wide[row] * high[row]):
            shape = cv2.erode(shape, np.ones((2 * rim + 1, 2 * rim + 1), np.uint8)).astype(np.uint8, copy=False)
            shape = shape[rim:-rim, rim:-rim]
            if shape.size <= room and (labels[top:bottom, left:right][shape > 0] != row + 1).mean() > 0.01:
                panels.append((row, shape))
                room -= shape.size
    return sorted(panels, key=lambda panel: panel[0])


def _inside(page: Gray, box: Ints, shape: Gray, turn: Affine, depth: int, limits: set[str]) -> list[Region]:
    """Find the numbers in a part of the page; `box` and `shape` are of the page turned upright."""
    left, top, right, bottom = bounds(turn, box, page.shape)
    back = turn.copy()
    back[:, 2] += turn[:, :2] @ box[:2] - (left, top)
    shape = cv2.warpAffine(shape, back, (right - left, bottom - top), flags=cv2.INTER_NEAREST).astype(np.uint8)
    inner = page[top:bottom, left:right]
    if min(inner.shape) < 2 * MIN_DIGIT_HEIGHT or inner.size > 0.95 * page.size or not shape.any():
        return []
    inner = np.where(shape > 0, inner, np.uint8(np.median(inner[shape > 0])))
    shift = np.array([[1.0, 0, left], [0, 1, top]])
    return [moved(region, shift, page.shape) for region in _find(inner, depth + 1, limits)]


def _components(ink: Gray, strong: Gray | int) -> tuple[NDArray[Any], Ints, Ints]:
    """Return the labels of connected strokes, and for labels 1, 2, ... their boxes (n, 4) and areas (n,).

    The area of what is hardly anywhere `strong` is 0: pattern that is a little too dark.
    """
    stroke = cv2.threshold(ink, MIN_STROKE - 1, 1, cv2.THRESH_BINARY)[1]
    # Short labels take a third of the time. Even on the way there are at most as many as pixels without ink above, to
    # the left and between: OpenCV goes by blocks of 2x2 pixels (Bolelli et al., 2019) and sees the right too late.
    before = cv2.dilate(stroke, np.array([[1, 1, 0], [1, 0, 0], [0, 0, 0]], np.uint8))
    short = cv2.countNonZero(cv2.subtract(stroke, before)) < 65_000
    kind = cv2.CV_16U if short else cv2.CV_32S
    n, labels, stats, _ = cv2.connectedComponentsWithStats(stroke, connectivity=8, ltype=kind)
    weak = np.bincount(labels[ink >= strong], minlength=n)[1:] < 0.2 * stats[1:, cv2.CC_STAT_AREA]
    areas = np.where(weak, 0, stats[1:, cv2.CC_STAT_AREA]).astype(np.int32)
    boxes = stats[1:, :4].astype(np.int32)
    boxes[:, 2:] += boxes[:, :2]
    return np.asarray(labels), boxes, areas


def _strong(ink: Gray) -> Gray | int:
    """Return for each pixel, (h, w) uint8, the ink strength that a fifth of a stroke must have there.

    It is STRONG on paper. Where most of what is between strokes is inked a little, there is soft grain, cloth, wood or
    gravel, and a stroke must be well above what is usual around it.
    """
    height, width = ink.shape
    step = -(-max(height, width) // 200)
    few = ink[::step, ::step].astype(np.float32)
    around = (max(height, width) // 4 // step | 1,) * 2
    rest = (few < MIN_STROKE).astype(np.float32)
    weight = cv2.blur(rest, around) + np.float32(1e-3)

    def mean(values: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(cv2.blur(values * rest, around) / weight)

    inked = mean((few > MIN_STROKE / 4).astype(np.float32)) > 0.5
    if not inked.any():
        return MIN_STRONG_INK
    usual = mean(few)
    spread = np.sqrt((mean(few * few) - usual * usual).clip(0))
    level = np.where(inked, usual + MIN_DEVIATIONS * spread, 0).clip(MIN_STRONG_INK, 255).astype(np.uint8)
    return cv2.resize(level, (width, height), interpolation=cv2.INTER_LINEAR).astype(np.uint8, copy=False)


def _cut(
    ink: Gray,
    labels: NDArray[Any],
    boxes: Ints,
    ids: Rows,
    turn: Affine,
    shape: tuple[int, ...],
) -> Region:
    """Cut out the parts with these labels and boxes as a region."""
    left, top = boxes[:, :2].min(0).tolist()
    right, bottom = boxes[:, 2:].max(0).tolist()
    margin = max(2, round(REGION_MARGIN * (bottom - top)))
    x0, y0, x1, y1 = left - margin, top - margin, right + margin, bottom + margin
    height, width = ink.shape
    inside = np.s_[max(y0, 0) : min(y1, height), max(x0, 0) : min(x1, width)]
    here = labels[inside]
    table = np.zeros(int(here.max()) + 1, np.uint8)
    table[ids] = 1
    mine = table[here]
    edge = cv2.dilate(mine, np.ones((3, 3), np.uint8), iterations=1 + (bottom - top) // 60)
    soft = ink[inside] * ((edge > 0) & ((here == 0) | (mine > 0)))
    strongest = max(quantiles(soft[mine > 0], (0.9,))[0], MIN_STROKE)
    cut = np.zeros((y1 - y0, x1 - x0), np.uint8)
    levels = (np.arange(256) * (255 / strongest)).clip(0, 255).round().astype(np.uint8)
    cut[max(-y0, 0) : max(-y0, 0) + soft.shape[0], max(-x0, 0) : max(-x0, 0) + soft.shape[1]] = levels[soft]
    to_page = turn.copy()
    to_page[:, 2] += turn[:, :2] @ (x0, y0)
    parts = tuple((a - x0, b - y0, c - x0, d - y0) for a, b, c, d in _parts(boxes))
    return Region(bounds(turn, (left, top, right, bottom), shape), cut, parts, to_page)


def _parts(boxes: Ints) -> list[Box]:
    """Join boxes that lie mostly above one another, pieces of one digit; return the rest from left to right."""
    parts: list[Box] = []
    for left, top, right, bottom in sorted(boxes.tolist()):
        if parts:
            last = parts[-1]
            shared = min(right, last[2]) - left
            if shared > 0.5 * min(right - left, last[2] - last[0]):
                parts[-1] = (last[0], min(top, last[1]), max(right, last[2]), max(bottom, last[3]))
                continue
        parts.append((left, top, right, bottom))
    return parts


def bounds(turn: Affine, box: Any, shape: tuple[int, ...]) -> Box:
    """Return the box on a page of `shape` around a box that an affine map takes there."""
    left, top, right, bottom = (float(side) for side in box)
    corners = np.array([[left, right, left, right], [top, top, bottom, bottom], [1, 1, 1, 1]])
    x, y = (turn @ corners).round(3)
    return (
        max(0, math.floor(x.min())),
        max(0, math.floor(y.min())),
        min(shape[1], math.ceil(x.max())),
        min(shape[0], math.ceil(y.max())),
    )


def moved(region: Region, step: Affine, shape: tuple[int, ...]) -> Region:
    """Take a region from one page to another that an affine map leads to."""
    to_page = step[:, :2] @ region.to_page
    to_page[:, 2] += step[:, 2]
    return replace(region, box=bounds(step, region.box, shape), to_page=to_page)


def _ordered(regions: list[Region]) -> list[Region]:
    """Sort into reading order: lines from top to bottom, in a line from left to right."""
    if len(regions) < 2:
        return regions
    falls = np.median([region.to_page[1, 0] / region.to_page[0, 0] for region in regions])
    boxes = np.array([region.box for region in regions], np.float64)
    middle = (boxes[:, 1] + boxes[:, 3]) / 2 - falls * (boxes[:, 0] + boxes[:, 2]) / 2
    tall = boxes[:, 3] - boxes[:, 1]
    lines: list[list[int]] = []
    for one in np.argsort(middle, kind="stable").tolist():
        if lines and middle[one] - np.mean(middle[lines[-1]]) < 0.5 * min(tall[one], np.median(tall[lines[-1]])):
            lines[-1].append(one)
        else:
            lines.append([one])
    return [regions[one] for line in lines for one in sorted(line, key=lambda i: float(boxes[i, 0]))]
