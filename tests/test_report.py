import json

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


def test_of_each_confusion_the_surest_wrong_digits_are_kept(tmp_path):
    rng = np.random.default_rng(1)
    labels = np.repeat([3, 4, 5], [30, 5, 5]).astype(np.uint8)
    probs = np.zeros((40, 10), np.float32)
    sure = rng.uniform(0.6, 1, 40).astype(np.float32)
    said = np.where(labels == 3, 8, np.where(labels == 4, 9, 5))
    probs[np.arange(40), said] = sure
    probs[np.arange(40), 0] = 1 - sure
    digits = Digits(rng.integers(0, 256, (40, 28, 28)).astype(np.uint8), labels)
    scores = evaluate(lambda images: probs, digits)
    report.save_errors(scores, digits, tmp_path / report.ERRORS)
    with np.load(tmp_path / report.ERRORS, allow_pickle=False) as kept:
        kept = dict(kept)
    assert (kept["labels"] == 3).sum() == report.A_CELL
    assert (kept["labels"] == 4).sum() == 5
    assert len(kept["labels"]) == report.A_CELL + 5
    assert (kept["predicted"] == np.where(kept["labels"] == 3, 8, 9)).all()
    assert (np.diff(kept["probability"]) <= 0).all()
    assert set(kept["index"]) >= set(np.argsort(-sure[:30])[: report.A_CELL])
    assert (kept["images"] == digits.images[kept["index"]]).all()


def test_without_errors_there_is_a_report_all_the_same(tmp_path):
    digits = Digits(np.zeros((10, 28, 28), np.uint8), np.arange(10, dtype=np.uint8))
    scores = evaluate(lambda images: np.eye(10, dtype=np.float32), digits)
    (tmp_path / report.SCORES).write_text(json.dumps(scores.to_dict()))
    report.save_errors(scores, digits, tmp_path / report.ERRORS)
    assert report.load_report(tmp_path)["wrong"] == []


@pytest.mark.parametrize("name", ["caf\udce9.npz", "$\\frac$.npz"])
def test_a_title_may_hold_the_name_of_any_file(scores, tmp_path, name):
    report.save_confusion(scores, tmp_path / "confusion.png", f"digitnet on {name}")
    with Image.open(tmp_path / "confusion.png") as picture:
        assert picture.width > 100
