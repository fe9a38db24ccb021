"""Learning to read whole numbers: fresh lines for every epoch, and a loss for digits, their boxes and their presence.

    for epoch in train_lines(network, teach, valid, config, out): ...

Digits are learnt by connectionist temporal classification (Graves et al. 2006), which needs to know what is written
but not where; the boxes, which the composer knows, are learnt beside it. Lines without digits teach only where there
is no digit: were they to teach what is written too, the reader would leave digits out.
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

from digitnet.compose import Composer, Line
from digitnet.digits import STRIP
from digitnet.errors import TrainingError
from digitnet.evaluate import LineScores
from digitnet.frame import strip
from digitnet.ink import ink_of
from digitnet.models import LINE_BLANK, REACHES, device_of, set_mode
from digitnet.runtime import MARGIN, STRIDE, padded
from digitnet.train import Epoch, Pupil, TrainConfig, epochs, settle, with_epochs

WIDEST = 1200
"""Width beyond which a strip is squeezed in training, pixels."""

FLATTENED = 0.5
"""Share of strips learnt as `ink.ink_of` cleans them; the others keep their paper."""

BOXES = 2.0
"""Weight of the loss of boxes, against the loss of a whole number's digits."""

PRESENCE = 3.0
"""Weight of the loss of whether there is a digit, against the loss of a whole number's digits."""

STEEPEST = 20.0
"""Norm beyond which gradients are shortened: one hard line of fresh ones must not undo an epoch."""


@dataclass(frozen=True)
class Batch:
    """Strips of like width and what they say.

    x: (n, 1, STRIP, w) float in 0..1. columns: (n,) of the network's answer that belong to each. texts: n.
    reach: (n, w // 4, 4) float, how far the nearest digit reaches, as `LineNet` tells it; on: (n, w // 4) bool, the
    columns on a digit.
    """

    x: Tensor
    columns: Tensor
    texts: list[str]
    reach: Tensor
    on: Tensor


def batch_of(lines: Sequence[Line], strips: Sequence[NDArray[np.uint8]]) -> Batch:
    """Put lines and their strips together, the narrower ones padded with paper."""
    x = padded(strips)[:, None]
    columns = x.shape[3] // STRIDE
    reach, on = np.zeros((len(lines), columns, 4), np.float32), np.zeros((len(lines), columns), bool)
    middle = (np.arange(columns) + 0.5) * STRIDE
    for i, line in enumerate(lines):
        if line.text:
            boxes = line.boxes * (STRIP / line.image.shape[0]) + np.array([MARGIN, 0, MARGIN, 0])
            nearest = np.abs(middle[:, None] - (boxes[:, 0] + boxes[:, 2]) / 2).argmin(axis=1)
            left, top, right, bottom = boxes[nearest].T
            reach[i] = np.stack([middle - left, STRIP / 2 - top, right - middle, bottom - STRIP / 2], axis=1) / STRIP
            on[i] = (middle >= left) & (middle <= right)
    lengths = [(one.shape[1] + 2 * MARGIN) // STRIDE for one in strips]
    return Batch(
        torch.tensor(x).float().div_(255),
        *(torch.tensor(lengths), [line.text for line in lines], torch.tensor(reach), torch.tensor(on)),
    )


def batches(composer: Composer, count: int, size: int) -> Iterator[Batch]:
    """Compose `count` numbers and give them in batches of `size`, those of like width together."""
    chunk = size * 16
    for start in range(0, count, chunk):
        lines = [composer.line() for _ in range(min(chunk, count - start))]
        flat = composer.rng.random(len(lines)) < FLATTENED
        strips = [
            strip(ink_of(line.image) if flatten else 255 - line.image, WIDEST)
            for line, flatten in zip(lines, flat, strict=True)
        ]
        order = np.argsort([one.shape[1] for one in strips], kind="stable")
        groups = [order[i : i + size] for i in range(0, len(order), size)]
        for group in composer.rng.permutation(len(groups)):
            yield batch_of([lines[i] for i in groups[group]], [strips[i] for i in groups[group]])


def train_lines(
    network: nn.Module,
    teach: Callable[[int], Composer],
    valid: Sequence[Line],
    config: TrainConfig,
    out: Path,
    *,
    resume: bool = False,
) -> Iterator[Epoch]:
    """Train a network on numbers composed anew for every epoch; else as `train.train`.

    teach: gives the composer of the epoch of that seed. valid: numbers that decide nothing and are only scored.
    """
    if not config.lines or not valid:
        raise TrainingError("training to read numbers needs `lines` to compose for an epoch, and some to validate on")
    config = with_epochs(settle(config), config.lines)
    device = torch.device(config.device)
    steps = -(-config.lines // config.batch_size)

    def learn(pupil: Pupil, number: int) -> tuple[float, float]:
        composer = teach(config.seed * 100_003 + number)
        total, step, lr = 0.0, (number - 1) * steps, 0.0
        for batch in batches(composer, config.lines, config.batch_size):
            lr = pupil.set_rate(config, step / (steps * config.epochs))
            loss, boxes, presence = losses(pupil.network, batch, device, config.precision == "bfloat16")
            (loss + BOXES * boxes + PRESENCE * presence).backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(pupil.network.parameters(), STEEPEST)
            pupil.step(config, step)
            step += 1
            total += loss.item() * len(batch.texts)
        return total / config.lines, lr

    yield from epochs(network, config, out, config.lines, learn, lambda kept: judge_lines(kept, valid), resume)


def losses(network: nn.Module, batch: Batch, device: torch.device, bfloat16: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Return the mean losses of a number's digits, of boxes in heights of the strip, and of a digit's presence."""
    x = batch.x.to(device)
    with torch.autocast(device.type, torch.bfloat16, enabled=bfloat16):
        answer = network(x).float()
    logits, reach, presence = answer[..., :REACHES], answer[..., REACHES:-1], answer[..., -1]
    sizes = torch.tensor([len(text) for text in batch.texts])
    digits = torch.tensor([int(digit) for text in batch.texts for digit in text], dtype=torch.int64)
    ctc = F.ctc_loss(
        logits.log_softmax(2).transpose(0, 1),
        digits,
        batch.columns,
        sizes,
        blank=LINE_BLANK,
        reduction="none",
        zero_infinity=True,
    )
    written, on = (sizes > 0).to(device), batch.on.to(device)
    apart = F.smooth_l1_loss(reach, batch.reach.to(device), beta=0.05, reduction="none").mean(2)
    return (
        (ctc * written).sum() / len(batch.texts),
        (apart * on).sum() / on.sum().clamp(min=1),
        F.binary_cross_entropy_with_logits(presence, on.float()),
    )


@torch.no_grad()
def judge_lines(network: nn.Module, lines: Sequence[Line]) -> LineScores:
    """Score a network on composed numbers, by the best class of every column and nothing else."""
    device = device_of(network)
    read, sure = [], []
    with set_mode(network, training=False):
        for line in lines:
            x = torch.tensor(padded([strip(255 - line.image, WIDEST)])[:, None]).float().div_(255).to(device)
            probs = network(x)[0, :, :REACHES].float().softmax(1)
            best = probs.argmax(1).tolist()
            places = zip([LINE_BLANK, *best], best, strict=False)
            read.append("".join(str(now) for before, now in places if now not in (before, LINE_BLANK)))
            sure.append(float(probs.amax(1).prod()))
    return LineScores(tuple(line.text for line in lines), tuple(read), np.array(sure, np.float32))
