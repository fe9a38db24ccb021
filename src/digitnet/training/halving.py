"""Weights as 16-bit floats: half the bytes in a file, cast to 32 bits where the model is loaded."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TypeVar

import numpy as np
import onnx
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

MIN_HALVED = 256
"""Values of a tensor of weights from which it is stored as 16-bit floats."""

_Network = TypeVar("_Network", bound=nn.Module)


def halved(network: _Network) -> _Network:
    """Return a copy for the CPU with normalisation merged into convolutions, and weights that 16-bit floats hold."""
    network = copy.deepcopy(network).cpu().float().eval()
    for module in network.modules():
        if isinstance(module, nn.Sequential):
            for index in range(len(module) - 1):
                one, other = module[index], module[index + 1]
                if isinstance(one, nn.Conv2d) and isinstance(other, nn.BatchNorm2d):
                    module[index], module[index + 1] = fuse_conv_bn_eval(one, other), nn.Identity()
    return network.half().float()


def store_halved(path: Path) -> None:
    """Store an ONNX file's large weights, if `halved` made them, as 16-bit floats with a cast each."""
    proto, casts = onnx.load(path), []
    for weights in proto.graph.initializer:
        values = onnx.numpy_helper.to_array(weights)
        if values.dtype == np.float32 and values.size >= MIN_HALVED and (values.astype(np.float16) == values).all():
            name = weights.name
            weights.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float16), f"{name}_half"))
            casts.append(onnx.helper.make_node("Cast", [f"{name}_half"], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *proto.graph.node]
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)
    onnx.checker.check_model(proto)
    onnx.save(proto, path)
