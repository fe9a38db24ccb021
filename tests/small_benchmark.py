"""A benchmark that takes seconds: fixtures of the tests of the benchmark and of its command."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from helpers import draw_digits

from digitnet.data import formats
from digitnet.experiments import baselines, benchmark, measurements, suite
from digitnet.experiments.benchmark import begin, measure
from digitnet.experiments.suite import BenchmarkConfig, BenchmarkData, Suite
from digitnet.training.config import RECIPES

NOISE = np.random.default_rng(0).integers(0, 256, (50, 28, 28)).astype(np.uint8)


def small(patch, folder):
    """Let the benchmark measure little: a few hundred drawn digits, two short recipes, two baselines."""
    patch.setattr(suite, "SOURCE", str(folder / "source"))
    patch.setattr(suite, "SUITES", {"quick": Suite(("quick",), 2, 660, 30), "full": Suite(("quick",), 1, None, None)})
    patch.setattr(measurements, "TURNS", 2)
    patch.setattr(measurements, "A_TURN", 0.001)
    for name in ("quick", "tutorial"):
        patch.setitem(RECIPES, name, replace(RECIPES[name], epochs=2, batch_size=32, device="cpu"))
    forest = replace(
        baselines.BASELINES["forest"], make=lambda seed: baselines._forest(seed).set_params(n_estimators=10)
    )
    patch.setitem(baselines.BASELINES, "forest", forest)
    few = {name: baselines.BASELINES[name] for name in ("logistic", "forest")}
    patch.setattr(benchmark, "BASELINES", few)


@cache
def _folder(base):
    folder = base / "benchmark"
    folder.mkdir()
    for name, digits in {"train": draw_digits(720), "t10k": draw_digits(100, 1)}.items():
        for kind, array in {"images-idx3": digits.images, "labels-idx1": digits.labels}.items():
            (folder / "source").mkdir(exist_ok=True)
            (folder / "source" / f"{name}-{kind}-ubyte").write_bytes(formats.idx_bytes(array))
    others = draw_digits(60, 2)
    np.savez(folder / "theirs.npz", images=others.images, labels=others.labels)
    np.savez(folder / "noise.npz", images=NOISE)
    return folder


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return _folder(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="session")
def plan(folder):
    file = str(folder / "theirs.npz")
    return BenchmarkConfig("quick", ("quick", "digitnet"), 2, (file,), (str(folder / "noise.npz"),), folder / "cache")


@pytest.fixture(autouse=True)
def _small(monkeypatch, folder):
    small(monkeypatch, folder)


@pytest.fixture(scope="session")
def done(folder, plan):
    """A finished benchmark: its digits, its folder, and what was measured in which order."""
    return _done(folder, plan)


@cache  # for both files of tests, which would each have fixtures of their own
def _done(folder, plan):
    with pytest.MonkeyPatch.context() as patch:
        small(patch, folder)
        sets = BenchmarkData(plan, folder / "out")
        begin(plan, sets, folder / "out")
        return sets, folder / "out", list(measure(plan, sets, folder / "out"))
