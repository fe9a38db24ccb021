"""Folds of the paper across a field: the faint line that they leave is taken away from below the writing."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

MAX_LEAN, LEANS = 0.09, 19
"""How far a fold may lean against the field, pixels to a pixel, and how many ways to lean are tried."""

MIN_DARKNESS, MAX_DARKNESS = 0.06, 0.4
"""Darkness from which a pixel may be of a fold, and up to which darker ones weigh more."""

MIN_COVER, MIN_BEYOND = 0.6, 0.25
"""Share of the field's height or width that a fold covers at least; and of the paper kept on one side of the field,
twice this share on the other: labels may hide it."""

WIDTH = 12
"""Pixels from the middle of a fold to its edges at most."""

STRENGTH = 1.3
"""What is taken away, as a multiple of how dark the fold is in most places."""

Dark = NDArray[np.float32]


def flatten_folds(dark: Dark, inside: tuple[slice, slice]) -> None:
    """Take folds away, in place, but not the strokes that cross them.

    dark: (h, w) darkness of a cut, 0 paper .. 1 black. inside: the field. At most one fold is looked for from top to
    bottom, and one from left to right.
    """
    for part, along in ((dark, inside[0]), (dark.T, inside[1])):
        _flatten(part, along)


def _flatten(dark: Dark, along: slice) -> None:
    """Take away a fold that runs from the first row to the last one."""
    high, wide = dark.shape
    pale = np.ascontiguousarray(np.minimum(dark, MAX_DARKNESS))
    half = np.asarray(cv2.resize(pale, (max(1, wide // 2), high), interpolation=cv2.INTER_AREA), np.float32)
    best, place, leaning = 0.0, 0, 0.0
    for lean in np.linspace(-MAX_LEAN, MAX_LEAN, LEANS).tolist():
        straight = _leaned(half, lean / 2)
        seen = straight > MIN_DARKNESS
        beyond = np.sort([seen[: along.start].mean(axis=0), seen[along.stop :].mean(axis=0)], axis=0)
        goes_on = (beyond[0] >= MIN_BEYOND) & (beyond[1] >= 2 * MIN_BEYOND)
        level = straight[along].mean(axis=0) * (goes_on & (seen[along].mean(axis=0) >= MIN_COVER))
        if (found := float(level.max())) > best:
            best, place, leaning = found, 2 * int(level.argmax()), lean
    if not best:
        return
    straight = _leaned(dark, leaning)
    left, right = max(0, place - WIDTH), min(wide, place + WIDTH + 2)
    fold = np.zeros(dark.shape, np.float32)
    fold[:, left:right] = STRENGTH * np.median(straight[:, left:right], axis=0)
    dark -= _leaned(fold, -leaning)
    dark.clip(0, 1, out=dark)


def _leaned(part: Dark, lean: float) -> Dark:
    """Return a picture whose rows are moved, the lower the farther to the left: a line that leans so is upright."""
    high, wide = part.shape
    matrix = np.array([[1, lean, -lean * high / 2], [0, 1, 0]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(np.ascontiguousarray(part), matrix, (wide, high), flags=flags), np.float32)
