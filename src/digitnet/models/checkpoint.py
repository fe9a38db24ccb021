"""A run's weights and the state that resuming needs, on disk.

Weights are read without executing anything: safetensors, or PyTorch's own loader restricted to tensors.
"""

from __future__ import annotations

import json
import logging
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as safetensors_load
from safetensors.torch import save as safetensors_bytes
from torch import Tensor, nn
from torch.optim import Optimizer

from digitnet.core.classes import DIGIT_NAMES, class_names
from digitnet.core.errors import DataError, ModelError, TrainingError
from digitnet.core.files import ZipBytes, write_atomic
from digitnet.core.text import listed, reason
from digitnet.models import own_network
from digitnet.models.inputs import INPUTS
from digitnet.models.keras_file import is_keras, keras_network
from digitnet.models.networks import MODELS, Normalised
from digitnet.models.plain_network import plain_network, without_prefix
from digitnet.models.run_folder import TRAINED_ON, WEIGHTS
from digitnet.models.trained_on import ImageSet, unpacked

log = logging.getLogger("digitnet")

OWN = "own:"
"""Beginning of the name of weights whose network only the caller of `train` knows."""

MAX_WEIGHTS = 1 << 26
"""Largest file of weights or of a training's state that is opened, bytes: the networks have at most 3 million."""

MAX_HEADER = 1 << 20
"""Most bytes of what such a file says of its tensors: each takes about a hundred."""


def save_tensors(path: Path, tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> None:
    """Write tensors and a few words about them as safetensors, atomically; the same input gives the same bytes."""
    whole = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    # One entry of metadata: safetensors writes several in any order, and then equal runs would differ.
    write_atomic(path, safetensors_bytes(whole, {"digitnet": json.dumps(about, sort_keys=True)}))


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read a safetensors file: its tensors and what digitnet wrote about them, if it did.

    Raises ModelError where the file is damaged.
    """
    _check_size(path)
    try:
        content = path.read_bytes()  # safetensors itself opens no file whose name is not UTF-8
        if (size := int.from_bytes(content[:8], "little")) > MAX_HEADER:
            raise ModelError(f"{path}: not a complete safetensors file (a header of {size:,} bytes)")
        tensors = safetensors_load(content)
        header = json.loads(content[8 : 8 + size])
        about = json.loads(header.get("__metadata__", {}).get("digitnet", "{}"))
        return tensors, dict(about)
    except (SafetensorError, OSError, ValueError, TypeError, RecursionError, MemoryError) as error:
        raise ModelError(f"{path}: not a complete safetensors file ({reason(error)})") from error


def load_images(run: Path) -> ImageSet | None:
    """Return the images that a run was trained on, where it keeps them. Raises ModelError where that is damaged."""
    path = run / TRAINED_ON
    if not path.is_file():
        return None
    try:
        return unpacked(path.read_bytes())
    except (DataError, OSError) as error:
        raise ModelError(f"{path}: damaged ({reason(error)}); delete it, or copy the run again") from error


def save_network(path: Path, network: nn.Module, name: str, names: tuple[str, ...] = DIGIT_NAMES) -> None:
    """Write a network's weights, its name in `MODELS`, and the names of its classes, to a safetensors file."""
    classes = {} if names == DIGIT_NAMES else {"classes": names}
    save_tensors(path, network.state_dict(), {"model": name, **classes})


def load_names(path: str | Path) -> tuple[str, ...]:
    """Return the names of the classes of the network that `load_network` loads. Raises ModelError as it does."""
    path = Path(path).expanduser()
    path = path / WEIGHTS if path.is_dir() else path
    return _names(path, load_tensors(path)[1]) if path.suffix == ".safetensors" else DIGIT_NAMES


def _names(path: Path, about: Mapping[str, Any]) -> tuple[str, ...]:
    return class_names(about, path) if about.get("model") else DIGIT_NAMES


def make_network(name: str, run: Path | None = None, classes: int = 10) -> nn.Module:
    """Return a new network by its name in `MODELS`, or one of the user's own, FILE.py:CLASS.

    classes: outputs of the networks for single digits; one's own has what it has.
    run: the folder with a copy of that file, which is run if it is trusted; without it FILE.py itself is run. A class
    with an attribute `input`, a name of `INPUTS`, is given inputs scaled so. Raises ModelError where it cannot be made.
    """
    if not own_network.is_own(name):
        return MODELS[name]() if classes == 10 else MODELS[name](classes)
    path, inside = own_network.split(name)
    if run is None:
        make = own_network.maker(path, inside)
    else:
        path = run / own_network.SOURCE
        make = own_network.trusted_maker(path, inside)
    try:
        network = make()
    except Exception as error:
        raise ModelError(f"{path}: {inside}() fails ({reason(error)}); it is called without arguments") from error
    if not isinstance(network, nn.Module):
        raise ModelError(f"{path}: {inside}() gives {type(network).__name__}, expected a torch.nn.Module")
    wanted = getattr(network, "input", "0..1")
    if wanted not in INPUTS:
        raise ModelError(f"{path}: {inside} has input {wanted!r}; choose one of {', '.join(INPUTS)}")
    return network if wanted == "0..1" else Normalised(network, *INPUTS[wanted])


def load_network(path: str | Path) -> nn.Module:
    """Load a network from a run's folder, a .safetensors file, or a state dict saved by torch.save.

    A tutorial's `torch.save(model.state_dict(), "their.pt")` loads as DigitNet, with any word before its names, such as
    `module.`; weights of other networks as a `PlainNet`, where they fit one. So do checkpoints that hold them under
    `state_dict` or `model_state_dict`. Keras' `.h5` and `.keras` files need the extra `keras`. Nothing in the file is
    executed. The network is in evaluation mode, on the CPU, float32. Raises ModelError naming what is missing,
    superfluous or of another shape.
    """
    path = Path(path).expanduser()
    if path.is_dir():
        if not (path / WEIGHTS).is_file():
            raise ModelError(
                f"{path}: contains no {WEIGHTS}; name the folder of a run with at least one finished epoch"
            )
        path = path / WEIGHTS
    if not path.is_file():
        raise ModelError(f"{path}: no such run or file; train one with: digitnet train")
    if is_keras(path):
        return keras_network(path)
    if path.suffix == ".safetensors":
        tensors, about = load_tensors(path)
    else:
        tensors, about = _load_pickled(path), {}
    name = about.get("model")
    if name is None:
        return _by_others(path, without_prefix(tensors))
    if str(name).startswith(OWN):
        own = str(name).removeprefix(OWN)
        raise ModelError(
            f"{path}: trained by a network of your own, {own}; use digitnet train --model FILE.py:{own}, or load "
            "its weights into it: network.load_state_dict(safetensors.torch.load_file(PATH))"
        )
    if name not in MODELS and not own_network.is_own(str(name)):
        raise ModelError(f"{path}: contains a model named {name!r}; this version knows {', '.join(MODELS)}")
    network = make_network(str(name), path.parent, len(_names(path, about)))
    _check_shapes(path, tensors, network.state_dict())
    network.load_state_dict(tensors)
    return network.eval()


def _by_others(path: Path, tensors: Mapping[str, Tensor]) -> nn.Module:
    """Return the network that weights without its name belong to: one of `MODELS` by their names, or a plain one."""
    for make in (MODELS["digitnet"], MODELS["strong"]):
        network = make()
        expected = network.state_dict()
        if len(expected.keys() & tensors.keys()) > len(expected) // 2:
            _check_shapes(path, tensors, expected)
            network.load_state_dict(tensors)
            return network.eval()
    _check_finite(path, tensors)
    try:
        plain = plain_network(tensors)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error
    log.info("%s: taken for %s, with ReLU between", path, plain)
    return plain.eval()


_MORE = ("Unsupported global", "nsupported class", "unsupported GLOBAL", "unrecognized function", "Can only")
"""What PyTorch's restricted loader says of files that hold more than weights; of damaged ones it says other things."""


def _load_pickled(path: Path) -> dict[str, Tensor]:
    _check_size(path)
    _check_members(path)
    try:
        with path.open("rb") as file:  # torch itself opens none whose name is not UTF-8
            loaded = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises nearly anything on a damaged file
        if any(word in str(error) for word in _MORE):
            raise ModelError(
                f"{path}: contains more than weights, and digitnet does not execute code from files. "
                f"Save only the weights, where the class is defined: model = torch.load({path.name!r}, "
                "weights_only=False); torch.save(model.state_dict(), 'weights.pt')"
            ) from error
        raise ModelError(
            f"{path}: not a file of PyTorch weights; expected what torch.save(model.state_dict(), PATH) writes"
        ) from error
    for key in ("state_dict", "model_state_dict"):
        if isinstance(loaded, dict) and isinstance(loaded.get(key), dict):
            loaded = loaded[key]
    if not isinstance(loaded, dict) or not all(isinstance(value, Tensor) for value in loaded.values()):
        raise ModelError(f"{path}: not a state dict; save one with torch.save(model.state_dict(), PATH)")
    return {str(key): value for key, value in loaded.items()}


def _check_shapes(path: Path, tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    for name, weight in expected.items():
        if name not in tensors:
            raise ModelError(f"{path}: no weights named {name} (it has {listed(tensors)})")
        if tensors[name].shape != weight.shape:
            got, wanted = tuple(tensors[name].shape), tuple(weight.shape)
            raise ModelError(f"{path}: {name} is {got}, expected {wanted}")
    _check_finite(path, tensors)
    if more := sorted(set(tensors) - set(expected)):
        raise ModelError(f"{path}: has weights that the network lacks: {listed(more)}")


def _check_finite(path: Path, tensors: Mapping[str, Tensor]) -> None:
    for name, weight in tensors.items():
        if not weight.isfinite().all():
            raise ModelError(f"{path}: {name} has values that are not finite; train again")


def _check_size(path: Path) -> None:
    try:
        size = path.stat().st_size
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror})") from error
    if size > MAX_WEIGHTS:
        raise ModelError(f"{path}: {size} bytes, more than the {MAX_WEIGHTS} that digitnet opens")


def _check_members(path: Path) -> None:
    """Raise ModelError where a zip holds more than torch.save writes into one: PyTorch unpacks without a limit."""
    try:
        with ZipBytes(path) as file:
            if file.read(4) != b"PK\3\4":
                return  # of PyTorch before 1.6, which packed nothing
            with zipfile.ZipFile(file) as archive:
                members = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise ModelError(f"{path}: not a file of PyTorch weights ({reason(error)}); copy it again") from error
    packed = any(member.compress_type != zipfile.ZIP_STORED for member in members)
    words = sum(member.file_size for member in members if member.filename.endswith(".pkl"))
    if packed or words > MAX_HEADER or sum(member.file_size for member in members) > MAX_WEIGHTS:
        raise ModelError(
            f"{path}: not a file of PyTorch weights; expected what torch.save(model.state_dict(), PATH) writes, "
            f"without compression and of at most {MAX_WEIGHTS:,} bytes"
        )


def save_state(path: Path, networks: Sequence[nn.Module], optimizers: Sequence[Optimizer], epochs_done: int) -> None:
    """Write everything that the next epoch depends on: networks, optimizers, and the number of epochs done."""
    tensors = {
        f"network.{i}.{name}": tensor
        for i, network in enumerate(networks)
        for name, tensor in network.state_dict().items()
    }
    for i, optimizer in enumerate(optimizers):
        for j, weight in enumerate(_weights(optimizer)):
            for key, value in optimizer.state[weight].items():
                tensors[f"optimizer.{i}.{j}.{key}"] = torch.as_tensor(value)
    save_tensors(path, tensors, {"epochs_done": epochs_done})


def load_state(path: Path, networks: Sequence[nn.Module], optimizers: Sequence[Optimizer]) -> int:
    """Put back what `save_state` wrote, and return the number of epochs done. Raises TrainingError if it differs."""
    tensors, about = load_tensors(path)
    try:
        for i, network in enumerate(networks):
            start = f"network.{i}."
            network.load_state_dict({k[len(start) :]: v for k, v in tensors.items() if k.startswith(start)})
        for i, optimizer in enumerate(optimizers):
            for j, weight in enumerate(_weights(optimizer)):
                start = f"optimizer.{i}.{j}."
                for key in [key for key in tensors if key.startswith(start)]:
                    value = tensors[key]
                    if value.ndim:  # all but Adam's step counter lies in memory as its weight does
                        value = torch.empty_like(weight).copy_(value)
                    optimizer.state[weight][key[len(start) :]] = value.to(weight.device)
        return int(about["epochs_done"])
    except (RuntimeError, KeyError, ValueError) as error:
        raise TrainingError(f"{path}: belongs to another configuration ({reason(error)})") from error


def _weights(optimizer: Optimizer) -> list[Tensor]:
    return [weight for group in optimizer.param_groups for weight in group["params"]]
