"""A trained page network -> one ONNX file with weights of 16 bits, proven equal to torch before it is written."""

from __future__ import annotations

import copy
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

import onnx
import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from digitnet.core.errors import ModelError
from digitnet.core.files import write_atomic
from digitnet.models.page_model import COARSE, FINE, PAGES, PageModel
from digitnet.models.page_network import PageNet

MIN_HALVED = 256
"""Weights of at least so many values are stored in 16 bits."""

TOLERANCE = 0.01
"""Largest difference between the file's maps and torch's, in logits."""


def export_page(network: PageNet, path: Path) -> None:
    """Write a page network as one ONNX file, atomically; normalisation becomes part of its convolutions.

    Raises ModelError, and writes nothing, where the file's maps differ from torch's by more than `TOLERANCE`.
    """
    network = halved(network.cpu())
    with TemporaryDirectory() as folder:
        trial = Path(folder) / "trial.onnx"
        sides = {2: "height", 3: "width"}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                network,
                (torch.zeros(1, 3, 64, 64),),
                trial,
                input_names=[PAGES],
                output_names=[FINE, COARSE],
                dynamic_axes={PAGES: sides, FINE: {2: "half", 3: "wide"}, COARSE: {2: "quarter", 3: "across"}},
                opset_version=17,
                dynamo=False,
            )
        proto = onnx.load(trial)
        _store_halved(proto)
        onnx.checker.check_model(proto)
        onnx.save(proto, trial)
        page = torch.rand(1, 3, 96, 64, generator=torch.Generator().manual_seed(0))
        with torch.inference_mode():
            ours = network(page)
        theirs = PageModel(trial, 1)(page.numpy())
        difference = max(float(abs(one.numpy() - other).max()) for one, other in zip(ours, theirs, strict=True))
        if not difference <= TOLERANCE:
            raise ModelError(f"{path}: not written, for its maps differ from torch's by {difference:.2g}")
        write_atomic(path, trial.read_bytes())


def _store_halved(proto: onnx.ModelProto) -> None:
    casts = []
    for weights in proto.graph.initializer:
        values = onnx.numpy_helper.to_array(weights)
        if values.dtype == "float32" and values.size >= MIN_HALVED:
            name = weights.name
            weights.CopyFrom(onnx.numpy_helper.from_array(values.astype("float16"), f"{name}_half"))
            casts.append(onnx.helper.make_node("Cast", [f"{name}_half"], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *proto.graph.node]
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)


def halved(network: PageNet) -> PageNet:
    """Return a copy whose weights, those of normalisation within, are 16-bit floats in value."""
    network = copy.deepcopy(network).eval()
    for module in network.modules():
        if isinstance(module, nn.Sequential):
            for index in range(len(module) - 1):
                one, other = module[index], module[index + 1]
                if isinstance(one, nn.Conv2d) and isinstance(other, nn.BatchNorm2d):
                    module[index], module[index + 1] = fuse_conv_bn_eval(one, other), nn.Identity()
    return network.half().float()
