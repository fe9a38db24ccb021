import json
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch
from helpers import few_hands
from scipy.optimize import minimize
from scipy.special import expit, log_softmax, logsumexp, softmax

from digitnet import DataError, ModelError, classifier
from digitnet.core.digits import STRIP_HEIGHT
from digitnet.data.synthesis.texts import ALPHABET
from digitnet.imaging.normalization import strip
from digitnet.models import checkpoint, run_folder
from digitnet.models.loading import open_model
from digitnet.models.model_file import MARGIN, STRIDE
from digitnet.models.networks import DigitNet, LineNet, StrongNet, to_input
from digitnet.models.onnx_models import OnnxClassifier, line_reader, padded
from digitnet.training import export, line_sources
from digitnet.training.config import RECIPES
from digitnet.training.line_loop import BLANK, CLASSES, targets
from digitnet.training.run import start


def logits(network, images):
    with torch.no_grad():
        return network.eval()(torch.tensor(images).unsqueeze(1) / 255).double().numpy()


@pytest.fixture(scope="session")
def run(drawn, tmp_path_factory):
    """A run of three epochs on drawn digits, with its scores."""
    folder = tmp_path_factory.mktemp("run")
    np.savez(folder / "drawn.npz", images=drawn.images, labels=drawn.labels)
    config = replace(RECIPES["quick"], data=str(folder / "drawn.npz"), epochs=3, batch_size=64, device="cpu")
    begun = start(config, folder / "quick-1")
    list(begun.train())
    begun.finish()
    return begun


@pytest.mark.parametrize("name", ["digitnet", "strong"])
def test_an_exported_network_answers_as_in_torch(name, drawn, tmp_path):
    torch.manual_seed(0)
    network = {"digitnet": DigitNet, "strong": StrongNet}[name]()
    valid = drawn[:300]
    export.export(network, valid, {"name": name}, tmp_path / "model.onnx")
    model = classifier(tmp_path / "model.onnx")
    energy = logsumexp(logits(network, valid.images), axis=1)
    for size in (1, 2, 7, 256):
        batch = drawn.images[-size:]
        found = logits(network, batch)
        probs, digitness = model.classify(batch)
        strange = np.maximum(np.median(energy) - logsumexp(found, axis=1), 0)[:, None]
        temperature = model.about["temperature"] * np.exp(model.about["doubt"] * strange)
        assert probs == pytest.approx(softmax(found / temperature, axis=1), abs=1e-4)
        scaled = (logsumexp(found, axis=1) - np.quantile(energy, 0.002)) / energy.std(ddof=1)
        assert digitness == pytest.approx(expit(scaled), abs=1e-4)
        assert probs.shape == (size, 10)
        assert digitness.shape == (size,)


def watched(network, names, image):
    """Return what modules of a network gave for an image, each as often as it ran, in the order in which they ran."""
    seen = []
    hooks = [
        network.get_submodule(name).register_forward_hook(lambda module, given, made: seen.append(made[0].numpy()))
        for name in names
    ]
    logits(network, image[None])
    for hook in hooks:
        hook.remove()
    return seen


@pytest.mark.parametrize(
    ("network", "modules"),
    [
        (DigitNet, ["feature_stage_1.1", "feature_stage_2.1", "activation"]),
        (StrongNet, ["stem", "pool", "whole"]),
    ],
)
def test_the_layers_of_an_exported_network_are_those_of_torch(network, modules, drawn, tmp_path):
    torch.manual_seed(1)
    network = network()
    for norm in network.modules():
        if isinstance(norm, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(norm.running_mean)
            torch.nn.init.uniform_(norm.weight, 0.5, 2)
    model = export.export(network, drawn[:50], {"name": "mine"}, tmp_path / "mine.onnx")
    for image in drawn.images[-5:]:
        *maps, hidden = watched(network, modules, image)
        layers = model.layers(image)
        assert [layer.shape for layer in layers] == [*(layer.shape for layer in maps), hidden.reshape(-1).shape]
        for ours, theirs in zip(layers, [*maps, hidden.reshape(-1)], strict=True):
            assert ours.dtype == np.float32
            assert ours.std() > 0.01
            assert ours == pytest.approx(theirs, abs=1e-5)
    assert model.about["layers"] == [*(f"layer_{i + 1}" for i in range(len(maps))), "hidden"]
    outputs = [output.name for output in onnx.load(tmp_path / "mine.onnx").graph.output]
    assert outputs == ["probabilities", "digitness"], "more would cost time whenever the model is asked"


def test_temperature_and_doubt_are_the_likeliest(taught, drawn, exported):
    found = logits(taught, drawn.images)
    energy = logsumexp(found, axis=1)
    strange = np.maximum(np.median(energy) - energy, 0)[:, None]

    def loss(fit):
        scaled = found / (fit[0] * np.exp(fit[1] * strange))
        return -log_softmax(scaled, axis=1)[np.arange(600), drawn.labels].mean()

    most = max(export.DOUBTS)
    best = minimize(loss, (1, most / 2), bounds=((0.1, 10), (0, most)), method="L-BFGS-B")
    fitted = export.calibrate(taught, drawn)
    assert loss((fitted.temperature, fitted.doubt)) < best.fun + 1e-4
    assert loss((fitted.temperature, fitted.doubt)) < loss((1, 0)) - 0.001
    about = classifier(exported).about
    assert (about["temperature"], about["doubt"]) == pytest.approx((fitted.temperature, fitted.doubt))


def test_of_equally_clear_answers_the_one_to_a_stranger_image_is_less_sure():
    fit = export.Calibration(temperature=0.5, doubt=0.2, usual=9.0, middle=1.0, spread=1.0)
    shifted = torch.tensor([[8.0] + [3.0] * 9, [6.0] + [1.0] * 9, [12.0] + [7.0] * 9])
    usual, strange, plain = fit.probs(shifted, torch.tensor([9.0, 5.0, 12.0])).amax(1)
    assert strange < usual == plain


def test_one_in_five_hundred_validation_digits_lies_below_the_threshold(exported, drawn):
    model = classifier(exported)
    assert (model.digitness(drawn.images) < model.threshold).mean() == pytest.approx(0.002, abs=1 / 600)


def test_a_network_that_always_says_the_same_can_be_exported(drawn, tmp_path):
    network = DigitNet()
    torch.nn.init.zeros_(network.output_layer.weight)
    model = export.export(network, drawn, {"name": "flat"}, tmp_path / "flat.onnx")
    assert np.isfinite(model.digitness(drawn.images)).all()
    assert np.ptp(model(drawn.images), axis=0) == pytest.approx(0)


def test_the_file_is_whole_alone_and_says_what_it_is(exported, drawn):
    proto = onnx.load(exported, load_external_data=False)
    onnx.checker.check_model(proto, full_check=True)
    assert not any(tensor.external_data for tensor in proto.graph.initializer)
    assert [(entry.domain, entry.version) for entry in proto.opset_import] == [("", 17)]
    assert [path.name for path in exported.parent.iterdir()] == ["taught.onnx"]
    about = json.loads({entry.key: entry.value for entry in proto.metadata_props}["digitnet"])
    assert about == classifier(exported).about
    assert {"name": "taught", "data": "mnist", "threshold": 0.5, "onnx": onnx.__version__}.items() <= about.items()


@pytest.mark.parametrize("off_by", [1e-3, np.nan])
def test_a_file_that_differs_from_torch_is_not_written(off_by, taught, drawn, tmp_path, monkeypatch):
    def classify(self, images):
        probs, digitness = right(self, images)
        return probs, digitness + np.float32(off_by)

    right = OnnxClassifier.classify
    monkeypatch.setattr(OnnxClassifier, "classify", classify)
    (tmp_path / "mine.onnx").write_text("the old one")
    with pytest.raises(ModelError, match=r"mine\.onnx: not written, .* differ from PyTorch's by (0\.001|nan)"):
        export.export(taught, drawn, {"name": "mine"}, tmp_path / "mine.onnx")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("mine.onnx", "the old one")]


def test_a_difference_in_any_size_of_batch_counts(taught, drawn, tmp_path, monkeypatch):
    right = OnnxClassifier.classify
    for size in (1, 2, 7, 256):

        def classify(self, images, size=size):
            probs, digitness = right(self, images)
            return probs + np.float32(0.01) * (len(images) == size), digitness

        monkeypatch.setattr(OnnxClassifier, "classify", classify)
        with pytest.raises(ModelError, match="not written"):
            export.export(taught, drawn[:50], {"name": "mine"}, tmp_path / "mine.onnx")
    assert not list(tmp_path.iterdir())


def test_a_network_with_weights_that_are_no_numbers_is_not_written(drawn, tmp_path):
    network = DigitNet()
    torch.nn.init.constant_(network.output_layer.bias, torch.nan)
    with pytest.raises(ModelError, match="not written"):
        export.export(network, drawn[:20], {"name": "nan"}, tmp_path / "nan.onnx")
    assert not list(tmp_path.iterdir())


def test_a_run_becomes_a_model_file_with_its_settings_and_scores(run, tmp_path):
    path = tmp_path / "new folder" / "mine.onnx"
    model = export.export_run(run.folder, path)
    assert model.name == "mine"
    config = json.loads((run.folder / "config.json").read_text())
    assert config.items() <= model.about.items()
    scores = json.loads((run.folder / "scores.json").read_text())
    assert model.about["test"] == {name: scores[name] for name in ("accuracy", "n", "errors", "interval")}
    network = checkpoint.load_network(run.folder)
    assert model.about["temperature"] == pytest.approx(export.calibrate(network, run.parts.valid).temperature)
    with torch.no_grad():
        predicted = network(to_input(torch.tensor(run.parts.test.images))).argmax(1)
    assert (model(run.parts.test.images).argmax(axis=1) == predicted.numpy()).all()
    assert [entry.name for entry in path.parent.iterdir()] == ["mine.onnx"]


def test_a_run_without_scores_is_exported_without_them(run, tmp_path):
    folder = tmp_path / "unscored"
    folder.mkdir()
    for name in (run_folder.WEIGHTS, run_folder.CONFIG):
        (folder / name).write_bytes((run.folder / name).read_bytes())
    assert "test" not in export.export_run(folder, tmp_path / "mine.onnx").about


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data_sha256": "0" * 64}, "drawn.npz: not the digits that "),
        ({"data": "nowhere.npz"}, "nowhere.npz: no such file, folder"),
        (None, "not a run's configuration"),
    ],
)
def test_a_run_whose_data_is_not_what_it_was_is_not_exported(run, tmp_path, change, message):
    folder = tmp_path / "changed"
    folder.mkdir()
    (folder / run_folder.WEIGHTS).write_bytes((run.folder / run_folder.WEIGHTS).read_bytes())
    config = json.loads((run.folder / "config.json").read_text())
    (folder / run_folder.CONFIG).write_text(json.dumps({} if change is None else config | change))
    with pytest.raises((DataError, ModelError)) as caught:
        export.export_run(folder, tmp_path / "mine.onnx")
    assert message in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    assert not (tmp_path / "mine.onnx").exists()


def test_a_run_whose_digits_have_moved_is_exported_with_where_they_are_now(run, digitnet, drawn, tmp_path):
    folder = tmp_path / "moved"
    shutil.copytree(run.folder, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"data": "/gone/drawn.npz"}))
    status, _, err = digitnet("export", folder, "--out", "mine.onnx")
    assert (status, f"digitnet export {folder} --data PATH" in err) == (1, True)
    np.savez(tmp_path / "here.npz", images=drawn.images, labels=drawn.labels)
    assert digitnet("export", folder, "--data", "here.npz", "--out", "mine.onnx")[0] == 0
    expected = export.export_run(run.folder, tmp_path / "expected.onnx")
    for name in ("temperature", "doubt", "data_sha256", "test"):
        assert classifier(tmp_path / "mine.onnx").about[name] == expected.about[name]
    np.savez(tmp_path / "others.npz", images=drawn.images[::-1], labels=drawn.labels)
    status, _, err = digitnet("export", folder, "--data", "others.npz", "--out", "other.onnx")
    assert (status, "others.npz: not the digits that" in err) == (1, True)
    assert not (tmp_path / "other.onnx").exists()


def test_where_the_file_cannot_go_is_told_before_the_work(run, digitnet, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "export_run", lambda *_: pytest.fail("exported"))
    (tmp_path / "file").write_text("")
    assert "is a folder; name a file in it" in digitnet("export", run.folder, "--out", tmp_path)[2]
    assert "cannot be written" in digitnet("export", run.folder, "--out", "file/mine.onnx")[2]


@pytest.mark.parametrize("kind", ["run", "safetensors"])
def test_a_classifier_is_whatever_evaluate_takes(kind, run, drawn):
    path = run.folder if kind == "run" else run.folder / run_folder.WEIGHTS
    found = classifier(path)(drawn.images)
    assert (found == open_model(path).classifier(drawn.images)).all()
    assert found == pytest.approx(softmax(logits(checkpoint.load_network(run.folder), drawn.images), axis=1), abs=1e-6)


def test_a_tutorials_state_dict_is_a_classifier_too(taught, drawn, tmp_path):
    torch.save(taught.state_dict(), tmp_path / "their.pt")
    (tmp_path / "their").write_bytes((tmp_path / "their.pt").read_bytes())
    for name in ("their.pt", "their"):
        expected = open_model(name, "0..1").classifier(drawn.images)
        assert (classifier(name, inputs="0..1")(drawn.images) == expected).all()


def test_a_run_without_pytorch_is_an_error_that_says_so(run, environment):
    code = (
        "import sys; sys.modules['torch'] = None; import digitnet\n"
        f"try: digitnet.classifier({str(run.folder)!r})\n"
        "except digitnet.ModelError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.stdout.startswith(
        f"{run.folder}: needs PyTorch; torch is not installed; install digitnet's extra train: "
    )
    assert done.stderr == ""


def test_what_is_no_run_is_not_exported(tmp_path):
    with pytest.raises(ModelError, match="name the folder of a run"):
        export.export_run(tmp_path, tmp_path / "mine.onnx")


def test_an_exported_line_reader_answers_as_in_torch(few, tmp_path):
    torch.manual_seed(0)
    network = LineNet().eval()
    reader = export.export_lines(network, few, {"name": "mine"}, tmp_path / "mine.onnx")
    assert reader.name == "mine"
    strips = [strip(255 - line.image) for line in few]
    temperature = reader.about["temperature"]
    for one, columns in zip(strips, reader(strips), strict=True):
        with torch.no_grad():
            answer = network(torch.tensor(padded([one]))[:, None] / 255)[0].double().numpy()
        there = len(columns.log_probs)
        assert there == -(-(one.shape[1] + 2 * MARGIN) // STRIDE)
        expected = log_softmax(answer[:there, :CLASSES] / temperature, axis=1)
        expected[:, [ALPHABET.index(sign) for sign in "/:()+%$?"]] += np.log(0.3)
        expected = log_softmax(expected, axis=1)
        assert columns.alphabet == ALPHABET
        assert np.exp(columns.characters) == pytest.approx(np.exp(expected), abs=2e-3)
        assert np.exp(columns.log_probs[:, :10]) == pytest.approx(np.exp(expected[:, :10]), abs=2e-3)
        assert np.exp(columns.log_probs).sum(axis=1) == pytest.approx(1, abs=1e-4)
        middle = (np.arange(there) + 0.5) * STRIDE - MARGIN
        assert columns.boxes[:, 0] == pytest.approx(middle - STRIP_HEIGHT * answer[:there, CLASSES], abs=0.2)
        assert columns.boxes[:, 3] == pytest.approx(STRIP_HEIGHT * (0.5 + answer[:there, CLASSES + 3]), abs=0.2)


def test_the_temperature_of_lines_makes_their_texts_likeliest(line_training, few, tmp_path):
    network = checkpoint.load_network(line_training.folder)
    reader = export.export_lines(network, few, {"name": "mine"}, tmp_path / "mine.onnx")
    fitted, strips = reader.about["temperature"], [strip(255 - line.image) for line in few]

    def loss(temperature):
        total = 0.0
        for one, line in zip(strips, few, strict=True):
            with torch.no_grad():
                logits = network(torch.tensor(padded([one]))[:, None] / 255)[0, :, :CLASSES] / temperature
            text = targets([line.written])
            sizes = torch.tensor([len(logits)]), torch.tensor([len(text)])
            total += torch.nn.functional.ctc_loss(logits.log_softmax(1)[:, None], text, *sizes, BLANK, "sum").item()
        return total

    assert 0.4 < fitted < 4.9, "inside what is looked through"
    assert loss(fitted) <= min(loss(fitted * 1.05), loss(fitted / 1.05))


def test_a_run_that_learnt_lines_is_exported_as_a_line_reader(tmp_path, monkeypatch, drawn_npz):
    config = replace(RECIPES["line"], data=str(drawn_npz), epochs=1, lines=8, batch_size=8, device="cpu")
    hands = few_hands()
    monkeypatch.setattr("digitnet.training.line_sources.learning", lambda digits, data_dir: hands)
    monkeypatch.setattr("digitnet.training.line_sources.unseen", lambda digits, data_dir: hands)
    monkeypatch.setattr("digitnet.data.unipen.get", lambda data_dir: [])
    lines = line_sources.Sources.lines
    monkeypatch.setattr(line_sources.Sources, "lines", lambda its, count=60: lines(its, min(count, 8)))
    begun = start(config, tmp_path / "line-1")
    list(begun.train())
    scores = begun.finish()
    assert 0 <= scores.accuracy <= 1
    reader = export.export_run(tmp_path / "line-1", tmp_path / "mine.onnx")
    assert reader.about["recipe"] == "line"
    assert reader.about["test"]["n"] == scores.n
    with pytest.raises(
        ModelError, match=r"reads whole numbers; export it, then score it with: digitnet evaluate --rea"
    ):
        open_model(tmp_path / "line-1")
    with pytest.raises(ModelError, match=r"reads whole numbers; score it with: digitnet evaluate --read"):
        classifier(tmp_path / "mine.onnx")
    with pytest.raises(ModelError, match=r"is the folder of a run; export it first: digitnet export"):
        line_reader(tmp_path / "line-1")


def test_names_that_are_no_text_are_told_with_question_marks(taught, drawn, tmp_path):
    about = {"name": "caf\udce9", "data": "/home/\udcff.npz"}
    exported = export.export(taught, drawn[:20], about, tmp_path / "caf\udce9.onnx")
    assert exported.about["name"] == "caf?"
    assert exported.about["data"] == "/home/?.npz"
