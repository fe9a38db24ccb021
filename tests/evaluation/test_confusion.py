import io
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from digitnet import Digits, evaluate
from digitnet.evaluation import confusion
from digitnet.evaluation.report import network_plots, plots, style


@pytest.fixture
def scores():
    labels = np.repeat(np.arange(10), 5)
    predicted = np.where(labels == 4, 9, labels)
    probs = np.eye(10, dtype=np.float32)[predicted]
    return evaluate(lambda images: probs, Digits(np.zeros((50, 28, 28), np.uint8), labels))


def test_the_figure_says_its_axes_and_draws_every_count(scores):
    figure = confusion.confusion_figure(scores, "a title")
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
    confusion.save_confusion(scores, tmp_path / "matrix.png", "a title")
    with Image.open(tmp_path / "matrix.png") as picture:
        picture.load()
        assert picture.size >= (1000, 900)
        assert len(set(picture.convert("L").get_flattened_data())) > 50


def test_counts_are_legible_on_their_background(scores):
    axes = confusion.confusion_figure(scores, "").axes[0]
    cells = axes.images[0]
    for text in axes.texts:
        if text.get_text() != "0":
            x, y = text.get_position()
            paper = cells.cmap(cells.norm(scores.confusion[y, x]))[:3]
            ink = text.get_color()[:3]
            assert abs(np.mean(paper) - np.mean(ink)) > 0.4


def test_row_shares_are_those_of_scikit_learn(scores):
    from sklearn.metrics import confusion_matrix

    expected = confusion_matrix(scores.labels, scores.predicted, labels=range(10), normalize="true")
    assert confusion.row_shares(scores) == pytest.approx(expected)
    empty = scores.without(np.flatnonzero(scores.labels == 3))
    assert not confusion.row_shares(empty)[3].any()


def test_a_figure_follows_its_page_into_the_dark_and_names_nothing_twice(scores):
    drawn = [
        style.ReportFigure(name, name, lambda: plots.confusions_figure(scores), "", 'what "it" shows', [["a"], [1]])
        for name in ("one", "two")
    ]
    pages = [each.svg() for each in drawn]
    for page in pages:
        tree = ElementTree.fromstring(page)
        assert tree.get("role") == "img"
        assert tree.get("aria-label") == 'what "it" shows'
        assert style.TEXT_COLOUR not in page
        assert "var(--ink)" in page
        assert "var(--blue)" in page
        used = set(re.findall(r'(?:href="|url\()#([^")]+)', page))
        assert used
        assert used <= set(re.findall(r'\bid="([^"]+)"', page))
    names = [set(re.findall(r'\bid="([^"]+)"', page)) for page in pages]
    assert not names[0] & names[1]
    assert pages[0] == drawn[0].svg()
    assert drawn[0].csv() == b"a\n1\n"


def lively(png):
    """Tell whether a PNG is more than one flat colour: some of it is ink, some paper."""
    with Image.open(io.BytesIO(png)) as picture:
        grey = np.asarray(picture.convert("L"))
    return grey.std() > 5 and (grey > 200).any() and (grey < 150).any()


@pytest.fixture
def unsure(drawn):
    rng = np.random.default_rng(3)
    probs = rng.dirichlet(np.full(10, 0.2), len(drawn)).astype(np.float32)
    probs[: len(drawn) // 2] = 0.97 * np.eye(10)[drawn.labels[: len(drawn) // 2]] + 0.003
    return evaluate(lambda images: probs, drawn)


def test_every_chart_is_drawn_with_its_axes_named(scores, unsure, drawn):
    history = [{"number": n, "loss": 1 / n, "lr": 0.1, "valid_accuracy": 1 - 0.1 / n} for n in (1, 2, 3)]
    made = [
        plots.curves_figure(history),
        plots.curves_figure(history[:1]),
        plots.reliability_figure(unsure),
        plots.rejection_figure(unsure, unsure.selection(0.05)),
        plots.rejection_figure(scores, None),
        plots.robustness_figure(["fog", "shot_noise"], [scores, unsure], drawn.images[:2], 0.9),
        plots.transfer_figure(["one", "two"], [scores, unsure]),
        plots.differences_figure(("one", "two"), unsure, unsure),
        plots.confusions_figure(unsure),
        confusion.confusion_figure(scores, "shares", shares=True),
    ]
    for figure in made:
        axes = figure.axes
        assert any(each.get_xlabel() for each in axes)
        assert any(
            each.get_ylabel() or [label for label in each.get_yticklabels() if label.get_text()] for each in axes
        )
        assert lively(style.ReportFigure("f", "f", lambda figure=figure: figure, "", "", []).png())


def test_the_bars_of_the_corruptions_are_their_errors(scores, unsure, drawn):
    axes = plots.robustness_figure(["fog", "shot_noise"], [scores, unsure], drawn.images[:2], 0.9).axes[0]
    lengths = [bar.get_width() for bar in axes.patches]
    assert lengths == pytest.approx([100 * (1 - scores.accuracy), 100 * (1 - unsure.accuracy)])
    assert [label.get_text() for label in axes.get_yticklabels()] == ["fog", "shot noise"]


def test_the_curve_of_rejection_is_what_evaluate_says(unsure):
    chosen = unsure.selection(0.05)
    rows = plots.rejection_rows(unsure, chosen)
    assert rows[0][0] == 0
    assert rows[0][3] == pytest.approx(1 - unsure.accuracy)
    for share, threshold, errors, error in rows[1::20]:
        same = unsure.rejecting(share)
        assert (threshold, errors, error) == (same.threshold, same.errors, same.error)
        kept = unsure.confidence >= threshold
        assert errors == (~unsure.right[kept]).sum()
    assert rows[-1][0] > chosen.rejected


def test_what_is_inside_is_drawn(drawn):
    rng = np.random.default_rng(0)
    points = rng.normal(size=(50, 2))
    right = np.arange(50) % 7 > 0
    maps = [rng.random((16, 14, 14)).astype(np.float32), rng.random((32, 3, 3)).astype(np.float32)]
    made = [
        network_plots.filters_figure(rng.normal(size=(16, 3, 3)).astype(np.float32)),
        network_plots.maps_figure(drawn.images[0], maps),
        network_plots.needed_figure(drawn.images[:7], [rng.random((28, 28)).astype(np.float32)] * 7),
        network_plots.plane_figure(points, drawn.labels[:50], right, (0.3, 0.2)),
        network_plots.plane_figure(points, drawn.labels[:50], np.ones(50, bool), (0.3, 0.2)),
    ]
    for figure in made:
        assert lively(style.ReportFigure("f", "f", lambda figure=figure: figure, "", "", []).png())
    assert made[3].axes[0].get_xlabel() == "first main axis (30% of the variance)"


def test_a_mosaic_keeps_every_tile_whole():
    tiles = np.arange(5 * 2 * 3).reshape(5, 2, 3)
    page = network_plots.mosaic(tiles, 2)
    there = page[~np.isnan(page)]
    assert (np.unique(there, return_counts=True)[1] == np.unique(there, return_counts=True)[1][0]).all()
    assert set(there) == set(range(30))


@pytest.mark.parametrize("name", ["caf\udce9.npz", "$\\frac$.npz"])
def test_a_title_may_hold_the_name_of_any_file(scores, tmp_path, name):
    confusion.save_confusion(scores, tmp_path / "confusion.png", f"digitnet on {name}")
    with Image.open(tmp_path / "confusion.png") as picture:
        assert picture.width > 100
