"""Train the line reader or the page network on an accelerator, for a given number of minutes.

python benchmarks/device.py --pack hands.npz
python benchmarks/device.py --train line --minutes 9 --out run/line-device --hands hands.npz

The first command runs where the data is and packs all hands and faces that may be trained on into one file; without
--hands the second one loads the data itself. Worker processes compose lines or pages. The device keeps them in a pool
and shows them again, changed, while it waits for new ones. The learning rate follows the clock: warm-up, constant,
cooldown. Every minute the run's folder is written: `digitnet export` makes a model file of it, and --state continues
from its `device.safetensors`. --smoke takes a few small steps, to try everything on a CPU.
"""

from __future__ import annotations

import argparse
import copy
import gc
import json
import math
import multiprocessing
import os
import queue
import random
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # workers are processes

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from packed import pack, unpack
from torch import Tensor, nn

from digitnet.core.errors import DigitNetError
from digitnet.core.files import write_atomic
from digitnet.core.provenance import environment
from digitnet.data.datasets import splits
from digitnet.models import checkpoint
from digitnet.models.networks import set_mode
from digitnet.models.run_folder import CONFIG, HISTORY, WEIGHTS, save_json
from digitnet.training import line_loop, page_loop, page_sources
from digitnet.training.config import RECIPES
from digitnet.training.loop import TrainingState, new_network, optimizers_of, select_device
from digitnet.training.page_sources import PageSources

STATE = "device.safetensors"
"""The file in a run's folder that --state continues from."""

SHOWN = 8
"""Times that a line or page is shown, on average, at most."""

POOL, LEAST_POOL = 0.3, 1 << 30
"""Share of a GPU's memory for lines or pages to show again; bytes of any other device."""

SMOKE = 6
"""Steps of a trial."""


@dataclass(frozen=True)
class Lines:
    """Learning to read lines: a step is one piece, a batch of lines of like width."""

    size: int = 128
    pieces = 1
    max_norm = line_loop.MAX_GRADIENT_NORM
    parts = ("characters", "boxes", "presence")
    config = replace(RECIPES["line"], warmup=0.03, cooldown=0.4)

    def compose(self, sources: PageSources, seed: int) -> Iterator[line_loop.Batch]:
        """Compose pieces without end; images are uint8."""
        scribe = sources.hands.scribe(seed)
        while True:
            for batch in line_loop.batches(scribe, 6 * self.size, self.size):
                yield replace(batch, x=(batch.x * 255).round().byte(), reach=batch.reach.half())

    def placed(self, piece: dict[str, Any], device: torch.device) -> line_loop.Batch:
        """Return a piece on the device, but for what the loss needs on the CPU."""
        moved = {name: torch.from_numpy(piece[name]).to(device) for name in ("x", "reach", "on")}
        return line_loop.Batch(columns=torch.from_numpy(piece["columns"]), texts=piece["texts"], **moved)

    def losses(
        self, network: nn.Module, pieces: Sequence[line_loop.Batch], fresh: int, device: torch.device
    ) -> tuple[Tensor, Tensor]:
        """Return the loss of a step and its parts; of the pieces the first `fresh` are shown for the first time."""
        batch = pieces[0]
        x = batch.x.float() / 255
        batch = replace(batch, x=x if fresh else changed(x), reach=batch.reach.float())
        characters, boxes, presence = line_loop.losses(network, batch, device, device.type == "cuda")
        parts = torch.stack([characters, boxes, presence]).detach()
        return characters + line_loop.BOXES * boxes + presence, parts


@dataclass(frozen=True)
class Pages:
    """Learning to find numbers on pages: a step is several pieces of a few pages each."""

    size: int = 48
    pieces = 6
    max_norm = math.inf
    parts = ("kernel", "region", "character", "kinds", "value", "direction", "height")
    config = replace(RECIPES["page"], lr=3e-3, muon_lr=0.03, warmup=0.02, cooldown=0.6)

    def compose(self, sources: PageSources, seed: int) -> Iterator[page_loop.Batch]:
        """Compose pieces without end."""
        composer = sources.composer(seed)
        while True:
            yield page_loop.batch_of(composer.page() for _ in range(self.size // self.pieces))

    def placed(self, piece: dict[str, Any], device: torch.device) -> page_loop.Batch:
        """Return a piece on the device."""
        return page_loop.Batch(**{name: torch.from_numpy(array).to(device) for name, array in piece.items()})

    def losses(
        self, network: nn.Module, pieces: Sequence[page_loop.Batch], fresh: int, device: torch.device
    ) -> tuple[Tensor, Tensor]:
        """Return the loss of a step and its parts; pages are changed for every showing."""
        columns = zip(*((each.image, each.fine, each.coarse) for each in pieces), strict=True)
        return page_loop.losses(network, page_loop.Batch(*map(torch.cat, columns)), device.type == "cuda")


def changed(x: Tensor) -> Tensor:
    """Return lines (n, 1, h, w) in 0..1 leant, with thinner or thicker strokes, other contrast and grain."""
    n = len(x)

    def uniform(low: float, high: float) -> Tensor:
        return torch.rand(n, 1, 1, 1, device=x.device) * (high - low) + low

    lean = torch.eye(2, 3, device=x.device).repeat(n, 1, 1)
    lean[:, 0, 1] = uniform(-0.15, 0.15).flatten() * (x.shape[2] / x.shape[3])
    x = F.grid_sample(x, F.affine_grid(lean, list(x.shape), align_corners=False), align_corners=False)
    thick, thin = F.max_pool2d(x, 3, 1, 1), -F.max_pool2d(-x, 3, 1, 1)
    more = uniform(-0.6, 0.6)
    x = torch.where(more > 0, torch.lerp(x, thick, more.clamp(min=0)), torch.lerp(x, thin, (-more).clamp(min=0)))
    return (x * uniform(0.75, 1.15) + uniform(-0.03, 0.03) + torch.randn_like(x) * uniform(0, 0.03)).clamp(0, 1)


def work(task: Lines | Pages, sources: PageSources, seed: int, ready: Any) -> None:
    """Compose pieces and put them in the queue, as numpy arrays, until the process is ended."""
    os.nice(5)
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    for piece in task.compose(sources, seed):
        ready.put({name: each.numpy() if isinstance(each, Tensor) else each for name, each in vars(piece).items()})


class Pool:
    """Pieces on the device: new ones as they are composed, and those kept to be shown again."""

    def __init__(self, task: Lines | Pages, ready: Any, workers: Sequence[Any], device: torch.device) -> None:
        """Take the queue of the worker processes."""
        self.task, self.ready, self.workers, self.device = task, ready, workers, device
        self.kept: list[Any] = []
        self.composed = self.shown = 0
        self.rng = random.Random(0)
        self.room = LEAST_POOL
        if device.type == "cuda":
            self.room = int(POOL * torch.cuda.mem_get_info(device)[1])

    def step(self) -> tuple[list[Any], int]:
        """Return the pieces of a step, new ones first, and how many are new; wait only where too few are there."""
        fresh: list[Any] = []
        while len(fresh) < self.task.pieces:
            tired = not fresh and self.shown >= SHOWN * self.composed
            try:
                fresh.append(self._take(tired or len(self.kept) < 4 * self.task.pieces))
            except queue.Empty:
                break
        pieces = fresh + self.rng.choices(self.kept, k=self.task.pieces - len(fresh))
        self.shown += self.task.size
        return pieces, len(fresh)

    def _take(self, wait: bool) -> Any:
        while True:
            try:
                piece = self.ready.get(timeout=1) if wait else self.ready.get_nowait()
                break
            except queue.Empty:
                if not all(worker.is_alive() for worker in self.workers):
                    sys.exit("a worker process has ended; its error is above")
                if not wait:
                    raise
        placed = self.task.placed(piece, self.device)
        self.composed += self.task.size // self.task.pieces
        size = sum(each.nbytes for each in piece.values() if isinstance(each, np.ndarray))
        if size <= self.room:
            self.room -= size
            self.kept.append(placed)
        else:
            self.kept[self.rng.randrange(len(self.kept))] = placed
        return placed


class Run:
    """A network in training, and its folder."""

    def __init__(self, task: Lines | Pages, out: Path, state: Path | None, device: torch.device, about: Any) -> None:
        """Make the network, or continue from a state, and write the run's configuration."""
        self.task, self.out, self.device = task, out, device
        network = new_network(task.config).to(device)
        self.average = copy.deepcopy(network)
        self.training = TrainingState(network, self.average, optimizers_of(network, task.config))
        self.steps = self.load(state) if state else 0
        self.history: list[str] = []
        out.mkdir(parents=True, exist_ok=True)
        save_json(out / CONFIG, asdict(task.config) | about | environment("torch", "numpy"))

    def load(self, state: Path) -> int:
        """Continue from a state; return the steps it had taken."""
        return checkpoint.load_state(state, [self.training.network, self.average], self.training.optimizers)

    def save(self) -> None:
        """Write the averaged weights, the history and the state."""
        checkpoint.save_network(self.out / WEIGHTS, self.average, self.task.config.model)
        write_atomic(self.out / HISTORY, "".join(line + "\n" for line in self.history).encode())
        networks = [self.training.network, self.average]
        checkpoint.save_state(self.out / STATE, networks, self.training.optimizers, self.steps)

    def step(self, pieces: Sequence[Any], fresh: int, done: float) -> Tensor:
        """Learn from pieces at the learning rate of a share `done` (0..1) of the time; return the parts of the loss."""
        self.training.set_rate(self.task.config, done)
        loss, parts = self.task.losses(self.training.network, pieces, fresh, self.device)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.training.network.parameters(), self.task.max_norm)
        self.training.step(self.task.config, self.steps)
        self.steps += 1
        return parts

    def report(self, values: dict[str, float]) -> bool:
        """Print and keep a line of history; return whether its numbers are finite."""
        print("  ".join(f"{name} {value:,.4g}" for name, value in values.items()), flush=True)
        self.history.append(json.dumps(values))
        return all(map(math.isfinite, values.values()))


def train(arguments: argparse.Namespace, sources: PageSources, about: dict[str, Any], began: float) -> None:
    """Train until the time is over."""
    smoke = arguments.smoke
    task: Lines | Pages = Lines(8 if smoke else 128) if arguments.train == "line" else Pages(12 if smoke else 48)
    if smoke:
        sources = replace(sources, side=96)
    gc.collect()
    gc.freeze()  # or every collection in a worker would copy all the glyphs
    context = multiprocessing.get_context("fork")  # before the device is touched; workers share the hands
    ready = context.Queue(maxsize=8 * arguments.workers)
    seeds = (arguments.seed * 1000 + i for i in range(arguments.workers))
    workers = [context.Process(target=work, args=(task, sources, seed, ready), daemon=True) for seed in seeds]
    for worker in workers:
        worker.start()
    try:
        device = select_device("auto")
        torch.set_float32_matmul_precision("high")
        torch.backends.cudnn.benchmark = isinstance(task, Pages)
        torch.manual_seed(arguments.seed)
        precision = "bfloat16" if device.type == "cuda" else "float32"
        about |= {"device": device.type, "precision": precision, "minutes": arguments.minutes}
        run = Run(task, arguments.out, arguments.state, device, about)
        with set_mode(run.training.network, training=True):
            _until(run, Pool(task, ready, workers, device), began, arguments.minutes * 60, smoke)
    finally:
        for worker in workers:
            worker.terminate()


def _until(run: Run, pool: Pool, began: float, seconds: float, smoke: bool) -> None:
    """Take steps until `seconds` after `began`, or a few for a trial."""
    first = run.steps
    pieces, fresh = pool.step()
    start = reported = saved = time.monotonic()
    end = began + seconds
    shown, count = 0, 0
    total = torch.zeros(len(run.task.parts), device=run.device)
    while True:
        now = time.monotonic()
        done = (run.steps - first) / SMOKE if smoke else (now - start) / max(end - start, 1e-6)
        if done >= 1:
            break
        total += run.step(pieces, fresh, done)
        count += 1
        if smoke or now - reported > 5:
            speed = (pool.shown - shown) / max(time.monotonic() - reported, 1e-6)
            told = {"seconds": now - began, "steps": run.steps, "composed": pool.composed, "shown": pool.shown}
            means = (total / count).tolist()
            told |= {"images/s": speed, **dict(zip(run.task.parts, means, strict=True))}
            good = run.report(told)
            reported, shown, count = time.monotonic(), pool.shown, 0
            total.zero_()
            if not good:
                if not (run.out / STATE).is_file():
                    sys.exit("the loss is not finite; choose another --seed")
                print("The loss is not finite: back to the weights last saved", flush=True)
                run.load(run.out / STATE)
            elif now - saved > 60:
                run.save()
                saved = now
        pieces, fresh = pool.step()
    run.save()
    print(f"{pool.shown:,} shown, {pool.composed:,} composed, {time.monotonic() - began:.0f} s: {run.out}")


def main() -> None:
    """Pack, or train."""
    began = time.monotonic()
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--train", choices=["line", "page"], help="what to train")
    parser.add_argument("--minutes", type=float, default=9, help="from the start of the program to its end")
    parser.add_argument("--out", type=Path, help="the run's folder")
    parser.add_argument("--state", type=Path, help=f"{STATE} of a run to continue")
    parser.add_argument("--hands", type=Path, help="a file written by --pack")
    parser.add_argument("--pack", type=Path, help="write the hands and faces to this file")
    parser.add_argument("--workers", type=int, default=max(1, (os.cpu_count() or 2) - 1), help="processes that compose")
    parser.add_argument("--seed", type=int, default=0, help="another one for every continuation")
    parser.add_argument("--smoke", action="store_true", help="a trial: a few small steps")
    arguments = parser.parse_args()
    if bool(arguments.pack) == bool(arguments.train) or (arguments.train and not arguments.out):
        parser.error("choose --pack FILE, or --train with --out FOLDER")
    try:
        if arguments.hands:
            sources, about = unpack(arguments.hands)
        else:
            parts = splits("mnist")
            sources, about = page_sources.learning(parts.train), {"data": "mnist", "data_sha256": parts.sha256}
        if arguments.pack:
            pack(arguments.pack, sources, about)
            print(f"{arguments.pack}: {arguments.pack.stat().st_size:,} bytes")
        else:
            train(arguments, sources, about, began)
    except DigitNetError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
