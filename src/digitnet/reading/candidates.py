"""Candidates of one region: the decoded texts of the line reader, with and without constraints."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from digitnet.core.digits import DIGITS, STRIP_HEIGHT
from digitnet.data.synthesis.texts import SIGNS
from digitnet.imaging.geometry import Box, around
from digitnet.imaging.segmentation import Region
from digitnet.models.model_file import MARGIN, STRIDE
from digitnet.models.onnx_models import Columns
from digitnet.reading.constraints import Rules
from digitnet.reading.ctc import Hypothesis, align, decode, decode_kind
from digitnet.reading.effort import WIDEST
from digitnet.reading.spelling import spelt, spikes
from digitnet.reading.values import Value

Seen = tuple[Region, NDArray[np.uint8], Columns]
"""A region, its strip, and the line reader's answer."""

ALTERNATIVES = 5
"""Most texts that a number may have, the best one included."""

BROKEN_SHARE = 0.01
"""Share of fields that are taken to break the rule they should keep: a digit forgotten, a check miscalculated."""

OTHER_SHARE = 0.1
"""Share of a page's numbers to which the rules are taken not to apply: dates, page numbers, totals."""

OPERATORS = "+="
"""Signs that part two numbers where they stand between digits."""

MIN_DOUBTFUL = 0.1
"""Probability from which a piece of ink that the line reader takes for nothing is shown to the classifier."""


@dataclass(frozen=True)
class Draft:
    """What a region says: the texts it may show, most probable first, what it says without rules, where digits are.

    alone: the best text without rules. boxes: of the best text's digits, in pixels of the region's ink. presence: (n,)
    float32, the probability of there being a digit at each. ruled: whether rules were applied; None without rules.
    sure: the best text's probability, see `draft_of`.
    """

    region: Region
    columns: Columns
    hypotheses: list[Hypothesis]
    alone: Hypothesis
    boxes: list[Box]
    presence: NDArray[np.float32]
    ruled: bool | None
    sure: float

    @property
    def text(self) -> str:
        """The most probable text, "" where there is none."""
        return self.hypotheses[0].text if self.hypotheses else ""


def draft_of(region: Region, columns: Columns, rules: Rules | None, single: bool) -> Draft:
    """Return what a region says.

    With rules its probability is among the texts that keep them, times that of the rules holding: a share of numbers,
    `BROKEN_SHARE` or on a page `OTHER_SHARE`, does not keep them, and what the image says against the rules counts for
    that. On a page they are applied where they are more likely to hold than not.
    """
    as_seen, columns = columns, spelt(columns, rules)
    if rules and rules.kind:
        hypotheses = decode_kind(columns.characters, columns.alphabet, rules, ALTERNATIVES)
    else:
        hypotheses = decode(columns.log_probs, rules, ALTERNATIVES)
    kept, ruled = 1.0, None
    if rules:
        kept = holding(hypotheses, BROKEN_SHARE if single else OTHER_SHARE)
        ruled = single or kept >= 0.5
        if not ruled:
            columns = as_seen
            hypotheses, kept = decode(columns.log_probs, None, ALTERNATIVES), 1.0
    log_probs = columns.log_probs
    if len(region.parts) == 1 and hypotheses and not hypotheses[0].text:
        # One piece of ink that may be a digit: the classifier will say whether it is one.
        lone = [each for each in hypotheses if len(each.text) == 1 and each.probability >= MIN_DOUBTFUL]
        hypotheses = [*lone[:1], *(each for each in hypotheses if each not in lone[:1])]
    text = hypotheses[0].text if hypotheses else ""
    alone = decode(log_probs, None, 1)[0] if ruled or not hypotheses else hypotheses[0]
    boxes, presence = located(region, columns, text)
    sure = kept * hypotheses[0].probability if hypotheses else 0.0
    return Draft(region, columns, hypotheses, alone, boxes, presence, ruled, sure)


def located(region: Region, columns: Columns, text: str) -> tuple[list[Box], NDArray[np.float32]]:
    """Return where the digits of a text are, pixels of a region's ink, and the probability of a digit there, (n,)."""
    boxes, present = [], []
    height, width = region.ink.shape
    down = height / STRIP_HEIGHT
    across = width / max(8, min(round(width / down), WIDEST))  # as `strip` scales
    for digit, (start, stop) in zip(text, align(columns.log_probs, text), strict=True):
        column = start + int(columns.log_probs[start:stop, int(digit)].argmax())
        present.append(columns.presence[column])
        left, top, right, bottom = columns.boxes[column]
        x0, x1 = (min(max(round(float(x) * across), 0), width) for x in (left, right))
        y0, y1 = (min(max(round(float(y) * down), 0), height) for y in (top, bottom))
        boxes.append((min(x0, width - 1), min(y0, height - 1), max(x1, x0 + 1), max(y1, y0 + 1)))
    return boxes, np.array(present, np.float32)


def terms(columns: Columns) -> list[tuple[float, float]]:
    """Return where each number of a sum or an equation begins and ends, pixels of the strip; one for a single number.

    The signs of `OPERATORS` part numbers where they stand between digits: 1+3=4 is three, $30= and +49 are one.
    """
    read = spikes(columns)
    digits = [place for place, (_, character) in enumerate(read) if character.isdigit()]
    found, begin = [], 0.0
    for place in range(digits[0] + 1, digits[-1]) if digits else ():
        if read[place][1] not in OPERATORS or read[place - 1][1] in OPERATORS:
            continue
        sign, (before, one), (after, other) = middle(read[place][0]), read[place - 1], read[place + 1]
        right = float(columns.boxes[before, 2]) if one.isdigit() else (middle(before) + sign) / 2
        left = float(columns.boxes[after, 0]) if other.isdigit() else (sign + middle(after)) / 2
        found.append((begin, min(right + 0.2 * max(sign - right, 0), sign)))
        begin = max(left - 0.2 * max(left - sign, 0), sign)
    return [*found, (begin, middle(len(columns.characters)))]


def glyphs_of(draft: Draft) -> list[NDArray[np.uint8]]:
    """Return each digit's ink; a lone digit's is all that there is but for its signs, wherever its box was drawn."""
    ink = draft.region.ink
    boxes = draft.boxes
    if len(boxes) == 1:
        signs = any(character in SIGNS for _, character in spikes(draft.columns))
        parts = [part for part in draft.region.parts if _mostly(part, boxes[0])] if signs else []
        if not parts:
            return [ink]
        boxes = [around(parts)]
    cut = (ink[top:bottom, left:right] for left, top, right, bottom in boxes)
    return [np.asarray(cv2.copyMakeBorder(each, 2, 2, 2, 2, cv2.BORDER_CONSTANT, value=0), np.uint8) for each in cut]


def _mostly(part: Box, box: Box) -> bool:
    """Return whether most of a part's width is within a box."""
    return 2 * (min(part[2], box[2]) - max(part[0], box[0])) > part[2] - part[0]


def middle(column: int) -> float:
    """Return the middle of a column, pixels of the strip."""
    return (column + 0.5) * STRIDE - MARGIN


def holding(hypotheses: list[Hypothesis], broken: float) -> float:
    """Return the probability that a number keeps the rules, where a share `broken` does not.

    hypotheses: those that keep them.
    """
    if not hypotheses or not hypotheses[0].probability:
        return 0.0
    permitted = hypotheses[0].alone / hypotheses[0].probability
    kept, other = (1 - broken) * permitted, broken * (1 - permitted)
    return kept / (kept + other)


def values_of(draft: Draft, signed: str, rules: Rules | None) -> tuple[tuple[Value, ...], str | None]:
    """Return all that a number can stand for, and a code of `values.NO_VALUE` where that is not one value."""
    rules = Rules() if rules is None else rules
    if rules.kind != "digits" and draft.columns.alphabet == DIGITS:
        return (), "signs_unknown"
    # A number of a page that does not keep the rules is of another kind, and of which nobody knows.
    found = tuple(rules.values(signed)) if draft.ruled or not rules.kind else ()
    return found, None if len(found) == 1 else "ambiguous" if found else "not_a_value"
