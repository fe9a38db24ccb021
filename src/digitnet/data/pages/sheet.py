"""A sheet being composed: its image, the kind of ink at every pixel, and its numbers with their positions.

Not covered: who writes (`writers.py`), what is written where (`compose.py`) and what a camera makes of it
(`photo.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

Colour = Sequence[float] | NDArray[np.floating[Any]]
"""Blue, green, red, 0..1."""

PAPER, PICTURE, RULE, PRINT, WRITING, PRINTED_NUMBER, NUMBER = range(7)
"""Kinds of ink, the more important the higher: where two share a pixel, the higher is its kind."""

SIGN = 10
"""The value of a character of a number that is not a digit."""

MIN_ALPHA = 0.3
"""Opacity from which a pixel counts as inked."""


@dataclass(eq=False)
class Mark:
    """A number on a sheet.

    quad: (4, 2) float32 corners in the order of reading: top left, top right, bottom right, bottom left. tall: height
    of its digits, pixels. printed: whether it is set in type. characters: of each the quad and the digit, or `SIGN`.
    """

    quad: Floats
    tall: float
    printed: bool
    characters: list[tuple[Floats, int]]


@dataclass(eq=False)
class Sheet:
    """A sheet that is drawn on.

    picture: (h, w, 3) float32, 0..1. kinds: (h, w) uint8, see `NUMBER`. marks: the numbers so far.
    """

    picture: Floats
    kinds: NDArray[np.uint8] = field(init=False)
    marks: list[Mark] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Begin with paper alone."""
        self.kinds = np.zeros(self.picture.shape[:2], np.uint8)

    @property
    def width(self) -> int:
        """Pixels."""
        return int(self.picture.shape[1])

    @property
    def height(self) -> int:
        """Pixels."""
        return int(self.picture.shape[0])

    def lay(self, alpha: Floats, left: int, top: int, colour: Colour, kind: int) -> None:
        """Blend a colour into the picture, as opaque as `alpha` (h, w) says, its top left corner at (left, top)."""
        high, wide = alpha.shape
        x0, y0, x1, y1 = max(left, 0), max(top, 0), min(left + wide, self.width), min(top + high, self.height)
        if x0 >= x1 or y0 >= y1:
            return
        alpha = alpha[y0 - top : y1 - top, x0 - left : x1 - left]
        part = self.picture[y0:y1, x0:x1]
        for channel in range(3):
            each = part[:, :, channel]
            each += (np.float32(colour[channel]) - each) * alpha
        self.rank(alpha, x0, y0, kind)

    def rank(self, alpha: Floats, left: int, top: int, kind: int) -> None:
        """Set the kind of ink where `alpha` is at least `MIN_ALPHA`; it lies within the sheet."""
        kinds = self.kinds[top : top + alpha.shape[0], left : left + alpha.shape[1]]
        inked = (alpha[: kinds.shape[0], : kinds.shape[1]] > MIN_ALPHA).astype(np.uint8)
        np.maximum(kinds, inked * np.uint8(kind), out=kinds)
