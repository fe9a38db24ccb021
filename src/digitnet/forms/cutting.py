"""A field cut out of its page: upright, aligned by the lines printed around it, these taken away, its paper white."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from digitnet.forms.folds import flatten_folds
from digitnet.forms.template import Box

SCALE = 8.0
"""Pixels to a millimetre of what is cut out."""

FIELD_MARGIN = 3.0
"""Paper kept around a field, for writing that crosses its frame, millimetres."""

MAX_SHIFT = 2.4
"""How far creases and curled paper may move a field from its place, millimetres."""

MIN_CORRELATION, FAR = 0.2, 0.15
"""Correlation with the printed lines from which a shift is believed; what is subtracted from it at `MAX_SHIFT`, less
the nearer it is, by its square: most fields are where they should be."""

INKED = 0.25
"""Darkness from which a pixel is ink, 0 paper .. 1 black."""

MIN_DARKNESS = 0.08
"""Darkness from which a pixel is looked at at all."""

MAX_FAINT = 0.35
"""Mean darkness below which ink is faint, as what is left of printed lines."""

MIN_WRITTEN_DARKNESS, MIN_WRITTEN_SIZE = 0.1, 1.5
"""Darkness of blurred ink, and millimetres of its extent, below which nothing is written."""

Dark = NDArray[np.float32]
"""(h, w) darkness, 0 paper .. 1 black."""


@dataclass(frozen=True, eq=False)
class Cut:
    """A field cut out of a page.

    dark: (h, w), `SCALE` pixels to a millimetre, with `FIELD_MARGIN` around the box; printed lines are taken away.
    inside: the part of it that lies in the box. seen: share of the box that lies on the page, 0..1.
    """

    dark: Dark
    inside: tuple[slice, slice]
    seen: float

    @property
    def picture(self) -> NDArray[np.uint8]:
        """The field as the reader takes it: (h, w) uint8, 0 black .. 255 white."""
        return np.round(255 * (1 - self.dark)).astype(np.uint8)


def cut(page: NDArray[np.uint8], to_page: NDArray[np.float64], box: Box, printed: NDArray[np.uint8]) -> Cut:
    """Cut a box, in millimetres of the sheet, out of a page.

    to_page: homography from millimetres to pixels of the page. printed: the blank sheet, `SCALE` pixels to a
    millimetre, (h, w) uint8.
    """
    left, top, right, bottom = box
    more = FIELD_MARGIN + MAX_SHIFT
    origin = np.array([[1 / SCALE, 0, left - more], [0, 1 / SCALE, top - more], [0, 0, 1]])
    size = round((right - left + 2 * more) * SCALE), round((bottom - top + 2 * more) * SCALE)
    part, matrix = _reduced(page, to_page @ origin, size)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    grey = cv2.warpPerspective(part, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    dark = _darkness(np.asarray(grey, np.uint8))
    reach, room = round(MAX_SHIFT * SCALE), round(FIELD_MARGIN * SCALE)
    high, wide = size[1] - 2 * reach, size[0] - 2 * reach
    lines = _printed(printed, (left - FIELD_MARGIN) * SCALE, (top - FIELD_MARGIN) * SCALE, (high, wide))
    x, y = _shift(dark, lines)
    dark = np.ascontiguousarray(dark[y : y + high, x : x + wide])
    zone = _clear(dark, lines)
    inside = np.s_[room : high - room, room : wide - room]
    flatten_folds(dark, inside)
    _keep_writing(dark, inside, zone)
    corners = np.array([[[left, top], [right, top], [right, bottom], [left, bottom]]], np.float64)
    return Cut(dark, inside, _on_page(cv2.perspectiveTransform(corners, to_page)[0], page.shape))


def _reduced(
    page: NDArray[np.uint8], matrix: NDArray[np.float64], size: tuple[int, int]
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Return the part of a page that a cut is made of, scaled down where it has many pixels to one of the cut."""
    corners = np.array([[[0, 0], [size[0], 0], [size[0], size[1]], [0, size[1]]]], np.float64)
    points = cv2.perspectiveTransform(corners, matrix)[0]
    x0, y0 = np.clip(np.floor(points.min(axis=0)).astype(int) - 2, 0, (page.shape[1] - 1, page.shape[0] - 1)).tolist()
    x1, y1 = np.clip(np.ceil(points.max(axis=0)).astype(int) + 2, (x0 + 1, y0 + 1), page.shape[::-1]).tolist()
    part = page[y0:y1, x0:x1]
    times = float(np.hypot(*(points[1] - points[0]))) / size[0]
    scale = 1 / times if times > 1.5 else 1.0
    if scale < 1:
        part = np.asarray(cv2.resize(part, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
    moved = np.array([[scale, 0, -x0 * scale - 0.5], [0, scale, -y0 * scale - 0.5], [0, 0, 1]])
    half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])  # pixels' centres are at halves
    return part, moved @ matrix @ half


def _darkness(grey: NDArray[np.uint8]) -> Dark:
    """Return how dark each pixel is against the paper around it, 0..1."""
    small = cv2.resize(grey, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    # Closed, not dilated: beside a crease the darker side is paper as well.
    paper = cv2.morphologyEx(cv2.medianBlur(small, 3), cv2.MORPH_CLOSE, np.ones((11, 11), np.uint8))
    paper = cv2.blur(paper, (3, 3))
    level = cv2.resize(paper, grey.shape[::-1], interpolation=cv2.INTER_LINEAR).astype(np.float32)
    level = np.maximum(level, 1)
    dark = (level - grey) / level
    grain = 2 * float(np.median(dark))  # the brightest around is brighter than the paper
    return np.asarray(np.clip((dark - grain) / max(1 - grain, 0.1), 0, 1), np.float32)


def _printed(printed: NDArray[np.uint8], left: float, top: float, size: tuple[int, int]) -> Dark:
    """Return how dark the blank sheet is at a place, (h, w)."""
    x, y, (high, wide) = round(left), round(top), size
    found = np.zeros(size, np.float32)
    x0, y0, x1, y1 = max(x, 0), max(y, 0), min(x + wide, printed.shape[1]), min(y + high, printed.shape[0])
    if x0 < x1 and y0 < y1:
        found[y0 - y : y1 - y, x0 - x : x1 - x] = 1 - printed[y0:y1, x0:x1].astype(np.float32) / 255
    return found


def _shift(dark: Dark, lines: Dark) -> tuple[int, int]:
    """Return where, in a larger cut, the printed lines fit best: x and y of its top left corner."""
    middle = (dark.shape[1] - lines.shape[1]) // 2, (dark.shape[0] - lines.shape[0]) // 2
    if float(lines.max(initial=0)) < INKED:
        return middle
    scores = cv2.matchTemplate(_halved(dark), _halved(lines), cv2.TM_CCOEFF_NORMED)
    away = [np.arange(count) * 2 / part - 1 for count, part in zip(scores.shape[::-1], middle, strict=True)]
    scores -= FAR * (away[0] ** 2 + away[1][:, None] ** 2)
    _, best, _, (x, y) = cv2.minMaxLoc(scores)
    return (min(2 * x, 2 * middle[0]), min(2 * y, 2 * middle[1])) if best >= MIN_CORRELATION else middle


def _halved(dark: Dark) -> Dark:
    """Return darkness at half the size, softened; thick ink must not outweigh thin lines."""
    soft = cv2.GaussianBlur(np.minimum(dark, 0.5), (0, 0), 1.5)
    return np.asarray(cv2.resize(soft, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.float32)


def _clear(dark: Dark, lines: Dark) -> NDArray[np.bool_]:
    """Take printed lines away, in place, but not the strokes that cross them; return where they may have been."""
    drawn = (lines > INKED).astype(np.uint8)
    zone = cv2.dilate(drawn, np.ones((13, 13), np.uint8)) > 0
    if not drawn.any():
        return zone
    around = cv2.dilate(lines, np.ones((5, 5), np.uint8))
    near = around > INKED
    times = float(np.quantile(dark[drawn > 0] / lines[drawn > 0], 0.6))
    writing = ((dark > INKED) & ~near).astype(np.uint8)
    across = cv2.morphologyEx(cv2.copyMakeBorder(writing, 9, 9, 9, 9, cv2.BORDER_CONSTANT), cv2.MORPH_CLOSE, _DISC)
    kept = (across[9:-9, 9:-9] > 0) | (dark > np.maximum(1.6 * times * around, INKED))
    dark[near & ~kept] = 0
    return zone


_DISC = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (9, 9))


def _keep_writing(dark: Dark, inside: tuple[slice, slice], zone: NDArray[np.bool_]) -> None:
    """Take away, in place, ink mostly outside the box, as of labels and neighbours, and what is left of printed lines.

    zone: where these may have been.
    """
    inked = (dark > MIN_DARKNESS).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(inked, connectivity=8)
    every = np.bincount(labels.ravel(), minlength=count)
    within = np.bincount(labels[inside].ravel(), minlength=count)
    lined = np.bincount(labels[zone].ravel(), minlength=count)
    wide, high = stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT]
    faint = np.bincount(labels.ravel(), dark.ravel(), minlength=count) < MAX_FAINT * every
    thin = np.asarray(((np.minimum(wide, high) <= 6) | faint) & (lined >= 0.8 * every))
    foreign = (within < 0.5 * every) | thin
    foreign[0] = False
    dark[foreign[labels]] = 0
    _, _, stats, _ = cv2.connectedComponentsWithStats(
        (cv2.GaussianBlur(dark, (0, 0), 1.5) > MIN_WRITTEN_DARKNESS).astype(np.uint8)
    )
    extents = stats[1:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]]
    if extents.max(initial=0) < MIN_WRITTEN_SIZE * SCALE:
        dark[:] = 0


def _on_page(corners: NDArray[np.float64], shape: tuple[int, ...]) -> float:
    """Return the share of a quadrilateral that lies on a page."""
    height, width = shape
    page = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    area, _ = cv2.intersectConvexConvex(corners.astype(np.float32), page)
    return float(area) / max(float(cv2.contourArea(corners.astype(np.float32))), 1e-6)
