"""The permitted texts of each kind: decimals, dates, times, phone numbers, fractions.

A kind is a regular language over digits and signs. Languages are built from `one`, `then`, `either`, `some` and `maybe`
and stepped through character by character by their derivatives (Brzozowski, "Derivatives of Regular Expressions",
1964), so that they become a finite automaton. `values.py` tells what such a text stands for.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from digitnet.core.digits import DIGITS

KINDS = ("digits", "decimal", "integer", "date", "time", "phone", "fraction")
"""The kinds of numbers that can be asked for."""

ORDERS = ("dmy", "mdy", "ymd")
"""Orders of day, month and year in a date."""

CENTURIES = range(15, 25)
"""The hundreds of a date's year: 7024 is 2024 by a hand whose 2 looks like a 7."""

PHONE = 3, 15
"""Fewest digits of a phone number, and most (ITU-T E.164)."""


@dataclass(frozen=True)
class One:
    """The language of single characters."""

    characters: frozenset[str]


@dataclass(frozen=True)
class Then:
    """The language of texts of one part after the other; `first` is no `Then`, so that equal languages are equal."""

    first: Language
    rest: Language


@dataclass(frozen=True)
class Either:
    """The language of texts of any of the parts, none of which is an `Either`."""

    parts: frozenset[Language]


@dataclass(frozen=True)
class Repeated:
    """The language of texts of a part any number of times, also not once."""

    part: Language


@dataclass(frozen=True)
class Empty:
    """The language of the empty text alone."""


Language: TypeAlias = One | Then | Either | Repeated | Empty
"""A set of texts."""

EMPTY, NEVER = Empty(), Either(frozenset())
"""The language of the empty text alone, and the one without any text."""


def one(characters: str) -> Language:
    """Return the language of single characters."""
    return One(frozenset(characters))


def then(*parts: Language) -> Language:
    """Return the language of texts of one part after the other."""
    joined: Language = EMPTY
    for part in reversed(parts):
        joined = _then(part, joined)
    return joined


def _then(first: Language, rest: Language) -> Language:
    if isinstance(first, Empty):
        return rest
    if isinstance(first, Then):
        return _then(first.first, _then(first.rest, rest))
    return NEVER if NEVER in (first, rest) else Then(first, rest)


def either(*parts: Language) -> Language:
    """Return the language of texts of any of the parts."""
    flat: set[Language] = set()
    for part in parts:
        flat |= part.parts if isinstance(part, Either) else {part}
    return flat.pop() if len(flat) == 1 else Either(frozenset(flat))


def some(part: Language) -> Language:
    """Return the language of texts of a part once or more, one after the other."""
    return then(part, Repeated(part))


def maybe(part: Language) -> Language:
    """Return the language of the empty text and a part's."""
    return either(EMPTY, part)


def times(part: Language, least: int, most: int) -> Language:
    """Return the language of texts of a part `least` to `most` times, one after the other."""
    return then(*[part] * least, *[maybe(part)] * (most - least))


def ends(language: Language) -> bool:
    """Return whether the empty text is in a language."""
    match language:
        case Then(first, rest):
            return ends(first) and ends(rest)
        case Either(parts):
            return any(map(ends, parts))
    return isinstance(language, Empty | Repeated)


@lru_cache(maxsize=100_000)
def after(language: Language, character: str) -> Language:
    """Return what may follow a character that begins a text of a language: `NEVER` where it begins none."""
    match language:
        case One(characters):
            return EMPTY if character in characters else NEVER
        case Then(first, rest):
            going_on = then(after(first, character), rest)
            return either(going_on, after(rest, character)) if ends(first) else going_on
        case Either(parts):
            return either(*(after(part, character) for part in parts))
        case Repeated(part):
            return then(after(part, character), language)
    return NEVER


DIGIT = one(DIGITS)


@lru_cache
def language(kind: str, decimal: str | None = None, order: str | None = None) -> Language:
    """Return the language of a kind, one of `KINDS`.

    decimal: the sign before decimals, "." or ","; None for either. order: of a date, one of `ORDERS`; None for any.
    """
    match kind:
        case "decimal" | "integer":
            return either(*(_amount(point, kind == "decimal") for point in decimal or ".,"))
        case "date":
            return _date(order)
        case "time":
            return _time()
        case "phone":
            group = either(DIGIT, then(one("("), some(DIGIT), one(")")))
            return then(maybe(one("+")), group, Repeated(then(maybe(one("-./")), group)))
        case "fraction":
            positive = then(Repeated(one("0")), one("123456789"), Repeated(DIGIT))
            return then(maybe(one("-")), maybe(then(some(DIGIT), one("-"))), some(DIGIT), one("/"), positive)
    return some(DIGIT)


def _amount(point: str, decimals: bool) -> Language:
    """Return numbers in groups of three or not, with decimals after a point, or strokes in place of them: 1.159,-."""
    group = "," if point == "." else "."
    grouped = then(one("123456789"), times(DIGIT, 0, 2), some(then(one(group), DIGIT, DIGIT, DIGIT)))
    whole, sign, currency = either(some(DIGIT), grouped), maybe(one("+-")), maybe(one("$"))
    if not decimals:
        return then(sign, whole)
    closing = then(one(point), Repeated(one("-=")))
    number = either(
        then(whole, either(EMPTY, then(one(point), some(DIGIT)), closing, one("-"))),
        then(one(point), some(DIGIT)),
    )
    return then(maybe(one("=")), currency, sign, currency, number, maybe(one("%")), currency, maybe(one("=.,")))


def _days(shortest: int) -> tuple[Language, ...]:
    """Return days 1 to 28, day 29, day 30 and day 31; shortest: digits of a day, 1 or 2."""
    zero = one("0") if shortest == 2 else maybe(one("0"))
    low = either(then(zero, one("123456789")), then(one("1"), DIGIT), then(one("2"), one("012345678")))
    return low, *(then(one(tens), one(ones)) for tens, ones in ("29", "30", "31"))


def _months(shortest: int) -> tuple[Language, ...]:
    """Return all months, those that have a day 30, those that have a day 31, and February."""
    zero = one("0") if shortest == 2 else maybe(one("0"))
    every = either(then(zero, one("123456789")), then(one("1"), one("012")))
    with_30 = either(then(zero, one("13456789")), then(one("1"), one("012")))
    with_31 = either(then(zero, one("13578")), then(one("1"), one("02")))
    return every, with_30, with_31, then(zero, one("2"))


def _years(lengths: tuple[int, ...]) -> tuple[Language, Language]:
    """Return all years and leap years, of 2 or 4 digits or both; of 4 digits those of `CENTURIES`."""
    fours = either(then(one("02468"), one("048")), then(one("13579"), one("26")))
    after_00 = either(then(one("0"), one("48")), then(one("2468"), one("048")), then(one("13579"), one("26")))
    century, leaping = (
        either(*(then(*map(one, str(n))) for n in some)) for some in (CENTURIES, [n for n in CENTURIES if n % 4 == 0])
    )
    of_4 = then(century, DIGIT, DIGIT)
    leap_4 = either(then(century, after_00), then(leaping, one("0"), one("0")))
    every = {2: then(DIGIT, DIGIT), 4: of_4}
    leaps = {2: fours, 4: leap_4}
    return either(*(every[n] for n in lengths)), either(*(leaps[n] for n in lengths))


def _dates(order: str, between: Language, shortest: int, years: tuple[int, ...]) -> Language:
    low, *late = _days(shortest)
    month, with_30, with_31, february = _months(shortest)
    year, leap = _years(years)
    existing = (
        *((low, month, year), (late[0], with_30, year), (late[1], with_30, year), (late[2], with_31, year)),
        (late[0], february, leap),
    )
    ordered = []
    for day, its_month, its_year in existing:
        parts = {"d": day, "m": its_month, "y": its_year}
        first, second, third = (parts[letter] for letter in order)
        ordered.append(then(first, between, second, between, third))
    return either(*ordered)


def _date(order: str | None) -> Language:
    found = []
    for its in (order,) if order else ORDERS:
        # Without a known order two digits at the front are a day or a month, not a year.
        years = (4,) if its == "ymd" and order is None else (2, 4)
        found += [_dates(its, one(between), 1, years) for between in "/.-"]
        found.append(_dates(its, EMPTY, 2, years))
    return either(*found)


def with_slashes() -> Language:
    """Return days and months with a slash between them, in either order, and a year or not: 8/4, 12/21/91, 1/2."""
    day, month, slash = either(*_days(1)), _months(1)[0], one("/")
    year = then(slash, DIGIT, DIGIT, maybe(then(DIGIT, DIGIT)))
    return then(either(then(day, slash, month), then(month, slash, day)), maybe(year))


def _time() -> Language:
    sixty = then(one("012345"), DIGIT)
    late, early = then(one("2"), one("0123")), then(one("01"), DIGIT)
    spaced = [
        then(either(early, late, DIGIT), one(between), sixty, maybe(then(one(between), sixty))) for between in ":."
    ]
    return either(*spaced, then(either(early, late), sixty))
