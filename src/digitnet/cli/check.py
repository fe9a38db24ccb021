"""The command `check`."""

from __future__ import annotations

import typer


def check() -> None:
    """Say what is installed and whether the built-in models answer as they should. Exit status 1 if not."""
    from digitnet.evaluation.self_test import check as findings

    wrong = 0
    for found in findings():
        print(f"{'ok' if found.good else 'WRONG':<5}  {found.what}")
        wrong += not found.good
    if wrong:
        raise typer.Exit(1)
