"""Constraints on a number: its length, its range, its check digit, its kind.

A rule narrows what may be answered; what the image alone says stays beside every answer (`ctc.Hypothesis.alone`). Rules
become a finite automaton (`Rules.automaton`), so that a decoder can sum and search over all permitted strings
without listing them.

A kind (`kinds.py`), such as a date, says what may be written, signs included; the other rules are of its digits.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from digitnet.core.digits import DIGITS, SIGNS
from digitnet.core.errors import DataError
from digitnet.reading.automaton import (
    ENDLESS,
    Automaton,
    Part,
    any_length,
    build,
    iban_part,
    isbn_part,
    lengths_part,
    listed_part,
    modulo_10_part,
    range_part,
)
from digitnet.reading.checksums import CHECKSUMS as CHECKSUMS
from digitnet.reading.checksums import IBAN_DIGITS as IBAN_DIGITS
from digitnet.reading.checksums import checks, doubled, tripled, unknown
from digitnet.reading.kinds import KINDS, ORDERS, PHONE, Repeated, language, one
from digitnet.reading.values import Value, values

WITHOUT_CHECKSUM = "decimal", "date", "time", "fraction"
"""Kinds to which a checksum does not apply."""


@dataclass(frozen=True)
class Rules:
    """Constraints on a number; None means unconstrained, and without any constraint the object is false.

    lengths: minimum and maximum number of digits, including leading zeros.
    low, high: minimum and maximum value, ignoring leading zeros; a text without digits does not satisfy them.
    checksum: one of `CHECKSUMS`.
    kind: one of `kinds.KINDS`: the permitted texts, including signs; all but "digits" need a line reader that knows
        signs. decimal: the decimal separator, "." or ","; order: of a date, one of `kinds.ORDERS`. These two determine
        the interpretation of the text (`values.py`); by themselves they permit everything.
    listed: the permitted numbers, as digits with their leading zeros, such as those of a roster.

    Raises DataError if a constraint is invalid, or if no number can satisfy all of them.
    """

    lengths: tuple[int, int] | None = None
    low: int | None = None
    high: int | None = None
    checksum: str | None = None
    kind: str | None = None
    decimal: str | None = None
    order: str | None = None
    listed: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        """Check the rules, each and together."""
        if self.lengths is not None and not 0 <= self.lengths[0] <= self.lengths[1]:
            raise DataError(f"lengths {self.lengths}: expected the minimum and the maximum, 0 or more")
        if min(self.low or 0, self.high or 0) < 0 or (self.high is not None and (self.low or 0) > self.high):
            raise DataError(f"range {self._range()}: expected the minimum and the maximum value, 0 or more")
        if self.checksum is not None and self.checksum not in CHECKSUMS:
            raise DataError(unknown(self.checksum))
        if self.kind not in (None, *KINDS):
            raise DataError(f"kind {self.kind!r}: choose one of {', '.join(KINDS)}")
        if self.order not in (None, *ORDERS):
            raise DataError(f"order {self.order!r}: choose one of {', '.join(ORDERS)}")
        if self.order and self.kind != "date":
            raise DataError(f"order {self.order} applies only to dates; use kind date, or omit the order")
        if self.decimal not in (None, ".", ","):
            raise DataError(f"decimal {self.decimal!r}: expected . or ,")
        if self.decimal and self.kind not in (None, "decimal", "integer"):
            raise DataError(f"decimal {self.decimal!r} does not apply to kind {self.kind}; omit one of them")
        if self.kind not in (None, "digits") and (self.low, self.high) != (None, None):
            raise DataError(f"range {self._range()} applies only to kind digits, not to {self.kind}; omit one of them")
        if self.checksum and self.kind in WITHOUT_CHECKSUM:
            raise DataError(f"{self.checksum} does not apply to kind {self.kind}; omit one of them")
        if self.listed is not None and not all(re.fullmatch("[0-9]+", number) for number in self.listed):
            raise DataError("listed numbers: expected digits 0 to 9 only, and at least one")
        self.automaton()

    def __bool__(self) -> bool:
        """Return whether there is any constraint."""
        return (self.lengths, self.low, self.high, self.checksum, self.kind, self.listed) != (None,) * 6

    def __str__(self) -> str:
        """Return the constraints in words: `length 4-6, range 0..5000, luhn`."""
        parts = []
        if self.lengths:
            shortest, longest = self.lengths
            parts.append(f"length {shortest}" if shortest == longest else f"length {shortest}-{longest}")
        if self.low is not None or self.high is not None:
            parts.append(f"range {self._range()}")
        if self.checksum:
            parts.append(self.checksum)
        if self.kind:
            parts.append(f"kind {self.kind}" + (f" in the order {self.order}" if self.order else ""))
        if self.decimal:
            parts.append(f"decimals after {self.decimal!r}")
        if self.listed is not None:
            parts.append(f"one of {len(self.listed):,} listed")
        return ", ".join(parts) or "no rules"

    def allows(self, text: str) -> bool:
        """Return whether a text satisfies the constraints: digits 0..9 or ""; with a kind also with its signs."""
        if self.kind:
            if not self.values(text):
                return False
            text = re.sub("[^0-9]", "", text)
        if re.fullmatch("[0-9]*", text) is None:
            return False
        if self.lengths is not None and not self.lengths[0] <= len(text) <= self.lengths[1]:
            return False
        if self.low is not None and (not text or _value(text) < _value(str(self.low))):
            return False
        if self.high is not None and (not text or _value(text) > _value(str(self.high))):
            return False
        if self.listed is not None and text not in self.listed:
            return False
        return self.checksum is None or checks(text, self.checksum)

    def values(self, written: str) -> list[Value]:
        """Return the possible values of a written number of this kind, see `values.values`."""
        return values(written, self.kind, self.decimal, self.order)

    def automaton(self, alphabet: str | None = None) -> Automaton:
        """Return the automaton over an alphabet that accepts what `allows` allows; built once for equal rules.

        alphabet: begins with the ten digits; None for the digits alone, or with a kind for digits and `digits.SIGNS`.
        Without a kind any signs of the alphabet may stand between the digits.
        """
        return _automaton(self, alphabet or DIGITS + (SIGNS if self.kind else ""))

    def _range(self) -> str:
        return f"{'' if self.low is None else self.low}..{'' if self.high is None else self.high}"


def require_signs(rules: Rules | None, alphabet: str, name: str) -> None:
    """Raise DataError where rules have a kind with signs, and the line reader of that alphabet and name knows none."""
    if rules and rules.kind not in (None, "digits") and alphabet == DIGITS:
        raise DataError(f"kind {rules.kind}: the line reader {name} knows only digits; use one that knows signs")


def from_options(
    length: int | None = None,
    lengths: str | None = None,
    value_range: str | None = None,
    checksum: str | None = None,
    kind: str | None = None,
    decimal: str | None = None,
    order: str | None = None,
) -> Rules | None:
    """Return rules as options and requests have them, "" or None where nothing is asked; None where nothing is at all.

    Raises DataError where they make no sense.
    """
    if length is not None and lengths:
        raise DataError("length and lengths set the same constraint; omit one")
    span = (length, length) if length is not None else parse_lengths(lengths) if lengths else None
    low, high = parse_range(value_range) if value_range else (None, None)
    rules = Rules(span, low, high, checksum or None, kind or None, decimal or None, order or None)
    return None if rules == Rules() else rules


def parse_lengths(text: str) -> tuple[int, int]:
    """Return the shortest and the longest length in "5" or "4-6". Raises DataError for anything else."""
    match = re.fullmatch(r"([0-9]{1,3})(?:-([0-9]{1,3}))?", text.strip())
    if match is None or int(match[1]) > int(match[2] or match[1]):
        raise DataError(f"length {text!r}: expected a number of digits such as 5, or a range such as 4-6")
    return int(match[1]), int(match[2] or match[1])


def parse_range(text: str) -> tuple[int | None, int | None]:
    """Return the least and the greatest value in "0..100", "10.." or "..100"; None where there is no such limit.

    Raises DataError for anything else.
    """
    match = re.fullmatch(r"([0-9]{0,30})\.\.([0-9]{0,30})", text.strip())
    low, high = (int(part) if part else None for part in match.groups()) if match else (None, None)
    if (low is None and high is None) or (low is not None and high is not None and low > high):
        raise DataError(f"range {text!r}: expected minimum and maximum such as 0..100, or one of them such as 10..")
    return low, high


def _value(text: str) -> tuple[int, str]:
    """Return what compares as the number does: int() would refuse thousands of digits."""
    significant = text.lstrip("0")
    return len(significant), significant


def _parts(rules: Rules) -> dict[str, Part]:
    """Return the rules of the digits, by what messages call them."""
    parts = {"kind phone": lengths_part(*PHONE)} if rules.kind == "phone" else {}
    if rules.lengths is not None:
        parts["length"] = lengths_part(*rules.lengths)
    if rules.low is not None or rules.high is not None:
        parts["range"] = range_part(rules.low or 0, rules.high)
    if rules.listed is not None:
        parts["the list"] = listed_part(rules.listed)
    if rules.checksum == "luhn":
        parts["luhn"] = modulo_10_part(doubled, (2,), open_end=True)
    elif rules.checksum == "ean":
        parts["ean"] = modulo_10_part(tripled, (8, 12, 13), open_end=False)
    elif rules.checksum == "isbn":
        parts["isbn"] = isbn_part()
    elif rules.checksum is not None:
        parts[rules.checksum] = iban_part(rules.checksum.removeprefix("iban-digits-"))
    return parts


def _needed(parts: dict[str, Part]) -> str:
    """Return in words how many digits the rules other than the length need."""
    needed = []
    for name, part in parts.items():
        if isinstance(part.lengths, tuple):
            *others, last = map(str, part.lengths)
            counts = f"{', '.join(others)} or {last}" if others else last
        else:
            least, most = part.lengths[0], part.lengths[-1]
            counts = f"{least} to {most}" if part.lengths.stop < ENDLESS else f"{least} or more"
        if name != "length":
            needed.append(f"{name} needs {counts} digit{'s' * (counts != '1')}")
    return " and ".join(needed)


@lru_cache(maxsize=64)
def _automaton(rules: Rules, alphabet: str) -> Automaton:
    start = language(rules.kind, rules.decimal, rules.order) if rules.kind else Repeated(one(alphabet))
    parts = _parts(rules)
    try:
        if not any_length([*parts.values()]):
            raise DataError(f"no number satisfies all of these constraints, because {_needed(parts)}; change one")
        return build([*parts.values()], start, alphabet)
    except DataError as error:
        raise DataError(f"{rules}: {error}") from error
