"""From a page to a `Reading`: the main job of digitnet, for one image or many; `bulk/` does millions.

It imports `core`, `imaging`, `data` and `models`. Start with `reader.py`; `result.py` has what it returns.
"""

from typing import TYPE_CHECKING

from digitnet.core.lazy import lazily

if TYPE_CHECKING:
    from digitnet.reading.batch import read_all
    from digitnet.reading.constraints import Rules
    from digitnet.reading.reader import Reader, read
    from digitnet.reading.result import Digit, Number, Reading

__all__ = [
    "Digit",
    "Number",
    "Reader",
    "Reading",
    "Rules",
    "read",
    "read_all",
]

__getattr__, __dir__ = lazily(
    __name__,
    {
        "batch": ["read_all"],
        "constraints": ["Rules"],
        "reader": ["Reader", "read"],
        "result": ["Digit", "Number", "Reading"],
    },
)
