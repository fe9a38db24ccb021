"""Recipes, the training loops, runs, several processes, export to ONNX files.

It imports `core`, `imaging`, `data`, `models` and `evaluation`. PyTorch is imported almost everywhere here, but not by
`config.py`. Start with `run.py`, then `loop.py`.
"""

from typing import TYPE_CHECKING

from digitnet.core.lazy import lazily

if TYPE_CHECKING:
    from digitnet.training.config import RECIPES, TrainConfig
    from digitnet.training.export import export_run
    from digitnet.training.loop import Epoch, train
    from digitnet.training.run import Run, reopen, start

__all__ = [
    "RECIPES",
    "Epoch",
    "Run",
    "TrainConfig",
    "export_run",
    "reopen",
    "start",
    "train",
]

__getattr__, __dir__ = lazily(
    __name__,
    {
        "config": ["RECIPES", "TrainConfig"],
        "export": ["export_run"],
        "loop": ["Epoch", "train"],
        "run": ["Run", "reopen", "start"],
    },
)
