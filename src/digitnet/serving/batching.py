"""Work for a few threads, and a limited number of requests that may wait for them.

A batch is whatever waits for the same function when a thread becomes free: an idle server makes nobody wait for
company, a busy one joins what came meanwhile. Everything here happens on the event loop but the work itself.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from digitnet.serving.places import Places

MAX_CROWD_SECONDS = 0.25
"""Seconds for which more than a few may wait: all hands of a class go up at once, and down again."""

Item = TypeVar("Item")
Answer = TypeVar("Answer")

_Function = Callable[[list[Any]], Sequence[Any]]


class BusyError(Exception):
    """All places are taken: refused at once, having cost nothing."""


class LateError(Exception):
    """Waited longer than its deadline: given up before any work was done."""


@dataclass(eq=False)
class _Job:
    """What waits for a thread: an item for a function, and who is to get the answer."""

    function: _Function
    item: Any
    size: int
    answer: asyncio.Future[Any]
    timer: asyncio.TimerHandle | None = None


@dataclass
class Batcher:
    """A few threads, the places of those who may use them, and what waits for a thread, first come, first served.

    threads: jobs worked on at the same time. places: requests that may be inside, waiting or worked on. standing: those
    of them that may be once all of these were taken for `MAX_CROWD_SECONDS`, and until some were free for as long: a
    burst is let in whole, but where more come than can be answered, nobody waits long (after CoDel: Nichols, Jacobson,
    2012). together: the most that is joined to one batch, in sizes of jobs. deadline: seconds that a job waits at most.
    seen: is told the size of every batch. shared: the file of processes that have the places together; see `Places`.
    """

    threads: int
    places: int
    standing: int
    together: int = 128
    deadline: float = 10.0
    seen: Callable[[int], object] = lambda size: None
    shared: Path | None = None
    _full: bool = field(default=False, init=False)
    _since: float = field(default=0.0, init=False)
    _crowded: bool = field(default=False, init=False)
    _busy: int = field(default=0, init=False)
    _waiting: deque[_Job] = field(default_factory=deque, init=False)

    def __post_init__(self) -> None:
        """Make the threads; they start with the first work."""
        self._pool: Executor = ThreadPoolExecutor(self.threads, "digitnet")
        self._places = Places(self.places, self.shared)

    @property
    def waiting(self) -> int:
        """Jobs that no thread has begun yet."""
        return len(self._waiting)

    def check(self) -> None:
        """Raise BusyError if no place is free."""
        now, taken = time.monotonic(), self._places.taken()
        full = taken >= self.standing
        if full != self._full:
            self._full, self._since = full, now
        elif now - self._since > MAX_CROWD_SECONDS:
            self._crowded = full
        if taken >= (self.standing if self._crowded else self.places):
            raise BusyError

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold one of the places, for the time of a request. Raises BusyError at once where none is free.

        Who has one can be refused no more: all that follows for it only waits its turn.
        """
        self.check()
        if (place := self._places.take()) is None:
            raise BusyError
        try:
            yield
        finally:
            self._places.give(place)

    async def run(self, function: Callable[[], Answer]) -> Answer:
        """Call a function in a thread and return what it returns, or raise what it raises; LateError as `join` does."""
        return await self.join(lambda _: [function()], None)  # a function of its own: nothing else waits for it

    async def join(self, function: Callable[[list[Item]], Sequence[Answer]], item: Item, size: int = 1) -> Answer:
        """Return the answer for one item of a function that takes many and returns as many answers.

        size: of the item; items that wait for the same function are handed over together, up to `together` in all.
        Raises LateError where no thread was free within the deadline, and what the function raises.
        """
        loop = asyncio.get_running_loop()
        job = _Job(function, item, size, loop.create_future())
        self._waiting.append(job)
        self._start()
        if job in self._waiting:
            job.timer = loop.call_later(self.deadline, self._give_up, job)
        return await job.answer  # type: ignore[no-any-return]

    def close(self) -> None:
        """Let the threads go once they have finished what they do."""
        self._places.close()
        self._pool.shutdown(cancel_futures=True)

    def _give_up(self, job: _Job) -> None:
        self._waiting.remove(job)
        if not job.answer.done():
            job.answer.set_exception(LateError())

    def _start(self) -> None:
        while self._busy < self.threads and (jobs := self._batch()):
            self._busy += 1
            items = [job.item for job in jobs]
            working = asyncio.get_running_loop().run_in_executor(self._pool, jobs[0].function, items)
            working.add_done_callback(lambda done, jobs=jobs: self._finish(jobs, done))  # type: ignore[misc]

    def _batch(self) -> list[_Job]:
        """Take the job that waits longest, and of those behind it what goes together with it."""
        batch: list[_Job] = []
        rest: deque[_Job] = deque()
        size = 0
        while self._waiting:
            job = self._waiting.popleft()
            if job.answer.done():  # nobody waits for it any more
                _stop(job)
            elif not batch or (job.function == batch[0].function and size + job.size <= self.together):
                _stop(job)
                batch.append(job)
                size += job.size
            else:
                rest.append(job)
        self._waiting = rest
        if batch:
            self.seen(size)
        return batch

    def _finish(self, jobs: list[_Job], done: asyncio.Future[Sequence[Any]]) -> None:
        self._busy -= 1
        error = None if done.cancelled() else done.exception()
        for place, job in enumerate(jobs):
            if done.cancelled():
                job.answer.cancel()
            elif job.answer.done():  # its request was given up meanwhile
                continue
            elif error is not None:
                job.answer.set_exception(error)
            else:
                job.answer.set_result(done.result()[place])
        self._start()


def _stop(job: _Job) -> None:
    if job.timer is not None:
        job.timer.cancel()
        job.timer = None
