"""What the columns of a line reader spell: slashes that are ones, by the rules, and ones that are slashes of dates."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache
from itertools import pairwise

import numpy as np

from digitnet.models.onnx_models import Columns, only_digits
from digitnet.reading import kinds
from digitnet.reading.automaton import Automaton, build
from digitnet.reading.constraints import Rules
from digitnet.reading.ctc import align, decode, decode_language

SLASHLESS = "digits", "decimal", "integer"
"""Kinds of numbers in which a slash is a 1 that leans."""

TALL, TALL_WEIGHT = 1.1, 30.0
"""How much higher than digits a slash is that no 1 is, and how many times likelier such slashes are in dates than the
line reader says, which learned from as many numbers with a 1 there."""

MIN_SLASH = math.log(0.003)
"""Log-probability of a slash below which no date is looked for."""


def spelt(columns: Columns, rules: Rules | None) -> Columns:
    """Return columns in which slashes count as the ones they look like, where numbers of a kind have no slashes.

    Where strokes end an amount, as in 125/-, a slash before them is left. Without a kind, see `slashed`.
    """
    if "/" not in columns.alphabet:
        return columns
    if rules is None or not rules.kind:
        return slashed(columns)
    if rules.kind not in SLASHLESS:
        return columns
    slash, characters = columns.alphabet.index("/"), columns.characters.copy()
    read = spikes(columns)
    closing = (place for (place, sign), (_, after) in pairwise(read) if sign == "/" and after in "-=")
    before = characters[: next(closing, len(characters))]
    before[:, 1] = np.logaddexp(before[:, 1], before[:, slash])
    before[:, slash] = -np.inf
    return replace(columns, characters=characters, log_probs=only_digits(characters, columns.alphabet))


def slashed(columns: Columns) -> Columns:
    """Return columns in which each slash of a date counts `TALL_WEIGHT` times, if they are tall and that decides.

    In 8/4 the slash looks like a 1, but it is higher than the digits.
    """
    alphabet, characters = columns.alphabet, columns.characters
    slash = alphabet.index("/")
    if characters[:, slash].max() < MIN_SLASH:
        return columns
    dates = decode_language(characters, alphabet, _with_slashes(alphabet), 1)
    if not dates:
        return columns
    slashes = np.array(list(dates[0].text)) == "/"
    if TALL_WEIGHT ** slashes.sum() * dates[0].alone < decode(columns.log_probs, None, 1)[0].alone:
        return columns
    spans = align(characters, dates[0].text, alphabet)
    peaks = [start + int(characters[start:stop].max(axis=1).argmax()) for start, stop in spans]
    tall = columns.boxes[peaks, 3] - columns.boxes[peaks, 1]
    if tall[slashes].min() < TALL * tall[~slashes].mean():
        return columns
    frames = np.concatenate([np.arange(start, stop) for start, stop in np.array(spans)[slashes]])
    characters = characters.copy()
    characters[frames, slash] += math.log(TALL_WEIGHT)
    characters -= np.logaddexp.reduce(characters, axis=1, keepdims=True)
    return replace(columns, characters=characters, log_probs=only_digits(characters, alphabet))


@cache
def _with_slashes(alphabet: str) -> Automaton:
    return build([], kinds.with_slashes(), alphabet)


def spikes(columns: Columns) -> list[tuple[int, str]]:
    """Return the characters of the likeliest path, each with its clearest column."""
    best = columns.characters.argmax(axis=1)
    runs = np.split(np.arange(len(best)), np.flatnonzero(np.diff(best)) + 1)
    peaks = [int(run[columns.characters[run, best[run[0]]].argmax()]) for run in runs]
    return [(peak, columns.alphabet[best[peak]]) for peak in peaks if best[peak] < len(columns.alphabet)]
