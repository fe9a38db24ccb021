"""What a run learns from."""

from dataclasses import replace

import numpy as np
import pytest

from digitnet.core.digits import Digits
from digitnet.data import datasets
from digitnet.data.synthesis.strokes import hands
from digitnet.training.config import RECIPES
from digitnet.training.dataset import MIN_DIGITS, assemble, own_parts, warn_of_few


@pytest.fixture
def config(drawn_npz):
    return replace(RECIPES["quick"], data=str(drawn_npz))


def test_without_additions_a_run_learns_from_its_own_digits(config):
    parts = own_parts(config)
    found = assemble(config, parts)
    assert found.parts.train is parts.train
    assert found.letters is None
    assert found.writers is None
    assert parts.sha256 == datasets.splits(config.data).sha256


def test_drawn_digits_are_added_to_those_to_train_on_alone(config):
    parts = own_parts(config)
    found = assemble(replace(config, hands=20), parts).parts
    assert (found.train.images == np.concatenate([parts.train.images, hands(20).images])).all()
    assert len(found.train.labels) == len(found.train)
    assert found.valid is parts.valid
    assert found.test is parts.test


@pytest.mark.parametrize(("count", "warned"), [(MIN_DIGITS, False), (MIN_DIGITS - 10, True)])
def test_few_digits_are_warned_of(count, warned, caplog):
    digits = Digits(np.zeros((count, 28, 28), np.uint8), np.arange(count, dtype=np.uint8) % 10)
    warn_of_few("mine", digits)
    assert [f"mine: only {count} training digits" in message for message in caplog.messages] == [True] * warned
