"""Pictures of one digit each, as plain arrays: a folder with one subfolder per digit, or per class of another name."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from digitnet.core.digits import IMAGE_SIZE
from digitnet.core.errors import DataError
from digitnet.core.text import reason
from digitnet.data.formats import Arrays
from digitnet.data.pixels import to_labels
from digitnet.imaging.suffixes import IMAGE_SUFFIXES

log = logging.getLogger("digitnet")

MAX_PIXELS = 16_000_000
"""Pixels of a picture of one digit beyond which it is refused."""

_PICTURE_FORMATS = ("PNG", "BMP", "GIF", "JPEG", "PPM", "TIFF", "WEBP")


def read_folder(path: Path) -> Arrays:
    """Read a folder with one subfolder of pictures per digit, named 0 to 9, or per class; see `classes_in`.

    Pictures are grey or become so, and what is transparent is black. Those of 28x28 are taken as they are; of any other
    size they are one digit each, dark or light, that `frame` frames as MNIST's, as the log tells. Hidden files (such
    as a Mac's `._7.png`) and suffixes that are not in `IMAGE_SUFFIXES` are passed over. Raises DataError on a picture
    that is unreadable or of more than `MAX_PIXELS`, or where there are none.
    """
    files = files_in(path)
    if not files:
        raise DataError(f"{path}: no images in subfolders named 0 to 9 ({', '.join(sorted(IMAGE_SUFFIXES))})")
    images = read_pictures(((file, file) for file in files), path)
    return images, to_labels(np.array([file.parent.name for file in files]), path)


def files_in(path: Path) -> list[Path]:
    """Return the pictures of a folder with one subfolder per digit, in the order in which `read_folder` reads them."""
    return [file for folder in classes_in(path) for file in _pictures(folder)]


def classes_in(path: Path) -> list[Path]:
    """Return the subfolders that hold the pictures of one class each.

    They are those with pictures; beside a folder named 0 to 9, those alone whose names are one character or a number of
    at most three digits.
    """
    folders = [each for each in sorted(path.iterdir()) if each.is_dir() and not each.name.startswith((".", "__MACOSX"))]
    found = [folder for folder in folders if _pictures(folder)]
    characters = any(is_digit_name(folder.name) for folder in found)
    return [folder for folder in found if re.fullmatch(r".|\d{1,3}", folder.name) or not characters]


def _pictures(folder: Path) -> list[Path]:
    files = sorted(folder.iterdir())
    return [file for file in files if file.suffix.lower() in IMAGE_SUFFIXES and not file.name.startswith(".")]


def is_digit_name(name: str) -> bool:
    """Tell whether a folder's name is one of 0 to 9."""
    return name in set("0123456789")


def read_pictures(sources: Iterable[tuple[Path | BinaryIO, object]], name: object) -> NDArray[np.uint8]:
    """Return pictures of one digit each, in files or open, as (n, 28, 28) uint8, as `read_folder` does.

    sources: each with its own name, `name` that of all, for messages and the log.
    """
    from digitnet.imaging.normalization import frame  # needs OpenCV, which classifying does without

    images, framed = [], 0
    for source, each in sources:
        ink = _read_picture(source, each)
        if ink.shape != (IMAGE_SIZE, IMAGE_SIZE):
            ink, framed = frame(ink), framed + 1
        images.append(ink)
    if framed:
        log.info(
            "%s: %s images of other sizes, framed to %dx%d like MNIST's", name, f"{framed:,}", IMAGE_SIZE, IMAGE_SIZE
        )
    return np.stack(images) if images else np.empty((0, IMAGE_SIZE, IMAGE_SIZE), np.uint8)


def _read_picture(source: Path | BinaryIO, name: object) -> NDArray[np.uint8]:
    from PIL import Image

    try:
        with Image.open(source, formats=_PICTURE_FORMATS) as picture:
            width, height = picture.size
            if width * height > MAX_PIXELS:
                raise DataError(f"{name}: {width}x{height} pixels, more than the {MAX_PIXELS:,} of a digit; crop it")
            if picture.mode.startswith(("I", "F")):
                raise DataError(f"{name}: {picture.mode} pixels; save it with 8 bits per channel")
            paper = Image.new("RGBA", picture.size, "black")
            return np.asarray(Image.alpha_composite(paper, picture.convert("RGBA")).convert("L"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(f"{name}: not a readable image ({reason(error)})") from error
