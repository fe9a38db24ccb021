"""Reading scored against a folder's `truth.csv`."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from digitnet.core.errors import DataError, ImageError
from digitnet.evaluation.line_metrics import LineScores
from digitnet.reading.batch import read_all
from digitnet.reading.constraints import Rules
from digitnet.reading.reader import Reader

TRUTH = "truth.csv"
"""The file in a folder of pictures that says what is written on each: columns `file` and `digits`."""


def truth(folder: Path) -> dict[str, str]:
    """Return what `TRUTH` says is written on each file of a folder; several numbers of a page are apart by spaces.

    Raises DataError where the file is missing or damaged.
    """
    path = folder / TRUTH
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            rows = list(csv.DictReader(lines))
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); expected columns file and digits") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: not a CSV file in UTF-8 ({error})") from error
    if not rows or not {"file", "digits"} <= rows[0].keys():
        raise DataError(f"{path}: expected the columns file and digits and at least one row")
    said = {}
    for number, row in enumerate(rows, 2):
        file, digits = row["file"] or "", " ".join((row["digits"] or "").split())
        if not file or set(digits) - set("0123456789 "):
            raise DataError(f"{path}: line {number}: expected a file and its digits, got {file!r} and {digits!r}")
        if file in said:
            raise DataError(f"{path}: line {number}: {file} occurs twice; use one line per file")
        said[file] = digits
    return said


def score_reading(
    reader: Reader, folder: Path, *, single: bool = False, rules: Rules | None = None, jobs: int = 1
) -> tuple[LineScores, list[str]]:
    """Read the pictures of a folder and score them against its `TRUTH`; return the scores and each one's file.

    A page is right where all its numbers are, in reading order. Raises ImageError where a picture cannot be read.
    """
    said = truth(folder)
    read, sure = [], []
    for each in read_all(reader, [str(folder / file) for file in said], single=single, rules=rules, jobs=jobs):
        if each.reading is None:
            raise ImageError(each.error)
        if each.page > 1:
            raise ImageError(f"{each.file}: has several pages; {TRUTH} supports only images with one page")
        read.append(" ".join(number.text for number in each.reading.numbers))
        sure.append(each.reading.confidence if each.reading.numbers else 0.0)
    return LineScores(tuple(said.values()), tuple(read), np.array(sure, np.float32)), list(said)
