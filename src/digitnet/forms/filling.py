"""What people write on a form: random contents of a template's fields that keep its rules and relations."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from digitnet.core.digits import DIGITS
from digitnet.core.errors import DataError
from digitnet.forms.relations import parse
from digitnet.forms.template import Field, Template
from digitnet.reading.constraints import Rules

EMPTY_SHARE = 0.15
"""Share of optional fields that are left empty."""

MAX_TRIES = 2_000
"""Contents that are tried until the relations hold."""

FORMATS = {"dmy": "%d.%m.%Y", "mdy": "%m/%d/%Y", "ymd": "%Y-%m-%d"}
"""How dates are written, by the order of their parts."""


def contents(template: Template, rng: np.random.Generator) -> dict[str, str]:
    """Return what is written in each field, "" for nothing; a mark is "1", a choice its option, a free area a number.

    Raises DataError where nothing that keeps the relations is found.
    """
    relations = template.bounds()
    fields = {field.name: field for field in template.fields}
    for _ in range(MAX_TRIES):
        values: dict[str, Fraction | None] = {}
        texts: dict[str, str] = {}
        empty = _left_empty(template, rng)
        for field in template.fields:
            texts[field.name], values[field.name] = ("", None) if field.name in empty else _random(field, rng)
        for relation in relations:
            if relation.target is not None and relation.target not in empty:
                values[relation.target] = relation.solved(values)
                texts[relation.target] = _written(fields[relation.target], values[relation.target])
        kept = all(allowed(field, texts[field.name]) for field in template.fields)
        if kept and all(relation.holds(values) for relation in relations):
            return texts
    raise DataError(f"form {template.name}: found no contents that satisfy its relations; check them")


def _left_empty(template: Template, rng: np.random.Generator) -> set[str]:
    """Return the fields left empty: optional ones of a relation that has no others all together."""
    optional = {field.name for field in template.fields if not field.required}
    relations = list(map(parse, template.relations))
    related: set[str] = set().union(*(relation.names for relation in relations))
    empty = {name for name in sorted(optional - related) if rng.random() < EMPTY_SHARE}
    for relation in relations:
        if relation.names <= optional and rng.random() < EMPTY_SHARE:
            empty |= relation.names
    return empty


def _random(field: Field, rng: np.random.Generator) -> tuple[str, Fraction | None]:
    """Return a random content of a field, and its value where it has one."""
    kind = field.kind
    if kind == "choice":
        options = list(field.options or {})
        return options[int(rng.integers(len(options)))], None
    if kind == "mark":
        ticked = rng.random() < 0.4
        return "1" * ticked, Fraction(ticked)
    if kind == "area":
        return str(rng.integers(10, 10**6)), None
    if kind == "date":
        day = date(2021, 1, 1) + timedelta(int(rng.integers(0, 2000)))
        return day.strftime(FORMATS[field.order or "dmy"]), Fraction(day.toordinal())
    if kind == "time":
        minutes = int(rng.integers(0, 24 * 60))
        return f"{minutes // 60:02}:{minutes % 60:02}", Fraction(minutes)
    if kind == "fraction":
        above, below = int(rng.integers(1, 9)), int(rng.choice((2, 3, 4, 8)))
        return f"{above}/{below}", Fraction(above, below)
    if kind in ("integer", "decimal"):
        low, high = field.range or (None, None)
        least, most = low or 0, min(1_000.0 if high is None else high, (low or 0) + 1_000)
        value = Fraction(round(float(rng.uniform(least, most)) * 100), 100)
        value = Fraction(int(value)) if kind == "integer" else value
        return _written(field, value), value
    text = permitted(field.rules() or Rules((1, 6)), rng)
    return text, Fraction(int(text))


def _written(field: Field, value: Fraction | None) -> str:
    if value is None:
        return ""
    if field.kind == "decimal":
        return f"{float(value):.2f}".replace(".", field.decimal or ".")
    return str(int(value))


def allowed(field: Field, text: str) -> bool:
    """Return whether a text as it is written keeps the rules of a field; nothing does."""
    rules = field.rules()
    if rules is not None and rules.kind is None:
        text = re.sub("[^0-9]", "", text)
    return not text or rules is None or rules.allows(text)


def permitted(rules: Rules, rng: np.random.Generator) -> str:
    """Return a random text of digits that rules permit, not longer than twelve unless they ask for it.

    Raises DataError where there is none.
    """
    automaton = rules.automaton(DIGITS)
    ends: list[NDArray[np.bool_]] = [
        automaton.accepts
    ]  # ends[n]: from which states n more digits can end a permitted text
    low, high = rules.lengths or (1, 12)
    if rules.lengths is None and rules.high is not None:
        high = len(str(rules.high))
    for _ in range(max(high, 24)):
        ends.append(np.asarray(ends[-1][automaton.steps].any(axis=1)))
    lengths = [n for n in range(max(low, 1), len(ends)) if ends[n][0] and (n <= high or rules.lengths is None)]
    short = [n for n in lengths if n <= high] or lengths[:1]
    if not short:
        raise DataError(f"{rules}: no number of up to {high} digits satisfies them")
    return "".join(_walk(automaton.steps, ends, short[int(rng.integers(len(short)))], rng))


def _walk(
    steps: NDArray[np.int64], ends: list[NDArray[np.bool_]], count: int, rng: np.random.Generator
) -> Iterator[str]:
    state = 0
    for left in reversed(range(count)):
        good = np.flatnonzero(ends[left][steps[state]])
        if left == count - 1 and count > 1 and len(good) > 1 and good[0] == 0:
            good = good[1:]  # people write no leading zeros unless they must
        digit = int(good[rng.integers(len(good))])
        yield str(digit)
        state = int(steps[state, digit])


Contents = Mapping[str, str]
"""What is written in each field, by its name."""
