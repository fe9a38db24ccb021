"""Paper and its scans or photos: patterns, ruled lines, boxes, light, grain, compression, thresholds."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def photographed(ink: Floats, dark: float, tall: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Put ink (h, w), 0..1, on paper of some kind and take its picture: (h, w) uint8, 0 black .. 255 white.

    dark: how dark full ink is on white paper, 0..1. tall: pixels of a digit's height, for the scale of patterns.
    """
    soft: NDArray[Any] = ink
    if rng.random() < 0.3:
        soft = cv2.GaussianBlur(soft, (0, 0), rng.uniform(0.3, 0.9))
    page: NDArray[Any] = background(ink.shape, tall, 0.35 + 0.65 * dark, rng)
    page = page * (1 - dark * soft)
    if rng.random() < 0.35:
        page = cv2.GaussianBlur(page, (0, 0), rng.uniform(0.3, max(0.6, 0.04 * tall)))
    if rng.random() < 0.6:
        noise: NDArray[Any] = rng.standard_normal(page.shape, np.float32) * np.float32(
            rng.uniform(0.004, 0.05) * (0.3 + 0.7 * dark)
        )
        if rng.random() < 0.3:
            noise = cv2.GaussianBlur(noise, (0, 0), rng.uniform(0.5, 1.2)) * 2
        page = page + noise
    if rng.random() < 0.08:  # a hard shadow
        edge = rng.uniform(0, page.shape[1])
        x = np.clip((np.arange(page.shape[1]) - edge) / rng.uniform(0.5, 6), -30, 30)
        page = page * (1 - rng.uniform(0.15, 0.5) / (1 + np.exp(x))).astype(np.float32)
    picture = np.clip(page * 255, 0, 255).astype(np.uint8)
    kind = rng.random()
    if kind < 0.10:  # a scan in black and white
        picture = _binarized(picture, rng)
    elif kind < 0.2 and tall > 16:  # a small picture, enlarged
        times = rng.uniform(1.2, max(1.3, tall / 11))
        small = cv2.resize(
            picture, None, fx=1 / times, fy=1 / times, interpolation=cv2.INTER_AREA if times > 1.5 else cv2.INTER_LINEAR
        )
        picture = np.asarray(
            cv2.resize(small, picture.shape[::-1], interpolation=int(rng.choice((cv2.INTER_LINEAR, cv2.INTER_CUBIC)))),
            np.uint8,
        )
    if rng.random() < 0.3:
        packed = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 90))])[1]
        picture = np.asarray(cv2.imdecode(packed, cv2.IMREAD_GRAYSCALE), np.uint8)
    return picture


def _binarized(picture: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    low, high = np.quantile(picture[:: max(1, picture.shape[0] // 32)], (0.02, 0.75))
    level = low + (high - low) * rng.uniform(0.4, 0.85)
    black: NDArray[np.uint8] = np.where(picture < level, 0, 255).astype(np.uint8)
    if rng.random() < 0.4:
        flipped = rng.random(black.shape, np.float32) < rng.uniform(0, 0.02)
        black[flipped] = 255 - black[flipped]
    return black


def background(shape: tuple[int, ...], tall: float, strength: float, rng: np.random.Generator) -> Floats:
    """Return paper, (h, w) float32 in 0..1: plain, shaded, or printed with the fine patterns of cheques and forms."""
    height, width = shape
    page = np.full(shape, rng.uniform(0.4, 1.0), np.float32)
    if rng.random() < 0.3:
        corners = rng.uniform(0.6, 1.0, (2, 2)).astype(np.float32)
        page *= cv2.resize(corners, (width, height), interpolation=cv2.INTER_LINEAR)
    kind = rng.random()
    if kind < 0.40:
        y, x = np.mgrid[:height, :width].astype(np.float32)
        strong = rng.uniform(0.03, 0.33) * strength
        for _ in range(int(rng.integers(1, 3))):
            turn, period = rng.uniform(0, np.pi), max(2.2, tall * rng.uniform(0.06, 0.4))
            wave: Any = 0
            if rng.random() < 0.6:
                wave = rng.uniform(0, 0.15) * tall * np.sin(x / (tall * rng.uniform(0.15, 1.2)) + rng.uniform(0, 6))
            lines = np.sin((x * np.cos(turn) + (y + wave) * np.sin(turn)) * (2 * np.pi / period))
            page *= 1 - strong * np.clip(lines * rng.uniform(0.5, 3) - rng.uniform(0, 1), 0, 1, dtype=np.float32)
        if rng.random() < 0.3:
            step = int(rng.integers(3, 9))
            page[::step, ::step] *= 1 - strong
    elif kind < 0.52:  # grain, stains, recycled paper
        cell = tall * rng.uniform(0.03, 0.5)
        grain = rng.random((max(2, int(height / cell)), max(2, int(width / cell))), dtype=np.float32)
        smooth = cv2.resize(grain, (width, height), interpolation=cv2.INTER_LINEAR)
        page *= 1 - np.float32(rng.uniform(0.03, 0.3) * strength) * smooth
    elif kind < 0.62:  # squared paper
        pitch, pale = tall * rng.uniform(0.35, 1.3), 1 - rng.uniform(0.05, 0.5) * strength
        thick = max(1, round(tall * rng.uniform(0.01, 0.05)))
        start = rng.uniform(0, pitch, 2)
        for x0 in np.arange(start[0], width, pitch).astype(int).tolist():
            page[:, x0 : x0 + thick] *= pale
        if rng.random() < 0.8:
            for y0 in np.arange(start[1], height, pitch).astype(int).tolist():
                page[y0 : y0 + thick] *= pale
    return page


def rules(ink: Floats, rng: np.random.Generator) -> None:
    """Draw ruled lines, an underline, or the sides of a box over the ink."""
    height, width = ink.shape

    def line(start: tuple[float, float], end: tuple[float, float]) -> None:
        thick = max(1, round(height * rng.uniform(0.01, 0.05)))
        dark = float(rng.uniform(0.3, 1))
        ends = [(round(16 * x), round(16 * y)) for x, y in (start, end)]
        before = ink.copy()
        cv2.line(ink, ends[0], ends[1], dark, thick, cv2.LINE_AA, 4)
        np.maximum(ink, before, out=ink)

    for _ in range(int(rng.integers(1, 3))):
        y = height * (rng.uniform(0.75, 1.0) if rng.random() < 0.7 else rng.uniform(0, 1))
        line((0, y), (width, y + rng.normal(0, 0.012) * width))
    if rng.random() < 0.35:
        for side in (0, 1):
            if rng.random() < 0.7:
                x = width * abs(side - rng.uniform(0, 0.06))
                line((x, 0), (x + rng.normal(0, 0.03) * height, height))


def comb(ink: Floats, boxes: Floats, rng: np.random.Generator) -> None:
    """Draw a form's comb: a side between any two digits, around them, or boxes apart."""
    height = ink.shape[0]
    top = float(max(0, boxes[:, 1].min() - rng.uniform(0, 0.25) * height))
    bottom = float(min(height - 1, boxes[:, 3].max() + rng.uniform(0, 0.2) * height))
    thick = max(1, round(height * rng.uniform(0.01, 0.04)))
    dark = float(rng.uniform(0.3, 1))
    middles = (boxes[:-1, 2] + boxes[1:, 0]) / 2
    pitch = float(np.median(np.diff((boxes[:, 0] + boxes[:, 2]) / 2))) if len(boxes) > 1 else height * 0.8
    sides = [float(boxes[0, 0] - 0.2 * pitch), *middles.tolist(), float(boxes[-1, 2] + 0.2 * pitch)]
    start = top if rng.random() < 0.6 else bottom - (bottom - top) * rng.uniform(0.2, 0.6)
    drawn = np.zeros_like(ink)
    for x in sides:
        cv2.line(drawn, (round(x), round(start)), (round(x), round(bottom)), dark, thick)
    if rng.random() < 0.85:
        cv2.line(drawn, (round(sides[0]), round(bottom)), (round(sides[-1]), round(bottom)), dark, thick)
    if start == top and rng.random() < 0.85:
        cv2.line(drawn, (round(sides[0]), round(top)), (round(sides[-1]), round(top)), dark, thick)
    np.maximum(ink, drawn, out=ink)


def ring(ink: Floats, boxes: Floats, thick: float, rng: np.random.Generator) -> None:
    """Draw a ring around all digits, as one marks an answer."""
    left, top = boxes[:, :2].min(axis=0)
    right, bottom = boxes[:, 2:].max(axis=0)
    wide, high = (right - left) * rng.uniform(0.55, 0.8) + 2, (bottom - top) * rng.uniform(0.55, 0.8) + 2
    middle = (float((left + right) / 2), float((top + bottom) / 2))
    turn = rng.uniform(0, 2 * np.pi)
    angle = np.linspace(turn, turn + 2 * np.pi * rng.uniform(0.9, 1.15), 40)
    grow = 1 + np.linspace(0, rng.normal(0, 0.1), 40)
    points = np.stack([middle[0] + wide * grow * np.cos(angle), middle[1] + high * grow * np.sin(angle)], axis=1)
    drawn = np.zeros_like(ink)
    cv2.polylines(
        drawn,
        [np.round(points * 16).astype(np.int32)],
        False,
        1.0,
        max(1, round(thick * rng.uniform(0.6, 1.2))),
        cv2.LINE_AA,
        4,
    )
    np.maximum(ink, drawn, out=ink)


def nothing(tall: float, rng: np.random.Generator) -> Floats:
    """Return ink without any writing: a texture, a fence of bars, a grid, a scribble, blots, or nothing at all."""
    height, width = int(tall * rng.uniform(1.2, 2.5)), int(tall * rng.uniform(1, 9))
    ink: Floats = np.zeros((height, width), np.float32)
    kind = rng.random()
    if kind < 0.4:
        rough: NDArray[Any] = np.zeros_like(ink)
        for octave in range(int(rng.integers(1, 5))):  # fine grain on coarse, as photos have it
            cell = rng.uniform(1, 12) * 2**octave
            grain = rng.random((max(2, int(height / cell)), max(2, int(width / cell))), dtype=np.float32)
            rough += rng.uniform(0.3, 1) * cv2.resize(grain - 0.5, (width, height), interpolation=cv2.INTER_LINEAR)
        rough /= rough.std() + 1e-6
        texture: Floats = np.clip((rough - rng.uniform(-0.3, 1)) * rng.uniform(0.5, 5) + 0.5, 0, 1, dtype=np.float32)
        return texture
    if kind < 0.65:
        step, pen = rng.uniform(0.15, 0.9) * tall, max(1, round(tall * rng.uniform(0.04, 0.2)))
        step = min(step, width / 4)  # three bars at least: one alone is a 1
        lean, start = rng.normal(0, 0.2) * height, rng.uniform(0, 1) * step
        for foot in np.arange(start, width, step).tolist():
            cv2.line(ink, (round(foot + lean), 0), (round(foot), height), 1.0, pen, cv2.LINE_AA)
        if rng.random() < 0.4:  # a grid, bricks, squared paper
            for y in np.arange(rng.uniform(0, 0.9) * tall, height, step * rng.uniform(0.5, 2)).tolist():
                cv2.line(ink, (0, round(y)), (width, round(y)), 1.0, pen, cv2.LINE_AA)
    elif kind < 0.92:
        for _ in range(int(rng.integers(1, 6))):
            points = rng.uniform(0, 1, (int(rng.integers(4, 9)), 2)) * (width, height)
            if rng.random() < 0.6:
                pen = max(1, round(tall * rng.uniform(0.04, 0.3)))
                cv2.polylines(ink, [points.astype(np.int32)], bool(rng.random() < 0.3), 1.0, pen, cv2.LINE_AA)
            else:
                cv2.fillPoly(ink, [points.astype(np.int32)], float(rng.uniform(0.3, 1)))
    return ink
