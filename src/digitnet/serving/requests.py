"""Receiving requests within limits: bodies, and the files of a form.

Nothing here touches a disk: a form's files are collected in memory, where Starlette would spool them to a file.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from digitnet.serving.contents import File
from digitnet.serving.problems import ProblemError, busy
from digitnet.serving.shares import Shares, client_of

FIELD = "file"
"""The name of a form's fields that hold files."""


@dataclass(frozen=True)
class Limits:
    """Limits on one request and on all requests together.

    body: bytes. headers: seconds within which a request's headers must be complete. arrival: seconds that a body may
    pause, and that reading a response may take; rate: bytes per second that both must reach beyond these seconds.
    files: per form. pixels: per page. pages: per TIFF or PDF. images: per request to classify. deadline: maximum
    seconds in the queue. waiting: requests that may wait, besides those in progress. standing: requests that may wait
    under lasting overload, so that 99 of 100 responses are in time. memory: bytes of all bodies together while they
    arrive, wait and are processed, half of them for one client; at least two bodies fit. connections: maximum number of
    open connections. per_client: the same for one client's address.
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
                    raise ProblemError(422, "the body is empty; send an image or PDF in it, or a form with files")
                yield [File(None, content, kind(request))]
            return
        try:
            form = _Form(request.headers["content-type"], self.limits.files)
            async with self._received(request, form.write):
                yield form.files()
        except FormParserError as error:
            raise ProblemError(400, "not valid multipart/form-data; let your HTTP client encode the form") from error

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
            fact = f"the body paused for {limits.arrival:g} s or arrived at less than {limits.rate:,} bytes per second"
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
            raise ProblemError(422, f"the form contains no files; send each in a field named {FIELD!r}")
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
            raise ProblemError(422, f"unknown form field {field[:50]!r}; send each file as {FIELD!r}")
        if len(self._files) == self._most:
            raise ProblemError(422, f"more than {self._most} files; send fewer at a time")
        self._files.append((None if name is None else name.decode("utf-8", "replace"), bytearray()))

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        self._files[-1][1].extend(data[start:end])

    def _end(self) -> None:
        self._ended = True
