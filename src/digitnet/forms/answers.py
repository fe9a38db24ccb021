"""What is read in one field: its value, how sure that is, and what else it may be.

Numbers go through `Reader.read_page` with the field's rules; boxes to tick are measured by their ink.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from datetime import date, time
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from digitnet.core.digits import DIGITS
from digitnet.core.errors import DataError
from digitnet.forms.cutting import INKED, SCALE, Cut, cut
from digitnet.forms.template import Field
from digitnet.models.onnx_models import Columns
from digitnet.reading.constraints import Rules
from digitnet.reading.ctc import decode_written
from digitnet.reading.reader import Reader
from digitnet.reading.result import Number
from digitnet.reading.spelling import spelt
from digitnet.reading.values import Value, value_text

STATUSES = ("read", "empty", "unreadable", "ambiguous", "hidden", "written")
"""What became of a field: it was read; nothing is there; there is ink that is not what belongs there; it can stand for
several values, or several boxes are ticked; it is not on the picture; a free area has something written in it."""

WHOLE = 0.98
"""Share of a field's box that must lie on the page."""

TICK, STEEP = 0.035, 150.0
"""Share of a box's inside that is ink where a tick is as likely as not, and how fast the likelihood rises with it."""

INSET = 0.7
"""What is left out inside the frame of a box to tick, millimetres."""

MANY = 40
"""Texts that a field may have which relations choose from."""

MIN_INK = 12
"""Pixels of ink from which a free area is taken to be written in."""


SIDE_SHARE = 0.15
"""Share of a comb's cell, at either side, that its neighbours' digits reach into."""

DIGIT_SHARE, STRAY_SHARE = 0.3, 0.1
"""Shares of a comb's height: of ink within its cells that is a digit, and of ink that may be one."""


Evidence = tuple[Columns, Rules]
"""What the networks see in a field, and the rules that its number keeps."""


@dataclass(frozen=True)
class Option:
    """A value that a field may have: as text, as a number to compare with, and how probable it is, 0..1."""

    text: str
    value: Fraction | None
    probability: float


@dataclass(frozen=True)
class Answer:
    """What was read in a field.

    text: the value: digits, a decimal, a date or time as ISO 8601 has them, "1" or "0" of a mark, the option of a
    choice; "" unless `status` is "read". confidence: that `text` is right, or that nothing is there, 0..1. status: of
    `STATUSES`. name: of the value, where the template lists names. seen: what the image alone says, where rules or
    relations changed it. alternatives: other values it may have, the most probable first; if asked for.
    by: the person who decided the value, where one did.
    """

    text: str
    confidence: float
    status: str
    value: Fraction | None = None
    name: str | None = None
    seen: str | None = None
    alternatives: tuple[str, ...] = ()
    by: str | None = None


def answer(
    reader: Reader,
    page: NDArray[np.uint8],
    to_page: NDArray[np.float64],
    field: Field,
    printed: NDArray[np.uint8],
) -> tuple[Answer, Evidence | None]:
    """Read a field of a page; `printed`: see `cutting.cut`. The evidence for a number comes with it."""
    if field.kind == "choice":
        options = field.options or {}
        return _choice({name: cut(page, to_page, box, printed) for name, box in options.items()}), None
    its = cut(page, to_page, field.box, printed)
    if its.seen < WHOLE:
        return Answer("", 0.0, "hidden"), None
    if field.kind == "mark":
        ticked = _ticked(its)
        return Answer("1" if ticked >= 0.5 else "0", max(ticked, 1 - ticked), "read", Fraction(ticked >= 0.5)), None
    if field.kind == "area":
        written = int((its.dark[its.inside] > INKED).sum()) >= MIN_INK
        return Answer("", 1.0, "written" if written else "empty"), None
    rules = _rules(field, its)
    number, columns = reader.read_field(its.picture, rules)
    return _of_number(field, number), (columns, rules)


def options_of(field: Field, evidence: Evidence) -> list[Option]:
    """Return the values that a number's field may have, the most probable first; together 1 at most."""
    columns, rules = spelt(*evidence), evidence[1]
    found: dict[str, Option] = {}
    for path in decode_written(columns.characters, columns.alphabet, rules, MANY):
        text, value = meaning(field, path.text)
        if text:
            before = found[text].probability if text in found else 0.0
            found[text] = Option(text, value, before + path.probability)
    return sorted(found.values(), key=lambda option: -option.probability)


def _rules(field: Field, its: Cut) -> Rules:
    """Return the rules of a field: a comb's also have as many digits as cells are filled."""
    rules = field.rules() or Rules()
    if rules.lengths is None or not field.cells:
        return rules
    filled, perhaps = _filled(its, field.cells)
    least, most = max(rules.lengths[0], filled), min(rules.lengths[1], filled + perhaps)
    try:
        return replace(rules, lengths=(least, most)) if max(1, least) <= most else rules
    except DataError:  # so many digits satisfy no other rule
        return rules


def _filled(its: Cut, cells: int) -> tuple[int, int]:
    """Return how many cells of a comb have a digit, and how many more may have one."""
    across, high = its.inside[1], its.inside[0].stop - its.inside[0].start
    edges = np.linspace(across.start, across.stop, cells + 1)
    aside = SIDE_SHARE * (edges[1] - edges[0])
    filled = perhaps = 0
    for left, right in pairwise(edges):
        inner, outer = (
            int((its.dark[:, round(left + less) : round(right - less)] > INKED).any(axis=1).sum())
            for less in (aside, 0)
        )
        filled += inner >= DIGIT_SHARE * high
        perhaps += inner < DIGIT_SHARE * high and outer >= STRAY_SHARE * high
    return filled, perhaps


def named(field: Field, text: str) -> str | None:
    """Return the name that a template lists for a value."""
    return (field.values or {}).get(text)


def _of_number(field: Field, number: Number) -> Answer:
    if number.status != "read":
        return Answer("", number.confidence, number.status, seen=number.seen)
    text, value = meaning(field, number.written)
    signed = field.kind not in ("digits", "comb") and not field.decimals
    sure = number.written_confidence if signed else number.confidence
    if not text:
        status = "ambiguous" if number.no_value == "ambiguous" else "unreadable"
        return Answer("", 0.0, status, seen=number.written)
    return Answer(text, sure, "read", value, named(field, text), number.seen)


def meaning(field: Field, written: str) -> tuple[str, Fraction | None]:
    """Return the value of a written number as text and as a number; "" and None where it has none, or several."""
    digits = re.sub(f"[^{DIGITS}]", "", written)
    if field.kind in ("digits", "comb"):
        return digits, Fraction(int(digits)) if digits else None
    if field.decimals:
        return _fixed(written, digits, field.decimals)
    rules = field.rules()
    values = rules.values(written) if rules else []
    if len(values) != 1:
        return "", None
    return value_text(values[0]), _comparable(values[0])


def _fixed(written: str, digits: str, decimals: int) -> tuple[str, Fraction | None]:
    """Return a number with so many decimals, whether the sign before them was written or not."""
    last = re.search(r"[.,]([0-9]*)[^0-9.,]*$", written)
    if not digits or (last is not None and last[1] and len(last[1]) not in (decimals, 3)):
        return "", None
    if (last is not None and not last[1]) or (last is not None and len(last[1]) == 3 != decimals):
        digits += "0" * decimals  # 125.- or 1.250: whole numbers
    whole, after = digits[:-decimals].lstrip("0") or "0", digits[-decimals:].rjust(decimals, "0")
    return f"{whole}.{after}", Fraction(f"{whole}.{after}")


def _comparable(value: Value) -> Fraction | None:
    if isinstance(value, Decimal | Fraction):
        return Fraction(value)
    if isinstance(value, date):
        return Fraction(value.toordinal())
    if isinstance(value, time):
        return Fraction(value.hour * 3600 + value.minute * 60 + value.second, 60)
    return None


def _ticked(its: Cut) -> float:
    """Return the probability that a box is ticked."""
    inset = round(INSET * SCALE)
    part = its.dark[its.inside][inset:-inset, inset:-inset]
    share = float((part > INKED).mean()) if part.size else 0.0
    return 1 / (1 + math.exp(-STEEP * (share - TICK)))


def _choice(cuts: dict[str, Cut]) -> Answer:
    """Return which of some boxes is ticked."""
    if any(its.seen < WHOLE for its in cuts.values()):
        return Answer("", 0.0, "hidden")
    ticked = {name: _ticked(its) for name, its in cuts.items()}
    sure = math.prod(max(p, 1 - p) for p in ticked.values())
    chosen = [name for name, p in ticked.items() if p >= 0.5]
    if len(chosen) == 1:
        return Answer(chosen[0], sure, "read")
    return Answer("", sure, "ambiguous" if chosen else "empty", seen=", ".join(chosen) or None)
