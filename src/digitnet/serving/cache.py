"""Answers of requests that were answered before, kept in memory within bounds."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence

MAX_ANSWERS, MAX_ANSWER_BYTES = 512, 8_000_000
"""Answers that are kept, and characters that all of them may have."""

MAX_BODY_BYTES = 1_000_000
"""Bytes of a request beyond which its answer is not kept: computing its hash would keep others waiting."""


class Answers:
    """The answers used last. Not thread-safe: it belongs to one event loop.

    What a request asks is known by a hash of everything that decides its answer: two that differ in one byte have
    different ones.
    """

    def __init__(self, counted: Callable[[bool], object] = lambda known: None) -> None:
        """counted: is called with whether an answer was known."""
        self._counted, self._length = counted, 0
        self._kept: OrderedDict[bytes, str] = OrderedDict()

    async def answer(self, asked: Sequence[bytes], make: Callable[[], Awaitable[str]]) -> str:
        """Return the answer to what is asked; made, and kept, if it is not known. What `make` raises is not kept.

        asked: all that decides the answer, in parts.
        """
        if sum(map(len, asked)) > MAX_BODY_BYTES:
            return await make()
        key = _hash(asked)
        known = self._kept.get(key)
        self._counted(known is not None)
        if known is not None:
            self._kept.move_to_end(key)
            return known
        made = await make()
        if key not in self._kept and len(made) <= MAX_ANSWER_BYTES // 8:
            self._kept[key] = made
            self._length += len(made)
            while len(self._kept) > MAX_ANSWERS or self._length > MAX_ANSWER_BYTES:
                self._length -= len(self._kept.popitem(last=False)[1])
        return made


def _hash(parts: Sequence[bytes]) -> bytes:
    """Return a hash of parts, each with its length: moving a byte from one to the next gives another hash."""
    hashed = hashlib.blake2b(digest_size=32)
    for part in parts:
        hashed.update(len(part).to_bytes(8, "big"))
        hashed.update(part)
    return hashed.digest()
