import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from digitnet.training.augmentation import (
    AUGMENTS,
    _highest,
    blend,
    coarsen,
    contrast,
    gentle,
    lively,
    noise,
    occlude,
    shade,
    some,
    thickness,
    transfer,
    warp,
)

EVERY_CHANGE = (gentle, lively, transfer, coarsen, contrast, shade, blend, noise, occlude)
"""What gives each digit a change of its own, but for `coarsen`, whose grid is the batch's."""

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


@pytest.mark.parametrize("change", EVERY_CHANGE, ids=lambda change: change.__name__)
@given(seed=st.integers(0, 1000), n=st.integers(1, 9))
def test_any_batch_keeps_its_shape_type_and_range(change, seed, n):
    x = torch.rand(n, 1, 28, 28, generator=rng(seed))
    before = x.clone()
    y = change(x, rng(seed))
    assert (y.shape, y.dtype) == (x.shape, x.dtype)
    assert y.isfinite().all()
    assert y.min() >= 0
    assert y.max() <= 1 + 1e-5
    assert (x == before).all()


@pytest.mark.parametrize("change", EVERY_CHANGE, ids=lambda change: change.__name__)
def test_the_same_generator_state_gives_the_same_batch(strokes, change):
    state = torch.get_rng_state()
    assert (change(strokes, rng(3)) == change(strokes, rng(3))).all()
    assert (change(strokes, rng(3)) != change(strokes, rng(4))).any()
    assert (torch.get_rng_state() == state).all()  # torch's own randomness is left alone


@pytest.mark.parametrize("change", [warp, contrast, shade, blend, noise, occlude], ids=lambda change: change.__name__)
def test_every_digit_gets_its_own_change(strokes, change):
    same = strokes[:1].expand(8, 1, 28, 28).contiguous()
    y = change(same, rng())
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


def test_the_ways_to_augment_go_by_their_names(strokes):
    assert AUGMENTS.keys() == {"none", "gentle", "lively", "transfer"}
    assert AUGMENTS["none"](strokes, rng()) is strokes
    for change in (gentle, lively, transfer):
        assert AUGMENTS[change.__name__] is change


def test_lively_changes_more_than_gentle_and_transfer_more_than_lively():
    x = torch.zeros(400, 1, 28, 28)
    x[:, :, 6:22, 12:16] = 1
    changed = [(change(x, rng()) - x).abs().mean() for change in (gentle, lively, transfer)]
    assert changed[0] < changed[1] < changed[2]


@pytest.mark.parametrize("share", [0.0, 0.1, 0.25, 0.5, 1.0])
def test_some_changes_exactly_its_share_and_leaves_the_rest(strokes, share):
    y = some(lambda x, rng: 1 - x, strokes, rng(), share)
    changed = (y != strokes).any(3).any(2).any(1)
    assert changed.sum() == int(16 * share)
    assert (y[changed] == 1 - strokes[changed]).all()
    assert (y[~changed] == strokes[~changed]).all()


def test_some_of_nothing_is_the_identity_and_draws_no_number(strokes):
    draws = rng()
    assert some(noise, strokes, draws, 0) is strokes
    assert some(noise, strokes[:3], draws, 0.3) is not None
    assert (draws.get_state() == rng().get_state()).all()


def test_some_takes_other_rows_each_time(strokes):
    def rows(seed):
        return ((some(lambda x, rng: 1 - x, strokes, rng(seed), 0.5) != strokes).any(3).any(2).any(1)).tolist()

    assert len({tuple(rows(seed)) for seed in range(5)}) == 5


def test_a_coarse_scan_has_few_levels_of_detail(strokes):
    """Half are in black and white, and blocks of one value each show how large a scanned pixel was."""
    y = torch.cat([coarsen(strokes, rng(seed)) for seed in range(20)])
    hard = torch.tensor([image.unique().tolist() in ([0, 1], [0], [1]) for image in y])
    blocks = (y[:, :, 1:] == y[:, :, :-1]).all(3).all(1).sum(1)  # rows like the one above them
    assert 0.1 < hard.float().mean() < 0.5
    assert (blocks >= 3).float().mean() > 0.4


def test_contrast_keeps_the_order_of_grey_levels_and_some_ink():
    ramp = torch.linspace(0, 1, 28).expand(50, 1, 28, 28)
    y = contrast(ramp, rng())
    assert (y.diff(dim=3) >= 0).all()
    assert y.amax((1, 2, 3)).min() >= 0.35 * 0.5
    assert y.amax((1, 2, 3)).max() <= 1


def test_contrast_hardens_some_and_softens_others():
    ramp = torch.linspace(0, 1, 28).expand(100, 1, 28, 28)
    y = contrast(ramp, rng())
    between = ((y > 0) & (y < y.amax((1, 2, 3), keepdim=True))).float().mean((1, 2, 3))
    assert between.min() < 0.4
    assert between.max() > 0.9


def test_shade_only_brightens_and_leaves_full_ink_full(strokes):
    y = shade(strokes, rng())
    assert (y >= strokes - 1e-6).all()
    torch.testing.assert_close(shade(torch.ones(5, 1, 28, 28), rng()), torch.ones(5, 1, 28, 28))
    paper = shade(torch.zeros(200, 1, 28, 28), rng())
    assert paper.max() <= 0.8
    assert (paper.amax((1, 2, 3)) - paper.amin((1, 2, 3))).mean() > 0.1  # uneven
    assert (paper.diff(dim=3).abs().amax((1, 2, 3))).max() < 0.1  # and smooth


def test_blend_is_each_images_own_filter_and_leaves_blank_ones_blank(strokes):
    assert blend(torch.zeros(4, 1, 28, 28), rng()).sum() == 0
    dot = torch.zeros(60, 1, 28, 28)
    dot[:, :, 14, 14] = 1
    y = blend(dot, rng())
    assert (y[:, :, :12] == 0).all()
    assert (y[:, :, 17:] == 0).all()
    assert (y[..., :12] == 0).all()
    assert (y[..., 17:] == 0).all()
    spread = (y > 0).sum((1, 2, 3))
    assert spread.min() >= 20
    # A blur takes from the middle what it gives around it; weights of both signs can add ink.
    blurs = (y.sum((1, 2, 3)) - 1).abs() < 1e-4
    assert 0.3 < blurs.float().mean() < 0.7


def test_noise_is_grain_and_a_few_pixels_of_any_value():
    grey = torch.full((200, 1, 28, 28), 0.5)
    y = noise(grey, rng())
    off = (y - 0.5).abs()
    assert (y.mean((1, 2, 3)) - 0.5).abs().max() < 0.06
    lost = (off > 0.25 * 3.5).float().mean((1, 2, 3))
    assert lost.max() < 0.25
    assert off.mean((1, 2, 3)).min() < 0.03  # hardly any on some
    assert off.mean((1, 2, 3)).max() > 0.15  # much on others


def test_occlusion_leaves_one_grey_where_it_covers_and_the_rest_as_it_was():
    paper = torch.full((200, 1, 28, 28), 0.3)
    y = occlude(paper, rng())
    for image in y:
        assert len(image.unique()) <= 2
    covered = (y != paper).float().mean((1, 2, 3))
    assert 0 < covered.median() < 0.2
    assert covered.max() < 0.4
    assert covered.std() > 0.01
