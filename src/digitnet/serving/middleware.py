"""The middleware of the service: access checks, headers of every response, and metrics.

One layer of plain ASGI around the whole application: it costs microseconds, and even what fails inside passes it.
"""

from __future__ import annotations

import hmac
import ipaddress
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from digitnet.serving.access_log import HEADER, AccessLog, Entry, request_id
from digitnet.serving.batching import BusyError
from digitnet.serving.problems import ProblemError, answer, busy

log = logging.getLogger("digitnet")

SECURITY = {
    "content-security-policy": "default-src 'self'; img-src 'self' blob: data:; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}
"""Headers of every answer: nothing of another host is loaded, nobody puts the page into a frame."""

_HEADERS = [(name.encode(), value.encode()) for name, value in SECURITY.items()]

LATENCY_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24)
"""Bounds of the latencies that are counted, seconds."""

CONFIDENCE_BOUNDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999)
"""Bounds of the confidences that are counted: where their shares drift, what is sent in has changed."""


class Metrics:
    """What is counted, in a registry of its own, so that two applications in a process do not mix."""

    def __init__(self) -> None:
        """Start at 0."""
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self.requests = Counter("digitnet_requests", "Requests answered", ["route", "status"], registry=registry)
        self.latency = Histogram(
            "digitnet_request_seconds", "Time to answer a request", ["route"], registry=registry, buckets=LATENCY_BOUNDS
        )
        self.refusals = Counter("digitnet_refusals", "Requests refused", ["reason"], registry=registry)
        self.answers = Counter(
            "digitnet_cached_answers", "Requests looked up among the latest answers", ["known"], registry=registry
        )
        self.waiting = Gauge("digitnet_queue_depth", "Work items waiting for a thread", registry=registry)
        self.batch = Histogram(
            "digitnet_batch_size",
            "Pages or images processed together",
            registry=registry,
            buckets=(1, 2, 4, 8, 16, 32, 64, 128),
        )
        self.confidence = Histogram(
            "digitnet_confidence",
            "Confidence of numbers and digits",
            ["what"],
            registry=registry,
            buckets=CONFIDENCE_BOUNDS,
        )

    def cached(self, known: bool) -> None:
        """Count a request by whether its answer was known."""
        self.answers.labels("yes" if known else "no").inc()

    def refuse(self, status: int) -> None:
        """Count a refusal by its status, if it is one."""
        if 400 <= status < 500 or status == 503:
            self.refusals.labels(REASONS.get(status, "request")).inc()


REASONS = {401: "token", 403: "origin", 408: "slow", 413: "size", 429: "busy", 503: "deadline"}
"""What a refusal is counted as, by its status; every other of 4xx is `request`."""


@dataclass
class Guard:
    """An ASGI application in front of another.

    check: raises BusyError if the service is full: a POST is then refused before its body is received.
    token: who asks for /v1 or /metrics must name it; None lets everybody. hosts: names that requests may be addressed
    to, besides IP addresses and localhost; None for any. journal: is told of every request; None for no log.
    """

    app: ASGIApp
    metrics: Metrics
    check: Callable[[], None]
    token: str | None = None
    hosts: frozenset[str] | None = None
    journal: AccessLog | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, status, received, sent, method = time.perf_counter(), 0, 0, 0, scope["method"]
        name = request_id(Headers(scope=scope).get(HEADER))
        if method == "HEAD":  # whatever answers GET answers HEAD
            scope = {**scope, "method": "GET"}

        async def receive_more() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            return message

        async def send_more(message: Message) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status = message["status"]
                named = (HEADER.lower().encode(), name.encode())
                message["headers"] = [*message.get("headers", ()), *_HEADERS, named]
            elif method == "HEAD":
                message = {**message, "body": b""}
            sent += len(message.get("body", b""))
            await send(message)

        try:
            self._check(scope)
            if scope["method"] == "POST":
                self.check()
            await self.app(scope, receive_more, send_more)
        except ProblemError as error:
            await answer(error)(scope, receive, send_more)
        except BusyError:
            await answer(busy())(scope, receive, send_more)
        except ClientDisconnect:
            status = 499  # nobody is there to be answered; the number is nginx's
        except Exception:
            if status:  # the answer has begun: the server can only break it off
                raise
            log.exception("%s %s failed, request %s", method, scope["path"], name)
            failed = ProblemError(500, "internal error; see the log of the service")
            await answer(failed)(scope, receive, send_more)
        finally:
            seconds = time.perf_counter() - began
            self._count(getattr(scope.get("route"), "path", "other"), status, seconds)
            if self.journal is not None:
                client = scope["client"][0] if scope.get("client") else ""
                self.journal.write(Entry(name, client, method, scope["path"], status, seconds, received, sent))

    def _check(self, scope: Scope) -> None:
        """Raise ProblemError unless this request may be answered."""
        headers = Headers(scope=scope)
        host = headers.get("host", "").lower()
        if self.hosts is not None and not _safe(host, self.hosts):
            # A name that anybody may point to this machine: so a web page elsewhere could read what we answer.
            raise ProblemError(403, "unknown host name; to accept it, start the service with --name NAME")
        if scope["method"] not in ("GET", "HEAD", "OPTIONS"):
            site, origin = headers.get("sec-fetch-site", "none"), headers.get("origin")
            if site not in ("same-origin", "none") or (origin is not None and _netloc(origin) != host):
                raise ProblemError(403, "sent by a web page of another site; only this service's own page may use it")
        if self.token is not None and needs_token(scope["path"]):
            _check_token(headers.get("authorization"), self.token)

    def _count(self, route: str, status: int, seconds: float) -> None:
        self.metrics.requests.labels(route, status).inc()
        self.metrics.latency.labels(route).observe(seconds)
        self.metrics.refuse(status)


def needs_token(path: str) -> bool:
    """Return whether requests for a path must name the token, if the service has one."""
    return path.startswith("/v1/") or path == "/metrics"


def _check_token(given: str | None, token: str) -> None:
    """Raise ProblemError unless an Authorization header names the token."""
    kind, _, named = (given or "").encode("latin-1").partition(b" ")
    if kind.lower() == b"bearer" and hmac.compare_digest(named.strip(), token.encode()):
        return
    if given is None:
        fact = "no token"
    elif kind.lower() == b"bearer":
        fact = "the token is wrong"
    else:
        fact = "the Authorization header does not use the scheme Bearer"
    detail = f"{fact}; send the token of this service as: Authorization: Bearer TOKEN"
    raise ProblemError(401, detail, {"WWW-Authenticate": "Bearer"})


def _netloc(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def _safe(host: str, names: frozenset[str]) -> bool:
    """Say whether a Host header names this machine in a way that no stranger's domain can."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    if name == "localhost" or name in names:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
