"""Digits drawn from a table of national shapes: flagged ones, barred sevens, hooked nines, open fours.

MNIST's writers went to school in the United States; other countries' shapes are rare in it or missing. Here each
shape is a few strokes through points that are shaken, stretched, slanted and drawn with a random pen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from digitnet.core.digits import IMAGE_SIZE, Digits
from digitnet.data.unipen import Strokes, normalized
from digitnet.imaging.normalization import frame

HEIGHT = 64
"""Height of the box that digits are drawn in before they are framed, pixels."""

# A shape is strokes, and a stroke is points x, y in a box one wide and one high, y down. The curve is smooth, but for
# a corner where a point stands twice. All are our own sketches of what national school models and census forms show.
_RING = "50,0 18,22 10,55 28,92 52,100 80,85 92,50 80,12 46,0"
_EIGHT_TOP = "50,0 22,10 20,32 50,46 78,32 78,10 50,0"
_FIVE = "16,46 16,46 48,36 84,52 88,76 60,99 14,94"

SHAPES: tuple[tuple[str, ...], ...] = (
    (
        _RING,
        _RING,
        "62,6 28,10 8,50 30,95 60,98 90,60 80,15 50,4 40,16",
        f"{_RING} / 88,8 12,92",
        "40,2 12,30 14,80 50,100 86,75 86,25 60,2 52,6",
    ),
    (
        "50,0 50,100",
        "28,24 54,0 54,0 52,100",
        "5,50 58,0 58,0 54,100",
        "0,62 28,40 60,0 60,0 56,100",
        "22,26 52,0 52,0 52,100 / 18,100 84,100",
        "6,44 56,0 56,0 54,100 / 24,100 86,100",
        "18,20 40,14 54,0 54,0 52,100",
        "0,78 30,44 62,0 62,0 48,100",
        "0,70 30,38 60,0 60,0 44,100 / 8,100 92,96",
        "0,96 26,52 54,0 54,0 50,60 58,100",
        "36,10 46,0 54,8 52,92 60,100 68,96",
    ),
    (
        "10,26 28,3 66,2 80,24 58,58 10,100 10,100 92,98",
        "12,22 40,0 76,14 74,42 40,78 12,94 20,80 44,92 92,96",
        "10,8 84,4 84,4 8,98 8,98 92,96",
        "8,30 26,4 60,0 84,22 66,56 6,98 6,98 34,90 66,100 94,90",
        "20,34 6,20 22,2 60,0 74,26 44,70 8,92 4,82 30,80 66,98 96,86",
        "30,24 14,12 34,0 66,8 66,34 20,98 20,98 98,92",
    ),
    (
        "12,12 46,0 78,16 70,38 40,46 40,46 78,56 84,80 52,100 10,90",
        "10,2 84,2 84,2 44,40 44,40 82,54 84,80 52,100 10,90",
        "14,8 50,0 76,18 50,42 34,46 60,48 84,70 60,98 8,92",
        "10,14 48,0 76,18 50,44 50,44 86,64 68,94 34,112 4,98",
        "4,10 40,4 88,0 88,0 46,38 80,50 82,84 48,100 6,84",
        "22,20 30,2 66,2 70,26 44,44 44,44 74,58 74,90 40,102 10,86 24,78",
    ),
    (
        "70,100 70,0 70,0 2,68 2,68 98,68",
        "22,0 8,54 8,54 92,52 / 68,22 64,100",
        "20,2 12,36 30,52 62,46 78,4 78,4 72,52 66,100",
        "54,0 4,62 4,62 86,56 / 62,34 50,100",
        "30,0 14,50 14,50 84,48 / 74,0 66,100",
        "46,0 10,46 10,46 64,40 64,40 46,100",
        "58,0 6,66 6,66 90,62 / 70,40 70,100",
        "16,4 12,44 36,56 78,48 / 80,0 74,60 60,100",
        "60,0 6,50 6,50 88,42 88,42 84,100",
        "52,0 4,58 4,58 84,40 84,40 66,100",
        "44,0 18,32 24,46 58,50 62,62 50,100",
        "34,0 10,60 10,60 94,56 / 72,14 58,100",
        "30,2 8,56 40,60 86,44 / 92,0 70,50 52,100",
        "40,0 16,40 26,56 70,40 86,8 86,8 66,100",
    ),
    (
        f"20,2 {_FIVE} / 20,2 88,0",
        f"86,0 20,2 20,2 {_FIVE}",
        f"24,4 {_FIVE} / 30,6 92,2",
        "84,4 30,2 18,40 60,48 84,72 56,98 8,92",
        "88,0 24,4 24,4 14,48 14,48 66,46 82,72 52,98 4,100",
        "30,12 22,46 60,44 80,72 50,100 10,88 / 30,12 60,4 96,10",
        "40,8 30,44 62,50 70,76 40,100 6,92 / 52,6 100,0",
    ),
    (
        "72,0 34,26 10,66 34,99 76,88 80,62 50,50 16,72",
        "60,0 22,40 10,78 42,100 80,80 62,56 18,76",
        "44,0 12,50 16,90 52,100 82,78 56,58 14,80",
        "86,6 50,2 14,44 16,88 54,100 86,76 58,50 16,70",
        "66,0 34,46 14,84 38,100 74,86 58,68 20,78",
        "56,0 30,44 22,84 40,100 58,88 48,74 26,84",
        "30,0 20,50 24,92 48,100 60,84 46,70 24,84",
        "92,0 50,24 18,70 34,100 66,86 54,68 22,76",
    ),
    (
        "8,2 92,2 92,2 42,100",
        "10,18 12,2 12,2 90,2 90,2 44,100",
        "8,2 92,2 92,2 42,100 / 26,50 84,48",
        "6,20 24,2 60,10 92,0 92,0 56,50 42,100 / 24,54 86,48",
        "8,16 40,0 84,8 76,40 40,100",
        "8,16 40,0 84,8 74,40 40,100 / 22,54 90,46",
        "6,22 12,4 12,4 88,4 88,4 50,60 40,100 / 24,50 82,50",
        "6,24 28,2 64,4 76,26 52,56 40,100 / 14,66 94,58",
        "4,20 40,0 80,6 70,40 30,74 44,100 / 16,62 96,56",
        "8,2 92,2 92,2 36,100 / 10,64 90,40",
        "8,22 34,0 74,12 66,40 36,66 46,100 / 20,70 98,62",
        "8,20 40,0 76,14 62,44 40,72 40,100 / 12,72 92,70",
        "2,16 22,6 40,14 64,8 88,0 64,44 48,100",
        "2,18 20,4 42,12 62,10 86,2 62,44 46,100 / 28,58 92,46",
        "10,0 12,22 12,10 84,10 84,10 40,60 36,100",
    ),
    (
        "76,12 44,0 18,22 50,46 84,72 54,100 14,78 48,48 78,22 70,6",
        f"{_EIGHT_TOP} / 50,46 12,66 20,94 52,100 86,88 84,62 50,46",
        "84,8 48,0 16,22 50,46 84,74 50,100 16,78 46,50 88,12",
        "90,4 60,2 26,24 60,56 64,88 36,100 18,80 50,50 82,20",
        "96,0 40,2 22,24 70,66 58,98 26,92 30,66 70,40 76,16",
        "50,46 20,26 48,0 78,22 50,48 12,76 50,100 88,76 50,46",
    ),
    (
        "80,18 46,0 12,24 36,50 80,22 80,22 76,100",
        "80,18 46,0 12,24 36,50 80,22 80,22 82,70 56,100 14,92",
        "82,20 46,0 12,26 40,52 82,24 82,24 74,64 26,100",
        "78,14 40,0 12,26 40,48 80,20 80,20 88,66 60,96 6,86",
        f"{_EIGHT_TOP} / 80,6 80,60 56,98 20,94",
        "84,10 44,0 10,26 40,50 84,20 84,20 84,100",
        "76,10 36,2 14,30 50,48 80,12 86,50 70,92 30,100 8,84",
        "72,8 40,0 24,18 46,34 74,14 74,14 78,70 50,98 0,96",
        "70,6 38,4 30,24 60,34 74,10 74,10 82,60 70,96 30,102 0,90",
        "66,8 44,2 34,16 50,26 66,10 66,10 70,64 44,100 4,90",
        "60,10 40,2 26,14 40,28 62,12 62,12 60,100",
        "74,4 40,8 34,26 60,28 74,4 74,4 66,50 40,80 6,100",
        "40,40 12,24 40,0 78,12 66,44 26,60 26,60 20,100",
    ),
)
"""The shapes of each digit: strokes apart by /, points in percent of the box."""

RARE: tuple[tuple[str, ...], ...] = (
    (
        "64,6 30,8 10,50 34,98 74,90 88,44 64,4 30,16",
        "30,2 12,40 30,96 70,96 90,50 66,8 40,0 96,6",
        "70,24 50,0 14,30 22,90 66,98 86,50 54,2",
    ),
    (
        "0,98 50,0 50,0 62,100",
        "0,88 48,0 48,0 40,60 52,100 / 24,100 80,100",
        "14,34 52,0 52,0 50,96 / 4,98 98,90",
        "0,62 22,60 56,0 56,0 40,100",
        "0,50 16,58 60,0 60,0 36,98 60,94",
        "0,40 4,58 28,38 66,0 66,0 46,100",
        "100,0 100,0 0,100",
        "4,84 30,60 62,0 62,0 52,100",
        "0,36 14,42 46,0 50,8 40,100",
        "30,30 36,4 58,0 50,50 40,100",
        "20,16 50,0 50,0 36,50 34,94 60,100 84,90",
    ),
    (
        "46,32 28,36 14,20 36,2 74,8 74,40 40,76 4,98 30,88 60,100 98,90",
        "20,30 30,4 66,0 80,26 50,66 8,100 8,86 34,84 62,98 98,94",
        "8,20 40,0 76,14 64,50 20,90 12,100 96,98",
        "34,34 22,20 44,2 72,10 66,40 0,100 96,84",
        "40,34 22,28 26,4 62,0 72,22 42,70 6,98 30,88 62,100 96,94",
        "14,26 42,0 56,14 46,58 6,98 6,98 96,94",
        "30,34 16,12 50,0 74,22 52,62 20,92 8,80 38,80 72,100 98,88",
        "12,20 40,2 70,10 60,50 20,96 34,90 98,90",
    ),
    (
        "10,2 60,0 74,20 34,42 14,48 40,46 84,66 62,98 8,94",
        "16,0 56,6 60,40 30,50 30,50 66,56 62,92 18,104",
        "20,12 50,0 70,16 40,44 26,44 40,40 80,60 70,94 20,98 12,80",
        "14,6 88,2 88,2 40,36 76,44 70,84 30,100 6,92",
    ),
    (
        "26,0 14,60 14,60 72,44 72,44 64,100",
        "60,0 30,60 4,66 40,62 96,58 / 76,20 60,100",
        "10,0 14,44 84,44 / 78,8 70,100",
        "24,4 20,40 50,46 92,34 / 82,0 60,100",
        "28,0 8,62 16,64 44,46 62,50 62,64 54,100",
        "24,4 14,50 40,56 74,44 / 70,42 66,100",
        "40,0 14,50 20,60 50,54 96,40 / 74,10 60,100",
    ),
    (
        "0,62 20,54 34,98 34,98 54,6 54,6 100,0",
        "60,2 56,50 50,84 30,100 4,90 / 60,4 98,0",
        "96,0 50,6 50,6 40,44 56,56 46,92 4,98",
        "0,50 16,44 34,100 34,100 50,8 50,8 98,4",
        "10,40 30,40 40,98 40,98 60,0 60,0 100,2",
        "96,2 56,4 56,4 50,50 40,86 14,100",
        "84,4 44,4 22,22 36,42 68,58 66,88 16,98",
        "34,8 22,46 22,46 58,44 76,66 52,96 6,94 / 62,6 100,0",
        "70,0 30,10 30,44 66,52 74,80 44,100 10,92",
    ),
    (
        "70,0 30,40 20,80 34,100 56,92 50,78 30,84",
        "50,0 26,50 24,90 40,100 52,90 42,82 28,90",
        "80,0 40,20 8,60 20,96 60,96 78,70 50,54 14,66",
        "24,0 14,50 22,92 60,100 84,76 60,58 18,80",
    ),
    (
        "4,24 16,2 16,2 88,4 88,4 52,50 44,90 60,100 / 22,50 80,46",
        "8,20 30,4 86,2 86,2 50,60 30,90 36,100 54,94",
        "16,14 40,2 54,4 46,56 48,100 / 4,48 98,44",
        "6,16 30,10 46,0 48,50 52,90 76,96 / 0,46 96,40",
        "0,26 10,4 26,10 60,8 86,0 56,48 44,90 56,100 / 20,54 90,44",
        "10,10 74,4 74,4 70,50 66,100 / 40,48 100,44",
    ),
    (
        "18,2 18,98 / 18,2 66,6 64,40 20,48 76,60 74,90 18,98",
        "16,6 58,0 70,22 34,46 76,60 68,92 14,98 14,98 18,8",
        "70,30 66,4 34,0 20,24 70,66 64,98 24,96 26,70 60,44",
        "86,0 40,20 70,66 56,98 24,94 30,64 80,24",
        "56,44 26,30 40,4 70,10 60,36 30,56 10,84 40,100 70,80 56,50",
    ),
    (
        "30,100 46,44 58,10 34,0 14,20 30,40 58,28",
        "72,30 40,46 14,26 34,2 70,4 74,40 60,100",
        "86,12 30,6 10,20 40,30 84,14 84,14 74,100",
        "80,10 40,4 10,14 36,22 80,12 80,12 60,100",
        "70,8 46,0 20,14 16,34 40,46 70,36 72,12 44,2 22,22 40,50 58,74 50,100",
        "20,46 50,40 76,20 60,2 34,0 18,18 30,40 56,56 66,76 56,100",
        "0,8 24,30 50,44 80,34 88,12 66,0 40,10 30,34 50,56 70,72 70,100",
        "14,30 40,44 74,32 70,6 40,0 22,20 40,44 60,62 66,84 40,102 14,94",
        "24,100 40,50 52,4 78,2 88,24 70,44 46,44",
        "30,100 44,60 56,20 70,0 90,6 84,32 60,44 40,30 52,6",
        "86,6 50,0 22,20 30,40 56,44 54,70 40,100",
        "88,8 60,0 34,14 40,34 64,36 60,64 30,100 10,94",
        "90,80 66,56 34,44 14,22 36,2 66,8 70,30 40,46",
        "20,96 40,60 20,40 30,10 60,0 76,20 56,44 34,44",
        "96,90 60,100 50,60 24,44 20,16 46,0 72,14 60,40",
    ),
)
"""Shapes that only the digits beside them tell from others, as fives like a root: for whole numbers alone."""


TICKS = (
    "4,62 26,94 26,94 60,44 98,2",
    "10,50 34,92 34,92 94,6",
    "2,70 20,66 30,96 30,96 50,50 92,4",
    "18,60 24,94 24,94 48,56 80,22 100,12",
    "8,40 40,96 40,96 56,40 74,4",
    "28,64 30,96 30,96 74,4",
    "2,78 22,96 22,96 62,62 100,38",
    "6,56 30,92 36,88 60,40 98,0 84,10",
)
"""Shapes of check marks, one stroke each; see `SHAPES`."""


DRAWN_SIGNS: Mapping[str, Sequence[Strokes]] = {
    ".": [(np.array([[0, 0], [0.02, 0.02]], np.float32),)],
    ",": [(np.array([[0.3, 0], [0, 1]], np.float32),)],
    "-": [(np.array([[0, 0], [1, 0]], np.float32),)],
    "/": [(np.array([[0.5, 0], [0, 1]], np.float32),)],
    ":": [(np.array([[0, 0], [0.02, 0]], np.float32), np.array([[0, 1], [0.02, 1]], np.float32))],
}
"""The signs of decimals, dates and times, as strokes."""


def hands(count: int, seed: int = 0) -> Digits:
    """Draw `count` digits, as many of each, framed as MNIST's: (count, 28, 28) uint8 images and their labels.

    The same count and seed give the same digits.
    """
    rng = np.random.default_rng(seed)
    labels = np.arange(count, dtype=np.uint8) % 10
    images = []
    for label in labels:
        shape = SHAPES[label][rng.integers(len(SHAPES[label]))]
        images.append(frame(_ink(shape, _habits(rng), rng)))
    return Digits(np.array(images, np.uint8).reshape(-1, IMAGE_SIZE, IMAGE_SIZE), labels)


def inventions(count: int, seed: int = 0, rare: bool = True) -> list[Mapping[str, Sequence[Strokes]]]:
    """Invent `count` writers as pen strokes: of each digit one shape, two versions of it; repeatable by its seed.

    rare: whether shapes of `RARE` are among them.
    """
    rng = np.random.default_rng(seed)
    every = [usual + more for usual, more in zip(SHAPES, RARE, strict=True)] if rare else SHAPES
    writers = []
    for _ in range(count):
        proportion, shake = np.exp(rng.uniform(-0.35, 0.35, 2)), rng.uniform(0.01, 0.05)
        hand = {}
        for digit, shapes in enumerate(every):
            shape = shapes[rng.integers(len(shapes))]
            hand[str(digit)] = [
                normalized(
                    [
                        _spline(_shaken(stroke, proportion, shake, rng) * [0.75, 1]).astype(np.float32)
                        for stroke in shape.split("/")
                    ]
                )
                for _ in range(2)
            ]
        writers.append(hand)
    return list(writers)


def ticks(count: int, seed: int = 0) -> list[Strokes]:
    """Invent `count` check marks as pen strokes, repeatable by its seed."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        shape = TICKS[rng.integers(len(TICKS))]
        proportion, shake = np.exp(rng.uniform(-0.5, 0.5, 2)), rng.uniform(0.01, 0.06)
        found.append(normalized([_spline(_shaken(shape, proportion, shake, rng)).astype(np.float32)]))
    return found


class Hand:
    """One writer: a shape of each digit, a slant, a width and a pen, the same in all digits but for some shaking."""

    def __init__(self, rng: np.random.Generator) -> None:
        """Invent a writer; `rng` also shakes what is written."""
        self.rng = rng
        every = (usual + rare for usual, rare in zip(SHAPES, RARE, strict=True))
        self.shapes = [shapes[rng.integers(len(shapes))] for shapes in every]
        self.habits = _habits(rng)

    def write(self, digit: int) -> NDArray[np.uint8]:
        """Draw a digit 0..9: (h, w) uint8, bright ink on 0, cut to its ink; digits are about `HEIGHT` pixels high."""
        return _cut(_ink(self.shapes[digit], self.habits, self.rng))


@dataclass(frozen=True)
class _Habits:
    wide: float
    slant: float
    turn: float
    proportion: NDArray[np.float64]  # a small head and a long tail, or the reverse
    shake: float
    pen: int


def _habits(rng: np.random.Generator) -> _Habits:
    wide = rng.uniform(0.4, 1.2)
    slant, turn = rng.uniform(-0.15, 0.6), rng.uniform(-0.15, 0.15)
    proportion = np.exp(rng.uniform(-0.4, 0.4, 2))
    shake = rng.uniform(0.01, 0.06)
    return _Habits(wide, slant, turn, proportion, shake, round(HEIGHT * rng.uniform(0.05, 0.2)))


def _ink(shape: str, habits: _Habits, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draw one shape on a canvas with room around it."""
    import cv2

    canvas = np.zeros((3 * HEIGHT, 4 * HEIGHT), np.uint8)
    for stroke in shape.split("/"):
        moved = _shaken(stroke, habits.proportion, habits.shake, rng)
        x, y = (moved[:, 0] - 0.5) * habits.wide, moved[:, 1] - 0.5
        x -= habits.slant * y
        cos, sin = np.cos(habits.turn), np.sin(habits.turn)
        curve = (_spline(np.stack([x * cos - y * sin, x * sin + y * cos], axis=1)) + np.array([2.0, 1.5])) * HEIGHT
        sixteenths = np.round(curve * 16).astype(np.int32).reshape(-1, 1, 2)
        cv2.polylines(canvas, [sixteenths], False, 255, habits.pen, cv2.LINE_AA, 4)
    return canvas


def _shaken(
    stroke: str, proportion: NDArray[np.float64], shake: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return a stroke's points (n, 2) in a box one wide and one high, each moved a little; corners stay corners."""
    points = np.array([point.split(",") for point in stroke.split()], float) / 100
    corner = np.append(False, (points[1:] == points[:-1]).all(axis=1))
    moved = points + rng.normal(0, shake, points.shape)
    moved[corner] = moved[np.flatnonzero(corner) - 1]
    shaken: NDArray[np.float64] = moved.clip(0) ** proportion
    return shaken


def _cut(canvas: NDArray[np.uint8]) -> NDArray[np.uint8]:
    rows, columns = np.flatnonzero(canvas.any(axis=1)), np.flatnonzero(canvas.any(axis=0))
    return canvas[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _spline(points: NDArray[np.float64], steps: int = 12) -> NDArray[np.float64]:
    """Return a smooth curve through points (n, 2): Catmull and Rom's cubic, `steps` points a piece."""
    padded = np.concatenate([points[:1], points, points[-1:]])
    before, start, end, after = (padded[i : len(padded) - 3 + i, None] for i in range(4))
    t = np.linspace(0, 1, steps)[None, :, None]
    curve = 0.5 * (
        2 * start
        + (end - before) * t
        + (2 * before - 5 * start + 4 * end - after) * t**2
        + (3 * start - before - 3 * end + after) * t**3
    )
    smooth: NDArray[np.float64] = curve.reshape(-1, 2)
    return smooth
