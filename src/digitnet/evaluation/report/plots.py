"""The charts of a report: training, calibration, rejection, robustness, transfer, and differences of two models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from digitnet.core.text import percent
from digitnet.evaluation.confusion import plain
from digitnet.evaluation.metrics import BINS, Answers, Scores, Selection, wilson_interval
from digitnet.evaluation.report.style import (
    BLUE,
    GREEN,
    NARROW,
    ORANGE,
    SOFT,
    TEXT_COLOUR,
    WIDE,
    blank,
    show_digit,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@styled
def curves_figure(history: Sequence[dict[str, Any]]) -> Figure:
    """Draw a run's loss, validation accuracy and learning rate over its epochs."""
    from matplotlib.ticker import MaxNLocator

    figure = blank(WIDE, 2.5)
    loss, right, rate = figure.subplots(1, 3, sharex=True)
    numbers = [epoch["number"] for epoch in history]
    mark = "o" if len(history) <= 30 else ""
    for axes, name, label, colour in (
        (loss, "loss", "training loss", BLUE),
        (right, "valid_accuracy", "validation accuracy, %", GREEN),
        (rate, "lr", "learning rate", ORANGE),
    ):
        scale = 100 if name == "valid_accuracy" else 1
        axes.plot(numbers, [scale * epoch[name] for epoch in history], marker=mark, markersize=4, color=colour)
        axes.set_ylabel(label)
        axes.grid(axis="y")
    for axes in (loss, rate):
        axes.set_ylim(bottom=0)
    rate.ticklabel_format(axis="y", style="sci", scilimits=(-2, 3))
    accuracies = [100 * epoch["valid_accuracy"] for epoch in history]
    margin = max(0.25, 0.12 * (max(accuracies) - min(accuracies)))
    right.set_ylim(max(0.0, min(accuracies) - margin), max(accuracies) + margin)
    rate.set_xlim(0.5, len(history) + 0.5)
    rate.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    for axes in (loss, right, rate):
        axes.set_xlabel("epoch")
    return figure


@styled
def reliability_figure(scores: Answers) -> Figure:
    """Draw how often answers of each confidence are right, and below how many there are of each."""
    figure = blank(NARROW, 4.6)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    bins, width = scores.bins, 100 / BINS
    there = np.flatnonzero(bins.n)
    upper.plot([0, 100], [0, 100], color=SOFT, linewidth=1, linestyle="--", label="perfect calibration")
    for place in there:
        low, high = wilson_interval(round(bins.accuracy[place] * bins.n[place]), int(bins.n[place]))
        x = 100 * bins.confidence[place]
        upper.plot([x, x], [100 * low, 100 * high], color=BLUE, linewidth=1.2, alpha=0.55)
    upper.plot(
        100 * bins.confidence[there], 100 * bins.accuracy[there], "o", color=BLUE, label="measured, 95% interval"
    )
    upper.set(ylabel="correct, %", ylim=(-3, 103))
    upper.legend(loc="lower right")
    upper.grid()
    lower.bar((there + 0.5) * width, bins.n[there], width * 0.86, color=BLUE)
    lower.set(yscale="log", ylabel="digits", xlabel="confidence, %", xlim=(0, 102))
    lower.yaxis.set_major_formatter(lambda n, _: f"{n:,.0f}")
    lower.set_ylim(0.7, max(10, 3 * bins.n.max()))
    lower.grid(axis="y")
    figure.align_ylabels()
    return figure


def rejection_rows(scores: Answers, chosen: Selection | None) -> list[tuple[float, float, int, float]]:
    """Return rows of the error-versus-reject curve: share sent, confidence below which, errors left, their share."""
    most = max(0.05, 1 / scores.n, 2.5 * chosen.rejected if chosen else 0.0, 2 * (1 - scores.accuracy))
    shares = np.unique(np.round(np.linspace(0, min(1.0, most), 101) * scores.n) / scores.n)
    found = [scores.rejecting(float(share)) for share in shares]
    return [(each.rejected, each.threshold if each.rejected else 0.0, each.errors, each.error) for each in found]


@styled
def rejection_figure(scores: Answers, chosen: Selection | None, target: float = 0.001) -> Figure:
    """Draw what share of the rest is wrong if the least sure go to a person, with the chosen threshold."""
    figure = blank(NARROW, 3.7)
    axes = figure.subplots()
    rows = rejection_rows(scores, chosen)
    axes.step([100 * row[0] for row in rows], [100 * row[3] for row in rows], where="post", color=BLUE)
    axes.axhline(100 * target, color=SOFT, linewidth=1, linestyle="--")
    axes.set(xlabel="rejected, % of all digits", ylabel="wrong, % of the rest")
    axes.set_xlim(0, 100 * rows[-1][0])
    axes.set_ylim(0, 115 * max(rows[0][3], 1.5 * target))
    edge = axes.get_xlim()[1]
    axes.text(edge, 100 * target, f"{100 * target:g}% wrong ", ha="right", va="bottom", color=SOFT, size=8)
    if chosen is not None:
        x, y = 100 * chosen.rejected, 100 * chosen.error
        axes.plot([x], [y], "D", color=ORANGE, markersize=7, clip_on=False, zorder=5)
        axes.annotate(
            f"confidence below\n{100 * chosen.threshold:.4g}%: reject {percent(chosen.rejected)}",
            (x, y),
            xytext=(14, 52),
            textcoords="offset points",
            arrowprops={"arrowstyle": "-", "color": ORANGE, "shrinkB": 6},
        )
    axes.grid()
    return figure


@styled
def robustness_figure(
    names: Sequence[str], scores: Sequence[Answers], examples: Sequence[NDArray[np.uint8]], clean: float
) -> Figure:
    """Draw for each corruption what share is read wrong, in the order given from the top, and a digit as it looks then.

    clean: the share of the unspoilt digits that is read right, 0..1.
    """
    figure = blank(NARROW, 0.8 + 0.4 * len(names))
    axes = figure.subplots()
    places = np.arange(len(names))[::-1]
    most = 1.0
    for place, each, image in zip(places, scores, examples, strict=True):
        low, high = (100 * (1 - bound) for bound in each.interval[::-1])
        wrong, most = 100 * (1 - each.accuracy), max(most, high)
        axes.barh(place, wrong, 0.62, color=BLUE)
        axes.plot([low, high], [place, place], color=SOFT, linewidth=1.2)
        axes.annotate(f"{wrong:.1f}", (high, place), (4, 0), textcoords="offset points", va="center")
        spot = axes.inset_axes((-0.155, place - 0.44, 0.13, 0.88), transform=axes.get_yaxis_transform())
        show_digit(spot, image)
    axes.axvline(100 * (1 - clean), color=ORANGE, linewidth=1.4, linestyle="--")
    axes.text(100 * (1 - clean), len(names) - 0.45, f" uncorrupted: {100 * (1 - clean):.2f}", color=ORANGE, size=8)
    axes.set(xlabel="read wrong, %", xlim=(0, 1.12 * most), ylim=(-0.6, len(names) - 0.1))
    axes.set_yticks(places, [name.replace("_", " ") for name in names])
    axes.tick_params(axis="y", length=0, pad=36)
    axes.grid(axis="x")
    return figure


@styled
def transfer_figure(names: Sequence[str], scores: Sequence[Answers]) -> Figure:
    """Draw the accuracy on each data set with its interval, in the order given from the top."""
    figure = blank(NARROW, 1.0 + 0.5 * len(names))
    axes = figure.subplots()
    places = np.arange(len(names))[::-1]
    for place, each in zip(places, scores, strict=True):
        low, high = each.interval
        axes.plot([100 * low, 100 * high], [place, place], color=BLUE, linewidth=2, solid_capstyle="butt")
        axes.plot([100 * each.accuracy], [place], "o", color=BLUE, markersize=7)
        axes.annotate(
            f"{100 * each.accuracy:.2f}", (100 * each.accuracy, place), (0, 8), textcoords="offset points", ha="center"
        )
    low = min(each.interval[0] for each in scores)
    margin = max(0.4, 12 * (1 - low))
    axes.set(xlim=(100 * low - margin, 100 + margin / 3), ylim=(-0.5, len(names) - 0.2), xlabel="accuracy, %")
    axes.set_xticks([tick for tick in axes.get_xticks() if 100 * low - margin <= tick <= 100])
    axes.set_yticks(places, [f"{plain(name)}\nn = {each.n:,}" for name, each in zip(names, scores, strict=True)])
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    return figure


@styled
def differences_figure(names: tuple[str, str], one: Scores, other: Scores) -> Figure:
    """Draw how many of each digit two models read wrong, side by side."""
    from matplotlib.ticker import MaxNLocator

    figure = blank(NARROW, 3.4)
    axes = figure.subplots()
    places = np.arange(len(one.names))
    for scores, name, colour, side in ((one, names[0], BLUE, -0.2), (other, names[1], ORANGE, 0.2)):
        wrong = scores.confusion.sum(axis=1) - scores.confusion.diagonal()
        bars = axes.bar(places + side, wrong, 0.38, color=colour, label=f"{plain(name)} ({wrong.sum():,})")
        axes.bar_label(bars, size=7.5, color=TEXT_COLOUR)
    axes.set(xlabel="true digit", ylabel="digits read wrong")
    axes.set_xticks(places, [plain(name, 12) for name in one.names])
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.margins(y=0.22)
    axes.grid(axis="y")
    axes.legend(loc="upper left", ncols=2)
    return figure


@styled
def confusions_figure(scores: Scores, most: int = 10) -> Figure:
    """Draw the most frequent confusions as bars."""
    from matplotlib.ticker import MaxNLocator

    pairs = scores.confused(most)
    figure = blank(NARROW, 0.9 + 0.3 * max(1, len(pairs)))
    axes = figure.subplots()
    places = np.arange(len(pairs))[::-1]
    bars = axes.barh(places, [pair.count for pair in pairs], 0.66, color=BLUE)
    axes.bar_label(bars, padding=3)
    names = [plain(name, 12) for name in scores.names]
    axes.set_yticks(places, [f"{names[pair.true]} read as {names[pair.predicted]}" for pair in pairs])
    axes.tick_params(axis="y", length=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("digits")
    axes.margins(x=0.1)
    axes.grid(axis="x")
    return figure
