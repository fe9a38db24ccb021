"""The page network as a model file: an ONNX session that gives the maps of a page."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime  # type: ignore[import-untyped]
from numpy.typing import NDArray

from digitnet.errors import ModelError
from digitnet.runtime import PAGE, WEIGHTS

PAGES, FINE, COARSE = "pages", "fine", "coarse"
"""Names of the network's input and outputs."""


class PageModel:
    """A model file that finds numbers: (1, 3, h, w) float32 0..1 -> its maps; sides multiples of 32."""

    def __init__(self, path: Path, threads: int = 0) -> None:
        """Load a model file; threads: 0 for as many as there are cores. Raises ModelError where it cannot be run."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 4
        try:
            content = path.read_bytes()
            self.sha256 = hashlib.sha256(content).hexdigest()
            self._session: Any = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise ModelError(f"{path}: not a model that ONNX Runtime can run; export it again") from error

    def __call__(self, page: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the fine maps (1, 3, h/2, w/2) and the coarse ones (1, 21, h/4, w/4), float32."""
        fine, coarse = self._session.run([FINE, COARSE], {PAGES: page})
        return fine, coarse

    def release(self) -> None:
        """Give the memory of the last page back to the system."""
        options = onnxruntime.RunOptions()
        options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        self._session.run([FINE], {PAGES: np.zeros((1, 3, 32, 32), np.float32)}, options)


def page_model(name_or_path: str | Path = PAGE, threads: int = 0) -> PageModel:
    """Return the built-in page network, or the one in an `.onnx` file. Raises ModelError where there is none."""
    return PageModel(WEIGHTS / f"{PAGE}.onnx" if str(name_or_path) == PAGE else Path(name_or_path), threads)
