import json
from dataclasses import FrozenInstanceError, replace
from decimal import Decimal

import cv2
import numpy as np
import pytest
from helpers import PAPER, dark, dotted, overlap, texts, write
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont

from digitnet.imaging.page_find import MAX_PLACES
from digitnet.imaging.segmentation import Found
from digitnet.reading import reader as module
from digitnet.reading.reader import Reader
from digitnet.reading.result import LIMITS, NO_NUMBERS, REASONS, UNREAD, Digit, Number, Reading, Unread
from digitnet.reading.values import NO_VALUE

PAGE = np.full((200, 300), 230, np.uint8)
GREEN, ORANGE, RED, BLUE = (0, 140, 60), (220, 120, 0), (210, 0, 0), (90, 150, 255)


def number(text="42", confidence=0.99, box=(20, 60, 60, 90), **more):
    """A number whose digits share its box evenly."""
    left, top, right, bottom = box
    width = (right - left) // max(1, len(text))
    digits = tuple(
        Digit(int(d), 0.99, (left + i * width, top, left + (i + 1) * width, bottom)) for i, d in enumerate(text)
    )
    return Number(text, confidence, box, digits, **more)


def reading(*numbers, **more):
    return Reading(numbers, PAGE, **more)


def colours(picture):
    return {tuple(colour) for colour in picture.reshape(-1, 3).tolist()}


def test_numbers_beside_each_other_are_apart_by_spaces_and_below_each_other_by_line_breaks():
    one, two, three = (
        number(text, box=box) for text, box in zip("123", [(0, 0, 9, 20), (30, 5, 39, 25), (0, 40, 9, 60)], strict=True)
    )
    assert reading(one, two, three).text == "1 2\n3"
    assert reading(one, three).text == "1\n3"
    assert reading(one).text == "1"


def test_a_number_further_left_begins_a_line_even_where_lines_overlap():
    assert reading(number("1", box=(100, 0, 110, 30)), number("2", box=(0, 10, 10, 40))).text == "1\n2"


def test_no_numbers_are_an_empty_text_of_which_one_is_sure():
    blank = reading()
    assert blank.text == ""
    assert blank.confidence == 1
    assert blank.to_dict()["numbers"] == []


@given(st.lists(st.lists(st.from_regex(r"[0-9]{1,6}", fullmatch=True), min_size=1, max_size=4), max_size=5))
def test_a_table_reads_row_by_row(rows):
    numbers = [
        number(text, box=(100 * column, 50 * row, 100 * column + 60, 50 * row + 30))
        for row, texts in enumerate(rows)
        for column, text in enumerate(texts)
    ]
    assert reading(*numbers).text == "\n".join(" ".join(texts) for texts in rows)


def test_a_page_is_as_sure_as_all_its_numbers_together():
    assert reading(number(confidence=0.5), number(confidence=0.9)).confidence == pytest.approx(0.45)


def test_a_reading_is_plain_values_that_survive_json():
    doubted = number(
        "42",
        0.6,
        alternatives=(("47", 0.3), ("4", 0.05)),
        reasons=("touching", "faint"),
        seen="47",
        written="4/2",
        written_confidence=0.5,
        values=(Decimal(2), Decimal("1.5")),
        no_value="ambiguous",
    )
    doubted = replace(doubted, digits=(replace(doubted.digits[0], alternatives=((9, 0.2),)), doubted.digits[1]))
    plain = json.loads(json.dumps(reading(doubted, number("7"), rules="length 1-2").to_dict()))
    assert set(plain) == {
        *("text", "confidence", "width", "height", "turned", "rules", "left_out", "limits", "numbers"),
        *("unread", "no_numbers"),
    }
    assert (plain["text"], plain["width"], plain["height"], plain["rules"]) == ("42 7", 300, 200, "length 1-2")
    assert plain["confidence"] == pytest.approx(0.6 * 0.99)
    first, second = plain["numbers"]
    assert first == {
        "text": "42",
        "confidence": 0.6,
        "box": [20, 60, 60, 90],
        "digits": [
            {
                "value": 4,
                "probability": 0.99,
                "box": [20, 60, 40, 90],
                "alternatives": [{"value": 9, "probability": 0.2}],
            },
            {"value": 2, "probability": 0.99, "box": [40, 60, 60, 90], "alternatives": []},
        ],
        "alternatives": [{"text": "47", "confidence": 0.3}, {"text": "4", "confidence": 0.05}],
        "reasons": [{"code": code, "advice": REASONS[code]} for code in ("touching", "faint")],
        "seen": "47",
        "status": "read",
        "rules_applied": None,
        "written": "4/2",
        "written_confidence": 0.5,
        "value": None,
        "values": ["2", "1.5"],
        "no_value": {"code": "ambiguous", "advice": NO_VALUE["ambiguous"]},
        "corners": [],
        "printed": None,
    }
    assert (second["reasons"], second["seen"]) == ([], None)


def test_every_reason_says_on_one_line_what_can_be_done():
    assert set(REASONS) == {"empty", "not_a_digit", "touching", "blurred", "cut_off", "faint", "too_small"}
    for advice in REASONS.values():
        fact, _, deed = advice.partition("; ")
        assert fact
        assert deed
        assert "\n" not in advice


def test_an_unreadable_number_is_never_accepted_and_a_sure_blank_field_is():
    assert number("42", 0.9).accepted(0.9)
    assert not number("42", 0.9).accepted(0.91)
    assert number("", 0.98, status="empty").accepted(0.95)
    assert not number("", 0.6, status="empty").accepted(0.95)
    assert not number("", 0.98, status="unreadable").accepted(0)


def test_what_was_read_cannot_be_changed():
    one = reading(number())
    for thing, name in ((one, "numbers"), (one.numbers[0], "text"), (one.numbers[0].digits[0], "value")):
        with pytest.raises(FrozenInstanceError):
            setattr(thing, name, None)


@pytest.mark.parametrize(
    ("confidence", "colour"),
    [(1.0, GREEN), (0.95, GREEN), (0.949, ORANGE), (0.5, ORANGE), (0.499, RED), (0.0, RED)],
)
def test_a_drawn_box_is_green_where_sure_orange_where_less_and_red_below_one_half(confidence, colour):
    before = PAGE.copy()
    picture = reading(number(confidence=confidence)).draw()
    assert picture.shape == (200, 300, 3)
    assert picture.dtype == np.uint8
    assert np.array_equal(PAGE, before)
    assert {GREEN, ORANGE, RED} & colours(picture) == {colour}
    corners = picture[[60, 60, 89, 89], [20, 59, 20, 59]]
    assert (corners == colour).all(), "the box's corners are the number's"
    assert (picture[75, 40] == BLUE).all(), "where the second digit begins"


def test_a_page_without_numbers_is_drawn_as_it_is():
    assert np.array_equal(reading().draw(), np.stack([PAGE] * 3, axis=2))


def test_nothing_is_drawn_outside_of_a_number_and_its_label():
    picture = reading(number(box=(100, 100, 160, 130))).draw()
    changed = np.argwhere((picture != 230).any(axis=2))
    assert changed[:, 0].min() > 70
    assert changed[:, 0].max() == 129
    assert changed[:, 1].min() >= 100


def test_the_label_stands_above_the_number_or_below_it_where_there_is_no_room():
    lower = reading(number(box=(20, 60, 60, 90))).draw()
    upper = reading(number(box=(20, 1, 60, 31))).draw()
    assert (lower[40:59] != 230).any()
    assert (lower[91:] == 230).all()
    assert (upper[32:] != 230).any()


@pytest.mark.parametrize("shape", [(1, 1), (1, 200), (200, 1), (9, 12)])
def test_pages_smaller_than_a_label_are_drawn_all_the_same(shape):
    height, width = shape
    picture = Reading((number("7", 0.4, (0, 0, width, height)),), np.zeros(shape, np.uint8)).draw()
    assert picture.shape == (height, width, 3)


def test_a_number_that_could_not_be_read_is_drawn_with_a_question_mark():
    unread = reading(Number("", 0.4, (20, 60, 60, 90), reasons=("not_a_digit",)))
    read = reading(Number("7", 0.4, (20, 60, 60, 90)))
    assert RED in colours(unread.draw())
    assert unread.text == ""
    assert not np.array_equal(unread.draw(), read.draw())
    assert not unread.to_dict()["numbers"][0]["digits"]


def test_a_page_read_in_part_says_why_and_what_to_do():
    part = replace(reading(number("7")), limits=("too_many_numbers",))
    assert part.to_dict()["limits"] == [{"code": "too_many_numbers", "advice": LIMITS["too_many_numbers"]}]
    assert reading(number("7")).to_dict()["limits"] == []


# What was not read


@pytest.fixture(scope="module")
def reader():
    return Reader(threads=1)


@pytest.fixture
def half_printed(monkeypatch):
    """A page whose upper row the page network takes for handwritten and whose lower row for printed."""
    find = module.regions

    def regions(page, network):
        found = find(page, network)
        shares = (0.1 if region.box[1] < 500 else 0.9 for region in found.regions)
        rows = [
            replace(region, place=replace(region.place, kinds=np.array([0, 0, 0, 0, 0, share, 1 - share], np.float32)))
            for region, share in zip(found.regions, shares, strict=True)
        ]
        return found._replace(regions=rows)

    monkeypatch.setattr(module, "regions", regions)
    return write("1984 7265", "4713 2839", tall=60, room=460)[0]


def test_what_was_read_is_not_among_the_unread(reader):
    reading = reader.read(write("1984 7265", "30 4162")[0])
    assert (reading.unread, reading.left_out, reading.no_numbers) == ((), 0, None)


def test_places_of_low_confidence_are_listed_with_box_and_reason(reader, monkeypatch):
    page, boxes = write("1984 7265", room=400)
    monkeypatch.setattr(module, "readable", lambda *_: False)
    reading = reader.read(page)
    assert [place.reason for place in reading.unread] == ["low_confidence"] * 2
    for place, its in zip(reading.unread, boxes, strict=True):
        assert overlap(place.box, (*its[:, :2].min(axis=0), *its[:, 2:].max(axis=0))) > 0.6
    assert (texts(reading), reading.no_numbers, reading.left_out) == ([], "not_read", 2)
    plain = reading.to_dict()
    assert plain["unread"][0] == {
        "box": reading.unread[0].box,
        "code": "low_confidence",
        "advice": UNREAD["low_confidence"],
    }
    assert plain["no_numbers"]["advice"] == NO_NUMBERS["not_read"]


def test_places_beyond_the_limits_are_listed(reader, monkeypatch):
    page = write("1984 7265", room=400)[0]
    found = module.regions(page, reader.page)
    beyond = Found(found.regions[:1], ("too_many_numbers",), (found.regions[1].box,))
    monkeypatch.setattr(module, "regions", lambda page, network: beyond)
    reading = reader.read(page)
    assert reading.unread == (Unread(found.regions[1].box, "over_limit"),)


def test_the_place_after_the_last_that_is_looked_at_is_known():
    from digitnet.imaging.page_regions import regions

    found = regions(dotted(640, 16, 8), dark(20))
    assert (len(found.regions), len(found.beyond)) == (MAX_PLACES, 1)


def test_an_empty_page_has_a_reason(reader):
    assert reader.read(np.full((700, 700), 235, np.uint8)).no_numbers == "nothing_found"
    blot = cv2.circle(np.full((700, 700), 235, np.uint8), (350, 350), 60, 30, cv2.FILLED)
    assert reader.read(blot).no_numbers in ("nothing_found", "no_number", "not_read")


def test_readings_of_before_have_nothing_unread():
    assert Reading((), np.zeros((4, 4), np.uint8)).left_out == 0


def test_each_number_has_the_probability_that_it_is_printed(reader, half_printed):
    numbers = [(number.text, pytest.approx(number.printed)) for number in reader.read(half_printed).numbers]
    assert numbers == [("1984", 0.1), ("7265", 0.1), ("4713", 0.9), ("2839", 0.9)]


def test_printed_numbers_are_skipped_on_request(reader, half_printed):
    reading = reader.read(half_printed, printed="skip")
    assert (texts(reading), reading.unread, reading.no_numbers) == (["1984", "7265"], (), None)
    half_printed[:550] = PAPER
    reading = reader.read(half_printed, printed="skip")
    assert (texts(reading), reading.unread, reading.no_numbers) == ([], (), "printed")


def test_the_page_network_takes_a_number_within_printed_text_for_printed(reader):
    page = Image.new("L", (900, 300), 245)
    ImageDraw.Draw(page).text((100, 100), "Invoice number 58231", fill=20, font=ImageFont.load_default(30))
    (number,) = reader.read(page).numbers
    written = reader.read(write("1984 7265", room=400)[0]).numbers
    assert number.printed > 0.5 > 5 * max(number.printed for number in written)


def test_whether_a_picture_of_one_number_is_printed_is_unknown(reader):
    (number,) = reader.read(write("4162")[0], single=True).numbers
    assert (number.text, number.printed) == ("4162", None)
