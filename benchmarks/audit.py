"""Does `digitnet audit` find wrong labels? Those of MNIST's test set that are known, and some that are put in.

    python benchmarks/audit.py [--seeds N] [--data-dir DIR]

The 70,000 digits of MNIST are audited as the command does it; the fifteen labels of the test set known to be wrong
choose nothing, they are only looked for. Then 1% of the labels of the training set are set to another digit at random,
by seeds other than the one that the settings were chosen with, and what the audit marks as wrong is compared with them.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rows import HEADER, note, row

from digitnet import Digits
from digitnet.data.datasets import load
from digitnet.data.mnist import WRONG_TEST_LABELS
from digitnet.experiments.label_audit import Suspect, open_source, out_of_fold, suspects

FIRST = 60
"""Suspects of the test set among which the known ones are looked for."""


def found_in(digits: Digits, seed: int) -> list[Suspect]:
    """Return the suspects among digits, saying on the way how far it is."""
    began = time.perf_counter()
    probs = np.zeros((len(digits), 10), np.float32)
    for fold in out_of_fold(digits, seed=seed):
        probs[fold.rows] += fold.probs
        note(f"  fold {fold.number} of {fold.folds}: {fold.seconds:.0f} s")
    found = suspects(digits, probs)
    counted = sum(one.wrong for one in found)
    note(f"  {len(found)} suspects, {counted} counted as wrong, {time.perf_counter() - began:.0f} s")
    return found


def flipped(digits: Digits, seed: int) -> tuple[Digits, NDArray[np.int64]]:
    """Return the digits with 1% of their labels set to another digit at random, and the rows of those, sorted."""
    assert digits.labels is not None
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.choice(len(digits), len(digits) // 100, replace=False))
    labels = digits.labels.copy()
    labels[rows] = (labels[rows] + rng.integers(1, 10, len(rows))) % 10
    return Digits(digits.images, labels), rows


def known(seed: int, data_dir: Path | None) -> bool:
    """Measure how many of the test set's known wrong labels are among its first suspects."""
    source = open_source("mnist", data_dir)
    found = [one for one in found_in(source.digits, seed) if source.parts[one.row] == "test"]
    rank = {int(source.index[one.row]): number for number, one in enumerate(found, 1)}
    ranks = sorted((rank[index], index) for index in WRONG_TEST_LABELS if index in rank)
    note(f"  of {len(found)} suspects of the test set; known ones by rank: {ranks}")
    hits = sum(place <= FIRST for place, _ in ranks)
    what = f"known wrong labels among the first {FIRST} suspects of MNIST's test set, all 70,000 audited, seed {seed}"
    return row(f"`digitnet audit`: {what}", ">= 12 of 15", f"{hits} of 15", len(source.digits), hits >= 12)


def put_in(seeds: int, data_dir: Path | None) -> bool:
    """Measure recall and precision on labels flipped at random, mean and spread over seeds."""
    clean = load("mnist", "train", data_dir)
    recalls, precisions = [], []
    for seed in range(seeds):
        digits, wrong = flipped(clean, seed)
        found = found_in(digits, seed)
        marked = {one.row for one in found if one.wrong}
        hits = len(marked & set(wrong.tolist()))
        recalls.append(hits / len(wrong))
        precisions.append(hits / max(1, len(marked)))
        note(f"  seed {seed}: recall {recalls[-1]:.4f}, precision {precisions[-1]:.4f}")
    spread = [f"{100 * np.mean(one):.2f} ± {100 * np.std(one):.2f}%" for one in (recalls, precisions)]
    what = f"1% of MNIST's training labels flipped at random, mean and spread over {seeds} seeds, 5 folds"
    meets = [
        row(f"`digitnet audit`, recall: {what}", ">= 95%", spread[0], len(clean), float(np.mean(recalls)) >= 0.95),
        row(f"`digitnet audit`, precision: {what}", ">= 90%", spread[1], len(clean), float(np.mean(precisions)) >= 0.9),
    ]
    return all(meets)


def main() -> None:
    """Measure both; exit status 1 where a target is missed."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3, help="audits of flipped labels")
    parser.add_argument("--data-dir", type=Path)
    options = parser.parse_args()
    print(HEADER)
    meets = [known(0, options.data_dir), put_in(options.seeds, options.data_dir)]
    sys.exit(not all(meets))


if __name__ == "__main__":
    main()
