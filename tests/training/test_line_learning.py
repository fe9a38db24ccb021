"""Whether a line reader that learnt from people is kept, and the command `digitnet learn`."""

import csv

import cv2
import numpy as np
import pytest
import torch
from helpers import few_hands

from digitnet.core.errors import TrainingError
from digitnet.core.lessons import Lesson
from digitnet.evaluation.line_metrics import LineScores
from digitnet.imaging.normalization import strip
from digitnet.models.onnx_models import WEIGHTS, line_reader
from digitnet.training import line_learning, line_sources
from digitnet.training.line_export import write_lines
from digitnet.training.line_learning import Change, dealt, learn
from digitnet.training.line_tuning import line_network


@pytest.fixture
def small(monkeypatch):
    """Few composed lines by few hands; and a tuning that gives the built-in weights."""
    hands = few_hands()
    monkeypatch.setattr(line_learning, "at_hand", lambda folder: (hands, hands, ["mnist", "fonts"]))
    monkeypatch.setattr(line_learning, "COMPOSED", 4)
    monkeypatch.setattr(line_learning, "CHECKED", 6)
    network = line_network(WEIGHTS / "line.onnx")
    monkeypatch.setattr(line_learning, "tune", lambda *_: network)
    return network


@pytest.fixture(scope="module")
def worse(tmp_path_factory):
    """A line reader that takes every 1 for a 7."""
    network = line_network(WEIGHTS / "line.onnx")
    path = tmp_path_factory.mktemp("worse") / "worse.onnx"
    with torch.no_grad():
        for weights in (network.output_layer.weight, network.output_layer.bias):
            weights[[1, 7]] = weights[[7, 1]]
    write_lines(network, 1.0, [np.zeros((40, 80), np.uint8)], {"name": "worse"}, path)
    return path


def ones(count):
    scribe = few_hands().scribe(5)
    images = [scribe.line("1041").image for _ in range(count)]
    return images, [Lesson(strip(255 - image), "1041", str(place)) for place, image in enumerate(images)]


def change(mended, broken, both=5):
    true = ("1",) * (mended + broken + both)
    before = tuple("2" * mended + "1" * broken + "1" * both)
    after = tuple("1" * mended + "2" * broken + "1" * both)
    sure = np.ones(len(true), np.float32)
    return Change(LineScores(true, before, sure), LineScores(true, after, sure))


@pytest.mark.parametrize(
    ("mended", "broken", "better", "worse"),
    [(5, 0, True, False), (4, 0, False, False), (8, 3, False, False), (12, 3, True, False), (0, 5, False, True)],
)
def test_better_is_certain_by_the_exact_sign_test(mended, broken, better, worse):
    its = change(mended, broken)
    assert (its.mended, its.broken, its.better, its.worse) == (mended, broken, better, worse)


def test_sheets_stay_together_in_parts_of_like_size():
    sheets = [str(number % 9) for number in range(90)] + ["large"] * 20
    parts = dealt(sheets)
    assert sorted(row for part in parts for row in part) == list(range(110))
    assert len(parts) == line_learning.PARTS
    assert max(map(len, parts)) - min(map(len, parts)) <= 10
    for sheet in set(sheets):
        assert sum(any(sheets[row] == sheet for row in part) for part in parts) == 1


def test_what_is_better_is_written_and_reads(small, worse, tmp_path, caplog):
    _, own = ones(8)
    caplog.set_level("INFO")
    learnt = learn(own, line=worse)
    assert learnt.own.better
    assert learnt.kept
    assert "kept: it is better on held-out numbers, with 95% certainty" in learnt.verdict
    assert "Lines are composed without mnist, fonts, which this machine does not have" in caplog.text
    learnt.save(tmp_path / "line.onnx")
    reader = line_reader(tmp_path / "line.onnx", threads=1)
    assert reader.about["begun_with"] == line_reader(worse).sha256
    assert reader.about["lessons"] == 8
    old, new = line_reader(threads=1)([own[0].strip])[0], reader([own[0].strip])[0]
    assert (old.log_probs.argmax(1) == new.log_probs.argmax(1)).mean() > 0.9


def test_what_is_no_better_is_refused_with_the_numbers(small):
    _, own = ones(4)
    learnt = learn(own)
    assert not learnt.kept
    assert learnt.verdict.startswith("not kept: it is not better on held-out numbers with 95% certainty")
    assert "0 mended, 0 broken" in str(learnt.own)
    with pytest.raises(TrainingError, match="1 numbers of 1 files: learning needs two or more"):
        learn(own[:1])


def test_hands_at_hand_need_no_data(monkeypatch, tmp_path):
    monkeypatch.setattr(line_sources, "INVENTED", 50)
    learnt, held, missing = line_sources.at_hand(tmp_path)
    assert missing == ["unipen", "mnist", "fonts"]
    assert (len(learnt.groups), len(held.groups)) == (2, 1)  # invented hands, and print to learn from
    scribe = learnt.scribe(1)
    assert sum(scribe.line().written is not None for _ in range(30)) > 20


def test_the_command_learns_from_a_job(small, worse, digitnet, tmp_path):
    from digitnet.review.records import Policy
    from digitnet.review.store import Store

    (tmp_path / "scans").mkdir()
    for place, image in enumerate(ones(8)[0]):
        cv2.imwrite(str(tmp_path / "scans" / f"{place}.png"), image)
    assert digitnet("read", tmp_path / "scans", "--single", "--job", "n.job", "--line", worse)[0] == 0
    status, _, said = digitnet("learn", "n.job", "--out", tmp_path / "mine", "--line", worse)
    assert (status, "n.job: no number to learn from; decide some with digitnet review n.job" in said) == (1, True)
    store = Store("n.job")
    store.set_policy(Policy(1.0, 1.0))
    for task in store.next("amara", 8):
        store.decide("amara", task.field, "1041", "read", key=str(task.field))
    store.close()
    status, out, said = digitnet("learn", "n.job", "--out", tmp_path / "mine", "--line", worse)
    assert status == 0
    assert "8 numbers of 8 files" in said
    assert out.splitlines()[0].startswith("held-out numbers: 100.00% of 8 wrong before")
    line = tmp_path / "mine" / "line.onnx"
    assert f"--line {line}" in out
    status, out, _ = digitnet("read", tmp_path / "scans", "--single", "--line", line, "--format", "csv")
    assert sum(row["text"] == "1041" for row in csv.DictReader(out.splitlines())) >= 6
    status, _, said = digitnet("learn", "n.job", "--out", tmp_path / "mine")
    assert (status, f"{line}: already exists" in said) == (1, True)
    assert digitnet("learn", "n.job", "--out", tmp_path / "other")[0] == 1  # the built-in one reads as well
    assert not (tmp_path / "other").exists()
