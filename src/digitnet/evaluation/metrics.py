"""The scores of a classifier: `evaluate(classifier, digits) -> Scores`.

Everything is computed with numpy from two columns, the true digits and the predictions; the tests compare it with
scikit-learn.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from html import escape
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digitnet.core.classes import DIGIT_NAMES
from digitnet.core.digits import Classifier, Digits
from digitnet.core.errors import DataError
from digitnet.models.trained_on import ImageSet, warn_of_seen

BINS = 15
"""Bins of the expected calibration error."""

SHARES = (0.0, 0.002, 0.005, 0.01, 0.02, 0.05)
"""Shares sent to a person at which the error-versus-reject curve is told."""


@dataclass(frozen=True)
class Misread:
    """One digit read wrong: its index in the data, both labels, and the probability given to the wrong one."""

    index: int
    true: int
    predicted: int
    probability: float


@dataclass(frozen=True)
class Confusion:
    """How many digits of one label were read as another."""

    true: int
    predicted: int
    count: int


@dataclass(frozen=True)
class Selection:
    """The result of rejecting the least confident digits for manual review.

    threshold: the confidence, 0..1, below which a digit is rejected. rejected: the rejected share, 0..1. n: digits
    accepted. errors: the misread digits among them.
    """

    threshold: float
    rejected: float
    n: int
    errors: int

    @property
    def error(self) -> float:
        """Error rate of the accepted digits, 0..1; 0 if all are rejected."""
        return self.errors / self.n if self.n else 0.0


@dataclass(frozen=True, eq=False)
class Bins:
    """Answers by their confidence.

    n: number of answers per bin, (BINS,) int64. confidence: their mean confidence; accuracy: their accuracy; each
    (BINS,) 0..1, 0 for empty bins.
    """

    n: NDArray[np.int64]
    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]


def wilson_interval(correct: int, n: int) -> tuple[float, float]:
    """Return the 95% confidence interval of a share, low and high, 0..1: `correct` of `n`, at least 1.

    Wilson's score interval (1927): unlike the normal approximation, it holds near 100% and for few answers.
    """
    z, p = NormalDist().inv_cdf(0.975), correct / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    # At 0 and at n right the exact bounds are 0 and 1; rounding would miss them by 1e-17.
    return (0.0 if correct == 0 else centre - half, 1.0 if correct == n else centre + half)


class Answers:
    """Scores that depend only on which answers are correct and on their confidence."""

    right: NDArray[np.bool_]
    confidence: NDArray[np.float32]

    @property
    def n(self) -> int:
        """Number of answers scored."""
        return len(self.right)

    @property
    def correct(self) -> int:
        """Number of right answers."""
        return int(self.right.sum())

    @property
    def accuracy(self) -> float:
        """Share of right answers, 0..1."""
        return self.correct / self.n

    @property
    def interval(self) -> tuple[float, float]:
        """The accuracy's 95% confidence interval, low and high, 0..1; see `wilson_interval`."""
        return wilson_interval(self.correct, self.n)

    @property
    def calibration_error(self) -> float:
        """Expected calibration error, 0..1: how far confidence and accuracy differ, over `BINS` equal bins.

        The mean over all answers of |accuracy - mean confidence| of their bin (Naeini et al. 2015, Guo et al. 2017).
        """
        bins = self.bins
        return float((bins.n * np.abs(bins.confidence - bins.accuracy)).sum() / self.n)

    @property
    def bins(self) -> Bins:
        """The answers by their confidence, in `BINS` bins of equal width from 0 to 1."""
        place = np.minimum((self.confidence * BINS).astype(int), BINS - 1)
        n = np.bincount(place, minlength=BINS)
        sums = (np.bincount(place, value, BINS) for value in (self.confidence.astype(np.float64), self.right))
        return Bins(n, *(np.divide(total, n, out=np.zeros(BINS), where=n > 0) for total in sums))

    def ranked_errors(self) -> NDArray[np.int64]:
        """Return the rows of the wrong answers, most confident first; equals in their order."""
        wrong = np.flatnonzero(~self.right)
        return wrong[np.argsort(-self.confidence[wrong], kind="stable")]

    def rejecting(self, share: float) -> Selection:
        """Return the result of rejecting a share (0..1) of the answers, the least confident ones."""
        return self._keeping(self.n - round(share * self.n))

    sending = rejecting
    """The earlier name of `rejecting`."""

    def selection(self, error: float = 0.001, certainty: float = 0.95) -> Selection | None:
        """Return the largest selection whose error rate is at most `error` with `certainty` (both 0..1).

        Certainty is meant as by Clopper and Pearson (1934): if the true rate were higher than `error`, so few errors
        would occur with a probability of at most 1 - certainty. Answers of equal confidence stay together. None if no
        selection achieves this.
        """
        order = np.argsort(-self.confidence, kind="stable")
        errors = np.cumsum(~self.right[order])
        ends = np.flatnonzero(np.append(np.diff(self.confidence[order]) != 0, True))  # between equals is no threshold
        # Between two errors more answers are the stronger proof: it is enough to look where the next error would come.
        ends = ends[np.append(np.diff(errors[ends]) != 0, True)]
        # Markov's inequality rules most of them out without a sum: P(more than k of n) <= n * error / (k + 1).
        possible = (errors[ends] + 1) * certainty <= (ends + 1) * error
        for end in ends[possible][::-1]:
            if _binomial_cdf(int(errors[end]), int(end) + 1, error) <= 1 - certainty:
                return self._keeping(int(end) + 1)
        return None

    def _keeping(self, count: int) -> Selection:
        """Return the selection of the `count` surest answers."""
        order = np.argsort(-self.confidence, kind="stable")[:count]
        threshold = float(self.confidence[order[-1]]) if count else 1.0
        wrong = int((~self.right[order]).sum())
        return Selection(threshold, (self.n - count) / self.n, count, wrong)

    def _summary(self, shares: Sequence[float]) -> dict[str, Any]:
        """Return what all scores have in common, as plain numbers."""
        return {
            "accuracy": self.accuracy,
            "n": self.n,
            "errors": self.n - self.correct,
            "interval": list(self.interval),
            "calibration_error": self.calibration_error,
            "selection": [asdict(self.rejecting(share)) for share in shares],
        }


@dataclass(frozen=True, eq=False, repr=False)
class Scores(Answers):
    """A classifier's answers on labelled digits, and what follows from them.

    labels: (n,) uint8 0..9, the true digits. probs: (n, 10) float32, the predictions.
    names: what the labels stand for; with k other names than the ten digits, k takes the place of 10 here.
    index: (n,) int64, each digit's position in the scored data; 0 .. n-1 unless some were left out.
    seen: (n,) bool, which digits the classifier was trained or validated on; None if unknown.
    """

    labels: NDArray[np.uint8]
    probs: NDArray[np.float32]
    index: NDArray[np.int64]
    seen: NDArray[np.bool_] | None = None
    names: tuple[str, ...] = DIGIT_NAMES

    def __repr__(self) -> str:
        """Say the accuracy, its interval and the count."""
        low, high = self.interval
        return f"<Scores: {self.accuracy:.2%} of {self.n} correct, 95% interval {low:.2%} to {high:.2%}>"

    def _repr_html_(self) -> str:
        """Show accuracy and confusion matrix as a table in a notebook."""

        return scores_html(self)

    @cached_property
    def predicted(self) -> NDArray[np.uint8]:
        """The most probable digit of each row, (n,) uint8; the smaller one of equals."""
        predicted: NDArray[np.uint8] = self.probs.argmax(axis=1).astype(np.uint8)
        return predicted

    @cached_property
    def right(self) -> NDArray[np.bool_]:  # type: ignore[override]
        """Which digits were read correctly, (n,) bool."""
        right: NDArray[np.bool_] = self.predicted == self.labels
        return right

    @cached_property
    def confusion(self) -> NDArray[np.int64]:
        """The confusion matrix, (10, 10) int64 counts: rows are true digits, columns predicted ones."""
        k = len(self.names)
        cells = self.labels.astype(np.int64) * k + self.predicted
        return np.bincount(cells, minlength=k * k).reshape(k, k)

    @property
    def precision(self) -> NDArray[np.float64]:
        """The share of correct predictions among all predictions of a digit, (10,) 0..1; 0 if there are none."""
        return _ratio(self.confusion.diagonal(), self.confusion.sum(axis=0))

    @property
    def recall(self) -> NDArray[np.float64]:
        """The share of correct predictions among all images of a digit, (10,) 0..1; 0 without images."""
        return _ratio(self.confusion.diagonal(), self.confusion.sum(axis=1))

    @property
    def f1(self) -> NDArray[np.float64]:
        """Harmonic mean of precision and recall, (10,) 0..1; 0 if both are 0."""
        return _ratio(2 * self.confusion.diagonal(), self.confusion.sum(axis=0) + self.confusion.sum(axis=1))

    def confused(self, most: int = 5) -> list[Confusion]:
        """Return the most frequent confusions, most frequent first; equals in order of the digits."""
        counts = self.confusion - np.diag(self.confusion.diagonal())
        order = np.argsort(-counts, axis=None, kind="stable")[:most]
        cells = [divmod(int(i), len(self.names)) for i in order]
        return [Confusion(t, p, int(counts[t, p])) for t, p in cells if counts[t, p]]

    def worst(self, most: int = 10) -> list[Misread]:
        """Return the errors with the highest confidence, most confident first."""
        return [
            Misread(int(self.index[i]), int(self.labels[i]), int(self.predicted[i]), float(self.confidence[i]))
            for i in self.ranked_errors()[:most]
        ]

    @cached_property
    def confidence(self) -> NDArray[np.float32]:  # type: ignore[override]
        """The probability of each row's predicted digit, (n,) float32 in 0.1..1."""
        confidence: NDArray[np.float32] = self.probs.max(axis=1)
        return confidence

    def without(self, indices: Iterable[int]) -> Scores:
        """Return the scores on the other digits, those whose index is not among `indices`."""
        keep = ~np.isin(self.index, list(indices))
        seen = None if self.seen is None else self.seen[keep]
        return Scores(self.labels[keep], self.probs[keep], self.index[keep], seen, self.names)

    def unseen(self) -> Scores | None:
        """Return the scores on the digits that the classifier was not trained on; None if there are none."""
        rest = self if self.seen is None else self.without(self.index[self.seen])
        return rest if rest.n else None

    def to_dict(self) -> dict[str, Any]:
        """Return the scores as plain numbers and lists, ready for JSON; labels by their names, digits as numbers."""
        names = [int(name) if self.names == DIGIT_NAMES else name for name in self.names]

        def named(pair: Confusion | Misread) -> dict[str, Any]:
            return asdict(pair) | {"true": names[pair.true], "predicted": names[pair.predicted]}

        return self._summary(SHARES) | {
            "trained_on": None if self.seen is None else int(self.seen.sum()),
            **({} if self.names == DIGIT_NAMES else {"classes": names}),
            "confusion": self.confusion.tolist(),
            "digits": [
                {
                    "digit": names[digit],
                    "n": int(self.confusion[digit].sum()),
                    "precision": float(self.precision[digit]),
                    "recall": float(self.recall[digit]),
                    "f1": float(self.f1[digit]),
                }
                for digit in range(len(names))
            ],
            "confused": [named(pair) for pair in self.confused()],
            "worst": [named(misread) for misread in self.worst()],
        }


def evaluate(classifier: Classifier, digits: Digits) -> Scores:
    """Score a classifier on labelled digits.

    classifier: any function (n, 28, 28) uint8 -> (n, 10) probabilities; it is called once. If it has an attribute
        `trained_on`, as built-in models and runs do, digits that it was trained on cause a warning with their number.
    Raises DataError if the digits are empty or have no labels, if the classifier does not return probabilities
    (n, 10), or if it has the attribute `names` and a label is not among them.
    """
    _require_labels(digits)
    digits = digits.with_names(getattr(classifier, "names", digits.names))
    return scored(np.asarray(classifier(digits.images)), digits, getattr(classifier, "trained_on", None))


def scored(probs: NDArray[np.float32], digits: Digits, trained_on: ImageSet | None = None) -> Scores:
    """Return the scores of a classifier's answers (n, 10) on labelled digits; raises and warns as `evaluate` does.

    trained_on: the images that it was trained on, where they are known.
    """
    _require_labels(digits)
    answered = Digits(digits.images, digits.labels, probs, names=digits.names)
    if answered.probs is None or answered.labels is None:
        raise DataError("the classifier returned no probabilities")
    seen = None
    if trained_on is not None:
        seen = trained_on.has(digits.images)
        warn_of_seen(seen, trained_on, stacklevel=3)
    return Scores(answered.labels, answered.probs, np.arange(len(digits)), seen, digits.names)


def _require_labels(digits: Digits) -> None:
    if digits.labels is None:
        raise DataError("digits without labels cannot be scored; load them with their labels")
    if not len(digits):
        raise DataError("no digits to score")


def _ratio(part: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.divide(part, whole, out=np.zeros(len(whole)), where=whole > 0)


def _binomial_cdf(k: int, n: int, p: float) -> float:
    """Return the probability of at most k of n where each happens with probability p, 0 < p < 1."""
    log = [
        math.lgamma(n + 1) - math.lgamma(i + 1) - math.lgamma(n - i + 1) + i * math.log(p) + (n - i) * math.log1p(-p)
        for i in range(k + 1)
    ]
    return math.fsum(math.exp(each) for each in log)


def scores_html(scores: Scores) -> str:
    """Return accuracy, interval and confusion matrix as an HTML table."""
    from digitnet.core.text import percent

    low, high = scores.interval
    cell = "padding:.2em .45em;text-align:right;border:1px solid #fff"
    head = "".join(f'<th scope="col" style="text-align:right">{escape(digit)}</th>' for digit in scores.names)
    most = np.log1p(scores.confusion.max())
    rows = "".join(
        f'<tr><th scope="row">{escape(digit)}</th>'
        + "".join(f'<td style="{cell};{_shade(np.log1p(n) / most)}">{n:,}</td>' for n in row)
        + "</tr>"
        for digit, row in zip(scores.names, scores.confusion.tolist(), strict=True)
    )
    return (
        f"<p><b>{percent(scores.accuracy)}</b> of {scores.n:,} correct, 95% interval {percent(low)} to {percent(high)},"
        f" {scores.n - scores.correct:,} wrong</p>"
        f'<table style="font-variant-numeric:tabular-nums"><caption style="text-align:left">True digits in rows, '
        f"predicted digits in columns.</caption><thead><tr><td></td>{head}</tr></thead><tbody>{rows}</tbody></table>"
    )


def _shade(strength: float) -> str:
    """Return the colours of a cell, from white to dark blue."""
    light, dark = np.array([255, 255, 255]), np.array([8, 69, 148])
    red, green, blue = np.rint(light + strength * (dark - light)).astype(int)
    ink = "#bbb" if strength == 0 else "#fff" if strength > 0.5 else "#1c2230"
    return f"background:#{red:02x}{green:02x}{blue:02x};color:{ink}"
