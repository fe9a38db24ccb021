"""A run from its first setting to its scores: start or reopen it, train it, finish it; and score any model.

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
from typing import Any

import numpy as np
import torch

import digitnet
from digitnet import checkpoint, formats
from digitnet.data import DATASETS, Splits, fingerprint, held_out_rows, load, splits, wrong_labels
from digitnet.digits import Digits
from digitnet.errors import TrainingError
from digitnet.evaluate import Scores, evaluate
from digitnet.models import TorchClassifier
from digitnet.report import save_confusion
from digitnet.train import Epoch, TrainConfig, new_network, settle, train

log = logging.getLogger("digitnet")

RUNS = Path("run")
"""Where runs go unless another folder is named."""

PICTURE = "confusion_matrix.png"
"""The confusion matrix in a run's folder."""


@dataclass(frozen=True)
class Run:
    """A run's folder, its configuration, settled for this machine, and its digits."""

    folder: Path
    config: TrainConfig
    parts: Splits

    def train(self) -> Iterator[Epoch]:
        """Train from the first epoch that is not saved yet; see `train.train`."""
        network = new_network(self.config)
        return train(network, self.parts.train, self.parts.valid, self.config, self.folder, resume=True)

    def finish(self) -> Scores:
        """Score the trained weights once on the test digits; keep the scores and the confusion matrix."""
        classifier = TorchClassifier(checkpoint.load_network(self.folder))
        scores = replace(evaluate(classifier, self.parts.test), index=self.parts.test_rows)
        picture(scores, self.folder / PICTURE, self.folder.name, self.config.data)
        checkpoint.save_json(self.folder / checkpoint.SCORES, summary(scores, self.parts.test))
        (self.folder / checkpoint.STATE).unlink(missing_ok=True)
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
    return Run(folder, config, parts)


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
    return Run(folder, config, parts)


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


@dataclass(frozen=True)
class Evaluation:
    """A model's scores on some digits.

    picture: where the confusion matrix was saved, unless that folder cannot be written. files: of a folder of
    pictures, the file of each index in `scores.index`; else empty. kept_back: whether these are only the digits that
    the run itself kept for testing.
    """

    model: Path
    source: str
    digits: Digits
    scores: Scores
    picture: Path
    files: list[Path]
    kept_back: bool


def score(model: Path | None = None, source: str | None = None, data_dir: str | Path | None = None) -> Evaluation:
    """Score a run or a file of weights, and save the confusion matrix.

    model: see `checkpoint.load_network`; by default the newest run. source: a data set's name (its test part is
    scored) or a path; by default the run's own data, or MNIST. Of data that the run learnt from, known by its
    SHA-256, only the digits kept back for testing are scored.
    """
    model = checkpoint.latest_run(RUNS) if model is None else model
    classifier = TorchClassifier(checkpoint.load_network(model))
    config = checkpoint.load_json(model / checkpoint.CONFIG) if (model / checkpoint.CONFIG).is_file() else {}
    own = str(config.get("data", "mnist"))
    source = source or own
    digits = load(source, "test", data_dir)
    rows = np.arange(len(digits))
    kept_back = digits.labels is not None and config.get("data_sha256") == fingerprint(digits)
    if kept_back:
        rows = np.flatnonzero(held_out_rows(digits))
        digits = digits[rows]
    scores = replace(evaluate(classifier, digits), index=rows)
    name = PICTURE if config and source == own else PICTURE.replace(".", f"-{Path(source).name.split('.')[0]}.")
    path = (model if model.is_dir() else Path()) / name
    try:
        picture(scores, path, model.name, source)
    except OSError as error:
        log.warning("%s: cannot be written (%s); the scores come without their picture", path, error.strerror)
    folder = Path(source)
    files = formats.pictures(folder) if source not in DATASETS and folder.is_dir() else []
    return Evaluation(model, source, digits, scores, path, files, kept_back)


def picture(scores: Scores, path: Path, model: str, source: str) -> None:
    """Save a confusion matrix with a title that says whose it is."""
    title = f"{model} on {Path(source).name}: {scores.correct:,} of {scores.n:,} right ({scores.accuracy:.2%})"
    save_confusion(scores, path, title)


def summary(scores: Scores, digits: Digits) -> dict[str, object]:
    """Return `scores.to_dict()`, on MNIST's test set with the scores without its known wrong labels beside it."""
    found = scores.to_dict()
    if wrong := wrong_labels(digits):
        rest = scores.without(wrong)
        found["without_wrong_labels"] = {"accuracy": rest.accuracy, "n": rest.n, "interval": list(rest.interval)}
    return found


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
