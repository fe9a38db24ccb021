"""One training in one and in two processes of one thread each: how much faster, and whether it learns the same.

python benchmarks/scaling.py >> benchmarks/RESULTS.md

Both numbers of processes go through torchrun and take turns, so that what else the machine does meets both; a round's
ratio is taken from neighbours in time. Speed is that of the last epoch; the first one warms up. Where other work keeps
the cores busy, speed says little: the processors' seconds that two more epochs cost are told beside it, which it hardly
changes. They hold all that is computed twice or sent, not what processes wait for each other.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from rows import note, row

from digitnet.data import datasets

SPEED = {"best": 12_000, "accurate": 3_000}
"""MNIST digits that each recipe is timed on."""

SAME = {"quick": (2, 12_000), "accurate": (3, 3_000)}
"""Epochs and MNIST digits by which one and two processes are compared."""

BOUND = {"quick": 0.05, "accurate": 0.15}
"""How far apart the losses of an epoch may be, as a share; `accurate` normalises over halves of batches."""


def train(home: Path, processes: int, name: str, *words: str) -> list[dict[str, Any]]:
    """Train in a folder of its own and return its history."""
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    command = [sys.executable, *launcher, "-m", "digitnet", "train", *words, "--device", "cpu", "--out", name]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    return [json.loads(line) for line in (home / name / "history.jsonl").read_text().splitlines()]


def some_digits(home: Path, count: int) -> str:
    path = home / f"{count}.npz"
    if not path.is_file():
        digits = datasets.load("mnist", "train")[:count]
        assert digits.labels is not None
        np.savez(path, images=digits.images, labels=digits.labels)
    return str(path)


def speed(home: Path, recipe: str, rounds: int) -> bool:
    words = ("--data", some_digits(home, SPEED[recipe]), "--recipe", recipe)
    rates: dict[int, list[float]] = {1: [], 2: []}
    work: dict[int, list[float]] = {1: [], 2: []}
    for turn in range(rounds):
        for processes in rates:
            spent = []
            for epochs in (1, 3):
                before = processor_seconds()
                history = train(
                    home, processes, f"{recipe}-{processes}-{turn}-{epochs}", *words, "--epochs", str(epochs)
                )
                spent.append(processor_seconds() - before)
            rates[processes].append(history[-1]["images_per_second"])
            work[processes].append((spent[1] - spent[0]) / 2)
        note(
            f"{recipe}: {rates[1][-1]:,.0f} and {rates[2][-1]:,.0f} images/s, {work[1][-1]:.2f} and {work[2][-1]:.2f} "
            f"processor seconds an epoch, load {os.getloadavg()[0]:.1f}"
        )
    ratios = [two / one for one, two in zip(rates[1], rates[2], strict=True)]
    ratio = statistics.median(ratios)
    useful = statistics.median(work[1]) / statistics.median(work[2])
    return row(
        f"`{recipe}` trained by 2 processes instead of 1, one thread each",
        "report",
        f"{ratio:.2f} times as fast ({min(ratios):.2f} to {max(ratios):.2f}), efficiency {ratio / 2:.0%} at a load of "
        f"{os.getloadavg()[0]:.0f}; by processor time {useful:.0%}; {statistics.median(rates[1]):,.0f} and "
        f"{statistics.median(rates[2]):,.0f} images/s",
        rounds,
        True,
    )


def processor_seconds() -> float:
    """Return what all ended children have used."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def same(home: Path, recipe: str, seeds: int) -> bool:
    epochs, count = SAME[recipe]
    accuracy: dict[int, list[float]] = {1: [], 2: []}
    apart = 0.0
    for seed in range(seeds):
        losses = []
        for processes in accuracy:
            name = f"same-{recipe}-{processes}-{seed}"
            words = ("--data", some_digits(home, count), "--recipe", recipe, "--epochs", str(epochs))
            losses.append([line["loss"] for line in train(home, processes, name, *words, "--seed", str(seed))])
            accuracy[processes].append(100 * json.loads((home / name / "scores.json").read_text())["accuracy"])
        apart = max(apart, *(abs(two / one - 1) for one, two in zip(*losses, strict=True)))
        note(f"{recipe} seed {seed}: {accuracy[1][-1]:.2f} and {accuracy[2][-1]:.2f}%, losses {losses}")
    (one, two), (spread, other) = (
        [each(accuracy[processes]) for processes in (1, 2)] for each in (statistics.mean, statistics.stdev)
    )
    noise = 2 * (spread**2 / seeds + other**2 / seeds) ** 0.5  # two standard errors of the difference
    return row(
        f"`{recipe}`, {epochs} epochs of {count:,} digits, by 1 and by 2 processes: test accuracy; losses of an epoch",
        f"within 2 standard errors; apart by <= {BOUND[recipe]:.0%}",
        f"{one:.2f} ± {spread:.2f}% and {two:.2f} ± {other:.2f}%; {apart:.2%}",
        seeds,
        abs(one - two) <= noise and apart <= BOUND[recipe],
    )


def main() -> bool:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=3)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        met = [speed(home, recipe, asked.rounds) for recipe in SPEED]
        met += [same(home, recipe, asked.seeds) for recipe in SAME]
    return all(met)


if __name__ == "__main__":
    sys.exit(not main())
