# ruff: noqa: F811 -- arguments are fixtures, which are imported by the same names
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import draw_digits
from small_benchmark import NOISE, _small, done, folder, plan, small  # noqa: F401

from digitnet import DataError, ModelError, evaluate
from digitnet.cli import benchmark as cli_benchmark
from digitnet.data import datasets
from digitnet.data.corruptions import CORRUPTIONS, corrupt
from digitnet.evaluation.scoring import score
from digitnet.experiments import baselines, benchmark, measurements
from digitnet.experiments.benchmark import begin, cells, entries, measure
from digitnet.experiments.suite import BenchmarkData
from digitnet.models import checkpoint, onnx_models
from digitnet.models.loading import open_model
from digitnet.models.networks import TorchClassifier
from digitnet.training.export import calibrate


def found(done, plan, name, seed=0):
    return next(cell.found for cell in cells(plan, *done[:2]) if (cell.entry.name, cell.seed) == (name, seed))


def test_every_model_is_measured_for_every_seed_that_changes_it(done, plan):
    rows = [(cell.entry.name, cell.seed) for cell in cells(plan, *done[:2])]
    assert rows == [
        *[("quick", 0), ("quick", 1), ("digitnet", 0), ("tutorial", 0), ("tutorial", 1)],
        *[("logistic", 0), ("forest", 0), ("forest", 1)],
    ]
    order = list(dict.fromkeys((row.name, seed) for row, seed, _ in done[2]))
    assert order[:3] == [("quick", 0), ("tutorial", 0), ("forest", 0)]
    assert order[-2:] == [("digitnet", 0), ("logistic", 0)]
    names = {"training", "test", "data/theirs", "no-digit/noise", "speed", *(f"spoilt/{name}" for name in CORRUPTIONS)}
    assert all(set(cell.found) == names for cell in cells(plan, *done[:2]))


@pytest.mark.parametrize("seed", [0, 1])
def test_a_networks_numbers_are_those_that_evaluate_gives_for_its_file(done, plan, seed):
    sets, folder, _ = done
    said, model = found(done, plan, "quick", seed), open_model(str(folder / "models" / f"quick-{seed}.onnx"))
    scores = score(model, sets.source).scores
    assert said["test"]["accuracy"] == scores.accuracy
    assert said["test"]["calibration"] == pytest.approx(scores.calibration_error, abs=1e-6)
    assert said["test"]["kept"] == pytest.approx(1 - scores.rejecting(0.01).error)
    assert said["data/theirs"]["accuracy"] == score(model, plan.data[0]).scores.accuracy
    fog = evaluate(model.classifier, corrupt(datasets.load(sets.source)[:30], "fog"))
    assert said["spoilt/fog"]["accuracy"] == fog.accuracy


def test_a_baselines_numbers_are_those_of_what_it_says(done, plan):
    sets = done[0]
    parts = sets.parts
    classify = baselines.calibrated(baselines.fit("forest", parts.train, 1), parts.valid)
    said = found(done, plan, "forest", 1)
    assert said["test"]["accuracy"] == evaluate(classify, parts.test).accuracy
    assert said["data/theirs"]["accuracy"] == evaluate(classify, datasets.load(plan.data[0])).accuracy


def test_what_is_no_digit_is_refused_below_a_threshold_of_validation_digits(done, plan):
    sets, folder, _ = done
    model = onnx_models.classifier(folder / "models" / "quick-0.onnx")
    test, noise = model.digitness(sets.parts.test.images), model.digitness(NOISE)
    ranks = (test[:, None] > noise).mean() + (test[:, None] == noise).mean() / 2
    threshold = np.quantile(model.digitness(sets.parts.valid.images), 0.01)
    said = found(done, plan, "quick")["no-digit/noise"]
    assert said["auroc"] == pytest.approx(ranks, abs=1e-6)
    assert said["refused"] == (noise < threshold).mean()
    assert said["test"] == (test < threshold).mean()


def test_only_part_of_the_digits_is_learnt_from_by_all_in_the_quick_suite(done, folder):
    sets = done[0]
    part, whole = datasets.load(sets.source, "train"), datasets.load(str(folder / "source"), "train")
    assert len(part) == 660
    assert {image.tobytes() for image in part.images} <= {image.tobytes() for image in whole.images}
    assert np.bincount(part.labels).tolist() == [66] * 10
    assert (sets.parts.test.images == datasets.load(str(folder / "source"), "test").images).all()
    config = json.loads((done[1] / "runs" / "quick-1" / "config.json").read_text())
    assert config["data_sha256"] == sets.parts.sha256
    assert config["seed"] == 1


def test_the_cost_is_that_of_training(done, plan):
    said = found(done, plan, "quick")["training"]
    lines = (done[1] / "runs" / "quick-0" / "history.jsonl").read_text().splitlines()
    assert said["wall"] == sum(json.loads(line)["seconds"] for line in lines)
    assert said["cpu"] > 0
    assert said["bytes"] == (done[1] / "models" / "quick-0.onnx").stat().st_size
    assert found(done, plan, "digitnet")["training"]["wall"] is None
    assert found(done, plan, "digitnet")["speed"]["ratio"] > 0


def test_a_finished_benchmark_measures_nothing_again(done, plan):
    assert list(measure(plan, *done[:2])) == []


def test_an_interrupted_benchmark_goes_on_to_the_same_numbers(done, plan, folder):
    whole = {(cell.entry.name, cell.seed): cell.found for cell in cells(plan, *done[:2])}
    plan, out = replace(plan, seeds=1), folder / "again"
    for stop in (1, 3, 20):  # in the middle of one model, and of the next
        sets = BenchmarkData(plan, out)
        begin(plan, sets, out)
        steps = measure(plan, sets, out)
        last = [next(steps) for _ in range(stop)][-1]
        steps.close()
        saved = json.loads(benchmark.cell_path(out, *last[:2]).read_text())
        assert last[2] in saved
    list(measure(plan, BenchmarkData(plan, out), out))
    again = cells(plan, done[0], out)
    assert len(again) == len({name for name, _ in whole})
    for cell in again:
        one = whole[cell.entry.name, cell.seed]
        same = [name for name in one if name not in ("training", "speed")]
        assert {name: one[name] for name in same} == {name: cell.found[name] for name in same}, cell.entry


def test_a_run_that_was_stopped_is_gone_on_with(done, plan, folder, monkeypatch):
    out, epochs = folder / "stopped", []
    sets = BenchmarkData(plan, out)
    begin(plan, sets, out)
    real = benchmark.write_atomic

    def killed(path, content):
        real(path, content)
        if path.name == "cpu.json":
            epochs.append(path)
            raise KeyboardInterrupt

    monkeypatch.setattr(benchmark, "write_atomic", killed)
    with pytest.raises(KeyboardInterrupt):
        next(measure(plan, sets, out))
    monkeypatch.setattr(benchmark, "write_atomic", real)
    next(measure(plan, sets, out))
    weights = "runs/quick-0/model.safetensors"
    assert (out / weights).read_bytes() == (done[1] / weights).read_bytes()
    assert sorted(json.loads((out / "runs/quick-0/cpu.json").read_text())) == ["1", "2"]
    assert not list(cells(plan, sets, out))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"seeds": 3}, "seeds 2, now 3"),
        ({"models": ("quick",)}, "models quick, digitnet, now quick"),
        ({"suite": "full"}, "suite quick, now full"),
        ({"data": ()}, "data theirs, now none"),
        ({"negatives": ()}, "negatives noise, now none"),
    ],
)
def test_other_settings_are_refused_and_nothing_is_touched(done, plan, change, said):
    before = {path: path.read_bytes() for path in done[1].rglob("*") if path.is_file()}
    other = replace(plan, **change)
    with pytest.raises(DataError, match="contains a benchmark with other settings") as caught:
        begin(other, BenchmarkData(other, done[1]), done[1])
    assert said in str(caught.value)
    assert "--out" in str(caught.value)
    assert {path: path.read_bytes() for path in done[1].rglob("*") if path.is_file()} == before


def test_other_digits_under_the_same_name_are_other_settings(done, plan, tmp_path):
    others = draw_digits(60, 3)
    np.savez(tmp_path / "theirs.npz", images=others.images, labels=others.labels)
    other = replace(plan, data=(str(tmp_path / "theirs.npz"),))
    with pytest.raises(DataError, match=r"other settings \(data theirs \w{12}, now \w{12}\)"):
        begin(other, BenchmarkData(other, done[1]), done[1])


@pytest.mark.parametrize("text", ["", "[]", "{}"])
def test_damaged_settings_and_cells_are_errors_in_words(done, plan, tmp_path, text):
    shutil.copytree(done[1], tmp_path / "out")
    (tmp_path / "out" / "settings.json").write_text(text)
    with pytest.raises(DataError, match=r"settings\.json: damaged"):
        begin(plan, done[0], tmp_path / "out")
    (tmp_path / "out" / "cells" / "quick-0.json").write_text("{")
    with pytest.raises(DataError, match=r"quick-0\.json: damaged; delete it"):
        cells(plan, done[0], tmp_path / "out")


def test_models_are_recipes_built_in_or_files_and_come_once():
    rows = entries(("quick", "strong", "quick", "tutorial", "logistic"))
    assert [(row.name, row.kind, row.seeded) for row in rows] == [
        *[("quick", "recipe", True), ("strong", "file", False), ("tutorial", "recipe", True)],
        *[("logistic", "baseline", False), ("forest", "baseline", True)],
    ]


@pytest.mark.parametrize("name", ["best-of-all", "line", "missing.onnx"])
def test_an_unknown_model_is_an_error_that_names_the_known(name):
    with pytest.raises(ModelError, match="choose a recipe to train") as caught:
        entries((name,))
    assert repr(name) in str(caught.value)
    assert "transfer" in str(caught.value)


def test_files_and_runs_are_measured_as_they_are(done, plan, folder):
    sets, out, _ = done
    run, file = out / "runs" / "quick-0", out / "models" / "quick-0.onnx"
    rows = entries((str(run), str(file)))[:2]
    fitted = [benchmark.prepare(row, 0, sets, out) for row in rows]
    assert fitted[0].cost["bytes"] == (run / "model.safetensors").stat().st_size
    assert fitted[1].cost["bytes"] == file.stat().st_size
    test = sets.parts.test.images
    assert fitted[0].classifier(test) == pytest.approx(fitted[1].classifier(test), abs=1e-4), "calibrated alike"
    assert fitted[0].digitness(test) == pytest.approx(fitted[1].digitness(test), abs=1e-4)
    named = replace(plan, models=(str(file),))
    assert benchmark.settings(named, sets)["models"][str(file)] == fitted[1].classifier.sha256


def test_weights_are_calibrated_on_validation_digits_and_never_on_test_digits(done, taught, tmp_path, monkeypatch):
    sets, out, _ = done
    monkeypatch.setattr(sets, "plan", replace(sets.plan, inputs="0..1"))
    torch.save(taught.state_dict(), tmp_path / "their.pt")
    used, real = [], benchmark.CalibratedClassifier

    def noted(network, digits, trained_on):
        used.append(digits)
        return real(network, digits, trained_on)

    monkeypatch.setattr(benchmark, "CalibratedClassifier", noted)
    fitted = benchmark.prepare(entries((str(tmp_path / "their.pt"),))[0], 0, sets, out)
    assert [digits.images.tobytes() for digits in used] == [sets.parts.valid.images.tobytes()]
    valid = sets.parts.valid
    calibration = calibrate(taught, valid)
    with torch.no_grad():
        logits = taught(torch.tensor(valid.images)[:, None] / 255)
        probs = calibration.probs(logits, logits.logsumexp(1)).numpy()
    assert fitted.classifier(valid.images) == pytest.approx(probs, abs=1e-5)
    plain = TorchClassifier(taught)(valid.images)
    rows = np.arange(len(valid))
    likelihood = [np.log(each[rows, valid.labels]).mean() for each in (fitted.classifier(valid.images), plain)]
    assert likelihood[0] > likelihood[1] + 0.01
    assert fitted.classifier(valid.images[:0]).shape == (0, 10)


def test_a_run_whose_data_has_moved_cannot_be_calibrated_and_says_how_to_go_on(done, tmp_path):
    sets, out, _ = done
    shutil.copytree(out / "runs" / "quick-0", tmp_path / "moved")
    config = json.loads((tmp_path / "moved/config.json").read_text())
    (tmp_path / "moved/config.json").write_text(json.dumps(config | {"data": "/gone"}))
    with pytest.raises(DataError, match=r"/gone: no such file, .* digitnet export .* --data PATH"):
        benchmark.prepare(entries((str(tmp_path / "moved"),))[0], 0, sets, out)


def test_weights_by_others_take_the_input_that_is_named_or_that_reads_best(done, plan, monkeypatch, tmp_path):
    sets, out, _ = done
    network = checkpoint.load_network(out / "runs" / "quick-0")
    torch.save(network.state_dict(), tmp_path / "their.pt")
    name = str(tmp_path / "their.pt")
    rows = entries((name,))
    monkeypatch.setattr("digitnet.models.loading.splits", lambda *where: sets.parts)
    told = benchmark.prepare(rows[0], 0, sets, out)
    assert told.about == {"input": "0..1"}
    monkeypatch.setattr(sets, "plan", replace(plan, models=(name,), inputs="mnist"))
    assert entries((name,), "mnist") == rows
    fitted = benchmark.prepare(rows[0], 0, sets, out)
    assert fitted.about == {"input": "mnist"}
    images = sets.parts.test.images[:20]
    scaled = (torch.tensor(images[:, None]) / 255 - 0.1307) / 0.3081
    assert (fitted.classifier(images).argmax(axis=1) == network(scaled).argmax(1).numpy()).all()
    assert benchmark.settings(sets.plan, sets)["input"] == "mnist"
    assert "--input mnist" in " ".join(cli_benchmark._commands(rows[0], 0, sets.plan, out, "mnist", ""))
    assert "--input mnist" in cli_benchmark._command(sets.plan, out)
    for models, inputs in (((name,), "zscore"), (("quick", "strong"), "mnist")):
        with pytest.raises(ModelError, match=f"--input {inputs}: choose one of 0..1, mnist, -1..1, 0..255, and name"):
            entries(models, inputs)


def test_of_fonts_that_a_model_learnt_from_nothing_is_told(done, plan, drawn):
    sets = done[0]
    sets.others["fonts"] = drawn
    try:
        scored = measurements.measures(sets)["data/fonts"]
        fitted = benchmark.prepare(entries(("strong",))[0], 0, sets, done[1])
        assert scored(fitted) == {"accuracy": None, "calibration": None}
        assert scored(replace(fitted, about={}))["accuracy"] == evaluate(fitted.classifier, drawn).accuracy
    finally:
        del sets.others["fonts"]
