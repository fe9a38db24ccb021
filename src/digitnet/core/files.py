"""Atomic files, the layout of JSON, and unpacking within limits."""

from __future__ import annotations

import contextlib
import glob
import gzip
import io
import json
import os
import re
import time
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, cast

from digitnet.core.errors import DataError

CHUNK = 1 << 20
"""Most bytes that are asked of a stream at a time."""

_FORMULA = re.compile("['=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20].", re.DOTALL)  # the last four are = + - @, full width

STALE_SECONDS = 3600
"""Age after which a part file belongs to a process that was killed, seconds."""


def write_atomic(path: Path, data: bytes) -> None:
    """Write `data` to `path` so that nobody ever sees half of it, not even after a power cut.

    The bytes go to a part file of this process beside it, reach the disk, and then take the name.
    Part files are never read; those that killed processes left behind go with a later write.
    Raises OSError, naming `path`, where the disk is full or the folder cannot be written; the old file is whole then.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error  # a full disk does not say for which file
    finally:
        part.unlink(missing_ok=True)
    for stale in path.parent.glob(f"{glob.escape(path.name)}.*.part"):
        with contextlib.suppress(OSError):  # another process may be cleaning too
            if time.time() - stale.stat().st_mtime > STALE_SECONDS:
                stale.unlink()


def require_writable(folder: Path) -> None:
    """Make a folder and try to write in it, before time is spent on what goes there.

    Raises DataError, naming `--out`, where that fails.
    """
    try:
        write_atomic(folder / ".try", b"")
        (folder / ".try").unlink(missing_ok=True)
    except OSError as error:
        raise DataError(f"{folder}: cannot be written ({error.strerror}); choose another --out") from error


def to_json(value: Mapping[str, Any]) -> str:
    """Return a mapping as JSON with a line a name."""
    lines = [f"  {json.dumps(name)}: {json.dumps(item)}" for name, item in value.items()]
    return "{\n" + ",\n".join(lines) + "\n}"


def fill(data: bytearray, file: BinaryIO, size: int) -> bytearray:
    """Append to `data` until it holds `size` bytes or the stream ends: memory grows as bytes arrive."""
    while len(data) < size and (chunk := file.read(min(CHUNK, size - len(data)))):
        data += chunk
    return data


class ZipBytes(io.FileIO):
    """A zip file's bytes, for zipfile: it asks for the list of members in one piece, which here is `CHUNK` at most."""

    def read(self, size: int | None = -1, /) -> bytes:
        """Return so many bytes. Raises BadZipFile for more than `CHUNK`."""
        if size is not None and size > CHUNK:
            raise zipfile.BadZipFile("its list of members is too long")
        return super().read(size)


def cell(text: str) -> str:
    """Return text as a cell of CSV: after an apostrophe where a spreadsheet would take it for a formula.

    So it is with what begins with = + - @, a tab or a line break, and with an apostrophe, so that `cell_text` can tell.
    """
    return f"'{text}" if _FORMULA.match(text) else text


def cell_text(content: str) -> str:
    """Return the text that `cell` made a cell of."""
    return content[1:] if content.startswith("'") and _FORMULA.match(content[1:]) else content


def gunzip(data: bytes, limit: int) -> bytes:
    """Return gzip data unpacked. Raises DataError where it is damaged, truncated or over `limit` bytes."""
    if not data:
        raise DataError("truncated gzip data")
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
            unpacked = fill(bytearray(), cast(BinaryIO, file), limit + 1)
    except EOFError as error:
        raise DataError("truncated gzip data") from error
    except (OSError, zlib.error) as error:
        raise DataError(f"incomplete gzip data ({error})") from error
    if len(unpacked) > limit:
        raise DataError(f"unpacks to more than {limit} bytes")
    return bytes(unpacked)
