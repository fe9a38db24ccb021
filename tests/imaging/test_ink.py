import cv2
import numpy as np
import pytest
from helpers import NO_PAGES
from hypothesis import given, settings
from hypothesis import strategies as st

from digitnet import ImageError
from digitnet.imaging.ink import MIN_STROKE, checked, ink_of, quantiles


def strokes(height=400, width=600, thickness=5, seed=0):
    """Curves as a pen draws them, (h, w) float64: 0 paper .. 1 ink."""
    rng = np.random.default_rng(seed)
    ink = np.zeros((height, width), np.uint8)
    for y in range(60, height - 40, 90):
        for x in range(50, width - 40, 60):
            axes = rng.integers(8, 24, 2).tolist()
            start = int(rng.integers(0, 360))
            cv2.ellipse(ink, (x, y), axes, 0, start, start + 250, 255, thickness, cv2.LINE_AA)
    return ink / 255


def shown(page):
    return page.clip(0, 255).round().astype(np.uint8)


def grain(shape, strength, seed=0):
    return np.random.default_rng(seed).normal(0, strength, shape)


def assert_inked(ink, truth, share=0.99):
    """Ink reaches INK where it was drawn, and nowhere else."""
    assert ink.dtype == np.uint8
    assert (ink[truth > 0.7] >= MIN_STROKE).mean() > share
    assert (ink[truth == 0] < MIN_STROKE).mean() > 0.999


@settings(max_examples=20)
@given(st.integers(20, 235), st.integers(20, 235))
def test_ink_is_bright_whatever_the_colours_of_paper_and_ink(paper, ink):
    if abs(paper - ink) < 30:
        return
    truth = strokes()
    seen = ink_of(shown(paper + (ink - paper) * truth))
    assert_inked(seen, truth)
    assert not seen[truth == 0].any()


def test_light_and_dark_ink_come_out_the_same():
    page = shown(230 - 170 * strokes())
    assert np.abs(ink_of(page).astype(int) - ink_of(255 - page)).max() <= 4


@pytest.mark.parametrize("least", [0.8, 0.5, 0.35])
@pytest.mark.parametrize("light_ink", [False, True])
def test_light_that_falls_from_a_side_makes_no_ink(least, light_ink):
    truth = strokes()
    page = (230 - 170 * truth) * np.linspace(1, least, truth.shape[1]) + grain(truth.shape, 2)
    assert_inked(ink_of(shown(255 - page if light_ink else page)), truth)


def test_a_soft_shadow_makes_no_ink():
    truth = strokes()
    x = np.arange(truth.shape[1])
    page = (230 - 170 * truth) * (1 - 0.5 / (1 + np.exp((300 - x) / 20)))
    assert_inked(ink_of(shown(page + grain(truth.shape, 2))), truth)


@pytest.mark.parametrize(("contrast", "noise"), [(40, 4), (60, 8), (170, 12)])
def test_the_grain_of_paper_makes_no_ink(contrast, noise):
    truth = strokes()
    assert_inked(ink_of(shown(200 - contrast * truth + grain(truth.shape, noise))), truth, 0.97)


def test_a_pattern_fainter_than_the_writing_makes_no_ink():
    truth = strokes()
    y = np.arange(len(truth))[:, None]
    page = 230 - 25 * (y % 6 < 3) - 150 * truth
    assert_inked(ink_of(shown(page)), truth)


def test_both_polarities_may_be_on_one_page():
    truth = strokes(800, 600)
    page = np.where(np.arange(800)[:, None] < 400, 230 - 180 * truth, 30 + 180 * truth)
    assert_inked(ink_of(shown(page))[:370], truth[:370])
    assert_inked(ink_of(shown(page))[430:], truth[430:])


@pytest.mark.parametrize("light_ink", [False, True])
def test_a_tight_crop_of_bold_strokes_is_still_ink_on_paper(light_ink):
    truth = np.zeros((28, 24))
    cv2.ellipse(truth, (11, 13), (8, 10), 0, 0, 360, 1, 5)
    page = shown(240 - 200 * truth)
    ink = ink_of(255 - page if light_ink else page)
    assert ((ink >= MIN_STROKE) == (truth == 1)).all()


@pytest.mark.parametrize("value", [0, 128, 255])
@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (28, 28), (700, 500)])
def test_an_empty_page_has_no_ink(value, shape):
    ink = ink_of(np.full(shape, value, np.uint8))
    assert ink.shape == shape
    assert not ink.any()


def test_the_page_that_is_given_stays_as_it_is():
    page = shown(230 - 170 * strokes() + grain((400, 600), 8))
    before = page.copy()
    ink_of(page)
    assert (page == before).all()


@pytest.mark.parametrize("work", [checked, ink_of])
@NO_PAGES
def test_what_is_no_page_is_said(work, page, fact):
    with pytest.raises(ImageError, match=rf"page is {fact}, expected \(height, width\) uint8"):
        work(page)


@given(st.lists(st.integers(0, 255), min_size=1, max_size=60), st.floats(0, 1))
def test_quantiles_are_numpys(values, share):
    levels = np.array(values, np.uint8)
    assert quantiles(levels, (share, 0.5)) == pytest.approx(np.quantile(levels, (share, 0.5)))
