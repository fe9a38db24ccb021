"""Scans and photos of a sheet: position and angle, desk and lid, light, blur, grain, compression."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from digitnet.data.pages.sheet import PICTURE, Floats, Mark, Sheet
from digitnet.data.pages.texture import Surfaces, colour, noise


def photograph(
    sheet: Sheet, size: tuple[int, int], rng: np.random.Generator, way: str, surfaces: Surfaces
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], list[Mark]]:
    """Take a picture of a sheet: (h, w, 3) uint8, the kind of ink at each pixel (h, w) uint8, and the numbers on it.

    size: (h, w). way: "flat", "tilted", "desk" or "turned". surfaces: what it lies on.
    """
    height, width = size
    tall = float(np.min([mark.tall for mark in sheet.marks])) if sheet.marks else 20.0
    picture = np.clip(sheet.picture * 255, 0, 255).astype(np.uint8)
    if way == "flat" and (sheet.height, sheet.width) == size:
        return _lit(picture, tall, rng), sheet.kinds, sheet.marks
    matrix = _view(sheet, size, way, rng)
    reduced = float(np.sqrt(abs(np.linalg.det(matrix[:2, :2])))) < 0.6
    if reduced:
        picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), 0.8), np.uint8)
    how: dict[str, Any] = {"flags": cv2.INTER_LINEAR, "borderMode": cv2.BORDER_CONSTANT}
    seen = cv2.warpPerspective(picture, matrix, (width, height), **how)
    kinds = cv2.warpPerspective(sheet.kinds, matrix, (width, height), flags=cv2.INTER_NEAREST).astype(np.uint8)
    corners = np.array([[[0, 0], [sheet.width, 0], [sheet.width, sheet.height], [0, sheet.height]]], np.float32)
    outline = cv2.perspectiveTransform(corners, matrix)[0]
    paper = np.zeros((height, width), np.uint8)
    cv2.fillConvexPoly(paper, np.round(outline * 16).astype(np.int32), 255, cv2.LINE_AA, 4)
    if paper.min() < 255:
        desk = (surfaces(height, width, rng) * 255).astype(np.uint8)
        if rng.random() < 0.5:  # the sheet's own shadow
            shift, soft = rng.uniform(-8, 8, 2), rng.uniform(1, 8)
            move = np.array([[1, 0, shift[0]], [0, 1, shift[1]]])
            shadow: Any = cv2.GaussianBlur(cv2.warpAffine(paper, move, (width, height)), (0, 0), soft)
            desk = (desk * (1 - shadow[:, :, None] * (rng.uniform(0.2, 0.6) / 255))).astype(np.uint8)
        share = (paper.astype(np.uint16) + 1)[:, :, None]
        seen = ((seen * share + desk * (256 - share)) >> 8).astype(np.uint8)
        kinds[paper < 128] = PICTURE
    marks = [moved for mark in sheet.marks if (moved := _moved(mark, matrix, size))]
    return _lit(np.asarray(seen, np.uint8), tall, rng), kinds, marks


def _view(sheet: Sheet, size: tuple[int, int], way: str, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return the homography from a sheet to the picture of it."""
    height, width = size
    corners = np.array([[0, 0], [sheet.width, 0], [sheet.width, sheet.height], [0, sheet.height]], np.float32)
    middle = np.array([sheet.width, sheet.height]) / 2
    angle = {"flat": 0.02, "tilted": 0.12, "desk": 0.15}.get(way, 0) * rng.normal()
    if way == "turned" or (way == "desk" and rng.random() < 0.1):
        angle = (
            rng.uniform(-np.pi, np.pi) if rng.random() < 0.6 else rng.integers(1, 4) * np.pi / 2 + rng.normal(0, 0.05)
        )
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    seen = (corners - middle) @ turn.T
    extent = np.ptp(seen, axis=0)
    across, down = (float(v) for v in np.array([width, height]) / extent)
    fits, covers = min(across, down), max(across, down)
    times = rng.uniform(0.75, 1.02) * fits if way == "desk" else rng.uniform(0.9, 1.1) * (covers + fits) / 2
    seen = seen * times
    place = rng.normal(0, 0.04 if way == "desk" else 0.08, 2) * (width, height) + (width / 2, height / 2)
    skew = {"flat": 0.004, "tilted": 0.05, "desk": 0.05, "turned": 0.03}[way]
    seen = seen + place + rng.normal(0, skew, (4, 2)) * np.abs(extent).max() * times
    return np.asarray(cv2.getPerspectiveTransform(corners, seen.astype(np.float32)), np.float64)


def _moved(mark: Mark, matrix: NDArray[np.float64], size: tuple[int, int]) -> Mark | None:
    points = np.concatenate([mark.quad, *(quad for quad, _ in mark.characters)])[None].astype(np.float32)
    points = cv2.perspectiveTransform(points, matrix)[0].reshape(-1, 4, 2)
    quad = points[0]
    if (quad.max(axis=0) < 0).any() or (quad.min(axis=0) > size[::-1]).any():
        return None
    before = np.linalg.norm(mark.quad[3] - mark.quad[0]) + np.linalg.norm(mark.quad[2] - mark.quad[1])
    after = np.linalg.norm(quad[3] - quad[0]) + np.linalg.norm(quad[2] - quad[1])
    characters = [(each, value) for each, (_, value) in zip(points[1:], mark.characters, strict=True)]
    return Mark(quad, mark.tall * float(after) / max(float(before), 1e-3), mark.printed, characters)


def _lit(picture: NDArray[np.uint8], tall: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Light a picture and take it with some camera."""
    height, width = picture.shape[:2]
    clean = rng.random() < 0.22
    if not clean:
        light: Any = np.ones((height, width), np.float32)
        if rng.random() < 0.6:
            knots = int(rng.integers(2, 4))
            corners = (1 + rng.uniform(0.02, 0.25) * rng.standard_normal((knots, knots))).astype(np.float32)
            light = cv2.resize(corners, (width, height), interpolation=cv2.INTER_CUBIC)
        if rng.random() < 0.15:
            y, x = np.ogrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
            light = light * (
                1 - rng.uniform(0.1, 0.6) * ((x - rng.normal(0, 0.2)) ** 2 + (y - rng.normal(0, 0.2)) ** 2) / 2
            )
        if rng.random() < 0.18:  # something's shadow
            shade = np.zeros((height, width), np.uint8)
            start = rng.uniform(0, 1, 2) * (width, height)
            turn = rng.uniform(0, 2 * np.pi)
            way, side = np.array([np.cos(turn), np.sin(turn)]), np.array([-np.sin(turn), np.cos(turn)])
            far = 2 * max(height, width)
            deep = far if rng.random() < 0.6 else rng.uniform(30, 400)
            points = [
                start - way * far,
                start + way * far,
                start + way * far + side * deep,
                start - way * far + side * deep,
            ]
            cv2.fillConvexPoly(shade, np.round(points).astype(np.int32), 255)
            soft = np.exp(rng.uniform(np.log(0.4), np.log(40)))
            blurred: Any = cv2.GaussianBlur(shade, (0, 0), min(soft, 12)) if soft < 12 else _wide_blur(shade, soft)
            light = light * (1 - blurred * np.float32(rng.uniform(0.1, 0.6) / 255))
        if rng.random() < 0.1:  # folds
            for _ in range(int(rng.integers(1, 4))):
                across = rng.random() < 0.5
                at = np.arange(width if across else height, dtype=np.float32) - rng.uniform(
                    0, width if across else height
                )
                ridge = rng.uniform(-0.15, 0.15) * np.exp(-np.abs(at) / rng.uniform(2, 60)) * np.sign(at)
                light = light * (1 + (ridge[None, :] if across else ridge[:, None]))
        light = np.clip(light * rng.uniform(0.5, 1.15), 0.02, 1.3).astype(np.float32)
        if rng.random() < 0.5:
            tint = 1 + rng.normal(0, 0.06, 3)
            lit = picture * (light[:, :, None] * tint.astype(np.float32))
        else:
            lit = picture * light[:, :, None]
        picture = np.clip(lit, 0, 255).astype(np.uint8)
    if not clean and rng.random() < 0.35:
        sigma = float(np.exp(rng.uniform(np.log(0.3), np.log(1.6))))
        picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), np.uint8)
    if rng.random() < (0.12 if tall < 90 else 0.45):  # a small picture, enlarged; a fax
        times = rng.uniform(1.2, 2.2) if tall < 60 else min(tall / rng.uniform(14, 50), 16.0)
        small = cv2.resize(picture, None, fx=1 / times, fy=1 / times, interpolation=cv2.INTER_AREA)
        how = int(rng.choice((cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_NEAREST)))
        picture = np.asarray(cv2.resize(small, (width, height), interpolation=how), np.uint8)
    strength = 0.0
    if not clean and rng.random() < 0.6:
        strength = float(np.exp(rng.uniform(np.log(1), np.log(14))))
        grain = rng.standard_normal((height // 2 + 1, width // 2 + 1), np.float32)
        which = rng.random()
        if which < 0.5:  # the same for all colours, from a tile, for speed
            tile: Any = np.tile(grain, (2, 2))[:height, :width]
            if rng.random() < 0.4:
                tile = cv2.GaussianBlur(tile, (0, 0), rng.uniform(0.5, 1.2)) * 2
            tile = np.repeat((tile * strength)[:, :, None], 3, axis=2)
        else:
            tile = (
                np.stack([np.tile(np.roll(grain, 7 * i, i % 2), (2, 2))[:height, :width] for i in range(3)], 2)
                * strength
            )
        picture = np.clip(picture + tile, 0, 255).astype(np.uint8)
    if rng.random() < 0.25:
        grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
        if rng.random() < 0.25:  # a scan in black and white
            around = int(rng.integers(15, 80)) * 2 + 1
            if rng.random() < 0.5:
                below = max(rng.uniform(6, 30), 2.5 * strength)  # else its grain is all that is seen
                level: Any = cv2.blur(grey, (around, around)).astype(np.float32) - below
            else:
                low, high = np.quantile(grey[::8, ::8], (0.02, 0.7))
                level = low + (high - low) * rng.uniform(0.4, 0.8)
            grey = np.where(grey < level, 0, 255).astype(np.uint8)
        picture = np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR), np.uint8)
    if rng.random() < 0.45:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 95))]
        picture = np.asarray(cv2.imdecode(cv2.imencode(".jpg", picture, quality)[1], cv2.IMREAD_COLOR), np.uint8)
    return picture


def _wide_blur(shade: NDArray[np.uint8], sigma: float) -> Any:
    small = cv2.resize(shade, None, fx=0.125, fy=0.125, interpolation=cv2.INTER_AREA)
    return cv2.resize(cv2.GaussianBlur(small, (0, 0), sigma / 8), _size(shade), interpolation=cv2.INTER_LINEAR)


def _size(picture: NDArray[np.uint8]) -> tuple[int, int]:
    return picture.shape[1], picture.shape[0]


def paper(height: int, width: int, rng: np.random.Generator, board: bool) -> Floats:
    """Return blank paper (h, w, 3) float32, 0..1: white, cream, grey, coloured; a board, chalk's dust on it."""
    if board:
        tone = colour(rng, 0.03, 0.3, 0.4)
    else:
        kind = rng.random()
        tone = np.full(3, rng.uniform(0.88, 1.0), np.float32)
        if kind < 0.25:
            tone = tone * np.array([rng.uniform(0.75, 0.97), rng.uniform(0.92, 1), 1], np.float32)
        elif kind < 0.4:
            tone = colour(rng, 0.5, 0.9, 0.1)
        elif kind < 0.5:
            tone = colour(rng, 0.55, 0.95, 0.7)
    sheet = np.empty((height, width, 3), np.float32)
    sheet[:] = tone
    grain = rng.random()
    if grain < 0.25 or board:
        size = float(np.exp(rng.uniform(np.log(1), np.log(80 if not board else 200))))
        rough = noise(height, width, (size, size), 3, rng) * np.float32(rng.uniform(0.004, 0.03))
        sheet += rough[:, :, None]
    return sheet
