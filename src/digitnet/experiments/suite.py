"""The data of a benchmark: training and test digits, corrupted ones, other sources, and images that are not digits."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from digitnet.core.digits import Digits
from digitnet.core.errors import DataError
from digitnet.core.files import write_atomic
from digitnet.data import formats
from digitnet.data.corruptions import corrupt
from digitnet.data.datasets import DATASETS, Splits, find, load, splits, stratified
from digitnet.data.fonts import FONTS, letters

SOURCE = "mnist"
"""The data set that everything learns from and is tested on."""

SETTINGS = "settings.json"
"""What a benchmark's folder was begun with."""

MADE, MADE_COUNT = "made", 2_000
"""The name of the images without a digit that are made here, and how many."""


@dataclass(frozen=True)
class Suite:
    """How much is measured.

    models, seeds: unless asked otherwise. learnt: training digits used, validation digits among them; None is all.
    spoilt: test digits spoilt in each of the fifteen ways; None is all.
    """

    models: tuple[str, ...]
    seeds: int
    learnt: int | None
    spoilt: int | None


SUITES = {
    "quick": Suite(("best", "strong"), 2, 6_000, 500),
    "full": Suite(("quick", "best", "digitnet", "strong"), 5, None, None),
}
"""The suites by name: a minute or two on two cores, and the whole, an hour or more."""


@dataclass(frozen=True)
class BenchmarkConfig:
    """What is asked for: the suite, models, number of seeds, and paths of other digits and of images without one.

    inputs: what files of weights among the models take, a name of `loading.INPUTS`; None to find out.
    """

    suite: str
    models: tuple[str, ...]
    seeds: int
    data: tuple[str, ...] = ()
    negatives: tuple[str, ...] = ()
    data_dir: Path | None = None
    inputs: str | None = None


class BenchmarkData:
    """The digits of a benchmark; most are loaded or made when first asked for.

    source: the data set's name, or the folder that holds the part of it that is used. others: other people's digits by
    name. kinds: the names of what `without_digit` gives.
    """

    def __init__(self, plan: BenchmarkConfig, folder: Path) -> None:
        """Load what the plan names; of sets with a test part that part.

        Handwriting fonts, and what is made of their letters, are used where the fonts are here. Raises DataError where
        something cannot be had, has no labels, or where two have one name.
        """
        self.plan, self.suite = plan, SUITES[plan.suite]
        self.source = SOURCE
        if self.suite.learnt is not None:
            self.source = str(folder / "data")
            self._save_part(self.suite.learnt, folder / "data")
        self._fonts = [hit[0] for file in FONTS.part("test") if (hit := find(FONTS, file, plan.data_dir))]
        here = len(self._fonts) == len(FONTS.part("test"))
        given = dict.fromkeys((*plan.data, FONTS.name) if here else plan.data)
        names = [_name(path) for path in (*given, *dict.fromkeys(plan.negatives))] + [MADE] * here
        if twice := [name for name, count in Counter(names).items() if count > 1]:
            raise DataError(f"--data and --negatives: two have the name {twice[0]!r}; rename one")
        if SOURCE in given:
            raise DataError(f"--data {SOURCE} is already used for training and testing; omit it")
        self.others = {_name(path): load(path, "test", plan.data_dir) for path in given}
        for name, digits in self.others.items():
            if digits.labels is None:
                raise DataError(f"--data {name}: has no labels; name images that are not digits with --negatives")
        self._negatives = {_name(path): load(path, "test", plan.data_dir).images for path in plan.negatives}
        self.kinds = names[len(given) :]
        self._spoilt: dict[str, Digits] = {}

    @cached_property
    def parts(self) -> Splits:
        """The training, validation and test digits."""
        return splits(self.source, self.plan.data_dir)

    def spoilt(self, name: str) -> Digits:
        """Return the test digits, or the first of them, spoilt in one way."""
        if name not in self._spoilt:
            self._spoilt[name] = corrupt(self.parts.test[: self.suite.spoilt], name)
        return self._spoilt[name]

    def without_digit(self, name: str) -> NDArray[np.uint8]:
        """Return the images (n, 28, 28) of that name, none of which shows a digit.

        Those made here are letters of fonts, test digits in twos, over one another and in pieces, scribbles, shapes and
        textures; the same ones every time.
        """
        if name not in self._negatives:
            import torch

            from digitnet.models.networks import to_input
            from digitnet.training.negatives import negatives

            signs, digits = letters(self._fonts), self.parts.test
            x, others = (to_input(torch.tensor(each.images)) for each in (digits, signs))
            made = negatives(x, others, MADE_COUNT, torch.Generator().manual_seed(0))
            self._negatives[name] = (made.squeeze(1) * 255).round().clamp(0, 255).byte().numpy()
        return self._negatives[name]

    def _save_part(self, count: int, folder: Path) -> None:
        """Write so many training digits, each label in proportion, and all test digits as a data set of its own."""
        paths = [
            folder / f"{part}-{kind}-ubyte" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")
        ]
        if all(path.is_file() for path in paths):
            return
        if (folder.parent / SETTINGS).is_file():
            raise DataError(
                f"{folder.parent}: contains a benchmark of another suite, or lacks its data; choose another --out"
            )
        train, test = load(SOURCE, "train", self.plan.data_dir), load(SOURCE, "test", self.plan.data_dir)
        chosen = train[stratified(train, min(count, len(train)))]
        columns = (chosen.images, chosen.labels, test.images, test.labels)
        for path, column in zip(paths, columns, strict=True):
            write_atomic(path, formats.idx_bytes(np.asarray(column)))


def _name(path: str) -> str:
    return path if path in DATASETS else Path(path).name.split(".")[0]
