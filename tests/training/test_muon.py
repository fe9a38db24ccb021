import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from digitnet.training.muon import Muon, orthogonal


def newton_schulz(g):
    """Jordan's iteration as published, on the whole matrix, in double precision."""
    x = g.double() / g.double().norm()
    wide = x if x.shape[0] <= x.shape[1] else x.T
    for _ in range(5):
        a = wide @ wide.T
        wide = 3.4445 * wide + (-4.7750 * a + 2.0315 * a @ a) @ wide
    return wide if x.shape[0] <= x.shape[1] else wide.T


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 99))
def test_the_short_way_gives_the_published_iteration(rows, columns, seed):
    g = torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))
    torch.testing.assert_close(orthogonal(g).double(), newton_schulz(g), atol=5e-3, rtol=0)


def test_singular_values_come_near_one():
    g = torch.randn(32, 144, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonal(g))
    assert values.min() > 0.6
    assert values.max() < 1.3


def test_a_zero_gradient_moves_nothing():
    weight = torch.ones(3, 4, requires_grad=True)
    weight.grad = torch.zeros(3, 4)
    Muon([weight], lr=0.1).step()
    assert (weight == 1).all()


def test_it_steps_as_torchs_own_muon_does_on_a_matrix():
    start, gradient = torch.randn(2, 8, 16, generator=torch.Generator().manual_seed(0))
    ours, theirs = (start.clone().requires_grad_() for _ in range(2))
    mine = Muon([ours], lr=0.1, momentum=0.9)
    reference = torch.optim.Muon([theirs], lr=0.1, momentum=0.9, weight_decay=0.0, nesterov=True)
    for sign in (1, -0.5, 2):
        ours.grad, theirs.grad = gradient * sign, gradient * sign
        mine.step()
        reference.step()
    # PyTorch's iterates in bfloat16.
    torch.testing.assert_close(ours, theirs, atol=0.02, rtol=0)


@pytest.mark.parametrize("shape", [(16, 8), (32, 16, 3, 3)])
def test_it_minimises(shape):
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(0)).requires_grad_()
    optimizer = Muon([weight], lr=0.5)
    before = weight.square().sum().item()
    for _ in range(30):
        optimizer.zero_grad()
        weight.square().sum().backward()
        optimizer.step()
    assert weight.square().sum().item() < before / 2
