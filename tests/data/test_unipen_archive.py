import re

import numpy as np
import pytest

from digitnet import DataError
from digitnet.data.unipen_archive import CATEGORIES, MAX_FILE_BYTES, MAX_LABELS, MAX_POINTS, Archive

ANN = """
.COORD X Y
.WRITER_ID ann
.START_BOX
.PEN_DOWN
0 0
0 100
.PEN_UP
.DT 140
.PEN_UP
5 50
.PEN_DOWN
10 100
20 100
20 40
"""
"""Components 0 and 2 are ink, 1 is the pen in the air; the pen-up without a point does not count."""


@pytest.fixture
def put(tmp_path):
    """put(**files): an archive with these files; a name's double underscores are slashes, `data__` begins a page."""
    for name in ("include", *(f"data/{name}" for name in CATEGORIES)):
        (tmp_path / name).mkdir(parents=True)

    def put(**files):
        for name, text in files.items():
            path = tmp_path / (name.replace("__", "/") + ".dat")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode("latin-1") if isinstance(text, str) else text)
        return Archive(tmp_path)

    return put


def page(*labels, include="ann.dat"):
    return "\n".join([".VERSION 1.0", f".INCLUDE {include}", *(f".SEGMENT CHARACTER {label}" for label in labels), ""])


def only(archive, kind="digits"):
    rows = archive.rows()[kind]
    assert len(rows) == 1
    return rows[0]


def lists(row):
    return [stroke.tolist() for stroke in row.strokes]


def test_ink_has_y_down_and_leaves_out_what_the_pen_did_in_the_air(put):
    row = only(put(data__1a__x=page('0-2 ? "7"'), include__ann=ANN))
    assert row.label == "7"
    assert lists(row) == [[[0, 0], [0, -100]], [[10, -100], [20, -100], [20, -40]]]


@pytest.mark.parametrize(
    ("delineation", "strokes"),
    [
        ("0", [[[0, 0], [0, -100]]]),
        ("2", [[[10, -100], [20, -100], [20, -40]]]),
        ("1-2", [[[10, -100], [20, -100], [20, -40]]]),
        ("2,0", [[[10, -100], [20, -100], [20, -40]], [[0, 0], [0, -100]]]),
        ("2:1-2:2", [[[20, -100], [20, -40]]]),
        ("0:1-2", [[[0, -100]], [[10, -100], [20, -100], [20, -40]]]),
        ("0-2:1", [[[0, 0], [0, -100]], [[10, -100], [20, -100]]]),
    ],
)
def test_a_label_names_components_or_points_in_them(put, delineation, strokes):
    assert lists(only(put(data__1a__x=page(f'{delineation} OK "4"'), include__ann=ANN))) == strokes


@pytest.mark.parametrize("delineation", ["3", "2-3", "2-0", "1"])
def test_a_label_without_ink_is_left_out(put, delineation):
    assert put(data__1a__x=page(f'{delineation} OK "4"'), include__ann=ANN).rows()["digits"] == []


def test_a_single_spot_is_left_out(put):
    spot = ANN + ".PEN_DOWN\n7 7\n7 7\n"
    assert put(data__1d__x=page('3 OK "."'), include__ann=spot).rows()["signs"] == []


def test_columns_may_stand_anywhere(put):
    text = ".COORD T Y P X\n.PEN_DOWN\n 1 10 99 2\n 2 20 99 4\n"
    assert lists(only(put(data__1a__x=page('0 OK "1"'), include__ann=text))) == [[[2, -10], [4, -20]]]


def test_components_are_numbered_through_all_includes(put):
    both = ".INCLUDE ann.dat\n.INCLUDE bob.dat\n" + '.SEGMENT CHARACTER 3 OK "1"\n'
    bob = ".WRITER_ID bob\n.PEN_DOWN\n1 2\n3 4\n"
    assert lists(only(put(data__1a__x=both, include__ann=ANN, include__bob=bob))) == [[[1, -2], [3, -4]]]


def test_an_include_may_be_named_from_the_folder_of_the_file_that_includes_it(put):
    archive = put(
        data__1a__x=page('0 OK "1"', include="imp/data/ann.dat"),
        include__imp__data__ann=".INCLUDE ../imp.dat\n.PEN_DOWN\n1 1 0\n2 2 0\n",
        include__imp__imp=".COORD X Y T\n",
    )
    assert lists(only(archive)) == [[[1, -1], [2, -2]]]


def test_carriage_returns_are_line_ends(put):
    archive = put(data__1a__x=page('0 OK "1"').replace("\n", "\r\n"), include__ann=ANN.replace("\n", "\r"))
    assert lists(only(archive)) == [[[0, 0], [0, -100]]]


def test_a_writer_has_one_anonymous_name_at_all_sites(put):
    rows = put(
        data__1a__a__x=page('0 OK "1"'),
        data__1a__b__x=page('0 OK "2"', include="b/ann.dat"),
        data__1a__c__x=page('0 OK "3"', include="bob.dat"),
        include__ann=ANN,
        include__b__ann=ANN.replace(".WRITER_ID ann", ".WRITER_ID\tann\r"),
        include__bob=ANN.replace("ann", "bob"),
    ).rows()["digits"]
    names = [row.writer for row in rows]
    assert names[0] == names[1] != names[2]
    assert not any(re.search("ann|bob", name) for name in names)


def test_a_page_without_a_writer_is_a_writer(put):
    text = ANN.replace(".WRITER_ID ann", "")
    rows = put(data__1a__x=page('0 OK "1"'), data__1a__y=page('0 OK "2"'), include__ann=text).rows()["digits"]
    assert len({row.writer for row in rows}) == 2


def test_each_kind_takes_the_labels_that_belong_to_it(put):
    labels = [f'0 ? "{label}"' for label in ("7", "a", "-", "ab", r"\"", r"\\", r"\@", r"t\@o", "")]
    every = {f"data__{name}__x": page(*labels) for name in CATEGORIES}
    found = put(**every, include__ann=ANN).rows()
    assert [row.label for row in found["digits"]] == ["7"]
    assert [row.label for row in found["signs"]] == ["-", r"\"", r"\\"]
    assert [row.label for row in found["writing"]] == ["a", "ab"] * 3


def test_letters_and_words_are_a_sample_of_each_page_and_always_the_same(put):
    labels = [f'0 ? "{letter}"' for letter in "abcdefghijklmnop"]
    archive = put(data__1c__x=page(*labels), data__1c__y=page(*labels), include__ann=ANN)
    found = [row.label for row in archive.rows()["writing"]]
    assert len(found) == 6
    assert found == [row.label for row in archive.rows()["writing"]]
    assert found[:3] != found[3:]


@pytest.mark.parametrize("number", ["12", "(415)", "19-9-95", "#3", "2%", "1,"])
def test_who_wrote_a_whole_number_is_left_out_at_all_sites(put, number):
    archive = put(
        data__1a__a__x=page('0 OK "1"'),
        data__1a__b__y=page('0 OK "2"', include="bob.dat"),
        data__6__a__x=page('0 OK "word"'),
        data__7__c__z=page(f'0-2 OK "{number}"', include="c/ann.dat"),
        include__ann=ANN,
        include__c__ann=ANN,
        include__bob=ANN.replace("ann", "bob"),
    )
    assert {kind: [row.label for row in rows] for kind, rows in archive.rows().items()} == {
        "digits": ["2"],
        "signs": [],
        "writing": [],
    }


@pytest.mark.parametrize("label", ["7", "seven", "-", "(a)"])
def test_a_lone_digit_or_a_word_in_a_text_leaves_nobody_out(put, label):
    archive = put(data__1a__x=page('0 OK "1"'), data__7__x=page(f'0 OK "{label}"'), include__ann=ANN)
    assert len(archive.rows()["digits"]) == 1


BROKEN = {
    "a segment without a label": (page("0 OK"), ANN, "x.dat: line 3: not kind delineation"),
    "a delineation in words": (page('zero OK "1"'), ANN, "x.dat: line 3: 'zero' does not name components"),
    "an endless number": (page(f'{"9" * 9999} OK "1"'), ANN, "x.dat: line 3: '9999"),
    "a word among the points": (page('0 OK "1"'), ANN.replace("0 100", "0 1oo"), "ann.dat: line 5: its points are not"),
    "a point without y": (page('0 OK "1"'), ANN.replace("0 100", "0"), "ann.dat: line 5: its points are not rows of 2"),
    "a coordinate that is not a number": (page('0 OK "1"'), ANN.replace("0 100", "0 nan"), "a coordinate outside"),
    "a coordinate beyond all": (page('0 OK "1"'), ANN.replace("0 100", "0 1e300"), "a coordinate outside"),
    "columns without y": (page('0 OK "1"'), ANN.replace("X Y", "X T"), "ann.dat: line 2: .COORD does not name X and Y"),
    "an include that is missing": (page('0 OK "1"', include="b.dat"), ANN, "line 2: includes 'b.dat', which is not"),
    "an include outside": (page('0 OK "1"', include="../data/1a/x.dat"), ANN, "which is not a file below"),
    "an include by its whole path": (page('0 OK "1"', include="/etc/passwd"), ANN, "which is not a file below"),
    "an include of a null": (page('0 OK "1"', include="a\0b"), ANN, r"includes 'a\x00b'"),
    "an include with a long name": (page('0 OK "1"', include="a" * 5000), ANN, "which is not a file below"),
    "an include of a folder": (page('0 OK "1"', include="."), ANN, "which is not a file below"),
    "an include of itself": (page('0 OK "1"'), ".INCLUDE ann.dat\n", "ann.dat: line 1: more than 4 files include"),
    "too many labels": (page(*['0 OK "1"'] * (MAX_LABELS + 1)), ANN, f"line {MAX_LABELS + 3}: not kind delineation"),
    "too many points": (page('0 OK "1"'), ".PEN_DOWN\n" + "1 2\n" * (MAX_POINTS + 1), "names more than 10000 points"),
    "too many components": (page(f'{"0-2," * 4000}0 OK "1"'), ANN, "names more than 10000 points"),
    "too long a path": (
        page('0 OK "1"'),
        ".PEN_DOWN\n" + "0 0\n9 9\n" * 300,
        "a path more than 200 times as long as its box",
    ),
    "a file that is too large": (page('0 OK "1"'), "\n" * (MAX_FILE_BYTES + 1), "ann.dat: larger than 16777216 bytes"),
}


@pytest.mark.parametrize(("text", "include", "words"), BROKEN.values(), ids=BROKEN)
def test_a_broken_or_hostile_file_is_named_with_its_line(put, text, include, words):
    archive = put(data__1a__x=text, include__ann=include)
    with pytest.raises(DataError, match=re.escape(words)):
        archive.rows()


def test_includes_cannot_multiply_without_end(put, monkeypatch):
    monkeypatch.setattr("digitnet.data.unipen_archive.MAX_PAGE_BYTES", 10_000)
    text = ".INCLUDE b.dat\n" * 50
    archive = put(data__1a__x=page('0 OK "1"'), include__ann=text, include__b=".PEN_DOWN\n" + "1 2\n" * 100)
    with pytest.raises(DataError, match="more than 10000 bytes with all that it includes"):
        archive.rows()


def test_a_link_out_of_the_archive_is_not_followed(put, tmp_path):
    archive = put(data__1a__x=page('0 OK "1"'))
    (tmp_path / "outside.dat").write_text(ANN)
    (tmp_path / "include/ann.dat").symlink_to(tmp_path / "outside.dat")
    with pytest.raises(DataError, match="which is not a file below"):
        archive.rows()


def test_a_part_that_is_missing_is_named(tmp_path):
    with pytest.raises(DataError, match="the folder include is missing; copy the whole archive"):
        Archive(tmp_path)


def test_random_bytes_are_refused_or_read(put):
    rng = np.random.default_rng(0)
    for _ in range(200):
        junk = bytearray(page('0-2 ? "7"').encode())
        for place in rng.integers(0, len(junk), 3):
            junk[place] = rng.integers(256)
        ink = bytearray(ANN.encode())
        for place in rng.integers(0, len(ink), 3):
            ink[place] = rng.integers(256)
        archive = put(data__1a__x=bytes(junk), include__ann=bytes(ink))
        try:
            archive.rows()
        except DataError as error:
            assert ".dat" in str(error)
