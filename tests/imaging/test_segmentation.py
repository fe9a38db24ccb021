import sys

import cv2
import numpy as np
import pytest
from helpers import NO_PAGES
from hypothesis import given, settings
from hypothesis import strategies as st

from digitnet import ImageError
from digitnet.data.synthesis.strokes import hands
from digitnet.imaging import grouping
from digitnet.imaging.segmentation import Region, find, search, whole

find_module = sys.modules["digitnet.imaging.segmentation"]


DIGITS = hands(40, seed=3).images
"""Drawn digits, 28x28."""


def digit(which, height):
    """One drawn digit without margin, `height` pixels tall: uint8, 255 ink."""
    image = DIGITS[which % len(DIGITS)]
    rows, columns = np.nonzero(image > 40)
    image = image[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    width = max(2, round(image.shape[1] * height / len(image)))
    method = cv2.INTER_LINEAR if height > len(image) else cv2.INTER_AREA
    return cv2.resize(image, (width, height), interpolation=method)


class Sheet:
    """A page to write numbers on that remembers where they are."""

    def __init__(self, height, width, paper=230, ink=60):
        self.ink = np.zeros((height, width), np.float64)  # 0 .. 1
        self.paper = np.full((height, width), float(paper))
        self.dark = ink
        self.boxes = []

    def write(self, x, y, height, digits, gap=0.2):
        start = x
        for which in digits:
            glyph = digit(which, height) / 255
            place = self.ink[y : y + height, x : x + glyph.shape[1]]
            np.maximum(place, glyph, out=place)
            x += glyph.shape[1]
            end, x = x, x + round(gap * height)
        self.boxes.append((start, y, end, y + height))
        return x

    def page(self):
        page = self.paper + (self.dark - self.paper) * self.ink
        return page.clip(0, 255).round().astype(np.uint8)


def written(height=700, width=600, **colours):
    """Six numbers on three lines."""
    sheet = Sheet(height, width, **colours)
    for line, y in enumerate((60, 200, 340)):
        x = sheet.write(40, y, 48, range(line, line + 3))
        sheet.write(x + 100, y + 4, 44, range(10 + line, 14 + line))
    return sheet


def overlap(one, other):
    """Area of two boxes together over the area of either."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(0, width) * max(0, height)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return shared / (sum(areas) - shared)


def assert_found(page, boxes, least=0.75):
    """Exactly these boxes, in this order."""
    found = [region.box for region in find(page)]
    assert len(found) == len(boxes), found
    for box, truth in zip(found, boxes, strict=True):
        assert overlap(box, truth) > least, (box, truth)


def grain(shape, strength, seed=0):
    return np.random.default_rng(seed).normal(0, strength, shape)


def light(shape, least, angle):
    """Light that falls from 1 to `least` along a direction."""
    y, x = np.indices(shape)
    ramp = np.cos(angle) * x + np.sin(angle) * y
    return 1 - (1 - least) * (ramp - ramp.min()) / np.ptp(ramp)


def shown(page):
    return page.clip(0, 255).round().astype(np.uint8)


def test_numbers_are_found_in_reading_order():
    sheet = written()
    assert_found(sheet.page(), sheet.boxes)


def test_a_region_has_one_part_a_separate_digit():
    assert [len(region.parts) for region in find(written().page())] == [3, 4] * 3


def test_ink_and_parts_lie_on_the_page_where_to_page_says():
    page = written().page()
    for region in find(page):
        corners = np.array([[part[0], part[1], 1] for part in region.parts] + [[p[2], p[3], 1] for p in region.parts])
        x, y = region.to_page @ corners.T
        assert (x.min(), y.min(), x.max(), y.max()) == pytest.approx(region.box, abs=1)
        height, width = region.ink.shape
        taken = cv2.warpAffine(page, region.to_page, (width, height), flags=cv2.WARP_INVERSE_MAP | cv2.INTER_LINEAR)
        assert (taken[region.ink > 128] < 150).all()


def test_the_ink_of_a_region_is_soft_and_alone_on_paper_of_zero():
    region = find(written().page())[0]
    assert region.ink.dtype == np.uint8
    assert np.median(region.ink) == 0
    assert region.ink.max() > 240
    assert ((region.ink > 20) & (region.ink < 200)).sum() > 100
    border = np.concatenate([region.ink[0], region.ink[-1], region.ink[:, 0], region.ink[:, -1]])
    assert not border.any()


def test_neighbours_ink_is_blanked():
    page = np.full((200, 300), 255, np.uint8)
    cv2.line(page, (40, 40), (40, 120), 0, 6)
    cv2.line(page, (60, 100), (60, 190), 0, 6)  # too low for the same line of writing
    ones = find(page)
    assert len(ones) == 2
    assert all((region.ink > 128).sum() < 6 * 110 for region in ones)


numbers = st.lists(st.integers(0, 39), min_size=1, max_size=5)


@settings(max_examples=20)
@given(numbers, st.integers(16, 110), st.integers(0, 60), st.integers(0, 60))
def test_one_number_is_one_region_wherever_and_however_large_it_is(which, height, x, y):
    sheet = Sheet(height + 150, 8 * height + 150)
    sheet.write(20 + x, 20 + y, height, which)
    assert_found(sheet.page(), sheet.boxes)


@settings(max_examples=10)
@given(st.integers(30, 200), st.integers(40, 215), st.integers(0, 7))
def test_turning_the_page_round_changes_nothing(paper, ink, seed):
    if abs(paper - ink) < 30:
        return
    sheet = written(paper=paper, ink=ink)
    page = shown(sheet.page() + grain(sheet.ink.shape, 1, seed))
    assert [region.box for region in find(page)] == [region.box for region in find(255 - page)]
    assert_found(page, sheet.boxes)


@pytest.mark.parametrize("times", [0.5, 2])
def test_scaling_moves_boxes_by_at_most_two_pixels(times):
    page = written().page()
    scaled = cv2.resize(page, None, fx=times, fy=times, interpolation=cv2.INTER_AREA if times < 1 else cv2.INTER_LINEAR)
    before, after = ([region.box for region in find(each)] for each in (page, scaled))
    assert len(before) == len(after)
    assert np.abs(np.array(before) * times - after).max() <= 2


@settings(max_examples=10)
@given(st.integers(0, 300), st.integers(0, 300), st.integers(0, 300), st.integers(0, 300))
def test_more_paper_moves_boxes_by_at_most_a_pixel(above, below, left, right):
    page = written().page()
    padded = np.pad(page, ((above, below), (left, right)), constant_values=230)
    before, after = ([region.box for region in find(each)] for each in (page, padded))
    assert len(before) == len(after)
    moved = np.array([left, above, left, above])
    assert np.abs(np.array(before) + moved - after).max() <= 1


@settings(max_examples=10)
@given(st.floats(0.35, 1), st.floats(0, 6.3))
def test_light_from_a_side_moves_boxes_by_at_most_two_pixels(least, angle):
    page = written().page()
    lit = shown(page * light(page.shape, least, angle))
    before, after = ([region.box for region in find(each)] for each in (page, lit))
    assert len(before) == len(after)
    assert np.abs(np.array(before) - after).max() <= 2


def test_a_soft_shadow_hides_nothing():
    sheet = written()
    y, x = np.indices(sheet.ink.shape)
    shadow = 1 - 0.5 / (1 + np.exp(-(x + 0.2 * y - 300) / 20))
    assert_found(shown(sheet.page() * shadow + grain(sheet.ink.shape, 2)), sheet.boxes)


@pytest.mark.parametrize(("paper", "ink"), [(200, 160), (110, 40), (60, 130), (235, 195)])
def test_faint_ink_is_found_through_grain(paper, ink):
    sheet = written(paper=paper, ink=ink)
    assert_found(shown(sheet.page() + grain(sheet.ink.shape, 4)), sheet.boxes)


@pytest.mark.parametrize("angle", [-9, -4, 3, 10])
@pytest.mark.parametrize("every", [0, 40])
def test_a_page_laid_down_askew_is_read_upright(angle, every):
    sheet = written()
    if every:
        sheet.paper[25::every] -= 70
        sheet.paper[26::every] -= 70
    height, width = sheet.ink.shape
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), angle, 1)
    page = cv2.warpAffine(sheet.page(), turn, (width, height), borderMode=cv2.BORDER_REPLICATE)
    regions = find(page)
    assert len(regions) == len(sheet.boxes)
    for region, box in zip(regions, sheet.boxes, strict=True):
        middle = turn @ ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2, 1)
        assert np.abs(middle - ((region.box[0] + region.box[2]) / 2, (region.box[1] + region.box[3]) / 2)).max() < 8
        assert np.degrees(np.arctan2(region.to_page[1, 0], region.to_page[0, 0])) == pytest.approx(-angle, abs=1)


@pytest.mark.parametrize("across", [False, True])
def test_ruled_and_squared_paper_is_taken_away(across):
    sheet = written()
    for start in (15, 16):
        sheet.paper[start::30] = 150
        if across:
            sheet.paper[:, start::30] = 150
    assert_found(sheet.page(), sheet.boxes, 0.7)


def test_the_borders_of_boxes_are_taken_away_even_where_digits_touch_them():
    sheet = Sheet(300, 600)
    for place in range(6):
        glyph = digit(place + 2, 56) / 255
        x = 40 + 60 * place + (60 - glyph.shape[1]) // 2
        part = sheet.ink[100:156, x : x + glyph.shape[1]]
        np.maximum(part, glyph, out=part)
    page = sheet.page()
    for place in range(6):
        cv2.rectangle(page, (40 + 60 * place, 94), (100 + 60 * place, 154), 90, 2)
    (region,) = find(page)
    assert overlap(region.box, (40, 98, 402, 156)) > 0.75
    assert len(region.parts) == 6


def test_light_writing_in_a_dark_box_is_found_beside_dark_writing_on_light_paper():
    page = np.full((400, 600), 230, np.uint8)
    page[150:260, 80:400] = 40
    above, inside = Sheet(400, 600), Sheet(400, 600)
    above.write(60, 40, 50, range(4))
    inside.write(120, 180, 50, range(4, 8))
    page = shown(page - 170 * above.ink + 180 * inside.ink)
    assert_found(page, above.boxes + inside.boxes)


@pytest.mark.parametrize("mark", ["dot", "comma", "dash"])
def test_marks_between_digits_belong_to_their_number(mark):
    sheet = Sheet(200, 600)
    x = sheet.write(40, 60, 60, [1, 2])
    sheet.write(x + 24, 60, 60, [3, 4])
    page = sheet.page()
    ends = {"dot": ((x, 118), (x, 118)), "comma": ((x + 2, 114), (x - 2, 126)), "dash": ((x - 2, 90), (x + 12, 90))}
    cv2.line(page, *ends[mark], 60, 6)
    (region,) = find(page)
    assert overlap(region.box, (40, 60, sheet.boxes[1][2], 126)) > 0.85


def test_a_gap_wider_than_a_digit_parts_two_numbers():
    for gap, count in ((0.5, 1), (1.5, 2)):
        sheet = Sheet(200, 700)
        x = sheet.write(40, 60, 60, [1, 2, 3])
        sheet.write(x + round((gap - 0.2) * 60), 60, 60, [4, 5, 6])
        assert len(find(sheet.page())) == count


def test_a_five_with_its_flag_apart_is_one_part():
    page = np.full((160, 160), 255, np.uint8)
    cv2.line(page, (70, 40), (105, 36), 0, 6)
    cv2.polylines(page, [np.array([[62, 44], [60, 70], [90, 76], [96, 100], [70, 118], [52, 112]])], False, 0, 6)
    (region,) = find(page)
    assert len(region.parts) == 1


@pytest.mark.parametrize("height", [12, 20, 60, 250, 1000])
@pytest.mark.parametrize("light_ink", [False, True])
def test_a_single_digit_of_any_size_is_one_region(height, light_ink):
    for which in range(10):
        sheet = Sheet(height + 2 * (height // 3), 2 * height + 20)
        sheet.write(height // 3, height // 4, height, [which])
        page = sheet.page()
        assert_found(255 - page if light_ink else page, sheet.boxes, 0.7)


def test_digits_framed_or_cut_out_tightly_are_one_region_each():
    for which, image in enumerate(DIGITS):
        for page in (image, 255 - image, digit(which, 20), 255 - digit(which, 40)):
            assert len(find(page)) == 1


@pytest.mark.parametrize("value", [0, 128, 255])
@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (28, 28), (700, 500)])
def test_an_empty_page_has_no_regions(value, shape):
    page = np.full(shape, value, np.uint8)
    assert find(page) == []
    region = whole(page)
    assert region.parts == ()
    assert region.ink.shape == shape


@pytest.mark.parametrize("paper", [10, 128, 245])
def test_the_grain_of_paper_is_no_number(paper):
    assert find(shown(paper + grain((600, 500), 10))) == []


def texture(shape, grain_size, strength, seed=0):
    """Soft grain of a size in pixels and a strength, the standard deviation in grey levels, as wool or gravel has."""
    soft = cv2.GaussianBlur(grain(shape, 1, seed), (0, 0), grain_size)
    return strength * soft / soft.std()


@pytest.mark.parametrize("shape", [(800, 600), (1754, 1240)])
@pytest.mark.parametrize("grain_size", [2, 4, 8])
@pytest.mark.parametrize("strength", [8, 20, 40])
def test_wool_and_gravel_are_no_numbers(shape, grain_size, strength):
    assert len(find(shown(128 + texture(shape, grain_size, strength)))) <= 1


@pytest.mark.parametrize(("grain_size", "strength"), [(2, 8), (2, 20), (4, 15), (8, 8)])
def test_writing_on_wool_is_found_and_hardly_any_of_the_wool(grain_size, strength):
    sheet = written(height=430)
    found = [region.box for region in find(shown(sheet.page() - 20 + texture(sheet.ink.shape, grain_size, strength)))]
    assert len(found) <= len(sheet.boxes) + 5
    for box in sheet.boxes:
        assert max(overlap(box, other) for other in found) > 0.6


def test_a_hatched_page_passes():
    y, x = np.indices((1400, 1400))
    assert len(find(np.where((x + y) % 8 == 1, np.uint8(30), np.uint8(230)))) <= 1  # few lines, but 120,000 blocks


@pytest.mark.parametrize("mark", ["dot", "dash", "rule"])
def test_a_lone_mark_is_no_number(mark):
    page = np.full((300, 400), 235, np.uint8)
    ends = {"dot": ((100, 100), (100, 100)), "dash": ((100, 100), (130, 100)), "rule": ((0, 150), (399, 153))}
    cv2.line(page, *ends[mark], 30, 9 if mark == "dot" else 4)
    assert find(page) == []


def test_whole_takes_all_digits_and_leaves_out_specks_and_the_line_below():
    sheet = Sheet(90, 640)
    sheet.write(20, 20, 50, range(6), gap=1)
    page = sheet.page()
    page[80:82] = 100
    page[8:10, 200:202] = 60
    region = whole(page)
    assert overlap(region.box, sheet.boxes[0]) > 0.9
    assert len(region.parts) == 6


@pytest.mark.parametrize("work", [find, whole])
@NO_PAGES
def test_what_is_no_page_is_said(work, page, fact):
    with pytest.raises(ImageError, match=rf"page is {fact}, expected \(height, width\) uint8"):
        work(page)


def test_the_page_that_is_given_stays_as_it_is():
    page = written().page()
    before = page.copy()
    assert all(isinstance(region, Region) for region in [*find(page), whole(page)])
    assert (page == before).all()


def test_the_module_keeps_its_name():
    assert sys.modules["digitnet.imaging.segmentation"].find is find


@pytest.mark.parametrize(("paper", "ink"), [(255, 0), (0, 255), (200, 90)])
def test_a_large_drawing_is_looked_at_in_a_small_copy_and_boxes_are_of_the_page(paper, ink):
    sheet = Sheet(900, 1500, paper, ink)
    sheet.write(700, 300, 280, (1, 2), gap=0.3)
    page = sheet.page()
    (region,) = find(page)
    assert len(region.ink) < 150, "of 280 pixels a quarter is enough"
    assert overlap(region.box, sheet.boxes[0]) > 0.95
    assert len(region.parts) == 2
    # Each part, taken to the page, holds the ink of one digit: together they hold all of it.
    dark = np.abs(page.astype(int) - paper) > 100
    shares = []
    for left, top, right, bottom in region.parts:
        (x0, y0), (x1, y1) = (region.to_page @ (x, y, 1) for x, y in ((left, top), (right, bottom)))
        shares.append(dark[int(y0) : int(y1) + 1, int(x0) : int(x1) + 1].sum() / dark.sum())
    assert min(shares) > 0.1
    assert sum(shares) == pytest.approx(1, abs=0.05)


def test_a_small_digit_beside_large_ones_keeps_its_size():
    sheet = Sheet(600, 900, 255, 0)
    sheet.write(60, 60, 280, (1, 2), gap=0.3)
    sheet.write(700, 440, 24, (3, 4))
    large, small = find(sheet.page())
    assert len(small.ink) >= 24
    assert overlap(large.box, sheet.boxes[0]) > 0.95
    assert overlap(small.box, sheet.boxes[1]) > 0.8


def test_a_fine_pen_is_not_scaled_away():
    page = np.full((500, 500), 255, np.uint8)
    cv2.line(page, (250, 100), (250, 400), 0, 2)
    cv2.line(page, (250, 100), (200, 180), 0, 2)
    (region,) = find(page)
    assert len(region.ink) > 250


# What bounds the work


def test_a_page_of_very_many_parts_is_looked_at_in_part_and_says_so(monkeypatch):
    page = written().page()
    assert search(page).limits == ()
    parts = len(grouping.candidates(*_components(page)))
    monkeypatch.setattr(find_module, "MAX_COMPONENTS", parts - 1)
    assert search(page).limits == ("too_many_parts",)


def _components(page):
    ink = find_module.without_rules(find_module.ink_of(page))
    return find_module._components(ink, find_module.MIN_STRONG_INK)[1:]


def panels(count):
    """Dark squares of growing size, each with light digits."""
    page = np.full((300, 200 * count), 235, np.uint8)
    for place in range(count):
        side = 120 + 8 * place
        page[20 : 20 + side, 200 * place + 10 : 200 * place + 10 + side] = 40
        glyph = digit(place, 60)
        corner = page[50 : 50 + len(glyph), 200 * place + 50 : 200 * place + 50 + glyph.shape[1]]
        np.copyto(corner, 235, where=glyph > 127)
    return page


def test_only_the_largest_boxes_of_another_paper_are_looked_into(monkeypatch):
    page = panels(6)
    looked = []
    inside = find_module._inside
    monkeypatch.setattr(find_module, "_inside", lambda *given: looked.append(given[1]) or inside(*given))
    assert len(find(page)) == 6
    assert len(looked) == 6
    looked.clear()
    monkeypatch.setattr(find_module, "MAX_PANELS", 2)
    find(page)
    assert len(looked) == 2
    assert min(box[2] - box[0] for box in looked) > 150


def test_boxes_in_boxes_are_looked_into_once_over():
    page, side = np.full((900, 900), 235, np.uint8), 840.0
    while side > 60:
        for part, grey in ((1.0, 40), (0.88, 235)):
            low, high = round(450 - side * part / 2), round(450 + side * part / 2)
            page[low:high, low:high] = grey
        side *= 0.8
    worked = []
    inner = find_module._find
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(find_module, "_find", lambda page, *rest: worked.append(page.size) or inner(page, *rest))
        find(page)
    assert sum(worked) <= 3 * page.size


def test_a_large_image_of_one_number_is_looked_at_in_a_smaller_copy(monkeypatch):
    sheet = Sheet(300, 400)
    sheet.write(60, 80, 120, range(3))
    page = sheet.page()
    before = whole(page)
    monkeypatch.setattr(sys.modules["digitnet.imaging.reduction"], "LARGEST", page.size // 4)
    after = whole(page)
    assert after.ink.size < before.ink.size / 3
    assert np.abs(np.subtract(after.box, before.box)).max() <= 3
    corners = after.to_page @ np.array([0, 0, 1])
    assert np.abs(corners - before.to_page @ np.array([0, 0, 1])).max() <= 4
