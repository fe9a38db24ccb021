"""Two models on the same digits: where they differ, and whether this may be chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from digitnet.core.errors import DataError
from digitnet.evaluation.metrics import Scores


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two classifiers' scores on the same digits, row by row.

    one, other: the scores, with equal labels and index.
    """

    one: Scores
    other: Scores

    def __post_init__(self) -> None:
        """Refuse scores of different digits."""
        same = np.array_equal(self.one.index, self.other.index) and np.array_equal(self.one.labels, self.other.labels)
        if not same:
            raise DataError("the models were scored on different digits; score both on the same ones to compare them")

    @property
    def only_one(self) -> NDArray[np.int64]:
        """Rows that only the first read correctly, (n,) int64, highest joint confidence first."""
        return self._surest(self.one.right & ~self.other.right)

    @property
    def only_other(self) -> NDArray[np.int64]:
        """Rows that only the second read correctly, in the same order."""
        return self._surest(self.other.right & ~self.one.right)

    @property
    def both_wrong(self) -> int:
        """Number of digits that neither read correctly."""
        return int((~self.one.right & ~self.other.right).sum())

    @property
    def p(self) -> float:
        """The p-value of `mcnemar`, 0..1: the probability that chance alone separates equally good models this far."""
        return mcnemar(len(self.only_one), len(self.only_other))

    def _surest(self, rows: NDArray[np.bool_]) -> NDArray[np.int64]:
        sure = self.one.confidence + self.other.confidence
        return np.array(sorted(np.flatnonzero(rows), key=lambda row: -sure[row]), np.int64)


def mcnemar(only_one: int, only_other: int) -> float:
    """Return the two-sided p-value, 0..1, of McNemar's test in its exact form.

    only_one, only_other: how many of the same digits only the first and only the second model read correctly.
    If both were equally good, each of these would belong to either model with probability 1/2; p is the binomial
    probability of a split at least as uneven. (McNemar, "Note on the sampling error of the difference between
    correlated proportions or percentages", Psychometrika 12, 1947, has the approximation by chi-squared; the exact sum
    serves any number of digits. Dietterich, "Approximate statistical tests for comparing supervised classification
    learning algorithms", Neural Computation 10, 1998, recommends the test for models trained once.)
    """
    total, least = only_one + only_other, min(only_one, only_other)
    ways = below = 1  # exact, as Python's integers are: of `count` digits among `total`, and of so many or fewer
    for count in range(1, least + 1):
        ways = ways * (total - count + 1) // count
        below += ways
    share: float = below / 2**total
    return min(1.0, 2 * share)
