"""Training the page network: its loss, and the augmentation of composed pages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from digitnet.data.pages.truth import CHARACTER, IGNORED, KERNEL, OCTAVE, REGION
from digitnet.models.page_network import DIGITS, KINDS

KIND_WEIGHTS = (0.3, 0.4, 0.7, 1.0, 1.0, 1.5, 1.5)
"""Weights of the kinds of ink in the loss, from paper to numbers."""

TYPICAL = 20.0
"""Height of digits whose pixels weigh 1; those of larger ones, which are more, weigh less."""


@dataclass
class Batch:
    """Pages and their maps; see `truth.Truth`. image: (n, 3, h, w) uint8."""

    image: Tensor
    fine: Tensor
    coarse: Tensor
    """(n, 4, h/4, w/4) uint8: kinds, turn, tall, value."""


def loss(fine: Tensor, coarse: Tensor, truth_fine: Tensor, truth_coarse: Tensor) -> tuple[Tensor, Tensor]:
    """Return the loss and its parts: kernel, region, character, kinds, value, direction, height.

    fine, coarse: the network's answers. truth_fine: (n, h/2, w/2) uint8; truth_coarse: (n, 4, h/4, w/4) uint8.
    """
    fine, coarse = fine.float(), coarse.float()
    kinds, turn, tall, value = (truth_coarse[:, i].long() for i in range(4))
    pixels = torch.exp2(tall.float() / OCTAVE)
    weight = torch.where(tall > 0, (TYPICAL / pixels).clamp(0.2, 2.5), torch.ones_like(pixels))
    known = (truth_fine & IGNORED) == 0
    weight_fine = functional.interpolate(weight[:, None], scale_factor=2.0, mode="nearest")[:, 0] * known
    parts = []
    for index, bit in enumerate((KERNEL, REGION, CHARACTER)):
        parts.append(_map_loss(fine[:, index], ((truth_fine & bit) > 0).float(), weight_fine))
    known_coarse = known[:, ::2, ::2].float()
    kind_weights = torch.tensor(KIND_WEIGHTS, device=fine.device)
    each = functional.cross_entropy(coarse[:, :KINDS], kinds, weight=kind_weights, reduction="none")
    share = kind_weights[kinds] * known_coarse
    parts.append((each * known_coarse).sum() / share.sum().clamp(min=1))
    inside = (value > 0).float() * weight
    each = functional.cross_entropy(coarse[:, KINDS : KINDS + DIGITS], (value - 1).clamp(min=0), reduction="none")
    parts.append((each * inside).sum() / inside.sum().clamp(min=1))
    number = (tall > 0).float() * weight
    angle = turn.float() * (torch.pi / 128)
    off = (coarse[:, -3] - angle.cos()) ** 2 + (coarse[:, -2] - angle.sin()) ** 2
    parts.append((off * number).sum() / number.sum().clamp(min=1))
    off = functional.smooth_l1_loss(coarse[:, -1], tall.float() / OCTAVE - 4, reduction="none")
    parts.append((off * number).sum() / number.sum().clamp(min=1))
    together = torch.stack(parts)
    scale = torch.tensor([1.0, 1.0, 0.7, 0.6, 0.35, 0.6, 0.4], device=fine.device)
    return (together * scale).sum(), together.detach()


def _map_loss(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Cross entropy, of what is nearly right less, and one minus the overlap (dice)."""
    probs = logits.sigmoid()
    each = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    each = each * (0.1 + (probs.detach() - target).abs()) * weight
    positive = (target * weight).sum()
    entropy = each.sum() / (positive + 0.002 * target.numel())
    overlap = 2 * (probs * target * weight).sum() / ((probs * weight).sum() + positive + 1)
    return entropy + 1 - overlap


def augmented(batch: Batch, side: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor, Tensor]:
    """Return pages (n, 3, side, side) float 0..1 and their maps, turned, scaled, moved, recoloured.

    side: a multiple of 32.
    """
    device, n = batch.image.device, len(batch.image)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return torch.rand(n, *shape, device=device, generator=generator) * (high - low) + low

    size = batch.image.shape[-1]
    times = torch.exp2(uniform(-0.55, 0.35))
    quarter = torch.where(uniform(0, 1) < 0.12, torch.floor(uniform(1, 4)), torch.zeros(n, device=device))
    angle = quarter * (torch.pi / 2) + torch.where(
        uniform(0, 1) < 0.5, uniform(-0.12, 0.12), torch.zeros(n, device=device)
    )
    room = (1 - side / (size * times)).clamp(min=0)
    shift = uniform(-1, 1, 2) * room[:, None]
    scale = side / (size * times)
    theta = torch.zeros(n, 2, 3, device=device)
    theta[:, 0, 0], theta[:, 0, 1] = angle.cos() * scale, angle.sin() * scale
    theta[:, 1, 0], theta[:, 1, 1] = -angle.sin() * scale, angle.cos() * scale
    theta[:, :, 2] = shift
    grid = functional.affine_grid(theta, [n, 1, side, side], align_corners=False)
    fill = uniform(0, 1, 3, 1, 1)
    image = functional.grid_sample(batch.image.float() / 255 - fill, grid, align_corners=False) + fill
    half = functional.affine_grid(theta, [n, 1, side // 2, side // 2], align_corners=False)
    fine = functional.grid_sample(batch.fine[:, None].float(), half, "nearest", align_corners=False)[:, 0]
    quarter_grid = functional.affine_grid(theta, [n, 1, side // 4, side // 4], align_corners=False)
    coarse = functional.grid_sample(batch.coarse.float(), quarter_grid, "nearest", align_corners=False)
    tall = coarse[:, 2] + torch.where(coarse[:, 2] > 0, OCTAVE * torch.log2(times)[:, None, None], 0.0)
    turned = torch.remainder(coarse[:, 1] + (angle * (128 / torch.pi))[:, None, None], 256)
    coarse = torch.stack([coarse[:, 0], turned, tall.clamp(0, 255), coarse[:, 3]], 1).round()
    coarse[:, 1] = torch.remainder(coarse[:, 1], 256)
    return _recoloured(image, uniform), fine.to(torch.uint8), coarse.to(torch.uint8)


def _recoloured(image: Tensor, uniform: Callable[..., Tensor]) -> Tensor:
    """Change gamma, contrast, brightness and colours; turn some dark for light; add some grain."""
    n = len(image)
    image = image.clamp(0, 1) ** torch.exp2(uniform(-0.6, 0.6, 1, 1, 1))
    order = torch.argsort(uniform(0, 1, 3), dim=1)
    order = torch.where(uniform(0, 1, 1) < 0.25, order, torch.arange(3, device=image.device).expand(n, 3))
    image = torch.gather(image, 1, order[:, :, None, None].expand_as(image))
    image = torch.where(uniform(0, 1, 1, 1, 1) < 0.08, 1 - image, image)
    grey = image.mean(1, keepdim=True)
    image = torch.where(uniform(0, 1, 1, 1, 1) < 0.15, grey.expand_as(image), image)
    image = (image - 0.5) * uniform(0.6, 1.2, 1, 1, 1) + 0.5 + uniform(-0.12, 0.12, 1, 1, 1)
    grain = uniform(0, 0.03, 1, 1, 1) * (uniform(0, 1, 1, 1, 1) < 0.5)
    return (image + torch.randn_like(image) * grain).clamp(0, 1)
