"""Other people's arrays as digits: `to_images` brings them to MNIST's convention, `to_labels` to 0..9 or to names,
`upright` turns what lies on its side.

What is changed is told in the log; what cannot be understood is refused with its shape or range.
"""

from __future__ import annotations

import logging
import math
import warnings
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digitnet.core.classes import DIGIT_NAMES, ordered
from digitnet.core.digits import IMAGE_SIZE, Digits
from digitnet.core.errors import DataError

log = logging.getLogger("digitnet")

MIN_SIDE, MAX_SIDE = 8, 1024
"""Sides of images that are framed to 28x28 where they have another size, pixels."""

FEW_LEVELS = 16
"""Largest value of images that count ink in few steps, such as the 0..16 of scikit-learn's digits."""

ENOUGH = 6
"""Fewest digits that must be recognised only after turning before anything is said about how the images lie."""

KINDS = 3
"""Fewest different digits among them: a 4 written in some way may look like a 7 that lies on its side."""

MIN_OTHER_SHARE = 0.01
"""Share of whole-number labels that must be above 9 to be classes: fewer are mistakes among the labels of digits."""

CERTAIN = 4
"""How many times as many digits must be recognised only after turning as only before, to turn them."""

_BLOCK = 4096
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def to_images(values: NDArray[Any], name: object, factor: float | None = None) -> NDArray[np.uint8]:
    """Return images of any usual layout as (n, 28, 28) uint8, 0..255.

    values: (n, h, w), (n, h * h), (n, h, w, c) or (n, c, h, w) with 1 channel, 3 (RGB) or 4 (with alpha, ignored), of
    any type; 0..255, 0..1, or whole numbers up to `FEW_LEVELS`. Images of another size than 28x28 are framed as
    MNIST's. factor: what brings values to 0..255, if that is known; see `scale_of`. Raises DataError, beginning with
    `name`, where layout, size or range are others.
    """
    from digitnet.imaging.normalization import frame  # needs OpenCV, which classifying does without

    values = _planes(values, name)
    height, width = values.shape[1:3]
    ready = (height, width) == (IMAGE_SIZE, IMAGE_SIZE)
    if not ready and not (min(height, width) >= MIN_SIDE and max(height, width) <= MAX_SIDE):
        raise DataError(
            f"{name}: images of {width}x{height} pixels; expected 28x28, or {MIN_SIDE} to {MAX_SIDE} per side"
        )
    factor = scale_of(values, name) if factor is None else factor
    if not len(values) or (ready and factor == 1 and values.dtype == np.uint8 and values.ndim == 3):
        return np.ascontiguousarray(values).reshape(-1, IMAGE_SIZE, IMAGE_SIZE)
    if values.ndim == 4:
        log.info("%s: colour images, converted to grey", name)
    if factor != 1:
        log.info("%s: values 0..%.3g, scaled to 0..255", name, 255 / factor)
    if not ready:
        log.info(
            "%s: images of %dx%d pixels, framed to %dx%d like MNIST's", name, width, height, IMAGE_SIZE, IMAGE_SIZE
        )
    images = np.empty((len(values), IMAGE_SIZE, IMAGE_SIZE), np.uint8)
    for start in range(0, len(values), _BLOCK):
        block = values[start : start + _BLOCK]
        grey = block[..., :3].astype(np.float32) @ _LUMA if block.ndim == 4 else block
        grey = np.rint(grey * np.float32(factor)).astype(np.uint8)
        images[start : start + len(block)] = grey if ready else [frame(image) for image in grey]
    return images


def _planes(values: NDArray[Any], name: object) -> NDArray[Any]:
    """Return images as (n, h, w), or (n, h, w, c) where they have colours."""
    if values.ndim == 2 and (side := math.isqrt(values.shape[1])) ** 2 == values.shape[1]:
        values = values.reshape(-1, side, side)
    if values.ndim == 4 and values.shape[1] in (1, 3, 4) and values.shape[3] not in (1, 3, 4):
        values = values.transpose(0, 2, 3, 1)
    if values.ndim == 4 and values.shape[3] == 1:
        values = values[..., 0]
    if not (values.ndim == 3 or (values.ndim == 4 and values.shape[3] in (3, 4))) or values.dtype.kind not in "biuf":
        raise DataError(
            f"{name}: {values.shape} {values.dtype}, expected images (n, {IMAGE_SIZE}, {IMAGE_SIZE}), "
            f"or (n, {IMAGE_SIZE * IMAGE_SIZE}), of pixels 0..255 or 0..1"
        )
    return values


def scale_of(values: NDArray[Any], name: object) -> float:
    """Return what brings values to 0..255. Raises DataError where their range tells no such factor."""
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)
    if not (low >= 0 and high <= 255):  # NaN fails this too
        if not math.isfinite(low + high):
            raise DataError(f"{name}: has pixels that are not finite")
        normalised = ", as if normalised: save them before normalisation" if low < 0 and high < 10 else ""
        raise DataError(f"{name}: pixels from {low:.3g} to {high:.3g}{normalised}; expected 0..255 or 0..1")
    if values.dtype.kind in "fb":
        return 255.0 if high <= 1 else 1.0
    return 255 / high if high in (1, FEW_LEVELS) else 1.0


def to_labels(values: NDArray[Any], name: object) -> NDArray[Any]:
    """Return labels as (n,) integers: of whole numbers of any type, of text ("7"), or one-hot (n, 10).

    Text that is not all numbers stays text, without the space around it. Raises DataError, beginning with `name`, where
    labels are anything else; range and names are checked by `Digits`.
    """
    if values.ndim == 2 and values.shape[1] == 10 and values.dtype.kind in "biuf" and (values.sum(1) == 1).all():
        values = values.argmax(1)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    try:
        numbers = values.astype(np.float64)
        if values.ndim == 1 and (numbers == np.rint(numbers)).all() and (np.abs(numbers) < 1 << 31).all():
            return numbers.astype(np.int64)
    except ValueError:
        if values.ndim == 1 and values.dtype.kind in "UO":
            return np.array([str(value).strip() for value in values])
    raise DataError(f"{name}: labels are {values.shape} {values.dtype}, expected (n,) digits 0..9 or names")


def coded(labels: NDArray[Any]) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Return labels as `to_labels` gives them as numbers, and what these stand for: the ten digits, or other names.

    Whole numbers above 9, such as the 1 to 26 of EMNIST's letters, are names as well, in the order of their values.
    Raises DataError where some are negative, or where so few are above 9 that they are mistakes (`MIN_OTHER_SHARE`).
    """
    if labels.dtype.kind != "U":
        labels = labels.astype(np.int64)
        wrong = np.flatnonzero((labels < 0) | (labels > 9))
        if not len(wrong):
            return labels, DIGIT_NAMES
        if labels.min() < 0 or len(wrong) < MIN_OTHER_SHARE * len(labels):
            worst = wrong[labels[wrong].argmin()]
            few = "" if labels[worst] < 0 else f", as {len(labels) - len(wrong):,} of {len(labels):,} labels are"
            raise DataError(f"label {labels[worst]} at index {worst} is not a digit 0..9{few}; correct or remove it")
        labels = labels.astype(str)
    found, places = np.unique(labels, return_inverse=True)
    names = DIGIT_NAMES if set(found.tolist()) <= set(DIGIT_NAMES) else ordered(found.tolist())
    return np.array([names.index(name) for name in found.tolist()])[places], names


def upright(digits: Digits, name: object, refuse: bool = True) -> Digits:
    """Return labelled digits upright: with rows and columns swapped where they are as in EMNIST's files.

    Every image is compared with MNIST's mean digits, as it is and turned; of real digits eight in ten are recognised
    by this upright, and two in ten lying on their side. Warns (UserWarning) where digits are turned. Raises DataError
    where more of them are recognised turned than not, but not clearly; with `refuse` false they then stay as they are.
    """
    if digits.labels is None or digits.names != DIGIT_NAMES:
        return digits
    rows = slice(None, None, max(1, len(digits) // 1000))
    images, labels = digits.images[rows], digits.labels[rows]
    turned = images.transpose(0, 2, 1)
    as_is, other = _nearest(images) == labels, _nearest(turned) == labels
    only_as_is, only_turned = int((as_is & ~other).sum()), int((other & ~as_is).sum())
    kinds = len(np.unique(labels[other & ~as_is]))
    if only_turned < max(ENOUGH, only_as_is + 1) or kinds < KINDS:
        return digits
    if only_turned < CERTAIN * only_as_is or other.mean() < 0.5:
        if not refuse:
            return digits
        raise DataError(
            f"{name}: {as_is.mean():.0%} of the images resemble their digit, and {other.mean():.0%} with rows and "
            "columns swapped, so their orientation is unclear; inspect some, and save them upright as arrays "
            "images and labels in a .npz"
        )
    warnings.warn(
        f"{name}: rows and columns of the images are swapped, as in EMNIST's files (resembling their digit: "
        f"{as_is.mean():.0%}, turned {other.mean():.0%}); they are transposed",
        stacklevel=4,
    )
    return replace(digits, images=np.ascontiguousarray(digits.images.transpose(0, 2, 1)))


def _nearest(images: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return the digit whose mean each image (n, 28, 28) correlates with most, (n,)."""
    nearest: NDArray[np.int64] = (_standard(images) @ _means().T).argmax(1)
    return nearest


@cache
def _means() -> NDArray[np.float32]:
    """Return the mean of each of MNIST's training digits, (10, 196), of length 1."""
    return _standard(np.load(Path(__file__).parent / "mean-digits.npy", allow_pickle=False))


def _standard(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return images (n, 28, 28) at half their size as rows of mean 0 and length 1."""
    half = (
        images.reshape(-1, IMAGE_SIZE // 2, 2, IMAGE_SIZE // 2, 2)
        .astype(np.float32)
        .mean((2, 4))
        .reshape(len(images), -1)
    )
    half -= half.mean(1, keepdims=True)
    rows: NDArray[np.float32] = half / (np.linalg.norm(half, axis=1, keepdims=True) + np.float32(1e-6))
    return rows
