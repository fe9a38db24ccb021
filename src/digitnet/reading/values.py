"""The value of a written number: a decimal, a date, a time of day, a fraction, the digits of a phone number.

A text may stand for several values: 1.159 is one and a bit or over a thousand, 03/04/96 is in March or April. Then all
of them are given, and the caller sees that the text is ambiguous. `kinds.py` has the same texts as languages to search
in; the tests hold one against the other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, time
from decimal import Decimal
from fractions import Fraction
from typing import TypeAlias

from digitnet.reading.kinds import CENTURIES, ORDERS, PHONE

Value: TypeAlias = Decimal | date | time | Fraction | str
"""A decimal or an integer; a date; a time of day; a fraction; the digits of a phone number, or of `digits`, as text."""

NO_VALUE = {
    "ambiguous": "it can stand for several values; add --decimal or --order",
    "not_a_value": "its signs do not form a number of this kind; check the image",
    "signs_unknown": "the line reader knows only digits; use one that knows signs",
}
"""Why a number has no value, by code, and what can be done about it."""


def values(written: str, kind: str | None = None, decimal: str | None = None, order: str | None = None) -> list[Value]:
    """Return all that a written number can stand for: none where it is not of its kind, several where it is ambiguous.

    kind: one of `kinds.KINDS`; None as `decimal`. decimal: the sign before decimals, "." or ","; None where either may
    be meant. order: of a date, one of `kinds.ORDERS`; None where any may be meant. Signs of currency and of percent are
    units and not part of a value: 50% is 50. Of years with two digits 69 to 99 are in the 20th century, others in the
    21st, as POSIX has it.
    """
    match kind:
        case "digits":
            found: Iterator[Value] = iter([written] if re.fullmatch("[0-9]+", written) else [])
        case "integer":
            found = _decimals(written, decimal, r"[+-]?", r"", r"")
        case "date":
            found = _dates(written, order)
        case "time":
            found = _times(written)
        case "phone":
            found = _phones(written)
        case "fraction":
            found = _fractions(written)
        case _:
            found = _decimals(written, decimal, r"=?\$?[+-]?\$?", r"D[0-9]+|D[-=]*|-", r"%?\$?[=.,]?")
    return list(dict.fromkeys(found))


def value_text(value: Value) -> str:
    """Return a value as text: 1159.00, 1996-03-12, 13:45, 3/4, +4930123456; dates and times as ISO 8601 has them."""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, time):
        return value.isoformat("seconds" if value.second else "minutes")
    return value.isoformat() if isinstance(value, date) else str(value)


def _decimals(written: str, decimal: str | None, head: str, decimals: str, tail: str) -> Iterator[Decimal]:
    for point in decimal or ".,":
        group = re.escape("," if point == "." else ".")
        fraction = decimals.replace("D", re.escape(point))
        whole = rf"[0-9]+|[1-9][0-9]{{0,2}}(?:{group}[0-9]{{3}})+"
        alone = rf"|{re.escape(point)}(?P<alone>[0-9]+)" if decimals else ""
        found = re.fullmatch(
            rf"(?P<head>{head})(?:(?P<whole>{whole})(?P<fraction>{fraction})?{alone})(?:{tail})", written
        )
        if found is None:
            continue
        parts = found.groupdict()
        after = parts.get("alone") or re.sub("[^0-9]", "", parts["fraction"] or "")
        value = Decimal((re.sub("[^0-9]", "", parts["whole"] or "") or "0") + (f".{after}" if after else ""))
        yield -value if "-" in parts["head"] else value
        if parts["fraction"] == "-" and not re.search("[+-]", parts["head"]):
            yield -value  # a stroke that ends an amount, or a minus behind it


def _dates(written: str, order: str | None) -> Iterator[date]:
    apart = re.fullmatch(r"([0-9]{1,4})([/.-])([0-9]{1,4})\2([0-9]{1,4})", written)
    for its in (order,) if order else ORDERS:
        sizes = {"d": (1, 2), "m": (1, 2), "y": (4,) if its == "ymd" and order is None else (2, 4)}
        if apart:
            fields = dict(zip(its, apart.group(1, 3, 4), strict=True))
        elif re.fullmatch("[0-9]{6}|[0-9]{8}", written):
            year = len(written) - 4
            cuts = (0, year, year + 2) if its == "ymd" else (0, 2, 4)
            fields = {letter: written[cut:stop] for letter, cut, stop in zip(its, cuts, (*cuts[1:], None), strict=True)}
        else:
            return
        if any(len(fields[letter]) not in sizes[letter] for letter in its):
            continue
        year = int(fields["y"])
        if len(fields["y"]) == 2:
            year += 1900 if year >= 69 else 2000
        elif year // 100 not in CENTURIES:
            continue
        try:
            yield date(year, int(fields["m"]), int(fields["d"]))
        except ValueError:
            continue


def _times(written: str) -> Iterator[time]:
    found = re.fullmatch(r"([0-9]{1,2})([:.])([0-9]{2})(?:\2([0-9]{2}))?|([0-9]{2})([0-9]{2})", written)
    if found:
        hour, minute = found[1] or found[5], found[3] or found[6]
        if int(hour) < 24 and int(minute) < 60 and int(found[4] or 0) < 60:
            yield time(int(hour), int(minute), int(found[4] or 0))


def _phones(written: str) -> Iterator[str]:
    digits = re.sub("[^0-9]", "", written)
    group = r"(?:[0-9]|\([0-9]+\))"
    if re.fullmatch(rf"\+?{group}(?:[-./]?{group})*", written) and PHONE[0] <= len(digits) <= PHONE[1]:
        yield ("+" if written.startswith("+") else "") + digits


def _fractions(written: str) -> Iterator[Fraction]:
    found = re.fullmatch(r"(-?)(?:([0-9]+)-)?([0-9]+)/([0-9]+)", written)
    if found is None or not int(found[4]):
        return
    sign, above, below = -1 if found[1] else 1, found[3], int(found[4])
    yield sign * (int(found[2] or 0) + Fraction(int(above), below))
    if found[2] is None and int(above) >= below:  # 11/2 may be 1 1/2: a gap is not read
        for cut in range(1, len(above)):
            if above[cut] != "0" and int(above[cut:]) < below:
                yield sign * (int(above[:cut]) + Fraction(int(above[cut:]), below))
