"""Arrays from numpy archives of any origin: `read(path, {"images": Column(...)}, limit)`.

numpy's own reader allocates what a header claims. Here the header is checked first against what is expected, and
memory grows as bytes arrive. Nothing is unpickled.
"""

from __future__ import annotations

import contextlib
import io
import math
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from digitnet.core.errors import DataError
from digitnet.core.files import ZipBytes, fill
from digitnet.core.text import listed, reason

INTEGERS = tuple(f"{kind}{size}" for kind in "iu" for size in (1, 2, 4, 8))
"""Types of integer columns."""

NUMBERS = ("b1", *INTEGERS, "f2", "f4", "f8")
"""Types of columns of any numbers."""

_HEADER = 12_000  # bytes; numpy itself refuses headers of more than 10,000


@dataclass(frozen=True)
class Column:
    """What an array must be: one of these types (as "u1" for uint8), of shape (n, *tail), and whether it must be.

    No types: any plain ones. A tail of None: any shape but ().
    """

    types: tuple[str, ...]
    tail: tuple[int, ...] | None = ()
    needed: bool = True

    def fits(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> bool:
        """Return whether an array of that shape and type is one."""
        typed = not self.types or dtype.str[1:] in self.types
        return typed and len(shape) > 0 and self.tail in (None, shape[1:])

    def __str__(self) -> str:
        """Say so for people."""
        if self.tail is None:
            return "numbers"
        kind = "integers" if self.types == INTEGERS else " or ".join(str(np.dtype(each)) for each in self.types)
        return f"({', '.join(map(str, ('n', *self.tail)))}{',' * (not self.tail)}) {kind}"


def names(path: Path) -> list[str]:
    """Return the names of an archive's arrays. Raises DataError where it is damaged."""
    with _opened(path) as archive:
        return [member.filename.removesuffix(".npy") for member in archive.infolist()]


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with ZipBytes(path) as file, zipfile.ZipFile(file) as archive:
            yield archive
    except DataError:
        raise
    # zipfile and numpy's parser of headers raise whatever Python does: RuntimeError where it is locked, TokenError, ...
    except Exception as error:
        raise DataError(f"{path}: not a readable .npz of plain arrays ({reason(error)})") from error


def read(path: Path, columns: Mapping[str, Column], limit: int) -> dict[str, NDArray[Any]]:
    """Return the named arrays of an archive, those that it must have and those of the others that it has.

    Raises DataError where the file is damaged, or an array is missing, not as its column says, or of more than `limit`
    bytes.
    """
    with _opened(path) as archive:
        members = {member.filename.removesuffix(".npy"): member for member in archive.infolist()}
        if missing := [name for name, column in columns.items() if column.needed and name not in members]:
            raise DataError(f"{path}: no array named {missing[0]!r} (it has {listed(members)})")
        return {
            name: _array(archive, members[name], column, f"{path}: {name}", limit)
            for name, column in columns.items()
            if name in members
        }


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo, column: Column, name: str, limit: int) -> NDArray[Any]:
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise DataError(f"{name} uses a compression that numpy does not write; save it with numpy.savez")
    with archive.open(member) as opened:
        file = cast(BinaryIO, opened)
        start = io.BytesIO(fill(bytearray(), file, _HEADER))
        version = np.lib.format.read_magic(start)
        read_header = np.lib.format.read_array_header_1_0 if version[0] == 1 else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read_header(start)
        if dtype.hasobject:
            raise DataError(f"{name} are pickled objects, which digitnet does not open; save plain numbers")
        if not column.fits(shape, dtype):
            raise DataError(f"{name} are {shape} {dtype}, expected {column}")
        size = math.prod(shape) * dtype.itemsize
        if not 0 <= size <= limit:
            raise DataError(f"{name} has more than {limit:,} bytes; split it into smaller files")
        fits = member.file_size == start.tell() + size
        # One byte more would show an excess, and the end a wrong checksum.
        data = fill(bytearray(start.read()), file, size + 1) if fits else bytearray()
    if not fits or len(data) != size:
        raise DataError(f"{name} is truncated or too long: its header {shape} states {size:,} bytes; copy it again")
    return np.ndarray(shape, dtype, data, order="F" if fortran else "C")
