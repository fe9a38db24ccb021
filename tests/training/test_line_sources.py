import logging
from dataclasses import replace

import numpy as np
import pytest

from digitnet.core.digits import IMAGE_SIZE
from digitnet.data import unipen
from digitnet.data.unipen import Collection, Trajectory, held_out, normalized
from digitnet.training.config import RECIPES
from digitnet.training.dataset import with_sources
from digitnet.training.line_sources import pen_digits, pen_marks, printed


@pytest.fixture
def trajectories(monkeypatch):
    names = [f"writer {i}" for i in range(60)]
    flat, upright = (normalized([np.array(path, np.float32)]) for path in ([[0, 0], [9, 1]], [[0, 0], [1, 9]]))
    digits = tuple(
        Trajectory(str(label), name, flat if held_out(name) else upright) for name in names for label in range(10)
    )
    monkeypatch.setattr(unipen, "load", lambda data_dir=None: Collection(digits, (), ()))


def test_digits_of_pens_are_framed_and_as_many_of_each(trajectories):
    digits = pen_digits(40)
    assert digits.images.shape == (40, IMAGE_SIZE, IMAGE_SIZE)
    assert digits.images.max(axis=(1, 2)).min() == 255
    assert np.bincount(digits.labels).tolist() == [4] * 10
    assert np.array_equal(digits.images, pen_digits(40).images)
    assert not np.array_equal(digits.images, pen_digits(40, seed=1).images)


def test_marks_of_pens_are_framed_and_no_digit_is_among_them(trajectories):
    marks = pen_marks(30)  # there are invented check marks alone
    assert marks.images.shape == (30, IMAGE_SIZE, IMAGE_SIZE)
    assert marks.labels is None
    assert len(np.unique(marks.images, axis=0)) > 20
    assert np.array_equal(marks.images, pen_marks(30).images)


def test_the_writers_held_out_write_none_of_the_training_digits(trajectories):
    def higher_than_wide(images):
        return np.mean([np.ptp(np.nonzero(image)[0]) > np.ptp(np.nonzero(image)[1]) for image in images])

    assert higher_than_wide(pen_digits(50).images) > 0.9
    assert higher_than_wide(pen_digits(50, held=True).images) < 0.1


def test_a_recipe_says_that_it_learns_without_pens_that_are_missing(tmp_path, caplog):
    recipe = replace(RECIPES["transfer"], pens=100)
    with caplog.at_level(logging.WARNING, logger="digitnet"):
        assert with_sources(recipe, tmp_path).pens == 0
    assert "data get unipen" in caplog.text
    for name in unipen.FILES.values():
        (tmp_path / name).touch()
    assert with_sources(recipe, tmp_path) == recipe


def test_print_is_read_as_digits_too():
    hands = printed()
    assert len(hands) > 10
    for hand in hands:
        assert sorted(hand) == list("0123456789")
        assert all(glyph.max() == 255 for (glyph,) in hand.values())
