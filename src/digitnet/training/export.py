"""A run -> one `.onnx` file, calibrated and compared with PyTorch before it is written.

For a classifier two things are fitted here, on the run's validation digits alone. The temperature divides the logits so
that the probabilities mean what they say (Guo et al., "On Calibration of Modern Neural Networks", 2017). Digit-ness is
the energy of the logits, their log-sum-exp (Liu et al., "Energy-based Out-of-distribution Detection", 2020), on a scale
on which a share `REJECTED_VALID` of validation digits lie below one half; and 0 for what is noise or empty. For a line
reader it is one temperature, fitted on numbers composed from validation digits, so that the probability of a whole
number means what it says. A page network needs no calibration.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import nll_loss

from digitnet.core.classes import CLASSES, class_names
from digitnet.core.digits import IMAGE_SIZE, Digits
from digitnet.core.errors import DataError, ModelError
from digitnet.data.datasets import splits
from digitnet.models import checkpoint
from digitnet.models.model_file import DIGITNESS, INPUT, PROBABILITIES
from digitnet.models.networks import BATCH, logits_of
from digitnet.models.onnx_models import LineReader, OnnxClassifier
from digitnet.models.page_model import PageModel
from digitnet.models.page_network import PageNet
from digitnet.models.run_folder import CONFIG, SCORES, load_json
from digitnet.models.trained_on import IMAGES, MNIST_SHA256, ImageSet
from digitnet.training import finetune, line_sources
from digitnet.training.line_export import export_lines as export_lines
from digitnet.training.onnx_file import copied, keep, opened, told_of, write_onnx
from digitnet.training.page_export import export_page

REJECTED_VALID = 0.002
"""Share of validation digits below the threshold of digit-ness, 0..1."""

DOUBTS = tuple(0.05 * step for step in range(13))
"""How fast confidence falls with an image's strangeness: what calibration chooses from."""

THRESHOLD = 0.5
"""Digit-ness below which an image is refused: the scale is fitted so that it lies here."""

MIN_COHERENCE = 0.4
"""Share of an image's variance that outlasts averaging its pixels by 2x2, below which it is noise, or empty.

Noise keeps a quarter (of 5,000 images of uniform noise the highest was 0.33), MNIST's test digits 0.48 to 0.96.
"""

BATCHES = (1, 2, 7, 256)
"""Batch sizes at which the file must equal torch."""


@dataclass(frozen=True)
class Calibration:
    """What turns logits into answers, by their energy log(sum(exp(logits))): how digit-like an image is.

    Probabilities are softmax(logits / t), t = temperature * exp(doubt * max(usual - energy, 0)): of two equally clear
    answers the one to the stranger image is less sure. Digit-ness is sigmoid((energy - middle) / spread).
    """

    temperature: float
    doubt: float
    usual: float
    middle: float
    spread: float

    def probs(self, logits: Tensor, energy: Tensor) -> Tensor:
        """Return the probabilities (n, 10) of logits (n, 10) and their energies (n,)."""
        strange = (self.usual - energy).relu().unsqueeze(1)
        return (logits / (self.temperature * (self.doubt * strange).exp())).softmax(1)


class Calibrated(nn.Module):
    """A network with its calibration: (n, 28, 28) uint8 -> (n, 10) probabilities and (n,) digit-ness."""

    def __init__(self, network: nn.Module, calibration: Calibration) -> None:
        """Wrap a network from (n, 1, 28, 28) floats in 0..1 to (n, 10) logits."""
        super().__init__()
        self.network = network
        self.calibration = calibration

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return probabilities and digit-ness."""
        x = images.unsqueeze(1).float() / 255
        logits = self.network(x)
        fitted = self.calibration
        energy = logits.logsumexp(1)
        digitness = ((energy - fitted.middle) / fitted.spread).sigmoid()
        x = x - x.mean((2, 3), keepdim=True)
        variance, coarse = x.square().mean((1, 2, 3)), nn.functional.avg_pool2d(x, 2).square().mean((1, 2, 3))
        coherent = coarse >= MIN_COHERENCE * (variance + 1e-4)  # so that rounding makes no empty image coherent
        return fitted.probs(logits, energy), digitness * coherent


def calibrate(network: nn.Module, digits: Digits) -> Calibration:
    """Fit temperature, doubt and digit-ness to a network's logits on labelled digits that it has not learnt from."""
    logits = logits_of(network, digits.images, len(digits.names))
    labels = torch.tensor(digits.labels).long()
    energy = logits.logsumexp(1)
    middle = float(energy.quantile(REJECTED_VALID))
    spread = max(float(energy.std()), 1e-3)  # a network that always says the same has rounding errors alone
    # The loss is smooth in both numbers: the smallest of a fine grid is as good as any solver's.
    grid = (
        Calibration(temperature, doubt, float(energy.median()), middle, spread)
        for doubt in DOUBTS
        for temperature in torch.linspace(-1.6, 1.6, 129).exp().tolist()
    )
    return min(grid, key=lambda fit: float(nll_loss(fit.probs(logits, energy).clamp(1e-30).log(), labels)))


class CalibratedClassifier:
    """A network, calibrated, as a `Classifier` that also tells digit-ness; it answers as its exported file would."""

    def __init__(self, network: nn.Module, digits: Digits, trained_on: ImageSet | None = None) -> None:
        """Calibrate a copy of a network, as `export` takes it, on digits that it has not learnt from."""
        network, self.trained_on, self.names = copied(network), trained_on, digits.names
        self.model = Calibrated(network, calibrate(network, digits)).eval()

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the probabilities, (n, 10) float32, each row summing to 1."""
        return self.classify(images)[0]

    def digitness(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return how digit-like each image is, (n,) float32 in 0..1."""
        return self.classify(images)[1]

    def classify(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return probabilities and digit-ness together, of images (n, 28, 28) uint8."""
        probs, digitness = [np.empty((0, len(self.names)), np.float32)], [np.empty(0, np.float32)]
        with torch.inference_mode():
            for start in range(0, len(images), BATCH):
                answers = self.model(torch.tensor(np.ascontiguousarray(images[start : start + BATCH])))
                probs.append(answers[0].numpy())
                digitness.append(answers[1].numpy())
        return np.concatenate(probs), np.concatenate(digitness)


def export_run(
    folder: Path, path: Path, data_dir: str | Path | None = None, data: str | Path | None = None
) -> OnnxClassifier | LineReader | PageModel:
    """Export a run: its weights, calibrated on its own validation digits, with its settings and scores as metadata.

    The file of a page network holds its weights alone, and `data` is not needed.

    data: the present path of the run's digits, if they have moved. Raises ModelError if `folder` is not a run or the
    file does not equal PyTorch, DataError if the run's data is not available or has changed.
    """
    network = checkpoint.load_network(folder)
    if isinstance(network, PageNet):
        export_page(network, path)
        return PageModel(path)
    valid, config = valid_of_run(folder, data_dir, data)
    about = {"name": path.stem, **config}
    if (folder / SCORES).is_file():
        scores = load_json(folder / SCORES)
        about["test"] = {name: scores[name] for name in ("accuracy", "n", "errors", "interval")}
    if config.get("lines"):
        return export_lines(network, line_sources.unseen(valid, data_dir).lines(), about, path)
    if config.get("start_from"):  # one's own digits are few
        valid = finetune.together([valid, finetune.held_out(config["start_from"], data_dir)])
    if (images := checkpoint.load_images(folder)) and config["data_sha256"] != MNIST_SHA256:
        about[IMAGES] = images.to_text()
    return export(network, valid, about, path)


def valid_of_run(
    folder: Path, data_dir: str | Path | None = None, data: str | Path | None = None
) -> tuple[Digits, dict[str, Any]]:
    """Return a run's validation digits and its configuration. Takes `data` and raises as `export_run` does."""
    if not (folder / CONFIG).is_file():
        raise ModelError(
            f"{folder}: contains no {CONFIG}, which records its training data; `digitnet train` and "
            "digitnet.training.run.start create complete runs"
        )
    config = load_json(folder / CONFIG)
    if not {"data", "data_sha256"} <= config.keys():
        raise ModelError(f"{folder / CONFIG}: not a run's configuration (no data or data_sha256)")
    source = str(data or config["data"])
    advice = f"name the digits that {folder} was trained on: digitnet export {folder} --data PATH --out FILE.onnx"
    try:
        parts = splits(source, data_dir)
    except DataError as error:
        raise DataError(f"{error}; {advice}") from error
    if parts.sha256 != config["data_sha256"]:
        raise DataError(f"{source}: not the digits that {folder} was trained on; {advice}")
    return parts.valid.with_names(class_names(config, folder / CONFIG)), config


def export(network: nn.Module, digits: Digits, about: dict[str, Any], path: Path) -> OnnxClassifier:
    """Calibrate a network on validation digits and write it as one ONNX file, atomically.

    network: any `nn.Module` from (n, 1, 28, 28) floats in 0..1 to (n, 10) logits; it is not changed. A file with
        operators beyond digitnet's own is added to this user's list of trusted files, see `trust`.
    about: goes into the metadata, with temperature, threshold and versions added; must have a `name`. Under
        `trained_on.IMAGES` it may have the images that the network was trained on, see `ImageSet.to_text`.
    Returns the file as a classifier. Raises ModelError, and writes nothing, if PyTorch cannot convert the network to
    ONNX, or if the file's outputs differ from PyTorch's by more than `TOLERANCE` at any of `BATCHES`.
    """
    network = copied(network)
    model = Calibrated(network, calibrate(network, digits)).eval()
    about = about | {
        "temperature": model.calibration.temperature,
        "doubt": model.calibration.doubt,
        "threshold": THRESHOLD,
        CLASSES: list(digits.names),
        "onnx": onnx.__version__,
    }
    with TemporaryDirectory() as folder:
        trial = Path(folder) / "trial.onnx"
        write_onnx(model, (INPUT,), (PROBABILITIES, DIGITNESS), about, trial, path)
        with told_of(path, trial):
            classifier, strange = opened(OnnxClassifier, trial)
            difference = _difference(model, classifier, digits.images)
        keep(trial, path, difference, strange)
    return OnnxClassifier(path)


def _difference(model: Calibrated, exported: OnnxClassifier, images: NDArray[np.uint8]) -> float:
    """Return the largest difference between two models' answers, over all `BATCHES`."""
    differences = []
    for size in BATCHES:
        batch = np.resize(images, (size, IMAGE_SIZE, IMAGE_SIZE))
        with torch.inference_mode():
            answers = model(torch.tensor(batch))
        for ours, theirs in zip(answers, exported.classify(batch), strict=True):
            differences.append(np.abs(ours.numpy() - theirs).max())
    return float(np.max(differences))  # NaN if any is: unlike the built-in max, numpy's never drops one
