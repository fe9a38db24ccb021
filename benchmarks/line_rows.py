"""Train the line reader for rows: how the built-in `rows` came out of the built-in `line`.

python benchmarks/line_rows.py --lines 325000 --out rows.onnx

It starts from `line`. Half of its lines are rows (`data/synthesis/rows.py`), whose letters are other marks. Lines that
`line` reads correctly are taught by it (Hinton et al., "Distilling the Knowledge in a Neural Network", 2015): by its
probabilities, column by column, and a quarter of the label. The rate rises to 1.2e-4 and falls to 0.

The built-in file has learned from 325,000 lines in three such runs, each from the average of the one before: 89,000 and
77,000 lines at rates up to 1.5e-4, the first of them without sides of boxes, and 159,000 as here.

It takes about 95 minutes of one core, needs MNIST, the fonts and the UNIPEN archive, and prints the shares of lines and
of rows by hands held out that are read exactly as written.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from digitnet.core.provenance import environment
from digitnet.data import datasets
from digitnet.data.synthesis.rows import RowScribe
from digitnet.data.synthesis.scribe import Written
from digitnet.data.synthesis.texts import ALPHABET
from digitnet.models.onnx_models import ROWS, WEIGHTS
from digitnet.training import line_sources
from digitnet.training.line_export import export_lines
from digitnet.training.line_loop import (
    BLANK,
    BOXES,
    CLASSES,
    MAX_GRADIENT_NORM,
    MAX_LOSS,
    Batch,
    batches,
    evaluate_lines,
    targets,
)
from digitnet.training.line_tuning import line_network

SHARES = {"pens": 0.47, "mnist": 0.15, "fonts": 0.06, "inventions": 0.30, "print": 0.02}
"""How many lines are written by hands of each source."""

BATCH, RATE, WARMUP, AVERAGE = 32, 1.2e-4, 0.04, 0.9985
"""Lines of a step; the highest learning rate; share of the steps in which it rises; decay of the moving average."""

LABEL = 0.25
"""Weight of the label of a line that `line` reads correctly."""

EVERY = 500
"""Steps between two reports."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=325_000, metavar="N")
    parser.add_argument("--out", type=Path, required=True, help="the model file")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    line_sources.SHARES = SHARES
    parts = datasets.splits("mnist")
    taught, held = line_sources.learning(parts.train), line_sources.unseen(parts.valid)
    lines, rows = held.lines(300), written(held, 1, rows=1.0, count=500)
    teacher = line_network(WEIGHTS / "line.onnx")
    network = copy.deepcopy(teacher).requires_grad_(True).train()
    average = copy.deepcopy(teacher)
    steps = asked.lines // BATCH
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, betas=(0.9, 0.98), weight_decay=0.01)
    for step, batch in zip(range(steps), stream(taught), strict=False):
        rate = RATE * min(step / (WARMUP * steps), (1 - step / steps) / (1 - WARMUP))
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad()
        loss_of(network, teacher, batch).backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), MAX_GRADIENT_NORM)
        optimizer.step()
        kept = min(AVERAGE, step / (step + 10))
        with torch.no_grad():
            for mean, now in zip(average.parameters(), network.parameters(), strict=True):
                mean.lerp_(now, 1 - kept)
        if (step + 1) % EVERY == 0 or step + 1 == steps:
            said = " ".join(f"{name} {exact(average, its):.1%}" for name, its in (("lines", lines), ("rows", rows)))
            print(f"{BATCH * (step + 1)} lines: {said}", flush=True)
    about = {"name": ROWS, "model": "line", "recipe": "rows", "data": "unipen, mnist, fonts, drawn hands"}
    export_lines(average, rows, about | {"lines_composed": asked.lines} | environment("torch", "numpy"), asked.out)


def stream(sources: line_sources.Sources) -> Iterator[Batch]:
    """Yield batches for ever, half of their lines rows."""
    seed = 0
    while True:
        seed += 1
        yield from batches(RowScribe(sources.groups, sources.signs, sources.letters, seed), 16 * BATCH, BATCH)


def written(sources: line_sources.Sources, seed: int, rows: float, count: int) -> list[Written]:
    """Return lines of these sources, a share of them rows."""
    scribe = RowScribe(sources.groups, sources.signs, sources.letters, seed, nothing=0)
    scribe.rows = rows
    return [line for line in (scribe.line() for _ in range(count)) if line.written]


def exact(network: nn.Module, lines: list[Written]) -> float:
    """Return the share of lines that a network reads exactly as they are written."""
    scores = evaluate_lines(network, lines)
    return float(np.mean([read == true for read, true in zip(scores.read, scores.true, strict=True)]))


def loss_of(network: nn.Module, teacher: nn.Module, batch: Batch) -> Tensor:
    """Return the loss of a batch, partly taught by another network."""
    with torch.autocast("cpu", torch.bfloat16):
        with torch.no_grad():
            taught = teacher(batch.x, batch.columns).float()
        answer = network(batch.x, batch.columns).float()
    its, ours = (each[..., :CLASSES].log_softmax(2) for each in (taught, answer))
    kept = torch.tensor(
        [text is None or text == said for text, said in zip(batch.texts, read(its, batch), strict=True)]
    )
    told = torch.tensor([text is not None for text in batch.texts])
    inside = torch.arange(ours.shape[1]) < batch.columns[:, None]
    sizes = torch.tensor([len(text or "") for text in batch.texts])
    ctc = F.ctc_loss(
        ours.transpose(0, 1), targets(batch.texts), batch.columns, sizes, BLANK, "none", zero_infinity=True
    ).clamp(max=MAX_LOSS)
    apart = ((its.exp() * (its - ours)).sum(2) * inside).sum(1)
    characters = told * (ctc * (1 - (1 - LABEL) * kept.float()) + apart * kept)
    reach = F.smooth_l1_loss(answer[..., CLASSES:-1], batch.reach, beta=0.05, reduction="none").mean(2)
    there = F.binary_cross_entropy_with_logits(answer[..., -1], batch.on.float(), reduction="none")
    boxes = (reach * batch.on).sum() / batch.on.sum().clamp(min=1)
    total: Tensor = characters.mean() + BOXES * boxes + (there * inside).sum() / inside.sum()
    return total


def read(log_probs: Tensor, batch: Batch) -> list[str]:
    """Return the text of the best class of every column."""
    texts = []
    for row, count in zip(log_probs.argmax(2).tolist(), batch.columns.tolist(), strict=True):
        best = row[:count]
        places = zip([BLANK, *best], best, strict=False)
        texts.append("".join(ALPHABET[now] for before, now in places if now not in (before, BLANK)))
    return texts


if __name__ == "__main__":
    main()
