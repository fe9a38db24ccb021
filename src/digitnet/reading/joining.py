"""Numbers found in pieces: of telephone numbers and dates the page network finds the parts between their signs.

Two places of one line are read again as one where a sign at the end of the first asks for more, or where they are read
with doubt; that counts if it is the likelier reading. Not covered: numbers in groups that only spaces part.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from digitnet.core.digits import STRIP_HEIGHT
from digitnet.imaging.page_regions import gap, joined
from digitnet.imaging.segmentation import Region
from digitnet.reading.candidates import Draft, Seen, draft_of, middle
from digitnet.reading.spelling import spikes

JOINERS = "-/:"
"""Signs within telephone numbers, dates and times."""

MAX_GAP = 1.2
"""Between two parts of a number at most, in heights of their digits."""

DOUBTFUL = 0.9
"""Probability of two readings, both right, below which they are read again as one."""

MIN_WHOLE = 0.6
"""Probability that the reading as one has at least."""

SEAM = 0.75
"""How far from the gap the sign between two parts may be, in heights of the strip."""


def put_together(
    seen: Sequence[Seen], page: NDArray[np.uint8], read: Callable[[Sequence[Region], NDArray[np.uint8]], list[Seen]]
) -> list[Seen]:
    """Return the places of a page with those put together that are parts of one number.

    seen: in reading order. page: (h, w) uint8. read: has regions of the page read.
    """
    found: list[tuple[Seen, Draft]] = []
    for each in seen:
        draft = draft_of(each[0], each[2], None, False)
        before = found[-1][1] if found else None
        if before and before.region.place and draft.region.place and _in_pieces(before, draft):
            (both,) = read([joined(page, (before.region.place, draft.region.place))], page)
            whole = draft_of(both[0], both[2], None, False)
            if _is_one(before, draft, whole):
                found[-1] = both, whole
                continue
        found.append((each, draft))
    return [each for each, _ in found]


def _in_pieces(one: Draft, other: Draft) -> bool:
    """Return whether two places, one after the other in reading order, may be parts of one number."""
    if not -1 < _gap(one, other) < MAX_GAP:
        return False
    read = spikes(one.columns)
    return (bool(read) and read[-1][1] in JOINERS) or _both(one, other) < DOUBTFUL


def _is_one(one: Draft, other: Draft, whole: Draft) -> bool:
    """Return whether two places are one number, by how they are read alone and as a whole."""
    enough = max(MIN_WHOLE, DOUBTFUL * _both(one, other))
    return whole.alone.probability > enough and _sign_between(one, other, whole)


def _gap(one: Draft, other: Draft) -> float:
    first, second = one.region.place, other.region.place
    return gap(first, second) if first and second else math.inf


def _both(one: Draft, other: Draft) -> float:
    return one.alone.probability * other.alone.probability


def _sign_between(one: Draft, other: Draft, whole: Draft) -> bool:
    """Return whether a sign of `JOINERS` is read between digits near the gap between two places."""
    end, begin = across(one.region, whole.region)[1], across(other.region, whole.region)[0]
    read = spikes(whole.columns)
    return any(
        before.isdigit()
        and sign in JOINERS
        and after.isdigit()
        and end - SEAM < middle(column) / STRIP_HEIGHT < begin + SEAM
        for (_, before), (column, sign), (_, after) in zip(read, read[1:], read[2:], strict=False)
    )


def across(part: Region, whole: Region) -> tuple[float, float]:
    """Return where a region begins and ends on another one of its line, in heights of that."""
    height, width = part.ink.shape
    corners = np.array([[0, width, width, 0], [0, 0, height, height], [1, 1, 1, 1]])
    matrix, moved = whole.to_page[:, :2], whole.to_page[:, 2:]
    along = np.linalg.solve(matrix, part.to_page @ corners - moved)[0] / whole.ink.shape[0]
    return float(along.min()), float(along.max())
