"""Digits as a dataset of PyTorch's, for training loops of one's own: `DataLoader(TorchDigits(load("mnist")), 64)`."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.data import Dataset

from digitnet.core.digits import Digits
from digitnet.core.errors import DataError


class TorchDigits(Dataset[tuple[Tensor, int]]):
    """A view of labelled digits: item i is its image, (1, 28, 28) float32 in 0..1, and its label, 0..9.

    transform: applied to the image of each item, such as one of torchvision's. The pixels are not copied.
    """

    def __init__(self, digits: Digits, transform: Callable[[Tensor], Tensor] | None = None) -> None:
        """View digits. Raises DataError where they have no labels."""
        if digits.labels is None:
            raise DataError(
                "digits without labels cannot be used for training; TorchDigits needs Digits(images, labels)"
            )
        self.digits, self.labels, self.transform = digits, digits.labels, transform

    def __len__(self) -> int:
        """Return the number of digits."""
        return len(self.digits)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Return the image and the label of one digit."""
        image = torch.tensor(self.digits.images[index]).unsqueeze(0).float() / 255
        return image if self.transform is None else self.transform(image), int(self.labels[index])
