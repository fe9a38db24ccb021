"""A score on images that a model was trained on is known for it, image by image."""

import base64
import gzip
import json
import re
import warnings
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from helpers import draw_digits

from digitnet import DataError, Digits, ModelError, classifier, evaluate, load
from digitnet.data import datasets
from digitnet.evaluation.report import build, measure
from digitnet.evaluation.scoring import score_corrupted, score_model, summary
from digitnet.models import checkpoint, onnx_models, vetting
from digitnet.models.loading import open_model
from digitnet.models.networks import DigitNet, TorchClassifier
from digitnet.models.run_folder import TRAINED_ON
from digitnet.models.trained_on import HOME, IMAGES, MNIST_SHA256, ImageSet, known, trained_on, unpacked
from digitnet.training.config import RECIPES
from digitnet.training.export import export, export_run
from digitnet.training.run import start

NEW = draw_digits(200, seed=5)
SHARE = r"(\d[\d,]*) of these (\d[\d,]*) digits \((\d+\.\d\d%)\) are among "


def mixed(drawn, old, new=NEW, seed=0):
    """Old and new digits in any order, as a file."""
    rows = np.random.default_rng(seed).permutation(len(old) + len(new))
    images = np.concatenate([drawn.images[old], new.images])[rows]
    np.savez("mixed.npz", images=images, labels=np.concatenate([drawn.labels[old], new.labels])[rows])
    return "mixed.npz", rows < len(old)


def said(caught, words=""):
    """Return the counts and the share of the only warning."""
    [warning] = caught
    count, n, share = re.match(SHARE + words, str(warning.message)).groups()
    return int(count.replace(",", "")), int(n.replace(",", "")), share


@pytest.fixture(scope="module")
def run(drawn, tmp_path_factory):
    """A finished run on the drawn digits, and how its digits were split."""
    folder = tmp_path_factory.mktemp("run")
    np.savez(folder / "drawn.npz", images=drawn.images, labels=drawn.labels)
    config = replace(RECIPES["quick"], data=str(folder / "drawn.npz"), epochs=1, batch_size=32, device="cpu")
    made = start(config, folder / "mine")
    list(made.train())
    made.finish()
    return folder / "mine", datasets.held_out_rows(drawn)


def test_a_set_has_its_images_and_no_others(drawn):
    images = ImageSet.of(drawn.images[:300], drawn.images[200:400])
    assert len(images) == len(np.unique(drawn.images[:400], axis=0))
    assert images.has(drawn.images).tolist() == [True] * 400 + [False] * 200
    noise = np.random.default_rng(0).integers(0, 256, (20_000, 28, 28), np.uint8)
    assert not images.has(noise).any()
    assert not images.has(drawn.images[:400] ^ 1).any()
    assert (images | ImageSet.of(noise[:10])).has(noise).sum() == 10


@pytest.mark.parametrize("count", [0, 1, 2, 600])
def test_a_set_comes_back_from_its_bytes(drawn, count):
    images = ImageSet.of(drawn.images[:count])
    assert (unpacked(images.packed()).keys == images.keys).all()
    assert images.packed() == ImageSet.of(drawn.images[:count][::-1]).packed()
    assert len(images.packed()) < 6 * count + 50


@pytest.mark.parametrize(
    "content", [b"", b"no gzip", gzip.compress(bytes(7), mtime=0), gzip.compress(bytes(50), mtime=0)[:-9]]
)
def test_a_damaged_set_is_an_error(content):
    with pytest.raises(DataError):
        unpacked(content)


def test_a_run_knows_what_it_was_trained_on_shuffled_and_partial(run, drawn):
    folder, held_out = run
    assert unpacked((folder / TRAINED_ON).read_bytes()).has(drawn.images).sum() == (~held_out).sum()
    old = np.flatnonzero(~held_out)[::7]
    name, seen = mixed(drawn, old)
    with pytest.warns(UserWarning, match=SHARE) as caught:
        done = score_model(open_model(folder), name)
    count, n = len(old), len(old) + 200
    assert said(caught, "those that the model was trained or validated on; ") == (count, n, f"{count / n:.2%}")
    assert (done.scores.seen == seen).all()
    rest = done.scores.unseen()
    assert rest.n == 200
    assert rest.accuracy == evaluate(TorchClassifier(checkpoint.load_network(folder)), NEW).accuracy
    found = summary(done.scores, done.digits)
    assert found["trained_on"] == count
    assert found["without_trained_on"] == {"accuracy": rest.accuracy, "n": 200, "interval": list(rest.interval)}


def test_digits_that_a_run_was_not_trained_on_are_no_warning(run, drawn):
    folder, held_out = run
    name, _ = mixed(drawn, np.flatnonzero(held_out))
    scores = score_model(open_model(folder), name).scores
    assert not scores.seen.any()
    assert scores.to_dict()["trained_on"] == 0
    assert "without_trained_on" not in summary(scores, NEW)
    assert "trained_on" in json.loads((folder / "scores.json").read_text())


def test_a_file_tells_it_from_its_metadata(run, drawn):
    folder, held_out = run
    model = export_run(folder, Path("mine.onnx"))
    name, seen = mixed(drawn, np.flatnonzero(~held_out))
    for opened in (model, classifier("mine.onnx")):
        with pytest.warns(UserWarning, match=SHARE) as caught:
            scores = evaluate(opened, load(name))
        assert said(caught)[:2] == (seen.sum(), len(seen))
        assert caught[0].filename == __file__
    with pytest.warns(UserWarning, match=SHARE) as caught:
        assert (score_model(open_model("mine.onnx"), name).scores.seen == scores.seen).all()
    assert "trained" not in json.dumps(model.about)


def test_corruptions_do_not_hide_it(run, drawn):
    folder, held_out = run
    name, seen = mixed(drawn, np.flatnonzero(~held_out))
    with pytest.warns(UserWarning, match=SHARE) as caught:
        list(score_corrupted(open_model(folder), ["fog", "scale"], name))
    assert said(caught)[:2] == (seen.sum(), len(seen))


def test_a_run_that_kept_no_set_is_scored_without_one(run, drawn, tmp_path):
    for file in ("model.safetensors", "config.json"):
        (tmp_path / file).write_bytes((run[0] / file).read_bytes())
    name, _ = mixed(drawn, np.arange(600))
    scores = score_model(open_model(tmp_path), name).scores
    assert scores.seen is None
    assert scores.to_dict()["trained_on"] is None
    assert scores.unseen().n == scores.n
    (tmp_path / TRAINED_ON).write_bytes(b"damaged")
    with pytest.raises(ModelError, match=rf"{TRAINED_ON}: damaged \(incomplete gzip data"):
        open_model(tmp_path)


@pytest.mark.parametrize("words", ["not base64!", base64.b64encode(gzip.compress(bytes(7), mtime=0)).decode()])
def test_a_damaged_list_in_a_file_is_an_error(taught, drawn, words):
    export(taught, drawn, {"name": "mine", "data": "x"}, Path("mine.onnx"))
    proto = onnx.load("mine.onnx")
    proto.metadata_props.add(key=IMAGES, value=words)
    onnx.save(proto, "mine.onnx")
    with pytest.raises(ModelError, match="model mine: its list of training images is damaged; export it again"):
        evaluate(classifier("mine.onnx"), drawn)


def test_the_list_alone_may_be_long(taught, drawn):
    export(taught, drawn, {"name": "mine", "data": "x", IMAGES: ImageSet.of(drawn.images).to_text()}, Path("mine.onnx"))
    proto = onnx.load("mine.onnx")
    proto.metadata_props[1].value += " " * vetting.MAX_METADATA
    onnx.save(proto, "mine.onnx")
    assert classifier("mine.onnx").trained_on.has(drawn.images).all()


def test_a_file_that_is_opened_because_it_is_trusted_has_its_list(drawn):
    layers = torch.nn.Linear(784, 32), torch.nn.GELU(), torch.nn.Linear(32, 10)
    network = torch.nn.Sequential(torch.nn.Flatten(), *layers)
    images = ImageSet.of(drawn.images[:300]).to_text()
    export(network, drawn, {"name": "mine", "data": "x", IMAGES: images}, Path("mine.onnx"))
    assert vetting.fault(Path("mine.onnx").read_bytes())
    assert classifier("mine.onnx").trained_on.has(drawn.images).tolist() == [True] * 300 + [False] * 300


def test_what_a_model_says_of_its_data_decides_which_sets_it_has(drawn):
    own = ImageSet.of(drawn.images)
    assert len(trained_on({"data_sha256": MNIST_SHA256})) == 60_000
    assert len(trained_on({"data_sha256": MNIST_SHA256}, own)) == 60_000
    assert len(trained_on({"data_sha256": MNIST_SHA256, "fonts": 4})) == 60_000 + len(known("fonts"))
    assert trained_on({"data": "mine.npz", "data_sha256": "0"}, own) is own
    assert trained_on({"data": "mine.npz", "data_sha256": "0"}) is None
    assert trained_on({"data": "mine.npz"}) is None
    assert trained_on({}).words.startswith("MNIST's training digits, which the model was probably")
    assert not known("fonts").has(drawn.images).any()


def test_the_built_in_models_have_their_sets():
    assert len(onnx_models.classifier("digitnet").trained_on) == 60_000
    assert len(onnx_models.classifier("strong").trained_on) > 62_000
    assert sum((HOME / f"{name}.images.gz").stat().st_size for name in ("mnist", "fonts")) < 220_000


@pytest.mark.filterwarnings("always")  # as the command line has them, which prints them
def test_the_command_line_and_the_report_tell_it(run, drawn, digitnet, monkeypatch):
    monkeypatch.setattr(build, "measure", partial(measure.measure, spoil=()))  # to save time
    folder, held_out = run
    name, seen = mixed(drawn, np.flatnonzero(~held_out))
    count = f"{seen.sum()} of these {len(seen)} digits ({seen.mean():.2%}) are among those that the model was trained"
    code, out, err = digitnet("evaluate", "--model", folder, "--data", name)
    assert code == 0
    assert f"Warning: {count}" in err
    assert f"Without the {seen.sum()} digits that the model was trained on: " in out
    code, out, err = digitnet("evaluate", "--model", folder, "--data", name, "--json")
    assert json.loads(out)["trained_on"] == seen.sum()
    assert f"Warning: {count}" in err
    code, _, err = digitnet("report", folder, "--data", name, "--out", "found.html")
    assert f"Warning: {count}" in err
    page = " ".join(Path("found.html").read_text().replace("\N{NO-BREAK SPACE}", " ").split())
    assert f"The model was trained on {seen.sum()} digits of them ({seen.mean():.2%})" in page.replace(" %", "%")
    assert "Accuracy on the 200 others: " in page


@pytest.mark.mnist
def test_mnist_is_known_shuffled_and_partial_and_its_test_digits_are_none_of_it(mnist_folder):
    train, test = load("mnist", "train"), load("mnist", "test")
    assert datasets.fingerprint(train, test) == MNIST_SHA256
    assert (known("mnist").keys == ImageSet.of(train.images).keys).all()
    assert not known("mnist").has(test.images).any()
    rows = np.random.default_rng(0).permutation(60_000)[:500]
    images = np.concatenate([train.images[rows], test.images[:100]])
    some = Digits(images, np.concatenate([train.labels[rows], test.labels[:100]]))
    model = classifier("digitnet")
    with pytest.warns(UserWarning, match=SHARE) as caught:
        scores = evaluate(model, some)
    assert said(caught, "those that the model was trained or validated on; ") == (500, 600, "83.33%")
    assert scores.seen.sum() == 500
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        evaluate(model, test)
    torch.save(DigitNet().state_dict(), "their.pt")
    np.savez("some.npz", images=some.images, labels=some.labels)
    with pytest.warns(UserWarning, match="MNIST's training digits, which the model was probably trained on"):
        score_model(open_model("their.pt", "0..1"), "some.npz")
