import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from digitnet.models.networks import MODELS, DigitNet, LineNet, StrongNet, TorchClassifier, to_input
from digitnet.models.page_network import PageNet


def tutorial(weights, x):
    """The tutorial's forward pass, from its state dict alone: convolution, ReLU, pooling."""
    for stage in ("feature_stage_1", "feature_stage_2"):
        x = F.conv2d(x, weights[f"{stage}.0.weight"], weights[f"{stage}.0.bias"], stride=1, padding=1)
        x = F.max_pool2d(F.relu(x), 2)
    x = F.relu(F.linear(x.flatten(1), weights["classifier_1.weight"], weights["classifier_1.bias"]))
    return F.linear(x, weights["output_layer.weight"], weights["output_layer.bias"])


def test_digitnet_has_the_tutorials_layers_and_206922_parameters():
    network = DigitNet()
    shapes = {name: tuple(weight.shape) for name, weight in network.state_dict().items()}
    assert shapes == {
        "feature_stage_1.0.weight": (16, 1, 3, 3),
        "feature_stage_1.0.bias": (16,),
        "feature_stage_2.0.weight": (32, 16, 3, 3),
        "feature_stage_2.0.bias": (32,),
        "classifier_1.weight": (128, 1568),
        "classifier_1.bias": (128,),
        "output_layer.weight": (10, 128),
        "output_layer.bias": (10,),
    }
    assert sum(weight.numel() for weight in network.parameters()) == 206_922
    assert isinstance(network.activation, nn.ReLU)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_pooling_before_relu_is_the_tutorials_function(layout):
    torch.manual_seed(0)
    network = DigitNet().to(memory_format=layout)
    x = torch.rand(7, 1, 28, 28)
    expected = tutorial(network.state_dict(), x)
    assert network(x.to(memory_format=layout)).shape == (7, 10)
    torch.testing.assert_close(network(x.to(memory_format=layout)), expected, atol=1e-5, rtol=1e-5)


def test_gradients_are_the_tutorials_too():
    torch.manual_seed(0)
    network, x = DigitNet(), torch.rand(4, 1, 28, 28)
    ours = torch.autograd.grad(network(x).square().sum(), list(network.parameters()))
    weights = {name: weight.detach().requires_grad_() for name, weight in network.named_parameters()}
    theirs = torch.autograd.grad(tutorial(weights, x).square().sum(), list(weights.values()))
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-3)


def test_pixels_are_scaled_to_0_to_1():
    x = to_input(torch.tensor([[[0, 51], [204, 255]]], dtype=torch.uint8))
    assert x.shape == (1, 1, 2, 2)
    torch.testing.assert_close(x.flatten(), torch.tensor([0, 0.2, 0.8, 1]))


@pytest.mark.parametrize("n", [0, 1, 513])
def test_a_classifier_gives_probabilities_for_any_number_of_images(n):
    images = np.random.default_rng(0).integers(0, 256, (n, 28, 28), dtype=np.uint8)
    probs = TorchClassifier(DigitNet())(images)
    assert probs.shape == (n, 10)
    assert probs.dtype == np.float32
    assert probs.sum(axis=1) == pytest.approx(np.ones(n), abs=1e-5)


def test_an_image_is_classified_alike_alone_and_in_company():
    images = np.random.default_rng(0).integers(0, 256, (9, 28, 28), dtype=np.uint8)
    classifier = TorchClassifier(DigitNet())
    assert classifier(images)[3] == pytest.approx(classifier(images[3:4])[0], abs=1e-6)
    assert classifier(images[::2]) == pytest.approx(classifier(images)[::2], abs=1e-6)


def strong(weights, x):
    """StrongNet's evaluation, from its state dict alone: 3x3 convolution, normalisation by what was gathered, ReLU."""

    def layer(name, x, padding=1, pool=False):
        x = F.conv2d(x, weights[f"{name}.0.weight"], padding=padding)
        x = F.max_pool2d(x, 2) if pool else x
        mean, var, gain, bias = (
            weights[f"{name}.{2 if pool else 1}.{part}"].view(1, -1, 1, 1)
            for part in ("running_mean", "running_var", "weight", "bias")
        )
        return F.relu((x - mean) / (var + 1e-5).sqrt() * gain + bias)

    x = layer("widen_1", layer("stem", x, pool=True))
    x = layer("widen_2", F.max_pool2d(x + layer("residual_1", x), 2))
    x = x + layer("residual_2", x)
    x = F.max_pool2d(x + layer("residual_3", x), 2)
    x = layer("whole", x, padding=0).flatten(1)
    return F.linear(x, weights["output_layer.weight"], weights["output_layer.bias"])


def test_strongnet_has_467306_parameters_and_is_what_its_layers_say():
    torch.manual_seed(0)
    network = StrongNet()
    assert sum(weight.numel() for weight in network.parameters()) == 467_306
    network(torch.rand(32, 1, 28, 28))  # gathers some statistics
    network.eval()
    x = torch.rand(7, 1, 28, 28)
    assert network(x).shape == (7, 10)
    torch.testing.assert_close(network(x), strong(network.state_dict(), x), atol=1e-4, rtol=1e-4)


def test_networks_go_by_their_names():
    assert {"digitnet": DigitNet, "strong": StrongNet, "line": LineNet, "page": PageNet} == MODELS
    for network in (DigitNet, StrongNet):
        assert network()(torch.rand(2, 1, 28, 28)).shape == (2, 10)


def test_a_classifier_scores_with_the_statistics_it_gathered_and_gathers_no_more():
    torch.manual_seed(0)
    network = StrongNet()
    images = np.random.default_rng(0).integers(0, 256, (9, 28, 28), dtype=np.uint8)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    classifier = TorchClassifier(network)
    assert classifier(images)[3] == pytest.approx(classifier(images[3:4])[0], abs=1e-5)
    assert network.training
    for name, value in network.state_dict().items():
        assert (value == before[name]).all()
