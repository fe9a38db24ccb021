"""Networks of people's own, the tutorial's first: digitnet takes any nn.Module and changes nothing but its weights."""

import copy
import json
import logging
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from processes import Process, command
from torch import nn
from torch.optim.swa_utils import AveragedModel

from digitnet import ModelError, TrainingError, classifier, evaluate
from digitnet.models import trust
from digitnet.models.networks import MODELS, TorchClassifier
from digitnet.training.config import RECIPES, TrainConfig
from digitnet.training.export import BATCHES, calibrate, export
from digitnet.training.loop import train
from digitnet.training.onnx_file import TOLERANCE

SMALL = TrainConfig(epochs=1, batch_size=32, device="cpu", optimizer="adam", lr=3e-3, warmup=0.0)


class Tutorial(nn.Module):
    """The tutorial's class: the layers of DigitNet, flattened by `view`."""

    def __init__(self):
        super().__init__()
        self.feature_stage_1 = nn.Sequential(nn.Conv2d(1, 16, 3, 1, 1), nn.ReLU(), nn.MaxPool2d(2))
        self.feature_stage_2 = nn.Sequential(nn.Conv2d(16, 32, 3, 1, 1), nn.ReLU(), nn.MaxPool2d(2))
        self.classifier_1 = nn.Linear(32 * 7 * 7, 128)
        self.activation = nn.ReLU()
        self.output_layer = nn.Linear(128, 10)

    def forward(self, x):
        features = self.feature_stage_2(self.feature_stage_1(x))
        features = features.view(features.size(0), -1)
        return self.output_layer(self.activation(self.classifier_1(features)))


class Attention(nn.Module):
    """Rows of pixels as tokens, through PyTorch's own encoder layer."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.TransformerEncoderLayer(28, 4, 64, batch_first=True)
        self.output = nn.Linear(28, 10)

    def forward(self, x):
        return self.output(self.encoder(x.squeeze(1)).mean(1))


class Resized(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)
        self.output = nn.Linear(4 * 14 * 14, 10)

    def forward(self, x):
        x = F.interpolate(self.conv(x), size=(14, 14), mode="bilinear", align_corners=False)
        return self.output(x.view(x.size(0), -1))


def convolutional(*between):
    return nn.Sequential(
        *(nn.Conv2d(1, 8, 3, stride=2), *between, nn.Conv2d(8, 8, 3, stride=2)), nn.Flatten(), nn.Linear(288, 10)
    )


OWN = {
    "tutorial": Tutorial,
    "linear": lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 10)),
    "gelu": lambda: convolutional(nn.GELU()),
    "leaky relu": lambda: convolutional(nn.LeakyReLU()),
    "silu": lambda: convolutional(nn.SiLU(), nn.Dropout(0.5)),
    "group norm": lambda: convolutional(nn.GroupNorm(2, 8)),
    "batch norm": lambda: convolutional(nn.BatchNorm2d(8), nn.ReLU()),
    "attention": Attention,
    "interpolate": Resized,
}


@pytest.fixture(params=OWN)
def network(request):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return OWN[request.param]()


def nature(network):
    """All of a network that is its owner's to decide: modes, and of each tensor layout, type, device and gradient."""
    tensors = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    kinds = {name: (t.stride(), t.dtype, t.device, t.requires_grad) for name, t in tensors.items()}
    return {name: module.training for name, module in network.named_modules()}, kinds


def same(network, weights):
    return all((weights[name] == value).all() for name, value in network.state_dict().items())


def learn(network, digits, steps=40):
    """The tutorial's loop."""
    images, labels = torch.tensor(digits.images)[:, None] / 255, torch.tensor(digits.labels).long()
    criterion, optimizer = nn.CrossEntropyLoss(), torch.optim.Adam(network.parameters(), lr=0.003)
    network.train()
    for step in range(steps):
        rows = torch.arange(step % 10, len(images), 10)
        optimizer.zero_grad()
        loss = criterion(network(images[rows]), labels[rows])
        loss.backward()
        optimizer.step()
    return loss.item()


def test_the_tutorials_class_and_loop_work_before_and_after_digitnets_functions(drawn, tmp_path):
    torch.manual_seed(0)
    model = Tutorial()
    learn(model, drawn)
    before = evaluate(TorchClassifier(model), drawn).accuracy
    model.eval()
    with torch.no_grad():
        predicted = model(torch.tensor(drawn.images)[:, None] / 255).argmax(1).numpy()
    assert before == (predicted == drawn.labels).mean() > 0.8
    assert learn(model, drawn) < 0.5
    config = replace(RECIPES["tutorial"], epochs=2)
    epochs = list(train(model, drawn[:500], drawn[500:], config, tmp_path))
    assert epochs[-1].scores.accuracy == evaluate(TorchClassifier(model), drawn[500:]).accuracy > 0.95
    assert learn(model, drawn) < 0.1


@pytest.mark.parametrize("training", [True, False])
def test_classifying_leaves_a_network_as_it_was(network, training, drawn):
    network.train(training)
    next(iter(network.parameters())).requires_grad_(False)
    kept, weights = nature(network), copy.deepcopy(network.state_dict())
    probs = TorchClassifier(network)(drawn.images[:9])
    assert (probs.shape, probs.dtype) == ((9, 10), np.float32)
    assert nature(network) == kept
    assert same(network, weights)
    assert all(parameter.grad is None for parameter in network.parameters())


@pytest.mark.parametrize("average", [0.0, 0.9])
def test_training_changes_weights_and_nothing_else(network, average, drawn, tmp_path):
    first = next(iter(network.parameters())).requires_grad_(False)
    kept, weights, frozen = nature(network), copy.deepcopy(network.state_dict()), first.clone()
    config = TrainConfig(epochs=2, batch_size=64, device="cpu", average=average)
    for _ in train(network, drawn[:200], drawn[500:520], config, tmp_path):
        assert nature(network) == kept, "in the caller's loop, too"
    assert nature(network) == kept
    assert not same(network, weights)
    assert (first == frozen).all()
    learn(network, drawn[:50], steps=2)


def test_a_layout_and_modes_of_ones_own_are_kept(drawn, tmp_path):
    network = convolutional(nn.BatchNorm2d(8), nn.ReLU()).to(memory_format=torch.channels_last)
    network[1].eval()  # statistics frozen on purpose
    kept, mean = nature(network), network[1].running_mean.clone()
    TorchClassifier(network)(drawn.images[:3])
    assert nature(network) == kept
    list(train(network, drawn[:100], drawn[500:520], SMALL, tmp_path))
    assert nature(network) == kept
    assert network[1].running_mean.shape == mean.shape


def test_digitnets_own_networks_keep_the_fast_layout():
    for make in MODELS.values():
        kernels = [module.weight for module in make().modules() if isinstance(module, nn.Conv2d)]
        assert all(kernel.is_contiguous(memory_format=torch.channels_last) for kernel in kernels)
        assert any(not kernel.is_contiguous() for kernel in kernels)


def test_gradients_that_the_callers_loop_left_are_not_learnt_from(drawn, tmp_path):
    clean, used = Tutorial(), Tutorial()
    used.load_state_dict(clean.state_dict())
    for parameter in used.parameters():
        parameter.grad = torch.ones_like(parameter)
    for name, network in {"clean": clean, "used": used}.items():
        list(train(network, drawn[:100], drawn[500:520], SMALL, tmp_path / name))
    assert same(used, clean.state_dict())


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_weights_of_another_type_are_given_inputs_of_it(dtype, drawn, tmp_path):
    network = Tutorial().to(dtype)
    assert TorchClassifier(network)(drawn.images[:3]).dtype == np.float32
    config = TrainConfig(epochs=1, batch_size=50, device="cpu", precision="float32", optimizer="adam")
    assert len(list(train(network, drawn[:100], drawn[500:520], config, tmp_path))) == 1


def test_layers_that_take_their_shape_from_the_first_input_can_be_trained(drawn, tmp_path):
    network = nn.Sequential(nn.Flatten(), nn.LazyLinear(16), nn.ReLU(), nn.LazyLinear(10))
    assert len(list(train(network, drawn[:100], drawn[500:520], SMALL, tmp_path))) == 1


def test_what_a_network_keeps_of_a_forward_pass_can_be_learnt_with(drawn):
    class Cached(nn.Module):
        def __init__(self):
            super().__init__()
            self.output, self.scale = nn.Linear(784, 10), None

        def forward(self, x):
            if self.scale is None:
                self.scale = x.new_full((784,), 2.0)
            return self.output(x.flatten(1) * self.scale)

    network = Cached()
    TorchClassifier(network)(drawn.images[:3])
    learn(network, drawn[:50], steps=1)


def test_a_network_without_weights_answers_but_cannot_be_trained(drawn, tmp_path):
    network = nn.Sequential(nn.AdaptiveAvgPool2d((1, 10)), nn.Flatten())
    assert TorchClassifier(network)(drawn.images[:3]).shape == (3, 10)
    frozen = Tutorial().requires_grad_(False)
    for each in (network, frozen):
        with pytest.raises(TrainingError, match="has no weights to train"):
            next(train(each, drawn[:100], drawn[500:520], SMALL, tmp_path))


@pytest.mark.parametrize(
    ("network", "given"),
    [
        (nn.Flatten(), r"Flatten: returns \(2, 784\) for 2 images; expected logits \(2, 10\)"),
        (nn.Sequential(nn.Flatten(0), nn.Linear(1568, 10)), r"returns \(10,\)"),
        (nn.Sequential(nn.Flatten(1, 2), nn.LSTM(28, 10)), "Sequential: returns tuple for 2 images"),
    ],
)
def test_answers_that_are_no_logits_are_told(network, given, drawn, tmp_path):
    with pytest.raises(ModelError, match=given):
        TorchClassifier(network)(drawn.images[:2])
    with pytest.raises(ModelError, match=given):
        next(train(network, drawn[:100], drawn[500:520], SMALL, tmp_path))
    assert not list(tmp_path.iterdir())


def test_an_average_of_torchs_is_a_network_too(drawn):
    averaged = AveragedModel(Tutorial())
    assert TorchClassifier(averaged)(drawn.images[:3]).shape == (3, 10)


def test_any_network_is_exported_equal_to_torch_and_left_as_it_was(network, drawn, tmp_path):
    network.train()
    kept, weights = nature(network), copy.deepcopy(network.state_dict())
    exported = export(network, drawn[:100], {"name": "mine"}, tmp_path / "mine.onnx")
    assert nature(network) == kept
    assert same(network, weights)
    fitted = calibrate(network, drawn[:100])
    network.eval()
    for size in BATCHES:
        images = np.resize(drawn.images, (size, 28, 28))
        with torch.no_grad():
            logits = network(torch.tensor(images)[:, None] / 255)
            probs = fitted.probs(logits, logits.logsumexp(1)).numpy()
        assert exported(images) == pytest.approx(probs, abs=TOLERANCE)


@pytest.fixture
def elsewhere(monkeypatch, tmp_path):
    """Another machine: nothing was exported here, and the list of trusted files is empty."""

    def leave():
        monkeypatch.setattr(trust, "_made_here", set())
        monkeypatch.setenv("DIGITNET_TRUST", str(tmp_path / "elsewhere" / "trusted"))

    return leave


@pytest.mark.parametrize("name", ["tutorial", "gelu", "attention", "interpolate"])
def test_own_files_are_opened_here_and_elsewhere_once_they_are_trusted(
    name, drawn, tmp_path, elsewhere, digitnet, caplog
):
    path = tmp_path / "mine.onnx"
    with caplog.at_level(logging.INFO):
        export(OWN[name](), drawn[:100], {"name": "mine"}, path)
    assert caplog.messages == [f"{path}: contains operators beyond digitnet's own; added to your list of trusted files"]
    trust._made_here.clear()  # as in the next process
    assert classifier(path)(drawn.images[:3]).shape == (3, 10)
    elsewhere()
    with pytest.raises(ModelError, match=f"which digitnet's own models do not need; .* digitnet trust {path}"):
        classifier(path)
    status, out, _ = digitnet("trust", path)
    assert (status, out.startswith(f"{path}: trusted, sha256 ")) == (0, True)
    assert classifier(path)(drawn.images[:3]).shape == (3, 10)
    path.write_bytes(path.read_bytes() + b"\x32\x01x")
    with pytest.raises(ModelError, match="digitnet trust"):
        classifier(path)


def test_a_trusted_file_is_opened_by_every_command(drawn, drawn_npz, tmp_path, environment):
    from digitnet.reading.reader import Reader

    path = tmp_path / "mine.onnx"
    export(OWN["gelu"](), drawn[:100], {"name": "mine"}, path)
    trust._made_here.clear()
    assert Reader(digits=path).digits.name == "mine"
    for trusted in ("trusted", "none"):
        where = environment | {"DIGITNET_TRUST": str(tmp_path / trusted)}
        with Process(command, "evaluate", "--model", path, "--data", drawn_npz, "--json", env=where) as process:
            out, err = process.communicate()
        if trusted == "trusted":
            assert process.returncode == 0, err
            assert json.loads(out)["n"] == 600
        else:
            assert (process.returncode, "digitnet trust" in err) == (1, True)


def test_what_is_built_as_digitnets_own_needs_no_trust(drawn, tmp_path, elsewhere):
    export(OWN["linear"](), drawn[:100], {"name": "mine"}, tmp_path / "mine.onnx")
    assert not trust.trust_list().exists()
    elsewhere()
    assert classifier(tmp_path / "mine.onnx")(drawn.images[:3]).shape == (3, 10)


def test_a_list_that_cannot_be_written_is_told_and_the_file_is_kept(drawn, tmp_path, monkeypatch, caplog):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DIGITNET_TRUST", str(tmp_path / "file" / "trusted"))
    assert export(OWN["gelu"](), drawn[:50], {"name": "mine"}, tmp_path / "mine.onnx").name == "mine"
    assert "cannot be written" in caplog.text
    assert "it can only be opened in this process" in caplog.text


def test_only_whole_hashes_are_trusted(tmp_path, monkeypatch):
    sha256 = "ab" * 32
    for content, expected in {f"{sha256}  x\n": True, f"{sha256[:-1]}  x\n": False, f"x {sha256}\n": False}.items():
        (tmp_path / "trusted").write_text(content)
        assert trust.trusted(sha256) == expected
    assert not trust.trusted("")


class Two(nn.Module):
    """A network that answers the first two images alone, as a trace with that batch cannot tell."""

    def __init__(self):
        super().__init__()
        self.output = nn.Linear(784, 10)

    def forward(self, x):
        answer = self.output(x.flatten(1))
        return answer * 2 if len(x) == 2 else answer


class Unknown(nn.Module):
    """What ONNX has no operator for."""

    def __init__(self):
        super().__init__()
        self.output = nn.Linear(784, 10)

    def forward(self, x):
        return self.output(torch.special.bessel_j0(x.flatten(1)))


@pytest.mark.parametrize(
    ("make", "words"),
    [(Two, "its outputs differ from PyTorch's"), (Unknown, "PyTorch cannot convert the network to ONNX")],
)
def test_a_network_that_onnx_cannot_hold_is_not_written(make, words, drawn, tmp_path):
    with pytest.raises(ModelError, match=rf"mine\.onnx: not written, because {words}") as caught:
        export(make(), drawn[:50], {"name": "mine"}, tmp_path / "mine.onnx")
    assert len(str(caught.value).splitlines()) == 1
    assert not list(tmp_path.glob("*"))
