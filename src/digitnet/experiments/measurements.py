"""The measurements of a benchmark, each a function from `Fitted` to numbers.

Accuracy, calibration and selection are those of `evaluate`, on the digits of `suite.py`; here are how digits are told
from what is none, and throughput.
"""

from __future__ import annotations

import functools
import math
import statistics
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digitnet.core.digits import Classifier, Digits
from digitnet.data.corruptions import CORRUPTIONS
from digitnet.data.datasets import wrong_labels
from digitnet.evaluation.metrics import Scores, evaluate
from digitnet.evaluation.scoring import trained_on_all
from digitnet.experiments.suite import BenchmarkData
from digitnet.models import onnx_models

REJECTED = 0.01
"""Share of validation digits below the threshold of what is refused as no digit, 0..1."""

SENT = 0.01
"""Share of the least sure answers sent to a person, 0..1."""

TURNS, A_TURN = 7, 0.1
"""Throughput: turns, and about how many seconds each takes."""

A_BATCH = 256
"""Images classified at a time for throughput."""


Numbers = dict[str, float | None]
"""What a measurement gives: numbers by name, None where there is none to tell."""


@dataclass(frozen=True, eq=False)
class Fitted:
    """A model ready to be measured.

    digitness: how digit-like images are, (n,), any scale; None where the highest probability must stand in for it.
    cost: seconds of training, `wall` and `cpu`, None where they are not known; and `bytes` of its file.
    about: its run's configuration or file's metadata; empty for a baseline.
    """

    classifier: Classifier
    digitness: Callable[[NDArray[np.uint8]], NDArray[np.float32]] | None
    cost: Mapping[str, float | None]
    about: Mapping[str, Any]


def measures(sets: BenchmarkData) -> dict[str, Callable[[Fitted], Numbers]]:
    """Return all measurements by name."""

    def spoilt(name: str) -> Callable[[Fitted], Numbers]:
        return lambda fitted: {"accuracy": evaluate(fitted.classifier, sets.spoilt(name)).accuracy}

    def other(name: str) -> Callable[[Fitted], Numbers]:
        def scored(fitted: Fitted) -> Numbers:
            if trained_on_all(fitted.about, name):
                return {"accuracy": None, "calibration": None}
            scores = evaluate(fitted.classifier, sets.others[name])
            return {"accuracy": scores.accuracy, "calibration": scores.calibration_error}

        return scored

    @functools.cache
    def digits(fitted: Fitted) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        return _likeness(fitted, sets.parts.valid.images), _likeness(fitted, sets.parts.test.images)

    def negative(name: str) -> Callable[[Fitted], Numbers]:
        return lambda fitted: refusing(*digits(fitted), _likeness(fitted, sets.without_digit(name)))

    return {
        "training": lambda fitted: dict(fitted.cost),
        "test": lambda fitted: _tested(evaluate(fitted.classifier, sets.parts.test), sets.parts.test),
        **{f"spoilt/{name}": spoilt(name) for name in CORRUPTIONS},
        **{f"data/{name}": other(name) for name in sets.others},
        **{f"no-digit/{name}": negative(name) for name in sets.kinds},
        "speed": lambda fitted: speed(fitted.classifier, sets.parts.test.images),
    }


def _tested(scores: Scores, digits: Digits) -> Numbers:
    wrong, safe = wrong_labels(digits), scores.selection()
    return {
        "accuracy": scores.accuracy,
        "corrected": scores.without(wrong).accuracy if wrong else None,
        "calibration": scores.calibration_error,
        "kept": 1 - scores.rejecting(SENT).error,
        "sent": safe.rejected if safe else None,
    }


def _likeness(fitted: Fitted, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return how digit-like images are, (n,): digit-ness, or the highest probability (Hendrycks and Gimpel 2017)."""
    return fitted.digitness(images) if fitted.digitness else fitted.classifier(images).max(axis=1)


def refusing(valid: NDArray[np.float32], test: NDArray[np.float32], others: NDArray[np.float32]) -> Numbers:
    """Return how well images without a digit are told from test digits, by how digit-like a model finds them.

    valid, test, others: (n,) of the validation digits, the test digits and the images without one.
    auroc: the chance that a test digit looks more like one than such an image, ties half, 0..1. refused: the share of
    the images, and test: of the test digits, below what `REJECTED` of the validation digits are.
    """
    from sklearn.metrics import roc_auc_score

    threshold = np.quantile(valid, REJECTED)
    truth = np.repeat([1, 0], [len(test), len(others)])
    return {
        "auroc": float(roc_auc_score(truth, np.concatenate([test, others]))),
        "refused": float((others < threshold).mean()),
        "test": float((test < threshold).mean()),
    }


def speed(classifier: Classifier, images: NDArray[np.uint8]) -> Numbers:
    """Return images a second on one thread, and how many times those of the built-in `digitnet`, in turns with it.

    The seconds are the processor's, so that it matters little what else the machine does.
    """
    beside = onnx_models.classifier("digitnet", threads=1)
    batch = np.resize(images, (A_BATCH, *images.shape[1:]))

    def rate(model: Classifier, rounds: int) -> float:
        began = time.process_time()
        for _ in range(rounds):
            model(batch)
        return rounds * len(batch) / max(time.process_time() - began, 1e-9)

    def rounds_of(model: Classifier) -> int:
        model(batch)  # the first is slower
        return min(10_000, math.ceil(A_TURN * rate(model, 1) / len(batch)))

    with _one_thread():
        rounds = rounds_of(classifier), rounds_of(beside)
        turns = [(rate(classifier, rounds[0]), rate(beside, rounds[1])) for _ in range(TURNS)]
    return {
        "rate": statistics.median(ours for ours, _ in turns),
        "ratio": statistics.median(ours / theirs for ours, theirs in turns),
    }


def _one_thread() -> AbstractContextManager[Any]:
    from threadpoolctl import threadpool_limits

    return threadpool_limits(1)  # type: ignore[no-any-return]
