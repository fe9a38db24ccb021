from collections import Counter

import numpy as np
import pytest

from digitnet.data.synthesis.composer import Composer, unseen
from digitnet.data.synthesis.strokes import hands
from digitnet.data.synthesis.writers import inventions


@pytest.fixture(scope="module")
def writers():
    return inventions(8, 3)


@pytest.fixture(scope="module")
def letter():
    glyph = np.zeros((30, 20), np.uint8)
    glyph[:, :4] = glyph[:, -4:] = glyph[13:17] = 255  # an H
    return glyph


def composer(writers, signs=(), seed=0):
    return Composer([(1, writers)], signs, seed)


def test_a_seed_gives_the_same_lines_and_another_gives_others(writers):
    one, again, other = (composer(writers, seed=seed) for seed in (1, 1, 2))
    lines = [(one.line(), again.line(), other.line()) for _ in range(20)]
    for ours, same, _ in lines:
        assert ours.text == same.text
        assert np.array_equal(ours.image, same.image)
        assert np.array_equal(ours.boxes, same.boxes)
    assert sum(ours.text != strange.text for ours, _, strange in lines) > 10


def test_a_line_is_a_grey_picture_with_a_box_a_digit_from_left_to_right(writers):
    scribe = composer(writers)
    for _ in range(100):
        line = scribe.line()
        assert line.image.dtype == np.uint8
        assert line.image.ndim == 2
        assert line.boxes.shape == (len(line.text), 4)
        left, top, right, bottom = line.boxes.T
        assert (left < right).all()
        assert (top < bottom).all()
        assert (np.diff(left + right) > 0).all()


def test_the_boxes_are_where_the_ink_is(writers):
    scribe = composer(writers, seed=4)
    inside, outside = [], []
    for _ in range(60):
        line = scribe.line("8" * 3)
        darkness = 255 - line.image.astype(float)
        mask = np.zeros(line.image.shape, bool)
        for left, top, right, bottom in line.boxes.clip(0):
            mask[top:bottom, left:right] = True
        if mask.any() and not mask.all():
            inside.append(darkness[mask].mean())
            outside.append(darkness[~mask].mean())
    assert np.mean(np.array(inside) > outside) > 0.9


def test_the_text_that_is_asked_for_is_written_with_as_many_digits(writers):
    scribe = composer(writers)
    for text in ("0", "1111", "20000", "1234567890"):
        line = scribe.line(text)
        assert line.text == text
        assert len(line.boxes) == len(text)


def test_texts_have_every_digit_and_length_and_many_are_round(writers):
    scribe = composer(writers)
    texts = [scribe.text() for _ in range(3000)]
    assert set(map(len, texts)) == set(range(1, 9))
    counts = Counter("".join(texts))
    assert set(counts) == set("0123456789")
    assert min(counts.values()) > 0.05 * sum(counts.values())
    assert 0.1 < np.mean([text.endswith("00") for text in texts if len(text) > 2]) < 0.4


def test_a_fifth_of_the_lines_show_no_digit_where_there_are_words_to_write(writers, letter):
    scribe = Composer([(1, writers)], [letter], 0, words=[letter])
    lines = [scribe.line() for _ in range(500)]
    silent = [line for line in lines if not line.text]
    assert 60 < len(silent) < 150
    assert all(line.boxes.shape == (0, 4) for line in silent)
    assert np.mean([np.ptp(line.image) > 30 for line in silent]) > 0.8, "something is seen"
    assert all(line.text for line in (composer(writers, [letter]).line() for _ in range(50)))


def test_no_line_however_askew_leaves_its_canvas(writers, letter):
    scribe = Composer([(1, writers)], [letter], 3, words=[letter])
    for _ in range(1500):
        line = scribe.line()
        assert line.image.size
        assert len(line.boxes) == len(line.text)


def test_writers_come_as_often_as_their_share_says():
    bright = [[[np.full((20, 10), 255, np.uint8)]] * 10]
    scribe = Composer([(3, bright), (1, [[[np.full((10, 20), 255, np.uint8)]] * 10])], (), 0)
    tall = []
    for _ in range(300):
        left, top, right, bottom = scribe.line("1").boxes[0]
        tall.append(bottom - top > right - left)
    assert 0.6 < np.mean(tall) < 0.9


def test_a_page_holds_its_numbers_apart_and_in_reading_order(writers):
    scribe = composer(writers)
    texts = [scribe.text() for _ in range(25)]
    page = scribe.page(texts)
    assert page.texts == tuple(texts)
    assert page.boxes.shape == (25, 4)
    height, width = page.image.shape
    assert width == 1240
    for i, (left, top, right, bottom) in enumerate(page.boxes):
        assert -5 <= left < right <= width + 5
        assert 0 <= top < bottom <= height
        for l2, t2, r2, b2 in page.boxes[:i]:
            assert right <= l2 or r2 <= left or bottom <= t2 or b2 <= top
    middles = [(top + bottom) / 2 for _, top, _, bottom in page.boxes]
    assert middles[-1] > middles[0]
    for before, after in zip(page.boxes, page.boxes[1:], strict=False):
        assert after[0] > before[0] or after[1] > before[1], "to the right, or on a line below"


def test_unseen_numbers_are_always_the_same():
    digits = hands(120)
    one, again = unseen(digits, count=5), unseen(digits, count=5)
    assert [line.text for line in one] == [line.text for line in again]
    assert all(np.array_equal(a.image, b.image) for a, b in zip(one, again, strict=True))
