"""More opinions on digits that stand alone or apart: the classifier's, and that of a closer look, beside the first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from digitnet.core.digits import DIGITS
from digitnet.models.onnx_models import Columns, only_digits
from digitnet.reading.candidates import ALTERNATIVES
from digitnet.reading.ctc import align, digit_probs

LINE_WEIGHT, DIGIT_WEIGHT = 0.5, 0.25
"""Of the logarithms of each look of the line reader, which sees digits beside each other, and of the classifier's."""

MIN_PROBABILITY = 1e-3
"""Least probability that an opinion can give a digit: it is surer than it is right where a digit is cut badly."""

TRIMMED = 0.1
"""Share of a picture's height that is left out at top and bottom for a closer look: paper, or the ends of the ink."""


def closer(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a picture (h, w) of a number cut closer to it."""
    less = int(TRIMMED * len(picture))
    return picture[less : len(picture) - less]


def weighed(columns: Columns, text: str, look: NDArray[np.float32], classified: NDArray[np.float32]) -> Columns:
    """Return columns in which the digits at each place of a text share what digits have there by three opinions.

    text: of digits, as it was read. look: (t, 11) log-probabilities of another look at the same number. classified:
    (n, 10) probabilities, what the classifier says of each digit.
    """
    spans = align(columns.log_probs, text)
    middles = [(one[1] + other[0]) // 2 for one, other in pairwise(spans)]
    shares = [np.log(np.maximum(probs, MIN_PROBABILITY)) for probs in (digit_probs(look, text), classified)]
    said = LINE_WEIGHT * shares[0] + DIGIT_WEIGHT * shares[1]
    characters = columns.characters.copy()
    for start, stop, others in zip([0, *middles], [*middles, len(characters)], said, strict=True):
        part = characters[start:stop, : len(DIGITS)]
        every = LINE_WEIGHT * part + others
        every += np.logaddexp.reduce(part, axis=1, keepdims=True) - np.logaddexp.reduce(every, axis=1, keepdims=True)
        characters[start:stop, : len(DIGITS)] = every
    return replace(columns, characters=characters, log_probs=only_digits(characters, columns.alphabet))


def lone_digit(
    shares: NDArray[np.float32], probs: NDArray[np.float32], sure: float, others: Sequence[tuple[str, float]]
) -> tuple[str, float, NDArray[np.float32], tuple[tuple[str, float], ...]]:
    """Return the value of a lone digit by two opinions, which are better than either: text, its probability, shares.

    shares, probs: (1, 10), what the line reader and the classifier say of it. sure: probability of the line reader's
    text. With them come all other texts, the most probable first. others: those of the line reader.
    """
    lone = sure / max(float(shares.max()), sure)  # that it is one digit at all
    shares = np.sqrt(shares * probs)
    shares /= shares.sum(axis=1, keepdims=True)
    text = str(shares[0].argmax())
    values = ((str(value), lone * float(shares[0, value])) for value in range(10) if str(value) != text)
    longer = ((other, p) for other, p in others if len(other) != 1)
    alternatives = sorted((*values, *longer), key=lambda each: -each[1])[: ALTERNATIVES - 1]
    return text, lone * float(shares.max()), shares, tuple(alternatives)
