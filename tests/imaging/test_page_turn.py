import cv2
import numpy as np
import pytest
from helpers import overlap, texts, turn, write

from digitnet.imaging.page_turn import slant, snapped, turned_back
from digitnet.reading.orientation import better
from digitnet.reading.reader import Reader

ROWS = ("1984 7265 4713", "30 4162 958 74", "6071 2839 5437", "2443 7135 92")


@pytest.fixture(scope="module")
def reader():
    return Reader(threads=1)


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_pages_on_their_side_and_upside_down_read_as_upright_ones(reader, degrees):
    page, boxes = write(*ROWS)
    upright, turned = reader.read_page(page), reader.read_page(turn(page, degrees))
    assert texts(upright) == " ".join(ROWS).split()
    assert (upright.turned, turned.turned) == (0, degrees)
    assert turned.text == upright.text
    # Its boxes are those of the picture given.
    for number, its in zip(turned.numbers, boxes, strict=True):
        mask = np.zeros(page.shape, np.uint8)
        left, top, right, bottom = (
            int(its[:, 0].min()),
            int(its[:, 1].min()),
            int(its[:, 2].max()),
            int(its[:, 3].max()),
        )
        mask[top:bottom, left:right] = 1
        x, y, wide, high = cv2.boundingRect(turn(mask, degrees))
        assert overlap(number.box, (x, y, x + wide, y + high)) > 0.6


@pytest.mark.parametrize("degrees", [37, 208])
def test_pages_turned_by_any_angle_are_straightened(reader, degrees):
    turned = reader.read_page(turn(write(*ROWS)[0], degrees))
    assert turned.turned == pytest.approx(degrees, abs=3)
    assert turned.text == "\n".join(ROWS)


def test_numbers_that_read_both_ways_stay_as_they_are(reader):
    page = write("80 8008 1081", "1801 88 808")[0]
    assert reader.read_page(page).turned == 0


@pytest.mark.parametrize("text", ["6", "9", "4"])
def test_a_lone_digit_does_not_turn_its_page(reader, text):
    page = turn(write(text, room=200, tall=60)[0], 180)
    assert reader.read_page(page).turned == 0


def test_an_upright_page_is_looked_at_once(reader, monkeypatch):
    seen = []
    look = Reader._look
    monkeypatch.setattr(Reader, "_look", lambda self, page: seen.append(page.shape) or look(self, page))
    reader.read_page(write(*ROWS)[0])
    assert len(seen) == 1


@pytest.mark.parametrize("degrees", [0, 90, 180, 270, 33.0, 290.0])
def test_the_way_back_leads_to_the_same_pixel_of_the_page_given(degrees):
    page = np.zeros((60, 100), np.uint8)
    page[20:24, 70:74] = 255
    upright, back = turned_back(page, degrees)
    y, x = (float(axis.mean()) + 0.5 for axis in np.nonzero(upright > 127))
    assert back @ (x, y, 1) == pytest.approx((72, 22), abs=0.3)
    if degrees % 90 == 0:
        assert (turn(upright, round(degrees)) == page).all()


def test_lines_of_characters_show_how_a_page_slants():
    across = np.arange(5) * 20.0
    rows = [np.column_stack([across, across * np.tan(np.radians(10)) + y]) for y in (0, 60, 120)]
    upright = np.array([[0.0, 0.0], [1.0, 80.0]])  # one above the other: no line
    assert slant([*rows, upright]) == pytest.approx(10, abs=0.3)
    assert slant([np.zeros((1, 2))]) == slant([]) == 0


def test_a_turn_of_about_a_right_angle_is_one():
    assert [snapped(degrees) for degrees in (3, 88, 94.9, 357, 360, -91, 12.3)] == [0, 90, 90, 0, 0, 270, 12]


class Shows:
    def __init__(self, turn, explained, sure=0.9):
        self.turn, self.explained, self.sure = turn, explained, sure


def test_the_upright_page_has_the_benefit_of_the_doubt():
    upright, little, much = Shows(0, 20.0), Shows(180, 23.0), Shows(180, 30.0)
    assert better(upright, little) is upright
    assert better(upright, much) is much
    assert better(Shows(90, 20.0), little) is little
    nothing, unsure = Shows(0, 0.0), Shows(270, 6.0, 0.3)
    assert better(nothing, unsure) is nothing
    lost, surer, unlikely = Shows(0, 20.0, 0.25), Shows(330, 50.0, 0.4), Shows(330, 50.0, 0.34)
    assert better(lost, surer) is surer
    assert better(lost, unlikely) is lost
    assert better(nothing, Shows(90, 9.0, 0.49)) is nothing


@pytest.mark.parametrize(("rows", "degrees"), [(("84", "37 926"), 270), (("1984", "7265", "30"), 90)])
def test_a_page_of_few_numbers_on_its_side_is_read_upright(reader, rows, degrees):
    reading = reader.read_page(turn(write(*rows, room=60, tall=60)[0], degrees))
    assert (reading.turned, texts(reading)) == (degrees, " ".join(rows).split())
