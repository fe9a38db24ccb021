import numpy as np
import pytest
from PIL import Image

from digitnet import Digits, evaluate, report


@pytest.fixture
def scores():
    labels = np.repeat(np.arange(10), 5)
    predicted = np.where(labels == 4, 9, labels)
    probs = np.eye(10, dtype=np.float32)[predicted]
    return evaluate(lambda images: probs, Digits(np.zeros((50, 28, 28), np.uint8), labels))


def test_the_figure_says_its_axes_and_draws_every_count(scores):
    figure = report.confusion_figure(scores, "a title")
    axes = figure.axes[0]
    assert axes.get_xlabel() == "predicted digit"
    assert axes.get_ylabel() == "true digit"
    assert axes.get_title() == "a title"
    assert [label.get_text() for label in axes.get_yticklabels()] == [str(digit) for digit in range(10)]
    drawn = {text.get_position(): text.get_text() for text in axes.texts}
    expected = {(p, t): f"{scores.confusion[t, p]:,}" for t in range(10) for p in range(10)}
    assert drawn == expected
    assert axes.images[0].get_cmap().name == "Blues"


def test_the_saved_picture_is_whole_and_large_enough_to_read(scores, tmp_path):
    report.save_confusion(scores, tmp_path / "matrix.png", "a title")
    with Image.open(tmp_path / "matrix.png") as picture:
        picture.load()
        assert picture.size >= (1000, 900)
        assert len(set(picture.convert("L").get_flattened_data())) > 50


def test_counts_are_legible_on_their_background(scores):
    axes = report.confusion_figure(scores, "").axes[0]
    cells = axes.images[0]
    for text in axes.texts:
        if text.get_text() != "0":
            x, y = text.get_position()
            paper = cells.cmap(cells.norm(scores.confusion[y, x]))[:3]
            ink = text.get_color()[:3]
            assert abs(np.mean(paper) - np.mean(ink)) > 0.4
