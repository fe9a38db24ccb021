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
    from matplotlib.figure import Figure


def plain(text: str, most: int = 28) -> str:
    """Return a name as figures take it: of letters, not too long, and dollar signs in it begin no formula."""
    text = text.encode("utf-8", "replace").decode()  # names of files need not be Unicode
    return (text if len(text) <= most else text[: most - 1] + "…").replace("$", r"\$")


def confusion_figure(scores: Scores, title: str) -> Figure:
    """Draw the confusion matrix with its counts: rows true digits, columns predicted ones, all ten of each."""
    from matplotlib.figure import Figure
    from sklearn.metrics import ConfusionMatrixDisplay

    figure = Figure(figsize=(7.2, 6.4), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    display = ConfusionMatrixDisplay(scores.confusion, display_labels=list(range(10)))
    display.plot(ax=axes, cmap="Blues", values_format=",d")
    axes.set(xlabel="predicted digit", ylabel="true digit")
    axes.set_title(plain(title, 80))
    for text in display.text_.ravel():
        if text.get_text() == "0":
            text.set_alpha(0.25)  # so that the eye goes to the confusions
    return figure


def save_confusion(scores: Scores, path: Path, title: str) -> None:
    """Draw the confusion matrix into a PNG file, atomically."""
    picture = io.BytesIO()
    confusion_figure(scores, title).savefig(picture, format="png")
    write_atomic(path, picture.getvalue())


def shares_figure(scores: Scores, title: str) -> Figure:
    """Draw the confusion matrix as shares of each row, percent."""
    from matplotlib.figure import Figure
    from sklearn.metrics import ConfusionMatrixDisplay

    figure = Figure(figsize=(7.2, 6.4), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    shares = row_shares(scores) * 100
    ConfusionMatrixDisplay(shares, display_labels=list(range(10))).plot(ax=axes, cmap="Blues", values_format=".1f")
    axes.set(xlabel="predicted digit", ylabel="true digit", title=plain(title, 80))
    for text in axes.texts:
        if text.get_text() == "0.0":
            text.set_alpha(0.25)
    return figure


def row_shares(scores: Scores) -> NDArray[np.float64]:
    """Return the confusion matrix as shares of each true digit, (10, 10) 0..1; 0 where there are none of it."""
    counts = scores.confusion
    whole = counts.sum(axis=1, keepdims=True)
    shares: NDArray[np.float64] = np.divide(counts, whole, out=np.zeros((10, 10)), where=whole > 0)
    return shares
