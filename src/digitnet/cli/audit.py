"""The command `audit`, which finds wrong labels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from digitnet.cli.command import Option
from digitnet.cli.options import DataDir
from digitnet.core.errors import DataError
from digitnet.core.terminal import console, put, say
from digitnet.core.text import duration, percent

if TYPE_CHECKING:
    from digitnet.experiments.label_audit import Source, Suspect

LISTED = 10
"""Suspects that are printed."""


def audit(
    data: Annotated[str, Option(help="Name of a data set, or path of your own.")] = "mnist",
    folds: Annotated[int, Option(min=2, help="Number of parts; each is judged by networks trained on the others.")] = 5,
    most: Annotated[int, Option(min=1, help="Maximum number of suspects on the page; the table has all.")] = 200,
    seed: Annotated[int, Option(min=0, max=2**31, help="Seed of the folds and the networks.")] = 0,
    out: Annotated[Path | None, Option(show_default="run/audit-N", help="Folder for the table and the page.")] = None,
    data_dir: DataDir = None,
) -> None:
    """Find labels that are probably wrong: a table and a page of images, most probable first.

    Every digit of the training and test parts is judged by networks that have never seen it.

    Examples: digitnet audit; digitnet audit --data my-digits/ --out doubts; digitnet audit --data mine.csv --folds 10.
    """
    import numpy as np

    from digitnet.core.files import require_writable
    from digitnet.experiments.label_audit import (
        GALLERY,
        TABLE,
        folds_of,
        need_cleanlab,
        open_source,
        out_of_fold,
        save,
        suspects,
    )

    need_cleanlab()
    folder = _new_folder(out, (TABLE, GALLERY))
    source = open_source(data, data_dir)
    digits = source.digits
    folds_of(digits, folds, seed)  # before the training, which takes minutes
    require_writable(folder)
    probs = np.zeros((len(digits), 10), np.float32)
    put(f"Judging {len(digits):,} digits of {data} in {folds} folds")
    for fold in out_of_fold(digits, folds, seed):
        probs[fold.rows] += fold.probs
        left = duration(fold.seconds * (fold.folds - fold.number))
        print(f"fold {fold.number}/{fold.folds}  {len(fold.rows):,} digits  {left} left", flush=True)
    found = suspects(digits, probs)
    about = (
        f"Each digit was judged by two networks trained only on other digits, in {folds} folds (seed {seed}), "
        "and confident learning estimated how many labels are wrong."
    )
    save(found, source, folder, about, most)
    wrong = sum(one.wrong for one in found)
    print(f"{len(found):,} suspect labels among {len(digits):,}; confident learning counts {wrong:,} of them as wrong")
    if found:
        _print_first(found, source)
    say(f"Images: {folder / GALLERY}")
    say(f"Table: {folder / TABLE}")


def _new_folder(out: Path | None, names: tuple[str, ...]) -> Path:
    """Return the folder to write to; it is not made yet."""
    if out is not None:
        if out.exists() and not out.is_dir():
            raise DataError(f"{out} is a file; name a folder with --out")
        if taken := [name for name in names if (out / name).exists()]:
            raise DataError(f"{out / taken[0]}: already exists; choose another --out")
        return out
    number = 1
    while (folder := Path("run") / f"audit-{number}").exists():
        number += 1
    return folder


def _print_first(found: list[Suspect], source: Source) -> None:
    from rich.table import Table

    from digitnet.experiments.label_audit import name_of

    table = Table("rank", "digit", "label", "suggested", "probability")
    for rank, one in enumerate(found[:LISTED], 1):
        cells = (str(rank), name_of(source, one.row), str(one.given), str(one.suggested), percent(one.probability))
        table.add_row(*cells)
    console().print(table)
