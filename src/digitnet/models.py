"""The networks, and the shell that turns one into a classifier of uint8 images."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from digitnet.digits import SIDE

BATCH = 512
"""Images classified at a time: on two cores 64 to 512 were equally fast, 1,000 slower."""


LINE_BLANK = 10
"""Among `LineNet`'s classes the one of columns where no digit begins."""

REACHES = LINE_BLANK + 1
"""Where in a column of `LineNet`'s answer the reaches begin, after the classes."""


class DigitNet(nn.Module):
    """The tutorial's network, name by name: (n, 1, 28, 28) float in 0..1 -> (n, 10) logits; 206,922 parameters.

    Two blocks of 3x3 convolution, ReLU and 2x2 max-pooling (16 and 32 channels), a hidden layer of 128 units, and
    the output layer. The attribute names are the tutorial's, so that state dicts saved there load here.
    """

    def __init__(self) -> None:
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
        self.output_layer = nn.Linear(128, 10)

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

    def __init__(self) -> None:
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
        self.output_layer = nn.Linear(256, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits (n, 10) of images (n, 1, 28, 28) in 0..1."""
        x = self.widen_1(self.stem(x))
        x = self.widen_2(self.pool(x + self.residual_1(x)))
        x = x + self.residual_2(x)
        x = self.pool(x + self.residual_3(x))
        return self.output_layer(self.whole(x).flatten(1))  # type: ignore[no-any-return]


class LineNet(nn.Module):
    """Reads a whole number: (n, 1, 40, w) float in 0..1 -> (n, w // 4, 16); 682,128 parameters.

    Each column of the answer looks at about a digit and a half of the strip: 11 logits, the digits and the blank of
    connectionist temporal classification (Graves et al. 2006), if the strip shows a number; how far left, up, right
    and down of the column's middle the digit there reaches, in heights of the strip; and the logit of there being a
    digit at the column at all.
    """

    def __init__(self) -> None:
        """Make the layers with PyTorch's default initialisation, from its global random state."""
        super().__init__()
        self.stem = _convolution(1, 32, pool=True)  # 40 -> 20 high
        self.widen_1 = _convolution(32, 48)
        self.pool = nn.MaxPool2d(2)  # 10
        self.widen_2 = _convolution(48, 96)
        self.residual_1 = _convolution(96, 96)
        self.flatten = nn.MaxPool2d((2, 1))  # 5
        self.widen_3 = _convolution(96, 112)
        self.residual_2 = _convolution(112, 112)
        self.whole = _convolution(112, 192, kernel=(5, 1), padding=(0, 0))  # 1
        self.beside_1 = _convolution(192, 192, kernel=(1, 3), padding=(0, 1))
        self.beside_2 = _convolution(192, 192, kernel=(1, 3), padding=(0, 1))
        self.output_layer = nn.Conv2d(192, 16, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits and reaches (n, w // 4, 16) of strips (n, 1, 40, w) in 0..1."""
        x = self.widen_2(self.pool(self.widen_1(self.stem(x))))
        x = self.widen_3(self.flatten(x + self.residual_1(x)))
        x = self.whole(x + self.residual_2(x))
        x = x + self.beside_1(x)
        x = x + self.beside_2(x)
        return self.output_layer(x).squeeze(2).transpose(1, 2)  # type: ignore[no-any-return]


def _convolution(
    inputs: int,
    outputs: int,
    padding: int | tuple[int, int] = 1,
    pool: bool = False,
    kernel: int | tuple[int, int] = 3,
) -> nn.Sequential:
    pooled = [nn.MaxPool2d(2)] if pool else []
    convolution = nn.Conv2d(inputs, outputs, kernel_size=kernel, padding=padding, bias=False)
    return nn.Sequential(convolution, *pooled, nn.BatchNorm2d(outputs), nn.ReLU())


MODELS: dict[str, type[nn.Module]] = {"digitnet": DigitNet, "strong": StrongNet, "line": LineNet}
"""The networks by name: two that tell single digits, and the one that reads whole numbers."""


def to_input(images: Tensor) -> Tensor:
    """Scale images (n, 28, 28) uint8 to what the networks take: (n, 1, 28, 28) float32 in 0..1."""
    return images.unsqueeze(1).float().div_(255)


class TorchClassifier:
    """A network as a `Classifier`: (n, 28, 28) uint8 arrays -> (n, 10) float32 probabilities.

    Runs where the network's weights are, `BATCH` images at a time, and leaves the network in evaluation mode.
    """

    def __init__(self, network: nn.Module) -> None:
        """Wrap a network that maps (n, 1, 28, 28) floats in 0..1 to (n, 10) logits."""
        # Channels last is how convolution and pooling are fast on a CPU; the values stay as they are.
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the probabilities, each row summing to 1."""
        probs = np.empty((len(images), 10), np.float32)
        with torch.inference_mode():
            for start in range(0, len(images), BATCH):
                logits = self.network(self._input(images[start : start + BATCH]))
                probs[start : start + BATCH] = logits.float().softmax(1).cpu().numpy()
        return probs

    def layers(self, image: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """Return what each layer makes of one image (28, 28) uint8, as `OnnxClassifier.layers` does."""
        maps, hidden = self._look(np.asarray(image)[None])
        return [each[0] for each in (*maps, hidden)]

    def hidden(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the hidden units before the last linear layer, (n, units) float32."""
        return np.concatenate([self._look(images[start : start + BATCH])[1] for start in range(0, len(images), BATCH)])

    def filters(self) -> NDArray[np.float32]:
        """Return the weights of the first convolution, (channels, h, w) float32."""
        first = next(module for module in self.network.modules() if isinstance(module, nn.Conv2d))
        return first.weight.detach()[:, 0].float().cpu().numpy()

    def _input(self, images: NDArray[np.uint8]) -> Tensor:
        self.network.eval()
        batch = torch.tensor(np.ascontiguousarray(images).reshape(-1, SIDE, SIDE))
        x = to_input(batch.to(next(self.network.parameters()).device))
        return x.contiguous(memory_format=torch.channels_last)

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
            with torch.inference_mode():
                self.network(self._input(images))
        finally:
            for hook in hooks:
                hook.remove()
        return [each.float().cpu().numpy() for each in maps], hidden[0].float().cpu().numpy()
