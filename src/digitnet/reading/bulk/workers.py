"""A large job in many processes, each with its own `Reader`: on this machine, or on a Ray cluster with Ray Data.

Between them go numbers of parts and counts of inputs alone; pictures are opened, and tables written, by those that
read. So nothing piles up, and what a dead process had begun is simply read again. On a cluster the folder of the job
and its inputs must be reachable under the same names from every machine.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import re
import secrets
import signal
import socket
import threading
from collections.abc import Iterator, Sequence
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from typing import Any

from digitnet.core.errors import DataError, DigitNetError
from digitnet.core.provenance import cores
from digitnet.core.text import reason
from digitnet.core.version import __version__
from digitnet.models.onnx_models import LINE
from digitnet.reading.bulk.job import Job
from digitnet.reading.reader import Reader

BLOCKS = 10_000
"""Most pieces of work that Ray Data keeps books on; beyond, a piece is several parts."""

STORE_BYTES = 100 * 2**20
"""Memory for Ray's object store where this process starts Ray: next to nothing goes through it."""

FAR = "this machine cannot see the job there; --out must be a shared folder or an address"


class PartReader:
    """What runs on every core: one `Reader` of one thread, which reads part after part, `pages` at the same time."""

    def __init__(self, place: str, parts: Sequence[int], pages: int = 1, line: str = LINE) -> None:
        """Open the job and the models; line: as for `Reader`.

        What is wrong with that is told by the first call: Ray would retry for ever.
        """
        import cv2

        cv2.setNumThreads(1)
        self.parts, self.pages = parts, pages
        self.wrong = None
        try:
            self.job = Job(place)
            self.reader = Reader(line, threads=1)
        except DigitNetError as error:
            self.wrong = f"{error} ({FAR})"
            return
        if __version__ != self.job.manifest.digitnet:
            self.wrong = (
                f"a machine of the cluster has another digitnet version, {__version__}; install the same one on all"
            )
        elif self.reader.hashes() != self.job.manifest.models:
            self.wrong = "a machine of the cluster has other models; install the same digitnet and --line file on all"

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Read the part that a row names by its place among those left; say how many inputs that were.

        row: `{"id": place}`. Returns `{"inputs": count, "wrong": None or one line}`.
        """
        part = self.parts[row["id"]]
        try:
            if self.wrong is None and not self.job.is_done(part):  # it is where Ray lost the answer of a finished call
                self.job.read(self.reader, part, self.pages)
        except (DigitNetError, OSError) as error:
            return {"inputs": 0, "wrong": str(error)}
        return {"inputs": 0 if self.wrong else self.job.size(part), "wrong": self.wrong}


def read_in_processes(job: Job, jobs: int, line: str = LINE) -> Iterator[int]:
    """Read the parts that are left in processes of this machine; yield how many inputs are done with each.

    jobs: pages read at the same time, by as many processes, or by one a core where there are fewer cores. Raises
    DataError where a part cannot be written, or where one of the processes is ended by somebody else.
    """
    left = job.left()
    count = min(jobs, cores(), len(left))
    spawn = multiprocessing.get_context("spawn")
    processes: dict[Any, Any] = {}  # by the pipe to each
    try:
        with _ctrl_c_held_back():
            for place in range(count):
                here, there = spawn.Pipe()
                process = spawn.Process(
                    target=_read_for, args=(there, job.folder.place, left, jobs // count, line), daemon=True
                )
                process.start()
                there.close()
                processes[here] = process
                here.send(place)
        places, busy = iter(range(count, len(left))), set(processes)
        while busy:
            pipe: Any
            for pipe in wait(busy):
                yield _inputs(pipe.recv())
                if (following := next(places, None)) is None:
                    busy.remove(pipe)
                else:
                    pipe.send(following)
    except (EOFError, ConnectionError) as error:
        raise DataError(
            f"{job.folder}: a reading process has died; continue with --resume, or with fewer --jobs"
        ) from error
    finally:
        for process in processes.values():
            process.kill()  # what it was writing is not there yet, and is read again
            process.join()


@contextlib.contextmanager
def _ctrl_c_held_back() -> Iterator[None]:
    """Answer Ctrl-C at the end of the block; processes that are started in it are deaf to it from their first moment.

    They inherit the mask. Here it holds for this thread alone: another may take the signal, upon which Python would
    interrupt the block, were it not for the handler. Outside the main thread, and on Windows, nothing is held back.
    """
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # it would be started with the first process, and lift the mask
    heard: list[int] = []
    handler = signal.signal(signal.SIGINT, lambda number, _: heard.append(number))
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGINT, handler)
    if heard:
        signal.raise_signal(signal.SIGINT)


def _read_for(pipe: Connection, place: str, parts: Sequence[int], pages: int, line: str) -> None:
    """Read the parts that a pipe names, until nobody is at its other end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that began this one
    reader = PartReader(place, parts, pages, line)
    with contextlib.suppress(EOFError, ConnectionError):
        while True:
            pipe.send(reader({"id": pipe.recv()}))


def _inputs(row: dict[str, Any]) -> int:
    """Return the inputs of a part that was read; raise DataError where something was wrong."""
    if row["wrong"] is not None:
        raise DataError(row["wrong"])
    return int(row["inputs"])


def read_on_ray(job: Job, address: str | None, jobs: int | None, line: str = LINE) -> Iterator[int]:
    """Read the parts that are left on Ray; yield how many inputs are done with each.

    address: of a cluster, or "auto"; None starts Ray on this machine, and stops it at the end. jobs: actors, each on a
    core; None is as many as the cluster has cores. Usage statistics are switched off. Raises DataError where there is
    no such cluster, or where a part cannot be written.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # its remarks would mix with ours
    import ray

    left = job.left()
    if not left:
        return
    if address is None:  # else Ray keeps one in the home folder, which may be read-only
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    start: dict[str, Any] = {"num_cpus": jobs, "include_dashboard": False, "object_store_memory": STORE_BYTES}
    begun = not ray.is_initialized()
    if begun:
        try:
            if address and (place := re.fullmatch(r"(?:ray://)?\[?(.+?)\]?:(\d+)", address)):
                socket.create_connection((place[1], int(place[2])), 10).close()  # Ray itself would ask for minutes
            quiet = {"logging_level": logging.ERROR, "log_to_driver": False}
            ray.init(address=address or "local", **quiet, **({} if address else start))
        except (ConnectionError, OSError, ValueError, RuntimeError) as error:
            fault = reason(error).rstrip(".")
            raise DataError(
                f"Ray at {address or 'this machine'}: {fault}; is the cluster up, and reachable?"
            ) from error
    try:
        yield from _run(job, left, line, jobs or max(1, int(ray.cluster_resources().get("CPU", 1))))
    finally:
        if begun:
            with contextlib.suppress(Exception):
                ray.shutdown()


def _run(job: Job, left: list[int], line: str, actors: int) -> Iterator[int]:
    import ray.data

    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    actors = min(actors, len(left))
    places = ray.data.range(len(left), override_num_blocks=min(len(left), BLOCKS))
    done = places.map(
        PartReader,
        fn_constructor_args=(job.folder.place, left, 1, line),
        compute=ray.data.ActorPoolStrategy(size=actors, max_tasks_in_flight_per_actor=2),
        num_cpus=1,
    )
    for row in done.iter_rows():
        yield _inputs(row)
