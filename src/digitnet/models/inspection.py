"""How a network processes one digit, without PyTorch: its layers' maps, its hidden units, and which ink it needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digitnet.core.digits import IMAGE_SIZE, Classifier
from digitnet.models.onnx_models import OnnxClassifier

WINDOW = 6
"""Side of the window of paper, pixels: wider than a stroke of MNIST's, or a robust network would hardly notice it."""

STEP = 2
"""Pixels from one window to the next: at most 144 windows, so that `strong` answers within 60 ms on one core."""


@dataclass(frozen=True, eq=False)
class Inside:
    """How a network processes one digit.

    image: (28, 28) uint8. probs: (10,) float32, summing to 1. digitness: 0..1. accepted: whether digitness reaches the
    model's threshold. layers: the maps after each pooling, first to last, each (channels, h, w) float32, 0 where a
    channel's feature is not there. hidden: (units,) float32, 0 or more: the input of the last layer.

    occlusion: (28, 28) float32 in -1..1: how much the probability of the most probable digit falls when the
    `WINDOW` x `WINDOW` pixels around a place are blank (Zeiler and Fergus, "Visualizing and Understanding
    Convolutional Networks", 2014); below 0 if it rises. It shows which ink was needed, but not why; ink that is
    present twice appears unnecessary; ink is never added, so areas that had to stay empty do not appear.
    Places come in blocks of `STEP` x `STEP` pixels, those at the edge as the window nearest to them.
    """

    image: NDArray[np.uint8]
    probs: NDArray[np.float32]
    digitness: float
    accepted: bool
    layers: tuple[NDArray[np.float32], ...]
    hidden: NDArray[np.float32]
    occlusion: NDArray[np.float32]

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values, ready for JSON.

        Pixels are lists of integers, row after row. image: 0..255. occlusion: -255..255, where 255 is a fall by 1.
        layers: each with its channels, height, width, `maximum` and `maps`, one list per channel, in which 255 is
        that maximum, the largest value of the whole layer. hidden: how many `units` there are, and the index and value
        of those above 0, the strongest first.
        """
        order = [int(index) for index in np.argsort(-self.hidden, kind="stable") if self.hidden[index] > 0]
        return {
            "image": self.image.ravel().tolist(),
            "digit": int(self.probs.argmax()),
            "probs": [round(float(p), 6) for p in self.probs],
            "digitness": round(self.digitness, 6),
            "accepted": self.accepted,
            "layers": [_plain(maps) for maps in self.layers],
            "hidden": {
                "units": len(self.hidden),
                "strongest": [{"index": index, "value": round(float(self.hidden[index]), 4)} for index in order],
            },
            "occlusion": np.rint(self.occlusion * 255).astype(int).ravel().tolist(),
        }


def inside(classifier: OnnxClassifier, image: NDArray[np.uint8]) -> Inside:
    """Inspect how a network processes one image, (28, 28) uint8 as returned by `frame`.

    Raises ModelError if the model file does not name its layers, DataError if the image has another shape or type.
    """
    image = np.asarray(image)
    probs, digitness = classifier.classify(image[None])
    *layers, hidden = classifier.layers(image)
    sure = float(digitness[0])
    needed = occlusion(classifier, image, probs[0])
    return Inside(image, probs[0], sure, sure >= classifier.threshold, tuple(layers), hidden, needed)


def occlusion(
    classifier: Classifier, image: NDArray[np.uint8], probs: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    """Return which ink of an image (28, 28) uint8 a classifier needs, as `Inside.occlusion` has it.

    probs: what it says of the image, (10,), if that is known already.
    """
    probs = classifier(image[None])[0] if probs is None else probs
    windows = np.lib.stride_tricks.sliding_window_view(image, (WINDOW, WINDOW))[::STEP, ::STEP]
    inked = windows.any(axis=(2, 3))  # the other windows change nothing
    images = np.repeat(image[None], np.count_nonzero(inked), axis=0)
    for covered, (row, column) in zip(images, np.argwhere(inked) * STEP, strict=True):
        covered[row : row + WINDOW, column : column + WINDOW] = 0
    digit = probs.argmax()
    falls = np.zeros(inked.shape, np.float32)
    falls[inked] = probs[digit] - classifier(images)[:, digit]
    places = falls.repeat(STEP, axis=0).repeat(STEP, axis=1)  # the middle of each window
    return np.pad(places, (IMAGE_SIZE - len(places)) // 2, mode="edge")


def _plain(maps: NDArray[np.float32]) -> dict[str, Any]:
    channels, height, width = maps.shape
    maximum = float(maps.max())
    scaled = np.rint(maps * (255 / maximum if maximum > 0 else 0)).clip(0, 255).astype(int)
    return {
        "channels": channels,
        "height": height,
        "width": width,
        "maximum": round(maximum, 4),
        "maps": scaled.reshape(channels, -1).tolist(),
    }
