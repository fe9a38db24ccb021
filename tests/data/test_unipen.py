import collections
import gzip
import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from digitnet import DataError, cli, load
from digitnet.data import unipen
from digitnet.data.unipen_archive import CATEGORIES, MAX_LENGTH, MAX_POINTS

ROW = {"label": "7", "writer": "wann", "strokes": [[[0, 0], [100, 0], [40, 500]]]}


def write(path, *rows):
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    return path


def put(folder, digits=(ROW,), signs=(ROW,), writing=(ROW,)):
    """Write the three files of the set into a folder."""
    for name, rows in zip(unipen.FILES.values(), (digits, signs, writing), strict=True):
        write(folder / name, *rows)


@pytest.fixture
def archive(tmp_path):
    """A small archive in the folder that is unpacked from the release: Ann's digit, sign and word, Bob's number."""
    folder = tmp_path / "cache" / "unipen" / "CDROM" / "train_r01_v07"
    for name in CATEGORIES:
        (folder / "data" / name).mkdir(parents=True)
    (folder / "include").mkdir()
    for name in ("ann", "bob"):
        ink = f".WRITER_ID {name}\n.COORD X Y T\n.PEN_DOWN\n10 900 1\n10 400 2\n260 400 3\n"
        (folder / "include" / f"{name}.dat").write_text(ink)
        pages = {"1a": "1", "1d": r"\\", "6": "one"} | ({"7": "12"} if name == "bob" else {})
        for category, label in pages.items():
            text = f'.INCLUDE {name}.dat\n.SEGMENT WORD 0 ? "{label}"\n'
            (folder / "data" / category / f"{name}.dat").write_text(text)
    return folder


def digitnet(monkeypatch, capsys, *words):
    monkeypatch.setattr("sys.argv", ["digitnet", *words])
    with pytest.raises(SystemExit) as exit_:
        cli.main()
    return exit_.value.code, *capsys.readouterr()


def test_a_trajectory_is_one_high_and_evenly_spaced(tmp_path):
    (found,) = unipen.trajectories(write(tmp_path / "x.jsonl.gz", ROW))
    assert (found.label, found.writer) == ("7", "wann")
    (stroke,) = found.strokes
    assert stroke.dtype == np.float32
    assert stroke[0].tolist() == [0, 0]
    assert np.allclose(stroke[-1], (0.08, 1))
    assert np.allclose(np.ptp(stroke, axis=0), (0.2, 1), atol=0.02)
    gaps = np.hypot(*np.diff(stroke, axis=0).T)
    assert np.median(gaps) == pytest.approx(unipen.SPACING, rel=0.05)


def spaced(stroke, low, size):
    """One stroke, moved, scaled and resampled on its own."""
    points = (stroke - low) / size
    along = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])
    if along[-1] < unipen.SPACING / 2:
        return points[:1]
    places = np.linspace(0, along[-1], max(2, round(along[-1] / unipen.SPACING) + 1))
    return np.stack([np.interp(places, along, column) for column in points.T], axis=1)


def test_many_trajectories_are_normalized_as_each_alone(tmp_path):
    rng = np.random.default_rng(0)
    many = [[rng.uniform(0, 500, (n, 2)) for n in rng.integers(2, 9, rng.integers(1, 4))] for _ in range(1_100)]
    rows = [{"label": "1", "writer": "w", "strokes": [stroke.tolist() for stroke in strokes]} for strokes in many]
    found = list(unipen.trajectories(write(tmp_path / "x.jsonl.gz", *rows)))
    for one, strokes in zip(found, many, strict=True):
        points = np.concatenate(strokes)
        for got, stroke in zip(one.strokes, strokes, strict=True):
            assert np.allclose(got, spaced(stroke, points.min(axis=0), np.ptp(points, axis=0).max()), atol=1e-5)


def test_a_short_stroke_becomes_a_point():
    dot, line = unipen.normalized([np.array([[5.0, 5.0], [5.1, 5.0]]), np.array([[0.0, 10.0], [0.0, 20.0]])])
    assert dot.shape == (1, 2)
    assert len(line) == 1 + round(10 / 15 / unipen.SPACING)


@pytest.mark.parametrize(
    ("label", "text"), [(r"\"", '"'), (r"\\", "\\"), ("ab", "ab"), (r"\@", None), (r"t\@o", None), ("", None)]
)
def test_backslashes_of_labels_are_removed_and_labels_that_are_not_text_skipped(tmp_path, label, text):
    found = list(unipen.trajectories(write(tmp_path / "x.jsonl.gz", ROW | {"label": label})))
    assert [one.label for one in found] == ([] if text is None else [text])


@pytest.mark.parametrize("strokes", [[], [[]], [[[3, 3]]], [[[3, 3], [3, 3]], []]])
def test_what_has_no_extent_is_skipped(tmp_path, strokes):
    assert list(unipen.trajectories(write(tmp_path / "x.jsonl.gz", ROW | {"strokes": strokes}))) == []


BROKEN = {
    "not JSON": "{",
    "a list": "[]",
    "a number": "7",
    "without a writer": json.dumps({"label": "1", "strokes": []}),
    "a label that is a number": json.dumps(ROW | {"label": 7}),
    "strokes of one number": json.dumps(ROW | {"strokes": [[[1], [2]]]}),
    "strokes of four numbers": json.dumps(ROW | {"strokes": [[[1, 2, 3, 4]]]}),
    "strokes too deep": json.dumps(ROW | {"strokes": [[[[1, 2]]]]}),
    "strokes of words": json.dumps(ROW | {"strokes": [[["a", "b"]]]}),
    "a ragged stroke": json.dumps(ROW | {"strokes": [[[1, 2], [3]]]}),
    "strokes that are a number": json.dumps(ROW | {"strokes": 7}),
    "not a number": json.dumps(ROW | {"strokes": [[[1, float("nan")], [2, 3]]]}),
    "an endless number": json.dumps(ROW | {"strokes": [[[1, float("inf")], [2, 3]]]}),
    "a number beyond floats": json.dumps(ROW | {"strokes": [[[1, 10**400], [2, 3]]]}),
    "too many points": json.dumps(ROW | {"strokes": [[[1, 2]] * (MAX_POINTS + 1)]}),
    "too long a path": json.dumps(ROW | {"strokes": [[[0, 0], [9, 9]] * MAX_LENGTH]}),
    "nested without end": "[" * 100_000,
    "bytes that are not text": '{"label": "\udcff"}',
}


@pytest.mark.parametrize("line", BROKEN.values(), ids=BROKEN)
def test_a_broken_line_is_named(tmp_path, line):
    text = f"{json.dumps(ROW)}\n{line}\n".encode(errors="surrogateescape")
    (tmp_path / "x.jsonl.gz").write_bytes(gzip.compress(text))
    with pytest.raises(DataError, match=re.escape(f"{tmp_path / 'x.jsonl.gz'}: line 2 ")):
        list(unipen.trajectories(tmp_path / "x.jsonl.gz"))


def test_files_that_are_not_whole_gzip_are_refused(tmp_path):
    whole = write(tmp_path / "x.jsonl.gz", *[ROW | {"writer": str(n)} for n in range(300)]).read_bytes()
    for content in (b"", b"plain", whole[:-9], whole[:40] + b"\0" * 20 + whole[60:]):
        (tmp_path / "x.jsonl.gz").write_bytes(content)
        with pytest.raises(DataError, match=r"x\.jsonl\.gz: "):
            list(unipen.trajectories(tmp_path / "x.jsonl.gz"))
    with pytest.raises(DataError, match="absent: cannot be read"):
        list(unipen.trajectories(tmp_path / "absent"))


def test_a_long_line_and_a_file_that_unpacks_to_much_are_refused_as_they_arrive(tmp_path, monkeypatch):
    (tmp_path / "x.jsonl.gz").write_bytes(gzip.compress(b" " * (unipen.MAX_LINE_BYTES + 1)))
    with pytest.raises(DataError, match="line 1 exceeds"):
        list(unipen.trajectories(tmp_path / "x.jsonl.gz"))
    monkeypatch.setattr(unipen, "MAX_UNPACKED_BYTES", 1_000)
    with pytest.raises(DataError, match=r"line \d+ exceeds 1048576 bytes a line and 1000 in all"):
        list(unipen.trajectories(write(tmp_path / "x.jsonl.gz", *[ROW] * 100)))


@pytest.mark.parametrize("place", ["cache", "cache/unipen"])
def test_the_three_files_are_read_where_they_are(tmp_path, place):
    put(tmp_path / place, [ROW], [ROW | {"label": "-"}], [ROW | {"label": "word"}, ROW | {"label": "a"}])
    found = unipen.load()
    assert [one.label for one in found.digits] == ["7"]
    assert [one.label for one in found.signs] == ["-"]
    assert [one.label for one in found.writing] == ["word", "a"]
    assert unipen.find() == tmp_path / place
    assert unipen.load(tmp_path / place).digits[0].label == "7"


def test_a_whole_number_or_a_label_of_another_kind_is_never_given(tmp_path):
    labels = [ROW | {"label": label} for label in ("12", "19-9-95", "#3", "7", "-", "a", "ab")]
    put(tmp_path / "cache", labels, labels, labels)
    found = unipen.load()
    assert [one.label for one in found.digits] == ["7"]
    assert [one.label for one in found.signs] == ["-"]
    assert [one.label for one in found.writing] == ["a", "ab"]


def test_writers_of_numbers_beside_the_three_files_are_not_trained_on(tmp_path):
    put(tmp_path / "cache", [ROW, ROW | {"writer": "wbob"}])
    assert [one.writer for one in unipen.load().digits] == ["wann", "wbob"]
    write(tmp_path / "cache" / unipen.NUMBERS, ROW | {"label": "12.5", "writer": "wbob"})
    assert [one.writer for one in unipen.load().digits] == ["wann"]


def test_the_archive_is_read_once_and_kept_as_three_files(archive, tmp_path):
    found = unipen.load()
    assert [one.label for one in (*found.digits, *found.signs, *found.writing)] == ["1", "\\", "one"]
    points = found.digits[0].strokes[0]
    assert points[0].tolist() == [0, 0]
    assert np.allclose(points[-1], (0.5, 1))
    kept = [path.read_bytes() for path in unipen.get()]
    assert unipen.find() == tmp_path / "cache" / "unipen"
    shutil.rmtree(archive)
    assert unipen.load().digits[0].label == "1"
    assert b"ann" not in b"".join(gzip.decompress(content) for content in kept)


def test_a_folder_that_is_the_archive_may_be_named(archive):
    assert unipen.find(archive) == archive
    assert len(unipen.load(archive).digits) == 1
    assert (archive / "unipen" / unipen.FILES["digits"]).is_file()


def test_the_three_files_beside_the_archive_are_read_instead_of_it(archive):
    put(archive)
    assert unipen.load(archive).digits[0].label == "7"
    assert not (archive / "unipen").exists()


def test_the_same_archive_gives_the_same_bytes(archive, tmp_path):
    first = [path.read_bytes() for path in unipen.get()]
    for path in unipen.get():
        path.unlink()
    assert [path.read_bytes() for path in unipen.get()] == first


def test_a_broken_archive_leaves_no_files(archive, tmp_path):
    (archive / "data/1a/ann.dat").write_text(".SEGMENT\n")
    with pytest.raises(DataError, match=r"ann.dat: line 1: "):
        unipen.get()
    assert [path.name for path in (tmp_path / "cache" / "unipen").iterdir()] == ["CDROM"]


def test_files_that_cannot_be_kept_are_named(archive, tmp_path, monkeypatch):
    def full(path, content):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(unipen, "write_atomic", full)
    with pytest.raises(DataError, match=r"gz: cannot be written \(No space left on device\); put the archive"):
        unipen.get()


def test_the_command_line_says_what_to_download_and_where_to_put_it(tmp_path, monkeypatch, capsys):
    code, out, err = digitnet(monkeypatch, capsys, "data", "get", "unipen")
    assert (code, out) == (1, "")
    assert err.count("\n") == 1
    assert "get unipen-CDROM-train_r01_v07.tgz from https://doi.org/10.5281/zenodo.1195803, unpack it" in err
    assert f"put its folder train_r01_v07 into {tmp_path / 'cache' / 'unipen'}, or name a folder" in err


def test_the_command_line_makes_the_files_and_lists_them(archive, tmp_path, monkeypatch, capsys):
    code, out, _ = digitnet(monkeypatch, capsys, "data", "get", "unipen")
    assert code == 0
    assert out.split() == [str(tmp_path / "cache/unipen" / name) for name in unipen.FILES.values()]
    code, out, _ = digitnet(monkeypatch, capsys, "data")
    assert code == 0
    assert "pen trajectories" in re.sub(r"\s+", " ", out)
    assert "data get unipen" not in out


def test_training_the_line_reader_without_it_says_so_and_leaves_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code, out, err = digitnet(monkeypatch, capsys, "train", "--model", "line", "--out", "mine")
    assert (code, out) == (1, "")
    assert err.count("\n") == 1
    assert "get unipen-CDROM-train_r01_v07.tgz from https://doi.org/10.5281/zenodo.1195803" in err
    assert not (tmp_path / "mine").exists()


def test_the_set_is_not_images():
    with pytest.raises(
        DataError, match=r"unipen contains pen trajectories, .*; read them with digitnet\.data\.unipen\.load\(\)"
    ):
        load("unipen")


@pytest.fixture(scope="module")
def real():
    """The folder with real trajectories."""
    base = Path(os.environ.get("DIGITNET_DEV_DATA") or Path(__file__).parents[2] / "../shared/data")
    places = [place for place in (base, base / "strokes") if (place / unipen.FILES["digits"]).is_file()]
    if not places:
        pytest.skip(f"no {unipen.FILES['digits']} in {base}: name a folder that has it with DIGITNET_DEV_DATA")
    return places[0]


def test_real_trajectories_are_all_there(real):
    found = unipen.load(real)
    count = collections.Counter(one.label for one in found.digits)
    assert len(count) == 10
    assert min(count.values()) > 900
    assert {".", ",", "-", "/", ":", "(", ")", "+", "$", "%", "\\", '"'} <= {one.label for one in found.signs}
    assert sum(one.label == "@" for one in found.signs) < 300
    assert len(found.writing) > 7_000
    held = {writer for writer in {one.writer for one in found.digits} if unipen.held_out(writer)}
    assert 10 < len(held) < 50
    for one in (*found.digits, *found.signs, *found.writing):
        points = np.concatenate(one.strokes)
        assert points.min() >= 0
        assert points.max() <= 1 + 1e-5


def test_no_writer_of_real_numbers_is_trained_on(real):
    numbers = real / unipen.NUMBERS
    if not numbers.is_file():
        pytest.skip(f"no {numbers.name} in {real}")
    with gzip.open(numbers, "rt") as lines:
        measured = {json.loads(line)["writer"] for line in lines}
    assert len(measured) == 82
    found = unipen.load(real)
    assert not measured & {one.writer for part in (found.digits, found.signs, found.writing) for one in part}
