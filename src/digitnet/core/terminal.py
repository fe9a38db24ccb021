"""What all commands say things with: results on standard output, everything else on standard error."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from digitnet.core.errors import printable

if TYPE_CHECKING:
    from digitnet.evaluation.metrics import Answers


def percent(share: float) -> str:
    """Return a share 0..1 as percent with two places; only 1 itself rounds to 100."""
    text = f"{100 * share:.2f} %"
    return "99.99 %" if text == "100.00 %" and share < 1 else text


def duration(seconds: float) -> str:
    """Return a time as minutes and seconds, 3:05, from an hour on with hours: 17:58:05."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def console() -> Any:
    """Return a Rich console on standard output."""
    from rich.console import Console

    return Console(highlight=False)


def say(message: str) -> None:
    """Print a note to standard error, where it never mixes with results; control characters in it are escaped."""
    print(printable(message), file=sys.stderr, flush=True)


def put(message: str) -> None:
    """Print a line of results to standard output, control characters in it escaped."""
    print(printable(message, surrogates=True), flush=True)


def program() -> str:
    """Return what the user must type to run this program: `digitnet` where the PATH leads to it."""
    return "digitnet" if shutil.which("digitnet") or Path(sys.argv[0]).name != "digitnet" else sys.argv[0]


def print_sending(scores: Answers, shares: Sequence[float]) -> None:
    """Print the calibration, and what is gained by sending shares (0..1) of the least sure answers to a person."""
    from rich.table import Table

    print(f"Calibration: confidence and accuracy differ by {percent(scores.calibration_error)} (ECE, 15 bins)")
    table = Table("sent to a person", "less sure than", "of the rest wrong", "errors")
    for column in table.columns:
        column.justify = "right"
    for selection in map(scores.sending, shares):
        threshold = percent(selection.threshold) if selection.rejected else "-"
        table.add_row(percent(selection.rejected), threshold, percent(selection.error), f"{selection.errors:,}")
    console().print(table)
