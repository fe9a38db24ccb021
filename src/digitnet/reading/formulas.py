"""Formulas such as (4+5)/2, and assignments such as n=0: their numbers, read in their row with all that is in it.

Alone, a bracket or a slash beside a digit is easily taken for a 1, and a lone digit beside letters is easily missed. In
their row both are clear. Rows that are neither are left as they are. Not covered: fractions one above the other.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from digitnet.core.digits import STRIP_HEIGHT
from digitnet.data.synthesis.texts import OTHER
from digitnet.imaging.crop import picture_of, section
from digitnet.imaging.geometry import same_place
from digitnet.imaging.normalization import strip
from digitnet.imaging.page_find import KINDS, NUMBER, WRITING, Place
from digitnet.imaging.page_regions import gap, joined, region_of
from digitnet.imaging.segmentation import Region
from digitnet.models.onnx_models import Columns, LineReader
from digitnet.reading.candidates import Seen, middle
from digitnet.reading.ctc import decode
from digitnet.reading.effort import MAX_EFFORT, WIDEST, effort
from digitnet.reading.joining import across
from digitnet.reading.spelling import spikes

MAX_GAP = 6.0
"""Between two neighbouring places of a row at most, in heights of their digits: a number between them may be missed."""

ROOM = 2.5
"""Room before and after a row for what was missed there, in heights of its digits."""

HIGHEST = 48
"""Height of a row's picture at most, pixels: a little more than a strip's, since most rows are not formulas."""

LONGEST = 30.0
"""Length of a row at most, in heights of its digits: so long are the lines that the line reader has learned from."""

FORMULA = re.compile(r"[\d)][+=][(-]?\d|\(\d+([.,]\d+)?[-+/?:]\d")
"""A row in which it is found is a formula: digits beside a plus or an equals sign, or an operation in brackets."""

DIGITS = re.compile(r"\d+(?:[.,]\d+)*")
"""A number in the text of a row, with points and commas between its digits."""

ASSIGNMENT = re.compile(r"[=+]\d|=\?+[-/%]\d")
"""A row of handwriting with letters in which it is found has numbers behind signs: n=0, i=i+1, n=n/10."""

BEFORE_VALUES = "=+-/:%"
"""Signs before a number of an assignment."""

MIN_WRITING = 0.2
"""Share of letters in the ink of a line from which it is read as one that may be an assignment."""

WORD = 1.1
"""From the middle of a letter to that of the next one in a word at most, in heights of digits."""

MAX_WORK = MAX_EFFORT / 4
"""Effort that a page's lines may take; see `effort`."""

SURELY, USUAL = np.eye(KINDS, dtype=np.float32)[NUMBER], 0.6
"""Kinds of ink and score of a number behind a sign: its line tells what it is, and the page network often misses it."""

MAX_OTHER = 0.5
"""Marks other than digits and signs at most, for each number of a formula: times signs and names, not words."""

LEGIBLE = 0.55
"""Probability of a row's digits at least, their geometric mean."""

OPERATORS = "+=()"
"""Signs of which a place in a formula often has one at its edge."""

MIN_SIGN = 0.2
"""Length of a sign at least, in heights of its row."""

AROUND, BEYOND = 0.25, 0.25
"""Paper that a number keeps beside its digits: in heights of the row at most, and as a share of the gap to a sign."""


def in_formulas(
    seen: Sequence[Seen], lines: Sequence[Place], page: NDArray[np.uint8], reader: Callable[[], LineReader]
) -> list[Seen]:
    """Return the places of a page, where those of each formula and assignment are replaced by its numbers.

    seen: in reading order. lines: of handwriting. page: (h, w) uint8. reader: gives the line reader for rows, once one
    is to be read.
    """

    def read(region: Region) -> Seen:
        its_strip = strip(picture_of(region, page), WIDEST)
        return region, its_strip, reader()([its_strip])[0]

    found: list[tuple[Region, list[Seen]]] = []
    for row in _rows(seen):
        if any(_inside(seen[row[0]][0].place, region) for region, _ in found):
            continue
        signs = any(sign in OPERATORS for one in row for _, sign in spikes(seen[one][2]))
        if len(row) == 1 and not signs:
            continue
        region = joined(page, [place for one in row if (place := seen[one][0].place)], ROOM, HIGHEST)
        if signs or _has_other_ink(region, [seen[one][0] for one in row]):
            whole = read(region)
            if is_formula(whole[2]):
                found.append((region, [number for _, number in _numbers(whole, page)]))
    placed = list(seen)
    for region, numbers in found:
        placed = _replaced(placed, region, numbers, [])
    work = 0.0
    for line in lines:
        if line.kinds[WRITING] < MIN_WRITING or any(_inside(line, region) for region, _ in found):
            continue
        region = region_of(page, line, HIGHEST)
        work += effort(region)
        if work > MAX_WORK:
            break
        whole = read(replace(region, place=replace(line, kinds=SURELY, score=USUAL)))
        text = "".join(character for _, character in spikes(whole[2]))
        if ASSIGNMENT.search(text) and OTHER in text:
            values, others = _values(whole, page)
            placed = _replaced(placed, region, values, others) if 0 < len(values) >= len(others) else placed
    return placed


def _replaced(placed: Sequence[Seen], row: Region, numbers: Sequence[Seen], kept: Sequence[Seen]) -> list[Seen]:
    """Return places in reading order, those in a row replaced by its numbers; but those that are also `kept` stay."""
    inside = [_inside(each[0].place, row) or _among(each, numbers) for each in placed]
    stay = [each for each, its in zip(placed, inside, strict=True) if its and _among(each, kept)]
    below = (one for one, each in enumerate(placed) if each[0].box[1] > (row.box[1] + row.box[3]) / 2)
    at = inside.index(True) if any(inside) else next(below, len(placed))
    new = sorted([*numbers, *(each for each in stay if not _among(each, numbers))], key=lambda each: each[0].box[0])
    before, after = ([placed[one] for one in part if not inside[one]] for part in (range(at), range(at, len(placed))))
    return [*before, *new, *after]


def _among(place: Seen, numbers: Sequence[Seen]) -> bool:
    """Return whether a place is that of one of these numbers."""
    return any(same_place(place[0].box, number.box) for number, _, _ in numbers)


def _values(row: Seen, page: NDArray[np.uint8]) -> tuple[list[Seen], list[Seen]]:
    """Return the numbers behind signs in an assignment, and the others that are not part of a name."""
    columns = row[2]
    read = spikes(columns)
    near = [False, *(_touch(columns, one, other) for one, other in pairwise(column for column, _ in read)), False]
    values: list[Seen] = []
    others: list[Seen] = []
    for (begin, end), number in _numbers(row, page):
        before = read[begin - 1][1] if begin else ""
        if near[begin] and before == OTHER:
            continue
        behind = bool(before) and before in BEFORE_VALUES
        named = near[end] and read[end][1] == OTHER
        (values if behind and not named else others).append(number)
    return values, others


def _touch(columns: Columns, one: int, other: int) -> bool:
    """Return whether two characters, by their columns, stand as close as those of a word do."""
    high = float(np.mean(columns.boxes[[one, other], 3] - columns.boxes[[one, other], 1]))
    return middle(other) - middle(one) < WORD * high


def _has_other_ink(row: Region, places: Sequence[Region]) -> bool:
    """Return whether ink of a sign's size is beside the places of a row."""
    height = len(row.ink)
    spans = [across(place, row) for place in places]
    return any(
        MIN_SIGN * height < max(right - left, bottom - top) < height
        and not any(low < (left + right) / (2 * height) < high for low, high in spans)
        for left, top, right, bottom in row.parts
    )


def is_formula(columns: Columns) -> bool:
    """Return whether a row is read as a formula, clearly."""
    read = spikes(columns)
    text = "".join(character for _, character in read)
    if (
        not FORMULA.search(text)
        or text.count(OTHER) > MAX_OTHER * len(DIGITS.findall(text))
        or _has_spaces(read, columns)
    ):
        return False
    likeliest = decode(columns.log_probs, None, 1)[0]
    return likeliest.probability >= LEGIBLE ** len(likeliest.text)


def _has_spaces(read: Sequence[tuple[int, str]], columns: Columns) -> bool:
    """Return whether two digits, one after the other, are farther apart than they are high: numbers of a list."""
    left, top, right, bottom = columns.boxes[[column for column, _ in read]].T
    gaps, high = left[1:] - right[:-1], (bottom - top)[1:]
    digits = np.array([character.isdigit() for _, character in read])
    return bool((gaps > high)[digits[1:] & digits[:-1]].any())


def _rows(seen: Sequence[Seen]) -> Iterator[list[int]]:
    """Yield the places of each row by their numbers, in reading order; of long rows the parts."""
    row: list[int] = []
    for one, (region, _, _) in enumerate(seen):
        if region.place is None:
            continue
        if row and not _beside(seen[row[0]][0], seen[row[-1]][0], region):
            yield row
            row = []
        row.append(one)
    if row:
        yield row


def _beside(first: Region, last: Region, region: Region) -> bool:
    """Return whether a region continues the row from the first to the last one."""
    if first.place is None or last.place is None or region.place is None:
        return False
    return -1 < gap(last.place, region.place) < MAX_GAP and gap(first.place, region.place) < LONGEST


def _numbers(row: Seen, page: NDArray[np.uint8]) -> Iterator[tuple[tuple[int, int], Seen]]:
    """Yield where each number is in the text of a row, and the number with its part of what the line reader says."""
    region, its_strip, columns = row
    scale = region.ink.shape[1] / its_strip.shape[1]
    read = spikes(columns)
    for found in DIGITS.finditer("".join(character for _, character in read)):
        begin, end = found.span()
        left, right = (float(columns.boxes[read[at][0], side]) for at, side in ((begin, 0), (end - 1, 2)))
        low = middle(read[begin - 1][0]) if begin else 0.0
        high = middle(read[end][0]) if end < len(read) else float(its_strip.shape[1])
        left = max(low, left - min(BEYOND * max(left - low, 0), AROUND * STRIP_HEIGHT), 0.0)
        right = min(high, right + min(BEYOND * max(high - right, 0), AROUND * STRIP_HEIGHT), its_strip.shape[1])
        start, stop = round(left * scale), round(right * scale)
        inside = [at for at in range(len(columns.characters)) if left <= middle(at) <= right]
        if start < stop and inside:
            part = _cut(columns, slice(inside[0], inside[-1] + 1), start / scale)
            yield (
                (begin, end),
                (section(region, start, stop, page), its_strip[:, int(left) : int(np.ceil(right))], part),
            )


def _cut(columns: Columns, part: slice, left: float) -> Columns:
    """Return a part of a strip's columns, for a strip that begins `left` pixels later."""
    return replace(
        columns,
        log_probs=columns.log_probs[part],
        boxes=columns.boxes[part] - np.array([left, 0, left, 0], np.float32),
        presence=columns.presence[part],
        characters=columns.characters[part],
    )


def _inside(place: Place | None, row: Region) -> bool:
    """Return whether the middle of a place is within a row."""
    if place is None:
        return False
    x, y = np.linalg.solve(row.to_page[:, :2], place.quad.mean(axis=0) - row.to_page[:, 2])
    height, width = row.ink.shape
    return bool(0 < x < width and 0 < y < height)
