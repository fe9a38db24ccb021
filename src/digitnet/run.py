"""A run from its first setting to its scores: start or reopen it, train it, finish it.

    run = start(RECIPES["quick"])
    for epoch in run.train():
        print(epoch)
    print(run.finish().accuracy)

The command line adds the printing and nothing else.
"""

from __future__ import annotations

import logging
import platform
import subprocess
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from string import ascii_letters
from typing import Any

import numpy as np
import torch

import digitnet
from digitnet import checkpoint, fonts
from digitnet.compose import Composer, Line, unseen
from digitnet.data import DATASETS, Splits, get, load, splits
from digitnet.digits import Digits
from digitnet.errors import DigitNetError, TrainingError
from digitnet.evaluate import LineScores, Scores, evaluate
from digitnet.hands import hands
from digitnet.lines import judge_lines, train_lines
from digitnet.mistakes import ERRORS, save_errors
from digitnet.models import TorchClassifier
from digitnet.report import report_run
from digitnet.score import PICTURE, RUNS, Evaluation, Model, files_of, picture, summary
from digitnet.train import Epoch, TrainConfig, new_network, settle, train
from digitnet.writers import Glyph, Group, by_font, cut, inventions, styles

log = logging.getLogger("digitnet")

WRITERS = 2_500
"""Invented writers whose numbers are learnt from."""


@dataclass(frozen=True)
class Run:
    """A run's folder, its configuration, settled for this machine, and its digits."""

    folder: Path
    config: TrainConfig
    parts: Splits
    letters: Digits | None = None
    writers: tuple[Group, ...] = ()
    signs: tuple[Glyph, ...] = ()
    words: tuple[Glyph, ...] = ()

    def train(self) -> Iterator[Epoch]:
        """Train from the first epoch that is not saved yet; see `train.train` and `lines.train_lines`."""
        network = new_network(self.config)
        if self.config.lines:

            def teach(seed: int) -> Composer:
                return Composer(self.writers, self.signs, seed, self.words)

            return train_lines(network, teach, self._lines(self.parts.valid), self.config, self.folder, resume=True)
        train_digits, valid = self.parts.train, self.parts.valid
        return train(
            *(network, train_digits, valid, self.config, self.folder),
            letters=self.letters,
            resume=True,
        )

    def _lines(self, digits: Digits) -> list[Line]:
        return unseen(digits, self.signs)

    def finish(self) -> Scores | LineScores:
        """Score the trained weights once on the test digits; keep scores, wrong digits, confusion matrix and a report.

        A reader of numbers is scored on numbers composed from test digits instead, and has no matrix and no report.
        """
        if self.config.lines:
            read = judge_lines(checkpoint.load_network(self.folder), self._lines(self.parts.test))
            checkpoint.save_json(self.folder / checkpoint.SCORES, read.to_dict())
            (self.folder / checkpoint.STATE).unlink(missing_ok=True)
            return read
        network = checkpoint.load_network(self.folder)
        classifier = TorchClassifier(network)
        scores = replace(evaluate(classifier, self.parts.test), index=self.parts.test_rows)
        path = self.folder / PICTURE
        picture(scores, path, self.folder.name, self.config.data)
        save_errors(scores, self.parts.test, self.folder / ERRORS)
        checkpoint.save_json(self.folder / checkpoint.SCORES, summary(scores, self.parts.test))
        (self.folder / checkpoint.STATE).unlink(missing_ok=True)
        model = Model(str(self.folder), classifier, checkpoint.load_json(self.folder / checkpoint.CONFIG), self.folder)
        rows, source = self.parts.test_rows, self.config.data
        kept_back = not np.array_equal(rows, np.arange(len(rows)))  # of a source without a test part
        done = Evaluation(model, source, self.parts.test, scores, path, files_of(source), kept_back, None)
        try:
            report_run(done)
        except (OSError, ModuleNotFoundError, DigitNetError) as error:
            log.warning("no report was written (%s); write it with: digitnet report %s", error, self.folder)
        return scores


def start(config: TrainConfig, out: Path | None = None, data_dir: str | Path | None = None) -> Run:
    """Make a new run: load its digits, make its folder and write down everything its numbers depend on.

    out: a folder that is new or empty; by default the first of run/RECIPE-1, -2, ... that is free.
    Raises DataError where the digits cannot be had, TrainingError where `out` is in use.
    """
    config = settle(config)
    parts = splits(config.data, data_dir)
    if config.data not in DATASETS:
        config = replace(config, data=str(Path(config.data).expanduser().absolute()))  # resumable from anywhere
    folder = _new_folder(out, config.recipe)
    about = asdict(config) | {"data_sha256": parts.sha256} | environment()
    checkpoint.save_json(folder / checkpoint.CONFIG, about)
    return _with_more(Run(folder, config, parts), data_dir)


def reopen(folder: Path, device: str | None = None, data_dir: str | Path | None = None) -> Run:
    """Open an unfinished run to go on with it, on another device if one is named.

    Raises ModelError where `folder` is no run, TrainingError where it is finished or its data has changed.
    """
    if (folder / checkpoint.SCORES).is_file():
        raise TrainingError(f"{folder}: is done; see it with: digitnet evaluate --model {folder}")
    saved = checkpoint.load_json(folder / checkpoint.CONFIG)
    names = {field.name for field in fields(TrainConfig)}
    try:
        config = TrainConfig(**{name: value for name, value in saved.items() if name in names})
    except TypeError as error:
        raise TrainingError(f"{folder / checkpoint.CONFIG}: not a run's configuration ({error})") from error
    config = settle(replace(config, device=device or config.device))
    parts = splits(config.data, data_dir)
    if saved.get("data_sha256") != parts.sha256:
        raise TrainingError(f"{config.data}: no longer the digits that {folder} was trained on; train anew")
    return _with_more(Run(folder, config, parts), data_dir)


def _with_more(run: Run, data_dir: str | Path | None) -> Run:
    """Add the drawn digits and the letters that the recipe asks for, fetching the fonts unless they are here."""
    config, parts, letters = run.config, [run.parts.train], None
    if config.lines:
        paths = get(fonts.FONTS, data_dir)
        hand = paths[: len(fonts.FONTS.hand)]
        groups = [
            (0.42, styles(run.parts.train)),
            (0.2, by_font(load("fonts", "all", data_dir))),
            (0.38, inventions(WRITERS)),
        ]
        signs = tuple(cut(image) for image in fonts.letters(hand).images)
        words = tuple(cut(image) for image in fonts.letters(paths, ascii_letters).images)
        return replace(run, writers=tuple(groups), signs=signs, words=words)
    if config.fonts:
        parts += [load("fonts", "all", data_dir)] * config.fonts
    if config.hands:
        parts.append(hands(config.hands))
    if config.negatives:
        paths = get(fonts.FONTS, data_dir)
        count = len(fonts.FONTS.hand)
        made = [fonts.letters(paths[:count]), fonts.letters(paths[count:], fonts.PRINTED_LETTERS)]
        letters = Digits(np.concatenate([each.images for each in made]))
    if len(parts) > 1:
        labels = [part.labels for part in parts if part.labels is not None]
        more = Digits(np.concatenate([part.images for part in parts]), np.concatenate(labels))
        run = replace(run, parts=run.parts._replace(train=more))
    return replace(run, letters=letters)


def _new_folder(out: Path | None, recipe: str) -> Path:
    if out is not None:
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise TrainingError(f"{out}: exists already; go on with it by --resume {out}, or name another --out")
        out.mkdir(parents=True, exist_ok=True)
        return out
    number = 1
    while True:
        folder = RUNS / f"{recipe}-{number}"
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            number += 1
        else:
            return folder


def environment() -> dict[str, Any]:
    """Return what a run's numbers may depend on besides its configuration, as plain values."""
    return {
        "digitnet": digitnet.__version__,
        "revision": _revision(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "machine": f"{platform.system()} {platform.machine()}",
        "threads": torch.get_num_threads(),
    }


def _revision() -> str | None:
    """Return the git commit that this package's files are tracked in, with a + where they differ; or None."""
    home = Path(__file__).parent

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", "-C", str(home), *words], capture_output=True, text=True, check=True, timeout=5
        ).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", Path(__file__).name)
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", "--", ".") else "")
    except (OSError, subprocess.SubprocessError):
        return None
