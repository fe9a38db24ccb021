"""A decoded image -> an upright grey page, (h, w) uint8, 0 black .. 255 white.

Pillow images are converted in bands of rows, so that a page needs its decoded pixels, its grey ones and little else.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from digitnet.core.errors import ImageError

if TYPE_CHECKING:
    from PIL.TiffImagePlugin import TiffImageFile

Page = NDArray[np.uint8]

MAX_COVERAGE = 0.5
"""Share of an image that ink covers at most: what covers more of a transparent background is paper."""

MIN_DARK = 0.001
"""Share of the visible pixels that must be darker than mid-grey for a transparent background to be white."""

_BAND = 2**20  # pixels converted at a time
_ORIENTATION = 0x0112  # the EXIF tag
_UPRIGHT: dict[int, Callable[[Page], Page]] = {
    2: lambda page: page[:, ::-1],
    3: lambda page: page[::-1, ::-1],
    4: lambda page: page[::-1],
    5: lambda page: page.T,
    6: lambda page: np.rot90(page, -1),
    7: lambda page: page[::-1, ::-1].T,
    8: lambda page: np.rot90(page),
}
_ON_ITS_SIDE = (5, 6, 7, 8)
_PHOTOMETRIC, _WHITE_IS_ZERO = 262, 0  # a TIFF tag and its value


def upright(picture: Image.Image, release: Callable[[], None] | None = None) -> Page:
    """Return the current frame of a Pillow image as an upright grey page.

    release: called when the decoded pixels are not needed any more.
    """
    picture.load()
    page = _grey(picture)
    turn = _UPRIGHT.get(_orientation(picture))
    if release:
        release()
    return np.array(turn(page), order="C") if turn else page


def resolution(picture: Image.Image) -> tuple[float, float] | None:
    """Return the dots per inch across and down that the file of a picture states for its upright page; None if none."""
    try:
        across, down = (float(dots) for dots in picture.info["dpi"])
    except (KeyError, TypeError, ValueError, ArithmeticError):
        return None
    if not (0 < across < math.inf and 0 < down < math.inf):
        return None
    return (down, across) if _orientation(picture) in _ON_ITS_SIDE else (across, down)


def of_array(array: NDArray[Any]) -> Page:
    """Return an array (h, w), (h, w, 3) or (h, w, 4) as a grey page; see `pages.pages` for its types and ranges."""
    eight = array.astype(np.uint8) * np.uint8(255) if array.dtype.kind == "b" else eight_bits(array)
    return eight if eight.ndim == 2 else _grey(Image.fromarray(eight))


def eight_bits(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Return the values of a page, scaled linearly to 0..255, in an array of its own.

    White is the least of 255, 1023, 4095, 16383 and 65535 that no value exceeds, because files of 8, 10, 12 and 14 bits
    come in 16 or more and seldom say so. Where paper is brighter than a quarter of a full 16 bits' white, this divides
    by 257; a darker page becomes brighter. Whatever was meant, no page loses what it shows: values up to 255 stay
    themselves, where a division by 257 would leave only 0.
    Floats are of 0..1; of 0..255 and so on if their brightest is 128 or more. Between the two they may be either, and
    one guess would make a black page: they raise ImageError, and so do negative, larger and not finite values.
    """
    if values.dtype == np.uint8:
        return np.array(values, order="C")
    low, high = values.min(), values.max()
    whites = [1] if values.dtype.kind == "f" and high < 128 else [255, 1023, 4095, 16383, 65535]
    white = next((white for white in whites if low >= 0 and high <= white), None)
    if white is None:
        raise ImageError(f"{values.dtype} values from {low:g} to {high:g}; scale them to 0..255, white at 255")
    grey = np.empty(values.shape, np.uint8)
    step = max(1, len(values) * _BAND // values.size)  # rows: a page's floats all at once would fill the memory
    for top in range(0, len(values), step):
        grey[top : top + step] = np.rint(values[top : top + step] * np.float32(255 / white))
    return grey


def _orientation(picture: Image.Image) -> int:
    try:
        return int(picture.getexif().get(_ORIENTATION, 1))
    except Exception:  # damaged EXIF says nothing about the picture: it is shown as it is stored
        return 1


def _grey(picture: Image.Image) -> Page:
    if picture.mode.startswith("I") or picture.mode == "F":
        return _deep(picture)
    clear = picture.has_transparency_data
    page = np.empty((picture.height, picture.width), np.uint8)
    alpha = np.empty_like(page) if clear else None
    for rows, band in _bands(picture):
        if alpha is not None:
            if band.mode not in ("LA", "RGBA"):
                band = band.convert("LA" if band.mode == "La" else "RGBA")
            alpha[rows] = np.asarray(band.getchannel("A"))
        elif band.mode == "LAB":
            band = band.convert("RGB")
        page[rows] = np.asarray(band.convert("L"))
    if alpha is not None:
        _on_background(page, alpha)
    return page


def _deep(picture: Image.Image) -> Page:
    """Return the page of an image of one channel with more than eight bits."""
    first = np.asarray(picture.crop((0, 0, 1, 1)))
    deep = np.empty((picture.height, picture.width), first.dtype)
    for rows, band in _bands(picture):
        deep[rows] = np.asarray(band)
    page = eight_bits(deep)
    if picture.format == "TIFF" and cast("TiffImageFile", picture).tag_v2.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
        np.subtract(255, page, out=page)  # Pillow does so for up to eight bits only
    if (clear := picture.info.get("transparency")) is not None:
        _on_background(page, np.where(deep == clear, np.uint8(0), np.uint8(255)))
    return page


def _bands(picture: Image.Image) -> Iterator[tuple[slice, Image.Image]]:
    """Yield an image in bands of full width: which rows of it, and an image of these."""
    step = max(1, _BAND // picture.width)
    for top in range(0, picture.height, step):
        bottom = min(top + step, picture.height)
        band = picture.crop((0, top, picture.width, bottom))
        yield slice(top, bottom), band


def _on_background(page: Page, alpha: NDArray[np.uint8]) -> None:
    """Lay a page with transparency on white in place; on black where it shows light ink and nothing else.

    alpha: (h, w), 0 transparent .. 255 opaque; it is overwritten.
    """
    step = max(1, _BAND // page.shape[1])
    visible = dark = 0
    for top in range(0, len(page), step):
        shown = alpha[top : top + step] >= 128
        visible += int(np.count_nonzero(shown))
        dark += int(np.count_nonzero(shown & (page[top : top + step] < 128)))
    light_ink = 0 < visible < MAX_COVERAGE * page.size and dark < MIN_DARK * visible
    cv2.multiply(page, alpha, page, scale=1 / 255)
    if not light_ink:
        cv2.add(page, cv2.bitwise_not(alpha, alpha), page)
