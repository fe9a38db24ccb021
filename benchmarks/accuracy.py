"""Test accuracy of a recipe on MNIST: mean and standard deviation over seeds, last epoch.

python benchmarks/accuracy.py best --seeds 3 >> benchmarks/RESULTS.md
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from rows import note, row

from digitnet import checkpoint, data, evaluate
from digitnet.models import TorchClassifier
from digitnet.train import RECIPES, new_network, train

TARGETS = {"tutorial": (0.988, 0.993), "quick": (0.990, 1.0), "best": (0.9960, 1.0)}
SECONDS = {"best": 150.0}


def main() -> bool:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", choices=RECIPES)
    parser.add_argument("--seeds", type=int, default=3)
    asked = parser.parse_args()
    parts = data.splits("mnist")
    right, valid, seconds = [], [], []
    for seed in range(asked.seeds):
        config = replace(RECIPES[asked.recipe], seed=seed)
        with tempfile.TemporaryDirectory() as folder:
            epochs = list(train(new_network(config), parts.train, parts.valid, config, Path(folder)))
            scores = evaluate(TorchClassifier(checkpoint.load_network(folder)), parts.test)
        right.append(100 * scores.accuracy)
        valid.append(100 * epochs[-1].scores.accuracy)
        seconds.append(sum(epoch.seconds for epoch in epochs))
        note(f"{asked.recipe} seed {seed}: test {right[-1]:.2f} %, valid {valid[-1]:.2f} %, {seconds[-1]:.1f} s")
    low, high = TARGETS[asked.recipe]
    mean = statistics.mean(right)
    spread = statistics.stdev(right) if len(right) > 1 else 0.0
    accurate = row(
        f"`{asked.recipe}`: MNIST test accuracy, mean ± std over seeds, last epoch",
        f"{100 * low:.2f} to {100 * high:.2f} %",
        f"{mean:.3f} ± {spread:.3f} % (valid {statistics.mean(valid):.3f} %)",
        asked.seeds,
        100 * low <= round(mean, 3) <= 100 * high,
    )
    limit = SECONDS.get(asked.recipe)
    fast = row(
        f"`{asked.recipe}`: training time of a run, slowest seed",
        f"<= {limit:.0f} s" if limit else "report",
        f"{max(seconds):.1f} s (mean {statistics.mean(seconds):.1f} s)",
        asked.seeds,
        limit is None or max(seconds) <= limit,
    )
    return accurate and fast


if __name__ == "__main__":
    sys.exit(not main())
