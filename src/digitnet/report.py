"""Plots of scores, errors, a training and a network's layers, as matplotlib axes, and the HTML report.

Every plot takes `ax`, the axes to draw into, and makes a figure of its own without it. It needs the extra `train`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from digitnet.core.digits import Digits
from digitnet.core.errors import DataError
from digitnet.core.text import percent
from digitnet.evaluation.confusion import draw_confusion
from digitnet.evaluation.metrics import Scores
from digitnet.evaluation.report.build import report as report
from digitnet.evaluation.report.build import report_run as report_run
from digitnet.evaluation.report.network_plots import mosaic

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from digitnet.training.loop import Epoch

CURVES = {"loss": "training loss", "valid_accuracy": "validation accuracy, %", "lr": "learning rate"}
"""What `plot_history` draws, with the words on its axis."""

COLUMNS = 5
"""Digits in a row of `plot_errors`."""


class Layered(Protocol):
    """A classifier that one can look into: `OnnxClassifier`, of built-in models and files, and `TorchClassifier`."""

    def layers(self, image: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """Return the maps of each layer for an image (28, 28), then the hidden units."""


def plot_confusion(scores: Scores, ax: Axes | None = None, *, shares: bool = False) -> Axes:
    """Draw the confusion matrix: true digits in rows, predicted ones in columns.

    shares: write percent of each row instead of counts.
    """
    ax = _axes(ax, (6.4, 5.6))
    draw_confusion(scores, ax, shares)
    ax.set_title(f"{scores.correct:,} of {scores.n:,} correct ({percent(scores.accuracy)})")
    return ax


def plot_errors(scores: Scores, digits: Digits, ax: Axes | None = None, *, most: int = 10) -> Axes:
    """Draw the misread digits with the highest confidence, each with its label, the answer and the confidence.

    digits: those scored, in their order. most: digits drawn. Raises DataError if there are other digits than scores.
    """
    if len(digits) != scores.n:
        raise DataError(f"{len(digits)} digits for scores of {scores.n}; pass the digits that were scored")
    rows = scores.ranked_errors()[:most]
    ax = _axes(ax, (1.5 * COLUMNS, 1.8 * max(1, -(-len(rows) // COLUMNS))))
    for place, row in enumerate(rows):
        left, top = place % COLUMNS * 1.25, place // COLUMNS * 1.5
        ax.imshow(digits.images[row], cmap="gray_r", vmin=0, vmax=255, extent=(left, left + 1, top + 1, top))
        true, predicted = scores.names[scores.labels[row]], scores.names[scores.predicted[row]]
        words = f"{true} read as {predicted}\n{percent(float(scores.confidence[row]))}"
        ax.text(left + 0.5, top + 1.04, words, ha="center", va="top", size=8)
    ax.set(xlim=(0, 1.25 * COLUMNS - 0.25), ylim=(1.5 * max(1, -(-len(rows) // COLUMNS)), -0.05))
    ax.set_axis_off()
    ax.set_title(f"{len(rows)} of {scores.n - scores.correct:,} errors, the most confident first")
    return ax


def plot_history(
    history: Iterable[Epoch | Mapping[str, Any]],
    ax: Axes | None = None,
    *,
    what: str = "loss",
    label: str | None = None,
) -> Axes:
    """Draw one curve of a training over its epochs; several calls with one `ax` compare trainings.

    history: epochs as `train` yields them, or as `Run.history()` and a run's history.jsonl have them. what: one of
    `CURVES`. label: the curve's name in the legend. Raises DataError without an epoch, or for another curve.
    """
    if what not in CURVES:
        raise DataError(f"curve {what!r}: choose one of {', '.join(CURVES)}")
    lines = [epoch if isinstance(epoch, Mapping) else epoch.to_dict() for epoch in history]
    if not lines:
        raise DataError("a history without epochs cannot be drawn")
    from matplotlib.ticker import MaxNLocator

    ax = _axes(ax, (6.4, 3.6))
    scale = 100 if what == "valid_accuracy" else 1
    mark = "o" if len(lines) <= 30 else ""
    ax.plot([line["number"] for line in lines], [scale * line[what] for line in lines], marker=mark, label=label)
    ax.set(xlabel="epoch", ylabel=CURVES[what])
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    ax.grid(axis="y", alpha=0.4)
    if label is not None:
        ax.legend()
    return ax


def plot_maps(classifier: Layered, image: NDArray[np.uint8], layer: int = 1, ax: Axes | None = None) -> Axes:
    """Draw all maps that one layer of a network makes of an image (28, 28) uint8: dark is where its pattern is found.

    layer: 1 for the maps after the first pooling, 2 after the second, and so on. Raises DataError if there is no such
    layer, ModelError if the model cannot be looked into.
    """
    *layers, _ = classifier.layers(image)
    if not 1 <= layer <= len(layers):
        raise DataError(f"layer {layer}: this network has the layers 1 to {len(layers)}")
    maps = layers[layer - 1]
    columns = 8 if len(maps) <= 32 else 16
    rows = -(-len(maps) // columns)
    ax = _axes(ax, (0.8 * columns, 0.8 * rows + 0.4))
    ax.imshow(mosaic(maps / (float(maps.max()) or 1.0), columns), cmap="Blues", vmin=0, vmax=1)
    ax.set_axis_off()
    ax.set_title(f"layer {layer}: {len(maps)} maps of {maps.shape[1]} x {maps.shape[2]}")
    return ax


def _axes(ax: Axes | None, size: tuple[float, float]) -> Axes:
    if ax is not None:
        return ax
    from matplotlib import pyplot

    return pyplot.subplots(figsize=size, layout="constrained")[1]
