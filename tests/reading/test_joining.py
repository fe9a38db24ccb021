import math

import cv2
import numpy as np
import pytest
from helpers import write

from digitnet.imaging.page_find import Place
from digitnet.imaging.page_regions import gap, region_of
from digitnet.imaging.segmentation import Found
from digitnet.reading import reader as module
from digitnet.reading.reader import Reader


@pytest.fixture(scope="module")
def reader():
    return Reader(threads=1)


KINDS = np.array([0, 0, 0, 0, 0, 0.1, 0.9], np.float32)


def place(left, right, top, bottom, angle=0.0):
    corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float32)
    turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    return Place((corners @ turn).astype(np.float32), bottom - top, 0.9, KINDS, np.zeros((0, 2), np.float32))


def paired(*, sign, cut):
    """A page of two numbers, with a sign between them or without, and their places; one holds the sign, or neither."""
    page, boxes = write("555 0137", gap=0.2)
    (left, top, right, bottom), other = around(boxes[0]), around(boxes[1])
    middle, y = (right + other[0]) // 2, (top + bottom) // 2
    if sign:
        cv2.line(page, (middle - 12, y), (middle + 12, y), 30, 5, cv2.LINE_AA)
    ends = {"first": (middle + 16, other[0] - 2), "neither": (right + 2, other[0] - 2)}[cut]
    return page, [place(left - 2, ends[0], top - 2, bottom + 2), place(ends[1], other[2] + 2, top - 2, bottom + 2)]


def around(boxes):
    return *boxes[:, :2].min(axis=0).astype(int).tolist(), *boxes[:, 2:].max(axis=0).astype(int).tolist()


def read_with(reader, monkeypatch, page, places):
    """What is read on a page where the page network finds these places."""
    found = Found([region_of(page, each) for each in places], ())
    monkeypatch.setattr(module, "regions", lambda page, network: found)
    return [number.written for number in reader.read(np.pad(page, ((0, 700), (0, 0)), mode="edge")).numbers]


def test_a_number_that_was_cut_at_its_hyphen_is_one(reader, monkeypatch):
    page, places = paired(sign=True, cut="first")
    assert read_with(reader, monkeypatch, page, places) == ["555-0137"]


def test_numbers_beside_each_other_stay_two(reader, monkeypatch):
    page, places = paired(sign=False, cut="neither")
    assert read_with(reader, monkeypatch, page, places) == ["555", "0137"]


@pytest.mark.parametrize("angle", [0.0, 0.4, -2.0])
def test_the_gap_is_measured_along_the_line(angle):
    one, other = place(0, 50, 0, 20, angle), place(60, 90, 2, 22, angle)
    assert gap(one, other) == pytest.approx(0.5)
    assert gap(other, one) == pytest.approx(-4.5)


@pytest.mark.parametrize(
    "other",
    [place(60, 90, 15, 35), place(60, 90, -20, 20), place(60, 90, 0, 20, 0.3)],
    ids=["below", "twice as high", "another direction"],
)
def test_places_of_other_lines_are_never_near(other):
    assert gap(place(0, 50, 0, 20), other) == math.inf
