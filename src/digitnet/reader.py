"""The main job, reading: `read("photo.jpg").text`; `Reader().read(...)` for many pictures.

A page is looked at for regions that hold a number each (`find.py`). A line reader says what is written in each
(`runtime.LineReader`), a decoder which numbers that can be (`decode.py`) and the classifier of single digits whether
these are digits at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path as FilePath

import cv2
import numpy as np
from numpy.typing import NDArray

from digitnet import image
from digitnet.decode import Path, align, decode, digit_probs
from digitnet.digits import SIDE, STRIP
from digitnet.find import Region, find, whole
from digitnet.frame import frame, strip
from digitnet.reading import Box, Digit, Number, Reading
from digitnet.rules import Rules
from digitnet.runtime import LINE, Columns, classifier, line_reader

TRUSTED = 0.95
"""Confidence below which reasons for doubt are looked for."""

ALTERNATIVES = 5
"""Most texts that a number may have, the best one included."""

NOTABLE = 0.01
"""Probability below which another value of a digit is not told."""

WIDEST = 4_000
"""Width to which longer strips are squeezed, pixels: a hundred digits."""


class Reader:
    """Reads pictures; opening the models takes some 0.1 s, so make one and keep it. Safe to share between threads."""

    def __init__(self, line: str | FilePath = LINE, digits: str | FilePath = "strong", threads: int = 0) -> None:
        """Open the models: built-in names or `.onnx` files. threads: for one picture, 0 for as many as there are cores.

        Raises ModelError where there is no such model.
        """
        self.line = line_reader(line, threads)
        self.digits = classifier(digits, threads)

    def read(
        self, source: image.Source, *, single: bool = False, rules: Rules | None = None, name: str | None = None
    ) -> Reading:
        """Read a picture of one page.

        source: whatever `image.page` takes: a path, bytes, a stream, a Pillow image or an array.
        single: the picture holds one number and nothing else; then there is one number in the answer, without text
            where nothing could be read. Else numbers are looked for, and what is none is left out.
        rules: what every number must be. The answer says where they changed what the image says.

        Raises ImageError as `image.page` does.
        """
        return self.read_page(image.page(source, name), single=single, rules=rules)

    def read_pages(
        self, source: image.Source, *, single: bool = False, rules: Rules | None = None, name: str | None = None
    ) -> Iterator[Reading]:
        """Read every page of a TIFF or PDF, one after the other; otherwise as `read`."""
        for page in image.pages(source, name):
            yield self.read_page(page, single=single, rules=rules)

    def read_page(self, page: NDArray[np.uint8], *, single: bool = False, rules: Rules | None = None) -> Reading:
        """Read a page (h, w) uint8, 0 black .. 255 white; otherwise as `read`."""
        regions, _, answers = self._look(page, single)
        drafts = [_draft(region, columns, rules) for region, columns in zip(regions, answers, strict=True)]
        glyphs = [frame(_crop(draft.region.ink, box)) for draft in drafts for box in draft.boxes]
        digitness = self.digits.digitness(np.array(glyphs, np.uint8).reshape(-1, SIDE, SIDE))
        numbers, start = [], 0
        for draft in drafts:
            its = digitness[start : start + len(draft.boxes)]
            start += len(draft.boxes)
            if single or (draft.paths and draft.boxes and its.max() >= self.digits.threshold):
                numbers.append(self._number(draft, page, its))
        return Reading(tuple(numbers), page, str(rules) if rules else None)

    def look(self, page: NDArray[np.uint8], *, single: bool = False) -> list[tuple[NDArray[np.uint8], Columns]]:
        """Return what the line reader is given of a page, (STRIP, w) uint8 each, and what it says; see `explain`."""
        _, strips, answers = self._look(page, single)
        return list(zip(strips, answers, strict=True))

    def _look(
        self, page: NDArray[np.uint8], single: bool
    ) -> tuple[list[Region], list[NDArray[np.uint8]], list[Columns]]:
        regions = [whole(page)] if single else find(page)
        strips = [strip(region.ink, WIDEST) for region in regions]
        return regions, strips, self.line(strips)

    def _number(self, draft: _Draft, page: NDArray[np.uint8], digitness: NDArray[np.float32]) -> Number:
        """Return a number with all that is known of it."""
        region, alone = draft.region, draft.alone
        if not draft.boxes:
            return Number("", 0.0, region.box, reasons=("not_a_digit",), seen=alone or None)
        text, sure = draft.paths[0].text, draft.paths[0].probability
        digits = []
        for value, box, row in zip(map(int, text), draft.boxes, digit_probs(draft.log_probs, text), strict=True):
            order = [
                int(other) for other in np.argsort(-row, kind="stable") if other != value and row[other] >= NOTABLE
            ]
            others = tuple((other, float(row[other])) for other in order)
            digits.append(Digit(value, float(row[value]), _to_page(region, box, page.shape), others))
        return Number(
            text,
            sure,
            _around([digit.box for digit in digits]),
            tuple(digits),
            tuple((path.text, path.probability) for path in draft.paths[1:]),
            () if sure >= TRUSTED else self._reasons(draft, page, digitness),
            alone if alone != text else None,
        )

    def _reasons(self, draft: _Draft, page: NDArray[np.uint8], digitness: NDArray[np.float32]) -> tuple[str, ...]:
        """Return why a number should not be trusted, as far as that can be told."""
        region, boxes, found = draft.region, draft.boxes, []
        if (digitness < self.digits.threshold).any():
            found.append("not_a_digit")
        if any(one[2] - other[0] > 0.15 * (one[2] - one[0]) for one, other in pairwise(boxes)):
            found.append("touching")
        left, top, right, bottom = region.box
        ink = region.ink
        strong = ink > 127
        slope = cv2.magnitude(cv2.Sobel(ink, cv2.CV_32F, 1, 0), cv2.Sobel(ink, cv2.CV_32F, 0, 1)) / 8
        if strong.any() and np.percentile(slope[strong], 90) < 25:
            found.append("blurred")
        if left <= 0 or top <= 0 or right >= page.shape[1] or bottom >= page.shape[0]:
            found.append("cut_off")
        part = page[max(0, top) : bottom, max(0, left) : right]
        if part.size and np.ptp(np.percentile(part, (2, 98))) < 50:
            found.append("faint")
        if np.median([box[3] - box[1] for box in boxes]) < 14:
            found.append("too_small")
        return tuple(found)


@dataclass(frozen=True)
class _Draft:
    """What a region says: the texts it may show, most probable first, what it says without rules, where digits are.

    boxes: of the best text's digits, in pixels of the region's ink.
    """

    region: Region
    log_probs: NDArray[np.float32]
    paths: list[Path]
    alone: str
    boxes: list[Box]


def _draft(region: Region, columns: Columns, rules: Rules | None) -> _Draft:
    log_probs = columns.log_probs
    paths = decode(log_probs, rules, ALTERNATIVES)
    text = paths[0].text if paths else ""
    alone = decode(log_probs, None, 1)[0].text if rules else text
    boxes = []
    height, width = region.ink.shape
    down = height / STRIP
    across = width / max(8, min(round(width / down), WIDEST))  # as `strip` scales
    for digit, (start, stop) in zip(text, align(log_probs, text), strict=True):
        column = start + int(log_probs[start:stop, int(digit)].argmax())
        left, top, right, bottom = columns.boxes[column]
        x0, x1 = (min(max(round(float(x) * across), 0), width) for x in (left, right))
        y0, y1 = (min(max(round(float(y) * down), 0), height) for y in (top, bottom))
        boxes.append((min(x0, width - 1), min(y0, height - 1), max(x1, x0 + 1), max(y1, y0 + 1)))
    return _Draft(region, log_probs, paths, alone, boxes)


def _crop(ink: NDArray[np.uint8], box: Box) -> NDArray[np.uint8]:
    left, top, right, bottom = box
    return np.pad(ink[top:bottom, left:right], 2)


def _to_page(region: Region, box: Box, shape: tuple[int, ...]) -> Box:
    """Return a box of the region's ink as the box around it in pixels of the page."""
    left, top, right, bottom = box
    corners = np.array([[left, right, left, right], [top, top, bottom, bottom], [1, 1, 1, 1]])
    x, y = region.to_page @ corners
    height, width = shape
    x0, y0 = (int(np.clip(np.floor(v.min()), 0, limit - 1)) for v, limit in ((x, width), (y, height)))
    x1, y1 = (int(np.clip(np.ceil(v.max()), low + 1, limit)) for v, low, limit in ((x, x0, width), (y, y0, height)))
    return x0, y0, x1, y1


def _around(boxes: Sequence[Box]) -> Box:
    left, top, right, bottom = zip(*boxes, strict=True)
    return min(left), min(top), max(right), max(bottom)


@lru_cache(1)
def _reader() -> Reader:
    return Reader()


def read(source: image.Source, *, single: bool = False, rules: Rules | None = None) -> Reading:
    """Read a picture of one page with the built-in models; see `Reader.read`."""
    return _reader().read(source, single=single, rules=rules)
