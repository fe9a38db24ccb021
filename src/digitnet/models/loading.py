"""`digitnet.classifier`: a single digit's model by its name or path, whatever kind of model that is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast, overload

from digitnet.core import extras
from digitnet.core.errors import ModelError
from digitnet.models import onnx_models

if TYPE_CHECKING:
    from digitnet.models.networks import TorchClassifier


@overload
def classifier(
    name_or_path: Literal["strong", "digitnet"] = "strong", threads: int = 0
) -> onnx_models.OnnxClassifier: ...


@overload
def classifier(
    name_or_path: str | Path, threads: int = 0, inputs: str | None = None
) -> onnx_models.OnnxClassifier | TorchClassifier: ...


def classifier(
    name_or_path: str | Path = onnx_models.DEFAULT, threads: int = 0, inputs: str | None = None
) -> onnx_models.OnnxClassifier | TorchClassifier:
    """Return a built-in model by its name, or the model in an `.onnx` file, a run's folder or a file of weights.

    A run and weights (`.safetensors`, `.pt`) need PyTorch, and give a `TorchClassifier`: probabilities that are not
    calibrated, and no digit-ness; `digitnet export` makes a file of a run that has both.
    threads: of an `OnnxClassifier` for one batch, 0 for as many as there are cores; PyTorch has its own setting.
    inputs: what weights by others take, a name of `scoring.INPUTS`; without it the best on validation digits, see
    `scoring.open_model`.
    Raises ModelError where there is no such model, or where it needs PyTorch and that is not installed.
    """
    path = Path(name_or_path)
    if str(name_or_path) in onnx_models.built_in() or _is_onnx(path):
        if inputs is not None:
            raise ModelError(f"{path}: itself says what its inputs are; leave out inputs={inputs!r}")
        return onnx_models.classifier(name_or_path, threads)
    from digitnet.evaluation.scoring import open_model

    try:
        return cast("TorchClassifier", open_model(path, inputs).classifier)
    except ModuleNotFoundError as error:
        if extras.missing(error.name) is None:
            raise
        raise ModelError(
            f"{path}: needs PyTorch; {extras.missing(error.name)}. What digitnet export writes needs none"
        ) from error


def _is_onnx(path: Path) -> bool:
    """Return whether a path is that of an ONNX file, by its suffix, or without one by its content."""
    if path.suffix or path.is_dir():
        return path.suffix == ".onnx" and not path.is_dir()
    if not path.is_file():
        return True  # what is wrong with a name is told as of a built-in model's
    with path.open("rb") as file:
        return file.read(1) == b"\x08"  # the version, with which ONNX files begin and PyTorch's do not
