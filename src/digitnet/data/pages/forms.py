"""Marks other than writing: ruled lines, boxes, rings, ticks, doodles, stamps, bars, specks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from digitnet.data.pages.sheet import PICTURE, RULE, Colour, Floats, Sheet
from digitnet.data.pages.texture import curve, surface


class Strokes:
    """A mask on which lines are drawn, to be laid on the sheet at once."""

    def __init__(self, sheet: Sheet, rect: Sequence[float] | None = None) -> None:
        """Begin a mask for the part of a sheet within left, top, right, bottom; for all of it by default."""
        left, top, right, bottom = rect if rect is not None else (0, 0, sheet.width, sheet.height)
        self.left, self.top = max(int(left) - 4, 0), max(int(top) - 4, 0)
        right, bottom = min(int(right) + 5, sheet.width), min(int(bottom) + 5, sheet.height)
        self.mask = np.zeros((max(bottom - self.top, 1), max(right - self.left, 1)), np.uint8)
        self.sheet = sheet

    def line(self, points: NDArray[np.generic], thick: float, closed: bool = False, strength: float = 1.0) -> None:
        """Draw through points (n, 2) in pixels of the sheet."""
        moved = np.round((np.asarray(points, np.float32) - (self.left, self.top)) * 16).astype(np.int32)
        level = round(255 * strength * min(1.0, max(thick, 0.3)))
        cv2.polylines(self.mask, [moved.reshape(-1, 1, 2)], closed, level, max(1, round(thick)), cv2.LINE_AA, 4)

    def fill(self, points: NDArray[np.generic], strength: float = 1.0) -> None:
        """Fill a polygon (n, 2)."""
        moved = np.round((np.asarray(points, np.float32) - (self.left, self.top)) * 16).astype(np.int32)
        cv2.fillPoly(self.mask, [moved.reshape(-1, 1, 2)], round(255 * strength), cv2.LINE_AA, 4)

    def lay(self, colour: Colour, alpha: float, kind: int = RULE) -> None:
        """Lay what was drawn on the sheet."""
        soft = self.mask.astype(np.float32) * np.float32(alpha / 255)
        self.sheet.lay(soft, self.left, self.top, colour, kind)


def straight(one: Sequence[float], other: Sequence[float], wobble: float, rng: np.random.Generator) -> Floats:
    """Return points from one end to the other, drawn with a ruler or, with some wobble in pixels, without."""
    if not wobble:
        return np.array([one, other], np.float32)
    t = np.linspace(0, 1, 8)[:, None]
    points = np.array(one) * (1 - t) + np.array(other) * t + np.cumsum(rng.normal(0, wobble / 3, (8, 2)), axis=0)
    return points.astype(np.float32)


def oval(rect: Sequence[float], rng: np.random.Generator, hand: bool = True) -> Floats:
    """Return a ring's points around a rectangle, closed or nearly so."""
    left, top, right, bottom = rect
    start, turns = rng.uniform(0, 6.28), rng.uniform(0.93, 1.15) if hand else 1.0
    angle = np.linspace(start, start + 6.283 * turns, 48)
    grow = 1 + (np.linspace(0, rng.normal(0, 0.08), 48) + 0.02 * np.sin(angle * 3 + start) if hand else 0)
    x = (left + right) / 2 + (right - left) / 2 * np.cos(angle) * grow
    y = (top + bottom) / 2 + (bottom - top) / 2 * np.sin(angle) * grow
    return np.stack([x, y], 1).astype(np.float32)


def rule_paper(sheet: Sheet, pitch: float, rng: np.random.Generator, kind: str | None = None) -> None:
    """Rule a sheet: lines, squares, dots, hatching, a fine pattern; some of it so pale that it hardly counts."""
    kind = kind or str(rng.choice(["ruled", "squared", "dotted", "hatched", "pattern"], p=[0.36, 0.36, 0.08, 0.1, 0.1]))
    strokes = Strokes(sheet)
    width, height = sheet.width, sheet.height
    thick = max(0.5, pitch * rng.uniform(0.01, 0.06)) if rng.random() < 0.7 else 1.0
    thick = min(thick, 3.0)
    slope = rng.normal(0, 0.01)
    tone = np.array([[0.6, 0.75, 0.95], [0.5, 0.5, 0.5], [0.85, 0.6, 0.6], [0.6, 0.85, 0.7], [0.3, 0.4, 0.8]])[
        int(rng.integers(5))
    ][::-1]
    alpha = float(np.exp(rng.uniform(np.log(0.1), np.log(0.9))))
    if kind in ("ruled", "squared"):
        start = rng.uniform(0, pitch)
        for y in np.arange(start, height + pitch, pitch):
            strokes.line(np.array([[0, y], [width, y + slope * width]]), thick)
        if kind == "squared":
            for x in np.arange(rng.uniform(0, pitch), width + pitch, pitch):
                strokes.line(np.array([[x, 0], [x - slope * height, height]]), thick)
    elif kind == "dotted":
        for y in np.arange(pitch / 2, height, pitch):
            for x in np.arange(pitch / 2, width, pitch):
                cv2.circle(strokes.mask, (round(x), round(y)), max(1, round(thick)), 255, -1, cv2.LINE_AA)
    elif kind == "hatched":
        across = np.array([np.cos(turn := rng.uniform(0, np.pi)), np.sin(turn)])
        along, far = np.array([-across[1], across[0]]), float(width + height)
        step = rng.uniform(4, 24)
        alpha *= 0.6
        for shift in np.arange(-far, far, step):
            middle = np.array([width, height]) / 2 + across * shift
            strokes.line(np.array([middle - along * far, middle + along * far]), min(thick, 0.4 * step))
    else:
        y, x = np.mgrid[:height, :width].astype(np.float32)
        turn, period = rng.uniform(0, np.pi), rng.uniform(2.5, 12)
        wave = rng.uniform(0, 3) * np.sin(x / rng.uniform(5, 40))
        share = np.sin((x * np.cos(turn) + (y + wave) * np.sin(turn)) * (6.283 / period))
        strokes.mask = (np.clip(share * 2 - 0.3, 0, 1) * 255).astype(np.uint8)
        alpha *= 0.5
    strokes.lay(tone, alpha)
    if kind == "ruled" and rng.random() < 0.4:
        margin = Strokes(sheet)
        x = rng.uniform(0.03, 0.25) * width
        margin.line(np.array([[x, 0], [x + rng.normal(0, 4), height]]), thick)
        margin.lay([0.5, 0.5, 0.9], min(1.0, alpha * 1.3))


def ring(
    sheet: Sheet, rect: Sequence[float], thick: float, colour: Floats, alpha: float, rng: np.random.Generator
) -> None:
    """Ring, or box, what is in a rectangle."""
    strokes = Strokes(sheet, [rect[0] - 9, rect[1] - 9, rect[2] + 9, rect[3] + 9])
    if rng.random() < 0.75:
        strokes.line(oval(rect, rng), thick)
    else:
        left, top, right, bottom = rect
        corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
        strokes.line(corners + rng.normal(0, 0.02 * (bottom - top), (4, 2)), thick, closed=True)
    strokes.lay(colour, alpha)


def strike(
    sheet: Sheet, rect: Sequence[float], thick: float, colour: Floats, alpha: float, rng: np.random.Generator
) -> None:
    """Strike out what is in a rectangle: one line or two, a cross, a zigzag."""
    left, top, right, bottom = rect
    high = bottom - top
    strokes = Strokes(sheet, [left - high, top - high / 2, right + high, bottom + high / 2])
    kind = rng.random()
    more = rng.uniform(0, 0.4) * high
    if kind < 0.55:
        for _ in range(int(rng.choice((1, 1, 2)))):
            y0, y1 = top + high * rng.uniform(0.35, 0.65, 2)
            strokes.line(straight((left - more, y0), (right + more, y1), 0.04 * high, rng), thick)
    elif kind < 0.75:
        strokes.line(straight((left - more, top), (right + more, bottom), 0.04 * high, rng), thick)
        strokes.line(straight((left - more, bottom), (right + more, top), 0.04 * high, rng), thick)
    else:
        n = max(6, int((right - left) / high * rng.uniform(5, 14)))
        x = np.linspace(left, right, n) + rng.normal(0, 0.05 * high, n)
        y = np.where(np.arange(n) % 2, top, bottom) + rng.normal(0, 0.1 * high, n)
        strokes.line(np.stack([x, y], 1), thick)
    strokes.lay(colour, alpha)


def doodle(sheet: Sheet, rect: Sequence[float], colour: Floats, alpha: float, rng: np.random.Generator) -> None:
    """Draw a tick, a cross, an arrow, a star, a flourish, a spiral, a face, hatching or a drawing of curves."""
    left, top, right, bottom = rect
    size, middle = min(right - left, bottom - top), np.array([(left + right) / 2, (top + bottom) / 2])
    thick = max(0.6, size * rng.uniform(0.01, 0.08))
    strokes = Strokes(sheet, [left - size / 2, top - size / 2, right + size / 2, bottom + size / 2])
    kind = int(rng.integers(9))
    if kind == 0:
        points = np.array([[-0.4, 0], [-0.1, 0.4], [0.5, -0.6]]) + rng.normal(0, 0.05, (3, 2))
        strokes.line(middle + points * size * 0.8, thick)
    elif kind == 1:
        for side in (-1, 1):
            ends = np.array([[-0.4, -0.4 * side], [0.4, 0.4 * side]]) + rng.normal(0, 0.06, (2, 2))
            strokes.line(middle + ends * size, thick)
    elif kind == 2:
        way = rng.normal(0, 1, 2)
        way /= float(np.hypot(*way))
        beside = np.array([-way[1], way[0]])
        tip = middle + way * size * 0.5
        strokes.line(np.array([middle - way * size * 0.5, tip]), thick)
        strokes.line(
            np.array([tip - (way * 0.2 - beside * 0.12) * size, tip, tip - (way * 0.2 + beside * 0.12) * size]), thick
        )
    elif kind == 3:
        angle = np.arange(6) * 4 * np.pi / 5 + rng.uniform(0, 6)
        strokes.line(middle + np.stack([np.cos(angle), np.sin(angle)], 1) * size * 0.45, thick)
    elif kind == 4:
        t = np.linspace(0, rng.uniform(6, 25), 80)
        strokes.line(middle + (np.stack([np.cos(t), np.sin(t)], 1) * t[:, None] / t[-1] * size * 0.5), thick)
    elif kind == 5:
        strokes.line(oval(rect, rng), thick)
        for x in (-0.2, 0.2):
            cv2.circle(
                strokes.mask,
                (round(middle[0] + x * size) - strokes.left, round(middle[1] - 0.15 * size) - strokes.top),
                max(1, int(size * 0.04)),
                255,
                -1,
            )
        t = np.linspace(0.4, 2.7, 12)
        strokes.line(middle + np.stack([np.cos(t), np.sin(t)], 1) * size * 0.28, thick)
    elif kind == 6:
        step = max(2.0, size * rng.uniform(0.05, 0.2))
        lean = rng.normal(0, 0.5) * size
        for x in np.arange(left, right, step):
            strokes.line(straight((x + lean, top), (x, bottom), 0.02 * size, rng), thick)
    else:
        for _ in range(int(rng.integers(1, 5 if kind == 7 else 14))):
            at = np.array([rng.uniform(left, right), rng.uniform(top, bottom)])
            reach = np.array([right - left, bottom - top]) * rng.uniform(0.2, 0.9)
            strokes.line(at + curve(rng, int(rng.integers(2, 9))) * reach, thick)
    strokes.lay(colour, alpha)


def signature(sheet: Sheet, at: tuple[float, float], tall: float, colour: Floats, rng: np.random.Generator) -> None:
    """Draw something like a signature: loops that run on, and a flourish."""
    n = int(rng.integers(12, 40))
    x = np.linspace(0, tall * rng.uniform(2, 6), n) + rng.normal(0, 0.2 * tall, n)
    y = rng.normal(0, 0.35 * tall, n) * np.linspace(1.4, 0.6, n)
    t = np.linspace(0, n - 1, n * 6)
    k = np.arange(n)
    points = np.stack([np.interp(t, k, x), np.interp(t, k, y)], 1)
    kernel = np.ones(5) / 5
    points = np.stack([np.convolve(points[:, i], kernel, "valid") for i in (0, 1)], 1) + at
    (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
    strokes = Strokes(sheet, [left, top, right, bottom])
    strokes.line(points, max(0.7, tall * rng.uniform(0.03, 0.1)))
    strokes.lay(colour, rng.uniform(0.6, 1.0))


def specks(sheet: Sheet, tall: float, rng: np.random.Generator) -> None:
    """Strew dust, blots, short hairs; of any size up to half a digit."""
    strokes = Strokes(sheet)
    count = int(np.exp(rng.uniform(0, np.log(150))))
    most = tall * rng.uniform(0.03, 0.3)
    for _ in range(count):
        at = rng.uniform(0, 1, 2) * (sheet.width, sheet.height)
        size = most * rng.uniform(0.1, 1)
        level = rng.uniform(0.3, 1)
        if rng.random() < 0.6:
            axes = max(1, round(size * 8)), max(1, round(size * 8 * rng.uniform(0.2, 1)))
            place = tuple(np.round(at * 16).astype(int).tolist())
            cv2.ellipse(strokes.mask, place, axes, rng.uniform(0, 180), 0, 360, level * 255, -1, cv2.LINE_AA, 4)
        else:
            strokes.line(at + curve(rng, 2) * size * rng.uniform(1, 3), max(0.5, size * 0.15), strength=level)
    strokes.lay(np.full(3, rng.uniform(0, 0.4)), rng.uniform(0.4, 1.0))


def bars(sheet: Sheet, rect: Sequence[float], rng: np.random.Generator) -> None:
    """Print a bar code, a square of modules, or a logo of shapes."""
    left, top, right, bottom = (round(v) for v in rect)
    high, wide = max(4, bottom - top), max(4, right - left)
    kind = rng.random()
    code: Any
    if kind < 0.4:
        row = np.repeat(rng.random(max(4, wide // int(rng.integers(2, 5)))) < 0.5, 3)
        modules = np.repeat(row[None], high, 0).astype(np.float32)
        code = cv2.resize(modules, (wide, high), interpolation=cv2.INTER_NEAREST)
    elif kind < 0.7:
        n = int(rng.integers(11, 30))
        code = cv2.resize((rng.random((n, n)) < 0.5).astype(np.float32), (high, high), interpolation=cv2.INTER_NEAREST)
    else:
        tone = surface(high, wide, rng)
        part = sheet.picture[max(top, 0) : max(top, 0) + high, max(left, 0) : max(left, 0) + wide]
        part[:] = tone[: part.shape[0], : part.shape[1]]
        sheet.kinds[max(top, 0) : max(top, 0) + high, max(left, 0) : max(left, 0) + wide] = PICTURE
        return
    sheet.lay(np.asarray(code, np.float32) * np.float32(rng.uniform(0.6, 1)), left, top, [0.05, 0.05, 0.05], PICTURE)
