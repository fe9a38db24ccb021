import contextlib
import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers import PAPER, save, write
from PIL import Image, ImageOps

from digitnet.core.files import cell_text
from digitnet.data import datasets
from digitnet.data.synthesis.strokes import hands
from digitnet.evaluation import reading_accuracy
from digitnet.imaging import pipes
from digitnet.models.onnx_models import WEIGHTS
from digitnet.reading import batch
from digitnet.reading.constraints import Rules
from digitnet.reading.output import COLUMNS
from digitnet.reading.reader import Reader
from digitnet.reading.result import Number, Reading

opened = cache(Reader)
"""Readers, of each kind one: most of the time of a small command goes into opening one."""


@pytest.fixture(scope="module")
def reader():
    return opened(threads=0)


@pytest.fixture
def digitnet(digitnet, monkeypatch):
    """Run the command line with one reader for all tests."""
    monkeypatch.setattr("digitnet.reading.reader.Reader", opened)
    return digitnet


@pytest.fixture
def scans():
    """A folder with a page of two lines, a blank one, a file of three pages, and two files that cannot be read."""
    Path("scans").mkdir()
    Image.fromarray(write("1984 7265", "30")[0]).save("scans/a.png")
    Image.new("L", (90, 60), 255).save("scans/blank.png")
    save("scans/book.tif", "958", "4162 6071", "2839")
    Path("scans/torn.jpg").write_bytes(b"\xff\xd8\xff and no more")
    Path("scans/zero.png").touch()
    return "scans"


PAGES = [
    ("a.png", 1),
    ("blank.png", 1),
    ("book.tif", 1),
    ("book.tif", 2),
    ("book.tif", 3),
    ("torn.jpg", 1),
    ("zero.png", 1),
]
"""The pages of `scans` as they are read."""


def readings(reader, folder="scans"):
    """What a reader says of the pages of the folder, page by page, None where they cannot be read."""
    return {
        (Path(read.file).name, read.page): read.reading for read in batch.read_all(reader, batch.pictures([folder]))
    }


# Text


def test_the_numbers_of_one_picture_are_all_that_is_printed(digitnet, reader):
    sheet = write("1984 7265", "30")[0]
    Image.fromarray(sheet).save("page.png")
    assert digitnet("read", "page.png") == (0, reader.read(sheet).text + "\n", "")


def test_of_many_pictures_every_line_begins_with_its_file(digitnet, reader):
    one, two = save("one.png", "1984"), save("two.png", "30")
    said = reader.read(one).text, reader.read(two).text
    code, out, err = digitnet("read", one, two)
    assert (code, out) == (0, f"one.png\t{said[0]}\ntwo.png\t{said[1]}\n")
    assert err == "2 files, 2 numbers\n"


def test_one_bad_file_among_many_is_told_and_the_rest_goes_on(digitnet, reader, scans):
    code, out, err = digitnet("read", scans)
    assert code == 2
    lines = [
        f"scans/{file}\t{line}"
        for (file, _), said in readings(reader).items()
        if said
        for line in said.text.split("\n")
    ]
    assert out.splitlines() == lines
    blank, first, second, last = err.splitlines()
    assert blank.startswith("scans/blank.png: no numbers found; ")
    assert first.startswith("Error: scans/torn.jpg: ")
    assert second.startswith("Error: scans/zero.png: ")
    assert last.startswith("3 files, ")
    assert last.endswith("; 2 not read")


def test_a_file_that_is_not_there_is_said_with_status_2(digitnet):
    code, out, err = digitnet("read", "nosuch.png")
    assert (code, out) == (2, "")
    assert err.startswith("Error: nosuch.png: ")
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("path", "message"),
    [("empty", "Error: empty: a folder without images"), ("no*.png", "Error: no*.png: no file matches")],
)
def test_a_folder_and_a_pattern_without_pictures_are_said_with_status_1(digitnet, path, message):
    Path("empty").mkdir()
    code, out, err = digitnet("read", path)
    assert (code, out) == (1, "")
    assert err.startswith(message)


def test_patterns_and_folders_mean_their_files(digitnet):
    for name in ("a1.png", "a2.png", "b/c.png"):
        save(name, "30")
    files = [line.split("\t")[0] for line in digitnet("read", "a*.png", "b")[1].splitlines()]
    assert files == ["a1.png", "a2.png", "b/c.png"]


def test_standard_input_is_read_where_a_dash_stands(digitnet, reader, monkeypatch):
    content = Path(save("one.png", "1984")).read_bytes()
    for words, text in ((["-"], ""), (["-", "one.png"], "-\t")):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        code, out, _ = digitnet("read", *words)
        assert code == 0
        assert out.startswith(f"{text}{reader.read(content).text}\n")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    assert digitnet("read", "-")[2].startswith("Error: standard input: ")


def test_in_a_pipe_a_picture_is_read_and_nothing_else_is_said(environment):
    content = Path(save("one.png", "1984")).read_bytes()
    command = [sys.executable, "-m", "digitnet", "read", "-"]
    done = subprocess.run(command, input=content, capture_output=True, check=True, env=environment)
    assert (done.stdout, done.stderr) == ((Reader().read(content).text + "\n").encode(), b"")


# JSON and CSV


def test_json_is_one_document_with_all_that_is_known_of_every_page(digitnet, reader, scans):
    code, out, _ = digitnet("read", scans, "--format", "json")
    assert code == 2
    known = readings(reader)
    found = json.loads(out)
    assert [(Path(page["file"]).name, page["page"]) for page in found] == PAGES
    for page in found:
        said = known[Path(page.pop("file")).name, page.pop("page")]
        if said is None:
            assert set(page) == {"error"}
            continue
        assert all(number.pop("accepted") is True for number in page["numbers"])
        assert page == json.loads(json.dumps(said.to_dict()))


def test_json_of_one_picture_is_a_list_too(digitnet):
    (page,) = json.loads(digitnet("read", save("one.png", "30"), "--format", "json")[1])
    assert page["file"] == "one.png"


def test_jsonl_is_the_same_page_a_line(digitnet, scans):
    lines = digitnet("read", scans, "--format", "jsonl")[1].splitlines()
    assert [json.loads(line) for line in lines] == json.loads(digitnet("read", scans, "--format", "json")[1])


def test_csv_has_a_row_a_number_and_one_for_a_page_without(digitnet, reader, scans):
    table = list(csv.reader(io.StringIO(digitnet("read", scans, "--format", "csv")[1])))
    assert tuple(table[0]) == COLUMNS
    rows = [dict(zip(COLUMNS, row, strict=True)) for row in table[1:]]
    expected = []
    for (file, page), said in readings(reader).items():
        if not (said and said.numbers):
            expected.append((f"scans/{file}", str(page), "", "", "", "", "", "", "", ""))
        for place, number in enumerate(said.numbers if said else (), 1):
            its = (number.text, f"{number.confidence:.4f}", "1", *map(str, number.box))
            expected.append((f"scans/{file}", str(page), str(place), *its))
    assert [tuple(row.values())[:10] for row in rows] == expected
    assert [row["file"] for row in rows if row["error"]] == ["scans/torn.jpg", "scans/zero.png"]
    assert all(row["error"].startswith(f"{row['file']}: ") for row in rows if row["error"])


@pytest.mark.parametrize("form", ["text", "json", "jsonl", "csv"])
def test_a_file_of_results_holds_what_would_be_printed(digitnet, scans, form):
    printed = digitnet("read", scans, "--format", form)
    code, out, err = digitnet("read", scans, "--format", form, "--out", "results")
    assert (code, out, err) == (printed[0], "", printed[2])
    assert Path("results").read_text() == printed[1]


@pytest.mark.parametrize("form", ["text", "json", "jsonl", "csv"])
def test_results_are_written_as_they_come(digitnet, monkeypatch, scans, form):
    sizes = []
    read_all = batch.read_all

    def watched(*args, **options):
        for read in read_all(*args, **options):
            sizes.append(Path("results").stat().st_size)
            yield read

    monkeypatch.setattr(batch, "read_all", watched)
    digitnet("read", scans, "--format", form, "--out", "results")
    assert len(sizes) == len(PAGES)
    assert sizes[0] == 0
    assert all(np.diff(sizes[:6]) > 0), "every page is in the file before the next one is read"


@pytest.mark.parametrize("form", ["text", "json", "jsonl", "csv"])
def test_two_jobs_give_the_very_same(digitnet, scans, form):
    assert digitnet("read", scans, "--format", form, "--jobs", 2) == digitnet("read", scans, "--format", form)


def test_results_are_never_written_over(digitnet):
    Path("mine.txt").write_text("mine")
    code, out, err = digitnet("read", save("one.png", "30"), "--out", "mine.txt")
    assert (code, out) == (1, "")
    assert err == "Error: mine.txt: already exists; resume it with --resume, or choose another --out\n"
    assert Path("mine.txt").read_text() == "mine"


def test_a_folder_for_results_that_is_not_there_is_said(digitnet):
    code, _, err = digitnet("read", save("one.png", "30"), "--out", "no/such.txt")
    assert code == 1
    assert err == "Error: no/such.txt: No such file or directory\n"


# Going on


def cuts(content):
    """Where a file of lines may have been cut off: everywhere at its begin and end, at line breaks, and in between."""
    breaks = [place for place, byte in enumerate(content) if byte == ord("\n")]
    around = {place + step for place in breaks for step in (-1, 0, 1, 2)}
    return sorted(around | {0, 1, 2, *range(0, len(content), 131), len(content)})


class Counter:
    """Stands for a Reader, to be quick: of every page it reads the numbers of its pixels, high and wide."""

    def read_page(self, page, *, single=False, rules=None, printed="keep"):
        numbers = [
            Number(str(size), 0.5 + size / 9999, (0, 10 * i, 9, 10 * i + 9)) for i, size in enumerate(page.shape)
        ]
        return Reading(tuple(numbers if page.any() else ()), page)


@pytest.fixture
def resumed(digitnet, monkeypatch, scans):
    """Cut the results of an uninterrupted run off in many places and go on; give where the file then is another one."""
    monkeypatch.setattr("digitnet.reading.reader.Reader", lambda line, threads, second_opinion: Counter())
    Image.new("L", (90, 60)).save("scans/blank.png")

    def run(form):
        digitnet("read", scans, "--format", form, "--out", "whole")
        content = Path("whole").read_bytes()
        different = []
        for place in cuts(content):
            Path("cut").write_bytes(content[:place])
            code = digitnet("read", scans, "--format", form, "--out", "cut", "--resume")[0]
            assert code == 2, "two files cannot be read"
            if Path("cut").read_bytes() != content:
                different.append(place)
        return content, different

    return run


def test_lines_of_json_go_on_to_the_same_bytes_wherever_they_were_cut_off(resumed):
    content, different = resumed("jsonl")
    assert content.count(b"\n") == len(PAGES)
    assert different == []


def test_rows_go_on_to_the_same_bytes_wherever_they_were_cut_off(resumed):
    content, different = resumed("csv")
    third = content.index(b"scans/book.tif")
    assert len(content) - third > 300
    assert [place for place in different if place >= third] == []


def test_rows_cut_off_in_the_first_file_go_on_to_the_same_bytes(resumed):
    content, different = resumed("csv")
    assert [place for place in different if place < content.index(b"scans/book.tif")] == []


def test_what_is_there_already_is_told_and_not_read_again(digitnet, monkeypatch, scans):
    digitnet("read", scans, "--format", "jsonl", "--out", "results.jsonl")
    lines = Path("results.jsonl").read_bytes().splitlines(keepends=True)
    Path("results.jsonl").write_bytes(b"".join(lines[:4]))  # two files, and two pages of the third
    asked = []
    read_all = batch.read_all
    monkeypatch.setattr(
        batch, "read_all", lambda reader, files, **more: asked.extend(files) or read_all(reader, files, **more)
    )
    code, _, err = digitnet("read", scans, "--format", "jsonl", "--out", "results.jsonl", "--resume")
    assert code == 2
    assert err.startswith("2 of 5 files are already in results.jsonl\n")
    assert asked == ["scans/book.tif", "scans/torn.jpg", "scans/zero.png"]


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_going_on_with_nothing_yet_begins(digitnet, scans, form):
    for words in (["--out", "whole"], ["--out", "new", "--resume"]):
        digitnet("read", scans, "--format", form, *words)
    assert Path("new").read_bytes() == Path("whole").read_bytes()


@pytest.mark.parametrize("words", [["--format", "jsonl"], ["--out", "x", "--format", "json"], ["--out", "x"]])
def test_only_a_file_of_lines_can_go_on(digitnet, words):
    code, out, err = digitnet("read", save("one.png", "30"), "--resume", *words)
    assert (code, out) == (1, "")
    assert err == "Error: --resume requires --out and --format jsonl, csv or parquet\n"
    assert not Path("x").exists()


def refused(digitnet, content, form):
    """Say whether going on with a file of something else is refused and leaves it as it is."""
    Path("other").write_bytes(content)
    code, _, err = digitnet("read", save("one.png", "30"), "--format", form, "--out", "other", "--resume")
    said = f"Error: other: not the {form} file of an earlier read; choose another --out\n"
    return (code, err) == (1, said) and Path("other").read_bytes() == content


@pytest.mark.parametrize("form", ["jsonl", "csv"])
@pytest.mark.parametrize(
    "content", [b"a poem\nof two lines\n", b"\xff\xfe\n\x00\n", b"name,number\na.png,1\n", b"[[1], 2]\n3\n"]
)
def test_a_file_of_something_else_is_refused_and_not_touched(digitnet, content, form):
    assert refused(digitnet, content, form)


@pytest.mark.parametrize(
    ("content", "form"),
    [
        (b"a poem on one line", "jsonl"),
        (b"a poem on one line", "csv"),
        (b"a poem on one line\n", "csv"),
        (b"file,digits\na.png,1\nb.png,2\n", "csv"),
    ],
)
def test_a_poem_of_one_line_and_a_truth_are_refused_and_not_touched(digitnet, content, form):
    assert refused(digitnet, content, form)


def test_a_file_that_could_not_be_read_before_going_on_is_still_told_by_the_status(digitnet):
    Path("0.png").touch()
    files = ["0.png", save("1.png", "30"), save("2.png", "958")]
    assert digitnet("read", *files, "--format", "jsonl", "--out", "results")[0] == 2
    assert digitnet("read", *files, "--format", "jsonl", "--out", "results", "--resume")[0] == 2


@pytest.mark.parametrize(
    "name",
    [
        'a, "b".png',
        "ü.png",
        "a\u2028b.png",
        "\udcff.png",
    ],
    ids=ascii,
)
def test_files_of_any_name_are_read_and_gone_on_with(digitnet, name):
    try:
        Path(save("scans/1.png", "30")).replace(f"scans/1{name}")
    except OSError:
        pytest.skip("no file can have this name here")
    save("scans/2.png", "958")
    for words in (["--out", "whole"], ["--out", "again"], ["--out", "again", "--resume"]):
        assert digitnet("read", "scans", "--format", "csv", *words)[0] == 0
    assert Path("again").read_bytes() == Path("whole").read_bytes()
    with Path("whole").open(encoding="utf-8", errors="surrogateescape", newline="") as table:
        assert [row["file"] for row in csv.DictReader(table)] == [f"scans/1{name}", "scans/2.png"]


# What must be, and what is doubtful


def test_numbers_less_sure_than_asked_are_question_marks(digitnet, reader):
    sheet = write("1984 7265", "30")[0]
    Image.fromarray(sheet).save("page.png")
    said = reader.read(sheet)
    assert len(said.numbers) == 3
    least = sorted(number.confidence for number in said.numbers)[1]
    expected = [number.text if number.confidence >= least else "?" for number in said.numbers]
    assert expected.count("?") == 1
    words = ("page.png", "--min-confidence", repr(least))
    code, out, _ = digitnet("read", *words)
    assert (code, out) == (0, "{} {}\n{}\n".format(*expected))
    (page,) = json.loads(digitnet("read", *words, "--format", "json")[1])
    assert [number["accepted"] for number in page["numbers"]] == [text != "?" for text in expected]
    assert [number["text"] for number in page["numbers"]] == [number.text for number in said.numbers]
    rows = csv.DictReader(io.StringIO(digitnet("read", *words, "--format", "csv")[1]))
    assert [row["accepted"] for row in rows] == [str(int(text != "?")) for text in expected]


def test_the_last_line_counts_the_doubtful_numbers_of_many_files(digitnet):
    files = save("one.png", "30"), save("two.png", "958")
    assert digitnet("read", *files, "--min-confidence", 0)[2] == "2 files, 2 numbers\n"
    assert digitnet("read", *files, "--min-confidence", 1)[2] in {
        f"2 files, 2 numbers, {count} of them below 100.00%\n" for count in range(3)
    }


@pytest.mark.parametrize(
    ("words", "rules"),
    [
        (["--length", 3], Rules(lengths=(3, 3))),
        (["--lengths", "3-5"], Rules(lengths=(3, 5))),
        (["--range", "0..2000"], Rules(low=0, high=2000)),
        (["--checksum", "luhn"], Rules(checksum="luhn")),
        (["--length", 4, "--range", "..4000", "--checksum", "luhn"], Rules(lengths=(4, 4), high=4000, checksum="luhn")),
    ],
)
@pytest.mark.parametrize("single", [False, True])
def test_rules_are_kept_and_what_they_changed_is_told(digitnet, reader, words, rules, single):
    file = save("one.png", "4162")
    said = reader.read(file, single=single, rules=rules)
    flags = ["--single"] if single else []
    (page,) = json.loads(digitnet("read", file, *words, *flags, "--format", "json")[1])
    assert page["rules"] == str(rules)
    assert [number["text"] for number in page["numbers"]] == [number.text for number in said.numbers]
    assert [number["seen"] for number in page["numbers"]] == [number.seen for number in said.numbers]
    rows = list(csv.DictReader(io.StringIO(digitnet("read", file, *words, *flags, "--format", "csv")[1])))
    assert [row["seen"] for row in rows if row["number"]] == [number.seen or "" for number in said.numbers]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--length", 3, "--lengths", "3-5"], "length and lengths set the same constraint; omit one"),
        (["--lengths", "three"], "'three'"),
        (["--lengths", "5-3"], "5"),
        (["--range", "5"], "'5'"),
        (["--range", "9..3"], "9..3"),
        (["--range", "a..b"], "'a..b'"),
        (["--checksum", "lunh"], "lunh"),
        (["--checksum", "ean", "--length", 3], "ean"),
    ],
)
def test_rules_that_make_no_sense_are_said_before_anything_is_read(digitnet, words, message):
    code, out, err = digitnet("read", "nosuch.png", *words)
    assert (code, out) == (1, "")
    assert err.startswith("Error: ")
    assert message in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    "words",
    [
        ["--format", "xml"],
        ["--min-confidence", "2"],
        ["--jobs", "0"],
        ["--length", "0"],
        ["--length", "x"],
        ["--page", "1"],
    ],
)
def test_options_that_are_none_are_usage_errors(digitnet, words):
    code, out, err = digitnet("read", "nosuch.png", *words)
    assert (code, out) == (2, "")
    assert words[0] in err


def test_an_empty_picture_that_should_hold_one_number_is_an_empty_line(digitnet):
    Image.new("L", (90, 60), PAPER).save("blank.png")
    code, out, err = digitnet("read", "blank.png", "--single")
    assert (code, out) == (0, "\n")
    assert err == "blank.png: empty, confidence 99.78% that nothing is written\n"
    (row,) = csv.DictReader(io.StringIO(digitnet("read", "blank.png", "--single", "--format", "csv")[1]))
    assert (row["number"], row["text"], row["reasons"], row["status"]) == ("1", "", "empty", "empty")
    assert float(row["confidence"]) > 0.99


def crossed_out():
    sheet = np.full((100, 140), PAPER, np.uint8)
    for ends in (((30, 20), (110, 80)), ((110, 20), (30, 80))):
        cv2.line(sheet, *ends, 30, 5, cv2.LINE_AA)
    Image.fromarray(sheet).save("x.png")
    return "x.png"


def test_a_crossed_out_field_is_unreadable_and_not_empty_in_every_format(digitnet):
    code, out, err = digitnet("read", crossed_out(), "--single")
    assert (code, out) == (0, "?\n")
    assert re.fullmatch(
        r"x\.png: unreadable, there is ink but no number \(confidence 0\.\d\d% that nothing is written\); "
        r"check the image\n",
        err,
    )
    (page,) = json.loads(digitnet("read", "x.png", "--single", "--format", "json")[1])
    (number,) = page["numbers"]
    assert (number["text"], number["status"], number["accepted"]) == ("", "unreadable", False)
    assert number["confidence"] < 0.01
    (row,) = csv.DictReader(io.StringIO(digitnet("read", "x.png", "--single", "--format", "csv")[1]))
    assert (row["text"], row["status"], row["accepted"], row["reasons"]) == ("", "unreadable", "0", "not_a_digit")


def test_a_page_without_numbers_and_what_is_left_out_are_explained(digitnet, monkeypatch):
    Image.new("L", (90, 60), PAPER).save("blank.png")
    assert digitnet("read", "blank.png") == (
        0,
        "\n",
        "blank.png: no numbers found; if the image contains only one number, add --single\n",
    )
    two = ImageOps.expand(Image.fromarray(write("1984 7265")[0]), 300, fill=255)  # too large to be one number
    two.save("two.png")
    reader = sys.modules["digitnet.reading.reader"]
    probs = reader.number_probs
    monkeypatch.setattr(reader, "number_probs", lambda *asked: tuple(each * [1, 0.3] for each in probs(*asked)))
    assert digitnet("read", "two.png") == (0, "1984\n", "two.png: 1 place looks like a number and was not read\n")


def test_numbers_that_cannot_keep_the_rules_are_read_without_and_named(digitnet):
    code, out, err = digitnet("read", save("page.png", "55632 55638"), "--checksum", "luhn")
    assert (code, out) == (0, "55632 55638\n")
    assert err == "page.png: read without constraints, because they do not satisfy luhn: 55638\n"
    rows = csv.DictReader(io.StringIO(digitnet("read", "page.png", "--checksum", "luhn", "--format", "csv")[1]))
    assert [(row["text"], row["rules_applied"]) for row in rows] == [("55632", "1"), ("55638", "0")]


def test_a_field_that_cannot_keep_the_rules_is_unreadable_and_what_it_shows_is_named(digitnet):
    code, out, err = digitnet("read", save("one.png", "4162"), "--single", "--length", 40)
    assert (code, out) == (0, "?\n")
    assert err == "one.png: unreadable, no number satisfies length 40; without constraints it reads 4162\n"


def test_question_marks_of_one_picture_are_counted(digitnet):
    assert digitnet("read", save("one.png", "30"), "--min-confidence", 1)[1:] == (
        "?\n",
        "1 number, 1 of them below 100.00%\n",
    )


# Names of files


def test_a_name_that_is_a_formula_is_none_in_csv_and_is_gone_on_with(digitnet):
    names = ['=HYPERLINK("x";"y").png', "@SUM(A1).png", "+1.png", "-1.png", "'=1.png", "\uff1d1.png", "'.png", "-.png"]
    for name in names:
        Path(save("scans/one.png", "30")).rename(f"scans/{name}")
    Path("scans/=torn.png").write_bytes(b"torn")
    files = [*names, "=torn.png"]
    with contextlib.chdir("scans"):
        for words in (["--out", "../whole"], ["--out", "../again"], ["--out", "../again", "--resume"]):
            assert digitnet("read", "--format", "csv", *words, "--", *files)[0] == 2
    assert Path("again").read_bytes() == Path("whole").read_bytes()
    with Path("whole").open(newline="") as table:
        rows = list(csv.DictReader(table))
    for row in rows:
        assert row["file"][0] not in "=+-@\t\r\n\uff1d"
        assert not row["error"] or row["error"][0] == "'"
    assert sorted(cell_text(row["file"]) for row in rows) == sorted(files)


def test_control_characters_of_names_are_escaped_in_every_message_and_in_text(digitnet):
    name = "a\x1bcb\nError: c\u202e.png"
    said = r"a\x1bcb\nError: c\u202e.png"
    Image.new("L", (90, 60), PAPER).save(name)
    Path(f"torn{name}").write_bytes(b"\x00\x01")
    code, out, err = digitnet("read", name, f"torn{name}", f"no{name}")
    assert code == 2
    assert out == f"{said}\t\n"
    assert [line.split(said)[0] for line in err.splitlines()[:-1]] == ["", "Error: 'torn", "Error: 'no"]
    for words in (["--out", name], ["--out", f"no{name}/x"], [f"no{name}/*.png"], ["--line", f"no{name}.onnx"]):
        code, out, err = digitnet("read", name, *words)
        assert (code, out, err.count("\n")) == (1, "", 1)
        assert all(map(str.isprintable, err[:-1]))


def test_names_that_begin_with_a_dash_are_read_after_two_dashes(digitnet):
    for name in ("-n.png", "--out.png", "a.png"):
        Path(save("one.png", "30")).rename(name)
    assert digitnet("read", "--", "--out.png", "-n.png", "a.png")[:2] == (
        0,
        "--out.png\t30\n-n.png\t30\na.png\t30\n",
    )
    assert digitnet("read", "--", "-*.png")[1] == "--out.png\t30\n-n.png\t30\n"


def test_a_named_pipe_is_read_and_one_that_nobody_writes_to_is_said(digitnet, monkeypatch):
    content = Path(save("one.png", "1984")).read_bytes()
    os.mkfifo("pipe.png")
    writer = threading.Thread(target=lambda: Path("pipe.png").write_bytes(content))
    writer.start()
    assert digitnet("read", "pipe.png") == (0, "1984\n", "")
    writer.join()
    monkeypatch.setattr(pipes, "MAX_WAIT_SECONDS", 0)
    code, out, err = digitnet("read", "pipe.png", "one.png")
    assert (code, out) == (2, "one.png\t1984\n")
    assert err.startswith("Error: pipe.png: a named pipe without a writer for 0 s; start its writer first\n")
    code, _, err = digitnet("read", "pipe.png", "--format", "parquet", "--out", "tables")
    assert (code, err) == (1, "Error: pipe.png: a job cannot resume from standard input or a pipe; name a file\n")


def test_a_dead_link_is_said_to_be_one_and_the_rest_is_read(digitnet):
    save("scans/a.png", "30")
    Path("scans/b.png").symlink_to("nosuch.png")
    code, out, err = digitnet("read", "scans")
    assert (code, out) == (2, "scans/a.png\t30\n")
    assert err.splitlines() == [
        "Error: scans/b.png: a link to 'nosuch.png', which does not exist; correct the link",
        "1 files, 1 numbers; 1 not read",
    ]


# Another line reader


def test_a_line_reader_of_ones_own_reads(digitnet):
    file = save("one.png", "1984")
    shutil.copy(WEIGHTS / "line.onnx", "mine.onnx")
    assert digitnet("read", file, "--line", "mine.onnx") == (0, "1984\n", "")
    code, out, err = digitnet("read", file, "--line", "nosuch.onnx")
    assert (code, out) == (1, "")
    assert err.startswith("Error: nosuch.onnx: ")
    code, _, err = digitnet("read", file, "--line", WEIGHTS / "digitnet.onnx")
    assert code == 1
    assert "digitnet.onnx: has " in err


# Pictures of it


@pytest.mark.parametrize("option", ["--overlay", "--explain"])
def test_a_folder_for_images_is_not_named_as_an_image(digitnet, option, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(np.full((40, 40), 255, np.uint8)).save("a.png")
    code, _, err = digitnet("read", "a.png", option, "seen.png")
    assert (code, Path("seen.png").exists()) == (1, False)
    assert err == f"Error: seen.png: the name of an image; name a folder with {option}\n"


@pytest.mark.parametrize("option", ["--overlay", "--explain"])
def test_every_page_gets_its_picture_and_the_pages_are_not_touched(digitnet, reader, scans, option):
    before = {path: path.read_bytes() for path in Path(scans).iterdir()}
    code, out, _ = digitnet("read", scans, option, "new/pictures")
    assert code == 2
    assert out == digitnet("read", scans)[1]
    saved = sorted(path.name for path in Path("new/pictures/scans").iterdir())
    assert saved == ["a.png", "blank.png", "book.tif-2.png", "book.tif-3.png", "book.tif.png"]
    for path in Path("new/pictures/scans").iterdir():
        with Image.open(path) as picture:
            assert (picture.format, picture.mode) == ("PNG", "RGB")
            pixels = np.asarray(picture)
        if option == "--overlay" and path.name == "a.png":
            assert np.array_equal(pixels, reader.read("scans/a.png").draw())
    assert {path: path.read_bytes() for path in Path(scans).iterdir()} == before


@pytest.mark.parametrize("option", ["--overlay", "--explain"])
def test_pictures_of_files_that_differ_only_by_folder_or_suffix_are_not_written_over(digitnet, option):
    files = [
        save(name, text) for name, text in (("a/x.png", "30"), ("b/x.png", "958"), ("x.png", "7265"), ("x.bmp", "4162"))
    ]
    assert digitnet("read", *files, option, "pictures")[0] == 0
    pictures = [path.read_bytes() for path in Path("pictures").rglob("*.png")]
    assert len(pictures) == len(set(pictures)) == 4


@pytest.mark.parametrize("files", [("a/x.png", "a_x.png"), ("../x.png", "x.png")], ids=str)
def test_pictures_of_files_with_names_alike_are_not_written_over(digitnet, monkeypatch, files):
    Path("work/a").mkdir(parents=True)
    monkeypatch.chdir("work")
    for file, text in zip(files, ("30", "958"), strict=True):
        save(file, text)
    assert digitnet("read", *files, "--overlay", "pictures")[0] == 0
    assert len(list(Path("pictures").rglob("*.png"))) == 2


def test_a_picture_is_never_drawn_over_itself(digitnet):
    before = Path(save("one.png", "30")).read_bytes()
    code, _, err = digitnet("read", "one.png", "--overlay", ".")
    assert code == 1
    assert err.startswith("Error: one.png is the input image itself; choose another folder")
    assert Path("one.png").read_bytes() == before


def test_standard_input_has_its_picture_too(digitnet, monkeypatch):
    content = Path(save("one.png", "1984")).read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    assert digitnet("read", "-", "--overlay", "pictures")[0] == 0
    assert [path.name for path in Path("pictures").iterdir()] == ["stdin.png"]


# Composing, and scoring


@pytest.fixture
def offline(monkeypatch):
    """Stand invented digits in for MNIST's."""
    digits = hands(400, 1)
    asked = []
    monkeypatch.setattr(datasets, "load", lambda *args: asked.append(args) or digits)
    return asked


def contents(folder):
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def test_composing_gives_the_same_bytes_for_a_seed_and_others_for_another(digitnet, offline):
    for out, seed in (("one", 3), ("again", 3), ("other", 4)):
        code, printed, err = digitnet("compose", "--out", out, "--numbers", 6, "--seed", seed)
        assert (code, err) == (0, "")
        assert printed == f"{out}: 6 images and truth.csv; try: digitnet evaluate --read --data {out} --single\n"
    one, again, other = map(contents, ("one", "again", "other"))
    assert sorted(one) == [*(f"{i:06}.png" for i in range(1, 7)), "truth.csv"]
    assert one == again
    assert one["truth.csv"] != other["truth.csv"]
    assert len(set(one.values())) == 7
    assert {args[:2] for args in offline} == {("mnist", "test")}


def test_composed_pages_hold_as_many_numbers_as_asked(digitnet, offline):
    code, out, _ = digitnet("compose", "--out", "pages", "--numbers", 11, "--per-page", 5)
    assert (code, out.rstrip().endswith("evaluate --read --data pages")) == (0, True)
    said = reading_accuracy.truth(Path("pages"))
    assert [len(digits.split()) for digits in said.values()] == [5, 5, 1]
    for file in said:
        with Image.open(f"pages/{file}") as picture:
            assert (picture.format, picture.mode, picture.width) == ("PNG", "L", 1240)


def test_composing_takes_an_empty_folder_and_refuses_one_in_use(digitnet, offline):
    Path("empty").mkdir()
    assert digitnet("compose", "--out", "empty", "--numbers", 1)[0] == 0
    before = contents("empty")
    code, out, err = digitnet("compose", "--out", "empty", "--numbers", 1)
    assert (code, out) == (1, "")
    assert err == "Error: empty: already exists and is not an empty folder; choose another --out\n"
    assert contents("empty") == before
    Path("file").touch()
    assert digitnet("compose", "--out", "file", "--numbers", 1)[0] == 1


def test_what_is_composed_can_be_scored(digitnet, offline, reader):
    digitnet("compose", "--out", "pages", "--numbers", 8)
    code, out, err = digitnet("evaluate", "--read", "--data", "pages", "--single", "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    true = reading_accuracy.truth(Path("pages"))
    right = sum(reader.read(f"pages/{file}", single=True).text == digits for file, digits in true.items())
    assert (found["data"], found["n"], found["errors"]) == ("pages", 8, 8 - right)
    assert found["accuracy"] == right / 8
    assert 0 <= found["interval"][0] <= found["accuracy"] <= found["interval"][1] <= 1
    assert len(found["worst"]) == found["errors"]
    for worst in found["worst"]:
        assert true[worst["file"]] == worst["true"] != worst["read"]


@pytest.fixture
def marked():
    """A folder with truth of four pictures; that of two is not what is written."""
    texts = {"1.png": "1984 7265", "2.png": "30", "3.png": "958", "4.png": "4162"}
    for file, text in texts.items():
        save(f"mine/{file}", text)
    said = texts | {"2.png": "31", "4.png": "4"}
    Path("mine/truth.csv").write_text("file,digits\n" + "".join(f"{file},{text}\n" for file, text in said.items()))
    return "mine"


def test_scoring_a_folder_names_the_files_read_wrong(digitnet, reader, marked):
    code, out, err = digitnet("evaluate", "--read", "--data", marked)
    assert (code, err) == (0, "")
    said = {file: reader.read(f"mine/{file}").text for file in ("2.png", "4.png")}
    lines = out.splitlines()
    assert lines[0].startswith("Images of mine: ")
    assert "of 4 read wrong; " in lines[1]
    worst = lines[lines.index("Worst errors, by file:") + 1 :]
    for file, true in (("2.png", "31"), ("4.png", "4")):
        (line,) = (line.strip() for line in worst if line.strip().startswith(f"{file}: "))
        assert line.startswith(f"{file}: {true} read as {said[file]}, ")
        assert line.endswith("%")


def test_scoring_takes_the_rules_that_reading_takes(digitnet, reader):
    for file, text in {"1.png": "1984", "2.png": "30", "3.png": "55638"}.items():
        save(f"mine/{file}", text)
    Path("mine/truth.csv").write_text("file,digits\n1.png,984\n2.png,30\n3.png,55638\n")
    words = ("evaluate", "--read", "--data", "mine", "--single", "--json")
    free, ruled = (json.loads(digitnet(*words, *more)[1]) for more in ([], ["--lengths", "2-3", "--range", "0..999"]))
    rules = Rules(lengths=(2, 3), low=0, high=999)
    read = [reader.read(f"mine/{i}.png", single=True, rules=rules).text for i in (1, 2, 3)]
    expected = [text != true for text, true in zip(read, ("984", "30", "55638"), strict=True)]
    assert (free["rules"], ruled["rules"]) == (None, str(rules))
    assert (free["errors"], ruled["errors"]) == (1, sum(expected))
    assert {worst["file"]: worst["read"] for worst in ruled["worst"]}["3.png"] == read[2] != "55638"
    code, _, err = digitnet("evaluate", "--model", "digitnet", "--checksum", "luhn")
    assert (code, err.count("\n")) == (1, 1)
    assert "apply only to reading; add --read" in err


def test_scores_as_json_are_those_of_the_folder(digitnet, reader, marked):
    found = json.loads(digitnet("evaluate", "--read", "--data", marked, "--json")[1])
    scores, _ = reading_accuracy.score_reading(reader, Path(marked))
    assert found["n"] == 4
    assert found["errors"] == 4 - scores.correct
    assert found["character_error_rate"] == pytest.approx(scores.character_error_rate)
    assert {"2.png", "4.png"} <= {worst["file"] for worst in found["worst"]}
    assert found["selection"][0]["rejected"] == 0


def test_scoring_without_a_folder_or_with_a_bad_truth_is_said(digitnet, marked):
    code, _, err = digitnet("evaluate", "--read")
    assert (code, err) == (
        1,
        "Error: --read requires --data: a folder with images and truth.csv (columns file and digits)\n",
    )
    for content, fact in (
        ("file,digits\n1.png,twelve\n", "line 2: expected a file and its digits, got '1.png' and 'twelve'"),
        ("picture\n1.png\n", "expected the columns file and digits and at least one row"),
    ):
        Path("mine/truth.csv").write_text(content)
        assert digitnet("evaluate", "--read", "--data", marked) == (1, "", f"Error: mine/truth.csv: {fact}\n")
    Path("mine/truth.csv").write_text("file,digits\nnosuch.png,1\n")
    assert digitnet("evaluate", "--read", "--data", marked)[2].startswith("Error: mine/nosuch.png: ")
    Path("mine/truth.csv").unlink()
    assert "truth.csv: cannot be read" in digitnet("evaluate", "--read", "--data", marked)[2]


def test_a_page_read_in_part_is_said_on_standard_error(digitnet, monkeypatch):
    path = save("full.png", "1984 7265", "30 416")
    monkeypatch.setattr(sys.modules["digitnet.reading.effort"], "MAX_EFFORT", 200)
    code, out, err = digitnet("read", path)
    assert code == 0
    assert out.startswith("1984")
    assert err.startswith("full.png: read in part: the page has too many numbers")


def test_tables_are_written_as_csv_and_as_a_workbook(digitnet):
    from openpyxl import load_workbook

    Image.fromarray(write("412 739", "284 615")[0]).save("table.png")
    assert digitnet("read", "table.png", "--format", "csv", "--table") == (0, "412,739\n284,615\n", "")
    assert digitnet("read", "table.png", "--format", "xlsx", "--out", "table.xlsx")[0] == 0
    (sheet,) = load_workbook("table.xlsx").worksheets
    assert [[cell.value for cell in row] for row in sheet.rows] == [[412, 739], [284, 615]]
    assert "--out" in digitnet("read", "table.png", "--format", "xlsx")[2]
    assert "--format csv" in digitnet("read", "table.png", "--table")[2]


def test_skipping_printed_numbers_is_not_for_tables_of_a_job(digitnet):
    save("page.png", "412 739")
    assert digitnet("read", "page.png", "--print", "skip") == (0, "412 739\n", "")
    assert "--print" in digitnet("read", "page.png", "--print", "skip", "--format", "parquet", "--out", "x")[2]
