"""Images for notebooks and pages, with the base install alone."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

MAX_DIGITS, COLUMNS = 60, 15
"""Digits shown, and how many in a row."""

TILE, WORDS = 56, 15
"""Side of a digit's picture and height of the line below it, pixels."""


WRONG, PLAIN = "#c4420a", "#5a6270"


def digits_png(
    images: NDArray[np.uint8],
    labels: NDArray[np.uint8] | None,
    probs: NDArray[np.float32] | None,
    names: Sequence[str],
) -> bytes | None:
    """Return the first digits (n, 28, 28) as a PNG, dark ink on paper, or None where there are none.

    Below each stands its label, or what a model said: the most probable digit, and where that is wrong both, in orange.
    names: what the labels stand for.
    """
    from PIL import Image, ImageDraw, ImageFont

    count = min(MAX_DIGITS, len(images))
    if not count:
        return None
    words = labels is not None or probs is not None
    high = TILE + (WORDS if words else 0)
    page = Image.new("RGB", (min(COLUMNS, count) * TILE, -(-count // COLUMNS) * high), "white")
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(12)
    for place in range(count):
        left, top = place % COLUMNS * TILE, place // COLUMNS * high
        ink = Image.fromarray(255 - images[place]).resize((TILE - 4, TILE - 4), Image.Resampling.NEAREST)
        page.paste(ink, (left + 2, top + 2))
        true = None if labels is None else names[labels[place]]
        said = None if probs is None else names[probs[place].argmax()]
        text, colour = _caption(true, said)
        draw.text((left + TILE / 2, top + TILE + WORDS / 2), text, colour, font, "mm")
    return png(page)


def _caption(true: str | None, said: str | None) -> tuple[str, str]:
    if true is not None and said is not None and true != said:
        return f"{true} as {said}", WRONG
    return true or said or "", PLAIN


def png(image: Image, optimize: bool = False) -> bytes:
    """Return an image as a PNG file; optimize: smaller, and slower to make."""
    packed = io.BytesIO()
    image.save(packed, "PNG", optimize=optimize)
    return packed.getvalue()


def data_uri(image: Image) -> str:
    """Return an image as a data URI, a small PNG, for a page that loads nothing."""
    return "data:image/png;base64," + base64.b64encode(png(image, optimize=True)).decode()
