import numpy as np
import pytest
from scipy.stats import binom, binomtest, chi2

from digitnet import DataError
from digitnet.evaluation.comparison import Comparison, mcnemar
from digitnet.evaluation.metrics import Scores
from digitnet.evaluation.report.summary import verdict


def scored(right, confidence=0.9, index=None):
    """Scores of digits that are all 1, read as 1 where `right` and as 7 elsewhere."""
    right = np.asarray(right, bool)
    sure = np.broadcast_to(np.float32(confidence), right.shape)
    probs = np.zeros((len(right), 10), np.float32)
    probs[np.arange(len(right)), np.where(right, 1, 7)] = sure
    probs[:, 0] = 1 - sure
    return Scores(np.ones(len(right), np.uint8), probs, np.arange(len(right)) if index is None else index)


@pytest.mark.parametrize("split", [(0, 1), (5, 0), (3, 9), (9, 3), (12, 12), (40, 20), (300, 220), (2000, 2100)])
def test_mcnemars_test_is_scipys_exact_binomial_test(split):
    assert mcnemar(*split) == pytest.approx(binomtest(split[0], sum(split)).pvalue, rel=1e-9)


def test_mcnemars_test_agrees_with_the_sum_of_its_tails_and_with_chi_squared_for_many():
    assert mcnemar(7, 19) == pytest.approx(2 * binom.cdf(7, 26, 0.5))
    corrected = (abs(1000 - 1100) - 1) ** 2 / 2100
    assert mcnemar(1000, 1100) == pytest.approx(chi2.sf(corrected, 1), rel=0.01)


def test_models_that_never_differ_are_not_told_apart():
    assert mcnemar(0, 0) == 1
    same = scored([True, False])
    assert Comparison(same, same).p == 1
    assert verdict(Comparison(same, same), "a", "b") == "a and b read exactly the same digits correctly."


def test_a_comparison_counts_who_alone_was_right_surest_first():
    one = scored([True, True, True, False, False], [0.55, 0.7, 0.6, 0.8, 0.9])
    other = scored([True, False, False, True, False])
    found = Comparison(one, other)
    assert found.only_one.tolist() == [1, 2]
    assert found.only_other.tolist() == [3]
    assert found.both_wrong == 1
    assert found.p == mcnemar(2, 1)


@pytest.mark.parametrize("index", [[0, 2], [0, 1, 2]])
def test_scores_of_other_digits_cannot_be_compared(index):
    with pytest.raises(DataError, match="different digits"):
        Comparison(scored([True, False]), scored([True] * len(index), index=np.array(index)))


@pytest.mark.parametrize(
    ("alone", "said"),
    [
        ((10, 0), "a alone reads 10 digits correctly, b alone 0: a is significantly better than b (p = 0.002,"),
        ((0, 40), "b is significantly better than a (p < 0.0001,"),
        ((3, 2), "the lead of a may be chance (p = 1, McNemar's exact test)."),
        ((1, 1), "a alone reads 1 digit correctly, b alone 1: a tie."),
    ],
)
def test_a_verdict_says_whether_it_may_be_chance(alone, said):
    one = scored([True] * alone[0] + [False] * alone[1])
    other = scored([False] * alone[0] + [True] * alone[1])
    assert said in verdict(Comparison(one, other), "a", "b")
