"""Images that are not digits: letters, pairs and pieces of digits, scribbles, shapes.

As everything in `augmentation.py`: (n, 1, 28, 28) float in 0..1, whole batches, randomness passed in.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from digitnet.core.digits import IMAGE_SIZE

SHARES = {
    "letters": 0.48,
    "pairs": 0.12,
    "overlaid": 0.04,
    "pieces": 0.05,
    "scribbles": 0.12,
    "shapes": 0.11,
    "textures": 0.08,
}
"""How many of the negatives are of which kind."""


def negatives(digits: Tensor, letters: Tensor, count: int, rng: Generator) -> Tensor:
    """Return `count` images that are no digit, (count, 1, 28, 28).

    digits: (n, 1, 28, 28), some of which are put together or taken apart.
    letters: (m, 1, 28, 28), framed as digits are.
    """
    counts = {kind: round(share * count) for kind, share in SHARES.items()}
    counts["letters"] += count - sum(counts.values())
    made = [
        _zoomed(_pick(letters, counts["letters"], rng), rng, 0.95, 1.45),
        pairs(_pick(digits, counts["pairs"], rng), _pick(digits, counts["pairs"], rng), rng),
        overlaid(_pick(digits, counts["overlaid"], rng), _pick(digits, counts["overlaid"], rng), rng),
        pieces(_pick(digits, counts["pieces"], rng), rng),
        scribbles(counts["scribbles"], rng, digits.device),
        shapes(counts["shapes"], rng, digits.device),
        textures(counts["textures"], rng, digits.device),
    ]
    return torch.cat(made)


def pairs(left: Tensor, right: Tensor, rng: Generator) -> Tensor:
    """Put two digits side by side, each about half as wide."""
    n = len(left)
    gap = _numbers(n, rng, 0.42, 0.6, left)
    wide, high = _numbers(n, rng, 1.6, 2.3, left), _numbers(n, rng, 1.0, 1.7, left)
    return torch.maximum(_stretched(left, wide, high, gap * wide), _stretched(right, wide, high, -gap * wide))


def overlaid(below: Tensor, above: Tensor, rng: Generator) -> Tensor:
    """Write one digit over another, moved by 4 to 7 pixels."""
    n = len(below)
    one, turn = torch.ones(n, device=below.device), _numbers(n, rng, 0, 2 * math.pi, below)
    far = _numbers(n, rng, 0.3, 0.5, below)
    moved = _stretched(above, one * 1.15, one * 1.15, far * turn.cos(), far * turn.sin())
    return torch.maximum(_stretched(below, one * 1.15, one * 1.15, -far * turn.cos(), -far * turn.sin()), moved)


def pieces(x: Tensor, rng: Generator) -> Tensor:
    """Enlarge a small part of each digit to the whole frame."""
    n = len(x)
    zoom = _numbers(n, rng, 0.3, 0.45, x)
    return _stretched(x, zoom, zoom, _numbers(n, rng, -0.35, 0.35, x), _numbers(n, rng, -0.35, 0.35, x))


def scribbles(count: int, rng: Generator, device: torch.device | None = None) -> Tensor:
    """Draw one wild curve an image: cubic interpolation of 7 to 12 random points."""
    points = int(torch.randint(7, 13, (), generator=rng, device=device))
    knots = torch.rand(count, 2, points, 1, generator=rng, device=device) * 20 + 4
    path = F.interpolate(knots, (points * 9, 1), mode="bicubic", align_corners=True).squeeze(3)  # (n, 2, steps)
    steps = torch.arange(IMAGE_SIZE, device=device) + 0.5
    across = (steps.view(1, IMAGE_SIZE, 1) - path[:, 0].unsqueeze(1)) ** 2  # (n, 28, steps)
    down = (steps.view(1, IMAGE_SIZE, 1) - path[:, 1].unsqueeze(1)) ** 2
    apart = (down.unsqueeze(2) + across.unsqueeze(1)).amin(3).sqrt().unsqueeze(1)  # (n, 1, 28, 28)
    pen = torch.rand(count, 1, 1, 1, generator=rng, device=device) * 1.3 + 0.5
    return (pen + 0.5 - apart).clamp(0, 1)


def shapes(count: int, rng: Generator, device: torch.device | None = None) -> Tensor:
    """Fill one to three boxes or ellipses an image, some with a pattern: silhouettes of things."""
    steps = torch.arange(IMAGE_SIZE, device=device) + 0.5
    across, down = steps.view(1, 1, 1, -1), steps.view(1, 1, -1, 1)
    picture = torch.zeros(count, 1, IMAGE_SIZE, IMAGE_SIZE, device=device)
    for layer in range(3):
        size = (count, 1, 1, 1)

        def draw(low: float, high: float, size: tuple[int, ...] = size) -> Tensor:
            return torch.rand(size, generator=rng, device=device) * (high - low) + low

        turn, x0, y0 = draw(-0.5, 0.5), draw(9, 19), draw(9, 19)
        along = ((across - x0) * turn.cos() + (down - y0) * turn.sin()) / draw(3, 13)
        beside = ((down - y0) * turn.cos() - (across - x0) * turn.sin()) / draw(4, 13)
        power = torch.where(draw(0, 1) < 0.5, 2.0, 8.0)  # an ellipse, or nearly a box
        inside = (along.abs() ** power + beside.abs() ** power < 1).float()
        wave = 0.5 + 0.5 * torch.sin(along * draw(0, 20) + beside * draw(0, 20))
        fill = draw(0.25, 1) * torch.where(draw(0, 1) < 0.4, wave, 1.0)
        here = (draw(0, 1) < (1.0, 0.7, 0.4)[layer]).float() * inside
        picture = picture + here * (fill - picture)
    return picture


def textures(count: int, rng: Generator, device: torch.device | None = None) -> Tensor:
    """Return noise of every grain, much of it in black and white, and empty images of one grey."""
    side = int(torch.randint(2, IMAGE_SIZE + 1, (), generator=rng, device=device))
    grain = torch.rand(count, 1, side, side, generator=rng, device=device)
    smooth = F.interpolate(grain, (IMAGE_SIZE, IMAGE_SIZE), mode="bilinear", align_corners=False)
    kind = torch.rand(count, 1, 1, 1, generator=rng, device=device)
    level = torch.rand(count, 1, 1, 1, generator=rng, device=device)
    hard = (smooth > level * 0.6 + 0.2).float()
    flat = level.expand_as(smooth) * (kind < 0.85)
    return torch.where(kind < 0.3, smooth, torch.where(kind < 0.7, hard, flat))


def _pick(x: Tensor, count: int, rng: Generator) -> Tensor:
    """Return `count` random rows."""
    return x[torch.randint(len(x), (count,), generator=rng, device=x.device)]


def _zoomed(x: Tensor, rng: Generator, low: float, high: float) -> Tensor:
    """Enlarge each image by its own factor in each direction."""
    n = len(x)
    still = torch.zeros(n, device=x.device)
    return _stretched(x, 1 / _numbers(n, rng, low, high, x), 1 / _numbers(n, rng, low, high, x), still, still)


def _stretched(x: Tensor, wide: Tensor, high: Tensor, right: Tensor, down: Tensor | None = None) -> Tensor:
    """Sample each image at (x * wide + right, y * high + down), in coordinates from -1 to 1; all (n,)."""
    if not len(x):
        return x  # F.affine_grid refuses an empty batch
    zero = torch.zeros_like(wide)
    rows = [wide, zero, right, zero, high, zero if down is None else down]
    grid = F.affine_grid(torch.stack(rows, 1).view(-1, 2, 3), list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, align_corners=False)


def _numbers(n: int, rng: Generator, low: float, high: float, like: Tensor) -> Tensor:
    return torch.rand(n, generator=rng, device=like.device) * (high - low) + low
