"""The page network: a colour page -> maps of the positions and directions of its numbers, and of other ink."""

from __future__ import annotations

import torch
from torch import Tensor, nn

FINE = ("kernel", "region", "character")
"""Maps at half the page's scale: the middle of a number, all of it, the middle of each of its characters; logits."""

KINDS, DIGITS = 7, 11
"""Kinds of ink (`page_sheet`); what a character is: a digit or a sign."""

COARSE = KINDS + DIGITS + 3
"""Maps at a quarter of its scale: logits of kinds and characters, then cosine and sine of the direction of reading, and
the height of digits, as the logarithm to base 2 of a sixteenth of it in pixels."""

STEP = 32
"""A page's sides must be multiples of it, pixels."""


class Residual(nn.Module):
    """Two convolutions and a way around them."""

    def __init__(self, width: int, dilation: int = 1) -> None:
        """Make both of `width` channels; the second sees `dilation` times as far."""
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU())
        self.second = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=dilation, dilation=dilation, bias=False), nn.BatchNorm2d(width)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(n, width, h, w) to the same."""
        out: Tensor = torch.relu(x + self.second(self.first(x)))
        return out


def _down(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(before, after, 3, 2, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU())


def _same(before: int, after: int, size: int = 3) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, size, padding=size // 2, bias=False), nn.BatchNorm2d(after), nn.ReLU()
    )


class PageNet(nn.Module):
    """Down to a thirty-second of the page for context, up again to a quarter, with what was seen on the way."""

    output_layers = 2
    """The last layers, `fine` and `coarse`, both of which give answers."""

    def __init__(self, widths: tuple[int, int, int, int, int] = (16, 24, 48, 96, 128)) -> None:
        """Make a network; widths: channels at a half, a quarter, ... a thirty-second of the page."""
        super().__init__()
        a, b, c, d, e = widths
        self.stem = _down(3, a)
        self.quarter = nn.Sequential(_down(a, b), Residual(b))
        self.eighth = nn.Sequential(_down(b, c), Residual(c))
        self.sixteenth = nn.Sequential(_down(c, d), Residual(d))
        self.deepest = nn.Sequential(_down(d, e), Residual(e, 2), Residual(e, 4))
        self.from_deepest, self.up_sixteenth = _same(e, d, 1), _same(d, d)
        self.from_sixteenth, self.up_eighth = _same(d, c, 1), _same(c, c)
        self.from_eighth, self.up_quarter = _same(c, b, 1), _same(b, b)
        self.mixed = _same(b, 2 * b, 1)
        self.fine = nn.Conv2d(2 * b, 4 * len(FINE), 1)
        self.coarse = nn.Conv2d(2 * b, COARSE, 1)
        if self.fine.bias is not None:
            nn.init.constant_(self.fine.bias, -3.0)  # most of a page is not a number
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x: (n, 3, h, w) 0..1; sides multiples of `STEP`. Returns (n, 3, h/2, w/2) and (n, `COARSE`, h/4, w/4)."""
        x = self.stem(x * 2 - 1)
        quarter = self.quarter(x)
        eighth = self.eighth(quarter)
        sixteenth = self.sixteenth(eighth)
        x = self.deepest(sixteenth)
        x = self.up_sixteenth(sixteenth + _double(self.from_deepest(x)))
        x = self.up_eighth(eighth + _double(self.from_sixteenth(x)))
        x = self.up_quarter(quarter + _double(self.from_eighth(x)))
        x = self.mixed(x)
        return nn.functional.pixel_shuffle(self.fine(x), 2), self.coarse(x)


def _double(x: Tensor) -> Tensor:
    return nn.functional.interpolate(x, scale_factor=2.0, mode="nearest")
