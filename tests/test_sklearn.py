"""`digitnet.sklearn.DigitClassifier` as scikit-learn expects its classifiers."""

import pickle
import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import check_estimator

from digitnet.sklearn import FROM_DIGITS, DigitClassifier

POINTS = "fits points of 1 to 10 features without meaning, and images have a square number of pixels, 64 or more"

NOT_FOR_IMAGES = dict.fromkeys(
    (
        *("check_classifier_data_not_an_array", "check_classifiers_classes", "check_classifiers_train"),
        *("check_dict_unchanged", "check_dont_overwrite_parameters", "check_dtype_object", "check_estimators_dtypes"),
        *("check_estimators_fit_returns_self", "check_estimators_nan_inf", "check_estimators_overwrite_params"),
        *("check_estimators_pickle", "check_f_contiguous_array_estimator", "check_fit2d_1feature"),
        *("check_fit2d_predict1d", "check_fit_check_is_fitted", "check_fit_idempotent", "check_fit_score_takes_y"),
        *("check_methods_sample_order_invariance", "check_methods_subset_invariance", "check_n_features_in"),
        *("check_n_features_in_after_fitting", "check_pipeline_consistency", "check_readonly_memmap_input"),
        "check_supervised_y_2d",
    ),
    POINTS,
)
"""Scikit-learn's checks that cannot pass, and why."""


@pytest.fixture(scope="module")
def small():
    return DigitClassifier(epochs=8, batch_size=64, device="cpu")


def test_it_learns_and_answers_in_the_labels_it_was_given(small, drawn):
    names = np.array([f"digit {label}" for label in drawn.labels])
    model = clone(small).fit(drawn.images[:500], names[:500])
    assert model.score(drawn.images[500:], names[500:]) > 0.9
    probs = model.predict_proba(drawn.images[500:])
    assert probs.shape == (100, 10)
    assert probs.sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert (model.classes_[probs.argmax(1)] == model.predict(drawn.images[500:])).all()
    assert len(model.history_) == 8
    again = pickle.loads(pickle.dumps(model))
    assert (again.predict(drawn.images[500:]) == model.predict(drawn.images[500:])).all()


def test_the_same_seed_gives_the_same_answers_and_images_come_in_any_layout(small, drawn):
    some = drawn[:200]
    flat = clone(small).fit(some.images.reshape(200, 784) / 255, some.labels)
    square = clone(small).fit(some.images, some.labels)
    assert flat.scale_ == 255
    assert square.scale_ == 1
    assert (flat.predict_proba(some.images / 255) == square.predict_proba(some.images)).all()
    other = clone(small).set_params(random_state=7).fit(some.images, some.labels)
    assert (other.predict_proba(some.images) != square.predict_proba(some.images)).any()


def test_a_few_labels_have_a_probability_each(small, drawn):
    few = drawn[drawn.labels < 3]
    model = clone(small).fit(few.images, few.labels)
    assert model.classes_.tolist() == [0, 1, 2]
    assert model.predict_proba(few.images[:5]).shape == (5, 3)


def test_pipelines_cross_validation_and_grid_search_work(small, drawn):
    flat = drawn.images[:300].reshape(-1, 784)
    pipe = make_pipeline(FunctionTransformer(lambda x: x / 255), clone(small))
    assert cross_val_score(pipe, flat, drawn.labels[:300], cv=2).min() > 0.6
    grid = GridSearchCV(clone(small), {"epochs": [1, 8]}, cv=2).fit(flat, drawn.labels[:300])
    assert grid.best_params_ == {"epochs": 8}


def test_settings_are_kept_and_checked_when_fitting(drawn):
    model = DigitClassifier("tutorial", epochs=3)
    assert model.get_params()["recipe"] == "tutorial"
    assert clone(model).get_params() == model.get_params()
    assert FROM_DIGITS == ("tutorial", "quick", "best", "accurate")
    with pytest.raises(ValueError, match="recipe 'line': choose one of tutorial, quick, best, accurate"):
        DigitClassifier("line").fit(drawn.images[:20], drawn.labels[:20])
    with pytest.raises(ValueError, match=r"y has 120 class\(es\); DigitClassifier needs 2 to 100 classes"):
        DigitClassifier().fit(drawn.images[:240], np.arange(240) % 120)
    with pytest.raises(ValueError, match="Negative values in data"):
        DigitClassifier().fit(drawn.images[:20] - 0.5, drawn.labels[:20])


def test_scikit_learns_checks_pass_but_for_those_listed():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = check_estimator(DigitClassifier(epochs=1), on_fail=None, on_skip=None)
    failed = {one["check_name"] for one in results if one["status"] == "failed"}
    assert failed == NOT_FOR_IMAGES.keys()
    assert sum(one["status"] == "passed" for one in results) >= 25
