"""Surroundings and textures of paper: desks, cloth, stones, leaves, walls, objects, drawings."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def noise(height: int, width: int, cell: tuple[float, float], octaves: int, rng: np.random.Generator) -> Floats:
    """Return smooth noise (h, w), mean 0, deviation 1: `octaves` of grains, the coarsest (down, across) pixels."""
    total = np.zeros((height, width), np.float32)
    down, across = cell
    weight = 1.0
    for _ in range(octaves):
        shape = max(2, round(height / max(down, 1))), max(2, round(width / max(across, 1)))
        grain = rng.standard_normal(shape, np.float32)
        total += np.float32(weight) * cv2.resize(grain, (width, height), interpolation=cv2.INTER_LINEAR)
        down, across, weight = down / 2.2, across / 2.2, weight * rng.uniform(0.4, 0.8)
        if max(down, across) < 1:
            break
    total -= total.mean()
    total /= total.std() + 1e-6
    return total


def colour(rng: np.random.Generator, low: float = 0.0, high: float = 1.0, vivid: float = 0.5) -> Floats:
    """Return a random colour (3,) of a brightness between low and high, grey or more or less vivid."""
    grey = rng.uniform(low, high)
    tint = rng.uniform(-1, 1, 3) * rng.uniform(0, vivid) * 0.6
    return np.clip(grey + tint, 0, 1).astype(np.float32)


def between(share: Floats, one: Floats, other: Floats) -> Floats:
    """Return the picture (h, w, 3) that goes from one colour to another as `share` (h, w) goes from 0 to 1."""
    steps = one + np.linspace(0, 1, 256, dtype=np.float32)[:, None] * (other - one)
    mixed: Floats = steps.astype(np.float32)[(share * 255).astype(np.uint8)]
    return mixed


class Surfaces:
    """Pictures of things to lay paper on, kept for a while, as drawing is slow: turned and recoloured each time."""

    def __init__(self, kept: int = 16, again: float = 0.8) -> None:
        """Keep so many, and show one of them again so often."""
        self.kept, self.again = kept, again
        self.drawn: list[Floats] = []

    def __call__(self, height: int, width: int, rng: np.random.Generator) -> Floats:
        """Return a picture (h, w, 3) float32, 0..1."""
        if len(self.drawn) < self.kept or rng.random() > self.again:
            picture = surface(max(height, 640), max(width, 640), rng)
            if len(self.drawn) < self.kept:
                self.drawn.append(picture)
            else:
                self.drawn[int(rng.integers(self.kept))] = picture
        picture = self.drawn[int(rng.integers(len(self.drawn)))]
        high, wide = min(height, picture.shape[0]), min(width, picture.shape[1])
        top, left = int(rng.integers(picture.shape[0] - high + 1)), int(rng.integers(picture.shape[1] - wide + 1))
        part: Any = picture[top : top + high, left : left + wide, rng.permutation(3)]
        if rng.random() < 0.5:
            part = part[::-1] if rng.random() < 0.5 else part[:, ::-1]
        part = part * rng.uniform(0.6, 1.1, 3).astype(np.float32)
        if part.shape[:2] != (height, width):
            part = cv2.resize(part, (width, height))
        return _within(part)


def surface(height: int, width: int, rng: np.random.Generator) -> Floats:
    """Return a picture (h, w, 3) in 0..1 of something to lay paper on, or of nothing that is written."""
    kind = rng.random()
    dark, light = colour(rng, 0.02, 0.6), colour(rng, 0.1, 0.95)
    if kind < 0.2:  # plain, a scanner's lid, a board
        share = 0.5 + 0.1 * rng.uniform(0, 2) * noise(height, width, (height, width), 2, rng)
        picture = between(np.clip(share, 0, 1, dtype=np.float32), dark, dark * np.float32(rng.uniform(0.6, 1.4)))
    elif kind < 0.42:  # wood
        long, short = rng.uniform(60, 400), rng.uniform(2, 14)
        cell = (short, long) if rng.random() < 0.5 else (long, short)
        share = noise(height, width, cell, 3, rng) * np.float32(rng.uniform(0.1, 0.35)) + 0.5
        picture = between(np.clip(share, 0, 1), dark, light if rng.random() < 0.4 else dark * np.float32(1.5))
    elif kind < 0.6:  # stone, cloth, carpet, skin
        size = rng.uniform(2, 60)
        share = noise(height, width, (size, size), int(rng.integers(1, 5)), rng) * rng.uniform(0.1, 0.5) + 0.5
        picture = between(np.clip(share, 0, 1).astype(np.float32), dark, light)
    elif kind < 0.7:  # woven, tiles, bricks
        y, x = np.mgrid[:height, :width].astype(np.float32)
        pitch = rng.uniform(3, 60)
        turn = rng.uniform(0, np.pi)
        u, v = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
        steep = rng.uniform(1, 8)
        wave = np.clip(np.sin(u * 6.28 / pitch) * steep, -1, 1) * np.clip(np.sin(v * 6.28 / pitch) * steep, -1, 1)
        share = wave * 0.4 + 0.5 + 0.05 * noise(height, width, (4, 4), 1, rng)
        picture = between(np.clip(share, 0, 1).astype(np.float32), dark, light)
    else:
        picture = scene(height, width, rng)
    return _within(picture)


def scene(height: int, width: int, rng: np.random.Generator) -> Floats:
    """Return a picture of shaded things on each other: leaves, stones, rods, houses, faces of no one."""
    share = noise(height, width, (height / 2, width / 2), int(rng.integers(1, 6)), rng) * 0.25 + 0.5
    picture: Any = between(np.clip(share, 0, 1), colour(rng, 0.1, 0.8), colour(rng, 0.2, 1.0))
    palette = [colour(rng, 0.0, 1.0, 0.8) for _ in range(int(rng.integers(2, 7)))]
    kind, count = rng.random(), int(np.exp(rng.uniform(np.log(2), np.log(160))))
    reach = max(height, width) * float(np.clip(rng.uniform(0.5, 2.5) / np.sqrt(count), 0.03, 0.6))
    shape = int(rng.integers(5))
    for _ in range(count):
        x, y = rng.uniform(-0.1, 1.1) * width, rng.uniform(-0.1, 1.1) * height
        size, tone = reach * float(np.exp(rng.normal(-0.5, 0.5))), palette[int(rng.integers(len(palette)))]
        tone = np.clip(tone * rng.uniform(0.6, 1.3), 0, 1)
        which = shape if kind < 0.7 else int(rng.integers(5))
        turn = rng.uniform(0, 360)
        slim = rng.uniform(0.08, 0.4) if which == 0 else rng.uniform(0.3, 1)
        where = (round(x), round(y)), (max(1, round(size / 2)), max(1, round(size * slim / 2)))
        if which <= 1:
            cv2.ellipse(picture, where[0], where[1], turn, 0, 360, tone.tolist(), -1, cv2.LINE_AA)
            if rng.random() < 0.3:
                edge = np.clip(tone * rng.uniform(0.3, 1.6), 0, 1).tolist()
                cv2.ellipse(picture, where[0], where[1], turn, 0, 360, edge, int(rng.integers(1, 3)), cv2.LINE_AA)
        elif which == 2:
            corners = cv2.boxPoints(((x, y), (size, size * slim), turn if kind < 0.5 else 0.0)).astype(np.int32)
            cv2.fillConvexPoly(picture, corners, tone.tolist(), cv2.LINE_AA)
            if rng.random() < 0.4:
                cv2.polylines(picture, [corners], True, np.clip(tone * 0.4, 0, 1).tolist(), 1, cv2.LINE_AA)
        elif which == 3:
            polygon = (np.array([x, y]) + rng.normal(0, size / 2, (int(rng.integers(3, 8)), 2))).astype(np.int32)
            cv2.fillPoly(picture, [polygon], tone.tolist(), cv2.LINE_AA)
        else:
            points = curve(rng, int(rng.integers(2, 6))) * size + (x, y)
            thick = max(1, round(size * rng.uniform(0.01, 0.12)))
            cv2.polylines(picture, [np.round(points * 8).astype(np.int32)], False, tone.tolist(), thick, cv2.LINE_AA, 3)
    if rng.random() < 0.6:
        soft: Any = noise(height, width, (rng.uniform(2, 30),) * 2, 3, rng) * rng.uniform(0.01, 0.12)
        picture = picture + soft[:, :, None]
    if rng.random() < 0.5:
        picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.5, 3.0))
    return _within(picture)


def _within(picture: Floats) -> Floats:
    clipped: Floats = np.clip(picture, 0, 1, dtype=np.float32)
    return clipped


def curve(rng: np.random.Generator, knots: int, steps: int = 12) -> Floats:
    """Return a smooth random curve (n, 2), about one long and one wide around 0."""
    points = (
        np.cumsum(rng.normal(0, 0.4, (knots + 3, 2)), axis=0)
        if rng.random() < 0.5
        else rng.normal(0, 0.4, (knots + 3, 2))
    )
    points = points - points.mean(axis=0)
    t = np.linspace(0, 1, steps, endpoint=False)[:, None]
    pieces = []
    for a, b, c, d in zip(points[:-3], points[1:-2], points[2:-1], points[3:], strict=True):
        pieces.append(0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3))
    return np.concatenate(pieces).astype(np.float32)
