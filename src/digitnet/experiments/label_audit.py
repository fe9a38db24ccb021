"""Finding wrong labels: each digit is judged by networks that have never seen it, and by confident learning.

    for fold in out_of_fold(digits):
        probs[fold.rows] += fold.probs
    for suspect in suspects(digits, probs):
        ...

The networks learn by the quick recipe. Confident learning (Northcutt, Jiang, Chuang, "Confident Learning: Estimating
Uncertainty in Dataset Labels", 2021), by cleanlab, estimates how many labels of each digit are wrong from how sure the
networks are of others, and marks as many of the labels that they believe least. All labels that the networks
contradict are ranked by how little they are believed, marked or not: where few labels are wrong, the estimate misses
some.
"""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digitnet.core import extras
from digitnet.core.classes import DIGIT_NAMES
from digitnet.core.digits import Digits
from digitnet.core.display import data_uri
from digitnet.core.errors import DataError
from digitnet.core.files import cell, write_atomic
from digitnet.core.text import listed, percent
from digitnet.data import pictures
from digitnet.data.datasets import DATASETS, load, part_names
from digitnet.models import checkpoint
from digitnet.models.networks import TorchClassifier
from digitnet.training.config import RECIPES, TrainConfig, with_epochs
from digitnet.training.loop import new_network, train

FOLDS = 5
"""Parts that the digits are judged in: each by a network that learnt from the others."""

EPOCHS = 2
"""Passes of each network over its digits; how many was measured is told in docs/decisions.md."""

REPEATS = 2
"""Times that all is judged, by other folds and networks: their mean is less moved by what one happened to learn."""

STEPS = 400
"""Least optimizer steps of each network: few digits are passed over more often."""

TABLE, GALLERY = "suspects.csv", "suspects.html"
"""What `save` writes."""

COLUMNS = ("rank", "part", "index", "file", "given", "suggested", "probability", "belief", "wrong")
"""The columns of the table."""


@dataclass(frozen=True)
class Fold:
    """One part judged. number: 1-based, of `folds` in all. rows: (m,) int64, its digits. seconds: it took.

    probs: (m, 10) float32, a share of what its digits are: over all folds they add up to probabilities.
    """

    number: int
    folds: int
    rows: NDArray[np.int64]
    probs: NDArray[np.float32]
    seconds: float


@dataclass(frozen=True)
class Suspect:
    """A label that the network contradicts which never saw its digit.

    row: its digit's place among those audited. given: what the label says. suggested: what the network said,
    with its `probability`, 0..1. belief: the probability that it left for the given label. wrong: whether confident
    learning counts the label among the wrong ones.
    """

    row: int
    given: int
    suggested: int
    probability: float
    belief: float
    wrong: bool


@dataclass(frozen=True)
class Source:
    """The digits of a data set or path, and where each comes from.

    parts: (n,) "train" or "test", "" where the source has no parts. index: (n,) int64, each digit's place in its part.
    files: each digit's file, relative to the folder; empty where the source is no folder of pictures.
    """

    name: str
    digits: Digits
    parts: NDArray[np.str_]
    index: NDArray[np.int64]
    files: tuple[str, ...]


def open_source(name: str, data_dir: str | Path | None = None) -> Source:
    """Load all labelled digits of a named set or a path, training part first. Raises DataError as `load` does."""
    names = part_names(name)
    loaded = [load(name, part, data_dir) for part in names]
    labels = [part.labels for part in loaded if part.labels is not None]
    if len(labels) < len(loaded):
        raise DataError(f"{name}: has no labels; an audit requires labelled digits")
    if other := next((part.names for part in loaded if part.names != DIGIT_NAMES), ()):
        raise DataError(f"{name}: has the labels {listed(other, 5)}; an audit requires the ten digits")
    digits = Digits(np.concatenate([part.images for part in loaded]), np.concatenate(labels))
    parts = [("" if part == "all" else part, len(one)) for part, one in zip(names, loaded, strict=True)]
    return Source(
        name,
        digits,
        np.concatenate([np.full(count, part, "U5") for part, count in parts]),
        np.concatenate([np.arange(count) for _, count in parts]),
        _files(name, [part for part, _ in parts], len(digits)),
    )


def name_of(source: Source, row: int) -> str:
    """Return what a person calls a digit: its file, or its part and its place in that, from 0."""
    return source.files[row] if source.files else f"{source.parts[row]} {source.index[row]}".strip()


def _files(name: str, parts: Sequence[str], count: int) -> tuple[str, ...]:
    """Return the files of `count` digits, relative to the folder of that name; none where it is no such folder."""
    folder = Path(name).expanduser()
    folders = [folder / part for part in parts] if name not in DATASETS else []
    files = [file for each in folders if each.is_dir() for file in pictures.files_in(each)]
    return tuple(file.relative_to(folder).as_posix() for file in files) if len(files) == count else ()


def recipe(count: int, seed: int = 0) -> TrainConfig:
    """Return how a network learns from `count` digits: the quick recipe, passing over few digits more often."""
    return with_epochs(replace(RECIPES["quick"], passes=EPOCHS, steps=STEPS, seed=seed), count)


def folds_of(digits: Digits, folds: int = FOLDS, seed: int = 0) -> NDArray[np.int64]:
    """Return which fold judges each digit, (n,) 0 .. folds-1: each label in proportion, equal images together.

    Raises DataError where there are fewer different images of a label than folds, or one label alone.
    """
    from sklearn.model_selection import StratifiedKFold

    given = _labels(digits)
    if folds < 2:
        raise DataError(f"{folds} folds: choose 2 or more")
    # A copy among the digits that a network learnt from would let it judge what it has seen.
    flat = np.ascontiguousarray(digits.images).reshape(len(digits), -1)
    _, first, copy = np.unique(flat.view(f"V{flat.shape[1]}").ravel(), return_index=True, return_inverse=True)
    labels = given[first]
    present, counts = np.unique(labels, return_counts=True)
    if len(present) < 2:
        raise DataError(f"all labels are {labels[0]}; an audit needs digits with two or more different labels")
    for digit, count in zip(present, counts, strict=True):
        if count < folds:
            raise DataError(
                f"label {digit}: {count} different images, but each of {folds} folds needs one; add some, or use "
                "fewer --folds"
            )
    fold = np.empty(len(labels), np.int64)
    for number, (_, rows) in enumerate(StratifiedKFold(folds, shuffle=True, random_state=seed).split(labels, labels)):
        fold[rows] = number
    return fold[copy.ravel()]


def _labels(digits: Digits) -> NDArray[np.uint8]:
    if digits.labels is None:
        raise DataError("digits without labels cannot be audited; load them with their labels")
    return digits.labels


def out_of_fold(digits: Digits, folds: int = FOLDS, seed: int = 0) -> Iterator[Fold]:
    """Judge all digits `REPEATS` times, a fold at a time, by networks that learnt from the other folds alone.

    seed: of the folds and of each network. Raises DataError as `folds_of` does; nothing runs until iterated.
    """
    for repeat in range(REPEATS):
        fold = folds_of(digits, folds, seed + repeat)
        for number in range(folds):
            began = time.perf_counter()
            rows, others = np.flatnonzero(fold == number), np.flatnonzero(fold != number)
            config = recipe(len(others), seed + repeat + number)
            network = new_network(config)
            with TemporaryDirectory(prefix="digitnet-") as folder:
                for _ in train(network, digits[others], digits[rows[:100]], config, Path(folder)):
                    pass
                network = checkpoint.load_network(folder)
            share = TorchClassifier(network)(digits.images[rows]) / np.float32(REPEATS)
            done = repeat * folds + number + 1
            yield Fold(done, folds * REPEATS, rows, share, time.perf_counter() - began)


def need_cleanlab() -> None:
    """Raise DataError where cleanlab is not installed: better before the training than after it."""
    if find_spec("cleanlab") is None:
        raise DataError(extras.missing("cleanlab"))


def suspects(digits: Digits, probs: NDArray[np.float32]) -> list[Suspect]:
    """Return the labels that out-of-fold probabilities (n, 10) contradict, the least believed first.

    Marked wrong are as many of each digit as confident learning estimates, those that are believed least.
    Raises DataError where digits have no labels, and as `need_cleanlab` does.
    """
    need_cleanlab()
    from cleanlab.filter import find_label_issues

    labels = _labels(digits)
    present, places = np.unique(labels, return_inverse=True)
    among = np.maximum(probs[:, present].astype(np.float64), 1e-12)  # a row of zeros would have no shares
    among /= among.sum(axis=1, keepdims=True)
    wrong = find_label_issues(places, among, filter_by="prune_by_class", n_jobs=1)
    answer = among.argmax(axis=1)
    belief = among[np.arange(len(labels)), places]
    rows = np.flatnonzero((answer != places) | wrong)
    return [
        Suspect(
            int(row),
            int(labels[row]),
            int(present[answer[row]]),
            float(among[row, answer[row]]),
            float(belief[row]),
            bool(wrong[row]),
        )
        for row in rows[np.argsort(belief[rows], kind="stable")]
    ]


def save(found: Sequence[Suspect], source: Source, folder: Path, about: str, most: int) -> None:
    """Write the ranked suspects as a table, `TABLE`, and the first `most` with their pictures as a page, `GALLERY`.

    about: how they were found, a sentence for the page. Both files are whole or not there.
    """
    from jinja2 import Environment, PackageLoader

    rows = [_row(rank, suspect, source) for rank, suspect in enumerate(found, 1)]
    table = io.StringIO()
    writer = csv.DictWriter(table, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    shown = [
        row
        | {
            "picture": _png(source.digits.images[suspect.row]),
            "name": name_of(source, suspect.row),
            "percent": percent(suspect.probability),
        }
        for row, suspect in zip(rows[:most], found, strict=False)
    ]
    page = Environment(
        loader=PackageLoader("digitnet.experiments"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    html = page.get_template("audit.html").render(
        source=Path(source.name).name,
        count=len(source.digits),
        found=len(found),
        wrong=sum(suspect.wrong for suspect in found),
        shown=shown,
        about=about,
        table=TABLE,
    )
    # Names of files need not be Unicode: the table keeps their bytes, the page shows a mark in their place.
    write_atomic(folder / TABLE, table.getvalue().encode("utf-8", "surrogateescape"))
    write_atomic(folder / GALLERY, html.encode("utf-8", "replace"))


def _row(rank: int, suspect: Suspect, source: Source) -> dict[str, Any]:
    return {
        "rank": rank,
        "part": str(source.parts[suspect.row]),
        "index": int(source.index[suspect.row]),
        "file": cell(source.files[suspect.row]) if source.files else "",
        "given": suspect.given,
        "suggested": suspect.suggested,
        "probability": f"{suspect.probability:.4f}",
        "belief": f"{suspect.belief:.4f}",
        "wrong": "yes" if suspect.wrong else "",
    }


def _png(image: NDArray[np.uint8]) -> str:
    """Return an image as a data URI, dark ink on light paper."""
    from PIL import Image

    return data_uri(Image.fromarray(255 - image))
