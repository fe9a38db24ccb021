"""Fields cut out of pages: writing stays, what was printed or folded goes; filled cells of combs are counted."""

import cv2
import numpy as np
import pytest
from helpers import parsed_template, small_template

from digitnet.forms.answers import _rules
from digitnet.forms.cutting import INKED, SCALE, cut
from digitnet.forms.printing import picture

BOX = (40.0, 40.0, 88.0, 50.0)


@pytest.fixture(scope="module")
def template():
    field = {"name": "number", "label": "Customer number", "kind": "comb", "cells": 6, "box": list(BOX)}
    return parsed_template(small_template(fields=[field], markers={"number": 3}))


@pytest.fixture(scope="module")
def blank(template):
    return picture(template, SCALE)


def page_of(blank, *strokes, dark=40):
    """A blank sheet with straight strokes on it: (x, y) to (x, y), millimetres."""
    page = blank.copy()
    for start, end in strokes:
        ends = [tuple(round(each * SCALE) for each in point) for point in (start, end)]
        cv2.line(page, *ends, dark, 5, cv2.LINE_AA)
    return page


def folded(page, lean=0.0):
    """A page with the shade of a fold from its top to its bottom, which leans so much."""
    y, x = np.mgrid[: page.shape[0], : page.shape[1]]
    fold = x - 60 * SCALE - lean * (y - 45 * SCALE)
    return (page * (1 - 0.25 * np.exp(-((fold / 4.0) ** 2)))).astype(np.uint8)


def cut_of(page, blank, moved=(0.0, 0.0)):
    matrix = np.array([[SCALE, 0, moved[0] * SCALE], [0, SCALE, moved[1] * SCALE], [0, 0, 1]])
    return cut(page, matrix, BOX, blank)


def test_of_a_blank_field_nothing_is_left_of_frame_and_label(blank):
    assert cut_of(blank, blank).dark.max() < INKED


def test_a_pale_stroke_as_high_as_the_field_is_kept_and_a_crease_is_not(blank):
    stroke = (60, 40.6), (60, 49.4)
    assert (cut_of(page_of(blank, stroke, dark=170), blank).dark > INKED).sum() > 200
    assert cut_of(folded(blank), blank).dark.max() == 0


def test_a_stroke_that_crosses_a_crease_stays_whole_and_the_crease_goes(blank):
    its = cut_of(folded(page_of(blank, ((57, 47), (63, 46)), dark=120), lean=0.03), blank)
    rows, columns = np.nonzero(its.dark > 0.15)
    assert set(np.flatnonzero((its.dark > INKED).any(axis=0))) >= set(range(columns.min() + 1, columns.max()))
    assert np.ptp(columns) / SCALE == pytest.approx(6, abs=1)
    assert np.ptp(rows) / SCALE == pytest.approx(1, abs=1)


def test_writing_that_crosses_the_frame_is_kept_whole(blank):
    its = cut_of(page_of(blank, ((60, 38), (60, 48)), ((68, 44), (68, 52))), blank)
    rows = np.flatnonzero((its.dark > INKED).any(axis=1)) / SCALE
    assert np.ptp(rows) == pytest.approx(14, abs=1)


def test_a_field_is_found_where_creased_paper_has_moved_it_though_thick_ink_is_in_it(blank):
    page = page_of(blank, ((60, 42), (60, 48)), ((68, 42), (70, 48)))
    cv2.circle(page, (round(76 * SCALE), round(45 * SCALE)), 22, 20, -1)
    its = cut_of(page, blank, moved=(0.9, -0.7))  # its place is taken for this much beside where it is
    columns = np.flatnonzero((its.dark[its.inside] > INKED).any(axis=0)) / SCALE
    assert columns[0] == pytest.approx(60 - BOX[0], abs=0.6)


@pytest.mark.parametrize("filled", [(0, 1, 2), (0, 1, 2, 3, 4, 5), (5,)])
def test_a_comb_has_as_many_digits_as_filled_cells(template, blank, filled):
    strokes = [((44 + 8 * cell, 42), (43 + 8 * cell, 48)) for cell in filled]
    rules = _rules(template.fields[0], cut_of(page_of(blank, *strokes), blank))
    assert rules.lengths == (len(filled), len(filled))


def test_a_stroke_between_two_cells_may_be_one_of_either(template, blank):
    strokes = ((44, 42), (44, 48)), ((56, 42), (56, 48))
    least, most = _rules(template.fields[0], cut_of(page_of(blank, *strokes), blank)).lengths
    assert (least, most) == (1, 3)
