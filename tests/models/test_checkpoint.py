import json
import os
import pickle
import sys
import time
from pathlib import Path

import pytest
import torch
from torch import nn

from digitnet import ModelError, TrainingError
from digitnet.models import checkpoint, run_folder
from digitnet.models.networks import DigitNet
from digitnet.training.config import TrainConfig
from digitnet.training.loop import optimizers_of


@pytest.fixture
def network():
    torch.manual_seed(0)
    return DigitNet().eval()


def same(a, b):
    return all((x == y).all() for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def test_a_network_comes_back_bit_for_bit(tmp_path, network):
    checkpoint.save_network(tmp_path / "model.safetensors", network, "digitnet")
    assert same(checkpoint.load_network(tmp_path / "model.safetensors"), network)
    assert same(checkpoint.load_network(tmp_path), network)
    assert not checkpoint.load_network(tmp_path).training


def test_saving_twice_gives_the_same_bytes(tmp_path, network):
    for name in ("a", "b"):
        checkpoint.save_network(tmp_path / name, network.to(memory_format=torch.channels_last), "digitnet")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"model_state_dict": state, "epoch": 5, "loss": 0.1},
        lambda state: {"state_dict": state},
        lambda state: {f"module.{name}": weight for name, weight in state.items()},
        lambda state: {name: weight.half() for name, weight in state.items()},
    ],
    ids=["bare", "checkpoint", "lightning", "data-parallel", "half"],
)
@pytest.mark.parametrize("old_format", [False, True])
def test_a_tutorials_state_dict_loads(tmp_path, network, wrap, old_format):
    torch.save(wrap(network.state_dict()), tmp_path / "their.pt", _use_new_zipfile_serialization=not old_format)
    loaded = checkpoint.load_network(tmp_path / "their.pt")
    x = torch.rand(3, 1, 28, 28)
    torch.testing.assert_close(loaded(x), network(x), atol=1e-2, rtol=1e-2)
    assert loaded.output_layer.bias.dtype == torch.float32


class Hostile:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def test_nothing_in_a_file_is_executed(tmp_path):
    for name, save in (("a.pt", torch.save), ("b.pt", lambda value, path: path.write_bytes(pickle.dumps(value)))):
        save({"weights": Hostile(tmp_path / "owned")}, tmp_path / name)
        with pytest.raises(ModelError, match=r"save|not a file"):
            checkpoint.load_network(tmp_path / name)
        assert not (tmp_path / "owned").exists()


def test_a_whole_pickled_model_is_refused_with_the_way_out(tmp_path, network):
    torch.save(network, tmp_path / "their.pt")
    with pytest.raises(ModelError, match=r"weights_only=False\); torch\.save\(model\.state_dict\(\), 'weights\.pt'\)"):
        checkpoint.load_network(tmp_path / "their.pt")


def change(state, **changes):
    return {name: changes.get(name.replace(".", "_"), weight) for name, weight in state.items()}


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda s: {k: v for k, v in s.items() if k != "output_layer.bias"}, "no weights named output_layer.bias"),
        (lambda s: change(s, output_layer_bias=torch.zeros(7)), "output_layer.bias is (7,), expected (10,)"),
        (lambda s: change(s, output_layer_bias=torch.full((10,), torch.nan)), "not finite"),
        (lambda s: s | {"extra": torch.zeros(1)}, "that the network lacks: extra"),
        (lambda s: [1, 2], "not a state dict"),
        (lambda s: torch.zeros(3), "not a state dict"),
        (lambda s: {"a": 1}, "not a state dict"),
        (
            lambda s: nn.Linear(2, 2).state_dict(),
            "do not lead from 28x28 pixels to 10 digits; it has weight (2, 2), bias (2,)",
        ),
    ],
)
def test_other_weights_are_refused_in_words(tmp_path, network, damage, words):
    torch.save(damage(network.state_dict()), tmp_path / "their.pt")
    with pytest.raises(ModelError) as caught:
        checkpoint.load_network(tmp_path / "their.pt")
    assert words in str(caught.value)
    assert "their.pt" in str(caught.value)


@pytest.mark.parametrize("name", ["model.safetensors", "model.pt"])
@pytest.mark.parametrize("keep", [0, 7, 100, 5000])
def test_a_truncated_file_is_a_model_error(tmp_path, network, name, keep):
    path = tmp_path / name
    if name.endswith(".pt"):
        torch.save(network.state_dict(), path)
    else:
        checkpoint.save_network(path, network, "digitnet")
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ModelError, match="not a"):
        checkpoint.load_network(path)


def test_a_model_of_another_name_is_refused(tmp_path, network):
    checkpoint.save_network(tmp_path / "model.safetensors", network, "bignet")
    with pytest.raises(ModelError, match="a model named 'bignet'; this version knows digitnet"):
        checkpoint.load_network(tmp_path)


def test_what_is_not_there_is_said(tmp_path):
    with pytest.raises(ModelError, match="train one with: digitnet train"):
        checkpoint.load_network(tmp_path / "nothing.pt")
    with pytest.raises(ModelError, match=r"contains no model\.safetensors"):
        checkpoint.load_network(tmp_path)
    with pytest.raises(ModelError, match="contains no run"):
        run_folder.latest_run(tmp_path)


def test_a_file_too_large_is_not_opened(tmp_path, monkeypatch, network):
    checkpoint.save_network(tmp_path / "model.safetensors", network, "digitnet")
    monkeypatch.setattr(checkpoint, "MAX_WEIGHTS", 1000)
    with pytest.raises(ModelError, match="more than the 1000"):
        checkpoint.load_network(tmp_path)


def step(network, optimizers, x):
    network(x).square().sum().backward()
    for optimizer in optimizers:
        optimizer.step()
        optimizer.zero_grad()


@pytest.mark.parametrize("optimizer", ["adam", "muon"])
def test_state_brings_back_networks_andoptimizers_of_so_that_the_next_step_is_the_same(tmp_path, network, optimizer):
    config = TrainConfig(optimizer=optimizer)
    network.to(memory_format=torch.channels_last)
    optimizers = optimizers_of(network, config)
    x = torch.rand(4, 1, 28, 28)
    step(network, optimizers, x)
    checkpoint.save_state(tmp_path / "state", [network], optimizers, 3)

    other = DigitNet().to(memory_format=torch.channels_last)
    others = optimizers_of(other, config)
    assert checkpoint.load_state(tmp_path / "state", [other], others) == 3
    step(network, optimizers, x)
    step(other, others, x)
    assert same(network, other)


def test_state_of_another_configuration_is_refused(tmp_path, network):
    checkpoint.save_state(tmp_path / "state", [network], [], 1)
    with pytest.raises(TrainingError, match="another configuration"):
        checkpoint.load_state(tmp_path / "state", [nn.Linear(2, 2)], [])


def test_the_latest_run_is_the_one_whose_weights_are_newest(tmp_path, network):
    for age, name in enumerate(("new", "old", "older")):
        checkpoint.save_network(tmp_path / name / "model.safetensors", network, "digitnet")
        os.utime(tmp_path / name / "model.safetensors", (time.time() - age,) * 2)
    assert run_folder.latest_run(tmp_path).name == "new"


def test_json_is_written_for_people_and_reads_back(tmp_path):
    value = {
        "confusion": [[1, 2], [3, -4]],
        "interval": [0.5, 1e-9],
        "words": ["[1,\n 2]"],
        "none": [],
        "deep": [{"a": 1}],
    }
    run_folder.save_json(tmp_path / "a.json", value)
    assert run_folder.load_json(tmp_path / "a.json") == value
    assert "[1, 2]" in (tmp_path / "a.json").read_text()


@pytest.mark.parametrize("text", ["", "{", "[1]", "\xff"])
def test_damaged_json_is_a_model_error(tmp_path, text):
    (tmp_path / "config.json").write_text(text, encoding="latin1")
    with pytest.raises(ModelError, match="not"):
        run_folder.load_json(tmp_path / "config.json")


def test_a_failed_write_keeps_the_old_file_and_leaves_no_part(tmp_path, network, monkeypatch):
    path = tmp_path / "scores.json"
    run_folder.save_json(path, {"a": 1})

    def full(fd):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        run_folder.save_json(path, {"a": 2})
    assert json.loads(path.read_text()) == {"a": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_parts_that_killed_processes_left_go_with_a_later_write(tmp_path):
    old, new = tmp_path / "scores.json.1.part", tmp_path / "scores.json.2.part"
    for part in (old, new):
        part.write_text("half")
    os.utime(old, (time.time() - 7200,) * 2)
    run_folder.save_json(tmp_path / "scores.json", {})
    assert not old.exists()
    assert new.exists(), "it may belong to a process at work"


def said(call, *arguments):
    with pytest.raises(ModelError) as caught:
        call(*arguments)
    return str(caught.value)


def test_whole_messages_name_the_file_the_fact_and_the_next_step(tmp_path, network):
    path = tmp_path / "x.safetensors"
    missing = "contains no model.safetensors; name the folder of a run with at least one finished epoch"
    assert said(checkpoint.load_network, tmp_path) == f"{tmp_path}: {missing}"
    assert said(checkpoint.load_network, path) == f"{path}: no such run or file; train one with: digitnet train"
    checkpoint.save_tensors(path, {"a": torch.zeros(1)}, {"model": "nothing"})
    named = "contains a model named 'nothing'; this version knows digitnet, strong, line, page"
    assert said(checkpoint.load_network, path) == f"{path}: {named}"
    state = network.state_dict()
    first = next(iter(state))
    checkpoint.save_tensors(path, {name: w for name, w in state.items() if name != first}, {})
    told, _, names = said(checkpoint.load_network, path).partition(" (it has ")
    assert told == f"{path}: no weights named {first}"
    assert set(names.removesuffix(")").split(", ")) == set(state) - {first}
    checkpoint.save_tensors(path, state | {first: torch.zeros(2, 3)}, {})
    shape = tuple(state[first].shape)
    assert said(checkpoint.load_network, path) == f"{path}: {first} is (2, 3), expected {shape}"
    checkpoint.save_tensors(path, state | {first: torch.full(shape, torch.nan)}, {})
    assert said(checkpoint.load_network, path) == f"{path}: {first} has values that are not finite; train again"
    checkpoint.save_tensors(path, state | {"b": torch.zeros(1), "a": torch.zeros(1)}, {})
    assert said(checkpoint.load_network, path) == f"{path}: has weights that the network lacks: a, b"


def test_whole_messages_about_pickles_and_json(tmp_path, network):
    path = tmp_path / "x.pt"
    path.write_bytes(b"no weights")
    expected = "expected what torch.save(model.state_dict(), PATH) writes"
    assert said(checkpoint.load_network, path) == f"{path}: not a file of PyTorch weights; {expected}"
    torch.save(network, path)
    assert said(checkpoint.load_network, path) == (
        f"{path}: contains more than weights, and digitnet does not execute code from files. "
        f"Save only the weights, where the class is defined: model = torch.load({path.name!r}, weights_only=False); "
        "torch.save(model.state_dict(), 'weights.pt')"
    )
    for content in ([1, 2], {"state_dict": 3}, {"a": 1.5}):
        torch.save(content, path)
        what = "not a state dict; save one with torch.save(model.state_dict(), PATH)"
        assert said(checkpoint.load_network, path) == f"{path}: {what}"
    path = tmp_path / "x.json"
    assert said(run_folder.load_json, path) == f"{path}: cannot be read (No such file or directory)"
    path.write_text("[1]")
    assert said(run_folder.load_json, path) == f"{path}: not a JSON object"
    path.write_text("{")
    assert said(run_folder.load_json, path).startswith(f"{path}: not JSON (Expecting property name")
    assert said(checkpoint.load_tensors, path).startswith(f"{path}: not a complete safetensors file (")


def test_json_may_hold_any_letters(tmp_path):
    run_folder.save_json(tmp_path / "x.json", {"name": "Zürich 数字"})
    assert run_folder.load_json(tmp_path / "x.json") == {"name": "Zürich 数字"}
    (tmp_path / "x.json").write_bytes('{"name": "数字"}'.encode())
    assert run_folder.load_json(tmp_path / "x.json") == {"name": "数字"}


def test_a_file_of_exactly_the_largest_size_is_opened(tmp_path, monkeypatch, network):
    path = tmp_path / "model.safetensors"
    checkpoint.save_network(path, network, "digitnet")
    size = path.stat().st_size
    monkeypatch.setattr(checkpoint, "MAX_WEIGHTS", size)
    assert same(checkpoint.load_network(path), network)
    monkeypatch.setattr(checkpoint, "MAX_WEIGHTS", size - 1)
    assert said(checkpoint.load_network, path) == f"{path}: {size} bytes, more than the {size - 1} that digitnet opens"


def test_tensors_come_back_with_what_was_said_of_them_and_as_they_were(tmp_path):
    tensors = {"a": torch.arange(6.0).reshape(2, 3).T, "b": torch.tensor(3)}
    checkpoint.save_tensors(tmp_path / "x", tensors, {"z": 1, "a": [2]})
    loaded, about = checkpoint.load_tensors(tmp_path / "x")
    assert about == {"z": 1, "a": [2]}
    assert {name: value.tolist() for name, value in loaded.items()} == {
        "a": [[0, 3], [1, 4], [2, 5]],
        "b": 3,
    }
    assert b'"digitnet":"{\\"a\\": [2], \\"z\\": 1}"' in (tmp_path / "x").read_bytes(), "in the order of the names"


def test_without_any_run_the_way_to_one_is_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    expected = "train one with: digitnet train, or name one with --model"
    assert said(run_folder.latest_run, Path("run")) == f"{tmp_path.resolve() / 'run'}: contains no run; {expected}"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere every name is text")
def test_a_name_that_is_no_text_is_a_name(tmp_path, network):
    """Neither safetensors nor torch opens such a file by its name."""
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    checkpoint.save_network(folder / run_folder.WEIGHTS, network, "digitnet")
    with (folder / "their.pt").open("wb") as file:
        torch.save(network.state_dict(), file)
    assert same(checkpoint.load_network(folder), network)
    assert same(checkpoint.load_network(folder / "their.pt"), network)


def test_a_full_disk_is_told_with_the_name_of_the_file(tmp_path, monkeypatch):
    def full(fd):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError) as caught:
        run_folder.save_json(tmp_path / "scores.json", {})
    assert caught.value.filename == str(tmp_path / "scores.json")


@pytest.mark.parametrize("count", [1, 30])
def test_names_in_a_file_are_told_shortly_and_printable(tmp_path, count):
    torch.save({f"\x1b[2J{n}": torch.zeros(1) for n in range(count)}, tmp_path / "their.pt")
    with pytest.raises(ModelError) as caught:
        checkpoint.load_network(tmp_path / "their.pt")
    assert str(caught.value).isprintable()
    assert ("and 10 more" in str(caught.value)) == (count == 30)
