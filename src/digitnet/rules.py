"""What is known of a number before it is read: its length, its range, its check digit.

A rule narrows what may be answered; what the image alone says stays beside every answer (`decode.Path.alone`). Rules
become a finite automaton (`Rules.automaton`), so that a decoder can sum and search over all permitted strings
without listing them.

What can be checked in digits alone:

- `luhn`: the check digit of ISO/IEC 7812-1, annex B: payment cards, IMEI, many customer numbers; two digits or more.
- `isbn`: ISBN-10 (ISO 2108; weights 10 to 1, modulo 11) and ISBN-13 (978 or 979, then as `ean`). An ISBN-10 whose
  check is X cannot be written in digits: it is never permitted.
- `ean`: the GS1 check digit, modulo 10, of EAN-8, UPC-A (12 digits) and EAN-13 (GS1 General Specifications, 7.9).
- `iban-digits-de` and its like: an IBAN (ISO 13616) without its two letters. Its check digits count the letters in,
  so digits prove nothing until the country is named; and the country must be one whose accounts are written in
  digits only, a fixed number of them (`IBAN_DIGITS`). Read are two check digits, 02 to 98, and the account.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from digitnet.errors import DataError

IBAN_DIGITS: dict[str, int] = {
    country: digits
    for digits, countries in {
        11: "no",
        12: "be",
        14: "dk fi fo gl sd",
        15: "si",
        16: "at ba ee lt mn xk",
        17: "hr",
        18: "cr de me rs va",
        19: "ae il so tl",
        20: "cz es se sk tn",
        21: "ly pt st",
        22: "is",
        23: "bi dj mr",
        24: "hu pl",
        25: "eg",
    }.items()
    for country in countries.split()
}
"""Digits of an account by country, where it has no letters: SWIFT's IBAN registry (of ISO 13616), release 101."""

CHECKSUMS = ("luhn", "isbn", "ean", *(f"iban-digits-{country}" for country in sorted(IBAN_DIGITS)))
"""The checksums that a rule can ask for."""

MOST_STATES = 5_000
"""States of an automaton beyond which rules are refused: a decoder holds ten numbers for each state and frame."""

_State = tuple[int, ...]


class Automaton(NamedTuple):
    """A deterministic finite automaton over digits, S states: it accepts what its rules permit.

    steps: (S, 10) int64, the state after each digit. State 0 is the start; the last one is dead, and never left.
    accepts: (S,) bool, whether the digits so far may end here.
    """

    steps: NDArray[np.int64]
    accepts: NDArray[np.bool_]


@dataclass(frozen=True)
class Rules:
    """What a number must be; None where nothing is asked, and false where nothing is asked at all.

    lengths: the shortest and the longest number of digits, leading zeros included.
    low, high: the least and the greatest value; leading zeros do not count. What has no digits has no value.
    checksum: one of `CHECKSUMS`.

    Raises DataError where a rule makes no sense, or where no number can keep them all.
    """

    lengths: tuple[int, int] | None = None
    low: int | None = None
    high: int | None = None
    checksum: str | None = None

    def __post_init__(self) -> None:
        """Check the rules, each and together."""
        if self.lengths is not None and not 0 <= self.lengths[0] <= self.lengths[1]:
            raise DataError(f"lengths {self.lengths}: expected the shortest and the longest, 0 or more")
        if min(self.low or 0, self.high or 0) < 0 or (self.high is not None and (self.low or 0) > self.high):
            raise DataError(f"range {self._range()}: expected the least and the greatest value, 0 or more")
        if self.checksum is not None and self.checksum not in CHECKSUMS:
            raise DataError(_unknown(self.checksum))
        self.automaton()

    def __bool__(self) -> bool:
        """Say whether anything is asked."""
        return self != Rules()

    def __str__(self) -> str:
        """Say what is asked: `length 4-6, range 0..5000, luhn`."""
        parts = []
        if self.lengths:
            shortest, longest = self.lengths
            parts.append(f"length {shortest}" if shortest == longest else f"length {shortest}-{longest}")
        if self.low is not None or self.high is not None:
            parts.append(f"range {self._range()}")
        if self.checksum:
            parts.append(self.checksum)
        return ", ".join(parts) or "no rules"

    def allows(self, text: str) -> bool:
        """Say whether a string of digits, "" among them, keeps the rules; False for anything but digits 0..9."""
        if re.fullmatch("[0-9]*", text) is None:
            return False
        if self.lengths is not None and not self.lengths[0] <= len(text) <= self.lengths[1]:
            return False
        if self.low is not None and (not text or _value(text) < _value(str(self.low))):
            return False
        if self.high is not None and (not text or _value(text) > _value(str(self.high))):
            return False
        return self.checksum is None or _checks(text, self.checksum)

    def automaton(self) -> Automaton:
        """Return the automaton that accepts what `allows` allows; built once for equal rules."""
        return _automaton(self)

    def _range(self) -> str:
        return f"{'' if self.low is None else self.low}..{'' if self.high is None else self.high}"


def parse_lengths(text: str) -> tuple[int, int]:
    """Return the shortest and the longest length in "5" or "4-6". Raises DataError for anything else."""
    match = re.fullmatch(r"([0-9]{1,3})(?:-([0-9]{1,3}))?", text.strip())
    if match is None or int(match[1]) > int(match[2] or match[1]):
        raise DataError(f"length {text!r}: expected a number of digits as 5, or the shortest and the longest as 4-6")
    return int(match[1]), int(match[2] or match[1])


def parse_range(text: str) -> tuple[int | None, int | None]:
    """Return the least and the greatest value in "0..100", "10.." or "..100"; None where there is no such limit.

    Raises DataError for anything else.
    """
    match = re.fullmatch(r"([0-9]{0,30})\.\.([0-9]{0,30})", text.strip())
    low, high = (int(part) if part else None for part in match.groups()) if match else (None, None)
    if (low is None and high is None) or (low is not None and high is not None and low > high):
        raise DataError(f"range {text!r}: expected the least and the greatest value as 0..100, or one of them as 10..")
    return low, high


def _unknown(checksum: str) -> str:
    if not checksum.startswith("iban"):
        return f"checksum {checksum!r}: choose one of luhn, isbn, ean, iban-digits-<country>"
    countries = " ".join(sorted(IBAN_DIGITS))
    return (
        f"checksum {checksum!r}: the check digits of an IBAN count its country in; name one as iban-digits-de, "
        f"whose accounts have digits only: {countries}"
    )


# Every rule is here twice: as the plain arithmetic of its standard, and digit by digit from the left, as a state and
# how a digit changes it. The tests hold one against the other.


def _value(text: str) -> tuple[int, str]:
    """Return what compares as the number does: int() would refuse thousands of digits."""
    significant = text.lstrip("0")
    return len(significant), significant


def _modulo_10(text: str, other: Callable[[int], int]) -> bool:
    """Say whether the digits sum to a multiple of ten, every other one from the right, not the last, changed."""
    last_first = [int(digit) for digit in reversed(text)]
    return (sum(last_first[::2]) + sum(map(other, last_first[1::2]))) % 10 == 0


def _doubled(digit: int) -> int:
    return sum(divmod(2 * digit, 10))


def _tripled(digit: int) -> int:
    return 3 * digit


def _checks(text: str, checksum: str) -> bool:
    if checksum == "luhn":
        return len(text) >= 2 and _modulo_10(text, _doubled)
    if checksum == "ean":
        return len(text) in (8, 12, 13) and _modulo_10(text, _tripled)
    if checksum == "isbn" and len(text) == 10:
        return sum((10 - place) * int(digit) for place, digit in enumerate(text)) % 11 == 0
    if checksum == "isbn":
        return len(text) == 13 and text.startswith(("978", "979")) and _modulo_10(text, _tripled)
    country = checksum.removeprefix("iban-digits-")
    if len(text) != 2 + IBAN_DIGITS[country] or not 2 <= int(text[:2]) <= 98:
        return False
    return int(text[2:] + _letters(country) + text[:2]) % 97 == 1


def _letters(country: str) -> str:
    """Return a country's letters as ISO 13616 counts them: A is 10, Z is 35."""
    return "".join(str(int(letter, 36)) for letter in country)


class _Part(NamedTuple):
    """One rule, digit by digit; `step` gives None where no digits that follow can mend it."""

    start: _State
    step: Callable[[_State, int], _State | None]
    ends: Callable[[_State], bool]


def _lengths_part(shortest: int, longest: int) -> _Part:
    def step(state: _State, digit: int) -> _State | None:
        return (state[0] + 1,) if state[0] < longest else None

    return _Part((0,), step, lambda state: state[0] >= shortest)


def _range_part(low: int, high: int | None) -> _Part:
    """State: significant digits so far, -1 before any digit; then how they compare with as many of low's and high's."""
    least, most = str(low).lstrip("0"), None if high is None else str(high).lstrip("0")

    def step(state: _State, digit: int) -> _State | None:
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

    def ends(state: _State) -> bool:
        size, above_low, above_high = state
        enough = size > len(least) or (size == len(least) and above_low >= 0)
        return enough and size >= 0 and (most is None or size < len(most) or above_high <= 0)

    return _Part((-1, 0, 0), step, ends)


def _compare(one: int, other: int) -> int:
    return (one > other) - (one < other)


def _modulo_10_part(other: Callable[[int], int], lengths: tuple[int, ...], open_end: bool) -> _Part:
    """State: digits so far; their sum if the last one is the number's last; their sum if one more follows."""

    def step(state: _State, digit: int) -> _State | None:
        size, ending, going_on = state
        if size == lengths[-1] and not open_end:
            return None
        return min(size + 1, lengths[-1]), (going_on + digit) % 10, (ending + other(digit)) % 10

    return _Part((0, 0, 0), step, lambda state: state[0] in lengths and state[1] == 0)


def _isbn_part() -> _Part:
    """State: digits so far, the sum of an ISBN-10, the sum of an ISBN-13; -1 where it can no longer be one."""

    def step(state: _State, digit: int) -> _State | None:
        size, short, long = state
        if size == 13 or (size == 10 and long < 0):
            return None
        if size < 3 and digit not in ((9,), (7,), (8, 9))[size]:
            long = -1
        short = (short + (10 - size) * digit) % 11 if size < 10 else -1
        return size + 1, short, (long + digit * (3 if size % 2 else 1)) % 10 if long >= 0 else -1

    return _Part((0, 0, 0), step, lambda state: state[0] in (10, 13) and state[1 if state[0] == 10 else 2] == 0)


def _iban_part(country: str) -> _Part:
    """State: digits so far, and their sum modulo 97, each weighted by its place in account, letters, check digits."""
    size = IBAN_DIGITS[country]
    weights = [10, 1, *(pow(10, 6 + place, 97) for place in reversed(range(size)))]
    # The number's remainder must be 1, the letters' share of it included.
    wanted = (1 - 100 * int(_letters(country))) % 97

    def step(state: _State, digit: int) -> _State | None:
        place, total = state
        if place == len(weights) or (place == 1 and not 2 <= total + digit <= 98):
            return None
        return place + 1, (total + weights[place] * digit) % 97

    return _Part((0, 0), step, lambda state: state == (len(weights), wanted))


def _parts(rules: Rules) -> list[_Part]:
    parts = []
    if rules.lengths is not None:
        parts.append(_lengths_part(*rules.lengths))
    if rules.low is not None or rules.high is not None:
        parts.append(_range_part(rules.low or 0, rules.high))
    if rules.checksum == "luhn":
        parts.append(_modulo_10_part(_doubled, (2,), open_end=True))
    elif rules.checksum == "ean":
        parts.append(_modulo_10_part(_tripled, (8, 12, 13), open_end=False))
    elif rules.checksum == "isbn":
        parts.append(_isbn_part())
    elif rules.checksum is not None:
        parts.append(_iban_part(rules.checksum.removeprefix("iban-digits-")))
    return parts


@lru_cache(maxsize=64)
def _automaton(rules: Rules) -> Automaton:
    """Join the parts: every state that digits lead to, breadth first, then without those that lead nowhere."""
    parts = _parts(rules)
    queue = [tuple(part.start for part in parts)]
    states = {queue[0]: 0}
    rows = []
    for state in queue:
        row = []
        for digit in range(10):
            following = [part.step(own, digit) for part, own in zip(parts, state, strict=True)]
            joined = tuple(own for own in following if own is not None)
            if len(joined) < len(parts):
                row.append(-1)
                continue
            if joined not in states:
                states[joined] = len(queue)
                queue.append(joined)
            row.append(states[joined])
        rows.append(row)
        if len(queue) > MOST_STATES:
            raise DataError(f"{rules}: too many cases together; leave the range or the length out")
    ends = [all(part.ends(own) for part, own in zip(parts, state, strict=True)) for state in queue]
    # The last row and end are the dead state's, -1 in the steps until they are renumbered.
    steps, accepts = np.array([*rows, [-1] * 10]), np.array([*ends, False])
    alive = accepts
    while (wider := alive | alive[steps].any(axis=1)).sum() > alive.sum():
        alive = wider
    if not alive[0]:
        raise DataError(f"{rules}: no number keeps all of these rules; leave one out")
    kept = np.append(np.flatnonzero(alive), len(alive) - 1)
    renumbered = np.full(len(alive), len(kept) - 1)
    renumbered[kept] = np.arange(len(kept))
    return Automaton(renumbered[steps[kept]], accepts[kept])
