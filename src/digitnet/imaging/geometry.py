"""Places on a page: boxes, and the map that turns it upright."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Box = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels of the page; right and bottom are outside."""


Affine = NDArray[np.float64]
"""(2, 3): the map from (x, y, 1) to (x, y)."""
