"""How the commands print scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from digitnet.core.classes import DIGIT_NAMES
from digitnet.core.terminal import console, put
from digitnet.core.text import percent

if TYPE_CHECKING:
    from digitnet.core.digits import Digits
    from digitnet.evaluation.line_metrics import LineScores
    from digitnet.evaluation.metrics import Answers, Scores


def print_rejecting(scores: Answers, shares: Sequence[float]) -> None:
    """Print the calibration, and the remaining error if shares (0..1) of the least confident answers are rejected."""
    from rich.table import Table

    print(f"Calibration: confidence and accuracy differ by {percent(scores.calibration_error)} (ECE, 15 bins)")
    table = Table("rejected", "confidence below", "error of the rest", "errors")
    for column in table.columns:
        column.justify = "right"
    for selection in map(scores.rejecting, shares):
        threshold = percent(selection.threshold) if selection.rejected else "-"
        table.add_row(percent(selection.rejected), threshold, percent(selection.error), f"{selection.errors:,}")
    console().print(table)


def print_scores(heading: str, scores: Scores, digits: Digits) -> None:
    """Print accuracy, each digit's scores and the most frequent confusions."""
    from rich.table import Table

    from digitnet.data.datasets import wrong_labels

    low, high = scores.interval
    print(f"{heading} {percent(scores.accuracy)}  (95% interval {percent(low)} to {percent(high)})")
    print(f"{scores.n - scores.correct:,} of {scores.n:,} digits read wrong")
    if wrong := wrong_labels(digits):
        rest = scores.without(wrong)
        print(f"Without the {len(wrong)} digits whose labels are known to be wrong: {percent(rest.accuracy)}")
    if scores.seen is not None and scores.seen.any() and (unseen := scores.unseen()):
        print(
            f"Without the {int(scores.seen.sum()):,} digits that the model was trained on: {percent(unseen.accuracy)}"
        )
    table = Table("digit" if scores.names == DIGIT_NAMES else "class", "images", "errors", "precision", "recall", "F1")
    for column in table.columns[1:]:
        column.justify = "right"
    names = scores.names
    for digit, name in enumerate(names):
        count = int(scores.confusion[digit].sum())
        wrong_count = count - int(scores.confusion[digit, digit])
        shares = [percent(float(s[digit])) if count else "-" for s in (scores.precision, scores.recall, scores.f1)]
        table.add_row(name, f"{count:,}", str(wrong_count), *shares)
    console().print(table)
    if pairs := scores.confused():
        listed = ", ".join(f"{names[pair.true]} read as {names[pair.predicted]} ({pair.count})" for pair in pairs)
        print(f"Most confused: {listed}")


def print_line_scores(heading: str, scores: LineScores) -> None:
    """Print how many texts were read exactly, and the remaining error if the least confident ones are rejected."""
    from digitnet.evaluation.line_metrics import LINE_SHARES

    low, high = scores.interval
    put(f"{heading}: {percent(scores.accuracy)} read exactly  (95% interval {percent(low)} to {percent(high)})")
    characters = percent(scores.character_error_rate)
    print(f"{scores.n - scores.correct:,} of {scores.n:,} read wrong; {characters} of the characters")
    print_rejecting(scores, LINE_SHARES)


def print_selection(scores: Scores) -> None:
    """Print the remaining error if the least confident digits are rejected for manual review."""
    from digitnet.evaluation.metrics import SHARES

    print_rejecting(scores, SHARES)
    if (safe := scores.selection()) is None:
        print("At most 0.1% wrong, with 95% certainty: not achievable; the digits are too few or too often misread")
    else:
        print(
            f"At most 0.1% wrong, with 95% certainty: reject the {percent(safe.rejected)} with a confidence below "
            f"{100 * safe.threshold:.4g}% for manual review"
        )
