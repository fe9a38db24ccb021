"""Thinner strokes for numbers written with a heavy pen, whose loops are closed."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

HEAVY = 0.16
"""Width of strokes, in heights of a digit, above which a pen is heavy. The median of doubtful numbers drawn with a
ballpoint is 0.13, with a felt tip 0.24."""

REMOVED = 0.5
"""Share of a stroke's width that is removed."""

FINE, MOST_ENLARGED = 48, 6
"""Least height of digits, in pixels, to which a picture is enlarged before ink is removed, and the largest factor."""


def thinner(picture: NDArray[np.uint8], tall: float) -> NDArray[np.uint8] | None:
    """Return a picture (h, w) of a number, ink bright, enlarged and in thinner strokes; None where they are not heavy.

    tall: height of its digits, pixels. The width of strokes is the median of twice the distance from their middle to
    paper.
    """
    times = min(max(math.ceil(FINE / max(tall, 1)), 1), MOST_ENLARGED)
    large = np.asarray(cv2.resize(picture, None, fx=times, fy=times, interpolation=cv2.INTER_CUBIC), np.uint8)
    _, inked = cv2.threshold(large, 0, 255, cv2.THRESH_OTSU)
    depth = cv2.distanceTransform(np.pad(inked, 1), cv2.DIST_L2, 3)  # paper around it, where all is ink
    middles = depth[(depth > 0) & (depth >= cv2.dilate(depth, np.ones((3, 3), np.uint8)))]
    width = 2 * float(np.median(middles)) if len(middles) else 0.0
    if width <= HEAVY * tall * times:
        return None
    radius = round(REMOVED * width / 2)
    pen = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    return np.asarray(cv2.erode(large, pen), np.uint8)
