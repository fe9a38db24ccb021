import os
from pathlib import Path

import numpy as np
import pytest
from helpers import Stub, save, write
from PIL import Image

from digitnet.core.errors import DataError, ImageError
from digitnet.evaluation.reading_accuracy import score_reading, truth
from digitnet.imaging import pages as image
from digitnet.imaging.suffixes import IMAGE_SUFFIXES, PAGE_SUFFIXES
from digitnet.reading.batch import pictures, read_all
from digitnet.reading.constraints import Rules
from digitnet.reading.reader import Reader


@pytest.fixture(scope="module")
def reader():
    return Reader(threads=1)


def said(reads):
    """What was read of each page: its file, page and text, or whether there is an error."""
    return [(read.file, read.page, read.reading.text if read.reading else bool(read.error)) for read in reads]


# Which files are meant


def test_dead_links_of_folders_and_patterns_are_reported_and_pipes_left_out():
    save("scans/a.png", "30")
    Path("scans/b.png").symlink_to("nosuch.png")
    Path("scans/c.txt").symlink_to("nosuch.png")
    os.mkfifo("scans/d.png")
    assert pictures(["scans"]) == ["scans/a.png", "scans/b.png"]
    assert pictures(["scans/*.png"]) == ["scans/a.png", "scans/b.png"]
    _, dead = read_all(Stub({write("30")[0].shape[1]: []}), pictures(["scans"]))
    assert dead.error == "scans/b.png: a link to 'nosuch.png', which does not exist; correct the link"


def test_files_come_in_the_order_they_are_named_and_whatever_their_suffix():
    assert pictures(["z.png", "a.xyz", "-", "z.png"]) == ["z.png", "a.xyz", "-", "z.png"]


def test_a_folder_means_all_pictures_below_it_sorted_and_nothing_else():
    inside = [f"scans/{name}" for name in ("b.PNG", "a.jpg", "deep/er/c.tif", "d.pdf", "e.heic")]
    resources = "scans/._a.jpg", "scans/__MACOSX/deep/._c.tif"
    for name in (*inside, *resources, "scans/notes.txt", "scans/truth.csv", "scans/no_suffix"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()
    Path("scans/folder.png").mkdir()
    assert pictures(["scans"]) == sorted(inside)
    assert pictures(["scans/", "x.png"]) == [*sorted(inside), "x.png"]
    assert pictures(["scans/._a.jpg"]) == ["scans/._a.jpg"]
    with pytest.raises(ImageError, match="a folder without images"):
        pictures(["scans/__MACOSX"])


def test_a_pattern_means_the_files_that_match_it_sorted():
    for name in ("b2.png", "a1.png", "a2.jpg", "deep/a3.png"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()
    assert pictures(["a*"]) == ["a1.png", "a2.jpg"]
    assert pictures(["?2.*"]) == ["a2.jpg", "b2.png"]
    assert pictures(["**/a*.png"]) == ["a1.png", "deep/a3.png"]
    assert pictures([str(Path.cwd() / "b*.png")]) == [str(Path.cwd() / "b2.png")]


def test_a_file_whose_name_looks_like_a_pattern_is_that_file():
    for name in ("scan[1].png", "scan1.png"):
        Path(name).touch()
    assert pictures(["scan[1].png"]) == ["scan[1].png"]


def test_a_folder_and_a_pattern_without_pictures_are_said():
    Path("empty").mkdir()
    Path("empty/notes.txt").touch()
    with pytest.raises(ImageError, match=r"^empty: a folder without images; expected files such as \.png"):
        pictures(["empty"])
    with pytest.raises(ImageError, match=r"^\*\.png: no file matches this pattern$"):
        pictures(["*.png"])


def test_every_suffix_is_in_small_letters_with_its_dot():
    assert {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp", ".gif", ".pdf", ".heic"} <= PAGE_SUFFIXES
    assert all(suffix == suffix.lower() and suffix[0] == "." for suffix in PAGE_SUFFIXES)
    assert IMAGE_SUFFIXES < PAGE_SUFFIXES


# Reading them


@pytest.mark.parametrize("jobs", [1, 2, 5])
def test_files_are_read_in_their_order_page_by_page_and_a_bad_one_gives_its_error(reader, jobs):
    files = [save("one.png", "1984"), "nosuch.png", save("book.tif", "30", "958", "7265"), save("two.jpg", "4162")]
    Path("torn.png").write_bytes(Path("one.png").read_bytes()[:300])
    files.append("torn.png")
    reads = list(read_all(reader, files, jobs=jobs))
    assert [(read.file, read.page) for read in reads] == [
        *[("one.png", 1), ("nosuch.png", 1), ("book.tif", 1), ("book.tif", 2), ("book.tif", 3)],
        *[("two.jpg", 1), ("torn.png", 1)],
    ]
    for read in reads:
        if read.file in ("nosuch.png", "torn.png"):
            assert read.reading is None
            assert read.error.startswith(f"{read.file}: ")
            assert "\n" not in read.error
        else:
            alone = list(image.pages(read.file))[read.page - 1]
            assert read.error is None
            assert read.reading.to_dict() == reader.read_page(alone).to_dict()


def test_pages_before_a_damaged_one_are_read(reader):
    file = Path(save("book.tif", "30", "958"))
    whole = file.read_bytes()
    with Image.open(file) as book:
        book.seek(1)
        start = book.tag_v2[273][0]  # StripOffsets: where the second page's pixels begin
    file.write_bytes(whole[:start])
    good, bad = read_all(reader, [str(file)])
    assert (good.page, good.error, good.reading.text) == (1, None, reader.read(write("30")[0]).text)
    assert (bad.page, bad.reading) == (2, None)
    assert bad.error.startswith("book.tif, page 2: ")


def test_standard_input_is_read_where_a_dash_stands(reader):
    data = Path(save("one.png", "1984")).read_bytes()
    assert said(read_all(reader, ["-"], opened=lambda name: data)) == [("-", 1, reader.read(data).text)]
    (bad,) = read_all(reader, ["-"], opened=lambda name: b"")
    assert bad.error.startswith("standard input: ")


def test_every_page_is_read_as_asked(reader):
    save("one.png", "4162")
    rules = Rules(lengths=(3, 3))
    stub = Stub({write("4162")[0].shape[1]: [("7", 0.9)]})
    list(read_all(stub, ["one.png"], single=True, rules=rules))
    assert [asked[1:] for asked in stub.asked] == [(True, rules)]
    (read,) = read_all(reader, ["one.png"], single=True, rules=rules)
    assert len(read.reading.text) == 3


@pytest.mark.parametrize("jobs", [1, 3])
def test_a_page_is_decoded_only_when_its_turn_comes(monkeypatch, jobs):
    decoded = []

    def pages(source, name=None):
        decoded.append(source)
        yield np.zeros((4, 4), np.uint8)

    monkeypatch.setattr(image, "pages", pages)
    reads = read_all(Stub({4: []}), [str(i) for i in range(100)], jobs=jobs)
    for read, _ in zip(reads, range(20), strict=False):
        assert len(decoded) - int(read.file) <= 2 * jobs
    reads.close()
    assert len(decoded) < 100


def test_what_goes_wrong_in_the_reader_itself_is_not_hidden():
    class Broken:
        def read_page(self, page, **_):
            raise ZeroDivisionError

    save("one.png", "1984")
    with pytest.raises(ZeroDivisionError):
        list(read_all(Broken(), ["one.png"]))


# The truth


def test_truth_tells_what_is_written_on_each_file(tmp_path):
    (tmp_path / "truth.csv").write_text("\ufefffile,digits,by\na.png,1984,me\nb.png, 30   4162 ,me\nc.png,,\n", "utf-8")
    assert truth(tmp_path) == {"a.png": "1984", "b.png": "30 4162", "c.png": ""}


@pytest.mark.parametrize(
    ("content", "fact"),
    [
        (None, r"cannot be read \(No such file or directory\); expected columns file and digits"),
        ("", "expected the columns file and digits and at least one row"),
        ("file,digits\n", "expected the columns file and digits and at least one row"),
        ("name,number\na.png,1\n", "expected the columns file and digits and at least one row"),
        ("file,digits\na.png,12\nb.png,12a4\n", r"line 3: expected a file and its digits, got 'b\.png' and '12a4'"),
        ("file,digits\n,12\n", r"line 2: expected a file and its digits, got '' and '12'"),
        ("file,digits\na.png,1,5\nb.png,٣\n", "line 3: "),
        (b"file,digits\na.png,\xff\n", "not a CSV file in UTF-8"),
    ],
)
def test_truth_that_is_missing_or_damaged_is_said(tmp_path, content, fact):
    if content is not None:
        (tmp_path / "truth.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError, match=rf"truth\.csv: {fact}"):
        truth(tmp_path)


# Scoring


@pytest.fixture
def folder(tmp_path):
    """Pictures 10, 20, 30 and 40 pixels wide, with truth."""
    for width in (10, 20, 30, 40):
        Image.new("L", (width, 10)).save(tmp_path / f"{width}.png")
    (tmp_path / "truth.csv").write_text("file,digits\n10.png,12\n20.png,345 6\n30.png,\n40.png,789\n")
    return tmp_path


def test_scores_say_what_was_right_by_pages_and_by_characters(folder):
    answers = {10: [("12", 0.9)], 20: [("345", 0.9), ("7", 0.5)], 30: [], 40: []}
    scores, files = score_reading(Stub(answers), folder)
    assert files == ["10.png", "20.png", "30.png", "40.png"]
    assert scores.true == ("12", "345 6", "", "789")
    assert scores.read == ("12", "345 7", "", "")
    assert scores.right.tolist() == [True, False, True, False]
    assert scores.confidence == pytest.approx([0.9, 0.45, 0, 0])
    assert scores.character_error_rate == pytest.approx((1 + 3) / (2 + 5 + 0 + 3))
    assert [(worst.index, worst.true, worst.read) for worst in scores.worst()] == [
        (1, "345 6", "345 7"),
        (3, "789", ""),
    ]


def test_scores_are_the_same_with_jobs_and_ask_as_told(folder):
    answers = {10: [("12", 0.9)], 20: [("345", 0.9)], 30: [], 40: [("789", 0.8)]}
    one, two = Stub(answers), Stub(answers)
    rules = Rules(lengths=(1, 3))
    first = score_reading(one, folder, single=True, rules=rules)[0]
    again = score_reading(two, folder, single=True, rules=rules, jobs=3)[0]
    assert first.to_dict() == again.to_dict()
    assert sorted(one.asked) == sorted(two.asked) == [(width, True, rules) for width in (10, 20, 30, 40)]


def test_real_pictures_are_scored(reader, tmp_path):
    lines = ["file,digits"]
    for i, text in enumerate(("1984 7265", "30", "4162 958", "6071")):
        save(tmp_path / f"{i}.png", text)
        lines.append(f"{i}.png,{text}")
    (tmp_path / "truth.csv").write_text("\n".join(lines))
    scores, _ = score_reading(reader, tmp_path)
    assert scores.n == 4
    assert scores.correct >= 3


def test_a_picture_that_is_missing_or_has_several_pages_cannot_be_scored(folder):
    answers = {width: [] for width in (10, 20, 30, 40)}
    Image.new("L", (40, 10)).save(folder / "40.tif", save_all=True, append_images=[Image.new("L", (40, 10))])
    table = (folder / "truth.csv").read_text()
    (folder / "truth.csv").write_text(table.replace("40.png", "40.tif"))
    with pytest.raises(ImageError, match=r"40\.tif: has several pages; truth\.csv supports only images with one page"):
        score_reading(Stub(answers), folder)
    (folder / "20.png").unlink()
    with pytest.raises(ImageError, match=r"20\.png: "):
        score_reading(Stub(answers), folder)
