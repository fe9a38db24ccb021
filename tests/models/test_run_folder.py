"""A run's file names: one list, and what a run of the command leaves."""

import json

import pytest

from digitnet import ModelError
from digitnet.models import run_folder


def test_the_names_are_those_of_runs_made_before():
    names = {name: value for name, value in vars(run_folder).items() if name.isupper() and isinstance(value, str)}
    assert names == {
        "CONFIG": "config.json",
        "TRAINED_ON": "trained-on.gz",
        "HISTORY": "history.jsonl",
        "WEIGHTS": "model.safetensors",
        "STATE": "state.safetensors",
        "SCORES": "scores.json",
        "ERRORS": "errors.npz",
        "CONFUSION": "confusion_matrix.png",
        "REPORT": "report.html",
        "LOCK": ".lock",
    }
    assert all(value in run_folder.__doc__ for value in names.values())


def test_json_comes_back_and_what_is_damaged_is_named(tmp_path):
    path = tmp_path / run_folder.CONFIG
    run_folder.save_json(path, {"epochs": 3, "data": "Zürich"})
    assert run_folder.load_json(path) == json.loads(path.read_text(encoding="utf-8")) == {"epochs": 3, "data": "Zürich"}
    path.write_text("[]")
    with pytest.raises(ModelError, match=r"config\.json: not a JSON object"):
        run_folder.load_json(path)
