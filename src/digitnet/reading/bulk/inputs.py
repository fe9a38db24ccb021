"""Inputs and outputs of a large job: folders, patterns, Parquet files of images, addresses.

An address (`s3://bucket/scans/`) is opened by pyarrow where it can (S3, Google Cloud Storage, Azure, HDFS), else by
fsspec with whatever package that asks for. Nothing else is ever fetched.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from digitnet.core.errors import DataError, ImageError
from digitnet.core.files import write_atomic
from digitnet.core.text import reason
from digitnet.data.parquet import column_of_pictures, rows_together
from digitnet.imaging.pages import MAX_FILE_BYTES, Source
from digitnet.imaging.suffixes import PAGE_SUFFIXES
from digitnet.reading.batch import RESOURCE, pictures

FETCHES = 16
"""Files fetched from an address at the same time: one fetch takes longer than one reading."""

TRIES = 3
"""How often a file at an address is asked for before it counts as one that cannot be read."""

_ARROW = {"s3", "gs", "gcs", "abfs", "abfss", "hdfs", "viewfs"}
_BUCKETS = {"s3", "gs", "gcs"}
_PUT_IS_ATOMIC = {*_ARROW - {"hdfs", "viewfs"}, "s3a", "az", "adl", "oci", "memory"}  # half an object is never seen
_BEGUN = "tmp"  # the folder of files that are being written: readers of the tables never see one


class File(NamedTuple):
    """A file of inputs: a picture, whose rows are None, or a Parquet file with so many rows of a picture each."""

    source: str
    rows: int | None


class Input(NamedTuple):
    """One input of a job: a picture (its row is None) or a row of a Parquet file. number: in the job, from 0."""

    number: int
    source: str
    row: int | None

    @property
    def name(self) -> str:
        """What messages and tables call it: `scans/7.png`, `fields.parquet#7`."""
        return self.source if self.row is None else f"{self.source}#{self.row}"


def is_address(path: str) -> bool:
    """Say whether a path is an address such as s3://bucket/scans, and no local file."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]+:", path) is not None and "://" in path and not path.startswith("file://")


def local(path: str) -> str:
    """Return the absolute path of a local file or folder; file:// is one, too."""
    return str(Path(unquote(path[7:]) if path.startswith("file://") else path).absolute())


def files(paths: Iterable[str], out: str) -> list[File]:
    """Return the files that paths mean, each once, sorted: of folders all pictures and Parquet files below.

    out: the folder of the results, which must not be among them.

    Raises DataError or ImageError where a folder or a pattern holds none, an address cannot be listed, a Parquet file
    holds no pictures, or standard input or a pipe is named, from which a job cannot resume.
    """
    place = Folder(out).place.split("?")[0].rstrip("/") + "/"
    found: set[str] = set()
    for path in paths:
        if path == "-" or Path(path).is_fifo():
            raise DataError(f"{path}: a job cannot resume from standard input or a pipe; name a file")
        if is_address(path):
            found.update(_listed(path))
        else:
            path = local(path) if path.startswith("file://") else path
            found.update(map(local, pictures([path], PAGE_SUFFIXES | {".parquet"})))
    if inside := [source for source in found if source.startswith(place)]:
        raise DataError(f"{min(inside)}: is inside --out, which is for results; choose another --out")
    ordered = sorted(found, key=os.fsencode)
    with ThreadPoolExecutor(FETCHES) as pool:
        tables = [source for source in ordered if _is_table(source)]
        rows = dict(zip(tables, pool.map(_count, tables), strict=True))
    return [File(source, rows.get(source)) for source in ordered]


def contents(inputs: Sequence[Input]) -> Iterator[Source | ImageError]:
    """Yield for each input, in order, what `pages.pages` takes, or why there is nothing; some are fetched ahead."""
    with ThreadPoolExecutor(FETCHES) as pool:
        for source, group in groupby(inputs, lambda each: each.source if each.row is not None else None):
            if source is not None:
                yield from _rows(source, list(group))
                continue
            waiting: deque[Future[Source | ImageError]] = deque()
            for each in group:
                if is_address(each.source):
                    waiting.append(pool.submit(_fetched, each.source))
                    if len(waiting) >= FETCHES:
                        yield waiting.popleft().result()
                else:
                    while waiting:
                        yield waiting.popleft().result()
                    yield each.source
            while waiting:
                yield waiting.popleft().result()


class Folder:
    """A folder of results, local or at an address, in which a file is whole or not there."""

    def __init__(self, place: str) -> None:
        """Open the folder; nothing is made until something is put there."""
        self.place = place if is_address(place) else local(place)
        self._fs: Any = None
        self._root = self.place
        if is_address(place):
            self._fs, self._root = _filesystem(place)

    def __str__(self) -> str:
        """Return where it is."""
        return self.place

    def names(self, below: str = "") -> set[str]:
        """Return the names in the folder, or in one below; none where there is no such folder."""
        try:
            if self._fs is None:
                return set(os.listdir(Path(self._root, below)))  # noqa: PTH208
            self._fs.invalidate_cache()
            listed = self._fs.ls(self._at(below), detail=False)
            return {path.rstrip("/").rsplit("/", 1)[1] for path in listed} - {""}
        except FileNotFoundError:
            return set()
        except (OSError, NotADirectoryError) as error:
            raise DataError(
                f"{self}: cannot be listed ({reason(error)}); check its name and your permissions"
            ) from error

    def has(self, name: str) -> bool:
        """Say whether a file is there."""
        return Path(self._root, name).is_file() if self._fs is None else bool(self._fs.isfile(self._at(name)))

    def open(self, name: str) -> BinaryIO:
        """Open a file to read and seek in. Raises DataError where it cannot be."""
        try:
            return Path(self._root, name).open("rb") if self._fs is None else self._fs.open(self._at(name), "rb")
        except OSError as error:
            raise DataError(f"{self}/{name}: cannot be read ({reason(error)})") from error

    def put(self, name: str, data: bytes) -> None:
        """Write a file so that nobody ever sees half of it; one that is there is replaced.

        Raises DataError where there is no room or no right to; the old file is whole then.
        """
        begun = f"{_BEGUN}/{uuid.uuid4().hex}"  # machines that share the folder never share it
        try:
            if self._fs is None:
                write_atomic(Path(self._root, begun), data)
                Path(self._root, name).parent.mkdir(parents=True, exist_ok=True)
                Path(self._root, begun).replace(Path(self._root, name))
            elif self.place.split(":")[0] in _PUT_IS_ATOMIC:
                self._fs.pipe_file(self._at(name), data)
            else:
                for path in (begun, name):
                    self._fs.makedirs(self._at(path).rsplit("/", 1)[0], exist_ok=True)
                self._fs.pipe_file(self._at(begun), data)
                self._fs.mv(self._at(begun), self._at(name))
        except OSError as error:
            if self._fs is None:
                with contextlib.suppress(OSError):
                    Path(self._root, begun).unlink(missing_ok=True)
            fact = f"cannot be written ({reason(error)}); fix this, then continue with --resume"
            raise DataError(f"{self}/{name}: {fact}") from error

    def remove(self, name: str) -> None:
        """Take a file away, if it is there."""
        with contextlib.suppress(FileNotFoundError):
            if self._fs is None:
                Path(self._root, name).unlink()
            else:
                self._fs.rm_file(self._at(name))

    def sweep(self) -> None:
        """Take away what killed processes had begun to write."""
        if self._fs is None:
            shutil.rmtree(Path(self._root, _BEGUN), ignore_errors=True)
        elif _BEGUN in self.names():
            self._fs.rm(self._at(_BEGUN), recursive=True)

    def _at(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}".rstrip("/")


def _filesystem(address: str) -> tuple[Any, str]:
    """Return the fsspec file system of an address, and the path in it."""
    import fsspec

    kind = address.split(":")[0]
    try:
        if kind in _ARROW:
            parts = urlsplit(address)
            if kind not in _BUCKETS:
                return _opened(address)
            # One client for a bucket: each would shake hands anew.
            fs, _ = _opened(urlunsplit((kind, parts.netloc, "", parts.query, "")))
            return fs, unquote(parts.netloc.rpartition("@")[2] + parts.path)
        found: tuple[Any, str] = fsspec.core.url_to_fs(address)
        return found
    except (ImportError, OSError, ValueError) as error:  # pyarrow's errors are of these
        raise DataError(f"{address}: cannot be opened ({reason(error)}); check the address") from error


@lru_cache(64)
def _opened(address: str) -> tuple[Any, str]:
    from fsspec.implementations.arrow import ArrowFSWrapper
    from pyarrow.fs import FileSystem

    fs, path = FileSystem.from_uri(address)
    return ArrowFSWrapper(fs), path


def _listed(address: str) -> list[str]:
    """Return the addresses of the files that an address means: itself, a pattern's, or all of a folder."""
    fs, path = _filesystem(address)
    query = "?" + address.split("?", 1)[1] if address.split(":")[0] in _ARROW and "?" in address else ""
    try:
        if re.search(r"[*\[]|\?(?!\w+=)", address):
            inside = [found for found in fs.glob(path) if fs.isfile(found)]
        elif fs.isdir(path):
            inside = [found for found in fs.find(path) if _suffix(found) in PAGE_SUFFIXES | {".parquet"}]
        else:
            return [address]
    except OSError as error:
        raise DataError(
            f"{address}: cannot be listed ({reason(error)}); check the address and your permissions"
        ) from error
    inside = [found for found in inside if not found.rpartition("/")[2].startswith(RESOURCE)]
    if not inside:
        raise ImageError(f"{address}: contains no image or Parquet file; expected files such as .png or .parquet")
    kind = address.split(":")[0]
    if kind in _ARROW:
        return [f"{kind}://{quote(found)}{query}" for found in inside]
    return [str(fs.unstrip_protocol(found)) for found in inside]


def _suffix(path: str) -> str:
    return Path(path.split("?")[0]).suffix.lower()


def _is_table(source: str) -> bool:
    return _suffix(source) == ".parquet"


def _open(source: str) -> BinaryIO:
    if not is_address(source):
        return Path(source).open("rb")
    fs, path = _filesystem(source)
    opened: BinaryIO = fs.open(path, "rb")
    return opened


def _fetched(address: str) -> bytes | ImageError:
    """Return the bytes of a file at an address, one more than `MAX_FILE_BYTES` at most, or why there are none."""
    fault = ""
    for attempt in range(TRIES):
        try:
            with _open(address) as file:
                return file.read(MAX_FILE_BYTES + 1)
        except FileNotFoundError:
            return ImageError(f"{address}: no such file; check its name and folder")
        except (OSError, DataError) as error:
            fault = reason(error)
            time.sleep(2**attempt if attempt + 1 < TRIES else 0)
    return ImageError(f"{address}: cannot be downloaded ({fault}); check that it exists and is readable")


def _count(source: str) -> int:
    """Return how many rows a Parquet file has. Raises DataError where it is none, or holds no pictures."""
    return _of_table(source, lambda table: int(table.metadata.num_rows))


def _of_table(source: str, function: Callable[[Any], int]) -> int:
    import pyarrow.parquet as pq

    try:
        with _open(source) as file:
            table = pq.ParquetFile(file)
            column_of_pictures(table.schema_arrow, source)
            return function(table)
    except (OSError, ValueError) as error:
        raise DataError(f"{source}: not a Parquet file that can be read ({reason(error)})") from error


def _rows(source: str, inputs: Sequence[Input]) -> Iterator[Source | ImageError]:
    """Yield the pictures of consecutive rows of a Parquet file, or why they cannot be read."""
    import pyarrow.parquet as pq

    first, given, begins = inputs[0].row or 0, 0, 0
    try:
        with _open(source) as file:
            table = pq.ParquetFile(file)
            column = column_of_pictures(table.schema_arrow, source)
            for group in range(table.num_row_groups):
                at, begins = begins, begins + table.metadata.row_group(group).num_rows
                if begins <= first or at >= first + len(inputs):
                    continue
                rows = rows_together(table.metadata.row_group(group), column)
                for batch in table.iter_batches(rows, row_groups=[group], columns=[column]):
                    values = batch.column(0)
                    values = values.field("bytes") if hasattr(values, "field") else values
                    low, high = max(first - at, 0), min(first + len(inputs) - at, len(values))
                    for value in values[low:high] if high > low else ():
                        yield value.as_py() or b""
                        given += 1
                    at += len(values)
        fault = f"it had {first + len(inputs)} rows or more when the job began"
    except (OSError, ValueError, DataError) as error:
        fault = reason(error)
    for each in inputs[given:]:
        yield ImageError(f"{each.name}: cannot be read ({fault})")
