"""Continue the training of the built-in line reader on new lines without forgetting the others: how its weights came.

python benchmarks/line_kept.py --lines 480000 --out line-1.onnx
python benchmarks/line_kept.py --learnt line-1.onnx --mean 0.5 --out line.onnx

Training starts from the built-in line reader, which is also the teacher (Hinton et al., "Distilling the Knowledge in a
Neural Network", 2015): of each line that it reads correctly the network learns its probabilities, column by column, and
a little of the label; of the others the label alone. The mean of both weights, of which the network learnt has a share
of `--mean`, is calibrated and written. 480,000 lines take about 110 minutes of one core. It needs MNIST, the fonts and
the UNIPEN archive.
"""

from __future__ import annotations

import argparse
import copy
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from digitnet.data.datasets import splits
from digitnet.data.synthesis.scribe import Written
from digitnet.data.synthesis.texts import ALPHABET
from digitnet.models.networks import LineNet
from digitnet.models.onnx_models import WEIGHTS, LineReader
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

LR, WARMUP, DECAY, AVERAGE = 5e-5, 0.04, 0.01, 0.9985
"""Highest rate of AdamW, the share of all lines in which it rises, weight decay, and weight of the moving average."""

BATCH, CHUNK = 32, 512
"""Lines of a step, and those that one scribe writes."""

LABEL = 0.25
"""Weight of the label of a line that the teacher reads correctly."""

EVERY = 1_000
"""Steps between two reports."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=0, help="lines to learn from; 0 for a mean of weights alone")
    parser.add_argument("--mean", type=float, default=1.0, help="share of the weights learnt")
    parser.add_argument("--learnt", type=Path, nargs="*", default=[], help="files of earlier trainings, for the mean")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True, help="ONNX file")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    built_in, parts = WEIGHTS / "line.onnx", splits("mnist")
    teacher, held = line_network(built_in), line_sources.unseen(parts.valid)
    learnt = [line_network(path) for path in asked.learnt]
    if asked.lines:
        learnt.append(learned(teacher, line_sources.learning(parts.train), held.lines(250), asked.lines, asked.seed))
    network = mean([teacher, *learnt], [1 - asked.mean, *[asked.mean / len(learnt)] * len(learnt)])
    about = {key: value for key, value in LineReader(built_in, 1).about.items() if key not in ("temperature", "onnx")}
    export_lines(network, held.lines(), about, asked.out)


def mean(networks: list[LineNet], shares: list[float]) -> LineNet:
    """Return a network whose weights are the mean of those of some."""
    network, states = copy.deepcopy(networks[0]), [each.state_dict() for each in networks]
    weights = {
        name: sum(share * state[name] for share, state in zip(shares, states, strict=True)) for name in states[0]
    }
    network.load_state_dict(weights)
    return network


def learned(teacher: LineNet, sources: line_sources.Sources, watched: list[Written], lines: int, seed: int) -> LineNet:
    """Return the moving average of a copy of the teacher that has learnt from so many lines."""
    network, average = copy.deepcopy(teacher).train(), copy.deepcopy(teacher)
    large, small = ([each for each in network.parameters() if (each.ndim > 1) is matrix] for matrix in (True, False))
    groups = [{"params": large, "weight_decay": DECAY}, {"params": small, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=LR, betas=(0.9, 0.98))
    steps = lines // BATCH
    scribes = (sources.scribe(seed * 100_003 + chunk) for chunk in range(lines // CHUNK))
    for step, batch in enumerate(batch for scribe in scribes for batch in batches(scribe, CHUNK, BATCH)):
        done = step / steps
        for group in optimizer.param_groups:
            group["lr"] = LR * min(done / WARMUP, (1 - done) / (1 - WARMUP))
        optimizer.zero_grad()
        loss(network, teacher, batch).backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), MAX_GRADIENT_NORM)
        optimizer.step()
        with torch.no_grad():
            share = 1 - min(AVERAGE, step / (step + 10))
            for kept, its in zip(average.parameters(), network.parameters(), strict=True):
                kept.lerp_(its, share)
        if (step + 1) % EVERY == 0 or step + 1 == steps:
            print(step + 1, f"{evaluate_lines(average, watched).accuracy:.2%} of held-out lines", flush=True)
    return average.eval()


def loss(network: LineNet, teacher: LineNet, batch: Batch) -> Tensor:
    """Return the loss of a batch: labels where the teacher is wrong, its probabilities where it is right; boxes."""
    with torch.autocast("cpu", torch.bfloat16):
        with torch.no_grad():
            taught = teacher(batch.x, batch.columns).float()[..., :CLASSES].log_softmax(2)
        answer = network(batch.x, batch.columns).float()
    log_probs, sizes = answer[..., :CLASSES].log_softmax(2), torch.tensor([len(text or "") for text in batch.texts])
    labels = F.ctc_loss(
        log_probs.transpose(0, 1), targets(batch.texts), batch.columns, sizes, BLANK, "none", zero_infinity=True
    ).clamp(max=MAX_LOSS)
    inside = torch.arange(answer.shape[1]) < batch.columns[:, None]
    apart = ((taught.exp() * (taught - log_probs)).sum(2) * inside).sum(1)
    read = [collapsed(best[:count]) for best, count in zip(taught.argmax(2), batch.columns.tolist(), strict=True)]
    right = torch.tensor([text == said for text, said in zip(batch.texts, read, strict=True)])
    legible = torch.tensor([text is not None for text in batch.texts])
    lines = torch.where(right, LABEL * labels + apart, labels) * legible
    reach = F.smooth_l1_loss(answer[..., CLASSES:-1], batch.reach, beta=0.05, reduction="none").mean(2) * batch.on
    presence = F.binary_cross_entropy_with_logits(answer[..., -1], batch.on.float(), reduction="none") * inside
    return lines.mean() + BOXES * reach.sum() / batch.on.sum().clamp(min=1) + presence.sum() / inside.sum()


def collapsed(classes: Tensor) -> str:
    """Return the text of the best classes of all columns, (t,) int64."""
    runs = torch.unique_consecutive(classes).tolist()
    return "".join(ALPHABET[each] for each in runs if each != BLANK)


if __name__ == "__main__":
    main()
