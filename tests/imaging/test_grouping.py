import numpy as np
import pytest

from digitnet.imaging import grouping
from digitnet.imaging.grouping import at_most, groups, median


def row(count, tall=20, gap=6, top=10):
    """Boxes of a number's digits from left to right."""
    return [(10 + place * (12 + gap), top, 22 + place * (12 + gap), top + tall) for place in range(count)]


def boxes_of(*rows):
    return np.array([box for each in rows for box in each], np.int32)


def areas_of(boxes):
    return ((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]) // 3).astype(np.int32)


def test_tables_made_in_slices_give_the_same_groups(monkeypatch):
    rng = np.random.default_rng(0)
    corners, sizes = rng.integers(0, 900, (400, 2)), rng.integers(3, 40, (400, 2))
    boxes = np.concatenate([corners, corners + sizes], axis=1).astype(np.int32)
    expected = groups(boxes, areas_of(boxes))
    assert len(expected) > 20
    slices = grouping._slices
    for size in (1, 7, 400):
        monkeypatch.setattr(grouping, "_slices", lambda count, size=size: slices(count, size))
        assert groups(boxes, areas_of(boxes)) == expected


def test_slices_cover_everything_once():
    assert [list(range(7)[some]) for some in grouping._slices(7, 3)] == [[0, 1, 2], [3, 4, 5], [6]]
    assert grouping._slices(0) == []


def test_all_groups_of_a_common_page_are_looked_at():
    boxes = boxes_of(row(3), row(4, top=80))
    numbers = groups(boxes, areas_of(boxes))
    assert at_most(numbers, boxes, 10**6) == (numbers, set())
    assert at_most([], boxes, 10**6) == ([], set())


def test_of_very_many_groups_those_at_the_top_are_looked_at(monkeypatch):
    boxes = boxes_of(*(row(2, top=50 * place) for place in (3, 1, 0, 2)))
    numbers = [[0, 1], [2, 3], [4, 5], [6, 7]]
    monkeypatch.setattr(grouping, "MAX_NUMBERS", 3)
    assert at_most(numbers, boxes, 10**6) == ([[2, 3], [4, 5], [6, 7]], {"too_many_numbers"})


@pytest.mark.parametrize(("pixels", "kept"), [(10**8, 4), (2_000_000, 3), (1000, 1), (100, 0)])
def test_groups_that_overlap_all_over_the_page_are_left_out_the_largest_first(pixels, kept):
    boxes = np.array([[0, 0, 30, 30], [0, 0, 800, 900], [5, 5, 900, 990], [9, 9, 3000, 3000]], np.int32)
    numbers, limits = at_most([[0], [1], [2], [3]], boxes, pixels)
    assert numbers == [[0], [1], [2], [3]][:kept]
    assert limits == (set() if kept == 4 else {"too_many_parts"})


@pytest.mark.parametrize("dtype", [np.int32, np.float32, np.float64])
@pytest.mark.parametrize("count", [1, 2, 7, 10])
def test_a_median_is_that_of_numpy(dtype, count):
    values = (np.random.default_rng(count).random(count) * 100).astype(dtype)
    assert median(values) == float(np.median(values))
