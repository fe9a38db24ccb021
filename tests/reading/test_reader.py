import io
import itertools
import json
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers import PAPER, ROWS, overlap, texts, write
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

import digitnet
from digitnet.core.errors import ImageError, ModelError
from digitnet.data.synthesis.writers import inventions
from digitnet.imaging.segmentation import Found, Region, whole
from digitnet.models.model_file import MARGIN, STRIDE
from digitnet.reading import candidates, effort
from digitnet.reading import reader as module
from digitnet.reading.constraints import Rules
from digitnet.reading.ctc import Hypothesis
from digitnet.reading.reader import Reader
from digitnet.reading.result import REASONS

TEXTS = " ".join(ROWS).split()


@pytest.fixture(scope="module")
def page():
    return write(*ROWS)[0]


@pytest.fixture(scope="module")
def reader():
    return Reader(threads=1)


@pytest.fixture(scope="module")
def clear(reader, page):
    """What the clear page says as it is."""
    return reader.read(page)


@pytest.fixture
def doubting(monkeypatch):
    """Never trust a number, so that reasons for doubt are always looked for."""
    monkeypatch.setattr(module, "TRUSTED", 2)


def packed(picture, form, **options):
    file = io.BytesIO()
    Image.fromarray(picture).save(file, form, **options)
    return file.getvalue()


def right_boxes(reading, numbers, least=0.4):
    """Check every digit's box against that of its ink, and that a number's box is around its digits' on the page."""
    height, width = reading.page.shape
    assert len(reading.numbers) == len(numbers)
    for number, true in zip(reading.numbers, numbers, strict=True):
        assert len(number.digits) == len(true) == len(number.text)
        found = np.array([digit.box for digit in number.digits])
        for box, ink in zip(found, true, strict=True):
            assert overlap(box, ink) > least
        assert number.box == (*found[:, :2].min(axis=0), *found[:, 2:].max(axis=0))
        left, top, right, bottom = number.box
        assert 0 <= left < right <= width
        assert 0 <= top < bottom <= height


# What is read


def test_a_clear_page_reads_as_its_numbers_in_reading_order(clear):
    assert clear.text.count("\n") == 2
    assert sum(said == true for said, true in zip(texts(clear), TEXTS, strict=True)) >= 6
    assert all(0 <= number.confidence <= 1 for number in clear.numbers)
    assert clear.rules is None


def test_most_numbers_of_strange_but_tidy_hands_are_read(reader):
    rng = np.random.default_rng(0)
    right = 0
    for hand in inventions(12, 11):
        true = ["".join(map(str, rng.integers(0, 10, length))) for length in (3, 5)]
        sheet = np.zeros((200, 460), np.uint8)
        for row, text in enumerate(true):
            x = 30
            for digit in map(int, text):
                glyph = hand[digit][0]
                size = (min(round(glyph.shape[1] * 48 / glyph.shape[0]), 56), 48)
                sheet[30 + 90 * row :, x:][: size[1], : size[0]] = cv2.resize(glyph, size, interpolation=cv2.INTER_AREA)
                x += size[0] + 16
        right += sum(said == text for said, text in zip(texts(reader.read(255 - sheet)), true, strict=False))
    assert right > 12, "of 24"


@pytest.mark.parametrize("single", [False, True])
def test_every_digit_alone_is_read(reader, single):
    said = [reader.read(write(str(digit))[0], single=single).text for digit in range(10)]
    assert sum(text == str(digit) for digit, text in enumerate(said)) >= 9


def test_a_drawing_is_read_without_the_page_network_and_other_packages(environment, tmp_path):
    drawing = np.full((280, 280), 255, np.uint8)
    cv2.polylines(drawing, [np.array([[80, 70], [180, 70], [120, 230]])], False, 0, 18, cv2.LINE_AA)
    cv2.imwrite(str(tmp_path / "seven.png"), drawing)
    code = (
        "import sys; from digitnet import Reader; reader = Reader(); found = reader.read('seven.png').text\n"
        "print(found, '_session' in vars(reader.page), {'numpy.ma', 'PIL.TiffImagePlugin'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "7 False set()\n"


def test_a_pages_digits_have_values_probabilities_and_alternatives_that_agree(reader):
    hasty = reader.read(write(*ROWS, pen=9, gap=0.05)[0])
    assert hasty.numbers
    for number in hasty.numbers:
        assert "".join(str(digit.value) for digit in number.digits) == number.text
        sure = [p for _, p in number.alternatives]
        assert sorted(sure, reverse=True) == sure
        assert number.confidence + sum(sure) <= 1 + 1e-4
        assert (
            len({number.text, *(text for text, _ in number.alternatives)}) == 1 + len(sure) <= candidates.ALTERNATIVES
        )
        for digit in number.digits:
            others = [p for _, p in digit.alternatives]
            assert sorted(others, reverse=True) == others
            assert digit.value not in dict(digit.alternatives)
            assert digit.probability + sum(others) <= 1 + 1e-4
            assert all(p >= module.NOTABLE for p in others)


def test_a_reading_of_a_page_survives_json(reader, page):
    said = reader.read(page, rules=Rules(lengths=(3, 3))).to_dict()
    assert said["numbers"]
    text = json.dumps(said)
    assert json.dumps(json.loads(text)) == text
    assert (said["height"], said["width"]) == page.shape


def test_drawing_does_not_change_the_page(reader, page):
    reading = reader.read(page)
    picture = reading.draw()
    assert picture.shape == (*page.shape, 3)
    assert picture.dtype == np.uint8
    assert np.array_equal(reading.page, page)
    assert (picture != page[:, :, None]).any()


def test_the_bars_of_fours_that_touch_are_no_ruled_line(reader):
    assert reader.read(write("4444", gap=0)[0]).text == "4444"


# What does not change it


def test_reading_twice_gives_the_same(reader, page, clear):
    before = page.copy()
    assert reader.read(page).to_dict() == clear.to_dict()
    assert np.array_equal(page, before)


def test_a_path_bytes_a_stream_a_picture_and_an_array_of_one_page_give_the_same(reader, page, clear, tmp_path):
    path = tmp_path / "page.png"
    path.write_bytes(packed(page, "PNG"))
    for source in (path, str(path), path.read_bytes(), io.BytesIO(path.read_bytes()), Image.fromarray(page), page):
        assert reader.read(source).to_dict() == clear.to_dict()


def test_digitnet_read_reads_as_a_reader_of_ones_own(page, clear, tmp_path):
    Image.fromarray(page).save(tmp_path / "page.png")
    said = digitnet.read(tmp_path / "page.png")
    assert isinstance(said, digitnet.Reading)
    assert said.text == clear.text
    assert said.confidence == pytest.approx(clear.confidence, abs=1e-4)
    one = digitnet.read(write("4162")[0], single=True, rules=Rules(lengths=(3, 3)))
    assert (len(one.numbers), len(one.text), one.rules) == (1, 3, "length 3")


@pytest.mark.parametrize(
    ("form", "options"),
    [("PNG", {}), ("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"}), ("BMP", {}), ("WEBP", {"lossless": True})],
)
def test_formats_that_lose_nothing_give_the_very_same(reader, page, clear, form, options):
    assert reader.read(packed(page, form, **options)).to_dict() == clear.to_dict()


@pytest.mark.parametrize(("form", "quality"), [("JPEG", 95), ("JPEG", 75), ("WEBP", 90)])
def test_formats_that_lose_a_little_do_not_change_the_reading(reader, page, clear, form, quality):
    assert reader.read(packed(page, form, quality=quality)).text == clear.text


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "CMYK", "P", "LA", "I;16"])
def test_colour_modes_do_not_change_the_reading(reader, page, clear, mode):
    picture = Image.fromarray(page.astype(np.uint16) * 257 if mode == "I;16" else page)
    assert reader.read(picture if mode == "I;16" else picture.convert(mode)).text == clear.text


def stored(page, orientation):
    """The pixels that a camera stores so that turning them by an EXIF orientation gives the page: EXIF 2.3, 4.6.4.A."""
    turns = {1: page, 2: page[:, ::-1], 3: page[::-1, ::-1], 4: page[::-1]}
    turns |= {5: page.T, 6: np.rot90(page, 1), 7: page[::-1, ::-1].T, 8: np.rot90(page, -1)}
    return np.ascontiguousarray(turns[orientation])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_page_turned_by_exif_is_read_upright(reader, page, clear, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = stored(page, orientation)
    said = reader.read(packed(turned, "PNG", exif=exif))
    assert said.to_dict() == clear.to_dict(), "the boxes are those of the upright page, too"
    assert reader.read(packed(turned, "JPEG", quality=95, exif=exif)).text == clear.text


def test_white_on_black_reads_as_black_on_white(reader, page, clear):
    said = reader.read(255 - page)
    assert said.text == clear.text
    for one, other in zip(said.numbers, clear.numbers, strict=True):
        assert overlap(one.box, other.box) > 0.9


@pytest.mark.parametrize("single", [False, True])
def test_one_number_white_on_black_reads_as_black_on_white(reader, single):
    sheet = write("4162")[0]
    assert reader.read(255 - sheet, single=single).text == reader.read(sheet, single=single).text != ""


@pytest.mark.parametrize("times", [0.5, 0.75, 1.5, 2, 3])
def test_a_scaled_page_reads_the_same_with_scaled_boxes(reader, page, clear, times):
    way = cv2.INTER_AREA if times < 1 else cv2.INTER_CUBIC
    said = reader.read(cv2.resize(page, None, fx=times, fy=times, interpolation=way))
    near = {
        other.text
        for one in said.numbers
        for other in clear.numbers
        if one.text == other.text and overlap(np.array(one.box) / times, other.box) > 0.7
    }
    assert len(near) >= len(clear.numbers) - 1


@pytest.mark.parametrize("room", [((1, 0), (0, 1)), ((150, 150), (150, 150)), ((0, 400), (0, 0)), ((10, 0), (500, 10))])
def test_more_paper_around_a_page_moves_the_boxes_and_nothing_else(reader, page, clear, room):
    said = reader.read(np.pad(page, room, constant_values=PAPER))
    (above, _), (before, _) = room
    assert said.text == clear.text
    for one, other in zip(said.numbers, clear.numbers, strict=True):
        assert overlap(np.array(one.box) - (before, above, before, above), other.box) > 0.75


@pytest.mark.parametrize("low", [0, 60, 120])
def test_contrast_does_not_change_the_reading(reader, page, clear, low):
    weaker = (low + page * ((255 - low) / 255)).astype(np.uint8)
    assert reader.read(weaker).text == clear.text


def test_threads_that_share_a_reader_read_as_one_alone(reader):
    sheets = [write(text)[0] for text in TEXTS] * 3
    alone = [reader.read(sheet).to_dict() for sheet in sheets]
    together = threading.Barrier(4)

    def read(sheet):
        together.wait()  # all begin at once
        return reader.read(sheet).to_dict()

    sheets = sheets[:20]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(read, sheets)) == alone[:20]


# Where it is


def test_boxes_are_where_the_ink_is(reader):
    sheet, boxes = write(*ROWS)
    right_boxes(reader.read(sheet), boxes, 0.5)


def test_the_boxes_of_a_single_number_are_where_its_ink_is(reader):
    sheet, boxes = write("4162")
    right_boxes(reader.read(sheet, single=True), boxes)


@pytest.mark.parametrize("degrees", [-6, -3, 2, 5])
def test_a_tilted_page_reads_in_the_same_order_with_boxes_where_the_ink_is(reader, degrees):
    sheet, boxes = write(*ROWS, room=90)
    height, width = sheet.shape
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1)
    said = reader.read(cv2.warpAffine(sheet, turn, (width, height), flags=cv2.INTER_CUBIC, borderValue=PAPER))
    assert texts(said) == texts(reader.read(sheet))
    moved = []
    for its in boxes:
        corners = its[:, [0, 1, 2, 1, 0, 3, 2, 3]].reshape(-1, 4, 2) @ turn[:, :2].T + turn[:, 2]
        moved.append(np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1))
    right_boxes(said, moved)


def test_boxes_stay_on_a_page_that_is_all_number(reader, doubting):
    sheet, boxes = write("4162")
    left, top, right, bottom = (*boxes[0][:, :2].min(axis=0), *boxes[0][:, 2:].max(axis=0))
    tight = sheet[round(top) : round(bottom), round(left) : round(right)]
    said = reader.read(tight, single=True)
    right_boxes(said, [boxes[0] - (left, top, left, top)])


# Nothing to read


def nothing():
    """Pictures without a digit, by name."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:300, :400]
    return {
        "white": np.full((300, 400), 255),
        "black": np.zeros((300, 400)),
        "grey": np.full((300, 400), 128),
        "one pixel": np.zeros((1, 1)),
        "a row": np.full((1, 300), 255),
        "a column": np.zeros((300, 1)),
        "across": x / 400 * 255,
        "aslant": 100 + (x + y) / 700 * 120,
        "a lamp": (255 - ((x - 200) ** 2 + (y - 150) ** 2) / 500).clip(0),
        "grain": rng.normal(200, 8, (300, 400)).clip(0, 255),
        "noise": rng.integers(0, 256, (300, 400)),
        "dust": np.where(rng.random((300, 400)) < 0.01, 0, 255),
        "clouds": cv2.GaussianBlur(rng.uniform(0, 255, (300, 400)), (0, 0), 3),
        "ruled": np.where(y % 40 < 2, 60, 255),
        "squared": np.where((y % 40 < 2) | (x % 40 < 2), 60, 255),
    }


@pytest.mark.parametrize("name", nothing())
def test_where_nothing_is_written_no_number_is_found(reader, name):
    blank = nothing()[name].astype(np.uint8)
    said = reader.read(blank)
    assert said.numbers == ()
    assert said.text == ""


@pytest.mark.parametrize("name", nothing())
def test_a_picture_that_should_hold_a_number_and_does_not_says_so(reader, name):
    blank = nothing()[name].astype(np.uint8)
    (number,) = reader.read(blank, single=True).numbers
    assert number.text == ""
    assert number.digits == ()
    unreadable = name in ("noise", "clouds", "squared")
    assert number.status == ("unreadable" if unreadable else "empty")
    assert number.reasons == ("not_a_digit" if unreadable else "empty",)
    left, top, right, bottom = number.box
    assert 0 <= left < right <= blank.shape[1]
    assert 0 <= top < bottom <= blank.shape[0]


def field(draw=None, ink=30, pen=4, paper=240, size=(100, 300)):
    """A field for one number; draw(line) draws on it with lines between two points."""
    page = np.full(size, paper, np.uint8)
    if draw:
        draw(lambda one, other: cv2.line(page, one, other, ink, pen, cv2.LINE_AA))
    return page


def crossed(line):
    line((120, 20), (180, 80))
    line((180, 20), (120, 80))


def boxed(line):
    corners = (10, 10), (290, 10), (290, 90), (10, 90), (10, 10)
    for one, other in pairwise(corners):
        line(one, other)


BLANKS = {
    "paper": field(),
    "grain": np.random.default_rng(0).normal(235, 4, (100, 300)).clip(0, 255).astype(np.uint8),
    "a rule": field(lambda line: line((10, 80), (290, 80)), pen=2),
    "a box": field(boxed, pen=2),
    "dust": field(lambda line: [line((x, 7 * x % 90), (x, 7 * x % 90)) for x in range(20, 280, 60)], pen=2),
}
"""Fields in which nothing is written."""


@pytest.mark.parametrize("name", BLANKS)
def test_a_blank_field_is_empty_and_surely_so(reader, name):
    (number,) = reader.read(BLANKS[name], single=True).numbers
    assert (number.text, number.status, number.reasons) == ("", "empty", ("empty",))
    assert number.confidence > 0.95
    assert number.accepted(0.95)


def ringed(sheet):
    height, width = sheet.shape
    centre, radius = (width // 2, height // 2), round(0.38 * height)
    return cv2.circle(sheet.copy(), centre, radius, 30, 4, cv2.LINE_AA)


INKED = {
    **{f"an X of {ink} on 240": field(crossed, ink) for ink in (30, 90, 150, 190, 210, 225)},
    "a dash": field(lambda line: line((120, 50), (180, 50))),
    "letters": cv2.putText(field(), "abc", (80, 80), cv2.FONT_HERSHEY_SIMPLEX, 2, 30, 4),
}
"""Fields with ink that is no number, or none that the reader knows."""


@pytest.mark.parametrize("name", INKED)
def test_ink_that_cannot_be_read_is_never_taken_for_a_blank_field(reader, name):
    (number,) = reader.read(INKED[name], single=True).numbers
    if number.text:
        assert "not_a_digit" in number.reasons or number.confidence < 0.3
    else:
        assert (number.status, number.reasons) == ("unreadable", ("not_a_digit",))
        assert number.confidence < 0.2, "that nothing is written"
        assert not number.accepted(0)
    assert all(text for text, _ in number.alternatives)


@pytest.mark.parametrize("digit", range(10))
def test_a_ringed_digit_is_read_or_doubted(reader, digit):
    (number,) = reader.read(ringed(write(str(digit), room=60)[0]), single=True).numbers
    assert number.text == str(digit) or number.confidence < 0.9


def test_most_crossed_out_numbers_and_words_are_unreadable(reader):
    said = [reader.read(INKED[name], single=True).numbers[0].status for name in INKED if name[-6:] == "on 240"]
    assert said == ["unreadable"] * 6


def test_a_page_says_how_many_places_with_ink_were_left_out(reader, clear, monkeypatch):
    assert clear.left_out == 0
    monkeypatch.setattr(module, "readable", lambda *_: False)
    said = reader.read(write("1984 7265", room=60)[0])
    assert texts(said) == []
    assert said.left_out == 2
    assert said.to_dict()["left_out"] == said.left_out


def test_of_a_picture_said_to_hold_a_number_a_likely_word_is_doubted(reader, doubting):
    page = np.full((120, 420), PAPER, np.uint8)
    cv2.putText(page, "WAYKEM", (20, 80), cv2.FONT_HERSHEY_SIMPLEX, 2, 30, 4, cv2.LINE_AA)
    (number,) = reader.read(page, single=True).numbers
    assert not number.text or number.confidence < 0.5
    assert "not_a_digit" in number.reasons


def test_a_stroke_that_is_not_a_digit_yet_is_not_looked_at_turned(reader, monkeypatch):
    corners = ((118, 67), (123, 53), (132, 45), (143, 42), (154, 45), (162, 53), (165, 67), (162, 87))
    canvas = np.full((280, 280), 255, np.uint8)
    cv2.polylines(canvas, [np.array(corners, np.int32)], False, 0, 18, cv2.LINE_AA)
    turned = []
    monkeypatch.setattr(module, "way_up", lambda *words: turned.append(words) or (0.0, []))
    reader.read(canvas)
    assert turned == []
    reader.read(np.concatenate((canvas, np.roll(canvas, 25, 0)), 1))
    assert len(turned) == 1


@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 2**32 - 1))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=20)
def test_any_small_picture_has_exactly_one_number_where_one_is_asked_for(reader, height, width, seed):
    rng = np.random.default_rng(seed)
    picture = rng.integers(0, 256, (height, width)).astype(np.uint8)
    (number,) = reader.read(picture, single=True).numbers
    assert set(number.text) <= set("0123456789")
    assert len(number.digits) == len(number.text)
    json.dumps(reader.read(picture).to_dict())


# Why it should not be trusted


def reasons(reader, sheet, single=False):
    return [set(number.reasons) for number in reader.read(sheet, single=single).numbers]


def test_a_clear_number_gives_no_reason_for_doubt(reader, doubting):
    assert reasons(reader, write("4162")[0]) == [set()]
    assert reasons(reader, write("4162")[0], single=True) == [set()]


def test_a_trusted_number_is_not_asked_for_reasons(reader, monkeypatch):
    tiny = write("4162", tall=10, pen=1)[0]
    monkeypatch.setattr(module, "TRUSTED", 0)
    assert reasons(reader, tiny) == [set()]


@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("side", ["left", "top", "right", "bottom"])
def test_a_number_at_the_edge_of_the_picture_may_be_cut_off(reader, doubting, side, single):
    sheet, (boxes,) = write("4162")
    left, top, right, bottom = (*boxes[:, :2].min(axis=0).round(), *boxes[:, 2:].max(axis=0).round())
    cut = {
        "left": sheet[:, int(left) + 2 :],
        "top": sheet[int(top) + 2 :],
        "right": sheet[:, : int(right) - 2],
        "bottom": sheet[: int(bottom) - 2],
    }
    assert [found & {"cut_off", "faint", "too_small"} for found in reasons(reader, cut[side], single)] == [{"cut_off"}]


@pytest.mark.parametrize("single", [False, True])
def test_digits_of_a_few_pixels_are_too_small(reader, doubting, single):
    assert [found - {"touching"} for found in reasons(reader, write("4162", tall=10, pen=1)[0], single)] == [
        {"too_small"}
    ]
    assert "too_small" not in reasons(reader, write("4162", tall=30, pen=3)[0], single)[0]


@pytest.mark.parametrize("single", [False, True])
def test_ink_hardly_darker_than_the_paper_is_faint(reader, doubting, single):
    assert reasons(reader, write("4162", ink=PAPER - 30)[0], single) == [{"faint"}]
    assert reasons(reader, write("4162", ink=PAPER - 90)[0], single) == [set()]


@pytest.mark.parametrize("single", [False, True])
def test_digits_written_into_each_other_are_touching(reader, doubting, single):
    found = [reasons(reader, write(text, gap=-0.15)[0], single) for text in ("5320", "4162", "304")]
    assert sum("touching" in one for (one,) in found) >= (2 if single else 1)


@pytest.mark.parametrize("single", [False, True])
def test_a_picture_out_of_focus_is_blurred(reader, doubting, single):
    sheet = cv2.GaussianBlur(write("4162", room=60)[0], (0, 0), 7)
    assert "blurred" in reasons(reader, sheet, single)[0]


def test_all_reasons_that_are_given_can_be_explained(reader, doubting):
    hard = [write("4162", tall=10, pen=1), write("4162", ink=PAPER - 30), write("5320", gap=-0.15)]
    given = set().union(*(found for sheet, _ in hard for found in reasons(reader, sheet)))
    assert given <= set(REASONS)


# What it must be

RULES = (
    Rules(lengths=(3, 3)),
    Rules(lengths=(5, 6)),
    Rules(low=0, high=500),
    Rules(low=5000),
    Rules(checksum="luhn"),
    Rules(lengths=(4, 4), low=1000, high=6999, checksum="luhn"),
)


@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("rules", RULES, ids=str)
def test_every_answer_keeps_the_rules_and_tells_where_they_changed_it(reader, rules, single):
    for text in ("1984", "30", "958", "4162"):
        sheet = write(text)[0]
        (free,) = reader.read(sheet, single=single).numbers
        ruled = reader.read(sheet, single=single, rules=rules)
        assert ruled.rules == str(rules)
        assert len(ruled.numbers) == 1
        for number in ruled.numbers:
            assert number.rules_applied or not single
            if number.rules_applied is False:
                assert replace(number, rules_applied=None) == free, "it is read as without rules"
                continue
            if number.text:
                assert rules.allows(number.text)
                assert all(rules.allows(other) for other, _ in number.alternatives)
            assert number.seen == (None if number.text == free.text else free.text)
        if rules.allows(free.text):
            assert texts(ruled) == [free.text], "what keeps the rules is not changed"


def test_a_number_that_may_be_anything_is_read_as_without_rules(reader, page, clear):
    assert [n.to_dict() for n in reader.read(page, rules=Rules()).numbers] == [n.to_dict() for n in clear.numbers]


@pytest.mark.parametrize(
    "rules",
    [Rules(lengths=(40, 40)), Rules(low=10**30), Rules(checksum="iban-digits-de"), Rules(checksum="isbn")],
    ids=str,
)
def test_rules_that_a_field_cannot_keep_make_it_unreadable_and_never_an_invented_number(reader, rules):
    sheet = write("4162")[0]
    (number,) = reader.read(sheet, rules=rules, single=True).numbers
    assert (number.text, number.status, number.rules_applied) == ("", "unreadable", True)
    assert number.reasons == ("not_a_digit",)
    assert number.confidence < 0.1, "that nothing is written"
    assert number.seen == reader.read(sheet, single=True).text


@pytest.mark.parametrize(("rules", "keeping"), [(Rules(checksum="luhn"), "55632"), (Rules(lengths=(5, 5)), "55638")])
def test_on_a_page_rules_apply_to_the_numbers_that_can_keep_them_and_to_no_other(reader, rules, keeping):
    assert rules.allows(keeping)
    sheet = write(f"{keeping} 30", "55638 4162")[0]
    free, ruled = reader.read(sheet), reader.read(sheet, rules=rules)
    assert texts(ruled) == texts(free) == [keeping, "30", "55638", "4162"]
    assert [number.rules_applied for number in ruled.numbers] == [rules.allows(text) for text in texts(free)]
    for one, other in zip(free.numbers, ruled.numbers, strict=True):
        assert one.rules_applied is None
        assert other.rules_applied or replace(other, rules_applied=None) == one
    assert [number["rules_applied"] for number in ruled.to_dict()["numbers"]] == [
        number.rules_applied for number in ruled.numbers
    ]


def test_a_rule_decides_between_readings_of_a_doubtful_number_on_a_page():
    """By hand: of what keeps the rule 0.3 by the image; it holds with 0.9 * 0.3 against 0.1 * 0.7."""
    assert candidates.holding([Hypothesis("18", 0.5, 0.15)], 0.1) == pytest.approx(0.27 / 0.34)
    assert candidates.holding([Hypothesis("18", 0.5, 0.15)], 0.01) == pytest.approx(0.297 / 0.304)
    assert candidates.holding([], 0.1) == 0


def test_rules_invent_no_number_where_nothing_is_written(reader):
    blank = np.full((100, 200), 255, np.uint8)
    for rules in RULES:
        assert reader.read(blank, rules=rules).numbers == ()
        (number,) = reader.read(blank, rules=rules, single=True).numbers
        assert not number.text or number.confidence < 0.5


# Pages and models


def test_every_page_of_a_tiff_is_read_one_after_the_other(reader, tmp_path):
    first, *rest = [Image.fromarray(write(text)[0]) for text in ("1984", "30", "958")]
    first.save(tmp_path / "book.tif", save_all=True, append_images=rest)
    pages = reader.read_pages(tmp_path / "book.tif")
    assert texts(next(pages)) == texts(reader.read(first))
    assert [texts(said) for said in pages] == [texts(reader.read(picture)) for picture in rest]
    with pytest.raises(ImageError, match=r"book\.tif: has 3 pages"):
        reader.read(tmp_path / "book.tif")


def test_who_is_told_to_read_pages_finds_what_does(reader):
    pair = [Image.new("L", (9, 9)) for _ in range(2)]
    pair[0].save("book.tif", save_all=True, append_images=pair[1:])
    with pytest.raises(ImageError) as caught:
        reader.read("book.tif")
    named = [word.strip(",;") for word in str(caught.value).split() if word.startswith("digitnet.")]
    assert all(hasattr(digitnet, name.removeprefix("digitnet.").split(".")[0].split("(")[0]) for name in named)


def test_looking_shows_a_strip_for_every_region_and_a_column_for_every_stride(reader, page):
    seen = reader.look(page)
    assert len(seen) >= len(TEXTS)
    for strip, columns in [*seen, *reader.look(page, single=True)]:
        assert strip.dtype == np.uint8
        assert columns.log_probs.shape[1] == 11
        assert len(columns.log_probs) == len(columns.boxes)
        assert abs(len(columns.log_probs) * STRIDE - (strip.shape[1] + 2 * MARGIN)) <= 2 * STRIDE
        assert np.exp(columns.log_probs).sum(axis=1) == pytest.approx(1, abs=1e-3)
    assert len(reader.look(page, single=True)) == 1


def test_a_picture_that_is_missing_and_a_model_that_is_not_there_are_said(reader):
    with pytest.raises(ImageError, match=r"^nosuch\.png: "):
        reader.read("nosuch.png")
    with pytest.raises(ImageError, match=r"^my scan: "):
        reader.read(b"no picture", name="my scan")
    with pytest.raises(ModelError, match="nosuch"):
        Reader("nosuch")


# Whatever it is given


@pytest.mark.parametrize("form", ["PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP"])
def test_damaged_pictures_are_read_or_refused_and_nothing_else(reader, form):
    whole = np.frombuffer(packed(write("4162", tall=20, pen=2, room=12)[0], form), np.uint8)
    rng = np.random.default_rng(0)
    refused = 0
    for turn in range(24):
        data = whole.copy()
        if turn % 3 == 0:
            data = data[: int(rng.integers(0, len(data)))]
        else:
            reach = min(len(data), 64 if turn % 3 == 1 else len(data))
            data[rng.integers(0, reach, int(rng.integers(1, 6)))] = rng.integers(0, 256)
        try:
            json.dumps(reader.read(data.tobytes()).to_dict())
        except ImageError as error:
            refused += 1
            assert str(error).startswith("the image: ")
            assert "\n" not in str(error)
    assert refused > 4


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="tells of a process's memory only on Linux")
def test_reading_a_picture_again_and_again_takes_no_more_memory(reader):
    def resident():
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6  # MB

    data = packed(write("4162", tall=96, pen=10)[0], "PNG")
    for _ in range(30):
        reader.read(data)
    before = resident()
    for _ in range(100):
        reader.read(data)
    assert resident() - before < 10, "a page is 0.1 MB"


def test_a_page_that_is_too_much_work_is_read_from_its_top_and_says_so(reader, page, clear, monkeypatch):
    assert clear.limits == ()
    efforts = [effort.effort(region) for region in module.regions(page, reader.page).regions]
    monkeypatch.setattr(effort, "MAX_EFFORT", sum(efforts[:3]) + 1)
    part = reader.read(page)
    assert part.limits == ("too_many_numbers",)
    assert texts(part) == texts(clear)[:3]


def test_long_strips_are_more_effort_than_their_length():
    def needed(width):
        return effort.effort(Region((0, 0, width, 40), np.zeros((40, width), np.uint8), (), np.eye(2, 3)))

    assert needed(2000) > 2 * needed(1000)
    assert needed(8000) == needed(4000)  # it is squeezed
    assert needed(1) == needed(8)


def test_a_number_alone_is_found_in_a_smaller_copy_and_boxed_on_the_page(reader, monkeypatch):
    page = write("1984", tall=200, pen=20, room=160)[0]
    before = reader.read(page, single=True).numbers[0]
    monkeypatch.setattr("digitnet.imaging.reduction.LARGEST", page.size // 6)
    after = reader.read(page, single=True).numbers[0]
    assert after.text == before.text == "1984"
    assert np.abs(np.subtract(after.box, before.box)).max() <= 12


def unasked(*_):
    raise AssertionError("the page network was asked")


def test_the_obvious_number_of_a_drawing_needs_no_page_network(reader, monkeypatch):
    page = write("7265", tall=120, pen=12, room=60)[0]
    with monkeypatch.context() as without:
        without.setattr(reader, "page", unasked)
        reading = reader.read_page(page)
        (strip, _), *more = reader.look(page)
    assert texts(reading) == ["7265"]
    assert (reading.turned, reading.unread, more) == (0.0, (), [])
    assert reading.numbers[0].confidence > 0.9
    assert strip.shape[0] == 40
    box = np.array(reading.numbers[0].box)
    assert np.abs(box - (60, 60, page.shape[1] - 60, page.shape[0] - 60)).max() < 20


@pytest.mark.parametrize("how", ["two numbers", "noise", "a line under it", "skipping what is printed"])
def test_other_pages_are_searched_by_the_page_network(reader, monkeypatch, how):
    page = write("72 65" if how == "two numbers" else "7265", tall=120, pen=12, room=60)[0]
    if how == "noise":
        page = page - np.random.default_rng(0).integers(0, 3, page.shape, np.uint8)
    if how == "a line under it":
        cv2.line(page, (20, page.shape[0] - 30), (page.shape[1] - 20, page.shape[0] - 30), 0, 3)
    monkeypatch.setattr(reader, "page", unasked)
    with pytest.raises(AssertionError, match="page network"):
        reader.read_page(page, printed="skip" if how == "skipping what is printed" else "keep")


def test_a_number_in_a_frame_is_read_and_not_its_frame(reader, monkeypatch):
    page = write("13540", tall=130, pen=9, room=150, gap=0.5)[0]
    cv2.rectangle(page, (60, 60), (page.shape[1] - 60, page.shape[0] - 60), 20, 24)
    frame = replace(whole(page), box=(50, 50, page.shape[1] - 50, page.shape[0] - 50), picture=page * 0)
    monkeypatch.setattr(module, "search", lambda page: Found([frame], ()))
    monkeypatch.setattr("digitnet.reading.reader.CROP", 0)
    assert texts(reader.read_page(page)) == ["13540"]


@pytest.mark.parametrize(("text", "numbers"), [("2+3=5", "2 3 5"), ("12+30=42", "12 30 42"), ("12.50", "1250")])
def test_the_numbers_of_a_sum_are_read_one_by_one(reader, text, numbers):
    page = np.full((700, 900), 255, np.uint8)
    cv2.putText(page, text, (200, 400), cv2.FONT_HERSHEY_DUPLEX, 2.5, 0, 4, cv2.LINE_AA)
    found = reader.read(page)
    assert found.text == numbers
    boxes = [number.box for number in found.numbers]
    assert all(one[2] <= other[0] for one, other in itertools.pairwise(boxes))


def test_a_drawing_that_is_no_number_says_so(reader):
    for name in ("an X of 30 on 240", "letters"):
        reading = reader.read(INKED[name])
        if not reading.numbers:
            assert reading.no_numbers == ("not_read" if reading.unread else "no_number"), name
    crossed_out = reader.read(INKED["an X of 30 on 240"])
    assert (crossed_out.numbers, crossed_out.no_numbers) == ((), "no_number")
