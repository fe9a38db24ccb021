import cv2
import numpy as np
import pytest

from digitnet.forms.proposal import proposed


def ruled(gap):
    """A sheet of A4 with lines to write on, so many millimetres apart, 8 pixels to a millimetre."""
    page = np.full((2376, 1680), 255, np.uint8)
    for y in np.arange(20, 280, gap):
        cv2.line(page, (160, round(8 * y)), (1520, round(8 * y)), 0, 3)
    return page


@pytest.mark.parametrize(("gap", "height"), [(10, 8), (6, 6), (3, 3)])
def test_the_field_above_a_line_ends_at_the_line_above_it(gap, height):
    fields = proposed(ruled(gap), "x", "x.png")[0].fields
    assert len(fields) == len(np.arange(20, 280, gap))
    assert [field.box[3] - field.box[1] for field in fields[1:]] == pytest.approx([height] * len(fields[1:]), abs=0.2)
