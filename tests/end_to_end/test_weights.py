"""The built-in models keep the promises made for them."""

import hashlib

import numpy as np
import pytest

import digitnet
from digitnet.data.synthesis.strokes import hands
from digitnet.models import model_file, onnx_models

every_model = pytest.mark.parametrize("name", ["strong", "digitnet"])


@pytest.fixture
def nothing():
    """Images that hold no digit: every grey, noise of any strength, and salt and pepper."""
    rng = np.random.default_rng(1)
    greys = np.arange(256, dtype=np.uint8)[:, None, None] * np.ones((28, 28), np.uint8)
    noise = [rng.integers(0, 256, (100, 28, 28), np.uint8), rng.integers(0, 2, (100, 28, 28), np.uint8) * np.uint8(255)]
    return np.concatenate([greys, *noise])


def test_there_are_these_two_and_strong_is_the_default():
    assert set(onnx_models.built_in()) == {"strong", "digitnet"}
    assert digitnet.classifier().sha256 == digitnet.classifier("strong").sha256
    assert digitnet.classifier("strong").about["model"] == "strong"
    assert digitnet.classifier("digitnet").about["model"] == "digitnet"


def test_the_files_are_those_of_the_list_of_hashes():
    files = {path.stem: path for path in onnx_models.WEIGHTS.glob("*.onnx")}
    assert set(files) == {*onnx_models.built_in(), onnx_models.LINE, onnx_models.ROWS, onnx_models.PAGE}
    for name, sha256 in onnx_models.hashes().items():
        assert hashlib.sha256(files[name].read_bytes()).hexdigest() == sha256


def test_the_files_are_small_enough_to_ship():
    sizes = {path.stem: path.stat().st_size for path in onnx_models.WEIGHTS.iterdir()}
    assert sizes["strong"] < 4_000_000
    assert sum(sizes.values()) < 13_000_000


@every_model
def test_the_metadata_say_where_a_model_comes_from_and_nothing_of_whose_machine_it_was(name):
    about = digitnet.classifier(name).about
    assert about["name"] == name
    assert about["data"] == "mnist"
    assert {"recipe", "seed", "data_sha256", "temperature", "threshold", "digitnet", "torch", "onnx"} <= set(about)
    assert about["test"]["n"] == 10_000
    assert not any(isinstance(value, str) and value.startswith(("/", "~", "\\")) for value in about.values())


@every_model
def test_drawn_digits_of_many_hands_are_read(name):
    digits = hands(300, seed=5)
    scores = digitnet.evaluate(digitnet.classifier(name), digits)
    assert scores.accuracy >= 0.9
    assert scores.probs.sum(axis=1) == pytest.approx(1, abs=1e-5)


@every_model
def test_what_holds_no_digit_is_refused(name, nothing):
    model = digitnet.classifier(name)
    accepted = np.flatnonzero(model.digitness(nothing) >= model.threshold)
    assert not len(accepted), accepted


@every_model
def test_most_drawn_digits_are_taken_for_digits(name):
    model = digitnet.classifier(name)
    assert (model.digitness(hands(300, seed=5).images) >= model.threshold).mean() >= 0.9


@every_model
def test_a_model_answers_the_same_in_any_batch(name):
    model, images = digitnet.classifier(name), hands(2 * model_file.BATCH + 1, seed=5).images
    together = model(images)
    for i in (0, model_file.BATCH, len(images) - 1):
        assert model(images[i : i + 1])[0] == pytest.approx(together[i], abs=1e-4)


@pytest.mark.mnist
@pytest.mark.parametrize(("name", "least"), [("strong", 0.996), ("digitnet", 0.995)])
def test_the_models_read_mnist_as_well_as_promised(name, least, mnist_folder):
    model = digitnet.classifier(name)
    digits = digitnet.load("mnist", data_dir=mnist_folder)
    scores = digitnet.evaluate(model, digits)
    assert scores.n == 10_000
    assert scores.accuracy >= least
    assert scores.calibration_error <= 0.003
    assert model.about["test"]["errors"] == pytest.approx(scores.n - scores.correct, abs=2)
    assert (model.digitness(digits.images) < model.threshold).mean() <= 0.02
