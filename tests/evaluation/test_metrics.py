import json
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta, binom, binomtest
from sklearn import metrics

from digitnet import DataError, Digits, Scores, evaluate
from digitnet.evaluation.line_metrics import LineScores, edit_distance
from digitnet.evaluation.metrics import BINS, SHARES, _binomial_cdf, wilson_interval

LABEL = st.integers(0, 9)


def one_hot(predicted, sure=0.9):
    probs = np.full((len(predicted), 10), (1 - sure) / 9, np.float32)
    probs[np.arange(len(predicted)), predicted] = sure
    return probs


def score(labels, predicted, **how):
    digits = Digits(np.zeros((len(labels), 28, 28), np.uint8), np.asarray(labels))
    return evaluate(lambda images: one_hot(predicted, **how), digits)


def answers(confidence, right):
    """Scores of a classifier that was so sure of each digit, and right or not."""
    probs = np.zeros((len(confidence), 10))
    probs[:, 0], probs[:, 1] = confidence, 1 - np.asarray(confidence)
    return Scores(np.where(right, 0, 1).astype(np.uint8), probs.astype(np.float32), np.arange(len(probs)))


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
    low, high = wilson_interval(right, n)
    expected = binomtest(right, n).proportion_ci(0.95, "wilson")
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert 0 <= low <= right / n <= high <= 1


def test_scores_have_the_interval_of_their_accuracy():
    assert score([0, 0, 0], [0, 0, 1]).interval == wilson_interval(2, 3)


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
    scores = evaluate(lambda images: probs, digits)
    assert scores.ranked_errors().tolist() == [2, 0]
    worst = scores.worst()
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
    assert found["calibration_error"] == pytest.approx(0.4)
    assert [choice["rejected"] for choice in found["selection"]] == [0, 0, 0, 0, 0, 0]
    assert found["selection"][0] == {"threshold": pytest.approx(0.9), "rejected": 0, "n": 2, "errors": 1}
    assert json.loads(json.dumps(found)) == found


@pytest.mark.parametrize("seed", range(5))
def test_the_calibration_error_is_the_sum_over_the_bins(seed):
    rng = np.random.default_rng(seed)
    sure = rng.uniform(0.5, 1, 300)
    right = rng.random(300) < sure**2
    expected = 0.0
    for low in range(BINS):
        inside = [i for i in range(300) if low / BINS <= sure[i] < (low + 1) / BINS]
        if inside:
            accuracy = sum(bool(right[i]) for i in inside) / len(inside)
            expected += len(inside) / 300 * abs(accuracy - sum(sure[i] for i in inside) / len(inside))
    assert answers(sure, right).calibration_error == pytest.approx(expected, abs=1e-6)
    assert expected > 0.1


def test_who_is_as_often_right_as_sure_is_calibrated():
    assert answers([0.75] * 4, [True, True, True, False]).calibration_error == pytest.approx(0)
    assert answers([1.0] * 4, [True] * 4).calibration_error == 0
    assert answers([1.0] * 4, [False] * 4).calibration_error == 1


@given(st.lists(st.tuples(st.floats(0.51, 1), st.booleans()), min_size=1, max_size=40), st.floats(0, 1))
def test_a_share_sent_to_a_person_is_that_of_the_least_sure(pairs, share):
    scores = answers(*zip(*pairs, strict=True))
    sent = scores.rejecting(share)
    surest = sorted(scores.confidence, reverse=True)[: len(pairs) - round(share * len(pairs))]
    assert sent.n == len(surest)
    assert sent.rejected == pytest.approx(1 - len(surest) / len(pairs))
    assert sent.threshold == (surest[-1] if surest else 1)
    assert sent.error == (sent.errors / sent.n if surest else 0)
    if len(set(scores.confidence)) == len(pairs):
        wrong = scores.predicted != scores.labels
        assert sent.errors == wrong[scores.confidence >= sent.threshold].sum() * bool(surest)


def test_the_told_shares_begin_with_all_digits_kept():
    rng = np.random.default_rng(0)
    scores = answers(rng.uniform(0.5, 1, 1000), rng.random(1000) < 0.9)
    told = scores.to_dict()["selection"]
    assert [choice["rejected"] for choice in told] == list(SHARES)
    assert told[0]["errors"] == scores.n - scores.correct
    assert [choice["n"] for choice in told] == [1000, 998, 995, 990, 980, 950]


def largest_proven(scores, error, certainty):
    """The threshold of the largest selection proven by Clopper and Pearson's bound, every threshold tried."""
    wrong = scores.predicted != scores.labels
    for threshold in np.unique(scores.confidence):
        kept = scores.confidence >= threshold
        n, k = kept.sum(), wrong[kept].sum()
        bound = 1.0 if k == n else beta.ppf(certainty, k + 1, n - k)
        assert (bound <= error) == (binom.cdf(k, n, error) <= 1 - certainty)
        if bound <= error:
            return threshold, n, k
    return None


@pytest.mark.parametrize("error", [0.02, 0.05, 0.1])
@pytest.mark.parametrize("certainty", [0.3, 0.8, 0.95])
@pytest.mark.parametrize("places", [2, 6])  # with two, many digits are equally sure
def test_the_selection_is_the_largest_that_clopper_and_pearson_prove(error, certainty, places):
    found = set()
    for seed in range(6):
        rng = np.random.default_rng(seed)
        sure = rng.uniform(0.5, 1, 400).round(places)
        scores = answers(sure, rng.random(400) < 1 - (1 - sure) * rng.uniform(0.02, 0.5))
        chosen = scores.selection(error, certainty)
        expected = largest_proven(scores, error, certainty)
        assert (chosen and (chosen.threshold, chosen.n, chosen.errors)) == expected
        if chosen:
            assert (scores.confidence >= chosen.threshold).sum() == chosen.n
            assert chosen.rejected == pytest.approx(1 - chosen.n / 400)
        found.add(expected)
    assert len(found) > 1


def test_equally_sure_digits_are_kept_or_sent_together():
    sure, right = np.repeat([0.9, 0.6], [40, 60]), np.repeat([True, False], [70, 30])
    assert answers(sure, right).selection(error=0.1).n == 40  # 70 without an error, were 30 of the 60 kept
    assert answers(np.full(100, 0.9), right).selection(error=0.1) is None


def test_a_rate_of_a_thousandth_takes_2995_digits_without_an_error_to_prove():
    assert 0.999**2995 < 0.05 < 0.999**2994
    assert answers(np.full(2994, 0.9), np.full(2994, True)).selection() is None
    assert answers(np.full(2995, 0.9), np.full(2995, True)).selection().n == 2995


def test_a_classifier_that_is_mostly_wrong_gets_its_selection_without_a_sum(monkeypatch):
    monkeypatch.setattr(sys.modules[Scores.__module__], "_binomial_cdf", lambda *_: pytest.fail("summed"))
    rng = np.random.default_rng(0)
    scores = answers(rng.uniform(0.5, 1, 10_000), rng.random(10_000) < 0.1)
    assert scores.selection() is None


@given(st.integers(1, 3000), st.floats(0, 1), st.floats(1e-4, 0.5))
def test_the_binomial_distribution_is_scipys(n, share, p):
    k = round(share * n)
    assert _binomial_cdf(k, n, p) == pytest.approx(binom.cdf(k, n, p), rel=1e-8, abs=1e-12)


def test_scores_show_themselves_in_a_few_words():
    assert repr(score([1, 2], [1, 0])) == "<Scores: 50.00% of 2 correct, 95% interval 9.45% to 90.55%>"


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


def levenshtein(one, other):
    """By its definition, without a table."""
    if not one or not other:
        return len(one) + len(other)
    changed = levenshtein(one[:-1], other[:-1]) + (one[-1] != other[-1])
    return min(levenshtein(one[:-1], other) + 1, levenshtein(one, other[:-1]) + 1, changed)


@pytest.mark.parametrize("one", ["", "1", "12", "2121", "98765"])
@pytest.mark.parametrize("other", ["", "1", "21", "1212", "98756", "11111"])
def test_the_edit_distance_is_levenshteins(one, other):
    assert edit_distance(one, other) == levenshtein(one, other)


def line_scores():
    return LineScores(("12", "345", "6", "78"), ("12", "35", "9", "78"), np.array([0.9, 0.4, 0.8, 0.6], np.float32))


def test_numbers_are_right_where_all_of_them_is():
    scores = line_scores()
    assert scores.right.tolist() == [True, False, False, True]
    assert scores.accuracy == 0.5
    assert scores.character_errors == 2
    assert scores.character_error_rate == 2 / 8
    assert LineScores(("",), ("12",), np.ones(1, np.float32)).character_error_rate == 2, "of nothing, much is invented"
    assert repr(scores).startswith("<LineScores: 50.00% of 4 read exactly, 95% interval 15.00% to 85.00%>")


def test_the_worst_numbers_are_those_it_was_surest_of():
    worst = line_scores().worst()
    assert [(w.index, w.true, w.read) for w in worst] == [(2, "6", "9"), (1, "345", "35")]
    assert [w.confidence for w in worst] == pytest.approx([0.8, 0.4])
    assert len(line_scores().worst(1)) == 1
    many = LineScores(("1",) * 30, ("2",) * 30, np.full(30, 0.5, np.float32))
    assert [w.index for w in many.worst()] == list(range(10)), "ten, equals in their order"


def test_the_dictionary_of_numbers_holds_plain_values():
    found = line_scores().to_dict()
    assert found["n"] == 4
    assert found["errors"] == 2
    assert found["character_error_rate"] == 0.25
    assert [choice["rejected"] for choice in found["selection"][:3]] == [0, 0, 0]
    assert [choice["n"] for choice in found["selection"]] == [4, 4, 4, 3, 3, 2, 2, 2, 1]
    assert found["worst"][0] == {"index": 2, "true": "6", "read": "9", "confidence": pytest.approx(0.8)}
    assert json.loads(json.dumps(found)) == found


def test_the_dictionary_tells_each_digit_and_the_confused_ones():
    found = score([1, 1, 2, 2], [1, 2, 2, 2]).to_dict()
    assert found["errors"] == 1
    assert found["confused"] == [{"true": 1, "predicted": 2, "count": 1}]
    assert [each["digit"] for each in found["digits"]] == list(range(10))
    assert found["digits"][1] == {"digit": 1, "n": 2, "precision": 1, "recall": 0.5, "f1": pytest.approx(2 / 3)}
    assert found["digits"][2]["precision"] == pytest.approx(2 / 3)
    assert found["digits"][9] == {"digit": 9, "n": 0, "precision": 0, "recall": 0, "f1": 0}


def test_equal_confusions_and_errors_come_in_order_and_no_more_than_asked():
    true = np.repeat(np.arange(10), 9)
    predicted = np.array([other for digit in range(10) for other in range(10) if other != digit])
    scores = score(true, predicted)
    assert [(pair.true, pair.predicted) for pair in scores.confused(12)] == list(
        zip(true[:12].tolist(), predicted[:12].tolist(), strict=True)
    )
    assert len(scores.confused()) == 5
    assert [error.index for error in scores.worst()] == list(range(10))


def test_answers_that_are_no_probabilities_are_refused():
    digits = Digits(np.zeros((2, 28, 28), np.uint8), np.array([1, 2]))
    with pytest.raises(DataError, match=r"probs are \(2, 9\)"):
        evaluate(lambda images: np.zeros((2, 9)), digits)
    with pytest.raises(DataError, match="no digits to score"):
        evaluate(lambda images: np.zeros((0, 10)), digits[:0])
    with pytest.raises(DataError, match="digits without labels cannot be scored; load them with their labels"):
        evaluate(lambda images: np.zeros((2, 10)), Digits(digits.images))
