"""Composed pages to train the page network on: everything that users photograph or scan, with known positions.

A page is a sheet of some paper on which a few blocks stand: numbers, tables, boxes of one digit each, forms,
flowcharts, notes, print, pictures; then it is photographed. All randomness comes from one numpy generator.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from digitnet.data.pages import forms
from digitnet.data.pages.author import Author, Rect
from digitnet.data.pages.charts import flowchart, pictures
from digitnet.data.pages.documents import bubbles, document, form, notes, printed_number
from digitnet.data.pages.numbers import numbers, single
from digitnet.data.pages.photo import paper, photograph
from digitnet.data.pages.printing import Face
from digitnet.data.pages.sheet import PICTURE, Mark, Sheet
from digitnet.data.pages.tables import boxes, table
from digitnet.data.pages.writers import Writers

BLOCKS: tuple[tuple[float, Callable[[Author, Sheet, Rect], None]], ...] = (
    (0.22, numbers),
    (0.13, table),
    (0.14, boxes),
    (0.10, form),
    (0.10, flowchart),
    (0.09, notes),
    (0.07, document),
    (0.03, bubbles),
    (0.06, single),
    (0.06, pictures),
)
"""What stands on pages, and how often."""


@dataclass(frozen=True, eq=False)
class Composed:
    """A page and its truth. image: (h, w, 3) uint8. kinds: (h, w) uint8, see `page_sheet`. marks: its numbers."""

    image: NDArray[np.uint8]
    kinds: NDArray[np.uint8]
    marks: list[Mark]


class PageComposer:
    """Composes pages with the hands and the fonts it is given."""

    def __init__(self, writers: Writers, faces: Sequence[Face], size: tuple[int, int] = (640, 640)) -> None:
        """Take what is written and printed with; size: (h, w) of the pages."""
        self.author, self.size, self.rng = Author(writers, faces), size, writers.rng

    def page(self, way: str | None = None, only: str | None = None) -> Composed:
        """Compose a page; way: how it is photographed; only: the name of the one block on it."""
        rng = self.rng
        height, width = self.size
        way = way or str(rng.choice(["flat", "tilted", "desk", "turned"], p=[0.42, 0.3, 0.2, 0.08]))
        if way == "desk":
            shape = rng.uniform(0.5, 1.0, 2) * (height, width) * rng.uniform(0.9, 1.2)
        else:
            shape = np.array([height, width]) * (
                1.0 if way == "flat" and rng.random() < 0.75 else rng.uniform(1.0, 1.25)
            )
        if only == "surface" or (only is None and rng.random() < 0.05):
            sheet = Sheet(self.author.surfaces(height, width, rng))
            sheet.kinds[:] = PICTURE
            if rng.random() < 0.4:
                self._printed_sign(sheet)
            return Composed(*photograph(sheet, self.size, rng, "flat", self.author.surfaces))
        board = rng.random() < 0.09
        sheet = Sheet(paper(int(shape[0]), int(shape[1]), rng, board))
        self.author.begin(sheet, board or sheet.picture[::16, ::16].mean() < 0.35)
        if rng.random() < (0.3 if not board else 0.1):
            forms.rule_paper(sheet, self.author.tall * rng.uniform(0.7, 2.6), rng)
        if rng.random() < 0.05:
            self._shine_through(sheet)
        self._fill(sheet, only)
        if rng.random() < 0.15:
            forms.specks(sheet, self.author.tall, rng)
        return Composed(*photograph(sheet, self.size, rng, way, self.author.surfaces))

    def _fill(self, sheet: Sheet, only: str | None) -> None:
        rng = self.rng
        margin = 0.02 + 0.06 * rng.random()
        left, top = margin * sheet.width, margin * sheet.height
        right, bottom = sheet.width - left, sheet.height - top
        names = [block.__name__ for _, block in BLOCKS]
        shares = np.array([share for share, _ in BLOCKS])
        count = 1 if only else int(rng.choice((1, 2, 3), p=(0.5, 0.35, 0.15)))
        cuts = np.sort(rng.uniform(0.15, 0.85, count - 1))
        ends = [0.0, *cuts.tolist(), 1.0]
        down = rng.random() < 0.7
        for begin, end in pairwise(ends):
            which = names.index(only) if only else int(rng.choice(len(shares), p=shares / shares.sum()))
            if down:
                rect = (left, top + begin * (bottom - top), right, top + end * (bottom - top) - 0.3 * self.author.tall)
            else:
                rect = (
                    left + begin * (right - left),
                    top,
                    left + end * (right - left) - 0.5 * self.author.tall,
                    bottom,
                )
            if rect[2] - rect[0] > 1.5 * self.author.tall and rect[3] - rect[1] > 1.2 * self.author.tall:
                BLOCKS[which][1](self.author, sheet, rect)
                if rng.random() < 0.25:
                    self.author.ink = self.author.colour(sheet)
                if rng.random() < 0.25:
                    self.author.tall = self.author.height()

    def _printed_sign(self, sheet: Sheet) -> None:
        """Big print on a picture, as on signs and shirts."""
        rng = self.rng
        size = float(np.exp(rng.uniform(np.log(14), np.log(120))))
        if self.author.foreign and rng.random() < 0.3:
            face, text = self.author.foreign_words()
            at = rng.uniform(0, 0.5) * sheet.width, rng.uniform(0.2, 0.9) * sheet.height
            self.author.print(sheet, face, text[:12], at, size, sheet.width, rng.uniform(0, 1, 3))
            return
        text = str(
            rng.choice(["STOP", "EXIT", "Main St", "OPEN", self.author.digits(1, 4), printed_number(self.author)])
        )
        self.author.print(
            sheet,
            self.author.face(),
            text,
            (rng.uniform(0, 0.5) * sheet.width, rng.uniform(0.2, 0.9) * sheet.height),
            size,
            sheet.width,
            rng.uniform(0, 1, 3),
        )

    def _shine_through(self, sheet: Sheet) -> None:
        """The writing on the back of the paper: mirrored, pale, blurred; not to be read."""
        rng = self.rng
        other = Sheet(np.ones_like(sheet.picture))
        tall, writing = self.author.tall, self.author.writers.someone()
        ink = self.author.ink
        for y in np.arange(tall * 2, other.height, tall * rng.uniform(2, 5)):
            pieces = self.author.number() if rng.random() < 0.5 else self.author.text(3)
            self.author.write(
                other,
                writing,
                pieces,
                (rng.uniform(0, 0.5) * other.width, float(y)),
                tall,
                colour=np.zeros(3, np.float32),
            )
        alpha = (1 - other.picture[:, ::-1, 0]) * np.float32(rng.uniform(0.05, 0.22))
        sheet.lay(np.ascontiguousarray(cv2.GaussianBlur(alpha, (0, 0), rng.uniform(0.6, 2))), 0, 0, ink, 0)
