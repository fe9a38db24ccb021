"""DigitNet as a scikit-learn classifier: `DigitClassifier(recipe="quick").fit(X, y)`.

It works in pipelines, `cross_val_score` and `GridSearchCV`. It needs the extra `train`.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, check_non_negative, validate_data

from digitnet.core.classes import MAX_CLASSES
from digitnet.core.digits import Digits
from digitnet.core.errors import DataError
from digitnet.data.pixels import scale_of, to_images
from digitnet.models.networks import TorchClassifier
from digitnet.training.config import RECIPES
from digitnet.training.loop import new_network, train

FROM_DIGITS = tuple(name for name, config in RECIPES.items() if not config.adds_digits)
"""The recipes that train on digits alone."""

SHOWN = 100
"""Digits on which each epoch is scored; nothing is decided by that."""


class DigitClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A network for single digits, trained by a recipe.

    recipe: one of `FROM_DIGITS`: tutorial, quick, best or accurate. epochs, batch_size: the recipe's if None.
    random_state: seed of first weights, order and augmentation; an integer, a RandomState, or None for 0.
    device: auto, cpu, cuda or mps.

    X is (n, 784), (n, 28, 28), or of other square images, which are framed like MNIST's; values 0..255 or 0..1, decided
    once by the training data. y has at most 100 different labels of any type.

    Fitted attributes: `classes_` (k,), `n_features_in_`, `network_` (an `nn.Module`), `scale_` (what brings pixels to
    0..255) and `history_` (one dict per epoch). Raises ValueError for other data, as scikit-learn's estimators do.
    """

    def __init__(
        self,
        recipe: str = "quick",
        *,
        epochs: int | None = None,
        batch_size: int | None = None,
        random_state: Any = None,
        device: str = "auto",
    ) -> None:
        """Keep the settings; nothing is checked before `fit`."""
        self.recipe = recipe
        self.epochs = epochs
        self.batch_size = batch_size
        self.random_state = random_state
        self.device = device

    def fit(self, X: ArrayLike, y: ArrayLike) -> DigitClassifier:  # noqa: N803 scikit-learn's name
        """Train a new network on images and their labels, and return self. Raises ValueError for other data."""
        rows, labels = validate_data(self, _flat(X), y)
        check_classification_targets(labels)
        self.classes_, codes = np.unique(labels, return_inverse=True)
        if not 2 <= len(self.classes_) <= MAX_CLASSES:
            raise ValueError(f"y has {len(self.classes_)} class(es); DigitClassifier needs 2 to {MAX_CLASSES} classes")
        if self.recipe not in FROM_DIGITS:
            raise ValueError(f"recipe {self.recipe!r}: choose one of {', '.join(FROM_DIGITS)}")
        check_non_negative(rows, "DigitClassifier (pixels are 0..255 or 0..1)")
        images = self._images(rows, learn=True)
        names = tuple(map(str, range(len(self.classes_))))  # the labels themselves may be of any type
        digits = Digits(images, codes.astype(np.uint8), names=names)
        state = self.random_state
        seed = 0 if state is None else int(state) if isinstance(state, int | np.integer) else _seed(state)
        asked = {name: value for name in ("epochs", "batch_size") if (value := getattr(self, name)) is not None}
        config = replace(RECIPES[self.recipe], seed=seed, device=self.device, classes=names, **asked)
        network = new_network(config)
        with TemporaryDirectory() as folder:
            epochs = train(network, digits, digits[:SHOWN], config, Path(folder))
            self.history_ = [epoch.to_dict() for epoch in epochs]
            self.network_ = _kept(Path(folder))
        return self

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float32]:  # noqa: N803
        """Return the probability of each of `classes_`, (n, k) float32."""
        check_is_fitted(self)
        rows = validate_data(self, _flat(X), reset=False)
        names = tuple(map(str, range(len(self.classes_))))
        return TorchClassifier(self.network_, names=names)(self._images(rows))

    def predict(self, X: ArrayLike) -> NDArray[Any]:  # noqa: N803
        """Return the most probable label of each image, (n,)."""
        best = self.predict_proba(X).argmax(axis=1)
        answers: NDArray[Any] = self.classes_[best]
        return answers

    def _images(self, rows: NDArray[Any], learn: bool = False) -> NDArray[np.uint8]:
        try:
            if learn:
                self.scale_ = scale_of(rows, "X")
            return to_images(rows, "X", self.scale_)
        except DataError as error:
            raise ValueError(str(error)) from error

    def __sklearn_tags__(self) -> Any:
        """Return what scikit-learn may expect: images in 0..255, more classes than two."""
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        tags.input_tags.three_d_array = True
        tags.classifier_tags.poor_score = True  # on the few points without meaning that its checks make up
        return tags


def _seed(state: Any) -> int:
    return int(check_random_state(state).randint(1 << 31))


def _kept(folder: Path) -> Any:
    """Return the network as it was saved: with averaged weights, if the recipe averages them."""
    from digitnet.models.checkpoint import load_network
    from digitnet.models.run_folder import WEIGHTS

    return load_network(folder / WEIGHTS)


def _flat(X: ArrayLike) -> Any:  # noqa: N803
    """Return images (n, h, w) as rows (n, h * w); anything else as it is."""
    array = np.asarray(X)
    return array.reshape(len(array), -1) if array.ndim == 3 else X
