"""Why a number should not be trusted, by what its picture is like."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from digitnet.imaging.ink import quantiles
from digitnet.reading.candidates import Draft


def reasons(draft: Draft, page: NDArray[np.uint8], refused: bool) -> tuple[str, ...]:
    """Return why a number should not be trusted, as far as that can be told.

    refused: whether the classifier takes one of its digits for none.
    """
    region, boxes, found = draft.region, draft.boxes, []
    if refused or (draft.presence < 0.5).any():
        found.append("not_a_digit")
    if any(one[2] - other[0] > 0.15 * (one[2] - one[0]) for one, other in pairwise(boxes)):
        found.append("touching")
    left, top, right, bottom = region.box
    ink = region.ink
    strong = ink > 127
    sharp = 8 * 25 * max(1.0, float(np.hypot(*region.to_page[:, 0])))
    if strong.any() and np.quantile(_slope(ink)[strong], 0.9, overwrite_input=True) < sharp:
        found.append("blurred")
    if left <= 0 or top <= 0 or right >= page.shape[1] or bottom >= page.shape[0]:
        found.append("cut_off")
    part = page[max(0, top) : bottom, max(0, left) : right]
    if part.size and np.ptp(quantiles(part, (0.02, 0.98))) < 50:
        found.append("faint")
    if np.median([box[3] - box[1] for box in boxes]) * float(np.hypot(*region.to_page[:, 1])) < 14:
        found.append("too_small")
    return tuple(found)


def _slope(ink: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return how steeply ink rises and falls at each pixel, eight times its grey levels for each pixel."""
    across, down = cv2.Sobel(ink, cv2.CV_32F, 1, 0), cv2.Sobel(ink, cv2.CV_32F, 0, 1)
    return np.asarray(cv2.magnitude(across, down, across), np.float32)
