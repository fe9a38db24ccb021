"""Handwritten numbers composed of single digits: training data of the line reader, and test pages with ground truth.

A number is written by one writer: digits of one hand set along a baseline, apart, touching or overlapping, slanted,
drifting, with the dots, dashes, joining strokes and signs that stand beside amounts; drawn with one pen on paper with
rules, patterns, shadows and noise. All randomness comes from one numpy generator: a seed gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from digitnet.core.digits import Digits
from digitnet.data.synthesis.writers import Glyph, Group, Writer, styles

NOTHING = 0.25
"""Share of lines that show no digit, where there are words to write."""

_LENGTHS = (0.10, 0.12, 0.16, 0.20, 0.20, 0.11, 0.06, 0.05)
"""How often a number has 1, 2, ... digits."""


@dataclass(frozen=True, eq=False)
class Line:
    """One written number, or letters that are none.

    image: (h, w) uint8, 0 black .. 255 white. text: its digits; empty where nothing is a digit.
    boxes: (len(text), 4) int32 left, top, right, bottom of each digit's ink, pixels.
    """

    image: NDArray[np.uint8]
    text: str
    boxes: NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Page:
    """A page of numbers in reading order.

    image: (h, w) uint8, 0 black .. 255 white. texts: n numbers. boxes: (n, 4) int32 left, top, right, bottom of each
    number's digits, pixels.
    """

    image: NDArray[np.uint8]
    texts: tuple[str, ...]
    boxes: NDArray[np.int32]


class Composer:
    """Writes numbers with the hands it is given, and things that are none."""

    def __init__(self, groups: Sequence[Group], signs: Sequence[Glyph], seed: int, words: Sequence[Glyph] = ()) -> None:
        """Take what is written with.

        groups: a number's writer comes from each as often as its share says. signs: glyphs unlike any digit, that may
        stand beside a number. words: letters, of which words are put together; without them all lines are numbers.
        """
        shares = np.array([share for share, _ in groups])
        self.groups = [writers for _, writers in groups]
        self.shares = shares / shares.sum()
        self.signs = signs
        self.words = words
        self.rng = np.random.default_rng(seed)

    def text(self) -> str:
        """Return a random number, 1 to 8 digits: any digits, or round as prices are."""
        rng = self.rng
        length = 1 + int(rng.choice(len(_LENGTHS), p=_LENGTHS))
        digits = rng.integers(0, 10, length)
        if rng.random() < 0.3:
            digits[length - int(rng.integers(0, length)) :] = 0
        if rng.random() < 0.1:
            digits[:] = np.where(rng.random(length) < 0.6, digits[0], digits)
        return "".join(map(str, digits))

    def line(self, text: str | None = None) -> Line:
        """Write a number, random unless given, as a small picture that holds it alone."""
        rng = self.rng
        text = self.text() if text is None else text
        if self.words and rng.random() < NOTHING:
            return self._nothing()
        writers = self.groups[int(rng.choice(len(self.groups), p=self.shares))]
        ink, boxes = self._ink(text, writers[int(rng.integers(len(writers)))])
        return Line(*self._paper(ink, boxes, text))

    def page(self, texts: Sequence[str], width: int = 1240) -> Page:
        """Write numbers in lines on one page, `width` pixels wide (A4 at 150 dpi) and as high as they need."""
        rng = self.rng
        placed: list[tuple[NDArray[np.float32], int, int]] = []
        boxes = []
        x, y, deepest = int(rng.integers(20, 120)), int(rng.integers(20, 80)), 0
        for text in texts:
            writers = self.groups[int(rng.choice(len(self.groups), p=self.shares))]
            ink, drawn = self._ink(text, writers[int(rng.integers(len(writers)))])
            (left, top), (right, bottom) = drawn[:, :2].min(axis=0).astype(int), drawn[:, 2:].max(axis=0).astype(int)
            down, across = np.flatnonzero(ink.max(axis=1) > 0.3), np.flatnonzero(ink.max(axis=0) > 0.3)
            ink = ink[down[0] : down[-1] + 1, across[0] : across[-1] + 1][:, : width - 40]
            if x + ink.shape[1] > width - 20:
                x, y, deepest = int(rng.integers(20, 120)), y + deepest + int(rng.integers(12, 60)), 0
            x = min(x, width - 20 - ink.shape[1])
            place = np.array([left - across[0] + x, top - down[0] + y, right - across[0] + x, bottom - down[0] + y])
            placed.append((ink, x, y))
            boxes.append(place)
            x += ink.shape[1] + int(ink.shape[0] * rng.uniform(1.5, 4))
            deepest = max(deepest, ink.shape[0])
        canvas = np.zeros((y + deepest + 40, width), np.float32)
        for ink, left, top in placed:
            canvas[top : top + ink.shape[0], left : left + ink.shape[1]] = ink
        return Page(self._written(canvas), tuple(texts), np.array(boxes, np.int32).reshape(-1, 4))

    def _nothing(self) -> Line:
        """Return a picture that shows no digit: a word, a texture, a fence of bars, a scribble, blots and edges."""
        rng = self.rng
        tall = rng.uniform(16, 40)
        kind = rng.random()
        canvas = np.zeros((int(3 * tall), int(tall * rng.uniform(2, 9))), np.float32)
        height, width = canvas.shape
        if kind < 0.48:
            canvas = np.zeros((height, int(14 * tall)), np.float32)
            x, slant, gap = 0.5 * tall, rng.uniform(-0.15, 0.35), rng.uniform(-0.1, 0.2)
            count = int(rng.integers(1, 9))
            letters = self.words if count > 2 else self.signs or self.words  # an O alone is a 0
            first = int(rng.integers(len(letters)))  # neighbours in the list are of one font
            for _ in range(count):
                sign = letters[(first + int(rng.integers(40))) % len(letters)]
                high = tall * rng.uniform(0.6, 1.1)
                glyph = (sign, min(high * sign.shape[1] / sign.shape[0], 1.4 * tall), high)
                x = _draw(canvas, glyph, x, 2.1 * tall, slant)[2] + gap * tall
        elif kind < 0.68:
            rough = np.zeros_like(canvas)
            for octave in range(int(rng.integers(1, 5))):  # fine grain on coarse, as photos have it
                cell = rng.uniform(1, 12) * 2**octave
                grain = rng.random((max(2, int(height / cell)), max(2, int(width / cell))), dtype=np.float32)
                rough += rng.uniform(0.3, 1) * cv2.resize(grain - 0.5, (width, height), interpolation=cv2.INTER_LINEAR)
            rough /= rough.std() + 1e-6
            canvas = np.clip((rough - rng.uniform(-0.3, 1)) * rng.uniform(0.5, 5) + 0.5, 0, 1, dtype=np.float32)
        elif kind < 0.82:
            step, pen = rng.uniform(0.15, 0.9) * tall, max(1, round(tall * rng.uniform(0.04, 0.2)))
            lean, start = rng.normal(0, 0.2) * height, rng.uniform(0, 0.9) * tall
            for foot in np.arange(start, width, step).tolist():
                cv2.line(canvas, (round(foot + lean), 0), (round(foot), height), 1.0, pen, cv2.LINE_AA)
            if rng.random() < 0.4:  # a grid, bricks, squared paper
                for y in np.arange(rng.uniform(0, 0.9) * tall, height, step * rng.uniform(0.5, 2)).tolist():
                    cv2.line(canvas, (0, round(y)), (width, round(y)), 1.0, pen, cv2.LINE_AA)
        else:
            for _ in range(int(rng.integers(1, 6))):
                points = rng.uniform(0, 1, (int(rng.integers(2, 9)), 2)) * (width, height)
                if rng.random() < 0.6:
                    pen = max(1, round(tall * rng.uniform(0.04, 0.3)))
                    cv2.polylines(canvas, [points.astype(np.int32)], bool(rng.random() < 0.3), 1.0, pen, cv2.LINE_AA)
                else:
                    cv2.fillPoly(canvas, [points.astype(np.int32)], rng.uniform(0.3, 1))
        return Line(*self._paper(canvas, np.zeros((0, 4), np.float32), ""))

    def _ink(self, text: str, writer: Writer) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return soft ink (h, w) float32 in 0..1 and the digits' boxes."""
        rng = self.rng
        tall = rng.uniform(16, 40)
        wide, slant, drift = np.exp(rng.normal(0, 0.18)), rng.uniform(-0.15, 0.35), rng.normal(0, 0.05)
        shake, uneven, jitter = rng.uniform(0, 0.06), rng.uniform(0, 0.12), rng.uniform(0, 0.08)
        small_zeros, flat = (rng.uniform(0.4, 0.9), rng.uniform(0.9, 1.8)) if rng.random() < 0.25 else (1.0, 1.0)
        gap = _gap(rng)
        canvas = np.zeros((int(3 * tall), int(tall * (2.6 * len(text) + 9))), np.float32)
        boxes, x, last = [], tall * rng.uniform(0.2, 1), 0.0
        for sign in self._signs(tall, True):
            x = _draw(canvas, sign, x, 2.1 * tall, slant)[2] + rng.uniform(0, 0.4) * tall
        dotted = rng.random() < 0.35
        for place, value in enumerate(text):
            ways = writer[int(value)]
            glyph = ways[int(rng.integers(len(ways)))]
            height = tall * np.exp(rng.normal(0, uneven)) * (small_zeros if value == "0" else 1)
            low = rng.normal(0, shake) * tall - (tall - height) * (rng.choice((0, 0, 0.5, 1)) if value == "0" else 0)
            width = min(glyph.shape[1] / glyph.shape[0] * height * wide * (flat if value == "0" else 1), 1.5 * tall)
            if place:
                x += max((gap + rng.normal(0, jitter)) * tall, -0.4 * min(last, width))
            base = float(np.clip(2.1 * tall + drift * (x - tall) + low, 1.3 * tall, 2.9 * tall))
            left, top, right, bottom = _draw(canvas, (glyph, width, height), x, base, slant)
            boxes.append((left, top, right, bottom))
            x, last = right, width
            rest = len(text) - place - 1
            if rest and ((dotted and rest % 3 == 0) or rng.random() < 0.02):
                size = tall * rng.uniform(0.08, 0.25)
                x = _draw(canvas, (_dot(rng), size * 0.8, size), x + 0.05 * tall, base + rng.uniform(0, size), slant)[2]
        for sign in self._signs(tall, False):
            x = _draw(
                canvas,
                sign,
                x + rng.uniform(0, 0.3) * tall,
                float(np.clip(2.1 * tall + drift * x, 1.3 * tall, 2.9 * tall)),
                slant,
            )[2]
        drawn = np.array(boxes, np.float32).reshape(-1, 4)
        self._join(canvas, drawn, tall)

        return canvas[:, : int(x + tall)], drawn

    def _signs(self, tall: float, before: bool) -> list[tuple[Glyph, float, float]]:
        """Return what stands before or after a number, mostly nothing: (glyph, width, height) each."""
        rng, found = self.rng, []
        kind = rng.random()
        if self.signs and kind < (0.1 if before else 0.07):
            for _ in range(int(rng.integers(1, 4))):
                sign, height = self.signs[int(rng.integers(len(self.signs)))], tall * rng.uniform(0.6, 1.1)
                found.append((sign, min(height * sign.shape[1] / sign.shape[0], 1.4 * tall), height))
        elif not before and kind < 0.30:
            size = tall * rng.uniform(0.08, 0.22)
            if kind < 0.2:
                found.append((_dot(rng), size * 0.8, size))
            if kind > 0.14:
                found += [(_dash(rng), tall * rng.uniform(0.2, 0.9), tall * rng.uniform(0.6, 1.2))] * int(
                    rng.integers(1, 3)
                )
        return found

    def _join(self, canvas: NDArray[np.float32], boxes: NDArray[np.float32], tall: float) -> None:
        """Draw the strokes that a hurried pen leaves between digits and before them."""
        rng = self.rng
        pen = max(1, round(tall * rng.uniform(0.05, 0.12)))

        def stroke(x0: float, y0: float, x1: float, y1: float) -> None:
            ends = [(round(16 * x0), round(16 * y0)), (round(16 * x1), round(16 * y1))]
            cv2.line(canvas, ends[0], ends[1], rng.uniform(0.7, 1), pen, cv2.LINE_AA, 4)

        if rng.random() < 0.15:
            high, share = rng.uniform(0, 1), rng.uniform(0.3, 1)
            for before, after in pairwise(boxes):
                if rng.random() < share and after[0] - before[2] < 0.5 * tall:
                    y0, y1 = (
                        box[1] + (box[3] - box[1]) * np.clip(high + rng.normal(0, 0.1), 0, 1) for box in (before, after)
                    )
                    stroke(before[2] - 0.15 * tall, y0, after[0] + 0.15 * tall, y1)
        if rng.random() < 0.15:
            for box in boxes:
                if rng.random() < 0.4:
                    y = box[1] + (box[3] - box[1]) * rng.uniform(0, 0.5)
                    x = box[0] + 0.1 * tall
                    stroke(x - tall * rng.uniform(0.1, 0.35), y + tall * rng.normal(0, 0.12), x, y)

    def _paper(
        self, ink: NDArray[np.float32], boxes: NDArray[np.float32], text: str
    ) -> tuple[NDArray[np.uint8], str, NDArray[np.int32]]:
        """Draw ink with one pen on paper of some kind, cut out roughly; return the picture and what it shows."""
        rng = self.rng
        # Whoever cuts numbers out cuts some of them too tightly.
        down, across = np.flatnonzero(ink.max(axis=1) > 0.3), np.flatnonzero(ink.max(axis=0) > 0.3)
        top, bottom = (down[0], down[-1] + 1) if len(down) else (0, ink.shape[0])
        left, right = (across[0], across[-1] + 1) if len(across) else (0, ink.shape[1])
        tall = float(bottom - top)
        room = np.where(rng.random(4) < 0.3, rng.uniform(-0.08, 0.05, 4), rng.uniform(0, 0.45, 4)) * tall
        room = room.round().astype(int)
        top, left = max(0, int(top - room[0])), max(0, int(left - room[1]))
        bottom, right = max(top + 4, int(bottom + room[2])), max(left + 4, int(right + room[3]))
        soft: NDArray[Any] = np.ascontiguousarray(ink[top:bottom, left:right])
        picture = self._written(soft)
        moved = boxes - np.array([left, top, left, top], np.float32)
        return picture, text, np.round(moved).astype(np.int32)

    def _written(self, soft: NDArray[Any]) -> NDArray[np.uint8]:
        """Draw soft ink with one pen on paper of some kind, as a scanner or camera sees it."""
        rng = self.rng
        if rng.random() < 0.5:
            soft = cv2.GaussianBlur(soft, (0, 0), rng.uniform(0.3, 1.0))
        # A threshold of soft edges decides how broad the pen is, its steepness how sharp.
        ink = np.clip((soft - rng.uniform(0.25, 0.75)) * rng.uniform(1.5, 6) + 0.5, 0, 1, dtype=np.float32)
        _rules(ink, rng)
        page: NDArray[Any] = _background(ink.shape, rng)
        dark = rng.uniform(0.2, 1.0) if rng.random() < 0.5 else rng.uniform(0.6, 1)
        texture = rng.uniform(0, 0.35) * (rng.random() < 0.4)
        if texture:
            ink = ink * (1 - texture * rng.random(ink.shape, dtype=np.float32))
        page = page * (1 - dark * ink)
        if rng.random() < 0.4:
            page = cv2.GaussianBlur(page, (0, 0), rng.uniform(0.3, 1.1))
        if rng.random() < 0.6:
            page = page + rng.normal(0, rng.uniform(0.005, 0.06), page.shape).astype(np.float32)
        picture = np.clip(page * 255, 0, 255).astype(np.uint8)
        if rng.random() < 0.4:
            packed = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 90))])[1]
            picture = np.asarray(cv2.imdecode(packed, cv2.IMREAD_GRAYSCALE), np.uint8)
        return picture


def unseen(digits: Digits, signs: Sequence[Glyph] = (), count: int = 1_000) -> list[Line]:
    """Compose `count` numbers, always the same, from digits that a reader has not learnt from, to score it by."""
    composer = Composer([(1, styles(digits, 3, 1))], signs, 0)
    return [composer.line() for _ in range(count)]


def _gap(rng: np.random.Generator) -> float:
    """Return a writer's gap between digits, in heights of a digit: a third touch, few are far apart."""
    kind = rng.random()
    if kind < 0.35:
        return float(rng.uniform(-0.2, 0.03))
    return float(rng.uniform(0, 0.25) if kind < 0.8 else rng.uniform(0.2, 0.8))


def _draw(
    canvas: NDArray[np.float32], sign: tuple[Glyph, float, float], x: float, base: float, slant: float
) -> tuple[float, float, float, float]:
    """Draw a glyph, stretched to (width, height), leaning over its foot at (x, base); return its ink's box."""
    glyph, width, height = sign
    across, down = width / glyph.shape[1], height / glyph.shape[0]
    reach = abs(slant) * height / 2
    left, top = max(0, int(x - reach) - 1), max(0, int(base - height) - 1)
    size = (int(x + width + reach) + 3 - left, int(base) + 3 - top)
    fit = np.array([[across, -slant * down, x - left + slant * height / 2], [0, down, base - height - top]])
    drawn = cv2.warpAffine(glyph, fit, size, flags=cv2.INTER_LINEAR)
    part = canvas[top : top + size[1], left : left + size[0]]
    drawn = drawn[: part.shape[0], : part.shape[1]]
    columns, rows = (
        np.flatnonzero(drawn.max(axis=0, initial=0) > 100),
        np.flatnonzero(drawn.max(axis=1, initial=0) > 100),
    )
    np.maximum(part, drawn * np.float32(1 / 255), out=part)
    if not len(columns) or not len(rows):
        return x, base - height, x + width, base
    return left + columns[0], top + rows[0], left + columns[-1] + 1, top + rows[-1] + 1


def _dot(rng: np.random.Generator) -> Glyph:
    """Return a dot or a comma."""
    glyph = np.zeros((16, 16), np.uint8)
    tail = (int(rng.integers(0, 10)), 15) if rng.random() < 0.4 else (8, 8)
    cv2.line(glyph, (8, 7), tail, 255, int(rng.integers(5, 12)), cv2.LINE_AA)
    return glyph


def _dash(rng: np.random.Generator) -> Glyph:
    """Return a dash, single or double, halfway up a glyph of paper."""
    glyph = np.zeros((20, 8), np.uint8)
    rows = (9, 10) if rng.random() < 0.7 else (6, 7, 12, 13)
    glyph[list(rows)] = 255
    return glyph


def _rules(ink: NDArray[np.float32], rng: np.random.Generator) -> None:
    """Draw ruled lines and the sides of boxes over the ink."""
    height, width = ink.shape
    if rng.random() < 0.25:
        for _ in range(int(rng.integers(1, 3))):
            y = int(height * (rng.uniform(0.75, 1.0) if rng.random() < 0.7 else rng.uniform(0, 1)))
            tilt = int(rng.normal(0, 0.01) * width)
            cv2.line(ink, (0, y), (width, y + tilt), rng.uniform(0.3, 1), int(rng.integers(1, 3)), cv2.LINE_AA)
    if rng.random() < 0.08:
        for x in (rng.uniform(0, 0.1), rng.uniform(0.9, 1.0)):
            x0 = int(width * x)
            cv2.line(ink, (x0, 0), (x0 + int(rng.normal(0, 1)), height), rng.uniform(0.3, 1), int(rng.integers(1, 3)))


def _background(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float32]:
    """Return paper, (h, w) float32 in 0..1: plain, shaded, or printed with the fine patterns of cheques and forms."""
    height, width = shape
    page = np.full(shape, rng.uniform(0.4, 1.0), np.float32)
    if rng.random() < 0.3:
        corners = rng.uniform(0.6, 1.0, (2, 2)).astype(np.float32)
        page *= cv2.resize(corners, (width, height), interpolation=cv2.INTER_LINEAR)
    if rng.random() < 0.55:
        y, x = np.mgrid[:height, :width].astype(np.float32)
        strength = rng.uniform(0.03, 0.3)
        for _ in range(int(rng.integers(1, 3))):
            turn, period = rng.uniform(0, np.pi), rng.uniform(2.5, 12)
            wave = rng.uniform(0, 4) * np.sin(x / rng.uniform(4, 30) + rng.uniform(0, 6)) if rng.random() < 0.6 else 0
            lines = np.sin((x * np.cos(turn) + (y + wave) * np.sin(turn)) * (2 * np.pi / period))
            page *= 1 - strength * np.clip(lines * rng.uniform(0.5, 3) - rng.uniform(0, 1), 0, 1, dtype=np.float32)
        if rng.random() < 0.3:
            period = int(rng.integers(3, 9))
            page[::period, ::period] *= 1 - strength
    return page
