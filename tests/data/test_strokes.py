import re

import numpy as np
import pytest

from digitnet.data.synthesis.strokes import SHAPES, Hand, _habits, _ink, _spline, hands, ticks
from digitnet.imaging.normalization import frame

EVERY_SHAPE = [
    pytest.param(shape, id=f"{digit}-{number}")
    for digit, shapes in enumerate(SHAPES)
    for number, shape in enumerate(shapes)
]


def _drawn(shape, seed):
    rng = np.random.default_rng(seed)
    return frame(_ink(shape, _habits(rng), rng))


def test_the_same_count_and_seed_give_the_same_digits():
    one, other = hands(30, seed=3), hands(30, seed=3)
    assert (one.images == other.images).all()
    assert (one.labels == other.labels).all()


def test_another_seed_gives_other_drawings_of_the_same_labels():
    one, other = hands(30, seed=3), hands(30, seed=4)
    assert (one.images != other.images).any(axis=(1, 2)).all()
    assert (one.labels == other.labels).all()


@pytest.mark.parametrize("count", [0, 1, 10, 37])
def test_there_are_as_many_of_each_digit_up_to_one(count):
    digits = hands(count)
    assert digits.images.shape == (count, 28, 28)
    assert digits.images.dtype == np.uint8
    each = np.bincount(digits.labels, minlength=10)
    assert each.sum() == count
    assert each.max() - each.min() <= 1


def test_no_two_drawings_are_alike():
    assert len({image.tobytes() for image in hands(200).images}) == 200


def test_drawings_are_framed_as_mnists_digits_are():
    digits = hands(200)
    assert (digits.images.max(axis=(1, 2)) == 255).all()
    for image in digits.images:
        rows, columns = np.nonzero(image)
        assert max(np.ptp(rows), np.ptp(columns)) == 19
        middle = [np.average(axis + 0.5, weights=image[rows, columns]) for axis in (rows, columns)]
        assert np.abs(np.array(middle) - 14.5).max() < 1.5


def test_there_are_ten_digits_and_several_ways_to_write_each():
    assert len(SHAPES) == 10
    assert min(map(len, SHAPES)) >= 4


@pytest.mark.parametrize("shape", EVERY_SHAPE)
def test_every_shape_is_strokes_through_points_in_the_box_and_leaves_ink(shape):
    points = [tuple(map(int, point.split(","))) for stroke in shape.split("/") for point in stroke.split()]
    assert all(len(stroke.split()) >= 2 for stroke in shape.split("/"))
    assert re.fullmatch(r"\d+,\d+( / \d+,\d+| \d+,\d+)+", shape)
    assert all(0 <= x <= 100 and 0 <= y <= 112 for x, y in points)
    image = _drawn(shape, 0)
    assert image.max() == 255
    assert 0.03 < (image > 127).mean() < 0.5


def test_a_one_is_narrower_than_a_ring():
    def wide(shape):
        images = [_drawn(shape, seed) for seed in range(20)]
        return np.mean([np.ptp(np.nonzero(image > 127)[1]) for image in images])

    assert wide("50,0 50,100") < 0.8 * wide(SHAPES[0][0])


def test_a_curve_goes_through_its_points_and_straight_between_points_in_a_line():
    points = np.array([[0, 0], [1, 2], [3, 1], [4, 4]], float)
    curve = _spline(points, steps=12)
    assert curve.shape == (36, 2)
    for number, point in enumerate(points[:-1]):
        assert curve[12 * number] == pytest.approx(point)
    assert curve[-1] == pytest.approx(points[-1])
    line = _spline(np.array([[0, 0], [1, 1], [2, 2]], float))
    assert line[:, 0] == pytest.approx(line[:, 1])
    assert (np.diff(line[:, 0]) >= 0).all()


def test_the_way_to_a_point_that_stands_twice_is_straight():
    corner = np.array([[0, 1], [1, 0], [1, 0], [2, 1]], float)
    curve, smooth = _spline(corner), _spline(corner[[0, 1, 3]])
    assert curve[:12].sum(axis=1) == pytest.approx(np.ones(12))
    assert (curve[-12:, 0] - curve[-12:, 1]) == pytest.approx(np.ones(12))
    assert np.abs(smooth[:12].sum(axis=1) - 1).max() > 0.05


def test_a_hand_writes_a_digit_in_one_shape_and_never_quite_the_same():
    hand = Hand(np.random.default_rng(3))
    first, second = hand.write(7), hand.write(7)
    assert first.shape != second.shape or (first != second).any()
    for ink in (first, second):
        assert ink.dtype == np.uint8
        assert all(side.any() for side in (ink[0], ink[-1], ink[:, 0], ink[:, -1])), "cut to its ink"
    assert np.abs(frame(first).astype(int) - frame(second)).mean() < 40


def test_hands_with_one_seed_write_alike():
    one, other = Hand(np.random.default_rng(5)), Hand(np.random.default_rng(5))
    for digit in range(10):
        assert np.array_equal(one.write(digit), other.write(digit))


def test_check_marks_go_down_and_then_further_up_to_the_right():
    for (stroke,) in ticks(60, seed=2):
        lowest = stroke[:, 1].argmax()
        assert 0 < lowest < len(stroke) - 1
        assert stroke[-1, 0] > stroke[lowest, 0]
        assert stroke[-1, 1] < stroke[0, 1]
    assert all(np.array_equal(one[0], other[0]) for one, other in zip(ticks(5), ticks(5), strict=True))
