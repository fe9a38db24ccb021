import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from digitnet.training import run as runs
from digitnet.training import threads
from digitnet.training.config import RECIPES
from digitnet.training.loop import resolve
from digitnet.training.run import reopen, start
from digitnet.training.threads import Speed, among, counts, fastest

QUICK = replace(RECIPES["quick"], device="cpu", epochs=3, batch_size=64)


@pytest.fixture
def named(drawn_npz, monkeypatch):
    monkeypatch.chdir(drawn_npz.parent)
    return replace(QUICK, data=drawn_npz.name)


@pytest.fixture
def clock(monkeypatch):
    """A step whose time depends on the number of threads, by a clock of its own."""
    now = [0.0]
    monkeypatch.setattr(threads, "time", SimpleNamespace(perf_counter=lambda: now[0]))

    def stepping(seconds):
        def step():
            now[0] += seconds[torch.get_num_threads()]

        return step

    stepping.now = lambda: now[0]
    return stepping


def test_the_numbers_tried_are_all_small_ones_powers_of_two_and_the_most():
    assert counts(1) == [1]
    assert counts(3) == [1, 2, 3]
    assert counts(12) == [1, 2, 3, 4, 8, 12]
    assert counts(64) == [1, 2, 3, 4, 8, 16, 32, 64]


@pytest.mark.parametrize(("seconds", "chosen"), [((0.1, 0.06), 2), ((0.1, 0.3), 1), ((0.1, 0.098), 1)])
def test_more_threads_are_taken_only_where_they_are_faster(clock, seconds, chosen):
    before = torch.get_num_threads()
    speed = among([1, 2], clock(dict(enumerate(seconds, 1))), 10_000)
    assert (speed.threads, speed.step) == (chosen, pytest.approx(seconds[chosen - 1]))
    assert torch.get_num_threads() == before


def test_a_step_that_is_disturbed_once_decides_nothing(clock):
    seconds = {1: 0.1, 2: 0.06}
    plain, count = clock(seconds), iter(range(1000))

    def step():
        for _ in range(20 if next(count) == 3 else 1):
            plain()

    assert among([1, 2], step, 10_000).threads == 2


def test_measuring_takes_a_small_share_of_a_short_training(clock):
    among([1, 2], clock({1: 0.001, 2: 0.001}), 10)
    short = clock.now()
    among([1, 2], clock({1: 0.001, 2: 0.001}), 100_000)
    assert short < 0.01
    assert 0.9 < clock.now() - short < 1.1


@pytest.mark.parametrize("recipe", ["quick", "thorough", "line"])
def test_a_training_is_measured_by_its_own_steps_and_no_random_state_changes(recipe, monkeypatch):
    monkeypatch.setattr(threads, "SECONDS", 0.0)
    state = torch.get_rng_state()
    config = resolve(replace(RECIPES[recipe], device="cpu", epochs=1, batch_size=8))
    speed = fastest(config, 8, [1])
    assert speed.threads == 1
    assert speed.step > 0
    assert torch.equal(torch.get_rng_state(), state)


def test_a_run_records_its_threads_and_a_resumed_one_keeps_them(named, tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "fastest", lambda *_: Speed(3, 0.5))
    made = start(named, tmp_path / "mine", measure=True)
    config = json.loads((made.folder / "config.json").read_text())
    assert (config["threads"], config["threads_measured"]) == (3, True)
    assert made.seconds == pytest.approx(3 * 8 * 0.5)
    before, used = torch.get_num_threads(), []
    for _ in reopen(made.folder).train():
        used.append(torch.get_num_threads())
    assert used == [3, 3, 3]
    assert torch.get_num_threads() == before


def test_threads_that_the_user_chose_are_not_chosen_again(named, tmp_path):
    made = start(named, tmp_path / "mine", threads=2, measure=True)
    config = json.loads((made.folder / "config.json").read_text())
    assert (config["threads"], config["threads_measured"]) == (2, False)
    assert made.seconds > 0


def test_a_training_of_half_the_speed_chooses_its_threads_again(named, tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "fastest", lambda *_: Speed(2, 0.5))
    made = start(named, tmp_path / "mine", measure=True)
    slowed = iter([100.0, 49.0, 49.0])
    epochs = type(made)._epochs
    monkeypatch.setattr(
        type(made), "_epochs", lambda self: (replace(each, images_per_second=next(slowed)) for each in epochs(self))
    )
    monkeypatch.setattr(runs, "fastest", lambda *_: Speed(1, 0.5))
    assert [torch.get_num_threads() for _ in made.train()] == [2, 2, 1]
    assert json.loads((made.folder / "config.json").read_text())["threads"] == 1
