"""Fine-tuning: a trained network goes on learning from a few hundred digits of one's own.

First only the last layer learns, on frozen features, then all layers. Digits of what the network was trained on before
are mixed in, so that it keeps reading them. Whether the result is kept is decided by held-out digits: see `better`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from onnx import numpy_helper
from torch import Tensor, nn

from digitnet.core.classes import DIGIT_NAMES
from digitnet.core.digits import Digits
from digitnet.core.errors import DataError, ModelError
from digitnet.data.datasets import load, splits, stratified
from digitnet.data.synthesis.strokes import hands
from digitnet.models import checkpoint, onnx_models
from digitnet.models.networks import MODELS, LineNet, logits_of
from digitnet.models.page_network import PageNet
from digitnet.models.run_folder import CONFIG, load_json
from digitnet.models.trained_on import ImageSet, trained_on
from digitnet.training.config import TrainConfig

HELD_OUT = 1_000
"""Most held-out digits of the earlier training data that the network is scored on before and after."""

SYNTHETIC = 6
"""One in so many of the digits mixed in is of a font, and one is drawn, where the model was trained on such."""


@dataclass(frozen=True)
class Beginning:
    """The model that a fine-tuning starts from.

    model: the name of its network. network: with its weights, in evaluation mode. about: its settings. images: what it
    was trained on, if known. names: of its classes.
    """

    model: str
    network: nn.Module
    about: dict[str, Any]
    images: ImageSet | None
    names: tuple[str, ...] = DIGIT_NAMES


def beginning(name: str) -> Beginning:
    """Open a built-in model by its name, or a run's folder. Raises ModelError where it is neither."""
    if name in onnx_models.built_in():
        opened = onnx_models.classifier(name)
        network = _from_onnx(opened.about["model"], onnx_models.WEIGHTS / f"{name}.onnx")
        return Beginning(opened.about["model"], network, opened.about, opened.trained_on)
    folder = Path(name).expanduser()
    if not (folder / CONFIG).is_file():
        known = ", ".join(onnx_models.built_in())
        raise ModelError(f"{name}: contains no {CONFIG}; fine-tuning starts from a run's folder or one of {known}")
    network, about = checkpoint.load_network(folder), load_json(folder / CONFIG)
    if isinstance(network, LineNet | PageNet):
        raise ModelError(f"{folder}: not a network for single digits, the only ones that can be fine-tuned")
    return Beginning(
        str(about["model"]),
        network,
        about,
        trained_on(about, checkpoint.load_images(folder)),
        checkpoint.load_names(folder),
    )


def _from_onnx(model: str, path: Path) -> nn.Module:
    """Return the network whose weights a model file of digitnet has.

    The exporter multiplies batch normalisation into the convolution before it, where nothing is between them. Those
    layers get an identity for it.
    """
    network = MODELS[model]()
    graph = onnx.load(path).graph
    values = {tensor.name: torch.tensor(numpy_helper.to_array(tensor)) for tensor in graph.initializer}
    weights = {name.removeprefix("network."): value for name, value in values.items() if name.startswith("network.")}
    state = network.state_dict()
    folded = [node for node in graph.node if node.op_type == "Conv" and not node.input[1].startswith("network.")]
    layers = [name for name, value in state.items() if value.ndim == 4 and name not in weights]
    norms = {name: module for name, module in network.named_modules() if isinstance(module, nn.BatchNorm2d)}
    for name, node in zip(layers, folded, strict=True):
        norm = name.replace(".0.weight", ".1")
        zeros = torch.zeros_like(state[f"{norm}.bias"])
        weights[name], weights[f"{norm}.bias"] = values[node.input[1]], values[node.input[2]]
        weights |= {f"{norm}.weight": zeros + 1, f"{norm}.running_mean": zeros}
        weights[f"{norm}.running_var"] = zeros + 1 - norms[norm].eps
    weights |= {name: value for name, value in state.items() if name.endswith("num_batches_tracked")}
    network.load_state_dict(weights)
    return network.eval()


def earlier(start_from: str, count: int, data_dir: str | Path | None = None) -> Digits:
    """Return `count` digits of what a model was trained on.

    They are those of its data set and, where it was trained on them, of fonts and drawn by the package. Raises
    DataError where they cannot be had.
    """
    first = beginning(start_from)
    about, names = first.about, first.names
    few, made = count // SYNTHETIC, []
    with _needed(start_from):
        if about.get("fonts"):
            made.append(_some(load("fonts", "train", data_dir), few))
        if about.get("hands"):
            made.append(hands(few))
        train = splits(str(about["data"]), data_dir).train.with_names(names)
    return together([_some(train, count - sum(len(part) for part in made)), *made])


def held_out(start_from: str, data_dir: str | Path | None = None) -> Digits:
    """Return digits of a model's data set that it was validated on. Raises DataError where they cannot be had."""
    with _needed(start_from):
        first = beginning(start_from)
        return _some(splits(str(first.about["data"]), data_dir).valid.with_names(first.names), HELD_OUT)


@contextmanager
def _needed(start_from: str) -> Iterator[None]:
    try:
        yield
    except DataError as error:
        raise DataError(
            f"{error}; {start_from} was trained on these digits, and fine-tuning needs them: it must keep reading them"
        ) from error


def _some(digits: Digits, count: int) -> Digits:
    return digits if count >= len(digits) else digits[stratified(digits, count)]


def together(parts: list[Digits]) -> Digits:
    """Return labelled digits one after the other."""
    if len(parts) == 1:
        return parts[0]
    labels = [part.labels for part in parts if part.labels is not None]
    return Digits(np.concatenate([part.images for part in parts]), np.concatenate(labels), names=parts[0].names)


def mixed(own: Digits, known: Digits) -> Digits:
    """Return one's own digits, repeated to be about as many as the known ones, with these."""
    return together([own] * max(1, round(len(known) / len(own))) + [known])


@contextmanager
def held_still(network: nn.Module, config: TrainConfig, number: int) -> Iterator[None]:
    """Keep the statistics of batch normalisation, and in the first epochs all layers but the last, as they are.

    number: of the epoch, from 1. Does nothing where the configuration starts from new weights.
    """
    if not config.start_from:
        yield
        return
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()  # few digits of a kind would change them a lot; the caller puts modes back
    held: list[Tensor] = []
    if number <= round(config.frozen * config.epochs):
        *_, last = (module for module in network.modules() if [*module.parameters(recurse=False)])
        free = {id(weight) for weight in last.parameters()}
        held = [weight for weight in network.parameters() if weight.requires_grad and id(weight) not in free]
    for weight in held:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight in held:
            weight.requires_grad_(True)


def loss(network: nn.Module, *parts: Digits) -> float:
    """Return a network's cross entropy, the mean over parts of labelled digits, however many digits each has.

    The logits are divided by the temperature that suits them best, as `digitnet export` does: too much or too little
    confidence everywhere does not count.
    """
    scored = [
        (logits_of(network, part.images, len(part.names)), torch.tensor(np.asarray(part.labels)).long())
        for part in parts
    ]
    temperatures = torch.linspace(-1.6, 1.6, 65).exp().tolist()
    return min(sum(float(F.cross_entropy(x / t, y)) for x, y in scored) for t in temperatures) / len(parts)


def better(tuned: nn.Module, before: nn.Module, own: Digits, known: Digits) -> bool:
    """Return whether a tuned network reads held-out digits better; one's own and the known ones count the same."""
    return loss(tuned, own, known) < loss(before, own, known)
