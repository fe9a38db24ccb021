"""Scores as pictures."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from digitnet.evaluate import Scores
from digitnet.files import write_atomic

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def confusion_figure(scores: Scores, title: str) -> Figure:
    """Draw the confusion matrix with its counts: rows true digits, columns predicted ones, all ten of each."""
    from matplotlib.figure import Figure
    from sklearn.metrics import ConfusionMatrixDisplay

    figure = Figure(figsize=(7.2, 6.4), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    display = ConfusionMatrixDisplay(scores.confusion, display_labels=list(range(10)))
    display.plot(ax=axes, cmap="Blues", values_format=",d")
    axes.set(xlabel="predicted digit", ylabel="true digit")
    axes.set_title(title)
    for text in display.text_.ravel():
        if text.get_text() == "0":
            text.set_alpha(0.25)  # so that the eye goes to the confusions
    return figure


def save_confusion(scores: Scores, path: Path, title: str) -> None:
    """Draw the confusion matrix into a PNG file, atomically."""
    picture = io.BytesIO()
    confusion_figure(scores, title).savefig(picture, format="png")
    write_atomic(path, picture.getvalue())
