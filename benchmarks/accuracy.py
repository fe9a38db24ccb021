"""Test accuracy of a recipe on MNIST: mean and standard deviation over seeds, last epoch; and of all seeds averaged.

python benchmarks/accuracy.py best --seeds 3 >> benchmarks/RESULTS.md

Runs go to OUT/RECIPE-SEED. Those that are finished there are not made again, so a long measurement can be stopped and
resumed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from dataclasses import replace
from pathlib import Path

from rows import note, row

from digitnet import evaluate
from digitnet.core.digits import ensemble
from digitnet.data import datasets
from digitnet.models import checkpoint, run_folder
from digitnet.models.networks import TorchClassifier
from digitnet.training.config import RECIPES
from digitnet.training.run import reopen, start

TARGETS = {
    "tutorial": (0.988, 0.993),
    "quick": (0.990, 1.0),
    "best": (0.9960, 1.0),
    "thorough": (0.9965, 1.0),
    "accurate": (0.9975, 1.0),
    "transfer": (0.9968, 1.0),
}
SECONDS = {"best": 150.0}
TOGETHER = {"accurate": 0.9980}


def main() -> bool:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", choices=RECIPES)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("run/accuracy"))
    asked = parser.parse_args()
    test = datasets.splits("mnist").test
    right, valid, seconds, members = [], [], [], []
    for seed in range(asked.seeds):
        folder = asked.out / f"{asked.recipe}-{seed}"
        if not (folder / run_folder.SCORES).is_file():
            begun = (folder / run_folder.CONFIG).is_file()
            run = reopen(folder) if begun else start(replace(RECIPES[asked.recipe], seed=seed), folder)
            for epoch in run.train():
                note(f"{asked.recipe} seed {seed}: epoch {epoch.number} of {epoch.epochs}")
            run.finish()
        lines = (folder / run_folder.HISTORY).read_text().splitlines()
        epochs = [json.loads(line) for line in lines]
        right.append(100 * run_folder.load_json(folder / run_folder.SCORES)["accuracy"])
        valid.append(100 * epochs[-1]["valid_accuracy"])
        seconds.append(sum(epoch["seconds"] for epoch in epochs))
        members.append(TorchClassifier(checkpoint.load_network(folder)))
        note(f"{asked.recipe} seed {seed}: test {right[-1]:.2f}%, valid {valid[-1]:.2f}%, {seconds[-1]:.1f} s")
    low, high = TARGETS[asked.recipe]
    mean = statistics.mean(right)
    spread = statistics.stdev(right) if len(right) > 1 else 0.0
    met = row(
        f"`{asked.recipe}`: MNIST test accuracy, mean ± std over seeds, last epoch",
        f"{100 * low:.2f} to {100 * high:.2f}%",
        f"{mean:.3f} ± {spread:.3f}% (valid {statistics.mean(valid):.3f}%)",
        asked.seeds,
        100 * low <= round(mean, 3) <= 100 * high,
    )
    limit = SECONDS.get(asked.recipe)
    met &= row(
        f"`{asked.recipe}`: training time of a run, slowest seed",
        f"<= {limit:.0f} s" if limit else "report",
        f"{max(seconds):.1f} s (mean {statistics.mean(seconds):.1f} s)",
        asked.seeds,
        limit is None or max(seconds) <= limit,
    )
    if len(members) > 1:
        together = evaluate(ensemble(members), test)
        floor = TOGETHER.get(asked.recipe)
        met &= row(
            f"`{asked.recipe}`: MNIST test accuracy of all seeds' mean probability",
            f">= {floor:.2%}" if floor else "report",
            f"{together.accuracy:.2%}",
            asked.seeds,
            floor is None or together.accuracy >= floor,
        )
    return met


if __name__ == "__main__":
    sys.exit(not main())
