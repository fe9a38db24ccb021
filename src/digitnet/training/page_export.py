"""A trained page network -> one ONNX file with weights of 16 bits."""

from __future__ import annotations

import copy
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

import onnx
import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from digitnet.core.files import write_atomic
from digitnet.models.page_model import COARSE, FINE, PAGES
from digitnet.models.page_network import PageNet

MIN_HALVED = 256
"""Weights of at least so many values are stored in 16 bits."""


def export_page(network: PageNet, path: Path) -> None:
    """Write a page network as one ONNX file, atomically; normalisation becomes part of its convolutions."""
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
    onnx.checker.check_model(proto)
    write_atomic(path, proto.SerializeToString())


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
