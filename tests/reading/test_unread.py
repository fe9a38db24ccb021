from dataclasses import replace

import cv2
import numpy as np
import pytest
from helpers import PAPER, dark, dotted, overlap, texts, write
from PIL import Image, ImageDraw, ImageFont

from digitnet.imaging.page_find import MAX_PLACES
from digitnet.imaging.segmentation import Found
from digitnet.reading import reader as module
from digitnet.reading.reader import Reader
from digitnet.reading.result import NO_NUMBERS, UNREAD, Reading, Unread


@pytest.fixture(scope="module")
def reader():
    return Reader(threads=1)


@pytest.fixture
def half_printed(monkeypatch):
    """A page whose upper row the page network takes for handwritten and whose lower row for printed."""
    find = module.regions

    def regions(page, network):
        found = find(page, network)
        rows = [replace(region, printed=0.1 if region.box[1] < 500 else 0.9) for region in found.regions]
        return found._replace(regions=rows)

    monkeypatch.setattr(module, "regions", regions)
    return write("1984 7265", "4713 2839", tall=60, room=460)[0]


def test_what_was_read_is_not_among_the_unread(reader):
    reading = reader.read(write("1984 7265", "30 4162")[0])
    assert (reading.unread, reading.left_out, reading.no_numbers) == ((), 0, None)


def test_places_of_low_confidence_are_listed_with_box_and_reason(reader, monkeypatch):
    page, boxes = write("1984 7265", room=400)
    monkeypatch.setattr(module, "LEAST", 1.1)
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
    numbers = [(number.text, number.printed) for number in reader.read(half_printed).numbers]
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
