"""Separation of ink from background: how strongly each pixel is inked, for any light, paper and polarity.

Paper is measured in cells as the brightest (for light ink the darkest) around, ink as what stands out from it. Light
and shadow, the grain of the paper and patterns fainter than the writing are flattened. Not covered: what the ink is.

The constants were chosen on composed pages of handwritten digits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from digitnet.core.errors import ImageError

Gray = NDArray[np.uint8]
"""(height, width) grey levels or strengths of ink, 0..255."""

MIN_STROKE = 64
"""Ink strength from which a pixel belongs to a stroke, 0..255."""

PAPER_CONTRAST = 0.25
"""Contrast that counts as paper, as a share of what a stroke must have."""

GRID_CELLS = 160
"""Cells along a page's longer side in which paper and ink levels are measured."""

MIN_SHARE = 0.35
"""Ink fainter than this share of the strongest around it is background pattern, shadow or the page behind."""

MIN_LOCAL_SHARE = 0.4
"""Where the strongest ink around is weaker than this share of the page's strongest, it is taken to be that strong."""

MIN_LIGHT = 48
"""Light that ink is measured against at least, grey levels."""

MIN_CONTRAST = 10
"""Least difference between ink and paper, grey levels of 255."""


def ink_of(page: Gray) -> Gray:
    """Return how strongly each pixel is inked: (h, w) uint8 page, 0 black .. 255 white -> (h, w) uint8, 0 .. 255 ink.

    Paper is 0 wherever the light falls, ink is bright whether it was darker or lighter than its paper, and what
    reaches `MIN_STROKE` belongs to a stroke. Raises ImageError
    as `checked` does.
    """
    page = checked(page)
    height, width = page.shape
    noise = _noise(page)
    if noise > 4:
        page = cv2.GaussianBlur(page, (3, 3), 0).astype(np.uint8, copy=False)
        noise *= 0.4
    paper, dark, level = _levels(page, noise)

    def full(cells: NDArray[Any]) -> Gray:
        grown = cv2.resize(cells.clip(0, 255).round().astype(np.uint8), (width, height), interpolation=cv2.INTER_LINEAR)
        return grown.astype(np.uint8, copy=False)

    below, above = full(paper - PAPER_CONTRAST * level), full(paper + PAPER_CONTRAST * level)
    if dark.all():
        ink = cv2.subtract(below, page)
    elif not dark.any():
        ink = cv2.subtract(page, above)
    else:
        side = cv2.resize(dark.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
        ink = cv2.subtract(page, above)
        cv2.copyTo(cv2.subtract(below, page), side, ink)
    gain = MIN_STROKE / ((1 - PAPER_CONTRAST) * level)  # a pixel of exactly the threshold's contrast comes to INK
    return cv2.multiply(ink, full(gain * 16), scale=1 / 16).astype(np.uint8, copy=False)


def checked(page: Gray) -> Gray:
    """Return a page as it is; raise ImageError unless it is a (h, w) uint8 array with pixels."""
    page = np.asarray(page)
    if page.ndim != 2 or page.dtype != np.uint8 or not page.size:
        raise ImageError(f"page is {page.shape} {page.dtype}, expected (height, width) uint8 with at least one pixel")
    return page


def quantiles(values: NDArray[np.uint8], shares: Sequence[float]) -> list[float]:
    """Return what `np.quantile` does, of uint8 values and several times as fast; shares: 0..1."""
    counts, step = np.zeros(256, np.intp), max(1, len(values) * 2**20 // values.size) if values.size else 1
    for start in range(0, len(values), step):  # bincount makes of every byte eight
        counts += np.bincount(values[start : start + step].ravel(), minlength=256)
    below = counts.cumsum()
    places = [share * (values.size - 1) for share in shares]
    low = below.searchsorted([int(place) for place in places], side="right").tolist()
    high = below.searchsorted([math.ceil(place) for place in places], side="right").tolist()
    return [a + (b - a) * (place % 1) for a, b, place in zip(low, high, places, strict=True)]


def _noise(page: Gray) -> float:
    """Return the standard deviation of the paper's grain: the median step against both neighbours, few are on ink."""
    if min(page.shape) < 32:  # a tight crop may be more ink than paper
        return 0.0
    rows = page[:: max(1, page.shape[0] // 200)].astype(np.int16)
    step = np.abs(2 * rows[:, 1:-1] - rows[:, :-2] - rows[:, 2:]).clip(max=255).astype(np.uint8)
    return quantiles(step, (0.5,))[0] / (0.6745 * math.sqrt(6))


def _levels(page: Gray, noise: float) -> tuple[NDArray[Any], NDArray[np.bool_], NDArray[Any]]:
    """Return for each cell of the page: the paper's grey, whether ink is darker, and the contrast ink must have."""
    height, width = page.shape
    fine = max(1, max(height, width) // 1000)
    small = page
    if fine > 1:
        small = cv2.resize(page, (-(-width // fine), -(-height // fine)), interpolation=cv2.INTER_AREA).astype(np.uint8)
    step = -(-max(small.shape) // GRID_CELLS)
    rows, columns = -(-small.shape[0] // step), -(-small.shape[1] // step)
    below, right = rows * step - small.shape[0], columns * step - small.shape[1]
    small = np.asarray(cv2.copyMakeBorder(small, 0, below, 0, right, cv2.BORDER_REPLICATE), np.uint8)

    tile, corner = np.ones((step, step), np.uint8), (step - 1, step - 1)

    def most(values: NDArray[Any]) -> NDArray[Any]:
        return cv2.dilate(values, tile, anchor=corner)[step - 1 :: step, step - 1 :: step].copy()

    def least(values: NDArray[Any]) -> NDArray[Any]:
        return cv2.erode(values, tile, anchor=corner)[step - 1 :: step, step - 1 :: step].copy()

    def mean(values: NDArray[Any]) -> NDArray[Any]:
        return cv2.resize(values, (columns, rows), interpolation=cv2.INTER_AREA)

    def spread(cells: NDArray[Any]) -> NDArray[Any]:
        return cv2.resize(cells, (columns * step, rows * step), interpolation=cv2.INTER_NEAREST)

    # Wider than any stroke, narrower than most shadows; of a tight crop around one digit all that there is.
    reach = max(min(rows, columns) // 4, -(-20 // (fine * step))) | 1
    window = np.ones((reach, reach), np.uint8)
    middle = mean(small)
    slope = _plane(middle)  # closing is exact on a ramp except near the page's border
    bright = cv2.morphologyEx(most(small) - slope, cv2.MORPH_CLOSE, window) + slope
    black = cv2.morphologyEx(least(small) - slope, cv2.MORPH_OPEN, window) + slope
    decided = _polarity(small)
    if decided is not None:
        dark = np.full((rows, columns), decided)
    else:
        usual = cv2.medianBlur(middle, min(2 * reach + 1, 255)).astype(np.float32)
        around = (3 * reach, 3 * reach)
        # What is no more than grain has no vote: around a small digit there is little else.
        grain = np.float32(max(MIN_CONTRAST, 6 * noise))
        lighter, darker = np.maximum(bright - usual - grain, 0), np.maximum(usual - black - grain, 0)
        dark = cv2.blur(lighter, around) <= cv2.blur(darker, around)
        if dark.any() and not dark.all():  # where both meet, each cell goes to the paper it is more like
            white, board = float(np.median(usual[dark])), float(np.median(usual[~dark]))
            if white > board:
                near = cv2.medianBlur(middle, reach // 4 * 2 + 1)
                edge = cv2.morphologyEx(dark.astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((reach, reach), np.uint8))
                dark = np.where(edge > 0, near > (white + board) / 2, dark)
    paper = np.where(dark, bright, black)
    if dark.all():
        contrast = spread(paper) - small
    else:
        contrast = (spread(paper) - small) * spread(np.where(dark, np.float32(1), np.float32(-1)))
    contrast = np.maximum(contrast, 0)
    if noise:  # the brightest of many grains is brighter than the paper
        bias = min(float(np.median(contrast[::3, ::3])), 4 * noise)
        paper = paper - np.where(dark, bias, -bias).astype(np.float32)
        contrast = np.maximum(contrast - np.float32(bias), 0)
    # As a share of the light: in a shadow ink and paper come closer.
    light = np.where(dark, paper, 255 - paper).clip(MIN_LIGHT)
    share = contrast / spread(light)
    strongest = cv2.blur(cv2.dilate(most(share), window), (reach, reach))
    strongest = np.maximum(strongest, MIN_LOCAL_SHARE * strongest.max())
    level = MIN_SHARE * strongest
    if decided is None:  # else there is so much ink that it would be taken for a pattern
        limit = spread(0.4 * strongest)
        pattern = cv2.blur(mean(np.minimum(share, limit)), (reach, reach))
        level = np.maximum(level, np.minimum(2.2 * pattern, 0.55 * strongest))
    return paper, dark, np.maximum(level * light, max(MIN_CONTRAST, 4 * noise))


def _plane(cells: NDArray[Any]) -> NDArray[np.float32]:
    """Return the plane that fits an image best, with a mean of 0."""
    rows, columns = cells.shape
    y = np.arange(rows, dtype=np.float32) - np.float32((rows - 1) / 2)
    x = np.arange(columns, dtype=np.float32) - np.float32((columns - 1) / 2)
    down = cells.mean(1) @ y / max(float(y @ y), 1)
    across = cells.mean(0) @ x / max(float(x @ x), 1)
    plane: NDArray[np.float32] = (down * y[:, None] + across * x).astype(np.float32)
    return plane


def _polarity(small: Gray) -> bool | None:
    """Say whether the ink of a small picture is dark; None where ink is so sparse that local medians know better."""
    threshold, _ = cv2.threshold(small, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    light = small > threshold
    share, (height, width) = light.mean(), light.shape
    narrow = height > 2.2 * width  # a 1, whose middle is ink from top to bottom
    if not (narrow and height <= 64):
        if not 0.25 <= share <= 0.75:
            return None
        between = share * (1 - share) * (small[light].mean() - small[~light].mean()) ** 2
        if between < 0.85 * small.var():  # light and shadow rather than ink and paper: of a ramp it is 0.75
            return None
    if narrow:
        return bool(light[:, width // 3 : -(-2 * width // 3)].mean() < light[:, [0, -1]].mean())
    border = np.concatenate([light[0], light[-1], light[:, 0], light[:, -1]]).mean()
    corners = light[[0, 0, -1, -1], [0, -1, 0, -1]].mean()
    votes = share + border + corners
    # Shadows lie across the border, ink hardly: only a picture as small as a digit's own may have its border inked.
    sure = not 1.2 <= votes <= 1.8 and (max(height, width) <= 64 or abs(border - 0.5) > 0.25)
    return bool(votes > 1.5) if sure else None
