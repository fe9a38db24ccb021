import numpy as np
import pytest
from helpers import dark, dotted

from digitnet.imaging.crop import _quantile
from digitnet.imaging.page_find import MAX_PIXELS, MAX_PLACES, Place, _without_doubles, find, lines_of, see
from digitnet.imaging.page_regions import regions, traced
from digitnet.imaging.segmentation import Found, Region, search
from digitnet.models.page_model import page_model
from digitnet.reading.effort import MAX_EFFORT, effort, within


def test_a_page_of_very_many_places_is_read_from_its_top():
    page = dotted(640, 16, 8)
    found = regions(page, dark(20))
    assert found.limits == ("too_many_numbers",)
    assert len(found.regions) == MAX_PLACES
    assert max(region.box[1] for region in found.regions) < 120  # 40 a row
    few = regions(dotted(240, 16, 8), dark(20))
    assert (len(few.regions), few.limits) == (225, ())


@pytest.mark.parametrize(("height", "width"), [(3000, 3000), (300, 6000)])
def test_pages_of_tiny_digits_are_looked_at_once_more_within_a_limit(height, width):
    page = np.full((height, width), 255, np.uint8)
    page[100:130, 100:130] = 0
    seen = []
    find(page, dark(3, seen))
    first, again, *_ = (high * wide for high, wide in seen)
    assert first < again <= 1.05 * MAX_PIXELS  # sides are multiples of 32


def place(left, top, right, bottom, score):
    quad = np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float32)
    return Place(quad, 20, score, np.zeros(7, np.float32), np.zeros((0, 2), np.float32))


def test_of_two_places_that_share_most_of_one_the_earlier_groups_or_the_likelier_stays():
    wide, apart = place(0, 0, 100, 20, 0.7), place(200, 0, 240, 20, 0.6)
    likelier, later, beside = place(5, 0, 105, 20, 0.9), place(0, 0, 50, 20, 1.0), place(90, 0, 190, 20, 0.8)
    assert _without_doubles([wide, likelier, apart], [later, beside]) == [likelier, apart, beside]
    assert _without_doubles([], []) == []


def written_on(*blocks):
    """Maps of a page of 400x400 pixels with handwriting in blocks (left, top, right, bottom), digits 32 pixels high."""
    fine, coarse = np.full((3, 200, 200), -9, np.float32), np.zeros((7 + 11 + 3, 100, 100), np.float32)
    coarse[0], coarse[-1] = 4, np.log2(32) - 4
    for kind, (left, top, right, bottom) in blocks:
        coarse[kind, top // 4 : bottom // 4, left // 4 : right // 4] = 9
    return fine, coarse


def test_words_and_numbers_near_each_other_are_a_line_of_writing():
    words, number, below, rule = (4, (40, 40, 120, 72)), (6, (140, 40, 180, 72)), (4, (40, 120, 140, 152)), 2
    one, other = lines_of(written_on(words, number, below, (rule, (200, 200, 380, 204))))
    assert one.quad[:, 0].min() == pytest.approx(40 - 0.4 * 32, abs=4)
    assert one.quad[:, 0].max() == pytest.approx(180 + 0.4 * 32, abs=4)
    assert other.quad[:, 1].mean() == pytest.approx(136, abs=4)
    assert one.kinds[4] == pytest.approx(2 / 3, abs=0.05)
    assert lines_of(written_on((4, (40, 40, 72, 180)), (4, (200, 40, 220, 60)))) == [], "upright, or a single letter"
    assert lines_of(written_on()) == []


def test_a_page_takes_a_share_of_the_work():
    region = Region((0, 0, 40, 40), np.zeros((40, 40), np.uint8), (), np.eye(2, 3))
    many = Found([region] * 2000, ())
    counts = [len(within(many, share).regions) for share in (1, 0.25)]
    assert counts == [int(share * MAX_EFFORT / effort(region)) for share in (1, 0.25)]


def test_a_released_network_answers_as_before():
    network = page_model(threads=1)
    page = np.random.default_rng(0).random((1, 3, 96, 64), np.float32)
    before = network(page)
    network.release()
    for one, other in zip(before, network(page), strict=True):
        assert (one == other).all()


def test_quantiles_are_those_of_numpy():
    values = np.random.default_rng(0).random(1000).astype(np.float32)
    for share in (0.0, 0.97, 0.995, 1.0):
        assert _quantile(values, share) == pytest.approx(np.quantile(values, share), rel=1e-6)
    assert _quantile(values[:1], 0.5) == values[0]


def test_a_large_page_is_seen_as_a_small_one_of_the_same():
    small = (np.add.outer(np.arange(96), np.arange(128)) % 50 + 100).astype(np.uint8)
    seen = []

    def network(x):
        seen.append(x)
        return np.zeros((1, 3, x.shape[2] // 2, x.shape[3] // 2)), np.zeros((1, 21, x.shape[2] // 4, x.shape[3] // 4))

    see(small, network, 1.0)
    see(np.kron(small, np.ones((5, 5), np.uint8)), network, 0.2)
    see(np.stack([small] * 3, axis=2), network, 1.0)
    assert (seen[0] == seen[1]).all()
    assert np.abs(seen[0] - seen[2]).max() < 1e-6


def test_regions_of_which_the_page_network_sees_no_trace_are_left_out():
    page = np.full((300, 600), 255, np.uint8)
    page[100:130, 100:110] = page[100:130, 400:410] = page[20:280, 250:300] = 0
    found = search(page)
    seen = []

    def network(x):
        fine, coarse = dark(3, seen)(x)
        fine[:, 0] -= 10  # faint at most
        fine[:, 0, :, x.shape[3] // 4 :] = -20  # nothing on the right
        return fine, coarse

    assert [region.box[0] for region in traced(page, found, network).regions] == [100, 250]
    assert len(seen) == 2  # the tall one is looked at coarser
    assert seen[0][1] > 2 * seen[1][1]
    assert traced(page, Found([], ()), network).regions == []
