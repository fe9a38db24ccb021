"""A training that can be watched: `python -m digitnet.training.live` prints what it has learnt, a line of JSON a look.

The service of `digitnet serve --allow-train` starts it as a process of its own, which can be stopped at any time. The
first looks are close together, since a network learns most in its first steps.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from digitnet.core.digits import Digits
from digitnet.core.errors import DigitNetError
from digitnet.models.networks import logits_of
from digitnet.training.config import RECIPES
from digitnet.training.folder import alone
from digitnet.training.loop import new_network, train
from digitnet.training.run import start

if TYPE_CHECKING:
    from digitnet.evaluation.metrics import Scores

SAMPLE = 1_000
"""Validation digits that each look scores."""

LOOKS = 40
"""Looks of a training, about: their distance grows from one step."""


def watch(
    recipe: str, data: str, out: Path | None, rate: float, seed: int, show: Callable[[dict[str, Any]], object]
) -> None:
    """Train by a recipe and show it: first its settings, then a look at growing distances, at last the test scores.

    rate: what the recipe's learning rates are multiplied by. Raises what `run.start` and `loop.train` do.
    """
    config = RECIPES[recipe]
    run = start(replace(config, data=data, seed=seed, lr=rate * config.lr, muon_lr=rate * config.muon_lr), out)
    digits, valid = run.parts.train, run.parts.valid
    steps = run.config.epochs * math.ceil(len(digits) / run.config.batch_size)
    show({"run": run.folder.name, "steps": steps, "digits": len(digits), "classes": run.config.classes})
    network = new_network(run.config, run.folder)
    looked = _Looks(network, valid[:SAMPLE], steps, show)
    network.register_forward_hook(looked)
    with alone(run.folder):
        for _ in train(network, digits, valid, run.config, run.folder):
            pass
    looked.look()
    scores = cast("Scores", run.finish())  # of single digits: the recipe composes nothing
    show({"accuracy": scores.accuracy, "errors": scores.n - scores.correct, "n": scores.n})


class _Looks:
    """A hook that looks at a network in training, between its steps."""

    def __init__(
        self, network: nn.Module, digits: Digits, steps: int, show: Callable[[dict[str, Any]], object]
    ) -> None:
        self._network, self._digits, self._steps, self._show = network, digits, steps, show
        self._labels = torch.tensor(digits.labels).long()
        self._step, self._next = -1, 0

    def __call__(self, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        """Count a step, before it is taken, and look if it is time."""
        if not module.training:
            return
        self._step += 1
        if self._step >= self._next:
            self._next = self._step + max(1, min(self._step // 4, self._steps // LOOKS))
            self.look()

    def look(self) -> None:
        """Show loss, accuracy, the confusion matrix and the first filters."""
        classes = len(self._digits.names)
        logits = logits_of(self._network, self._digits.images, classes)
        counts = torch.bincount(classes * self._labels + logits.argmax(1), minlength=classes**2).reshape(
            classes, classes
        )
        first = next(module for module in self._network.modules() if isinstance(module, nn.Conv2d))
        self._show(
            {
                "step": min(self._step, self._steps),
                "loss": round(float(cross_entropy(logits, self._labels)), 4),
                "accuracy": int(counts.trace()) / len(self._labels),
                "confusion": counts.tolist(),
                "filters": [
                    [round(float(weight), 3) for weight in kernel.flatten()] for kernel in first.weight.detach()[:, 0]
                ],
            }
        )


def main() -> None:
    """Train as the arguments have it; an error is one line on standard error, and exit status 1."""
    parser = argparse.ArgumentParser(prog="python -m digitnet.training.live")
    parser.add_argument("--recipe", default="quick")
    parser.add_argument("--data", default="mnist")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--rate", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    try:
        watch(**vars(asked), show=lambda look: print(json.dumps(look), flush=True))
    except DigitNetError as error:
        sys.exit(f"Error: {error}")


if __name__ == "__main__":
    main()
