"""Blank fields: whether anything is written in an image of one number, and the probability that nothing is.

A blank field still has contrast: rules and boxes to write in, dust, patterns, grain and shadow. Ink that is not a rule
and is at least as large as the smallest digit is taken for writing. In either case, the stronger the remaining
contrast where writing would be, the less probable it is that the field is blank.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from digitnet.imaging.geometry import Box
from digitnet.imaging.grouping import MIN_DIGIT_HEIGHT
from digitnet.imaging.ink import MIN_STROKE, ink_of, quantiles
from digitnet.imaging.line_removal import without_rules
from digitnet.imaging.reduction import reduced
from digitnet.imaging.segmentation import Region, bounds
from digitnet.reading.constraints import Rules
from digitnet.reading.result import Number

FLAT_LOGIT, LOGIT_FALL = 6.1, 11.5
"""Logit of the probability that a field without contrast is blank, and its fall times the root of the contrast.

A logistic regression over composed pictures (numbers, words and scribbles, blank paper with rules, boxes or dust) in
which nothing was read. It takes 98 of 100 pictures to hold a number, 1 to be blank and 1 to hold other ink.
"""

MIN_FIELD_LIGHT = 64
"""Light that contrast is measured against at least, grey levels."""

CONTRAST_SIDE = 1000
"""Pixels of a picture's longer side beyond which contrast is measured in a smaller copy."""


def has_writing(region: Region) -> bool:
    """Return whether a region of `segmentation.whole` may hold writing: ink as large as the smallest digit."""
    _, _, stats, _ = cv2.connectedComponentsWithStats((region.ink > MIN_STROKE).astype(np.uint8), connectivity=8)
    return bool((stats[1:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]] >= MIN_DIGIT_HEIGHT).any())


def unread(page: NDArray[np.uint8], rules: Rules | None) -> Number:
    """Return the answer for a picture without ink of a digit's size: "empty", or "unreadable" where that is doubtful.

    page: (h, w) uint8, 0 black .. 255 white. rules: what the number had to keep. It is doubtful where there is a dash,
    which `line_removal.without_rules` takes for a rule but is too short for one, and where contrast speaks against it.
    """
    small, back = reduced(page)
    dashes = _rules(small)[1].astype(np.uint8)
    left, top, wide, high = cv2.boundingRect(dashes) if dashes.any() else (0, 0, small.shape[1], small.shape[0])
    box = bounds(back, (left, top, left + wide, top + high), page.shape)
    sure = nothing_written(page, box, bool(dashes.any()))
    empty = sure >= 0.5 and not dashes.any()
    status, reason = ("empty", "empty") if empty else ("unreadable", "not_a_digit")
    return Number("", sure, box, (), (), (reason,), None, status, True if rules else None)


def nothing_written(page: NDArray[np.uint8], box: Box, inked: bool) -> float:
    """Return the probability, 0..1, that nothing is written in a picture in which no number could be read.

    page: (h, w) uint8, 0 black .. 255 white. box: where its ink is, or all of it. inked: whether ink was found there,
    which is a pattern of the paper only as far as there is the same contrast beside the ink.
    """
    times = min(1.0, CONTRAST_SIDE / max(page.shape))
    if times < 1:
        size = max(1, round(page.shape[1] * times)), max(1, round(page.shape[0] * times))
        page = cv2.resize(page, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
        box = (int(box[0] * times), int(box[1] * times), math.ceil(box[2] * times), math.ceil(box[3] * times))
    contrast, beside = _contrasts(page, box)
    probability = 1 / (1 + math.exp(LOGIT_FALL * math.sqrt(contrast) - FLAT_LOGIT))
    return probability * min(1.0, beside / contrast) if inked and contrast else probability


def _contrasts(page: NDArray[np.uint8], box: Box) -> tuple[float, float]:
    """Return the contrast in a box of a page, about 0..1, and that of its paper beside the ink.

    Light, shadow and rules are taken away, specks and grain left aside.
    """
    soft = cv2.GaussianBlur(page, (3, 3), 0).astype(np.int16)
    around = max(page.shape) // 2 | 1
    level = ((soft - cv2.blur(soft, (around, around)) + 255) // 2).astype(np.uint8)
    wide = np.ones((5, 5), np.uint8)
    paper = cv2.dilate(_rules(page)[0].astype(np.uint8), wide) == 0
    beside = paper & (cv2.dilate((ink_of(page) >= MIN_STROKE // 2).astype(np.uint8), wide) == 0)
    left, top, right, bottom = box
    room = max(4, (bottom - top) // 4)
    inside = np.s_[max(0, top - room) : bottom + room, max(0, left - room) : right + room]
    contrasts = []
    for mask in (paper[inside], beside[inside]):
        # Where ink is all over, it is the paper's: nothing is beside it.
        part = level[inside][mask if mask.mean() > 0.05 else paper[inside]]
        low, high = quantiles(part, (0.01, 0.99)) if part.size else (0.0, 0.0)
        contrasts.append(2 * (high - low) / max(MIN_FIELD_LIGHT, int(soft.max())))
    return contrasts[0], contrasts[1]


def _rules(page: NDArray[np.uint8]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which pixels are of rules, at least half as long as a side of the page, and which of shorter lines."""
    ink = ink_of(page)
    gone = (cv2.absdiff(ink, without_rules(ink)) > 0).astype(np.uint8)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(gone, connectivity=8)
    wide, high = stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT]
    long = (wide >= page.shape[1] / 2) | (high >= page.shape[0] / 2)
    crumbs = np.maximum(wide, high) < MIN_DIGIT_HEIGHT  # pieces of a rule's edge
    rules = (gone > 0) & (long | crumbs)[labels]
    return rules, (gone > 0) & ~rules
