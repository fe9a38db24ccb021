"""Fine-tuning: where it starts from, what it learns, and what held-out digits decide."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import draw_digits

from digitnet import DataError, Digits, ModelError, TrainingError, classifier
from digitnet.data.synthesis.strokes import hands
from digitnet.models.checkpoint import load_images, load_network
from digitnet.models.networks import DigitNet, StrongNet, TorchClassifier, logits_of
from digitnet.training import finetune
from digitnet.training.config import FINETUNE, RECIPES
from digitnet.training.export import export_run
from digitnet.training.finetune import beginning, better, held_still
from digitnet.training.run import reopen, start


@pytest.fixture(scope="module")
def first(tmp_path_factory, drawn):
    """A finished run on drawn digits."""
    folder = tmp_path_factory.mktemp("first")
    np.savez(folder / "drawn.npz", images=drawn.images, labels=drawn.labels)
    config = replace(RECIPES["quick"], data=str(folder / "drawn.npz"), epochs=3, batch_size=32, device="cpu")
    run = start(config, folder / "run")
    list(run.train())
    run.finish()
    return run.folder


@pytest.fixture
def own(tmp_path):
    """Digits as the run has never seen them: lying on their side."""
    digits = draw_digits(150, seed=7)
    np.savez(tmp_path / "own.npz", images=np.rot90(digits.images, axes=(1, 2)).copy(), labels=digits.labels)
    return str(tmp_path / "own.npz")


@pytest.fixture
def config(first, own):
    small = {"epochs": 4, "batch_size": 32, "lr": 3e-3, "known": 100, "device": "cpu", "augment": "none"}
    return replace(FINETUNE, start_from=str(first), data=own, average=0.0, **small)


@pytest.mark.parametrize("name", ["digitnet", "strong"])
def test_the_weights_of_a_built_in_model_are_those_of_its_file(name):
    found, model = beginning(name), classifier(name)
    images = hands(20).images
    network = TorchClassifier(found.network)
    assert type(found.network) is {"digitnet": DigitNet, "strong": StrongNet}[found.model]
    assert network.hidden(images) == pytest.approx(model.hidden(images), abs=1e-4)
    assert (network(images).argmax(1) == model(images).argmax(1)).all()
    assert len(found.images) >= 60_000


def test_a_run_learns_new_digits_and_keeps_the_old_ones(config, first, drawn):
    run = start(config)
    assert (run.config.model, len(run.parts.train)) == ("digitnet", 100 + 115)  # a sixth, then a twelfth held out
    assert [epoch.number for epoch in run.train()] == [1, 2, 3, 4]
    scores = run.finish()
    told = json.loads((run.folder / "scores.json").read_text())["fine_tuning"]
    before = (TorchClassifier(load_network(first))(run.parts.test.images).argmax(1) == run.parts.test.labels).mean()
    assert told["before"] == {"accuracy": pytest.approx(before), "n": 25}
    assert told["kept"]
    assert scores.accuracy > before + 0.2
    assert told["known"]["after"] > told["known"]["before"] - 0.1
    seen = load_images(run.folder)
    assert seen.has(run.parts.train.images).all()
    assert load_images(first).keys[0] in seen.keys


def test_the_first_epochs_change_the_last_layer_alone(config, first):
    run, before = start(replace(config, frozen=0.5)), load_network(first).state_dict()
    moved = []
    for _ in run.train():
        now = load_network(run.folder).state_dict()
        moved.append({name for name in now if not torch.equal(now[name], before[name])})
    last = {"output_layer.weight", "output_layer.bias"}
    assert moved[:2] == [last, last]
    assert moved[3] == set(before)


def test_statistics_and_gradients_are_left_as_they_were():
    network, config = StrongNet(), replace(FINETUNE, start_from="strong", epochs=2, frozen=0.5)
    network.output_layer.bias.requires_grad_(False)
    for number, learning in ((1, 1), (2, len([*network.parameters()]) - 1)):
        network.train()
        with held_still(network, config, number):
            assert sum(weight.requires_grad for weight in network.parameters()) == learning
            assert not any(m.training for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d))
        assert [weight.requires_grad for weight in network.output_layer.parameters()] == [True, False]
        assert sum(not weight.requires_grad for weight in network.parameters()) == 1
    with held_still(network, RECIPES["best"], 1):
        assert all(module.training for module in network.train().modules())


def test_a_resumed_fine_tuning_ends_with_the_same_weights(config):
    whole, parts = start(config), start(config)
    list(whole.train())
    next(parts.train())
    list(reopen(parts.folder).train())
    one, other = (load_network(run.folder).state_dict() for run in (whole, parts))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_weights_that_held_out_digits_do_not_favour_are_dropped(config, first, monkeypatch, caplog):
    monkeypatch.setattr("digitnet.training.run.better", lambda *given: False)
    run = start(replace(config, epochs=1))
    list(run.train())
    run.finish()
    assert "did not improve the held-out digits" in caplog.text
    one, other = load_network(run.folder).state_dict(), load_network(first).state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)


class Fixed(torch.nn.Module):
    """Gives the digit that the top left pixel codes, with a confidence; of some digits the next one."""

    def __init__(self, sure, wrong=()):
        super().__init__()
        self.sure, self.wrong = sure, wrong

    def forward(self, x):
        digits = (x[:, 0, 0, 0] * 255).round().long() // 20
        off = sum((digits == digit).long() for digit in self.wrong) if self.wrong else 0
        return torch.nn.functional.one_hot((digits + off) % 10, 10).float() * self.sure


def coded(labels):
    images = np.zeros((len(labels), 28, 28), np.uint8)
    images[:, 0, 0] = np.array(labels) * 20
    return Digits(images, np.array(labels))


def test_own_and_known_digits_count_the_same_and_confidence_does_not():
    own, known = coded([3, 4] * 5), coded(list(range(10)) * 20)
    assert better(Fixed(9, wrong=[3]), Fixed(9, wrong=[3, 4]), own, known)
    assert better(Fixed(9, wrong=[5]), Fixed(9, wrong=[3]), own, known)
    assert not better(Fixed(9, wrong=[3]), Fixed(9, wrong=[5]), own, known)
    assert finetune.loss(Fixed(4, wrong=[5]), own, known) == pytest.approx(
        finetune.loss(Fixed(8, wrong=[5]), own, known), abs=2e-3
    )
    assert not better(Fixed(9), Fixed(9), own, known)


def test_an_exported_fine_tuned_run_answers_as_its_weights(config, tmp_path):
    run = start(replace(config, epochs=1))
    list(run.train())
    run.finish()
    model = export_run(run.folder, tmp_path / "tuned.onnx")
    images = run.parts.test.images
    assert (model(images).argmax(1) == logits_of(load_network(run.folder), images).argmax(1).numpy()).all()
    assert model.trained_on.has(run.parts.train.images).all()


@pytest.mark.parametrize(
    ("start_from", "error", "words"),
    [
        ("nowhere", ModelError, "nowhere: contains no config.json; fine-tuning starts from a run's folder or one of"),
        ("line", ModelError, "line: contains no config.json"),
        ("digitnet", DataError, "digitnet was trained on these digits, and fine-tuning needs them"),
    ],
)
def test_what_fine_tuning_cannot_start_from_is_told(start_from, error, words, config, monkeypatch):
    from digitnet.data import datasets

    def refuse(*given):
        raise DataError("no network")

    monkeypatch.setattr(datasets, "fetch", refuse)
    with pytest.raises(error, match=words):
        start(replace(config, start_from=start_from))


def test_the_command_tells_what_was_read_before(config, first, own, digitnet):
    words = ("--from", first, "--data", own, "--epochs", 2, "--lr", 0.003, "--augment", "none", "--device", "cpu")
    code, out, err = digitnet("train", *words, "--out", "tuned", "--batch-size", 32)
    assert code == 0, err
    assert "Training digitnet with recipe 'finetune'" in out
    assert "Before, run read " in out
    assert "held-out digits that run was made for: " in out
    kept = json.loads(Path("tuned/config.json").read_text())
    assert (kept["lr"], kept["augment"], kept["start_from"]) == (0.003, "none", str(first))


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (("--from", "strong"), "--from strong needs --data"),
        (("--from", "strong", "--data", "x", "--model", "digitnet"), "omit --model"),
        (("--from", "strong", "--data", "x", "--recipe", "quick"), "omit --recipe"),
        (("--resume", "x", "--from", "strong"), "omit --from"),
        (("--lr", "0"), "learning rate 0.0: must be above 0"),
        (("--augment", "wild"), "augment 'wild': choose one of none, gentle, lively, transfer, or module:function"),
        (("--augment", "nosuch:f"), "nosuch cannot be imported"),
        (("--augment", "math:nosuch"), "math has no function nosuch"),
    ],
)
def test_options_that_do_not_go_together_are_told(words, fault, digitnet, drawn_npz):
    more = () if "--data" in words or "--resume" in words or words == ("--from", "strong") else ("--data", drawn_npz)
    code, _, err = digitnet("train", *words, *more)
    assert (code, fault in err) == (1, True), err


OWN_AUGMENT = "def darker(x, rng):\n    return x * 0.5\ndef shrunk(x, rng):\n    return x[:, :, 1:]\n"


def test_an_augmentation_of_ones_own_is_used_and_named_again_to_resume(drawn_npz, tmp_path):
    (tmp_path / "my_changes.py").write_text(OWN_AUGMENT)
    config = replace(RECIPES["quick"], data=str(drawn_npz), epochs=2, batch_size=64, device="cpu")
    plain, dark = start(config), start(replace(config, augment="my_changes:darker"))
    assert next(plain.train()).loss != next(dark.train()).loss
    with pytest.raises(TrainingError, match="trained with --augment my_changes:darker, which is code; give it again"):
        reopen(dark.folder)
    with pytest.raises(TrainingError, match="omit --augment lively"):
        reopen(plain.folder, augment="lively")
    assert [epoch.number for epoch in reopen(dark.folder, augment="my_changes:darker").train()] == [2]
    run = start(replace(config, augment="my_changes:shrunk"))
    with pytest.raises(TrainingError, match=r"my_changes:shrunk: gives \(64, 1, 27, 28\) .* expected the same"):
        next(run.train())
