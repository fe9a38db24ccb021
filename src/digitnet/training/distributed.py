"""One training in several processes, as PyTorch's launcher starts them: `torchrun ... -m digitnet train`.

Every process holds all digits and draws the same batches from the run's seed; each passes its own rows of a batch
through its copy of the network, and `DistributedDataParallel` makes all gradients their mean. What is learnt therefore
hardly depends on the number of processes. Process 0 alone writes and prints. In a single process nothing here does
anything.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import warnings
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from digitnet.core.errors import DigitNetError, TrainingError
from digitnet.core.text import reason

PATIENCE = timedelta(minutes=5)
"""Longest wait for another process. One that ends is noticed at once; this is for machines that fall silent."""

LAUNCHED = {"RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"}
"""What torchrun puts into the environment of each process that it starts."""


def size() -> int:
    """Return the number of processes that train together; 1 for one alone."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Return this process's number among them, from 0; 0 for one alone."""
    return dist.get_rank() if size() > 1 else 0


def restarts() -> bool:
    """Tell whether torchrun starts the processes again where one has ended (`--max-restarts`)."""
    return int(os.environ.get("TORCHELASTIC_MAX_RESTARTS", "0")) > 0


@contextlib.contextmanager
def joined(device: str) -> Iterator[bool]:
    """Train together with the processes that torchrun started beside this one; yield whether this is process 0.

    device: as in the configuration; with GPUs each process takes the one of its place on its machine.

    All processes but the first are kept from printing. Where one of them raises a DigitNetError or an OSError, the
    others end too: the first error goes on to the caller, in the other processes it becomes SystemExit(1).
    Raises TrainingError where the processes cannot find each other.
    """
    if not os.environ.keys() >= LAUNCHED or os.environ["WORLD_SIZE"] == "1":
        yield True
        return
    if not dist.is_available() or not dist.is_gloo_available():
        raise TrainingError("this build of PyTorch cannot train in several processes; run without torchrun")
    from torch.distributed.rendezvous import rendezvous

    try:
        meeting, number, count = next(rendezvous("env://", timeout=PATIENCE))
    except (RuntimeError, ValueError) as error:
        raise TrainingError(f"the processes of this training did not find each other ({reason(error)})") from error
    # torchrun keeps the store over restarts: under the same names the addresses of dead processes would be found.
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    store = dist.PrefixStore(f"attempt-{attempt}", meeting)  # type: ignore[attr-defined]
    try:
        _take_gpu(device)
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        before = signal.signal(signal.SIGTERM, _end)
        with needing_peers("start it again"), _hushed() if number else contextlib.nullcontext():
            dist.init_process_group(backend, store=store, rank=number, world_size=count, timeout=PATIENCE)
            yield number == 0
    except (DigitNetError, OSError):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it may come while the error is on its way
        with contextlib.suppress(RuntimeError):  # the store may have ended with its process
            if store.add("errors", 1) > 1:
                raise SystemExit(1) from None
        raise
    dist.destroy_process_group()
    signal.signal(signal.SIGTERM, before)


class EndedError(RuntimeError):
    """torchrun ended this process, as it does where another one has ended."""


def _end(*_: object) -> None:
    raise EndedError("requested by torchrun")


@contextlib.contextmanager
def needing_peers(advice: str) -> Iterator[None]:
    """Turn the loss of another process into a TrainingError that ends with `advice`."""
    try:
        yield
    except RuntimeError as error:
        lost = (EndedError, dist.DistError) if dist.is_available() else EndedError
        peers = isinstance(error, lost) or "gloo/" in str(error) or "NCCL" in str(error)
        if not peers:
            raise
        minutes = PATIENCE.seconds // 60
        raise TrainingError(
            f"another process of this training ended, or did not respond for {minutes} minutes; {advice}"
        ) from error


def from_first(make: Callable[[], str]) -> str:
    """Return in every process what `make` gives in process 0, the only one to call it."""
    if size() == 1:
        return make()
    made = [make() if rank() == 0 else ""]
    dist.broadcast_object_list(made, src=0, device=torch.device("cpu"))
    return made[0]


def require_same(value: int, what: str) -> None:
    """Raise TrainingError, saying `what`, where the processes hold different values."""
    if size() > 1:
        ends = torch.tensor([value, -value])
        dist.all_reduce(ends, dist.ReduceOp.MAX)
        if ends[0] != -ends[1]:
            raise TrainingError(f"{what}: {value} in process {rank()}, {-int(ends[1])} to {int(ends[0])} in all")


def wrapped(network: nn.Module) -> nn.Module:
    """Return the network with gradients that are the mean over all processes; in one process itself."""
    # Buffers are averaged by `average_statistics`: DDP would keep the statistics of process 0's rows alone.
    return DistributedDataParallel(network, forward_sync_buffers=False) if size() > 1 else network


def own_rows(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, float]:
    """Return this process's rows of a batch, and what their mean loss weighs: 1 unless shares are uneven.

    Every `size()`-th row is a process's own, so that digits and what is none spread evenly. Of a batch with fewer than
    two rows a process all take all: batch normalisation needs two.
    """
    count = size()
    if count == 1 or len(x) < 2 * count:
        return x, y, 1.0
    own = slice(rank(), None, count)
    return x[own], y[own], count * len(x[own]) / len(x)


def mean(value: Tensor) -> Tensor:
    """Return the mean of a tensor over all processes."""
    if size() > 1:
        value = value.clone()
        dist.all_reduce(value)
        value /= size()
    return value


@torch.no_grad()
def average_statistics(network: nn.Module) -> None:
    """Give the running statistics of batch normalisation the mean of what all processes gathered."""
    if size() > 1 and (kept := [buffer for buffer in network.buffers() if buffer.is_floating_point()]):
        means = mean(torch.cat([buffer.flatten() for buffer in kept]))
        for buffer, values in zip(kept, torch.split(means, [buffer.numel() for buffer in kept]), strict=True):
            buffer.copy_(values.view_as(buffer))


def _take_gpu(device: str) -> None:
    if device == "mps":
        raise TrainingError("device 'mps' trains in one process only; use --device cpu, or run without torchrun")
    if device in ("auto", "cuda") and torch.cuda.is_available():
        place, here = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
        if place >= here:
            raise TrainingError(f"{here} GPUs for {os.environ['LOCAL_WORLD_SIZE']} processes; give each its own")
        torch.cuda.set_device(place)


@contextlib.contextmanager
def _hushed() -> Iterator[None]:
    """Print nothing but errors."""
    logger = logging.getLogger("digitnet")
    level = logger.level
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            logger.setLevel(level)
