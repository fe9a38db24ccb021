"""Output of all commands: results on standard output, everything else on standard error."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

from digitnet.core.text import printable


def console() -> Any:
    """Return a Rich console on standard output."""
    from rich.console import Console

    return Console(highlight=False)


def say(message: str) -> None:
    """Print a note to standard error, where it never mixes with results; control characters in it are escaped.

    The line is written at once: those of several processes do not mix.
    """
    sys.stderr.write(printable(message) + "\n")
    sys.stderr.flush()


def put(message: str) -> None:
    """Print a line of results to standard output, control characters in it escaped."""
    print(printable(message, surrogates=True), flush=True)


def program() -> str:
    """Return what the user must type to run this program: `digitnet` where the PATH leads to it."""
    return "digitnet" if shutil.which("digitnet") or Path(sys.argv[0]).name != "digitnet" else sys.argv[0]
