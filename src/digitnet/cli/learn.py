"""The command `learn`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import click

from digitnet.cli.command import Argument, Option
from digitnet.cli.options import DataDir, Line
from digitnet.core.errors import DataError
from digitnet.core.terminal import put, say

FILE = "line.onnx"
"""The line reader in the folder `--out`."""


def learn(
    job: Annotated[str, Argument(help="Job that was reviewed: a file, or postgresql://...")],
    out: Annotated[Path, Option(help="Folder for the new line reader, line.onnx.")],
    templates: Annotated[
        list[str] | None,
        Argument(help="Templates of the job's forms (*.form.json, or marks, ...), needed for those without markers."),
    ] = None,
    line: Line = "line",
    data_dir: DataDir = None,
) -> None:
    """Let the line reader learn from the numbers that people decided in a job.

    Example: digitnet learn grades.job --out mine; then digitnet read scans/ --line mine/line.onnx.

    Sheets held out decide: mine/line.onnx is written if it reads their numbers better with 95% certainty and composed
    lines not worse; otherwise the exit status is 1. Takes minutes.
    """
    from contextlib import closing

    from digitnet.forms.examples import file_of
    from digitnet.reading.reader import Reader
    from digitnet.review.lessons import lessons
    from digitnet.review.store import Store
    from digitnet.training.line_learning import learn as learn_lines

    path = out / FILE
    if path.exists():
        raise DataError(f"{path}: already exists; choose another --out")
    with closing(Store(job)) as store:
        found, notes = lessons(store, Reader(line), [file_of(template) for template in templates or ()])
        name = store.name
    for note in notes:
        say(note)
    if not found:
        raise DataError(f"{name}: no number to learn from; decide some with digitnet review {name}")
    sheets = len({lesson.sheet for lesson in found})
    say(f"{len(found):,} numbers of {sheets:,} {'file' if sheets == 1 else 'files'}")
    learnt = learn_lines(found, line=line, data_dir=data_dir)
    put(f"held-out numbers: {learnt.own}")
    put(f"composed lines: {learnt.composed}")
    if not learnt.kept:
        put(learnt.verdict)
        raise click.exceptions.Exit(1)
    path.parent.mkdir(parents=True, exist_ok=True)
    learnt.save(path)
    put(f"{learnt.verdict}; use it with --line {path}")
