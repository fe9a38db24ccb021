"""Places on a page: boxes, and the map that turns it upright."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Box = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels of the page; right and bottom are outside."""


Corners = tuple[tuple[int, int], ...]
"""Four points (x, y) in pixels of the page, in the direction of reading: from where it begins, above."""

Affine = NDArray[np.float64]
"""(2, 3): the map from (x, y, 1) to (x, y)."""


def mapped(to_page: Affine, box: Box, shape: tuple[int, ...]) -> Box:
    """Return the box, at least a pixel, on a page of `shape` around a box that an affine map takes there."""
    left, top, right, bottom = box
    corners = np.array([[left, right, left, right], [top, top, bottom, bottom], [1, 1, 1, 1]])
    x, y = (to_page @ corners).tolist()
    height, width = shape
    x0, y0 = (min(max(math.floor(min(v)), 0), limit - 1) for v, limit in ((x, width), (y, height)))
    x1, y1 = (min(max(math.ceil(max(v)), low + 1), limit) for v, low, limit in ((x, x0, width), (y, y0, height)))
    return x0, y0, x1, y1


def around(boxes: Sequence[Box]) -> Box:
    """Return the box around boxes."""
    left, top, right, bottom = zip(*boxes, strict=True)
    return min(left), min(top), max(right), max(bottom)


def corners_of(to_page: Affine, box: Box) -> Corners:
    """Return the corners on a page of a box that an affine map takes there."""
    left, top, right, bottom = box
    x, y = to_page @ np.array([[left, right, right, left], [top, top, bottom, bottom], [1, 1, 1, 1]])
    return tuple((round(a), round(b)) for a, b in zip(x.tolist(), y.tolist(), strict=True))


def level(box: Box, corners: Corners, turned: float) -> tuple[float, float, float, float]:
    """Return the box around a number on its page turned upright, about the page's corner, pixels.

    turned: the rotation of the page, degrees clockwise.
    """
    if not turned or not corners:
        return box
    angle = np.radians(-turned)
    x, y = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) @ np.array(corners).T
    return float(x.min()), float(y.min()), float(x.max()), float(y.max())


def part_of(part: Box, box: Box) -> bool:
    """Return whether a box is a part of another one, which is at least a quarter higher."""
    left, top, right, bottom = box
    x, y = (part[0] + part[2]) / 2, (part[1] + part[3]) / 2
    return left <= x < right and top <= y < bottom and 1.25 * (part[3] - part[1]) < bottom - top


def same_place(one: Box, other: Box) -> bool:
    """Return whether the middle of one box is in the other, or the other's in it."""
    return any(
        a[0] <= (b[0] + b[2]) / 2 <= a[2] and a[1] <= (b[1] + b[3]) / 2 <= a[3] for a, b in ((one, other), (other, one))
    )
