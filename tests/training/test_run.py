import itertools
import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from helpers import draw_digits
from PIL import Image
from processes import Process, command, training

from digitnet import DataError, ModelError, TrainingError
from digitnet.data import datasets, fonts
from digitnet.data.formats import idx_bytes
from digitnet.data.synthesis.strokes import hands
from digitnet.evaluation.misclassified import load_report
from digitnet.models.loading import open_model
from digitnet.reading.reader import Reader
from digitnet.training.config import RECIPES
from digitnet.training.export import export_run
from digitnet.training.run import reopen, start


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
    wrong = load_report(run.folder)["wrong"]
    assert len(wrong) == scores.n - scores.correct
    assert all(drawn.images[each["index"]].ravel().tolist() == each["image"] for each in wrong)
    assert not (run.folder / "state.safetensors").exists()
    assert (drawn.labels[scores.index] == scores.labels).all()
    assert (scores.index == np.flatnonzero(datasets.held_out_rows(drawn))).all()


def test_a_run_on_few_digits_writes_down_the_epochs_it_needs(config):
    run = start(replace(config, epochs=0, steps=65))
    assert len(run.parts.train) == 459
    assert run.config.epochs == json.loads((run.folder / "config.json").read_text())["epochs"] == 5  # of 15 steps
    assert reopen(run.folder).config == run.config


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (lambda labels: labels >= 0, ["only 459 training digits, 45 with the rarest label; expect more errors"]),
        (
            lambda labels: (labels != 3) & (labels != 8),
            ["only 367 training digits, 45 with"],
        ),
    ],
)
def test_too_few_digits_are_told_before_training(rows, said, config, drawn, tmp_path, caplog):
    few = drawn[rows(drawn.labels)]
    np.savez(tmp_path / "few.npz", images=few.images, labels=few.labels)
    start(replace(config, data=str(tmp_path / "few.npz")))
    assert len(caplog.messages) == len(said)
    assert all(words in message for words, message in zip(said, caplog.messages, strict=True))


@pytest.fixture
def named(drawn, tmp_path):
    """A folder of drawn digits 0 to 2 under other names."""
    for place, label in enumerate(drawn.labels):
        if label < 3:
            (folder := tmp_path / "named" / ("b", "a", "kit")[label]).mkdir(parents=True, exist_ok=True)
            Image.fromarray(drawn.images[place]).save(folder / f"{place}.png")
    return tmp_path / "named"


@pytest.fixture
def numbered(drawn, tmp_path):
    """Drawn digits 0 to 2 as IDX files whose labels are other numbers, as EMNIST's letters have them."""
    few = drawn[drawn.labels < 3]
    (folder := tmp_path / "numbered").mkdir()
    for part, rows in (("train", slice(30, None)), ("t10k", slice(30))):
        (folder / f"{part}-images-idx3-ubyte").write_bytes(idx_bytes(few.images[rows]))
        labels = np.array([26, 9, 12], np.uint8)[few.labels[rows]]
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(idx_bytes(labels))
    return folder


@pytest.mark.parametrize(("data", "names"), [("named", ["a", "b", "kit"]), ("numbered", ["9", "12", "26"])])
def test_other_classes_are_learnt_scored_exported_and_predicted(data, names, request, tmp_path, digitnet, unreported):
    named = request.getfixturevalue(data)
    run, file = tmp_path / "run", tmp_path / "mine.onnx"
    options = ("--recipe", "tutorial", "--epochs", 8, "--batch-size", 16, "--out", run)
    status, out, _ = digitnet("train", "--data", named, *options)
    assert (status, f"Classes of {named}: {', '.join(names)}\n" in out) == (0, True)
    assert json.loads((run / "config.json").read_text())["classes"] == names
    scores = json.loads((run / "scores.json").read_text())
    assert scores["classes"] == [row["digit"] for row in scores["digits"]] == names
    assert [len(row) for row in scores["confusion"]] == [3, 3, 3]
    assert scores["accuracy"] > 0.8
    assert digitnet("export", run, "--out", file)[0] == 0
    for model in (run, file):
        status, out, _ = digitnet("evaluate", "--model", model, "--data", named, "--json")
        assert (status, json.loads(out)["accuracy"]) == (0, scores["accuracy"])
        status, out, _ = digitnet("predict", "--model", model, "--data", named, "--format", "json")
        answers = json.loads(out)["predictions"]
        assert {answer["label"] for answer in answers} == set(names)
        assert np.mean([answer["digit"] == answer["label"] for answer in answers]) > 0.8


def test_a_model_and_data_of_other_classes_are_refused_in_one_line(named, drawn_npz, exported, digitnet, tmp_path):
    words = "labels that the model does not classify: a, b, kit (it classifies 0, 1, 2, 3, 4, 5, 6, 7, 8, 9); choose"
    for verb in ("evaluate", "predict"):
        status, _, err = digitnet(verb, "--model", exported, "--data", named)
        assert (status, err.count("\n")) == (1, 1)
        assert f"{exported} on {named}: {words} a model and data with the same classes" in err
    status, _, err = digitnet("train", "--data", named, "--recipe", "thorough")
    assert (status, "recipe thorough adds digits to the data; choose one of tutorial, quick" in err) == (1, True)
    run = start(replace(RECIPES["quick"], data=str(named), epochs=1))
    list(run.train())
    status, _, err = digitnet("evaluate", "--model", run.folder, "--data", drawn_npz)
    assert (status, "(it classifies a, b, kit)" in err) == (1, True)
    export_run(run.folder, tmp_path / "named.onnx")
    with pytest.raises(ModelError, match="classifies a, b, kit; reading numbers needs a model of the ten digits"):
        Reader(digits=tmp_path / "named.onnx")
    status, _, err = digitnet("export", run.folder, "--page", tmp_path / "page")
    assert (status, "the page needs a model of the ten digits" in err) == (1, True)


def test_a_few_of_the_digits_are_classes_of_their_own(drawn, tmp_path):
    few = drawn[drawn.labels < 4]
    np.savez(tmp_path / "few.npz", images=few.images, labels=few.labels)
    run = start(replace(RECIPES["quick"], data=str(tmp_path / "few.npz"), epochs=1))
    list(run.train())
    assert run.finish().confusion.shape == (4, 4)
    assert reopened_names(run) == run.config.classes == ("0", "1", "2", "3")
    one = drawn[drawn.labels == 4]
    np.savez(tmp_path / "one.npz", images=np.repeat(one.images, 3, 0), labels=np.repeat(one.labels, 3))
    with pytest.raises(DataError, match=r"one\.npz: all labels are 4; training needs two classes or more"):
        start(replace(RECIPES["quick"], data=str(tmp_path / "one.npz")))


def reopened_names(run):
    return open_model(run.folder).classifier.names


def test_of_enough_digits_nothing_is_told(config, tmp_path, caplog):
    many = draw_digits(1500)
    np.savez(tmp_path / "many.npz", images=many.images, labels=many.labels)
    start(replace(config, data=str(tmp_path / "many.npz")))
    assert not caplog.messages


def test_a_run_whose_digits_have_moved_is_gone_on_with_where_they_are_now(config, drawn_npz, tmp_path):
    run = start(config)
    next(run.train())
    (tmp_path / "attic").mkdir()
    drawn_npz.rename(tmp_path / "attic" / "digits.npz")
    with pytest.raises(DataError, match="no such file"):
        reopen(run.folder)
    again = reopen(run.folder, data="attic/digits.npz")
    assert [epoch.number for epoch in again.train()] == [2]
    assert again.config.data == str(tmp_path / "attic" / "digits.npz")
    assert reopen(run.folder).config == again.config
    others = draw_digits(600, 1)
    np.savez(tmp_path / "others.npz", images=others.images, labels=others.labels)
    with pytest.raises(TrainingError, match=r"others\.npz: not the digits that .* trained on; name those with --data"):
        reopen(run.folder, data=str(tmp_path / "others.npz"))


FIRST = (
    *("data", "model", "recipe", "epochs", "passes", "steps", "batch_size", "seed", "device", "precision", "optimizer"),
    *("lr", "muon_lr", "warmup", "cooldown", "weight_decay", "label_smoothing", "average", "fonts", "hands"),
    *("negatives", "lines", "augment", "data_sha256"),
)
"""Settings that every run has had from the first version on; others have been added."""


def test_a_reopened_run_goes_on_to_the_same_file_also_where_an_older_version_began_it(config):
    whole, parts = start(config), start(config)
    list(whole.train())
    next(parts.train())
    path = parts.folder / "config.json"
    about = json.loads(path.read_text())
    path.write_text(json.dumps({name: about[name] for name in FIRST}))
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


def test_drawn_digits_are_added_to_the_training_digits_alone(config):
    plain, more = start(config), start(replace(config, hands=30))
    train = more.parts.train
    assert (train.images[:-30] == plain.parts.train.images).all()
    assert (train.labels[:-30] == plain.parts.train.labels).all()
    assert np.bincount(train.labels[-30:]).tolist() == [3] * 10
    assert (train.images[-30:] == hands(30).images).all()
    assert (more.parts.valid.images == plain.parts.valid.images).all()
    assert (more.parts.test.images == plain.parts.test.images).all()
    assert more.dataset.letters is None
    assert (reopen(more.folder).parts.train.images == train.images).all()


@pytest.fixture
def small_fonts(monkeypatch, put_fonts, tmp_path):
    """The file of the one handwriting; there is one printed font, too."""
    few = put_fonts(["ann"], ["bob"])
    monkeypatch.setattr(fonts, "FONTS", few)
    return tmp_path / "cache" / "fonts" / few.hand[0].file.name


def test_a_recipe_with_negatives_has_the_letters_of_hands_and_of_print(config, small_fonts):
    run = start(replace(config, negatives=0.25))
    hand, printed = fonts.letters([small_fonts]), fonts.letters([small_fonts], fonts.PRINTED_LETTERS)
    assert (run.dataset.letters.images == np.concatenate([hand.images, printed.images])).all()
    assert len(hand) < len(printed)
    assert len(run.parts.train) == len(start(config).parts.train)


def test_fonts_are_added_as_often_as_the_recipe_says(config, small_fonts):
    run, plain = start(replace(config, fonts=2, hands=10)), start(config)
    digits = fonts.digits([small_fonts])
    added = run.parts.train[len(plain.parts.train) :]
    assert (added.images == np.concatenate([digits.images, digits.images, hands(10).images])).all()
    assert added.labels.tolist() == [*digits.labels, *digits.labels, *range(10)]


def test_two_processes_cannot_train_into_the_same_folder(config, tmp_path):
    words = ["--data", config.data, "--recipe", "quick", "--epochs", 3, "--batch-size", 32, "--out", "mine"]
    processes = [Process(training, *words) for _ in range(2)]
    said = [process.communicate()[1] for process in processes]
    assert sorted(process.returncode for process in processes) == [0, 1], said
    lost = next(err for process, err in zip(processes, said, strict=True) if process.returncode)
    lines = [line for line in lost.splitlines() if "only 459 training digits" not in line]
    assert len(lines) == 1
    assert lines[0].startswith("Error: mine: ")
    assert len((tmp_path / "mine/history.jsonl").read_text().splitlines()) == 3
    assert json.loads((tmp_path / "mine/scores.json").read_text())["n"] == 100


def test_a_run_is_gone_on_with_by_one_process_at_a_time_and_after_a_kill(config, tmp_path):
    begun = start(replace(config, epochs=3), tmp_path / "mine").train()
    next(begun)
    with Process(command, "train", "--resume", "mine") as other:
        _, err = other.communicate()
    assert other.returncode == 1
    assert err == "Error: mine: another process is training into it; wait for it, or choose another folder\n"
    begun.close()
    hold = "import filelock; lock = filelock.FileLock('mine/.lock'); lock.acquire(); print(1); input()"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-uc", hold], cwd=tmp_path, **pipes) as holder:
        assert holder.stdout.readline()
        with pytest.raises(TrainingError, match="another process is training into it"):
            next(reopen(tmp_path / "mine").train())
        holder.kill()
    assert (tmp_path / "mine/.lock").exists()
    assert [epoch.number for epoch in reopen(tmp_path / "mine").train()] == [2, 3]


def test_a_run_that_another_process_finished_meanwhile_is_not_begun_anew(config):
    run = start(config)
    list(run.train())
    late = reopen(run.folder)
    run.finish()
    before = (run.folder / "model.safetensors").read_bytes()
    with pytest.raises(TrainingError, match="already finished; evaluate it with: digitnet evaluate"):
        next(late.train())
    assert (run.folder / "model.safetensors").read_bytes() == before


def test_a_run_killed_while_it_is_scored_is_gone_on_with(config, monkeypatch):
    class Killed(BaseException):
        pass

    def die(*_):
        raise Killed

    run = start(config)
    list(run.train())
    with monkeypatch.context() as patch:
        patch.setattr("digitnet.training.run.mark_finished", die)
        with pytest.raises(Killed):
            run.finish()
    scores = (run.folder / "scores.json").read_bytes()
    again = reopen(run.folder)
    assert list(again.train()) == []
    again.finish()
    assert (run.folder / "scores.json").read_bytes() == scores
    assert not (run.folder / "state.safetensors").exists()


def test_training_and_scoring_need_nothing_of_the_report(environment):
    code = (
        "import sys; import digitnet.training.run; print([n for n in sys.modules if '.report' in n or n == 'jinja2'])"
    )
    with Process(code, env=environment) as process:
        assert process.communicate()[0] == "[]\n"


def test_what_a_kill_at_the_start_leaves_behind_is_not_in_the_way(config, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/.lock").touch()
    (tmp_path / "mine/config.json.123.part").write_text('{"data": ')
    assert len(list(start(config, tmp_path / "mine").train())) == 2


def test_a_clock_that_jumps_changes_nothing(config, monkeypatch):
    whole, run = start(config), start(config)
    list(whole.train())
    jumps = itertools.cycle([0.0, 86_400.0, -86_400.0, 4e9])
    monkeypatch.setattr("time.time", lambda: next(jumps))
    next(run.train())
    again = reopen(run.folder)
    assert [epoch.number for epoch in again.train()] == [2]
    again.finish()
    assert (run.folder / "model.safetensors").read_bytes() == (whole.folder / "model.safetensors").read_bytes()
