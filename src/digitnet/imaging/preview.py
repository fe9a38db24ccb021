"""A page as a picture to look at: JPEG, scaled down where it is large."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

SIDE, QUALITY = 2_400, 85
"""Pixels of a preview's longer side, at most, and its quality as JPEG, 0..100."""


def preview(page: NDArray[np.uint8]) -> tuple[bytes, float]:
    """Return a page (h, w) uint8 as JPEG, and its scale: pixels of the preview to a pixel of the page."""
    scale = min(1.0, SIDE / max(page.shape))
    if scale < 1:
        size = max(1, round(page.shape[1] * scale)), max(1, round(page.shape[0] * scale))
        page = np.asarray(cv2.resize(page, size, interpolation=cv2.INTER_AREA), np.uint8)
    return cv2.imencode(".jpg", page, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes(), scale
