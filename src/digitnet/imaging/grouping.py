"""Grouping of ink: connected components -> numbers, by size, height and gap.

The constants were chosen on composed pages of handwritten digits; lengths in units of a digit's height follow from
how people write: a stroke is 1/20 to 1/4 of it, a gap inside a number rarely 4/5.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int32]
Rows = NDArray[np.intp]

MIN_DIGIT_HEIGHT = 7
"""Least height of a digit, pixels."""

MAX_COMPONENTS = 3000
"""Parts a page may have: beyond it, in a photo of gravel say, the largest are looked at."""

MAX_NUMBERS = 800
"""Groups that a page may have, from its top; pages of words have some 600."""

MAX_GAP, MAX_EVEN_GAP = 0.85, 1.2
"""Between two digits of a number at most, in digit heights: as a rule, and where all its gaps are as wide."""


def candidates(boxes: Ints, areas: Ints) -> Rows:
    """Return the rows of `boxes` that are more than specks, as for `groups`: the largest `MAX_COMPONENTS`."""
    sizes = boxes[:, 2:] - boxes[:, :2]
    return np.flatnonzero((sizes.max(1, initial=0) >= 3) & (areas >= 4))


def groups(boxes: Ints, areas: Ints) -> list[list[int]]:
    """Put parts together to numbers: lists of rows of `boxes`, a list a number, in no order that means anything.

    boxes: (n, 4) int32 left, top, right, bottom, pixels. areas: (n,) pixels of ink; parts of less than 4 are left out.
    """
    rows = candidates(boxes, areas)
    if len(rows) > MAX_COMPONENTS:
        rows = rows[np.argsort(-areas[rows], kind="stable")[:MAX_COMPONENTS]]
    rows = rows[np.argsort(boxes[rows, 0], kind="stable")]
    left, top, right, bottom = boxes[rows].astype(np.float32).T
    wide, high = right - left, bottom - top
    full = areas[rows] / (wide * high)
    dash = (wide > 2.2 * high) & (full > 0.6)  # two zeros that touch fill half
    blob = (full > 0.8) & (wide > 0.5 * high)
    digit = np.flatnonzero((high >= MIN_DIGIT_HEIGHT) & ~dash & ~blob & (wide < 15 * high))
    if not len(digit):
        return []
    lefts, tops, rights, bottoms, highs = (side[digit] for side in (left, top, right, bottom, high))
    pairs = []
    # To the right of each digit its nearest neighbour of like size on the same line.
    for some in _slices(len(digit)):
        larger, smaller = np.maximum(highs[some, None], highs), np.minimum(highs[some, None], highs)
        beside = np.minimum(bottoms[some, None], bottoms) - np.maximum(tops[some, None], tops) > 0.4 * smaller
        gap = lefts[None] - rights[some, None]
        after = (lefts + rights)[None] > (lefts + rights)[some, None]
        near = after & beside & (gap < 2 * MAX_EVEN_GAP * larger) & (smaller > 0.4 * larger)
        nearest = np.where(near, gap, np.inf).argmin(1)
        pairs += [(digit[some][one], digit[nearest[one]]) for one in np.flatnonzero(near.any(1))]
    # Flags, broken pieces, dots and dashes go with the digit they are nearest to.
    for some in _slices(len(rows)):
        small = (high[some, None] < 0.6 * highs) & (np.maximum(wide, high)[some, None] < 1.2 * highs)
        small &= np.maximum(wide, high)[some, None] > 0.06 * highs
        dx = np.maximum(left[some, None] - rights, lefts - right[some, None]).clip(0)
        dy = np.maximum(top[some, None] - bottoms, tops - bottom[some, None]).clip(0)
        mine = small & (dx < 0.6 * highs) & (dy < 0.25 * highs)
        shared = np.minimum(right[some, None], rights) - np.maximum(left[some, None], lefts)
        over = shared > 0.5 * np.minimum(wide[some, None], rights - lefts)
        other = np.arange(len(rows))[some, None] != digit
        mine |= (dy < 0.1 * np.maximum(high[some, None], highs)) & over & other
        nearest = np.where(mine, (dx + dy) / highs, np.inf).argmin(1)
        pairs += [(some.start + one, digit[nearest[one]]) for one in np.flatnonzero(mine.any(1))]
    is_digit = np.zeros(len(rows), bool)
    is_digit[digit] = True
    numbers = []
    for members in _teams(len(rows), pairs):
        for piece in _split(members, left, right, high, is_digit):
            if is_digit[piece].any():
                numbers.append(rows[piece].tolist())
    return numbers


def at_most(numbers: list[list[int]], boxes: Ints, pixels: int) -> tuple[list[list[int]], set[str]]:
    """Return the groups of a page that are looked at, and codes of `result.LIMITS` where these are not all.

    The largest are left out where the boxes of all together have more than so many pixels, which those of numbers never
    have, as they hardly overlap; then those that come last on the page.
    """
    ends = np.array([(*boxes[rows, :2].min(0), *boxes[rows, 2:].max(0)) for rows in numbers], np.int64).reshape(-1, 4)
    sizes = (ends[:, 2] - ends[:, 0]) * (ends[:, 3] - ends[:, 1])
    order = np.argsort(sizes, kind="stable")
    kept, limits = order[sizes[order].cumsum() <= pixels], set()
    if len(kept) < len(numbers):
        limits.add("too_many_parts")
    if len(kept) > MAX_NUMBERS:
        limits.add("too_many_numbers")
        kept = kept[np.argsort(ends[kept, 1], kind="stable")[:MAX_NUMBERS]]
    return [numbers[place] for place in np.sort(kept).tolist()], limits


def median(values: NDArray[Any]) -> float:
    """Return what `np.median` does, of one-dimensional values; that imports `numpy.ma`, which takes 10 ms."""
    middle = np.sort(values)[[(len(values) - 1) // 2, len(values) // 2]]
    return float(middle.mean())


def _slices(count: int, size: int = 256) -> list[slice]:
    """Return slices of 0 .. count: tables of all parts beside all would fill the memory."""
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]


def _split(
    members: Rows, left: NDArray[Any], right: NDArray[Any], high: NDArray[Any], digit: NDArray[Any]
) -> list[Rows]:
    """Split a line's parts, from left to right, where a gap is too wide for the inside of a number."""
    if not digit[members].any():
        return []
    tall = median(high[members][digit[members]])
    gaps = left[members][1:] - np.maximum.accumulate(right[members])[:-1]
    usual = median(gaps) if len(gaps) > 1 else 0.0
    limit = max(MAX_GAP * tall, min(1.5 * usual, MAX_EVEN_GAP * tall))
    return np.split(members, np.flatnonzero(gaps > limit) + 1)


def _teams(n: int, pairs: list[tuple[Any, Any]]) -> list[Rows]:
    """Part 0 .. n - 1 into teams, so that both of every pair are in one (union-find)."""
    leader = list(range(n))

    def of(one: int) -> int:
        while leader[one] != one:
            leader[one] = leader[leader[one]]
            one = leader[one]
        return one

    for one, other in pairs:
        leader[of(other)] = of(one)
    leaders = np.array([of(one) for one in range(n)])
    order = np.argsort(leaders, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(leaders[order])) + 1)
