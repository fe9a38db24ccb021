import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from digitnet.augment import _highest, augment, thickness, warp

STILL = {"degrees": 0.0, "stretch": 0.0, "slant": 0.0, "shift": 0.0, "bend": 0.0}


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def strokes():
    """Sixteen thick random strokes, well inside the image."""
    x = torch.zeros(16, 1, 28, 28)
    x[:, :, 8:20, 12:16] = torch.rand(16, 1, 1, 1, generator=rng()) / 2 + 0.5
    return x


def test_zero_strength_is_the_identity(strokes):
    torch.testing.assert_close(warp(strokes, rng(), **STILL), strokes, atol=1e-4, rtol=0)
    assert thickness(strokes, rng(), share=0) is strokes
    torch.testing.assert_close(thickness(strokes, rng(), share=1, most=0), strokes)


@given(st.integers(0, 1000), st.integers(1, 5))
def test_any_batch_keeps_its_shape_type_and_range(seed, n):
    x = torch.rand(n, 1, 28, 28, generator=rng(seed))
    before = x.clone()
    y = augment(x, rng(seed))
    assert (y.shape, y.dtype) == (x.shape, x.dtype)
    assert y.min() >= 0
    assert y.max() <= 1 + 1e-5
    assert (x == before).all()


def test_the_same_generator_state_gives_the_same_batch(strokes):
    assert (augment(strokes, rng(3)) == augment(strokes, rng(3))).all()
    assert (augment(strokes, rng(3)) != augment(strokes, rng(4))).any()


def test_every_digit_gets_its_own_change(strokes):
    same = strokes[:1].expand(8, 1, 28, 28).contiguous()
    y = warp(same, rng())
    assert len({image.numpy().tobytes() for image in y}) == 8


def centre(x):
    steps = torch.arange(28.0)
    mass = x.sum((1, 2, 3))
    return torch.stack([(x.sum((1, 2)) * steps).sum(1) / mass, (x.sum((1, 3)) * steps).sum(1) / mass], dim=1)


def test_a_shift_moves_the_centre_of_mass_by_at_most_that_many_pixels(strokes):
    moved = centre(warp(strokes, rng(), **STILL | {"shift": 3.0})) - centre(strokes)
    assert moved.abs().max() <= 3.001
    assert moved.abs().max() > 1


def test_turns_and_stretches_agree_with_torchs_own_affine_grid(strokes):
    seed = 5
    y = warp(strokes, rng(seed), degrees=30, stretch=0.2, slant=0.3, shift=2, bend=0)
    # The same draws, in the documented order, through F.affine_grid.
    draw, n = rng(seed), len(strokes)

    def spread(width):
        return (torch.rand(n, generator=draw) * 2 - 1) * width

    turn = torch.deg2rad(spread(30))
    wide, high = spread(0.2).exp(), spread(0.2).exp()
    lean, right, down = spread(0.3), spread(2 / 14), spread(2 / 14)
    theta = torch.stack(
        [turn.cos() * wide, lean - turn.sin() * high, right, turn.sin() * wide, turn.cos() * high, down], dim=1
    )
    grid = F.affine_grid(theta.view(n, 2, 3), [n, 1, 28, 28], align_corners=False)
    torch.testing.assert_close(y, F.grid_sample(strokes, grid, align_corners=False), atol=1e-4, rtol=0)


def test_bending_moves_ink_by_at_most_its_strength():
    x = torch.zeros(64, 1, 28, 28)
    x[:, :, 13:15, 13:15] = 1
    y = warp(x, rng(), **STILL | {"bend": 2.0})
    assert (centre(y) - centre(x)).abs().max() <= 2.8  # cubic interpolation overshoots a little
    assert (centre(y) - centre(x)).abs().max() > 0.5


def test_pens_become_broader_and_finer(strokes):
    ink = thickness(strokes, rng(), share=1.0, most=1.0).sum((1, 2, 3)) / strokes.sum((1, 2, 3))
    assert (ink > 1.0).sum() == 8
    assert (ink < 1.0).sum() == 8


@given(st.integers(0, 1000))
def test_highest_is_the_3x3_maximum_filter(seed):
    x = torch.rand(2, 1, 28, 28, generator=rng(seed))
    assert (_highest(x) == F.max_pool2d(x, 3, 1, 1)).all()
