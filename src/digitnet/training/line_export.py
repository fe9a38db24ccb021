"""Export of a line reader: calibrated on held-out lines, with weights stored as 16-bit floats."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from digitnet.data.synthesis.scribe import Written
from digitnet.data.synthesis.texts import ALPHABET
from digitnet.imaging.normalization import strip
from digitnet.models.model_file import LOG_PROBS, PRESENCE, REACH, STRIPS
from digitnet.models.onnx_models import LineReader, padded, with_rare_signs
from digitnet.training.halving import halved, store_halved
from digitnet.training.line_loop import BLANK, CLASSES, targets
from digitnet.training.onnx_file import keep, opened, told_of, write_onnx


class CalibratedLine(nn.Module):
    """A line reader's network with its temperature: (n, STRIP_HEIGHT, w) uint8 -> the three outputs of `forward`."""

    def __init__(self, network: nn.Module, temperature: float) -> None:
        """Wrap a network from (n, 1, STRIP_HEIGHT, w) floats in 0..1."""
        super().__init__()
        self.network = network
        self.temperature = temperature

    def forward(self, strips: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return log-probabilities (n, t, CLASSES), reaches (n, t, 4) and the probability of a digit (n, t)."""
        answer = self.network(strips.unsqueeze(1).float() / 255)
        log_probs = (answer[..., :CLASSES] / self.temperature).log_softmax(2)
        return log_probs, answer[..., CLASSES:-1], answer[..., -1].sigmoid()


def export_lines(network: nn.Module, lines: Sequence[Written], about: dict[str, Any], path: Path) -> LineReader:
    """Calibrate a line reader on numbers that it has not learnt from and write it as one file, as `export` does."""
    network = halved(network)
    strips, texts = [strip(255 - line.image) for line in lines], [line.written or "" for line in lines]
    sizes = torch.tensor([len(text) for text in texts])

    def loss(logits: Tensor, columns: Tensor) -> Tensor:
        log_probs = logits.log_softmax(2).transpose(0, 1)
        return nn.functional.ctc_loss(log_probs, targets(texts), columns, sizes, BLANK, "sum", True)

    return write_lines(network, temperature(logits_of(network, strips), loss), strips, about, path)


def write_lines(
    network: nn.Module, heat: float, strips: Sequence[NDArray[np.uint8]], about: dict[str, Any], path: Path
) -> LineReader:
    """Write a line reader of `halved` weights as one file. heat: its temperature. strips: to compare the file on."""
    model = CalibratedLine(network, heat).eval()
    about = about | {"temperature": heat, "alphabet": ALPHABET, "onnx": onnx.__version__}
    with TemporaryDirectory() as folder:
        trial, differences = Path(folder) / "trial.onnx", []
        write_onnx(model, (STRIPS,), (LOG_PROBS, REACH, PRESENCE), about, trial, path)
        store_halved(trial)
        with told_of(path, trial), torch.inference_mode():
            reader, strange = opened(LineReader, trial)
            for one, said in zip(strips[:20], reader(strips[:20]), strict=True):
                answer = with_rare_signs(model(torch.tensor(padded([one])))[0][0].numpy(), ALPHABET)
                differences.append(np.abs(np.exp(answer) - np.exp(said.characters)).max())
        keep(trial, path, float(np.max(differences)), strange)
    return LineReader(path)


def logits_of(network: nn.Module, strips: Sequence[NDArray[np.uint8]]) -> list[Tensor]:
    """Return a network's logits (t, CLASSES) of each strip."""
    with torch.inference_mode():
        return [network(torch.tensor(padded([one]))[:, None].float() / 255)[0, :, :CLASSES] for one in strips]


def temperature(logits: Sequence[Tensor], loss: Callable[[Tensor, Tensor], Tensor]) -> float:
    """Return the temperature of the least loss. loss: takes the logits (n, t, CLASSES) and the columns (n,) of each."""
    columns = torch.tensor([len(each) for each in logits])
    together = nn.utils.rnn.pad_sequence(list(logits), batch_first=True)
    steps = torch.linspace(-1.0, 1.6, 131).exp()
    return float(steps[torch.stack([loss(together / step, columns) for step in steps]).argmin()])
