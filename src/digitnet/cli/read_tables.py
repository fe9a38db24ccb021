"""`digitnet read` into tables: large jobs, in processes on this machine or on a Ray cluster."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from digitnet.core.errors import DataError
from digitnet.core.terminal import say
from digitnet.core.text import duration

if TYPE_CHECKING:
    from digitnet.reading.constraints import Rules

MAX_LOCAL_JOBS = 256
"""Pages that one machine reads at the same time, at most: it holds twice as many in memory."""

WORTH = 200
"""Inputs from which on `--jobs` are processes of their own: a second to start them is less than threads would lose."""

SAY_SECONDS = 60
"""Seconds between two lines of progress where there is no terminal."""


def read_tables(
    paths: list[str],
    out: str | None,
    resume: bool,
    single: bool,
    rules: Rules | None,
    engine: str,
    address: str | None,
    jobs: int | None,
    line: str,
) -> None:
    """Read into tables: what `digitnet read --format parquet` and `--engine ray` do."""
    if out is None:
        raise DataError("tables need a folder; name it with --out")
    if address and engine != "ray":
        raise DataError("--address applies only to --engine ray")
    if engine == "local" and (jobs or 1) > MAX_LOCAL_JOBS:
        raise DataError(f"--jobs {jobs}: at most {MAX_LOCAL_JOBS} on one machine; use --engine ray for more")
    import pyarrow  # noqa: F401

    if engine == "ray":
        import ray  # noqa: F401
    from digitnet.reading.bulk.inputs import files
    from digitnet.reading.bulk.job import begin, read_here
    from digitnet.reading.bulk.workers import read_in_processes, read_on_ray
    from digitnet.reading.reader import Reader

    reader = Reader(line, threads=1)  # more of them save time and cost cores: for that there is --jobs
    job = begin(out, files(paths, out), reader.hashes(), single, rules, resume)
    total = job.manifest.inputs
    done = total - sum(job.size(part) for part in job.left())
    if done:
        say(f"{done:,} of {total:,} inputs are already in {job.folder}")
    if engine == "ray":
        reading = read_on_ray(job, address, jobs, line)
    elif (jobs or 1) > 1 and total - done >= WORTH:
        reading = read_in_processes(job, jobs or 1, line)
    else:
        reading = read_here(job, reader, jobs or 1)
    try:
        with _count(done, total) as advance:
            for inputs in reading:
                advance(inputs)
        summary = job.finish()
    except KeyboardInterrupt:
        say(f"Stopped; the finished parts in {job.folder} are kept. Resume with the same command and --resume")
        raise click.exceptions.Exit(130) from None
    say(
        f"{summary.inputs:,} inputs: {summary.with_numbers:,} with {summary.numbers:,} numbers, {summary.without:,} "
        f"without numbers, {summary.not_read:,} not read"
        + (f"; see {job.folder}/failures.parquet" * bool(summary.not_read))
    )
    if summary.not_read:
        raise click.exceptions.Exit(2)


@contextmanager
def _count(done: int, total: int) -> Iterator[Callable[[int], None]]:
    """Show how far a job is: a bar on a terminal's standard error, else a line a minute."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    terminal = Console(stderr=True)
    columns = (TextColumn("inputs"), MofNCompleteColumn(), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    began = said = time.monotonic()
    before = done
    with Progress(*columns, console=terminal, transient=True, disable=not terminal.is_terminal) as bar:
        task = bar.add_task("inputs", total=total, completed=done)

        def advance(inputs: int) -> None:
            nonlocal done, said
            done += inputs
            bar.advance(task, inputs)
            now = time.monotonic()
            if not terminal.is_terminal and now - said >= SAY_SECONDS:
                said = now
                rate = (done - before) / (now - began)
                left = duration((total - done) / rate if rate else 0)
                say(f"{done:,} of {total:,} inputs, {rate:,.0f} per second, {left} left")

        yield advance
