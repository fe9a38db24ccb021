"""A line reader's network, loaded back from its file, and a few steps of learning."""

import numpy as np
import pytest
import torch
from helpers import few_hands

from digitnet.core.digits import STRIP_HEIGHT
from digitnet.core.errors import ModelError
from digitnet.core.lessons import Lesson
from digitnet.data.synthesis.texts import ALPHABET
from digitnet.imaging.normalization import strip
from digitnet.models.model_file import MARGIN, STRIDE
from digitnet.models.onnx_models import WEIGHTS, line_reader, only_digits, with_rare_signs
from digitnet.training import line_tuning
from digitnet.training.line_export import logits_of
from digitnet.training.line_loop import BLANK, CLASSES, digit_losses
from digitnet.training.line_tuning import line_network, mean, seen_lessons, seen_lines, tune, varied


@pytest.fixture(scope="module")
def network():
    return line_network(WEIGHTS / "line.onnx")


@pytest.fixture(scope="module")
def lines():
    return few_hands().lines(6)


@pytest.fixture(scope="module")
def own(lines):
    return [Lesson(strip(255 - line.image), line.text or "0", "a") for line in lines]


def test_the_built_in_weights_come_back_from_their_file(network, own):
    reader, strips = line_reader(threads=1), [lesson.strip for lesson in own]
    heat = reader.about["temperature"]
    for columns, logits in zip(reader(strips), logits_of(network, strips), strict=True):
        known = with_rare_signs((logits / heat).log_softmax(1).numpy(), ALPHABET)
        assert np.abs(np.exp(only_digits(known, ALPHABET)) - np.exp(columns.log_probs)).max() < 1e-4


def test_another_network_is_refused():
    with pytest.raises(ModelError, match="not the built-in line reader's"):
        line_network(WEIGHTS / "digitnet.onnx")


def test_signs_between_digits_cost_nothing_and_missing_digits_do():
    logits = torch.full((1, 12, CLASSES), -9.0)
    logits[..., BLANK] = 0
    for place, character in ((2, "4"), (5, "."), (8, "7")):
        logits[0, place, ALPHABET.index(character)] = 9
    columns = torch.tensor([12])
    right, wrong = (float(digit_losses(logits, columns, [text])) for text in ("47", "477"))
    assert right < 0.1
    assert wrong > 5


def test_a_few_steps_lower_the_loss_of_lessons_and_repeat_themselves(network, own, lines, monkeypatch):
    monkeypatch.setattr(line_tuning, "BATCH", 3)
    monkeypatch.setattr(line_tuning, "MAX_STEPS", 4)
    other = [Lesson(lesson.strip, "9" * len(lesson.digits), "a") for lesson in own]

    def loss(learnt):
        logits = logits_of(learnt, [lesson.strip for lesson in other])
        each = [
            digit_losses(its[None], torch.tensor([len(its)]), [lesson.digits])
            for its, lesson in zip(logits, other, strict=True)
        ]
        return float(torch.stack(each).mean())

    mine, known, rows = seen_lessons(network, other), seen_lines(network, lines), list(range(len(other)))
    before, first = loss(network), tune(network, mine, rows, known, 1)
    assert loss(first) < before
    second = tune(network, mine, rows, known, 1)
    assert all(torch.equal(one, two) for one, two in zip(first.parameters(), second.parameters(), strict=True))
    assert loss(network) == before
    between = mean([network, first])
    for low, middle, high in zip(*(each.parameters() for each in (network, between, first)), strict=True):
        assert torch.allclose(middle, (low + high) / 2)


def test_what_is_seen_once_is_answered_as_the_whole_network_does(network, lines):
    seen = seen_lines(network, lines)
    batch = seen.batch([0, 1, 2])
    answer = network.answer(batch.x, batch.columns)
    assert batch.texts == [line.written for line in lines[:3]]
    for row in range(3):
        one = seen.batch([row])
        own = int(one.columns[0])
        assert torch.allclose(answer[row, :own], network.answer(one.x, one.columns)[0, :own], atol=1e-3)


def test_a_strip_varies_and_stays_a_strip(own):
    rng = np.random.default_rng(0)
    seen = [varied(own[0].strip, rng) for _ in range(5)]
    assert {each.shape[0] for each in seen} == {STRIP_HEIGHT}
    assert len({each.tobytes() for each in seen}) == 5
    assert all((each.shape[1] + 2 * MARGIN) // STRIDE > len(own[0].digits) for each in seen)
