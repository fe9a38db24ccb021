from dataclasses import replace

import numpy as np
import pytest

from digitnet import DataError
from digitnet.data import datasets
from digitnet.experiments import suite
from digitnet.experiments.suite import BenchmarkConfig, BenchmarkData

PLAN = BenchmarkConfig("full", ("quick",), 1)


@pytest.fixture
def few_fonts(monkeypatch, put_fonts):
    """Six fonts, of which the last is for testing."""
    monkeypatch.setattr(suite, "FONTS", put_fonts("abcdef", ""))


@pytest.fixture
def source(monkeypatch, drawn_npz):
    monkeypatch.setattr(suite, "SOURCE", str(drawn_npz))


def test_without_fonts_nothing_is_made_or_fetched(tmp_path):
    sets = BenchmarkData(PLAN, tmp_path)
    assert sets.others == {}
    assert sets.kinds == []


def test_fonts_that_are_here_give_digits_and_images_without_one(tmp_path, few_fonts, source):
    sets = BenchmarkData(PLAN, tmp_path)
    assert list(sets.others) == ["fonts"]
    assert (sets.others["fonts"].images == datasets.load("fonts", "test").images).all()
    assert sets.kinds == ["made"]
    made = sets.without_digit("made")
    assert made.shape == (2000, 28, 28)
    assert made.dtype == np.uint8
    assert made.max() == 255
    assert (made == BenchmarkData(PLAN, tmp_path).without_digit("made")).all()


def test_sets_given_come_before_those_found(tmp_path, few_fonts, drawn_npz):
    np.savez(tmp_path / "noise.npz", images=np.zeros((3, 28, 28), np.uint8) + np.arange(28, dtype=np.uint8))
    plan = replace(PLAN, data=(str(drawn_npz),), negatives=(str(tmp_path / "noise.npz"),))
    sets = BenchmarkData(plan, tmp_path)
    assert list(sets.others) == ["drawn", "fonts"]
    assert sets.kinds == ["noise", "made"]
    assert sets.without_digit("noise").shape == (3, 28, 28)
    assert list(BenchmarkData(replace(plan, data=("fonts",)), tmp_path).others) == ["fonts"]


def test_a_folder_of_another_suite_is_left_alone(tmp_path, source):
    (tmp_path / "settings.json").write_text("{}")
    with pytest.raises(DataError, match="another suite"):
        BenchmarkData(replace(PLAN, suite="quick"), tmp_path)
    assert not (tmp_path / "data").exists()


def test_the_first_test_digits_are_spoilt_once(tmp_path, source, monkeypatch):
    monkeypatch.setitem(suite.SUITES, "full", replace(suite.SUITES["full"], spoilt=5))
    sets = BenchmarkData(PLAN, tmp_path)
    spoilt = sets.spoilt("fog")
    assert (spoilt.labels == sets.parts.test.labels[:5]).all()
    assert sets.spoilt("fog") is spoilt


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"data": ("a/theirs.npz", "b/theirs.npz")}, "two have the name 'theirs'"),
        ({"data": ("a/theirs.npz",), "negatives": ("b/theirs.npz",)}, "two have the name 'theirs'"),
        ({"data": ("mnist",)}, "omit it"),
        ({"data": ("missing.npz",)}, "missing.npz: no such file"),
        ({"data": ("bare.npz",)}, "bare: has no labels"),
        ({"negatives": ("missing.npz",)}, "missing.npz: no such file"),
    ],
)
def test_what_cannot_be_measured_on_is_an_error_in_words(tmp_path, change, said):
    np.savez(tmp_path / "bare.npz", images=np.zeros((3, 28, 28), np.uint8) + np.arange(28, dtype=np.uint8))
    with pytest.raises(DataError, match=said):
        BenchmarkData(replace(PLAN, **change), tmp_path)
