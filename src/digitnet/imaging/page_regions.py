"""The regions found by the page network, with their images for the line reader."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from digitnet.imaging.page_find import MAX_PLACES, Network, Place, cut, find
from digitnet.imaging.segmentation import Found, Region

MAX_BACKGROUND = 0.4
"""Share of a picture's range from paper to ink below which a pixel is taken for paper."""


def regions(page: NDArray[np.uint8], network: Network) -> Found:
    """Find the numbers on a page (h, w) uint8, in reading order; each region has its picture and its probability."""
    found = [region_of(page, place) for place in find(page, network)]
    limits = ("too_many_numbers",) if len(found) > MAX_PLACES else ()
    return Found(found[:MAX_PLACES], limits, tuple(region.box for region in found[MAX_PLACES:]))


def region_of(page: NDArray[np.uint8], place: Place) -> Region:
    """Cut a place out of its page."""
    picture, to_page = cut(page, place)
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
    return Region(box, ink, parts, to_page, picture, place.score, place.printed)
