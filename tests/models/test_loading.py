"""Weights by others: what their inputs are is not in the file."""

import json
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from digitnet import DataError, ModelError, classifier, evaluate, load
from digitnet.data.datasets import splits
from digitnet.evaluation.report import build, measure
from digitnet.models import checkpoint, loading
from digitnet.models.loading import INPUTS, open_model, open_models
from digitnet.models.networks import DigitNet

SCALES = {
    "0..1": lambda x: x / 255,
    "mnist": lambda x: (x / 255 - 0.1307) / 0.3081,
    "-1..1": lambda x: x / 127.5 - 1,
    "0..255": lambda x: x,
}


def teach(digits, scale, steps=60, batch=100):
    """A tutorial's network and loop, on pixels (n, 1, 28, 28) in 0..255 scaled by a function."""
    images = scale(torch.tensor(digits.images[:, None]).float())
    labels = torch.tensor(digits.labels).long()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = DigitNet()
    adam = torch.optim.Adam(network.parameters(), 3e-3)
    for step in range(steps):
        rows = torch.arange(step * batch, step * batch + batch) % len(images)
        adam.zero_grad()
        torch.nn.functional.cross_entropy(network(images[rows]), labels[rows]).backward()
        adam.step()
    return network.eval()


def accuracy(network, digits, scale):
    with torch.inference_mode():
        answers = network(scale(torch.tensor(digits.images[:, None]).float())).argmax(1).numpy()
    return float((answers == digits.labels).mean())


@pytest.fixture(scope="session")
def networks(drawn):
    return {name: teach(drawn, scale) for name, scale in SCALES.items()}


@pytest.fixture
def valid(drawn, monkeypatch):
    """The drawn digits instead of MNIST's validation digits, which is all that may be asked for."""
    asked = []
    monkeypatch.setattr(loading, "splits", lambda *where: asked.append(where) or SimpleNamespace(valid=drawn))
    return asked


@pytest.mark.parametrize("name", INPUTS)
def test_the_convention_is_found_on_validation_digits_and_told(name, networks, drawn, valid, caplog):
    torch.save(networks[name].state_dict(), "their.pt")
    caplog.set_level("INFO", "digitnet")
    opened = open_model("their.pt", data_dir="somewhere")
    assert valid == [("mnist", "somewhere")]
    assert opened.about == {"input": name}
    expected = accuracy(networks[name], drawn, SCALES[name])
    assert evaluate(opened.classifier, drawn).accuracy == pytest.approx(expected, abs=0.002)
    assert f"their.pt: assuming --input {name}, which reads {100 * expected:.2f}% of" in caplog.text
    assert all(other in caplog.text for other in INPUTS)


@pytest.mark.parametrize("name", INPUTS)
def test_the_convention_that_is_named_is_taken_without_validation_digits(name, networks, drawn, valid):
    torch.save(networks["0..1"].state_dict(), "their.pt")
    opened = open_model("their.pt", name)
    assert opened.about == {"input": name}
    assert not valid
    expected = accuracy(networks["0..1"], drawn, SCALES[name])
    assert evaluate(opened.classifier, drawn).accuracy == pytest.approx(expected, abs=0.002)


def test_safetensors_by_others_are_tried_and_our_own_are_not(networks, valid):
    weights = {name: weight.contiguous() for name, weight in networks["mnist"].state_dict().items()}
    save_file(weights, "their.safetensors")
    assert open_model("their.safetensors").about == {"input": "mnist"}
    checkpoint.save_network(Path("ours.safetensors"), networks["mnist"], "digitnet")
    assert open_model("ours.safetensors").about == {}
    assert len(valid) == 1


def test_without_validation_digits_the_convention_must_be_named(networks, monkeypatch):
    def missing(*where):
        raise DataError("no network")

    monkeypatch.setattr(loading, "splits", missing)
    torch.save(networks["mnist"].state_dict(), "their.pt")
    with pytest.raises(ModelError) as caught:
        open_model("their.pt")
    assert str(caught.value).startswith("their.pt: its input scaling is unknown")
    assert "name it with --input (0..1, mnist, -1..1, 0..255)" in str(caught.value)
    assert str(caught.value).endswith("no network")


@pytest.mark.parametrize("model", ["strong", "ours.safetensors", "exported"])
def test_a_model_that_says_its_inputs_takes_no_other(model, networks, exported):
    checkpoint.save_network(Path("ours.safetensors"), networks["mnist"], "digitnet")
    with pytest.raises(ModelError, match=r"--input mnist: .* defines its input scaling itself; omit --input"):
        open_model(exported if model == "exported" else model, "mnist")


def test_a_classifier_takes_the_convention_too(networks, drawn, valid):
    torch.save(networks["mnist"].state_dict(), "their.pt")
    for inputs in (None, "mnist"):
        expected = accuracy(networks["mnist"], drawn, SCALES["mnist"])
        assert evaluate(classifier("their.pt", inputs=inputs), drawn).accuracy == pytest.approx(expected, abs=0.002)
    assert len(valid) == 1
    with pytest.raises(ModelError, match="strong: defines its input scaling itself; omit inputs='mnist'"):
        classifier("strong", inputs="mnist")


def test_an_unknown_convention_is_told(networks):
    torch.save(networks["mnist"].state_dict(), "their.pt")
    with pytest.raises(ModelError, match=r"input 'zscore': choose one of 0..1, mnist, -1..1, 0..255"):
        open_model("their.pt", "zscore")


def test_of_several_models_the_convention_is_for_those_by_others(networks, exported):
    torch.save(networks["mnist"].state_dict(), "their.pt")
    ours, theirs = open_models([exported, "their.pt"], "mnist")
    assert "input" not in ours.about
    assert theirs.about == {"input": "mnist"}
    with pytest.raises(ModelError, match="defines its input scaling itself"):
        open_models([exported, exported], "mnist")


def test_evaluate_tells_the_convention(networks, drawn, drawn_npz, valid, digitnet):
    torch.save(networks["-1..1"].state_dict(), "their.pt")
    words = ("evaluate", "--model", "their.pt", "--data", drawn_npz, "--json")
    for more in ((), ("--input", "-1..1")):
        code, out, _ = digitnet(*words, *more)
        found = json.loads(out)
        assert (code, found["input"]) == (0, "-1..1")
        expected = accuracy(networks["-1..1"], drawn, SCALES["-1..1"])
        assert found["accuracy"] == pytest.approx(expected, abs=0.002)
    assert json.loads(digitnet(*words, "--input", "0..255")[1])["input"] == "0..255"
    code, _, err = digitnet("evaluate", "--read", "--data", "x", "--input", "mnist")
    assert (code, err) == (1, "Error: --input applies only to single-digit networks; omit it with --read\n")


def test_a_report_tells_the_convention_and_how_to_score_so_again(networks, drawn_npz, valid, digitnet, monkeypatch):
    monkeypatch.setattr(build, "measure", partial(measure.measure, spoil=()))  # to save time
    torch.save(networks["mnist"].state_dict(), "their.pt")
    assert digitnet("report", "their.pt", "--data", drawn_npz, "--out", "found.html")[0] == 0
    assert f"digitnet evaluate --model their.pt --input mnist --data {drawn_npz}" in Path("found.html").read_text()


@pytest.mark.mnist
def test_on_mnist_weights_of_a_normalised_network_score_what_they_did_in_training(mnist_folder):
    rows = np.arange(0, 60_000, 10)
    network = teach(load("mnist", "train")[rows], SCALES["mnist"], 120, 50)
    torch.save(network.state_dict(), "their.pt")
    test = load("mnist", "test")[np.arange(0, 10_000, 4)]
    expected = accuracy(network, test, SCALES["mnist"])
    assert expected > accuracy(network, test, SCALES["0..1"]) + 0.005
    opened = open_model("their.pt")
    assert opened.about == {"input": "mnist"}
    assert evaluate(opened.classifier, test).accuracy == pytest.approx(expected, abs=0.0005)
    assert len(splits("mnist").valid) == 5_000
