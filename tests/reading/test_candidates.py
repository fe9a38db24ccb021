import numpy as np
import pytest
from helpers import Says

from digitnet.reading.candidates import terms

WIDTH = 400


def ends_of(text):
    return terms(Says(*text).columns(WIDTH))


@pytest.mark.parametrize(
    ("text", "count"),
    [
        *(("1+3", 2), ("12+30=42", 3), ("1+=3", 2), ("1+(2+3)=6", 4)),
        *(("12.50", 1), ("=12", 1), ("+49-30", 1), ("100,=", 1), ("456-7890", 1), ("=", 1), ("", 1), ("+=", 1)),
    ],
)
def test_numbers_are_parted_at_signs_of_arithmetic_between_digits(text, count):
    ends = ends_of(text)
    assert len(ends) == count
    assert ends[0][0] == 0
    assert ends[-1][1] >= WIDTH
    flat = np.ravel(ends)
    assert (np.diff(flat) >= 0).all()


def test_each_term_has_its_digits_and_not_the_sign():
    columns = Says(*"12+34").columns(WIDTH)
    (_, left), (right, _) = terms(columns)
    spikes = columns.characters[:, :-1].max(axis=1) > -1
    middles = columns.boxes[spikes][:, [0, 2]].mean(axis=1)
    assert middles[1] < left < middles[2] < right < middles[3]


def test_a_minus_belongs_to_the_number_after_it():
    (_, _), (left, _) = ends_of("5=-2")
    columns = Says(*"5=-2").columns(WIDTH)
    minus = columns.boxes[columns.characters[:, columns.alphabet.index("-")] > -1][0, [0, 2]].mean()
    assert left < minus
