"""A reading, step by step, as one image: the page, its ink, the numbers, and the line reader's input for each."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from digitnet.imaging.ink import ink_of
from digitnet.models.model_file import MARGIN, STRIDE
from digitnet.reading.reader import Reader
from digitnet.reading.result import Reading

PICTURE_WIDTH = 1000
"""Width of the picture, pixels."""

MAX_STRIPS = 20
"""Numbers whose strips are shown."""


def steps(reader: Reader, reading: Reading, single: bool = False) -> NDArray[np.uint8]:
    """Draw how a page was read, (h, WIDE, 3) uint8 RGB, from top to bottom:

    the page; its ink as `ink.ink_of` sees it; the page with a box around every number; and of each number the strip
    that the line reader was given with, below each column, the digit it saw there, darker where it was surer.
    """
    panels = [
        _caption("1. the page, upright and grey"),
        _fit(_colour(reading.page)),
        _caption("2. its ink, without light and shadow"),
        _fit(_colour(255 - ink_of(reading.page))),
        _caption(f"3. numbers found: {len(reading.numbers)}"),
        _fit(reading.draw()),
        _caption("4. the input of the line reader, and its output for every column"),
    ]
    seen = reader.look(reading.page, single=single, turned=reading.turned)
    panels += [_fit(_columns(strip, columns.log_probs), 1.0) for strip, columns in seen[:MAX_STRIPS]]
    if len(seen) > MAX_STRIPS:
        panels.append(_caption(f"... and {len(seen) - MAX_STRIPS} more"))
    return np.concatenate(panels)


def _columns(strip: NDArray[np.uint8], log_probs: NDArray[np.float32], scale: int = 2) -> NDArray[np.uint8]:
    """Draw a strip enlarged, and below it the columns' most probable digits."""
    height, width = strip.shape
    canvas = np.full((height * scale + 30, (width + 2 * MARGIN) * scale), 255, np.uint8)
    canvas[: height * scale, MARGIN * scale : (MARGIN + width) * scale] = 255 - np.kron(
        strip, np.ones((scale, scale), np.uint8)
    )
    probs = np.exp(log_probs[:, :10])
    for column, row in enumerate(probs):
        best = int(row.argmax())
        if row[best] > 0.05:
            grey = int(220 * (1 - row[best]))
            where = (column * STRIDE * scale, height * scale + 20)
            cv2.putText(
                canvas, str(best), where, cv2.FONT_HERSHEY_SIMPLEX, 0.5, grey, 1 + (row[best] > 0.5), cv2.LINE_AA
            )
    return _colour(canvas)


def _caption(text: str) -> NDArray[np.uint8]:
    panel = np.full((34, PICTURE_WIDTH, 3), 235, np.uint8)
    cv2.putText(panel, text, (8, 23), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (40, 40, 40), 1, cv2.LINE_AA)
    return panel


def _colour(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.repeat(grey[:, :, None], 3, axis=2)


def _fit(picture: NDArray[np.uint8], most: float = 3.0) -> NDArray[np.uint8]:
    """Scale a picture down to the width, or enlarge a small one up to `most` times, on paper."""
    height, width = picture.shape[:2]
    scale = min(PICTURE_WIDTH / width, most, 1400 / height)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    scaled = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    panel = np.full((size[1] + 12, PICTURE_WIDTH, 3), 255, np.uint8)
    panel[6 : 6 + size[1], : size[0]] = scaled
    return panel
