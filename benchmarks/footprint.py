"""Small things that add up: loading MNIST, the memory of training, the time of --help.

python benchmarks/footprint.py >> benchmarks/RESULTS.md
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

from rows import note, row

from digitnet import load


def timed(action: Callable[[], object], times: int) -> list[float]:
    """Return the seconds of each of several runs, the first of them left out."""
    seconds = []
    for _ in range(times + 1):
        began = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - began)
    return seconds[1:]


def run(*words: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "digitnet", *words], cwd=folder, check=True, stdout=subprocess.DEVNULL)


def main() -> bool:
    results = []
    seconds = timed(lambda: (load("mnist", "train"), load("mnist", "test")), 10)
    measured = f"{statistics.median(seconds):.3f} s median, {max(seconds):.3f} s slowest"
    what = "loading MNIST (both parts, verified) from the cache into `Digits`"
    results.append(row(what, "< 0.15 s", measured, len(seconds), statistics.median(seconds) < 0.15))

    seconds = timed(lambda: run("--help"), 10)
    measured = f"{statistics.median(seconds):.3f} s median, {max(seconds):.3f} s slowest"
    results.append(row("`digitnet --help`", "< 0.3 s", measured, len(seconds), statistics.median(seconds) < 0.3))

    peaks = []
    for recipe in ("tutorial", "best"):
        run("train", "--recipe", recipe, "--epochs", "1")
        peaks.append(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20)  # KiB on Linux
        note(f"{recipe}: largest child so far {peaks[-1]:.2f} GB")
    what = "peak memory of `digitnet train` (whole command, one epoch)"
    results.append(row(what, "< 1.2 GB", f"{max(peaks):.2f} GB", len(peaks), max(peaks) < 1.2))
    return all(results)


if __name__ == "__main__":
    sys.exit(not main())
