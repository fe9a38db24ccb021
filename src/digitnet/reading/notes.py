"""Messages about the gaps of a reading: empty, unreadable or omitted numbers, and those read without constraints."""

from __future__ import annotations

from digitnet.core.text import listed, percent
from digitnet.reading.batch import Read
from digitnet.reading.result import LIMITS, Number, Reading
from digitnet.reading.values import value_text


def note(each: Read, valued: bool = False) -> str | None:
    """Return one line about what is empty or partial in what was read of a page; None where nothing is.

    valued: numbers without a value, such as ambiguous dates, count too.
    """
    if each.reading is None:
        return None
    open_ends = [*_fields(each.reading), *_page(each.reading), *(_values(each.reading) if valued else ())]
    name = "standard input" if each.file == "-" else each.file
    page = f", page {each.page}" if each.page > 1 else ""
    return f"{name}{page}: {'; '.join(open_ends)}" if open_ends else None


def _fields(reading: Reading) -> list[str]:
    return [_field(number, reading.rules) for number in reading.numbers if number.status != "read"]


def _field(number: Number, rules: str | None) -> str:
    blank = f"confidence {percent(number.confidence)} that nothing is written"
    if number.status == "empty":
        return f"empty, {blank}"
    if number.seen:
        return f"unreadable, no number satisfies {rules}; without constraints it reads {number.seen}"
    return f"unreadable, there is ink but no number ({blank}); check the image"


def _page(reading: Reading) -> list[str]:
    found = [f"read in part: {LIMITS[code]}" for code in reading.limits]
    if not reading.numbers:
        found.append("no numbers found; if the image contains only one number, add --single")
    if reading.left_out:
        many = f"{reading.left_out:,} places look like numbers and were not read"
        found.append("1 place looks like a number and was not read" if reading.left_out == 1 else many)
    free = [number.text for number in reading.numbers if number.rules_applied is False]
    if free:
        found.append(f"read without constraints, because they do not satisfy {reading.rules}: {listed(free, 5)}")
    return found


def _values(reading: Reading) -> list[str]:
    """Return what the numbers without a value of their kind may be."""
    kept = [number for number in reading.numbers if number.rules_applied and number.no_value]
    several = [f"{number.written} is {' or '.join(map(value_text, number.values))}" for number in kept if number.values]
    none = [number.written for number in kept if not number.values]
    told = (("ambiguous", several, 3), ("without a value", none, 5))
    return [f"{fact}: {listed(its, most)}" for fact, its, most in told if its]
