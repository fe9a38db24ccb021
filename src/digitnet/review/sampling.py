"""How often accepted fields are wrong: an interval from the sampled ones, and the threshold for a target.

A share of the fields that need no review is reviewed all the same, among the doubtful ones, so that clerks cannot tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from digitnet.core.errors import DataError
from digitnet.core.text import percent

CERTAINTY = 0.95
"""Of intervals and limits."""

THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98, 0.985, 0.99, 0.993, 0.995, 0.997, 0.998, 0.999)
"""The thresholds that `threshold_for` chooses from."""

Checked = Sequence[tuple[float, bool, bool]]
"""Sampled fields, as `Store.checked` gives them: how doubtful, whether decided, whether wrong."""


@dataclass(frozen=True)
class Estimate:
    """How often accepted fields are wrong.

    checked, wrong: sampled fields that people decided, and those of them that were wrong. low, high: the interval of
    the true share, 0..1, by Clopper and Pearson, with `CERTAINTY`.
    """

    checked: int
    wrong: int
    low: float
    high: float

    def __str__(self) -> str:
        """Return it in words."""
        if not self.checked:
            return "error of accepted fields: not known yet, none of them was checked"
        interval = f"{CERTAINTY:.0%} interval {percent(self.low)} to {percent(self.high)}"
        return f"{percent(self.wrong / self.checked)} of accepted fields wrong ({interval}), {self.checked:,} checked"


def interval(wrong: int, checked: int, certainty: float = CERTAINTY) -> tuple[float, float]:
    """Return the exact interval of a share of which `wrong` in `checked` were seen (Clopper and Pearson, 1934)."""
    tail = (1 - certainty) / 2
    return _quantile(wrong, checked - wrong + 1, tail), at_most(wrong, checked, 1 - tail)


def at_most(wrong: int, checked: int, certainty: float = CERTAINTY) -> float:
    """Return what the share is at most, with that certainty."""
    return _quantile(wrong + 1, checked - wrong, certainty)


def estimate(checked: Checked, threshold: float) -> Estimate:
    """Return how often fields that are accepted from a threshold on are wrong."""
    bad = [wrong for doubt, done, wrong in checked if done and doubt <= 1 - threshold]
    return Estimate(len(bad), sum(bad), *interval(sum(bad), len(bad)))


def threshold_for(target: float, checked: Checked, present: float) -> float:
    """Return the lowest of `THRESHOLDS` from which at most a share `target` of accepted fields is wrong.

    It is so with `CERTAINTY` for all thresholds together (Bonferroni), so that choosing among them leaves it intact.
    present: the threshold that was reviewed by; below it the most doubtful fields were decided first, so a lower one
    counts only where all sampled fields from it on are decided. Raises DataError where none is known to be good enough.
    """
    certainty = 1 - (1 - CERTAINTY) / len(THRESHOLDS)
    for threshold in THRESHOLDS:
        some = [(done, wrong) for doubt, done, wrong in checked if doubt <= 1 - threshold]
        zone = [done for doubt, done, _ in checked if 1 - present < doubt <= 1 - threshold]
        bad = [wrong for done, wrong in some if done]
        if all(zone) and bad and at_most(sum(bad), len(bad), certainty) <= target:
            return threshold
    fields = len([done for _, done, _ in checked if done])
    raise DataError(
        f"an error of at most {percent(target)} is not certain at any threshold after {fields:,} checked fields; "
        "review more, raise --sample, or allow a larger error"
    )


def _quantile(a: int, b: int, share: float) -> float:
    from scipy.special import betaincinv

    if a == 0:
        return 0.0
    return 1.0 if b == 0 else float(betaincinv(a, b, share))
