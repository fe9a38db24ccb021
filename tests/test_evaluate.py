import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn import metrics

from digitnet import DataError, Digits, evaluate

LABEL = st.integers(0, 9)


def one_hot(predicted, sure=0.9):
    probs = np.full((len(predicted), 10), (1 - sure) / 9, np.float32)
    probs[np.arange(len(predicted)), predicted] = sure
    return probs


def score(labels, predicted, **how):
    digits = Digits(np.zeros((len(labels), 28, 28), np.uint8), np.asarray(labels))
    return evaluate(lambda images: one_hot(predicted, **how), digits)


@given(st.lists(st.tuples(LABEL, LABEL), min_size=1, max_size=60))
def test_every_number_agrees_with_scikit_learn(pairs):
    labels, predicted = map(list, zip(*pairs, strict=True))
    scores = score(labels, predicted)
    assert scores.accuracy == pytest.approx(metrics.accuracy_score(labels, predicted))
    assert (scores.confusion == metrics.confusion_matrix(labels, predicted, labels=range(10))).all()
    expected = metrics.precision_recall_fscore_support(labels, predicted, labels=range(10), zero_division=0)
    for ours, theirs in zip((scores.precision, scores.recall, scores.f1), expected, strict=False):
        assert ours == pytest.approx(theirs)


@given(st.integers(1, 20_000), st.floats(0, 1))
def test_the_interval_is_wilsons(n, share):
    right = round(n * share)
    low, high = score(np.zeros(n, int), np.repeat([0, 1], [right, n - right])).interval
    expected = binomtest(right, n).proportion_ci(0.95, "wilson")
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert 0 <= low <= right / n <= high <= 1


def test_the_confusion_matrix_has_all_ten_classes_with_rows_true():
    scores = score([4, 4, 9], [9, 4, 9])
    assert scores.confusion.shape == (10, 10)
    assert scores.confusion.dtype == np.int64
    assert scores.confusion[4, 9] == 1
    assert scores.confusion.sum() == 3


def test_confusions_come_most_frequent_first():
    pairs = score([4, 4, 4, 7, 7, 1], [9, 9, 4, 2, 7, 1]).confused()
    assert [(pair.true, pair.predicted, pair.count) for pair in pairs] == [(4, 9, 2), (7, 2, 1)]


def test_the_worst_errors_are_those_it_was_surest_of():
    digits = Digits(np.zeros((3, 28, 28), np.uint8), np.array([1, 2, 3]))
    probs = np.vstack([one_hot([7], 0.6), one_hot([2], 0.9), one_hot([5], 0.8)])
    worst = evaluate(lambda images: probs, digits).worst()
    assert [(error.index, error.true, error.predicted) for error in worst] == [(2, 3, 5), (0, 1, 7)]
    assert worst[0].probability == pytest.approx(0.8)


def test_leaving_digits_out_keeps_the_indices_of_the_others():
    rest = score([1, 2, 3, 4], [1, 0, 0, 0]).without([1])
    assert rest.n == 3
    assert rest.accuracy == pytest.approx(1 / 3)
    assert {error.index for error in rest.worst()} == {2, 3}


def test_the_dictionary_holds_the_promised_plain_values():
    found = score([1, 2], [1, 0]).to_dict()
    assert found["accuracy"] == 0.5
    assert found["n"] == 2
    assert len(found["interval"]) == 2
    assert np.array(found["confusion"]).shape == (10, 10)
    assert found["worst"] == [{"index": 1, "true": 2, "predicted": 0, "probability": pytest.approx(0.9)}]


def test_scores_show_themselves_in_a_few_words():
    assert repr(score([1, 2], [1, 0])) == "<Scores: 50.00% of 2 right, 95 % interval 9.45% to 90.55%>"


@pytest.mark.parametrize(
    ("digits", "answer", "words"),
    [
        (Digits(np.zeros((1, 28, 28), np.uint8)), one_hot([1]), "without labels"),
        (Digits(np.zeros((0, 28, 28), np.uint8), np.zeros(0, int)), one_hot([]), "no digits"),
        (Digits(np.zeros((2, 28, 28), np.uint8), np.zeros(2, int)), one_hot([1]), "expected (2, 10)"),
        (Digits(np.zeros((1, 28, 28), np.uint8), np.zeros(1, int)), np.full((1, 10), np.nan), "outside 0..1"),
    ],
)
def test_what_cannot_be_scored_is_said(digits, answer, words):
    with pytest.raises(DataError) as caught:
        evaluate(lambda images: answer, digits)
    assert words in str(caught.value)
