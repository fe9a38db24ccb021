"""Files of Keras, made here as Keras 3 lays them out: layers as JSON, weights as HDF5."""

import io
import json
import sys
import zipfile

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from digitnet import ModelError
from digitnet.models import loading
from digitnet.models.checkpoint import load_network
from digitnet.models.loading import is_weights, open_model

h5py = pytest.importorskip("h5py", reason="the extra keras brings h5py")


def layer(kind, name=None, **config):
    return {"class_name": kind, "config": {"name": name or kind.lower(), **config}}


def weights_of(rng, *shapes):
    return [rng.normal(0, 0.2, shape).astype(np.float32) for shape in shapes]


@pytest.fixture
def convolutional():
    """Layers and the weights of each: a small convolutional network with all that such networks have."""
    rng = np.random.default_rng(0)
    same = {"strides": [1, 1], "padding": "same", "data_format": "channels_last", "dilation_rate": [1, 1], "groups": 1}
    pool = {"pool_size": [2, 2], "strides": [2, 2], "data_format": "channels_last"}
    norm = [np.abs(each) + 0.5 for each in weights_of(rng, (6,), (6,), (6,), (6,))]
    return [
        (layer("InputLayer", batch_shape=[None, 28, 28, 1]), []),
        (layer("Conv2D", "a", activation="relu", **same | {"padding": "valid"}), weights_of(rng, (3, 3, 1, 4), (4,))),
        (layer("MaxPooling2D", padding="valid", **pool), []),
        (layer("Conv2D", "b", activation="linear", **same), weights_of(rng, (2, 2, 4, 6), (6,))),
        (layer("BatchNormalization", epsilon=1e-3), norm),
        (layer("Activation", activation="relu"), []),
        (layer("MaxPooling2D", padding="same", **pool), []),
        (layer("Flatten"), []),
        (layer("Dropout", rate=0.5), []),
        (layer("Dense", "c", activation="tanh"), weights_of(rng, (7 * 7 * 6, 16), (16,))),
        (layer("Dense", "d", activation="softmax"), weights_of(rng, (16, 10), (10,))),
    ]


def expected(layers, x):
    """Return what the layers give, by definition: images with channels last, as Keras computes."""
    a, b, norm, c, d = (weights for _, weights in layers if weights)

    def convolved(x, kernel, bias, pad=(0, 0)):
        x = np.pad(x, ((0, 0), pad, pad, (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(x, kernel.shape[:2], axis=(1, 2))
        return np.einsum("nhwcij,ijco->nhwo", windows, kernel) + bias

    def pooled(x):
        return x.reshape(len(x), x.shape[1] // 2, 2, x.shape[2] // 2, 2, -1).max((2, 4))

    x = pooled(np.maximum(convolved(x[..., None], *a), 0))
    gamma, beta, mean, variance = norm
    x = (convolved(x, *b, pad=(0, 1)) - mean) / np.sqrt(variance + 1e-3) * gamma + beta
    x = np.pad(np.maximum(x, 0), ((0, 0), (0, 1), (0, 1), (0, 0)))  # 13 -> 14, of zeros, which are no maximum here
    x = np.tanh(pooled(x).reshape(len(x), -1) @ c[0] + c[1]) @ d[0] + d[1]
    return np.exp(x) / np.exp(x).sum(1, keepdims=True)


def save_h5(layers, path):
    with h5py.File(path, "w") as file:
        config = {"class_name": "Sequential", "config": {"name": "s", "layers": [each for each, _ in layers]}}
        file.attrs["model_config"] = json.dumps(config)
        for each, weights in layers:
            name = each["config"]["name"]
            group = file.require_group(f"model_weights/{name}")
            names = [f"s/{name}/{i}" for i in range(len(weights))]
            group.attrs["weight_names"] = names
            for key, weight in zip(names, weights, strict=True):
                group[key] = weight
    return path


def save_keras(layers, path):
    content, seen = io.BytesIO(), {}
    names = {"Conv2D": "conv2d", "BatchNormalization": "batch_normalization", "Dense": "dense"}
    with h5py.File(content, "w") as file:
        for each, weights in layers:
            name = names.get(each["class_name"], each["class_name"].lower())
            count = seen[name] = seen.get(name, -1) + 1
            group = file.require_group(f"layers/{name}_{count}/vars" if count else f"layers/{name}/vars")
            for i, weight in enumerate(weights):
                group[str(i)] = weight
    with zipfile.ZipFile(path, "w") as archive:
        config = {"class_name": "Sequential", "config": {"name": "s", "layers": [each for each, _ in layers]}}
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("model.weights.h5", content.getvalue())
    return path


SAVES = pytest.mark.parametrize(("save", "name"), [(save_h5, "their.h5"), (save_keras, "their.keras")])


@SAVES
def test_a_network_of_keras_gives_what_keras_computes(save, name, convolutional, drawn, tmp_path):
    path = save(convolutional, tmp_path / name)
    assert is_weights(path)
    images = drawn.images[:9].astype(np.float32) / 255
    with torch.inference_mode():
        found = load_network(path)(torch.tensor(images[:, None])).softmax(1).numpy()
    assert found == pytest.approx(expected(convolutional, images), abs=1e-5)


def perceptron(drawn, first):
    """A perceptron that has learnt the drawn digits at 0..255, as Keras' layers; first: those before the first one."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = torch.nn.Sequential(torch.nn.Linear(784, 24), torch.nn.ReLU(), torch.nn.Linear(24, 10))
    adam = torch.optim.Adam(network.parameters(), 3e-3)
    images, labels = torch.tensor(drawn.images.reshape(-1, 784)) / 255, torch.tensor(drawn.labels).long()
    for _ in range(60):
        adam.zero_grad()
        F.cross_entropy(network(images), labels).backward()
        adam.step()
    a, b, c, d = (weight.detach().numpy() for weight in network.parameters())
    return [*first, (layer("Dense", "a", activation="relu"), [a.T / 255, b]), (layer("Dense", "b"), [c.T, d])]


FIRST = {
    "flat": [(layer("InputLayer", batch_shape=[None, 784]), [])],
    "images": [(layer("InputLayer", batch_shape=[None, 28, 28]), []), (layer("Flatten"), [])],
    "keras 2": [(layer("Flatten", batch_input_shape=[None, 28, 28]), [])],
}


@pytest.mark.parametrize("first", FIRST)
def test_the_inputs_that_a_network_of_keras_takes_are_found(first, drawn, tmp_path, monkeypatch, digitnet, drawn_npz):
    from types import SimpleNamespace

    monkeypatch.setattr(loading, "splits", lambda *where: SimpleNamespace(valid=drawn))
    save_h5(perceptron(drawn, FIRST[first]), "their.h5")
    opened = open_model("their.h5")
    assert opened.about == {"input": "0..255"}
    right = float((opened.classifier(drawn.images).argmax(1) == drawn.labels).mean())
    assert right > 0.9
    status, out, _ = digitnet("evaluate", "--model", "their.h5", "--data", drawn_npz, "--json")
    assert status == 0
    assert json.loads(out)["accuracy"] == pytest.approx(right)


def changed(layers, place, **config):
    each, weights = layers[place]
    return [*layers[:place], ({**each, "config": each["config"] | config}, weights), *layers[place + 1 :]]


@SAVES
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda ls: [*ls[:-1], (layer("LSTM"), [])],
            "has a layer LSTM, which digitnet does not know .*InputLayer, Conv2D",
        ),
        (lambda ls: changed(ls, 1, activation="mish"), "has the activation mish"),
        (lambda ls: changed(ls, 1, data_format="channels_first"), "its images are channels_first"),
        (lambda ls: changed(ls, 1, dilation_rate=[10**9, 1]), "a window or step of 1000000000x1"),
        (lambda ls: changed(ls, 9, activation="softmax"), "has a softmax before the last layer"),
        (lambda ls: ls[:-1], r"gives \(2, 16\) for 2 images, expected \(2, 10\)"),
        (lambda ls: changed(ls, 0, batch_shape=[None, 32, 32, 3]), r"inputs of shape \(32, 32, 3\)"),
        (lambda ls: [*ls[:3], *ls[7:]], "its layers do not take 28x28 images"),
        (lambda ls: [*ls, (layer("Dense", "e"), weights_of(np.random.default_rng(0), (10, 5_000)))], "4,096 channels"),
        (lambda ls: [*ls[:-1], (ls[-1][0], [ls[-1][1][0] * np.nan, ls[-1][1][1]])], "values that are not finite"),
        (lambda ls: [*ls, *[(layer("Dropout"), [])] * 60], "71 layers; digitnet opens at most 64"),
    ],
)
def test_what_is_not_understood_is_told_in_a_line(save, name, change, words, convolutional, tmp_path):
    path = save(change(convolutional), tmp_path / name)
    with pytest.raises(ModelError, match=rf"{name}: .*{words}") as caught:
        load_network(path)
    assert len(str(caught.value).splitlines()) == 1


def test_a_damaged_file_and_weights_alone_are_refused(convolutional, tmp_path):
    path = save_h5(convolutional, tmp_path / "their.h5")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelError, match=r"their\.h5: not a model that Keras saved whole"):
        load_network(path)
    with h5py.File(tmp_path / "weights.h5", "w") as file:
        file["a"] = np.zeros(3)
    with pytest.raises(ModelError, match=r"weights\.h5: not a model that Keras saved whole"):
        load_network(tmp_path / "weights.h5")


def test_nothing_is_read_from_another_file(convolutional, tmp_path):
    other = save_h5(convolutional, tmp_path / "other.h5")
    path = save_h5(convolutional, tmp_path / "their.h5")
    with h5py.File(path, "a") as file:
        del file["model_weights/a/s/a/0"]
        file["model_weights/a/s/a/0"] = h5py.ExternalLink(str(other), "model_weights/a/s/a/0")
    with pytest.raises(ModelError, match=r"no s/a/0 in"):
        load_network(path)


def test_without_h5py_the_extra_is_named(convolutional, tmp_path, monkeypatch):
    path = save_h5(convolutional, tmp_path / "their.h5")
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ModelError, match=r"their\.h5: a file of Keras; install digitnet's extra keras"):
        load_network(path)
