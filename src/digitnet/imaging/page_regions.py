"""The regions found by the page network, with their images for the line reader; and two of them as one."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from digitnet.imaging.crop import cut
from digitnet.imaging.page_find import MAX_PLACES, Network, Place, find, peaks
from digitnet.imaging.segmentation import Found, Region

MAX_BACKGROUND = 0.4
"""Share of a picture's range from paper to ink below which a pixel is taken for paper."""

TRACE = 0.1
"""Probability of a number's kernel below which the page network contradicts a region that thresholds found."""

MAX_SLANT = 0.25
"""Between the directions of two places of one line at most, radians."""

MAX_RATIO = 1.8
"""Of the heights of two places of one line at most."""

MIN_LEVEL = 0.5
"""Share of the lower one's height that two places of one line are beside each other."""


def regions(page: NDArray[np.uint8], network: Network) -> Found:
    """Find the numbers on a page (h, w) uint8, in reading order; each region has its picture and its probability."""
    places, lines = find(page, network)
    found = [region_of(page, place) for place in places]
    limits = ("too_many_numbers",) if len(found) > MAX_PLACES else ()
    return Found(found[:MAX_PLACES], limits, tuple(region.box for region in found[MAX_PLACES:]), tuple(lines))


def traced(page: NDArray[np.uint8], found: Found, network: Network) -> Found:
    """Leave out the regions of a page (h, w) uint8 in which the page network shows no trace of a number."""
    if not found.regions:
        return found
    highest = peaks(page, network, [region.box for region in found.regions])
    return found._replace(regions=[each for each, peak in zip(found.regions, highest, strict=True) if peak >= TRACE])


def region_of(page: NDArray[np.uint8], place: Place, highest: int = 96) -> Region:
    """Cut a place out of its page; the picture is at most `highest` pixels high."""
    picture, to_page = cut(page, place, highest=highest)
    height, width = page.shape
    low, high = np.floor(place.quad.min(axis=0)), np.ceil(place.quad.max(axis=0))
    left, top = (int(np.clip(v, 0, limit - 1)) for v, limit in zip(low, (width, height), strict=True))
    right, bottom = (
        int(np.clip(v, least + 1, limit)) for v, least, limit in zip(high, (left, top), (width, height), strict=True)
    )
    box = (left, top, right, bottom)
    strength = np.clip((picture / np.float32(255) - 0.2) / 0.8, 0, 1)
    ink = np.where(strength > MAX_BACKGROUND, 255 * strength, 0).astype(np.uint8)
    n, _, stats, _ = cv2.connectedComponentsWithStats((ink > 0).astype(np.uint8), connectivity=8)
    parts = tuple((x, y, x + w, y + h) for x, y, w, h, _ in stats[1:n].tolist())
    return Region(box, ink, parts, to_page, picture, place)


def gap(one: Place, other: Place) -> float:
    """Return how far a place is behind another in their line, in heights of their digits; infinite on other lines."""
    if abs(math.remainder(one.angle - other.angle, 2 * math.pi)) > MAX_SLANT:
        return math.inf
    if max(one.tall, other.tall) > MAX_RATIO * min(one.tall, other.tall):
        return math.inf
    (_, top, end, bottom), (begin, other_top, _, other_bottom) = _extent(one, one.angle), _extent(other, one.angle)
    beside = min(bottom, other_bottom) - max(top, other_top)
    if beside < MIN_LEVEL * min(bottom - top, other_bottom - other_top):
        return math.inf
    return 2 * (begin - end) / (one.tall + other.tall)


def joined(page: NDArray[np.uint8], places: Sequence[Place], room: float = 0.0, highest: int = 96) -> Region:
    """Return the region around places of one line, with room before and after them, in heights of their digits.

    highest: of its picture, pixels.
    """
    angle = places[0].angle
    extents = np.array([_extent(place, angle) for place in places])
    weights = np.array([len(place.characters) + 1 for place in places])
    margin = room * float(np.median([place.tall for place in places]))
    (left, top), (right, bottom) = extents[:, :2].min(axis=0), extents[:, 2:].max(axis=0)
    left, right = left - margin, right + margin
    corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]]) @ _axes(angle)
    tall, score = (
        float(np.average(each, weights=weights))
        for each in ([place.tall for place in places], [place.score for place in places])
    )
    kinds = np.average([place.kinds for place in places], axis=0, weights=weights).astype(np.float32)
    characters = np.concatenate([place.characters for place in places])
    return region_of(page, Place(corners.astype(np.float32), tall, score, kinds, characters), highest)


def _axes(angle: float) -> NDArray[np.float64]:
    """Return the directions of reading and down, (2, 2)."""
    return np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])


def _extent(place: Place, angle: float) -> tuple[float, float, float, float]:
    """Return left, top, right and bottom of a place along a direction of reading."""
    along = place.quad @ _axes(angle).T
    return (*along.min(axis=0).tolist(), *along.max(axis=0).tolist())
