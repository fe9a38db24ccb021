"""A run from its first setting to its scores: start or reopen it, train it, finish it.

    run = start(RECIPES["quick"])
    for epoch in run.train():
        print(epoch)
    print(run.finish().accuracy)

The command line adds the printing and nothing else.
"""

from __future__ import annotations

import contextlib
import json
import logging
import platform
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock, Timeout

from digitnet.core.digits import Digits
from digitnet.core.errors import DataError, DigitNetError, ModelError, TrainingError
from digitnet.core.version import __version__
from digitnet.data import fonts, unipen
from digitnet.data.datasets import DATASETS, Splits, get, load, splits
from digitnet.data.synthesis.strokes import hands
from digitnet.evaluation.line_metrics import LineScores
from digitnet.evaluation.metrics import Scores, evaluate
from digitnet.evaluation.misclassified import ERRORS, save_errors
from digitnet.evaluation.report.build import report_run
from digitnet.evaluation.scoring import PICTURE, Evaluation, files_of, learnt_whole, picture, summary
from digitnet.models import checkpoint
from digitnet.models.loading import RUNS, Model
from digitnet.models.networks import TorchClassifier
from digitnet.training import distributed, line_sources
from digitnet.training.config import TrainConfig, with_epochs
from digitnet.training.line_loop import judge_lines, train_lines
from digitnet.training.line_sources import Sources
from digitnet.training.loop import Epoch, new_network, settle, train

log = logging.getLogger("digitnet")

FEW, FEW_OF_A_LABEL = 1_000, 50
"""Training digits, in all and of each label, below which a warning says that they are few."""

LOCK = ".lock"
"""The file in a run's folder that the process training there has locked."""


@dataclass(frozen=True)
class Run:
    """A run's folder, its configuration, settled for this machine, and its digits."""

    folder: Path
    config: TrainConfig
    parts: Splits
    letters: Digits | None = None
    hands: Sources | None = None
    data_dir: str | Path | None = None

    def train(self) -> Iterator[Epoch]:
        """Train from the first epoch that is not saved yet; see `loop.train` and `line_loop.train_lines`.

        Raises TrainingError where another process trains into the same folder or has finished the run.
        """
        advice = f"every finished epoch is kept: go on with: digitnet train --resume {self.folder}"
        with _alone(self.folder), distributed.needing_peers(advice):
            _require_unfinished(self.folder)
            try:
                yield from self._epochs()
            except OSError as error:
                raise TrainingError(f"{error.filename or self.folder}: {error.strerror}; {advice}") from error

    def history(self) -> list[dict[str, Any]]:
        """Return the epochs that are done and saved, as `Epoch.to_dict` has them."""
        path = self.folder / checkpoint.HISTORY
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.is_file() else []

    def _epochs(self) -> Iterator[Epoch]:
        network = new_network(self.config)
        if self.hands is not None:
            lines = line_sources.unseen(self.parts.valid, self.data_dir).lines(line_sources.WATCHED)
            return train_lines(network, self.hands.scribe, lines, self.config, self.folder, resume=True)
        train_digits, valid = self.parts.train, self.parts.valid
        return train(
            *(network, train_digits, valid, self.config, self.folder),
            letters=self.letters,
            resume=True,
        )

    def finish(self) -> Scores | LineScores:
        """Score the trained weights once on the test digits; keep scores, wrong digits, confusion matrix and a report.

        A line reader is scored on lines of held-out writers and of test digits; it gets neither a matrix nor a report.
        """
        with _alone(self.folder):
            scores = self._finish()
            (self.folder / checkpoint.STATE).unlink(missing_ok=True)
            (self.folder / LOCK).unlink(missing_ok=True)
        return scores

    def _finish(self) -> Scores | LineScores:
        if self.config.lines:
            unseen = line_sources.unseen(self.parts.test, self.data_dir).lines()
            read = judge_lines(checkpoint.load_network(self.folder), unseen)
            checkpoint.save_json(self.folder / checkpoint.SCORES, read.to_dict())
            return read
        network = checkpoint.load_network(self.folder)
        classifier = TorchClassifier(network, checkpoint.load_images(self.folder))
        scores = replace(evaluate(classifier, self.parts.test), index=self.parts.test_rows)
        path = self.folder / PICTURE
        picture(scores, path, self.folder.name, self.config.data)
        save_errors(scores, self.parts.test, self.folder / ERRORS)
        checkpoint.save_json(self.folder / checkpoint.SCORES, summary(scores, self.parts.test))
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

    out: a folder that is new or empty; by default the first of run/RECIPE-1, -2, ... that is free. Under torchrun
    --max-restarts it must be named, and a run with the same settings in it is gone on with: processes that are
    started again are started with the same words.
    Raises DataError where the digits cannot be had, TrainingError where `out` is in use.
    """
    if out is None and distributed.restarts():
        raise TrainingError("torchrun --max-restarts: name the run's folder with --out, so that it is found again")
    config = settle(config)
    if learnt_whole(asdict(config), config.data):
        raise DataError(
            f"{config.data}: the recipe {config.recipe} learns from all of them, so that none is left to score it on; "
            "name other data or another recipe"
        )
    if config.lines:
        unipen.get(data_dir)  # what is missing is said before anything is fetched or written
    parts = splits(config.data, data_dir)
    config = replace(with_epochs(config, len(parts.train)), data=_anywhere(config.data))
    about = asdict(config) | {"data_sha256": parts.sha256} | environment()
    folder = Path(distributed.from_first(lambda: str(_new_run(out, config.recipe, about))))
    _warn_of_few(config.data, parts.train)
    return _with_more(Run(folder, config, parts), data_dir)


def _anywhere(data: str) -> str:
    """Return a data set's name as it is, and a path so that it is found from any folder."""
    return data if data in DATASETS else str(Path(data).expanduser().absolute())


def _warn_of_few(name: str, digits: Digits) -> None:
    """Warn where there are too few digits to learn to read well, in all or of one label."""
    counts = np.bincount(np.asarray(digits.labels), minlength=10)
    if missing := [str(digit) for digit in np.flatnonzero(counts == 0)]:
        log.warning("%s: no training digit is labelled %s; the network cannot read it", name, " or ".join(missing))
    rarest = int(counts[counts > 0].min())
    if len(digits) < FEW or rarest < FEW_OF_A_LABEL:
        log.warning(
            "%s: only %d training digits, %d with the rarest label; expect more errors, and add digits if you can "
            "(%d or more, %d of each)",
            *(name, len(digits), rarest, FEW, FEW_OF_A_LABEL),
        )


def reopen(folder: Path, device: str | None = None, data_dir: str | Path | None = None, data: str | None = None) -> Run:
    """Open an unfinished run to go on with it, on another device if one is named.

    data: where the run's digits are now, if they have moved; the configuration is updated.
    Raises ModelError where `folder` is no run, TrainingError where it is finished or its data has changed.
    """
    _require_unfinished(folder)
    saved = checkpoint.load_json(folder / checkpoint.CONFIG)
    names = {field.name for field in fields(TrainConfig)}
    try:
        config = TrainConfig(**{name: value for name, value in saved.items() if name in names})
    except TypeError as error:
        raise TrainingError(f"{folder / checkpoint.CONFIG}: not a run's configuration ({error})") from error
    config = settle(replace(config, device=device or config.device, data=_anywhere(data or config.data)))
    parts = splits(config.data, data_dir)
    if saved.get("data_sha256") != parts.sha256:
        raise TrainingError(f"{config.data}: not the digits that {folder} was trained on; name those by --data")
    if config.data != saved["data"]:
        checkpoint.save_json(folder / checkpoint.CONFIG, saved | {"data": config.data})
    return _with_more(Run(folder, config, parts), data_dir)


def _with_more(run: Run, data_dir: str | Path | None) -> Run:
    """Add the drawn digits and the letters that the recipe asks for, fetching the fonts unless they are here."""
    config, parts, letters = run.config, [run.parts.train], None
    if config.lines:
        return replace(run, hands=line_sources.learning(run.parts.train, data_dir), data_dir=data_dir)
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


def _new_run(out: Path | None, recipe: str, about: Mapping[str, Any]) -> Path:
    """Make a run's folder and write its configuration, in the order that leaves no half-made run to anybody."""
    folder = _free_folder(recipe) if out is None else out
    if out is not None:
        if folder.exists() and not folder.is_dir():
            raise TrainingError(f"{folder}: is no folder; name another --out")
        folder.mkdir(parents=True, exist_ok=True)

    def is_new() -> bool:
        # What a process killed here leaves behind: a lock that nobody holds, and part of a configuration.
        if not [path for path in folder.iterdir() if path.name != LOCK and path.suffix != ".part"]:
            return True
        if distributed.restarts() and _is_run_of(folder, about):
            return False
        raise TrainingError(f"{folder}: exists already; go on with it by --resume {folder}, or name another --out")

    if is_new():
        with _alone(folder):
            if is_new():  # still, now that nobody else can make it
                checkpoint.save_json(folder / checkpoint.CONFIG, about)
    return folder


def _is_run_of(folder: Path, about: Mapping[str, Any]) -> bool:
    """Tell whether the folder holds a run with these settings on these digits."""
    try:
        saved = checkpoint.load_json(folder / checkpoint.CONFIG)
    except ModelError:
        return False
    names = [*(field.name for field in fields(TrainConfig)), "data_sha256"]
    return all(saved.get(name) == about[name] for name in names)


def _free_folder(recipe: str) -> Path:
    number = 1
    while True:
        folder = RUNS / f"{recipe}-{number}"
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            number += 1
        else:
            return folder


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep other trainings out of a run's folder, by a lock that the system lifts however this process ends."""
    if distributed.rank():
        yield
        return
    lock = FileLock(folder / LOCK, is_singleton=True)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise TrainingError(f"{folder}: another process is training into it; wait for it, or name another") from None
    try:
        yield
    finally:
        lock.release()


def _require_unfinished(folder: Path) -> None:
    if (folder / checkpoint.SCORES).is_file() and not (folder / checkpoint.STATE).is_file():  # which goes last
        raise TrainingError(f"{folder}: is done; see it with: digitnet evaluate --model {folder}")


def environment() -> dict[str, Any]:
    """Return what a run's numbers may depend on besides its configuration, as plain values."""
    return {
        "digitnet": __version__,
        "revision": _revision(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "machine": f"{platform.system()} {platform.machine()}",
        "threads": torch.get_num_threads(),
        "processes": distributed.size(),
    }


def _revision() -> str | None:
    """Return the git commit that this package's files are tracked in, with a + where they differ; or None."""
    home = Path(__file__).parents[1]

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", "-C", str(home), *words], capture_output=True, text=True, check=True, timeout=5
        ).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", str(Path(__file__).relative_to(home)))
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", "--", ".") else "")
    except (OSError, subprocess.SubprocessError):
        return None
