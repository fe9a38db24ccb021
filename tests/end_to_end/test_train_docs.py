"""The Python examples of docs/train.md do what the page says."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from digitnet import classifier
from digitnet.data import datasets
from digitnet.reading.reader import Reader
from digitnet.training.config import RECIPES
from digitnet.training.export import export_run
from digitnet.training.run import reopen

PAGE = (Path(__file__).parents[2] / "docs" / "train.md").read_text()


def example(heading):
    return re.search(rf"## {heading}\n.*?```python\n(.*?)```", PAGE, re.DOTALL)[1]


@pytest.fixture(autouse=True)
def _small(monkeypatch, drawn_npz):
    """The examples learn a few hundred drawn digits."""
    for name in ("best", "quick"):
        small = replace(RECIPES[name], data=str(drawn_npz), steps=60, batch_size=32, device="cpu", average=0.0)
        monkeypatch.setitem(RECIPES, name, small)
    splits = datasets.splits
    monkeypatch.setattr(datasets, "splits", lambda name: splits(drawn_npz))


def test_the_example_leaves_a_whole_run(tmp_path, capsys, drawn):
    exec(compile(example("From Python"), "train.md", "exec"), {})
    printed = capsys.readouterr().out
    assert "<Scores: " in printed
    files = {path.name for path in (tmp_path / "run" / "mine").iterdir()}
    assert {"config.json", "history.jsonl", "model.safetensors", "scores.json", "report.html"} <= files
    assert "state.safetensors" not in files
    assert Reader(digits="mine.onnx").digits(drawn.images[:3]).shape == (3, 10)
    assert export_run(Path("run/mine"), tmp_path / "again.onnx").about["seed"] == 7
    assert (
        classifier("run/mine")(drawn.images).argmax(1).tolist()
        == classifier("mine.onnx")(drawn.images).argmax(1).tolist()
    )


def test_the_example_stopped_before_its_end_is_gone_on_with(tmp_path):
    stopped = example("From Python").replace("> 0.997", ">= 0").split("scores = run.finish()")[0]
    exec(compile(stopped, "train.md", "exec"), {})
    again = reopen(Path("run/mine"))
    assert next(again.train()).number == 2


def test_a_network_of_ones_own_is_trained_and_exported(tmp_path, drawn):
    exec(compile(example("A network of your own"), "train.md", "exec"), {})
    assert (classifier("own.onnx")(drawn.images).argmax(1) == drawn.labels).mean() > 0.8
