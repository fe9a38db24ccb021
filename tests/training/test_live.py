import json
from dataclasses import replace

import numpy as np
import pytest

from digitnet.core.errors import DataError
from digitnet.models.loading import classifier
from digitnet.training import live
from digitnet.training.config import RECIPES


def test_a_watched_training_shows_how_it_learns_and_leaves_a_complete_run(drawn_npz, drawn, tmp_path, monkeypatch):
    monkeypatch.setitem(RECIPES, "quick", replace(RECIPES["quick"], epochs=1, batch_size=32))
    shown = []
    live.watch("quick", str(drawn_npz), tmp_path / "run", 0.5, 3, shown.append)
    json.dumps(shown)
    first, *looks, last = shown
    config = json.loads((tmp_path / "run/config.json").read_text())
    assert (config["lr"], config["muon_lr"], config["seed"]) == (0.005, 0.03, 3)
    assert first.pop("classes") == drawn.names
    assert first == {"run": "run", "steps": -(-first["digits"] // 32), "digits": first["digits"]}
    steps = [look["step"] for look in looks]
    assert steps[:4] == [0, 1, 2, 3]
    assert steps == sorted(steps)
    assert steps[-1] >= first["steps"] - 1
    assert looks[-1]["loss"] < looks[0]["loss"]
    assert looks[-1]["accuracy"] > looks[0]["accuracy"]
    for look in looks:
        assert np.trace(look["confusion"]) / np.sum(look["confusion"]) == pytest.approx(look["accuracy"])
    assert np.shape(looks[0]["filters"]) == (16, 9)
    assert looks[0]["filters"] != looks[-1]["filters"]
    assert json.loads((tmp_path / "run/scores.json").read_text())["accuracy"] == last["accuracy"]
    weights = classifier(tmp_path / "run").filters().reshape(16, 9)
    assert np.abs(weights - looks[-1]["filters"]).max() < 0.001


def test_what_is_wrong_with_the_data_is_raised_before_anything_is_shown(tmp_path):
    with pytest.raises(DataError, match="nowhere"):
        live.watch("quick", "nowhere", tmp_path / "run", 1.0, 0, lambda look: pytest.fail(str(look)))
