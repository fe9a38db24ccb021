"""The limit on work per page: the regions that are read, from the top of the page."""

from __future__ import annotations

import numpy as np

from digitnet.core.digits import STRIP_HEIGHT
from digitnet.imaging.segmentation import Found, Region

WIDEST = 4_000
"""Width to which longer strips are squeezed, pixels: a hundred digits."""

MAX_EFFORT = 32_000
"""Effort that a page's strips may take (`effort`), some 1.5 s of a core: 150 numbers of four digits."""


def effort(region: Region) -> float:
    """Return how much work a region is, in pixels of its strip: long strips are searched for longer ones of digits."""
    height, width = region.ink.shape
    wide: float = min(max(8.0, width * STRIP_HEIGHT / height), float(WIDEST))
    return 100 + wide + wide * wide / 1000


def within(found: Found, share: float = 1) -> Found:
    """Leave out the last regions of a page where all together are more work than a share of `MAX_EFFORT`."""
    ends = np.cumsum([effort(region) for region in found.regions])
    count = int(np.searchsorted(ends, share * MAX_EFFORT, side="right"))
    if count == len(found.regions):
        return found
    beyond = *(region.box for region in found.regions[count:]), *found.beyond
    return Found(found.regions[:count], tuple(sorted({*found.limits, "too_many_numbers"})), beyond)
