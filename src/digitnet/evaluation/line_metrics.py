"""Scores of whole numbers: the share read exactly, and character errors."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digitnet.evaluation.metrics import Answers

LINE_SHARES = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
"""As `SHARES`, for whole numbers."""


@dataclass(frozen=True)
class WrongLine:
    """One text read wrong: its index in the data, what is written, what was read, and how sure of it."""

    index: int
    true: str
    read: str
    confidence: float


@dataclass(frozen=True, eq=False, repr=False)
class LineScores(Answers):
    """Readings of whole numbers, and the true numbers.

    true, read: n strings of digits each; several numbers of one page are separated by spaces. confidence: (n,) float32
    in 0..1, that all of `read` is right.
    """

    true: tuple[str, ...]
    read: tuple[str, ...]
    confidence: NDArray[np.float32]

    def __repr__(self) -> str:
        """Say the accuracy, its interval and the count."""
        low, high = self.interval
        return f"<LineScores: {self.accuracy:.2%} of {self.n} read exactly, 95% interval {low:.2%} to {high:.2%}>"

    @cached_property
    def right(self) -> NDArray[np.bool_]:  # type: ignore[override]
        """Which texts were read exactly, (n,) bool."""
        return np.array([true == read for true, read in zip(self.true, self.read, strict=True)], bool)

    @cached_property
    def character_errors(self) -> int:
        """Least number of characters to change, insert or delete in all (Levenshtein 1966)."""
        return sum(edit_distance(true, read) for true, read in zip(self.true, self.read, strict=True))

    @property
    def character_error_rate(self) -> float:
        """Character errors by the number of true characters; above 1 if many are invented."""
        return self.character_errors / max(1, sum(map(len, self.true)))

    def worst(self, most: int = 10) -> list[WrongLine]:
        """Return the errors with the highest confidence, most confident first."""
        rows = self.ranked_errors()[:most]
        return [WrongLine(int(i), self.true[i], self.read[i], float(self.confidence[i])) for i in rows]

    def to_dict(self) -> dict[str, Any]:
        """Return the scores as plain numbers and lists, ready for JSON."""
        return self._summary(LINE_SHARES) | {
            "character_error_rate": self.character_error_rate,
            "worst": [asdict(wrong) for wrong in self.worst()],
        }


def edit_distance(one: str, other: str) -> int:
    """Return the least number of characters to change, insert or delete that turns one text into the other."""
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        before, row[0] = row[0], i
        for j, b in enumerate(other, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (a != b))
    return row[-1]
