"""What a line reader learns from a clerk who corrects cheque amounts: errors on the other amounts, before and after.

python benchmarks/learn.py 200 >> benchmarks/RESULTS.md

The amounts are those of ../shared/data, or where DIGITNET_DEV_DATA says; the clerk decides the first 50, 100 or 200 of
a random order. Composed lines and whole numbers of other writers must be read no worse. Fails below the floors.
"""

from __future__ import annotations

import argparse
import gzip
import json
import logging
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

import numpy as np
from foreign import FOLDER
from reading import PENS, amounts, written
from rows import note, row

from digitnet.core.lessons import Lesson
from digitnet.evaluation.line_metrics import LineScores
from digitnet.imaging import pages
from digitnet.reading.batch import Done
from digitnet.reading.reader import Reader
from digitnet.review.jobs import read_page, stored_numbers
from digitnet.review.lessons import lessons
from digitnet.review.records import Policy
from digitnet.review.store import Store
from digitnet.training.line_learning import Change, learn

FEWER = 0.25
"""Share of the errors on the other amounts that must be gone after 200 corrections."""

WRITERS = 600
"""Whole numbers of other writers that are read before and after."""


def decided(folder: Path, reader: Reader, paths: list[str], truth: list[str]) -> list[Lesson]:
    """Read amounts into a job, decide them as a clerk would, and return what can be learnt from them."""
    with closing(Store(str(folder / "amounts.job"), create=True)) as store:
        for path in paths:
            filed = read_page(lambda page: reader.read_page(page, single=True), pages.page(path), keep=False)
            store.add(stored_numbers(Done(path, 1, filed), reader.hashes(), single=True))
        store.set_policy(Policy(1.0, 1.0))
        known = dict(zip(paths, truth, strict=True))
        while tasks := store.next("clerk", 50):
            for task in tasks:
                store.decide("clerk", task.field, known[task.file], "read", key=str(task.field))
        found, notes = lessons(store, reader)
    for line in notes:
        note(line)
    return found


def scores(reader: Reader, pictures: list[np.ndarray], truth: list[str]) -> LineScores:
    """Read pictures of one number each."""
    numbers = [reader.read_page(picture, single=True).numbers[0] for picture in pictures]
    sure = np.array([number.confidence for number in numbers], np.float32)
    return LineScores(tuple(truth), tuple(number.text for number in numbers), sure)


def others() -> tuple[list[np.ndarray], list[str]]:
    """Return whole numbers of other writers, drawn from their pen strokes."""
    with gzip.open(FOLDER / "strokes" / "unipen-numbers.jsonl.gz", "rt", encoding="utf-8") as lines:
        records = [json.loads(line) for line in lines]
    rng = np.random.default_rng(9)
    chosen = [records[i] for i in rng.permutation(len(records))[:WRITERS]]
    tall = np.exp(rng.uniform(np.log(12), np.log(60), len(chosen)))
    drawn = [written(its["strokes"], PENS["ballpoint"], float(t), rng) for its, t in zip(chosen, tall, strict=True)]
    return drawn, ["".join(filter(str.isdecimal, its["label"])) for its in chosen]


def main() -> None:
    """Let the built-in line reader learn from so many amounts, and read the others."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("count", type=int, help="amounts that the clerk decides")
    parser.add_argument("--fold", type=int, default=0, help="begin the order at this many thirds of the amounts")
    asked = parser.parse_args()
    logging.basicConfig(format="%(message)s")
    logging.getLogger("digitnet").setLevel(logging.INFO)
    paths, truth = amounts()
    order = np.roll(np.random.default_rng(1).permutation(len(paths)), -asked.fold * len(paths) // 3).tolist()
    mine, rest = order[: asked.count], order[asked.count :]
    before = Reader(threads=1)
    with tempfile.TemporaryDirectory() as folder:
        found = decided(Path(folder), before, [paths[i] for i in mine], [truth[i] for i in mine])
        began = time.process_time()
        learnt = learn(found)
        seconds = time.process_time() - began
        note(f"held-out: {learnt.own}; composed: {learnt.composed}; {learnt.verdict}; {seconds:.0f} s")
        learnt.save(Path(folder) / "line.onnx")
        after = Reader(Path(folder) / "line.onnx", threads=1)
    unseen = [pages.page(paths[i]) for i in rest], [truth[i] for i in rest]
    drawn = others()
    own = Change(scores(before, *unseen), scores(after, *unseen))
    writers = Change(scores(before, *drawn), scores(after, *drawn))
    errors = [scored.n - scored.correct for scored in (own.before, own.after)]
    name = f"learning from {asked.count} corrected cheque amounts (part {asked.fold + 1})"
    target = f">= {FEWER:.0%} fewer errors" if asked.count >= 200 else "report"
    fewer = asked.count < 200 or errors[1] <= (1 - FEWER) * errors[0]
    met = row(f"{name}: the other amounts", target, str(own), own.before.n, fewer)
    row(
        f"{name}: the corrected ones, held out by turns", "report", f"{learnt.own}; {learnt.verdict}", asked.count, True
    )
    for what, change in (("composed lines", learnt.composed), ("whole numbers of other writers", writers)):
        met &= row(f"{name}: {what}", "not worse (95%)", str(change), change.before.n, not change.worse)
    calibration = f"{own.before.calibration_error:.1%}, then {own.after.calibration_error:.1%}"
    row(f"{name}: calibration error on the other amounts (15 bins)", "report", calibration, own.before.n, True)
    row(f"{name}: processor time", "report", f"{seconds:.0f} s", 1, True)
    sys.exit(not met)


if __name__ == "__main__":
    main()
