"""The summary of a report, in sentences."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from digitnet.core.classes import DIGIT_NAMES
from digitnet.core.text import percent
from digitnet.evaluation.comparison import Comparison
from digitnet.evaluation.metrics import Scores
from digitnet.evaluation.report.figures import ranked, short
from digitnet.evaluation.report.measure import Findings
from digitnet.evaluation.scoring import Evaluation

CHANCE = 0.05
"""p-value below which a difference is called more than chance, by convention."""


def in_words(found: Findings) -> list[str]:
    """Return the sentences of a report's summary."""
    scores = found.scores
    told = [_headline(found), *_mistakes(scores), _sureness(scores)]
    if found.spoilt:
        worst, best = ranked(found)[0], ranked(found)[-1]
        told.append(
            f"Among the corruptions, {worst.name.replace('_', ' ')} hurts most ({percent(worst.scores.accuracy)}), "
            f"{best.name.replace('_', ' ')} least ({percent(best.scores.accuracy)})."
        )
    if found.others:
        told.append(f"On other data, it reads {', '.join(_elsewhere(each) for each in found.others)} correctly.")
    if found.comparison and found.rival:
        told.append(verdict(found.comparison, short(found.done.model.name), short(found.rival.model.name)))
    return told


def _headline(found: Findings) -> str:
    scores, errors = found.scores, found.scores.n - found.scores.correct
    name, source = short(found.done.model.name), short(found.done.source)
    told = f"{name} reads {scores.correct:,} of {count(scores.n, 'digit')} of {source} correctly"
    if not errors:
        return f"{told}: no errors."
    one_in = scores.n / errors
    often = f"one error in {one_in:,.0f} digits" if one_in >= 2 else f"{errors:,} errors"
    return f"{told} ({percent(scores.accuracy)}): {often}."


def _elsewhere(done: Evaluation) -> str:
    return f"{percent(done.scores.accuracy)} of {count(done.scores.n, 'digit')} of {short(done.source)}"


def _mistakes(scores: Scores) -> list[str]:
    pairs = scores.confused(2)
    if not pairs:
        return []
    most, names = pairs[0], scores.names
    told = f"The most frequent error is reading {names[most.true]} as {names[most.predicted]} ({times(most.count)})"
    if most.count == 1:
        told = (
            f"No error occurred more than once; for example, a {names[most.true]} was read as a {names[most.predicted]}"
        )
    elif len(pairs) > 1 and pairs[1].count == most.count:
        both = " and ".join(f"{names[pair.true]} as {names[pair.predicted]}" for pair in pairs)
        told = f"The most frequent errors are reading {both} ({times(most.count)} each)"
    elif len(pairs) > 1:
        second = f"{names[pairs[1].true]} as {names[pairs[1].predicted]}"
        told += f", followed by {second} ({times(pairs[1].count)})"
    there = [digit for digit in range(len(names)) if scores.confusion[digit].sum()]
    hard, easy = (choose(there, key=lambda digit: scores.recall[digit]) for choose in (min, max))
    kind = "digit" if names == DIGIT_NAMES else "class"
    if scores.recall[hard] == scores.recall[easy]:
        return [told + "."]
    return [
        told + ".",
        f"The hardest {kind} is {names[hard]} ({percent(scores.recall[hard])} read correctly), "
        f"the easiest {names[easy]} ({percent(scores.recall[easy])}).",
    ]


def _sureness(scores: Scores) -> str:
    sure = float(scores.confidence.mean(dtype=float))
    if scores.calibration_error < 0.01:
        told = "Its confidence is reliable"
    elif sure < scores.accuracy:
        told = "It is underconfident"
    else:
        told = "It is overconfident"
    told += f": the mean confidence is {percent(sure)}, the accuracy {percent(scores.accuracy)}."
    chosen = scores.selection()
    if chosen is None:
        few = "The digits are too few, or too often misread, to find a threshold above which"
        return f"{told} {few} at most one in 1,000 is wrong."
    if not chosen.rejected:
        return f"{told} At most one in 1,000 is wrong, with 95% certainty, even without manual review."
    return (
        f"{told} If the {percent(chosen.rejected)} with the lowest confidence are reviewed manually, at most one in "
        "1,000 of the others is wrong, with 95% certainty."
    )


def verdict(comparison: Comparison, one: str, other: str) -> str:
    """Return in a sentence whether two models differ by more than chance."""
    alone = len(comparison.only_one), len(comparison.only_other)
    if not sum(alone):
        return f"{one} and {other} read exactly the same digits correctly."
    better, worse = (one, other) if alone[0] > alone[1] else (other, one)
    told = f"{one} alone reads {count(alone[0], 'digit')} correctly, {other} alone {alone[1]:,}"
    if alone[0] == alone[1]:
        return f"{told}: a tie."
    p = comparison.p
    said = "p < 0.0001" if p < 0.0001 else f"p = {p:.2g}"
    if p < CHANCE:
        return f"{told}: {better} is significantly better than {worse} ({said}, McNemar's exact test)."
    return f"{told}: the lead of {better} may be chance ({said}, McNemar's exact test)."


def seeds_told(seeds: Sequence[tuple[int, float]]) -> str:
    """Return mean and standard deviation of the accuracy over two seeds or more."""
    shares = [100 * share for _, share in seeds]
    return f"{statistics.mean(shares):.2f} ± {statistics.stdev(shares):.2f}%"


def count(n: int, what: str) -> str:
    """Return a number of things."""
    return f"{n:,} {what}" + ("" if n == 1 else "s")


def times(n: int) -> str:
    """Return how often something happened."""
    return {1: "once", 2: "twice"}.get(n, f"{n:,} times")
