"""What several files of tests of the line reader's training share: invented hands, and one training by them."""

from dataclasses import replace
from typing import NamedTuple

import pytest
from helpers import few_hands

from digitnet.training.config import RECIPES


@pytest.fixture(scope="session")
def sources():
    return few_hands()


@pytest.fixture(scope="session")
def few(sources):
    """Eight lines to validate on."""
    return sources.lines(8)


class LineTraining(NamedTuple):
    config: object
    folder: object
    epochs: list


@pytest.fixture(scope="session")
def line_training(sources, few, tmp_path_factory):
    """A training of the line reader that is not interrupted: its settings, folder and epochs."""
    from digitnet.training.line_loop import train_lines
    from digitnet.training.loop import new_network

    config = replace(RECIPES["line"], epochs=2, lines=32, batch_size=8, device="cpu", average=0.9)
    folder = tmp_path_factory.mktemp("lines")
    epochs = list(train_lines(new_network(config), sources.scribe, few, config, folder))
    return LineTraining(config, folder, epochs)
