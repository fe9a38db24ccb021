"""The figures of a report, each with its caption, alternative text and data."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from digitnet.core.text import percent
from digitnet.evaluation import confusion
from digitnet.evaluation.metrics import BINS
from digitnet.evaluation.report import network_plots, plots
from digitnet.evaluation.report.measure import CorruptionScores, Findings, NetworkView
from digitnet.evaluation.report.style import ReportFigure, Rows
from digitnet.evaluation.scoring import Evaluation


def drawings(found: Findings) -> dict[str, ReportFigure]:
    """Return every figure that the findings allow, by its name."""
    made = [*_errors(found), *_trust(found)]
    if found.history:
        made.append(_curves(found))
    if found.spoilt:
        made.append(_robustness(found))
    if found.others:
        made.append(_transfer(found))
    if isinstance(found.look, NetworkView):
        made += _inside(found, found.look)
    if found.comparison and found.rival:
        made.append(_differences(found, found.rival))
    return {each.name: each for each in made}


def short(name: str) -> str:
    """Return how a model or a source is called on a page: the last part of its path."""
    return Path(name).name or name


def _errors(found: Findings) -> Iterator[ReportFigure]:
    scores = found.scores
    title = f"{short(found.done.model.name)} on {short(found.done.source)}"
    shares = confusion.row_shares(scores)
    yield ReportFigure(
        "confusion",
        "Confusion matrix",
        lambda: confusion.confusion_figure(scores, f"{title}: {scores.correct:,} of {scores.n:,} correct"),
        "True digits in rows, predicted digits in columns. Errors are off the diagonal.",
        f"Confusion matrix: {scores.correct:,} of {scores.n:,} digits lie on the diagonal.",
        [
            ["true", *scores.names],
            *([row, *counts] for row, counts in zip(scores.names, scores.confusion.tolist(), strict=True)),
        ],
    )
    yield ReportFigure(
        "shares",
        "Shares of each digit",
        lambda: confusion.confusion_figure(scores, f"{title}: % of each true digit", shares=True),
        "The same as percent of each row: the diagonal shows the recall of each digit.",
        "The confusion matrix as percent of each true digit.",
        [["true", *scores.names], *([row, *cells] for row, cells in zip(scores.names, shares.tolist(), strict=True))],
    )
    pairs, names = scores.confused(10), scores.names
    if pairs:
        most = pairs[0]
        yield ReportFigure(
            "pairs",
            "The most confused pairs",
            lambda: plots.confusions_figure(scores),
            "The ten most frequent confusions. Bars of one or two digits may be chance.",
            f"Bars: {names[most.true]} was read as {names[most.predicted]} most often, {most.count} times.",
            [
                ["true", "read as", "digits"],
                *([names[pair.true], names[pair.predicted], pair.count] for pair in pairs),
            ],
        )


def _curves(found: Findings) -> ReportFigure:
    names = ("number", "loss", "valid_accuracy", "lr", "seconds")
    last = found.history[-1]
    if len(found.history) == 1:
        see = "A single epoch gives a point instead of a curve; recipes with more epochs give a curve."
    else:
        see = (
            "The loss (with label smoothing, if the recipe uses it) should fall and level off. If the validation "
            "accuracy fell while the loss still does, the network would be overfitting."
        )
    return ReportFigure(
        "curves",
        "Training",
        lambda: plots.curves_figure(found.history),
        see + " The learning rate is that of the last step of each epoch.",
        f"Loss, validation accuracy and learning rate over {len(found.history)} epochs; at the end the loss is "
        f"{last['loss']:.3f} and {percent(last['valid_accuracy'])} of the validation digits are read correctly.",
        [names, *([epoch[name] for name in names] for epoch in found.history)],
    )


def _trust(found: Findings) -> Iterator[ReportFigure]:
    scores = found.scores
    bins, chosen = scores.bins, scores.selection()
    table: Rows = [
        ["from", "to", "digits", "mean confidence", "share right"],
        *(
            [place / BINS, (place + 1) / BINS, *row]
            for place, row in enumerate(zip(bins.n.tolist(), bins.confidence, bins.accuracy, strict=True))
        ),
    ]
    yield ReportFigure(
        "reliability",
        "Is its confidence reliable?",
        lambda: plots.reliability_figure(scores),
        "On the dashed line, 80% of the answers with a confidence of 80% are correct. Above the line the model is "
        "underconfident, below it overconfident. The bars show the number of digits at each point on a logarithmic "
        f"scale; few digits give a long interval. The mean difference is {percent(scores.calibration_error)}.",
        f"Reliability diagram; the expected calibration error is {percent(scores.calibration_error)}.",
        table,
    )
    if chosen is None:
        told = "The digits are too few, or too often misread, to guarantee an error of at most 0.1%."
    else:
        told = (
            f"The diamond is the smallest share for which at most 0.1% of the others are wrong with 95% certainty: the "
            f"{percent(chosen.rejected)} with a confidence below {100 * chosen.threshold:.4g}%."
        )
    yield ReportFigure(
        "rejection",
        "Rejecting the least confident answers",
        lambda: plots.rejection_figure(scores, chosen),
        f"Further to the right, more of the least confident digits are reviewed manually, and fewer of the others are "
        f"wrong. {told}",
        f"Risk-coverage curve, from {percent(1 - scores.accuracy)} wrong with nothing rejected. {told}",
        [["rejected", "confidence below", "errors", "error of the rest"], *plots.rejection_rows(scores, chosen)],
    )


def ranked(found: Findings) -> list[CorruptionScores]:
    """Return the corruptions, the one that hurts most first."""
    return sorted(found.spoilt, key=lambda each: each.scores.accuracy)


def _robustness(found: Findings) -> ReportFigure:
    order = ranked(found)
    n = order[0].scores.n
    clean = found.scores.accuracy
    return ReportFigure(
        "robustness",
        "Fifteen corruptions" if len(order) == 15 else "Corrupted digits",
        lambda: plots.robustness_figure(
            [each.name for each in order], [each.scores for each in order], [each.example for each in order], clean
        ),
        f"Error rate on {n:,} digits under each corruption of MNIST-C, with an example; "
        f"lines are 95% intervals. Dashed: all {found.scores.n:,} digits without corruption.",
        f"Bars: {order[0].name.replace('_', ' ')} hurts most, {percent(1 - order[0].scores.accuracy)} wrong; "
        f"{order[-1].name.replace('_', ' ')} least, {percent(1 - order[-1].scores.accuracy)}.",
        [
            ["corruption", "digits", "errors", "share wrong", "low", "high"],
            *(
                [each.name, n, n - each.scores.correct, 1 - each.scores.accuracy]
                + [1 - bound for bound in each.scores.interval[::-1]]
                for each in order
            ),
        ],
    )


def _transfer(found: Findings) -> ReportFigure:
    every = [found.done, *found.others]
    told = ", ".join(f"{short(each.source)} {percent(each.scores.accuracy)}" for each in every)
    return ReportFigure(
        "transfer",
        "On other digits",
        lambda: plots.transfer_figure([short(each.source) for each in every], [each.scores for each in every]),
        "Accuracy on each data set with its 95% interval; the axis does not begin at 0. The accuracy on data from "
        "other sources predicts the accuracy on your data better than the first line.",
        f"Accuracy on each data set: {told}.",
        [
            ["data", "digits", "errors", "accuracy", "low", "high"],
            *(
                [each.source, scores.n, scores.n - scores.correct, scores.accuracy, *scores.interval]
                for each in every
                for scores in [each.scores]
            ),
        ],
    )


def _inside(found: Findings, look: NetworkView) -> Iterator[ReportFigure]:
    cells = [
        [channel, row, column, float(look.filters[channel, row, column])]
        for channel, row, column in np.ndindex(*look.filters.shape)
    ]
    yield ReportFigure(
        "filters",
        "The first layer's filters",
        lambda: network_plots.filters_figure(look.filters),
        f"Each of the {len(look.filters)} filters is applied at every position: ink under blue is evidence "
        "for the feature, under orange against it. Blue beside orange detects an edge.",
        f"{len(look.filters)} filters of {look.filters.shape[1]} x {look.filters.shape[2]} weights.",
        [["filter", "row", "column", "weight"], *cells],
    )
    digits, label = found.done.digits, found.scores.labels[look.example]
    yield ReportFigure(
        "maps",
        f"The layers' output for a {label}",
        lambda: network_plots.maps_figure(digits.images[look.example], look.layers),
        "Each square is the map of one feature, brighter where the feature is found. With each layer, the maps become "
        "smaller and represent less the position of ink and more its meaning.",
        f"The feature maps of a {label} in {len(look.layers)} layers.",
        [
            ["layer", "map", "row", "column", "value"],
            *(
                [number, int(channel), row, column, float(maps[channel, row, column])]
                for number, maps in enumerate(look.layers, 1)
                for channel in network_plots.strongest(maps)
                for row, column in np.ndindex(*maps.shape[1:])
            ),
        ],
    )
    yield ReportFigure(
        "needed",
        "The decisive pixels",
        lambda: network_plots.needed_figure(digits.images[look.shown], look.needed),
        "Orange marks ink that the answer depends on: without it, the digit would be less probable; the number is the "
        "largest drop. Ink that is present twice is not marked, nor are areas that had to stay empty.",
        "One example of each digit, with the decisive ink marked.",
        [
            ["label", "row", "column", "ink", "fall of the probability"],
            *(
                [
                    found.scores.names[found.scores.labels[shown]],
                    *place,
                    int(digits.images[shown][place]),
                    float(falls[place]),
                ]
                for shown, falls in zip(look.shown, look.needed, strict=True)
                for place in np.ndindex(28, 28)
            ),
        ],
    )
    labels, right, names = found.scores.labels[look.rows], found.scores.right[look.rows], found.scores.names
    yield ReportFigure(
        "plane",
        "A map of the hidden layer",
        lambda: network_plots.plane_figure(look.points, labels, right, look.explained, names),
        f"The outputs of the hidden layer for {len(look.rows):,} digits, on their first two principal components. "
        "Digits that are similar to the network are close to each other; a flat map shows only a part "
        f"of this, {100 * sum(look.explained):.0f}% of the variance.",
        f"Map of {len(look.rows):,} digits: each kind forms a group of its own.",
        [
            ["index", "true", "read as", "first axis", "second axis"],
            *(
                [
                    int(found.scores.index[row]),
                    names[found.scores.labels[row]],
                    names[found.scores.predicted[row]],
                    *point,
                ]
                for row, point in zip(look.rows, look.points.tolist(), strict=True)
            ),
        ],
    )


def _differences(found: Findings, rival: Evaluation) -> ReportFigure:
    names = short(found.done.model.name), short(rival.model.name)
    counts = [each.confusion.sum(axis=1) - each.confusion.diagonal() for each in (found.scores, rival.scores)]
    return ReportFigure(
        "differences",
        "Errors by digit",
        lambda: plots.differences_figure(names, found.scores, rival.scores),
        "The number of errors of both models on the same digits. A difference of a few digits may be chance.",
        f"Bars: {names[0]} reads {counts[0].sum():,} digits wrong, {names[1]} {counts[1].sum():,}.",
        [
            ["digit", *names],
            *([name, int(one), int(other)] for name, one, other in zip(found.scores.names, *counts, strict=True)),
        ],
    )
