"""Two opinions: what the classifier says of digits that stand alone or apart counts beside the line reader's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from digitnet.core.digits import DIGITS
from digitnet.models.onnx_models import Columns, only_digits
from digitnet.reading.candidates import ALTERNATIVES
from digitnet.reading.ctc import align

WEIGHT = 0.25
"""Of the classifier's logarithms against the line reader's, which sees the digits beside each other."""

MIN_PROBABILITY = 1e-3
"""Least probability that the classifier can give a digit: it is surer than it is right where a digit is cut badly."""


def weighed(columns: Columns, text: str, probs: NDArray[np.float32]) -> Columns:
    """Return columns in which the digits at each place of a text share what digits have there as both networks say.

    text: of digits, as it was read. probs: (n, 10), what the classifier says of each.
    """
    spans = align(columns.log_probs, text)
    middles = [(one[1] + other[0]) // 2 for one, other in pairwise(spans)]
    characters = columns.characters.copy()
    for start, stop, said in zip([0, *middles], [*middles, len(characters)], probs, strict=True):
        part = characters[start:stop, : len(DIGITS)]
        both = part + WEIGHT * np.log(np.maximum(said, MIN_PROBABILITY))
        both += np.logaddexp.reduce(part, axis=1, keepdims=True) - np.logaddexp.reduce(both, axis=1, keepdims=True)
        characters[start:stop, : len(DIGITS)] = both
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
