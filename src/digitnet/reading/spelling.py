"""Corrections of the line reader's columns: slashes that must be ones, and ones that are slashes of dates."""

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
"""Kinds of numbers that contain no slashes: what looks like one is a slanted 1."""

TALL, TALL_WEIGHT = 1.1, 30.0
"""Least height of a slash, in heights of the digits beside it, to tell it from a 1; and the factor by which the
probability of such a slash in a date is multiplied."""

MIN_SLASH = math.log(0.003)
"""Log-probability of a slash below which no date is looked for."""


def spelt(columns: Columns, rules: Rules | None) -> Columns:
    """Return columns in which slashes count as ones if the rules ask for a kind of number without slashes.

    A slash before the strokes that end an amount, as in 125/-, stays a slash. Without a kind, see `slashed`.
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
    """Return columns in which the slashes of a date are more probable, by the factor `TALL_WEIGHT` each.

    In 8/4 the slash looks like a 1, but it is taller than the digits. The columns stay as they are unless the slashes
    are that tall, the date exists, and the factor makes it the most probable text.
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
