from dataclasses import replace

import numpy as np
import pytest

from digitnet.data.synthesis.handstyle import random_style
from digitnet.data.synthesis.pens import Pen, draw, random_pen
from digitnet.data.synthesis.scribe import Scribe
from digitnet.data.synthesis.strokes import inventions, ticks
from digitnet.data.synthesis.texts import ALPHABET, OTHER, SIGNS, TICK, random_text
from digitnet.data.unipen import SPACING, held_out, normalized


def strokes(*runs):
    return tuple(np.array(run, np.float32) for run in runs)


@pytest.fixture(scope="module")
def hands():
    return inventions(6, 3)


@pytest.fixture(scope="module")
def signs():
    slanted = {sign: [strokes([[0.3, 0], [0, 1]])] for sign in SIGNS + "#*"}
    return slanted | {".": [strokes([[0, 0]])], "-": [strokes([[0, 0], [1, 0]])]}


@pytest.fixture(scope="module")
def letters():
    return {
        "H": [strokes([[0, 0], [0, 1]], [[0.6, 0], [0.6, 1]], [[0, 0.5], [0.6, 0.5]])],
        "das": [strokes([[0, 0.5], [0.2, 1], [0.3, 0], [0.6, 1], [1, 0.4]])],
    }


def scribe(hands, signs, letters, seed=0, **more):
    return Scribe([(1.0, hands)], signs, letters, seed, **more)


def test_a_seed_gives_the_same_lines_and_another_gives_others(hands, signs, letters):
    one, again, other = (scribe(hands, signs, letters, seed) for seed in (1, 1, 2))
    pairs = [(one.line(), again.line(), other.line()) for _ in range(30)]
    for ours, same, _ in pairs:
        assert ours.written == same.written
        assert np.array_equal(ours.image, same.image)
        assert np.array_equal(ours.boxes, same.boxes)
    assert sum(ours.written != strange.written for ours, _, strange in pairs) > 15


def test_a_line_is_a_grey_image_with_a_box_for_every_digit_from_left_to_right(hands, signs, letters):
    writer = scribe(hands, signs, letters, 5)
    for _ in range(200):
        line = writer.line()
        assert line.image.dtype == np.uint8
        assert min(line.image.shape) >= 4
        assert line.boxes.shape == (len(line.text), 4)
        left, top, right, bottom = line.boxes.T
        assert (left < right).all()
        assert (top < bottom).all()
        assert set(line.written or "") <= set(ALPHABET)


def test_what_is_asked_for_is_written(hands, signs, letters):
    writer = scribe(hands, signs, letters, 1)
    for text in ("0", "1111", "12.500,-", "-3", "12/03/96", "(808) 555-1234", "50%", "7?"):
        line = writer.line(text)
        assert line.written == text.replace(" ", "")
        assert line.text == "".join(filter(str.isdigit, text))


def test_boxes_are_where_the_ink_is(hands, signs, letters):
    writer = scribe(hands, signs, letters, 4)
    darker = []
    for _ in range(80):
        line = writer.line("888")
        mask = np.zeros(line.image.shape, bool)
        for left, top, right, bottom in line.boxes.clip(0).astype(int):
            mask[top:bottom, left:right] = True
        if mask.any() and not mask.all():
            darker.append(line.image[mask].mean() < line.image[~mask].mean())
    assert np.mean(darker) > 0.85


def test_a_digit_alone_is_written_by_a_hand_that_knows_it(hands, signs, letters):
    writer = scribe([{"7": hands[0]["7"]}, {"1": hands[1]["1"]}], signs, letters, 3)
    for value in (1, 7) * 5:
        ink = writer.digit(value)
        assert ink.dtype == np.uint8
        assert min(ink.shape) > 1
        assert ink.max() == 255


def test_some_writers_draw_ones_taller_than_other_digits(hands, signs, letters):
    def tallest(tails):
        writer = scribe(hands, signs, letters, 7)
        style = replace(random_style(np.random.default_rng(1)), tails=tails, uneven=0.0)
        return [writer._place("1", style)[0] for _ in range(50)], [writer._place("8", style)[0] for _ in range(50)]

    ones, eights = tallest(0.4)
    assert min(ones) > 1.15
    assert max(ones) < 1.5
    assert set(eights) == {1.0}
    assert set(tallest(0.0)[0]) == {1.0}


def test_some_lines_show_no_digit_and_of_textures_nothing_is_to_be_read(hands, signs, letters):
    lines = [scribe(hands, signs, letters, seed, nothing=1.0).line() for seed in range(120)]
    assert not any(line.text for line in lines)
    assert {OTHER} <= {character for line in lines for character in line.written or ""}
    assert 0.2 < np.mean([line.written is None for line in lines]) < 0.7


def test_texts_are_of_the_alphabet_and_of_every_kind():
    rng = np.random.default_rng(0)
    texts = [random_text(rng) for _ in range(4000)]
    assert set("".join(texts)) == set(ALPHABET + " ")
    assert all(any(map(str.isdigit, text)) for text in texts)
    assert 0.3 < np.mean([text.isdigit() for text in texts]) < 0.6
    assert any("/" in text for text in texts)
    assert any(text.endswith(".-") for text in texts)


def test_broader_pens_leave_more_ink():
    path = [np.array([[20, 20], [20, 80], [60, 80]], np.float32)]
    inks = []
    for width in (0.05, 0.1, 0.2):
        canvas = np.zeros((100, 100), np.uint8)
        draw(canvas, path, Pen(width), 60, np.random.default_rng(0))
        inks.append(int(canvas.sum()))
    assert inks[0] < inks[1] < inks[2]


def test_every_pen_leaves_ink_and_skips_leave_less():
    path = [np.stack([np.linspace(10, 90, 40), np.full(40, 50.0)], axis=1).astype(np.float32)]
    rng = np.random.default_rng(0)
    for _ in range(60):
        canvas = np.zeros((100, 100), np.uint8)
        draw(canvas, path, random_pen(rng), 60, rng)
        assert canvas.any()
    whole, broken = (np.zeros((100, 100), np.uint8) for _ in range(2))
    draw(whole, path, Pen(0.03), 60, rng)
    draw(broken, path, Pen(0.03, skips=0.8), 60, rng)
    assert broken.astype(int).sum() < 0.9 * whole.astype(int).sum()


def test_strokes_are_moved_scaled_and_their_points_evenly_spaced():
    path, dot = normalized([np.array([[10, 10], [10, 510], [110, 510]], np.float32), np.array([[60, 60]], np.float32)])
    assert path.min() == 0
    assert path[:, 1].max() == pytest.approx(1)
    steps = np.hypot(*np.diff(path, axis=0).T)
    assert steps == pytest.approx(SPACING, rel=0.35)
    assert dot == pytest.approx(np.array([[0.1, 0.1]]))


def test_one_writer_in_eight_is_held_out_always_the_same():
    names = [f"writer {i}" for i in range(4000)]
    share = np.mean([held_out(name) for name in names])
    assert 0.1 < share < 0.15
    assert [held_out(name) for name in names[:50]] == [held_out(name) for name in names[:50]]


def test_a_check_mark_alone_is_another_mark(hands, signs, letters):
    only = {"-": signs["-"], TICK: ticks(9)}
    writer = scribe(hands, only, {}, 2, nothing=1.0)
    assert writer.marks == [TICK] * 6
    written = [writer.line().written for _ in range(300)]
    assert written.count(OTHER) > 10
