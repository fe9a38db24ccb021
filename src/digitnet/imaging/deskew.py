"""Deskewing the ink of a tilted page."""

from __future__ import annotations

import math

import cv2
import numpy as np

from digitnet.imaging.geometry import Affine
from digitnet.imaging.ink import MIN_STROKE, Gray


def levelled(ink: Gray) -> tuple[Gray, Affine]:
    """Turn a page's ink so that its lines are level; return it, grown so that nothing is lost, and the way back.

    ink: (h, w) uint8, 0 paper .. 255 ink. The way back is the map from pixels of what is returned to pixels of `ink`.
    Ink whose lines fall by less than half a degree, or that shows no lines, stays as it is.
    """
    angle = _skew(ink)
    if abs(angle) <= 0.4:
        return ink, np.eye(2, 3)
    height, width = ink.shape
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    wide, high = round(width * cos + height * abs(sin)), round(width * abs(sin) + height * cos)
    back = np.array([[cos, -sin, 0], [sin, cos, 0]])
    back[:, 2] = (width / 2, height / 2) - back[:, :2] @ (wide / 2, high / 2)
    turned = cv2.warpAffine(ink, back, (wide, high), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    return turned.astype(np.uint8, copy=False), back


def _skew(ink: Gray) -> float:
    """Return by how many degrees the page's lines fall to the right, -12..12; 0 where there is no telling.

    The projection of the ink across its lines is the most uneven of all directions (Postl, 1986).
    """
    height, width = ink.shape
    times = max(1.0, max(height, width) / 700)
    small = cv2.resize(ink, (max(1, round(width / times)), max(1, round(height / times))), interpolation=cv2.INTER_AREA)
    y, x = np.nonzero(small > MIN_STROKE / 2)
    if len(y) < 60 or width < 80:
        return 0.0
    if cv2.connectedComponents((small > MIN_STROKE / 2).astype(np.uint8))[0] < 6:  # strokes, not lines
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
    if scores.max() < 1.5 * scores[len(scores) // 2] or scores.max() < 2.2 * np.median(scores):
        return 0.0
    near = best + step * np.arange(-0.8, 0.81, 0.2)
    return float(near[np.argmax([unevenness(angle) for angle in near])])
