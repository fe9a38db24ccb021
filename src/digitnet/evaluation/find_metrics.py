"""Scores of finding: how many numbers of pages were found, and how many of the places found are numbers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

OVERLAP = 0.5
"""Intersection over union of two boxes from which a place is a number's."""

Boxes = NDArray[np.float32]
"""(n, 4) left, top, right, bottom, pixels."""


@dataclass(frozen=True)
class FindScores:
    """Numbers on pages and what was found of them.

    n: numbers to find. found: those of them that were found. false: places found where no number is.
    """

    n: int
    found: int
    false: int

    @classmethod
    def of(cls, pages: Iterable[tuple[Boxes, NDArray[np.bool_], Boxes]]) -> FindScores:
        """Score pages: the boxes of each one's numbers, which of these count, and the boxes found."""
        n = hits = false = 0
        for numbers, counted, found in pages:
            match = matched(numbers, found)
            n += int(counted.sum())
            hits += int((match >= 0)[counted].sum())
            false += len(found) - int((match >= 0).sum())
        return cls(n, hits, false)

    @property
    def accuracy(self) -> float:
        """Share of the numbers that were found, 0..1: the recall."""
        return self.found / self.n if self.n else 0.0

    @property
    def precision(self) -> float:
        """Share of the places found that are numbers, 0..1; 0 where nothing was found."""
        return self.found / (self.found + self.false) if self.found else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return the scores as plain numbers, ready for JSON."""
        return asdict(self) | {"accuracy": self.accuracy, "precision": self.precision}


def matched(numbers: Boxes, found: Boxes) -> NDArray[np.int64]:
    """Return for each number the box found that is its, or -1: each box is one number's, best overlaps first."""
    low = np.maximum(numbers[:, None, :2], found[None, :, :2])
    high = np.minimum(numbers[:, None, 2:], found[None, :, 2:])
    common = np.clip(high - low, 0, None).prod(axis=2)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in (numbers, found)]
    overlap = common / np.maximum(areas[0][:, None] + areas[1][None] - common, 1e-6)
    match, taken = np.full(len(numbers), -1, np.int64), np.zeros(len(found), bool)
    for place in np.argsort(-overlap, axis=None, kind="stable"):
        number, box = divmod(int(place), len(found))
        if overlap[number, box] < OVERLAP:
            break
        if match[number] < 0 and not taken[box]:
            match[number], taken[box] = box, True
    return match
