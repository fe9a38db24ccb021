"""Fine-tuning a line reader's network on numbers that people have read, with composed lines mixed in."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import onnx
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor, nn

from digitnet.core.digits import STRIP_HEIGHT
from digitnet.core.errors import ModelError
from digitnet.core.lessons import Lesson
from digitnet.data.synthesis.scribe import Written
from digitnet.imaging.ink import ink_of
from digitnet.imaging.normalization import strip
from digitnet.models.networks import LineNet
from digitnet.training.halving import halved
from digitnet.training.line_loop import (
    BOXES,
    CLASSES,
    FLATTENED,
    MAX_GRADIENT_NORM,
    MAX_LOSS,
    MAX_WIDTH,
    Batch,
    batch_of,
    digit_losses,
    losses,
)

PASSES, MAX_STEPS = 10, 500
"""How often each lesson is learnt from, and steps of the optimizer at most."""

VARIANTS = 4
"""Ways in which each lesson is seen; see `varied`."""

BATCH = 16
"""Lessons of a step, and composed lines of it."""

LR, WARMUP = 1e-4, 0.1
"""Highest learning rate, and the share of all steps in which it rises; then it falls to 0."""


def line_network(path: Path) -> LineNet:
    """Return the network, as `halved` makes it, whose weights a line reader's file has.

    Raises ModelError where the file has another network.
    """
    network = halved(LineNet())
    graph = onnx.load(path).graph
    values = {tensor.name.removesuffix("_half"): numpy_helper.to_array(tensor) for tensor in graph.initializer}
    weights = {name.removeprefix("network."): value for name, value in values.items() if name.startswith("network.")}
    for node in graph.node:  # the exporter transposes the weights of linear layers and names them by number
        if node.op_type == "MatMul" and node.input[1] in values:
            layer = node.name.removeprefix("/network/").removesuffix("/MatMul").replace("/", ".")
            weights[f"{layer}.weight"] = values[node.input[1]].T
    try:
        network.load_state_dict({name: torch.tensor(value.astype(np.float32)) for name, value in weights.items()})
    except RuntimeError as error:
        raise ModelError(f"{path}: its network is not the built-in line reader's; learning starts from that") from error
    return network.eval()


class Seen:
    """Numbers as the lower layers of a network see them, which learning leaves as they are: computed once."""

    def __init__(
        self, network: LineNet, lines: Sequence[Written], strips: Sequence[NDArray[np.uint8]], variants: int = 1
    ) -> None:
        """Look at strips. variants: how many follow each other that show the same line."""
        self.variants, self.count = variants, len(strips) // variants
        self._parts: list[tuple[Tensor, Batch]] = []
        with torch.inference_mode():
            for line, one in zip((line for line in lines for _ in range(variants)), strips, strict=True):
                batch = batch_of([line], [one])
                self._parts.append((network.see(batch.x)[0], batch))

    def batch(self, rows: Sequence[int]) -> Batch:
        """Return some of them as a batch whose `x` is (n, 224, 1, t)."""
        parts = [self._parts[row] for row in rows]
        wide = max(seen.shape[2] for seen, _ in parts)

        return Batch(
            x=torch.stack([F.pad(seen, (0, wide - seen.shape[2])) for seen, _ in parts]),
            columns=torch.cat([batch.columns for _, batch in parts]),
            texts=[text for _, batch in parts for text in batch.texts],
            reach=torch.cat([F.pad(batch.reach, (0, 0, 0, wide - batch.reach.shape[1])) for _, batch in parts]),
            on=torch.cat([F.pad(batch.on, (0, wide - batch.on.shape[1])) for _, batch in parts]),
        )


def seen_lessons(network: LineNet, lessons: Sequence[Lesson]) -> Seen:
    """Look at lessons, each in `VARIANTS` ways."""
    rng = np.random.default_rng(0)
    strips = [varied(lesson.strip[:, :MAX_WIDTH], rng) for lesson in lessons for _ in range(VARIANTS)]
    lines = [Written(lesson.strip, lesson.digits, np.zeros((0, 4), np.float32)) for lesson in lessons]
    return Seen(network, lines, strips, VARIANTS)


def seen_lines(network: LineNet, lines: Sequence[Written]) -> Seen:
    """Look at composed lines, as `line_loop.batches` does."""
    flat = np.random.default_rng(0).random(len(lines)) < FLATTENED
    pictures = [ink_of(line.image) if flatten else 255 - line.image for line, flatten in zip(lines, flat, strict=True)]
    return Seen(network, lines, [strip(each, MAX_WIDTH) for each in pictures])


def tune(network: LineNet, own: Seen, rows: Sequence[int], known: Seen, seed: int) -> LineNet:
    """Return a copy of a network whose upper layers have learnt from lessons and composed lines.

    network: as of `line_network`, which has no normalisation left that a mode would change. rows: of the lessons to
    learn from. The same seed gives the same weights.
    """
    network = copy.deepcopy(network)
    rng = np.random.default_rng(seed)
    steps = max(1, min(round(PASSES * len(rows) / BATCH), MAX_STEPS))
    layers = [network.beside_1, network.context_1, network.beside_2, network.context_2, network.output_layer]
    weights = [weight for layer in layers for weight in layer.parameters()]
    optimizer = torch.optim.AdamW(weights, lr=LR, weight_decay=0.0)
    lessons, lines = _endless(len(rows), rng), _endless(known.count, rng)
    for step in range(steps):
        done = (step + 0.5) / steps
        optimizer.param_groups[0]["lr"] = LR * min(done / WARMUP, (1 - done) / (1 - WARMUP))
        some = [rows[next(lessons)] * own.variants + int(rng.integers(own.variants)) for _ in range(BATCH)]
        mine, other = own.batch(some), known.batch([next(lines) for _ in range(BATCH)])
        logits = network.answer(mine.x, mine.columns)[..., :CLASSES]
        read = digit_losses(logits, mine.columns, [text or "" for text in mine.texts]).clamp(max=MAX_LOSS).mean()
        characters, boxes, presence = losses(network.answer, other, torch.device("cpu"), False)
        (read + characters + BOXES * boxes + presence).backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(weights, MAX_GRADIENT_NORM)
        optimizer.step()
        optimizer.zero_grad()
    return network


def mean(networks: Sequence[LineNet]) -> LineNet:
    """Return a network whose weights are the means of those of some that began with the same ones."""
    states = [network.state_dict() for network in networks]
    together = copy.deepcopy(networks[0])
    together.load_state_dict({name: torch.stack([state[name] for state in states]).mean(0) for name in states[0]})
    return together


def varied(picture: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return a strip (STRIP_HEIGHT, w) as the same number may look another time: stretched, slanted, moved, paler."""
    wide, high = np.exp(rng.normal(0, (0.08, 0.05)))
    slant = rng.normal(0, 0.1)
    width = max(8, round(picture.shape[1] * wide))
    middle = STRIP_HEIGHT / 2
    matrix = np.array([[wide, slant, -slant * middle], [0, high, middle * (1 - high) + rng.normal(0, 1.0)]])
    flags = cv2.INTER_LINEAR
    moved = cv2.warpAffine(picture, matrix, (width, STRIP_HEIGHT), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    level = 255 * (moved / 255) ** np.exp(rng.normal(0, 0.2)) + rng.normal(0, rng.uniform(0, 8), moved.shape)
    seen: NDArray[np.uint8] = np.clip(level, 0, 255).astype(np.uint8)
    return seen


def _endless(count: int, rng: np.random.Generator) -> Iterator[int]:
    while True:
        yield from rng.permutation(count).tolist()
