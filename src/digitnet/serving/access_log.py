"""The access log: one line of JSON for each request, without images, file names, query strings or numbers read."""

from __future__ import annotations

import json
import os
import re
import uuid
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from digitnet.core.terminal import say

HEADER = "X-Request-ID"
"""The header that names a request, in both directions."""

_VALID = re.compile(r"[A-Za-z0-9._~:+/=@-]{1,128}")
_LONGEST = 200


def request_id(given: str | None) -> str:
    """Return the name of a request: a new one unless the given one is 1 to 128 of A-Z a-z 0-9 . _ ~ : + / = @ -."""
    return given if given is not None and _VALID.fullmatch(given) else uuid.uuid4().hex


@dataclass(frozen=True)
class Entry:
    """A request as the log has it.

    id: see `request_id`. client: the address of the peer, which is a proxy's if there is one. method, path: None if the
    connection was refused before these were known. status: 499 if the client went away. seconds: until the answer was
    sent. received, sent: bytes of the bodies.
    """

    id: str
    client: str
    method: str | None
    path: str | None
    status: int
    seconds: float = 0.0
    received: int = 0
    sent: int = 0


class AccessLog:
    """Writes entries to a file descriptor, each in one call, so that processes may share it."""

    def __init__(self, file: int = 1) -> None:
        """file: an open file descriptor; 1 is standard output."""
        self._file: int | None = file

    def write(self, entry: Entry) -> None:
        """Write an entry. If that fails, say so once and write no more: answering goes before logging."""
        if self._file is None:
            return
        time = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        fields = {"time": time} | asdict(entry) | {"seconds": round(entry.seconds, 6)}
        if entry.path is not None:
            fields["path"] = entry.path[:_LONGEST]
        try:
            os.write(self._file, (json.dumps(fields) + "\n").encode())
        except OSError as error:
            self._file = None
            say(f"Warning: the access log ends here: {error.strerror}")
