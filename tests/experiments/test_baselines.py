import numpy as np
import pytest
from helpers import draw_digits

from digitnet import Digits, evaluate
from digitnet.core.errors import DataError
from digitnet.experiments.baselines import BASELINES, calibrated, fit, size


@pytest.fixture(scope="module")
def fitted(drawn):
    return {name: fit(name, drawn[:400], 0) for name in BASELINES}


@pytest.mark.parametrize("name", BASELINES)
def test_a_baseline_answers_as_its_estimator_does(name, fitted, drawn):
    classify = calibrated(fitted[name], drawn[400:])
    unseen = draw_digits(200, 1)
    probs = classify(unseen.images)
    assert probs.shape == (200, 10)
    assert probs.dtype == np.float32
    assert probs.sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert evaluate(classify, unseen).accuracy > 0.7
    said = fitted[name].predict(unseen.images.reshape(200, -1) / np.float32(255))
    assert (probs.argmax(axis=1) == said).mean() >= 0.98  # votes of the SVM may tie


@pytest.mark.parametrize("name", BASELINES)
def test_calibration_makes_the_labels_more_probable(name, fitted, drawn):
    from scipy.special import log_softmax

    valid = drawn[400:]
    pixels = valid.images.reshape(len(valid), -1) / np.float32(255)
    raw = fitted[name]
    decided = getattr(raw, "decision_function", None)
    logits = decided(pixels) if decided else np.log(raw.predict_proba(pixels) + 1e-12)
    rows = np.arange(len(valid))
    probs = calibrated(raw, valid)(valid.images)[rows, valid.labels]
    assert np.log(probs + 1e-12).mean() >= log_softmax(logits, axis=1)[rows, valid.labels].mean() - 1e-3


def test_a_digit_that_was_never_seen_has_no_probability(drawn):
    some = drawn[drawn.labels < 7]
    probs = calibrated(fit("logistic", some[:200], 0), some[200:])(drawn.images)
    assert (probs[:, 7:] == 0).all()
    assert probs.sum(axis=1) == pytest.approx(1, abs=1e-5)


def test_a_seed_changes_the_forest_and_nothing_else(drawn):
    for name, baseline in BASELINES.items():
        one, other = (calibrated(fit(name, drawn[:100], seed), drawn[100:250])(drawn.images) for seed in (0, 1))
        assert (one != other).any() == baseline.seeded, name


def test_what_the_tables_say_is_what_is_fitted():
    for baseline in BASELINES.values():
        made = baseline.make(3)
        name, _, words = baseline.about.removesuffix(")").partition("(")
        assert type(made).__name__ == name
        for word in words.split(", "):
            key, _, value = word.rpartition("=")
            said = made.get_params()[key or "n_neighbors" if name.startswith("K") else key or "n_estimators"]
            assert str(said) == value.strip('"').replace("SEED", "3")


def test_size_is_that_of_what_would_be_saved(fitted):
    assert size(fitted["knn"]) > 400 * 784 * 4
    assert size(fitted["logistic"]) < 200_000


def test_digits_without_labels_are_an_error(drawn):
    with pytest.raises(DataError, match="labelled digits"):
        fit("knn", Digits(drawn.images), 0)
