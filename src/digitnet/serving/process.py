"""The service in one process or several: uvicorn, signals, and limits on open files."""

from __future__ import annotations

import logging
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import cv2
import uvicorn
from fastapi import FastAPI
from uvicorn.supervisors import Multiprocess

from digitnet.core.errors import DataError
from digitnet.serving.app import create_app
from digitnet.serving.connection import Connection
from digitnet.serving.requests import Limits
from digitnet.serving.service import Settings

if TYPE_CHECKING:
    from digitnet.review.desk import Desk

GRACE_SECONDS = 30
"""Seconds that a stopping service gives to what it has accepted."""

START_SECONDS = 60
"""Seconds without a sign of life after which a process is replaced: on a busy machine, importing takes more than 5."""

SPARE_FILES = 200
"""Open files of a process besides its connections: models, pipes, libraries."""


def run(
    settings: Settings,
    listen: Callable[[], socket.socket],
    opened: Callable[[socket.socket], object],
    workers: int = 1,
    desk: Desk | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT, and finish what was accepted by then.

    listen: gives the listening socket, once the models are open. opened: called with it once signals are handled.
    workers: processes; each has its own models, threads and counts, and all have one limit on waiting requests. desk:
    of the job to review, with one process.
    Raises what `create_app` and `listen` do.
    """
    with _hangups_held_back():
        app = _alone(settings, desk)  # what is wrong is said here once, and not by every process
    if workers == 1:
        serve_app(app, listen(), opened)
        return
    with _empty_file() as places:
        serve_app(partial(_alone, replace(settings, places=places)), listen(), opened, workers)


@contextmanager
def _empty_file() -> Iterator[Path]:
    """Give a file for locks of several processes, in memory where the system has such a folder."""
    memory = "/dev/shm"  # noqa: S108
    try:
        with TemporaryDirectory(prefix="digitnet-", dir=memory if os.access(memory, os.W_OK) else None) as folder:
            places = Path(folder) / "places"
            places.touch()
            yield places
    except FileNotFoundError as error:
        raise DataError("several workers need a folder for temporary files; name one in TMPDIR") from error


def serve_app(
    app: FastAPI | Callable[[], FastAPI],
    listening: socket.socket,
    opened: Callable[[socket.socket], object],
    workers: int = 1,
) -> None:
    """Run an application with uvicorn as the service is run; with several workers, what makes one in each."""
    config = configure(app, workers)
    if workers == 1:
        _Server(config, opened).run([listening])
    else:
        supervisor = _Supervisor(config, sockets=[listening])
        opened(listening)
        supervisor.run()


class _Server(uvicorn.Server):
    """uvicorn's server that says when it serves."""

    def __init__(self, config: uvicorn.Config, opened: Callable[[socket.socket], object]) -> None:
        super().__init__(config)
        self._opened = opened

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listening in sockets or ():
            self._opened(listening)


class _Supervisor(Multiprocess):
    """uvicorn's supervisor, whose processes all do on SIGHUP what a single one does."""

    def __init__(self, config: uvicorn.Config, sockets: list[socket.socket]) -> None:
        super().__init__(config, sockets)
        _on_hangup(lambda: self.signal_queue.append(signal.SIGHUP), self.should_exit.set)

    def init_processes(self) -> None:
        with _hangups_held_back():
            super().init_processes()

    def keep_subprocess_alive(self) -> None:
        with _hangups_held_back():
            super().keep_subprocess_alive()

    def handle_hup(self) -> None:
        for process in self.processes:
            if process.pid is not None and process.exitcode is None:
                os.kill(process.pid, signal.SIGHUP)


@contextmanager
def _hangups_held_back() -> Iterator[None]:
    """Hold SIGHUP back: from this process for now, and from those started meanwhile until they can handle it."""
    if not hasattr(signal, "SIGHUP"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _on_hangup(again: Callable[[], object], stop: Callable[[], object]) -> None:
    """On SIGHUP open the models again; but stop if it came because the terminal is gone."""
    if not hasattr(signal, "SIGHUP"):  # Windows
        return
    terminal = _has_terminal()
    signal.signal(signal.SIGHUP, lambda *_: stop() if terminal and not _has_terminal() else again())
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})


def _has_terminal() -> bool:
    try:
        return os.isatty(0)
    except OSError:
        return False


def configure(app: FastAPI | Callable[[], FastAPI], workers: int = 1) -> uvicorn.Config:
    """Return the settings of uvicorn that the service is run with."""
    return uvicorn.Config(
        app,
        factory=not isinstance(app, FastAPI),
        workers=workers,
        http=Connection,
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        timeout_keep_alive=30,
        timeout_graceful_shutdown=GRACE_SECONDS,
        timeout_worker_healthcheck=START_SECONDS,
    )


def _alone(settings: Settings, desk: Desk | None = None) -> FastAPI:
    """Return the service for a process that does nothing else."""
    cv2.setNumThreads(1)  # pages are read side by side; threads within one would only get in each other's way
    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)  # else it logs pieces of damaged forms
    _allow_files(settings.limits)
    app = create_app(settings, desk)
    _on_hangup(app.state.reopen, lambda: signal.raise_signal(signal.SIGTERM))
    return app


def _allow_files(limits: Limits) -> None:
    """Raise the process's limit on open files, as far as it may, to what its connections can take."""
    try:
        import resource
    except ModuleNotFoundError:  # Windows has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = limits.connections + SPARE_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))
