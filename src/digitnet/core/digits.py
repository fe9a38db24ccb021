"""The common data types, and their convention.

The MNIST convention: a digit is a (28, 28) uint8 image, 0 for background and 255 for ink, upright and centred.
Scaling to 0..1 happens inside the models, never outside.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digitnet.core.classes import DIGIT_NAMES, check_names
from digitnet.core.errors import DataError, ModelError
from digitnet.core.text import listed

IMAGE_SIZE = 28
"""Height and width of a digit image, pixels."""

STRIP_HEIGHT = 40
"""Height of the strip that a number is scaled to for reading it whole, pixels."""

DIGITS, SIGNS = "0123456789", ".,-+/:()%$="
"""The characters that numbers of a kind are written with; $ stands for any currency."""

Classifier = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""(n, 28, 28) uint8 images -> (n, 10) float32 probabilities; every row sums to 1.

A classifier with other classes than the ten digits has their names as an attribute `names`, and a column for each.
"""


@dataclass(frozen=True, eq=False, repr=False)
class Digits:
    """Handwritten digits in MNIST's format: parallel columns with one row per digit.

    images: (n, 28, 28) uint8, 0 background .. 255 ink.
    labels: (n,) 0..9 of any integer type, stored as uint8: the true digits.
    probs: (n, 10) floats in 0..1, stored as float32: the predictions of a model.
    boxes: (n, 4) integers, stored as int32: left, top, right, bottom on the page, pixels.
    names: what the labels stand for, by default the ten digits; with k other names, labels are 0..k-1 and probs (n, k).

    An index, slice, mask or index array selects rows of every column: `digits[digits.labels == 7]`.
    Raises DataError if a column has the wrong shape, type, length or range.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8] | None = None
    probs: NDArray[np.float32] | None = None
    boxes: NDArray[np.int32] | None = None
    names: tuple[str, ...] = DIGIT_NAMES

    def __post_init__(self) -> None:
        """Check every column once."""
        images = np.asarray(self.images)
        if images.ndim != 3 or images.shape[1:] != (IMAGE_SIZE, IMAGE_SIZE) or images.dtype != np.uint8:
            raise DataError(
                f"images are {images.shape} {images.dtype}, expected (n, {IMAGE_SIZE}, {IMAGE_SIZE}) uint8 "
                "with 0 for background and 255 for ink"
            )
        object.__setattr__(self, "images", images)
        if self.names != DIGIT_NAMES:
            check_names(self.names)
        classes = len(self.names)
        if self.labels is not None:
            labels = self._column("labels", self.labels, (), "iu")
            if len(labels) and not (labels.min() >= 0 and labels.max() < classes):
                wrong = int(np.flatnonzero((labels < 0) | (labels >= classes))[0])
                kind = f"the number of a class, 0..{classes - 1}"
                if self.names == DIGIT_NAMES:
                    kind = "a digit 0..9; where labels are other classes, pass their names as names"
                raise DataError(f"label {labels[wrong]} at index {wrong} is not {kind}")
            object.__setattr__(self, "labels", labels.astype(np.uint8, copy=False))
        if self.probs is not None:
            probs = self._column("probs", self.probs, (classes,), "f").astype(np.float32, copy=False)
            if len(probs) and not (probs.min() >= 0 and probs.max() <= 1 + 1e-5):  # NaN fails this too
                raise DataError("probs contain values outside 0..1")
            object.__setattr__(self, "probs", probs)
        if self.boxes is not None:
            boxes = self._column("boxes", self.boxes, (4,), "iu")
            object.__setattr__(self, "boxes", boxes.astype(np.int32, copy=False))

    def _column(self, name: str, value: Any, tail: tuple[int, ...], kinds: str) -> NDArray[Any]:
        column = np.asarray(value)
        expected = (len(self), *tail)
        if column.shape != expected or column.dtype.kind not in kinds:
            kind = "integers" if kinds == "iu" else "floats"
            raise DataError(f"{name} are {column.shape} {column.dtype}, expected {expected} {kind}")
        return column

    def __repr__(self) -> str:
        """Say how many digits there are and which columns they have."""
        kind = "" if self.names == DIGIT_NAMES else f" of the classes {listed(self.names, 10)}"
        return f"<{len(self)} Digits{kind}: {', '.join(self._columns())}>"

    def _repr_png_(self) -> bytes | None:
        """Show the first digits as a picture in a notebook."""
        from digitnet.core.display import digits_png

        return digits_png(self.images, self.labels, self.probs, self.names)

    def __len__(self) -> int:
        """Return the number of digits."""
        return len(self.images)

    def __getitem__(self, rows: Any) -> Digits:
        """Select rows of every column; a single index gives `Digits` of length 1."""
        if isinstance(rows, int | np.integer):
            rows = [rows]
        return replace(self, **{name: column[rows] for name, column in self._columns().items()})

    def _columns(self) -> dict[str, NDArray[Any]]:
        columns = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "names"}
        return {name: column for name, column in columns.items() if column is not None}

    def present(self) -> tuple[str, ...]:
        """Return the names of the labels that occur, in order."""
        counts = np.bincount(() if self.labels is None else self.labels, minlength=len(self.names))
        return tuple(name for name, count in zip(self.names, counts, strict=True) if count)

    def with_names(self, names: tuple[str, ...]) -> Digits:
        """Return the digits with their labels counted in other names, without `probs`.

        Raises DataError if a label that occurs is not among the names.
        """
        if names == self.names:
            return self
        if missing := [name for name in self.present() if name not in names]:
            raise DataError(
                f"labels that the model does not classify: {listed(missing, 10)} (it classifies {listed(names, 10)}); "
                "choose a model and data with the same classes"
            )
        labels = self.labels
        if labels is not None:
            places = [names.index(name) if name in names else 0 for name in self.names]
            labels = np.array(places, np.uint8)[labels]
        return Digits(self.images, labels, boxes=self.boxes, names=names)


def ensemble(members: Sequence[Classifier]) -> Classifier:
    """Return a classifier that averages the probabilities of its members."""
    if not members:
        raise ModelError("an ensemble needs at least one model")

    def mean(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        total: NDArray[np.float32] = sum((member(images) for member in members[1:]), members[0](images))
        return total / np.float32(len(members))

    return mean


def names_of(classifier: Classifier) -> tuple[str, ...]:
    """Return the names of a classifier's classes: its attribute `names`, or the ten digits."""
    names: tuple[str, ...] = getattr(classifier, "names", DIGIT_NAMES)
    return names


def require_digits(classifier: Classifier, name: object, what: str) -> None:
    """Raise ModelError if a classifier has other classes than the ten digits, which `what` needs."""
    if (names := names_of(classifier)) != DIGIT_NAMES:
        raise ModelError(f"{name}: classifies {listed(names, 5)}; {what} needs a model of the ten digits")
