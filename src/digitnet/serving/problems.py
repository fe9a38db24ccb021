"""Errors over HTTP: application/problem+json, RFC 9457."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from starlette.responses import Response

PROBLEM = "application/problem+json"
"""The media type of every answer that is a refusal."""


class ProblemError(Exception):
    """A refusal: its HTTP status, a detail that names the fact and the next step, and headers to go with it."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        """Say what is refused and why."""
        super().__init__(detail)
        self.status, self.detail, self.headers = status, detail, headers


def problem(status: int, detail: str) -> dict[str, Any]:
    """Return a problem as plain values, ready for JSON."""
    return {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}


def answer(error: ProblemError) -> Response:
    """Return the answer that tells a problem."""
    content = json.dumps(problem(error.status, error.detail))
    return Response(content, error.status, error.headers, PROBLEM)


def busy(what: str = "the queue is full") -> ProblemError:
    """Return the refusal of a request that may be sent again in a second."""
    return ProblemError(429, f"busy: {what}; try again in a second", {"Retry-After": "1"})
