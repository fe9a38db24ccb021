"""Decoding a line reader's output: the most probable texts, the positions of their characters, and alternatives.

A line reader is a network trained with connectionist temporal classification (CTC; Graves et al., "Connectionist
Temporal Classification", 2006). For a strip it gives (T, N + 1) log-probabilities, a row for each of T frames from
left to right: the N characters of its alphabet, ten digits alone or digits and signs, then the blank. An alignment
picks one symbol a frame; it spells a string once runs of the same symbol are made one and blanks are left out. A string
is as probable as all of its alignments together.

Rules (`constraints.py`) are part of the search: only permitted strings are summed and searched, so that the answer is
the best permitted one even where the image prefers hundreds of others. Every answer keeps what the image alone gives
it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from heapq import heappop, heappush, heappushpop
from itertools import accumulate, chain, pairwise
from operator import mul
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digitnet.core.digits import DIGITS
from digitnet.core.errors import DataError
from digitnet.reading.automaton import Automaton, joined
from digitnet.reading.constraints import Rules

BLANK = len(DIGITS)
"""Column of the CTC blank where the alphabet is `DIGITS`."""

MIN_PERMITTED = 1e-6
"""Permitted strings that together are less probable than this are no answer: the image does not show one."""

MIN_RELATIVE_PROBABILITY = 1e-9
"""Strings less probable than this share of the most probable one are left out."""

MIN_BEAM_WIDTH = 16
"""Least number of prefixes of each length that a search follows.

On drawn-up strips of 40 to 400 frames and 5 to 30 digits, whose best string had a probability of 0.002 to 0.9, 16 gave
the best string of searches 8 to 32 times as wide each time, and 8 nearly.
"""

MIN_BEAM_STEPS = 1_000
"""Prefixes of each length times frames that a search follows at least: short strips are searched more widely."""

MAX_SPELLINGS = 4
"""Strings with signs that are looked for, for each text of digits asked for: several may have the same digits."""

MAX_PREFIXES, MAX_STEPS = 400, 20_000
"""Prefixes that a search follows at this width, or prefixes times frames, whichever are more; then one of each length.

Long strips that say nothing would take seconds; of honest ones of up to 25 digits none comes near.
"""

_LEAST_LOG = -1e4  # stands for the logarithm of 0, so that no alignment is worth less than nothing


@dataclass(frozen=True)
class Hypothesis:
    """A string that a strip may show.

    text: characters of the alphabet; "" for no number.
    probability: of this whole string among all permitted ones, 0..1: exact but for rounding.
    alone: its probability by the image alone, whatever the rules, 0..1. Without rules the two are equal.
    """

    text: str
    probability: float
    alone: float


def decode(log_probs: NDArray[Any], rules: Rules | None = None, count: int = 5) -> list[Hypothesis]:
    """Return the `count` most probable strings, or those above `MIN_RELATIVE_PROBABILITY`, the most probable first.

    log_probs: (T, 11) floats, natural logarithms; every row's probabilities sum to 1.
    rules: what the number must be. The list is empty where what they permit is not seen at all (`MIN_PERMITTED`):
        compare with the answer without rules to tell what they changed.

    The search is Graves's prefix search: always the prefix next that most probability lies behind, all permitted
    strings that begin with it. It ends when no prefix left can beat the strings found, which are then the best there
    are. On strips that say nothing, prefixes without end are equally good: of each length only the first few are
    followed (`MIN_BEAM_WIDTH`, `MIN_BEAM_STEPS`, `MAX_PREFIXES`; "best-first beam search", Meister et al., 2020), and a
    better string may be missed.

    Raises DataError where log_probs is of another shape or holds no log-probabilities, or count is below 1.
    """
    probs = _probs(log_probs)
    if count < 1:
        raise DataError(f"count {count}: must be 1 or more")
    if not rules:
        return _found(probs, _anything(BLANK), probs[:, None, :BLANK], 1.0, DIGITS, count)
    automaton = rules.automaton()
    return _found(probs, automaton, *_behind(probs, automaton), DIGITS, count)


def decode_kind(log_probs: NDArray[Any], alphabet: str, rules: Rules, count: int = 5) -> list[Hypothesis]:
    """Return the digits of the most probable strings that rules with a kind permit; otherwise as `decode`.

    log_probs: (T, len(alphabet) + 1) floats, natural logarithms; every row's probabilities sum to 1. alphabet: begins
    with the ten digits. A text of digits is as probable as all permitted strings with these digits together.
    """
    probs = _probs(log_probs, alphabet)
    automaton = rules.automaton(alphabet)
    behind, permitted = _behind(probs, automaton)
    found = _found(probs, automaton, behind, permitted, alphabet, MAX_SPELLINGS * count)
    texts = dict.fromkeys("".join(one for one in each.text if one in DIGITS) for each in found)
    hypotheses = []
    for text in list(texts)[:count]:
        alone = _behind(probs, joined(automaton, _spelling(text, alphabet)))[1]
        hypotheses.append(Hypothesis(text, min(alone / min(permitted, 1.0), 1.0), min(alone, 1.0)))
    return sorted(hypotheses, key=lambda each: (-each.probability, each.text))


def decode_written(
    log_probs: NDArray[Any], alphabet: str, rules: Rules | None = None, count: int = 5
) -> list[Hypothesis]:
    """Return the most probable strings as they are written, signs included; otherwise as `decode`.

    log_probs, alphabet: as for `decode_kind`.
    """
    return decode_language(log_probs, alphabet, (rules or Rules()).automaton(alphabet), count)


def decode_language(log_probs: NDArray[Any], alphabet: str, automaton: Automaton, count: int = 5) -> list[Hypothesis]:
    """Return the most probable strings that an automaton over the alphabet accepts; otherwise as `decode_written`."""
    probs = _probs(log_probs, alphabet)
    return _found(probs, automaton, *_behind(probs, automaton), alphabet, count)


def written(log_probs: NDArray[Any], alphabet: str, text: str, rules: Rules | None = None) -> tuple[str, float]:
    """Return a number as it is written, with signs: the most probable string of `alphabet` whose digits are `text`.

    log_probs: (T, len(alphabet) + 1) floats, natural logarithms; every row's probabilities sum to 1. alphabet: begins
    with the ten digits. rules: what the string must be, where they have a kind. With it comes its share of the
    probability of all such strings of those digits, 0..1. Where the image shows none of them it is `text`, at 0; where
    the alphabet is digits alone, `text`, at 1.

    Raises DataError where log_probs is of another shape or holds no log-probabilities, or text is not of digits.
    """
    probs = _probs(log_probs, alphabet)
    _characters(text, len(probs))
    if alphabet == DIGITS:
        return text, 1.0
    automaton = _spelling(text, alphabet)
    if rules and rules.kind:
        automaton = joined(rules.automaton(alphabet), automaton)
    found = _found(probs, automaton, *_behind(probs, automaton), alphabet, 1)
    return (found[0].text, found[0].probability) if found else (text, 0.0)


def text_probability(log_probs: NDArray[Any], text: str) -> float:
    """Return how probable a text of digits is, over all its alignments, 0..1; 0 where it needs more frames.

    log_probs: (T, 11), as for `decode`. Raises DataError where log_probs is not of that kind.
    """
    probs = _probs(log_probs)
    if len(text) + sum(one == other for one, other in pairwise(text)) > len(probs):
        return 0.0
    return _behind(probs, _spelling(text, DIGITS))[1]


def align(log_probs: NDArray[Any], text: str, alphabet: str = DIGITS) -> list[tuple[int, int]]:
    """Return the frames of each character in the most probable alignment of `text`: first, and one past the last.

    log_probs: (T, len(alphabet) + 1), as for `decode`. Frames between characters are blanks.
    Raises DataError where log_probs is not of that kind, or text is not of the alphabet or does not fit into T frames.
    """
    probs = _probs(log_probs, alphabet)
    characters = _characters(text, len(probs), alphabet)
    if not characters:
        return []
    # Viterbi's algorithm on the string with a blank before, between and after its characters.
    states = np.full(2 * len(characters) + 1, len(alphabet))
    states[1::2] = characters
    with np.errstate(divide="ignore"):
        worth = np.maximum(np.log(probs), _LEAST_LOG)[:, states]
    skips = np.zeros(len(states), bool)
    skips[3::2] = states[3::2] != states[1:-2:2]
    # Scores of staying in a state, of coming from the one before, and from the one before that.
    scores = np.full((3, len(states)), -np.inf)
    scores[0, :2] = worth[0, :2]
    from_where = np.zeros((len(probs), len(states)), np.intp)
    for frame in range(1, len(probs)):
        scores[1, 1:] = scores[0, :-1]
        scores[2, 2:] = np.where(skips[2:], scores[0, :-2], -np.inf)
        from_where[frame] = scores.argmax(axis=0)
        scores[0] = scores.max(axis=0) + worth[frame]
    state = len(states) - 1 if scores[0, -1] >= scores[0, -2] else len(states) - 2
    spans = [(0, 0)] * len(characters)
    for frame in reversed(range(len(probs))):
        if state % 2:
            spans[state // 2] = (frame, max(spans[state // 2][1], frame + 1))
        state -= int(from_where[frame, state])
    return spans


def digit_probs(log_probs: NDArray[Any], text: str) -> NDArray[np.float32]:
    """Return how probable each digit is in each place of `text`, all others as they are: (len(text), 10) float32.

    log_probs: (T, 11), as for `decode`. Every row is over the ten strings that differ in that place only, exactly as
    probable as all their alignments, and sums to 1; it is even where none of the ten has a probability above 0.
    Raises DataError where log_probs is not of that kind, or text is not of digits or does not fit into T frames.
    """
    probs = _probs(log_probs)
    digits = _characters(text, len(probs))
    # Each frame by its most probable symbol: the ten keep their proportions, and long strips stay above 0.
    probs = probs / probs.max(axis=1, keepdims=True)
    enter = _entries(probs, digits)  # (len, 10, T)
    leave = _entries(probs[::-1], digits[::-1])[::-1, :, ::-1]
    run, total = np.zeros((len(digits), 10)), np.zeros((len(digits), 10))
    for frame, row in enumerate(probs[:, :BLANK]):
        run = (run + enter[:, :, frame]) * row
        total += run * leave[:, :, frame]
    sums = total.sum(axis=1, keepdims=True)
    shares: NDArray[np.float64] = np.divide(total, sums, out=np.full_like(total, 0.1), where=sums > 0)
    return shares.astype(np.float32)


def _spelling(text: str, alphabet: str) -> Automaton:
    """Return the automaton that accepts the strings of an alphabet whose digits are `text`."""
    last = len(text)
    steps = np.full((last + 2, len(alphabet)), last + 1)
    steps[: last + 1, len(DIGITS) :] = np.arange(last + 1)[:, None]
    steps[range(last), [int(digit) for digit in text]] = np.arange(1, last + 1)
    return Automaton(steps, np.arange(last + 2) == last)


def _anything(characters: int) -> Automaton:
    return Automaton(np.zeros((1, characters), np.int64), np.ones(1, bool))


def _found(
    probs: NDArray[np.float64],
    automaton: Automaton,
    behind: NDArray[np.float64],
    permitted: float,
    alphabet: str,
    count: int,
) -> list[Hypothesis]:
    """Return the `count` most probable strings that an automaton accepts; permitted: what all of them have together."""
    if permitted < MIN_PERMITTED:
        return []
    found = _search(probs, automaton, behind, alphabet, count)
    # Rounding may carry a sum past 1.
    return [Hypothesis(text, min(alone / min(permitted, 1.0), 1.0), min(alone, 1.0)) for alone, text in found]


def _probs(log_probs: NDArray[Any], alphabet: str = DIGITS) -> NDArray[np.float64]:
    """Return the probabilities, (T, len(alphabet) + 1), every row summing to 1 as float32 could not."""
    log_probs, wide = np.asarray(log_probs), len(alphabet) + 1
    if log_probs.ndim != 2 or log_probs.shape[1] != wide or not len(log_probs) or log_probs.dtype.kind != "f":
        characters = "ten digits" if alphabet == DIGITS else f"the characters {alphabet}"
        raise DataError(
            f"log-probabilities are {log_probs.shape} {log_probs.dtype}, expected floats (frames, {wide}): "
            f"{characters}, then the blank"
        )
    with np.errstate(over="ignore"):
        probs: NDArray[np.float64] = np.exp(log_probs, dtype=np.float64)
    sums = probs.sum(axis=1, keepdims=True)
    if not np.abs(sums - 1).max() < 0.01:  # NaN fails this too
        frame = int(np.argmax(~(np.abs(sums - 1) < 0.01)))
        raise DataError(f"frame {frame}: its probabilities sum to {sums[frame, 0]:.3g}, expected 1; apply log-softmax")
    probs /= sums
    return probs


def _characters(text: str, frames: int, alphabet: str = DIGITS) -> list[int]:
    if not set(text) <= set(alphabet):
        expected = "digits 0 to 9" if alphabet == DIGITS else f"the characters {alphabet}"
        raise DataError(f"text {text!r}: expected {expected} only")
    needed = len(text) + sum(one == other for one, other in pairwise(text))
    if needed > frames:
        raise DataError(f"text {text!r}: needs {needed} frames, a blank between equal digits; the strip has {frames}")
    return [alphabet.index(character) for character in text]


def _before_any(probs_of_blank: list[float]) -> tuple[list[float], list[float]]:
    """Return `_extend`'s answer for the empty prefix."""
    blanks = list(accumulate(chain([1.0], probs_of_blank), mul))
    return blanks, blanks


def _extend(of_digit: list[float], of_blank: list[float], enter: list[float]) -> tuple[list[float], list[float]]:
    """Let a prefix grow by one digit: how probable is it that the first t frames spell it? For t = 0 .. T.

    of_digit, of_blank: (T,) probabilities of the digit and the blank, by frame.
    enter: (T,) at least, the probability that the frames before each spell the prefix without that digit.

    Two lists of T + 1: of all alignments, and of those that end in a blank, which the same digit may follow.
    """
    digit = blank = 0.0
    spelt, closed = [0.0], [0.0]
    for entered, p_digit, p_blank in zip(enter, of_digit, of_blank, strict=False):
        digit, blank = p_digit * (digit + entered), p_blank * (blank + digit)
        spelt.append(digit + blank)
        closed.append(blank)
    return spelt, closed


def _entries(probs: NDArray[np.float64], digits: list[int]) -> NDArray[np.float64]:
    """Return for each place of a string and each digit there how probable it begins at a frame: (len, 10, T)."""
    columns = probs.T.tolist()
    entries = np.empty((len(digits), 10, len(probs)))
    spelt, closed = _before_any(columns[BLANK])
    for place, digit in enumerate(digits):
        entries[place] = spelt[:-1]
        if place:
            entries[place, digits[place - 1]] = closed[:-1]
        enter = closed if place and digits[place - 1] == digit else spelt
        spelt, closed = _extend(columns[digit], columns[BLANK], enter)
    return entries


def _behind(probs: NDArray[np.float64], automaton: Automaton) -> tuple[NDArray[np.float64], float]:
    """Return what lies behind each character: (T, S, N), and how probable all accepted strings are together.

    Behind a character that begins at a frame, in a state before it: the probability of that and later frames, over all
    alignments that end in an accepted string. The backward half of the forward-backward algorithm, for every string
    that the automaton accepts at once.
    """
    steps, accepts = automaton
    blank = steps.shape[1]
    where = steps * (blank + 1) + np.arange(blank)
    # Columns of `value`: the frame before was in the run of a character, or a blank.
    value = np.repeat(accepts[:, None].astype(np.float64), blank + 1, axis=1)
    # From a character's run any other one may begin; from a blank, any.
    others = np.concatenate([1 - np.eye(blank), np.ones((blank, 1))], axis=1)
    stay = np.where(np.arange(blank + 1) == blank, 0, probs)
    behind = np.empty((len(probs), *steps.shape))
    for frame in reversed(range(len(probs))):
        np.multiply(value.take(where), probs[frame, :blank], out=behind[frame])
        value = probs[frame, blank] * value[:, blank:] + stay[frame] * value + behind[frame] @ others
    return behind, float(value[0, blank])


def _search(
    probs: NDArray[np.float64], automaton: Automaton, behind: NDArray[np.float64], alphabet: str, count: int
) -> list[tuple[float, str]]:
    """Return the `count` most probable accepted strings but for faint ones, and their probabilities, falling."""
    *columns, of_blank = probs.T.tolist()
    index = {character: place for place, character in enumerate(alphabet)}
    steps, accepts = automaton.steps.tolist(), automaton.accepts.tolist()
    width, most = max(MIN_BEAM_WIDTH, MIN_BEAM_STEPS // len(probs), count), max(MAX_PREFIXES, MAX_STEPS // len(probs))
    least = 0.0  # what a string must exceed
    found: list[tuple[float, str]] = []  # a heap, the least probable first
    followed: Counter[int] = Counter()
    # A heap too, what lies behind a prefix first; with it the frames that its last digit may begin at.
    prefixes: list[tuple[float, str, int, list[float]]] = [(-np.inf, "", 0, [])]
    while prefixes and -prefixes[0][0] > least:
        _, text, state, enter = heappop(prefixes)
        if followed[len(text)] >= (width if followed.total() < most else 1):
            continue
        followed[len(text)] += 1
        if text:
            last = index[text[-1]]
            spelt, closed = _extend(columns[last], of_blank, enter)
        else:
            last, (spelt, closed) = -1, _before_any(of_blank)
        if accepts[state] and spelt[-1] > least:
            (heappush if len(found) < count else heappushpop)(found, (spelt[-1], text))
            least = max(least, MIN_RELATIVE_PROBABILITY * spelt[-1], found[0][0] if len(found) == count else 0.0)
        bounds = np.array(spelt[:-1]) @ behind[:, state]
        if text:
            bounds[last] = np.array(closed[:-1]) @ behind[:, state, last]
        for place in np.flatnonzero(bounds > least).tolist():
            grown = closed if place == last else spelt
            heappush(prefixes, (-float(bounds[place]), text + alphabet[place], steps[state][place], grown))
    best = max(found, default=(0.0, ""))[0]
    return sorted(
        (path for path in found if path[0] > MIN_RELATIVE_PROBABILITY * best), key=lambda path: (-path[0], path[1])
    )
