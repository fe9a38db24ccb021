import json
from dataclasses import replace

import numpy as np
import pytest

from digitnet import ModelError, TrainingError, checkpoint, data
from digitnet.run import reopen, score, start
from digitnet.train import RECIPES


@pytest.fixture
def config(drawn_npz):
    return replace(RECIPES["quick"], data=str(drawn_npz), epochs=2, batch_size=32, device="cpu")


def test_a_run_goes_from_settings_to_scores(config, tmp_path, drawn):
    run = start(config)
    assert [epoch.number for epoch in run.train()] == [1, 2]
    scores = run.finish()
    assert run.folder.name == "quick-1"
    kept = json.loads((run.folder / "scores.json").read_text())
    assert kept["accuracy"] == scores.accuracy
    assert not (run.folder / "state.safetensors").exists()
    assert (drawn.labels[scores.index] == scores.labels).all()
    assert (scores.index == np.flatnonzero(data.held_out_rows(drawn))).all()


def test_a_reopened_run_goes_on_to_the_same_file(config):
    whole, parts = start(config), start(config)
    list(whole.train())
    next(parts.train())
    assert [epoch.number for epoch in reopen(parts.folder).train()] == [2]
    assert (whole.folder / "model.safetensors").read_bytes() == (parts.folder / "model.safetensors").read_bytes()


def test_a_run_remembers_its_settings_for_this_machine(config):
    run = start(config)
    again = reopen(run.folder)
    assert again.config == run.config
    assert again.config.precision in ("float32", "bfloat16")
    assert (again.parts.test_rows == run.parts.test_rows).all()


def test_a_relative_path_is_found_again_from_another_folder(config, drawn_npz, tmp_path, monkeypatch):
    run = start(replace(config, data=drawn_npz.name))
    folder = run.folder.absolute()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert reopen(folder).config.data == str(drawn_npz)


@pytest.mark.parametrize("text", ["{}", '{"epochs": "many"}', '{"epochs": 0, "data": "mnist"}', "[]", "no json"])
def test_a_damaged_configuration_is_an_error_in_words(tmp_path, text):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises((TrainingError, ModelError)) as caught:
        reopen(tmp_path)
    assert str(tmp_path) in str(caught.value) or "epochs" in str(caught.value)


def test_scoring_takes_the_newest_run_by_default(config):
    first, second = start(config), start(config)
    for run in (first, second):
        list(run.train())
    done = score()
    assert done.model == second.folder
    assert done.kept_back
    assert done.scores.n == len(second.parts.test)
    assert done.picture == second.folder / "confusion_matrix.png"


def test_scores_survive_a_folder_that_cannot_be_written(config, monkeypatch, caplog):
    def refuse(path, data):
        raise PermissionError(13, "Permission denied", str(path))

    run = start(config)
    list(run.train())
    monkeypatch.setattr("digitnet.report.write_atomic", refuse)
    done = score(run.folder)
    assert done.scores.n == len(run.parts.test)
    assert not done.picture.exists()
    assert "Permission denied" in caplog.text


def test_an_interrupted_first_epoch_can_be_resumed_but_not_scored(config):
    run = start(config)
    with pytest.raises(ModelError, match=rf"no {checkpoint.WEIGHTS} in it"):
        score(run.folder)
    assert [epoch.number for epoch in reopen(run.folder).train()] == [1, 2]
