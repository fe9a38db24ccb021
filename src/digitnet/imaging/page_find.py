"""Finding numbers with the page network: a colour page -> oriented boxes in reading order, and the lines of writing.

The page is looked at whole, at a scale at which writing of usual size is well seen, and once much smaller, for
numbers as large as the page. Not covered: what the numbers are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from digitnet.imaging.geometry import Box

Floats = NDArray[np.float32]
Maps = tuple[Floats, Floats]
Network = Callable[[Floats], Maps]
"""(1, 3, h, w) float32 0..1, sides multiples of 32 -> the maps of `page_network`, a half and a quarter as large."""

LONGEST = 1280
"""Long side at which a page is looked at, pixels; smaller ones as they are, tiny ones enlarged to `SHORTEST`."""

SHORTEST = 160
"""Long side to which smaller pages are enlarged, at most eightfold, pixels."""

BORDER = 24
"""Paper put around pages of less than `SMALL` pixels, for what touches their edges."""

SMALL = 400

COARSER = 3.2
"""How much smaller the second look is."""

LIKELY = 0.35
"""Probability from which a pixel is of a number's kernel."""

SURE = 0.45
"""Mean probability of its kernel from which a number is one."""

LARGE = 110.0
"""Height of digits above which the smaller look is asked, in pixels of the finer one."""

FINEST = 15.0
"""Height of digits below which the page is looked at once more, larger, if it has the pixels."""

MAX_PIXELS = 3_000_000
"""Pixels at which a page is looked at once more at most: A4 paper 1.6 times as fine as at first."""

MAX_PLACES = 250
"""Places of a page that are looked at, from its top: single digits of as much work as a page may take (`effort.py`)."""

KINDS, DIGITS = 7, 11
WRITING, PRINTED_NUMBER, NUMBER = 4, 5, 6

WRITTEN = 0.5
"""Probability from which a pixel is of handwriting, words or numbers."""

LINE_GAP, LINE_ROOM = 1.3, 0.4
"""Between two words of a line of writing at most, and before and after it, in heights of its digits."""

FLAT, HIGH, SHORT = 0.35, 2.6, 1.6
"""Least and greatest height of a line of writing, in heights of its digits, and its least length in its own height."""


@dataclass(frozen=True, eq=False)
class Place:
    """Where a number is.

    quad: (4, 2) float32 corners in the order of reading, pixels of the page. tall: height of its digits, pixels. score:
    how likely it is one, 0..1. kinds: (7,) float32, how much of its ink is of each kind that the page network knows,
    together 1. characters: (n, 2) centres of its characters in the order of reading.
    """

    quad: Floats
    tall: float
    score: float
    kinds: Floats
    characters: Floats

    @property
    def printed(self) -> float:
        """The probability that it is set in type, 0..1."""
        printed, number = self.kinds[[PRINTED_NUMBER, NUMBER]].tolist()
        return float(printed / max(printed + number, 1e-6))

    @property
    def angle(self) -> float:
        """The direction of reading, radians, clockwise from to the right."""
        across = self.quad[1] - self.quad[0]
        return math.atan2(float(across[1]), float(across[0]))


def find(page: NDArray[np.uint8], network: Network) -> tuple[list[Place], list[Place]]:
    """Find the numbers on a page, (h, w) grey or (h, w, 3) in colours, uint8, in reading order; and lines of writing.

    Each look finds at most one more than `MAX_PLACES`.
    """
    longest, scale = max(page.shape[:2]), first_scale(page)
    places, lines = look(page, network, scale)
    talls = np.array([place.tall for place in places]) * scale
    if 0 < len(talls) <= MAX_PLACES and np.median(talls) < FINEST and scale < 1:
        most = math.sqrt(MAX_PIXELS / (page.shape[0] * page.shape[1]))
        finer = min(1.0, most, scale * 22 / float(np.median(talls)))
        if finer > 1.15 * scale:
            scale = finer
            places, lines = look(page, network, scale)
    if longest * scale > 480 or any(place.tall * scale >= LARGE for place in places):
        near = [place for place in places if place.tall * scale < LARGE]
        far = [place for place in look(page, network, scale / COARSER)[0] if place.tall * scale >= 0.85 * LARGE]
        places = _without_doubles(near, [place for place in places if place.tall * scale >= LARGE], far)
    return ordered(places), lines


def first_scale(page: NDArray[np.uint8]) -> float:
    """Return the scale at which a page is looked at first."""
    longest: int = max(page.shape[:2])
    return LONGEST / longest if longest > LONGEST else min(8.0, max(1.0, SHORTEST / longest))


def peaks(page: NDArray[np.uint8], network: Network, boxes: Sequence[Box]) -> Floats:
    """Return the highest probability of a number's kernel in each box, (n,) float32, 0..1.

    page: as `find` takes it. boxes: left, top, right, bottom, pixels of the page; large ones are looked at coarser.
    """
    scale, highest = first_scale(page), np.zeros(len(boxes), np.float32)
    large = np.array([(bottom - top) * scale >= LARGE for _, top, _, bottom in boxes])
    for its_scale, rows in ((scale, np.flatnonzero(~large)), (scale / COARSER, np.flatnonzero(large))):
        if len(rows):
            paper, border = bordered(page, its_scale)
            (fine, _), size = see(paper, network, its_scale)
            kernel, times = _sigmoid(fine[0]), np.array(size) / paper.shape[1::-1] / 2
            for row in rows.tolist():
                corners = (np.array(boxes[row]).reshape(2, 2) + border) * times
                (left, top), (right, bottom) = np.floor(corners[0]).astype(int), np.ceil(corners[1]).astype(int) + 1
                highest[row] = kernel[top:bottom, left:right].max(initial=0)
    return highest


def look(page: NDArray[np.uint8], network: Network, scale: float) -> tuple[list[Place], list[Place]]:
    """Find numbers and lines of writing on a page at one scale."""
    page, border = bordered(page, scale)
    maps, size = see(page, network, scale)
    times = page.shape[1] / size[0], page.shape[0] / size[1]
    numbers, lines = ([_scaled(each, *times, border) for each in found(maps)] for found in (places_of, lines_of))
    return numbers, lines


def bordered(page: NDArray[np.uint8], scale: float) -> tuple[NDArray[np.uint8], int]:
    """Return a page with paper around it where it is small at a scale, and how many pixels of it."""
    border = round(BORDER / scale) if max(page.shape[:2]) * scale < SMALL else 0
    if not border:
        return page, 0
    fill = np.median(np.concatenate([page[0], page[-1], page[:, 0], page[:, -1]]), axis=0).tolist()
    return np.asarray(cv2.copyMakeBorder(page, border, border, border, border, cv2.BORDER_CONSTANT, value=fill)), border


def see(page: NDArray[np.uint8], network: Network, scale: float) -> tuple[Maps, tuple[int, int]]:
    """Return the network's maps of a page at a scale, and the (width, height) that it had there."""
    size = max(8, round(page.shape[1] * scale)), max(8, round(page.shape[0] * scale))
    if size != page.shape[1::-1]:
        page = cv2.resize(page, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC).astype(np.uint8)
    high, wide = size[1] + -size[1] % 32, size[0] + -size[0] % 32
    pixels = page.reshape(-1, page.size // (page.shape[0] * page.shape[1]))
    x = np.empty((1, 3, high, wide), np.float32)
    x[0] = (np.median(pixels[:: max(1, len(pixels) // 10_000)], axis=0) / 255)[:, None, None]
    shown = x[0, :, : size[1], : size[0]]
    if page.ndim == 2:
        np.divide(page, np.float32(255), out=shown[0])
        shown[1:] = shown[0]
    else:
        shown[:] = page.transpose(2, 0, 1) / np.float32(255)
    fine, coarse = network(x)
    return (
        fine[0, :, : -(-size[1] // 2), : -(-size[0] // 2)],
        coarse[0, :, : -(-size[1] // 4), : -(-size[0] // 4)],
    ), size


def places_of(maps: Maps) -> list[Place]:
    """Return the numbers that maps show, in pixels of the page that was looked at."""
    fine, coarse = maps
    kernel = _sigmoid(fine[0])
    n, labels, stats, _ = cv2.connectedComponentsWithStats((kernel > LIKELY).astype(np.uint8), connectivity=8)
    if n < 2:
        return []
    owners, distance = _owners(labels, fine[1] > 0)
    centres = _characters(fine[2])[1]
    places: list[Place] = []
    for label in range(1, n):  # in the order of their first rows
        if len(places) > MAX_PLACES:
            break
        left, top, wide, high, count = stats[label].tolist()
        if count < 2:
            continue
        box = labels[top : top + high, left : left + wide]
        y, x = np.nonzero(box == label)
        y, x = y + top, x + left
        score = float(kernel[y, x].mean())
        if score < SURE:
            continue
        yc, xc = np.minimum(y // 2, coarse.shape[1] - 1), np.minimum(x // 2, coarse.shape[2] - 1)
        angle = math.atan2(float(coarse[-2, yc, xc].mean()), float(coarse[-3, yc, xc].mean()))
        tall = float(np.exp2(np.median(coarse[-1, yc, xc]) + 4))
        reach = int(0.8 * tall / 2) + 2
        y0, x0 = max(0, top - reach), max(0, left - reach)
        part = np.s_[y0 : top + high + reach, x0 : left + wide + reach]
        mine = (owners[part] == label) & ((distance[part] < 0.35 * tall + 1) | (labels[part] == label))
        yr, xr = np.nonzero(mine)
        rows, columns = (
            np.minimum((at + low) // 2, limit - 1)
            for at, low, limit in zip((yr, xr), (y0, x0), coarse.shape[1:], strict=True)
        )
        kinds = _softmax(coarse[:KINDS, rows, columns]).mean(axis=1)
        across = np.array([math.cos(angle), math.sin(angle)])
        down = np.array([-across[1], across[0]])
        points = np.stack([xr + x0, yr + y0], 1) * 2 + 0.5
        u, v = points @ across, points @ down
        kernel_points = np.stack([x, y], 1) * 2 + 0.5
        ku, kv = kernel_points @ across, kernel_points @ down
        (u0, u1), (v0, v1) = _extent(u, ku, 0.25 * tall), _extent(v, kv, 0.25 * tall)
        corners = np.array([[u0, v0], [u1, v0], [u1, v1], [u0, v1]])
        quad = corners[:, :1] * across + corners[:, 1:] * down
        cu, cv = centres @ across, centres @ down
        inside = np.flatnonzero((cu > u0) & (cu < u1) & (cv > v0) & (cv < v1))
        own = centres[inside[np.argsort(cu[inside])]].astype(np.float32)
        places.append(Place(quad.astype(np.float32), tall, score, kinds, own))
    return places


def lines_of(maps: Maps) -> list[Place]:
    """Return the level lines of handwriting that maps show, words and numbers, in pixels of the page looked at."""
    coarse = maps[1]
    kinds = _softmax(coarse[:KINDS])
    written = kinds[WRITING] + kinds[NUMBER] > WRITTEN
    if not written.any():
        return []
    tall = float(np.exp2(np.median(coarse[-1][written]) + 4))
    kernel = np.ones((max(1, int(0.15 * tall / 4)), max(3, round(LINE_GAP * tall / 4) | 1)), np.uint8)
    together = cv2.morphologyEx(written.astype(np.uint8), cv2.MORPH_CLOSE, kernel)
    n, labels, stats, _ = cv2.connectedComponentsWithStats(together, connectivity=8)
    lines = []
    for label, (left, top, wide, high, _) in enumerate(stats[1:n].tolist(), 1):
        if not FLAT * tall <= 4 * high <= HIGH * tall or wide < SHORT * high:
            continue
        part = np.s_[top : top + high, left : left + wide]
        y, x = np.nonzero((labels[part] == label) & written[part])
        (x0, y0), (x1, y1) = (4.0 * np.array([each(x) + left, each(y) + top]) + 1.5 for each in (np.min, np.max))
        x0, x1, y0, y1 = x0 - LINE_ROOM * tall, x1 + LINE_ROOM * tall, y0 - 0.1 * tall, y1 + 0.1 * tall
        quad = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], np.float32)
        shares = kinds[:, y + top, x + left].mean(axis=1)
        lines.append(Place(quad, y1 - y0, SURE, shares, np.zeros((0, 2), np.float32)))
    return lines


def _owners(labels: NDArray[Any], region: NDArray[np.bool_]) -> tuple[NDArray[np.int32], Floats]:
    """Return of each pixel of a number's region, or kernel, which kernel is nearest, else 0; and how far it is."""
    distance, nearest = cv2.distanceTransformWithLabels(
        (labels == 0).astype(np.uint8), cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL
    )
    owner_of = np.zeros(int(nearest.max()) + 1, np.int32)
    owner_of[nearest[labels > 0]] = labels[labels > 0]
    return np.where(region | (labels > 0), owner_of[nearest], 0), np.asarray(distance, np.float32)


def _extent(region: NDArray[Any], kernel: NDArray[Any], room: float) -> tuple[float, float]:
    """Return from where to where a number reaches along an axis: its region, if that is near what its kernel tells."""
    low, high = float(kernel.min()), float(kernel.max())
    if len(region):
        low_region, high_region = float(region.min()) - 1, float(region.max()) + 1
        return min(low, low_region), max(high, high_region)
    return low - room, high + room


def _characters(logits: Floats) -> tuple[NDArray[np.int32], Floats]:
    """Return the characters' labels from 1, by pixel at half the page's scale, and centres, pixels of the page."""
    _, labels, _, centres = cv2.connectedComponentsWithStats((logits > 0).astype(np.uint8), connectivity=4)
    return np.asarray(labels, np.int32), (centres[1:] * 2 + 0.5).astype(np.float32)


def digits_of(maps: Maps) -> Floats:
    """Return of each character within a number how probable its likeliest digit is, (n,) float32."""
    fine, coarse = maps
    labels, centres = _characters(fine[2])
    kernel = _sigmoid(fine[0])
    kernels = cv2.connectedComponents((kernel > LIKELY).astype(np.uint8), connectivity=8)[1]
    counts = np.bincount(kernels.ravel())
    if len(counts) < 2 or not len(centres):
        return np.zeros(0, np.float32)
    sure = (np.bincount(kernels.ravel(), kernel.ravel()) >= SURE * counts) & (counts >= 2)
    sure[0] = False
    across, down = ((centres - 0.5) / 2).round().astype(int).T
    within = sure[_owners(kernels, fine[1] > 0)[0][down, across]]
    y, x = np.nonzero(labels)
    label = labels[y, x] - 1
    rows, columns = np.minimum(y // 2, coarse.shape[1] - 1), np.minimum(x // 2, coarse.shape[2] - 1)
    sums = [np.bincount(label, each[rows, columns]) for each in coarse[KINDS : KINDS + DIGITS]]
    logits: NDArray[np.float64] = np.stack(sums) / np.bincount(label)
    probs = np.exp(logits - logits.max(axis=0))
    return np.asarray((probs[:-1].max(axis=0) / probs.sum(axis=0))[within], np.float32)


def _sigmoid(x: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-x)), np.float32)


def _softmax(logits: Floats) -> Floats:
    shares = np.exp(logits - logits.max(axis=0))
    return np.asarray(shares / shares.sum(axis=0), np.float32)


def _scaled(place: Place, across: float, down: float, border: int) -> Place:
    times = np.array([across, down], np.float32)
    return replace(
        place,
        quad=((place.quad + 0.5) * times - 0.5 - border).astype(np.float32),
        tall=place.tall * float(math.sqrt(across * down)),
        characters=((place.characters + 0.5) * times - 0.5 - border).astype(np.float32),
    )


def _without_doubles(*groups: Sequence[Place]) -> list[Place]:
    """Put groups together; of two places that share most of one, the earlier group's or the likelier stays."""
    places = [place for group in groups for place in sorted(group, key=lambda each: -each.score)]
    quads = np.array([place.quad for place in places]).reshape(-1, 4, 2)
    low, high = quads.min(axis=1), quads.max(axis=1)
    areas = (high - low).prod(axis=1)
    kept: list[int] = []
    for one in range(len(places)):
        shared = np.clip(np.minimum(high[one], high[kept]) - np.maximum(low[one], low[kept]), 0, None).prod(axis=1)
        if (shared < 0.4 * np.maximum(np.minimum(areas[one], areas[kept]), 1e-6)).all():
            kept.append(one)
    return [places[one] for one in kept]


def ordered(places: Sequence[Place]) -> list[Place]:
    """Sort into reading order: lines from top to bottom, each from left to right, as the numbers themselves run."""
    if len(places) < 2:
        return list(places)
    weights = np.array([len(place.characters) + 1 for place in places], np.float64)
    angles = np.array([place.angle for place in places])
    angle = math.atan2(float((np.sin(angles) * weights).sum()), float((np.cos(angles) * weights).sum()))
    close = np.abs(np.angle(np.exp(1j * (angles - angle)))) < 0.35
    if close.any():
        angle += float(np.average(np.angle(np.exp(1j * (angles - angle)))[close], weights=weights[close]))
    across = np.array([math.cos(angle), math.sin(angle)])
    down = np.array([-across[1], across[0]])
    middles = np.array([place.quad.mean(axis=0) for place in places])
    x, y = middles @ across, middles @ down
    tall = np.array([np.ptp(place.quad @ down) for place in places])
    lines: list[list[int]] = []
    for one in np.argsort(y, kind="stable").tolist():
        if lines:
            near = min(lines[-1], key=lambda i: abs(x[i] - x[one]))
            if y[one] - y[near] < 0.5 * min(tall[one], tall[near]) or (
                y[one] - np.mean(y[lines[-1]]) < 0.4 * min(tall[one], float(np.median(tall[lines[-1]])))
            ):
                lines[-1].append(one)
                continue
        lines.append([one])
    return [places[one] for line in lines for one in sorted(line, key=lambda i: float(x[i]))]
