"""Connections: limits on unfinished requests, and on the connections of one client.

uvicorn's own time-out runs only while a connection is idle: one byte stops it, and no other clock starts. So half a
request could stay open for ever, its headers could be of any size, and an answer that nobody reads stayed in memory.
Bodies are timed where they are received, in `requests.py`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from digitnet.serving.access_log import Entry, request_id
from digitnet.serving.middleware import SECURITY
from digitnet.serving.problems import PROBLEM, problem
from digitnet.serving.requests import Limits
from digitnet.serving.shares import Shares, client_of

MAX_HEAD_BYTES = 65_536
"""Bytes that a request may have besides its body, and besides as many again as its body has (chunks and trailers)."""

GATE = "gate"
"""The name of the `Gate` in the state of an application's lifespan."""


@dataclass(frozen=True)
class Gate:
    """What an application tells its connections.

    connections: those that are open. refused: called with each refusal that the application itself does not see.
    """

    limits: Limits
    connections: Shares
    refused: Callable[[Entry], object] = lambda entry: None


class Connection(HttpToolsProtocol):
    """uvicorn's connection, with limits. It knows them by the lifespan's state, see `GATE`."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept a connection, or refuse it if there are too many of this client, or in all."""
        super().connection_made(transport)
        self._gate: Gate = self.app_state.get(GATE) or Gate(Limits(), Shares(1, 1))
        self._client = client_of(self.client)
        self._waiting: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None
        self._head = self._body = 0
        self._arriving = False
        self._counted = self._gate.connections.take(self._client)
        if self._counted:
            self._await_head()
        elif self._gate.connections.full():
            self._refuse(503, "too many connections; try again in a second")
        else:
            self._refuse(429, f"more than {self._gate.connections.each} connections from your address; close some")

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        if self._counted:
            self._gate.connections.give(self._client)
            self._counted = False
        for timer in (self._waiting, self._unread):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what has arrived."""
        if self.transport.is_closing():
            return
        answering = self.cycle is not None and not self.cycle.response_complete
        if not answering and self._waiting is None:
            self._await_head()
        self._head += len(data)
        super().data_received(data)
        if self._head - self._body <= MAX_HEAD_BYTES + self._body or self.transport.is_closing():
            return
        if answering:
            self.transport.abort()  # an answer may have begun: nothing else can be said
        else:
            self._refuse(431, f"the headers have more than {MAX_HEAD_BYTES:,} bytes; send fewer")

    def on_headers_complete(self) -> None:
        """Start to answer: the headers are complete."""
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None
        self._arriving = True
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        self._body += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Finish the request: its body is complete."""
        self._arriving = False
        self._head = self._body = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Give the client time to read the answer, by its size, and to end a body that was refused before its end."""
        super().on_response_complete()
        limits, size = self._gate.limits, self.transport.get_write_buffer_size()
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None
        if size:
            self._unread = self.loop.call_later(limits.arrival + size / limits.rate, self._drop_unread)
        if self._arriving and self._waiting is None:
            self._await_head()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP."""
        self._refuse(400, "not an HTTP/1.1 request; for HTTPS, use the proxy in front of the service")

    def _await_head(self) -> None:
        self._waiting = self.loop.call_later(self._gate.limits.headers, self._drop_head)

    def _drop_head(self) -> None:
        if self._head and not self._arriving:
            self._refuse(408, f"the headers were not complete after {self._gate.limits.headers:g} s; send them again")
        else:
            self.transport.close()

    def _drop_unread(self) -> None:
        if self.transport.get_write_buffer_size():
            self.transport.abort()

    def _refuse(self, status: int, detail: str) -> None:
        content = json.dumps(problem(status, detail)).encode()
        entry = Entry(request_id(None), self.client[0] if self.client else "", None, None, status)
        headers: dict[str, Any] = {
            "x-request-id": entry.id,
            "content-type": PROBLEM,
            "content-length": len(content),
            "connection": "close",
        }
        headers |= SECURITY | ({"retry-after": "1"} if status in (429, 503) else {})
        lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", *(f"{name}: {headers[name]}" for name in headers)]
        self.transport.write("\r\n".join([*lines, "", ""]).encode() + content)
        self.transport.close()
        self._gate.refused(entry)
