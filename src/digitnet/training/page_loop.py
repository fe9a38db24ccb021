"""Training the page network: fresh pages for every epoch, each shown several times, augmented; and its loss.

for epoch in train_pages(network, teach, valid, config, out): ...
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from digitnet.core.errors import TrainingError
from digitnet.data.pages.compose import Composed, PageComposer
from digitnet.data.pages.truth import CHARACTER, IGNORED, KERNEL, OCTAVE, REGION, truth
from digitnet.evaluation.find_metrics import Boxes, FindScores
from digitnet.imaging.page_find import places_of, see
from digitnet.models.networks import device_of, set_mode
from digitnet.models.page_network import DIGITS, KINDS, STEP
from digitnet.training.config import TrainConfig, with_epochs
from digitnet.training.loop import Epoch, TrainingState, epochs, resolve

SHOWN = 8
"""Times that a page is shown in its epoch."""

CROP = 0.8
"""Share of a page's side that is shown at a time."""

MARGIN = 2.0
"""Pixels by which a place reaches beyond its number at each side: one of the fine maps."""

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

    def __getitem__(self, rows: Tensor) -> Batch:
        """Return some of the pages."""
        return Batch(self.image[rows], self.fine[rows], self.coarse[rows])

    def to(self, device: torch.device) -> Batch:
        """Return the pages on a device."""
        return Batch(self.image.to(device), self.fine.to(device), self.coarse.to(device))


def batch_of(pages: Iterable[Composed]) -> Batch:
    """Put composed pages of one size together with their maps."""
    rows = []
    for page in pages:
        maps = truth(page)
        coarse = np.stack([maps.kinds, maps.turn, maps.tall, maps.value])
        rows.append((page.image.transpose(2, 0, 1), maps.fine, coarse))
    return Batch(*(torch.from_numpy(np.stack(column)) for column in zip(*rows, strict=True)))


def train_pages(
    network: nn.Module,
    teach: Callable[[int], PageComposer],
    valid: Sequence[Composed],
    config: TrainConfig,
    out: Path,
    *,
    resume: bool = False,
) -> Iterator[Epoch]:
    """Train a network on pages composed anew for every epoch; else as `loop.train`.

    teach: gives the composer of the epoch of that seed. valid: pages that decide nothing and are only scored. An
    epoch's images are its showings, `SHOWN` a page.
    """
    if not config.pages or not valid:
        raise TrainingError(
            "training a page network needs `pages`, the number of pages per epoch, and pages for validation"
        )
    config = with_epochs(resolve(config), config.pages)
    device = torch.device(config.device)
    count = config.pages * SHOWN
    steps = -(-count // config.batch_size)

    def learn(training: TrainingState, number: int) -> tuple[float, float]:
        seed = config.seed * 100_003 + number
        composer, rng = teach(seed), torch.Generator(device).manual_seed(seed)
        pages = batch_of(composer.page() for _ in range(config.pages))
        order = torch.cat([torch.randperm(config.pages, generator=rng, device=device) for _ in range(SHOWN)]).cpu()
        total, step, lr = 0.0, (number - 1) * steps, 0.0
        for rows in torch.split(order, config.batch_size):
            lr = training.set_rate(config, step / (steps * config.epochs))
            value, _ = losses(training.network, pages[rows].to(device), config.precision == "bfloat16", rng)
            value.backward()  # type: ignore[no-untyped-call]
            training.step(config, step)
            step += 1
            total += value.item() * len(rows)
        return total / count, lr

    yield from epochs(network, config, out, count, learn, lambda kept: evaluate_pages(kept, valid), resume)


def losses(
    network: nn.Module, batch: Batch, bfloat16: bool, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """Show pages, changed, to a network on their device; return the loss and its parts as `loss` does."""
    side = int(CROP * batch.image.shape[-1]) // STEP * STEP
    with torch.no_grad():
        image, fine, coarse = augmented(batch, side, generator)
    with torch.autocast(image.device.type, torch.bfloat16, enabled=bfloat16):
        says_fine, says_coarse = network(image.contiguous(memory_format=torch.channels_last))
    return loss(says_fine, says_coarse, fine, coarse)


@torch.no_grad()
def evaluate_pages(network: nn.Module, pages: Iterable[Composed]) -> FindScores:
    """Score a network on pages, looked at as they are: numbers by hand and in print, by their upright boxes.

    Numbers that cannot be seen, `truth.IGNORED`, count neither as missed nor as found.
    """
    device = device_of(network)

    def answer(x: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        fine, coarse = network(torch.from_numpy(x).to(device))
        return fine.float().cpu().numpy(), coarse.float().cpu().numpy()

    def scored(page: Composed) -> tuple[Boxes, NDArray[np.bool_], Boxes]:
        height, width = page.kinds.shape
        middles = [mark.quad.mean(axis=0) for mark in page.marks]
        marks = [
            (mark, int(y) // 2, int(x) // 2)
            for mark, (x, y) in zip(page.marks, middles, strict=True)
            if 0 <= x < width and 0 <= y < height
        ]
        ignored = truth(page).fine & IGNORED
        counted = np.array([not ignored[y, x] for _, y, x in marks], bool)
        places = places_of(see(page.image, answer, 1.0)[0])
        around = np.array([-MARGIN, -MARGIN, MARGIN, MARGIN], np.float32)
        return _boxes([mark.quad for mark, _, _ in marks]) + around, counted, _boxes([place.quad for place in places])

    with set_mode(network, training=False):
        return FindScores.of(map(scored, pages))


def _boxes(quads: Sequence[NDArray[np.float32]]) -> Boxes:
    corners = np.array(quads, np.float32).reshape(-1, 4, 2)
    return np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)


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
    grain = torch.randn(image.shape, device=device, generator=generator)
    return _recoloured(image, grain, uniform), fine.to(torch.uint8), coarse.to(torch.uint8)


def _recoloured(image: Tensor, grain: Tensor, uniform: Callable[..., Tensor]) -> Tensor:
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
    strength = uniform(0, 0.03, 1, 1, 1) * (uniform(0, 1, 1, 1, 1) < 0.5)
    return (image + grain * strength).clamp(0, 1)
