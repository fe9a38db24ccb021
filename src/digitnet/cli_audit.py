"""The command that looks for wrong labels: `digitnet audit`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from digitnet.errors import DataError
from digitnet.terminal import console, percent, program, say

LISTED = 10
"""Suspects that are printed."""


def audit(
    data: Annotated[str, typer.Option(help="A data set's name, or the path of your own.")] = "mnist",
    split: Annotated[
        Literal["all", "train", "test"],
        typer.Option(help="Whose labels are doubted; the networks learn from all parts either way."),
    ] = "all",
    folds: Annotated[int, typer.Option(min=2, help="Parts that are judged by a network that learnt from the others.")] = 5,
    most: Annotated[int, typer.Option(min=1, help="Suspects on the page; the table has all of them.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="Of the folds and the networks.")] = 0,
    out: Annotated[Path | None, typer.Option(show_default="run/audit-N", help="A new folder for table and page.")] = None,
    data_dir: Annotated[
        Path | None,
        typer.Option(show_default="DIGITNET_DATA, else the platform's cache folder", help="Folder of named data sets."),
    ] = None,
) -> None:
    """Find labels that are probably wrong: a table and a page with pictures, the likeliest first.

    Examples: digitnet audit; digitnet audit --split test; digitnet audit --data my-digits/ --out doubts.
    """
    from digitnet.audit import GALLERY, TABLE, folds_of, judge, need_cleanlab, open_source, save, suspects
    from digitnet.run import new_folder

    need_cleanlab()
    source = open_source(data, data_dir)
    folds_of(source.digits, folds, seed)
    folder = new_folder(out, "audit")
