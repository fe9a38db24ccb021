"""Time the lessons of docs/learn, each executed from top to bottom as `make notebooks` does."""

from __future__ import annotations

import os
import resource
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import nbclient
import nbformat
from rows import note, row

LEARN = Path(__file__).parents[1] / "docs" / "learn"
MOST = 12
"""Minutes that all lessons may take together. Where others use the machine, processor time is the measure."""


def used() -> float:
    """Return the processor seconds of all processes that this one has started and that have ended."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def main() -> None:
    """Execute every lesson in an empty folder and print one row; exit 1 if they take too long."""
    lasted, processor = {}, {}
    for path in sorted(LEARN.glob("*.ipynb")):
        book = nbformat.read(path, 4)  # type: ignore[no-untyped-call]
        began, before = time.monotonic(), used()
        with TemporaryDirectory() as folder:
            nbclient.NotebookClient(book, timeout=600, resources={"metadata": {"path": folder}}).execute()
        lasted[path.stem], processor[path.stem] = time.monotonic() - began, used() - before
        note(f"{path.stem}: {lasted[path.stem]:.0f} s, processor {processor[path.stem]:.0f} s")
    wall, busy = (sum(times.values()) / 60 for times in (lasted, processor))
    each = ", ".join(f"{name[0]}: {lasted[name]:.0f} ({processor[name]:.0f})" for name in lasted)
    clock = f"{wall:.1f} min by the clock at a load average of {os.getloadavg()[2]:.0f}"
    measured = f"{busy:.1f} min of processor time, {clock}; seconds of each: {each}"
    met = row("lessons of `docs/learn`, executed", "<= 12 min together", measured, len(lasted), min(wall, busy) <= MOST)
    sys.exit(not met)


if __name__ == "__main__":
    main()
