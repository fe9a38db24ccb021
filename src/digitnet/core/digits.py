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

from digitnet.core.errors import DataError, ModelError

SIDE = 28
"""Height and width of a digit image, pixels."""

STRIP = 40
"""Height of the strip that a number is scaled to for reading it whole, pixels."""

Classifier = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""(n, 28, 28) uint8 images -> (n, 10) float32 probabilities; every row sums to 1."""


@dataclass(frozen=True, eq=False, repr=False)
class Digits:
    """Handwritten digits in MNIST's format: parallel columns with one row per digit.

    images: (n, 28, 28) uint8, 0 background .. 255 ink.
    labels: (n,) 0..9 of any integer type, stored as uint8: the true digits.
    probs: (n, 10) floats in 0..1, stored as float32: the predictions of a model.
    boxes: (n, 4) integers, stored as int32: left, top, right, bottom on the page, pixels.

    An index, slice, mask or index array selects rows of every column: `digits[digits.labels == 7]`.
    Raises DataError if a column has the wrong shape, type, length or range.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8] | None = None
    probs: NDArray[np.float32] | None = None
    boxes: NDArray[np.int32] | None = None

    def __post_init__(self) -> None:
        """Check every column once."""
        images = np.asarray(self.images)
        if images.ndim != 3 or images.shape[1:] != (SIDE, SIDE) or images.dtype != np.uint8:
            raise DataError(
                f"images are {images.shape} {images.dtype}, expected (n, {SIDE}, {SIDE}) uint8 "
                "with 0 for background and 255 for ink"
            )
        object.__setattr__(self, "images", images)
        if self.labels is not None:
            labels = self._column("labels", self.labels, (), "iu")
            if len(labels) and not (labels.min() >= 0 and labels.max() <= 9):
                wrong = int(np.flatnonzero((labels < 0) | (labels > 9))[0])
                raise DataError(f"label {labels[wrong]} at index {wrong} is not a digit 0..9")
            object.__setattr__(self, "labels", labels.astype(np.uint8, copy=False))
        if self.probs is not None:
            probs = self._column("probs", self.probs, (10,), "f").astype(np.float32, copy=False)
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
        columns = [field.name for field in fields(self) if getattr(self, field.name) is not None]
        return f"<{len(self)} Digits: {', '.join(columns)}>"

    def _repr_png_(self) -> bytes | None:
        """Show the first digits as a picture in a notebook."""
        from digitnet.core.display import digits_png

        return digits_png(self.images, self.labels, self.probs)

    def __len__(self) -> int:
        """Return the number of digits."""
        return len(self.images)

    def __getitem__(self, rows: Any) -> Digits:
        """Select rows of every column; a single index gives `Digits` of length 1."""
        if isinstance(rows, int | np.integer):
            rows = [rows]
        columns = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(self, **{name: c[rows] for name, c in columns.items() if c is not None})


def ensemble(members: Sequence[Classifier]) -> Classifier:
    """Return a classifier that averages the probabilities of its members."""
    if not members:
        raise ModelError("an ensemble needs at least one model")

    def mean(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        total: NDArray[np.float32] = sum((member(images) for member in members[1:]), members[0](images))
        return total / np.float32(len(members))

    return mean


DIGITS, SIGNS = "0123456789", ".,-+/:()%$="
"""The characters that numbers of a kind are written with; $ stands for any currency."""
