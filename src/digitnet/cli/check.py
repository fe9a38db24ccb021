"""The command `check`."""

from __future__ import annotations

import click


def check() -> None:
    """Check the installation: versions, extras, and integrity and accuracy of the built-in models.

    The exit status is 1 if a check fails.
    """
    from digitnet.evaluation.self_test import check as findings

    wrong = 0
    for found in findings():
        print(f"{'ok' if found.good else 'WRONG':<5}  {found.what}")
        wrong += not found.good
    if wrong:
        raise click.exceptions.Exit(1)
