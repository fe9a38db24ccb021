"""A network of one's own in a Python file: trained, resumed, scored, reported and exported."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from torch import nn

from digitnet import ModelError, TrainingError, classifier
from digitnet.models import trust
from digitnet.models.checkpoint import load_network
from digitnet.models.loading import open_model
from digitnet.training.config import RECIPES
from digitnet.training.export import export_run
from digitnet.training.loop import train
from digitnet.training.run import reopen, start

CODE = """
import torch
from torch import nn

class MyNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.pool, self.fc = nn.Conv2d(1, 6, 3, padding=1), nn.MaxPool2d(2), nn.Linear(6 * 196, 10)

    def forward(self, x):
        return self.fc(self.pool(torch.relu(self.conv(x))).flatten(1))

class Wide(MyNet):
    def forward(self, x):
        return super().forward(x)[:, :9]

class Nan(MyNet):
    def forward(self, x):
        return super().forward(x) * float("nan")

class Misfit(MyNet):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(7, 10)

class Centred(MyNet):
    input = "mnist"
    def forward(self, x):
        assert x.min() < -0.4
        return super().forward(x)

class Needs(MyNet):
    def __init__(self, classes):
        super().__init__()

number = 7
"""


@pytest.fixture
def my_net(tmp_path):
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "my_net.py").write_text(CODE)
    return tmp_path / "code" / "my_net.py"


@pytest.fixture
def config(my_net, drawn_npz):
    return replace(RECIPES["quick"], model=f"{my_net}:MyNet", data=str(drawn_npz), epochs=2, device="cpu")


def test_the_command_trains_shows_scores_and_reports_it(my_net, drawn_npz, digitnet):
    words = ("--recipe", "quick", "--epochs", "40", "--out", "mine")
    status, out, err = digitnet("train", "--model", f"{my_net}:MyNet", "--data", drawn_npz, *words)
    assert status == 0, err
    assert "MyNet: 11,830 parameters" in out
    assert "conv (6, 28, 28), pool (6, 14, 14), fc (10,)" in out
    assert (Path("mine") / "network.py").read_bytes() == my_net.read_bytes()
    my_net.unlink()
    assert json.loads((Path("mine") / "config.json").read_text())["model"] == f"{my_net}:MyNet"
    scores = json.loads(digitnet("evaluate", "--model", "mine", "--json")[1])
    assert scores["accuracy"] == json.loads((Path("mine") / "scores.json").read_text())["accuracy"] > 0.8
    assert (Path("mine") / "report.html").is_file()


def test_a_run_is_resumed_to_the_same_weights_and_exported(config, drawn, tmp_path):
    whole, halves = start(config, tmp_path / "whole"), start(config, tmp_path / "halves")
    list(whole.train())
    next(iter(halves.train()))
    list(reopen(tmp_path / "halves").train())
    weights = [load_network(tmp_path / name).state_dict() for name in ("whole", "halves")]
    assert all((weights[0][name] == weights[1][name]).all() for name in weights[0])
    export_run(tmp_path / "whole", tmp_path / "mine.onnx")
    assert classifier(tmp_path / "mine.onnx")(drawn.images[:3]).shape == (3, 10)


def test_code_that_this_user_did_not_name_is_not_run(config, tmp_path, monkeypatch, digitnet):
    list(start(config, tmp_path / "mine").train())
    monkeypatch.setenv("DIGITNET_TRUST", str(tmp_path / "elsewhere"))
    path = tmp_path / "mine" / "network.py"
    path.write_text(f"import pathlib; pathlib.Path({str(tmp_path / 'owned')!r}).touch()\n" + path.read_text())
    with pytest.raises(ModelError, match=r"which digitnet runs only if you trust it: digitnet trust .*network\.py"):
        open_model(tmp_path / "mine")
    assert not (tmp_path / "owned").exists()
    trust.trust(path)
    assert open_model(tmp_path / "mine").about["recipe"] == "quick"
    assert (tmp_path / "owned").exists()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Wide", r"Wide: returns \(2, 9\) for 2 images; expected logits \(2, 10\)"),
        ("Nan", "Nan: returns values that are not finite"),
        ("Misfit", r"Misfit: fails on images \(2, 1, 28, 28\): .*shapes cannot be multiplied"),
        ("Needs", r"my_net\.py: Needs\(\) fails .*missing 1 required positional argument"),
        ("number", r"my_net\.py: no class or function 'number' \(it has MyNet, Wide"),
        ("Missing", r"my_net\.py: no class or function 'Missing'"),
    ],
)
def test_what_is_wrong_with_a_network_is_one_line_before_anything_is_written(name, words, config, my_net, tmp_path):
    with pytest.raises(ModelError, match=words) as caught:
        start(replace(config, model=f"{my_net}:{name}"), tmp_path / "run")
    assert len(str(caught.value).splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_a_stated_input_is_what_the_network_gets(config, my_net, tmp_path, drawn):
    run = start(replace(config, model=f"{my_net}:Centred", epochs=1), tmp_path / "run")
    assert len(list(run.train())) == 1
    assert open_model(tmp_path / "run").classifier(drawn.images[:3]).shape == (3, 10)


@pytest.mark.parametrize("model", ["my_net.py", "my_net.py:", "missing.py:Net", "resnet"])
def test_names_that_lead_to_no_network_are_told(model, config):
    with pytest.raises((ModelError, TrainingError)) as caught:
        start(replace(config, model=model))
    assert model.partition(":")[0] in str(caught.value)


def test_weights_of_a_network_trained_from_python_say_whose_they_are(drawn, tmp_path):
    network = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    small = replace(RECIPES["quick"], epochs=1, device="cpu")
    list(train(network, drawn[:200], drawn[500:520], small, tmp_path))
    with pytest.raises(
        ModelError, match=r"trained by a network of your own, Sequential; .*--model FILE\.py:Sequential"
    ):
        load_network(tmp_path)


def test_a_recipe_of_another_network_cannot_be_meant(my_net, drawn_npz, digitnet):
    words = ("train", "--model", f"{my_net}:MyNet", "--recipe", "line", "--data", drawn_npz)
    assert "recipe 'line' trains line" in digitnet(*words)[2]
