"""Reading into a job for `digitnet review`: what `digitnet read --job` and `digitnet form read --job` share."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import click

from digitnet.cli.command import Option
from digitnet.core.errors import DataError
from digitnet.core.terminal import say

if TYPE_CHECKING:
    from digitnet.forms.template import Template
    from digitnet.review.records import StoredSheet

Job = Annotated[
    str | None,
    Option(show_default=False, help="Job to keep for digitnet review: a file such as grades.job, or postgresql://..."),
]
KeepImages = Annotated[bool, Option("--keep-images", help="Keep the pictures of the pages in the job.")]


def fill(
    place: str,
    files: Sequence[str],
    read: Callable[[Any], Any],
    kept: Callable[[Any], StoredSheet],
    *,
    templates: Sequence[Template] = (),
    keep: bool,
    resume: bool,
    jobs: int,
) -> None:
    """Read files into a job, and end with exit status 2 where some were not read.

    read: what reads a page. kept: gives what the job keeps of a page, a `Done` of `review.jobs.Filed`. templates: of
    the forms; empty for pages without. keep: whether the pictures of pages are kept.
    """
    from contextlib import closing
    from functools import partial

    from digitnet.reading.batch import each_page
    from digitnet.review.jobs import name_of, read_page
    from digitnet.review.store import Store

    with closing(Store(place, create=True)) as store:
        done, before = store.files(), store.progress("").sheets
        if before and not resume:
            raise DataError(f"{store.name}: already exists; add to it with --resume, or choose another --job")
        if before and bool(store.templates()) != bool(templates):
            raise DataError(f"{store.name}: holds {'numbers of pages' if templates else 'forms'}; choose another --job")
        store.add_forms(templates)
        left = [file for file in files if name_of(file) not in done]
        if len(left) < len(files):
            say(f"{len(files) - len(left):,} of {len(files):,} files are already in {store.name}")
        count = failed = 0
        for each in each_page(partial(read_page, read, keep=keep), left, jobs=jobs, opened=_opened):
            sheet = kept(each)
            store.add(sheet)
            count += 1
            failed += sheet.status in ("refused", "error")
        progress = store.progress("")
    what = "sheet" if templates else "page"
    say(f"{count:,} {what}{'s' * (count != 1)}, {failed:,} not read")
    say(f"{progress.open:,} of {progress.fields:,} fields to review: digitnet review {store.name}")
    if failed:
        raise click.exceptions.Exit(2)


def _opened(file: str) -> str | bytes:
    return sys.stdin.buffer.read() if file == "-" else file
