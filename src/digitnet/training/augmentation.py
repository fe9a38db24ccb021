"""Augmentation of batches of digits.

Every function takes images (n, 1, 28, 28) float in 0..1 and a `torch.Generator` on the same device, and gives a new
batch of the same shape, type and range. Strength 0 is the identity. No image is ever looked at alone: one call is a
handful of tensor operations for the whole batch.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import math
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from digitnet.core.errors import TrainingError
from digitnet.core.text import reason
from digitnet.training.config import is_own


def gentle(x: Tensor, rng: Generator) -> Tensor:
    """Write each digit as another hand might: turned, stretched, slanted, bent a little, and with another pen."""
    return thickness(warp(x, rng), rng)


def lively(x: Tensor, rng: Generator) -> Tensor:
    """As `gentle`, with more of each: for networks with room to learn it."""
    x = warp(x, rng, degrees=15.0, stretch=0.15, slant=0.2, bend=0.5)
    return thickness(x, rng, share=0.5, most=0.7)


def transfer(x: Tensor, rng: Generator) -> Tensor:
    """Write each digit as strangers would and see it as bad scanners, cameras and screens do."""
    x = some(widen, x, rng, 0.25)
    x = warp(x, rng, degrees=15.0, stretch=0.2, slant=0.25, shift=2.0, bend=0.5)
    x = thickness(x, rng, share=0.6, most=1.0)
    for change, share in (
        (coarsen, 0.3),
        (occlude, 0.1),
        (shade, 0.08),
        (contrast, 0.3),
        (blend, 0.15),
        (noise, 0.1),
    ):
        x = some(change, x, rng, share)
    return x


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


def some(change: Callable[[Tensor, Generator], Tensor], x: Tensor, rng: Generator, share: float) -> Tensor:
    """Apply a change to a random `share` (0..1) of the batch."""
    count = int(len(x) * share)
    if not count:
        return x
    rows = torch.randperm(len(x), generator=rng, device=x.device)[:count]
    x = x.clone()
    x[rows] = change(x[rows], rng)
    return x


def widen(x: Tensor, rng: Generator) -> Tensor:
    """Stretch narrow digits towards a width of 20 pixels, up to 2.2-fold, as scans cut to one shape are."""
    inked = (x.amax(2).squeeze(1) > 0.2).float()  # (n, width)
    steps = (torch.arange(x.shape[-1], device=x.device) * 2 + 1) / x.shape[-1] - 1
    left = torch.where(inked > 0, steps, 1.0).amin(1)
    right = torch.where(inked > 0, steps, -1.0).amax(1)
    width = (right - left).clamp(min=0.1)
    most = (20 / x.shape[-1] * 2 / width).clamp(1, 2.2)
    scale = 1 / most.lerp(torch.ones_like(most), _uniform(x, rng, 0, 0.7).flatten())
    still = torch.zeros_like(scale)
    maps = torch.stack([scale, still, (left + right) / 2, still, still + 1, still], dim=1).view(-1, 2, 3)
    return F.grid_sample(x, F.affine_grid(maps, list(x.shape), align_corners=False), align_corners=False)


def coarsen(x: Tensor, rng: Generator) -> Tensor:
    """Scan the digits at 9 to 24 pixels a side, half of them in black and white, and enlarge them again."""
    side = int(torch.randint(9, 25, (), generator=rng, device=x.device))
    small = F.interpolate(x, (side, side), mode="area")
    threshold = _uniform(x, rng, 0.2, 0.6)
    small = torch.where(_uniform(x, rng, 0, 1) < 0.5, (small > threshold).float(), small)
    smooth = F.interpolate(small, x.shape[-2:], mode="bilinear", align_corners=False)
    blocks = F.interpolate(small, x.shape[-2:], mode="nearest")
    return torch.where(_uniform(x, rng, 0, 1) < 0.5, smooth, blocks)


def contrast(x: Tensor, rng: Generator) -> Tensor:
    """Harden or soften the edges, and fade the ink to as little as a third."""
    gain, middle, ink = _uniform(x, rng, -0.7, 2.0).exp(), _uniform(x, rng, 0.2, 0.6), _uniform(x, rng, 0.35, 1)
    return ((x - middle) * gain + middle).clamp(0, 1) * ink


def shade(x: Tensor, rng: Generator) -> Tensor:
    """Lay an uneven grey over the paper, the ink keeping the rest of the range."""
    knots = torch.rand(len(x), 1, 4, 4, generator=rng, device=x.device)
    grey = F.interpolate(knots, x.shape[-2:], mode="bilinear", align_corners=True) * _uniform(x, rng, 0, 0.8)
    return torch.maximum(x, grey).lerp(grey + x * (1 - grey), _uniform(x, rng, 0, 1))


def blend(x: Tensor, rng: Generator) -> Tensor:
    """Pass each image through its own random 5x5 filter: blurred, smeared, sharpened, embossed.

    Half are mixed from positive weights (a blur), half from weights of both signs, whose answer is taken as absolute
    value (after Xu et al., "Robust and Generalizable Visual Representation Learning via Random Convolutions", 2021).
    """
    n, side = len(x), 5
    weights = torch.randn(n, 1, side, side, generator=rng, device=x.device)
    blur = _uniform(x, rng, 0, 1) < 0.5
    weights = torch.where(blur, weights.abs() ** 2, weights)
    weights = weights / weights.abs().sum((2, 3), keepdim=True)
    weights = torch.where(blur, weights, weights * 3)
    y = F.conv2d(x.transpose(0, 1), weights, padding=side // 2, groups=n).transpose(0, 1).abs().clamp(0, 1)
    return x.lerp(y, _uniform(x, rng, 0.3, 1))


def noise(x: Tensor, rng: Generator) -> Tensor:
    """Add grain to all pixels, and give a few of them any value at all."""
    grain = torch.randn(x.shape, generator=rng, device=x.device) * _uniform(x, rng, 0, 0.25)
    lost = torch.rand(x.shape, generator=rng, device=x.device) < _uniform(x, rng, -0.15, 0.25)
    return torch.where(lost, torch.rand(x.shape, generator=rng, device=x.device), x + grain).clamp(0, 1)


def occlude(x: Tensor, rng: Generator) -> Tensor:
    """Cover a band or a patch with one grey, or cross the digit with a thin straight line."""
    side = x.shape[-1]
    steps = torch.arange(side, device=x.device) + 0.5
    across, down = steps.view(1, 1, 1, -1), steps.view(1, 1, -1, 1)
    turn = _uniform(x, rng, 0, math.pi)
    x0, y0 = _uniform(x, rng, 4, side - 4), _uniform(x, rng, 4, side - 4)
    along = (across - x0) * turn.cos() + (down - y0) * turn.sin()
    beside = (down - y0) * turn.cos() - (across - x0) * turn.sin()
    kind = _uniform(x, rng, 0, 1)
    wide = torch.where(kind < 0.4, _uniform(x, rng, 2, 4), torch.where(kind < 0.6, _uniform(x, rng, 1, 3), 0.6))
    long = torch.where(kind < 0.4, _uniform(x, rng, 2, 5), 99.0)
    inside = ((along.abs() < long) & (beside.abs() < wide)).float()
    grey = torch.where(kind < 0.6, _uniform(x, rng, 0, 1), _uniform(x, rng, 0.5, 1))
    return x + inside * (grey - x)


def _uniform(x: Tensor, rng: Generator, low: float, high: float) -> Tensor:
    """Return one random number an image, (n, 1, 1, 1)."""
    return torch.rand(len(x), 1, 1, 1, generator=rng, device=x.device) * (high - low) + low


AUGMENTS: dict[str, Callable[[Tensor, Generator], Tensor]] = {
    "none": lambda x, rng: x,
    "gentle": gentle,
    "lively": lively,
    "transfer": transfer,
}
"""The ways to write a batch anew, by the name that a recipe gives."""


def named(name: str) -> Callable[[Tensor, Generator], Tensor]:
    """Return an augmentation by its name in `AUGMENTS`, or a function of one's own, module:function, by importing it.

    Raises TrainingError where there is no such function.
    """
    if not is_own(name):
        return AUGMENTS[name]
    module, _, function = name.partition(":")
    with _current_folder():
        try:
            found = getattr(importlib.import_module(module), function, None)
        except Exception as error:  # whatever a module of the user's raises
            raise TrainingError(f"augment {name}: {module} cannot be imported ({reason(error)})") from error
    if not callable(found):
        raise TrainingError(f"augment {name}: {module} has no function {function}")
    return _checked(name, found)


def _checked(name: str, change: Callable[[Tensor, Generator], Tensor]) -> Callable[[Tensor, Generator], Tensor]:
    def checked(x: Tensor, rng: Generator) -> Tensor:
        try:
            y = change(x, rng)
        except Exception as error:
            raise TrainingError(f"augment {name}: fails on images {tuple(x.shape)} ({reason(error)})") from error
        if not isinstance(y, Tensor) or y.shape != x.shape or y.dtype != x.dtype:
            given = f"{tuple(y.shape)} {y.dtype}" if isinstance(y, Tensor) else type(y).__name__
            raise TrainingError(f"augment {name}: gives {given} for {tuple(x.shape)} {x.dtype}; expected the same")
        return y

    return checked


@contextlib.contextmanager
def _current_folder() -> Iterator[None]:
    """Let modules of the current folder be imported, as `python -m` does."""
    sys.path.insert(0, str(Path.cwd()))
    try:
        yield
    finally:
        sys.path.pop(0)
