"""A run -> one `.onnx` file, calibrated and proven equal to torch before it is written.

For a classifier two things are fitted here, on the run's validation digits alone. The temperature divides the logits so
that the probabilities mean what they say (Guo et al., "On Calibration of Modern Neural Networks", 2017). Digit-ness is
the energy of the logits, their log-sum-exp (Liu et al., "Energy-based Out-of-distribution Detection", 2020), on a scale
on which a share `REFUSED` of validation digits lie below one half; and 0 for what is noise or empty. For a line reader
it is one temperature, fitted on numbers composed from validation digits, so that the probability of a whole number
means what it says.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import nll_loss

from digitnet import checkpoint
from digitnet.compose import Line, unseen
from digitnet.data import splits
from digitnet.digits import SIDE, STRIP, Digits
from digitnet.errors import DataError, ModelError
from digitnet.files import write_atomic
from digitnet.frame import strip
from digitnet.models import BATCH, LINE_BLANK, REACHES, to_input
from digitnet.runtime import (
    DIGITNESS,
    INPUT,
    LAYERS,
    LOG_PROBS,
    METADATA,
    PRESENCE,
    PROBABILITIES,
    REACH,
    STRIPS,
    LineReader,
    OnnxClassifier,
    padded,
)

REFUSED = 0.002
"""Share of validation digits below the threshold of digit-ness, 0..1."""

DOUBTS = tuple(0.05 * step for step in range(13))
"""How fast confidence falls with an image's strangeness: what calibration chooses from."""

THRESHOLD = 0.5
"""Digit-ness below which an image is refused: the scale is fitted so that it lies here."""

LEAST_COHERENCE = 0.4
"""Share of an image's variance that outlasts averaging its pixels by 2x2, below which it is noise, or empty.

Noise keeps a quarter (of 5,000 images of uniform noise the highest was 0.33), MNIST's test digits 0.48 to 0.96.
"""

OPSET = 17
"""Version of ONNX's operators, of 2022: runtimes of the last years know it."""

_AXES = {STRIPS: {0: "n", 2: "w"}, LOG_PROBS: {0: "n", 1: "t"}, REACH: {0: "n", 1: "t"}, PRESENCE: {0: "n", 1: "t"}}

BATCHES = (1, 2, 7, 256)
"""Batch sizes at which the file must equal torch."""

TOLERANCE = 1e-4
"""Largest difference of any probability or digit-ness between the file and torch."""


_Opened = TypeVar("_Opened", OnnxClassifier, LineReader)


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
        coherent = coarse >= LEAST_COHERENCE * (variance + 1e-4)  # so that rounding makes no empty image coherent
        return fitted.probs(logits, energy), digitness * coherent


def calibrate(network: nn.Module, digits: Digits) -> Calibration:
    """Fit temperature, doubt and digit-ness to a network's logits on labelled digits that it has not learnt from."""
    logits = _logits(network, digits.images)
    labels = torch.tensor(digits.labels).long()
    energy = logits.logsumexp(1)
    middle = float(energy.quantile(REFUSED))
    spread = max(float(energy.std()), 1e-3)  # a network that always says the same has rounding errors alone
    # The loss is smooth in both numbers: the smallest of a fine grid is as good as any solver's.
    grid = (
        Calibration(temperature, doubt, float(energy.median()), middle, spread)
        for doubt in DOUBTS
        for temperature in torch.linspace(-1.6, 1.6, 129).exp().tolist()
    )
    return min(grid, key=lambda fit: float(nll_loss(fit.probs(logits, energy).clamp(1e-30).log(), labels)))


class CalibratedLine(nn.Module):
    """`LineNet` with its temperature: (n, STRIP, w) uint8 -> its answers (n, w // 4, ...), see `forward`."""

    def __init__(self, network: nn.Module, temperature: float) -> None:
        """Wrap a network from (n, 1, STRIP, w) floats in 0..1."""
        super().__init__()
        self.network = network
        self.temperature = temperature

    def forward(self, strips: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return log-probabilities (n, t, 11), reaches (n, t, 4) and the probability of a digit (n, t)."""
        answer = self.network(strips.unsqueeze(1).float() / 255)
        log_probs = (answer[..., :REACHES] / self.temperature).log_softmax(2)
        return log_probs, answer[..., REACHES:-1], answer[..., -1].sigmoid()


def export_run(folder: Path, path: Path, data_dir: str | Path | None = None) -> OnnxClassifier | LineReader:
    """Export a run: its weights, calibrated on its own validation digits, with its settings and scores as metadata.

    Raises ModelError where `folder` is no run or the file would not equal torch, DataError where the run's data
    cannot be had or is no longer what it was.
    """
    network = checkpoint.load_network(folder)
    config = checkpoint.load_json(folder / checkpoint.CONFIG)
    if not {"data", "data_sha256"} <= config.keys():
        raise ModelError(f"{folder / checkpoint.CONFIG}: not a run's configuration (no data or data_sha256)")
    parts = splits(str(config["data"]), data_dir)
    if parts.sha256 != config["data_sha256"]:
        raise DataError(f"{config['data']}: no longer the digits that {folder} was trained on; export needs those")
    about = {"name": path.stem, **config}
    if (folder / checkpoint.SCORES).is_file():
        scores = checkpoint.load_json(folder / checkpoint.SCORES)
        about["test"] = {name: scores[name] for name in ("accuracy", "n", "errors", "interval")}
    if config.get("lines"):
        return export_lines(network, unseen(parts.valid), about, path)
    return export(network, parts.valid, about, path)


def export(network: nn.Module, digits: Digits, about: dict[str, Any], path: Path) -> OnnxClassifier:
    """Calibrate a network on validation digits and write it as one ONNX file, atomically.

    about: goes into the metadata, with temperature, threshold and versions added; must have a `name`.
    Returns the file as a classifier. Raises ModelError, and writes nothing, where the file's answers differ from
    torch's by more than `TOLERANCE` at any of `BATCHES`.
    """
    network = network.cpu().float().eval()
    model = Calibrated(network, calibrate(network, digits)).eval()
    about = about | {
        "temperature": model.calibration.temperature,
        "doubt": model.calibration.doubt,
        "threshold": THRESHOLD,
        "onnx": onnx.__version__,
    }
    with TemporaryDirectory() as folder:
        trial = Path(folder) / "trial.onnx"
        _write_onnx(model, (INPUT,), (PROBABILITIES, DIGITNESS), about, trial)
        difference = _difference(model, _opened(OnnxClassifier, trial, path), digits.images)
        content = trial.read_bytes()
    if not difference <= TOLERANCE:
        raise ModelError(f"{path}: not written, for its answers differ from torch's by {difference:.2g}")
    write_atomic(path, content)
    return OnnxClassifier(path)


def export_lines(network: nn.Module, lines: Sequence[Line], about: dict[str, Any], path: Path) -> LineReader:
    """Calibrate a line reader on numbers that it has not learnt from and write it as one file, as `export` does."""
    network = network.cpu().float().eval()
    strips = [strip(255 - line.image) for line in lines]
    model = CalibratedLine(network, _line_temperature(network, strips, [line.text for line in lines])).eval()
    about = about | {"temperature": model.temperature, "onnx": onnx.__version__}
    with TemporaryDirectory() as folder:
        trial = Path(folder) / "trial.onnx"
        _write_onnx(model, (STRIPS,), (LOG_PROBS, REACH, PRESENCE), about, trial)
        exported, differences = _opened(LineReader, trial, path), []
        for one, said in zip(strips[:20], exported(strips[:20]), strict=True):
            with torch.inference_mode():
                answer = model(torch.tensor(padded([one])))[0][0].exp().numpy()
            differences.append(np.abs(answer - np.exp(said.log_probs)).max())
        content = trial.read_bytes()
    if not np.max(differences) <= TOLERANCE:
        raise ModelError(f"{path}: not written, for its answers differ from torch's by {np.max(differences):.2g}")
    write_atomic(path, content)
    return LineReader(path)


def _opened(kind: Callable[[Path], _Opened], trial: Path, path: Path) -> _Opened:
    """Open the file on trial; what is wrong with it is told of the one that was asked for."""
    try:
        return kind(trial)
    except ModelError as error:
        fault = str(error).removeprefix(f"{trial}: ")
        raise ModelError(f"{path}: not written, for {fault}") from error


def _line_temperature(network: nn.Module, strips: Sequence[NDArray[np.uint8]], texts: Sequence[str]) -> float:
    """Return the temperature at which the texts are most probable, of whole numbers."""
    with torch.inference_mode():
        answers = [network(torch.tensor(padded([one]))[:, None].float() / 255)[0, :, :REACHES] for one in strips]
    lengths = torch.tensor([len(answer) for answer in answers])
    logits = nn.utils.rnn.pad_sequence(answers)
    targets = torch.tensor([int(digit) for text in texts for digit in text])
    sizes = torch.tensor([len(text) for text in texts])
    steps = torch.linspace(-1.0, 1.6, 131).exp()
    losses = [
        nn.functional.ctc_loss((logits / step).log_softmax(2), targets, lengths, sizes, LINE_BLANK, "sum", True)
        for step in steps
    ]
    return float(steps[torch.stack(losses).argmin()])


def _write_onnx(
    model: nn.Module, inputs: Sequence[str], outputs: Sequence[str], about: dict[str, Any], path: Path
) -> None:
    with warnings.catch_warnings():
        # The exporter by tracing is the one that needs no further packages; it is announced as the older one.
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            model,
            (torch.zeros(2, STRIP, 64, dtype=torch.uint8) if STRIPS in inputs else torch.zeros(2, SIDE, SIDE).byte(),),
            path,
            input_names=inputs,
            output_names=outputs,
            dynamic_axes={name: _AXES.get(name, {0: "n"}) for name in (*inputs, *outputs)},
            opset_version=OPSET,
            dynamo=False,
        )
    proto = onnx.load(path)
    if INPUT in inputs:
        about = about | {LAYERS: _name_layers(proto.graph)}
    printable = json.dumps(about, ensure_ascii=False).encode("utf-8", "replace")  # names of files may be no text
    onnx.helper.set_model_props(proto, {METADATA: json.dumps(json.loads(printable))})
    onnx.checker.check_model(proto)
    onnx.save(proto, path)


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
            while len(takers[maps]) == 1 and takers[maps][0].op_type in ("BatchNormalization", "Relu"):
                maps = takers[maps][0].output[0]
            found[maps] = f"layer_{len(found) + 1}"
    for node in [node for node in graph.node if node.op_type == "Gemm"][-1:]:
        found[node.input[0]] = "hidden"
    for node in graph.node:
        for names in (node.input, node.output):
            names[:] = [found.get(name, name) for name in names]
    return list(found.values())


def _difference(model: Calibrated, exported: OnnxClassifier, images: NDArray[np.uint8]) -> float:
    """Return the largest difference between two models' answers, over all `BATCHES`."""
    differences = []
    for size in BATCHES:
        batch = np.resize(images, (size, SIDE, SIDE))
        with torch.inference_mode():
            answers = model(torch.tensor(batch))
        for ours, theirs in zip(answers, exported.classify(batch), strict=True):
            differences.append(np.abs(ours.numpy() - theirs).max())
    return float(np.max(differences))  # NaN if any is: unlike the built-in max, numpy's never drops one


def _logits(network: nn.Module, images: NDArray[np.uint8]) -> Tensor:
    with torch.inference_mode():
        return torch.cat([network(to_input(batch)) for batch in torch.split(torch.tensor(images), BATCH)])
