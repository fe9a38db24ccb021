"""The training loop: `for epoch in train(network, digits, valid, config, out)`.

The digits live in memory as one tensor and are augmented a batch at a time. Every epoch draws its randomness from
its own seed and is saved before it is yielded, so that a run can be stopped anywhere and resumed to the same bits.
Under torchrun several processes train one network, each on its own rows of every batch: see `distributed`.
"""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch
import torch._dynamo  # the first step would import it: a second in which Ctrl-C could not name the run
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Adam, AdamW, Optimizer

from digitnet.core.digits import Digits
from digitnet.core.errors import TrainingError
from digitnet.core.files import write_atomic
from digitnet.evaluation.find_metrics import FindScores
from digitnet.evaluation.line_metrics import LineScores
from digitnet.evaluation.metrics import Scores, evaluate
from digitnet.models import checkpoint
from digitnet.models.networks import MODELS, TorchClassifier, check_network, device_of, dtype_of, set_mode, to_input
from digitnet.models.own_network import is_own
from digitnet.models.run_folder import HISTORY, STATE, TRAINED_ON, WEIGHTS
from digitnet.models.trained_on import ImageSet
from digitnet.training import distributed, finetune
from digitnet.training.augmentation import named
from digitnet.training.config import RECIPE_OF as RECIPE_OF
from digitnet.training.config import RECIPES as RECIPES
from digitnet.training.config import TrainConfig as TrainConfig
from digitnet.training.config import with_epochs as with_epochs
from digitnet.training.muon import Muon
from digitnet.training.negatives import negatives

NO_DIGIT = 10
"""The class of images that are no digit."""


@dataclass(frozen=True)
class Epoch:
    """One finished and saved pass over the training digits.

    number: 1-based, of `epochs`. loss: mean over the epoch's digits, label smoothing included. lr: the learning rate
    of the last step. seconds: training time only. scores: on the validation digits, numbers or pages, with the
    saved weights.
    """

    number: int
    epochs: int
    loss: float
    lr: float
    seconds: float
    images_per_second: float
    scores: Scores | LineScores | FindScores

    def to_dict(self) -> dict[str, Any]:
        """Return the epoch as one line of history: plain numbers."""
        line = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "scores"}
        line |= {"valid_accuracy": self.scores.accuracy, "valid_n": self.scores.n}
        return line | ({"valid_precision": self.scores.precision} if isinstance(self.scores, FindScores) else {})


def new_network(config: TrainConfig, run: Path | None = None) -> nn.Module:
    """Return the configuration's network with the first weights of its seed; global random state is kept.

    With `start_from` it has the weights of that model instead. run: the run's folder, which has the code of a network
    of one's own. Raises ModelError where that cannot be made.
    """
    if config.start_from:
        return finetune.beginning(config.start_from).network
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        return checkpoint.make_network(config.model, run, len(config.classes))


def train(
    network: nn.Module,
    digits: Digits,
    valid: Digits,
    config: TrainConfig,
    out: Path,
    *,
    letters: Digits | None = None,
    resume: bool = False,
) -> Iterator[Epoch]:
    """Train a network and yield each epoch after saving it to the run's folder `out`.

    network: any `nn.Module` from (n, 1, 28, 28) floats in 0..1 to (n, 10) logits; `new_network` creates digitnet's. Its
        weights are trained in place; its memory format, modes and `requires_grad` stay as they are. It is on the
        configuration's device during training and returns to its own at the end. If the recipe keeps a moving average
        of the weights, the average is saved and scored, and `network` itself has the latest weights.
    digits, valid: labelled, with the names in `config.classes`; valid is only scored and does not influence the
        training.
    letters: images that are not digits, for recipes with negatives.
    resume: continue after the last epoch saved in `out`; on a CPU with the same number of threads, the weights become
        those of an uninterrupted run, bit for bit.

    Only the weights, the history and the state for resuming are saved in `out`; `run.start` creates a complete run.

    Training starts with the first iteration. Raises ModelError if the network does not return logits (n, 10),
    TrainingError if loss or weights are no longer finite; the last good epoch is kept.
    """
    if digits.labels is None or not len(digits) or valid.labels is None or not len(valid):
        raise TrainingError("training needs labelled digits for training and for validation")
    if config.negatives and (letters is None or not len(letters)):
        raise TrainingError(f"recipe {config.recipe!r} also trains on images that are not digits; pass `letters`")
    config = with_epochs(resolve(config), len(digits))
    device = torch.device(config.device)
    check_network(network, len(digits.names))
    images = torch.tensor(digits.images, device=device)
    labels = torch.tensor(digits.labels, device=device).long()
    others = None if letters is None else to_input(torch.tensor(letters.images, device=device))

    def learn(training: TrainingState, number: int) -> tuple[float, float]:
        with finetune.held_still(network, config, number):
            return one_epoch(training, images, labels, others, config, number)

    def validate(network: nn.Module) -> Scores:
        return evaluate(TorchClassifier(network, names=digits.names), valid)

    if distributed.rank() == 0:
        learnt = ImageSet.of(digits.images, valid.images)
        if config.start_from and (before := finetune.beginning(config.start_from).images):
            learnt |= before
        write_atomic(out / TRAINED_ON, learnt.packed())
    yield from epochs(network, config, out, len(digits), learn, validate, resume)


def _name(network: nn.Module, config: TrainConfig) -> str:
    """Return the name under which a network's weights are saved: the configuration's, if that makes such a network."""
    if is_own(config.model) or type(network) is MODELS[config.model]:
        return config.model
    return checkpoint.OWN + type(network).__name__


@dataclass(frozen=True)
class TrainingState:
    """A network in training, what follows it at a distance (or is it), and its optimizers."""

    network: nn.Module
    average: nn.Module
    optimizers: list[Optimizer]

    def step(self, config: TrainConfig, number: int) -> None:
        """Take the step of that number, from 0, along the gradients."""
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad()
        distributed.average_statistics(self.network)
        if config.average:
            _update_ema(self.average, self.network, min(config.average, (number + 1) / (number + 11)))

    def set_rate(self, config: TrainConfig, done: float) -> float:
        """Set the learning rates for a share `done` (0..1) of all steps; return Adam's."""
        rate = schedule(done, config.warmup, config.cooldown)
        for optimizer, lr in zip(self.optimizers, (config.lr, config.muon_lr), strict=False):
            optimizer.param_groups[0]["lr"] = lr * rate
        return config.lr * rate


def epochs(
    network: nn.Module,
    config: TrainConfig,
    out: Path,
    count: int,
    learn: Callable[[TrainingState, int], tuple[float, float]],
    validate: Callable[[nn.Module], Scores | LineScores | FindScores],
    resume: bool,
) -> Iterator[Epoch]:
    """Run the epochs that are not done yet, saving each before it is yielded; what all trainings share.

    count: images an epoch. learn: trains for the epoch of that number and returns its loss and last learning rate.
    validate: scores the weights that are kept. Raises as `train` does.
    """
    home = device_of(network)
    network.to(torch.device(config.device))
    try:
        yield from _epochs(network, config, out, count, learn, validate, resume)
    finally:
        network.to(home)


def _epochs(
    network: nn.Module,
    config: TrainConfig,
    out: Path,
    count: int,
    learn: Callable[[TrainingState, int], tuple[float, float]],
    validate: Callable[[nn.Module], Scores | LineScores | FindScores],
    resume: bool,
) -> Iterator[Epoch]:
    average = copy.deepcopy(network) if config.average else network
    training = TrainingState(distributed.wrapped(network), average, optimizers_of(network, config))
    for optimizer in training.optimizers:
        optimizer.zero_grad()  # the caller's own loop may have left gradients
    networks = [network, average] if config.average else [network]
    state = out / STATE
    done = checkpoint.load_state(state, networks, training.optimizers) if resume and state.is_file() else 0
    distributed.require_same(done, f"{out}: epochs done; all processes must see the same folder")
    history = _history(out, done)
    for number in range(done + 1, config.epochs + 1):
        began = time.perf_counter()
        with set_mode(network, training=True):
            loss, lr = learn(training, number)
        seconds = time.perf_counter() - began
        if not (math.isfinite(loss) and all(weight.isfinite().all() for weight in network.parameters())):
            kept = f"{out} contains epoch {number - 1}" if number > 1 else "no epoch was saved"
            raise TrainingError(
                f"training diverged in epoch {number} (loss {loss}, learning rate {lr:.3g}); {kept}. "
                "Try another --seed or --recipe tutorial; if it still diverges, check the data"
            )
        epoch = Epoch(number, config.epochs, loss, lr, seconds, count / seconds, validate(average))
        history.append(json.dumps(epoch.to_dict()))
        if distributed.rank() == 0:
            # The state comes last: after a kill in between, resuming makes the same epoch again.
            checkpoint.save_network(out / WEIGHTS, average, _name(network, config), config.classes)
            write_atomic(out / HISTORY, "".join(line + "\n" for line in history).encode())
            checkpoint.save_state(state, networks, training.optimizers, number)
        yield epoch


def one_epoch(
    training: TrainingState,
    images: Tensor,
    labels: Tensor,
    letters: Tensor | None,
    config: TrainConfig,
    number: int,
) -> tuple[float, float]:
    """Train on every digit once; return the mean loss and the last learning rate."""
    rng = torch.Generator(images.device).manual_seed(config.seed * 100_003 + number)
    order = torch.randperm(len(images), generator=rng, device=images.device)
    steps = math.ceil(len(images) / config.batch_size)
    step, lr = (number - 1) * steps, 0.0
    total_loss = torch.zeros((), device=images.device)
    augment = named(config.augment)
    for rows in torch.split(order, config.batch_size):
        lr = training.set_rate(config, step / (steps * config.epochs))
        x, y = to_input(images[rows]), labels[rows]
        if config.negatives and letters is not None:
            others = negatives(x, letters, int(config.negatives * len(x)), rng)
            x, y = torch.cat([x, others]), F.pad(y, (0, len(others)), value=NO_DIGIT)
        x, y, weight = distributed.own_rows(augment(x, rng), y)
        with torch.autocast(images.device.type, torch.bfloat16, enabled=config.precision == "bfloat16"):
            logits = training.network(x.to(dtype_of(training.network))).float()
        if config.negatives:
            logits = F.pad(logits, (0, 1))  # "no digit" has the logit 0: the ten others rise above it or sink below
        loss = weight * F.cross_entropy(logits, y, label_smoothing=config.label_smoothing)
        loss.backward()  # type: ignore[no-untyped-call]
        training.step(config, step)
        step += 1
        total_loss += loss.detach() * len(rows)
    return (distributed.mean(total_loss) / len(images)).item(), lr


def optimizers_of(network: nn.Module, config: TrainConfig) -> list[Optimizer]:
    """Return Adam, and after it Muon for the weights between first and last layer where the recipe has it.

    A network with several last layers has their number as `output_layers`. Raises TrainingError where nothing is to be
    trained.
    """
    weights = list(network.parameters())
    if not any(weight.requires_grad for weight in weights):
        raise TrainingError(f"{type(network).__name__}: has no weights to train: no parameter requires a gradient")
    matrices = [weight for weight in weights if weight.ndim > 1]
    last = getattr(network, "output_layers", 1)
    hidden = {id(weight) for weight in matrices[1:-last]} if config.optimizer == "muon" else set()
    fused = weights[0].device.type in ("cpu", "cuda")
    others = [weight for weight in weights if id(weight) not in hidden]
    if config.weight_decay:
        adam: Optimizer = AdamW(others, lr=config.lr, weight_decay=config.weight_decay, fused=fused)
    else:
        adam = Adam(others, lr=config.lr, fused=fused)
    optimizers = [adam]
    if hidden:
        optimizers.append(Muon([weight for weight in matrices if id(weight) in hidden], lr=config.muon_lr))
    return optimizers


def schedule(done: float, warmup: float, cooldown: float = 1.0) -> float:
    """Return the learning rate's share of its highest value after a share `done` (0..1) of all steps.

    It climbs in a straight line for the share `warmup`, and falls in one to 0 in the last share `cooldown`, but not
    before it is at its highest; without warm-up it stays at 1. (Smith, "Super-Convergence", 2018: one cycle.)
    """
    if not warmup:
        return 1.0
    return min(done / warmup, 1.0, (1 - done) / min(cooldown, 1 - warmup))


@torch.no_grad()
def _update_ema(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Move the averaged weights towards the present ones."""
    torch._foreach_lerp_(list(average.parameters()), list(network.parameters()), 1 - decay)
    # The statistics of batch normalisation belong to the weights they were gathered with.
    for kept, latest in zip(average.buffers(), network.buffers(), strict=True):
        if kept.is_floating_point():
            kept.lerp_(latest, 1 - decay)
        else:
            kept.copy_(latest)


def select_device(name: str) -> torch.device:
    """Return the device of that name; "auto" is the first of cuda, mps and cpu that is there.

    Raises TrainingError where the name is unknown or the device is not there.
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(kind for kind, here in there.items() if here))
    if name not in there:
        raise TrainingError(f"device {name!r}: choose one of auto, {', '.join(there)}")
    if not there[name]:
        raise TrainingError(f"device {name!r} is not available on this machine; use --device auto")
    return torch.device(name)


def gains_from_bfloat16(device: torch.device) -> bool:
    """Tell whether this device computes in bfloat16 itself instead of emulating it."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        able = torch.cpu.get_capabilities()
        return bool(able.get("avx512_bf16") or able.get("amx_bf16") or able.get("bf16"))
    return False


def resolve(config: TrainConfig) -> TrainConfig:
    """Return the configuration with "auto" replaced by this machine's device and precision.

    Raises TrainingError where the device is not there, or where several processes cannot train by it.
    """
    processes = distributed.size()
    if processes > 1 and config.composed:
        raise TrainingError(f"recipe {config.recipe!r} composes its numbers in one process; run without torchrun")
    if processes > 1 and config.start_from:
        raise TrainingError("fine-tuning runs in one process; run without torchrun")
    if processes > 1 and config.batch_size < 2 * processes:
        raise TrainingError(f"batch size {config.batch_size} for {processes} processes: choose {2 * processes} or more")
    device = select_device(config.device)
    precision = config.precision
    if precision == "auto":
        precision = "bfloat16" if gains_from_bfloat16(device) else "float32"
    return replace(config, device=device.type, precision=precision)


def _history(out: Path, done: int) -> list[str]:
    """Return the lines of the first `done` epochs."""
    if not done:
        return []
    return (out / HISTORY).read_text(encoding="utf-8").splitlines()[:done]
