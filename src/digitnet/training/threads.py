"""How many threads a training takes on a CPU, by a short measurement of its own steps beside whatever else runs.

Threads wait for each other at every operator: beside a busy program, two can be slower than one. The number of threads
is part of what decides a run's bits, so it is recorded, and a resumed run keeps it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch
from torch import nn

from digitnet.core.digits import IMAGE_SIZE, STRIP_HEIGHT
from digitnet.training import distributed
from digitnet.training.config import TrainConfig
from digitnet.training.loop import TrainingState, new_network, one_epoch, optimizers_of

SECONDS, SHARE = 1.0, 0.05
"""What measuring takes at most: a time, and a share of the training."""

ROUNDS = 3
"""Steps by each number of threads, at least, after one that starts them."""

GAIN = 1.05
"""How much faster more threads must be to be taken."""

LINES, PAGES = (8, 1, STRIP_HEIGHT, 320), (1, 3, 320, 320)
"""Inputs of a line reader and a page network by which their threads are measured."""


@dataclass(frozen=True)
class Speed:
    """A number of threads, and the seconds of an optimizer step with them."""

    threads: int
    step: float


def fastest(config: TrainConfig, count: int, numbers: Sequence[int], run: Path | None = None) -> Speed | None:
    """Return which of these numbers of threads a training is fastest with now.

    config: resolved. count: images an epoch. run: as `new_network` has it. PyTorch's number of threads and its random
    state stay as they are. None where it does not train on a CPU, or in processes whose threads torchrun determines.
    """
    if config.device != "cpu" or distributed.size() > 1 or distributed.restarts():
        return None
    steps = config.epochs * math.ceil(count / config.batch_size)
    with torch.random.fork_rng(devices=[]):
        return among(numbers, _step(config, run), steps)


def counts(most: int) -> list[int]:
    """Return the numbers of threads to try: all up to four, then powers of two, and the most."""
    return sorted({*range(1, min(most, 4) + 1), *(2**power for power in range(3, most.bit_length())), most})


def among(numbers: Sequence[int], step: Callable[[], object], steps: int) -> Speed:
    """Return the fewest of these numbers of threads with which a step is about as fast as with any, and how fast.

    They take turns, so that what else runs on the machine slows all of them. steps: of the whole training.
    """
    before = torch.get_num_threads()
    times: dict[int, list[float]] = {threads: [] for threads in numbers}
    began = time.perf_counter()
    try:
        while True:
            for threads in numbers:
                torch.set_num_threads(threads)
                start = time.perf_counter()
                step()
                times[threads].append(time.perf_counter() - start)
            typical = {threads: median(each[1:] or each) for threads, each in times.items()}
            spent, best = time.perf_counter() - began, min(typical.values())
            enough = len(times[numbers[0]]) > (ROUNDS if len(numbers) > 1 else 1)
            if (enough and spent > min(SECONDS, SHARE * steps * best)) or spent > 3 * SECONDS:
                break
    finally:
        torch.set_num_threads(before)
    threads = next(threads for threads in numbers if typical[threads] <= GAIN * best)
    return Speed(threads, typical[threads])


def _step(config: TrainConfig, run: Path | None) -> Callable[[], object]:
    """Return a step of a training on random images."""
    network, rng = new_network(config, run), torch.Generator().manual_seed(0)
    network.train()
    if config.composed:
        x = torch.rand(LINES if config.lines else PAGES, generator=rng)
        return lambda: _backward(network, x)
    images = torch.randint(256, (config.batch_size, IMAGE_SIZE, IMAGE_SIZE), generator=rng, dtype=torch.uint8)
    labels = torch.randint(len(config.classes), (config.batch_size,), generator=rng)
    training = TrainingState(network, network, optimizers_of(network, config))
    return lambda: one_epoch(training, images, labels, None, config, 1)


def _backward(network: nn.Module, x: torch.Tensor) -> None:
    answer = network(x)
    sum(part.float().mean() for part in (answer if isinstance(answer, tuple) else (answer,))).backward()
