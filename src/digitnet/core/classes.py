"""The names of the classes that a network tells apart: the ten digits, or others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from digitnet.core.errors import DataError, ModelError
from digitnet.core.text import listed

if TYPE_CHECKING:
    from pathlib import Path

DIGIT_NAMES = tuple("0123456789")
"""The names of the classes, unless a data set or a model has others."""

CLASSES = "classes"
"""Where settings and metadata of a model have the names of its classes."""

MAX_CLASSES, MAX_NAME_LENGTH = 100, 40
"""Most classes of a data set, and most characters of the name of one."""


def check_names(names: Sequence[str]) -> None:
    """Raise DataError unless names of classes are few, short, printable and all different."""
    if not 1 <= len(names) <= MAX_CLASSES:
        raise DataError(f"{len(names):,} different labels; at most {MAX_CLASSES} classes can be told apart")
    for name in names:
        if not (isinstance(name, str) and 0 < len(name) <= MAX_NAME_LENGTH and name.isprintable()):
            raise DataError(
                f"label {listed([str(name)])}: expected a name of 1 to {MAX_NAME_LENGTH} printable characters"
            )
    if len(set(names)) < len(names):
        raise DataError("a name of a class occurs twice")


def ordered(names: Iterable[str]) -> tuple[str, ...]:
    """Return different names in order: whole numbers by their value, then all others as text."""
    return tuple(sorted(set(names), key=lambda name: (not name.isdecimal(), len(name) * name.isdecimal(), name)))


def class_names(about: Mapping[str, Any], path: Path) -> tuple[str, ...]:
    """Return the names of a model's classes, from its settings or metadata; the ten digits if `classes` is absent.

    path: of the file, for messages. Raises ModelError where they are not names.
    """
    names = about.get(CLASSES, DIGIT_NAMES)
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise ModelError(f"{path}: its classes are not a list of names; export or train it again")
    try:
        check_names(names)
    except DataError as error:
        raise ModelError(f"{path}: {error}; export or train it again") from error
    return tuple(names)
