"""Digits in and out of files, as plain arrays: IDX, CSV, npz and folders of pictures.

Each reader gives (images, labels): (n, 28, 28) uint8 and (n,) integers, or None where the file has no labels.
What a file claims (magic, counts, sizes) is checked against what it holds before anything large is allocated.
Not covered: finding digits in larger pictures; every image here is already 28x28.
"""

from __future__ import annotations

import contextlib
import csv
import io
import math
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digitnet.digits import SIDE
from digitnet.errors import DataError, listed, printable
from digitnet.files import gunzip

MAX_BYTES = 4 << 30
"""Most bytes a data file may hold once decompressed: five million digits."""

PICTURES = {".png", ".bmp", ".gif", ".jpg", ".jpeg", ".pgm", ".tif", ".tiff", ".webp"}
"""Picture files that a folder per digit may hold, by suffix."""

MOST_PIXELS = 16_000_000
"""Pixels of a picture of one digit beyond which it is refused."""

_PICTURE_FORMATS = ("PNG", "BMP", "GIF", "JPEG", "PPM", "TIFF", "WEBP")
_UBYTE = 0x08  # the IDX type code of unsigned bytes
_PIXELS = SIDE * SIDE

Arrays = tuple[NDArray[np.uint8], NDArray[Any] | None]
"""(n, 28, 28) uint8 images and (n,) integer labels, or None."""


def read_bytes(path: Path) -> bytes:
    """Return a file's bytes, unpacked where they are gzip. Raises DataError where they cannot be read."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise _too_large(path)
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({_reason(error)})") from error
    if data[:2] != b"\x1f\x8b":
        return data
    try:
        return gunzip(data, MAX_BYTES)
    except DataError as error:
        raise DataError(f"{path}: {error}; fetch or copy it again") from error


def _too_large(path: Path) -> DataError:
    return DataError(f"{path}: holds more than {MAX_BYTES >> 30} GiB; split it into smaller files")


def parse_idx(data: bytes, name: object) -> NDArray[np.uint8]:
    """Return the array in the bytes of an IDX file of unsigned bytes.

    The format is Yann LeCun's: two zero bytes, a type code, the number of dimensions, each dimension as a
    big-endian uint32, then the values, the last dimension fastest. `name` is for messages.
    Raises DataError on a wrong magic number, another type, or a length that differs from the header's.
    """
    if len(data) < 4 or data[:2] != b"\0\0" or not 1 <= data[3] <= 3:
        raise DataError(f"{name}: not an IDX file (it starts with {data[:4].hex(' ') or 'nothing'})")
    if data[2] != _UBYTE:
        raise DataError(f"{name}: IDX type code 0x{data[2]:02x}, expected 0x08, unsigned bytes")
    start = 4 + 4 * data[3]
    if len(data) < start:
        raise DataError(f"{name}: truncated inside its header ({len(data)} of {start} bytes)")
    shape = tuple(int(n) for n in np.frombuffer(data, ">u4", data[3], 4))
    expected = start + math.prod(shape)
    if len(data) != expected:
        fact = "truncated" if len(data) < expected else "too long"
        raise DataError(f"{name}: {fact}: {len(data)} bytes where its header {shape} says {expected}")
    try:
        return np.frombuffer(data, np.uint8, offset=start).reshape(shape)
    except ValueError as error:  # one dimension is 0, and numpy multiplies the others
        raise DataError(f"{name}: its header {shape} is of no array; fetch or copy it again") from error


def idx_bytes(array: NDArray[np.uint8]) -> bytes:
    """Return a uint8 array of 1 to 3 dimensions as the bytes of an IDX file."""
    header = bytes([0, 0, _UBYTE, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    return header + np.ascontiguousarray(array, np.uint8).tobytes()


def read_idx(path: Path) -> Arrays:
    """Read an IDX file of images and, beside it, the labels that its name leads to.

    `train-images-idx3-ubyte` leads to `train-labels-idx1-ubyte` (or the other way round), plain or .gz.
    Raises DataError where either is damaged, their counts differ or the images are not 28x28.
    """
    if "labels" in path.name:
        return read_idx(_partner(path, "labels", "images"))
    images = parse_idx(read_bytes(path), path)
    if images.ndim != 3 or images.shape[1:] != (SIDE, SIDE):
        raise DataError(f"{path}: holds {images.shape}, expected images (n, {SIDE}, {SIDE})")
    if "images" not in path.name:
        return images, None
    try:
        partner = _partner(path, "images", "labels")
    except DataError:
        return images, None
    labels = parse_idx(read_bytes(partner), partner)
    if labels.shape != images.shape[:1]:
        raise DataError(f"{partner}: {labels.shape} labels for {len(images)} images of {path.name}")
    return images, labels


def _partner(path: Path, ours: str, theirs: str) -> Path:
    dimensions = {"images": "idx3", "labels": "idx1"}
    name = path.name.removesuffix(".gz").replace(ours, theirs).replace(dimensions[ours], dimensions[theirs])
    for candidate in (path.with_name(name), path.with_name(name + ".gz")):
        if candidate.is_file():
            return candidate
    raise DataError(f"{path}: no {name}[.gz] beside it; put it there")


def read_csv(path: Path) -> Arrays:
    """Read a CSV of one digit a row: a label and 784 pixels, row by row from the top left.

    With a header (Kaggle's digit-recognizer: `label,pixel0,...,pixel783`; its test file has no label column)
    or without (the label first, or 784 columns and no label). Plain or .gz. Pixels are integers 0..255.
    Raises DataError naming the first line that is wrong.
    """
    try:
        text = read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not a text file ({error.reason} at byte {error.start})") from error
    try:
        first = next(csv.reader(io.StringIO(text)), [])
    except csv.Error as error:
        raise DataError(f"{path}: its first line cannot be read ({error}); save it again as CSV") from error
    width = len(first)
    if width not in (_PIXELS, _PIXELS + 1):
        raise DataError(f"{path}: {width} columns, expected {_PIXELS} pixels, or a label and {_PIXELS} pixels")
    header = not all(_parses(cell, float) for cell in first)
    if header and width == _PIXELS + 1 and first[0].strip().lower() not in ("label", "class", "digit", "y"):
        raise DataError(f"{path}: the first column is called {first[0]!r}, expected 'label'")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # an empty table is told below, in our words
        try:
            table = np.loadtxt(io.StringIO(text), np.int64, delimiter=",", skiprows=int(header), ndmin=2)
        except ValueError as error:
            raise DataError(f"{path}: {_csv_fault(text, width, header) or error}") from error
    if not table.size:
        raise DataError(f"{path}: holds no digits, only its header")
    if table.shape[1] != width:  # a quoted line break, of which numpy knows nothing
        raise DataError(f"{path}: {table.shape[1]} columns where the first line has {width}")
    labels, pixels = (table[:, 0], table[:, 1:]) if width > _PIXELS else (None, table)
    outside = ((pixels < 0) | (pixels > 255)).any(axis=1)
    if outside.any():
        line = int(outside.argmax()) + 1 + header
        raise DataError(f"{path}: line {line} has a pixel outside 0..255")
    return pixels.astype(np.uint8).reshape(-1, SIDE, SIDE), labels


def _csv_fault(text: str, width: int, header: bool) -> str | None:
    """Say which line of a CSV is not `width` whole numbers."""
    reader = csv.reader(io.StringIO(text))
    for row in _rows(reader):
        if not row or (header and reader.line_num == 1):
            continue
        if len(row) != width:
            return f"line {reader.line_num} has {len(row)} columns where the first line has {width}"
        bad = next((cell for cell in row if not _parses(cell, int)), None)
        if bad is not None:
            return f"line {reader.line_num} has {bad!r} where a whole number is expected"
    return None


def _rows(reader: Iterator[list[str]]) -> Iterator[list[str]]:
    """Yield rows as long as they can be read."""
    with contextlib.suppress(csv.Error):
        yield from reader


def _parses(cell: str, kind: type[int] | type[float]) -> bool:
    try:
        kind(cell)
    except ValueError:
        return False
    return True


def read_npz(path: Path) -> Arrays:
    """Read a numpy archive with `images` (n, 28, 28) uint8 and, if known, `labels` (n,) integers.

    Archives with pickled objects are refused. Raises DataError where an array is missing or of another kind.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
        if size > MAX_BYTES:
            raise _too_large(path)
        with np.load(path, allow_pickle=False) as archive:
            names = list(archive.files)
            if "images" not in names:
                raise DataError(f"{path}: no array named 'images' (it has {listed(names)})")
            images = archive["images"]
            labels = archive["labels"] if "labels" in names else None
        if not isinstance(images, np.ndarray) or not isinstance(labels, np.ndarray | None):
            raise DataError(f"{path}: 'images' or 'labels' in it are no numpy arrays; save it with numpy.savez")
    except DataError:
        raise
    # zipfile and numpy's parser of headers raise whatever Python does: RuntimeError where it is locked, TokenError, ...
    except Exception as error:
        raise DataError(f"{path}: not a readable .npz of plain arrays ({_reason(error)})") from error
    if images.ndim != 3 or images.shape[1:] != (SIDE, SIDE) or images.dtype != np.uint8:
        raise DataError(f"{path}: images are {images.shape} {images.dtype}, expected (n, {SIDE}, {SIDE}) uint8")
    if labels is not None and (labels.shape != images.shape[:1] or labels.dtype.kind not in "iu"):
        raise DataError(
            f"{path}: labels are {labels.shape} {labels.dtype}, expected ({len(images)},) integers, one an image"
        )
    return images, labels


def read_folder(path: Path) -> Arrays:
    """Read a folder with one subfolder of pictures per digit, named 0 to 9.

    Pictures are grey or become so, and what is transparent is black. Those of 28x28 are taken as they are; of any other
    size they are one digit each, dark or light, that `frame` frames as MNIST's. Hidden files and other suffixes than
    `PICTURES` are passed over. Raises DataError on an unreadable picture, one of more than `MOST_PIXELS`, or where
    there are none.
    """
    files = pictures(path)
    if not files:
        raise DataError(f"{path}: no pictures in subfolders named 0 to 9 ({', '.join(sorted(PICTURES))})")
    images = np.stack([_read_picture(file) for file in files])
    return images, np.array([int(file.parent.name) for file in files], np.uint8)


def pictures(path: Path) -> list[Path]:
    """Return the pictures of a folder with one subfolder per digit, in the order in which `read_folder` reads them."""
    return [
        file
        for folder in sorted(path.iterdir())
        if folder.is_dir() and is_digit_name(folder.name)
        for file in sorted(folder.iterdir())
        if file.suffix.lower() in PICTURES and not file.name.startswith(".")
    ]


def is_digit_name(name: str) -> bool:
    """Tell whether a folder's name is one of 0 to 9."""
    return name in set("0123456789")


def _read_picture(path: Path) -> NDArray[np.uint8]:
    from PIL import Image

    from digitnet.frame import frame

    try:
        with Image.open(path, formats=_PICTURE_FORMATS) as picture:
            width, height = picture.size
            if width * height > MOST_PIXELS:
                raise DataError(f"{path}: {width}x{height} pixels, a digit has at most {MOST_PIXELS:,}; cut it out")
            if picture.mode.startswith(("I", "F")):
                raise DataError(f"{path}: {picture.mode} pixels; save it with 8 bits a channel")
            paper = Image.new("RGBA", picture.size, "black")
            ink = np.asarray(Image.alpha_composite(paper, picture.convert("RGBA")).convert("L"))
            return ink if ink.shape == (SIDE, SIDE) else frame(ink)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(f"{path}: not a readable picture ({_reason(error)})") from error


def _reason(error: BaseException) -> str:
    """Return an error's words without the path that the message names already."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return printable((str(error) or type(error).__name__).splitlines()[0])
