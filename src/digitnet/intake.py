"""What comes in over HTTP, held to limits while it comes: bodies, the files of a form, images as arrays.

Nothing here touches a disk: a form's files are collected in memory, where Starlette would spool them to a file.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from digitnet.digits import SIDE
from digitnet.errors import DataError
from digitnet.problems import ProblemError, busy
from digitnet.shares import Shares, client_of

FIELD = "file"
"""The name of a form's fields that hold files."""


@dataclass(frozen=True)
class Limits:
    """What one request may bring, and how many may come at a time.

    body: bytes. headers: seconds within which a request's headers must be complete. arrival: seconds that a body may
    pause, and that reading an answer may take; rate: bytes a second that either must reach beyond these seconds.
    files: of a form. pixels: of a page. pages: of a TIFF or PDF. images: to classify. deadline: seconds that a piece of
    work waits at most. waiting: requests that wait beside those worked on. standing: those of them that wait where more
    come than can be answered, and not just for a moment; with it 99 of 100 answers are in time. memory: bytes that all
    bodies may take together while they arrive, wait and are worked on, half of them for one client; it holds at least
    two bodies. connections: that may be open. per_client: those of one client's address.
    """

    body: int = 32_000_000
    headers: float = 10.0
    arrival: float = 10.0
    rate: int = 10_000
    files: int = 20
    pixels: int = 40_000_000
    pages: int = 50
    images: int = 10_000
    deadline: float = 10.0
    waiting: int = 32
    standing: int = 4
    memory: int = 512_000_000
    connections: int = 1000
    per_client: int = 200


@dataclass(frozen=True)
class File:
    """A file as it came: its name, if it has one, and its bytes."""

    name: str | None
    content: bytes


def kind(request: Request) -> str:
    """Return a request's media type in lower case, without parameters; "" where it names none."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


class Intake:
    """Receives the bodies of requests, and holds each one's memory and place until it is answered.

    A request takes its place only once its body is here: whoever sends slowly keeps nobody else from being answered.
    """

    def __init__(self, limits: Limits, place: Callable[[], AbstractContextManager[None]]) -> None:
        """place: see `Batcher.place`."""
        self.limits, self._place = limits, place
        whole = max(limits.memory, 2 * limits.body)
        self._memory = Shares(whole, whole // 2)

    @asynccontextmanager
    async def body(self, request: Request) -> AsyncIterator[bytes]:
        """Give a request's body. Raises ProblemError if it is too large or too slow, BusyError if no place is free."""
        parts: list[bytes] = []
        async with self._received(request, parts.append):
            yield b"".join(parts)

    @asynccontextmanager
    async def files(self, request: Request) -> AsyncIterator[list[File]]:
        """Give the files of a form, or the body as the only one. Raises as `body`, and for what is none or too many."""
        if kind(request) != "multipart/form-data":
            async with self.body(request) as content:
                if not content:
                    raise ProblemError(422, "the body is empty; send a picture or PDF in it, or a form with files")
                yield [File(None, content)]
            return
        try:
            form = _Form(request.headers["content-type"], self.limits.files)
            async with self._received(request, form.write):
                yield form.files()
        except FormParserError as error:
            raise ProblemError(400, "not a form as multipart/form-data has it; let your client write it") from error

    @asynccontextmanager
    async def _received(self, request: Request, write: Callable[[bytes], Any]) -> AsyncIterator[None]:
        client, held = client_of(request.client), 0
        try:
            async for chunk in _timely(request, self.limits):
                if not self._memory.take(client, len(chunk)):
                    raise busy("the bodies of other requests fill the memory")
                held += len(chunk)
                write(chunk)
            with self._place():
                yield
        finally:
            self._memory.give(client, held)


async def _timely(request: Request, limits: Limits) -> AsyncIterator[bytes]:
    """Give the pieces of a body as they arrive. Raises ProblemError as soon as it is too large, or too slow."""
    most = f"more than {limits.body / 10**6:g} MB; send less at a time"
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > limits.body:
        raise ProblemError(413, f"the body has {int(declared):,} bytes, {most}")
    count, stream, now = 0, request.stream(), asyncio.get_running_loop().time
    began = now()
    while True:
        slowest = began + limits.arrival + count / limits.rate
        try:
            async with asyncio.timeout_at(min(now() + limits.arrival, slowest)):
                chunk = await anext(stream, None)
        except TimeoutError:
            fact = f"the body paused for {limits.arrival:g} s or came at less than {limits.rate:,} bytes a second"
            raise ProblemError(408, f"{fact}; send it again") from None
        if chunk is None:
            return
        count += len(chunk)
        if count > limits.body:
            raise ProblemError(413, f"the body has {most}")
        if chunk:
            yield chunk


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
