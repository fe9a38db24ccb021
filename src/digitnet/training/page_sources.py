"""What pages to find numbers on are composed with: the hands of `line_sources`, and printed faces beside them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from digitnet.core.digits import Digits
from digitnet.data import fonts
from digitnet.data.datasets import get
from digitnet.data.pages.compose import Composed, PageComposer
from digitnet.data.pages.printing import Face, draw_face, typefaces
from digitnet.data.pages.writers import Writers
from digitnet.training import line_sources
from digitnet.training.line_sources import Sources

PAGE_SIZE = 640
"""Height and width of the pages, pixels."""

VALIDATION, WATCHED = 300, 48
"""Pages to score on, and those that every epoch is scored on while training."""

FOREIGN = ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSansMono")
"""Those of them whose other scripts are printed, too."""

ODD = (
    *("monoton", "bungee-shade", "nosifer", "creepster", "unifrakturmaguntia"),
    *("fredericka-the-great", "cabin-sketch"),
)
"""Printed fonts whose numbers are hardly to be read."""


@dataclass(frozen=True)
class PageSources:
    """What pages are written and printed with, and their height and width in pixels."""

    hands: Sources
    faces: Sequence[Face]
    side: int = PAGE_SIZE

    def composer(self, seed: int) -> PageComposer:
        """Return a composer of pages; a seed gives the same pages."""
        hands = self.hands
        writers = Writers(hands.groups, hands.signs, hands.letters, np.random.default_rng(seed))
        return PageComposer(writers, self.faces, (self.side, self.side))

    def pages(self, count: int = VALIDATION) -> Iterator[Composed]:
        """Compose `count` pages, always the same."""
        composer = self.composer(0)
        return (composer.page() for _ in range(count))


def learning(digits: Digits, data_dir: str | Path | None = None) -> PageSources:
    """Return all hands but those held out, with `digits` for MNIST's. Raises DataError where a source is missing."""
    return PageSources(line_sources.learning(digits, data_dir), faces(data_dir))


def unseen(digits: Digits, data_dir: str | Path | None = None) -> PageSources:
    """Return the hands held out, and `digits` that were not learnt from, to validate on. Raises as `learning`."""
    return PageSources(line_sources.unseen(digits, data_dir), faces(data_dir))


def faces(data_dir: str | Path | None = None) -> list[Face]:
    """Draw the printed faces: matplotlib's, and those of the set `fonts`. Raises DataError where that is missing."""
    printed = [draw_face(path, scripts=path.stem in FOREIGN) for path in typefaces()]
    files = get(fonts.FONTS, data_dir)[len(fonts.FONTS.hand) :]
    named = zip(fonts.FONTS.printed, files, strict=True)
    return printed + [draw_face(path) for font, path in named if font.name not in ODD]
