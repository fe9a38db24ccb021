"""Opinions on a digit: two looks of the line reader and the classifier together decide what is at its place."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from digitnet.core.digits import DIGITS
from digitnet.imaging.segmentation import Region
from digitnet.models.onnx_models import Columns, only_digits
from digitnet.reading.candidates import draft_of
from digitnet.reading.ctc import decode, digit_probs
from digitnet.reading.opinions import close_up, looked_again, seconded, thinned, weighed

ALPHABET = DIGITS + ".-"


def columns_of(*places):
    """Columns with two frames for each place, {character: probability}, the rest blank, and a blank frame between."""
    rows = []
    for place in places:
        row = np.full(len(ALPHABET) + 1, 1e-6)
        for character, probability in place.items():
            row[ALPHABET.index(character)] = probability
        row[-1] = 1 - row[:-1].sum()
        blank = np.full(len(ALPHABET) + 1, 1e-6)
        blank[-1] = 1 - blank[:-1].sum()
        rows += [row, row, blank]
    characters = np.log(np.array(rows)).astype(np.float32)
    count = len(characters)
    boxes, presence = np.zeros((count, 4), np.float32), np.ones(count, np.float32)
    return Columns(only_digits(characters, ALPHABET), boxes, presence, characters, ALPHABET)


def said(*digits):
    """What a classifier gives that is sure of these digits."""
    return np.where(np.arange(10) == np.array(digits)[:, None], 0.999, 0.001 / 9).astype(np.float32)


def text_of(columns):
    return decode(columns.log_probs)[0].text


def test_the_classifier_decides_where_the_line_reader_hesitates():
    columns = columns_of({"4": 0.99}, {"1": 0.5, "7": 0.4}, {"2": 0.99})
    assert text_of(columns) == "412"
    assert text_of(weighed(columns, "412", 0.7, [(0.3, said(4, 7, 2))])) == "472"


def test_another_look_of_the_line_reader_decides_as_much_as_the_first():
    columns, look = (columns_of({"4": 0.99}, its, {"2": 0.99}) for its in ({"1": 0.5, "7": 0.4}, {"1": 0.2, "7": 0.7}))
    assert text_of(weighed(columns, "412", 0.5, [(0.5, digit_probs(look.log_probs, "412"))])) == "472"


def test_the_classifier_does_not_change_what_the_line_reader_is_sure_of():
    columns = columns_of({"4": 0.99}, {"1": 0.989, "7": 1e-4}, {"2": 0.99})
    assert text_of(weighed(columns, "412", 0.7, [(0.3, said(9, 7, 3))])) == "412"


def test_how_probable_a_digit_or_a_sign_is_at_all_stays():
    columns = columns_of({"4": 0.6, ".": 0.3}, {"1": 0.5, "7": 0.4})
    after = weighed(columns, "41", 0.7, [(0.3, said(9, 7))])
    digits = np.exp(columns.characters)[:, :10].sum(axis=1)
    assert np.exp(after.characters)[:, :10].sum(axis=1) == pytest.approx(digits, rel=1e-3)
    assert after.characters[:, 10:] == pytest.approx(columns.characters[:, 10:])


def draft_of_columns(columns):
    found = decode(columns.log_probs)
    region = Region((0, 0, 90, 40), np.zeros((40, 90), np.uint8), (), np.eye(2, 3))
    draft = draft_of(region, columns, None, True)
    assert draft.text == found[0].text
    return draft


def test_the_classifier_has_a_say_in_doubtful_numbers_of_several_digits():
    doubtful = draft_of_columns(columns_of({"4": 0.99}, {"1": 0.5, "7": 0.4}, {"2": 0.99}))
    assert seconded(doubtful, said(4, 7, 2), None, True).text == "472"
    assert seconded(doubtful, said(4, 1, 2), None, True).sure > doubtful.sure
    settled = draft_of_columns(columns_of({"4": 0.999}, {"1": 0.999}, {"2": 0.999}))
    assert seconded(settled, said(4, 7, 2), None, True) is settled
    lone = draft_of_columns(columns_of({"1": 0.5, "7": 0.4}))
    assert seconded(lone, said(7), None, True) is lone, "a lone digit has its own rule"


def placed(sure, top, bottom):
    """A draft of one digit, from top to bottom in a region 100 pixels high."""
    draft = draft_of_columns(columns_of({"4": 0.99}))
    region = Region((0, 0, 60, 100), np.zeros((100, 60), np.uint8), (), np.eye(2, 3))
    return replace(draft, region=region, boxes=[(10, top, 30, bottom)], sure=sure)


def test_doubtful_small_digits_are_looked_at_closer():
    picture = np.arange(200, dtype=np.uint8)[:, None].repeat(9, axis=1)  # twice as high as its region
    rows = close_up(placed(0.5, 40, 70), picture)[:, 0]
    assert (rows[0], rows[-1]) == (68, 152), "a fifth of a digit's height around it"
    assert close_up(placed(0.99, 40, 70), picture) is None, "not doubtful"
    assert close_up(placed(0.5, 10, 70), picture) is None, "large enough"
    nothing = close_up(replace(placed(0.5, 40, 70), boxes=[]), picture)[:, 0]
    assert (nothing[0], nothing[-1]) == (30, 169)


def test_both_looks_decide_and_may_find_more_digits():
    first, second = columns_of({"4": 0.6}, {"1": 0.15}), columns_of({"4": 0.9}, {"1": 0.99})
    asked = []
    draft = replace(placed(0.5, 40, 70), columns=first, hypotheses=decode(first.log_probs))
    assert draft.text == "4"

    def line(strips):
        asked.extend(strips)
        return [second]

    (seen,) = looked_again([draft], [np.zeros((100, 60), np.uint8)], None, line, True)
    assert (seen.text, len(asked), len(seen.boxes)) == ("41", 1, 2)
    assert (
        looked_again([placed(0.99, 40, 70)], [np.zeros((100, 60), np.uint8)], None, lambda strips: [], True)[0].sure
        == 0.99
    )


def test_heavy_strokes_are_looked_at_thinner():
    assert thinned(placed(0.5, 0, 100), heavy_ring()) is not None
    assert thinned(placed(0.99, 0, 100), heavy_ring()) is None, "not doubtful"
    nothing = replace(placed(0.5, 0, 100), boxes=[])
    assert thinned(nothing, heavy_ring()) is not None
    asked = []

    def line(strips):
        asked.append(len(strips))
        return [columns_of({"8": 0.99})] * len(strips)

    columns = columns_of({"4": 0.5, "8": 0.4})
    doubtful = replace(placed(0.5, 0, 100), columns=columns, hypotheses=decode(columns.log_probs))
    (seen,) = looked_again([doubtful], [heavy_ring()], None, line, alone=True)
    assert (seen.text, asked) == ("8", [0, 1]), "large digits are not looked at closer"
    assert looked_again([doubtful], [heavy_ring()], None, line, alone=False) == [doubtful]


def heavy_ring():
    return cv2.circle(np.zeros((100, 60), np.uint8), (30, 50), 20, 255, 24)
