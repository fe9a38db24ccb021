import hashlib
import json
import re
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import draw_digits
from PIL import Image
from processes import Process, command
from sklearn import metrics

from digitnet import __version__, classifier, evaluate
from digitnet.cli import app as cli
from digitnet.core import extras
from digitnet.core.text import percent
from digitnet.data import datasets
from digitnet.data.corruptions import CORRUPTIONS, corrupt
from digitnet.evaluation.metrics import SHARES
from digitnet.evaluation.self_test import Finding
from digitnet.models import checkpoint, onnx_models
from digitnet.models.networks import DigitNet, TorchClassifier
from digitnet.training.config import RECIPES
from digitnet.training.run import start

QUICK = ("--recipe", "quick", "--epochs", "6", "--batch-size", "32", "--device", "cpu")


@pytest.fixture(scope="session")
def trained(drawn, tmp_path_factory):
    """A folder with drawn.npz and a finished run on it."""
    folder = tmp_path_factory.mktemp("trained")
    np.savez(folder / "drawn.npz", images=drawn.images, labels=drawn.labels)
    with Process(command, "train", "--data", "drawn.npz", *QUICK, cwd=folder) as process:
        printed, said = process.communicate()
    assert process.returncode == 0, said
    return folder, printed


def test_train_ends_with_accuracy_table_picture_and_next_commands(trained):
    folder, printed = trained
    scores = json.loads((folder / "run/quick-1/scores.json").read_text())
    assert f"Test accuracy {100 * scores['accuracy']:.2f}%  (95% interval" in printed
    assert re.findall(r"│ (\d) +│ +10 │", printed) == list("0123456789")
    assert "Confusion matrix: run/quick-1/confusion_matrix.png" in printed
    assert "evaluate --show" in printed
    assert [line.split()[1] for line in printed.splitlines() if line.startswith("epoch")] == [
        f"{i}/6" for i in range(1, 7)
    ]


def test_a_runs_folder_holds_what_is_promised(trained, drawn):
    run = trained[0] / "run/quick-1"
    pages = {"confusion_matrix.png", "report.html"}
    names = {"config.json", "history.jsonl", "model.safetensors", "scores.json", "errors.npz", "trained-on.gz"} | pages
    assert {path.name for path in run.iterdir()} == names
    config = json.loads((run / "config.json").read_text())
    assert config["data_sha256"] == datasets.fingerprint(drawn)
    assert config["seed"] == 0
    assert {"digitnet", "torch", "numpy", "python", "revision"} <= set(config)
    assert re.fullmatch(r"[0-9a-f]{40}\+?", config["revision"] or "0" * 40)
    history = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    assert [line["number"] for line in history] == [1, 2, 3, 4, 5, 6]
    assert {"loss", "lr", "seconds", "images_per_second", "valid_accuracy"} <= set(history[0])
    scores = json.loads((run / "scores.json").read_text())
    assert scores["n"] == 100
    assert scores["interval"][0] < scores["accuracy"] < scores["interval"][1] or scores["accuracy"] in (0, 1)
    with Image.open(run / "confusion_matrix.png") as picture:
        picture.load()


def test_evaluate_scores_a_run_only_on_digits_it_never_saw(trained, digitnet, monkeypatch):
    monkeypatch.chdir(trained[0])
    code, out, err = digitnet("evaluate", "--json")
    found = json.loads(out)
    assert code == 0
    assert "scoring only the 100 held-out digits" in err
    kept = json.loads((trained[0] / "run/quick-1/scores.json").read_text())
    assert {name: found[name] for name in kept} == kept


def test_evaluate_agrees_with_scikit_learn_on_a_stateless_classifier(trained, digitnet, tmp_path):
    run = trained[0] / "run/quick-1"
    new = draw_digits(200, seed=5)
    np.savez(tmp_path / "mine.npz", images=new.images, labels=new.labels)
    found = json.loads(digitnet("evaluate", "--model", run, "--data", "mine.npz", "--json")[1])
    predicted = TorchClassifier(checkpoint.load_network(run))(new.images).argmax(axis=1)
    assert found["n"] == 200
    assert found["accuracy"] == metrics.accuracy_score(new.labels, predicted)
    assert found["confusion"] == metrics.confusion_matrix(new.labels, predicted, labels=range(10)).tolist()
    assert (run / "confusion_matrix-mine.png").is_file()


def test_evaluate_scores_a_state_dict_from_a_tutorials_notebook(trained, digitnet, tmp_path):
    torch.save(DigitNet().state_dict(), tmp_path / "their.pt")
    code, out, _ = digitnet("evaluate", "--model", "their.pt", "--input", "0..1", "--data", trained[0] / "drawn.npz")
    assert code == 0
    assert "of 600 digits read wrong" in out
    assert "Most confused:" in out
    assert "Worst errors, by index in the data:" in out
    assert (tmp_path / "confusion_matrix-drawn.png").is_file()


def test_evaluate_scores_a_model_file(exported, drawn, drawn_npz, digitnet):
    code, out, err = digitnet("evaluate", "--model", exported, "--data", "drawn.npz", "--json")
    found = json.loads(out)
    probs = classifier(exported)(drawn.images)
    assert code == 0
    assert not err
    assert (found["model"], found["data"]) == (str(exported), "drawn.npz")
    assert found["accuracy"] == metrics.accuracy_score(drawn.labels, probs.argmax(axis=1))
    scores = evaluate(lambda images: probs, drawn)
    assert found["calibration_error"] == pytest.approx(scores.calibration_error)
    assert [choice["rejected"] for choice in found["selection"]] == [0, 1 / 600, 3 / 600, 6 / 600, 12 / 600, 30 / 600]
    assert [choice["errors"] for choice in found["selection"]] == [scores.rejecting(share).errors for share in SHARES]


def test_evaluate_prints_how_sure_a_model_is_and_what_a_person_would_gain(exported, drawn, drawn_npz, digitnet):
    out = digitnet("evaluate", "--model", exported, "--data", "drawn.npz")[1]
    probs = classifier(exported)(drawn.images)
    wrong = probs.argmax(axis=1) != drawn.labels
    assert re.search(r"^Calibration: confidence and accuracy differ by \d\.\d\d% \(ECE, 15 bins\)$", out, re.MULTILINE)
    rows = re.findall(r"^│ +([\d.]+)% │ +(-|[\d.]+%) │ +([\d.]+)% │ +(\d+) │$", out, re.MULTILINE)
    assert [row[0] for row in rows] == ["0.00", "0.17", "0.50", "1.00", "2.00", "5.00"]
    surest = np.argsort(-probs.max(axis=1), kind="stable")
    for (_, threshold, share, errors), count in zip(rows, [600, 599, 597, 594, 588, 570], strict=True):
        left = wrong[surest[:count]]
        assert int(errors) == left.sum()
        assert float(share) == pytest.approx(100 * left.mean(), abs=0.006)
        assert threshold == ("-" if count == 600 else percent(probs.max(axis=1)[surest[count - 1]]))
    assert "not achievable; the digits are too few or too often misread" in out
    assert "Rejected as not a digit: 0.33%" in out  # two of 600
    assert "Confusion matrix: confusion_matrix-drawn.png" in out


def test_enough_digits_show_who_must_be_sent_to_a_person(exported, drawn, tmp_path, digitnet):
    model = classifier(exported)
    read = model(drawn.images).argmax(axis=1)
    labels = np.tile(read, 6).astype(np.uint8)
    unsure = int(model(drawn.images).max(axis=1).argmin())
    labels[unsure] = (labels[unsure] + 1) % 10
    np.savez(tmp_path / "many.npz", images=np.tile(drawn.images, (6, 1, 1)), labels=labels)
    out = digitnet("evaluate", "--model", exported, "--data", "many.npz")[1]
    sent = re.search(r"At most 0\.1% wrong, with 95% certainty: reject the ([\d.]+)% with a confidence below", out)
    assert sent[1] == f"{100 * 6 / 3600:.2f}"  # six times the one that is unsure and once misread


def test_evaluate_scores_every_corruption(exported, drawn, drawn_npz, digitnet, tmp_path):
    np.savez(tmp_path / "few.npz", images=drawn.images[:40], labels=drawn.labels[:40])
    code, out, _ = digitnet("evaluate", "--model", exported, "--data", "few.npz", "--corrupt", "all", "--json")
    found = json.loads(out)
    assert code == 0
    assert list(found["accuracy"]) == list(CORRUPTIONS)
    assert found["mean"] == pytest.approx(np.mean(list(found["accuracy"].values())))
    fog = classifier(exported)(corrupt(drawn[:40], "fog").images).argmax(axis=1)
    assert found["accuracy"]["fog"] == metrics.accuracy_score(drawn.labels[:40], fog)
    out = digitnet("evaluate", "--model", exported, "--data", "few.npz", "--corrupt", "all")[1]
    rows = re.findall(r"^│ (\w+) +│ +([\d.]+%) +│ +(\d+) +│$", out, re.MULTILINE)
    assert rows == [(name, percent(a), str(round(40 * (1 - a)))) for name, a in found["accuracy"].items()]
    assert f"Mean accuracy of {exported}: {percent(found['mean'])}" in out.replace("\n", " ")


def test_an_unknown_corruption_is_one_line(exported, drawn_npz, digitnet):
    code, out, err = digitnet("evaluate", "--model", exported, "--data", "drawn.npz", "--corrupt", "fogg")
    assert code == 1
    assert not out
    assert err.startswith("Error: unknown corruption 'fogg'; choose one of shot_noise, impulse_noise, ")
    assert len(err.splitlines()) == 1


def test_an_exported_run_scores_as_the_run_does(trained, digitnet, monkeypatch, tmp_path):
    monkeypatch.chdir(trained[0])
    code, out, err = digitnet("export", "run/quick-1", "--out", tmp_path / "mine.onnx")
    content = (tmp_path / "mine.onnx").read_bytes()
    assert code == 0
    assert not err
    assert f"mine.onnx: {len(content):,} bytes, sha256 {hashlib.sha256(content).hexdigest()}\n" in out
    temperature = classifier(tmp_path / "mine.onnx").about["temperature"]
    assert f"temperature {temperature:.3f}, rejects images with a digitness below 0.5" in out
    code, out, err = digitnet("evaluate", "--model", tmp_path / "mine.onnx", "--json")
    assert code == 0
    assert "scoring only the 100 held-out digits" in err
    assert json.loads(out)["confusion"] == json.loads((trained[0] / "run/quick-1/scores.json").read_text())["confusion"]
    Path("confusion_matrix-drawn.png").unlink()


def test_check_says_what_is_wrong_by_its_exit_status(digitnet, monkeypatch):
    findings = [Finding(True, "all is well"), Finding(True, "here too")]
    monkeypatch.setattr("digitnet.evaluation.self_test.check", lambda: iter(findings))
    assert digitnet("check") == (0, "ok     all is well\nok     here too\n", "")
    findings.insert(1, Finding(False, "mine: sha256 0"))
    assert digitnet("check") == (1, "ok     all is well\nWRONG  mine: sha256 0\nok     here too\n", "")


def test_check_finds_a_damaged_model(digitnet, monkeypatch, tmp_path):
    (tmp_path / "SHA256SUMS").write_text(f"{'0' * 64}  mine.onnx\n")
    (tmp_path / "mine.onnx").write_bytes(b"no model")
    monkeypatch.setattr(onnx_models, "WEIGHTS", tmp_path)
    code, out, err = digitnet("check")
    assert code == 1
    assert re.search(r"^WRONG  .*mine\.onnx: not a model that ONNX Runtime", out, re.MULTILINE)
    assert out.startswith(f"ok     digitnet {__version__}, Python 3.")
    assert not err


def test_errors_in_a_folder_of_pictures_are_named_by_their_files(digitnet, drawn, tmp_path):
    for i in range(20):
        (tmp_path / f"mine/{drawn.labels[i]}").mkdir(parents=True, exist_ok=True)
        Image.fromarray(drawn.images[i]).save(tmp_path / f"mine/{drawn.labels[i]}/{i}.png")
    torch.save(DigitNet().state_dict(), tmp_path / "their.pt")
    code, out, _ = digitnet("evaluate", "--model", "their.pt", "--input", "0..1", "--data", "mine")
    assert code == 0
    named = re.findall(r"^  mine/(\d)/\d+\.png: a (\d) read as \d", out, re.MULTILINE)
    assert len(named) == 10
    assert all(folder == true for folder, true in named)


def test_errors_are_numbered_by_their_place_in_the_users_file(trained, digitnet, drawn, monkeypatch):
    monkeypatch.chdir(trained[0])
    torch.manual_seed(0)
    checkpoint.save_network(trained[0] / "run/quick-1/other.safetensors", DigitNet(), "digitnet")
    (trained[0] / "run/quick-1/other.safetensors").replace(trained[0] / "other.safetensors")
    found = json.loads(digitnet("evaluate", "--model", "other.safetensors", "--data", "drawn.npz", "--json")[1])
    assert all(drawn.labels[error["index"]] == error["true"] for error in found["worst"])
    held_out = json.loads((trained[0] / "run/quick-1/scores.json").read_text())
    assert all(drawn.labels[error["index"]] == error["true"] for error in held_out["worst"])


def test_show_opens_the_saved_picture(trained, digitnet, monkeypatch):
    opened = []
    monkeypatch.chdir(trained[0])
    monkeypatch.setattr("click.launch", lambda path: opened.append(path) or 0)
    assert digitnet("evaluate", "--show")[0] == 0
    assert opened == ["run/quick-1/confusion_matrix.png"]


def test_every_new_run_has_its_own_folder(unreported, digitnet, drawn_npz, tmp_path):
    for expected in ("tutorial-1", "tutorial-2"):
        code, out, _ = digitnet("train", "--data", drawn_npz, "--recipe", "tutorial", "--epochs", 1)
        assert (code, ", 1 epoch (" in " ".join(out.split())) == (0, True)
        assert (tmp_path / "run" / expected / "scores.json").is_file()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("train", "--data", "nowhere"), "Error: nowhere: no such file, folder or data set"),
        (("train", "--resume", "nowhere"), "Error: nowhere/config.json: cannot be read"),
        (("train", "--resume", "x", "--epochs", 3), "omit --epochs"),
        (("evaluate", "--model", "their.pt"), "Error: their.pt: no such run or file"),
        (("evaluate", "--model", "their.onnx"), "Error: their.onnx: cannot be read (No such file or directory)"),
        (("train", "--model", "strong", "--recipe", "best"), "recipe 'best' trains digitnet; omit"),
        (("train", "--model", "digitnet", "--recipe", "transfer"), "recipe 'transfer' trains strong; omit"),
        (("train", "--resume", "x", "--model", "strong"), "omit --model"),
        (("export", "nowhere", "--out", "mine.onnx"), "Error: nowhere: no such run or file"),
        (("data", "get", "mnits"), "Error: unknown data set 'mnits'; choose one of mnist"),
    ],
)
def test_a_users_mistake_is_one_line_and_exit_status_1(digitnet, words, message):
    code, out, err = digitnet(*words)
    assert code == 1
    assert message in err
    assert len(err.strip().splitlines()) == 1
    assert not out


@pytest.mark.parametrize(
    "words",
    [
        *(("train", "--epochs", 0), ("train", "--recipe", "slow")),
        *(("tarin",), ("data", "got"), ("export", "run/best-1"), ("check", "strong")),
    ],
)
def test_a_wrong_word_is_exit_status_2(digitnet, words):
    assert digitnet(*words)[0] == 2


def test_a_folder_in_use_is_not_written_over(digitnet, drawn_npz, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/precious.txt").write_text("keep")
    code, _, err = digitnet("train", "--data", drawn_npz, "--out", "mine", *QUICK)
    assert code == 1
    assert "mine: already exists" in err
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["precious.txt"]


def test_a_finished_run_and_changed_data_are_not_resumed(trained, digitnet, drawn, tmp_path):
    assert "already finished" in digitnet("train", "--resume", trained[0] / "run/quick-1")[2]
    np.savez(tmp_path / "mine.npz", images=drawn.images, labels=drawn.labels)
    start(replace(RECIPES["quick"], data="mine.npz", device="cpu"), tmp_path / "mine")
    np.savez(tmp_path / "mine.npz", images=drawn.images, labels=drawn.labels[::-1])
    code, _, err = digitnet("train", "--resume", "mine")
    assert code == 1
    assert "not the digits that mine was trained on; name those with --data" in err


def test_a_resumed_run_says_what_is_done_and_left(unreported, digitnet, drawn_npz, tmp_path):
    config = replace(RECIPES["quick"], data=str(drawn_npz), epochs=3, device="cpu", batch_size=32)
    begun = start(config, tmp_path / "mine")
    next(begun.train())
    out = digitnet("train", "--resume", "mine", "--device", "cpu")[1]
    assert re.search(r"^1 of 3 epochs finished; \d+:\d\d left at the speed of the last one$", out, re.MULTILINE)
    assert [line.split("  ")[0] for line in out.splitlines() if line.startswith("epoch ")] == ["epoch 2/3", "epoch 3/3"]


def test_ctrl_c_keeps_the_epochs_and_says_how_to_go_on(drawn_npz, tmp_path, digitnet, unreported):
    words = ["--data", drawn_npz.name, *QUICK[:2], "--batch-size", 32, "--epochs", 400, "--out", "mine"]
    with Process(command, "train", *words, "--device", "cpu") as process:
        while "epoch   2/400" not in process.stdout.readline():
            pass
        process.send_signal(signal.SIGINT)
        _, err = process.communicate()
    assert process.returncode == 130
    assert "train --resume mine" in err
    assert "Traceback" not in err
    done = len((tmp_path / "mine/history.jsonl").read_text().splitlines())
    config = json.loads((tmp_path / "mine/config.json").read_text())
    (tmp_path / "mine/config.json").write_text(json.dumps(config | {"epochs": done + 1}))
    code, out, _ = digitnet("train", "--resume", "mine")
    assert code == 0
    assert [line.split()[1] for line in out.splitlines() if line.startswith("epoch")] == [f"{done + 1}/{done + 1}"]


def test_data_lists_what_is_known_and_where_things_are(digitnet, tmp_path):
    code, out, _ = digitnet("data")
    assert code == 0
    assert "mnist" in out
    assert "missing; get it: digitnet data get mnist" in out
    assert f"Cache: {tmp_path / 'cache'}" in out


@pytest.mark.parametrize(
    "words", [("data", "get", "mnist", "--data-dir", "x"), ("data", "--data-dir", "x", "get", "mnist")]
)
def test_data_get_takes_the_folder_before_or_after(digitnet, monkeypatch, tmp_path, words):
    asked = []
    monkeypatch.setattr(datasets, "get", lambda dataset, data_dir: asked.append((dataset.name, str(data_dir))) or [])
    assert digitnet(*words)[0] == 0
    assert asked == [("mnist", "x")]


def test_dark_ink_is_warned_of_on_one_line(drawn, tmp_path):
    np.savez(tmp_path / "dark.npz", images=255 - drawn.images, labels=drawn.labels)
    torch.save(DigitNet().state_dict(), tmp_path / "their.pt")
    options = ["--model", "their.pt", "--input", "0..1", "--data", "dark.npz", "--json"]
    with Process(command, "evaluate", *options) as process:
        out, err = process.communicate()
    assert json.loads(out)["n"] == 600
    assert err.startswith("Warning: dark.npz: 100% of the images look like dark ink")
    assert len(err.splitlines()) == 1


def test_without_the_train_extra_the_way_to_it_is_said(digitnet, monkeypatch):
    def missing(*_, **__):
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr(cli, "app", missing)
    code, _, err = digitnet("train")
    assert code == 1
    assert err == f"Error: {extras.missing('torch')}\n"


def test_a_full_disk_is_a_clear_error(digitnet, drawn_npz, monkeypatch):
    def full(path, data):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("digitnet.models.run_folder.write_atomic", full)
    code, _, err = digitnet("train", "--data", drawn_npz, "--out", "mine", *QUICK)
    assert code == 1
    assert err == "Error: mine/config.json: No space left on device\n"


@pytest.mark.parametrize(
    "words",
    [
        *(("--help",), ("train", "-h"), ("evaluate", "--help"), ("export", "--help"), ("check", "-h")),
        *(("data", "--help"), ("data", "get", "--help"), ()),
    ],
)
def test_help_is_there_for_every_command(digitnet, words):
    code, out, err = digitnet(*words)
    assert code in (0, 2) if not words else code == 0
    assert "Usage: digitnet" in out + err


def test_the_version_is_the_packages(digitnet):
    assert digitnet("--version")[1] == f"digitnet {__version__}\n"


def test_percentages_never_round_up_to_perfect():
    assert percent(1.0) == "100.00%"
    assert percent(0.99996) == "99.99%"
    assert percent(0.996) == "99.60%"


def test_a_home_that_nobody_knows_is_told(digitnet):
    status, out, err = digitnet("evaluate", "--model", "digitnet", "--data", "~nobody-of-that-name/digits.npz")
    assert (status, out) == (1, "")
    assert err == "Error: the home folder is unknown; set HOME, or use absolute paths and --data-dir or DIGITNET_DATA\n"
