"""The plots for notebooks: what they draw, and where."""

import json

import numpy as np
import pytest
import torch
from matplotlib import pyplot

from digitnet import DataError, Digits, evaluate
from digitnet.core.text import percent
from digitnet.models.networks import DigitNet, TorchClassifier
from digitnet.report import plot_confusion, plot_errors, plot_history, plot_maps
from digitnet.training.loop import Epoch


@pytest.fixture(autouse=True)
def _closed(monkeypatch):
    monkeypatch.setattr(pyplot, "show", lambda: pytest.fail("a plot is shown by its caller alone"))
    yield
    pyplot.close("all")


@pytest.fixture
def digits(drawn):
    return drawn[:50]


@pytest.fixture
def scores(digits):
    """Fours are read as nines, the later ones with more confidence."""
    probs = np.eye(10, dtype=np.float32)[np.where(digits.labels == 4, 9, digits.labels)]
    sure = np.linspace(0.6, 0.9, 50, dtype=np.float32)[:, None]
    return evaluate(lambda images: probs * sure + (1 - sure) / 10, digits)


def words(ax):
    return [text.get_text() for text in ax.texts]


def test_a_confusion_matrix_has_counts_or_percent(scores):
    ax = plot_confusion(scores)
    assert words(ax) == [f"{count}" for count in scores.confusion.ravel()]
    assert ax.get_title() == f"{scores.correct} of 50 correct ({percent(scores.accuracy)})"
    assert set(words(plot_confusion(scores, shares=True))) == {"0.0", "100.0"}


@pytest.mark.parametrize("plot", ["confusion", "errors", "history", "maps"])
def test_a_plot_is_drawn_into_the_axes_given(plot, scores, digits):
    figure, given = pyplot.subplots()
    classifier = TorchClassifier(DigitNet())
    drawn = {
        "confusion": lambda: plot_confusion(scores, ax=given),
        "errors": lambda: plot_errors(scores, digits, ax=given),
        "history": lambda: plot_history([{"number": 1, "loss": 0.5}], ax=given),
        "maps": lambda: plot_maps(classifier, digits.images[0], ax=given),
    }[plot]()
    assert drawn is given
    assert pyplot.get_fignums() == [figure.number]
    figure.canvas.draw()


def test_errors_are_the_most_confident_ones_with_what_they_are(scores, digits):
    ax = plot_errors(scores, digits, most=2)
    worst = scores.worst(2)
    assert words(ax) == [f"4 read as 9\n{percent(error.probability)}" for error in worst]
    assert [(image.get_array() == digits.images[e.index]).all() for image, e in zip(ax.images, worst, strict=True)]
    assert ax.get_title() == f"2 of {int((digits.labels == 4).sum())} errors, the most confident first"
    with pytest.raises(DataError, match="49 digits for scores of 50"):
        plot_errors(scores, digits[:49])


def test_without_errors_the_plot_is_empty(digits):
    probs = np.eye(10, dtype=np.float32)[digits.labels]
    ax = plot_errors(evaluate(lambda images: probs, digits), digits)
    assert not ax.images
    assert ax.get_title().startswith("0 of 0 errors")


def test_a_history_is_drawn_from_epochs_or_from_lines_and_compares(scores):
    epochs = [Epoch(number, 3, 1 / number, 0.01, 1.0, 50.0, scores) for number in (1, 2, 3)]
    lines = [json.loads(json.dumps(epoch.to_dict())) for epoch in epochs]
    ax = plot_history(epochs, what="valid_accuracy", label="one")
    assert plot_history(lines, ax, what="valid_accuracy", label="other") is ax
    one, other = ax.lines
    assert one.get_xydata().tolist() == other.get_xydata().tolist()
    assert one.get_ydata()[0] == pytest.approx(100 * scores.accuracy)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["one", "other"]
    assert ax.get_ylabel() == "validation accuracy, %"
    with pytest.raises(DataError, match="curve 'los': choose one of loss, valid_accuracy, lr"):
        plot_history(lines, what="los")
    with pytest.raises(DataError, match="without epochs"):
        plot_history([])


def test_maps_are_those_of_the_layer(digits):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        classifier = TorchClassifier(DigitNet())
    maps = classifier.layers(digits.images[0])[1]
    ax = plot_maps(classifier, digits.images[0], layer=2)
    assert ax.get_title() == "layer 2: 32 maps of 7 x 7"
    shown = np.ma.filled(ax.images[0].get_array(), np.nan)
    assert shown[0, 0] == pytest.approx(maps[0, 0, 0] / maps.max())
    assert np.nanmax(shown) == pytest.approx(1)
    for layer in (0, 3):
        with pytest.raises(DataError, match=f"layer {layer}: this network has the layers 1 to 2"):
            plot_maps(classifier, digits.images[0], layer)


def test_a_blank_image_without_maps_above_zero_is_drawn(digits):
    class Silent:
        def layers(self, image):
            return [np.zeros((3, 5, 5), np.float32), np.zeros(4, np.float32)]

    assert plot_maps(Silent(), Digits(np.zeros((1, 28, 28), np.uint8)).images[0]).get_title().startswith("layer 1: 3")
