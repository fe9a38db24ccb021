"""From a file to the ink of each number: decode, deskew, remove ruled lines, segment, normalize. No model is involved.

It imports `core` only. Start with `pages.py`, then `segmentation.py`.
"""

from typing import TYPE_CHECKING

from digitnet.core.lazy import lazily

if TYPE_CHECKING:
    from digitnet.imaging.normalization import frame
    from digitnet.imaging.segmentation import find

__all__ = [
    "find",
    "frame",
]

__getattr__, __dir__ = lazily(__name__, {"normalization": ["frame"], "segmentation": ["find"]})
