import hashlib
import json
import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import digitnet
from digitnet import DataError, ModelError, classifier
from digitnet.core.digits import ensemble
from digitnet.models import model_file, onnx_models
from digitnet.models.model_file import BATCH


@pytest.fixture(scope="session")
def model(exported):
    return classifier(exported)


@pytest.fixture
def external(exported, tmp_path):
    """The bytes of a model whose weights lie in the file weights.bin in the current folder."""
    proto = onnx.load(exported)
    onnx.external_data_helper.convert_model_to_external_data(proto, location="weights.bin", size_threshold=0)
    onnx.save(proto, tmp_path / "external.onnx")
    assert (tmp_path / "weights.bin").is_file()
    return (tmp_path / "external.onnx").read_bytes()


def small_onnx(path, metadata=None, inputs="images", outputs=("probabilities", "digitness")):
    """Write an ONNX file that gives back what it takes."""
    value = helper.make_tensor_value_info(inputs, TensorProto.UINT8, ["n", 28, 28])
    nodes = [helper.make_node("Identity", [inputs], [name]) for name in outputs]
    results = [helper.make_tensor_value_info(name, TensorProto.UINT8, ["n", 28, 28]) for name in outputs]
    proto = helper.make_model(
        helper.make_graph(nodes, "small", [value], results), opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    )
    helper.set_model_props(proto, metadata or {})
    onnx.save(proto, path)


def test_probabilities_are_what_they_are_called(model, drawn):
    probs, digitness = model.classify(drawn.images)
    assert probs.dtype == digitness.dtype == np.float32
    assert probs.sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert ((probs >= 0) & (probs <= 1)).all()
    assert ((digitness >= 0) & (digitness <= 1)).all()
    assert digitnet.evaluate(model, drawn).accuracy > 0.9


@pytest.mark.parametrize("n", [0, 1, BATCH - 1, BATCH, BATCH + 1, 3 * BATCH + 5])
def test_any_number_of_images_is_answered_as_each_alone(model, drawn, n):
    probs, digitness = model.classify(drawn.images[:n])
    assert probs.shape == (n, 10)
    assert digitness.shape == (n,)
    for i in range(n):
        one, is_one = model.classify(drawn.images[i : i + 1])
        assert probs[i] == pytest.approx(one[0], abs=1e-5)
        assert digitness[i] == pytest.approx(is_one[0], abs=1e-5)


@pytest.mark.parametrize("n", [0, 1, 2 * BATCH + 3])
def test_both_answers_together_are_those_asked_for_singly(model, drawn, n):
    images = drawn.images[:n]
    probs, digitness = model.classify(images)
    assert (probs == model(images)).all()
    assert (digitness == model.digitness(images)).all()
    assert model(images).shape == (n, 10)
    assert model.digitness(images).shape == (n,)


def test_images_may_lie_in_memory_in_any_way(model, drawn):
    turned = drawn.images[:40].transpose(0, 2, 1)
    assert not turned.flags.c_contiguous
    assert (model(turned) == model(turned.copy())).all()
    assert (model(drawn.images[:80:2]) == model(drawn.images[:80:2].copy())).all()


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((28, 28), np.uint8),
        np.zeros((2, 28, 29), np.uint8),
        np.zeros((2, 1, 28, 28), np.uint8),
        np.zeros((2, 28, 28)),
        np.zeros((2, 28, 28), np.int64),
        np.zeros((0, 784), np.uint8),
    ],
)
def test_images_of_another_shape_or_type_are_refused(model, images):
    for ask in (model, model.digitness, model.classify):
        with pytest.raises(DataError) as caught:
            ask(images)
        assert f"images are {images.shape} {images.dtype}, expected (n, 28, 28) uint8" in str(caught.value)


def test_a_model_says_which_it_is(model, exported):
    assert repr(model) == f"<OnnxClassifier taught, {model.sha256[:12]}>"
    assert model.threshold == model.about["threshold"]
    assert model.sha256 == hashlib.sha256(exported.read_bytes()).hexdigest()


def test_the_number_of_threads_changes_no_answer(model, exported, drawn):
    assert classifier(exported, threads=1)(drawn.images[:50]) == pytest.approx(model(drawn.images[:50]), abs=1e-6)


def refused(path):
    with pytest.raises(ModelError) as caught:
        classifier(path)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    assert message.startswith(f"{path}: ")
    return message


def test_a_file_that_is_not_there_or_a_folder_is_said(tmp_path):
    assert "cannot be read (No such file or directory)" in refused(tmp_path / "nowhere.onnx")
    assert "name the folder of a run with at least one finished epoch" in refused(tmp_path)
    with pytest.raises(ModelError, match="is the folder of a run; export it first: digitnet export"):
        onnx_models.classifier(tmp_path)


@pytest.mark.parametrize("content", [b"", b"no model", b"\x08\x08\x12\x00" * 100])
def test_a_file_that_is_no_onnx_is_said(content, tmp_path, capfd):
    (tmp_path / "text.onnx").write_bytes(content)
    refused(tmp_path / "text.onnx")
    assert capfd.readouterr() == ("", "")  # ONNX Runtime would print to standard error past Python


def test_a_damaged_file_is_said(exported, tmp_path):
    (tmp_path / "half.onnx").write_bytes(exported.read_bytes()[:-50_000])
    assert "not a model that ONNX Runtime" in refused(tmp_path / "half.onnx")


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({}, "expected one input of images as float32, and ten answers"),
        ({"other": "{}"}, "expected one input of images as float32, and ten answers"),
        ({"digitnet": '{"name": "x"}'}, "(no threshold)"),
        ({"digitnet": '{"threshold": 0.5}'}, "(no name)"),
        ({"digitnet": "no json"}, "not a model that ONNX Runtime"),
        ({"digitnet": "[]"}, "not a model that ONNX Runtime"),
        ({"digitnet": '{"name": "x", "threshold": "much"}'}, "not a model that ONNX Runtime"),
    ],
)
def test_an_onnx_file_of_somebody_elses_is_said(metadata, message, tmp_path):
    small_onnx(tmp_path / "their.onnx", metadata)
    assert message in refused(tmp_path / "their.onnx")


@pytest.mark.parametrize(
    ("names", "has"),
    [
        ({"inputs": "x"}, "digitness, probabilities, x"),
        ({"outputs": ["probabilities"]}, "images, probabilities"),
    ],
)
def test_a_graph_that_takes_or_gives_something_else_is_said(names, has, tmp_path):
    small_onnx(tmp_path / "other.onnx", {"digitnet": json.dumps({"name": "x", "threshold": 0.5})}, **names)
    assert refused(tmp_path / "other.onnx").endswith(f"has {has}; expected images, probabilities, digitness")


def test_a_file_of_many_bytes_is_not_even_read(exported, monkeypatch):
    monkeypatch.setattr(model_file, "MAX_FILE_BYTES", exported.stat().st_size)
    assert classifier(exported).name == "taught"
    monkeypatch.setattr(model_file, "MAX_FILE_BYTES", exported.stat().st_size - 1)
    monkeypatch.setattr("pathlib.Path.read_bytes", lambda path: pytest.fail("read"))
    assert "digitnet's own models are smaller" in refused(exported)


def test_a_model_that_would_read_other_files_is_refused(external, tmp_path):
    assert b"\x08location" in external
    (tmp_path / "other.onnx").write_bytes(external)
    assert "stores its weights in other files" in refused(tmp_path / "other.onnx")


def test_so_is_one_that_spells_them_in_an_unusual_way(external, tmp_path):
    # A length may end in needless zeros, and ONNX Runtime reads it. The file is searched before it is parsed.
    for length in (b"\x88\x00", b"\x88\x80\x80\x00"):
        (tmp_path / "other.onnx").write_bytes(external.replace(b"\x08location", length + b"location"))
        assert "stores its weights in other files" in refused(tmp_path / "other.onnx")


def test_the_words_of_the_metadata_are_free(taught, drawn, tmp_path):
    from digitnet.training.export import export

    about = {"name": "location", "data": "location", "location": "location"}
    assert export(taught, drawn[:20], about, tmp_path / "mine.onnx").about.items() >= about.items()


def test_a_built_in_model_goes_by_its_name(exported, tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_models, "WEIGHTS", tmp_path)
    (tmp_path / "SHA256SUMS").write_text(f"{'0' * 64}  mine.onnx\n{'1' * 64}  other.onnx\n")
    (tmp_path / "mine.onnx").write_bytes(exported.read_bytes())
    assert onnx_models.built_in() == ["mine", "other"]
    assert onnx_models.hashes() == {"mine": "0" * 64, "other": "1" * 64}
    assert classifier("mine").name == "taught"
    with pytest.raises(ModelError) as caught:
        classifier("nosuch")
    assert str(caught.value) == "model 'nosuch': choose one of mine, other, or the path of a file"
    with pytest.raises(ModelError, match=r"other\.onnx: cannot be read"):
        classifier("other")


def test_a_file_needs_no_suffix(exported, tmp_path):
    (tmp_path / "mine").write_bytes(exported.read_bytes())
    assert classifier("mine").name == "taught"


def test_an_ensemble_is_the_mean_of_its_members(model, drawn):
    images = drawn.images[:20]
    members = [model, lambda images: np.full((len(images), 10), 0.1, np.float32), lambda images: model(images[::-1])]
    expected = np.mean([member(images) for member in members], axis=0)
    together = ensemble(members)(images)
    assert together == pytest.approx(expected, abs=1e-6)
    assert together.dtype == np.float32
    assert (ensemble([model])(images) == model(images)).all()
    assert digitnet.evaluate(ensemble(members[:2]), drawn[:20]).n == 20


def test_an_ensemble_leaves_its_members_answers_as_they_are():
    answer = np.full((1, 10), 0.1, np.float32)
    ensemble([lambda images: answer] * 3)(np.zeros((1, 28, 28), np.uint8))
    assert answer == pytest.approx(0.1)


def test_an_ensemble_of_nobody_is_refused():
    with pytest.raises(ModelError, match="at least one model"):
        ensemble([])


def test_classifying_loads_nothing_that_training_needs(exported, environment):
    code = (
        "import digitnet, sys, numpy as np\n"
        f"probs, digitness = digitnet.classifier({str(exported)!r}).classify(np.zeros((3, 28, 28), np.uint8))\n"
        "assert probs.shape == (3, 10) and digitness.shape == (3,)\n"
        "assert not {'torch', 'sklearn', 'matplotlib', 'onnx', 'safetensors', 'cv2'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
