import cv2
import numpy as np
import pytest
import torch

from digitnet.data.synthesis.strokes import hands
from digitnet.models.networks import to_input
from digitnet.training.negatives import SHARES, negatives, overlaid, pairs, pieces, scribbles, shapes, textures

COUNTS = [0, 1, 2, 3, 7, 13, 31, 64, 100, 257]


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def digits():
    return to_input(torch.tensor(hands(40).images))


@pytest.fixture(scope="module")
def letters():
    """No letters, but their place: a bright bar each, which nothing else here draws."""
    x = torch.zeros(5, 1, 28, 28)
    x[:, :, 6:22, 12:16] = 1
    return x


def test_the_shares_are_of_all_negatives():
    assert sum(SHARES.values()) == pytest.approx(1)
    assert min(SHARES.values()) > 0


@pytest.mark.parametrize("count", COUNTS)
def test_there_are_as_many_as_asked_for_all_in_range(digits, letters, count):
    x = negatives(digits, letters, count, rng())
    assert (x.shape, x.dtype) == ((count, 1, 28, 28), torch.float32)
    assert x.isfinite().all()
    assert (x >= 0).all()
    assert (x <= 1 + 1e-5).all()


def test_any_batch_of_digits_can_have_its_negatives(digits, letters):
    for count in range(70):
        assert len(negatives(digits, letters, count, rng(count))) == count


def test_a_small_batch_of_digits_is_enough(digits, letters):
    assert negatives(digits[:1], letters[:1], 16, rng()).shape == (16, 1, 28, 28)


def test_the_same_generator_state_gives_the_same_negatives(digits, letters):
    one, same, other = (negatives(digits, letters, 20, rng(seed)) for seed in (1, 1, 2))
    assert (one == same).all()
    assert (one != other).any()


def test_nothing_that_is_given_is_changed(digits, letters):
    before = digits.clone(), letters.clone()
    negatives(digits, letters, 50, rng())
    assert (digits == before[0]).all()
    assert (letters == before[1]).all()


def test_no_two_negatives_with_ink_are_alike(digits, letters):
    x = negatives(digits, letters, 100, rng())
    inked = x[(x.amax((1, 2, 3)) - x.amin((1, 2, 3))) > 0]
    assert len(inked) > 90
    assert len({image.numpy().tobytes() for image in inked}) == len(inked)


def test_letters_come_a_little_larger_and_whole(digits, letters):
    count = 100
    made = negatives(digits, letters, count, rng())[: round(SHARES["letters"] * count)]
    ink = made.sum((1, 2, 3)) / letters[0].sum()
    assert ink.min() > 0.95**2 - 0.02
    assert ink.max() < 1.45**2 + 0.02
    assert (ink > 1).float().mean() > 0.8
    assert made[:, :, [0, -1]].sum() == 0


@pytest.mark.parametrize("put", [pairs, overlaid])
def test_two_digits_in_one_image_leave_the_ink_of_both(digits, put):
    left, right = digits[:20], digits[20:]
    none = torch.zeros_like(left)
    both, only_left, only_right = put(left, right, rng()), put(left, none, rng()), put(none, right, rng())
    assert (only_left.amax((1, 2, 3)) > 0.5).all()
    assert (only_right.amax((1, 2, 3)) > 0.5).all()
    torch.testing.assert_close(both, torch.maximum(only_left, only_right))


def columns(x):
    """Centre of mass of each image across, pixels."""
    return (x.sum((1, 2)) * (torch.arange(28.0) + 0.5)).sum(1) / x.sum((1, 2, 3))


def test_digits_in_a_pair_stand_side_by_side(digits):
    left, right = digits[:20], digits[20:]
    none = torch.zeros_like(left)
    one, other = columns(pairs(left, none, rng())), columns(pairs(none, right, rng()))
    assert (one < 12).all()
    assert (other > 16).all()


def test_an_overlaid_digit_lies_four_to_seven_pixels_away(digits):
    none = torch.zeros_like(digits)

    def centre(x):
        return torch.stack([columns(x), columns(x.transpose(2, 3))], 1)

    below, above = overlaid(digits, none, rng()), overlaid(none, digits, rng())
    # Each is moved by 0.3 to 0.5 of half the frame, at 1 / 1.15 of its size, in opposite directions.
    apart = (centre(above) - centre(below)).norm(dim=1) * 1.15 / 2
    assert apart.min() > 0.3 * 14 - 0.5
    assert apart.max() < 0.5 * 14 + 0.5


def test_a_piece_is_an_enlarged_part(digits):
    blocks = torch.zeros(12, 1, 28, 28)
    blocks[:, :, 10:18, 10:18] = 1
    # A zoom of 0.3 to 0.45 enlarges eight pixels to 18 or more, less what leaves the frame.
    wide = (pieces(blocks, rng()) > 0.5).any(2).sum(2).float()
    assert wide.max() > 17
    assert wide.mean() > 8
    assert pieces(digits, rng()).amax((1, 2, 3)).mean() > 0.8


def test_a_scribble_is_one_line_that_leaves_paper():
    x = scribbles(24, rng())
    assert x.shape == (24, 1, 28, 28)
    assert (x.amax((1, 2, 3)) > 0.9).all()
    ink = x.mean((1, 2, 3))
    assert ink.min() > 0.05
    assert ink.max() < 0.8
    for image in x[:, 0]:
        # Where the line was drawn fast with a fine pen it is dotted.
        joined = cv2.dilate((image > 0).numpy().astype(np.uint8), np.ones((3, 3)))
        parts, _ = cv2.connectedComponents(joined)
        assert parts == 2  # paper and one line


def test_shapes_have_at_least_one_filled_area():
    x = shapes(64, rng())
    assert x.shape == (64, 1, 28, 28)
    assert ((x > 0).float().mean((1, 2, 3)) > 0.02).all()
    assert (x[:, :, [0, -1]][..., [0, -1]] == 0).float().mean() > 0.8  # corners are mostly paper


def test_textures_are_grain_black_and_white_and_empty_pages():
    x = torch.cat([textures(40, rng(seed)) for seed in range(8)])
    values = [image.unique() for image in x]
    flat = np.array([len(each) == 1 for each in values])
    hard = np.array([len(each) == 2 and each.tolist() == [0, 1] for each in values])
    grain = np.array([len(each) > 2 for each in values])
    for kind in (flat, hard, grain):
        assert 0.15 < kind.mean() < 0.6
    black = np.array([not image.any() for image in x])
    grey = np.array([0 < image.min() == image.max() < 1 for image in x])
    assert black.mean() > 0.05
    assert grey.mean() > 0.05


def test_each_kind_draws_none_where_none_is_asked_for(digits):
    for none in (scribbles(0, rng()), shapes(0, rng()), textures(0, rng()), pieces(digits[:0], rng())):
        assert none.shape == (0, 1, 28, 28)
