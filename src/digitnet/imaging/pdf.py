"""The pages of a PDF as grey images, rendered by PDFium: scans at their own resolution, all else at `DOTS_PER_INCH`."""

from __future__ import annotations

import importlib
import math
import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from digitnet.core.errors import ImageError

DOTS_PER_INCH = 300
"""Dots per inch at which pages other than scans are drawn: a digit 2 mm high is 24 pixels high, its frame 20."""

BYTES_PER_PIXEL = 4
"""Bytes for each pixel of a page that drawing it takes."""

MAX_OBJECTS = 10_000
"""Objects of a page, counted from the first, among which its images are looked for."""

_PDFIUM = threading.RLock()  # PDFium may be in use by one thread at a time, whatever the documents
_TEXT, _IMAGE, _FORM = 1, 3, 5  # FPDF_PAGEOBJ_*
_INVISIBLE = 3  # FPDF_TEXTRENDERMODE_INVISIBLE: what text recognition lays over a scan


def open_pdf(
    opener: Callable[[BinaryIO], Any], file: BinaryIO, stack: ExitStack, check: Callable[[float, float, float], None]
) -> tuple[int, Callable[[int], tuple[NDArray[np.uint8], tuple[float, float]]]]:
    """Return how many pages a PDF has, and the function that draws one of them and tells its dots per inch.

    `stack` will close it.

    check: raises ImageError where so many pixels across and down, with so many bytes beside them, are too many.
    """
    with _PDFIUM:
        try:
            document = opener(file)
        except RuntimeError as error:
            if "password" in str(error):
                raise ImageError("protected by a password; save a copy without one") from error
            raise
        stack.callback(_close, document)
        document.init_forms()  # without, what was typed into the fields of a form is not drawn
        count = len(document)

    def read(number: int) -> tuple[NDArray[np.uint8], tuple[float, float]]:
        with _PDFIUM:
            leaf = document[number]
            try:
                return _draw(leaf, check)
            finally:
                leaf.close()

    return count, read


def _close(document: Any) -> None:
    with _PDFIUM:
        document.close()


def _draw(leaf: Any, check: Callable[[float, float, float], None]) -> tuple[NDArray[np.uint8], tuple[float, float]]:
    scale = _scale(leaf, check)
    drawn = leaf.render(scale=scale, grayscale=True).to_numpy()
    return np.asarray(drawn.reshape(drawn.shape[:2]), np.uint8), (72 * scale, 72 * scale)


def _scale(leaf: Any, check: Callable[[float, float, float], None]) -> float:
    """Return the pixels per unit of the page that it is drawn at: a scan's own, half of them, or `DOTS_PER_INCH`."""
    (width, height), (own, memory) = leaf.get_size(), _images(leaf)
    scales = [own, own / 2, DOTS_PER_INCH / 72] if own else [DOTS_PER_INCH / 72]
    refused: list[ImageError] = []
    for scale in scales:
        try:
            check(width * scale, height * scale, memory)
        except ImageError as error:
            refused.append(error)
        else:
            return scale
    raise refused[0]


def _images(leaf: Any) -> tuple[float | None, float]:
    """Return the resolution of a page's only content, if that is a scan, and the bytes to decode the largest image.

    The resolution is in pixels per unit of the page, which is 1/72 inch or what /UserUnit says; the finer one, where it
    differs across and down. Invisible text over a scan does not count.
    """
    only, memory, alone = None, 0.0, True
    to_page = {0: np.eye(3)}  # by the depth of forms within forms
    for number, each in enumerate(leaf.get_objects(max_depth=3)):
        if number == MAX_OBJECTS:
            return None, memory
        if each.type == _FORM:
            to_page[each.level + 1] = _matrix(each) @ to_page[each.level]
        elif each.type == _IMAGE:
            across, down = each.get_px_size()
            memory = max(memory, across * down * _bytes(each))
            alone &= only is None
            only = across, down, _matrix(each) @ to_page[each.level]
        elif each.type != _TEXT or not _invisible(each):
            alone = False
    if not alone or only is None:
        return None, memory
    across, down, matrix = only
    lengths = math.hypot(*matrix[0, :2]), math.hypot(*matrix[1, :2])
    if min(lengths) == 0:
        return None, memory
    # Sizes are rounded up, and 80.00001 pixels would become 81.
    return max(across / lengths[0], down / lengths[1]) * (1 - 1e-6), memory


def _bytes(each: Any) -> float:
    """Return the bytes for each pixel of an image that decoding it takes, as measured."""
    if "JPXDecode" in each.get_filters():  # PDFium decodes JPEG 2000 to know the bits of a pixel
        return 15
    return float(each.get_metadata().bits_per_pixel / 8 + 1.5)


def _matrix(each: Any) -> NDArray[np.float64]:
    """Return how an object lies in what it is drawn on: (x, y, 1) @ (3, 3)."""
    a, b, c, d, e, f = each.get_matrix().get()
    return np.array([[a, b, 0], [c, d, 0], [e, f, 1]])


def _invisible(text: Any) -> bool:
    pdfium = importlib.import_module("pypdfium2.raw")
    return bool(pdfium.FPDFTextObj_GetTextRenderMode(text.raw) == _INVISIBLE)
