"""The settings of a training, `TrainConfig`, and those that are known to work, `RECIPES`.

This module needs neither PyTorch nor numpy, so the command line can use it without loading them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Annotated, get_type_hints

from digitnet.core.classes import DIGIT_NAMES
from digitnet.core.errors import TrainingError

RECIPE_OF = {"digitnet": "best", "strong": "transfer", "line": "line", "page": "page"}
"""The networks, as `networks.MODELS` has them, and the recipe that each is trained by where none is named."""

AUGMENTATIONS = ("none", "gentle", "lively", "transfer")
"""The names of `augmentation.AUGMENTS`."""

OPTIMIZERS, PRECISIONS = ("adam", "muon"), ("auto", "float32", "bfloat16")

DEVICES = ("auto", "cpu", "cuda", "mps")


def is_own(augment: str) -> bool:
    """Return whether an augmentation is a function of the user's own, module:function."""
    module, _, function = augment.partition(":")
    return function.isidentifier() and all(part.isidentifier() for part in module.split("."))


@dataclass(frozen=True)
class TrainConfig:
    """All settings of a training; two runs with equal configurations give equal weights on a CPU."""

    data: Annotated[str, "a named data set, or a path"] = "mnist"
    model: Annotated[
        str,
        "digitnet (the tutorial's network), strong (deeper), line (reads whole numbers), page (finds them), or your "
        "FILE.py:CLASS",
    ] = "digitnet"
    recipe: Annotated[str, "the name of these settings"] = "best"
    epochs: Annotated[int, "passes over the training digits; 0: `passes`, or more for small data sets"] = 0
    passes: Annotated[int, "epochs on a data set of MNIST's size"] = 30
    steps: Annotated[int, "optimizer steps below which `epochs` 0 adds passes"] = 0
    batch_size: Annotated[int, "digits per optimizer step, over all processes"] = 256
    seed: Annotated[int, "seed of the initial weights, the order and the augmentation"] = 0
    device: Annotated[str, "device to train on; auto: the fastest one available"] = "auto"
    precision: Annotated[str, "float32, bfloat16, or auto: bfloat16 if the device supports it"] = "auto"
    optimizer: Annotated[str, "adam, or muon: Muon for the hidden layers and Adam for the others"] = "muon"
    lr: Annotated[float, "Adam's highest learning rate"] = 1e-2
    muon_lr: Annotated[float, "Muon's highest learning rate"] = 0.06
    warmup: Annotated[float, "share of all steps in which the rate rises before it falls to 0; 0: constant"] = 0.15
    cooldown: Annotated[float, "share of all steps, at the end, in which it falls; 1: from the warm-up on"] = 1.0
    weight_decay: Annotated[float, "weight decay of AdamW: share of the weights removed by each step at rate 1"] = 0.0
    label_smoothing: Annotated[float, "share of the target spread over all ten digits, 0..1"] = 0.05
    average: Annotated[float, "decay per step of the moving average of the weights; 0: none"] = 0.0
    fonts: Annotated[int, "how many times the digits of handwriting fonts are added to the training digits"] = 0
    hands: Annotated[int, "number of digits drawn in the shapes of other countries, added to the training digits"] = 0
    pens: Annotated[int, "number of digits drawn from real pen trajectories, added to the training digits"] = 0
    negatives: Annotated[float, "images that are not digits per batch, as a share of its digits, 0..1"] = 0.0
    lines: Annotated[int, "numbers composed for every epoch, for the model that reads whole numbers"] = 0
    pages: Annotated[int, "pages composed for every epoch, for the model that finds numbers on pages"] = 0
    augment: Annotated[
        str, "the augmentation of every epoch: none, gentle, lively, transfer, or your module:function"
    ] = "none"
    start_from: Annotated[str, "the model to fine-tune: strong, digitnet, or a run's folder"] = ""
    frozen: Annotated[
        float, "share of the epochs of a fine-tuning, the first ones, in which only the last layer learns"
    ] = 0.0
    classes: Annotated[tuple[str, ...], "names of the labels, in the order of the network's outputs"] = DIGIT_NAMES
    known: Annotated[int, "digits of the first model's own training data that a fine-tuning mixes in"] = 0

    def __post_init__(self) -> None:
        """Refuse values that cannot train."""
        if self.epochs < 0 or self.passes < 1 or self.steps < 0:
            raise TrainingError(f"epochs {self.epochs}, passes {self.passes}, steps {self.steps}: at least 0, 1 and 0")
        if self.batch_size < 1:
            raise TrainingError(f"batch size {self.batch_size}: must be 1 or more")
        if not 0 <= self.warmup < 1 or not 0 < self.cooldown <= 1 or self.weight_decay < 0:
            told = f"warm-up {self.warmup}, cooldown {self.cooldown}, weight decay {self.weight_decay}"
            raise TrainingError(f"{told}: must be from 0 to 1, above 0 to 1, and 0 or more")
        if self.model not in RECIPE_OF and ".py:" not in self.model:
            raise TrainingError(f"model {self.model!r}: choose one of {', '.join(RECIPE_OF)}, or FILE.py:CLASS")
        if self.optimizer not in OPTIMIZERS:
            raise TrainingError(f"optimizer {self.optimizer!r}: choose adam or muon")
        if self.augment not in AUGMENTATIONS and not is_own(self.augment):
            choices = ", ".join(AUGMENTATIONS)
            raise TrainingError(f"augment {self.augment!r}: choose one of {choices}, or module:function")
        if self.start_from and self.composed:
            raise TrainingError(f"recipe {self.recipe!r} trains {self.model}, which cannot be fine-tuned")
        if not (math.isfinite(self.lr) and self.lr > 0):
            raise TrainingError(f"learning rate {self.lr}: must be above 0")
        if self.precision not in PRECISIONS:
            raise TrainingError(f"precision {self.precision!r}: choose auto, float32 or bfloat16")
        object.__setattr__(self, "classes", tuple(self.classes))  # JSON has lists
        if not 0 <= self.seed < 2**32:
            raise TrainingError(f"seed {self.seed}: choose one from 0 to {2**32 - 1}")

    @property
    def composed(self) -> int:
        """Lines or pages composed for every epoch; 0: the network learns from digits alone."""
        return self.lines or self.pages

    @property
    def adds_digits(self) -> bool:
        """Whether the network also learns from digits or letters that are not in its data set."""
        return bool(self.fonts or self.hands or self.pens or self.negatives or self.composed or self.start_from)


RECIPES = {
    "tutorial": TrainConfig(
        recipe="tutorial",
        passes=5,
        steps=1_000,
        batch_size=64,
        precision="float32",
        optimizer="adam",
        lr=1e-3,
        warmup=0.0,
        label_smoothing=0.0,
    ),
    "quick": TrainConfig(recipe="quick", passes=1, steps=215),
    "best": TrainConfig(
        recipe="best",
        passes=30,
        steps=2_000,
        batch_size=128,
        optimizer="adam",
        lr=5e-3,
        average=0.998,
        augment="gentle",
    ),
    "thorough": TrainConfig(
        recipe="thorough",
        passes=60,
        steps=2_000,
        batch_size=128,
        optimizer="adam",
        lr=5e-3,
        average=0.998,
        negatives=0.1,
        augment="gentle",
    ),
    "accurate": TrainConfig(model="strong", recipe="accurate", passes=16, steps=500, average=0.998, augment="lively"),
    "line": TrainConfig(
        model="line",
        recipe="line",
        passes=400,
        batch_size=64,
        lr=3e-3,
        muon_lr=0.02,
        warmup=0.015,
        cooldown=0.25,
        weight_decay=1e-4,
        label_smoothing=0.0,
        average=0.9985,
        lines=4_096,
    ),
    "page": TrainConfig(
        model="page",
        recipe="page",
        passes=100,
        batch_size=16,
        lr=2e-3,
        muon_lr=0.02,
        warmup=0.02,
        cooldown=0.6,
        label_smoothing=0.0,
        average=0.998,
        pages=256,
    ),
    "transfer": TrainConfig(
        model="strong",
        recipe="transfer",
        passes=44,
        average=0.999,
        fonts=4,
        hands=30_000,
        negatives=0.12,
        augment="transfer",
    ),
}
"""The recipes by name. How they were chosen, on validation digits alone, is told in docs/decisions.md."""

FINETUNE = TrainConfig(
    recipe="finetune",
    passes=8,
    batch_size=128,
    optimizer="adam",
    lr=5e-4,
    warmup=0.1,
    average=0.99,
    augment="gentle",
    frozen=0.25,
    known=2_000,
)
"""The settings of a fine-tuning, to which `start_from` and the model's `model` are added."""

DESCRIPTIONS = {
    "tutorial": "the tutorial's settings",
    "quick": "99% in seconds",
    "best": "about two minutes on two cores",
    "thorough": "twice as long; also learns to reject non-digits",
    "accurate": "for MNIST alone",
    "transfer": "for digits from any source",
    "line": "numbers composed for every epoch",
    "page": "pages composed for every epoch",
}
"""The recipes in a few words each."""


def with_epochs(config: TrainConfig, count: int) -> TrainConfig:
    """Return the configuration with the number of epochs for `count` training digits, where it leaves that open (0).

    That is `passes`, or as many more as it takes to make `steps` optimizer steps.
    """
    if config.epochs:
        return config
    return replace(config, epochs=max(config.passes, math.ceil(config.steps / math.ceil(count / config.batch_size))))


def described(field: str) -> str:
    """Return what a field of `TrainConfig` is, as a help text: its first clause, as a sentence."""
    text, _, _ = get_type_hints(TrainConfig, include_extras=True)[field].__metadata__[0].partition(";")
    return f"{text[:1].upper()}{text[1:]}."


def recipes_described() -> str:
    """Return all recipes by network, with what each is for, as a help text."""

    def one(name: str, model: str) -> str:
        return f"{name} ({'default, ' * (name == RECIPE_OF[model])}{DESCRIPTIONS[name]})"

    return " ".join(
        f"For {model}: {', '.join(one(name, model) for name, recipe in RECIPES.items() if recipe.model == model)}."
        for model in RECIPE_OF
    )
