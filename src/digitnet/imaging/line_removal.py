"""Removal of ruled lines, underlines and the borders of boxes.

A rule, of ruled or squared paper, under a number or around a box, is straight, level (or upright) to about half a
degree, long and thin. It is blanked, but not where a stroke crosses it. Upright ones go only where they end on two
level ones, as the sides of boxes do: a 1 is one as well.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from digitnet.imaging.geometry import Box
from digitnet.imaging.ink import MIN_STROKE, Gray

MAX_RULES = 2000
"""Lines of each direction that are looked at, the longest ones: forms and squared paper have some 100."""


def without_rules(ink: Gray) -> Gray:
    """Take away ruled lines, underlines and the borders of boxes, but not the strokes that cross them.

    ink: (h, w) uint8, 0 paper .. 255 ink, levelled. Returns the same without rules; specks as large as a rule is thick
    may stay where one crosses another or ends.
    """
    stroke = cv2.threshold(ink, MIN_STROKE * 2 // 3, 1, cv2.THRESH_BINARY)[1].astype(np.uint8, copy=False)
    level = _rules(stroke)
    if not level:
        return ink
    across = cv2.transpose(stroke).astype(np.uint8, copy=False)
    plumb = _rules(across)
    turned = np.array([rule.box for rule in plumb], np.int32).reshape(-1, 4)
    meet = _touch(turned[:, [1, 0, 3, 2]], np.array([rule.box for rule in level], np.int32))
    meet &= meet.sum(1, keepdims=True) >= 2  # the side of a box ends on its top and bottom
    sides = meet.sum(0)
    real = np.array([n >= 2 or _stands_out(stroke, rule) for n, rule in zip(sides, level, strict=True)], bool)
    ink = ink.copy()
    for rule, kept in zip(level, real, strict=True):
        if kept:
            _erase(ink, stroke, rule)
    for rule, met in zip(plumb, meet, strict=True):
        if (met & real).sum() >= 2:
            _erase(ink.T, across, rule)
    return ink


@dataclass(frozen=True, eq=False)
class _Rule:
    """A straight thin level line: its box, length and thickness in pixels, and a mask of the box's pixels on it."""

    box: Box
    length: int
    thickness: float
    mask: NDArray[np.bool_]


def _rules(stroke: Gray) -> list[_Rule]:
    """Return the lines of a binary image, level to about half a degree, that are long and thin."""
    height, width = stroke.shape
    cell = 8 if max(height, width) > 800 else 4
    least = max(5, -(-max(32, max(height, width) // 70) // cell))  # cells
    if width < least * cell:
        return []
    grown = cv2.dilate(stroke, np.ones((3, 1), np.uint8))
    small = cv2.resize(grown[:, : width // cell * cell] * 255, (width // cell, height), interpolation=cv2.INTER_AREA)
    runs = cv2.threshold(small, 200, 1, cv2.THRESH_BINARY)[1].astype(np.uint8, copy=False)
    runs = cv2.morphologyEx(runs, cv2.MORPH_OPEN, np.ones((1, least), np.uint8)).astype(np.uint8, copy=False)
    if not cv2.hasNonZero(runs):
        return []
    _, labels, stats, _ = cv2.connectedComponentsWithStats(runs, connectivity=8)
    lengths, heights, areas = stats[1:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT, cv2.CC_STAT_AREA]].T
    thick = np.maximum(1.0, areas / lengths - 2)
    straight = np.flatnonzero((lengths * cell >= 12 * thick) & (heights <= thick + 3 + 0.02 * lengths * cell))
    longest = np.sort(straight[np.argsort(-lengths[straight], kind="stable")[:MAX_RULES]])
    rules = []
    for label in (longest + 1).tolist():
        left, top, wide, high, area = stats[label].tolist()
        thickness = max(1.0, area / wide - 2)
        mask = labels[top : top + high, left : left + wide] == label
        mask = np.repeat(mask[:, [0, *range(wide), wide - 1]], cell, axis=1)  # a cell more at either end
        start, stop = max(0, left * cell - cell), min(width, (left + wide + 1) * cell)
        offset = start - (left * cell - cell)
        rules.append(
            _Rule((start, top, stop, top + high), wide * cell, thickness, mask[:, offset : offset + stop - start])
        )
    return rules


def _touch(some: NDArray[np.int32], others: NDArray[np.int32], reach: int = 4) -> NDArray[np.bool_]:
    """Say which of some boxes (m, 4) touch, or nearly so, which others (n, 4): (m, n)."""
    left, top, right, bottom = some.T[:, :, None]
    across = (left < others[:, 2] + reach) & (others[:, 0] < right + reach)
    down = (top < others[:, 3] + reach) & (others[:, 1] < bottom + reach)
    return np.asarray(across & down)


def _stands_out(stroke: Gray, rule: _Rule) -> bool:
    """Say whether a line is longer than all that touches it is high: the bar of a 7 is not."""
    left, top, right, bottom = rule.box
    wide = rule.length
    reach = int(0.7 * wide)
    fine = max(1, wide // 300)
    above, below = max(0, top - reach), min(len(stroke), bottom + reach)
    around = stroke[above:below:fine, left:right:fine].copy()
    on = slice(max(0, top - above - 1) // fine, (bottom - above) // fine + 2)
    around[on] = 0
    _, labels, stats, _ = cv2.connectedComponentsWithStats(around, connectivity=8)
    stats[0, cv2.CC_STAT_HEIGHT] = 0
    sides = [labels[row] for row in (on.start - 1, on.stop) if 0 <= row < len(labels)]
    highest = sum(int(stats[side, cv2.CC_STAT_HEIGHT].max()) for side in sides) * fine
    return highest < 0.6 * wide


def _erase(ink: Gray, stroke: Gray, rule: _Rule) -> None:
    """Blank a rule in place where nothing thicker than the rule itself crosses it."""
    left, top, right, bottom = rule.box
    tall = math.ceil(rule.thickness) + 2
    above, below = max(0, top - 2 * tall), min(len(ink), bottom + 2 * tall)
    line = np.zeros((below - above, right - left), np.uint8)
    line[top - above : bottom - above] = rule.mask
    line = cv2.dilate(line, np.ones((3, 1), np.uint8)).astype(np.uint8, copy=False)
    runs = np.ascontiguousarray(stroke[above:below, left:right])
    crossing = cv2.morphologyEx(runs, cv2.MORPH_OPEN, np.ones((tall, 1), np.uint8))
    gone = (line > 0) & (crossing == 0)
    # What then stays between is a stroke only if it leads away from the line.
    rest = runs & ~gone
    n, labels = cv2.connectedComponents(rest.astype(np.uint8), connectivity=8)
    beyond = np.zeros(n, bool)
    beyond[labels[cv2.dilate(line, np.ones((5, 1), np.uint8)) == 0]] = True
    ink[above:below, left:right][gone | ~beyond[labels] & (rest > 0)] = 0
