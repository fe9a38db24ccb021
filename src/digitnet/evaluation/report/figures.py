"""The figures that a report has, each with its caption, words for who cannot see it, and its data."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from digitnet.core.text import percent
from digitnet.evaluation import confusion
from digitnet.evaluation.metrics import BINS
from digitnet.evaluation.report import network_plots, plots
from digitnet.evaluation.report.measure import Findings, Look, Spoilt
from digitnet.evaluation.report.style import Drawing, Rows
from digitnet.evaluation.scoring import Evaluation


def drawings(found: Findings) -> dict[str, Drawing]:
    """Return every figure that the findings allow, by its name."""
    made = [*_errors(found), *_trust(found)]
    if found.history:
        made.append(_curves(found))
    if found.spoilt:
        made.append(_robustness(found))
    if found.others:
        made.append(_transfer(found))
    if isinstance(found.look, Look):
        made += _inside(found, found.look)
    if found.comparison and found.rival:
        made.append(_differences(found, found.rival))
    return {each.name: each for each in made}


def short(name: str) -> str:
    """Return how a model or a source is called on a page: the last part of its path."""
    return Path(name).name or name


def _errors(found: Findings) -> Iterator[Drawing]:
    scores = found.scores
    title = f"{short(found.done.model.name)} on {short(found.done.source)}"
    shares = confusion.row_shares(scores)
    yield Drawing(
        "confusion",
        "Confusion matrix",
        lambda: confusion.confusion_figure(scores, f"{title}: {scores.correct:,} of {scores.n:,} right"),
        "Rows are what the digits are, columns what they were read as. Off the diagonal lie the mistakes.",
        f"Confusion matrix: {scores.correct:,} of {scores.n:,} digits lie on the diagonal.",
        [["true", *map(str, range(10))], *([row, *counts] for row, counts in enumerate(scores.confusion.tolist()))],
    )
    yield Drawing(
        "shares",
        "Shares of each digit",
        lambda: confusion.shares_figure(scores, f"{title}: % of each true digit"),
        "The same as percent of each row: a row's diagonal is that digit's recall.",
        "The confusion matrix as percent of each true digit.",
        [["true", *map(str, range(10))], *([row, *cells] for row, cells in enumerate(shares.tolist()))],
    )
    pairs = scores.confused(10)
    if pairs:
        most = pairs[0]
        yield Drawing(
            "pairs",
            "The most confused pairs",
            lambda: plots.confusions_figure(scores),
            "How often one digit was taken for another, the ten most frequent. Bars of one or two digits are chance.",
            f"Bars: {most.true} was read as {most.predicted} most often, {most.count} times.",
            [["true", "read as", "digits"], *([pair.true, pair.predicted, pair.count] for pair in pairs)],
        )


def _curves(found: Findings) -> Drawing:
    names = ("number", "loss", "valid_accuracy", "lr", "seconds")
    last = found.history[-1]
    if len(found.history) == 1:
        see = "A single epoch leaves a point instead of a curve; a recipe of more epochs draws one."
    else:
        see = (
            "The loss, with label smoothing where the recipe has it, should fall and level off. Were validation "
            "accuracy to fall while the loss still does, the network would be learning its training digits by heart."
        )
    return Drawing(
        "curves",
        "While it learnt",
        lambda: plots.curves_figure(found.history),
        see + " The learning rate is that of an epoch's last step.",
        f"Loss, validation accuracy and learning rate over {len(found.history)} epochs; at the end the loss is "
        f"{last['loss']:.3f} and {percent(last['valid_accuracy'])} of the validation digits are read right.",
        [names, *([epoch[name] for name in names] for epoch in found.history)],
    )


def _trust(found: Findings) -> Iterator[Drawing]:
    scores = found.scores
    bins, chosen = scores.bins, scores.selection()
    table: Rows = [
        ["from", "to", "digits", "mean confidence", "share right"],
        *(
            [place / BINS, (place + 1) / BINS, *row]
            for place, row in enumerate(zip(bins.n.tolist(), bins.confidence, bins.accuracy, strict=True))
        ),
    ]
    yield Drawing(
        "reliability",
        "Can its confidence be believed?",
        lambda: plots.reliability_figure(scores),
        "On the dashed line, of what it is 80 % sure of 80 % are right. Above it the model is too modest, below it too "
        "sure of itself. The bars are how many digits each point stands for (their scale is logarithmic); few digits "
        f"make a long interval. On average the two differ by {percent(scores.calibration_error)}.",
        f"Reliability diagram; the expected calibration error is {percent(scores.calibration_error)}.",
        table,
    )
    if chosen is None:
        told = "These digits are too few, or too often misread, to show that at most 0.1 % of any share would be wrong."
    else:
        told = (
            f"The diamond is the least share with which at most 0.1 % of the rest are wrong with 95 % certainty: the "
            f"{percent(chosen.rejected)} that are less sure than {100 * chosen.threshold:.4g} %."
        )
    yield Drawing(
        "rejection",
        "Sending the least sure to a person",
        lambda: plots.rejection_figure(scores, chosen),
        f"To the right ever more of the least sure digits go to a person, and fewer of the rest are wrong. {told}",
        f"Error-versus-reject curve, from {percent(1 - scores.accuracy)} wrong with nothing sent. {told}",
        [["sent", "less sure than", "errors", "wrong of the rest"], *plots.rejection_rows(scores, chosen)],
    )


def ranked(found: Findings) -> list[Spoilt]:
    """Return the corruptions, the one that hurts most first."""
    return sorted(found.spoilt, key=lambda each: each.scores.accuracy)


def _robustness(found: Findings) -> Drawing:
    order = ranked(found)
    n = order[0].scores.n
    clean = found.scores.accuracy
    return Drawing(
        "robustness",
        "Spoilt in fifteen ways" if len(order) == 15 else "Spoilt digits",
        lambda: plots.robustness_figure(
            [each.name for each in order], [each.scores for each in order], [each.example for each in order], clean
        ),
        f"Share of {n:,} digits read wrong under each corruption of MNIST-C, with one digit as it looks then; "
        f"lines are 95 % intervals. Dashed: all {found.scores.n:,} digits as they are.",
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


def _transfer(found: Findings) -> Drawing:
    every = [found.done, *found.others]
    told = ", ".join(f"{short(each.source)} {percent(each.scores.accuracy)}" for each in every)
    return Drawing(
        "transfer",
        "On other digits",
        lambda: plots.transfer_figure([short(each.source) for each in every], [each.scores for each in every]),
        "Accuracy on each data set with its 95 % interval; the axis does not begin at 0. How well a model does on "
        "other people's digits says more about yours than the first line does.",
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


def _inside(found: Findings, look: Look) -> Iterator[Drawing]:
    cells = [
        [channel, row, column, float(look.filters[channel, row, column])]
        for channel, row, column in np.ndindex(*look.filters.shape)
    ]
    yield Drawing(
        "filters",
        "The first layer's filters",
        lambda: network_plots.filters_figure(look.filters),
        f"Each of the {len(look.filters)} squares is laid on every place of the picture: ink under blue speaks for the "
        "feature, under orange against it. Blue beside orange finds an edge.",
        f"{len(look.filters)} filters of {look.filters.shape[1]} x {look.filters.shape[2]} weights.",
        [["filter", "row", "column", "weight"], *cells],
    )
    digits, label = found.done.digits, found.scores.labels[look.example]
    yield Drawing(
        "maps",
        f"What the layers make of a {label}",
        lambda: network_plots.maps_figure(digits.images[look.example], look.layers),
        "Each square is one feature's map, stronger where the feature is found. Layer by layer maps become smaller and "
        "say less where ink is and more what it means.",
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
    yield Drawing(
        "needed",
        "The pixels that decided",
        lambda: network_plots.needed_figure(digits.images[look.shown], look.needed),
        "Orange is ink that the answer hangs on: were it paper, the digit would be less probable; the number is the "
        "largest such fall. Ink that has a double elsewhere is not needed, and what had to stay empty does not show.",
        "One digit of each kind, with the ink that decided marked.",
        [
            ["label", "row", "column", "ink", "fall of the probability"],
            *(
                [int(found.scores.labels[shown]), *place, int(digits.images[shown][place]), float(falls[place])]
                for shown, falls in zip(look.shown, look.needed, strict=True)
                for place in np.ndindex(28, 28)
            ),
        ],
    )
    labels, right = found.scores.labels[look.rows], found.scores.right[look.rows]
    yield Drawing(
        "plane",
        "A map of the hidden layer",
        lambda: network_plots.plane_figure(look.points, labels, right, look.explained),
        f"{len(look.rows):,} digits by what the hidden layer makes of them, on the two axes where they differ most "
        "(principal components). Digits that the network takes for alike lie close; a flat map shows only a part "
        f"of that, {100 * sum(look.explained):.0f} % of the variance.",
        f"Map of {len(look.rows):,} digits: each kind forms a group of its own.",
        [
            ["index", "true", "read as", "first axis", "second axis"],
            *(
                [int(found.scores.index[row]), int(found.scores.labels[row]), int(found.scores.predicted[row]), *point]
                for row, point in zip(look.rows, look.points.tolist(), strict=True)
            ),
        ],
    )


def _differences(found: Findings, rival: Evaluation) -> Drawing:
    names = short(found.done.model.name), short(rival.model.name)
    counts = [each.confusion.sum(axis=1) - each.confusion.diagonal() for each in (found.scores, rival.scores)]
    return Drawing(
        "differences",
        "Mistakes by digit",
        lambda: plots.differences_figure(names, found.scores, rival.scores),
        "How many of each digit the two models read wrong, on the same digits. A lead of a few digits is chance.",
        f"Bars: {names[0]} reads {counts[0].sum():,} digits wrong, {names[1]} {counts[1].sum():,}.",
        [["digit", *names], *([digit, int(counts[0][digit]), int(counts[1][digit])] for digit in range(10))],
    )
