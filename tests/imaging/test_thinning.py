import cv2
import numpy as np
import pytest

from digitnet.imaging.thinning import thinner


def ring(radius, width, size=60):
    return cv2.circle(np.zeros((size, size), np.uint8), (size // 2, size // 2), radius, 255, width)


@pytest.mark.parametrize("size", [20, 60, 400])
def test_a_heavy_pen_leaves_half_of_its_width_and_opens_its_loops(size):
    picture = ring(size // 4, size // 5, size)
    after = thinner(picture, 0.7 * size)
    assert after is not None
    assert after.shape[0] % size == 0
    large = cv2.resize(picture, after.shape, interpolation=cv2.INTER_CUBIC)
    assert 0.4 < (after > 127).sum() / (large > 127).sum() < 0.6


def test_a_light_pen_stays_as_it_is():
    assert thinner(ring(15, 2), 32) is None
    assert thinner(np.zeros((40, 40), np.uint8), 32) is None
    assert thinner(np.full((40, 40), 255, np.uint8), 0) is not None, "all ink"
