"""Where numbers are: a grey page -> regions that each hold one handwritten number, in reading order.

The page's light and shadow are flattened and its ink made bright, whichever way round it was written; the page is
turned upright; ruled lines and boxes are taken away; what is left falls into connected parts, and the parts of one
number are put together by size, height and gap. Not covered: whether a region really holds digits, and which.

The constants were chosen on composed pages of handwritten digits; lengths in units of a digit's height follow from
how people write: a stroke is 1/20 to 1/4 of it, a gap inside a number rarely 4/5.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from digitnet.errors import ImageError

Box = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels; right and bottom are outside."""

Gray = NDArray[np.uint8]

INK = 64
"""Ink strength from which a pixel belongs to a stroke, 0..255."""

STRONG = 96
"""Ink strength that a fifth of a stroke must have."""

BASE = 0.25
"""Contrast that counts as paper, as a share of what a stroke must have."""

LARGEST = 12_000_000
"""Pixels beyond which a page is looked at in a smaller copy: A4 at 300 dpi is not, at 600 dpi it is."""

CELLS = 160
"""Cells along a page's longer side in which paper and ink levels are measured."""

SHARE = 0.35
"""Ink fainter than this share of the strongest around it is background pattern, shadow or the page behind."""

FAINT = 0.4
"""Where the strongest ink around is weaker than this share of the page's strongest, it is taken to be that strong."""

DIMMEST = 48
"""Light that ink is measured against at least, grey levels."""

FAINTEST = 10
"""Least difference between ink and paper, grey levels of 255."""

SMALLEST = 7
"""Least height of a digit, pixels."""

MOST = 3000
"""Parts a page may have: beyond it, in a photo of gravel say, the largest are looked at."""

GAP, WIDEST_GAP = 0.85, 1.2
"""Between two digits of a number at most, in digit heights: as a rule, and where all its gaps are as wide."""

SOLID, SOLID_ROUND = 0.88, 0.84
"""Share of its convex outline that a blot fills and a digit does not; and where it is as wide as high."""

MARGIN = 0.12
"""Empty margin around a region's ink, in its height."""

DEEPEST = 2
"""How often a dark box in a box is looked into."""


@dataclass(frozen=True, eq=False)
class Region:
    """One number on a page.

    box: left, top, right, bottom in pixels of the page as it was given.
    ink: (h, w) uint8, 0 paper .. 255 ink: this number's ink alone and upright, with a margin.
    parts: boxes of its connected parts, left to right, in pixels of `ink`.
    to_page: (2, 3) float64, the affine map from (x, y, 1) in pixels of `ink` to (x, y) in pixels of the page.
    """

    box: Box
    ink: Gray
    parts: tuple[Box, ...]
    to_page: NDArray[np.float64]


def find(page: Gray) -> list[Region]:
    """Find the numbers on a page: lines from top to bottom, in a line from left to right.

    page: (h, w) uint8, 0 black .. 255 white. Ink may be darker or lighter than the paper, and both on one page.
    A blank page gives an empty list. Raises ImageError for anything but a (h, w) uint8 array with pixels.
    """
    page = _checked(page)
    height, width = page.shape
    times = math.sqrt(min(1.0, LARGEST / page.size))
    if times < 1:
        size = max(1, round(width * times)), max(1, round(height * times))
        small = cv2.resize(page, size, interpolation=cv2.INTER_AREA)
        page = small.astype(np.uint8, copy=False)
    scale = np.array([[width / page.shape[1], 0, 0], [0, height / page.shape[0], 0]])
    return [_moved(region, scale, (height, width)) for region in _ordered(_find(page, 0))]


def whole(page: Gray) -> Region:
    """Take a whole image for one number: the region of all its ink, rules and specks aside.

    page: as for `find`. An image without ink gives a region of zeros as large as the image, without parts.
    Raises ImageError as `find` does.
    """
    page = _checked(page)
    ink = ink_of(page)
    ink = _without_rules(ink)
    labels, boxes, areas = _components(ink)
    rows = _of_one_number(boxes, areas)
    if not len(rows):
        height, width = page.shape
        return Region((0, 0, width, height), np.zeros_like(page), (), np.eye(2, 3))
    return _cut(ink, labels, boxes[rows], rows + 1, np.eye(2, 3), page.shape)


def _of_one_number(boxes: NDArray[np.int32], areas: NDArray[np.int32]) -> NDArray[np.intp]:
    """Return the rows of boxes that are no specks beside the tallest, nor far above or below the tall ones."""
    sizes = boxes[:, 2:] - boxes[:, :2]
    if not areas.any():
        return np.zeros(0, np.intp)
    tallest = sizes[areas > 0, 1].max(initial=0)
    tall = (areas > 0) & (sizes[:, 1] > 0.4 * tallest)
    top, bottom = boxes[tall, 1].min() - 0.1 * tallest, boxes[tall, 3].max() + 0.2 * tallest
    middle = boxes[:, [1, 3]].mean(1)
    return np.flatnonzero((areas > 0) & (sizes.max(1) > 0.08 * tallest) & (middle > top) & (middle < bottom))


def ink_of(page: Gray) -> Gray:
    """Return how strongly each pixel is inked: (h, w) uint8 page, 0 black .. 255 white -> (h, w) uint8, 0 .. 255 ink.

    Paper is 0 wherever the light falls, ink is bright whether it was darker or lighter than its paper, and what
    reaches `INK` belongs to a stroke. Raises ImageError as `find` does.
    """
    page = _checked(page)
    height, width = page.shape
    noise = _noise(page)
    if noise > 4:
        page = cv2.GaussianBlur(page, (3, 3), 0).astype(np.uint8, copy=False)
        noise *= 0.4
    paper, dark, level = _levels(page, noise)

    def full(cells: NDArray[Any]) -> Gray:
        grown = cv2.resize(cells.clip(0, 255).round().astype(np.uint8), (width, height), interpolation=cv2.INTER_LINEAR)
        return grown.astype(np.uint8, copy=False)

    below, above = full(paper - BASE * level), full(paper + BASE * level)
    if dark.all():
        ink = cv2.subtract(below, page)
    elif not dark.any():
        ink = cv2.subtract(page, above)
    else:
        side = cv2.resize(dark.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
        ink = cv2.subtract(page, above)
        cv2.copyTo(cv2.subtract(below, page), side, ink)
    gain = INK / ((1 - BASE) * level)  # a pixel of exactly the threshold's contrast comes to INK
    return cv2.multiply(ink, full(gain * 16), scale=1 / 16).astype(np.uint8, copy=False)


def _checked(page: Gray) -> Gray:
    page = np.asarray(page)
    if page.ndim != 2 or page.dtype != np.uint8 or not page.size:
        raise ImageError(f"page is {page.shape} {page.dtype}, expected (height, width) uint8 with at least one pixel")
    return page


def _noise(page: Gray) -> float:
    """Return the standard deviation of the paper's grain: the median step against both neighbours, few are on ink."""
    if min(page.shape) < 32:  # a tight crop may be more ink than paper
        return 0.0
    rows = page[:: max(1, page.shape[0] // 200)].astype(np.int16)
    step = np.abs(2 * rows[:, 1:-1] - rows[:, :-2] - rows[:, 2:])
    return float(np.median(step)) / (0.6745 * math.sqrt(6))


def _levels(page: Gray, noise: float) -> tuple[NDArray[Any], NDArray[np.bool_], NDArray[Any]]:
    """Return for each cell of the page: the paper's grey, whether ink is darker, and the contrast ink must have."""
    height, width = page.shape
    fine = max(1, max(height, width) // 1000)
    small = page
    if fine > 1:
        small = cv2.resize(page, (-(-width // fine), -(-height // fine)), interpolation=cv2.INTER_AREA).astype(np.uint8)
    step = -(-max(small.shape) // CELLS)
    rows, columns = -(-small.shape[0] // step), -(-small.shape[1] // step)
    small = np.pad(small, ((0, rows * step - small.shape[0]), (0, columns * step - small.shape[1])), mode="edge")

    tile, corner = np.ones((step, step), np.uint8), (step - 1, step - 1)

    def most(values: NDArray[Any]) -> NDArray[Any]:
        return cv2.dilate(values, tile, anchor=corner)[step - 1 :: step, step - 1 :: step].copy()

    def least(values: NDArray[Any]) -> NDArray[Any]:
        return cv2.erode(values, tile, anchor=corner)[step - 1 :: step, step - 1 :: step].copy()

    def mean(values: NDArray[Any]) -> NDArray[Any]:
        return cv2.resize(values, (columns, rows), interpolation=cv2.INTER_AREA)

    def spread(cells: NDArray[Any]) -> NDArray[Any]:
        return cv2.resize(cells, (columns * step, rows * step), interpolation=cv2.INTER_NEAREST)

    # Wider than any stroke, narrower than most shadows; of a tight crop around one digit all that there is.
    reach = max(min(rows, columns) // 4, -(-20 // (fine * step))) | 1
    window = np.ones((reach, reach), np.uint8)
    middle = mean(small)
    slope = _plane(middle)  # closing is exact on a ramp except near the page's border
    bright = cv2.morphologyEx(most(small) - slope, cv2.MORPH_CLOSE, window) + slope
    black = cv2.morphologyEx(least(small) - slope, cv2.MORPH_OPEN, window) + slope
    decided = _polarity(small)
    if decided is not None:
        dark = np.full((rows, columns), decided)
    else:
        usual = cv2.medianBlur(middle, min(2 * reach + 1, 255)).astype(np.float32)
        around = (3 * reach, 3 * reach)
        dark = cv2.blur(bright - usual, around) <= cv2.blur(usual - black, around)
        if dark.any() and not dark.all():  # where both meet, each cell goes to the paper it is more like
            white, board = float(np.median(usual[dark])), float(np.median(usual[~dark]))
            if white > board:
                near = cv2.medianBlur(middle, reach // 4 * 2 + 1)
                edge = cv2.morphologyEx(dark.astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((reach, reach), np.uint8))
                dark = np.where(edge > 0, near > (white + board) / 2, dark)
    paper = np.where(dark, bright, black)
    if dark.all():
        contrast = spread(paper) - small
    else:
        contrast = (spread(paper) - small) * spread(np.where(dark, np.float32(1), np.float32(-1)))
    contrast = np.maximum(contrast, 0)
    if noise:  # the brightest of many grains is brighter than the paper
        bias = min(float(np.median(contrast[::3, ::3])), 4 * noise)
        paper = paper - np.where(dark, bias, -bias).astype(np.float32)
        contrast = np.maximum(contrast - np.float32(bias), 0)
    # As a share of the light: in a shadow ink and paper come closer.
    light = np.where(dark, paper, 255 - paper).clip(DIMMEST)
    share = contrast / spread(light)
    strongest = cv2.blur(cv2.dilate(most(share), window), (reach, reach))
    strongest = np.maximum(strongest, FAINT * strongest.max())
    level = SHARE * strongest
    if decided is None:  # else there is so much ink that it would be taken for a pattern
        limit = spread(0.4 * strongest)
        pattern = cv2.blur(mean(np.minimum(share, limit)), (reach, reach))
        level = np.maximum(level, np.minimum(2.2 * pattern, 0.55 * strongest))
    return paper, dark, np.maximum(level * light, max(FAINTEST, 4 * noise))


def _plane(cells: NDArray[Any]) -> NDArray[np.float32]:
    """Return the plane that fits an image best, with a mean of 0."""
    rows, columns = cells.shape
    y = np.arange(rows, dtype=np.float32) - np.float32((rows - 1) / 2)
    x = np.arange(columns, dtype=np.float32) - np.float32((columns - 1) / 2)
    down = cells.mean(1) @ y / max(float(y @ y), 1)
    across = cells.mean(0) @ x / max(float(x @ x), 1)
    plane: NDArray[np.float32] = (down * y[:, None] + across * x).astype(np.float32)
    return plane


def _polarity(small: Gray) -> bool | None:
    """Say whether the ink of a small picture is dark; None where ink is so sparse that local medians know better."""
    threshold, _ = cv2.threshold(small, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    light = small > threshold
    share, (height, width) = light.mean(), light.shape
    narrow = height > 2.2 * width  # a 1, whose middle is ink from top to bottom
    if not (narrow and height <= 64):
        if not 0.25 <= share <= 0.75:
            return None
        between = share * (1 - share) * (small[light].mean() - small[~light].mean()) ** 2
        if between < 0.85 * small.var():  # light and shadow rather than ink and paper: of a ramp it is 0.75
            return None
    if narrow:
        return bool(light[:, width // 3 : -(-2 * width // 3)].mean() < light[:, [0, -1]].mean())
    border = np.concatenate([light[0], light[-1], light[:, 0], light[:, -1]]).mean()
    corners = light[[0, 0, -1, -1], [0, -1, 0, -1]].mean()
    votes = share + border + corners
    # Shadows lie across the border, ink hardly: only a picture as small as a digit's own may have its border inked.
    sure = not 1.2 <= votes <= 1.8 and (max(height, width) <= 64 or abs(border - 0.5) > 0.25)
    return bool(votes > 1.5) if sure else None


def _find(page: Gray, depth: int) -> list[Region]:
    """Find the numbers on a page of the size that is worked at, then those in boxes of the other polarity on it."""
    ink = ink_of(page)
    turn = np.eye(2, 3)
    angle = _skew(ink)
    if abs(angle) > 0.4:
        ink, turn = _turned(ink, angle)
    ink = _without_rules(ink)
    labels, boxes, areas = _components(ink)
    regions = []
    if depth < DEEPEST:
        for row, shape in _panels(labels, boxes, areas):
            if inside := _inside(page, boxes[row], shape, turn, depth):
                regions += inside
                left, top, right, bottom = boxes[row]
                within = (boxes[:, :2] >= (left, top)).all(1) & (boxes[:, 2:] <= (right, bottom)).all(1)
                areas[within] = 0  # the paper around its ink, and the paper in the loops of its ink
    for rows in _groups(boxes, areas):
        largest = max(rows, key=lambda row: int(areas[row]))
        if areas[largest] > 0.8 * areas[rows].sum() and _solid(labels, boxes[largest], largest + 1):
            continue
        regions.append(_cut(ink, labels, boxes[rows], np.array(rows) + 1, turn, page.shape))
    return regions


def _solid(labels: NDArray[Any], box: NDArray[np.int32], label: int) -> bool:
    """Say whether a part is a dot, a blot or a piece of shadow: without bays or loops, and no upright bar."""
    left, top, right, bottom = box
    if right - left < 0.5 * (bottom - top):
        return False
    y, x = np.nonzero(labels[top:bottom, left:right] == label)
    if len(y) < 0.4 * (right - left) * (bottom - top):
        return False
    corners = np.concatenate([np.stack([x + a, y + b], 1) for a in (0, 1) for b in (0, 1)]).astype(np.int32)
    _, sides, _ = cv2.minAreaRect(corners)
    full = len(y) / cv2.contourArea(cv2.convexHull(corners))
    round_enough = min(sides) / max(sides)
    return (full > SOLID and round_enough > 0.5) or (full > SOLID_ROUND and round_enough > 0.85)


def _panels(labels: NDArray[Any], boxes: NDArray[np.int32], areas: NDArray[np.int32]) -> list[tuple[int, Gray]]:
    """Return parts so large, full and rectangular that they may be other paper, written on: their rows and shapes."""
    wide, high = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    full = (areas > 0.4 * wide * high) & (wide >= 24) & (high >= 20) & (high < 3 * wide)
    panels = []
    for row in np.flatnonzero(full).tolist():
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
            if (labels[top:bottom, left:right][shape > 0] != row + 1).mean() > 0.01:
                panels.append((row, shape))
    return panels


def _inside(page: Gray, box: NDArray[np.int32], shape: Gray, turn: NDArray[np.float64], depth: int) -> list[Region]:
    """Find the numbers in a part of the page; `box` and `shape` are of the page turned upright."""
    left, top, right, bottom = _bounds(turn, box, page.shape)
    back = turn.copy()
    back[:, 2] += turn[:, :2] @ box[:2] - (left, top)
    shape = cv2.warpAffine(shape, back, (right - left, bottom - top), flags=cv2.INTER_NEAREST).astype(np.uint8)
    inner = page[top:bottom, left:right]
    if min(inner.shape) < 2 * SMALLEST or inner.size > 0.95 * page.size or not shape.any():
        return []
    inner = np.where(shape > 0, inner, np.uint8(np.median(inner[shape > 0])))
    shift = np.array([[1.0, 0, left], [0, 1, top]])
    return [_moved(region, shift, page.shape) for region in _find(inner, depth + 1)]


def _skew(ink: Gray) -> float:
    """Return by how many degrees the page's lines fall to the right, -12..12; 0 where there is no telling.

    The projection of the ink across its lines is the most uneven of all directions (Postl, 1986).
    """
    height, width = ink.shape
    times = max(1.0, max(height, width) / 700)
    small = cv2.resize(ink, (max(1, round(width / times)), max(1, round(height / times))), interpolation=cv2.INTER_AREA)
    y, x = np.nonzero(small > INK / 2)
    if len(y) < 60 or width < 80:
        return 0.0
    if cv2.connectedComponents((small > INK / 2).astype(np.uint8))[0] < 6:  # strokes, not lines
        return 0.0
    few = slice(None, None, max(1, len(y) // 12000))
    y, x = y[few].astype(np.float32), x[few].astype(np.float32)

    def unevenness(angle: float) -> float:
        row = (y - x * np.float32(math.tan(math.radians(angle))) + np.float32(0.24 * small.shape[1])).astype(np.int32)
        profile = np.bincount(row)
        steps = profile[1:] - profile[:-1]
        return float(steps @ steps)

    step = 0.5 if small.shape[1] > 250 else 1.0
    coarse = np.arange(-12, 12.5, step)
    scores = np.array([unevenness(angle) for angle in coarse])
    best = coarse[scores.argmax()]
    if scores.max() < 1.5 * scores[len(scores) // 2] or scores.max() < 2.5 * np.median(scores):
        return 0.0
    near = best + step * np.arange(-0.8, 0.81, 0.2)
    return float(near[np.argmax([unevenness(angle) for angle in near])])


def _turned(ink: Gray, angle: float) -> tuple[Gray, NDArray[np.float64]]:
    """Turn a page upright; return it, grown so that nothing is lost, and the map from it back to the page."""
    height, width = ink.shape
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    wide, high = round(width * cos + height * abs(sin)), round(width * abs(sin) + height * cos)
    back = np.array([[cos, -sin, 0], [sin, cos, 0]])
    back[:, 2] = (width / 2, height / 2) - back[:, :2] @ (wide / 2, high / 2)
    turned = cv2.warpAffine(ink, back, (wide, high), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    return turned.astype(np.uint8, copy=False), back


@dataclass(frozen=True, eq=False)
class _Rule:
    """A straight thin level line: its box, length and thickness in pixels, and a mask of the box's pixels on it."""

    box: Box
    length: int
    thickness: float
    mask: NDArray[np.bool_]


def _without_rules(ink: Gray) -> Gray:
    """Take away ruled lines, underlines and the borders of boxes, but not the strokes that cross them."""
    stroke = cv2.threshold(ink, INK * 2 // 3, 1, cv2.THRESH_BINARY)[1].astype(np.uint8, copy=False)
    level = _rules(stroke)
    if not level:
        return ink
    across = cv2.transpose(stroke).astype(np.uint8, copy=False)
    upright = _rules(across)
    meet = np.array([[_touch(_flipped(up.box), flat.box) for flat in level] for up in upright], bool)
    meet = meet.reshape(len(upright), len(level))
    meet &= meet.sum(1, keepdims=True) >= 2  # the side of a box ends on its top and bottom
    sides = meet.sum(0)
    real = np.array([n >= 2 or _stands_out(stroke, rule) for n, rule in zip(sides, level, strict=True)], bool)
    ink = ink.copy()
    for rule, kept in zip(level, real, strict=True):
        if kept:
            _erase(ink, stroke, rule)
    for rule, met in zip(upright, meet, strict=True):
        if (met & real).sum() >= 2:
            _erase(ink.T, across, rule)
    return ink


def _rules(stroke: Gray) -> list[_Rule]:
    """Return the lines of a binary image, level to about half a degree, that are long and thin."""
    height, width = stroke.shape
    cell = 8 if max(height, width) > 800 else 4
    least = max(5, -(-max(32, max(height, width) // 70) // cell))  # cells
    if width < least * cell:
        return []
    thick = cv2.dilate(stroke, np.ones((3, 1), np.uint8))
    small = cv2.resize(thick[:, : width // cell * cell] * 255, (width // cell, height), interpolation=cv2.INTER_AREA)
    runs = cv2.threshold(small, 200, 1, cv2.THRESH_BINARY)[1].astype(np.uint8, copy=False)
    runs = cv2.morphologyEx(runs, cv2.MORPH_OPEN, np.ones((1, least), np.uint8)).astype(np.uint8, copy=False)
    if not cv2.hasNonZero(runs):
        return []
    _, labels, stats, _ = cv2.connectedComponentsWithStats(runs, connectivity=8)
    rules = []
    for label, (left, top, wide, high, area) in enumerate(stats[1:].tolist(), 1):
        thickness = max(1.0, area / wide - 2)
        if wide * cell < 12 * thickness or high > thickness + 3 + 0.02 * wide * cell:
            continue
        mask = labels[top : top + high, left : left + wide] == label
        mask = np.pad(np.repeat(mask, cell, axis=1), ((0, 0), (cell, cell)), mode="edge")
        start, stop = max(0, left * cell - cell), min(width, (left + wide + 1) * cell)
        offset = start - (left * cell - cell)
        rules.append(
            _Rule((start, top, stop, top + high), wide * cell, thickness, mask[:, offset : offset + stop - start])
        )
    return rules


def _flipped(box: Box) -> Box:
    return box[1], box[0], box[3], box[2]


def _touch(one: Box, other: Box, reach: int = 4) -> bool:
    return (
        one[0] < other[2] + reach
        and other[0] < one[2] + reach
        and one[1] < other[3] + reach
        and other[1] < one[3] + reach
    )


def _stands_out(stroke: Gray, rule: _Rule) -> bool:
    """Say whether a line is longer than all that touches it is high: the bar of a 7 is not."""
    left, top, right, bottom = rule.box
    wide = rule.length
    reach = int(0.7 * wide)
    fine = max(1, wide // 300)
    above, below = max(0, top - reach), min(len(stroke), bottom + reach)
    around = stroke[above:below:fine, left:right:fine].copy()
    on = slice(max(0, top - above - 1) // fine, (bottom - above) // fine + 2)
    around[on] = 0
    _, labels, stats, _ = cv2.connectedComponentsWithStats(around, connectivity=8)
    stats[0, cv2.CC_STAT_HEIGHT] = 0
    sides = [labels[row] for row in (on.start - 1, on.stop) if 0 <= row < len(labels)]
    highest = sum(int(stats[side, cv2.CC_STAT_HEIGHT].max()) for side in sides) * fine
    return highest < 0.6 * wide


def _erase(ink: Gray, stroke: Gray, rule: _Rule) -> None:
    """Blank a rule in place where nothing thicker than the rule itself crosses it."""
    left, top, right, bottom = rule.box
    tall = math.ceil(rule.thickness) + 2
    above, below = max(0, top - 2 * tall), min(len(ink), bottom + 2 * tall)
    line = np.zeros((below - above, right - left), np.uint8)
    line[top - above : bottom - above] = rule.mask
    line = cv2.dilate(line, np.ones((3, 1), np.uint8)).astype(np.uint8, copy=False)
    runs = np.ascontiguousarray(stroke[above:below, left:right])
    crossing = cv2.morphologyEx(runs, cv2.MORPH_OPEN, np.ones((tall, 1), np.uint8))
    gone = (line > 0) & (crossing == 0)
    # What then stays between is a stroke only if it leads away from the line.
    rest = runs & ~gone
    n, labels = cv2.connectedComponents(rest.astype(np.uint8), connectivity=8)
    beyond = np.zeros(n, bool)
    beyond[labels[cv2.dilate(line, np.ones((5, 1), np.uint8)) == 0]] = True
    ink[above:below, left:right][gone | ~beyond[labels] & (rest > 0)] = 0


def _components(ink: Gray) -> tuple[NDArray[Any], NDArray[np.int32], NDArray[np.int32]]:
    """Return the labels of connected strokes, and for labels 1, 2, ... their boxes (n, 4) and areas (n,).

    The area of what is hardly anywhere strong is 0: pattern that is a little too dark.
    """
    stroke = cv2.threshold(ink, INK - 1, 1, cv2.THRESH_BINARY)[1]
    # Short labels take a third of the time. There are at most as many, even on the way, as pixels without ink before.
    before = cv2.dilate(stroke, np.array([[1, 1, 1], [1, 0, 0], [0, 0, 0]], np.uint8))
    short = cv2.countNonZero(cv2.subtract(stroke, before)) < 65_000
    kind = cv2.CV_16U if short else cv2.CV_32S
    n, labels, stats, _ = cv2.connectedComponentsWithStats(stroke, connectivity=8, ltype=kind)
    strong = cv2.threshold(ink, STRONG - 1, 1, cv2.THRESH_BINARY)[1]
    weak = np.bincount(labels[strong.view(bool)], minlength=n)[1:] < 0.2 * stats[1:, cv2.CC_STAT_AREA]
    areas = np.where(weak, 0, stats[1:, cv2.CC_STAT_AREA]).astype(np.int32)
    boxes = stats[1:, :4].astype(np.int32)
    boxes[:, 2:] += boxes[:, :2]
    return np.asarray(labels), boxes, areas


def _groups(boxes: NDArray[np.int32], areas: NDArray[np.int32]) -> list[list[int]]:
    """Put parts together to numbers: lists of rows of `boxes`."""
    sizes = boxes[:, 2:] - boxes[:, :2]
    rows = np.flatnonzero((sizes.max(1, initial=0) >= 3) & (areas >= 4))
    if len(rows) > MOST:
        rows = rows[np.argsort(-areas[rows], kind="stable")[:MOST]]
    rows = rows[np.argsort(boxes[rows, 0], kind="stable")]
    left, top, right, bottom = boxes[rows].astype(np.float32).T
    wide, high = right - left, bottom - top
    full = areas[rows] / (wide * high)
    dash = (wide > 2.2 * high) & (full > 0.45)
    blob = (full > 0.8) & (wide > 0.5 * high)
    digit = np.flatnonzero((high >= SMALLEST) & ~dash & ~blob & (wide < 15 * high))
    if not len(digit):
        return []
    # To the right of each digit its nearest neighbour of like size on the same line.
    lefts, tops, rights, bottoms, highs = (side[digit] for side in (left, top, right, bottom, high))
    larger, smaller = np.maximum(highs[:, None], highs), np.minimum(highs[:, None], highs)
    beside = np.minimum(bottoms[:, None], bottoms) - np.maximum(tops[:, None], tops) > 0.4 * smaller
    gap = lefts[None] - rights[:, None]
    after = (lefts + rights)[None] > (lefts + rights)[:, None]
    near = after & beside & (gap < 2 * WIDEST_GAP * larger) & (smaller > 0.4 * larger)
    apart = np.where(near, gap, np.inf)
    team = _Teams(len(rows))
    for one, other in enumerate(apart.argmin(1)):
        if apart[one, other] < np.inf:
            team.join(digit[one], digit[other])
    # Flags, broken pieces, dots and dashes go with the digit they are nearest to.
    small = (high[:, None] < 0.6 * highs) & (np.maximum(wide, high)[:, None] < 1.2 * highs)
    small &= np.maximum(wide, high)[:, None] > 0.06 * highs
    dx = np.maximum(left[:, None] - rights, lefts - right[:, None]).clip(0)
    dy = np.maximum(top[:, None] - bottoms, tops - bottom[:, None]).clip(0)
    mine = small & (dx < 0.6 * highs) & (dy < 0.25 * highs)
    shared = np.minimum(right[:, None], rights) - np.maximum(left[:, None], lefts)
    stacked = (dy < 0.1 * np.maximum(high[:, None], highs)) & (shared > 0.5 * np.minimum(wide[:, None], rights - lefts))
    stacked[digit, np.arange(len(digit))] = False
    far = np.where(mine | stacked, (dx + dy) / highs, np.inf)
    for one, other in enumerate(far.argmin(1)):
        if far[one, other] < np.inf:
            team.join(one, digit[other])
    is_digit = np.zeros(len(rows), bool)
    is_digit[digit] = True
    numbers = []
    for members in team.lists():
        for piece in _split(members, left, right, high, is_digit):
            if is_digit[piece].any():
                numbers.append(rows[piece].tolist())
    return numbers


def _split(
    members: NDArray[np.intp],
    left: NDArray[np.float32],
    right: NDArray[np.float32],
    high: NDArray[np.float32],
    digit: NDArray[np.bool_],
) -> list[NDArray[np.intp]]:
    """Split a line's parts, from left to right, where a gap is too wide for the inside of a number."""
    if not digit[members].any():
        return []
    tall = float(np.median(high[members][digit[members]]))
    gaps = left[members][1:] - np.maximum.accumulate(right[members])[:-1]
    usual = float(np.median(gaps)) if len(gaps) > 1 else 0.0
    limit = max(GAP * tall, min(1.5 * usual, WIDEST_GAP * tall))
    return np.split(members, np.flatnonzero(gaps > limit) + 1)


class _Teams:
    """Which of n things belong together (union-find)."""

    def __init__(self, n: int) -> None:
        self.leader = list(range(n))

    def of(self, one: int) -> int:
        while self.leader[one] != one:
            self.leader[one] = self.leader[self.leader[one]]
            one = self.leader[one]
        return one

    def join(self, one: int, other: int) -> None:
        self.leader[self.of(other)] = self.of(one)

    def lists(self) -> list[NDArray[np.intp]]:
        leaders = np.array([self.of(one) for one in range(len(self.leader))])
        order = np.argsort(leaders, kind="stable")
        return np.split(order, np.flatnonzero(np.diff(leaders[order])) + 1)


def _cut(
    ink: Gray,
    labels: NDArray[Any],
    boxes: NDArray[np.int32],
    ids: NDArray[np.intp],
    turn: NDArray[np.float64],
    shape: tuple[int, ...],
) -> Region:
    """Cut out the parts with these labels and boxes as a region."""
    left, top = boxes[:, :2].min(0).tolist()
    right, bottom = boxes[:, 2:].max(0).tolist()
    margin = max(2, round(MARGIN * (bottom - top)))
    x0, y0, x1, y1 = left - margin, top - margin, right + margin, bottom + margin
    height, width = ink.shape
    inside = np.s_[max(y0, 0) : min(y1, height), max(x0, 0) : min(x1, width)]
    here = labels[inside]
    table = np.zeros(int(here.max()) + 1, np.uint8)
    table[ids] = 1
    mine = table[here]
    edge = cv2.dilate(mine, np.ones((3, 3), np.uint8), iterations=1 + (bottom - top) // 60)
    soft = ink[inside].astype(np.float32) * ((edge > 0) & ((here == 0) | (mine > 0)))
    strongest = max(float(np.percentile(soft[mine > 0], 90)), INK)
    cut = np.zeros((y1 - y0, x1 - x0), np.uint8)
    cut[max(-y0, 0) : max(-y0, 0) + soft.shape[0], max(-x0, 0) : max(-x0, 0) + soft.shape[1]] = (
        (soft * (255 / strongest)).clip(0, 255).round()
    )
    to_page = turn.copy()
    to_page[:, 2] += turn[:, :2] @ (x0, y0)
    parts = tuple((a - x0, b - y0, c - x0, d - y0) for a, b, c, d in _parts(boxes))
    return Region(_bounds(turn, (left, top, right, bottom), shape), cut, parts, to_page)


def _parts(boxes: NDArray[np.int32]) -> list[Box]:
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


def _bounds(turn: NDArray[np.float64], box: Any, shape: tuple[int, ...]) -> Box:
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


def _moved(region: Region, step: NDArray[np.float64], shape: tuple[int, ...]) -> Region:
    """Take a region from one page to another that an affine map leads to."""
    to_page = step[:, :2] @ region.to_page
    to_page[:, 2] += step[:, 2]
    return replace(region, box=_bounds(step, region.box, shape), to_page=to_page)


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
