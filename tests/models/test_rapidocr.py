"""The recogniser of RapidOCR as a second opinion: a stand-in for its package, and the package where it is installed."""

import importlib
import importlib.util

import cv2
import numpy as np
import onnx
import pytest
from helpers import texts, write
from onnx import TensorProto, helper

from digitnet.core.errors import ModelError
from digitnet.models.rapidocr import FILE, Recogniser
from digitnet.reading.reader import Reader

CHARACTERS = [*"0123456789", "-", "a"]


def columns_of(text, sure=0.98):
    """Probabilities of the blank, `CHARACTERS` and the space: two columns for each character and a blank after it."""
    rows = []
    for character in text:
        row = np.full(len(CHARACTERS) + 2, (1 - sure) / (len(CHARACTERS) + 1), np.float32)
        row[1 + CHARACTERS.index(character)] = sure
        blank = np.full_like(row, 0.001)
        blank[0] = 1 - 0.001 * (len(row) - 1)
        rows += [row, row, blank]
    return np.array(rows, np.float32)


@pytest.fixture
def rapidocr(tmp_path, monkeypatch):
    """Return what makes a package whose recogniser sees a given text in every picture."""

    def make(text, characters=CHARACTERS):
        folder = tmp_path / "packages" / "rapidocr"
        (folder / "models").mkdir(parents=True, exist_ok=True)
        (folder / "__init__.py").write_text("raise RuntimeError('the package itself is never imported')")
        answer = columns_of(text)[None]
        constant = onnx.numpy_helper.from_array(answer, "answer")
        zero = onnx.numpy_helper.from_array(np.zeros(1, np.float32), "zero")
        nodes = [
            helper.make_node("ReduceMax", ["x"], ["most"], keepdims=0),
            helper.make_node("Mul", ["most", "zero"], ["nothing"]),
            helper.make_node("Add", ["answer", "nothing"], ["y"]),
        ]
        graph = helper.make_graph(
            nodes,
            "recogniser",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 48, "wide"])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, list(answer.shape))],
            [constant, zero],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
        helper.set_model_props(model, {"character": "\n".join(characters)})
        onnx.save(model, folder / "models" / FILE)
        monkeypatch.syspath_prepend(str(folder.parent))
        importlib.invalidate_caches()

    return make


def read(page, **more):
    return Reader(threads=1, second_opinion=True).read(page, **more)


def test_it_answers_with_digits_and_what_separates_them(rapidocr):
    rapidocr("12-7a")
    (log_probs,) = Recogniser(1)([np.zeros((30, 90), np.uint8)])
    assert log_probs.shape == (15, 11)
    assert np.exp(log_probs).sum(axis=1) == pytest.approx(1, abs=1e-4)
    best = log_probs.argmax(axis=1)[::3].tolist()
    assert best[:4] == [1, 2, 10, 7], "a hyphen separates"


def test_a_doubtful_number_is_what_both_readers_say(rapidocr):
    page = write("4713", tall=40)[0]
    (alone,) = Reader(threads=1).read(page, single=True).numbers
    assert alone.text == "4713"
    rapidocr("4713")
    (agreed,) = read(page, single=True).numbers
    assert (agreed.text, agreed.confidence > 0.9) == ("4713", True)
    rapidocr("4718")
    (doubtful,) = read(page, single=True).numbers
    assert doubtful.confidence < alone.confidence
    assert {"4713", "4718"} <= {doubtful.text, *(text for text, _ in doubtful.alternatives)}


def test_it_has_a_say_in_every_number_of_a_page(rapidocr):
    page = write("1984 7265", room=60)[0]
    rapidocr("1984")
    first, second = read(page).numbers
    assert (first.text, first.confidence > 0.9) == ("1984", True)
    assert second.confidence < 0.9


def test_a_rule_holds_for_both(rapidocr):
    from digitnet.reading.constraints import Rules

    rapidocr("47135")
    (number,) = read(write("4713", tall=40)[0], single=True, rules=Rules(lengths=(4, 4))).numbers
    assert len(number.text) == 4


def test_its_model_counts_among_those_that_determine_a_result(rapidocr):
    assert "second_opinion" not in Reader(threads=1).hashes()
    rapidocr("1")
    assert len(Reader(threads=1, second_opinion=True).hashes()["second_opinion"]) == 64


def test_a_service_can_ask_it_and_names_it(rapidocr):
    pytest.importorskip("fastapi", reason="the service needs the extra serve")
    from helpers import Asked

    from digitnet.serving.app import create_app
    from digitnet.serving.service import Settings

    rapidocr("4713")
    image = cv2.imencode(".png", write("4713", tall=40)[0])[1].tobytes()
    with Asked(create_app(Settings(threads=1, second_opinion=True))) as ask:
        answer = ask.until_ready().post("/v1/read?single=true", image).json()
    assert answer["model"]["second_opinion"] == {"name": "rapidocr", "sha256": Recogniser(1).sha256}
    (page,) = answer["results"][0]["pages"]
    assert (page["text"], page["confidence"] > 0.9) == ("4713", True)


def test_without_the_package_or_its_model_the_error_says_what_to_install(rapidocr, tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match=r"rapidocr is not installed; install digitnet's extra rapidocr"):
        Recogniser()
    monkeypatch.undo()
    rapidocr("1", characters=["a"] * 12)
    with pytest.raises(ModelError, match=r"knows no digits; install its version 3\.10"):
        Recogniser()
    (tmp_path / "packages" / "rapidocr" / "models" / FILE).unlink()
    with pytest.raises(ModelError, match=f"has no {FILE}; install its version 3.10"):
        Recogniser()


def test_the_command_line_asks_for_it(rapidocr, digitnet, tmp_path):
    import cv2

    cv2.imwrite(str(tmp_path / "amount.png"), write("4713", tall=40)[0])
    rapidocr("4713")
    assert digitnet("read", "amount.png", "--single", "--second-opinion")[:2] == (0, "4713\n")
    (tmp_path / "truth.csv").write_text("file,digits\namount.png,4713\n")
    words = ("evaluate", "--read", "--data", ".", "--single", "--second-opinion")
    status, said, _ = digitnet(*words)
    assert (status, "100" in said) == (0, True)
    assert "apply only to reading; add --read" in digitnet("evaluate", "--second-opinion")[2]
    words = ("read", "amount.png", "--format", "parquet", "--out", "tables", "--second-opinion")
    assert "--second-opinion do not apply to tables" in digitnet(*words)[2]


def test_the_package_itself_reads_numbers():
    if importlib.util.find_spec("rapidocr") is None:
        pytest.skip("rapidocr is not installed")
    assert texts(read(write("1984 7265", "30 4162", room=60)[0])) == ["1984", "7265", "30", "4162"]
