"""Which way is up: by how much a page was turned, as the numbers on it show, and the page turned back.

The page network knows digits that stand upright. A part of the page with many of them is looked at in twelve
directions; the one in which most characters are digits is up.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from digitnet.imaging.geometry import Affine
from digitnet.imaging.page_find import Maps, Network, bordered, digits_of, places_of, see
from digitnet.imaging.segmentation import Region

WINDOW = 480
"""Sides of the part that is looked at, pixels of the network."""

TALL = 24.0
"""Height of digits at which it is looked at, pixels of the network."""

DIRECTIONS = 12
"""Directions in which it is looked at; between two of them numbers are found as they are, slanted."""

GUESS = 0.2
"""Probability of the likeliest digit from which it counts."""

BETTER, LEAST = 1.2, 1.0
"""How much more of the part must be digits where it is turned than as it is, and how many digits beyond a guess."""

ASIDE = 0.5
"""Share of the digits of the upright part that it must show on its side, or the page does not lie so."""

STEEPEST = 30.0
"""Degrees from level of a line of characters beyond which they do not tell the page's direction."""

NEAR = 6.0
"""Degrees around the usual direction of numbers in which that of lines of numbers is looked for."""

MAX_POINTS = 200
"""Characters that are looked at for it."""

STRAIGHT = 5.0
"""Degrees by which a turn may be off and is taken for a right angle."""


def way_up(page: NDArray[np.uint8], network: Network, regions: Sequence[Region]) -> tuple[float, list[float]]:
    """Return by how much a page seems to be turned, degrees clockwise, 0 <= degrees < 360; 0 where it is upright.

    Returns those of 90 and 270 degrees, too, that may show as much.

    page: (h, w) uint8. regions: what was found on it as it is, at least one; most of it may be wrong.
    """
    talls = [region.ink.shape[0] * float(np.hypot(*region.to_page[:, 1])) / 1.3 for region in regions]
    scale = min(8.0, max(TALL / float(np.median(talls)), WINDOW / max(page.shape)))
    part, middle = _window(page, regions, scale)
    side = min(WINDOW, math.ceil(math.hypot(*part.shape)))
    fill = float(np.median(part))
    seen: list[tuple[float, Maps]] = []
    for direction in range(DIRECTIONS):
        back = rotation(360 * direction / DIRECTIONS)
        to_part = np.column_stack([back, middle - back @ np.full(2, (side - 1) / 2)])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        view = cv2.warpAffine(part, to_part, (side, side), flags=flags, borderValue=fill).astype(np.uint8)
        maps = see(bordered(view, 1.0)[0], network, 1.0)[0]
        seen.append((float(np.clip(digits_of(maps) - GUESS, 0, None).sum()), maps))
    digits = [shown for shown, _ in seen]
    best = max(range(DIRECTIONS), key=digits.__getitem__)
    aside = [90.0 * turns for turns in (1, 3) if digits[turns * DIRECTIONS // 4] >= ASIDE * digits[0]]
    if digits[best] < max(BETTER * digits[0], LEAST):
        return 0.0, aside
    return snapped(360 * best / DIRECTIONS + slant([place.characters for place in places_of(seen[best][1])])), aside


def slant(lines: Sequence[NDArray[np.floating[Any]]]) -> float:
    """Return the usual angle of lines of characters, degrees clockwise from level; of those that are nearly level.

    lines: of each line the (n, 2) centres of its characters, from left to right; the longer ones count more.
    """
    angles = []
    for line in lines:
        if len(line) > 1:
            x, y = line[-(len(line) // 2) :].mean(axis=0) - line[: len(line) // 2].mean(axis=0)
            angles.append((math.degrees(math.atan2(y, x)), len(line) - 1))
    level = sorted((angle, weight) for angle, weight in angles if abs(angle) < STEEPEST)
    half, middle = sum(weight for _, weight in level) / 2, 0.0
    for angle, weight in reversed(level):
        middle = angle if half > 0 else middle
        half -= weight
    return _aligned(np.concatenate(lines)[:MAX_POINTS], middle) if level else 0.0


def _aligned(points: NDArray[np.floating[Any]], angle: float) -> float:
    """Return the direction, near an angle in degrees, along which most points (n, 2) stand in lines with others."""
    pitch = float(np.median(np.sort(np.hypot(*(points[:, None] - points).transpose(2, 0, 1)), axis=1)[:, 1]))
    near = angle + np.arange(-NEAR, NEAR + 0.1, 0.25)
    down = np.stack([-np.sin(np.radians(near)), np.cos(np.radians(near))])
    offset = points @ down  # (points, directions)
    apart = (offset[:, None] - offset) / max(pitch / 4, 1e-6)
    return float(near[np.exp(-apart * apart / 2).sum(axis=(0, 1)).argmax()])


def turned_back(page: NDArray[np.uint8], degrees: float) -> tuple[NDArray[np.uint8], Affine]:
    """Return a page that was turned clockwise as it was before, and the map from its (x, y, 1) to the page given."""
    height, width = page.shape
    turn = rotation(degrees)
    wide, high = (max(1, math.ceil(v - 1e-6)) for v in np.abs(turn) @ (width, height))
    shift = np.array([width, height]) / 2 - turn @ (wide / 2, high / 2)
    back = np.column_stack([turn, shift])
    if degrees % 90 == 0:
        return np.ascontiguousarray(np.rot90(page, round(degrees / 90))), back
    centres = back.copy()  # OpenCV has the middle of a pixel at whole numbers
    centres[:, 2] += turn @ (0.5, 0.5) - 0.5
    fill = float(np.median(np.concatenate([page[0], page[-1], page[:, 0], page[:, -1]])))
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(page, centres, (wide, high), flags=flags, borderValue=fill).astype(np.uint8), back


def rotation(degrees: float) -> NDArray[np.float64]:
    """Return the rotation, clockwise as seen on a page; of right angles without rounding."""
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return np.array([[c, -s], [s, c]]).round(12)


def _window(
    page: NDArray[np.uint8], regions: Sequence[Region], scale: float
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Return the part of a page with most regions, scaled, and the place in it that the window turns around."""
    height, width = page.shape
    middles = np.array([[(r.box[0] + r.box[2]) / 2, (r.box[1] + r.box[3]) / 2] for r in regions])
    half = WINDOW / 2 / scale
    close = (np.abs(middles[:, None] - middles).max(axis=2) < half).sum(axis=1)
    middle = middles[int(close.argmax())]
    if max(height, width) <= 2 * half:
        middle = np.array([width, height]) / 2
    reach = math.sqrt(2) * half
    left, top = np.maximum(np.floor(middle - reach), 0).astype(int).tolist()
    right, bottom = np.minimum(np.ceil(middle + reach), (width, height)).astype(int).tolist()
    part = page[top:bottom, left:right]
    size = max(1, round(part.shape[1] * scale)), max(1, round(part.shape[0] * scale))
    small = cv2.resize(part, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC).astype(np.uint8)
    return small, (middle - (left, top)) * scale


def snapped(degrees: float) -> float:
    """Return a turn in whole degrees, 0 <= degrees < 360; one of about a right angle as that."""
    right = 90 * round(degrees / 90)
    return float((right if abs(degrees - right) <= STRAIGHT else round(degrees)) % 360)
