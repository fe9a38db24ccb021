import pytest
import torch
from torch.utils.data import DataLoader

from digitnet import DataError, Digits
from digitnet.training.torch_dataset import TorchDigits


def test_a_loader_gives_batches_of_images_and_labels(drawn):
    images, labels = next(iter(DataLoader(TorchDigits(drawn[:10]), batch_size=8)))
    assert (images.shape, images.dtype) == ((8, 1, 28, 28), torch.float32)
    assert (images[:, 0] * 255).round().to(torch.uint8).tolist() == drawn.images[:8].tolist()
    assert labels.tolist() == drawn.labels[:8].tolist()
    assert len(TorchDigits(drawn)) == 600


def test_a_transform_is_applied_to_images_alone(drawn):
    image, label = TorchDigits(drawn, lambda image: (image - 0.1307) / 0.3081)[3]
    assert image.numpy() == pytest.approx((drawn.images[3:4] / 255 - 0.1307) / 0.3081, abs=1e-5)
    assert label == drawn.labels[3]


def test_digits_without_labels_are_refused(drawn):
    with pytest.raises(DataError, match="without labels"):
        TorchDigits(Digits(drawn.images))
