import json
import signal
import textwrap
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageFont
from processes import Process
from safetensors.torch import load_file

from digitnet import Digits, TrainingError, evaluate
from digitnet.imaging.normalization import frame
from digitnet.models import checkpoint
from digitnet.models.networks import MODELS, TorchClassifier, to_input
from digitnet.training.config import RECIPE_OF, RECIPES, TrainConfig, with_epochs
from digitnet.training.loop import _update_ema, new_network, resolve, schedule, select_device, train

SMALL = TrainConfig(epochs=3, batch_size=32, device="cpu", augment="gentle", average=0.9)
STRONG = replace(SMALL, model="strong", epochs=2, optimizer="adam", negatives=0.25, augment="transfer")


def run(digits, config, out, **how):
    return list(train(new_network(config), digits[:500], digits[500:], config, out, **how))


@pytest.fixture(scope="session")
def letters():
    """Letters in Pillow's own font, framed as the digits of fonts are."""
    characters = "AEFHKMNPRUVWXaefhkmnpruvwx"
    images = []
    for i, character in enumerate(characters * 4):
        page = Image.new("L", (60, 60))
        font = ImageFont.load_default(30 + 2 * (i % 7))
        ImageDraw.Draw(page).text((30, 30), character, fill=255, font=font, anchor="mm", stroke_width=i % 3)
        images.append(frame(np.asarray(page)))
    return Digits(np.array(images))


@pytest.mark.parametrize(
    ("recipe", "length"),
    [("tutorial", 12), ("quick", 12), ("best", 12), ("thorough", 12), ("accurate", 3), ("transfer", 3)],
)
def test_every_recipe_learns_drawn_digits(drawn, letters, tmp_path, recipe, length):
    average = 0.9 if RECIPES[recipe].average else 0.0
    config = replace(RECIPES[recipe], epochs=length, batch_size=32, average=average)
    epochs = run(drawn, config, tmp_path, letters=letters)
    assert [epoch.number for epoch in epochs] == list(range(1, length + 1))
    assert epochs[-1].scores.accuracy > 0.9
    assert epochs[-1].loss < epochs[0].loss
    network = checkpoint.load_network(tmp_path)
    assert evaluate(TorchClassifier(network), drawn[500:]).accuracy == epochs[-1].scores.accuracy


def test_a_recipe_goes_by_its_name_and_every_network_has_one():
    assert {name: recipe.recipe for name, recipe in RECIPES.items()} == {name: name for name in RECIPES}
    assert {model: RECIPES[recipe].model for model, recipe in RECIPE_OF.items()} == {model: model for model in MODELS}


FULL = {"tutorial": 5, "quick": 1, "best": 30, "thorough": 60, "accurate": 16, "transfer": 44, "line": 400, "page": 100}


def test_on_all_of_mnist_every_recipe_makes_its_passes():
    for name, passes in FULL.items():
        config = with_epochs(RECIPES[name], RECIPES[name].composed or 55_000)
        assert config.epochs == passes, name
        assert with_epochs(RECIPES[name], 600_000).epochs == passes, "more digits are passed over as often"


@pytest.mark.parametrize("count", [77, 486, 775, 2_292])
@pytest.mark.parametrize("name", ["tutorial", "quick", "best", "thorough", "accurate"])
def test_few_digits_are_passed_over_until_the_recipe_has_its_steps(name, count):
    recipe = RECIPES[name]
    config, a_pass = with_epochs(recipe, count), -(-count // recipe.batch_size)
    assert config == replace(recipe, epochs=config.epochs)
    assert config.epochs > recipe.passes
    assert recipe.steps <= config.epochs * a_pass < recipe.steps + a_pass


def test_a_number_of_epochs_that_was_asked_for_is_kept():
    assert with_epochs(replace(RECIPES["quick"], epochs=3), 100).epochs == 3
    assert with_epochs(replace(RECIPES["best"], epochs=1), 55_000).epochs == 1


def test_training_by_a_bare_recipe_makes_enough_steps(drawn, tmp_path):
    epochs = run(drawn, replace(RECIPES["quick"], steps=20, device="cpu"), tmp_path)
    assert len(epochs) == epochs[0].epochs == 10  # 500 digits are two batches of at most 256


def test_the_tutorials_recipe_is_the_tutorials():
    recipe = RECIPES["tutorial"]
    assert (recipe.passes, recipe.batch_size, recipe.lr, recipe.optimizer) == (5, 64, 1e-3, "adam")
    assert (recipe.precision, recipe.augment, recipe.label_smoothing) == ("float32", "none", 0.0)
    assert recipe.average == recipe.warmup == 0.0


def test_one_epoch_of_the_tutorials_recipe_is_its_plain_loop(drawn, tmp_path):
    """Adam, cross-entropy and the batches in order, written out as a tutorial would."""
    config = replace(RECIPES["tutorial"], epochs=1)
    digits = drawn[:500]
    network = new_network(config)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    order = torch.randperm(500, generator=torch.Generator().manual_seed(config.seed * 100_003 + 1))
    images = torch.tensor(digits.images)[:, None] / 255
    labels = torch.tensor(digits.labels).long()
    for rows in order.split(64):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(network(images[rows]), labels[rows]).backward()
        optimizer.step()
    run(drawn, config, tmp_path)
    saved = load_file(tmp_path / "model.safetensors")
    for name, weight in network.state_dict().items():
        torch.testing.assert_close(saved[name], weight, atol=2e-4, rtol=0)


def test_nothing_runs_until_iterated_and_no_mode_leaks(drawn, tmp_path):
    epochs = train(new_network(SMALL), drawn[:500], drawn[500:], SMALL, tmp_path)
    assert not list(tmp_path.iterdir())
    next(epochs)
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()
    assert (tmp_path / "model.safetensors").is_file()


def test_an_epoch_is_saved_before_it_is_yielded(drawn, tmp_path):
    for epoch in train(new_network(SMALL), drawn[:500], drawn[500:], SMALL, tmp_path):
        lines = [json.loads(line) for line in (tmp_path / "history.jsonl").read_text().splitlines()]
        assert len(lines) == epoch.number
        assert lines[-1] == epoch.to_dict()
        network = checkpoint.load_network(tmp_path)
        assert evaluate(TorchClassifier(network), drawn[500:]).accuracy == epoch.scores.accuracy


@pytest.mark.parametrize("optimizer", ["adam", "muon"])
@pytest.mark.parametrize("precision", ["float32", "auto"])
def test_resuming_gives_the_weights_of_an_uninterrupted_run(drawn, tmp_path, optimizer, precision):
    config = replace(SMALL, optimizer=optimizer, precision=precision)
    run(drawn, config, tmp_path / "whole")
    for _ in train(new_network(config), drawn[:500], drawn[500:], config, tmp_path / "parts"):
        break
    rest = run(drawn, config, tmp_path / "parts", resume=True)
    assert [epoch.number for epoch in rest] == [2, 3]
    assert (tmp_path / "whole/model.safetensors").read_bytes() == (tmp_path / "parts/model.safetensors").read_bytes()
    assert len((tmp_path / "parts/history.jsonl").read_text().splitlines()) == 3


def test_a_strong_run_resumes_to_the_same_bits(drawn, letters, tmp_path):
    """With all that a recipe has: statistics of batch normalisation, a running average, negatives."""

    def trained(name, **how):
        return train(new_network(STRONG), drawn[:150], drawn[500:], STRONG, tmp_path / name, letters=letters, **how)

    list(trained("whole"))
    next(trained("parts"))
    assert [epoch.number for epoch in trained("parts", resume=True)] == [2]
    for file in ("model.safetensors", "state.safetensors"):
        assert (tmp_path / "whole" / file).read_bytes() == (tmp_path / "parts" / file).read_bytes()


def test_resuming_before_the_first_epoch_was_saved_starts_anew(drawn, tmp_path):
    assert [epoch.number for epoch in run(drawn, SMALL, tmp_path, resume=True)] == [1, 2, 3]


def test_another_seed_gives_other_weights_and_the_same_seed_the_same(drawn, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        run(drawn, replace(SMALL, epochs=1, seed=seed), tmp_path / name)
    a, b, c = ((tmp_path / name / "model.safetensors").read_bytes() for name in "abc")
    assert a == b
    assert a != c


def test_a_first_network_leaves_the_global_random_state_alone():
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    new_network(SMALL)
    assert (torch.rand(3) == expected).all()


def test_the_running_average_carries_the_statistics_of_batch_normalisation():
    config = replace(STRONG, seed=1)
    average, network = new_network(STRONG).train(), new_network(config).train()
    before = {name: value.clone() for name, value in average.state_dict().items()}
    network(torch.rand(8, 1, 28, 28, generator=torch.Generator().manual_seed(0)))
    _update_ema(average, network, 0.75)
    latest = network.state_dict()
    assert before.keys() == latest.keys()
    assert any(name.endswith("running_var") for name in latest)
    for name, value in average.state_dict().items():
        if name.endswith("num_batches_tracked"):
            assert value == 1
        else:
            torch.testing.assert_close(value, 0.75 * before[name] + 0.25 * latest[name])


def test_what_is_kept_of_a_strong_run_is_the_average_with_its_own_statistics(drawn, tmp_path):
    config = replace(STRONG, epochs=1, negatives=0.0, augment="none", precision="float32")
    network = new_network(config)
    list(train(network, drawn[:500], drawn[500:], config, tmp_path))
    kept, latest = load_file(tmp_path / "model.safetensors"), network.state_dict()
    statistics = [name for name in latest if name.endswith(("running_mean", "running_var"))]
    assert len(statistics) == 14
    for name in statistics:
        assert (kept[name] != latest[name]).any()
        assert (kept[name] - latest[name]).abs().max() < 10
    assert (kept["stem.2.running_mean"] != 0).any()


def test_negatives_without_letters_are_refused(drawn, tmp_path):
    for none in (None, Digits(drawn.images[:0])):
        with pytest.raises(
            TrainingError, match="recipe 'best' also trains on images that are not digits; pass `letters`"
        ):
            next(train(new_network(STRONG), drawn[:500], drawn[500:], STRONG, tmp_path, letters=none))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("rest", [1, 3, 4, 20])
def test_a_last_batch_may_be_small_with_negatives_too(drawn, letters, tmp_path, rest):
    config = replace(SMALL, epochs=1, negatives=0.25)
    epochs = list(train(new_network(config), drawn[: 32 + rest], drawn[500:], config, tmp_path, letters=letters))
    assert len(epochs) == 1


def test_what_is_no_digit_sinks_below_zero_where_negatives_are_learnt(drawn, letters, tmp_path):
    grain = np.random.default_rng(0).integers(0, 256, (20, 28, 28), np.uint8)
    greys = np.broadcast_to(np.uint8([0, 60, 128, 200, 255])[:, None, None], (5, 28, 28))
    nothing = to_input(torch.tensor(np.concatenate([grain, greys])))
    digits = to_input(torch.tensor(drawn.images[500:]))
    gaps = {}
    for share in (0.0, 0.5):
        config = replace(SMALL, epochs=6, optimizer="adam", augment="none", average=0.0, negatives=share)
        run(drawn, config, tmp_path / str(share), letters=letters)
        network = checkpoint.load_network(tmp_path / str(share)).eval()
        with torch.inference_mode():
            empty, inked = network(nothing), network(digits)
        # By how much almost every digit's energy lies above that of any empty image.
        gaps[share] = inked.logsumexp(1).quantile(0.05) - empty.logsumexp(1).max()
    assert empty.max() < 0
    assert (inked.amax(1) > 0).float().mean() > 0.9
    assert gaps[0.0] < 0 < 1 < gaps[0.5]


def test_a_loss_that_is_no_number_stops_and_keeps_the_last_good_epoch(drawn, tmp_path):
    epochs = train(network := new_network(SMALL), drawn[:500], drawn[500:], SMALL, tmp_path)
    next(epochs)
    good = (tmp_path / "model.safetensors").read_bytes()
    with torch.no_grad():
        network.output_layer.bias.fill_(torch.nan)
    with pytest.raises(TrainingError, match=r"diverged in epoch 2 \(loss nan, .* contains epoch 1"):
        next(epochs)
    assert (tmp_path / "model.safetensors").read_bytes() == good


def test_a_runaway_learning_rate_is_told_before_anything_is_kept(drawn, tmp_path):
    with pytest.raises(TrainingError, match="no epoch was saved"):
        run(drawn, replace(SMALL, optimizer="adam", lr=1e30, precision="float32"), tmp_path)
    assert not (tmp_path / "model.safetensors").exists()


def test_weights_that_run_away_in_the_last_step_are_not_saved(drawn, tmp_path, monkeypatch):
    class Leap(torch.optim.Adam):
        def step(self, closure=None):
            with torch.no_grad():
                self.param_groups[0]["params"][0].fill_(torch.inf)

    config = replace(SMALL, epochs=1, batch_size=500)
    monkeypatch.setattr("digitnet.training.loop.Adam", Leap)
    with pytest.raises(TrainingError, match=r"diverged in epoch 1 \(loss 2\.\d+"):
        run(drawn, config, tmp_path)


def test_unlabelled_digits_are_refused(drawn, tmp_path):
    with pytest.raises(TrainingError, match="labelled"):
        next(train(new_network(SMALL), Digits(drawn.images), drawn, SMALL, tmp_path))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"epochs": -1}, "epochs -1"),
        ({"passes": 0}, "passes 0"),
        ({"batch_size": 0}, "batch size 0"),
        ({"model": "x"}, "digitnet"),
        ({"seed": -1}, "seed"),
        ({"augment": "wild"}, "augment 'wild': choose one of none, gentle, lively, transfer"),
        ({"optimizer": "sgd"}, "choose adam or muon"),
        ({"precision": "bf16"}, "choose auto, float32 or bfloat16"),
    ],
)
def test_impossible_settings_are_refused(wrong, words):
    with pytest.raises(TrainingError, match=words):
        TrainConfig(**wrong)


def test_the_schedule_climbs_and_falls_in_straight_lines():
    assert schedule(0.0, 0.2) == 0
    assert schedule(0.1, 0.2) == pytest.approx(0.5)
    assert schedule(0.2, 0.2) == 1
    assert schedule(0.6, 0.2) == pytest.approx(0.5)
    assert schedule(1.0, 0.2) == 0
    assert schedule(0.7, 0.0) == 1
    assert [schedule(done, 0.1, 0.25) for done in (0.05, 0.1, 0.5, 0.75)] == [0.5, 1, 1, 1]
    assert schedule(0.875, 0.1, 0.25) == pytest.approx(0.5)
    assert schedule(1.0, 0.1, 0.25) == 0


def test_devices_are_found_or_refused():
    assert select_device("cpu").type == "cpu"
    assert select_device("auto").type in ("cpu", "cuda", "mps")
    with pytest.raises(TrainingError, match="choose one of auto, cuda, mps, cpu"):
        select_device("tpu")
    if not torch.cuda.is_available():
        with pytest.raises(TrainingError, match="not available"):
            select_device("cuda")


def test_bfloat16_is_used_where_the_processor_says_it_has_it(monkeypatch):
    for ability, expected in (({}, "float32"), ({"avx512_bf16": True}, "bfloat16"), ({"amx_bf16": True}, "bfloat16")):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda ability=ability: ability)
        assert resolve(TrainConfig(device="cpu")).precision == expected
    assert resolve(RECIPES["tutorial"]).precision == "float32"


def test_a_run_killed_at_any_moment_resumes_to_the_same_weights(drawn_npz, tmp_path):
    script = textwrap.dedent(
        f"""
        import os, signal, sys
        from pathlib import Path
        import torch
        from torch.optim.optimizer import register_optimizer_step_post_hook
        from digitnet.data import datasets as data
        from digitnet.training.config import TrainConfig
        from digitnet.training.loop import new_network, train
        torch.set_num_threads(1)
        config = TrainConfig(epochs=3, batch_size=32, device="cpu", augment="gentle", average=0.9)
        parts = data.splits({str(drawn_npz)!r})
        out, moment, left = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])

        def happens(event, *_):
            global left
            left -= event == moment
            if not left:
                left = -1  # to kill is an event, too
                os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(happens)  # before a file takes its name: "os.rename"
        register_optimizer_step_post_hook(lambda *_: happens("step"))
        for epoch in train(new_network(config), parts.train, parts.valid, config, out, resume=True):
            print(epoch.number, flush=True)
        """
    )

    def run(out, moment="never", count=1):
        with Process(script, out, moment, count) as process:
            said, _ = process.communicate()
        assert process.returncode == (0 if moment == "never" else -signal.SIGKILL)
        return [int(number) for number in said.split()]

    assert run(tmp_path / "whole") == [1, 2, 3]
    killed = tmp_path / "killed"
    said = []
    for moment, count in (
        ("os.rename", 1),
        ("os.rename", 2),
        ("os.rename", 4),
        ("step", 1),
        ("step", 20),
        ("never", 1),
    ):
        said += run(killed, moment, count)
    assert said == [1, 2, 3]
    assert (killed / "model.safetensors").read_bytes() == (tmp_path / "whole/model.safetensors").read_bytes()
