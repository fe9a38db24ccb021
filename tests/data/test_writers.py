import numpy as np
import pytest

from digitnet.core.digits import Digits
from digitnet.data.synthesis.strokes import hands
from digitnet.data.synthesis.writers import by_font, cut, inventions, styles


def test_invented_writers_keep_their_hand_and_differ_from_each_other():
    one, other = inventions(2, 5)
    again, _ = inventions(2, 5)
    assert [len(ways) for ways in one] == [2] * 10
    assert all(np.array_equal(a, b) for x, y in zip(one, again, strict=True) for a, b in zip(x, y, strict=True))
    assert any(a.shape != b.shape for x, y in zip(one, other, strict=True) for a, b in zip(x, y, strict=True))


def test_styles_put_thin_pens_before_broad_ones_and_leave_no_digit_out():
    digits = hands(600, 1)
    writers = styles(digits, pens=3, slants=2)
    assert len(writers) == 6
    assert sum(len(ways) for writer in writers for ways in writer) == 600
    ink = [np.mean([glyph.mean() for ways in writer for glyph in ways]) for writer in writers]
    assert np.mean(ink[:2]) < np.mean(ink[-2:])


def test_styles_need_enough_of_every_digit():
    with pytest.raises(ValueError, match="digits 0, need at least 18"):
        styles(hands(100))


def test_a_font_is_a_writer():
    one = hands(20)
    order = np.argsort(one.labels, kind="stable")  # 0 0 1 1 ... 9 9, as fonts come
    font = Digits(one.images[order], one.labels[order])
    both = Digits(np.concatenate([font.images, font.images]), np.concatenate([font.labels, font.labels]))
    writers = by_font(both)
    assert len(writers) == 2
    assert [[len(ways) for ways in writer] for writer in writers] == [[2] * 10] * 2


def test_cutting_keeps_all_ink_and_an_empty_image_whole():
    image = np.zeros((28, 28), np.uint8)
    assert cut(image).shape == (28, 28)
    image[5:9, 10:13] = 200
    assert cut(image).shape == (4, 3)
