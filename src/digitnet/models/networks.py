"""The networks, and the wrapper that turns one into a classifier of uint8 images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from digitnet.core.classes import DIGIT_NAMES
from digitnet.core.digits import IMAGE_SIZE
from digitnet.core.errors import ModelError
from digitnet.core.text import reason
from digitnet.data.synthesis.texts import ALPHABET
from digitnet.models.page_network import PageNet
from digitnet.models.trained_on import ImageSet

BATCH = 512
"""Images classified at a time: on two cores 64 to 512 were equally fast, 1,000 slower."""


class DigitNet(nn.Module):
    """The tutorial's network, name by name: (n, 1, 28, 28) float in 0..1 -> (n, 10) logits; 206,922 parameters.

    Two blocks of 3x3 convolution, ReLU and 2x2 max-pooling (16 and 32 channels), a hidden layer of 128 units, and
    the output layer. The attribute names are the tutorial's, so that state dicts saved there load here.
    """

    def __init__(self, classes: int = 10) -> None:
        """Make the layers with PyTorch's default initialisation, from its global random state."""
        super().__init__()
        self.feature_stage_1 = nn.Sequential(
            nn.Conv2d(1, 16, kernel_size=3, stride=1, padding=1), nn.ReLU(), nn.MaxPool2d(2)
        )
        self.feature_stage_2 = nn.Sequential(
            nn.Conv2d(16, 32, kernel_size=3, stride=1, padding=1), nn.ReLU(), nn.MaxPool2d(2)
        )
        self.classifier_1 = nn.Linear(32 * 7 * 7, 128)
        self.activation = nn.ReLU()
        self.output_layer = nn.Linear(128, classes)
        _channels_last(self)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits (n, 10) of images (n, 1, 28, 28) in 0..1."""
        # Pooling first gives the same function, since ReLU keeps order, and leaves it a quarter of the values.
        for conv, relu, pool in (self.feature_stage_1, self.feature_stage_2):
            x = relu(pool(conv(x)))
        return self.output_layer(self.activation(self.classifier_1(x.flatten(1))))  # type: ignore[no-any-return]


class StrongNet(nn.Module):
    """A small residual network: (n, 1, 28, 28) float in 0..1 -> (n, 10) logits; 467,306 parameters.

    All convolutions are 3x3 and followed by batch normalisation and ReLU (He et al., "Deep Residual Learning", 2016);
    pooling comes before normalisation where it can, at a quarter of the cost.
    """

    def __init__(self, classes: int = 10) -> None:
        """Make the layers with PyTorch's default initialisation, from its global random state."""
        super().__init__()
        self.stem = _convolution(1, 32, pool=True)  # 28x28 -> 14x14
        self.widen_1 = _convolution(32, 48)
        self.residual_1 = _convolution(48, 48)
        self.widen_2 = _convolution(48, 96)  # 7x7
        self.residual_2 = _convolution(96, 96)
        self.residual_3 = _convolution(96, 96)
        self.whole = _convolution(96, 256, padding=0)  # 3x3 -> 1x1
        self.pool = nn.MaxPool2d(2)
        self.output_layer = nn.Linear(256, classes)
        _channels_last(self)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits (n, 10) of images (n, 1, 28, 28) in 0..1."""
        x = self.widen_1(self.stem(x))
        x = self.widen_2(self.pool(x + self.residual_1(x)))
        x = x + self.residual_2(x)
        x = self.pool(x + self.residual_3(x))
        return self.output_layer(self.whole(x).flatten(1))  # type: ignore[no-any-return]


class LineNet(nn.Module):
    """Reads a whole number with its signs: (n, 1, 40, w) float in 0..1 -> (n, w // 4, 28); 1,801,988 parameters.

    Convolutions see about a digit and a half of the strip; two layers of self-attention (Vaswani et al. 2017) then let
    every column compare itself with the writer's other characters. Each column answers with 23 logits, `ALPHABET` and
    the blank of connectionist temporal classification (Graves et al. 2006); how far left, up, right and down of the
    column's middle the digit there reaches, in heights of the strip; and the logit of there being a digit at all.
    """

    def __init__(self) -> None:
        """Make the layers with PyTorch's default initialisation, from its global random state."""
        super().__init__()
        self.stem = _convolution(1, 24, kernel=5, padding=2, stride=2)  # 40 -> 20 high
        self.widen_1 = _convolution(24, 48)
        self.pool = nn.MaxPool2d(2)  # 10
        self.widen_2 = _convolution(48, 96)
        self.residual_1 = _convolution(96, 96)
        self.flatten = nn.MaxPool2d((2, 1))  # 5
        self.widen_3 = _convolution(96, 128)
        self.residual_2 = _convolution(128, 128)
        self.residual_3 = _convolution(128, 128)
        self.whole = _convolution(128, 224, kernel=(5, 1), padding=(0, 0))  # 1
        self.beside_1 = _convolution(224, 224, kernel=(1, 3), padding=(0, 1))
        self.context_1 = Attention(224)
        self.beside_2 = _convolution(224, 224, kernel=(1, 3), padding=(0, 1))
        self.context_2 = Attention(224)
        self.output_layer = nn.Linear(224, len(ALPHABET) + 6)
        _channels_last(self)

    def forward(self, x: Tensor, columns: Tensor | None = None) -> Tensor:
        """Return logits and reaches (n, w // 4, 28) of strips (n, 1, 40, w) in 0..1.

        columns: (n,), the columns of each strip where strips of several widths are padded; None where none is.
        """
        return self.answer(self.see(x), columns)

    def see(self, x: Tensor) -> Tensor:
        """Return what each column of strips shows by itself and beside its neighbours: (n, 224, 1, w // 4)."""
        x = self.widen_2(self.pool(self.widen_1(self.stem(x))))
        x = self.widen_3(self.flatten(x + self.residual_1(x)))
        x = x + self.residual_2(x)
        return self.whole(x + self.residual_3(x))  # type: ignore[no-any-return]

    def answer(self, x: Tensor, columns: Tensor | None = None) -> Tensor:
        """Return what `forward` does, of what `see` returned; columns: as there."""
        mask = None
        if columns is not None:
            mask = (torch.arange(x.shape[3], device=x.device) < columns[:, None].to(x.device))[:, None]
        for beside, context in ((self.beside_1, self.context_1), (self.beside_2, self.context_2)):
            x = x + beside(x)
            x = context(x.squeeze(2).transpose(1, 2), mask).transpose(1, 2).unsqueeze(2)
        return self.output_layer(x.squeeze(2).transpose(1, 2))  # type: ignore[no-any-return]


class Attention(nn.Module):
    """A layer of self-attention over columns and a layer on each column: (n, t, d) -> (n, t, d)."""

    def __init__(self, width: int, heads: int = 4) -> None:
        """Make the layers; width is divisible by heads."""
        super().__init__()
        self.width, self.heads = width, heads
        self.before_1, self.before_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.key, self.value, self.together = (nn.Linear(width, width) for _ in range(4))
        self.inner, self.outer = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return columns (n, t, d) changed by what all columns hold; mask: (n, 1, t) bool, those that count."""
        y = self.before_1(x)
        queries, keys, values = self.query(y), self.key(y), self.value(y)
        seen = []
        for start in range(0, self.width, self.width // self.heads):  # head by head: an exported file needs no shapes
            part = slice(start, start + self.width // self.heads)
            scores = (queries[:, :, part] @ keys[:, :, part].transpose(1, 2)) * (self.heads / self.width) ** 0.5
            if mask is not None:
                scores = scores.masked_fill(~mask, -1e4)
            seen.append(scores.softmax(2) @ values[:, :, part])
        x = x + self.together(torch.cat(seen, 2))
        return x + self.outer(F.relu(self.inner(self.before_2(x))))  # type: ignore[no-any-return]


def _channels_last(network: nn.Module) -> None:
    """Store the weights of convolutions channels last: the faster format on a CPU, with the same values."""
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def _convolution(
    inputs: int,
    outputs: int,
    padding: int | tuple[int, int] = 1,
    pool: bool = False,
    kernel: int | tuple[int, int] = 3,
    stride: int = 1,
) -> nn.Sequential:
    pooled = [nn.MaxPool2d(2)] if pool else []
    convolution = nn.Conv2d(inputs, outputs, kernel_size=kernel, stride=stride, padding=padding, bias=False)
    return nn.Sequential(convolution, *pooled, nn.BatchNorm2d(outputs), nn.ReLU())


MODELS: dict[str, type[nn.Module]] = {"digitnet": DigitNet, "strong": StrongNet, "line": LineNet, "page": PageNet}
"""The networks by name: two that tell single digits, and the one that reads whole numbers."""


def to_input(images: Tensor) -> Tensor:
    """Scale images (n, 28, 28) uint8 to what the networks take: (n, 1, 28, 28) float32 in 0..1."""
    return images.unsqueeze(1).float().div_(255)


@contextmanager
def set_mode(network: nn.Module, training: bool) -> Iterator[None]:
    """Put a network in training or evaluation mode, and every module of it back in its own mode at the end."""
    modes = [(module, module.training) for module in network.modules()]
    network.train(training)
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def network_input(network: nn.Module, images: NDArray[np.uint8]) -> Tensor:
    """Return images (n, 28, 28) uint8 as `to_input` does, on the device of a network's weights and of their type."""
    x = to_input(
        torch.tensor(np.ascontiguousarray(images).reshape(-1, IMAGE_SIZE, IMAGE_SIZE), device=device_of(network))
    )
    return x.to(dtype_of(network))


def device_of(network: nn.Module) -> torch.device:
    """Return where a network's first weight is; the CPU for a network without weights."""
    return next((tensor.device for tensor in chain(network.parameters(), network.buffers())), torch.device("cpu"))


def dtype_of(network: nn.Module) -> torch.dtype:
    """Return the type of a network's first floating-point weight; float32 for a network without any."""
    return next((weight.dtype for weight in network.parameters() if weight.is_floating_point()), torch.float32)


def logits_of(network: nn.Module, images: NDArray[np.uint8], classes: int = 10) -> Tensor:
    """Return a network's logits (n, classes) float32, on the CPU, of images (n, 28, 28) uint8, `BATCH` at a time.

    The network runs in evaluation mode and is left as it was. Raises ModelError where it gives anything else.
    """
    # Without inference mode: a tensor that the network caches in it could not take part in a later training.
    found = [torch.empty(0, classes)]
    with set_mode(network, training=False), torch.no_grad():
        for start in range(0, len(images), BATCH):
            batch = images[start : start + BATCH]
            logits = network(network_input(network, batch))
            if not isinstance(logits, Tensor) or logits.shape != (len(batch), classes):
                given = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
                name, expected = type(network).__name__, (len(batch), classes)
                raise ModelError(f"{name}: returns {given} for {len(batch)} images; expected logits {expected}")
            found.append(logits.float().cpu())
    return torch.cat(found)


def check_network(network: nn.Module, classes: int = 10) -> None:
    """Raise ModelError, in one line, unless a network gives finite logits (2, classes) for two images of 28x28."""
    name = type(inner(network)).__name__
    try:
        logits = logits_of(network, np.zeros((2, IMAGE_SIZE, IMAGE_SIZE), np.uint8), classes)
    except ModelError:
        raise
    except Exception as error:
        raise ModelError(f"{name}: fails on images (2, 1, {IMAGE_SIZE}, {IMAGE_SIZE}): {reason(error)}") from error
    if not logits.isfinite().all():
        raise ModelError(f"{name}: returns values that are not finite for two images of zeros")


def inner(network: nn.Module) -> nn.Module:
    """Return a network without what scales its inputs."""
    return network.network if isinstance(network, Normalised) else network


def layer_shapes(network: nn.Module, classes: int = 10) -> list[tuple[str, tuple[int, ...]]]:
    """Return the name of each layer that runs, in order, and the shape of what it gives for one image."""
    found: list[tuple[str, tuple[int, ...]]] = []

    def note(name: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        return lambda module, inputs, output: found.append((name, tuple(output.shape[1:])))

    layers = [(name, module) for name, module in inner(network).named_modules() if not [*module.children()]]
    hooks = [module.register_forward_hook(note(name or type(module).__name__)) for name, module in layers]
    try:
        logits_of(network, np.zeros((1, IMAGE_SIZE, IMAGE_SIZE), np.uint8), classes)
    finally:
        for hook in hooks:
            hook.remove()
    return found


class Normalised(nn.Module):
    """A network that was trained on normalised inputs, as one that takes (n, 1, 28, 28) floats in 0..1."""

    def __init__(self, network: nn.Module, mean: float, std: float) -> None:
        """Wrap a network that takes (x - mean) / std."""
        super().__init__()
        self.network = network
        self.mean, self.std = mean, std

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits (n, 10)."""
        return self.network((x - self.mean) / self.std)  # type: ignore[no-any-return]


class TorchClassifier:
    """A network as a `Classifier`: (n, 28, 28) uint8 arrays -> (n, 10) float32 probabilities.

    Takes any `nn.Module` from (n, 1, 28, 28) floats in 0..1 to (n, 10) logits. It runs where its weights are, in
    evaluation mode, `BATCH` images at a time, and is left as it was.

    trained_on: the images that it was trained on; None where they are not known. names: of its classes; with k other
    names than the ten digits, k takes the place of 10.
    """

    def __init__(
        self, network: nn.Module, trained_on: ImageSet | None = None, names: tuple[str, ...] = DIGIT_NAMES
    ) -> None:
        """Wrap a network."""
        self.network = network
        self.names = names
        self.trained_on = trained_on

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the probabilities, each row summing to 1. Raises ModelError where the network gives no logits."""
        probs: NDArray[np.float32] = logits_of(self.network, images, len(self.names)).softmax(1).numpy()
        return probs

    def layers(self, image: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """Return what each layer makes of one image (28, 28) uint8, as `OnnxClassifier.layers` does.

        Raises ModelError where the network has no linear layer.
        """
        maps, hidden = self._look(np.asarray(image)[None])
        return [each[0] for each in (*maps, hidden)]

    def hidden(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the hidden units before the last linear layer, (n, units) float32. Raises as `layers` does."""
        return np.concatenate([self._look(images[start : start + BATCH])[1] for start in range(0, len(images), BATCH)])

    def filters(self) -> NDArray[np.float32]:
        """Return the weights of the first convolution, (channels, h, w) float32. Raises ModelError without one."""
        for module in self.network.modules():
            if isinstance(module, nn.Conv2d):
                return module.weight.detach()[:, 0].float().cpu().numpy()
        raise ModelError(f"{type(self.network).__name__}: has no convolution over images")

    def _look(self, images: NDArray[np.uint8]) -> tuple[list[NDArray[np.float32]], NDArray[np.float32]]:
        """Return the maps after each pooling, and after the normalisation and activation that follow it, and the input
        of the last linear layer.
        """
        maps: list[Tensor] = []
        hidden: list[Tensor] = []

        def note(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            if isinstance(module, nn.MaxPool2d):
                maps.append(output)
            elif isinstance(module, nn.BatchNorm2d | nn.ReLU) and maps and inputs[0] is maps[-1]:
                maps[-1] = output
            elif isinstance(module, nn.Linear):
                hidden[:] = inputs

        hooks = [module.register_forward_hook(note) for module in self.network.modules()]
        try:
            with set_mode(self.network, training=False), torch.no_grad():
                self.network(network_input(self.network, images))
        finally:
            for hook in hooks:
                hook.remove()
        if not hidden:
            raise ModelError(f"{type(self.network).__name__}: has no linear layer to inspect")
        return [each.float().cpu().numpy() for each in maps], hidden[0].float().cpu().numpy()
