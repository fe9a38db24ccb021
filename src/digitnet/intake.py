"""What comes in over HTTP, held to limits while it comes: bodies, the files of a form, images as arrays.

Nothing here touches a disk: a form's files are collected in memory, where Starlette would spool them to a file.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from digitnet.digits import SIDE
from digitnet.errors import DataError
from digitnet.problems import ProblemError

FIELD = "file"
"""The name of a form's fields that hold files."""


@dataclass(frozen=True)
class Limits:
    """What one request may bring, and how many may come at a time.

    body: bytes. arrival: seconds in which all of a body must have come. files: of a form. pixels: of a page.
    pages: of a TIFF or PDF. images: to classify. deadline: seconds that a piece of work waits at most.
    waiting: requests that wait beside those worked on; with `body` this bounds the memory. standing: those of them that
    wait where more come than can be answered, and not just for a moment; with it 99 of 100 answers are in time.
    """

    body: int = 32_000_000
    arrival: float = 30.0
    files: int = 20
    pixels: int = 40_000_000
    pages: int = 50
    images: int = 10_000
    deadline: float = 10.0
    waiting: int = 32
    standing: int = 4


@dataclass(frozen=True)
class File:
    """A file as it came: its name, if it has one, and its bytes."""

    name: str | None
    content: bytes


def kind(request: Request) -> str:
    """Return a request's media type in lower case, without parameters; "" where it names none."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def body(request: Request, limits: Limits) -> bytes:
    """Return a request's body. Raises ProblemError as soon as it is too large, or when it is too slow."""
    parts: list[bytes] = []
    await _receive(request, limits, parts.append)
    return b"".join(parts)


async def files(request: Request, limits: Limits) -> list[File]:
    """Return the files of a form, or the body as the only one. Raises ProblemError for what is none or too many."""
    if kind(request) != "multipart/form-data":
        content = await body(request, limits)
        if not content:
            raise ProblemError(422, "the body is empty; send a picture or PDF in it, or a form with files")
        return [File(None, content)]
    try:
        form = _Form(request.headers["content-type"], limits.files)
        await _receive(request, limits, form.write)
        return form.files()
    except FormParserError as error:
        raise ProblemError(400, "not a form as multipart/form-data has it; let your client write it") from error


async def _receive(request: Request, limits: Limits, write: Any) -> None:
    most = f"more than {limits.body / 10**6:g} MB; send less at a time"
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > limits.body:
        raise ProblemError(413, f"the body has {int(declared):,} bytes, {most}")
    count = 0
    try:
        async with asyncio.timeout(limits.arrival):
            async for chunk in request.stream():
                count += len(chunk)
                if count > limits.body:
                    raise ProblemError(413, f"the body has {most}")
                if chunk:
                    write(chunk)
    except TimeoutError:
        raise ProblemError(408, f"the body did not come within {limits.arrival:g} s; send it again") from None


class _Form:
    """A form's files, collected in memory as the parser calls."""

    def __init__(self, content_type: str, most: int) -> None:
        boundary = parse_options_header(content_type)[1].get(b"boundary")
        if not boundary:
            raise FormParserError("no boundary")
        self._most, self._ended = most, False
        self._files: list[tuple[str | None, bytearray]] = []
        self._header, self._value, self._disposition = bytearray(), bytearray(), b""
        calls = ("part_begin", "header_field", "header_value", "header_end", "headers_finished", "part_data", "end")
        self._parser = MultipartParser(boundary, {f"on_{call}": getattr(self, f"_{call}") for call in calls})  # type: ignore[arg-type]
        self.write = self._parser.write

    def files(self) -> list[File]:
        """Return the files once all has come."""
        if not self._ended:
            raise ProblemError(400, "the form is cut short; send it again")
        if not self._files:
            raise ProblemError(422, f"the form holds no files; send each in a field named {FIELD!r}")
        return [File(name, bytes(content)) for name, content in self._files]

    def _part_begin(self) -> None:
        self._disposition = b""

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = bytes(self._value)
        self._header.clear()
        self._value.clear()

    def _headers_finished(self) -> None:
        options = parse_options_header(self._disposition.decode("latin-1"))[1]
        field, name = options.get(b"name", b"").decode("utf-8", "replace"), options.get(b"filename")
        if field != FIELD:
            raise ProblemError(422, f"the form's field {field[:50]!r} is not known; send each file as {FIELD!r}")
        if len(self._files) == self._most:
            raise ProblemError(422, f"more than {self._most} files; send fewer at a time")
        self._files.append((None if name is None else name.decode("utf-8", "replace"), bytearray()))

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        self._files[-1][1].extend(data[start:end])

    def _end(self) -> None:
        self._ended = True


def images(content: bytes, limits: Limits) -> NDArray[np.uint8]:
    """Return images to classify, (n, 28, 28) uint8: of a `.npy` file, or of JSON {"images": [...]}.

    Raises DataError where the content is neither, ProblemError where there are too many.
    """
    if content.startswith(b"\x93NUMPY"):
        return _of_npy(content, limits)
    rows = _of_json(content, "images")
    if not isinstance(rows, list):
        raise DataError(f"images are no list of images, each {SIDE} rows of {SIDE} integers 0..255")
    _count(len(rows), limits)
    return np.array([_square(image) for image in rows], np.uint8).reshape(-1, SIDE, SIDE)


def image(content: bytes) -> NDArray[np.uint8]:
    """Return one image, (28, 28) uint8, of JSON {"image": ...}. Raises DataError for anything else."""
    return _square(_of_json(content, "image"))


def _of_npy(content: bytes, limits: Limits) -> NDArray[np.uint8]:
    """Return the array in a `.npy` file: where its header does not fit its length, nothing is allocated."""
    file = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(file)
    # numpy's parser of headers raises whatever Python's does.
    except Exception as error:
        raise DataError("not a whole .npy file; write it with numpy.save") from error
    if dtype != np.uint8 or len(shape) != 3 or shape[1:] != (SIDE, SIDE):
        raise DataError(f"images are {shape} {dtype}, expected (n, {SIDE}, {SIDE}) uint8")
    _count(shape[0], limits)
    expected, found = shape[0] * SIDE * SIDE, len(content) - file.tell()
    if found != expected:
        raise DataError(f"the .npy file holds {found:,} bytes, its header says {expected:,}; write it with numpy.save")
    array = np.frombuffer(content, np.uint8, offset=file.tell())
    return np.ascontiguousarray(array.reshape(shape, order="F" if fortran else "C"))


def _of_json(content: bytes, name: str) -> Any:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DataError(f'not JSON; expected {{"{name}": ...}} with integers 0..255') from error
    if not isinstance(document, dict) or set(document) != {name}:
        raise DataError(f'expected {{"{name}": ...}} and nothing else')
    return document[name]


def _square(rows: Any) -> NDArray[np.uint8]:
    """Return lists of integers as an image. Raises DataError for what a cast would bend: true, 0.5, -1, 256."""
    lists = isinstance(rows, list) and len(rows) == SIDE and all(type(row) is list and len(row) == SIDE for row in rows)
    if lists and {type(value) for row in rows for value in row} <= {int, float}:
        with contextlib.suppress(OverflowError):
            values = np.array(rows, np.float64)
            if ((values >= 0) & (values <= 255) & (values == np.floor(values))).all():
                return values.astype(np.uint8)
    raise DataError(f"an image is not {SIDE} rows of {SIDE} integers 0..255")


def _count(count: int, limits: Limits) -> None:
    if count > limits.images:
        raise ProblemError(422, f"{count:,} images, at most {limits.images:,} are classified; send fewer at a time")
