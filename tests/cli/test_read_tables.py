import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from helpers import save
from PIL import Image

from digitnet.cli import read_tables
from digitnet.core import extras
from digitnet.reading import batch
from digitnet.reading.bulk import inputs
from digitnet.reading.reader import Reader

pq = pytest.importorskip("pyarrow.parquet", reason="pyarrow comes with the extra scale")

opened = cache(Reader)


@pytest.fixture
def digitnet(digitnet, monkeypatch):
    """Run the command line with one reader for all tests."""
    monkeypatch.setattr("digitnet.reading.reader.Reader", opened)
    return digitnet


@pytest.fixture
def scans():
    """A folder with a page of a number, a blank one, a file of two pages, and one that cannot be read."""
    save("scans/a.png", "1984")
    Image.new("L", (90, 60), 255).save("scans/blank.png")
    save("scans/book.tif", "958", "4162")
    Path("scans/zero.png").touch()
    return "scans"


SAID = "4 inputs: 2 with 3 numbers, 1 without numbers, 1 not read; see {}/out/failures.parquet\n"


def numbers(out="out"):
    table = pq.read_table(Path(out, "numbers"), columns=["source", "page", "text", "confidence"])
    return [(Path(each["source"]).name, *list(each.values())[1:]) for each in table.to_pylist()]


def test_a_folder_becomes_tables_of_what_the_reader_reads(digitnet, scans):
    code, out, err = digitnet("read", scans, "--format", "parquet", "--out", "out")
    assert (code, out, err) == (2, "", SAID.format(Path.cwd()))
    expected = [
        (Path(read.file).name, read.page, number.text, pytest.approx(number.confidence))
        for read in batch.read_all(opened(), batch.pictures([scans]))
        for number in (read.reading.numbers if read.reading else ())
    ]
    assert numbers() == expected
    assert [text for _, _, text, _ in expected] == ["1984", "958", "4162"]


def test_it_goes_on_where_it_was_stopped_and_says_how(digitnet, scans, monkeypatch):
    words = ["read", scans, "--format", "parquet", "--out", "out", "--jobs", "2"]
    put, parts = inputs.Folder.put, []

    def stopped(self, name, data):
        if len(parts) == 5:
            raise KeyboardInterrupt
        parts.append(name)
        put(self, name, data)

    with monkeypatch.context() as patch:
        patch.setattr(inputs.Folder, "put", stopped)
        code, _, err = digitnet(*words)
    here = Path.cwd()
    assert (code, err) == (
        130,
        f"Stopped; the finished parts in {here}/out are kept. Resume with the same command and --resume\n",
    )
    assert digitnet(*words)[2].startswith(f"Error: {here}/out: already exists; resume it with --resume")
    code, _, err = digitnet(*words, "--resume")
    assert (code, err) == (2, f"1 of 4 inputs are already in {here}/out\n" + SAID.format(here))
    assert [text for _, _, text, _ in numbers()] == ["1984", "958", "4162"]
    assert digitnet(*words, "--resume")[2] == f"4 of 4 inputs are already in {here}/out\n" + SAID.format(here)


def test_without_a_terminal_progress_is_a_line_now_and_then(digitnet, scans, monkeypatch):
    monkeypatch.setattr(read_tables, "SAY_SECONDS", 0)
    err = digitnet("read", scans, "--format", "parquet", "--out", "out")[2]
    assert [line.split(",")[0] for line in err.splitlines()[:4]] == [f"{n} of 4 inputs" for n in (1, 2, 3, 4)]


def test_a_large_job_is_read_by_processes_of_its_own(digitnet, scans, monkeypatch):
    digitnet("read", scans, "--format", "parquet", "--out", "one")
    monkeypatch.setattr(read_tables, "WORTH", 4)
    monkeypatch.setattr("digitnet.reading.bulk.job.read_here", None)
    code, _, err = digitnet("read", scans, "--format", "parquet", "--out", "out", "--jobs", "2")
    assert (code, err) == (2, SAID.format(Path.cwd()))
    assert numbers("out") == numbers("one")


def test_rules_and_single_hold_for_tables_too(digitnet):
    save("scans/a.png", "1984")
    digitnet("read", "scans", "--single", "--length", "3", "--format", "parquet", "--out", "out")
    (row,) = pq.read_table("out/numbers").to_pylist()
    assert len(row["text"]) == 3
    assert row["seen"] == "1984"
    assert json.loads(Path("out/manifest.json").read_text())["rules"]["lengths"] == [3, 3]
    code, _, err = digitnet("read", "scans", "--single", "--format", "parquet", "--out", "out", "--resume")
    assert code == 1
    assert "was started with other constraints (lengths [3, 3]; now none)" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--format", "parquet"], "tables need a folder; name it with --out"),
        (["--engine", "ray"], "tables need a folder; name it with --out"),
        (["--format", "csv", "--engine", "ray"], "--format csv requires --engine local and --jobs of at most 256"),
        (["--address", "auto"], "--format text requires --engine local and --jobs of at most 256"),
        (["--jobs", "257"], "--format text requires --engine local and --jobs of at most 256"),
        (["--format", "parquet", "--out", "out", "--jobs", "257"], "--jobs 257: at most 256 on one machine"),
        (
            ["--format", "parquet", "--out", "out", "--address", "auto"],
            "--address applies only to --engine ray",
        ),
        (
            ["--format", "parquet", "--out", "out", "--min-confidence", "0.5"],
            "--overlay, --explain, --min-confidence, --print and --second-opinion",
        ),
    ],
)
def test_options_that_do_not_go_together_are_said(digitnet, scans, words, message):
    code, out, err = digitnet("read", scans, *words)
    assert (code, out) == (1, "")
    assert err.startswith(f"Error: {message}")
    assert not Path("out").exists()


@pytest.mark.parametrize(("engine", "missing"), [("local", "pyarrow"), ("ray", "ray")])
def test_a_package_that_is_missing_is_named_with_how_to_install_it(digitnet, scans, monkeypatch, engine, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    code, _, err = digitnet("read", scans, "--format", "parquet", "--engine", engine, "--out", "out")
    assert (code, err) == (1, f"Error: {extras.missing(missing)}\n")


def test_reading_leaves_nothing_in_the_home_folder(environment, scans):
    Path("home").mkdir()
    bare = {name: value for name, value in environment.items() if name[:3] not in ("XDG", "ORT")}
    words = [sys.executable, "-m", "digitnet", "read", scans, "--format", "parquet", "--out", "out"]
    subprocess.run(words, capture_output=True, env=bare | {"HOME": str(Path("home").absolute())})
    assert Path("out/summary.json").is_file()
    assert not list(Path("home").rglob("*"))


@pytest.mark.parametrize(
    ("form", "home"), [("csv", None), ("parquet", None), ("csv", "/nosuch/home"), ("parquet", "/proc")]
)
def test_reading_needs_no_home(environment, scans, form, home):
    bare = {name: value for name, value in environment.items() if name != "HOME" and name[:3] not in ("XDG", "ORT")}
    bare |= {"HOME": home} if home else {}
    words = [sys.executable, "-m", "digitnet", "read", scans, "--format", form, "--out", "out"]
    done = subprocess.run(words, capture_output=True, text=True, env=bare)
    assert done.returncode == 2
    *lines, last = done.stderr.splitlines()
    assert last.endswith("; 1 not read" if form == "csv" else "failures.parquet")
    assert all(line.startswith(("Error: scans/zero.png: ", "scans/blank.png: ")) for line in lines)


@pytest.mark.parametrize("form", ["text", "jsonl", "csv", "parquet"])
def test_names_that_are_no_unicode_are_read_into_every_form(environment, form):
    save("scans/a.png", "1984")
    try:
        os.rename(b"scans/a.png", b"scans/\xff.png")  # noqa: PTH104
    except OSError:
        pytest.skip("this file system takes no names that are not UTF-8")
    words = [sys.executable, "-m", "digitnet", "read", "scans", "scans/", "--format", form, "--out", "out"]
    done = subprocess.run(words, capture_output=True, env=environment | {"PYTHONUTF8": "0", "LC_ALL": "C"})
    assert (done.returncode, b"Traceback" in done.stderr) == (0, False)
    if form == "parquet":
        assert [text for _, _, text, _ in numbers()] == ["1984"]
    else:
        assert b"1984" in Path("out").read_bytes()


@pytest.mark.parametrize(
    ("form", "then"), [("csv", "continue with --resume"), ("jsonl", "continue with --resume"), ("json", "read again")]
)
def test_a_full_disk_is_said_with_the_file_and_what_to_do(digitnet, small_disk, form, then):
    save("scans/0.png", "1984 7265 30")
    for n in range(1, 25):
        os.link("scans/0.png", f"scans/{n}.png")
    disk = os.statvfs(small_disk)
    (small_disk / "hog").write_bytes(bytes(disk.f_bavail * disk.f_frsize - 4096))
    words = ["read", "scans", "--format", form, "--out", small_disk / "out"]
    code, _, err = digitnet(*words)
    fact = f"cannot be written (No space left on device); fix this, then {then}"
    assert (code, err) == (1, f"Error: {small_disk}/out: {fact}\n")
    (small_disk / "hog").unlink()
    if form != "json":
        assert digitnet(*words, "--resume")[0] == 0
        digitnet("read", "scans", "--format", form, "--out", "whole")
        assert (small_disk / "out").read_bytes() == Path("whole").read_bytes()


@pytest.mark.parametrize("form", ["text", "json", "jsonl", "csv"])
def test_a_disk_without_room_for_a_line_keeps_no_empty_file(digitnet, small_disk, form):
    save("0.png", "1984")
    disk = os.statvfs(small_disk)
    (small_disk / "hog").write_bytes(bytes(disk.f_bavail * disk.f_frsize))
    words = ["read", "0.png", "--format", form, "--out", small_disk / "out"]
    assert digitnet(*words)[0] == 1
    assert [path.name for path in small_disk.iterdir()] == ["hog"]
    (small_disk / "hog").unlink()
    assert digitnet(*words)[0] == 0
