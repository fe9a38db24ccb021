"""Train `strong` on digits of real pens without forgetting the others: how its built-in weights came out of `transfer`.

python benchmarks/strong_pens.py --from run/transfer-1 --out run/pens; digitnet export run/pens --out strong.onnx

What the first model knows is kept by distillation (Hinton et al., "Distilling the Knowledge in a Neural Network",
2015): training starts from that model, which teaches digits of MNIST, fonts and synthetic hands, and negatives other
than letters, by what it answers for the same augmented image. Digits and marks of pens, and letters, have their labels.
Then the first model and the result of this together teach all but letters, at lower rates and with more of MNIST.

It takes about two hours of one core, needs MNIST, the fonts and the UNIPEN archive, and prints the accuracy on
validation digits and on pens of held-out writers.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from digitnet import evaluate
from digitnet.core.classes import DIGIT_NAMES
from digitnet.core.digits import Digits
from digitnet.core.provenance import environment
from digitnet.data import datasets, fonts
from digitnet.data.synthesis.strokes import hands
from digitnet.models import checkpoint
from digitnet.models.networks import TorchClassifier, to_input
from digitnet.models.run_folder import CONFIG, WEIGHTS, save_json
from digitnet.training import finetune
from digitnet.training.augmentation import transfer
from digitnet.training.config import RECIPES
from digitnet.training.line_sources import pen_digits, pen_marks
from digitnet.training.loop import NO_DIGIT, TrainingState, optimizers_of, resolve
from digitnet.training.negatives import SHARES, negatives

HANDS, PENS, MARKS = 50_000, 50_000, 25_000
"""Synthetic digits, digits of pens, and marks of pens that are not digits."""

NEGATIVES = 38
"""Images that are not digits a step, beside the digits of a batch."""

EVERY = 1_000
"""Steps between two reports."""


class Stage(NamedTuple):
    """steps: of 256 digits. rate: share of the learning rates of `transfer`. taught: that of the target that is taught.

    mnist: how many times as often a digit of MNIST is drawn. pens: whether digits of pens are taught, too. average,
    warmup: as in `TrainConfig`.
    """

    steps: int
    rate: float
    taught: float
    mnist: float
    pens: bool
    average: float
    warmup: float


STAGES = (
    Stage(20_100, rate=0.5, taught=0.6, mnist=1.0, pens=False, average=0.999, warmup=0.04),
    Stage(3_900, rate=0.2, taught=0.75, mnist=1.8, pens=True, average=0.998, warmup=0.06),
)

SECOND = 0.6
"""Share of the second stage's teacher that is the result of the first stage."""


class Sources(NamedTuple):
    """images: (n, 28, 28) uint8. labels: (n,) int64. mnist, pens: (n,) bool, of these kinds.

    letters, marks: (m, 1, 28, 28) float32, 0..1.
    """

    images: Tensor
    labels: Tensor
    mnist: Tensor
    pens: Tensor
    letters: Tensor
    marks: Tensor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--from", dest="first", required=True, help="the first model: a built-in name or a run")
    parser.add_argument("--out", type=Path, required=True, help="folder for weights and settings")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    parts = datasets.splits("mnist")
    watched = {"validation": parts.valid, "pens held out": pen_digits(4_000, held=True, seed=7)}
    sources, rng = gathered(parts.train), torch.Generator().manual_seed(123)
    first = finetune.beginning(asked.first).network.eval()

    def both(x: Tensor) -> Tensor:
        return torch.lerp(first(x).float(), second(x).float(), SECOND)

    second = learned(first, first, STAGES[0], sources, watched, rng)
    network = learned(second, both, STAGES[1], sources, watched, rng)
    asked.out.mkdir(parents=True, exist_ok=True)
    checkpoint.save_network(asked.out / WEIGHTS, network, "strong", DIGIT_NAMES)
    more = {"taught_by": asked.first, "data_sha256": parts.sha256, "hands": HANDS, "pens": PENS}
    save_json(asked.out / CONFIG, asdict(RECIPES["transfer"]) | environment("torch", "numpy") | more)


def learned(
    network: nn.Module,
    teacher: Callable[[Tensor], Tensor],
    stage: Stage,
    sources: Sources,
    watched: Mapping[str, Digits],
    rng: torch.Generator,
) -> nn.Module:
    """Return the moving average of a copy of a network that was trained for a stage."""
    network = copy.deepcopy(network).train()
    config = RECIPES["transfer"]
    lr, muon_lr = stage.rate * config.lr, stage.rate * config.muon_lr
    config = resolve(replace(config, lr=lr, muon_lr=muon_lr, warmup=stage.warmup, average=stage.average))
    training = TrainingState(network, copy.deepcopy(network), optimizers_of(network, config))
    for step in range(stage.steps):
        training.set_rate(config, step / stage.steps)
        one_step(network, teacher, stage, sources, config.batch_size, config.precision == "bfloat16", rng)
        training.step(config, step)
        if (step + 1) % EVERY == 0 or step + 1 == stage.steps:
            scores = {name: evaluate(TorchClassifier(training.average), its).accuracy for name, its in watched.items()}
            print(step + 1, ", ".join(f"{name} {score:.2%}" for name, score in scores.items()), flush=True)
    return training.average.eval()


def gathered(train: Digits) -> Sources:
    """Draw all digits, letters and marks."""
    drawn, paths, count = datasets.load("fonts", "all"), datasets.get(fonts.FONTS), len(fonts.FONTS.hand)
    sets = [train, *[drawn] * 4, hands(HANDS), pen_digits(PENS)]
    letters = [fonts.letters(paths[:count]), fonts.letters(paths[count:], fonts.PRINTED_LETTERS)]
    sizes = [len(each) for each in sets]
    return Sources(
        torch.tensor(np.concatenate([each.images for each in sets])),
        torch.tensor(np.concatenate([np.asarray(each.labels) for each in sets])).long(),
        torch.arange(sum(sizes)) < sizes[0],
        torch.arange(sum(sizes)) >= sum(sizes[:-1]),
        to_input(torch.tensor(np.concatenate([each.images for each in letters]))),
        to_input(torch.tensor(pen_marks(MARKS).images)),
    )


def one_step(
    network: nn.Module,
    teacher: Callable[[Tensor], Tensor],
    stage: Stage,
    sources: Sources,
    batch: int,
    half: bool,
    rng: torch.Generator,
) -> None:
    """Compute the gradients of one batch. half: in bfloat16."""
    rows = torch.multinomial(torch.where(sources.mnist, stage.mnist, 1.0), batch, replacement=True, generator=rng)
    digits = to_input(sources.images[rows])
    some = [each[torch.randint(len(each), (24,), generator=rng)] for each in (sources.letters, sources.marks)]
    others = negatives(digits, torch.cat(some), NEGATIVES, rng)  # letters and marks come first
    x = transfer(torch.cat([digits, others]), rng)
    y = F.pad(sources.labels[rows], (0, NEGATIVES), value=NO_DIGIT)
    letters = NEGATIVES - sum(round(share * NEGATIVES) for kind, share in SHARES.items() if kind != "letters")
    known = torch.cat([~sources.pens[rows] | stage.pens, torch.arange(NEGATIVES) >= letters])
    target = 0.95 * F.one_hot(y, NO_DIGIT + 1) + 0.05 / (NO_DIGIT + 1)
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        with torch.no_grad():
            taught = F.pad(teacher(x[known]).float(), (0, 1)).softmax(1)  # "no digit" has the logit 0
        logits = F.pad(network(x).float(), (0, 1))
    target[known] = stage.taught * taught + (1 - stage.taught) * target[known]
    F.cross_entropy(logits, target).backward()  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main()
