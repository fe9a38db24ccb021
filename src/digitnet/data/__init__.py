"""Named data sets, file formats, splits, corruptions; `synthesis/` draws digits and numbers, `pages/` whole pages.

It imports `core` and `imaging`. Start with `datasets.py`.
"""

from typing import TYPE_CHECKING

from digitnet.core.lazy import lazily

if TYPE_CHECKING:
    from digitnet.data.corruptions import CORRUPTIONS, corrupt
    from digitnet.data.datasets import DATASETS, get, load, splits

__all__ = [
    "CORRUPTIONS",
    "DATASETS",
    "corrupt",
    "get",
    "load",
    "splits",
]

__getattr__, __dir__ = lazily(
    __name__, {"corruptions": ["CORRUPTIONS", "corrupt"], "datasets": ["DATASETS", "get", "load", "splits"]}
)
