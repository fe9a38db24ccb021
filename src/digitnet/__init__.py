"""digitnet recognises handwritten digits and numbers in images, and trains the models that do it.

Importing this package imports neither torch nor numpy; each public name loads its module when first used.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from digitnet.core.lazy import lazily
from digitnet.core.version import __version__

if TYPE_CHECKING:
    from digitnet.core.digits import Classifier, Digits
    from digitnet.core.errors import DataError, DigitNetError, ImageError, ModelError, TrainingError
    from digitnet.data.datasets import load
    from digitnet.evaluation.metrics import Scores, evaluate
    from digitnet.imaging.normalization import frame
    from digitnet.models.loading import classifier
    from digitnet.reading.constraints import Rules
    from digitnet.reading.reader import Reader, read
    from digitnet.reading.result import Number, Reading

# ONNX Runtime keeps a device's number and a store of events to send in the cache folder, unless told before its import.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__all__ = [
    "Classifier",
    "DataError",
    "DigitNetError",
    "Digits",
    "ImageError",
    "ModelError",
    "Number",
    "Reader",
    "Reading",
    "Rules",
    "Scores",
    "TrainingError",
    "__version__",
    "classifier",
    "evaluate",
    "frame",
    "load",
    "read",
]

_HOMES = {
    "core.digits": ["Classifier", "Digits"],
    "core.errors": ["DataError", "DigitNetError", "ImageError", "ModelError", "TrainingError"],
    "data.datasets": ["load"],
    "evaluation.metrics": ["Scores", "evaluate"],
    "imaging.normalization": ["frame"],
    "models.loading": ["classifier"],
    "reading.constraints": ["Rules"],
    "reading.reader": ["Reader", "read"],
    "reading.result": ["Number", "Reading"],
}

__getattr__, __dir__ = lazily(__name__, _HOMES)
