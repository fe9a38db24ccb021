"""What the numbers of a report mean, in plain sentences."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

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
            f"Spoilt: {worst.name.replace('_', ' ')} hurts it most ({percent(worst.scores.accuracy)} read right), "
            f"{best.name.replace('_', ' ')} least ({percent(best.scores.accuracy)})."
        )
    if found.others:
        told.append(f"On other data: {', '.join(_elsewhere(each) for each in found.others)}.")
    if found.comparison and found.rival:
        told.append(verdict(found.comparison, short(found.done.model.name), short(found.rival.model.name)))
    return told


def _headline(found: Findings) -> str:
    scores, errors = found.scores, found.scores.n - found.scores.correct
    name, source = short(found.done.model.name), short(found.done.source)
    told = f"Of {count(scores.n, 'digit')} of {source}, {name} reads {scores.correct:,} right"
    if not errors:
        return f"{told}: every one."
    one_in = scores.n / errors
    often = f"one mistake in {one_in:,.0f} digits" if one_in >= 2 else f"{errors:,} mistakes"
    return f"{told} ({percent(scores.accuracy)}): {often}."


def _elsewhere(done: Evaluation) -> str:
    return f"{percent(done.scores.accuracy)} right of {count(done.scores.n, 'digit')} of {short(done.source)}"


def _mistakes(scores: Scores) -> list[str]:
    pairs = scores.confused(2)
    if not pairs:
        return []
    most = pairs[0]
    told = f"It mistakes {most.true} for {most.predicted} most often ({times(most.count)})"
    if most.count == 1:
        told = f"No mistake was made twice; one was to read a {most.true} as a {most.predicted}"
    elif len(pairs) > 1 and pairs[1].count == most.count:
        told = f"It mistakes {most.true} for {most.predicted} and {pairs[1].true} for {pairs[1].predicted} most often "
        told += f"({times(most.count)} each)"
    elif len(pairs) > 1:
        told += f", then {pairs[1].true} for {pairs[1].predicted} ({times(pairs[1].count)})"
    there = [digit for digit in range(10) if scores.confusion[digit].sum()]
    hard, easy = (choose(there, key=lambda digit: scores.recall[digit]) for choose in (min, max))
    if scores.recall[hard] == scores.recall[easy]:
        return [told + "."]
    return [
        told + ".",
        f"The {hard} is hardest for it: {percent(scores.recall[hard])} of them are read right. The {easy} is easiest, "
        f"with {percent(scores.recall[easy])}.",
    ]


def _sureness(scores: Scores) -> str:
    sure = float(scores.confidence.mean(dtype=float))
    if scores.calibration_error < 0.01:
        told = "Its confidence can be taken at its word"
    elif sure < scores.accuracy:
        told = "It is better than it thinks"
    else:
        told = "It is too sure of itself"
    told += f": on average {percent(sure)} sure, {percent(scores.accuracy)} right."
    chosen = scores.selection()
    if chosen is None:
        few = "These digits are too few, or too often misread, to name a threshold above which"
        return f"{told} {few} at most one in 1,000 would be wrong."
    if not chosen.rejected:
        return f"{told} At most one in 1,000 is wrong, with 95 % certainty, even if nothing is sent to a person."
    return (
        f"{told} If a person looks at the {percent(chosen.rejected)} it is least sure of, at most one in 1,000 of the "
        "rest is wrong, with 95 % certainty."
    )


def verdict(comparison: Comparison, one: str, other: str) -> str:
    """Return in a sentence whether two models differ by more than chance."""
    alone = len(comparison.only_one), len(comparison.only_other)
    if not sum(alone):
        return f"{one} and {other} read the same digits right: nothing tells them apart."
    better, worse = (one, other) if alone[0] > alone[1] else (other, one)
    told = f"{one} alone reads {count(alone[0], 'digit')} right, {other} alone {alone[1]:,}"
    if alone[0] == alone[1]:
        return f"{told}: they are equally good."
    p = comparison.p
    said = "p < 0.0001" if p < 0.0001 else f"p = {p:.2g}"
    if p < CHANCE:
        return f"{told}: {better} is better than {worse} by more than chance ({said}, McNemar's exact test)."
    return f"{told}: {better} may be ahead by chance ({said}, McNemar's exact test), which proves nothing."


def seeds_told(seeds: Sequence[tuple[int, float]]) -> str:
    """Return mean and standard deviation of the accuracy over two seeds or more."""
    shares = [100 * share for _, share in seeds]
    return f"{statistics.mean(shares):.2f} ± {statistics.stdev(shares):.2f} %"


def count(n: int, what: str) -> str:
    """Return a number of things."""
    return f"{n:,} {what}" + ("" if n == 1 else "s")


def times(n: int) -> str:
    """Return how often something happened."""
    return {1: "once", 2: "twice"}.get(n, f"{n:,} times")
