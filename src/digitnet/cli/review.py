"""The command `review`."""

from __future__ import annotations

import getpass
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from digitnet.cli.command import Argument, Option
from digitnet.core.errors import DataError
from digitnet.core.terminal import put, say
from digitnet.core.text import percent

if TYPE_CHECKING:
    from digitnet.review.store import Store


def review(
    job: Annotated[str, Argument(help="Job of digitnet read --job or form read --job: a file, or postgresql://...")],
    out: Annotated[
        Path | None,
        Option(
            show_default=False, help="Write the table with all corrections and end: .csv, .jsonl, .parquet or .xlsx."
        ),
    ] = None,
    clerk: Annotated[str | None, Option(show_default="your user name", help="Who reviews.")] = None,
    threshold: Annotated[
        float | None,
        Option(min=0, max=1, show_default="as before, at first 0.95", help="Review fields below this confidence."),
    ] = None,
    sample: Annotated[
        float | None,
        Option(
            min=0,
            max=1,
            show_default="as before, at first 0.02",
            help="Share of the other fields that is checked, too.",
        ),
    ] = None,
    target_error: Annotated[
        float | None,
        Option(
            min=0,
            max=1,
            show_default=False,
            help="Set the threshold by the sample: share of accepted fields, wrong at most.",
        ),
    ] = None,
    port: Annotated[int, Option(min=0, max=65535, help="Port to listen on; 0 means any free port.")] = 8000,
) -> None:
    """Review the doubtful fields of a job in the browser, or write its table.

    Examples: digitnet review grades.job; digitnet review grades.job --out grades.xlsx.

    Several clerks can review a job on a PostgreSQL server at once, each with this command on their own machine.
    """
    from contextlib import closing

    from digitnet.review.store import Store

    if threshold is not None and target_error is not None:
        raise DataError("--threshold and --target-error: choose one")
    if out is not None and out.exists():
        raise DataError(f"{out}: already exists; choose another --out")
    with closing(Store(job)) as store:
        _set(store, threshold, sample, target_error)
        if out is not None:
            _export(store, out)
        else:
            _serve(store, clerk or _user(), port)


def _set(store: Store, threshold: float | None, sample: float | None, target: float | None) -> None:
    """Change what is reviewed, where that is asked for, and print how often accepted fields are wrong."""
    from dataclasses import replace

    from digitnet.review.sampling import estimate, threshold_for

    policy = store.policy()
    if target is not None:
        threshold = threshold_for(target, store.checked(), policy.threshold)
        say(f"threshold {threshold:g}: at most {percent(target)} of accepted fields are wrong, with 95% certainty")
    changed = replace(
        policy,
        threshold=policy.threshold if threshold is None else threshold,
        share=policy.share if sample is None else sample,
    )
    if changed != policy:
        store.set_policy(changed)
    progress = store.progress("")
    say(f"{progress.open:,} of {progress.fields:,} fields to review, {progress.done:,} reviewed")
    say(str(estimate(store.checked(), changed.threshold)))


def _export(store: Store, out: Path) -> None:
    from digitnet.review.export import export

    counts = export(store, out)
    put(f"{out}: {counts.total():,} fields, {counts['corrected']:,} corrected, {counts['confirmed']:,} confirmed")


def _serve(store: Store, clerk: str, port: int) -> None:
    from functools import partial

    from digitnet.cli.serve import listen
    from digitnet.review.desk import Desk
    from digitnet.serving.process import run
    from digitnet.serving.service import Settings

    def opened(listening: socket.socket) -> None:
        print(f"Open http://127.0.0.1:{listening.getsockname()[1]}/#/review (stop with Ctrl+C)", flush=True)

    settings = Settings(hosts=frozenset(), clerk=clerk)
    run(settings, partial(listen, "127.0.0.1", port), opened, desk=Desk(store))


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "clerk"
