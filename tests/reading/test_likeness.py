from dataclasses import replace

import numpy as np
import pytest

from digitnet import Number
from digitnet.data.pages.sheet import NUMBER, WRITING
from digitnet.imaging.page_find import Place
from digitnet.imaging.segmentation import Region
from digitnet.reading.candidates import Draft
from digitnet.reading.ctc import Hypothesis
from digitnet.reading.likeness import LEAST, Opinion, least_confidence, likelier, likeness, number_probs, readable


def numbers(*written, sure=0.9):
    return tuple(Number("".join(filter(str.isdigit, each)), sure, (0, 0, 9, 9), written=each) for each in written)


@pytest.mark.parametrize(
    ("apart", "whole", "stays"),
    [
        (["3"], ["13"], "whole"),
        (["3"], ["1", "3"], "whole"),
        (["1", "3"], ["1", "3"], "found"),
        (["12", "50"], ["12.50"], "whole"),
        (["12", "50"], ["1250"], "found"),
        (["12"], ["1"], "found"),
        ([], ["7"], "whole"),
    ],
)
def test_a_picture_as_a_whole_is_preferred_where_it_shows_more_or_one_number(apart, whole, stays):
    apart, whole = numbers(*apart), numbers(*whole)
    assert likelier(apart, whole) == {"found": apart, "whole": whole}[stays]


def test_other_digits_are_preferred_only_where_they_are_surer():
    assert likelier(numbers("7"), numbers("12", sure=0.8))[0].text == "7"
    assert likelier(numbers("7", sure=0.7), numbers("12", sure=0.8))[0].text == "12"


def draft(score=0.9, ink=NUMBER, place=True):
    kinds = np.where(np.arange(7) == ink, 0.7, 0.05).astype(np.float32)
    corners = np.array([[0, 0], [20, 0], [20, 30], [0, 30]], np.float32)
    seen = Place(corners, 30.0, score, kinds, np.zeros((1, 2), np.float32)) if place else None
    region = Region((0, 0, 20, 30), np.zeros((30, 20), np.uint8), (), np.eye(2, 3), None, seen)
    seven = Hypothesis("7", 0.9, 0.9)
    return Draft(region, None, [seven], seven, [(0, 0, 20, 30)], np.array([0.95], np.float32), None, 0.9)


def long_draft(probability):
    found = Hypothesis("12345678", probability, probability)
    return replace(draft(), hypotheses=[found], alone=found)


def test_a_long_number_is_read_though_its_text_is_improbable_if_it_is_surely_one():
    assert readable(long_draft(0.3), 0.97, 0.3, LEAST)
    assert not readable(long_draft(0.3), 0.8, 0.24, LEAST), "not surely a number"
    assert not readable(long_draft(0.01), 0.97, 0.01, LEAST), "hardly legible"
    assert readable(long_draft(0.6), 0.85, 0.5, LEAST)


def test_what_is_alone_on_its_page_is_read_with_less_confidence():
    assert least_confidence(1) < least_confidence(2) == least_confidence(9) == LEAST


def probability(draft, digitness=0.9):
    opinion = Opinion(np.full((1, 10), 0.1, np.float32), np.array([digitness], np.float32))
    return number_probs([draft], {id(draft): opinion})[0][0]


def test_a_place_holds_a_number_if_the_page_network_saw_one_and_its_ink():
    assert probability(draft(score=0.97)) > 0.95
    assert probability(draft(score=0.45)) < probability(draft())
    assert probability(draft(score=0.45, ink=WRITING)) < 0.2
    assert probability(draft(), digitness=0.001) < probability(draft())


def test_where_the_page_network_saw_nothing_the_digits_alone_tell():
    unseen = draft(place=False)
    assert probability(unseen) == pytest.approx(likeness(unseen, {}) * 0.9**0.5)


def test_nothing_read_is_no_number():
    empty = replace(draft(), boxes=[])
    assert probability(empty) < 0.01
