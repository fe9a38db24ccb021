import itertools
import sys
from collections import defaultdict
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from digitnet import DataError
from digitnet.core.digits import DIGITS
from digitnet.models.onnx_models import only_digits
from digitnet.reading.constraints import Rules
from digitnet.reading.ctc import (
    BLANK,
    MIN_PERMITTED,
    MIN_RELATIVE_PROBABILITY,
    Hypothesis,
    align,
    decode,
    digit_probs,
    written,
)

decode_module = sys.modules["digitnet.reading.ctc"]

RULES = [
    Rules(),
    Rules(lengths=(2, 2)),
    Rules(lengths=(1, 3)),
    Rules(lengths=(4, 4)),
    Rules(low=10, high=99),
    Rules(high=120),
    Rules(low=5),
    Rules(checksum="luhn"),
    Rules(lengths=(3, 4), checksum="luhn"),
    Rules(lengths=(2, 3), low=7, high=450),
]


def log_softmax(scores):
    return (scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))).astype(np.float32)


def random_strip(seed, frames, spread):
    """Log-probabilities that mean nothing: (frames, 11) float32; the larger the spread, the surer."""
    return log_softmax(np.random.default_rng(seed).normal(size=(frames, 11)) * spread)


def written_strip(text, frames, seed=0, doubt=6.0):
    """Log-probabilities as a trained line reader's: blanks, and for each digit a peak of a frame or two."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(frames, 11))
    scores[:, BLANK] += 10
    for digit, start in zip(text, np.linspace(1, frames - 3, len(text)).astype(int), strict=True):
        peak = slice(start, start + rng.integers(1, 3))
        scores[peak, BLANK] -= 10
        scores[peak, int(digit)] += 10
        scores[peak, rng.integers(10)] += rng.uniform(0, doubt)
        scores[start - 1, int(digit)] += rng.uniform(0, 10)
    return log_softmax(scores)


@cache
def alignments(frames):
    """Every alignment, (11 ** frames, frames), and the string that each spells, by CTC's own definition."""
    paths = np.array(list(itertools.product(range(11), repeat=frames)))
    texts = [
        "".join(str(symbol) for symbol, _ in itertools.groupby(path) if symbol != BLANK) for path in paths.tolist()
    ]
    strings, which = np.unique(texts, return_inverse=True)
    return paths, strings.tolist(), which


def all_strings(log_probs):
    """The probability of every string that a short strip can show: every alignment, one by one."""
    paths, strings, which = alignments(len(log_probs))
    probs = np.exp(log_probs.astype(np.float64))
    probs /= probs.sum(axis=1, keepdims=True)
    weights = probs[np.arange(len(probs)), paths].prod(axis=1)
    return dict(zip(strings, np.bincount(which, weights).tolist(), strict=True))


def best(strings, count):
    ranked = sorted(strings.items(), key=lambda item: -item[1])[:count]
    return [(text, prob) for text, prob in ranked if prob > MIN_RELATIVE_PROBABILITY * ranked[0][1]]


SIGNED = DIGITS + ".-"


@cache
def with_signs(seed):
    """Log-probabilities of four frames over `SIGNED`, and the probability of every string, alignment by alignment."""
    log_probs = log_softmax(np.random.default_rng(seed).normal(size=(4, 13)) * 2)
    strings = {}
    for path in itertools.product(range(13), repeat=4):
        text = "".join(SIGNED[symbol] for symbol, _ in itertools.groupby(path) if symbol < 12)
        prob = np.exp(log_probs[range(4), path].sum(dtype=np.float64))
        strings[text] = strings.get(text, 0.0) + prob
    return log_probs, strings


def digits_of(text):
    return "".join(character for character in text if character in DIGITS)


@pytest.mark.parametrize("seed", range(3))
def test_digits_are_as_probable_as_all_strings_that_have_them_with_any_signs(seed):
    log_probs, strings = with_signs(seed)
    digits = only_digits(log_probs, SIGNED)
    assert digits.dtype == np.float32
    assert digits.shape == (4, 11)
    for path in decode(digits, count=8):
        total = sum(prob for text, prob in strings.items() if digits_of(text) == path.text)
        assert path.probability == pytest.approx(total, rel=1e-4)


@pytest.mark.parametrize("seed", range(3))
def test_what_is_written_is_the_most_probable_string_with_its_digits(seed):
    log_probs, strings = with_signs(seed)
    spelled = defaultdict(dict)
    for text, prob in strings.items():
        spelled[digits_of(text)][text] = prob
    for digits in {digits_of(text) for text in sorted(strings, key=strings.get)[-200:]}:
        same = spelled[digits]
        best = max(same, key=same.get)
        assert written(log_probs, SIGNED, digits) == (best, pytest.approx(same[best] / sum(same.values()), rel=1e-4))


def test_without_signs_what_is_written_are_the_digits():
    log_probs = written_strip("407", 30)
    assert written(log_probs, DIGITS, "407") == ("407", 1)
    assert np.array_equal(only_digits(log_probs, DIGITS), log_probs)


def test_what_cannot_be_there_is_written_as_its_digits():
    log_probs = np.full((2, 13), -50, np.float32)
    log_probs[:, 12] = 0
    assert written(log_probs, SIGNED, "12") == ("12", 0)
    with pytest.raises(DataError, match=r"expected floats \(frames, 13\): the characters 0123456789.-, then the blank"):
        written(log_probs[:, :11], SIGNED, "1")


@pytest.mark.parametrize("rules", RULES, ids=str)
@pytest.mark.parametrize("spread", [0.3, 1.0, 3.0])
def test_of_all_strings_the_most_probable_permitted_ones_are_found(rules, spread):
    for seed, frames in itertools.product(range(6), range(1, 5)):
        log_probs = random_strip(seed, frames, spread)
        everything = all_strings(log_probs)
        permitted = {text: prob for text, prob in everything.items() if rules.allows(text)}
        total = sum(permitted.values())
        paths = decode(log_probs, rules, 5)
        if total < MIN_PERMITTED:
            assert paths == []
            continue
        expected = best(permitted, 5)
        assert [path.text for path in paths] == [text for text, _ in expected]
        assert [path.alone for path in paths] == pytest.approx([prob for _, prob in expected])
        assert [path.probability for path in paths] == pytest.approx([prob / total for _, prob in expected])


def test_no_rules_and_empty_rules_are_the_same():
    log_probs = random_strip(0, 20, 4)
    assert decode(log_probs) == decode(log_probs, Rules())
    assert all(path.alone == path.probability for path in decode(log_probs))


@pytest.mark.parametrize(("frames", "length"), [(40, 5), (40, 12), (120, 16), (400, 30)])
def test_a_long_strip_reads_back_with_the_probability_that_torch_gives(frames, length):
    rng = np.random.default_rng(frames)
    text = "".join(rng.choice(list("0123456789"), length))
    log_probs = written_strip(text, frames)
    paths = decode(log_probs)
    assert paths[0].text == text
    loss = torch.nn.CTCLoss(blank=BLANK, reduction="none")
    for path in paths:
        exact = torch.from_numpy(log_probs).double()[:, None]
        exact = exact.log_softmax(2)
        target = torch.tensor([[int(digit) for digit in path.text]])
        nats = loss(exact, target, torch.tensor([frames]), torch.tensor([len(path.text)]))
        assert path.alone == pytest.approx(float(torch.exp(-nats)), rel=1e-9)


@given(st.integers(0, 10_000), st.integers(5, 60), st.floats(1, 8), st.integers(1, 20), st.sampled_from([None, *RULES]))
def test_answers_are_distinct_permitted_and_sorted_and_share_what_there_is(seed, frames, spread, count, rules):
    paths = decode(random_strip(seed, frames, spread), rules, count)
    probs = [path.probability for path in paths]
    assert len(paths) <= count
    assert len({path.text for path in paths}) == len(paths)
    assert probs == sorted(probs, reverse=True)
    assert all(0 < path.alone <= path.probability <= 1 for path in paths)
    assert sum(probs) <= 1 + 1e-9
    assert rules is None or all(rules.allows(path.text) for path in paths)
    assert paths or rules


def test_more_answers_only_add_less_probable_ones():
    for seed in range(10):
        log_probs = written_strip("30718", 40, seed)
        assert decode(log_probs, None, 12)[:4] == decode(log_probs, None, 4)


def test_an_empty_strip_shows_no_number():
    log_probs = np.full((400, 11), -np.inf, np.float32)
    log_probs[:, BLANK] = 0
    assert decode(log_probs) == [Hypothesis("", 1.0, 1.0)]
    assert decode(log_probs, Rules(lengths=(1, 5))) == []
    assert decode(log_probs, Rules(lengths=(0, 5))) == [Hypothesis("", 1.0, 1.0)]


def test_equal_digits_are_two_only_with_a_blank_between():
    log_probs = np.full((3, 11), -np.inf, np.float32)
    log_probs[[0, 1, 2], [7, 7, 7]] = 0
    assert [path.text for path in decode(log_probs)] == ["7"]
    log_probs[1] = -np.inf
    log_probs[1, BLANK] = 0
    assert [path.text for path in decode(log_probs)] == ["77"]


def test_a_rule_finds_the_right_length_however_improbable():
    log_probs = written_strip("48213", 40)
    (first, *_) = decode(log_probs, Rules(lengths=(6, 6)))
    assert len(first.text) == 6
    assert first.alone < 0.02 < 0.1 < first.probability
    assert decode(log_probs)[0].text == "48213"


def test_a_checksum_mends_a_doubtful_digit_and_says_what_the_image_alone_gives():
    probs = np.full((32, 11), 0.001)
    for place, digit in enumerate("4111171111111111"):
        probs[2 * place, int(digit)] = probs[2 * place + 1, BLANK] = 0.99
    probs[10, [7, 1]] = 0.6, 0.391
    log_probs = np.log(probs).astype(np.float32)
    misread = decode(log_probs)[0]
    mended = decode(log_probs, Rules(checksum="luhn"))[0]
    assert misread.text == "4111171111111111"
    assert mended.text == "4111111111111111"
    assert mended.alone == pytest.approx(misread.alone * 0.391 / 0.6, rel=0.01)
    assert mended.probability > 0.8


def test_where_the_image_shows_nothing_permitted_there_is_no_answer():
    sure = written_strip("12345", 40, doubt=0)
    sure[:, 9] = -60
    sure = log_softmax(sure.astype(np.float64))
    assert decode(sure, Rules(low=90000, high=99999)) == []
    assert decode(sure, Rules(low=12000, high=12999))[0].text == "12345"


@pytest.mark.parametrize("checksum", ["isbn", "ean", "iban-digits-de"])
def test_rules_hold_on_strips_that_say_nothing(checksum):
    rules = Rules(checksum=checksum)
    scores = np.random.default_rng(3).normal(size=(40, 11))
    scores[:, BLANK] += 3
    paths = decode(log_softmax(scores), rules)
    assert len(paths) == 5
    assert all(rules.allows(path.text) for path in paths)


def test_a_strip_of_400_frames_that_says_nothing_still_gives_answers():
    paths = decode(np.full((400, 11), -np.log(11), np.float32))
    assert len(paths) == 5
    assert all(0 < path.alone < 1e-200 for path in paths)


def test_an_alignment_is_the_most_probable_of_all():
    paths, strings, which = alignments(4)
    for seed in range(5):
        log_probs = random_strip(seed, 4, 1.5)
        worth = log_probs.astype(np.float64)[np.arange(4), paths].sum(axis=1)
        for text in [strings[place] for place in np.random.default_rng(seed).choice(len(strings), 40)]:
            spelling = np.flatnonzero(which == strings.index(text))
            path = paths[spelling[worth[spelling].argmax()]].tolist()
            frames = itertools.groupby(range(4), key=path.__getitem__)
            runs = [(symbol, list(run)) for symbol, run in frames]
            assert align(log_probs, text) == [(run[0], run[-1] + 1) for symbol, run in runs if symbol != BLANK]


def test_characters_are_aligned_where_they_were_written():
    spans = align(written_strip("90210", 60), "90210")
    starts = np.linspace(1, 57, 5)
    assert all(
        abs(start - wrote) <= 1 and 1 <= stop - start <= 3 for (start, stop), wrote in zip(spans, starts, strict=True)
    )
    assert align(written_strip("9", 10), "") == []


def test_an_impossible_text_is_still_aligned_in_order():
    log_probs = np.full((6, 11), -np.inf, np.float32)
    log_probs[:, BLANK] = 0
    spans = align(log_probs, "112")
    assert all(start < stop for start, stop in spans)
    assert spans[0][1] < spans[1][0]
    assert spans[1][1] <= spans[2][0]


def test_each_place_is_shared_as_its_ten_strings_are():
    for seed in range(20):
        log_probs = random_strip(seed, 5 if seed < 3 else 4, 1.5)
        strings = all_strings(log_probs)
        for text in ["7", "11", "38", "123", "404"]:
            for place, row in enumerate(digit_probs(log_probs, text)):
                ten = [strings.get(f"{text[:place]}{digit}{text[place + 1 :]}", 0) for digit in range(10)]
                assert row == pytest.approx(np.array(ten) / sum(ten), rel=1e-5, abs=1e-12)


@given(st.integers(0, 10_000), st.integers(10, 400), st.floats(0.1, 10), st.text("0123456789", max_size=5))
def test_the_ten_shares_of_a_place_sum_to_one(seed, frames, spread, text):
    shares = digit_probs(random_strip(seed, frames, spread), text)
    assert shares.shape == (len(text), 10)
    assert shares.dtype == np.float32
    assert shares.sum(axis=1) == pytest.approx(1)


def test_a_place_is_even_where_no_digit_is_possible():
    log_probs = np.full((6, 11), -np.inf, np.float32)
    log_probs[:, BLANK] = 0
    assert (digit_probs(log_probs, "12") == np.float32(0.1)).all()


@pytest.mark.parametrize(
    ("log_probs", "message"),
    [
        (np.zeros((4, 10), np.float32), "log-probabilities are (4, 10) float32, expected floats (frames, 11)"),
        (np.zeros((0, 11), np.float32), "log-probabilities are (0, 11) float32, expected floats (frames, 11)"),
        (np.zeros((4, 11), np.int64), "log-probabilities are (4, 11) int64, expected floats (frames, 11)"),
        (np.zeros((4, 11), np.float32), "frame 0: its probabilities sum to 11, expected 1; apply log-softmax"),
        (np.full((4, 11), 999, np.float64), "frame 0: its probabilities sum to inf, expected 1; apply log-softmax"),
        (np.full((4, 11), np.nan), "frame 0: its probabilities sum to nan, expected 1; apply log-softmax"),
    ],
)
def test_what_are_no_log_probabilities_is_refused(log_probs, message):
    for refuses in [decode, lambda array: align(array, "1"), lambda array: digit_probs(array, "1")]:
        with pytest.raises(DataError) as error:
            refuses(log_probs)
        assert str(error.value).startswith(message)


@pytest.mark.parametrize("refuses", [align, digit_probs])
def test_a_text_that_cannot_be_there_is_refused(refuses):
    log_probs = random_strip(0, 4, 1)
    with pytest.raises(DataError, match=r"^text '7a': expected digits 0 to 9 only$"):
        refuses(log_probs, "7a")
    with pytest.raises(DataError, match=r"^text '111': needs 5 frames, a blank between equal digits; the strip has 4$"):
        refuses(log_probs, "111")


def test_no_count_is_refused():
    with pytest.raises(DataError, match=r"^count 0: must be 1 or more$"):
        decode(random_strip(0, 4, 1), None, 0)


@pytest.mark.parametrize("rules", [None, Rules(lengths=(300, 600)), Rules(checksum="luhn")])
def test_a_long_strip_that_says_nothing_is_searched_within_bounds(rules, monkeypatch):
    followed = []
    extend = decode_module._extend
    monkeypatch.setattr(decode_module, "_extend", lambda *given: followed.append(1) or extend(*given))
    strip = random_strip(0, 600, 1.0)
    paths = decode(strip, rules)
    assert paths
    assert len(followed) <= decode_module.MAX_PREFIXES + len(strip)


def test_an_honest_strip_is_searched_as_far_as_ever(monkeypatch):
    strips = [written_strip("1984" * 6, 300, seed, doubt=10) for seed in range(5)]
    expected = [decode(strip) for strip in strips]
    monkeypatch.setattr(decode_module, "MAX_PREFIXES", 10**9)
    assert [decode(strip) for strip in strips] == expected
