"""The page network as a model file: an ONNX session that returns the maps of a page."""

from __future__ import annotations

import hashlib
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime  # type: ignore[import-untyped]
from numpy.typing import NDArray

from digitnet.core.errors import ModelError
from digitnet.models import vetting
from digitnet.models.model_file import YOURS, content_of, session_of
from digitnet.models.onnx_models import PAGE, WEIGHTS, hashes
from digitnet.models.trust import trusted

PAGES, FINE, COARSE = "pages", "fine", "coarse"
"""Names of the network's input and outputs."""

TRIED = (32, 64, 128, 256, 512)
"""Sides of the pages, in pixels, that a file of unknown origin is tried on."""


class PageModel:
    """A model file that finds numbers: (1, 3, h, w) float32 0..1 -> its maps; sides multiples of 32."""

    def __init__(self, path: Path, threads: int = 0) -> None:
        """Load a model file; threads: 0 for as many as there are cores. Raises ModelError where it cannot be run."""
        self._path, self._threads, self._content = path, threads, content_of(path)
        self.sha256 = hashlib.sha256(self._content).hexdigest()
        if self.sha256 in hashes().values():
            return
        if not trusted(self.sha256):
            try:
                _validate(path, self._content)
            except ModelError:
                raise
            # ONNX Runtime's errors have no common parent but Exception.
            except Exception as error:
                raise self._unfit() from error
        _ = self._session

    @cached_property
    def _session(self) -> Any:
        """The session; of the built-in network opened for the first page, as a drawing of one number needs none."""
        try:
            return session_of(self._content, self._threads)
        except Exception as error:
            raise self._unfit() from error

    def _unfit(self) -> ModelError:
        return ModelError(f"{self._path}: not a model that ONNX Runtime can run; export it again")

    def __call__(self, page: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the fine maps (1, 3, h/2, w/2) and the coarse ones (1, 21, h/4, w/4), float32."""
        fine, coarse = self._session.run([FINE, COARSE], {PAGES: page})
        return fine, coarse

    def release(self) -> None:
        """Give the memory of the last page back to the system."""
        options = onnxruntime.RunOptions()
        options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        self._session.run([FINE], {PAGES: np.zeros((1, 3, 32, 32), np.float32)}, options)


def _validate(path: Path, content: bytes) -> None:
    """Raise ModelError unless a file of unknown origin answers pages, within bounds, with maps of their size."""
    if fault := vetting.fault(content, vetting.OPERATORS | vetting.ENLARGING):
        raise ModelError(f"{path}: {fault}" + (f"; {YOURS} {path}" if fault.endswith("not run") else ""))
    session = vetting.careful(content)
    has = {node.name for node in (*session.get_inputs(), *session.get_outputs())}
    if not {PAGES, FINE, COARSE} <= has:
        raise ModelError(f"{path}: an ONNX file, but not a page network; choose another")
    pages = [{PAGES: np.full((1, 3, side, side), 0.9, np.float32)} for side in TRIED]
    answers = vetting.trial(session, (FINE, COARSE), pages)
    for side in TRIED:
        try:
            maps = next(answers)
        except Exception as error:
            bounds = f"{vetting.SECONDS:g} s and {vetting.MEMORY // 10**6} MB"
            raise ModelError(f"{path}: fails, or takes more than {bounds}, when tried; {YOURS} {path}") from error
        for name, values, shape in zip(
            (FINE, COARSE), maps, ((1, 3, side // 2, side // 2), (1, 21, side // 4, side // 4)), strict=True
        ):
            if values.shape != shape or values.dtype != np.float32:
                raise ModelError(f"{path}: its {name} maps are {values.shape} {values.dtype}, expected {shape} float32")


def page_model(name_or_path: str | Path = PAGE, threads: int = 0) -> PageModel:
    """Return the built-in page network, or the one in an `.onnx` file. Raises ModelError where there is none."""
    return PageModel(WEIGHTS / f"{PAGE}.onnx" if str(name_or_path) == PAGE else Path(name_or_path), threads)
