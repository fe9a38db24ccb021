"""Sheets without markers, recognised by local features of a reference picture: SIFT, and a homography that fits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from digitnet.forms.template import Template
from digitnet.imaging.ink import MIN_STROKE, ink_of

MATCHED_SIDE = 800
"""Pixels of the longer side on which features are looked for."""

MAX_FEATURES = 1_000
"""Features of a picture, the strongest ones."""

MAX_RATIO = 0.8
"""A feature's best match must be so much closer than its second best (Lowe, 2004)."""

MIN_INLIERS = 15
"""Matches that must agree on one homography."""

COMPARED_SCALE = 2.0
"""Pixels to a millimetre at which what is printed is compared."""

MIN_SEEN = 0.55
"""Share of a corner's printed ink that must be seen at its place."""

MIN_PRINT = 40
"""Pixels of printed ink from which a corner can be judged."""


@dataclass(frozen=True, eq=False)
class Reference:
    """A template's reference picture: its features in millimetres of the sheet, and where it has ink.

    points: (n, 2). descriptors: (n, 128) float32. ink: (h, w) bool, `COMPARED_SCALE` pixels to a millimetre.
    """

    template: Template
    points: NDArray[np.float64]
    descriptors: NDArray[np.float32]
    ink: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Match:
    """A page that shows a reference: the homography from millimetres to pixels, and the corners that are not seen."""

    template: Template
    to_page: NDArray[np.float64]
    missing: tuple[int, ...]


def reference_of(template: Template, picture: NDArray[np.uint8]) -> Reference:
    """Return the reference of a template from a picture of the whole sheet, edge to edge, (h, w) uint8."""
    points, descriptors = _features(picture)
    width, height = template.page
    size = round(width * COMPARED_SCALE), round(height * COMPARED_SCALE)
    small = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
    to_sheet = np.array([width / picture.shape[1], height / picture.shape[0]])
    return Reference(template, points * to_sheet, descriptors, ink_of(small) > MIN_STROKE)


def matched(page: NDArray[np.uint8], references: Sequence[Reference]) -> Match | None:
    """Return the reference that a page shows best, or None where it shows none."""
    points, descriptors = _features(page)
    best: tuple[float, Match] | None = None
    for reference in references:
        if len(descriptors) < MIN_INLIERS or len(reference.descriptors) < MIN_INLIERS:
            continue
        mine, its = _pairs(reference.descriptors, descriptors)
        if len(mine) < MIN_INLIERS:
            continue
        sheet, seen = reference.points[mine], points[its]
        near = max(page.shape) / MATCHED_SIDE * 3
        matrix, inliers = cv2.findHomography(sheet, seen, cv2.USAC_MAGSAC, near, maxIters=2_000, confidence=0.999)
        if matrix is None or inliers.sum() < MIN_INLIERS:
            continue
        to_page = np.asarray(matrix, np.float64)
        if not _plausible(to_page, reference.template):
            continue
        share, missing = _seen(page, reference, to_page)
        if len(missing) <= 2 and (best is None or share > best[0]):
            best = share, Match(reference.template, to_page, missing)
    return best[1] if best else None


@lru_cache(1)
def _sift() -> cv2.SIFT:
    return cv2.SIFT.create(MAX_FEATURES)


def _features(picture: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Return the features of a picture: their places (n, 2) in its pixels, and what they look like (n, 128)."""
    times = max(1.0, max(picture.shape) / MATCHED_SIDE)
    size = max(1, round(picture.shape[1] / times)), max(1, round(picture.shape[0] / times))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA) if times > 1 else picture
    keypoints, descriptors = _sift().detectAndCompute(small, None)
    points = np.array([point.pt for point in keypoints], np.float64).reshape(-1, 2)
    back = np.array([picture.shape[1] / small.shape[1], picture.shape[0] / small.shape[0]])
    found = np.zeros((0, 128), np.float32) if descriptors is None else descriptors
    return (points + 0.5) * back, np.asarray(found, np.float32)


def _pairs(some: NDArray[np.float32], others: NDArray[np.float32]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return which of some descriptors match which of others, by Lowe's ratio test."""
    squares = (some**2).sum(axis=1)[:, None] + (others**2).sum(axis=1) - 2 * some @ others.T
    nearest = squares.argmin(axis=1)
    first, second = np.sqrt(np.maximum(np.partition(squares, 1, axis=1)[:, :2], 0)).T
    good = np.flatnonzero(first < MAX_RATIO * second)
    return good, nearest[good]


def _plausible(matrix: NDArray[np.float64], template: Template) -> bool:
    """Return whether a homography shows the sheet from its front, as a convex shape and not squeezed."""
    width, height = template.page
    corners = np.array([[[0, 0], [width, 0], [width, height], [0, height]]], np.float64)
    seen = cv2.perspectiveTransform(corners, matrix)[0]
    after = np.roll(seen, -1, axis=0) - seen
    turns = np.cross(np.c_[after, np.zeros(4)], np.c_[np.roll(after, -1, axis=0), np.zeros(4)])[:, 2]
    sides = np.hypot(*after.T) / (width, height, width, height)
    return bool((turns > 0).all() and sides.max() < 2.5 * sides.min())


def _seen(page: NDArray[np.uint8], reference: Reference, to_page: NDArray[np.float64]) -> tuple[float, tuple[int, ...]]:
    """Return how much of the printed ink is seen, 0..1, and the corners where too little of it is."""
    height, width = reference.ink.shape
    scale = np.diag([1 / COMPARED_SCALE, 1 / COMPARED_SCALE, 1])
    times = max(1.0, max(page.shape) / (COMPARED_SCALE * max(reference.template.page)))
    small = cv2.resize(page, None, fx=1 / times, fy=1 / times, interpolation=cv2.INTER_AREA)
    matrix = np.diag([1 / times, 1 / times, 1]) @ to_page @ scale
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    flat = cv2.warpPerspective(small, matrix, (width, height), flags=flags, borderValue=255)
    near = (
        cv2.dilate((ink_of(np.asarray(flat, np.uint8)) > MIN_STROKE // 2).astype(np.uint8), np.ones((5, 5), np.uint8))
        > 0
    )
    missing = []
    halves = [(0, 0), (1, 0), (1, 1), (0, 1)]
    for corner, (right, down) in enumerate(halves):
        part = np.s_[down * height // 2 : (down + 1) * height // 2, right * width // 2 : (right + 1) * width // 2]
        its = reference.ink[part]
        if its.sum() >= MIN_PRINT and near[part][its].mean() < MIN_SEEN:
            missing.append(corner)
    return float(near[reference.ink].mean()) if reference.ink.any() else 0.0, tuple(missing)
