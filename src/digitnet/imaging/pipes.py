"""Reading a named pipe, with a limit on waiting for a writer."""

from __future__ import annotations

import io
import os
import time

from digitnet.core.errors import ImageError

MAX_WAIT_SECONDS = 10.0
"""For how long a pipe may be without a writer."""


def content(path: str, most: int) -> io.BytesIO:
    """Return what is written to a named pipe until its writer closes it; of more than `most` bytes only the first.

    Once somebody writes, the rest is waited for, as of standard input. Raises ImageError where nobody does within
    `MAX_WAIT_SECONDS`, OSError where the pipe cannot be opened.
    """
    pipe = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with os.fdopen(pipe, "rb", buffering=0) as file:
        found = io.BytesIO()
        found.write(_begin(pipe))
        os.set_blocking(pipe, True)
        while found.tell() <= most and (part := file.read(1 << 20)):
            found.write(part)
    return found


def _begin(pipe: int) -> bytes:
    """Return the first bytes of a pipe that does not block once it has a writer; b"" if those are yet to come."""
    until = time.monotonic() + MAX_WAIT_SECONDS
    while True:
        try:
            if head := os.read(pipe, 1 << 16):
                return head
        except BlockingIOError:  # there is a writer; without one, reading gives b""
            return b""
        if time.monotonic() > until:
            raise ImageError(f"a named pipe without a writer for {MAX_WAIT_SECONDS:g} s; start its writer first")
        time.sleep(0.02)
