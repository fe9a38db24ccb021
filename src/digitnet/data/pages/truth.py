"""The target maps of the page network for a composed page, drawn from the quads of its numbers."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from digitnet.data.pages.compose import Composed
from digitnet.data.pages.sheet import NUMBER, PAPER, PRINTED_NUMBER, Floats, Mark

KERNEL, REGION, CHARACTER, IGNORED = 1, 2, 4, 8
"""Bits of `Truth.fine`."""

OCTAVE = 28
"""Steps of `Truth.tall` to a doubling of height."""

SHRUNK = 0.25
"""What is taken away from a number at each side to get its kernel, in heights of its digits."""

MIN_TALL = 5.0
"""Digits lower than so many pixels are neither taught nor punished."""

MIN_CONTRAST = 7.0
"""As `MIN_TALL`, of the difference between ink and paper, grey levels in the channel where it is largest."""


@dataclass(frozen=True, eq=False)
class Truth:
    """Maps of a page, all uint8.

    fine: (h/2, w/2), bits. kinds: (h/4, w/4) of ink. turn: direction of reading, 256 to a full turn. tall: height of
    digits, `OCTAVE` times its logarithm to base 2, 0 where there is no number. value: 1 + what a character is, else 0.
    """

    fine: NDArray[np.uint8]
    kinds: NDArray[np.uint8]
    turn: NDArray[np.uint8]
    tall: NDArray[np.uint8]
    value: NDArray[np.uint8]


def truth(page: Composed) -> Truth:
    """Draw the maps of a page whose sides are multiples of four."""
    height, width = page.kinds.shape
    kernel, region, character, ignored = (np.zeros((height // 2, width // 2), np.uint8) for _ in range(4))
    turn, tall, value = (np.zeros((height // 4, width // 4), np.uint8) for _ in range(3))
    for mark in page.marks:
        across = mark.quad[1] + mark.quad[2] - mark.quad[0] - mark.quad[3]
        if mark.tall < MIN_TALL or not _seen(page, mark):
            _fill(ignored, _grown(mark.quad, 0.1 * mark.tall), 2, 1)
            continue
        _fill(region, mark.quad, 2, 1)
        _fill(kernel, shrunk(mark.quad), 2, 1)
        angle = np.arctan2(across[1], across[0])
        _fill(turn, mark.quad, 4, round(float(angle) * 128 / np.pi) % 256)
        _fill(tall, mark.quad, 4, int(np.clip(round(OCTAVE * np.log2(mark.tall)), 1, 255)))
        for quad, each in mark.characters:
            small = _character(quad, mark.tall)
            _fill(character, small, 2, 1)
            _fill(value, small, 4, 1 + each)
    fine = kernel * KERNEL + region * REGION + character * CHARACTER + ignored * IGNORED
    kinds = page.kinds.reshape(height // 4, 4, width // 4, 4).max(axis=(1, 3))
    return Truth(fine, kinds, turn, tall, value)


def shrunk(quad: Floats) -> Floats:
    """Return the kernel of a number's quad (4, 2)."""
    across, down = _sides(quad)
    wide, high = float(np.hypot(*across)) + 1e-3, float(np.hypot(*down)) + 1e-3
    across, down = across / wide, down / high
    wider = max(wide, 0.4 * high)
    half_wide = wider / 2 - min(SHRUNK * high, 0.3 * wider)
    return _around(quad.mean(axis=0), across * half_wide, down * (0.5 - SHRUNK) * high)


def _character(quad: Floats, tall: float) -> Floats:
    across, down = _sides(quad)
    wide, high = float(np.hypot(*across)) + 1e-3, float(np.hypot(*down)) + 1e-3
    wider, higher = max(wide, 0.3 * tall), max(high, 0.3 * tall)
    return _around(quad.mean(axis=0), across / wide * wider * 0.26, down / high * higher * 0.3)


def _sides(quad: Floats) -> tuple[Floats, Floats]:
    return (quad[1] + quad[2] - quad[0] - quad[3]) / 2, (quad[2] + quad[3] - quad[0] - quad[1]) / 2


def _around(centre: Floats, half_across: Floats, half_down: Floats) -> Floats:
    corners = [centre - half_across - half_down, centre + half_across - half_down]
    return np.array([*corners, centre + half_across + half_down, centre - half_across + half_down], np.float32)


def _grown(quad: Floats, more: float) -> Floats:
    across, down = _sides(quad)
    across, down = (
        across / 2 + more * across / (np.hypot(*across) + 1e-3),
        down / 2 + more * down / (np.hypot(*down) + 1e-3),
    )
    return _around(quad.mean(axis=0), across, down)


def _fill(target: NDArray[np.uint8], quad: Floats, step: int, value: int) -> None:
    places = np.round(((quad + 0.5) / step - 0.5) * 16).astype(np.int32)
    cv2.fillConvexPoly(target, places, value, cv2.LINE_8, 4)


def _seen(page: Composed, mark: Mark) -> bool:
    """Tell whether a number can be told from its paper, and is on the page at all."""
    height, width = page.kinds.shape
    (left, top), (right, bottom) = np.floor(mark.quad.min(axis=0)), np.ceil(mark.quad.max(axis=0))
    left, top, right, bottom = (
        int(np.clip(v, 0, limit)) for v, limit in ((left, width), (top, height), (right, width), (bottom, height))
    )
    if right - left < 2 or bottom - top < 2:
        return False
    kinds, image = page.kinds[top:bottom, left:right], page.image[top:bottom, left:right]
    ink = kinds == (PRINTED_NUMBER if mark.printed else NUMBER)
    ground = kinds == PAPER
    if ink.sum() < 3 or ground.sum() < 3:
        return bool(ink.any())
    difference = np.abs(
        np.subtract(cv2.mean(image, ink.view(np.uint8))[:3], cv2.mean(image, ground.view(np.uint8))[:3])
    )
    return bool(difference.max() >= MIN_CONTRAST)
