"""Pictures to read: digits from MNIST and from pen strokes, on pages and canvases; and pictures without any digit."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import matplotlib
import numpy as np
import sklearn
from foreign import GLYPH, PEN, no_digits
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from digitnet.core.digits import Digits
from digitnet.data import datasets
from digitnet.data.synthesis.writers import cut
from digitnet.imaging import pages

Gray = NDArray[np.uint8]
Ink = NDArray[np.float32]  # (h, w) in 0..1
Rng = np.random.Generator

KINDS = ["blank", "gradients", "noise", "textures", "photos", "words", "letters", "clothes"]

PHOTOS = [Path(sklearn.__file__).parent / "datasets" / "images" / name for name in ("china.jpg", "flower.jpg")]
PHOTOS.append(Path(matplotlib.get_data_path(), "sample_data", "grace_hopper.jpg"))

WORDS = ["invoice", "for", "delivery", "please", "pay", "the", "whole", "amount", "holder", "signature", "Quittung"]


@lru_cache
def mnist() -> Digits:
    return datasets.splits("mnist").test


def digit(i: int, height: int) -> tuple[Ink, str]:
    """Return the ink of a MNIST test digit of a height in pixels, and what it is."""
    return enlarged(mnist().images[i], height), str(np.asarray(mnist().labels)[i])


def enlarged(picture: Gray, height: int) -> Ink:
    """Return a small picture's ink, with edges as sharp as a pen's instead of as blurred as it is large."""
    glyph = cut(picture)
    times = height / len(glyph)
    size = max(1, round(glyph.shape[1] * times)), height
    ink = cv2.resize(glyph, size, interpolation=cv2.INTER_CUBIC if times > 1 else cv2.INTER_AREA).astype(np.float32)
    return ((ink / 255 - 0.5) * max(1, times / 2) + 0.5).clip(0, 1)


def noisy(page: Any, rng: Rng, strength: float) -> Gray:
    grey = page + strength * rng.standard_normal(page.shape, np.float32)
    return np.asarray(grey.clip(0, 255), np.uint8)


def printed(ink: Ink, rng: Rng) -> Gray:
    """Put ink on paper of any level and polarity, with a little noise."""
    paper, pen = rng.uniform(150, 255), rng.uniform(0, 80)
    page = noisy(paper + (pen - paper) * ink, rng, rng.uniform(0, 4))
    return page if rng.random() < 0.5 else 255 - page


def placed(inks: list[Ink], rng: Rng, least: int, most: int) -> Gray:
    """Put inks at random, not over each other, on a page of `least` to `most` pixels a side, or as many as it takes."""
    height, width = (max(int(rng.integers(least, most)), int(1.1 * max(ink.shape[i] for ink in inks))) for i in (0, 1))
    page = np.zeros((height, width), np.float32)
    for ink in inks:
        high, wide = ink.shape
        y, x = int(rng.integers(height - high + 1)), int(rng.integers(width - wide + 1))
        if not page[max(0, y - 4) : y + high + 4, max(0, x - 4) : x + wide + 4].any():
            page[y : y + high, x : x + wide] = ink
    return printed(page, rng)


def canvas(records: list[dict[str, Any]], rng: Rng) -> Gray:
    """Draw digits one after another on a canvas, black on white or white on black, each as large as it was written."""
    written = [[np.array(stroke, float) for stroke in record["strokes"]] for record in records]
    boxes = [(np.concatenate(lines).min(axis=0), np.concatenate(lines).max(axis=0)) for lines in written]
    largest, tall = max((high - low).max() for low, high in boxes), float(rng.uniform(80, 200))
    times, pen, room = tall / largest, round(PEN / GLYPH * tall), rng.uniform(0, 0.8, 2) * tall
    moved, x = [], 0.3 * tall + rng.random() * room[0]
    for lines, (low, high) in zip(written, boxes, strict=True):
        foot = np.array([low[0], high[1] + rng.normal(0, 0.03) * largest])
        moved += [(line - foot) * times + (x, 1.4 * tall + room[1] / 2) for line in lines]
        x += (high[0] - low[0]) * times + pen + rng.uniform(0.08, 0.3) * tall
    page = np.full((int(1.8 * tall + room[1]), int(x + 0.3 * tall + room[0])), 255, np.uint8)
    for line in moved:
        sixteenths = np.round(line * 16).astype(np.int32).reshape(-1, 1, 2)
        cv2.polylines(page, [sixteenths], len(line) == 1, 0, pen, cv2.LINE_AA, 4)
    return page if rng.random() < 0.5 else 255 - page


def without_digits(kind: str, rng: Rng) -> Gray:
    """Draw a picture of one of `KINDS`."""
    ink = np.zeros(rng.integers(200, 1000, 2), np.float32)
    y, x = np.indices(ink.shape, np.float32)
    if kind == "gradients":  # along the page, or around a place on it
        turn, low, high = rng.uniform(0, 6.28), *np.sort(rng.uniform(0, 255, 2))
        light = np.hypot(x - 300, y - 300) if rng.random() < 0.5 else x * np.cos(turn) + y * np.sin(turn)
        return noisy(low + (high - low) * (light - light.min()) / np.ptp(light), rng, rng.uniform(0, 3))
    if kind == "noise":  # pepper, or grain, fine or coarse, weak or strong
        if rng.random() < 0.2:
            return np.where(rng.random(ink.shape) < rng.uniform(0.001, 0.1), 0, 255).astype(np.uint8)
        grain = cv2.GaussianBlur(rng.standard_normal(ink.shape), (0, 0), rng.choice([0.1, 1, 2, 4, 8, 16]))
        return noisy(128 + rng.uniform(5, 80) * grain / grain.std(), rng, 0)
    if kind == "textures":
        turn, period, thin = rng.uniform(-0.2, 0.2), rng.uniform(6, 80), rng.uniform(0.05, 0.3)
        u, v = (x * np.cos(turn) + y * np.sin(turn)) / period, (y * np.cos(turn) - x * np.sin(turn)) / period
        patterns = {
            "stripes": u % 1 < 0.5,
            "chess board": (u % 2 < 1) != (v % 2 < 1),
            "squared paper": (u % 1 < thin) | (v % 1 < thin),
            "dots": np.hypot(u % 1 - 0.5, v % 1 - 0.5) < thin + 0.1,
            "bricks": (v % 1 < thin) | ((u / 2 + (v // 1 % 2) / 2) % 1 < thin / 2),
            "wood": (np.hypot(u / 4, v) + 0.3 * np.sin(x / 40) * np.sin(y / 30)) % 1 < 0.4,
        }
        ink = patterns[rng.choice(list(patterns))].astype(np.float32)
        return printed(cv2.GaussianBlur(ink, (0, 0), rng.uniform(0.3, 1.5)), rng)
    if kind == "photos":  # parts of them, enlarged
        whole = pages.page(PHOTOS[rng.integers(3)])
        side = int(rng.integers(80, min(whole.shape)))
        top, left = (int(rng.integers(limit - side + 1)) for limit in whole.shape)
        return noisy(cv2.resize(whole[top : top + side, left : left + side], ink.shape[::-1]), rng, 0)
    if kind == "words":
        drawn, size = Image.fromarray(ink), int(rng.integers(12, 90))
        name = rng.choice(["DejaVuSans", "DejaVuSansMono-Bold", "DejaVuSerif-Italic", "cmr10", "STIXGeneral"])
        font = ImageFont.truetype(str(Path(matplotlib.get_data_path(), "fonts", "ttf", f"{name}.ttf")), size)
        lines = [" ".join(rng.choice(WORDS, rng.integers(1, 7))) for _ in range(rng.integers(1, 8))]
        ImageDraw.Draw(drawn).text((int(rng.integers(10, 60)), 20), "\n".join(lines), 1.0, font, spacing=size // 2)
        return printed(np.asarray(drawn), rng)
    if kind == "letters":
        some = rng.choice(no_digits(kind), rng.integers(1, 11))
        return placed([enlarged(letter, int(rng.integers(20, 200))) for letter in some], rng, 300, 1000)
    if kind == "clothes":
        return placed([enlarged(rng.choice(no_digits(kind)), int(rng.integers(60, 600)))], rng, 300, 1000)
    return printed(ink, rng)
