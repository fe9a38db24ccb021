"""A run from its settings to its scores: start or reopen it, train it, finish it.

    run = start(RECIPES["quick"])
    for epoch in run.train():
        print(epoch)
    print(run.finish().accuracy)

The command line adds the printing, and the report as a last step.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from digitnet.core.errors import DataError, TrainingError
from digitnet.core.files import write_atomic
from digitnet.core.provenance import environment
from digitnet.data.datasets import DATASETS, Splits, splits
from digitnet.evaluation.find_metrics import FindScores
from digitnet.evaluation.line_metrics import LineScores
from digitnet.evaluation.metrics import Scores, evaluate
from digitnet.evaluation.misclassified import save_errors
from digitnet.evaluation.scoring import Evaluation, files_of, picture, summary, trained_on_all
from digitnet.models import checkpoint
from digitnet.models.loading import Model
from digitnet.models.networks import TorchClassifier, check_network
from digitnet.models.onnx_models import built_in
from digitnet.models.own_network import SOURCE, is_own, source, split
from digitnet.models.run_folder import CONFIG, CONFUSION, ERRORS, HISTORY, SCORES, WEIGHTS, load_json, save_json
from digitnet.models.trust import trust
from digitnet.training import distributed
from digitnet.training.augmentation import named
from digitnet.training.config import AUGMENTATIONS, TrainConfig, with_epochs
from digitnet.training.dataset import Dataset, assemble, classes_of, in_classes, own_parts, warn_of_few, with_sources
from digitnet.training.finetune import beginning, better
from digitnet.training.folder import alone, mark_finished, new_folder, require_unfinished
from digitnet.training.line_loop import evaluate_lines, train_lines
from digitnet.training.loop import Epoch, new_network, resolve, train
from digitnet.training.page_loop import evaluate_pages, train_pages
from digitnet.training.threads import Speed, counts, fastest

log = logging.getLogger("digitnet")


@dataclass(frozen=True)
class Run:
    """A run: its folder, its configuration with all automatic settings resolved, and its data set.

    threads: of PyTorch on a CPU, None for as many as it has. measured: whether they were chosen by measuring, which is
    repeated where the training becomes half as fast. step: seconds of an optimizer step when that was measured.
    """

    folder: Path
    config: TrainConfig
    dataset: Dataset
    threads: int | None = None
    measured: bool = False
    step: float | None = None

    @property
    def parts(self) -> Splits:
        """The digits to train, validate and test on."""
        return self.dataset.parts

    def train(self) -> Iterator[Epoch]:
        """Train from the first epoch that is not saved yet; see `loop.train`, `train_lines` and `train_pages`.

        Raises TrainingError if another process trains into the same folder or has finished the run.
        """
        advice = f"every finished epoch is saved; resume with: digitnet train --resume {self.folder}"
        with alone(self.folder), distributed.needing_peers(advice):
            require_unfinished(self.folder)
            most = torch.get_num_threads()
            try:
                yield from self._paced(most)
            except OSError as error:
                raise TrainingError(f"{error.filename or self.folder}: {error.strerror}; {advice}") from error
            finally:
                torch.set_num_threads(most)

    def _paced(self, most: int) -> Iterator[Epoch]:
        """Train with the run's threads; choose them again, of at most `most`, after an epoch of half the speed."""
        torch.set_num_threads(self.threads or most)
        best = 0.0
        for epoch in self._epochs():
            yield epoch
            slow = epoch.images_per_second < best / 2 and epoch.number < epoch.epochs
            best = epoch.images_per_second if slow else max(best, epoch.images_per_second)
            if slow and self.measured and (speed := self._fastest(counts(most))) is not None:
                if speed.threads != torch.get_num_threads():
                    log.info("the last epoch was half as fast; from here on: --threads %d", speed.threads)
                    save_json(self.folder / CONFIG, load_json(self.folder / CONFIG) | {"threads": speed.threads})
                torch.set_num_threads(speed.threads)

    def _fastest(self, numbers: Sequence[int]) -> Speed | None:
        return fastest(self.config, len(self.parts.train), numbers, self.folder)

    @property
    def seconds(self) -> float | None:
        """How long all epochs take at the speed that was measured, without scoring; None if it is unknown."""
        if self.step is None or self.config.composed:
            return None
        return self.config.epochs * -(-len(self.parts.train) // self.config.batch_size) * self.step

    def history(self) -> list[dict[str, Any]]:
        """Return the finished epochs, each as returned by `Epoch.to_dict`."""
        path = self.folder / HISTORY
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.is_file() else []

    def _epochs(self) -> Iterator[Epoch]:
        network, data = new_network(self.config, self.folder), self.dataset
        if data.writers is not None:
            lines = data.valid_lines()
            return train_lines(network, data.writers.scribe, lines, self.config, self.folder, resume=True)
        if data.pages is not None:
            pages = list(data.valid_pages())
            return train_pages(network, data.pages.composer, pages, self.config, self.folder, resume=True)
        digits, valid = data.parts.train, data.parts.valid
        return train(network, digits, valid, self.config, self.folder, letters=data.letters, resume=True)

    def finish(self) -> Scores | LineScores | FindScores:
        """Score the trained weights once on the test digits; keep scores, wrong digits and confusion matrix.

        A line reader or a page network is scored on lines or pages of held-out writers and of test digits, and only the
        scores are kept.
        """
        with alone(self.folder):
            scores = self._score_composed() if self.config.composed else self._score()
            mark_finished(self.folder)
        return scores

    def _score_composed(self) -> LineScores | FindScores:
        network, data = checkpoint.load_network(self.folder), self.dataset
        scores: LineScores | FindScores
        if data.pages is not None:
            scores = evaluate_pages(network, data.test_pages())
        else:
            scores = evaluate_lines(network, data.test_lines())
        save_json(self.folder / SCORES, scores.to_dict())
        return scores

    def _score(self) -> Scores:
        more = self._decide() if self.dataset.known is not None else {}
        scores = replace(evaluate(self._classifier(), self.parts.test), index=self.parts.test_rows)
        picture(scores, self.folder / CONFUSION, self.folder.name, self.config.data)
        save_errors(scores, self.parts.test, self.folder / ERRORS)
        save_json(self.folder / SCORES, summary(scores, self.parts.test) | more)
        return scores

    def _decide(self) -> dict[str, Any]:
        """Keep the first model's weights unless held-out digits are read better; return what both read."""
        known = self.dataset.known
        assert known is not None  # noqa: S101 of a fine-tuning
        before, after = beginning(self.config.start_from).network, checkpoint.load_network(self.folder)
        kept = better(after, before, self.parts.valid, known)
        if not kept:
            log.warning(
                "%s: fine-tuning did not improve the held-out digits; the weights of %s are kept",
                self.folder,
                self.config.start_from,
            )
            checkpoint.save_network(self.folder / WEIGHTS, before, self.config.model, self.config.classes)
            after = before
        first, last = (TorchClassifier(network, names=self.config.classes) for network in (before, after))
        earlier, now = evaluate(first, known), evaluate(last, known)
        first_scores = evaluate(first, self.parts.test)
        return {
            "fine_tuning": {
                "kept": kept,
                "before": {"accuracy": first_scores.accuracy, "n": first_scores.n},
                "known": {"before": earlier.accuracy, "after": now.accuracy, "n": now.n},
            }
        }

    def _classifier(self) -> TorchClassifier:
        images = checkpoint.load_images(self.folder)
        return TorchClassifier(checkpoint.load_network(self.folder), images, self.config.classes)

    def evaluation(self, scores: Scores | LineScores | FindScores) -> Evaluation:
        """Return the scores of `finish` with the model and the digits: what `report_run` makes the run's report of.

        Raises TrainingError for scores of a line reader or a page network, which have no report.
        """
        if not isinstance(scores, Scores):
            raise TrainingError(f"{self.folder}: only networks that classify digits have a report; see {SCORES}")
        model = Model(str(self.folder), self._classifier(), load_json(self.folder / CONFIG), self.folder)
        rows, source = self.parts.test_rows, self.config.data
        return Evaluation(
            model,
            source,
            self.parts.test,
            scores,
            picture=self.folder / CONFUSION,
            files=files_of(source),
            held_out=not np.array_equal(rows, np.arange(len(rows))),  # of a source without a test part
            refused=None,
        )


def start(
    config: TrainConfig,
    out: Path | None = None,
    data_dir: str | Path | None = None,
    threads: int | None = None,
    measure: bool = False,
) -> Run:
    """Create a new run: load its digits, create its folder and record all settings.

    out: a new or empty folder; by default the first free one of run/RECIPE-1, -2, ... Under torchrun --max-restarts it
    is required, and a run with the same settings in it is resumed, because processes are restarted with the same
    arguments.
    threads: of PyTorch on a CPU, by default as many as it has. measure: measure the speed, which takes a second at
    most; without `threads` it decides how many.
    Raises DataError if the digits are not available, TrainingError if `out` is in use.
    """
    if out is None and distributed.restarts():
        raise TrainingError("torchrun --max-restarts requires --out, so that a restart finds the run's folder")
    config = resolve(config)
    if trained_on_all(asdict(config), config.data):
        raise DataError(
            f"{config.data}: recipe {config.recipe} trains on the whole data set, so no test data is left; "
            "choose other data or another recipe"
        )
    named(config.augment)
    if config.start_from:
        first = config.start_from
        first = first if first in built_in() else str(Path(first).expanduser().absolute())
        config = replace(config, start_from=first, model=beginning(first).model)
    elif is_own(config.model):
        path, inside = split(config.model)
        config = replace(config, model=f"{path.absolute()}:{inside}")
    config = with_sources(config, data_dir)
    parts = own_parts(config, data_dir)
    config = replace(config, classes=classes_of(config, parts))
    parts = in_classes(parts, config.classes, config.data)
    if is_own(config.model):
        check_network(new_network(config), len(config.classes))
    config = replace(with_epochs(config, len(parts.train)), data=_anywhere(config.data))
    most = torch.get_num_threads()
    speed = fastest(config, len(parts.train), [threads] if threads else counts(most)) if measure else None
    chosen = speed is not None and threads is None
    threads = speed.threads if speed else threads or most
    more = {"threads": threads, "threads_measured": chosen, "processes": distributed.size()}
    settings = asdict(config) | {"classes": list(config.classes)}  # as JSON has them
    about = settings | {"data_sha256": parts.sha256} | environment("torch", "numpy") | more
    folder = Path(distributed.from_first(lambda: str(_new_folder(out, config, about))))
    warn_of_few(config.data, parts.train)
    return Run(folder, config, assemble(config, parts, data_dir), threads, chosen, speed.step if speed else None)


def _new_folder(out: Path | None, config: TrainConfig, about: Mapping[str, Any]) -> Path:
    """Make a run's folder, with a copy of a network's code that the user has named, and trusts therefore."""
    folder = new_folder(out, config.recipe, about)
    if is_own(config.model):
        code = Path(config.start_from) / SOURCE if config.start_from else split(config.model)[0]
        write_atomic(folder / SOURCE, source(code))
        trust(folder / SOURCE)
    return folder


def _anywhere(data: str) -> str:
    """Return a data set's name as it is, and a path so that it is found from any folder."""
    return data if data in DATASETS else str(Path(data).expanduser().absolute())


def reopen(
    folder: Path,
    device: str | None = None,
    data_dir: str | Path | None = None,
    data: str | None = None,
    augment: str | None = None,
) -> Run:
    """Open an unfinished run to resume it, optionally on another device.

    data: the present path of the run's digits, if they have moved; the configuration is updated. augment: that of the
    run, which must be given where it is a function of your own: only code that you name is run.
    Raises ModelError if `folder` is not a run, TrainingError if it is finished or its data has changed.
    """
    require_unfinished(folder)
    saved = load_json(folder / CONFIG)
    names = {field.name for field in fields(TrainConfig)}
    try:
        config = TrainConfig(**{name: value for name, value in saved.items() if name in names})
    except TypeError as error:
        raise TrainingError(f"{folder / CONFIG}: not a run's configuration ({error})") from error
    if not {"data", "data_sha256"} <= saved.keys():
        raise TrainingError(f"{folder / CONFIG}: not a run's configuration (no data or data_sha256)")
    if config.augment not in (*AUGMENTATIONS, augment):
        raise TrainingError(f"{folder}: was trained with --augment {config.augment}, which is code; give it again")
    if augment not in (None, config.augment):
        raise TrainingError(f"--resume uses the settings of {folder}; omit --augment {augment}")
    config = resolve(replace(config, device=device or config.device, data=_anywhere(data or config.data)))
    parts = in_classes(splits(config.data, data_dir), config.classes, config.data)
    if saved["data_sha256"] != parts.sha256:
        raise TrainingError(f"{config.data}: not the digits that {folder} was trained on; name those with --data")
    if config.data != saved["data"]:
        save_json(folder / CONFIG, saved | {"data": config.data})
    threads = saved.get("threads")
    if not isinstance(threads, int) or threads < 1 or distributed.size() > 1:
        threads = None
    return Run(folder, config, assemble(config, parts, data_dir), threads, bool(saved.get("threads_measured")))
