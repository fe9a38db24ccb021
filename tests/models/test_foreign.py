"""Models of others: weights under any names, TorchScript, torch.export, ONNX files of other tools."""

import io
import json
import logging
import warnings
import zipfile
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from digitnet import ModelError, classifier, evaluate
from digitnet.models import foreign, loading
from digitnet.models.checkpoint import load_network
from digitnet.models.loading import open_model
from digitnet.models.networks import DigitNet


class Example(nn.Module):
    """The network of PyTorch's MNIST example, with fewer channels."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 4, 3, 1), nn.Conv2d(4, 8, 3, 1)
        self.dropout1, self.dropout2 = nn.Dropout(0.25), nn.Dropout(0.5)
        self.fc1, self.fc2 = nn.Linear(8 * 144, 32), nn.Linear(32, 10)

    def forward(self, x):
        x = F.relu(self.conv2(F.relu(self.conv1(x))))
        x = torch.flatten(self.dropout1(F.max_pool2d(x, 2)), 1)
        return F.log_softmax(self.fc2(self.dropout2(F.relu(self.fc1(x)))), dim=1)


def old_example():
    """An older one: 5x5 convolutions, each pooled."""
    convolutions = [nn.Conv2d(1, 4, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 8, 5), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*convolutions, nn.Flatten(), nn.Linear(128, 32), nn.ReLU(), nn.Linear(32, 10))


def padded():
    layers = [nn.Conv2d(1, 4, 3, padding=1, bias=False), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(4 * 196, 10))


def perceptron():
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 32), nn.ReLU(), nn.Linear(32, 10))


def normalised(images):
    return (torch.tensor(images[:, None]).float() / 255 - 0.1307) / 0.3081


def teach(network, digits, scale=normalised, steps=60):
    images, labels = scale(digits.images), torch.tensor(digits.labels).long()
    adam = torch.optim.Adam(network.parameters(), 3e-3)
    for step in range(steps):
        rows = torch.arange(step * 100, step * 100 + 100) % len(images)
        adam.zero_grad()
        F.cross_entropy(network(images[rows]), labels[rows]).backward()
        adam.step()
    return network.eval()


def probabilities(network, digits, scale=normalised):
    with torch.inference_mode():
        return network(scale(digits.images)).softmax(1).numpy()


@pytest.fixture(scope="module")
def example(drawn):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return teach(Example(), drawn)


@pytest.fixture(autouse=True)
def valid(drawn, monkeypatch):
    """The drawn digits instead of MNIST's validation digits."""
    monkeypatch.setattr(loading, "splits", lambda *where: SimpleNamespace(valid=drawn))


@pytest.mark.parametrize("prefix", ["", "module.", "net.", "model._orig_mod."])
@pytest.mark.parametrize("make", [DigitNet, Example, old_example, padded, perceptron])
def test_weights_under_any_prefix_give_their_network(make, prefix, drawn, tmp_path, caplog):
    network = make().eval()
    weights = {prefix + name: weight for name, weight in network.state_dict().items()}
    torch.save({"state_dict": weights}, tmp_path / "their.pt")
    with caplog.at_level(logging.INFO), torch.inference_mode():
        found = load_network(tmp_path / "their.pt")(normalised(drawn.images[:9])).softmax(1).numpy()
    assert found == pytest.approx(probabilities(network, drawn[:9]), abs=1e-6)
    told = "convolution 3x3 (4), convolution 3x3 (8), pooling, linear 1152-32-10, with ReLU between"
    assert (told in caplog.text) == (make is Example)


def test_pytorchs_example_is_scored_as_it_was_trained(example, drawn, drawn_npz, tmp_path, digitnet):
    torch.save(example.state_dict(), "mnist_cnn.pt")
    expected = (probabilities(example, drawn).argmax(1) == drawn.labels).mean()
    assert expected > 0.9
    status, out, _ = digitnet("evaluate", "--model", "mnist_cnn.pt", "--data", drawn_npz, "--json")
    assert status == 0
    assert json.loads(out)["input"] == "mnist"
    assert json.loads(out)["accuracy"] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ({"a.weight": (10, 785)}, r"linear layer takes 785 values, .*; it has a\.weight \(10, 785\)"),
        ({"a.weight": (9, 784)}, r"do not lead from 28x28 pixels to 10 digits; it has a\.weight \(9, 784\)"),
        (
            {"bn.running_mean": (10,), "a.weight": (10, 784)},
            r"weights of no network that digitnet knows; it has bn\.run",
        ),
        ({"a.weight": (10, 784), "a.bias": (9,)}, "weights of no network that digitnet knows"),
        ({"a.weight": (8, 3, 3, 3), "b.weight": (10, 8 * 169)}, "do not lead from 28x28 pixels"),
        ({}, "weights of no network that digitnet knows; it has none"),
    ],
)
def test_weights_of_other_networks_are_told_with_what_is_in_the_file(weights, words, tmp_path):
    torch.save({name: torch.zeros(shape) for name, shape in weights.items()}, tmp_path / "their.pt")
    with pytest.raises(ModelError, match=rf"their\.pt: .*{words}") as caught:
        load_network(tmp_path / "their.pt")
    assert len(str(caught.value).splitlines()) == 1


def trace(network, digits, path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # by PyTorch, which still reads such files
        torch.jit.trace(network, normalised(digits.images[:2])).save(path)


@pytest.mark.parametrize("kind", ["script", "export"])
def test_programs_are_scored_in_a_process_of_their_own(kind, example, drawn, tmp_path, caplog):
    path = tmp_path / ("their.pt" if kind == "script" else "their.pt2")
    if kind == "script":
        trace(example, drawn, path)
    else:
        torch.export.save(torch.export.export(example, (normalised(drawn.images[:4]),)), path)
    assert foreign.kind_of(path) == kind
    with caplog.at_level(logging.INFO):
        opened = open_model(path)
    assert opened.about == {"input": "mnist"}
    assert "assuming --input mnist" in caplog.text
    assert opened.classifier(drawn.images[:30]) == pytest.approx(probabilities(example, drawn[:30]), abs=1e-5)
    if kind == "script":
        assert classifier(path, inputs="0..1")(drawn.images[:3]).shape == (3, 10)


def test_a_program_that_gives_no_logits_is_told_in_a_line(tmp_path, drawn):
    trace(nn.Flatten(), drawn, tmp_path / "flat.pt")
    words = r"flat\.pt: cannot be run \(it returns \(2, 784\) for 2 images, expected logits \(n, 10\)\)"
    with pytest.raises(ModelError, match=words) as caught:
        foreign.ChildModel(tmp_path / "flat.pt", "script")(np.zeros((2, 28, 28), np.float32))
    assert len(str(caught.value).splitlines()) == 1


class Touch:
    """What unpickles by making a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_nothing_is_unpickled_in_a_program(tmp_path, example, drawn):
    path, content = tmp_path / "their.pt2", io.BytesIO()
    torch.export.save(torch.export.export(example, (normalised(drawn.images[:2]),)), path)
    torch.save(Touch(tmp_path / "owned"), content)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    replaced = [name for name in members if "sample_inputs" in name or name.endswith(".pt")]
    assert replaced
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, data in members.items():
            archive.writestr(name, content.getvalue() if name in replaced else data)
    with pytest.raises(ModelError, match=r"their\.pt2: cannot be run"):
        foreign.ChildModel(path, "export")
    assert not (tmp_path / "owned").exists()


def zoo(example, path, *, extra=()):
    """The example as the ONNX model zoo's: one image at a time, 0..255, weights in a Reshape's way."""
    weights = {name: value.detach().numpy() for name, value in example.state_dict().items()}
    weights["fc1.weight"], weights["fc2.weight"] = weights["fc1.weight"].T, weights["fc2.weight"].T
    weights |= {"conv1.bias": weights["conv1.bias"][:, None, None], "conv2.bias": weights["conv2.bias"][:, None, None]}
    weights |= {
        "shape": np.array([1, 1152]),
        "scale": np.float32(1 / 255 / 0.3081),
        "mean": np.float32(0.1307 / 0.3081),
    }
    nodes = [("Mul", ["x", "scale"]), ("Sub", ["a0", "mean"])]
    nodes += [("Conv", ["a1", "conv1.weight"]), ("Add", ["a2", "conv1.bias"]), ("Relu", ["a3"])]
    nodes += [("Conv", ["a4", "conv2.weight"]), ("Add", ["a5", "conv2.bias"]), ("Relu", ["a6"])]
    nodes += [("MaxPool", ["a7"]), ("Reshape", ["a8", "shape"]), ("MatMul", ["a9", "fc1.weight"])]
    nodes += [("Add", ["a10", "fc1.bias"]), ("Relu", ["a11"]), ("MatMul", ["a12", "fc2.weight"]), *extra]
    nodes += [("Add", [f"a{12 + 1 + len(extra)}", "fc2.bias"])]
    made = []
    for i, (kind, inputs) in enumerate(nodes):
        more = {"kernel_shape": [2, 2], "strides": [2, 2]} if kind == "MaxPool" else {}
        made.append(helper.make_node(kind, inputs, [f"a{i}"], **more))
    graph = helper.make_graph(
        made,
        "CNTKGraph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, 28, 28])],
        [helper.make_tensor_value_info(f"a{len(nodes) - 1}", TensorProto.FLOAT, [1, 10])],
        [numpy_helper.from_array(np.ascontiguousarray(value), name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 12)], ir_version=8)
    onnx.save(model, path)
    return path


def test_an_onnx_file_of_the_zoo_is_scored_by_the_inputs_it_takes(example, drawn, tmp_path, caplog):
    path = zoo(example, tmp_path / "mnist-12.onnx")
    with caplog.at_level(logging.INFO):
        opened = open_model(path)
    assert opened.about == {"input": "0..255"}
    assert "assuming --input 0..255" in caplog.text
    assert opened.classifier(drawn.images[:30]) == pytest.approx(probabilities(example, drawn[:30]), abs=1e-5)
    expected = (probabilities(example, drawn).argmax(1) == drawn.labels).mean()
    assert evaluate(classifier(path, inputs="0..255"), drawn).accuracy == pytest.approx(expected, abs=0.002)


def test_an_onnx_file_that_does_not_read_digits_is_told_with_what_it_has(example, tmp_path):
    path = tmp_path / "other.onnx"
    given = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 5]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "other", given[:1], given[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 12)], ir_version=8), path)
    with pytest.raises(ModelError, match=r"other\.onnx: has .*\[1, 5\] tensor\(float\).*; expected an input of 28x28"):
        open_model(path)
    path = zoo(example, tmp_path / "loop.onnx", extra=[("Cos", ["a13"])])
    with pytest.raises(ModelError, match=r"loop\.onnx: has the operator 'Cos'"):
        open_model(path)


def test_a_model_that_reads_little_is_doubted(tmp_path, caplog):
    torch.save(perceptron().state_dict(), tmp_path / "their.pt")
    open_model(tmp_path / "their.pt")
    assert "of 600 validation digits at best; is it a network for MNIST's digits?" in caplog.text
