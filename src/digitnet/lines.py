"""Learning to read whole numbers: fresh lines for every epoch, and a loss for digits and their boxes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from digitnet.compose import Composer, Line
from digitnet.frame import STRIP, strip

STRIDE = 4
"""Pixels of a strip to one column of the network's answer."""

BLANK = 10
"""The class of columns that begin no digit."""

MARGIN = 8
"""Empty pixels added at either end of a strip, so that the network sees where it ends."""


class Batch:
    """Strips of like width and what they say.

    x: (n, 1, STRIP, w) float in 0..1. lengths: (n,) columns that belong to each. texts. reach: (n, w // 4, 4) float, what
    `LineNet` says of boxes; inside: (n, w // 4) bool, the columns on a digit.
    """

    def __init__(self, strips: Sequence[NDArray[np.uint8]], lines: Sequence[Line]) -> None:
        wide = max(s.shape[1] for s in strips) + 2 * MARGIN
        wide += -wide % STRIDE
        x = np.zeros((len(strips), 1, STRIP, wide), np.uint8)
        columns = wide // STRIDE
        self.reach = torch.zeros(len(strips), columns, 4)
        self.inside = torch.zeros(len(strips), columns, dtype=torch.bool)
        middle = (np.arange(columns) + 0.5) * STRIDE
        for i, (one, line) in enumerate(zip(strips, lines, strict=True)):
            x[i, 0, :, MARGIN : MARGIN + one.shape[1]] = one
            if not line.text:
                continue
            scale = STRIP / line.image.shape[0]
            boxes = line.boxes * scale + np.array([MARGIN, 0, MARGIN, 0])
            centres = (boxes[:, 0] + boxes[:, 2]) / 2
            nearest = np.abs(middle[:, None] - centres).argmin(axis=1)
            its = boxes[nearest]
            inside = (middle >= its[:, 0]) & (middle <= its[:, 2])
            reach = np.stack(
                [middle - its[:, 0], STRIP / 2 - its[:, 1], its[:, 2] - middle, its[:, 3] - STRIP / 2], axis=1
            )
            self.reach[i] = torch.tensor(reach / STRIP, dtype=torch.float32)
            self.inside[i] = torch.tensor(inside)
        self.x = torch.tensor(x).float().div_(255)
        self.lengths = torch.tensor([(s.shape[1] + 2 * MARGIN) // STRIDE for s in strips])
        self.texts = [line.text for line in lines]
        self.targets = torch.tensor([int(c) for text in self.texts for c in text], dtype=torch.long)
        self.target_lengths = torch.tensor([len(text) for text in self.texts])


def batches(composer: Composer, count: int, size: int) -> Iterator[Batch]:
    """Compose `count` lines and give them in batches of `size`, lines of like width together."""
    chunk = size * 16
    for start in range(0, count, chunk):
        lines = [composer.line() for _ in range(min(chunk, count - start))]
        strips = [strip(255 - line.image, 1200) for line in lines]
        order = np.argsort([s.shape[1] for s in strips], kind="stable")
        groups = [order[i : i + size] for i in range(0, len(order), size)]
        for group in composer.rng.permutation(len(groups)):
            rows = groups[group]
            yield Batch([strips[i] for i in rows], [lines[i] for i in rows])


def loss_of(network: nn.Module, batch: Batch, bfloat16: bool) -> tuple[Tensor, Tensor]:
    """Return the mean loss of digits (a digit) and of boxes."""
    with torch.autocast(batch.x.device.type, torch.bfloat16, enabled=bfloat16):
        answer = network(batch.x.contiguous(memory_format=torch.channels_last)).float()
    log_probs = answer[..., : BLANK + 1].log_softmax(2).transpose(0, 1)
    ctc = F.ctc_loss(
        log_probs, batch.targets, batch.lengths, batch.target_lengths, blank=BLANK, reduction="sum", zero_infinity=True
    )
    apart = F.smooth_l1_loss(answer[..., BLANK + 1 :], batch.reach, beta=0.05, reduction="none").mean(2)
    boxes = (apart * batch.inside).sum() / batch.inside.sum().clamp(min=1)
    return ctc / len(batch.texts), boxes


@torch.no_grad()
def read_greedily(network: nn.Module, strips: Sequence[NDArray[np.uint8]]) -> list[str]:
    """Return the digits of each strip by the best class of every column."""
    network.eval()
    texts = []
    for one in strips:
        wide = one.shape[1] + 2 * MARGIN
        x = np.zeros((1, 1, STRIP, wide + -wide % STRIDE), np.uint8)
        x[0, 0, :, MARGIN : MARGIN + one.shape[1]] = one
        best = network(torch.tensor(x).float().div_(255))[0, :, : BLANK + 1].argmax(1).tolist()
        texts.append("".join(str(b) for a, b in zip([BLANK, *best], best, strict=False) if b not in (a, BLANK)))
    return texts
