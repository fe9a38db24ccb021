"""digitnet reads handwritten digits: off pictures, off MNIST, and it learns to, with confidences to act on.

Importing this package imports neither torch nor numpy; each public name loads its module when first used.
"""

from __future__ import annotations

import importlib
import os
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

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

__version__ = "0.1.0"

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
    "Classifier": "digits",
    "DataError": "errors",
    "DigitNetError": "errors",
    "Digits": "digits",
    "ImageError": "errors",
    "ModelError": "errors",
    "Number": "reading",
    "Reader": "reader",
    "Reading": "reading",
    "Rules": "rules",
    "Scores": "evaluate",
    "TrainingError": "errors",
    "classifier": "classifiers",
    "evaluate": "evaluate",
    "frame": "frame",
    "load": "data",
    "read": "reader",
}


class _Package(ModuleType):
    """This package, in which a public function wins over the module of the same name (`digitnet.evaluate`)."""

    def __getattr__(self, name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module 'digitnet' has no attribute {name!r}")
        value = getattr(importlib.import_module(f"digitnet.{_HOMES[name]}"), name)
        setattr(self, name, value)
        return value

    def __setattr__(self, name: str, value: Any) -> None:
        # The import system binds a submodule here once it is loaded.
        if not (name in _HOMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *__all__})


sys.modules[__name__].__class__ = _Package
