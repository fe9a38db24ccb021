from dataclasses import replace

import numpy as np
from helpers import Says

from digitnet.models.onnx_models import only_digits
from digitnet.reading.constraints import Rules
from digitnet.reading.ctc import decode
from digitnet.reading.spelling import spelt

WIDTH = 400


def read_so(text, rules):
    columns = spelt(Says(*text).columns(WIDTH), rules)
    read = columns.characters.argmax(axis=1)
    return "".join(columns.alphabet[place] for place in read if place < len(columns.alphabet)), decode(
        columns.log_probs
    )[0].text


def test_where_a_kind_has_no_slash_it_is_a_one_that_leans():
    assert read_so("2/5.09", Rules(kind="decimal")) == ("215.09", "21509")
    assert read_so("7/3", Rules(kind="digits")) == ("713", "713")
    assert read_so("12/5", Rules(kind="fraction"))[0] == "12/5"
    assert read_so("7/3", Rules((3, 3)))[1] == "73"


def test_a_slash_before_the_strokes_that_end_an_amount_stays_one():
    assert read_so("1/5/-", Rules(kind="decimal")) == ("115/-", "115")


def hesitating(text, place, share, tall):
    """Columns of a text whose slash at a place is a 1 by all but a share, and so much higher than the digits."""
    columns = Says(*text).columns(WIDTH)
    slash = columns.alphabet.index("/")
    at = np.flatnonzero(columns.characters.argmax(axis=1) < len(columns.alphabet))[place]
    characters, boxes = columns.characters.copy(), columns.boxes.copy()
    characters[at] = np.log(1e-6)
    characters[at, 1], characters[at, slash] = np.log(1 - share), np.log(share)
    characters -= np.logaddexp.reduce(characters, axis=1, keepdims=True)
    slashes = characters[:, slash] > np.log(share / 2)
    boxes[:, 1], boxes[:, 3] = np.where(slashes, 30 - 20 * tall, 10), 30
    return replace(columns, characters=characters, boxes=boxes, log_probs=only_digits(characters, columns.alphabet))


def read_without_kind(columns):
    return decode(spelt(columns, None).log_probs)[0].text


def test_a_tall_slash_of_a_date_outweighs_a_1():
    assert read_without_kind(hesitating("8/4", 1, 0.2, 1.3)) == "84"
    assert read_without_kind(hesitating("8/4", 1, 0.2, 1.0)) == "814", "as high as the digits"
    assert read_without_kind(hesitating("8/4", 1, 0.01, 1.3)) == "814", "hardly a slash"
    assert read_without_kind(hesitating("12/21/91", 2, 0.2, 1.3)) == "122191"
    assert read_without_kind(hesitating("40/21/91", 2, 0.2, 1.3)) == "4012191", "no such day"
