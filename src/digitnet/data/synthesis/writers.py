"""Writers for `composer.py`: digits grouped by pen and slant, fonts, and synthetic handwriting."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from digitnet.core.digits import Digits
from digitnet.data.synthesis.strokes import Hand

Glyph = NDArray[np.uint8]
"""One digit or sign, (h, w) uint8, 0 paper .. 255 ink, cut to its ink."""

Writer = Sequence[Sequence[Glyph]]
"""For each digit 0..9 the ways this writer writes it."""

Group = tuple[float, Sequence[Writer]]
"""How often a number's writer is of this group, and the writers."""


def styles(digits: Digits, pens: int = 6, slants: int = 3) -> list[Writer]:
    """Sort labelled digits into `pens` * `slants` writers alike in stroke and slant: each looks like one hand."""
    glyphs = [cut(image) for image in digits.images]
    images = digits.images.astype(np.float32)
    mass = images.sum(axis=(1, 2)) + 1e-6
    edge = np.abs(np.diff(images, axis=2)).sum(axis=(1, 2)) + np.abs(np.diff(images, axis=1)).sum(axis=(1, 2))
    thickness = mass / (edge + 1e-6)
    y, x = np.mgrid[: images.shape[1], : images.shape[2]].astype(np.float32)
    cx, cy = (images * x).sum(axis=(1, 2)) / mass, (images * y).sum(axis=(1, 2)) / mass
    dx, dy = x - cx[:, None, None], y - cy[:, None, None]
    slant = -(images * dx * dy).sum(axis=(1, 2)) / ((images * dy * dy).sum(axis=(1, 2)) + 1e-6)
    writers: list[list[list[Glyph]]] = [[[] for _ in range(10)] for _ in range(pens * slants)]
    for value in range(10):
        rows = np.flatnonzero(digits.labels == value)
        if len(rows) < pens * slants:
            raise ValueError(f"{len(rows)} digits {value}, need at least {pens * slants}")
        by_pen = np.array_split(rows[np.argsort(thickness[rows], kind="stable")], pens)
        for pen, some in enumerate(by_pen):
            by_slant = np.array_split(some[np.argsort(slant[some], kind="stable")], slants)
            for lean, few in enumerate(by_slant):
                writers[pen * slants + lean][value] = [glyphs[row] for row in few]
    return list(writers)


def by_font(digits: Digits) -> list[Writer]:
    """Return a writer a font from the digits that `fonts.digits` draws, font by font."""
    labels = digits.labels if digits.labels is not None else np.zeros(0, np.uint8)
    starts = [0, *np.flatnonzero((labels[1:] == 0) & (labels[:-1] == 9)) + 1, len(labels)]
    writers = []
    for start, stop in pairwise(starts):
        rows = [start + np.flatnonzero(labels[start:stop] == value) for value in range(10)]
        writers.append([[cut(digits.images[row]) for row in some] for some in rows])
    return list(writers)


def inventions(count: int, seed: int = 0) -> list[Writer]:
    """Invent `count` writers from the shapes of `strokes.SHAPES`, each with two versions of every digit."""
    rng = np.random.default_rng(seed)
    writers = []
    for _ in range(count):
        hand = Hand(rng)
        writers.append([[hand.write(value) for _ in range(2)] for value in range(10)])
    return list(writers)


def cut(image: NDArray[np.uint8]) -> Glyph:
    """Return an image cut to its ink, or whole where it has none."""
    rows, columns = np.flatnonzero(image.max(axis=1) > 40), np.flatnonzero(image.max(axis=0) > 40)
    return image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] if len(rows) and len(columns) else image
