"""The confusion matrix: as an image file, as figures, as shares."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from digitnet.core.files import write_atomic
from digitnet.evaluation.metrics import Scores

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def plain(text: str, most: int = 28) -> str:
    """Return a name as figures take it: of letters, not too long, and dollar signs in it begin no formula."""
    text = text.encode("utf-8", "replace").decode()  # names of files need not be Unicode
    return (text if len(text) <= most else text[: most - 1] + "…").replace("$", r"\$")


def draw_confusion(scores: Scores, axes: Axes, shares: bool = False) -> None:
    """Draw the confusion matrix into axes: rows true digits, columns predicted ones, all of each.

    shares: write percent of each row instead of counts.
    """
    from sklearn.metrics import ConfusionMatrixDisplay

    cells, form, zero = (row_shares(scores) * 100, ".1f", "0.0") if shares else (scores.confusion, ",d", "0")
    display = ConfusionMatrixDisplay(cells, display_labels=[plain(name, 8) for name in scores.names])
    display.plot(ax=axes, cmap="Blues", values_format=form)
    axes.set(xlabel="predicted digit", ylabel="true digit")
    for text in display.text_.ravel():
        if text.get_text() == zero:
            text.set_alpha(0.25)  # so that the eye goes to the confusions


def confusion_figure(scores: Scores, title: str, shares: bool = False) -> Figure:
    """Draw the confusion matrix as a figure of its own; see `draw_confusion`."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 6.4), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    draw_confusion(scores, axes, shares)
    axes.set_title(plain(title, 80))
    return figure


def save_confusion(scores: Scores, path: Path, title: str) -> None:
    """Draw the confusion matrix into a PNG file, atomically."""
    picture = io.BytesIO()
    confusion_figure(scores, title).savefig(picture, format="png")
    write_atomic(path, picture.getvalue())


def row_shares(scores: Scores) -> NDArray[np.float64]:
    """Return the confusion matrix as shares of each true digit, (k, k) 0..1; 0 where there are none of it."""
    counts = scores.confusion
    whole = counts.sum(axis=1, keepdims=True)
    shares: NDArray[np.float64] = np.divide(counts, whole, out=np.zeros(counts.shape), where=whole > 0)
    return shares
