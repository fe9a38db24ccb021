"""Every MNIST test digit that a built-in model misreads, as a picture for the model card.

python benchmarks/failures.py strong docs/failures.png
"""

from __future__ import annotations

import sys
from pathlib import Path

from matplotlib.figure import Figure

from digitnet import evaluate
from digitnet.data import datasets
from digitnet.data.mnist import WRONG_TEST_LABELS
from digitnet.models.onnx_models import classifier

COLUMNS = 10


def main(name: str, path: Path) -> None:
    test = datasets.splits("mnist").test
    model = classifier(name)
    errors = evaluate(model, test).worst(most=len(test))
    digitness = model.digitness(test.images)
    rows = -(-len(errors) // COLUMNS)
    figure = Figure(figsize=(COLUMNS * 1.05, rows * 1.5 + 0.5), dpi=120, layout="constrained")
    figure.suptitle(f"{name}: the {len(errors)} of {len(test):,} MNIST test digits read wrong, surest first")
    for place, axes in enumerate(figure.subplots(rows, COLUMNS, squeeze=False).flat):
        axes.axis("off")
        if place >= len(errors):
            continue
        error = errors[place]
        axes.imshow(255 - test.images[error.index], cmap="gray", vmin=0, vmax=255)
        notes = [f"{error.true} read as {error.predicted}", f"{error.probability:.1%} sure"]
        if digitness[error.index] < model.threshold:
            notes.append("refused")
        if error.index in WRONG_TEST_LABELS:
            notes.append("label wrong")
        axes.set_title("\n".join(notes), fontsize=7)
    figure.savefig(path)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
