"""Networks, checkpoints and model files: opening them safely, by name or path, and looking inside.

It imports `core` and `data`. PyTorch is imported only by `networks.py` and `checkpoint.py`. Start with `loading.py`,
then `onnx_models.py`.
"""

from typing import TYPE_CHECKING

from digitnet.core.lazy import lazily

if TYPE_CHECKING:
    from digitnet.models.inspection import inside
    from digitnet.models.loading import Model, classifier, open_model
    from digitnet.models.onnx_models import LineReader, OnnxClassifier, line_reader

__all__ = [
    "LineReader",
    "Model",
    "OnnxClassifier",
    "classifier",
    "inside",
    "line_reader",
    "open_model",
]

__getattr__, __dir__ = lazily(
    __name__,
    {
        "inspection": ["inside"],
        "loading": ["Model", "classifier", "open_model"],
        "onnx_models": ["LineReader", "OnnxClassifier", "line_reader"],
    },
)
