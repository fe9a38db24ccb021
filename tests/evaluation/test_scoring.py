import hashlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from digitnet import DataError, ModelError, evaluate
from digitnet.core import extras
from digitnet.data import datasets
from digitnet.data.corruptions import corrupt
from digitnet.evaluation.report.measure import elsewhere
from digitnet.evaluation.scoring import score, score_corrupted, score_model, summary
from digitnet.models import onnx_models, run_folder
from digitnet.models.loading import Model, open_model
from digitnet.training.config import RECIPES
from digitnet.training.export import export
from digitnet.training.run import reopen, start


@pytest.fixture
def config(drawn_npz):
    return replace(RECIPES["quick"], data=str(drawn_npz), epochs=2, batch_size=32, device="cpu")


def test_scoring_takes_the_newest_run_by_default(config):
    first, second = start(config), start(config)
    for run in (first, second):
        list(run.train())
    done = score(open_model())
    assert done.model.home == second.folder
    assert done.model.name == str(second.folder)
    assert done.source == config.data
    assert done.held_out
    assert done.scores.n == len(second.parts.test)
    assert done.picture == second.folder / "confusion_matrix.png"
    assert done.picture.read_bytes().startswith(b"\x89PNG")
    assert done.refused is None


def test_scores_survive_a_folder_that_cannot_be_written(config, monkeypatch, caplog):
    def refuse(path, data):
        raise PermissionError(13, "Permission denied", str(path))

    run = start(config)
    list(run.train())
    monkeypatch.setattr("digitnet.evaluation.confusion.write_atomic", refuse)
    done = score(open_model(run.folder))
    assert done.scores.n == len(run.parts.test)
    assert not done.picture.exists()
    assert "Permission denied" in caplog.text


def test_an_interrupted_first_epoch_can_be_resumed_but_not_scored(config):
    run = start(config)
    with pytest.raises(ModelError, match=rf"contains no {run_folder.WEIGHTS}"):
        open_model(run.folder)
    assert [epoch.number for epoch in reopen(run.folder).train()] == [1, 2]


def test_digits_of_which_a_model_learnt_all_tell_nothing(put_fonts, exported):
    """Recipes that add handwriting fonts add those for testing, too."""
    put_fonts("abcdef", "")
    honest = open_model(exported)
    [there] = elsewhere(honest, [])
    assert there.source == "fonts"
    assert there.scores.n == len(datasets.load("fonts", "test"))
    learnt = replace(honest, about=honest.about | {"fonts": 4})
    assert elsewhere(learnt, []) == []
    with pytest.raises(DataError, match=r"^fonts: .* was trained on all of these digits, .*; choose other data$"):
        score_model(learnt, "fonts")


def test_a_recipe_that_learns_all_digits_of_a_source_is_not_trained_on_it():
    with pytest.raises(DataError, match=r"^fonts: recipe transfer trains on the whole data set, .* or another recipe$"):
        start(replace(RECIPES["transfer"], data="fonts"))
    assert not Path("run").exists()


@pytest.fixture
def built_in(exported, tmp_path, monkeypatch):
    """A folder of built-in models in which the one for every day is there."""
    folder = tmp_path / "weights"
    folder.mkdir()
    (folder / "strong.onnx").write_bytes(exported.read_bytes())
    (folder / "SHA256SUMS").write_text(f"{hashlib.sha256(exported.read_bytes()).hexdigest()}  strong.onnx\n")
    monkeypatch.setattr(onnx_models, "WEIGHTS", folder)


def test_a_model_file_is_scored_like_any_other(exported, drawn, drawn_npz, tmp_path):
    opened = open_model(exported)
    assert (opened.name, opened.home) == (str(exported), Path())
    assert opened.about["name"] == "taught"
    done = score(opened, str(drawn_npz))
    assert not done.held_out
    assert done.scores.n == 600
    assert done.scores.correct == (onnx_models.classifier(exported)(drawn.images).argmax(axis=1) == drawn.labels).sum()
    assert done.picture == Path("confusion_matrix-drawn.png")
    assert [path.name for path in tmp_path.glob("*.png")] == ["confusion_matrix-drawn.png"]


def test_of_what_a_model_file_learnt_from_only_the_digits_kept_back_are_scored(taught, drawn, drawn_npz):
    about = {"name": "mine", "data": str(drawn_npz), "data_sha256": datasets.fingerprint(drawn)}
    export(taught, drawn, about, Path("mine.onnx"))
    done = score(open_model("mine.onnx"))
    assert done.source == str(drawn_npz)
    assert done.held_out
    assert (done.scores.index == np.flatnonzero(datasets.held_out_rows(drawn))).all()
    assert [len(scores.labels) for _, scores in score_corrupted(open_model("mine.onnx"), ["scale"])] == [100]


@pytest.mark.parametrize("there", [None, "run", "run/begun", "run/begun/state.safetensors"])
def test_without_a_run_the_built_in_model_is_opened(built_in, there):
    if there:
        Path(there).mkdir(parents=True)
    opened = open_model()
    assert opened.name == onnx_models.DEFAULT
    assert opened.classifier.name == "taught"
    assert opened.home == Path()


def test_a_run_wins_over_the_built_in_model_which_still_goes_by_its_name(built_in, config):
    run = start(config)
    list(run.train())
    assert open_model().home == run.folder
    assert open_model("strong").home == Path()
    assert open_model(run.folder).about["data_sha256"] == run.parts.sha256


@pytest.mark.parametrize("name", ["nosuch", "nosuch.pt", "nosuch.onnx"])
def test_a_model_that_is_not_there_is_said(name):
    with pytest.raises(ModelError, match=rf"^{name}: "):
        open_model(name)


def test_a_model_file_is_scored_without_torch_and_without_a_picture_where_matplotlib_is_missing(
    exported, drawn_npz, environment, tmp_path
):
    code = (
        "import sys\n"
        "class Nowhere:\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name in ('torch', 'matplotlib', 'sklearn', 'onnx', 'safetensors'):\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Nowhere())\n"
        "from digitnet.evaluation.scoring import score, score_corrupted\n"
        "from digitnet.models.loading import open_model\n"
        f"model = open_model({str(exported)!r})\n"
        f"assert score(model, {str(drawn_npz)!r}).scores.n == 600\n"
        f"assert dict(score_corrupted(model, ['scale'], {str(drawn_npz)!r}))['scale'].n == 600"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment, cwd=tmp_path
    )
    assert done.stderr == f"no image of the confusion matrix: {extras.missing('matplotlib')}\n"


def test_the_share_refused_as_no_digit_is_told(exported, drawn, tmp_path):
    model = open_model(exported)
    noise = np.random.default_rng(0).integers(0, 256, (50, 28, 28), np.uint8)
    np.savez(tmp_path / "mine.npz", images=np.concatenate([drawn.images[:50], noise]), labels=np.zeros(100, np.uint8))
    refused = 0
    for image in [*drawn.images[:50], *noise]:
        refused += model.classifier.digitness(image[None])[0] < model.classifier.threshold
    model.classifier.threshold = 0.6
    higher = score(model, "mine.npz").refused
    model.classifier.threshold = 0.5
    assert score(model, "mine.npz").refused == refused / 100 < higher < 1


def test_corruptions_are_scored_one_after_the_other(drawn, drawn_npz):
    seen = []

    def classifier(images):
        seen.append(images)
        return np.eye(10, dtype=np.float32)[images.sum(axis=(1, 2)) % 10]

    model = Model("mine", classifier, {"data": str(drawn_npz)}, Path())
    names = []
    for name, scores in score_corrupted(model, ["stripe", "fog"]):
        spoilt = corrupt(drawn, name)
        assert (seen.pop() == spoilt.images).all()
        assert scores.accuracy == evaluate(classifier, spoilt).accuracy
        assert (seen.pop() == spoilt.images).all()
        names.append(name)
    assert names == ["stripe", "fog"]
    assert not seen


def test_an_unknown_corruption_is_said(exported, drawn_npz):
    with pytest.raises(DataError, match="unknown corruption 'fogg'; choose one of shot_noise, "):
        list(score_corrupted(open_model(exported), ["fogg"], str(drawn_npz)))


def test_a_folder_of_ones_own_names_the_files(exported, drawn, tmp_path):
    for i in range(10):
        (tmp_path / f"mine/{drawn.labels[i]}").mkdir(parents=True, exist_ok=True)
        Image.fromarray(drawn.images[i]).save(tmp_path / f"mine/{drawn.labels[i]}/{i}.png")
    done = score(open_model(exported), "mine")
    assert len(done.files) == 10
    for index, label in zip(done.scores.index, done.scores.labels, strict=True):
        assert done.files[index].parent.name == str(label)


def test_a_summary_is_the_scores_and_only_of_mnist_more(drawn):
    scores = evaluate(lambda images: np.full((len(images), 10), 0.1), drawn)
    assert summary(scores, drawn) == scores.to_dict()
