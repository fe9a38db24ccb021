"""Writing a network as an ONNX file: traced by PyTorch, with metadata, and tested before it is renamed into place."""

from __future__ import annotations

import copy
import json
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import onnx
import torch
from torch import nn

from digitnet.core.digits import IMAGE_SIZE, STRIP_HEIGHT
from digitnet.core.errors import ModelError
from digitnet.core.files import write_atomic
from digitnet.core.text import reason
from digitnet.models.model_file import INPUT, LAYERS, LOG_PROBS, METADATA, PRESENCE, REACH, STRIPS
from digitnet.models.onnx_models import LineReader, OnnxClassifier
from digitnet.models.trained_on import IMAGES
from digitnet.models.trust import trust, trust_here

log = logging.getLogger("digitnet")

OPSET = 17
"""Version of ONNX's operators, of 2022: runtimes of the last years know it."""

TOLERANCE = 1e-4
"""Largest difference of any probability or digit-ness between the file and torch."""

_AXES = {STRIPS: {0: "n", 2: "w"}, LOG_PROBS: {0: "n", 1: "t"}, REACH: {0: "n", 1: "t"}, PRESENCE: {0: "n", 1: "t"}}

_Opened = TypeVar("_Opened", OnnxClassifier, LineReader)


def copied(network: nn.Module) -> nn.Module:
    """Return a copy of a network for the CPU, in float32 and evaluation mode."""
    return copy.deepcopy(network).cpu().float().eval()


def write_onnx(
    model: nn.Module, inputs: Sequence[str], outputs: Sequence[str], about: dict[str, Any], trial: Path, path: Path
) -> None:
    """Write a model to `trial`; errors are told of `path`."""
    example = torch.zeros(2, STRIP_HEIGHT, 64) if STRIPS in inputs else torch.zeros(2, IMAGE_SIZE, IMAGE_SIZE)
    with warnings.catch_warnings():
        # The exporter by tracing is the one that needs no further packages; it is announced as the older one. What it
        # warns of, a trace that holds for some batches alone, the comparison with torch finds out.
        warnings.simplefilter("ignore")
        try:
            torch.onnx.export(
                model,
                (example.byte(),),
                trial,
                input_names=inputs,
                output_names=outputs,
                dynamic_axes={name: _AXES.get(name, {0: "n"}) for name in (*inputs, *outputs)},
                opset_version=OPSET,
                dynamo=False,
            )
        except (torch.onnx.errors.OnnxExporterError, RuntimeError) as error:
            raise ModelError(
                f"{path}: not written, because PyTorch cannot convert the network to ONNX ({reason(error)})"
            ) from error
    proto = onnx.load(trial)
    if INPUT in inputs:
        about = about | {LAYERS: _name_layers(proto.graph)}
    images = {IMAGES: about.pop(IMAGES)} if IMAGES in about else {}
    text = json.dumps(about, ensure_ascii=False).encode("utf-8", "replace")  # names of files may be no text
    onnx.helper.set_model_props(proto, {METADATA: json.dumps(json.loads(text)), **images})
    onnx.checker.check_model(proto)
    onnx.save(proto, trial)


def _name_layers(graph: onnx.GraphProto) -> list[str]:
    """Name the tensors to look into, and return their names: `layer_1`, `layer_2`, ... and `hidden`.

    A layer's are the maps after a pooling, and after the normalisation and activation that follow it; the hidden units
    are what the last linear layer takes. They become no outputs of the graph: see `OnnxClassifier.layers`.
    """
    takers: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            takers.setdefault(name, []).append(node)
    found: dict[str, str] = {}
    for node in graph.node:
        if node.op_type == "MaxPool":
            maps = node.output[0]
            while len(takers.get(maps, ())) == 1 and takers[maps][0].op_type in ("BatchNormalization", "Relu"):
                maps = takers[maps][0].output[0]
            found[maps] = f"layer_{len(found) + 1}"
    for node in [node for node in graph.node if node.op_type == "Gemm"][-1:]:
        found[node.input[0]] = "hidden"
    for node in graph.node:
        for names in (node.input, node.output):
            names[:] = [found.get(name, name) for name in names]
    return list(found.values())


def opened(kind: Callable[[Path], _Opened], trial: Path) -> tuple[_Opened, bool]:
    """Open the file on trial, and return whether anybody else's digitnet would refuse it."""
    try:
        return kind(trial), False
    except ModelError:
        trust_here(trial)
    return kind(trial), True


@contextmanager
def told_of(path: Path, trial: Path) -> Iterator[None]:
    """Tell what is wrong with the file on trial of the one that was asked for."""
    try:
        yield
    except ModelError as error:
        fault = str(error).removeprefix(f"{trial}: ")
        raise ModelError(f"{path}: not written, because {fault}") from error


def keep(trial: Path, path: Path, difference: float, strange: bool) -> None:
    """Write the file that was on trial to its place, if it answers as torch; trust it where it is strange."""
    if not difference <= TOLERANCE:
        raise ModelError(f"{path}: not written, because its outputs differ from PyTorch's by {difference:.2g}")
    write_atomic(path, trial.read_bytes())
    if strange:
        try:
            trust(path)
            log.info("%s: contains operators beyond digitnet's own; added to your list of trusted files", path)
        except ModelError as error:
            log.warning("%s; it can only be opened in this process", error)
