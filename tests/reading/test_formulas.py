import cv2
import numpy as np
import pytest
from helpers import PAPER, Says, write

from digitnet.imaging.page_find import Place
from digitnet.imaging.page_regions import region_of
from digitnet.imaging.segmentation import Found
from digitnet.reading import reader as module
from digitnet.reading.formulas import is_formula
from digitnet.reading.reader import Reader

WIDE = 500
"""Width of a strip that says a row, pixels."""

KINDS = np.array([0, 0, 0, 0, 0, 0.1, 0.9], np.float32)
"""Of a place that is handwritten, almost surely."""


@pytest.fixture(scope="module")
def reader():
    return Reader(threads=1)


def around(boxes):
    """The place of a number whose digits have these boxes."""
    (left, top), (right, bottom) = boxes[:, :2].min(axis=0) - 2, boxes[:, 2:].max(axis=0) + 2
    corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float32)
    return Place(corners, bottom - top, 0.9, KINDS, np.zeros((0, 2), np.float32))


def summed():
    """A page with 34 + 7 = 41, and the boxes of its numbers' digits."""
    page, boxes = write("34 7 41", tall=48, gap=0.3)
    for one, other, rows in ((0, 1, (0,)), (1, 2, (-6, 6))):
        middle = int(boxes[one][:, 2].max() + boxes[other][:, 0].min()) // 2
        y = int(boxes[one][:, [1, 3]].mean())
        for row in rows:
            cv2.line(page, (middle - 12, y + row), (middle + 12, y + row), 30, 5, cv2.LINE_AA)
        if one == 0:
            cv2.line(page, (middle, y - 12), (middle, y + 12), 30, 5, cv2.LINE_AA)
    return page, boxes


def assigned(text):
    """A page with x = text, 7 below it, the boxes of both numbers, and the line of writing that the first is in."""
    page, boxes = write(text, "7", tall=48, gap=0.3, room=160)
    top, bottom = (int(boxes[0][:, side].mean()) for side in (1, 3))
    cv2.line(page, (40, top + 14), (70, bottom), 30, 5, cv2.LINE_AA)
    cv2.line(page, (70, top + 14), (40, bottom), 30, 5, cv2.LINE_AA)
    for y in (top + 20, top + 34):
        cv2.line(page, (98, y), (126, y), 30, 5, cv2.LINE_AA)
    right = int(boxes[0][:, 2].max())
    corners = np.array([[20, top - 4], [right + 20, top - 4], [right + 20, bottom + 4], [20, bottom + 4]], np.float32)
    kinds = np.array([0, 0, 0, 0, 0.5, 0, 0.5], np.float32)
    return page, boxes, Place(corners, bottom - top + 8, 0.45, kinds, np.zeros((0, 2), np.float32))


def read_with(reader, monkeypatch, page, places, lines=()):
    """The numbers read on a page where the page network finds these places and lines of writing."""
    found = Found([region_of(page, each) for each in places], (), (), tuple(lines))
    monkeypatch.setattr(module, "regions", lambda page, network: found)
    return reader.read(np.pad(page, ((0, 700), (0, 0)), mode="edge")).numbers


def test_a_number_of_a_sum_that_was_missed_is_read_in_its_row(reader, monkeypatch):
    page, boxes = summed()
    numbers = read_with(reader, monkeypatch, page, [around(boxes[0]), around(boxes[2])])
    assert [number.text for number in numbers] == ["34", "7", "41"]
    for number, its in zip(numbers, boxes, strict=True):
        truth = (*its[:, :2].min(axis=0), *its[:, 2:].max(axis=0))
        assert np.abs(np.array(number.box) - truth).max() < 8, "and lies where it was written"


def test_the_value_of_an_assignment_is_read_in_its_line(reader, monkeypatch):
    page, boxes, line = assigned("41")
    alone = read_with(reader, monkeypatch, page, [around(boxes[1])])
    assert [number.text for number in alone] == ["7"]
    numbers = read_with(reader, monkeypatch, page, [around(boxes[1])], [line])
    assert [number.text for number in numbers] == ["41", "7"]
    in_pieces = [around(boxes[0][:1]), around(boxes[1])]
    numbers = read_with(reader, monkeypatch, page, in_pieces, [line])
    assert [number.text for number in numbers] == ["41", "7"], "what was found of it is not read as well"


def test_a_number_before_the_signs_of_an_assignment_stays(reader, monkeypatch):
    (left, one), (right, other) = write("34", tall=48, gap=0.3), write("41", tall=48, gap=0.3)
    signs = np.full((len(left), 170), PAPER, np.uint8)
    y, low, high = 64, 46, 84
    for ends in (((10, y), (36, y)), ((23, y - 13), (23, y + 13)), ((60, low), (92, high)), ((92, low), (60, high))):
        cv2.line(signs, *ends, 30, 5, cv2.LINE_AA)
    for height in (y - 7, y + 7):
        cv2.line(signs, (120, height), (146, height), 30, 5, cv2.LINE_AA)
    page = np.hstack([left[:, :-25], signs, right[:, 25:]])
    other = other[0] + (left.shape[1] - 50 + 170, 0, left.shape[1] - 50 + 170, 0)
    places = [around(one[0]), around(other)]
    corners = np.concatenate([places[0].quad[[0]], places[1].quad[[1, 2]], places[0].quad[[3]]])
    kinds = np.array([0, 0, 0, 0, 0.4, 0, 0.6], np.float32)
    line = Place(
        corners + np.array([[-20, -4], [20, -4], [20, 4], [-20, 4]], np.float32), 56, 0.45, kinds, np.zeros((0, 2))
    )
    for found in (places, places[:1]):
        numbers = read_with(reader, monkeypatch, page, found, [line])
        assert [number.text for number in numbers] == ["34", "41"]


def test_a_line_of_words_changes_nothing(reader, monkeypatch):
    page, boxes, line = assigned("41")
    page[:, 90:130] = page[0, 0]  # without the equals sign
    numbers = read_with(reader, monkeypatch, page, [around(its) for its in boxes], [line])
    assert [number.text for number in numbers] == ["41", "7"]


def test_numbers_in_a_row_without_signs_stay_as_they_were_found(reader, monkeypatch):
    page, boxes = write("34 7 41", tall=48, gap=0.3)
    numbers = read_with(reader, monkeypatch, page, [around(boxes[0]), around(boxes[2])])
    assert [number.text for number in numbers] == ["34", "41"]


def test_places_inside_a_formula_are_not_read_twice(reader, monkeypatch):
    page, boxes = summed()
    places = [around(its) for its in boxes]
    places[2] = around(boxes[2] + (0, -22, 0, -22))  # too high for the row of the others
    numbers = read_with(reader, monkeypatch, page, places)
    assert [number.text for number in numbers] == ["34", "7", "41"]


@pytest.mark.parametrize("text", ["12+3=15", "1=2", "(4-5)?2", "(2+6)/4", "4?(6+7)", "1.5+2", "7-(8+9)"], ids=str)
def test_a_formula_has_a_plus_an_equals_sign_or_an_operation_in_brackets(text):
    assert is_formula(Says(*text).columns(WIDE))


@pytest.mark.parametrize(
    "text",
    ["(808)555-1234", "+49301234", "12/03/96", "100=", "??=0", "$30.00", "1984", "12-5", "1+2?????????", "50%"],
    ids=str,
)
def test_phone_numbers_dates_amounts_and_words_are_no_formulas(text):
    assert not is_formula(Says(*text).columns(WIDE))


def test_numbers_of_a_list_with_a_sign_in_between_are_no_formula():
    columns = Says(*"34+71").columns(300)
    far = columns.boxes.copy()
    read = np.flatnonzero(columns.characters.argmax(axis=1) < len(columns.alphabet))
    far[read[4:], 0] += 60
    far[read[4:], 2] += 60
    assert is_formula(columns)
    assert not is_formula(module.replace(columns, boxes=far)), "7 and 1 are two numbers"


def test_what_is_hardly_legible_is_no_formula():
    clear = Says(*"1+2").columns(WIDE)
    doubtful = np.log(0.5 * np.exp(clear.log_probs) + 0.5 / clear.log_probs.shape[1])
    assert is_formula(clear)
    assert not is_formula(module.replace(clear, log_probs=doubtful.astype(np.float32)))
