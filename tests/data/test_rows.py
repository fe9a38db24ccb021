import string

import numpy as np
import pytest

from digitnet.data.synthesis.rows import DRAWN_MARKS, LONGEST, RowScribe, row_text
from digitnet.data.synthesis.strokes import inventions
from digitnet.data.synthesis.texts import ALPHABET, OTHER, SIGNS


def strokes(*runs):
    return tuple(np.array(run, np.float32) for run in runs)


@pytest.fixture(scope="module")
def scribe():
    signs = {sign: [strokes([[0.3, 0], [0, 1]])] for sign in SIGNS + DRAWN_MARKS + "#"}
    letters = {letter: [strokes([[0, 0], [0.6, 0.2], [0, 1]])] for letter in string.ascii_letters}
    letters |= {"das": [strokes([[0, 0.5], [0.2, 1], [0.3, 0], [0.6, 1], [1, 0.4]])]}

    def writer(seed, rows=1.0):
        made = RowScribe([(1.0, inventions(6, 3))], signs, letters, seed)
        made.rows = rows
        return made

    return writer


def test_rows_are_formulas_assignments_and_words_of_known_characters():
    rng = np.random.default_rng(3)
    texts = [row_text(rng) for _ in range(600)]
    assert max(map(len, texts)) <= LONGEST
    assert {one for text in texts for one in text} <= set(ALPHABET + string.ascii_letters + DRAWN_MARKS + " ")
    assert sum("(" in text for text in texts) > 50
    assert sum("=" in text for text in texts) > 200
    assert sum(any(one in string.ascii_letters for one in text) for text in texts) > 300


def test_letters_of_a_row_are_other_marks_and_every_digit_has_its_box(scribe):
    writer = scribe(1)
    lines = [line for line in (writer.line() for _ in range(120)) if line.written is not None]
    assert sum(line.written.count(OTHER) > 2 for line in lines) > 40
    for line in lines:
        assert set(line.written) <= set(ALPHABET)
        assert len(line.boxes) == len(line.text)
        assert (line.boxes[:, 0] < line.boxes[:, 2]).all()


def test_a_seed_gives_the_same_rows(scribe):
    one, again = scribe(5), scribe(5)
    for _ in range(10):
        ours, theirs = one.line(), again.line()
        assert ours.written == theirs.written
        assert np.array_equal(ours.image, theirs.image)


def test_sides_of_boxes_are_drawn_beside_rows_alone(scribe, monkeypatch):
    drawn = []
    sides = RowScribe._sides
    monkeypatch.setattr(RowScribe, "_sides", lambda self, sheet: (drawn.append(1), sides(self, sheet)))
    writer = scribe(2, rows=0.0)
    for _ in range(60):
        writer.line()
    assert not drawn
    writer = scribe(2)
    for _ in range(60):
        writer.line()
    assert 15 < len(drawn) < 45
