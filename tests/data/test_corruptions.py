import os
from pathlib import Path

import numpy as np
import pytest

from digitnet import Digits
from digitnet.core.errors import DataError
from digitnet.data.corruptions import BLOCK, CORRUPTIONS, corrupt
from digitnet.data.datasets import load

FIXED = {"scale", "brightness", "stripe", "canny_edges"}
RANDOM = [name for name in CORRUPTIONS if name not in FIXED]
every_corruption = pytest.mark.parametrize("name", CORRUPTIONS)


def rng(seed=0):
    return np.random.default_rng(seed)


def test_there_are_the_fifteen_of_mnist_c_in_its_order():
    assert list(CORRUPTIONS) == [
        *("shot_noise", "impulse_noise", "glass_blur", "motion_blur", "shear", "scale", "rotate", "brightness"),
        *("translate", "stripe", "fog", "spatter", "dotted_line", "zigzag", "canny_edges"),
    ]


@every_corruption
def test_any_batch_keeps_its_shape_and_type_and_is_left_alone(name, drawn):
    noise = rng().integers(256, size=(5, 28, 28), dtype=np.uint8)
    blank, full = np.zeros((1, 28, 28), np.uint8), np.full((1, 28, 28), 255, np.uint8)
    for images in (noise, blank, full, drawn.images[:3], noise[:0]):
        before = images.copy()
        spoilt = CORRUPTIONS[name](images, rng())
        assert (spoilt.shape, spoilt.dtype) == (images.shape, np.uint8)
        assert not np.shares_memory(spoilt, images)
        assert (images == before).all()


@every_corruption
def test_the_seed_decides_alone(name, drawn):
    digits = drawn[:20]
    first = corrupt(digits, name, seed=3).images
    assert (corrupt(digits, name, seed=3).images == first).all()
    assert (corrupt(digits, name, seed=4).images == first).all() == (name in FIXED)
    assert (first != digits.images).any(axis=(1, 2)).all()


@pytest.mark.parametrize("name", RANDOM)
def test_every_digit_gets_its_own_draw(name, drawn):
    same = np.repeat(drawn.images[:1], 64, axis=0)
    spoilt = CORRUPTIONS[name](same, rng())
    assert len({image.tobytes() for image in spoilt}) >= (2 if name in {"shear", "rotate", "translate"} else 40)


def test_labels_and_boxes_are_kept_and_probabilities_dropped(drawn):
    probs, boxes = np.full((600, 10), 0.1), np.arange(2400).reshape(600, 4)
    spoilt = corrupt(Digits(drawn.images, drawn.labels, probs, boxes), "fog")
    assert (spoilt.labels == drawn.labels).all()
    assert (spoilt.boxes == boxes).all()
    assert spoilt.probs is None


def test_more_digits_than_a_block_are_all_corrupted(drawn):
    assert len(drawn) > 2 * BLOCK
    whole, part = corrupt(drawn, "impulse_noise"), corrupt(drawn[:BLOCK], "impulse_noise")
    assert (whole.images[:BLOCK] == part.images).all()
    assert (whole.images != drawn.images).any(axis=(1, 2)).all()


def test_no_digits_stay_none(drawn):
    assert len(corrupt(drawn[:0], "canny_edges")) == 0


def test_an_unknown_name_is_answered_with_what_there_is(drawn):
    with pytest.raises(DataError) as error:
        corrupt(drawn, "snow")
    assert str(error.value) == f"unknown corruption 'snow'; choose one of {', '.join(CORRUPTIONS)}"


@pytest.mark.parametrize(
    ("name", "nothing"),
    [
        *(("impulse_noise", {"amount": 0}), ("motion_blur", {"length": 0}), ("shear", {"angle": 0})),
        *(("scale", {"factor": 1}), ("rotate", {"angle": 0}), ("brightness", {"light": 0})),
        *(("translate", {"shift": 0}), ("stripe", {"width": 0}), ("fog", {"amount": 0})),
    ],
)
def test_zero_strength_is_the_identity(name, nothing, drawn):
    assert (CORRUPTIONS[name](drawn.images[:20], rng(), **nothing) == drawn.images[:20]).all()


def test_an_edge_runs_round_a_square_and_faint_ink_has_none():
    image = np.zeros((2, 28, 28), np.uint8)
    image[0, 8:20, 8:20] = 255
    image[1, 8:20, 8:20] = 5
    square, faint = CORRUPTIONS["canny_edges"](image, rng()) > 0
    assert not faint.any()
    assert square[10:18, 7:9].any(axis=1).all()
    assert square[7:9, 10:18].any(axis=0).all()
    assert not square[10:18, 10:18].any()


@pytest.fixture(scope="module")
def published():
    """The first 500 MNIST test images under each corruption, by the authors' own functions: name -> images."""
    folder = Path(os.environ.get("DIGITNET_DEV_DATA") or Path(__file__).parents[2] / "../shared/data")
    path = folder / "mnist-c-sample.npz"
    if not path.is_file():
        pytest.skip(f"no {path.name} in {folder}: name a folder that has it with DIGITNET_DEV_DATA")
    with np.load(path) as file:
        return dict(file)


@pytest.fixture(scope="module")
def clean(mnist_folder):
    return load("mnist", data_dir=mnist_folder)[:500]


@pytest.mark.mnist
@pytest.mark.parametrize("name", sorted(FIXED))
def test_what_is_not_random_is_as_published(name, published, clean):
    off = np.abs(corrupt(clean, name).images - published[name].astype(int))
    assert off.max() <= (1 if name == "scale" else 0)  # a half may be rounded either way
    assert (off > 0).mean() < 0.001


@pytest.mark.mnist
@pytest.mark.parametrize(
    ("name", "n"),
    [
        *(("shear", 20), ("rotate", 20), ("translate", 40)),  # 2, 2 and 4 possible results
        *(("dotted_line", 5000), ("zigzag", 2000), ("motion_blur", 2000)),  # 729, 270 and some hundred
    ],
)
def test_a_published_image_is_among_many_draws(name, n, published, clean):
    for row in range(5):
        draws = CORRUPTIONS[name](np.repeat(clean.images[row : row + 1], n, axis=0), rng(row))
        off = np.abs(draws - published[name][row].astype(np.int16))
        assert off.max(axis=(1, 2)).min() <= 1


@pytest.mark.mnist
@pytest.mark.parametrize("name", RANDOM)
def test_random_corruptions_are_distributed_as_published(name, published, clean):
    ours, theirs = corrupt(clean, name).images.astype(float), published[name].astype(float)
    off = ours - theirs  # of the same digit, so that what the digits themselves vary by drops out

    ink = off.mean(axis=(1, 2))
    assert abs(ink.mean()) < 3 * ink.std() / np.sqrt(len(ink)) + 0.02

    varies = off.std(axis=0) > 1
    deviations = off.mean(axis=0)[varies] / (off.std(axis=0)[varies] / np.sqrt(len(off)))
    assert (deviations**2).mean() < 3  # 1 is expected
    assert np.abs(ours.std(axis=0) - theirs.std(axis=0)).mean() < 4

    counts = [np.histogram(images, 16, (0, 256))[0] / images.size for images in (ours, theirs)]
    assert np.abs(counts[0] - counts[1]).sum() < (0.1 if name == "fog" else 0.015)

    roughness = [np.abs(np.diff(images, axis=axis)).mean() for images in (ours, theirs) for axis in (1, 2)]
    np.testing.assert_allclose(roughness[:2], roughness[2:], rtol=0.025)
