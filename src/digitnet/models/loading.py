"""Opening single-digit models of any kind by name or path: `digitnet.classifier`."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast, overload

import numpy as np

from digitnet.core import extras
from digitnet.core.digits import Classifier
from digitnet.core.errors import DataError, ModelError
from digitnet.data.datasets import splits
from digitnet.models import foreign, onnx_models
from digitnet.models.inputs import INPUTS as INPUTS
from digitnet.models.run_folder import CONFIG, RUNS, WEIGHTS, latest_run, load_json
from digitnet.models.trained_on import trained_on

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

    A run and weights (`.safetensors`, `.pt`) need PyTorch and give a `TorchClassifier`, whose probabilities are not
    calibrated and which has no digitness; export the run with `digitnet export` to get both.
    threads: number of threads of an `OnnxClassifier` for one batch, 0 for the number of cores; PyTorch has its own
    setting.
    inputs: the input scaling of weights from elsewhere, a name of `loading.INPUTS`; by default the best one on
    validation digits, see `loading.open_model`.
    Raises ModelError if the model does not exist, or if it needs PyTorch and that is not installed.
    """
    path = Path(name_or_path)
    by_others = str(name_or_path) not in onnx_models.built_in() and foreign.kind_of(path) == "onnx"
    if str(name_or_path) in onnx_models.built_in() or (_is_onnx(path) and not by_others):
        if inputs is not None:
            raise ModelError(f"{path}: defines its input scaling itself; omit inputs={inputs!r}")
        return onnx_models.classifier(name_or_path, threads)

    try:
        return cast("TorchClassifier", open_model(path, inputs).classifier)
    except ModuleNotFoundError as error:
        if extras.missing(error.name) is None:
            raise
        raise ModelError(
            f"{path}: needs PyTorch; {extras.missing(error.name)}. Files written by digitnet export do not"
        ) from error


def _is_onnx(path: Path) -> bool:
    """Return whether a path is that of an ONNX file, by its suffix, or without one by its content."""
    if path.suffix or path.is_dir():
        return path.suffix == ".onnx" and not path.is_dir()
    if not path.is_file():
        return True  # what is wrong with a name is told as of a built-in model's
    with path.open("rb") as file:
        return file.read(1) == b"\x08"  # the version, with which ONNX files begin and PyTorch's do not


log = logging.getLogger("digitnet")


POOR = 0.5
"""Share of validation digits below which a model by others is doubted."""


@dataclass(frozen=True)
class Model:
    """A model opened for scoring.

    name: as given by the user. classifier: the model itself. about: its run's configuration or its file's metadata;
    may be empty. home: the run's folder, or the current one.
    """

    name: str
    classifier: Classifier
    about: dict[str, Any]
    home: Path


def is_weights(model: str | Path | None) -> bool:
    """Return whether a model is a file by somebody else, which does not say what `INPUTS` it takes."""
    if model is None or str(model) in onnx_models.built_in() or not Path(model).is_file():
        return False
    if Path(model).suffix == ".onnx":
        return foreign.kind_of(Path(model)) is not None
    if Path(model).suffix != ".safetensors":
        return True
    from digitnet.models import checkpoint

    return "model" not in checkpoint.load_tensors(Path(model))[1]


def open_model(model: str | Path | None = None, inputs: str | None = None, data_dir: str | Path | None = None) -> Model:
    """Open a built-in model by its name, an `.onnx` file, a run's folder, or a file of weights.

    model: by default the newest run in `RUNS`, or else the built-in `onnx_models.DEFAULT`. inputs: what
    a file of weights takes, a name of `INPUTS`; by default the one of them by which it reads most of MNIST's validation
    digits, which the log tells and `about` keeps as "input". data_dir: the folder of named data sets.
    Raises ModelError where there is no such model, where MNIST is needed for that and cannot be had, or where `inputs`
    is given and the model is no such file.
    """
    if inputs is not None and inputs not in INPUTS:
        raise ModelError(f"input {inputs!r}: choose one of {', '.join(INPUTS)}")
    if model is None and not any(RUNS.glob(f"*/{WEIGHTS}")):
        model = onnx_models.DEFAULT
    if model is not None and str(model) not in onnx_models.built_in() and (kind := foreign.kind_of(Path(model))):
        program = foreign.program(Path(model), kind)
        programs = {name: foreign.Foreign(program, *INPUTS[name]) for name in INPUTS}
        chosen = inputs or _best_input(Path(model), programs, data_dir)
        return Model(str(model), programs[chosen], {"input": chosen}, Path())
    if model is not None and (str(model) in onnx_models.built_in() or Path(model).suffix == ".onnx"):
        opened = onnx_models.classifier(model)
        _refuse(inputs, model)
        return Model(str(model), opened, opened.about, Path())

    from digitnet.models import checkpoint
    from digitnet.models.networks import LineNet, Normalised, TorchClassifier
    from digitnet.models.page_network import PageNet

    path = latest_run(RUNS) if model is None else Path(model)
    network = checkpoint.load_network(path)
    if isinstance(network, LineNet):
        raise ModelError(f"{path}: reads whole numbers; export it, then score it with: digitnet evaluate --read")
    if isinstance(network, PageNet):
        raise ModelError(f"{path}: finds numbers on pages; export it, then read with digitnet.Reader(page=FILE)")
    about = load_json(path / CONFIG) if (path / CONFIG).is_file() else {}
    if is_weights(path):
        candidates = {name: TorchClassifier(Normalised(network, *INPUTS[name])) for name in INPUTS}
        chosen = inputs or _best_input(path, candidates, data_dir)
        network, about = candidates[chosen].network, {"input": chosen}
    else:
        _refuse(inputs, path)
    images = trained_on(about, checkpoint.load_images(path))
    classifier = TorchClassifier(network, images, checkpoint.load_names(path))
    return Model(str(path), classifier, about, path if path.is_dir() else Path())


def open_models(
    models: Sequence[str | Path | None], inputs: str | None = None, data_dir: str | Path | None = None
) -> list[Model]:
    """Open several models as `open_model` does; `inputs` is for the files of weights among them."""
    foreign = [is_weights(model) for model in models]
    return [
        open_model(model, inputs if weights or not any(foreign) else None, data_dir)
        for model, weights in zip(models, foreign, strict=True)
    ]


def _refuse(inputs: str | None, model: str | Path) -> None:
    if inputs is not None:
        raise ModelError(f"--input {inputs}: {model} defines its input scaling itself; omit --input")


def _best_input(path: Path, candidates: Mapping[str, Classifier], data_dir: str | Path | None) -> str:
    """Return the name of the classifier that reads most of MNIST's validation digits; of equals the first."""
    try:
        digits = splits("mnist", data_dir).valid
    except DataError as error:
        raise ModelError(
            f"{path}: its input scaling is unknown, and MNIST's validation digits, which could determine it, are not "
            f"available; name it with --input ({', '.join(INPUTS)})\n{error}"
        ) from error
    right = {
        name: float(np.mean(classifier(digits.images).argmax(1) == digits.labels))
        for name, classifier in candidates.items()
    }
    best = max(right, key=lambda name: right[name])
    if right[best] < POOR:
        words = "%s: reads %.1f%% of %d validation digits at best; is it a network for MNIST's digits?"
        log.warning(words, path, 100 * right[best], len(digits))
    others = ", ".join(f"{name} {share:.2%}" for name, share in right.items() if name != best)
    log.info(
        f"{path}: assuming --input {best}, which reads {right[best]:.2%} of {len(digits)} validation digits correctly "
        f"({others})"
    )
    return best
