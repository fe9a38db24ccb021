"""Digits in and out of files, as plain arrays: IDX, CSV and npz; `pictures.py` reads folders of pictures.

Each reader gives (images, labels): (n, 28, 28) uint8 and (n,) integers or text, or None where the file has no labels.
What a file claims (magic, counts, sizes) is believed within limits alone, and memory grows as its bytes arrive.
Not covered: finding digits in larger pictures; every image here is one digit.
"""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import math
import warnings
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, TextIO, cast

import numpy as np
from numpy.typing import NDArray

from digitnet.core import npz
from digitnet.core.classes import MAX_CLASSES
from digitnet.core.digits import IMAGE_SIZE
from digitnet.core.errors import DataError
from digitnet.core.files import fill
from digitnet.core.npz import NUMBERS, Column
from digitnet.core.text import reason
from digitnet.data.pixels import MIN_SIDE, to_images, to_labels

MAX_BYTES = 4 << 30
"""Most bytes a data file may hold once decompressed: five million digits."""

LABELS = ("label", "class", "digit", "y", "target")
"""What the column of labels may be called in a table."""

_BLOCK = 1 << 19  # characters of a CSV that become numbers at a time
_MAX_LINE_LENGTH = 1 << 16  # characters
_UBYTE = 0x08  # the IDX type code of unsigned bytes
_PIXELS = IMAGE_SIZE * IMAGE_SIZE

Arrays = tuple[NDArray[np.uint8], NDArray[Any] | None]
"""(n, 28, 28) uint8 images and (n,) labels, integers or text, or None."""


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
        raise DataError(f"{path}: truncated gzip data; download or copy it again") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path}: incomplete gzip data ({error}); download or copy it again") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({reason(error)})") from error


def read_bytes(path: Path, limit: int) -> bytearray:
    """Return a file's bytes, unpacked where they are gzip. Raises DataError where they are more than `limit`."""
    with opened(path) as file:
        data = fill(bytearray(), file, limit + 1)
    if len(data) > limit:
        raise DataError(f"{path}: contains more than {limit:,} bytes")
    return data


def _too_large(path: Path) -> DataError:
    return DataError(f"{path}: contains more than {MAX_BYTES >> 30} GiB; split it into smaller files")


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
        raise DataError(f"{name}: {fact} bytes, but its header {shape} states {expected}")
    try:
        return np.frombuffer(data, np.uint8, offset=start).reshape(shape)
    except ValueError as error:  # one dimension is 0, and numpy multiplies the others
        raise DataError(f"{name}: its header {shape} does not describe an array; download or copy it again") from error


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
            expected = f"images (n, {IMAGE_SIZE}, {IMAGE_SIZE})" if tail else "labels (n,)"
            raise DataError(f"{path}: contains {shape}, expected {expected}")
        if math.prod(shape) > MAX_BYTES:
            raise DataError(f"{path}: its header {shape} states more than {MAX_BYTES >> 30} GiB; split it")
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
    images = _load_idx(path, (IMAGE_SIZE, IMAGE_SIZE))
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
    beside = path.parent.with_name(name) / name  # each in a folder of its own, as Kaggle has them
    for candidate in (path.with_name(name), path.with_name(name + ".gz"), beside):
        if candidate.is_file():
            return candidate
    raise DataError(f"{path}: no {name}[.gz] beside it; put it there")


def read_csv(path: Path) -> Arrays:
    """Read a CSV of one digit a row: 784 pixels, row by row from the top left, and a label before or after them.

    With a header (Kaggle's `label,pixel0,...,pixel783`, of which the test file has no label, or OpenML's
    `pixel1,...,pixel784,class`) or without (the label first, or none). Plain or .gz. Pixels are as `to_images` takes
    them; of other square images than 28x28 there are as many columns. Raises DataError naming the first wrong line.
    """
    kind: Kind = np.int64
    text = False
    while True:  # what is rarer is slower and larger
        try:
            return _read_csv(path, kind, text)
        except _FractionsError:
            kind = np.float64
        except _NamesError:
            text = True


Kind = type[np.int64 | np.float64]


class _FractionsError(Exception):
    """A CSV holds numbers that are not whole."""


class _NamesError(Exception):
    """A CSV has labels that are not numbers."""


def _read_csv(path: Path, kind: Kind, text: bool) -> Arrays:
    with opened(path) as file, io.TextIOWrapper(file, "utf-8-sig", newline="") as lines:
        try:
            return _parse_csv(lines, path, kind, {} if text else None)
        except UnicodeDecodeError as error:
            raise DataError(f"{path}: not a text file ({error.reason})") from error


def _parse_csv(lines: TextIO, path: Path, kind: Kind, names: dict[str, int] | None) -> Arrays:
    """Read the lines of a CSV; names: filled with the labels, each with its number, where they are text."""
    first = _line(lines, path)
    try:
        cells = next(csv.reader([first]), [])
    except csv.Error as error:
        raise DataError(f"{path}: its first line cannot be read ({error}); save it again as CSV") from error
    header = _is_header(cells)
    pixels, label = _columns(cells, header, path)
    width, number = len(cells), 1 + header
    kept = np.uint8 if kind is np.int64 else np.float32
    images, labels = bytearray(), []
    text = _line(lines, path) if header else first
    while text:
        text += lines.read(_BLOCK)
        text += _line(lines, path)  # to the end of the last line
        table = _parse_rows(text, width, pixels, label, kind, number, path, names)
        number += text.count("\n")
        images += table[:, pixels].astype(kept).tobytes()
        if label is not None:
            labels.append(table[:, label].copy())
        if len(images) > MAX_BYTES:
            raise _too_large(path)
        if names is not None and len(names) > MAX_CLASSES:
            raise DataError(f"{path}: more than {MAX_CLASSES} different labels; is the label in the right column?")
        text = _line(lines, path)
    if not images:
        raise DataError(f"{path}: contains only a header, no digits")
    found = to_images(np.frombuffer(images, kept).reshape(-1, pixels.stop - pixels.start), path)
    if not labels:
        return found, None
    codes = np.concatenate(labels)
    return found, to_labels(codes if names is None else np.array(list(names))[codes.astype(int)], path)


def _is_header(cells: list[str]) -> bool:
    """Return whether the first line of a CSV names its columns; a label there may be text, too."""
    text = [cell for cell in cells if not _parses(cell, float)]
    return len(text) > 1 or (len(text) == 1 and text[0].strip().lower() in LABELS)


def _columns(cells: list[str], header: bool, path: Path) -> tuple[slice, int | None]:
    """Return which columns of a CSV are pixels and which is the label, if one is; cells: its first line."""
    width = len(cells)
    sides = [math.isqrt(width), math.isqrt(max(width - 1, 0))]
    if sides[0] >= MIN_SIDE and sides[0] ** 2 == width:
        return slice(0, width), None
    if sides[1] < MIN_SIDE or sides[1] ** 2 != width - 1:
        raise DataError(f"{path}: {width} columns, expected {_PIXELS} pixels, or a label and {_PIXELS} pixels")
    if cells[-1].strip().lower() in LABELS if header else not _parses(cells[-1], float):
        return slice(0, width - 1), width - 1
    if header and cells[0].strip().lower() not in LABELS:
        raise DataError(
            f"{path}: the first column has the name {cells[0]!r}, expected 'label' there or in the last one"
        )
    return slice(1, width), 0


def _line(lines: TextIO, path: Path) -> str:
    line = lines.readline(_MAX_LINE_LENGTH)
    if len(line) == _MAX_LINE_LENGTH:
        raise DataError(f"{path}: has a line of more than {_MAX_LINE_LENGTH:,} characters; expected one digit per line")
    return line


def _parse_rows(
    text: str,
    width: int,
    pixels: slice,
    label: int | None,
    kind: Kind,
    number: int,
    path: Path,
    names: dict[str, int] | None,
) -> NDArray[Any]:
    """Return some lines of a CSV as numbers (n, width), whole ones with pixels in 0..255; number: of the first line.

    names: as `_parse_csv` has them.
    """
    coded: dict[int | str, Callable[[str], Any]] | None = None
    if names is not None and label is not None:
        coded = {label: lambda cell: names.setdefault(cell.strip(), len(names))}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # empty lines alone are no table
        try:
            table: NDArray[Any] = np.loadtxt(
                io.StringIO(text), kind, delimiter=",", ndmin=2, quotechar='"', converters=coded
            )
        except ValueError as error:
            fault = _csv_fault(text, width, pixels, number)
            if names is None and fault is None and label is not None and _has_names(text, label):
                raise _NamesError from error
            if kind is np.int64 and fault is None:
                raise _FractionsError from error
            raise DataError(f"{path}: {fault or error}") from error
    if not table.size:
        return np.empty((0, width), kind)
    whole = kind is np.int64
    if table.shape[1] != width or (whole and (table[:, pixels].min() < 0 or table[:, pixels].max() > 255)):
        # A quoted line break, of which numpy knows nothing, leaves no line at fault.
        fault = _csv_fault(text, width, pixels, number) or f"{table.shape[1]} columns, but the first line has {width}"
        raise DataError(f"{path}: {fault}")
    return table


def _csv_fault(text: str, width: int, pixels: slice, number: int) -> str | None:
    """Say which line of a CSV is not `width` numbers, whole pixels in 0..255; number: of the text's first line."""
    reader = csv.reader(io.StringIO(text))
    for row in _rows(reader):
        line = f"line {number - 1 + reader.line_num}"
        if not row:
            continue
        if len(row) != width:
            return f"{line} has {len(row)} columns, but the first line has {width}"
        bad = next((cell for cell in row[pixels] if not _parses(cell, float)), None)
        if bad is not None:
            return f"{line} has {bad!r}, expected a number"
        if not all(0 <= int(cell) <= 255 for cell in row[pixels] if _parses(cell, int)):
            return f"{line} has a pixel outside 0..255"
    return None


def _has_names(text: str, label: int) -> bool:
    """Return whether a label in some lines of a CSV is not a number."""
    return any(not _parses(row[label], float) for row in _rows(csv.reader(io.StringIO(text))) if row)


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


ARRAYS = ("images", "labels"), ("x", "y"), ("data", "target")
"""Names of the arrays of images and labels in an archive, in any case of letters; digitnet's own are the first."""

PARTS = ("train", "test")
"""The parts that an archive may have: Keras' `x_train`, `y_train`, `x_test`, `y_test`, or `train_images` and so on."""


def npz_arrays(path: Path) -> dict[str, tuple[str, str]]:
    """Return the names of the arrays of images and labels in an archive, by part: "train" and "test", or "all"."""
    there = {name.lower(): name for name in npz.names(path)}
    for parts in ({"all": "{}"}, {part: f"{{}}_{part}" for part in PARTS}, {part: f"{part}_{{}}" for part in PARTS}):
        for images, labels in ARRAYS:
            wanted = {part: (name.format(images), name.format(labels)) for part, name in parts.items()}
            if all(name in there for name, _ in wanted.values()):
                return {part: (there[ours], there.get(theirs, theirs)) for part, (ours, theirs) in wanted.items()}
    return {"all": ARRAYS[0]}


def read_npz(path: Path, part: str = "all") -> Arrays:
    """Read a numpy archive with `images` and, if known, `labels`, or with other names that `npz_arrays` knows.

    Images and labels are as `to_images` and `to_labels` take them. part: one that the archive has. Archives with
    pickled objects are refused. Raises DataError where an array is missing or of another kind.
    """
    names = npz_arrays(path)[part]
    columns = {names[0]: Column(NUMBERS, None), names[1]: Column((), None, needed=False)}
    found = npz.read(path, columns, MAX_BYTES)
    images = to_images(found[names[0]], f"{path}: {names[0]}")
    if (given := found.get(names[1])) is None:
        return images, None
    labels = to_labels(given, f"{path}: {names[1]}")
    if len(labels) != len(images):
        raise DataError(f"{path}: {names[1]} are {labels.shape}, expected ({len(images)},), one per image")
    return images, labels
