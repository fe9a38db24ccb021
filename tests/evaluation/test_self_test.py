import hashlib
import itertools

import numpy as np
import pytest

from digitnet import __version__
from digitnet.core.extras import EXTRAS
from digitnet.data.synthesis.strokes import hands
from digitnet.evaluation import self_test
from digitnet.models import onnx_models

DRAWN = hands(100)
KNOWN = {image.tobytes(): label for image, label in zip(DRAWN.images, DRAWN.labels, strict=True)}


class Oracle:
    """A model that knows the drawn digits, but for some, and refuses all else, but for images of one grey."""

    sha256, threshold = "0" * 64, 0.5

    def __init__(self, misread=0, accepted=None):
        self.misread, self.accepted = misread, accepted

    def __call__(self, images):
        labels = np.array([KNOWN[image.tobytes()] for image in images])
        labels[: self.misread] = (labels[: self.misread] + 1) % 10
        return np.eye(10, dtype=np.float32)[labels]

    def digitness(self, images):
        return np.array([float(self.accepted is not None and (image == self.accepted).all()) for image in images])


@pytest.fixture
def weights(monkeypatch, tmp_path, exported):
    """A folder of built-in models with one, mine; returns what writes its file and the hash it should have."""
    monkeypatch.setattr(onnx_models, "WEIGHTS", tmp_path)

    def write(content=None, sha256=None):
        content = exported.read_bytes() if content is None else content
        (tmp_path / "mine.onnx").write_bytes(content)
        (tmp_path / "SHA256SUMS").write_text(f"{sha256 or hashlib.sha256(content).hexdigest()}  mine.onnx\n")

    return write


def about_mine():
    return [finding for finding in self_test.check() if finding.what.startswith("mine") or "mine.onnx" in finding.what]


def test_versions_and_models_come_first(weights):
    weights()
    system, packages, *_, models = itertools.islice(self_test.check(), 3 + len(EXTRAS))
    assert system.what.startswith(f"digitnet {__version__}, Python 3.")
    assert f"numpy {np.__version__}, onnxruntime " in packages.what
    assert models.what == "built-in models: mine"
    assert system.good
    assert packages.good
    assert models.good


def test_a_package_that_is_not_installed_is_said_and_no_fault(weights, monkeypatch):
    weights()
    monkeypatch.setattr(self_test, "PACKAGES", ("numpy", "no-such-package"))
    finding = list(self_test.check())[1]
    assert finding.what.endswith(", no-such-package not installed")
    assert finding.good


def test_every_extra_is_listed_as_installed_or_with_what_is_missing(weights, monkeypatch):
    weights()
    monkeypatch.setattr(self_test, "find_spec", lambda module: None if module == "ray" else module)
    found = {
        finding.what for finding in self_test.check() if finding.good and finding.what.startswith("optional extra ")
    }
    lacks = "optional extra scale: ray is not installed; install digitnet's extra scale: "
    lacks += "pip install -c constraints.txt '.[scale]' in its checkout, or pip install 'FILE.whl[scale]'"
    assert found == {lacks, *(f"optional extra {name}: installed" for name in EXTRAS if name != "scale")}


def test_a_file_with_the_right_hash_is_good(weights, exported):
    weights()
    finding = about_mine()[0]
    assert finding.good
    assert finding.what == f"mine: sha256 {hashlib.sha256(exported.read_bytes()).hexdigest()}"


def test_a_file_with_another_hash_is_not(weights):
    weights(sha256="0" * 64)
    assert not about_mine()[0].good


def test_a_damaged_file_is_one_line_and_no_end(weights, exported):
    weights(exported.read_bytes()[:1000])
    (finding,) = about_mine()
    assert not finding.good
    assert "mine.onnx: not a model that ONNX Runtime" in finding.what
    assert "\n" not in finding.what


def test_a_file_that_is_gone_is_one_line_too(weights, tmp_path):
    weights()
    (tmp_path / "mine.onnx").unlink()
    (finding,) = about_mine()
    assert not finding.good
    assert "mine.onnx: cannot be read" in finding.what


def test_no_models_at_all_is_a_fault(weights, tmp_path):
    (tmp_path / "SHA256SUMS").write_text("")
    finding = list(self_test.check())[-1]
    assert not finding.good
    assert finding.what == "built-in models: none"


@pytest.mark.parametrize(
    ("oracle", "good", "told"),
    [
        (Oracle(), True, "mine: reads 100% of 100 drawn digits, rejects 100% of 20 empty images"),
        (Oracle(misread=20), True, "mine: reads 80% of 100"),
        (Oracle(misread=21), False, "mine: reads 79% of 100"),
        (Oracle(accepted=0), False, "rejects 95% of 20"),
        (Oracle(accepted=255), False, "rejects 95% of 20"),
    ],
)
def test_a_model_in_order_reads_drawn_digits_and_refuses_empty_images(weights, monkeypatch, oracle, good, told):
    weights()
    monkeypatch.setattr(onnx_models, "classifier", lambda name: oracle)
    finding = about_mine()[-1]
    assert finding.good == good
    assert told in finding.what


def test_a_network_that_learnt_nothing_of_the_kind_is_found_out(weights):
    weights()
    assert [finding.good for finding in about_mine()] == [True, False]
