"""The baselines of the benchmark: four classical learners of scikit-learn, on pixels / 255.

A network's file is calibrated on the validation digits, so these are too, by scikit-learn's own temperature scaling:
logits are divided by one number, the one at which those digits' labels are most probable. Logits are the decision
function of logistic regression and of the SVM (one against the rest), and the logarithm of the shares of votes that the
neighbours and the forest give. It changes how sure an answer is, not which (but for ties of the SVM's votes).
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digitnet.core.digits import Classifier, Digits
from digitnet.core.errors import DataError


@dataclass(frozen=True)
class Baseline:
    """A learner: what it is called, how scikit-learn is asked for it, and whether a seed changes it.

    make: seed -> an estimator that is not fitted yet.
    """

    title: str
    about: str
    seeded: bool
    make: Callable[[int], Any]


def _logistic(seed: int) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=0.1, max_iter=1000)


def _neighbours(seed: int) -> Any:
    from sklearn.neighbors import KNeighborsClassifier

    return KNeighborsClassifier(3, weights="distance")


def _forest(seed: int) -> Any:
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(300, random_state=seed)


def _svm(seed: int) -> Any:
    from sklearn.svm import SVC

    return SVC(C=5, gamma=0.03, cache_size=1000)


BASELINES = {
    "logistic": Baseline("logistic regression", "LogisticRegression(C=0.1, max_iter=1000)", False, _logistic),
    "knn": Baseline("3 nearest neighbours", 'KNeighborsClassifier(3, weights="distance")', False, _neighbours),
    "forest": Baseline("random forest", "RandomForestClassifier(300, random_state=SEED)", True, _forest),
    "svm": Baseline("RBF SVM", "SVC(C=5, gamma=0.03)", False, _svm),
}
"""The baselines by name. Their settings were chosen on validation digits; see docs/decisions.md."""


def fit(name: str, digits: Digits, seed: int) -> Any:
    """Return a baseline fitted to labelled digits, an estimator of scikit-learn's."""
    if digits.labels is None or len(np.unique(digits.labels)) < 2:
        raise DataError("the baselines need labelled digits with two or more different labels")
    return BASELINES[name].make(seed).fit(_pixels(digits.images), digits.labels)


def calibrated(estimator: Any, digits: Digits) -> Classifier:
    """Return a fitted estimator as a `Classifier`, calibrated on labelled digits that it has not learnt from."""
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.frozen import FrozenEstimator

    # Folds change nothing for what is fitted already, but of every digit there must be as many as folds.
    model = CalibratedClassifierCV(FrozenEstimator(estimator), method="temperature", cv=2)
    model.fit(_pixels(digits.images), digits.labels)

    def classify(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        probs = np.zeros((len(images), 10), np.float32)
        if len(images):
            probs[:, model.classes_] = model.predict_proba(_pixels(images))
        return probs

    return classify


def size(estimator: Any) -> int:
    """Return what an estimator would take on a disk, pickled, bytes; nothing is written."""
    return len(pickle.dumps(estimator, pickle.HIGHEST_PROTOCOL))


def _pixels(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    return images.reshape(len(images), -1).astype(np.float32) / np.float32(255)
