"""The places of requests that may be inside at the same time: of one process, or of several that share a file.

Each place is a byte of the file, and a process holds it by a lock. The system takes back the locks of a process that
dies, so no place is ever lost.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

if sys.platform == "win32":
    import msvcrt

    def _change(file: int, place: int, lock: bool) -> None:
        os.lseek(file, place, os.SEEK_SET)
        msvcrt.locking(file, msvcrt.LK_NBLCK if lock else msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _change(file: int, place: int, lock: bool) -> None:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB if lock else fcntl.LOCK_UN, 1, place)


class Places:
    """A number of places. Not thread-safe: it belongs to one event loop."""

    def __init__(self, count: int, file: Path | None = None) -> None:
        """file: an existing file that every process that shares the places opens once; None for this process alone."""
        self._count, self._own = count, set[int]()
        self._file = None if file is None else file.open("r+b", buffering=0)

    def taken(self) -> int:
        """Return how many places are held, by all processes."""
        if self._file is None:
            return len(self._own)
        return len(self._own) + sum(not self._free(place) for place in range(self._count) if place not in self._own)

    def take(self) -> int | None:
        """Take a place and return it; None if all are held."""
        for place in range(self._count):
            if place not in self._own and self._lock(place):
                self._own.add(place)
                return place
        return None

    def give(self, place: int) -> None:
        """Give back what was taken."""
        self._own.remove(place)
        self._unlock(place)

    def close(self) -> None:
        """Give everything back."""
        self._own.clear()
        if self._file is not None:
            self._file.close()

    def _free(self, place: int) -> bool:
        if free := self._lock(place):
            self._unlock(place)
        return free

    def _lock(self, place: int) -> bool:
        if self._file is not None:
            try:
                _change(self._file.fileno(), place, True)
            except OSError:  # another process has it
                return False
        return True

    def _unlock(self, place: int) -> None:
        if self._file is not None:
            _change(self._file.fileno(), place, False)
