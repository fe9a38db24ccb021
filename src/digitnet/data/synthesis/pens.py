"""Pens: from a trajectory to ink, from a hard pencil to a marker.

A pen draws strokes that are given in pixels on a canvas; what it leaves is soft ink, 0 for paper and 1 for full ink.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float32]
"""(n, 2) float32 x, y in pixels of the canvas."""

SUBPIXEL = 4
"""Binary digits of a pixel that OpenCV draws to."""


@dataclass(frozen=True)
class Pen:
    """A pen in the hand of one writer.

    width: of the stroke, in heights of a digit. contrast: how much broader strokes are across than along the nib, 0
    for a round one. angle: of the nib, radians. pressure: how much width varies along a stroke, 0..1. skips: share of
    short pieces that leave no ink. dark: how dark full ink is, 0..1. grain: how much of the ink the paper's grain takes
    away, 0..1. coarse: size of that grain, in heights of a digit.
    """

    width: float
    contrast: float = 0.0
    angle: float = 0.0
    pressure: float = 0.0
    skips: float = 0.0
    dark: float = 1.0
    grain: float = 0.0
    coarse: float = 0.02


def random_pen(rng: np.random.Generator) -> Pen:
    """Return a pencil, ballpoint, felt tip, fountain pen, marker, chalk or a stylus."""
    kind = rng.random()
    if kind < 0.36:  # ballpoint
        return Pen(
            float(rng.uniform(0.035, 0.11)),
            pressure=float(rng.uniform(0, 0.3)),
            skips=float(rng.uniform(0, 0.04)) if rng.random() < 0.3 else 0.0,
            dark=float(rng.uniform(0.6, 1)),
            grain=float(rng.uniform(0, 0.3)) * (rng.random() < 0.3),
        )
    if kind < 0.54:  # pencil
        return Pen(
            float(rng.uniform(0.035, 0.13)),
            pressure=float(rng.uniform(0.1, 0.5)),
            dark=float(rng.uniform(0.3, 0.9)),
            grain=float(rng.uniform(0.2, 0.9)),
            coarse=float(rng.uniform(0.015, 0.05)),
        )
    if kind < 0.74:  # felt tip, gel pen
        return Pen(float(rng.uniform(0.08, 0.17)), pressure=float(rng.uniform(0, 0.2)), dark=float(rng.uniform(0.7, 1)))
    if kind < 0.84:  # fountain pen
        return Pen(
            float(rng.uniform(0.05, 0.12)),
            contrast=float(rng.uniform(0.3, 0.8)),
            angle=float(rng.uniform(0, np.pi)),
            pressure=float(rng.uniform(0, 0.3)),
            dark=float(rng.uniform(0.6, 1)),
        )
    if kind < 0.90:  # marker
        return Pen(float(rng.uniform(0.15, 0.26)), dark=float(rng.uniform(0.7, 1)))
    if kind < 0.93:  # chalk, crayon
        return Pen(
            float(rng.uniform(0.08, 0.2)),
            pressure=float(rng.uniform(0.1, 0.4)),
            dark=float(rng.uniform(0.5, 1)),
            grain=float(rng.uniform(0.4, 1)),
            coarse=float(rng.uniform(0.03, 0.08)),
        )
    return Pen(float(rng.uniform(0.015, 0.05)))  # a stylus, a line one pixel wide


def draw(canvas: NDArray[np.uint8], strokes: Sequence[Points], pen: Pen, tall: float, rng: np.random.Generator) -> None:
    """Draw strokes on a canvas (h, w) uint8, 0 paper .. 255 ink; `tall`: pixels of a digit's height."""
    width = pen.width * tall
    if not (pen.contrast or pen.pressure or pen.skips):
        thick = max(1, round(width))
        fixed = [np.round(stroke * (1 << SUBPIXEL)).astype(np.int32).reshape(-1, 1, 2) for stroke in strokes]
        long = [each for each in fixed if len(each) > 1]
        if long:
            cv2.polylines(canvas, long, False, 255, thick, cv2.LINE_AA, SUBPIXEL)
        for each in fixed:
            if len(each) == 1:
                _dot(canvas, each[0, 0], thick)
        return
    for stroke in strokes:
        places = np.round(stroke * (1 << SUBPIXEL)).astype(np.int32)
        if len(stroke) == 1:
            _dot(canvas, places[0], max(1, round(width)))
            continue
        step = np.diff(stroke, axis=0)
        n = len(step)
        wide = np.full(n, width, np.float32)
        if pen.contrast:
            across = np.abs(np.sin(np.arctan2(step[:, 1], step[:, 0]) - pen.angle))
            wide *= 1 - pen.contrast * (1 - across)
        if pen.pressure:
            knots = rng.normal(0, pen.pressure, max(3, n // 6 + 2))
            wide *= np.exp(np.interp(np.linspace(0, len(knots) - 1, n), np.arange(len(knots)), knots))
            if rng.random() < 0.3:  # the pen is set down and lifted on the move
                wide[: max(1, n // 6)] *= rng.uniform(0.3, 1)
                wide[-max(1, n // 5) :] *= rng.uniform(0.2, 1)
        widths = np.maximum(1, np.round(wide)).astype(int)
        if pen.skips:
            widths[rng.random(n) < pen.skips] = 0
        changes = [0, *(np.flatnonzero(np.diff(widths)) + 1).tolist(), n]
        for start, stop in pairwise(changes):
            if widths[start]:
                run = places[start : stop + 1].reshape(-1, 1, 2)
                cv2.polylines(canvas, [run], False, 255, int(widths[start]), cv2.LINE_AA, SUBPIXEL)


def _dot(canvas: NDArray[np.uint8], place: NDArray[np.int32], thick: int) -> None:
    cv2.circle(canvas, place.tolist(), max(1, round(thick * 0.6)) << SUBPIXEL, 255, -1, cv2.LINE_AA, SUBPIXEL)


def grained(ink: NDArray[np.float32], pen: Pen, tall: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return ink (h, w) in 0..1 as the paper's grain takes it: hills of the paper take graphite, valleys stay empty."""
    if not pen.grain:
        return ink
    height, width = ink.shape
    cell = max(1.0, pen.coarse * tall)
    grain: NDArray[Any] = rng.random((max(2, int(height / cell)), max(2, int(width / cell))), dtype=np.float32)
    if cell > 1:
        grain = cv2.resize(grain, (width, height), interpolation=cv2.INTER_LINEAR)
    else:
        grain = cv2.resize(grain, (width, height), interpolation=cv2.INTER_NEAREST)
    valleys = np.clip((grain - 0.5) * 4 + 0.5 - 2 * (0.5 - pen.grain), 0, 1)
    kept: NDArray[np.float32] = (ink * (1 - valleys * rng.uniform(0.5, 1))).astype(np.float32)
    return kept
