"""How much of a page has to be looked at, and at which scale: less of large pages, and least of drawings."""

from __future__ import annotations

import math

import cv2
import numpy as np

from digitnet.imaging.geometry import Affine, Box
from digitnet.imaging.ink import MIN_LOCAL_SHARE, MIN_SHARE, Gray

LARGEST = 12_000_000
"""Pixels beyond which a page is looked at in a smaller copy: A4 at 300 dpi is not, at 600 dpi it is."""

MIN_DRAWING_HEIGHT, MIN_PEN_WIDTH, MAX_DRAWING_PIECES = 56, 4, 50
"""A drawing of a few pieces is looked at so small that the lowest is still so high, the finest pen so wide, pixels."""


def reduced(page: Gray) -> tuple[Gray, Affine]:
    """Return a page, scaled down to `LARGEST` pixels if it has more, and the map from its pixels to the page's."""
    height, width = page.shape
    return smaller(page, (0, 0, width, height), math.sqrt(min(1.0, LARGEST / page.size)))


def drawn_part(page: Gray) -> tuple[Gray, Affine] | None:
    """Return the part of a drawing that has ink, as small as it may be, and the map to the page; None for other pages.

    Most of a drawing is empty and all of it is large. Its paper is one grey level to all sides, as no scan's is; what
    is of another level is ink, so that place and size of every piece are known beforehand.
    """
    height, width = page.shape
    paper = page[0, 0]
    if any((side != paper).any() for side in (page[0], page[-1], page[:, 0], page[:, -1])):
        return None
    contrast = cv2.absdiff(page, np.array([paper], np.float64))
    left, top, wide, high = cv2.boundingRect(contrast)
    room = max(wide, high) // 4
    box = max(0, left - room), max(0, top - room), min(width, left + wide + room), min(height, top + high + room)
    contrast = contrast[box[1] : box[3], box[0] : box[2]]
    if not wide or cv2.countNonZero(contrast) > contrast.size // 2 or contrast.size > LARGEST:
        return None
    # Fainter ink than this is none, wherever it is.
    inked = cv2.threshold(contrast, float(contrast.max()) * MIN_SHARE * MIN_LOCAL_SHARE, 255, cv2.THRESH_BINARY)[1]
    n, labels, stats, _ = cv2.connectedComponentsWithStats(inked, connectivity=8)
    if n > MAX_DRAWING_PIECES:
        return smaller(page, box, 1.0)
    edge = cv2.subtract(inked, cv2.erode(inked, np.ones((3, 3), np.uint8)))
    area, high_each = stats[1:, cv2.CC_STAT_AREA], stats[1:, cv2.CC_STAT_HEIGHT]
    pen = 2 * area / np.bincount(labels[edge > 0], minlength=n)[1:]  # a long stroke is nothing but two edges
    return smaller(page, box, min(1.0, max(MIN_DRAWING_HEIGHT / high_each.min(), MIN_PEN_WIDTH / pen.min())))


def smaller(page: Gray, box: Box, times: float) -> tuple[Gray, Affine]:
    """Return a part of a page, scaled down to `times` its size, and the map from its pixels to the page's."""
    left, top, right, bottom = box
    page = page[top:bottom, left:right]
    if times < 1:
        size = max(1, round((right - left) * times)), max(1, round((bottom - top) * times))
        page = cv2.resize(page, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    return page, np.array([[(right - left) / page.shape[1], 0, left], [0, (bottom - top) / page.shape[0], top]])
