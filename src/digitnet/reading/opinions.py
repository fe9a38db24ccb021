"""More opinions on digits that stand alone or apart: the classifier's, and that of a closer look, beside the first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from digitnet.core.digits import DIGITS
from digitnet.models.onnx_models import Columns, only_digits
from digitnet.reading.candidates import ALTERNATIVES, Draft, draft_of
from digitnet.reading.constraints import Rules
from digitnet.reading.ctc import align, digit_probs

LINE_WEIGHT, DIGIT_WEIGHT = 2 / 3, 1 / 3
"""Of the logarithms of probabilities by the line reader, which sees digits beside each other, and by the classifier."""

LOOK_WEIGHT, FIELD_WEIGHT = 0.5, 0.25
"""The same for fields of forms, of each of two looks of the line reader, and of the classifier's."""

MIN_PROBABILITY = 1e-3
"""Least probability that an opinion can give a digit: it is surer than it is right where a digit is cut badly."""

SETTLED = 0.97
"""Probability from which a number needs no other opinion."""

TRIMMED = 0.1
"""Share of a picture's height that is left out at top and bottom for a closer look: paper, or the ends of the ink."""


def closer(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a picture (h, w) of a number cut closer to it."""
    less = int(TRIMMED * len(picture))
    return picture[less : len(picture) - less]


def weighed(
    columns: Columns, text: str, classified: NDArray[np.float32], look: NDArray[np.float32] | None = None
) -> Columns:
    """Return columns in which the digits at each place of a text share what digits have there by all opinions.

    text: of digits, as it was read. classified: (n, 10) probabilities, what the classifier says of each digit. look:
    (t, 11) log-probabilities of another look at the same number; None for none.
    """
    spans = align(columns.log_probs, text)
    middles = [(one[1] + other[0]) // 2 for one, other in pairwise(spans)]
    own, other = (LINE_WEIGHT, DIGIT_WEIGHT) if look is None else (LOOK_WEIGHT, FIELD_WEIGHT)
    said = other * np.log(np.maximum(classified, MIN_PROBABILITY))
    if look is not None:
        said += LOOK_WEIGHT * np.log(np.maximum(digit_probs(look, text), MIN_PROBABILITY))
    characters = columns.characters.copy()
    for start, stop, others in zip([0, *middles], [*middles, len(characters)], said, strict=True):
        part = characters[start:stop, : len(DIGITS)]
        every = own * part + others
        every += np.logaddexp.reduce(part, axis=1, keepdims=True) - np.logaddexp.reduce(every, axis=1, keepdims=True)
        characters[start:stop, : len(DIGITS)] = every
    return replace(columns, characters=characters, log_probs=only_digits(characters, columns.alphabet))


def seconded(draft: Draft, probs: NDArray[np.float32], rules: Rules | None, single: bool) -> Draft:
    """Return what a region says if the classifier has a say in each of its digits, where they are several and doubtful.

    probs: (n, 10), what the classifier says of each digit. rules, single: as for `draft_of`.
    """
    if len(draft.text) < 2 or draft.sure >= SETTLED:
        return draft
    other = draft_of(draft.region, weighed(draft.columns, draft.text, probs), rules, single)
    return other if len(other.text) == len(draft.text) else draft


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
