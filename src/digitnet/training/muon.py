"""The optimizer Muon, for which one epoch on MNIST suffices.

PyTorch's own `torch.optim.Muon` takes matrices only; this one takes convolutions too, as matrices with one row per
output channel, and needs about a third of the arithmetic (see `orthogonal`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

STEPS = 5
"""Newton-Schulz iterations: singular values end between about 0.7 and 1.2."""

_A, _B, _C = 3.4445, -4.7750, 2.0315  # the quintic's coefficients, from Jordan's post


def orthogonal(g: Tensor) -> Tensor:
    """Return the nearest semi-orthogonal matrix to g (rows, columns), roughly: g with singular values near 1.

    Jordan's quintic Newton-Schulz iteration, X <- aX + b(XX')X + c(XX')^2 X. Every step multiplies from the left by
    a polynomial in XX', so the steps are taken on the small square matrix XX' alone and g is multiplied once.
    """
    if g.shape[0] > g.shape[1]:
        return orthogonal(g.mT).mT
    x = g / (g.norm() + 1e-7)
    gram = x @ x.T
    total = torch.eye(len(g), dtype=g.dtype, device=g.device)
    for step in range(STEPS):
        factor = torch.addmm(gram, gram, gram, beta=_B, alpha=_C)
        factor.diagonal().add_(_A)
        total = factor @ total
        if step < STEPS - 1:
            gram = factor @ gram @ factor
    result: Tensor = total @ x
    return result


class Muon(Optimizer):
    """Momentum whose every step is made orthogonal, for weights of two dimensions or more.

    Keller Jordan and others, "Muon: An optimizer for hidden layers in neural networks", 2024. `lr` is the size of a
    step's singular values, for tall matrices times sqrt(rows / columns); `momentum` is Nesterov's, 0..1. Biases and
    the first and last layer belong to another optimizer.
    """

    def __init__(self, params: Iterable[Tensor], lr: float, momentum: float = 0.9) -> None:
        """Take the weights to train; each keeps one buffer of its size."""
        super().__init__(params, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Move every weight that has a gradient."""
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                state = self.state[weight]
                if not state:
                    state["momentum"] = torch.zeros_like(weight)
                mean = state["momentum"].lerp_(weight.grad, 1 - group["momentum"])
                update = orthogonal(weight.grad.lerp(mean, group["momentum"]).flatten(1))
                rows, columns = update.shape
                scale = max(1.0, rows / columns) ** 0.5
                weight.add_(update.reshape(weight.shape), alpha=-group["lr"] * scale)
