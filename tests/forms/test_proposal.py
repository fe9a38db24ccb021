import cv2
import numpy as np
import pytest

from digitnet.forms.proposal import drafted


def ruled(gap):
    """A sheet of A4 with lines to write on, so many millimetres apart, 8 pixels to a millimetre."""
    page = np.full((2376, 1680), 255, np.uint8)
    for y in np.arange(20, 280, gap):
        cv2.line(page, (160, round(8 * y)), (1520, round(8 * y)), 0, 3)
    return page


@pytest.mark.parametrize(("gap", "height"), [(10, 8), (6, 6), (3, 3)])
def test_the_field_above_a_line_ends_at_the_line_above_it(gap, height):
    fields = drafted(ruled(gap), None, "x", "x.png").checked().fields
    assert len(fields) == len(np.arange(20, 280, gap))
    assert [field.box[3] - field.box[1] for field in fields[1:]] == pytest.approx([height] * len(fields[1:]), abs=0.2)


@pytest.mark.parametrize(
    ("millimetres", "dpi", "size"),
    [
        ((148, 210), (300, 300), (148, 210)),
        ((210, 148), (200, 100), (210, 148)),
        ((147, 208.5), (150, 150), (148, 210)),
        ((215.9, 355.6), (300, 300), (215.9, 355.6)),
        ((100, 230), (254, 254), (100, 230)),
    ],
)
def test_a_sheet_has_the_size_that_the_resolution_of_its_scan_gives(millimetres, dpi, size):
    wide, high = (round(side * dots / 25.4) for side, dots in zip(millimetres, dpi, strict=True))
    draft = drafted(np.full((high, wide), 255, np.uint8), dpi, "x", "x.png")
    assert (draft.template["page"], draft.assumed) == (size, None)


@pytest.mark.parametrize(
    ("pixels", "dpi", "size"),
    [
        ((1748, 2480), None, "210 x 297"),
        ((1748, 2480), (72, 72), "210 x 297"),  # what programs write that do not know it
        ((2480, 1748), (96, 96), "297 x 210"),
        ((2550, 3300), (1, 1), "215.9 x 279.4"),
        ((1000, 2000), None, "210 x 420"),
        ((4000, 8000), (150, 150), "210 x 420"),  # larger than a sheet may be
        ((200, 2000), None, "60 x 600"),
        ((20, 2000), None, "20 x 600"),
    ],
)
def test_a_sheet_of_unknown_size_is_taken_for_one_of_its_proportions_and_told(pixels, dpi, size):
    draft = drafted(np.full(pixels[::-1], 255, np.uint8), dpi, "x", "x.png")
    assert "{:g} x {:g}".format(*draft.template["page"]) == size
    assert draft.assumed == f"the file does not tell the size of the sheet, which is taken to be {size} mm"
