"""Keras files, `.h5` and `.keras`: plain convolutional networks, as PyTorch networks; without TensorFlow.

Such a file has the layers as JSON and the weights as HDF5. Layers in a row, of the kinds in `KINDS`, are understood.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from digitnet.core.digits import IMAGE_SIZE
from digitnet.core.errors import ModelError
from digitnet.core.extras import add
from digitnet.core.text import listed, reason

MAX_FILE = 1 << 26
"""Largest file, and most bytes of weights, that are opened."""

MAX_LAYERS, MAX_CHANNELS = 64, 4_096
"""Most layers of a network, and most channels of one."""

HDF5, CONFIG, WEIGHTS = b"\x89HDF\r\n\x1a\n", "config.json", "model.weights.h5"

Arrays = Sequence[Tensor]
"""The weights of one layer, in Keras' order."""


class Step(nn.Module):
    """A function of a tensor as a layer."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        """Take the function."""
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        """Return the function of x."""
        return self.function(x)


class Affine(nn.Module):
    """A factor and an offset for each channel: what batch normalisation is once it has been trained."""

    def __init__(self, factor: Tensor, offset: Tensor) -> None:
        """Take factor and offset, (channels,)."""
        super().__init__()
        self.factor, self.offset = nn.Parameter(factor), nn.Parameter(offset)

    def forward(self, x: Tensor) -> Tensor:
        """Return x, (n, channels) or (n, channels, h, w), scaled and moved."""
        shape = (-1, *[1] * (x.ndim - 2))
        return x * self.factor.view(shape) + self.offset.view(shape)


ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "elu": nn.ELU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "silu": nn.SiLU,
    "swish": nn.SiLU,
}
"""Activations between layers; `linear` is none, and a last `softmax` is left out, as logits are wanted."""


def is_keras(path: Path) -> bool:
    """Return whether a file is one that Keras saves a model into, by its first bytes."""
    try:
        with path.open("rb") as file:
            start = file.read(8)
        if start == HDF5:
            return True
        return start[:2] == b"PK" and {CONFIG, WEIGHTS} <= set(zipfile.ZipFile(path).namelist())
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError):
        return False


def keras_network(path: Path) -> nn.Module:
    """Return the network of a Keras file, in evaluation mode: (n, 1, 28, 28) floats -> (n, 10) logits.

    Nothing in the file is executed. Raises ModelError where it is damaged, or has layers of other kinds.
    """
    try:
        import h5py
    except ModuleNotFoundError as error:
        raise ModelError(f"{path}: a file of Keras; {add('keras')}") from error
    try:
        layers, content, legacy = _parts(path)
        with h5py.File(io.BytesIO(content), "r") as file:
            config = _layers(path, json.loads(file.attrs["model_config"]) if legacy else layers)
            stored = _legacy(file["model_weights"]) if legacy else _stored(file)
            network = _build(path, config, stored)
    except (KeyError, OSError, ValueError, TypeError, RuntimeError, RecursionError, zipfile.BadZipFile) as error:
        raise ModelError(f"{path}: not a model that Keras saved whole ({reason(error)})") from error
    for name, weight in network.state_dict().items():
        if not weight.isfinite().all():
            raise ModelError(f"{path}: {name} has values that are not finite")
    return network.eval()


def _parts(path: Path) -> tuple[Any, bytes, bool]:
    """Return the configuration where it is beside the weights, the HDF5 file, and whether that holds everything."""
    if path.stat().st_size > MAX_FILE:
        raise ModelError(f"{path}: larger than the {MAX_FILE:,} bytes that digitnet opens")
    content = path.read_bytes()
    if content.startswith(HDF5):
        return None, content, True
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        if sum(archive.getinfo(name).file_size for name in (CONFIG, WEIGHTS)) > MAX_FILE:
            raise ModelError(f"{path}: unpacks to more than the {MAX_FILE:,} bytes that digitnet opens")
        return json.loads(archive.read(CONFIG)), archive.read(WEIGHTS), False


def _layers(path: Path, model: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Return class and settings of each layer, in their order."""
    config = model["config"]
    layers = config["layers"] if isinstance(config, dict) else config
    found = [(str(layer["class_name"]), dict(layer["config"])) for layer in layers]
    if len(found) > MAX_LAYERS:
        raise ModelError(f"{path}: {len(found)} layers; digitnet opens at most {MAX_LAYERS}")
    if model.get("class_name") != "Sequential" and any(kind in ("Add", "Concatenate", "Multiply") for kind, _ in found):
        raise ModelError(f"{path}: its layers branch ({_kinds(found)}); only layers in a row are understood")
    return found


def _kinds(layers: Sequence[tuple[str, Any]]) -> str:
    return listed([kind for kind, _ in layers], 20)


def _array(dataset: Any) -> Tensor:
    """Return a dataset that lies in the file itself, within limits, as float32."""
    if dataset.is_virtual or dataset.external or dataset.dtype.kind not in "fiu":
        raise ValueError(f"{dataset.name} is not an array of numbers in the file")
    if dataset.size * dataset.dtype.itemsize > MAX_FILE:
        raise ValueError(f"{dataset.name} has {dataset.size:,} values")
    return torch.tensor(np.asarray(dataset[()], np.float32))


def _inside(group: Any, name: str) -> Any:
    """Return what a group has by a name or path, but nothing that is in another file."""
    import h5py

    for part in name.split("/"):
        if not isinstance(group.get(part, getlink=True), h5py.HardLink):
            raise KeyError(f"no {name} in {group.name}")
        group = group[part]
    return group


def _legacy(group: Any) -> Callable[[str, str], list[Tensor]]:
    """Return what finds the weights of a layer in a whole `.h5` file, by the layer's name."""

    def find(kind: str, name: str) -> list[Tensor]:
        layer = _inside(group, name)
        names = [each.decode() if isinstance(each, bytes) else str(each) for each in layer.attrs["weight_names"]]
        return [_array(_inside(layer, each)) for each in names]

    return find


def _stored(file: Any) -> Callable[[str, str], list[Tensor]]:
    """Return what finds the weights of the next layer of its kind in the `model.weights.h5` of a `.keras` file.

    There layers are named by their class: conv2d, conv2d_1, dense.
    """
    layers = _inside(file, "layers" if "layers" in file else "_layer_checkpoint_dependencies")
    seen: dict[str, int] = {}

    def find(kind: str, name: str) -> list[Tensor]:
        base = _snake(kind)
        count = seen[base] = seen.get(base, -1) + 1
        own = _inside(layers, f"{base}_{count}" if count else base)
        values = _inside(own, "vars")
        return [_array(_inside(values, key)) for key in sorted(values, key=int)]

    return find


def _snake(kind: str) -> str:
    """Return a class's name as Keras writes it in files: MaxPooling2D is max_pooling2d."""
    letters = [f"_{c}" if c.isupper() and i and kind[i - 1].islower() else c for i, c in enumerate(kind)]
    return "".join(letters).lower()


def _build(
    path: Path, layers: Sequence[tuple[str, dict[str, Any]]], find: Callable[[str, str], list[Tensor]]
) -> nn.Module:
    made: list[nn.Module] = []
    total = 0
    for kind, config in layers:
        if kind not in KINDS:
            raise ModelError(
                f"{path}: has a layer {kind}, which digitnet does not know ({_kinds(layers)}); "
                f"layers it knows are {', '.join(KINDS)}"
            )
        if config.get("data_format", "channels_last") not in ("channels_last", None):
            raise ModelError(f"{path}: its images are channels_first; only channels_last is understood")
        weights = find(kind, str(config.get("name"))) if kind in WITH_WEIGHTS else []
        total += sum(weight.numel() for weight in weights)
        if 4 * total > MAX_FILE or any(weight.shape[-1] > MAX_CHANNELS for weight in weights):
            raise ModelError(
                f"{path}: more than {MAX_FILE:,} bytes of weights, or {MAX_CHANNELS:,} channels of a layer"
            )
        made += KINDS[kind](config, weights)
        made += _activation(path, config)
    while made and isinstance(made[-1], nn.Softmax | nn.Identity):
        made.pop()
    if any(isinstance(module, nn.Softmax) for module in made):
        raise ModelError(f"{path}: has a softmax before the last layer")
    network = nn.Sequential(*made).eval()
    try:
        with torch.no_grad():
            given = tuple(network(torch.zeros(2, 1, IMAGE_SIZE, IMAGE_SIZE)).shape)
    except RuntimeError as error:
        raise ModelError(f"{path}: its layers do not take 28x28 images ({reason(error)}); {_kinds(layers)}") from error
    if given != (2, 10):
        raise ModelError(f"{path}: gives {given} for 2 images, expected (2, 10); it has {_kinds(layers)}")
    return network


def _activation(path: Path, config: Mapping[str, Any]) -> Iterator[nn.Module]:
    named = config.get("activation", "linear")
    name = named.get("config", named.get("class_name")) if isinstance(named, dict) else named
    if name == "softmax":
        yield nn.Softmax(dim=1)
    elif name in ACTIVATIONS:
        yield ACTIVATIONS[name]()
    elif name not in ("linear", None):
        raise ModelError(f"{path}: has the activation {name}; digitnet knows {', '.join(ACTIVATIONS)} and softmax")


def _sides(value: Any) -> tuple[int, int]:
    """Return height and width of a window or a step. Raises ValueError where they are no sides of a digit's image."""
    high, wide = (value, value) if isinstance(value, int) else value
    if not (1 <= high <= IMAGE_SIZE and 1 <= wide <= IMAGE_SIZE):
        raise ValueError(f"a window or step of {high}x{wide}")
    return int(high), int(wide)


def _convolution(config: Mapping[str, Any], weights: Arrays) -> list[nn.Module]:
    kernel = weights[0].permute(3, 2, 0, 1)  # Keras: height, width, in, out
    stride, groups = _sides(config["strides"]), int(config.get("groups", 1))
    if config["padding"] == "same" and stride != (1, 1):
        raise ValueError("a convolution with steps and padding 'same'")
    size, dilation = (kernel.shape[2], kernel.shape[3]), _sides(config.get("dilation_rate", 1))
    inputs, outputs, bias = kernel.shape[1] * groups, kernel.shape[0], len(weights) > 1
    with torch.device("meta"):  # whose own weights would be drawn for nothing
        layer = nn.Conv2d(inputs, outputs, size, stride, dilation=dilation, groups=groups, bias=bias)
    layer.weight = nn.Parameter(kernel.contiguous())
    if bias:
        layer.bias = nn.Parameter(weights[1])
    if config["padding"] != "same":
        return [layer]
    high, wide = (each * (side - 1) for each, side in zip(dilation, size, strict=True))
    return [nn.ZeroPad2d((wide // 2, wide - wide // 2, high // 2, high - high // 2)), layer]


def _dense(config: Mapping[str, Any], weights: Arrays) -> list[nn.Module]:
    with torch.device("meta"):
        layer = nn.Linear(weights[0].shape[0], weights[0].shape[1], bias=len(weights) > 1)
    layer.weight = nn.Parameter(weights[0].T.contiguous())
    if len(weights) > 1:
        layer.bias = nn.Parameter(weights[1])
    return [layer]


def _normalisation(config: Mapping[str, Any], weights: Arrays) -> list[nn.Module]:
    rest = list(weights)
    ones = torch.ones_like(rest[-1])
    scale = rest.pop(0) if config.get("scale", True) else ones
    offset = rest.pop(0) if config.get("center", True) else torch.zeros_like(ones)
    mean, variance = rest
    factor = scale / (variance + float(config["epsilon"])).sqrt()
    return [Affine(factor, offset - mean * factor)]


def _pooling(config: Mapping[str, Any], weights: Arrays) -> list[nn.Module]:
    size, step = _sides(config["pool_size"]), _sides(config.get("strides") or config["pool_size"])
    if config["padding"] == "same" and size != step:
        raise ValueError("overlapping pooling with padding 'same'")
    kind = nn.AvgPool2d if config.get("kind") == "average" else nn.MaxPool2d
    same = {"count_include_pad": False} if kind is nn.AvgPool2d else {}
    return [kind(size, step, ceil_mode=config["padding"] == "same", **same)]


def _average(config: Mapping[str, Any], weights: Arrays) -> list[nn.Module]:
    return _pooling({**config, "kind": "average"}, weights)


def _flatten(config: Mapping[str, Any], weights: Arrays) -> list[nn.Module]:
    return [Step(lambda x: x.permute(0, 2, 3, 1).flatten(1) if x.ndim == 4 else x.flatten(1))]


def _reshape(config: Mapping[str, Any], weights: Arrays) -> list[nn.Module]:
    """Pixels stay images, (n, 1, 28, 28), whatever of (28, 28, 1), (28, 28) and (784,) they are called."""
    target = tuple(config["target_shape"])
    if target == (IMAGE_SIZE * IMAGE_SIZE,):
        return _flatten(config, weights)
    if target not in ((IMAGE_SIZE, IMAGE_SIZE, 1), (IMAGE_SIZE, IMAGE_SIZE)):
        raise ValueError(f"a reshape to {target}")
    return [Step(lambda x: x.reshape(-1, 1, IMAGE_SIZE, IMAGE_SIZE))]


def _input(config: Mapping[str, Any], weights: Arrays) -> list[nn.Module]:
    shape = tuple(
        (config.get("batch_shape") or config.get("batch_input_shape") or (None, IMAGE_SIZE, IMAGE_SIZE, 1))[1:]
    )
    if shape == (IMAGE_SIZE * IMAGE_SIZE,):
        return [nn.Flatten()]
    if shape not in ((IMAGE_SIZE, IMAGE_SIZE, 1), (IMAGE_SIZE, IMAGE_SIZE)):
        raise ValueError(f"inputs of shape {shape}, expected 28x28 grey images")
    return []


def _rescaling(config: Mapping[str, Any], weights: Arrays) -> list[nn.Module]:
    scale, offset = float(config["scale"]), float(config.get("offset", 0))
    return [Step(lambda x: x * scale + offset)]


def _nothing(config: Mapping[str, Any], weights: Arrays) -> list[nn.Module]:
    return []


KINDS: dict[str, Callable[[Mapping[str, Any], Arrays], list[nn.Module]]] = {
    "InputLayer": _input,
    "Rescaling": _rescaling,
    "Reshape": _reshape,
    "Conv2D": _convolution,
    "BatchNormalization": _normalisation,
    "Activation": _nothing,
    "ReLU": lambda config, weights: [nn.ReLU()],
    "Softmax": lambda config, weights: [nn.Softmax(dim=1)],
    "MaxPooling2D": _pooling,
    "AveragePooling2D": _average,
    "GlobalAveragePooling2D": lambda config, weights: [Step(lambda x: x.mean((2, 3)))],
    "Dropout": _nothing,
    "SpatialDropout2D": _nothing,
    "Flatten": _flatten,
    "Dense": _dense,
}
"""Layers by Keras' names, and what makes each."""

WITH_WEIGHTS = ("Conv2D", "BatchNormalization", "Dense")
