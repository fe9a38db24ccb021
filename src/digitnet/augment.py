"""Batches of digits in, the same digits written otherwise out.

Every function takes images (n, 1, 28, 28) float in 0..1 and a `torch.Generator` on the same device, and gives a new
batch of the same shape, type and range. Strength 0 is the identity. No image is ever looked at alone: one call is a
handful of tensor operations for the whole batch.
"""

from __future__ import annotations

import functools
import math

import torch
import torch.nn.functional as F
from torch import Generator, Tensor


def augment(x: Tensor, rng: Generator) -> Tensor:
    """Write each digit as another hand might: turned, stretched, slanted, bent, and with another pen."""
    return thickness(warp(x, rng), rng)


def warp(
    x: Tensor,
    rng: Generator,
    degrees: float = 12.0,
    stretch: float = 0.12,
    slant: float = 0.12,
    shift: float = 1.5,
    bend: float = 0.3,
    knots: int = 5,
) -> Tensor:
    """Move every digit's ink by its own random affine map and its own smooth elastic field, in one resampling.

    degrees: largest turn either way. stretch: largest natural logarithm of either axis' scale. slant: largest shear.
    shift: largest move, pixels. bend: largest elastic displacement at a knot, pixels; the field is a cubic
    interpolation of knots x knots random vectors (after Simard, Steinkraus, Platt 2003, who smoothed white noise).
    """
    n, size = len(x), x.shape[-1]

    def spread(width: float, *shape: int) -> Tensor:
        """Return uniform numbers in -width .. width, (n, *shape)."""
        return (torch.rand(n, *shape, generator=rng, device=x.device) * 2 - 1) * width

    pixel = 2 / size  # the grid's coordinates run from -1 to 1
    turn, wide, high = spread(math.radians(degrees)), spread(stretch).exp(), spread(stretch).exp()
    cos, sin, lean = turn.cos(), turn.sin(), spread(slant)
    right, down = spread(shift * pixel), spread(shift * pixel)
    affine = torch.stack([cos * wide, lean - sin * high, right, sin * wide, cos * high, down], dim=1)
    field = spread(bend * pixel, 2, knots * knots)
    # Where a pixel comes from is linear in all these numbers, so that one product gives the whole grid.
    maps = torch.cat([affine.view(n, 2, 3), field], dim=2).view(2 * n, 3 + knots * knots)
    grid = (maps @ _basis(size, knots).to(x.device)).view(n, 2, size, size).permute(0, 2, 3, 1)
    return F.grid_sample(x, grid, align_corners=False)


@functools.cache
def _basis(size: int, knots: int) -> Tensor:
    """Return what each number of an affine map and of a field does to each pixel: (3 + knots^2, size^2).

    Rows: the pixel's x, its y, one, then the weight of every knot in cubic interpolation.
    """
    steps = (torch.arange(size) * 2 + 1) / size - 1
    y, x = torch.meshgrid(steps, steps, indexing="ij")
    each_knot = torch.eye(knots * knots).view(1, -1, knots, knots)
    weights = F.interpolate(each_knot, (size, size), mode="bicubic", align_corners=True)
    return torch.cat([torch.stack([x, y, torch.ones_like(x)]), weights[0]]).flatten(1)


def thickness(x: Tensor, rng: Generator, share: float = 0.2, most: float = 0.5) -> Tensor:
    """Draw half of a random `share` of the digits with a broader pen, the other half with a finer one.

    Broader blends an image with its 3x3 maximum, finer with its 3x3 minimum, by a random amount up to `most`
    (0..1): at 1 a stroke grows or shrinks by one pixel on either side.
    """
    count = int(len(x) * share / 2)
    if not count:
        return x
    rows = torch.randperm(len(x), generator=rng, device=x.device)[: 2 * count]
    amount = torch.rand(2 * count, 1, 1, 1, generator=rng, device=x.device) * most
    broad, fine = x[rows[:count]], x[rows[count:]]
    x = x.clone()
    x[rows[:count]] = broad.lerp(_highest(broad), amount[:count])
    x[rows[count:]] = fine.lerp(-_highest(-fine), amount[count:] * 0.7)
    return x


def _highest(x: Tensor) -> Tensor:
    """Return each pixel's maximum over its 3x3 neighbourhood, with 0 beyond the border."""
    # The same as max_pool2d(x, 3, 1, 1) for ink, and faster on a CPU.
    x = F.pad(x, (1, 1, 1, 1))
    x = torch.maximum(torch.maximum(x[..., :-2], x[..., 1:-1]), x[..., 2:])
    return torch.maximum(torch.maximum(x[..., :-2, :], x[..., 1:-1, :]), x[..., 2:, :])
