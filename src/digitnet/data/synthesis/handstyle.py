"""The style of one writer: slant, width, gaps, tremor, joined strokes and hooks; and the places of signs on a line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from digitnet.data.unipen import Strokes

PLACES: Mapping[str, tuple[float, float, float, float]] = {
    ".": (0.05, 0.17, -0.04, 0.10),
    ",": (0.14, 0.36, 0.06, 0.26),
    "-": (0.25, 1.20, -0.60, -0.30),
    "+": (0.40, 0.80, -0.15, 0.05),
    "/": (1.00, 1.50, 0.00, 0.25),
    ":": (0.35, 0.70, -0.10, 0.05),
    "(": (1.05, 1.60, 0.05, 0.30),
    ")": (1.05, 1.60, 0.05, 0.30),
    "%": (0.80, 1.15, -0.02, 0.08),
    "$": (0.95, 1.40, 0.00, 0.20),
    "=": (0.30, 0.70, -0.50, -0.20),
    "*": (0.25, 0.60, -0.60, -0.20),
    "'": (0.15, 0.35, -0.90, -0.60),
    '"': (0.15, 0.35, -0.90, -0.60),
    "^": (0.15, 0.40, -0.80, -0.60),
    "~": (0.25, 0.60, -0.60, -0.30),
    "_": (0.40, 0.90, 0.00, 0.15),
    ";": (0.40, 0.75, 0.06, 0.25),
}
"""For each sign the size of its longer side, from and to, and where its foot is below the baseline, from and to; in
heights of a digit. Others are as high as a digit and stand on the line."""


@dataclass(frozen=True)
class Style:
    """How one writer sets a line; lengths in heights of a digit."""

    slant: float
    wide: float
    drift: float
    shake: float
    uneven: float
    gap: float
    jitter: float
    proportion: float
    warp: float
    rounding: int
    join: float
    inner_join: float
    hooks: float
    tails: float


def random_style(rng: np.random.Generator) -> Style:
    """Return a writer's way to set a line."""
    kind = rng.random()
    gap = rng.uniform(-0.12, 0.04) if kind < 0.3 else rng.uniform(0.02, 0.25) if kind < 0.8 else rng.uniform(0.2, 0.8)
    return Style(
        slant=float(rng.normal(0.05, 0.2) if rng.random() < 0.75 else rng.uniform(0.2, 0.7)),
        wide=float(np.exp(rng.normal(0, 0.25))),
        drift=float(rng.normal(0, 0.05)),
        shake=float(rng.uniform(0, 0.07)),
        uneven=float(rng.uniform(0, 0.14)),
        gap=float(gap),
        jitter=float(rng.uniform(0, 0.08)),
        proportion=float(rng.normal(0, 0.18)),
        warp=float(rng.uniform(0, 0.05)),
        rounding=int(rng.choice((0, 0, 0, 1, 2, 3))),
        join=float(rng.choice((0, 0, 0.2, 0.4, 0.8))),
        inner_join=float(rng.choice((0, 0, 0, 0.2, 0.6))),
        hooks=float(rng.choice((0, 0, 0.1, 0.4))),
        tails=float(rng.choice((0, 0, 0, 0.15, 0.3, 0.5))),
    )


def varied(glyph: Strokes, style: Style, rng: np.random.Generator, character: str) -> list[NDArray[np.float32]]:
    """Return strokes perturbed smoothly, by one writer's habits and a little differently each time."""
    strokes = list(glyph)
    if character in "-=" and rng.random() < 0.3:  # a quick hand closes an amount with a dash that rises
        angle = rng.normal(0, 0.35)
        rotation = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]], np.float32)
        strokes = [stroke @ rotation for stroke in strokes]
    if not character.isdigit():
        if character in ".,:;":
            return [stroke * np.float32(rng.uniform(0.8, 1.25)) for stroke in strokes]
    elif style.inner_join and len(strokes) > 1:
        joined = [strokes[0]]
        for stroke in strokes[1:]:
            if rng.random() < style.inner_join and np.hypot(*(stroke[0] - joined[-1][-1])) < 0.9:
                middle = (joined[-1][-1] + stroke[0]) / 2 + rng.normal(0, 0.05, 2)
                joined[-1] = np.concatenate(
                    [joined[-1], bow(joined[-1][-1], middle.astype(np.float32), stroke[0]), stroke]
                )
            else:
                joined.append(stroke)
        strokes = joined
    sizes = np.cumsum([len(stroke) for stroke in strokes])[:-1]
    points = np.concatenate(strokes)
    low, extent = points.min(axis=0), np.ptp(points, axis=0).max() + 1e-6
    unit = (points - low) / extent
    x, y = unit[:, 0], unit[:, 1]
    phase = rng.uniform(0, 2 * np.pi, 4)
    pace = rng.uniform(0.5, 1.3, 4) * 2 * np.pi
    bend = rng.normal(0, style.warp, 4)
    dx = bend[0] * np.sin(pace[0] * y + phase[0]) + bend[1] * np.sin(pace[1] * x + phase[1])
    dy = bend[2] * np.sin(pace[2] * x + phase[2]) + bend[3] * np.sin(pace[3] * y + phase[3])
    x, y = x + dx, np.clip(y + dy, 0, None)
    if character.isdigit():
        y = y ** float(np.exp(style.proportion + rng.normal(0, 0.06)))
    x = x * style.wide * float(np.exp(rng.normal(0, 0.07)))
    turn, lean = rng.normal(0, 0.05), rng.normal(0, 0.05)
    moved = np.stack([x + (turn - lean) * y, y - turn * x], axis=1).astype(np.float32)
    strokes = list(np.split(moved, sizes))
    if style.rounding:
        strokes = [_rounded(stroke, style.rounding) for stroke in strokes]
    if character.isdigit() and style.hooks:
        if rng.random() < style.hooks and len(strokes[0]) > 1:
            strokes[0] = np.concatenate([_hook(strokes[0][0], rng), strokes[0]])
        if rng.random() < style.hooks and len(strokes[-1]) > 1:
            strokes[-1] = np.concatenate([strokes[-1], _hook(strokes[-1][-1], rng)[::-1]])
    return strokes


def _rounded(stroke: NDArray[np.float32], reach: int) -> NDArray[np.float32]:
    """Cut a stroke's corners, as a quick hand does: a moving mean over `reach` neighbours, ends kept."""
    if len(stroke) < 2 * reach + 2:
        return stroke
    padded = np.concatenate([np.repeat(stroke[:1], reach, 0), stroke, np.repeat(stroke[-1:], reach, 0)])
    sums = np.cumsum(np.concatenate([np.zeros((1, 2), np.float32), padded]), axis=0, dtype=np.float64)
    mean = ((sums[2 * reach + 1 :] - sums[: -2 * reach - 1]) / (2 * reach + 1)).astype(np.float32)
    mean[0], mean[-1] = stroke[0], stroke[-1]
    return mean


def _hook(point: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Return a short curve that ends at a point: how a pen lands, or leaves when reversed."""
    reach, turn = rng.uniform(0.05, 0.22), rng.uniform(0, 2 * np.pi)
    start = point + reach * np.array([np.cos(turn), np.sin(turn)])
    middle = (start + point) / 2 + rng.normal(0, 0.25 * reach, 2)
    return bow(start.astype(np.float32), middle.astype(np.float32), point)[:-1]


def bow(
    start: NDArray[np.float32], middle: NDArray[np.float32], end: NDArray[np.float32], steps: int = 6
) -> NDArray[np.float32]:
    """Return a curve from start to end, drawn towards middle: Bezier's of second degree."""
    t = np.linspace(0, 1, steps, dtype=np.float32)[:, None]
    curve: NDArray[np.float32] = (1 - t) ** 2 * start + 2 * t * (1 - t) * middle + t**2 * end
    return curve
