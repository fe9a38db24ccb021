"""A run's folder: made once, and trained into by one process at a time."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from digitnet.core.errors import ModelError, TrainingError
from digitnet.models.run_folder import CONFIG, LOCK, RUNS, SCORES, STATE, load_json, save_json
from digitnet.training import distributed
from digitnet.training.config import TrainConfig


def new_folder(out: Path | None, recipe: str, about: Mapping[str, Any]) -> Path:
    """Make a run's folder and write its configuration, in the order that leaves no half-made run to anybody.

    out: a folder that is new or empty; by default the first of run/RECIPE-1, -2, ... that is free. Raises TrainingError
    where it is in use, unless torchrun started the processes again and it holds a run with the same configuration.
    """
    folder = _free_folder(recipe) if out is None else out
    if out is not None:
        if folder.exists() and not folder.is_dir():
            raise TrainingError(f"{folder}: is not a folder; choose another --out")
        folder.mkdir(parents=True, exist_ok=True)

    def is_new() -> bool:
        # What a process killed here leaves behind: a lock that nobody holds, and part of a configuration.
        if not [path for path in folder.iterdir() if path.name != LOCK and path.suffix != ".part"]:
            return True
        if distributed.restarts() and _is_run_of(folder, about):
            return False
        raise TrainingError(f"{folder}: already exists; resume it with --resume {folder}, or choose another --out")

    if is_new():
        with alone(folder):
            if is_new():  # still, now that nobody else can make it
                save_json(folder / CONFIG, about)
    return folder


def _free_folder(recipe: str) -> Path:
    number = 1
    while True:
        folder = RUNS / f"{recipe}-{number}"
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            number += 1
        else:
            return folder


def _is_run_of(folder: Path, about: Mapping[str, Any]) -> bool:
    """Tell whether the folder holds a run with these settings on these digits."""
    try:
        saved = load_json(folder / CONFIG)
    except ModelError:
        return False
    names = [*(field.name for field in fields(TrainConfig)), "data_sha256"]
    return all(saved.get(name) == about[name] for name in names)


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep other trainings out of a run's folder, by a lock that the system lifts however this process ends."""
    if distributed.rank():
        yield
        return
    lock = FileLock(folder / LOCK, is_singleton=True)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise TrainingError(
            f"{folder}: another process is training into it; wait for it, or choose another folder"
        ) from None
    try:
        yield
    finally:
        lock.release()


def require_unfinished(folder: Path) -> None:
    """Raise TrainingError where the run in a folder is done."""
    if (folder / SCORES).is_file() and not (folder / STATE).is_file():  # which goes last
        raise TrainingError(f"{folder}: already finished; evaluate it with: digitnet evaluate --model {folder}")


def mark_finished(folder: Path) -> None:
    """Remove what only an unfinished run needs."""
    (folder / STATE).unlink(missing_ok=True)
    (folder / LOCK).unlink(missing_ok=True)
