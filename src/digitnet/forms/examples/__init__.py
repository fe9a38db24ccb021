"""Forms that come with digitnet, to print, to try and to start from."""

from __future__ import annotations

from pathlib import Path

from digitnet.core.errors import DataError
from digitnet.core.text import nearest
from digitnet.forms.template import SUFFIX, Template, load

EXAMPLES = ("marks", "meters", "order")
"""Their names: a mark sheet, meter readings, an order form."""


def path_of(name: str) -> Path:
    """Return the file of an example. Raises DataError where there is none of that name."""
    if name not in EXAMPLES:
        raise DataError(f"form {name[:80]!r}: {nearest(name, EXAMPLES)} Or name a file such as grades{SUFFIX}")
    return Path(__file__).parent / f"{name}{SUFFIX}"


def file_of(name: str | Path) -> Path:
    """Return the file of an example, by its name, or a file as it was named."""
    return path_of(str(name)) if str(name) in EXAMPLES else Path(name)


def example(name: str) -> Template:
    """Return an example. Raises DataError where there is none of that name."""
    return load(path_of(name))
