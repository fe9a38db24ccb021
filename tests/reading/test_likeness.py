import numpy as np
import pytest

from digitnet import Number
from digitnet.reading.likeness import likelier, prevalent


def test_the_same_likeness_counts_for_less_among_much_that_is_no_number():
    alone, among_numbers, among_words = (
        prevalent(np.array([0.7, *others]))[0] for others in ([], [0.99] * 20, [0.05] * 20)
    )
    assert among_words < 0.2 < 0.6 < alone < among_numbers
    assert among_numbers > 0.9


def numbers(*written, sure=0.9):
    return tuple(Number("".join(filter(str.isdigit, each)), sure, (0, 0, 9, 9), written=each) for each in written)


@pytest.mark.parametrize(
    ("found", "whole", "stays"),
    [
        (["3"], ["13"], "whole"),
        (["3"], ["1", "3"], "whole"),
        (["1", "3"], ["1", "3"], "found"),
        (["12", "50"], ["12.50"], "whole"),
        (["12", "50"], ["1250"], "found"),
        (["12"], ["1"], "found"),
        ([], ["7"], "whole"),
    ],
)
def test_a_picture_as_a_whole_is_preferred_where_it_shows_more_or_one_number(found, whole, stays):
    found, whole = numbers(*found), numbers(*whole)
    assert likelier(found, whole) == {"found": found, "whole": whole}[stays]


def test_other_digits_are_preferred_only_where_they_are_surer():
    assert likelier(numbers("7"), numbers("12", sure=0.8))[0].text == "7"
    assert likelier(numbers("7", sure=0.7), numbers("12", sure=0.8))[0].text == "12"
