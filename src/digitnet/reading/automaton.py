"""Constraints as a finite automaton, so a decoder can sum and search over all permitted texts without listing them.

Every rule of digits is here digit by digit from the left, as a state and how a digit changes it; `constraints.py` and
`checksums.py` have the same rules as plain arithmetic. The tests hold one against the other.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from digitnet.core.digits import DIGITS
from digitnet.core.errors import DataError
from digitnet.reading.checksums import IBAN_DIGITS, letters
from digitnet.reading.kinds import NEVER, Language, after, ends

MAX_STATES = 5_000
"""States of an automaton beyond which rules are refused: a decoder holds a number for each character in each frame."""

ENDLESS = sys.maxsize
"""Stands for as many digits as one likes."""

State = tuple[int, ...]
"""What is to be known of the digits so far."""


class Automaton(NamedTuple):
    """A deterministic finite automaton over N characters, S states: it accepts what its rules permit.

    steps: (S, N) int64, the state after each character. State 0 is the start; the last one is dead, and never left.
    accepts: (S,) bool, whether the characters so far may end here.
    """

    steps: NDArray[np.int64]
    accepts: NDArray[np.bool_]


def joined(first: Automaton, second: Automaton) -> Automaton:
    """Return the automaton over the same alphabet that accepts what both do."""
    dead = len(first.steps) - 1, len(second.steps) - 1
    queue = [(0, 0)]
    states = {queue[0]: 0}
    rows = []
    for one_state, other_state in queue:
        row = []
        for pair in zip(first.steps[one_state].tolist(), second.steps[other_state].tolist(), strict=True):
            if dead[0] == pair[0] or dead[1] == pair[1]:
                row.append(-1)
                continue
            if pair not in states:
                states[pair] = len(queue)
                queue.append(pair)
            row.append(states[pair])
        rows.append(row)
    steps = np.array([*rows, [-1] * first.steps.shape[1]])
    accepts = [bool(first.accepts[one_state] and second.accepts[other_state]) for one_state, other_state in queue]
    return Automaton(np.where(steps < 0, len(queue), steps), np.array([*accepts, False]))


class Part(NamedTuple):
    """One rule, digit by digit; `step` gives None where no digits that follow can mend it.

    lengths: the numbers of digits of texts that keep the rule, rising; a range where all from one to another may do.
    """

    lengths: range | tuple[int, ...]
    start: State
    step: Callable[[State, int], State | None]
    ends: Callable[[State], bool]


def lengths_part(shortest: int, longest: int) -> Part:
    """State: digits so far."""

    def step(state: State, digit: int) -> State | None:
        return (state[0] + 1,) if state[0] < longest else None

    return Part(range(shortest, longest + 1), (0,), step, lambda state: state[0] >= shortest)


def range_part(low: int, high: int | None) -> Part:
    """State: significant digits so far, -1 before any digit; then how they compare with as many of low's and high's."""
    least, most = str(low).lstrip("0"), None if high is None else str(high).lstrip("0")

    def step(state: State, digit: int) -> State | None:
        size, above_low, above_high = max(state[0], 0), *state[1:]
        if not size and not digit:
            return 0, 0, 0
        if most is not None and size >= len(most):
            return None
        if size >= len(least):
            size, above_low = (len(least) if most is None else size), 0
        else:
            above_low = above_low or _compare(digit, int(least[size]))
        if most is not None:
            above_high = above_high or _compare(digit, int(most[size]))
        return size + 1, above_low, above_high

    def ends(state: State) -> bool:
        size, above_low, above_high = state
        enough = size > len(least) or (size == len(least) and above_low >= 0)
        return enough and size >= 0 and (most is None or size < len(most) or above_high <= 0)

    return Part(range(max(len(least), 1), ENDLESS), (-1, 0, 0), step, ends)


def _compare(one: int, other: int) -> int:
    return (one > other) - (one < other)


def listed_part(numbers: Sequence[str]) -> Part:
    """State: which of the sets of endings that may follow the digits so far (a minimal acyclic automaton)."""
    known: dict[tuple[bool, tuple[int | None, ...]], int] = {}
    nodes: list[tuple[bool, tuple[int | None, ...]]] = []

    def node(some: list[str]) -> int:
        branches: dict[str, list[str]] = {}
        for number in some:
            if number:
                branches.setdefault(number[0], []).append(number[1:])
        its = "" in some, tuple(node(branches[one]) if one in branches else None for one in DIGITS)
        if its not in known:
            known[its] = len(nodes)
            nodes.append(its)
        return known[its]

    def step(state: State, digit: int) -> State | None:
        following = nodes[state[0]][1][digit]
        return None if following is None else (following,)

    lengths = tuple(sorted({len(number) for number in numbers}))
    return Part(lengths, (node(list(dict.fromkeys(numbers))),), step, lambda state: nodes[state[0]][0])


def modulo_10_part(other: Callable[[int], int], lengths: tuple[int, ...], open_end: bool) -> Part:
    """State: digits so far; their sum if the last one is the number's last; their sum if one more follows."""

    def step(state: State, digit: int) -> State | None:
        size, ending, going_on = state
        if size == lengths[-1] and not open_end:
            return None
        return min(size + 1, lengths[-1]), (going_on + digit) % 10, (ending + other(digit)) % 10

    permitted = range(lengths[-1], ENDLESS) if open_end else lengths
    return Part(permitted, (0, 0, 0), step, lambda state: state[0] in lengths and state[1] == 0)


def isbn_part() -> Part:
    """State: digits so far, the sum of an ISBN-10, the sum of an ISBN-13; -1 where it can no longer be one."""

    def step(state: State, digit: int) -> State | None:
        size, short, long = state
        if size == 13 or (size == 10 and long < 0):
            return None
        if size < 3 and digit not in ((9,), (7,), (8, 9))[size]:
            long = -1
        short = (short + (10 - size) * digit) % 11 if size < 10 else -1
        return size + 1, short, (long + digit * (3 if size % 2 else 1)) % 10 if long >= 0 else -1

    def ends(state: State) -> bool:
        size, short, long = state
        return (size == 10 and short == 0) or (size == 13 and long == 0)

    return Part((10, 13), (0, 0, 0), step, ends)


def iban_part(country: str) -> Part:
    """State: digits so far, and their sum modulo 97, each weighted by its place in account, letters, check digits."""
    size = IBAN_DIGITS[country]
    weights = [10, 1, *(pow(10, 6 + place, 97) for place in reversed(range(size)))]
    # The number's remainder must be 1, the letters' share of it included.
    wanted = (1 - 100 * int(letters(country))) % 97

    def step(state: State, digit: int) -> State | None:
        place, total = state
        if place == len(weights) or (place == 1 and not 2 <= total + digit <= 98):
            return None
        return place + 1, (total + weights[place] * digit) % 97

    return Part((len(weights),), (0, 0), step, lambda state: state == (len(weights), wanted))


def any_length(parts: Sequence[Part]) -> bool:
    """Return whether the parts have a number of digits in common, so that a text may keep all of them."""
    # If they do, the least one is the first that some part permits, or among those that a part lists.
    starts = [part.lengths[:1] if isinstance(part.lengths, range) else part.lengths for part in parts]
    return not parts or any(all(each in part.lengths for part in parts) for each in chain(*starts))


@lru_cache(maxsize=64)
def _table(start: Language, alphabet: str) -> tuple[list[list[int]], list[bool]]:
    """Return a language as a table: for each state, 0 the start, the state after each character, -1 where no text goes
    on like that; and whether a text may end there.
    """
    queue = [start]
    states = {start: 0, NEVER: -1}
    rows = []
    for state in queue:
        row = []
        for character in alphabet:
            following = after(state, character)
            if following not in states:
                states[following] = len(queue)
                queue.append(following)
            row.append(states[following])
        rows.append(row)
    return rows, [ends(state) for state in queue]


def build(parts: Sequence[Part], start: Language, alphabet: str) -> Automaton:
    """Return the automaton over an alphabet that accepts the texts of a language whose digits keep all parts.

    Raises DataError where there are too many states, or no text.
    """
    turns, whole = _table(start, alphabet)
    # Every state that characters lead to, then without those that lead nowhere.
    queue = [(tuple(part.start for part in parts), 0)]
    states = {queue[0]: 0}
    rows = []
    for state, written in queue:
        row = []
        for character, turned in zip(alphabet, turns[written], strict=True):
            following: list[State | None] = list(state)
            if turned >= 0 and character in DIGITS:
                following = [part.step(own, int(character)) for part, own in zip(parts, state, strict=True)]
            digits = tuple(own for own in following if own is not None)
            if turned < 0 or len(digits) < len(parts):
                row.append(-1)
                continue
            joined = digits, turned
            if joined not in states:
                states[joined] = len(queue)
                queue.append(joined)
            row.append(states[joined])
        rows.append(row)
        if len(queue) > MAX_STATES:
            raise DataError("too many combinations; omit or narrow one of them")
    ended = [
        whole[written] and all(part.ends(own) for part, own in zip(parts, state, strict=True))
        for state, written in queue
    ]
    # The last row and end are the dead state's, -1 in the steps until they are renumbered.
    steps, accepts = np.array([*rows, [-1] * len(alphabet)]), np.array([*ended, False])
    alive = accepts
    while (wider := alive | alive[steps].any(axis=1)).sum() > alive.sum():
        alive = wider
    if not alive[0]:
        raise DataError("no number satisfies all of these constraints; omit one")
    kept = np.append(np.flatnonzero(alive), len(alive) - 1)
    renumbered = np.full(len(alive), len(kept) - 1)
    renumbered[kept] = np.arange(len(kept))
    return Automaton(renumbered[steps[kept]], accepts[kept])
