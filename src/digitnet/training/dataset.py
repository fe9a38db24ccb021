"""What a run learns from: the digits of its data set, and what its recipe adds to them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from digitnet.core.classes import DIGIT_NAMES
from digitnet.core.digits import Digits
from digitnet.core.errors import DataError
from digitnet.core.text import listed
from digitnet.data import fonts, unipen
from digitnet.data.datasets import Splits, get, load, splits
from digitnet.data.pages.compose import Composed
from digitnet.data.synthesis.scribe import Written
from digitnet.data.synthesis.strokes import hands
from digitnet.training import finetune, line_sources, page_sources
from digitnet.training.config import RECIPES, TrainConfig
from digitnet.training.line_sources import Sources
from digitnet.training.page_sources import PageSources

log = logging.getLogger("digitnet")

MIN_DIGITS, MIN_OF_A_LABEL = 1_000, 50
"""Training digits, in all and of each label, below which a warning says that they are few."""


@dataclass(frozen=True)
class Dataset:
    """The digits of a run, and what its recipe adds.

    parts: the data set's digits to train, validate and test on; `assemble` adds a recipe's digits of fonts and drawn
    hands to the ones to train on. letters: images that are no digit, for recipes with negatives. writers: what lines
    are written with, for recipes with lines. pages: what pages are composed with, for recipes with pages. data_dir: the
    folder of named data sets. known: held-out digits of what the first model of a fine-tuning was trained on.
    """

    parts: Splits
    letters: Digits | None = None
    writers: Sources | None = None
    pages: PageSources | None = None
    data_dir: str | Path | None = None
    known: Digits | None = None

    def valid_lines(self) -> list[Written]:
        """Return the lines that every epoch of a line reader is scored on."""
        return line_sources.unseen(self.parts.valid, self.data_dir).lines(line_sources.WATCHED)

    def test_lines(self) -> list[Written]:
        """Return the lines that a trained line reader is scored on."""
        return line_sources.unseen(self.parts.test, self.data_dir).lines()

    def valid_pages(self) -> Iterator[Composed]:
        """Compose the pages that every epoch of a page network is scored on."""
        return page_sources.unseen(self.parts.valid, self.data_dir).pages(page_sources.WATCHED)

    def test_pages(self) -> Iterator[Composed]:
        """Compose the pages that a trained page network is scored on."""
        return page_sources.unseen(self.parts.test, self.data_dir).pages()


def own_parts(config: TrainConfig, data_dir: str | Path | None = None) -> Splits:
    """Return the digits of the data set alone. Raises DataError where they, or a recipe's sources, cannot be had."""
    if config.composed:
        unipen.get(data_dir)  # what is missing is said before anything is fetched or written
    if config.pages:
        get(fonts.FONTS, data_dir)
    return splits(config.data, data_dir)


def classes_of(config: TrainConfig, parts: Splits) -> tuple[str, ...]:
    """Return the names of what a network learns to tell apart: the labels of its data, which may be a few digits.

    Fine-tuning keeps the first model's classes, and recipes that add digits the ten digits. Raises DataError where
    there is one label alone.
    """
    if config.start_from:
        return finetune.beginning(config.start_from).names
    if config.adds_digits:
        if parts.train.names != DIGIT_NAMES:
            others = ", ".join(name for name, recipe in RECIPES.items() if not recipe.adds_digits)
            raise DataError(
                f"{config.data}: has the labels {listed(parts.train.names, 5)}, and recipe {config.recipe} adds digits "
                f"to the data; choose one of {others}"
            )
        return DIGIT_NAMES
    there = {name for part in parts[:3] for name in part.present()}
    found = tuple(name for name in parts.train.names if name in there)
    if len(found) < 2:
        raise DataError(f"{config.data}: all labels are {listed(found)}; training needs two classes or more")
    return found


def in_classes(parts: Splits, names: tuple[str, ...], source: str) -> Splits:
    """Return the parts with the classes of a training. Raises DataError where it does not have all of their labels."""
    try:
        train, valid, test = (part.with_names(names) for part in parts[:3])
    except DataError as error:
        raise DataError(f"{source}: {error}") from error
    return parts._replace(train=train, valid=valid, test=test)


def with_sources(config: TrainConfig, data_dir: str | Path | None = None) -> TrainConfig:
    """Return the configuration without digits of pen trajectories, and warn, where there are no trajectories."""
    if not config.pens or unipen.find(data_dir) is not None:
        return config
    log.warning(
        "unipen: not found, so recipe %s learns without digits of real pens and reads other writers less well; "
        "`digitnet data get unipen` explains where to get them",
        config.recipe,
    )
    return replace(config, pens=0)


def assemble(config: TrainConfig, parts: Splits, data_dir: str | Path | None = None) -> Dataset:
    """Add the drawn digits, letters and writers that the recipe asks for, fetching the fonts unless they are here."""
    if config.lines:
        return Dataset(parts, writers=line_sources.learning(parts.train, data_dir), data_dir=data_dir)
    if config.pages:
        return Dataset(parts, pages=page_sources.learning(parts.train, data_dir), data_dir=data_dir)
    if config.start_from:
        learn = finetune.earlier(config.start_from, config.known, data_dir)
        held_out = finetune.held_out(config.start_from, data_dir)
        return Dataset(parts._replace(train=finetune.mixed(parts.train, learn)), data_dir=data_dir, known=held_out)
    train = [parts.train]
    if config.fonts:
        train += [load("fonts", "all", data_dir)] * config.fonts
    if config.hands:
        train.append(hands(config.hands))
    if config.pens:
        train.append(line_sources.pen_digits(config.pens, data_dir))
    letters = _letters(config, data_dir) if config.negatives else None
    return Dataset(parts._replace(train=finetune.together(train)), letters, data_dir=data_dir)


def _letters(config: TrainConfig, data_dir: str | Path | None) -> Digits:
    """Return the letters of handwriting fonts and of printed ones, and half as many marks of pens as digits of pens."""
    paths = get(fonts.FONTS, data_dir)
    count = len(fonts.FONTS.hand)
    made = [fonts.letters(paths[:count]), fonts.letters(paths[count:], fonts.PRINTED_LETTERS)]
    if config.pens:
        made.append(line_sources.pen_marks(config.pens // 2, data_dir))
    return Digits(np.concatenate([each.images for each in made]))


def warn_of_few(name: str, digits: Digits) -> None:
    """Warn where there are too few digits to learn to read well, in all or of one label."""
    counts = np.bincount(np.asarray(digits.labels), minlength=len(digits.names))
    if missing := [digits.names[digit] for digit in np.flatnonzero(counts == 0)]:
        log.warning("%s: no training digit has the label %s; the network cannot learn it", name, " or ".join(missing))
    rarest = int(counts[counts > 0].min())
    if len(digits) < MIN_DIGITS or rarest < MIN_OF_A_LABEL:
        log.warning(
            f"{name}: only {len(digits)} training digits, {rarest} with the rarest label; expect more errors; add "
            f"digits if possible ({MIN_DIGITS} or more, {MIN_OF_A_LABEL} of each)"
        )
