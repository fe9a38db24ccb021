"""What a report shows of a model: `measure(score_model(model, source)) -> Findings`; `build.py` makes the page."""

from __future__ import annotations

import hashlib
import json
import platform
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from digitnet.core.classes import DIGIT_NAMES
from digitnet.core.digits import Classifier, Digits, names_of
from digitnet.core.errors import DataError, DigitNetError, ModelError
from digitnet.core.version import __version__
from digitnet.data.corruptions import CORRUPTIONS, corrupt
from digitnet.data.datasets import DATASETS, find, fingerprint, stratified
from digitnet.evaluation.comparison import Comparison
from digitnet.evaluation.metrics import Scores, evaluate
from digitnet.evaluation.scoring import Evaluation, score_model, trained_on_all
from digitnet.models.inspection import occlusion
from digitnet.models.loading import Model
from digitnet.models.run_folder import CONFIG, HISTORY, SCORES, WEIGHTS

SAMPLE = 2_000
"""Digits that are spoilt, and that the speed is measured on: all 10,000 of MNIST's would take a minute and more."""

MAPPED = 1_000
"""Digits on the map of the hidden layer: more hide each other."""

EXAMPLE = 3
"""The digit that corruptions are shown on, where there is one: it has bows, ends and gaps."""


class Network(Protocol):
    """A classifier that can be looked into: `OnnxClassifier` and `TorchClassifier`."""

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return probabilities (n, 10)."""

    def filters(self) -> NDArray[np.float32]:
        """Return the first layer's filters (channels, h, w)."""

    def layers(self, image: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """Return the maps of one image after each pooling, (channels, h, w) each, and the hidden units."""

    def hidden(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the hidden units (n, units)."""


@dataclass(frozen=True, eq=False)
class CorruptionScores:
    """Scores under one corruption, and a digit as it looks then, (28, 28) uint8."""

    name: str
    scores: Scores
    example: NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class NetworkView:
    """What is inside a network.

    filters: (channels, h, w) float32, the first layer's weights. example: the row of a digit scored, and layers: its
    maps after each pooling, (channels, h, w) float32 each. shown: (k,) rows, one of each label that was read right, and
    needed: which ink of it was needed, (28, 28) each; see `inspection.Inside`. rows: (n,), and points: (n, 2), where
    these lie on the two main axes of the hidden layer. explained: the shares of its variance that these hold, 0..1.
    """

    filters: NDArray[np.float32]
    example: int
    layers: tuple[NDArray[np.float32], ...]
    shown: NDArray[np.int64]
    needed: tuple[NDArray[np.float32], ...]
    rows: NDArray[np.int64]
    points: NDArray[np.float64]
    explained: tuple[float, float]


@dataclass(frozen=True, eq=False)
class Findings:
    """All that a report tells.

    done: the scores. rate: digits classified a second, the best of three. history: a run's epochs, as its
    history.jsonl has them. seeds: seed and accuracy of this run and of those beside it that differ in their seed alone.
    spoilt: scores under each corruption, on `sample` digits; empty where not measured. others: scores on other data.
    look: what is inside, or why that cannot be told. rival, comparison: another model on the same digits.
    """

    done: Evaluation
    rate: float
    history: tuple[dict[str, Any], ...] = ()
    seeds: tuple[tuple[int, float], ...] = ()
    spoilt: tuple[CorruptionScores, ...] = ()
    others: tuple[Evaluation, ...] = ()
    look: NetworkView | str = ""
    rival: Evaluation | None = None
    comparison: Comparison | None = None
    facts: dict[str, str] = field(default_factory=dict)

    @property
    def scores(self) -> Scores:
        """The scores on the main data."""
        return self.done.scores


def measure(
    done: Evaluation,
    *,
    others: Sequence[Evaluation] = (),
    rival: Evaluation | None = None,
    spoil: Sequence[str] = tuple(CORRUPTIONS),
    tell: Callable[[str], None] = lambda what: None,
) -> Findings:
    """Measure what a report tells beyond the scores.

    spoil: the corruptions to score under. tell: is told what is being measured. Raises DataError where the rival was
    scored on none of the same digits.
    """
    comparison = None
    if rival is not None:
        done, rival = in_common(done, rival)
        comparison = Comparison(done.scores, rival.scores)
    some = sample(done.digits, SAMPLE)
    digits = done.digits[some]
    tell("its speed")
    rate = len(digits) / min(_seconds(done.model.classifier, digits) for _ in range(3))  # the least disturbed
    tell("what is inside")
    look = look_inside(done)
    spoilt, seen = [], int(np.argmax(digits.labels == EXAMPLE)) if digits.labels is not None else 0
    for name in spoil:
        tell(name.replace("_", " "))
        changed = corrupt(digits, name)
        spoilt.append(CorruptionScores(name, evaluate(done.model.classifier, changed), changed.images[seen]))
    history = _history(done.model.home)
    seeds = _seeds(done.model) if history else ()
    return Findings(
        done, rate, history, seeds, tuple(spoilt), tuple(others), look, rival, comparison, _facts(done, rival)
    )


def _seconds(classifier: Classifier, digits: Digits) -> float:
    began = time.perf_counter()
    classifier(digits.images)
    return time.perf_counter() - began


def elsewhere(model: Model, but: Sequence[Evaluation], data_dir: str | Path | None = None) -> list[Evaluation]:
    """Score a model on the named data sets that are here, without fetching any.

    Left out are those scored already, and those that the model has learnt from whole.
    """
    seen = {fingerprint(done.digits) for done in but}
    names = {done.source for done in but}
    if names_of(model.classifier) != DIGIT_NAMES:
        return []
    here = [
        dataset.name
        for dataset in DATASETS.values()
        if dataset.name not in names
        and not trained_on_all(model.about, dataset.name)
        and all(find(dataset, file, data_dir) for file in dataset.files)
    ]
    found = [score_model(model, name, data_dir) for name in here]
    return [done for done in found if fingerprint(done.digits) not in seen]


def in_common(one: Evaluation, other: Evaluation) -> tuple[Evaluation, Evaluation]:
    """Return two evaluations on the same source, each on the digits that both scored."""
    if one.scores.names != other.scores.names:
        raise DataError(f"{one.model.name} and {other.model.name}: have different classes, so they cannot be compared")
    rows = np.intersect1d(one.scores.index, other.scores.index)
    if not len(rows):
        raise DataError(
            f"{one.model.name} and {other.model.name}: no digits of {one.source} on which both can be scored"
        )
    return _only(one, rows), _only(other, rows)


def _only(done: Evaluation, index: NDArray[np.int64]) -> Evaluation:
    keep = np.isin(done.scores.index, index)
    scores = done.scores.without(np.setdiff1d(done.scores.index, index).tolist())
    return replace(done, digits=done.digits[keep], scores=scores)


def sample(digits: Digits, most: int) -> NDArray[np.bool_]:
    """Return a mask (n,) of at most so many digits, each label in proportion; always the same ones."""
    return stratified(digits, most) if len(digits) > most else np.ones(len(digits), bool)


def look_inside(done: Evaluation) -> NetworkView | str:
    """Look into a network; return why where that cannot be done."""
    network = cast(Network, done.model.classifier)
    digits, scores = done.digits, done.scores
    right = np.flatnonzero(scores.right)
    if not len(right):
        return "No digit was read correctly, so there is nothing to show."
    shown = np.array(
        [rows[0] for label in range(len(scores.names)) if len(rows := right[scores.labels[right] == label])]
    )
    example = int(right[0])
    rows = np.flatnonzero(sample(digits, MAPPED))
    try:
        filters, (*layers, _) = network.filters(), network.layers(digits.images[example])
        hidden = network.hidden(digits.images[rows])
    except ModelError as error:
        return f"{error}."
    needed = tuple(occlusion(network, image) for image in digits.images[shown])
    points, explained = _plane(hidden)
    return NetworkView(filters, example, tuple(layers), shown, needed, rows, points, explained)


def _plane(hidden: NDArray[np.float32]) -> tuple[NDArray[np.float64], tuple[float, float]]:
    """Return the projection (n, 2) on the two main axes, and the shares of the variance that they hold."""
    from sklearn.decomposition import PCA

    if min(hidden.shape) < 2 or not hidden.std():
        return np.zeros((len(hidden), 2)), (0.0, 0.0)
    pca = PCA(2, svd_solver="covariance_eigh")
    points = pca.fit_transform(hidden.astype(np.float64))
    first, second = pca.explained_variance_ratio_
    return points, (float(first), float(second))


def _history(home: Path) -> tuple[dict[str, Any], ...]:
    path = home / HISTORY
    if home == Path() or not path.is_file():
        return ()
    try:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        names = ("number", "loss", "lr", "seconds", "valid_accuracy")
        return tuple(line for line in lines if all(float(line[name]) >= 0 for name in names))
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path}: damaged; expected one JSON object per epoch, as written by training") from error


def _seeds(model: Model) -> tuple[tuple[int, float], ...]:
    """Return seed and test accuracy of a run and of the finished ones beside it that differ in their seed alone."""

    def settings(about: dict[str, Any]) -> dict[str, Any]:
        # Which revision of the code and how many threads it was may differ: the numbers hardly do.
        others = ("seed", "revision", "threads", "threads_measured")
        return {name: value for name, value in about.items() if name not in others}

    found: dict[int, float] = {}
    for path in sorted(model.home.resolve().parent.glob(f"*/{SCORES}")):
        try:
            about = json.loads((path.parent / CONFIG).read_text(encoding="utf-8"))
            if settings(about) == settings(model.about):
                found.setdefault(int(about["seed"]), float(json.loads(path.read_text(encoding="utf-8"))["accuracy"]))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue  # somebody else's folder
    return tuple(sorted(found.items()))


def _facts(done: Evaluation, rival: Evaluation | None) -> dict[str, str]:
    """Return what the numbers depend on: versions, machine, hashes."""
    import onnxruntime  # type: ignore[import-untyped]

    facts = {
        "digitnet": __version__,
        "Python": platform.python_version(),
        "numpy": np.__version__,
        "ONNX Runtime": onnxruntime.__version__,
    }
    if "torch" in sys.modules:
        facts["PyTorch"] = str(sys.modules["torch"].__version__)
    facts["machine"] = f"{platform.system()} {platform.machine()}"
    for each in (done, rival):
        if each is not None:
            facts[f"SHA-256 of {each.model.name}"] = weights_sha256(each.model)
    facts["SHA-256 of the digits scored"] = fingerprint(done.digits)
    return facts


def weights_path(model: Model) -> Path | None:
    """Return the file that a model's weights lie in; None for a built-in one."""
    path = model.home / WEIGHTS if model.home != Path() else Path(model.name)
    return path if path.is_file() else None


def weights_sha256(model: Model) -> str:
    """Return the SHA-256 (hex) of the file that a model's weights lie in."""
    if known := getattr(model.classifier, "sha256", None):
        return str(known)
    path = weights_path(model)
    if path is None:
        raise DigitNetError(f"{model.name}: its weights are missing; were they moved?")
    return hashlib.sha256(path.read_bytes()).hexdigest()
