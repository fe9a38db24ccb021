"""Digits in and out of files, as plain arrays: IDX, CSV, npz and folders of pictures.

Each reader gives (images, labels): (n, 28, 28) uint8 and (n,) integers, or None where the file has no labels.
What a file claims (magic, counts, sizes) is believed within limits alone, and memory grows as its bytes arrive.
Not covered: finding digits in larger pictures; every image here is already 28x28.
"""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import math
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, TextIO, cast

import numpy as np
from numpy.typing import NDArray

from digitnet.core import npz
from digitnet.core.digits import SIDE
from digitnet.core.errors import DataError
from digitnet.core.files import fill
from digitnet.core.npz import INTEGERS, Column
from digitnet.core.text import printable

MAX_BYTES = 4 << 30
"""Most bytes a data file may hold once decompressed: five million digits."""

PICTURES = {".png", ".bmp", ".gif", ".jpg", ".jpeg", ".pgm", ".tif", ".tiff", ".webp"}
"""Picture files that a folder per digit may hold, by suffix."""

MOST_PIXELS = 16_000_000
"""Pixels of a picture of one digit beyond which it is refused."""

_PICTURE_FORMATS = ("PNG", "BMP", "GIF", "JPEG", "PPM", "TIFF", "WEBP")
_BLOCK = 1 << 19  # characters of a CSV that become numbers at a time
_LONGEST_LINE = 1 << 16  # characters
_UBYTE = 0x08  # the IDX type code of unsigned bytes
_PIXELS = SIDE * SIDE

Arrays = tuple[NDArray[np.uint8], NDArray[Any] | None]
"""(n, 28, 28) uint8 images and (n,) integer labels, or None."""


@contextlib.contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file, unpacked while it is read where it is gzip. Raises DataError where it cannot be read."""
    try:
        with path.open("rb") as file:
            if file.peek(2)[:2] == b"\x1f\x8b":
                with gzip.GzipFile(fileobj=file) as unpacked:
                    yield cast(BinaryIO, unpacked)
            else:
                yield file
    except EOFError as error:
        raise DataError(f"{path}: truncated gzip data; fetch or copy it again") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path}: not whole gzip data ({error}); fetch or copy it again") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({_reason(error)})") from error


def read_bytes(path: Path, limit: int) -> bytearray:
    """Return a file's bytes, unpacked where they are gzip. Raises DataError where they are more than `limit`."""
    with opened(path) as file:
        data = fill(bytearray(), file, limit + 1)
    if len(data) > limit:
        raise DataError(f"{path}: holds more than {limit:,} bytes")
    return data


def _too_large(path: Path) -> DataError:
    return DataError(f"{path}: holds more than {MAX_BYTES >> 30} GiB; split it into smaller files")


def parse_idx(data: bytes | bytearray, name: object) -> NDArray[np.uint8]:
    """Return the array in the bytes of an IDX file of unsigned bytes.

    The format is Yann LeCun's: two zero bytes, a type code, the number of dimensions, each dimension as a
    big-endian uint32, then the values, the last dimension fastest. `name` is for messages.
    Raises DataError on a wrong magic number, another type, or a length that differs from the header's.
    """
    start, shape = _idx_header(data, name)
    expected = start + math.prod(shape)
    if len(data) != expected:
        fact = f"truncated: {len(data)}" if len(data) < expected else f"too long: {len(data)} or more"
        raise DataError(f"{name}: {fact} bytes where its header {shape} says {expected}")
    try:
        return np.frombuffer(data, np.uint8, offset=start).reshape(shape)
    except ValueError as error:  # one dimension is 0, and numpy multiplies the others
        raise DataError(f"{name}: its header {shape} is of no array; fetch or copy it again") from error


def _idx_header(data: bytes | bytearray, name: object) -> tuple[int, tuple[int, ...]]:
    """Return where the values of an IDX file begin, and their shape."""
    if len(data) < 4 or data[:2] != b"\0\0" or not 1 <= data[3] <= 3:
        raise DataError(f"{name}: not an IDX file (it starts with {data[:4].hex(' ') or 'nothing'})")
    if data[2] != _UBYTE:
        raise DataError(f"{name}: IDX type code 0x{data[2]:02x}, expected 0x08, unsigned bytes")
    start = 4 + 4 * data[3]
    if len(data) < start:
        raise DataError(f"{name}: truncated inside its header ({len(data)} of {start} bytes)")
    return start, tuple(int(n) for n in np.frombuffer(data, ">u4", data[3], 4))


def _load_idx(path: Path, tail: tuple[int, ...]) -> NDArray[np.uint8]:
    """Read an IDX file of shape (n, *tail), of which no more is read than its header says, and that has its limit."""
    with opened(path) as file:
        data = fill(bytearray(), file, 16)  # a header of three dimensions
        start, shape = _idx_header(data, path)
        if len(shape) != 1 + len(tail) or shape[1:] != tail:
            expected = f"images (n, {SIDE}, {SIDE})" if tail else "labels (n,)"
            raise DataError(f"{path}: holds {shape}, expected {expected}")
        if math.prod(shape) > MAX_BYTES:
            raise DataError(f"{path}: its header {shape} says more than {MAX_BYTES >> 30} GiB; split it")
        return parse_idx(fill(data, file, start + math.prod(shape) + 1), path)


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
    images = _load_idx(path, (SIDE, SIDE))
    if "images" not in path.name:
        return images, None
    try:
        partner = _partner(path, "images", "labels")
    except DataError:
        return images, None
    labels = _load_idx(partner, ())
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
    with opened(path) as file, io.TextIOWrapper(file, "utf-8-sig", newline="") as lines:
        try:
            return _parse_csv(lines, path)
        except UnicodeDecodeError as error:
            raise DataError(f"{path}: not a text file ({error.reason})") from error


def _parse_csv(lines: TextIO, path: Path) -> Arrays:
    first = _line(lines, path)
    try:
        cells = next(csv.reader([first]), [])
    except csv.Error as error:
        raise DataError(f"{path}: its first line cannot be read ({error}); save it again as CSV") from error
    width = len(cells)
    if width not in (_PIXELS, _PIXELS + 1):
        raise DataError(f"{path}: {width} columns, expected {_PIXELS} pixels, or a label and {_PIXELS} pixels")
    header = not all(_parses(cell, float) for cell in cells)
    if header and width == _PIXELS + 1 and cells[0].strip().lower() not in ("label", "class", "digit", "y"):
        raise DataError(f"{path}: the first column is called {cells[0]!r}, expected 'label'")
    images, labels, number = bytearray(), [], 1 + header
    text = _line(lines, path) if header else first
    while text:
        text += lines.read(_BLOCK)
        text += _line(lines, path)  # to the end of the last line
        table = _parse_rows(text, width, number, path)
        number += text.count("\n")
        images += table[:, width - _PIXELS :].astype(np.uint8).tobytes()
        if width > _PIXELS:
            labels.append(table[:, 0].copy())
        if len(images) > MAX_BYTES:
            raise _too_large(path)
        text = _line(lines, path)
    if not images:
        raise DataError(f"{path}: holds no digits, only its header")
    pixels = np.frombuffer(images, np.uint8).reshape(-1, SIDE, SIDE)
    return pixels, np.concatenate(labels) if labels else None


def _line(lines: TextIO, path: Path) -> str:
    line = lines.readline(_LONGEST_LINE)
    if len(line) == _LONGEST_LINE:
        raise DataError(f"{path}: has a line of more than {_LONGEST_LINE:,} characters; expected a digit a line")
    return line


def _parse_rows(text: str, width: int, number: int, path: Path) -> NDArray[np.int64]:
    """Return some lines of a CSV as whole numbers (n, width), the pixels in 0..255; number: of the first line."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # empty lines alone are no table
        try:
            table = np.loadtxt(io.StringIO(text), np.int64, delimiter=",", ndmin=2)
        except ValueError as error:
            raise DataError(f"{path}: {_csv_fault(text, width, number) or error}") from error
    if not table.size:
        return np.empty((0, width), np.int64)
    pixels = table[:, -_PIXELS:]
    if table.shape[1] != width or pixels.min() < 0 or pixels.max() > 255:
        # A quoted line break, of which numpy knows nothing, leaves no line at fault.
        fault = _csv_fault(text, width, number) or f"{table.shape[1]} columns where the first line has {width}"
        raise DataError(f"{path}: {fault}")
    return table


def _csv_fault(text: str, width: int, number: int) -> str | None:
    """Say which line of a CSV is not `width` whole numbers, pixels in 0..255; number: of the text's first line."""
    reader = csv.reader(io.StringIO(text))
    for row in _rows(reader):
        line = f"line {number - 1 + reader.line_num}"
        if not row:
            continue
        if len(row) != width:
            return f"{line} has {len(row)} columns where the first line has {width}"
        bad = next((cell for cell in row if not _parses(cell, int)), None)
        if bad is not None:
            return f"{line} has {bad!r} where a whole number is expected"
        if not all(0 <= int(cell) <= 255 for cell in row[-_PIXELS:]):
            return f"{line} has a pixel outside 0..255"
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
    columns = {"images": Column(("u1",), (SIDE, SIDE)), "labels": Column(INTEGERS, needed=False)}
    found = npz.read(path, columns, MAX_BYTES)
    images, labels = found["images"], found.get("labels")
    if labels is not None and len(labels) != len(images):
        raise DataError(f"{path}: labels are {labels.shape}, expected ({len(images)},), one an image")
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

    from digitnet.imaging.normalization import frame

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
