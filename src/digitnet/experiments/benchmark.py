"""The benchmark: every model and baseline measured in the same way on the same digits.

A benchmark is a folder. Each measurement is saved there as soon as it is done, so that it can be stopped anywhere and
resumed. The folder belongs to the settings it was begun with, which `settings.json` keeps.

    OUT/settings.json         what is measured, on what, by which versions
        cells/NAME-SEED.json  the numbers of one model
        runs/, models/        the networks trained for it, and their files
        data/                 for the suite "quick", the digits it uses
        benchmark.md, .csv, .tex

Every model is trained on the training digits alone and calibrated on the validation digits alone, which also set the
confidence below which an image is refused as no digit. The test digits decide nothing. A user's run is calibrated on
its own validation digits, as `digitnet export` does; a file of weights on the benchmark's.
"""

from __future__ import annotations

import hashlib
import json
import platform
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch.optim import Adam

from digitnet.core.digits import Digits
from digitnet.core.errors import DataError, ModelError
from digitnet.core.files import to_json, write_atomic
from digitnet.core.provenance import cores, processor, revision
from digitnet.core.version import __version__
from digitnet.data.datasets import fingerprint
from digitnet.experiments.baselines import BASELINES, calibrated, fit, size
from digitnet.experiments.measurements import Fitted, Numbers, measures
from digitnet.experiments.suite import MADE, SETTINGS, SOURCE, BenchmarkConfig, BenchmarkData
from digitnet.models import onnx_models, run_folder
from digitnet.models.loading import INPUTS, is_weights, open_model
from digitnet.models.networks import TorchClassifier
from digitnet.training.config import RECIPES
from digitnet.training.export import CalibratedClassifier, export_run, valid_of_run
from digitnet.training.run import reopen, start

TUTORIAL = "tutorial"
"""The recipe that is a baseline, too."""


@dataclass(frozen=True)
class Contender:
    """A row: its name, what it is called in the tables, and whether a seed changes it.

    kind: "recipe", trained here; "baseline", of scikit-learn, fitted here; "file", measured as it is.
    """

    name: str
    title: str
    kind: str
    seeded: bool


@dataclass(frozen=True)
class Result:
    """One model of one seed: its row, and its measurements by name, each some numbers."""

    entry: Contender
    seed: int
    found: dict[str, Numbers]


def entries(models: tuple[str, ...], inputs: str | None = None) -> list[Contender]:
    """Return the rows: the models, each a recipe, a built-in model, a file or a run, then the baselines.

    Raises ModelError where there is no such model, or where `inputs` is given and none of them is a file of weights.
    """
    if inputs is not None and (inputs not in INPUTS or not any(map(is_weights, models))):
        raise ModelError(f"--input {inputs}: choose one of {', '.join(INPUTS)}, and name a weights file with --model")
    rows = []
    for name in dict.fromkeys(name for name in (*models, TUTORIAL) if name not in BASELINES):
        recipe = RECIPES.get(name)
        if recipe is not None and not recipe.composed:
            rows.append(Contender(name, name, "recipe", True))
        elif name in onnx_models.built_in():
            rows.append(Contender(name, f"{name} (built in)", "file", False))
        elif recipe is None and Path(name).exists():
            rows.append(Contender(name, name, "file", False))
        else:
            recipes = ", ".join(each for each, config in RECIPES.items() if not config.composed)
            raise ModelError(
                f"model {name!r}: choose a recipe to train ({recipes}), a built-in model "
                f"({', '.join(onnx_models.built_in())}), an .onnx file or a run's folder"
            )
    return rows + [Contender(name, each.title, "baseline", each.seeded) for name, each in BASELINES.items()]


def settings(plan: BenchmarkConfig, sets: BenchmarkData) -> dict[str, Any]:
    """Return everything that decides what a benchmark's numbers are, as plain values."""
    import sklearn

    others = {name: fingerprint(digits) for name, digits in sets.others.items()}
    given = {
        name: "made here" if name == MADE else fingerprint(Digits(sets.without_digit(name))) for name in sets.kinds
    }
    return {
        "suite": plan.suite,
        "models": {name: _content(name) for name in plan.models},
        "seeds": plan.seeds,
        "input": plan.inputs,
        "learnt from": {SOURCE: sets.parts.sha256},
        "data": others,
        "negatives": given,
        "versions": {
            "digitnet": __version__,
            "torch": torch.__version__,
            "numpy": np.__version__,
            "scikit-learn": sklearn.__version__,
        },
    }


def begin(plan: BenchmarkConfig, sets: BenchmarkData, folder: Path) -> dict[str, Any]:
    """Write down the settings in a new folder, with machine and date; or check that they are those it was begun with.

    Returns what is written there. Raises DataError where the folder holds something else.
    """
    path, wanted = folder / SETTINGS, settings(plan, sets)
    if not path.is_file():
        about = {
            "begun": datetime.now(UTC).date().isoformat(),
            "processor": processor(),
            "cores": cores(),
            "revision": revision(),
            "python": platform.python_version(),
            "threads": torch.get_num_threads(),
        }
        write_atomic(path, to_json(wanted | about).encode())
    try:
        kept: dict[str, Any] = {"input": None} | json.loads(path.read_text(encoding="utf-8"))
        differ = [name for name, value in wanted.items() if kept[name] != value]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: damaged; choose another --out") from error
    if differ:
        said = "; ".join(_difference(name, kept[name], wanted[name]) for name in differ)
        raise DataError(
            f"{folder}: contains a benchmark with other settings ({said}); use the same, or choose another --out"
        )
    return kept


def measure(plan: BenchmarkConfig, sets: BenchmarkData, folder: Path) -> Iterator[tuple[Contender, int, str]]:
    """Make every measurement that is not saved yet, and yield which once it is: row, seed and name.

    Models of which there is one for all seeds come last. Raises as training and loading do; what is saved stays.
    """
    rows = entries(plan.models)
    order = [(row, seed) for seed in range(plan.seeds) for row in rows if row.seeded]
    order += [(row, 0) for row in rows if not row.seeded]
    for row, seed in order:
        path = cell_path(folder, row, seed)
        found, wanted = _load(path), measures(sets)
        missing = [name for name in wanted if name not in found]
        if not missing:
            continue
        fitted = prepare(row, seed, sets, folder)
        for name in missing:
            found[name] = wanted[name](fitted)
            write_atomic(path, to_json(found).encode())
            yield row, seed, name


def cells(plan: BenchmarkConfig, sets: BenchmarkData, folder: Path) -> list[Result]:
    """Return what is measured so far, in the order of the rows, then of the seeds; whole cells alone."""
    found = []
    for row in entries(plan.models):
        for seed in range(plan.seeds if row.seeded else 1):
            cell = Result(row, seed, _load(cell_path(folder, row, seed)))
            if set(measures(sets)) <= set(cell.found):
                found.append(cell)
    return found


def cell_path(folder: Path, row: Contender, seed: int) -> Path:
    """Return the file of a cell."""
    name = row.name if row.kind != "file" else "file-" + row.name.replace("/", "~").replace("\\", "~")
    return folder / "cells" / f"{name}-{seed}.json"


def prepare(row: Contender, seed: int, sets: BenchmarkData, folder: Path) -> Fitted:
    """Train or open a model, going on with a run that was stopped."""
    if row.kind == "baseline":
        began, used = time.perf_counter(), time.process_time()
        estimator = fit(row.name, sets.parts.train, seed)
        cost = {"wall": time.perf_counter() - began, "cpu": time.process_time() - used, "bytes": float(size(estimator))}
        return Fitted(calibrated(estimator, sets.parts.valid), None, cost, {})
    if row.kind == "recipe":
        path, costs = _train(row.name, seed, sets, folder)
        model = onnx_models.classifier(path, threads=1)
    else:
        costs = {"wall": None, "cpu": None}
        if row.name not in onnx_models.built_in() and Path(row.name).suffix != ".onnx":
            inputs = sets.plan.inputs if is_weights(row.name) else None
            opened = open_model(row.name, inputs, sets.plan.data_dir)
            folder = Path(row.name)
            weights = folder / run_folder.WEIGHTS if folder.is_dir() else folder
            valid = valid_of_run(folder, sets.plan.data_dir)[0] if folder.is_dir() else sets.parts.valid
            network = cast(TorchClassifier, opened.classifier)
            fitted = CalibratedClassifier(network.network, valid, network.trained_on)
            return Fitted(fitted, fitted.digitness, {**costs, "bytes": float(weights.stat().st_size)}, opened.about)
        model = onnx_models.classifier(row.name, threads=1)
        path = onnx_models.WEIGHTS / f"{row.name}.onnx" if row.name in onnx_models.built_in() else Path(row.name)
    return Fitted(model, model.digitness, {**costs, "bytes": float(path.stat().st_size)}, model.about)


def _train(recipe: str, seed: int, sets: BenchmarkData, folder: Path) -> tuple[Path, Numbers]:
    """Return a trained network's file and the cost of its training."""
    home, path = folder / "runs" / f"{recipe}-{seed}", folder / "models" / f"{recipe}-{seed}.onnx"
    spent = home / "cpu.json"
    if not (home / run_folder.SCORES).is_file():
        begun = (home / run_folder.CONFIG).is_file()
        config = replace(RECIPES[recipe], seed=seed, data=sets.source)
        run = reopen(home, None, sets.plan.data_dir) if begun else start(config, home, sets.plan.data_dir)
        cpu = _load(spent)
        Adam([torch.zeros(1, requires_grad=True)])  # PyTorch loads much with its first optimizer; it is no training
        used = time.process_time()
        for epoch in run.train():
            cpu[str(epoch.number)] = time.process_time() - used
            write_atomic(spent, to_json(cpu).encode())
            used = time.process_time()
        run.finish()
    if not path.is_file():
        export_run(home, path, sets.plan.data_dir)
    lines = (home / run_folder.HISTORY).read_text(encoding="utf-8").splitlines()
    cpu = _load(spent)
    known = len(cpu) == len(lines)  # unless it was killed between an epoch and its cost
    return path, {
        "wall": sum(json.loads(line)["seconds"] for line in lines),
        "cpu": sum(cpu.values()) if known else None,
    }


def _content(name: str) -> str:
    """Return what a model is: of a file or a run the SHA-256 of its weights."""
    path = Path(name) / run_folder.WEIGHTS if Path(name).is_dir() else Path(name)
    known = name in BASELINES or name in RECIPES or name in onnx_models.built_in()
    return "digitnet's" if known else hashlib.sha256(path.read_bytes()).hexdigest()


def _load(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}
    except (ValueError, TypeError) as error:
        raise DataError(f"{path}: damaged; delete it to measure it again") from error


def _difference(name: str, kept: Any, wanted: Any) -> str:
    """Say how a setting differs: by what is in it, or where that is the same, by the content."""
    if isinstance(kept, dict) and isinstance(wanted, dict):
        if kept.keys() == wanted.keys():
            pairs = [(f"{name} {key}", kept[key], wanted[key]) for key in kept if kept[key] != wanted[key]]
            return "; ".join(f"{what} {str(old)[:12]}, now {str(new)[:12]}" for what, old, new in pairs)
        kept, wanted = ", ".join(kept) or "none", ", ".join(wanted) or "none"
    return f"{name} {kept}, now {wanted}"
