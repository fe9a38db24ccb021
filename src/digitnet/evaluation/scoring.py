"""Any model on any digits, by their names: `score("strong", "my-digits/")`, which also draws the confusion matrix.

Built-in models and `.onnx` files need the base install alone; a run or its weights need torch.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digitnet.core import extras
from digitnet.core.digits import Digits, names_of
from digitnet.core.errors import DataError
from digitnet.data import pictures
from digitnet.data.corruptions import corrupt
from digitnet.data.datasets import DATASETS, fingerprint, held_out_rows, load, wrong_labels
from digitnet.data.fonts import FONTS
from digitnet.evaluation.metrics import Scores, evaluate, scored
from digitnet.models import onnx_models
from digitnet.models.loading import Model
from digitnet.models.run_folder import CONFUSION
from digitnet.models.trained_on import warn_of_seen

log = logging.getLogger("digitnet")


@dataclass(frozen=True)
class Evaluation:
    """A model's scores on some digits.

    picture: where `score` saves the confusion matrix, unless that folder cannot be written or matplotlib is missing.
    files: of a folder of pictures, the file of each index in `scores.index`; else empty. held_out: whether these are
    only the digits that the model's own training kept for testing. refused: share that the model takes for no digit,
    0..1; None where the model does not tell.
    """

    model: Model
    source: str
    digits: Digits
    scores: Scores
    picture: Path
    files: list[Path]
    held_out: bool
    refused: float | None


def score(model: Model, source: str | None = None, data_dir: str | Path | None = None) -> Evaluation:
    """Score a model as `score_model` does, and save the confusion matrix where matplotlib is installed."""
    done = score_model(model, source, data_dir)
    try:
        picture(done.scores, done.picture, Path(model.name).name, done.source)
    except OSError as error:
        log.warning(
            "%s: cannot be written (%s); the scores are printed without the image", done.picture, error.strerror
        )
    except ModuleNotFoundError as error:
        if (told := extras.missing(error.name)) is None:
            raise
        log.warning("no image of the confusion matrix: %s", told)
    return done


def score_model(model: Model, source: str | None = None, data_dir: str | Path | None = None) -> Evaluation:
    """Score a model on labelled digits.

    source: a data set's name (its test part is scored) or a path; by default the data that the model was trained on,
    or MNIST. Of data that it learnt from, known by its SHA-256, only the digits kept back for testing are scored.
    Raises DataError where the data has no labels, or none was kept back.
    """
    source = source or own_data(model)
    digits, rows, held_out = _to_score(model, source, data_dir)
    classifier, refused = model.classifier, None
    if isinstance(classifier, onnx_models.OnnxClassifier):
        probs, digitness = classifier.classify(digits.images)
        refused = float((digitness < classifier.threshold).mean()) if len(digits) else 0.0
        scores = scored(probs, digits, classifier.trained_on)
    else:
        scores = evaluate(classifier, digits)
    scores = replace(scores, index=rows)
    ours = model.home != Path() and source == own_data(model)
    name = CONFUSION if ours else CONFUSION.replace(".", f"-{Path(source).name.split('.')[0]}.")
    return Evaluation(model, source, digits, scores, model.home / name, files_of(source), held_out, refused)


judge = score_model
"""The earlier name of `score_model`."""


def files_of(source: str) -> list[Path]:
    """Return the files of a folder of pictures, in the order of its digits; none of any other source."""
    folder = Path(source)
    return pictures.files_in(folder) if source not in DATASETS and folder.is_dir() else []


def score_corrupted(
    model: Model, names: Sequence[str], source: str | None = None, data_dir: str | Path | None = None
) -> Iterator[tuple[str, Scores]]:
    """Score a model on the digits that `score` takes, corrupted in one way after the other; see `corruptions.py`."""
    digits, _, _ = _to_score(model, source or own_data(model), data_dir)
    if (images := getattr(model.classifier, "trained_on", None)) is not None:
        warn_of_seen(images.has(digits.images), images)  # which a corrupted digit would hide
    for name in names:
        yield name, evaluate(model.classifier, corrupt(digits, name))


def own_data(model: Model) -> str:
    """Return the data that a model was trained on, or MNIST where that is not known."""
    return str(model.about.get("data", "mnist"))


def trained_on_all(about: Mapping[str, Any], source: str) -> bool:
    """Return whether a model learnt from all digits of a source, its test part too: its score there would say nothing.

    about: the model's configuration or metadata. So it is with handwriting fonts and the recipes that add them.
    """
    return source == FONTS.name and bool(about.get("fonts"))


def _to_score(model: Model, source: str, data_dir: str | Path | None) -> tuple[Digits, NDArray[np.int64], bool]:
    """Return a source's digits that the model has not learnt from, their rows, and whether some were left out."""
    if trained_on_all(model.about, source):
        raise DataError(
            f"{source}: {model.name} was trained on all of these digits, so a score is meaningless; choose other data"
        )
    digits = load(source, "test", data_dir)
    if digits.labels is None:
        raise DataError(f"{source}: has no labels; scoring needs them")
    own = model.about.get("data_sha256") == fingerprint(digits)
    rows = np.flatnonzero(held_out_rows(digits)) if own else np.arange(len(digits))
    return in_classes(digits[rows] if own else digits, model, source), rows, own


def in_classes(digits: Digits, model: Model, source: str) -> Digits:
    """Return labelled digits with the classes of a model. Raises DataError where it does not have all of them."""
    try:
        return digits.with_names(names_of(model.classifier))
    except DataError as error:
        raise DataError(f"{model.name} on {source}: {error}") from error


def picture(scores: Scores, path: Path, model: str, source: str) -> None:
    """Save a confusion matrix with a title that says whose it is."""
    from digitnet.evaluation.confusion import save_confusion

    title = f"{model} on {Path(source).name}: {scores.correct:,} of {scores.n:,} correct ({scores.accuracy:.2%})"
    save_confusion(scores, path, title)


def summary(scores: Scores, digits: Digits) -> dict[str, object]:
    """Return `scores.to_dict()` and, where they differ, the scores without some digits.

    On MNIST's test set these are its known wrong labels, and anywhere those that the model was trained on.
    """
    found = scores.to_dict()
    if wrong := wrong_labels(digits):
        found["without_wrong_labels"] = _in_short(scores.without(wrong))
    if found["trained_on"] and (rest := scores.unseen()):
        found["without_trained_on"] = _in_short(rest)
    return found


def _in_short(scores: Scores) -> dict[str, object]:
    return {"accuracy": scores.accuracy, "n": scores.n, "interval": list(scores.interval)}
