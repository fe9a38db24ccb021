"""A line reader learns from numbers that people have read: `learn(lessons).save(Path("mine/line.onnx"))`.

The sheets are dealt into parts. For each part a reader learns from the other parts and then reads that part, which it
has not seen. These readings decide whether the result is kept: a reader whose weights are the means of all of them.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from digitnet.core.digits import STRIP_HEIGHT
from digitnet.core.errors import TrainingError
from digitnet.core.lessons import Lesson
from digitnet.core.provenance import environment
from digitnet.core.text import percent
from digitnet.data.synthesis.texts import ALPHABET
from digitnet.evaluation.comparison import mcnemar
from digitnet.evaluation.line_metrics import LineScores
from digitnet.evaluation.strip_scoring import score_columns
from digitnet.imaging.normalization import strip
from digitnet.models.networks import LineNet
from digitnet.models.onnx_models import LINE, WEIGHTS, LineReader, only_digits, with_rare_signs
from digitnet.training.halving import halved
from digitnet.training.line_export import logits_of, temperature, write_lines
from digitnet.training.line_loop import digit_losses
from digitnet.training.line_sources import at_hand
from digitnet.training.line_tuning import line_network, mean, seen_lessons, seen_lines, tune

log = logging.getLogger("digitnet")

PARTS = 4
"""Parts into which sheets are dealt."""

COMPOSED, CHECKED = 1_200, 500
"""Composed lines that are learnt from, and others that are read before and after."""

CERTAINTY = 0.95
"""With which a reader that is kept is better on held-out numbers; and not worse on composed lines."""


@dataclass(frozen=True)
class Change:
    """Readings of the same numbers by the reader before and after learning."""

    before: LineScores
    after: LineScores

    @property
    def mended(self) -> int:
        """Numbers that only the reader after learning reads correctly."""
        return int((self.after.right & ~self.before.right).sum())

    @property
    def broken(self) -> int:
        """Numbers that only the reader before learning reads correctly."""
        return int((self.before.right & ~self.after.right).sum())

    @property
    def better(self) -> bool:
        """Whether it reads better, with `CERTAINTY`, by the exact one-sided sign test."""
        return _more(self.mended, self.broken)

    @property
    def worse(self) -> bool:
        """Whether it reads worse, as `better`."""
        return _more(self.broken, self.mended)

    def __str__(self) -> str:
        """Return the shares that are wrong, and how many numbers changed."""
        before, after = percent(1 - self.before.accuracy), percent(1 - self.after.accuracy)
        changed = f"{self.mended:,} mended, {self.broken:,} broken"
        return f"{before} of {self.before.n:,} wrong before, {after} after ({changed})"


@dataclass(frozen=True)
class Learnt:
    """A line reader that has learnt from people, and how well it reads.

    own: readings of the numbers that people have read, each by a reader that has not learnt from its sheet. composed:
    of composed lines.
    """

    own: Change
    composed: Change
    network: LineNet
    temperature: float
    about: dict[str, Any]

    @property
    def kept(self) -> bool:
        """Whether it is to be used: it reads people's numbers better and composed lines not worse."""
        return self.own.better and not self.composed.worse

    @property
    def verdict(self) -> str:
        """Whether the new reader is kept, and why."""
        if self.composed.worse:
            return f"not kept: it reads composed lines worse, with {CERTAINTY:.0%} certainty"
        if not self.own.better:
            return f"not kept: it is not better on held-out numbers with {CERTAINTY:.0%} certainty; review more of them"
        return f"kept: it is better on held-out numbers, with {CERTAINTY:.0%} certainty"

    def save(self, path: Path) -> None:
        """Write the reader as an `.onnx` file, atomically."""
        strips = [np.zeros((STRIP_HEIGHT, 80), np.uint8), np.eye(STRIP_HEIGHT, 160, 40, np.uint8) * 255]
        write_lines(self.network, self.temperature, strips, self.about, path)


def learn(lessons: Sequence[Lesson], *, line: str | Path = LINE, data_dir: str | Path | None = None) -> Learnt:
    """Let a line reader learn from lessons, and measure what it has learnt.

    line: the reader to begin with: "line", the built-in one, or a file. data_dir: the folder of the named data sets
    that lines are composed with; the log names those that are not there. Takes minutes on a CPU. Raises TrainingError
    where the lessons are of one sheet, ModelError where the line reader is not one that can learn.
    """
    parts = dealt([lesson.sheet for lesson in lessons])
    if len(parts) < 2:
        raise TrainingError(f"{len(lessons):,} numbers of {len(parts)} files: learning needs two or more; review more")
    path = WEIGHTS / f"{LINE}.onnx" if str(line) == LINE else Path(line)
    reader, network = LineReader(path), line_network(path)
    taught, tested, missing = at_hand(data_dir)
    if missing:
        log.info("Lines are composed without %s, which this machine does not have", ", ".join(missing))
    scribe = taught.scribe(1)
    mine, known = seen_lessons(network, lessons), seen_lines(network, [scribe.line() for _ in range(COMPOSED)])
    networks, answers = [], dict[int, Tensor]()
    for number, part in enumerate(parts, 1):
        log.info("Learning, part %d of %d", number, len(parts))
        others = [row for other in parts if other is not part for row in other]
        networks.append(tune(network, mine, others, known, number))
        answers |= zip(part, logits_of(networks[-1], [lessons[row].strip for row in part]), strict=True)
    final = halved(mean(networks))
    lines = tested.lines(CHECKED)
    own = _Set([lesson.strip for lesson in lessons], [lesson.digits for lesson in lessons])
    other = _Set([strip(255 - line.image) for line in lines], [line.text for line in lines])
    said = [answers[row] for row in range(len(lessons))], logits_of(final, other.strips)
    heat = _temperature(list(zip(said, (own.digits, other.digits), strict=True)))
    changes = own.change(reader, said[0], heat), other.change(reader, said[1], heat)
    about = {"name": "line", "model": "line", "recipe": "learn", "begun_with": reader.sha256, "lessons": len(lessons)}
    about |= {"held_out": str(changes[0]), "composed": str(changes[1]), **environment("torch", "numpy")}
    return Learnt(*changes, final, heat, about)


def dealt(sheets: Sequence[str]) -> list[list[int]]:
    """Deal numbers into at most `PARTS` parts of like size, those of one sheet into one; return the rows of each."""
    rows: dict[str, list[int]] = {}
    for row, sheet in enumerate(sheets):
        rows.setdefault(sheet, []).append(row)
    names = sorted(rows)
    np.random.default_rng(0).shuffle(names)
    parts: list[list[int]] = [[] for _ in range(min(PARTS, len(names)))]
    for name in sorted(names, key=lambda name: -len(rows[name])):
        min(parts, key=len).extend(rows[name])
    return parts


@dataclass(frozen=True)
class _Set:
    """Numbers: their strips and what is written."""

    strips: list[NDArray[np.uint8]]
    digits: list[str]

    def change(self, reader: LineReader, logits: Sequence[Tensor], heat: float) -> Change:
        """Return how a reader reads them, and how these logits do at a temperature."""
        before = score_columns((columns.log_probs for columns in reader(self.strips)), self.digits)
        after = ((each / heat).log_softmax(1).numpy() for each in logits)
        return Change(
            before,
            score_columns((only_digits(with_rare_signs(each, ALPHABET), ALPHABET) for each in after), self.digits),
        )


def _temperature(sets: Sequence[tuple[Sequence[Tensor], Sequence[str]]]) -> float:
    """Return the temperature that suits the digits of all sets best, each set counting the same."""
    every = [logits for answers, _ in sets for logits in answers]
    texts = [text for _, digits in sets for text in digits]
    weights = torch.cat([torch.full((len(digits),), 1 / len(digits)) for _, digits in sets])
    return temperature(every, lambda logits, columns: (weights * digit_losses(logits, columns, texts)).sum())


def _more(often: int, seldom: int) -> bool:
    return often > seldom and mcnemar(often, seldom) / 2 <= 1 - CERTAINTY
