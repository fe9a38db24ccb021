"""The writers of the line reader's training data: pen trajectories, MNIST, fonts, synthetic handwriting, some print.

Some writers and digits are held out: reading is validated and calibrated on hands that it has not seen.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from digitnet.core.digits import IMAGE_SIZE, Digits
from digitnet.data import unipen
from digitnet.data.datasets import TRAJECTORIES, find, load, splits
from digitnet.data.fonts import FONTS, LETTERS, FontSet
from digitnet.data.mnist import MNIST, Dataset
from digitnet.data.pages.printing import draw_face, typefaces
from digitnet.data.synthesis.scribe import Glyph, Hand, Scribe, Written
from digitnet.data.synthesis.strokes import DRAWN_SIGNS, inventions, ticks
from digitnet.data.synthesis.texts import TICK
from digitnet.data.synthesis.writers import Writer, by_font, styles
from digitnet.data.unipen import Collection, Trajectory, held_out
from digitnet.imaging.normalization import frame

SHARES = {"pens": 0.37, "mnist": 0.165, "fonts": 0.07, "inventions": 0.365, "print": 0.03}
"""How many numbers are written by hands of each source."""

INVENTED = 4_000
"""Invented hands that numbers are learnt from."""

INVENTED_TICKS = 400
"""Invented check marks, which the trajectories lack."""

MARKS = (TICK, "?", "+", "=", "*", "%", "#")
"""Signs that stand alone and are not digits."""

MARK_SHARES = (3, 2, 2, 1, 1, 1, 1, 1)
"""How often letters are drawn, and each of `MARKS`, among images that are not digits."""

MIN_OWN_DIGITS = 20
"""Digits that a writer must have left to be a hand of their own; those of others are put together."""

VALIDATION, WATCHED = 1_000, 250
"""Lines to calibrate and score on, and those of them that every epoch is scored on while training."""


@dataclass(frozen=True)
class Sources:
    """What a scribe writes with; see `scribe.Scribe`."""

    groups: tuple[tuple[float, Sequence[Hand]], ...]
    signs: Hand
    letters: Hand

    def scribe(self, seed: int) -> Scribe:
        """Return a scribe that writes with these hands."""
        return Scribe(self.groups, self.signs, self.letters, seed)

    def lines(self, count: int = VALIDATION) -> list[Written]:
        """Return `count` lines with something to read, always the same."""
        scribe = Scribe(self.groups, self.signs, self.letters, 0, nothing=0)
        return [scribe.line() for _ in range(count)]


def learning(digits: Digits, data_dir: str | Path | None = None) -> Sources:
    """Return all hands but those held out, with `digits` for MNIST's. Raises DataError where a source is missing."""
    pens, signs, letters = _pens(unipen.load(data_dir), False)
    groups = (
        (SHARES["pens"], pens),
        (SHARES["mnist"], _named(styles(digits))),
        (SHARES["fonts"], _named(by_font(load("fonts", "all", data_dir)))),
        (SHARES["inventions"], inventions(INVENTED)),
        (SHARES["print"], printed()),
    )
    return Sources(groups, signs, letters)


def unseen(digits: Digits, data_dir: str | Path | None = None) -> Sources:
    """Return the hands held out, and `digits` that were not learnt from, to validate on. Raises as `learning`."""
    pens, signs, letters = _pens(unipen.load(data_dir), True)
    return Sources(((0.7, pens), (0.3, _named(styles(digits, 3, 1)))), signs, letters)


def at_hand(data_dir: str | Path | None = None) -> tuple[Sources, Sources, list[str]]:
    """Return hands to learn from, others held out, and the names of the data sets that are not on this machine.

    Nothing is downloaded: what is missing is left out; invented hands are always there.
    """
    learn: dict[str, Sequence[Hand]] = {"inventions": inventions(INVENTED // 8), "print": printed()}
    held: dict[str, Sequence[Hand]] = {"inventions": inventions(INVENTED // 40, 1)}
    signs: list[Hand] = [{**DRAWN_SIGNS, TICK: ticks(INVENTED_TICKS // 8, seed)} for seed in (0, 1)]
    letters: list[Hand] = [{}, {}]
    missing = []
    if unipen.find(data_dir) is None:
        missing.append(TRAJECTORIES)
    else:
        collection = unipen.load(data_dir)
        for place, hands in enumerate((learn, held)):
            hands["pens"], signs[place], letters[place] = _pens(collection, hands is held)
    if _is_here(MNIST, data_dir):
        parts = splits(MNIST.name, data_dir)
        learn["mnist"], held["mnist"] = _named(styles(parts.train)), _named(styles(parts.valid, 3, 1))
    else:
        missing.append(MNIST.name)
    if _is_here(FONTS, data_dir):
        learn["fonts"] = _named(by_font(load(FONTS.name, "all", data_dir)))
    else:
        missing.append(FONTS.name)
    taught, tested = (
        Sources(tuple((SHARES[name], its) for name, its in hands.items()), signs[place], letters[place])
        for place, hands in enumerate((learn, held))
    )
    return taught, tested, missing


def _is_here(dataset: Dataset | FontSet, data_dir: str | Path | None) -> bool:
    return all(find(dataset, file, data_dir) for file in dataset.files)


def pen_digits(count: int, data_dir: str | Path | None = None, held: bool = False, seed: int = 0) -> Digits:
    """Draw `count` digits from pen trajectories, as many of each, framed as MNIST's; the same seed gives the same.

    held: by the writers held out, instead of by all others. Raises DataError where there are no trajectories.
    """
    hands, signs, letters = _pens(unipen.load(data_dir), held)
    scribe = Scribe(((1.0, hands),), signs, letters, seed)
    labels = np.arange(count, dtype=np.uint8) % 10
    images = [frame(scribe.digit(int(label))) for label in labels]
    return Digits(np.array(images, np.uint8).reshape(-1, IMAGE_SIZE, IMAGE_SIZE), labels)


def pen_marks(count: int, data_dir: str | Path | None = None, held: bool = False, seed: int = 0) -> Digits:
    """Draw `count` images that are not digits from pen trajectories: letters, signs, check marks; else as `pen_digits`.

    Letters are those of `fonts.LETTERS`, which do not look like digits.
    """
    _, signs, letters = _pens(unipen.load(data_dir), held)
    kinds = [[one for letter in LETTERS for one in letters.get(letter, ())], *(signs.get(mark, []) for mark in MARKS)]
    scribe = Scribe(((1.0, [{str(kind): ways for kind, ways in enumerate(kinds)}]),), signs, letters, seed)
    there = [kind for kind, share in enumerate(MARK_SHARES) for _ in range(share if kinds[kind] else 0)]
    images = [frame(scribe.digit(kind)) for kind in np.resize(there, count).tolist()]
    return Digits(np.array(images, np.uint8).reshape(-1, IMAGE_SIZE, IMAGE_SIZE))


def printed() -> list[Hand]:
    """Return the digits of matplotlib's faces, each as one hand."""
    faces = [draw_face(path) for path in typefaces()]
    return [{digit: [face.glyphs[digit][0]] for digit in map(str, range(10))} for face in faces]


def _named(writers: Iterable[Writer]) -> list[Hand]:
    return [{str(value): list(ways) for value, ways in enumerate(writer)} for writer in writers]


def _pens(collection: Collection, held: bool) -> tuple[list[Hand], Hand, Hand]:
    """Return the hands of writers held out, or of all others; all their signs; their letters and words."""
    own: dict[str, dict[str, list[Glyph]]] = defaultdict(lambda: defaultdict(list))
    signs: dict[str, list[Glyph]] = defaultdict(list)
    letters: dict[str, list[Glyph]] = defaultdict(list)

    def kept(trajectories: Sequence[Trajectory]) -> Iterable[Trajectory]:
        return (one for one in trajectories if held_out(one.writer) == held)

    for one in kept(collection.digits):
        own[one.writer][one.label].append(one.strokes)
    for one in kept(collection.signs):
        signs[one.label].append(one.strokes)
        if one.writer in own:
            own[one.writer][one.label].append(one.strokes)
    signs[TICK] += ticks(INVENTED_TICKS, seed=int(held))
    for one in kept(collection.writing):
        letters[one.label].append(one.strokes)
    pool: dict[str, list[Glyph]] = defaultdict(list)
    hands: list[Hand] = []
    for hand in own.values():
        if sum(len(ways) for label, ways in hand.items() if label.isdigit()) >= MIN_OWN_DIGITS:
            hands.append(dict(hand))
        else:
            for label, ways in hand.items():
                pool[label] += ways
    return hands + [dict(pool)] * max(1, len(hands) // 10), dict(signs), dict(letters)
