"""Networks of others, told from their weights alone: convolutions, then linear layers, with ReLU between.

So are PyTorch's own MNIST example and most tutorials' networks, whatever their layers are called. Shapes tell how many
channels and units there are, where convolutions are padded and what is pooled; the rest is taken for granted, and the
share of digits that are read right shows whether it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from digitnet.core.digits import IMAGE_SIZE
from digitnet.core.errors import ModelError
from digitnet.core.text import listed

MOST_LAYERS = 8
"""Most convolutions, and most linear layers."""


class PlainNet(nn.Module):
    """Convolutions, each perhaps padded and 2x2 max-pooled, then linear layers: (n, 1, 28, 28) -> (n, 10) logits."""

    def __init__(self, convolutions: list[nn.Conv2d], pooled: Sequence[bool], linears: list[nn.Linear]) -> None:
        """Put the layers together; pooled: whether each convolution is."""
        super().__init__()
        self.convolutions, self.linears = nn.ModuleList(convolutions), nn.ModuleList(linears)
        self.pool, self.pooled = nn.MaxPool2d(2), pooled

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits (n, 10) of images (n, 1, 28, 28)."""
        for convolution, pooled in zip(self.convolutions, self.pooled, strict=True):
            x = F.relu(convolution(x))
            x = self.pool(x) if pooled else x
        x = x.flatten(1)
        for linear in self.linears[:-1]:
            x = F.relu(linear(x))
        return self.linears[-1](x)  # type: ignore[no-any-return]

    def __str__(self) -> str:
        """Say what it is, layer by layer."""
        layers = []
        for layer, pooled in zip(self.convolutions, self.pooled, strict=True):
            channels, _, *size = layer.get_parameter("weight").shape
            layers += [f"convolution {size[0]}x{size[1]} ({channels})"] + ["pooling"] * pooled
        shapes = [layer.get_parameter("weight").shape for layer in self.linears]
        units = "-".join(str(size) for size in (shapes[0][1], *(shape[0] for shape in shapes)))
        return ", ".join([*layers, f"linear {units}"])


def without_prefix(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return weights without the words that all names begin with, such as `module.` or `net.`."""
    names = {name: name for name in tensors}
    while names and len({name.partition(".")[0] for name in names.values()}) == 1:
        shorter = {full: name.partition(".")[2] for full, name in names.items()}
        if not all("." in name for name in shorter.values()):
            break
        names = shorter
    return {name: tensors[full] for full, name in names.items()}


def plain_network(tensors: Mapping[str, Tensor]) -> PlainNet:
    """Return the network that weights belong to. Raises ModelError, without a file's name, where they are of no such.

    tensors: `NAME.weight` and perhaps `NAME.bias` of each layer, in the order of the layers.
    """
    convolutions: list[nn.Conv2d] = []
    linears: list[nn.Linear] = []
    for name, weight in tensors.items():
        if name.rpartition(".")[2] != "weight":
            continue
        layer = _layer(weight, tensors.get(f"{name.removesuffix('weight')}bias"))
        if isinstance(layer, nn.Linear):
            linears.append(layer)
        elif layer is None or linears:
            break
        else:
            convolutions.append(layer)
    used = sum(len(list(layer.parameters())) for layer in (*convolutions, *linears))
    if used != len(tensors) or not linears or max(len(convolutions), len(linears)) > MOST_LAYERS:
        raise ModelError(f"weights of no network that digitnet knows; it has {contents(tensors)}")
    if not _fits(convolutions, linears):
        raise ModelError(f"its layers do not lead from 28x28 pixels to 10 digits; it has {contents(tensors)}")
    layouts = product((False, True), product((True, False), repeat=len(convolutions)))
    for padded, pooled in layouts:
        if _flat(convolutions, padded, pooled) == linears[0].in_features:
            for layer in convolutions:
                layer.padding = (layer.kernel_size[0] // 2 * padded, layer.kernel_size[1] // 2 * padded)
            return PlainNet(convolutions, pooled, linears)
    raise ModelError(
        f"its first linear layer takes {linears[0].in_features:,} values, which no padding and pooling of its "
        f"convolutions gives; it has {contents(tensors)}"
    )


def contents(tensors: Mapping[str, Tensor]) -> str:
    """Say which weights a file has, with their shapes."""
    return listed([f"{name} {tuple(tensor.shape)}" for name, tensor in tensors.items()])


def _layer(weight: Tensor, bias: Tensor | None) -> nn.Conv2d | nn.Linear | None:
    layer: nn.Conv2d | nn.Linear
    if bias is not None and bias.shape != weight.shape[:1]:
        return None
    with torch.device("meta"):  # whose own weights would be drawn for nothing
        if weight.ndim == 4 and 0 < max(weight.shape[2:]) <= IMAGE_SIZE:
            size = (weight.shape[2], weight.shape[3])
            layer = nn.Conv2d(weight.shape[1], weight.shape[0], size, bias=bias is not None)
        elif weight.ndim == 2:
            layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
        else:
            return None
    layer.weight = nn.Parameter(weight.float())
    layer.bias = None if bias is None else nn.Parameter(bias.float())
    return layer


def _fits(convolutions: list[nn.Conv2d], linears: list[nn.Linear]) -> bool:
    channels = [1, *(layer.out_channels for layer in convolutions)]
    units = [layer.in_features for layer in linears[1:]] + [10]
    return [layer.in_channels for layer in convolutions] == channels[:-1] and units == [
        layer.out_features for layer in linears
    ]


def _flat(convolutions: list[nn.Conv2d], padded: bool, pooled: Sequence[bool]) -> int:
    """Return how many values come out of the convolutions; 0 where too few pixels are left for them."""
    height = width = IMAGE_SIZE
    for layer, halved in zip(convolutions, pooled, strict=True):
        high, wide = layer.kernel_size
        height, width = (side + 2 * (size // 2) * padded - size + 1 for side, size in ((height, high), (width, wide)))
        if halved:
            height, width = height // 2, width // 2
        if min(height, width) < 1:
            return 0
    return (convolutions[-1].out_channels if convolutions else 1) * height * width
