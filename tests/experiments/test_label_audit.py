import base64
import csv
import io
import os
import re
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch")
pytest.importorskip("jinja2")
pytest.importorskip("cleanlab", reason="cleanlab comes with the extra audit")

from digitnet import Digits
from digitnet.core import extras
from digitnet.core.errors import DataError
from digitnet.data.datasets import load
from digitnet.experiments import label_audit


def believing(digits, sure=0.97, doubted=()):
    """Out-of-fold probabilities that agree with every label, but for `doubted`, a mapping of row to digit."""
    answers = digits.labels.copy()
    for row, answer in dict(doubted).items():
        answers[row] = answer
    probs = np.full((len(digits), 10), (1 - sure) / 9, np.float32)
    probs[np.arange(len(digits)), answers] = sure
    return probs


def flip(digits, rows):
    labels = digits.labels.copy()
    labels[rows] = (labels[rows] + 1 + np.arange(len(rows)) % 9) % 10
    return Digits(digits.images, labels)


@pytest.fixture
def hasty(monkeypatch):
    """Networks that learn for few steps: enough for digits in one font."""
    monkeypatch.setattr(label_audit, "STEPS", 40)
    monkeypatch.setattr(label_audit, "REPEATS", 1)


@pytest.fixture
def judged(monkeypatch, drawn):
    """No training: networks that doubt the labels of rows 30 and 41 alone."""

    def out_of_fold(digits, folds, seed):
        rows = np.arange(len(digits))
        yield label_audit.Fold(1, 1, rows, believing(digits, doubted={30: 0, 41: 1}), 0.1)

    monkeypatch.setattr(label_audit, "out_of_fold", out_of_fold)


@pytest.fixture
def folder(drawn, tmp_path):
    """A person's folder of pictures, a subfolder a digit, and the file of each digit in the order they are read."""
    for row in range(60):
        path = tmp_path / "mine" / str(drawn.labels[row]) / f"scan <{row:02}> & co.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(drawn.images[row]).save(path)
    return tmp_path / "mine"


def table(path):
    return list(csv.DictReader(io.StringIO(path.read_text())))


def test_every_digit_is_judged_by_networks_that_never_saw_it(drawn, monkeypatch):
    seen = []

    def train(network, digits, valid, config, out):
        seen.append({image.tobytes() for image in digits.images})
        return iter(())

    monkeypatch.setattr(label_audit, "train", train)
    monkeypatch.setattr(label_audit.checkpoint, "load_network", lambda folder: None)
    monkeypatch.setattr(label_audit, "TorchClassifier", lambda network: lambda images: np.full((len(images), 10), 0.1))
    twice = drawn[np.concatenate([np.arange(100), np.arange(50)])]  # copies, which must not judge each other
    folds = list(label_audit.out_of_fold(twice, 3, seed=5))
    judged = np.bincount(np.concatenate([fold.rows for fold in folds]))
    assert judged.tolist() == [label_audit.REPEATS] * 150
    assert sum(fold.probs.sum() for fold in folds) == pytest.approx(150), "each digit's shares add up to 1"
    assert folds[0].rows.tolist() != folds[3].rows.tolist(), "other folds the second time"
    for fold, learnt in zip(folds, seen, strict=True):
        assert not learnt & {image.tobytes() for image in twice.images[fold.rows]}
        assert learnt | {image.tobytes() for image in twice.images[fold.rows]} == {i.tobytes() for i in twice.images}


def test_folds_hold_every_label_in_proportion_and_follow_the_seed(drawn):
    fold = label_audit.folds_of(drawn, 4, seed=1)
    counts = np.array([np.bincount(drawn.labels[fold == number], minlength=10) for number in range(4)])
    assert counts.min() >= 14
    assert counts.max() <= 16
    assert (fold == label_audit.folds_of(drawn, 4, seed=1)).all()
    assert (fold != label_audit.folds_of(drawn, 4, seed=2)).any()


def test_few_digits_are_passed_over_more_often():
    assert label_audit.recipe(60_000).epochs == label_audit.EPOCHS
    few = label_audit.recipe(1000, seed=3)
    assert few.epochs * np.ceil(1000 / few.batch_size) >= label_audit.STEPS
    assert (few.recipe, few.seed) == ("quick", 3)


def test_the_label_that_is_believed_least_comes_first(drawn):
    probs = believing(drawn, doubted={7: (drawn.labels[7] + 1) % 10, 9: (drawn.labels[9] + 2) % 10})
    probs[7] = np.where(probs[7] > 0.5, 0.97, 0.01 / 8)
    probs[7, drawn.labels[7]] = 0.02
    found = label_audit.suspects(drawn, probs)
    assert [suspect.row for suspect in found] == [9, 7]
    assert [suspect.given for suspect in found] == [drawn.labels[9], drawn.labels[7]]
    assert found[0].suggested == (drawn.labels[9] + 2) % 10
    assert found[0].probability == pytest.approx(0.97, abs=1e-6)
    assert found[0].belief == pytest.approx(0.03 / 9, abs=1e-6)


def test_labels_that_the_networks_believe_are_no_suspects(drawn):
    assert label_audit.suspects(drawn, believing(drawn)) == []


def test_digits_of_two_labels_are_enough(drawn):
    two = drawn[(drawn.labels == 3) | (drawn.labels == 8)]
    row = int(np.flatnonzero(two.labels == 3)[0])
    assert [(s.row, s.given, s.suggested) for s in label_audit.suspects(two, believing(two, doubted={row: 8}))] == [
        (row, 3, 8)
    ]


@pytest.mark.usefixtures("hasty")
def test_labels_set_wrong_are_found_by_networks_that_learnt_them_wrong_too(drawn):
    wrong = np.array([11, 123, 250, 388, 501, 577])
    digits = flip(drawn, wrong)
    probs = np.zeros((600, 10), np.float32)
    for fold in label_audit.out_of_fold(digits, 3, seed=0):
        probs[fold.rows] += fold.probs
    first = label_audit.suspects(digits, probs)[:6]
    assert len({suspect.row for suspect in first} & set(wrong)) >= 5
    assert all(suspect.suggested == drawn.labels[suspect.row] for suspect in first if suspect.row in wrong)


@pytest.mark.mnist
def test_both_parts_of_mnist_are_audited(mnist_folder):
    source = label_audit.open_source("mnist")
    assert len(source.digits) == 70_000
    assert (source.parts == "test").sum() == 10_000
    test = load("mnist", "test")
    row = int(np.flatnonzero(source.parts == "test")[2454])
    assert source.index[row] == 2454
    assert (source.digits.images[row] == test.images[2454]).all()
    assert label_audit.name_of(source, row) == "test 2454"


@pytest.mark.usefixtures("judged")
def test_the_table_names_a_persons_files(folder, digitnet, tmp_path):
    status, out, err = digitnet("audit", "--data", folder, "--folds", 2, "--out", tmp_path / "doubts")
    assert (status, out.count("fold 1/")) == (0, 1)
    assert "2 suspect labels among 60" in out
    assert "counts 2 of them as wrong" in out
    rows = table(tmp_path / "doubts" / label_audit.TABLE)
    files = sorted(folder.glob("*/*.png"))
    assert [row["file"] for row in rows] == [files[int(row["index"])].relative_to(folder).as_posix() for row in rows]
    assert [int(row["index"]) for row in rows] == [30, 41]
    assert [row["given"] for row in rows] == [files[30].parent.name, files[41].parent.name]
    assert [row["suggested"] for row in rows] == ["0", "1"]
    assert list(rows[0]) == list(label_audit.COLUMNS)
    assert str(tmp_path / "doubts" / label_audit.GALLERY) in err


@pytest.mark.usefixtures("judged")
def test_digits_in_a_file_are_named_by_their_place(drawn_npz, digitnet):
    status, _, _ = digitnet("audit", "--data", drawn_npz)
    assert status == 0
    rows = table(next(drawn_npz.parent.glob("run/audit-1/*.csv")))
    assert [(row["rank"], row["part"], row["index"], row["file"]) for row in rows] == [
        ("1", "", "30", ""),
        ("2", "", "41", ""),
    ]
    assert digitnet("audit", "--data", drawn_npz)[0] == 0
    assert (drawn_npz.parent / "run" / "audit-2" / label_audit.GALLERY).is_file()


class Links(HTMLParser):
    """What a page would load, and the pictures in it."""

    def __init__(self):
        super().__init__()
        self.found, self.pictures, self.shown = [], [], []

    def handle_starttag(self, tag, attributes):
        self.found += [value for name, value in attributes if name in ("src", "href", "srcset", "action", "data")]
        self.pictures += [dict(attributes)["src"]] if tag == "img" else []

    def handle_data(self, data):
        self.shown.append(data)


@pytest.mark.usefixtures("judged")
def test_the_page_shows_the_pictures_and_loads_nothing(folder, digitnet, tmp_path):
    digitnet("audit", "--data", folder, "--out", tmp_path / "doubts", "--folds", 2)
    html = (tmp_path / "doubts" / label_audit.GALLERY).read_text()
    page = Links()
    page.feed(html)
    assert len(page.pictures) == 2
    assert page.found == page.pictures
    assert not re.search(r"url\(|@import|<script|<link|https?:", html)
    image = Image.open(io.BytesIO(base64.b64decode(page.pictures[0].removeprefix("data:image/png;base64,"))))
    drawn = np.asarray(Image.open(sorted(folder.glob("*/*.png"))[30]))
    assert (255 - np.asarray(image) == drawn).all()
    # A name is shown as it is and never becomes markup.
    assert any("scan <" in text and "> & co.png" in text for text in page.shown)
    assert "scan <" not in html


@pytest.mark.usefixtures("judged")
def test_the_page_holds_the_first_and_says_where_the_others_are(drawn_npz, digitnet):
    digitnet("audit", "--data", drawn_npz, "--most", 1, "--out", "doubts")
    html = (drawn_npz.parent / "doubts" / label_audit.GALLERY).read_text()
    assert html.count("<img") == 1
    assert f"{label_audit.TABLE} has all" in html
    assert len(table(drawn_npz.parent / "doubts" / label_audit.TABLE)) == 2


def test_nothing_found_is_said(drawn_npz, digitnet, monkeypatch):
    def out_of_fold(digits, folds, seed):
        yield label_audit.Fold(1, 1, np.arange(len(digits)), believing(digits), 0.1)

    monkeypatch.setattr(label_audit, "out_of_fold", out_of_fold)
    status, out, _ = digitnet("audit", "--data", drawn_npz, "--out", "doubts")
    assert status == 0
    assert "0 suspect labels among 600" in out
    assert "No suspect label" in (drawn_npz.parent / "doubts" / label_audit.GALLERY).read_text()
    assert table(drawn_npz.parent / "doubts" / label_audit.TABLE) == []


@pytest.fixture
def untaught(monkeypatch):
    """Training is an error: mistakes are told before it."""
    monkeypatch.setattr(label_audit, "train", lambda *_: pytest.fail("trained"))


@pytest.mark.usefixtures("untaught")
@pytest.mark.parametrize(
    ("columns", "words", "expected"),
    [
        (lambda d: {"images": d.images}, [], "has no labels"),
        (lambda d: {"images": d.images[:30], "labels": d.labels[:30]}, [], "of 5 folds needs one"),
        (lambda d: {"images": d.images[:30], "labels": d.labels[:30]}, ["--folds", 31], "use fewer --folds"),
        (lambda d: {"images": d.images[:30], "labels": np.full(30, 4)}, [], "all labels are 4"),
    ],
)
def test_digits_that_cannot_be_audited_are_told_before_training(columns, words, expected, drawn, digitnet, tmp_path):
    np.savez(tmp_path / "few.npz", **columns(drawn))
    status, _, err = digitnet("audit", "--data", "few.npz", *words)
    assert status == 1
    assert expected in err
    assert len(err.strip().splitlines()) == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("untaught")
def test_a_missing_cleanlab_is_told_before_training(drawn_npz, digitnet, monkeypatch):
    monkeypatch.setitem(sys.modules, "cleanlab", None)
    status, _, err = digitnet("audit", "--data", drawn_npz)
    assert (status, err) == (1, f"Error: {extras.missing('cleanlab')}\n")


@pytest.mark.usefixtures("untaught")
def test_an_older_audit_is_never_overwritten(drawn_npz, digitnet, tmp_path):
    (tmp_path / "doubts").mkdir()
    (tmp_path / "doubts" / label_audit.TABLE).write_text("mine")
    status, _, err = digitnet("audit", "--data", drawn_npz, "--out", "doubts")
    assert status == 1
    assert "already exists; choose another --out" in err
    assert (tmp_path / "doubts" / label_audit.TABLE).read_text() == "mine"
    (tmp_path / "file").write_text("")
    assert "is a file" in digitnet("audit", "--data", drawn_npz, "--out", "file")[2]


@pytest.mark.usefixtures("untaught")
@pytest.mark.parametrize("out", ["file/doubts", "/proc/doubts", "closed/doubts"])
def test_a_folder_that_cannot_be_written_is_told_before_training(out, drawn_npz, digitnet, tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "closed").mkdir(mode=0o500)
    if out.startswith("closed") and os.access(tmp_path / "closed", os.W_OK):
        pytest.skip("this user may write anywhere")
    status, said, err = digitnet("audit", "--data", drawn_npz, "--out", out)
    assert (status, said) == (1, "")
    assert re.fullmatch(rf"Error: {out}: cannot be written \(.+\); choose another --out\n", err)


def test_a_source_without_labels_or_of_one_fold_is_refused(drawn):
    with pytest.raises(DataError, match="without labels"):
        label_audit.folds_of(Digits(drawn.images))
    with pytest.raises(DataError, match="without labels"):
        label_audit.suspects(Digits(drawn.images), np.full((600, 10), 0.1, np.float32))
    with pytest.raises(DataError, match="choose 2 or more"):
        label_audit.folds_of(drawn, 1)
