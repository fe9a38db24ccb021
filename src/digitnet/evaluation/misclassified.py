"""The misread digits of a run: saved beside its weights, and loaded with its scores."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np

from digitnet.core import npz
from digitnet.core.digits import IMAGE_SIZE, Digits
from digitnet.core.errors import DataError
from digitnet.core.files import write_atomic
from digitnet.core.npz import INTEGERS, Column
from digitnet.evaluation.metrics import Scores
from digitnet.models.run_folder import ERRORS, SCORES

A_CELL = 20
"""Wrong digits that are kept of each cell of the confusion matrix, the surest ones."""

_COLUMNS = {
    "images": Column(("u1",), (IMAGE_SIZE, IMAGE_SIZE)),
    "index": Column(INTEGERS),
    "labels": Column(INTEGERS),
    "predicted": Column(INTEGERS),
    "probability": Column(("f4",)),
}


def save_errors(scores: Scores, digits: Digits, path: Path) -> None:
    """Keep the digits that were read wrong in an `.npz` file, atomically, the surest first, `A_CELL` of each confusion.

    digits: those scored, in their order. The file has images (n, 28, 28) uint8, labels, predicted (n,) uint8,
    probability (n,) float32, and index (n,) int64 as `scores` has it. Labels are numbers of classes.
    """
    wrong = scores.ranked_errors()
    cells = scores.labels[wrong].astype(int) * len(scores.names) + scores.predicted[wrong]
    rows = wrong[[bool((cells[:place] == cell).sum() < A_CELL) for place, cell in enumerate(cells)]]
    packed = io.BytesIO()
    np.savez_compressed(
        packed,
        images=digits.images[rows],
        index=scores.index[rows],
        labels=scores.labels[rows],
        predicted=scores.predicted[rows],
        probability=scores.confidence[rows],
    )
    write_atomic(path, packed.getvalue())


def load_report(folder: Path) -> dict[str, Any]:
    """Return a run's scores, as its `SCORES` has them, with `run`, its name, and `wrong`, its wrong digits.

    wrong: the surest first, each with index, true, predicted, probability and image, 784 integers 0..255, row after
    row; None where the run did not keep them. Raises DataError where the folder holds no scored run.
    """
    again = "expected the folder of a finished run; make one with: digitnet train"
    try:
        scores = json.loads((folder / SCORES).read_text(encoding="utf-8"))
        if "confusion" not in scores:
            raise DataError(f"{folder}: its scores have no confusion matrix; choose a run of a single-digit network")
        kept = _errors(folder / ERRORS) if (folder / ERRORS).is_file() else None
    except OSError as error:
        raise DataError(f"{folder}: {SCORES} cannot be read ({error.strerror}); {again}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{folder}: {SCORES} or {ERRORS} is damaged; {again}") from error
    return {"run": folder.resolve().name, **scores, "wrong": kept}


def _errors(path: Path) -> list[dict[str, Any]]:
    found = npz.read(path, _COLUMNS, 100 * A_CELL * IMAGE_SIZE * IMAGE_SIZE)
    columns = [found[name].tolist() for name in ("index", "labels", "predicted", "probability")]
    pixels = found["images"].reshape(-1, IMAGE_SIZE * IMAGE_SIZE).tolist()
    names = ("index", "true", "predicted", "probability", "image")
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, pixels, strict=True)]
