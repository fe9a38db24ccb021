"""Relations between the fields of a form, such as `total = a + b` or `end >= start`.

A relation compares two sides, each made of names of fields, numbers, `+ - * /` and parentheses. Python's parser takes
it apart; nothing else of Python is accepted, and nothing is ever run. Arithmetic is exact.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from digitnet.core.errors import DataError

MAX_LENGTH = 200
"""Characters of a relation."""

_COMPARE: Mapping[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_COMBINE: Mapping[type[ast.operator], Callable[[Fraction, Fraction], Fraction]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


Values = Mapping[str, Fraction | None]
"""The values of fields by their names, None for an empty field."""


@dataclass(frozen=True)
class Side:
    """One side of a relation: the fields that it names, and the function that gives its value."""

    names: frozenset[str]
    value: Callable[[Values], Fraction]

    def empty(self, values: Values) -> bool:
        """Return whether the side names fields, and all of them are empty."""
        return bool(self.names) and all(values[name] is None for name in self.names)


@dataclass(frozen=True)
class Relation:
    """A relation that was parsed: its text, the fields it names, and its two sides.

    target: the field that it gives the value of, as `total = a + b` does; None where it gives none.
    """

    text: str
    names: frozenset[str]
    left: Side
    right: Side
    compare: Callable[[Any, Any], bool]
    target: str | None

    def holds(self, values: Values) -> bool:
        """Return whether the relation holds for values of its fields.

        An empty field counts as 0 in a sum; where all fields of a side are empty there is nothing to compare, and the
        relation holds. A division by 0 never does.
        """
        if self.left.empty(values) or self.right.empty(values):
            return True
        try:
            return self.compare(self.left.value(values), self.right.value(values))
        except ZeroDivisionError:
            return False

    def solved(self, values: Values) -> Fraction | None:
        """Return the value of the right side; None where it divides by 0, or all its fields are empty."""
        try:
            return None if self.right.empty(values) else self.right.value(values)
        except ZeroDivisionError:
            return None


def parse(text: str) -> Relation:
    """Return a relation from its text. Raises DataError, naming it, where it is not one."""
    wrong = f"relation {text[:MAX_LENGTH]!r}: expected a comparison of fields and numbers such as total = a + b"
    if len(text) > MAX_LENGTH:
        raise DataError(f"{wrong}, of at most {MAX_LENGTH} characters")
    try:
        node = ast.parse(re.sub(r"(?<![<>=!])=(?!=)", "==", text.strip()), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise DataError(wrong) from error
    if not isinstance(node, ast.Compare) or len(node.ops) != 1 or type(node.ops[0]) not in _COMPARE:
        raise DataError(wrong)
    left, right = (Side(_names(side), _valued(side, wrong)) for side in (node.left, node.comparators[0]))
    if not left.names | right.names:
        raise DataError(f"{wrong}; it names no field")
    given = isinstance(node.ops[0], ast.Eq) and isinstance(node.left, ast.Name) and not left.names & right.names
    target = next(iter(left.names)) if given else None
    return Relation(text, left.names | right.names, left, right, _COMPARE[type(node.ops[0])], target)


def _names(node: ast.expr) -> frozenset[str]:
    return frozenset(each.id for each in ast.walk(node) if isinstance(each, ast.Name))


def _valued(node: ast.expr, wrong: str) -> Callable[[Values], Fraction]:
    """Return the function that gives the value of an expression. Raises DataError where it isn't of the grammar."""
    match node:
        case ast.Name(id=name):
            return lambda values: values[name] or Fraction(0)
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool) and abs(number) < 1e15:
            constant = Fraction(str(number))
            return lambda values: constant
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            inner = _valued(operand, wrong)
            return lambda values: -inner(values)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _COMBINE:
            combine, first, second = _COMBINE[type(op)], _valued(left, wrong), _valued(right, wrong)
            return lambda values: combine(first(values), second(values))
    raise DataError(wrong)
