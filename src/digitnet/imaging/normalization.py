"""The only normalisation: ink of any size to the 28x28 frame of MNIST.

How MNIST framed its digits was reconstructed by Yadav and Bottou, "Cold Case: The Lost MNIST Digits" (2019): the
tight box of the ink, made square and at least 10 pixels wide; doubled until it is 20 or wider; area-resampled to
20x20; scaled so that the brightest pixel is 255; moved by whole pixels until its centre of mass is in the middle.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from digitnet.core.digits import IMAGE_SIZE, STRIP_HEIGHT
from digitnet.core.errors import DataError
from digitnet.imaging.ink import quantiles

GLYPH_SIZE = 20
"""Height and width of the box that a digit's ink is scaled to, pixels."""

MIN_CUT_SIZE = 10
"""Least width of the square cut out of the source, pixels: a dot stays a dot instead of growing into a digit."""

MIN_BOX_INK = 0.02
"""Ink fainter than this share of the strongest one does not widen the box."""


def frame(ink: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Frame one digit as MNIST does: (h, w) uint8 of any size -> (28, 28) uint8, 0 paper .. 255 its strongest ink.

    ink: one digit alone, brighter than its paper. Paper need not be 0, and an image with a bright border around
    dark ink is turned round first.

    An image of one value gives a frame of zeros. Raises DataError for anything but a (h, w) uint8 array with pixels.
    """
    ink = np.asarray(ink)
    if ink.ndim != 2 or ink.dtype != np.uint8 or not ink.size:
        raise DataError(f"ink is {ink.shape} {ink.dtype}, expected (height, width) uint8 with at least one pixel")
    ink = _bright_on_zero(ink)
    rows, columns = _extent(ink.max(axis=1)), _extent(ink.max(axis=0))
    if rows is None or columns is None:
        return np.zeros((IMAGE_SIZE, IMAGE_SIZE), np.uint8)
    ink = ink[rows, columns]
    height, width = ink.shape
    side = max(height, width, MIN_CUT_SIZE)
    above, left = (side - height) // 2, (side - width) // 2
    below, right = side - height - above, side - width - left
    square: NDArray[Any] = cv2.copyMakeBorder(ink, above, below, left, right, cv2.BORDER_CONSTANT, value=0)
    square = square.astype(np.float32)
    if side < GLYPH_SIZE:
        # Smoothly, not pixel by pixel: on scans of 16x16 fewer digits are misread when edges have no steps.
        square = cv2.resize(np.pad(square, 1), None, fx=2, fy=2, interpolation=cv2.INTER_LINEAR)[2:-2, 2:-2]
    glyph = cv2.resize(square, (GLYPH_SIZE, GLYPH_SIZE), interpolation=cv2.INTER_AREA)
    glyph *= 255 / glyph.max()
    framed = np.zeros((IMAGE_SIZE, IMAGE_SIZE), np.uint8)
    top, left = _shift(glyph.sum(axis=1)), _shift(glyph.sum(axis=0))
    framed[top : top + GLYPH_SIZE, left : left + GLYPH_SIZE] = glyph.round()
    return framed


def strip(ink: NDArray[np.uint8], widest: int = 2000) -> NDArray[np.uint8]:
    """Scale a number's picture to the line reader's height: (h, w) uint8, ink bright -> (STRIP_HEIGHT, w') uint8.

    The range from paper to ink, taken as the quarter of darkest pixels and the two hundredth of brightest ones, is
    stretched to 0 .. 255, so that a pattern on the paper stays visible as what it is. w' keeps the proportion, from 8
    to `widest` pixels. A picture of one value gives zeros.
    """
    height, width = ink.shape
    wide = min(max(8, round(width * STRIP_HEIGHT / height)), widest)
    smaller = height > STRIP_HEIGHT
    scaled = cv2.resize(ink, (wide, STRIP_HEIGHT), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)
    low, high = quantiles(np.asarray(scaled, np.uint8), (0.25, 0.995))
    if high - low < 1:
        return np.zeros((STRIP_HEIGHT, wide), np.uint8)
    levels = ((np.arange(256).clip(low, high) - low) * (255 / (high - low))).round().astype(np.uint8)
    stretched: NDArray[np.uint8] = levels[scaled]
    return stretched


def _bright_on_zero(ink: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Turn dark ink bright and take the paper's level away."""
    low, high = int(ink.min()), int(ink.max())
    bright = ink > (low + high) / 2
    border = np.concatenate([bright[0], bright[-1], bright[1:-1, 0], bright[1:-1, -1]])
    # Ink cut out tightly may cover much of its border, a 1 even all of it, but then nothing inside is dark.
    if border.mean() > 0.8 and not bright[1:-1, 1:-1].all():
        ink, bright = 255 - ink, ~bright
    paper, rough = quantiles(ink[~bright], (0.25, 0.75))
    above = ink - np.minimum(ink, np.uint8(paper))
    above[above <= 2 * (rough - paper)] = 0
    return above


def _extent(profile: NDArray[np.uint8]) -> slice | None:
    """Return the part of a row or column profile that holds ink; None where there is none."""
    inked = np.flatnonzero(profile > MIN_BOX_INK * profile.max())
    return slice(inked[0], inked[-1] + 1) if len(inked) else None


def _shift(mass: NDArray[np.float32]) -> int:
    """Return where the glyph begins in the frame, so that its centre of mass comes to the middle."""
    centre = (mass * (np.arange(GLYPH_SIZE) + 0.5)).sum() / mass.sum()
    return min(max(int(15 - centre), 0), IMAGE_SIZE - GLYPH_SIZE)
