import csv
import io
import json
import shlex

import pytest
from small_benchmark import _small, done, folder, plan, small  # noqa: F401

from digitnet import evaluate as scored
from digitnet.cli import benchmark as cli_benchmark
from digitnet.experiments import benchmark


@pytest.fixture
def asked(plan, done):  # noqa: F811
    """The command's words that ask for what is done already."""
    words = shlex.split(cli_benchmark._command(plan, done[1]))
    return [*words[1:], "--data-dir", plan.data_dir]


def test_the_command_writes_three_files_and_says_where(digitnet, asked, done):  # noqa: F811
    status, out, err = digitnet(*asked)
    assert status == 0, err
    assert "Measuring 5 models, 8 with their seeds" in err
    assert "download them: digitnet data get fonts" in err.replace("python -m ", "")
    for end in ("md", "csv", "tex"):
        assert (done[1] / f"benchmark.{end}").stat().st_size > 1000
        assert str(done[1] / f"benchmark.{end}") in out
    assert "random forest" in out
    text = (done[1] / "benchmark.md").read_text()
    assert "NOT FINISHED" not in text
    assert shlex.join(map(str, asked[:-2])) in text


@pytest.mark.usefixtures("unreported")
def test_the_commands_of_a_row_give_its_numbers(digitnet, asked, done, tmp_path):  # noqa: F811
    digitnet(*asked)
    text = (done[1] / "benchmark.csv").read_text()
    lines = {line["model"]: line for line in csv.DictReader(io.StringIO(text))}
    commands = lines["quick"]["command"].split("; ")
    assert [shlex.split(command)[1] for command in commands] == ["train", "export", "evaluate", "evaluate"] * 2
    again = [str(tmp_path / "run"), str(tmp_path / "model.onnx")]
    found = []
    for seed in (0, 1):
        train, export, evaluate, _ = (shlex.split(each)[1:] for each in commands[4 * seed : 4 * seed + 4])
        run, file = train[-1], export[-1]
        for words in (train, export, [*evaluate, "--json"]):
            moved = [word.replace(run, again[0] + str(seed)).replace(file, f"{again[1]}-{seed}.onnx") for word in words]
            status, out, err = digitnet(*moved)
            assert status == 0, err
        found.append(float(out.split('"accuracy": ')[1].split(",")[0]))
    assert sum(found) / 2 == float(lines["quick"]["test_accuracy"])


def test_the_commands_of_a_users_run_make_the_calibrated_file_that_is_measured(plan, done, digitnet, tmp_path):  # noqa: F811
    sets, out, _ = done
    row = benchmark.entries((str(out / "runs" / "quick-0"),))[0]
    export, evaluate, _ = cli_benchmark._commands(row, 0, plan, tmp_path, sets.source, "")
    for command in (export, f"{evaluate} --json"):
        status, said, err = digitnet(*shlex.split(command)[1:])
        assert status == 0, err
    scores = scored(benchmark.prepare(row, 0, sets, out).classifier, sets.parts.test)
    found = json.loads(said)
    assert found["accuracy"] == scores.accuracy
    assert found["calibration_error"] == pytest.approx(scores.calibration_error, abs=1e-5)


def test_stopping_says_how_to_go_on(digitnet, asked, done, tmp_path, monkeypatch):  # noqa: F811
    def stopped(*_):
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr(benchmark, "measure", stopped)
    where = asked.index("--out") + 1
    status, _, err = digitnet(*asked[:where], tmp_path / "new", *asked[where + 1 :])
    assert status == 130
    assert "Resume with the same command" in err
    assert "NOT FINISHED: 0 of 8" in (tmp_path / "new" / "benchmark.md").read_text()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--seeds", "3"], "other settings"),
        (["--model", "nothing"], "choose a recipe"),
        (["--data", "missing.npz"], "missing.npz: no such file"),
        (["--negatives", "theirs.npz", "--data", "theirs.npz"], "two have the name 'theirs'"),
    ],
)
def test_mistakes_are_one_line_and_change_nothing(digitnet, asked, done, words, said):  # noqa: F811
    settings = (done[1] / "settings.json").read_bytes()
    status, _, err = digitnet(*asked, *words)
    assert status == 1
    assert err.startswith("Error: ")
    assert said in err
    assert err.count("\n") == 1
    assert (done[1] / "settings.json").read_bytes() == settings
