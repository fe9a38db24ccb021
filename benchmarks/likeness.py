"""How well the places of composed pages are separated into those that contain a number and those that do not.

python benchmarks/likeness.py >> benchmarks/RESULTS.md

It fits the weights of `digitnet.reading.likeness` by logistic regression on three quarters of the pages, and prints
them to standard error. The intercept assumes that half of the places contain a number. The rows are measured on the
remaining quarter.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rows import row
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from digitnet.data.datasets import splits
from digitnet.data.pages.compose import Composed
from digitnet.imaging import pages
from digitnet.imaging.geometry import Box
from digitnet.reading.likeness import evidence
from digitnet.reading.reader import Reader
from digitnet.training.page_sources import learning

SEED = 11
"""Of the composed pages."""

HELD_OUT = 4
"""One of so many pages is held out from the fit."""

LOST = 0.02
"""Share of the places with a number that are lost at the threshold measured."""

Floats = NDArray[np.float64]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=int, default=3000, metavar="N")
    asked = parser.parse_args()
    reader, composer = Reader(threads=1), learning(splits("mnist").train).composer(SEED)
    found: list[tuple[Floats, bool, float, int]] = []
    for number in range(asked.pages):
        composed = composer.page()
        found += [(*each, number) for each in places(composed, reader)]
    x, y, before, page = (np.array(column) for column in zip(*found, strict=True))
    held = page % HELD_OUT == 0
    mean, spread = x[~held].mean(axis=0), x[~held].std(axis=0) + 1e-6
    model = LogisticRegression(C=0.3, max_iter=3000).fit((x[~held] - mean) / spread, y[~held])
    weights = model.coef_[0] / spread
    odds = y[~held].mean() / (1 - y[~held].mean())
    intercept = float(model.intercept_[0] - (mean * weights).sum() - np.log(odds))
    print("weights", np.round(weights, 3).tolist(), "intercept", round(intercept, 3), file=sys.stderr)
    like = np.clip(1 / (1 + np.exp(-(x @ weights + intercept))), 1e-4, 1 - 1e-4)
    for name, its in (("line reader and classifier", before), ("all three networks", like)):
        area, kept = roc_auc_score(y[held], its[held]), its >= np.quantile(its[held & y], LOST)
        measured = f"area under the curve {area:.3f}; {kept[held & ~y].mean():.1%} of those without a number kept"
        row(f"places of composed pages by {name}, {LOST:.0%} of numbers lost", "report", measured, held.sum(), True)


def places(composed: Composed, reader: Reader) -> list[tuple[Floats, bool, float]]:
    """Return the evidence for each place of a page, whether it contains a number, and its likeness."""
    view, opinions = reader._view(pages.page(Image.fromarray(composed.image)), None)
    marks = [(*mark.quad.min(axis=0).tolist(), *mark.quad.max(axis=0).tolist()) for mark in composed.marks]
    found = []
    for draft, like in zip(view.drafts[: view.places], view.like, strict=True):
        if draft.boxes and draft.region.place is not None and (opinion := opinions.get(id(draft))):
            real = any(_shared(draft.region.box, mark) for mark in marks)
            found.append((evidence(draft, opinion), real, float(like)))
    return found


def _shared(one: Box, other: tuple[float, ...]) -> bool:
    """Return whether two boxes share more than half of the smaller one."""
    wide, high = (min(one[i + 2], other[i + 2]) - max(one[i], other[i]) for i in (0, 1))
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return wide > 0 and high > 0 and wide * high > 0.5 * min(areas)


if __name__ == "__main__":
    main()
