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
from digitnet.core.digits import Classifier, Digits
from digitnet.core.errors import DataError, ModelError
from digitnet.data import formats
from digitnet.data.corruptions import corrupt
from digitnet.data.datasets import DATASETS, fingerprint, held_out_rows, load, splits, wrong_labels
from digitnet.data.fonts import FONTS
from digitnet.evaluation.metrics import Scores, evaluate, scored
from digitnet.models import onnx_models
from digitnet.models.trained_on import trained_on, warn_of_seen

log = logging.getLogger("digitnet")

RUNS = Path("run")
"""Where runs go unless another folder is named."""

PICTURE = "confusion_matrix.png"
"""The confusion matrix in a run's folder."""


INPUTS = {"0..1": (0.0, 1.0), "mnist": (0.1307, 0.3081), "-1..1": (0.5, 0.5), "0..255": (0.0, 1 / 255)}
"""What networks take, by name: (pixel / 255 - mean) / standard deviation. "mnist" are those of MNIST's training set."""


@dataclass(frozen=True)
class Model:
    """A model opened for scoring.

    name: what the user calls it. classifier: what answers. about: its run's configuration or its file's metadata;
    empty where there is none. home: the run's folder, or the current one.
    """

    name: str
    classifier: Classifier
    about: dict[str, Any]
    home: Path


@dataclass(frozen=True)
class Evaluation:
    """A model's scores on some digits.

    picture: where `score` saves the confusion matrix, unless that folder cannot be written or matplotlib is missing.
    files: of a folder of pictures, the file of each index in `scores.index`; else empty. kept_back: whether these are
    only the digits that the model's own training kept for testing. refused: share that the model takes for no digit,
    0..1; None where the model does not tell.
    """

    model: Model
    source: str
    digits: Digits
    scores: Scores
    picture: Path
    files: list[Path]
    kept_back: bool
    refused: float | None


def is_weights(model: str | Path | None) -> bool:
    """Return whether a model is a file of weights by somebody else, which does not say what `INPUTS` it takes."""
    if (
        model is None
        or str(model) in onnx_models.built_in()
        or Path(model).suffix == ".onnx"
        or not Path(model).is_file()
    ):
        return False
    if Path(model).suffix != ".safetensors":
        return True
    from digitnet.models import checkpoint

    return "model" not in checkpoint.load_tensors(Path(model))[1]


def open_model(model: str | Path | None = None, inputs: str | None = None, data_dir: str | Path | None = None) -> Model:
    """Open a built-in model by its name, an `.onnx` file, a run's folder, or a file of weights.

    model: by default the newest run in `RUNS`, and where there is none the built-in `onnx_models.DEFAULT`. inputs: what
    a file of weights takes, a name of `INPUTS`; by default the one of them by which it reads most of MNIST's validation
    digits, which the log tells and `about` keeps as "input". data_dir: the folder of named data sets.
    Raises ModelError where there is no such model, where MNIST is needed for that and cannot be had, or where `inputs`
    is given and the model is no such file.
    """
    if inputs is not None and inputs not in INPUTS:
        raise ModelError(f"input {inputs!r}: choose one of {', '.join(INPUTS)}")
    if model is None and not any(RUNS.glob("*/model.safetensors")):  # checkpoint.WEIGHTS, which needs torch
        model = onnx_models.DEFAULT
    if model is not None and (str(model) in onnx_models.built_in() or Path(model).suffix == ".onnx"):
        opened = onnx_models.classifier(model)
        _refuse(inputs, model)
        return Model(str(model), opened, opened.about, Path())

    from digitnet.models import checkpoint
    from digitnet.models.networks import LineNet, Normalised, TorchClassifier

    path = checkpoint.latest_run(RUNS) if model is None else Path(model)
    network = checkpoint.load_network(path)
    if isinstance(network, LineNet):
        raise ModelError(f"{path}: reads whole numbers; score it with: digitnet evaluate --read, once it is exported")
    about = checkpoint.load_json(path / checkpoint.CONFIG) if (path / checkpoint.CONFIG).is_file() else {}
    if is_weights(path):
        candidates = {name: TorchClassifier(Normalised(network, *INPUTS[name])) for name in INPUTS}
        chosen = inputs or _best_input(path, candidates, data_dir)
        network, about = candidates[chosen].network, {"input": chosen}
    else:
        _refuse(inputs, path)
    classifier = TorchClassifier(network, trained_on(about, checkpoint.load_images(path)))
    return Model(str(path), classifier, about, path if path.is_dir() else Path())


def open_models(
    models: Sequence[str | Path | None], inputs: str | None = None, data_dir: str | Path | None = None
) -> list[Model]:
    """Open several models as `open_model` does; `inputs` is for the files of weights among them."""
    foreign = [is_weights(model) for model in models]
    return [
        open_model(model, inputs if weights or not any(foreign) else None, data_dir)
        for model, weights in zip(models, foreign, strict=True)
    ]


def _refuse(inputs: str | None, model: str | Path) -> None:
    if inputs is not None:
        raise ModelError(f"--input {inputs}: {model} itself says what it takes; leave it out")


def _best_input(path: Path, candidates: Mapping[str, Classifier], data_dir: str | Path | None) -> str:
    """Return the name of the classifier that reads most of MNIST's validation digits; of equals the first."""
    try:
        digits = splits("mnist", data_dir).valid
    except DataError as error:
        raise ModelError(
            f"{path}: does not say how pixels become its inputs, and MNIST's validation digits, on which to try it, "
            f"cannot be had; name one with --input ({', '.join(INPUTS)})\n{error}"
        ) from error
    right = {name: evaluate(classifier, digits).accuracy for name, classifier in candidates.items()}
    best = max(right, key=lambda name: right[name])
    others = ", ".join(f"{name} {share:.2%}" for name, share in right.items() if name != best)
    log.info(
        "%s: taken to have inputs as by --input %s, which reads %.2f%% of %d validation digits (%s)",
        *(path, best, 100 * right[best], len(digits), others),
    )
    return best


def score(model: Model, source: str | None = None, data_dir: str | Path | None = None) -> Evaluation:
    """Score a model as `judge` does, and save the confusion matrix where matplotlib is installed."""
    done = judge(model, source, data_dir)
    try:
        picture(done.scores, done.picture, Path(model.name).name, done.source)
    except OSError as error:
        log.warning("%s: cannot be written (%s); the scores come without their picture", done.picture, error.strerror)
    except ModuleNotFoundError as error:
        if (told := extras.missing(error.name)) is None:
            raise
        log.warning("no picture of the confusion matrix: %s", told)
    return done


def judge(model: Model, source: str | None = None, data_dir: str | Path | None = None) -> Evaluation:
    """Score a model on labelled digits.

    source: a data set's name (its test part is scored) or a path; by default the data that the model was trained on,
    or MNIST. Of data that it learnt from, known by its SHA-256, only the digits kept back for testing are scored.
    Raises DataError where the data has no labels, or none was kept back.
    """
    source = source or own_data(model)
    digits, rows, kept_back = _to_score(model, source, data_dir)
    classifier, refused = model.classifier, None
    if isinstance(classifier, onnx_models.OnnxClassifier):
        probs, digitness = classifier.classify(digits.images)
        refused = float((digitness < classifier.threshold).mean()) if len(digits) else 0.0
        scores = scored(probs, digits, classifier.trained_on)
    else:
        scores = evaluate(classifier, digits)
    scores = replace(scores, index=rows)
    ours = model.home != Path() and source == own_data(model)
    name = PICTURE if ours else PICTURE.replace(".", f"-{Path(source).name.split('.')[0]}.")
    return Evaluation(model, source, digits, scores, model.home / name, files_of(source), kept_back, refused)


def files_of(source: str) -> list[Path]:
    """Return the files of a folder of pictures, in the order of its digits; none of any other source."""
    folder = Path(source)
    return formats.pictures(folder) if source not in DATASETS and folder.is_dir() else []


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


def learnt_whole(about: Mapping[str, Any], source: str) -> bool:
    """Return whether a model learnt from all digits of a source, its test part too: its score there would say nothing.

    about: the model's configuration or metadata. So it is with handwriting fonts and the recipes that add them.
    """
    return source == FONTS.name and bool(about.get("fonts"))


def _to_score(model: Model, source: str, data_dir: str | Path | None) -> tuple[Digits, NDArray[np.int64], bool]:
    """Return a source's digits that the model has not learnt from, their rows, and whether some were left out."""
    if learnt_whole(model.about, source):
        raise DataError(
            f"{source}: {model.name} has learnt from all of them, so that a score would say nothing; name other data"
        )
    digits = load(source, "test", data_dir)
    if digits.labels is None:
        raise DataError(f"{source}: has no labels; scoring needs them")
    if model.about.get("data_sha256") != fingerprint(digits):
        return digits, np.arange(len(digits)), False
    rows = np.flatnonzero(held_out_rows(digits))
    return digits[rows], rows, True


def picture(scores: Scores, path: Path, model: str, source: str) -> None:
    """Save a confusion matrix with a title that says whose it is."""
    from digitnet.evaluation.report.style import save_confusion

    title = f"{model} on {Path(source).name}: {scores.correct:,} of {scores.n:,} right ({scores.accuracy:.2%})"
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
