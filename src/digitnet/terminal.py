"""What all commands say things with: results on standard output, everything else on standard error."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any


def percent(share: float) -> str:
    """Return a share 0..1 as percent with two places; only 1 itself rounds to 100."""
    text = f"{100 * share:.2f} %"
    return "99.99 %" if text == "100.00 %" and share < 1 else text


def console() -> Any:
    """Return a Rich console on standard output."""
    from rich.console import Console

    return Console(highlight=False)


def say(message: str) -> None:
    """Print a note to standard error, where it never mixes with results."""
    print(message, file=sys.stderr, flush=True)


def program() -> str:
    """Return what the user must type to run this program: `digitnet` where the PATH leads to it."""
    return "digitnet" if shutil.which("digitnet") or Path(sys.argv[0]).name != "digitnet" else sys.argv[0]
