"""Training the line reader: new lines in every epoch, and a loss for characters, boxes and presence.

    for epoch in train_lines(network, teach, valid, config, out): ...

Characters are learnt by connectionist temporal classification (Graves et al. 2006), which needs to know what is
written but not where; the boxes, which the scribe knows, are learnt beside it. Textures teach only where there is no
digit: were they to teach what is written too, the reader would leave digits out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from digitnet.core.digits import DIGITS, STRIP_HEIGHT
from digitnet.core.errors import TrainingError
from digitnet.data.synthesis.scribe import Scribe, Written
from digitnet.data.synthesis.texts import ALPHABET
from digitnet.evaluation.line_metrics import LineScores
from digitnet.imaging.ink import ink_of
from digitnet.imaging.normalization import strip
from digitnet.models.model_file import MARGIN, STRIDE
from digitnet.models.networks import device_of, set_mode
from digitnet.models.onnx_models import padded
from digitnet.training.config import TrainConfig, with_epochs
from digitnet.training.loop import Epoch, TrainingState, epochs, resolve

MAX_WIDTH = 1000
"""Width beyond which a strip is squeezed in training, pixels."""

WIDTHS = 48
"""Batches are as wide as a multiple of this, pixels: a kernel is prepared once for each width."""

FLATTENED = 0.35
"""Share of strips learnt as `ink.ink_of` cleans them; the others keep their paper."""

BOXES = 2.0
"""Weight of the loss of boxes, against the loss of a whole number's characters."""

MAX_GRADIENT_NORM = 5.0
"""Norm to which gradients are cut: of CTC they explode now and then."""

MAX_LOSS = 40.0
"""Loss of a number beyond which it teaches nothing: its picture does not show what its label says."""

BLANK = len(ALPHABET)
"""Among the network's classes the blank, after the characters."""

CLASSES = BLANK + 1
"""Classes of a column; reaches and presence follow them in the network's answer."""


@dataclass(frozen=True)
class Batch:
    """Strips of numbers and what is known of them.

    x: (n, 1, STRIP_HEIGHT, w) float in 0..1. columns: (n,) how many columns of each strip are its own. texts: what is
    written; None where nothing is to be read. reach: (n, w // 4, 4) float, how far the nearest digit reaches, as
    `LineNet` gives it; on: (n, w // 4) bool, the columns on a digit.
    """

    x: Tensor
    columns: Tensor
    texts: list[str | None]
    reach: Tensor
    on: Tensor


def batch_of(lines: Sequence[Written], strips: Sequence[NDArray[np.uint8]]) -> Batch:
    """Put lines and their strips together, the narrower ones padded with paper."""
    together = padded(strips)
    x = np.pad(together, ((0, 0), (0, 0), (0, -together.shape[2] % WIDTHS)))[:, None]
    columns = x.shape[3] // STRIDE
    reach, on = np.zeros((len(lines), columns, 4), np.float32), np.zeros((len(lines), columns), bool)
    middle = (np.arange(columns) + 0.5) * STRIDE
    for i, (line, one) in enumerate(zip(lines, strips, strict=True)):
        if len(line.boxes):
            height, width = line.image.shape
            across, down = one.shape[1] / width, STRIP_HEIGHT / height
            boxes = line.boxes * np.array([across, down, across, down]) + np.array([MARGIN, 0, MARGIN, 0])
            nearest = np.abs(middle[:, None] - (boxes[:, 0] + boxes[:, 2]) / 2).argmin(axis=1)
            left, top, right, bottom = boxes[nearest].T
            reach[i] = (
                np.stack([middle - left, STRIP_HEIGHT / 2 - top, right - middle, bottom - STRIP_HEIGHT / 2], axis=1)
                / STRIP_HEIGHT
            )
            on[i] = (middle >= left) & (middle <= right)
    lengths = [(one.shape[1] + 2 * MARGIN) // STRIDE for one in strips]
    return Batch(
        x=torch.tensor(x).float().div_(255),
        columns=torch.tensor(lengths),
        texts=[line.written for line in lines],
        reach=torch.tensor(reach),
        on=torch.tensor(on),
    )


def batches(scribe: Scribe, count: int, size: int) -> Iterator[Batch]:
    """Write `count` lines and give them in batches of `size`, those of like width together."""
    chunk = size * 16
    for start in range(0, count, chunk):
        lines = [scribe.line() for _ in range(min(chunk, count - start))]
        flat = scribe.rng.random(len(lines)) < FLATTENED
        strips = [
            strip(ink_of(line.image) if flatten else 255 - line.image, MAX_WIDTH)
            for line, flatten in zip(lines, flat, strict=True)
        ]
        order = np.argsort([one.shape[1] for one in strips], kind="stable")
        groups = [order[i : i + size] for i in range(0, len(order), size)]
        for group in scribe.rng.permutation(len(groups)):
            yield batch_of([lines[i] for i in groups[group]], [strips[i] for i in groups[group]])


def train_lines(
    network: nn.Module,
    teach: Callable[[int], Scribe],
    valid: Sequence[Written],
    config: TrainConfig,
    out: Path,
    *,
    resume: bool = False,
) -> Iterator[Epoch]:
    """Train a network on lines written anew for every epoch; else as `loop.train`.

    teach: gives the scribe of the epoch of that seed. valid: lines that decide nothing and are only scored.
    """
    if not config.lines or not valid:
        raise TrainingError(
            "training a line reader needs `lines`, the number of lines per epoch, and lines for validation"
        )
    config = with_epochs(resolve(config), config.lines)
    device = torch.device(config.device)
    steps = -(-config.lines // config.batch_size)

    def learn(training: TrainingState, number: int) -> tuple[float, float]:
        scribe = teach(config.seed * 100_003 + number)
        total, step, lr = 0.0, (number - 1) * steps, 0.0
        for batch in batches(scribe, config.lines, config.batch_size):
            lr = training.set_rate(config, step / (steps * config.epochs))
            loss, boxes, presence = losses(training.network, batch, device, config.precision == "bfloat16")
            (loss + BOXES * boxes + presence).backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(training.network.parameters(), MAX_GRADIENT_NORM)
            training.step(config, step)
            step += 1
            total += loss.item() * len(batch.texts)
        return total / config.lines, lr

    yield from epochs(network, config, out, config.lines, learn, lambda kept: evaluate_lines(kept, valid), resume)


def losses(
    network: Callable[[Tensor, Tensor], Tensor], batch: Batch, device: torch.device, bfloat16: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the mean losses of a line's characters, of boxes in heights of the strip, and of a digit's presence."""
    x = batch.x.to(device)
    with torch.autocast(device.type, torch.bfloat16, enabled=bfloat16):
        answer = network(x, batch.columns).float()
    logits, reach, presence = answer[..., :CLASSES], answer[..., CLASSES:-1], answer[..., -1]
    sizes = torch.tensor([len(text or "") for text in batch.texts])
    ctc = F.ctc_loss(
        logits.log_softmax(2).transpose(0, 1),
        targets(batch.texts),
        batch.columns,
        sizes,
        blank=BLANK,
        reduction="none",
        zero_infinity=True,
    ).clamp(max=MAX_LOSS)
    written = torch.tensor([text is not None for text in batch.texts], device=device)
    on = batch.on.to(device)
    inside = (torch.arange(on.shape[1]) < batch.columns[:, None]).to(device)
    apart = F.smooth_l1_loss(reach, batch.reach.to(device), beta=0.05, reduction="none").mean(2)
    there = F.binary_cross_entropy_with_logits(presence, on.float(), reduction="none")
    return (
        (ctc * written).sum() / len(batch.texts),
        (apart * on).sum() / on.sum().clamp(min=1),
        (there * inside).sum() / inside.sum(),
    )


def digit_losses(logits: Tensor, columns: Tensor, digits: Sequence[str]) -> Tensor:
    """Return the loss of each number's digits, whatever signs are written between them: (n,) float32.

    logits: (n, t, CLASSES). columns: (n,) int64, those of each strip. A sign separates digits as a blank does.
    """
    log_probs = logits.log_softmax(2)
    between = log_probs[..., len(DIGITS) :].logsumexp(2, keepdim=True)
    return F.ctc_loss(
        torch.cat([log_probs[..., : len(DIGITS)], between], 2).transpose(0, 1),
        targets(digits),
        columns,
        torch.tensor([len(each) for each in digits]),
        blank=len(DIGITS),
        reduction="none",
        zero_infinity=True,
    )


def targets(texts: Sequence[str | None]) -> Tensor:
    """Return the classes of all texts' characters, one after the other, int64."""
    return torch.tensor([ALPHABET.index(character) for text in texts for character in text or ""], dtype=torch.int64)


@torch.no_grad()
def evaluate_lines(network: nn.Module, lines: Sequence[Written]) -> LineScores:
    """Score a network on lines as they are written, by the best class of every column and nothing else."""
    device = device_of(network)
    read, sure = [], []
    with set_mode(network, training=False):
        for line in lines:
            x = torch.tensor(padded([strip(255 - line.image, MAX_WIDTH)])[:, None]).float().div_(255).to(device)
            probs = network(x)[0, :, :CLASSES].float().softmax(1)
            best = probs.argmax(1).tolist()
            places = zip([BLANK, *best], best, strict=False)
            read.append("".join(ALPHABET[now] for before, now in places if now not in (before, BLANK)))
            sure.append(float(probs.amax(1).prod()))
    return LineScores(tuple(line.written or "" for line in lines), tuple(read), np.array(sure, np.float32))
