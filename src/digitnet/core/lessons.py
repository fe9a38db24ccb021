"""What a line reader can learn from a person: a number's picture and its digits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Lesson:
    """A number that a person has read.

    strip: (STRIP_HEIGHT, w) uint8, 0 paper .. 255 ink, as `imaging.normalization.strip` makes it. digits: what is
    written, without signs. sheet: where it comes from; numbers of one sheet may be of one writer.
    """

    strip: NDArray[np.uint8]
    digits: str
    sheet: str
