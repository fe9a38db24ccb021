import cv2
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

import digitnet
from digitnet import DataError
from digitnet.imaging.normalization import MIN_BOX_INK, frame, strip

CANVAS = 80
"""Height and width of the page that inks are drawn on, pixels."""

points = st.lists(st.tuples(st.integers(14, 65), st.integers(14, 65)), min_size=2, max_size=5, unique=True)


@st.composite
def inks(draw):
    """A few strokes of one grey on black, 14 pixels or more of paper around them: (80, 80) uint8."""
    page = Image.new("L", (CANVAS, CANVAS))
    strokes, width, grey = draw(points), draw(st.integers(3, 9)), draw(st.integers(100, 255))
    ImageDraw.Draw(page).line(strokes, fill=grey, width=width)
    ink = np.array(page)
    height, wide = extent(ink)
    assume(max(height, wide) >= 20)
    return ink


def extent(image):
    """Height and width of the box around everything that is not 0."""
    rows, columns = np.nonzero(image)
    return np.ptp(rows) + 1, np.ptp(columns) + 1


def centre(image):
    """Centre of mass: down and across, in pixels from the upper left corner."""
    rows, columns = np.indices(image.shape) + 0.5
    return np.array([np.average(rows, weights=image), np.average(columns, weights=image)])


def apart(one, other):
    """Mean absolute difference, after the best move by at most a pixel each way.

    MNIST places digits by whole pixels: a hair of difference in the centre of mass may move one by a pixel.
    """
    one, other = one.astype(int), other.astype(int)
    moves = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1)]
    return min(np.abs(np.roll(one, move, axis=(0, 1)) - other).mean() for move in moves)


@pytest.fixture(scope="session")
def mnist(mnist_folder):
    return digitnet.load("mnist", "test", mnist_folder).images[:1000]


@pytest.mark.mnist
def test_mnists_digits_come_back_as_they_are(mnist):
    framed = np.array([frame(image) for image in mnist])
    apart = np.abs(framed.astype(int) - mnist).mean(axis=(1, 2))
    assert (apart == 0).mean() > 0.87
    # The others lost a faint row beside the box, or to rounding: a level here and there.
    assert apart.mean() < 0.02
    assert apart.max() < 0.5


@pytest.mark.mnist
def test_framing_mnist_twice_changes_nothing_more(mnist):
    for image in mnist:
        once = frame(image)
        assert (frame(once) == once).all()


@pytest.mark.mnist
@pytest.mark.parametrize(("method", "mean", "most"), [(cv2.INTER_NEAREST, 2, 12), (cv2.INTER_CUBIC, 8, 16)])
def test_mnists_digits_come_back_from_four_times_their_size(mnist, method, mean, most):
    sample = mnist[:300]
    large = [cv2.resize(image, (112, 112), interpolation=method) for image in sample]
    framed = np.array([frame(image) for image in large])
    differences = [apart(one, other) for one, other in zip(framed, sample, strict=True)]
    assert np.mean(differences) < mean
    assert max(differences) < most
    # Still itself: hardly any is nearer to another digit.
    distances = np.abs(framed[:, None].astype(np.int16) - sample).mean(axis=(2, 3))
    assert (distances.argmin(axis=1) == np.arange(len(sample))).mean() > 0.97


@pytest.mark.mnist
@pytest.mark.parametrize("paper", [20, 60, 100, 150])
def test_mnists_digits_come_back_from_grey_paper_whatever_the_polarity(mnist, paper):
    for image in mnist[:100]:
        grey = np.round(paper + image * (255.0 - paper) / 255).astype(np.uint8)
        assert apart(frame(grey), image) < 0.5
        assert (frame(255 - grey) == frame(grey)).all()


def by_hand(ink):
    """The published recipe for ink on black, every step written out; no resizing but by exact means."""
    rows, columns = np.nonzero(ink)
    glyph = ink[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    height, width = glyph.shape
    side = max(height, width)
    square = np.zeros((side, side))
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = glyph
    small = square.repeat(20, axis=0).repeat(20, axis=1).reshape(20, side, 20, side).mean(axis=(1, 3))
    small *= 255 / small.max()
    framed = np.zeros((28, 28))
    top, left = (min(max(int(15 - middle), 0), 8) for middle in centre(small))
    framed[top : top + 20, left : left + 20] = small
    return framed


@given(inks())
def test_a_frame_is_what_the_published_recipe_gives(ink):
    assert apart(frame(ink), by_hand(ink).round()) < 0.05


@given(inks())
def test_a_frame_is_28_by_28_with_ink_up_to_255_and_its_longer_side_20(ink):
    framed = frame(ink)
    assert (framed.shape, framed.dtype, framed.max()) == ((28, 28), np.uint8, 255)
    assert max(extent(framed)) == 20


@given(inks())
def test_the_centre_of_mass_comes_to_the_middle_where_there_is_room(ink):
    # Room for a move by 0 to 8 pixels: strokes heavy at one end would need more.
    glyph = by_hand(ink)
    middle = centre(frame(ink))
    inner = (centre(glyph) > 14) & (centre(glyph) <= 15)
    assert (np.abs(middle[inner] - 14.5) < 0.52).all()
    assert (np.abs(middle - 14.5) < 4).all()


@given(inks())
def test_framing_a_frame_moves_its_centre_of_mass_by_at_most_a_pixel(ink):
    once = frame(ink)
    assert np.abs(centre(frame(once)) - centre(once)).max() <= 1


@given(inks(), st.integers(0, 60), st.integers(0, 60), st.integers(0, 60), st.integers(0, 60))
def test_a_larger_page_and_the_place_on_it_change_nothing(ink, above, below, left, right):
    page = np.pad(ink, ((above, below), (left, right)))
    assert (frame(page) == frame(ink)).all()


@given(inks())
def test_dark_ink_on_bright_paper_gives_the_same_frame(ink):
    assert (frame(255 - ink) == frame(ink)).all()
    assert (frame(np.pad(255 - ink, 30, constant_values=255)) == frame(ink)).all()


@given(inks(), st.integers(2, 5))
def test_enlarging_changes_little(ink, times):
    # An odd rest beside the narrower side puts small ink half a pixel of its own off the middle, large ink less.
    assert apart(frame(ink.repeat(times, axis=0).repeat(times, axis=1)), frame(ink)) < 10


@given(inks(), st.integers(1, 120))
def test_the_level_of_the_paper_changes_little(ink, paper):
    grey = np.round(paper + ink * (255.0 - paper) / 255).astype(np.uint8)
    assert apart(frame(grey), frame(ink)) < 0.1


@given(inks(), st.floats(0.3, 1.0))
def test_the_strength_of_the_ink_changes_little(ink, strength):
    assert apart(frame((ink * strength).round().astype(np.uint8)), frame(ink)) < 0.1


@pytest.mark.parametrize("turns", range(4))
def test_ink_heavy_at_one_end_is_not_cut_off_at_the_frames_edge(turns):
    flag = np.zeros((60, 60), np.uint8)
    flag[5:55, 28:31] = flag[5:13, 10:50] = 255
    framed = frame(np.rot90(flag, turns))
    assert extent(framed)[turns % 2] == 20
    # As much ink as a 20-pixel glyph of this flag has: area over (50 / 20) squared.
    assert framed.sum() / 255 == pytest.approx((flag > 0).sum() / 2.5**2, rel=0.05)


@pytest.mark.parametrize("value", [0, 1, 128, 255])
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (28, 28), (300, 7)])
def test_a_page_of_one_value_has_no_ink(value, shape):
    framed = frame(np.full(shape, value, np.uint8))
    assert framed.shape == (28, 28)
    assert not framed.any()


@pytest.mark.parametrize("width", [2, 3, 6, 12])
def test_a_one_cut_out_so_tightly_that_it_is_all_ink_stays_bright(width):
    one = np.full((40, width), 255, np.uint8)
    one[[0, 0, -1, -1], [0, -1, 0, -1]] = 0  # round ends
    framed = frame(one)
    assert (framed == frame(np.pad(one, 20))).all()
    assert extent(framed)[0] == 20
    assert (framed > 200).sum() > 10


def test_a_dot_stays_small():
    dot = np.zeros((30, 30), np.uint8)
    dot[14:16, 14:16] = 255
    assert max(extent(frame(dot))) <= 6


def test_paper_with_grain_is_still_paper():
    grain = np.random.default_rng(0).integers(30, 51, (120, 120), np.uint8)
    page = grain.copy()
    page[30:90, 55:65] = 230
    framed = frame(page)
    assert extent(framed)[0] == 20
    assert apart(framed, frame(np.where(page == 230, page, 0).astype(np.uint8))) < 0.5


def test_a_faint_speck_does_not_widen_the_box():
    page = np.zeros((80, 80), np.uint8)
    page[20:60, 35:45] = 255
    clean = frame(page)
    page[2, 2] = int(255 * MIN_BOX_INK)
    assert (frame(page) == clean).all()
    page[2, 2] = 128
    assert (frame(page) != clean).any()


@pytest.mark.parametrize(
    ("ink", "fact"),
    [
        (np.zeros((28, 28)), r"\(28, 28\) float64"),
        (np.zeros((28, 28), bool), r"\(28, 28\) bool"),
        (np.zeros((28, 28, 3), np.uint8), r"\(28, 28, 3\) uint8"),
        (np.zeros(784, np.uint8), r"\(784,\) uint8"),
        (np.zeros((0, 28), np.uint8), r"\(0, 28\) uint8"),
        (np.uint8(7), r"\(\) uint8"),
    ],
)
def test_what_is_no_ink_is_said(ink, fact):
    with pytest.raises(DataError, match=rf"ink is {fact}, expected \(height, width\) uint8"):
        frame(ink)


def test_the_ink_that_is_given_stays_as_it_is():
    ink = np.full((40, 40), 240, np.uint8)
    ink[10:30, 18:22] = 15
    before = ink.copy()
    frame(ink)
    assert (ink == before).all()


def test_digitnet_frame_is_the_function():
    assert digitnet.frame is frame


@pytest.mark.parametrize(("height", "width"), [(40, 100), (80, 200), (20, 50), (400, 1000)])
def test_a_strip_has_the_line_readers_height_and_keeps_the_proportion(height, width):
    page = np.zeros((height, width), np.uint8)
    page[height // 4 : height // 2, width // 4 : width // 2] = 200
    made = strip(page)
    assert made.shape == (40, 100)
    assert made.dtype == np.uint8
    rows, columns = np.nonzero(made > 127)
    assert (rows.min(), rows.max()) == pytest.approx((10, 19), abs=1)
    assert (columns.min(), columns.max()) == pytest.approx((25, 49), abs=1)


@pytest.mark.parametrize(("width", "asked", "made"), [(1, {}, 8), (9000, {}, 2000), (9000, {"widest": 500}, 500)])
def test_a_strip_is_neither_too_narrow_nor_too_wide(width, asked, made):
    assert strip(np.zeros((40, width), np.uint8), **asked).shape == (40, made)


def test_the_levels_of_a_strip_are_stretched_from_the_paper_to_the_ink():
    page = np.full((40, 100), 60, np.uint8)
    page[:, :10] = 160
    page[:, 10:20] = 100
    page[0, 99] = 0
    made = strip(page)
    assert made[20, 5] == 255
    assert made[20, 15] == 102
    assert made[20, 50] == 0
    assert made[0, 99] == 0, "darker than most paper is paper"


def test_few_bright_specks_do_not_set_the_level_of_a_strip():
    page = np.zeros((40, 100), np.uint8)
    page[10:30, 10:20] = 100
    page[5, 5:15] = 255  # one in four hundred
    made = strip(page)
    assert made[20, 15] == 255
    assert (made[5, 5:15] == 255).all(), "brighter than most ink is ink"


def test_a_tall_picture_is_averaged_into_its_strip_and_a_low_one_is_smoothed():
    page = np.zeros((160, 80), np.uint8)
    page[:, 32:48] = 255
    page[0::4, 48:], page[3::4, 48:] = 255, 255  # of four rows that become one the two in the middle are paper
    assert (strip(page)[:, [4, 9, 15]] == [0, 255, 128]).all()
    low = np.zeros((20, 40), np.uint8)
    low[:, 20:] = 255
    assert strip(low)[20, 38:42].tolist() == [0, 64, 191, 255]


def test_the_faintest_ink_on_even_paper_is_ink_in_a_strip():
    page = np.full((40, 100), 7, np.uint8)
    page[:, 50:] = 8
    made = strip(page)
    assert not made[:, :50].any()
    assert (made[:, 50:] == 255).all()


@pytest.mark.parametrize("value", [0, 100, 255])
def test_a_strip_of_one_value_is_empty(value):
    made = strip(np.full((50, 70), value, np.uint8))
    assert made.shape == (40, 56)
    assert made.dtype == np.uint8
    assert not made.any()


def test_every_pixel_of_the_border_counts_once():
    ink = np.full((5, 5), 255, np.uint8)
    ink[0, 1:4] = ink[2, 2] = 0  # 13 of 16 pixels of the border are bright: with one less it would be no bright paper
    assert (frame(ink) == frame(255 - ink)).all()
    ink = np.full((6, 6), 255, np.uint8)
    ink[0, 1:5] = ink[2, 2] = 0  # 16 of 20: not enough
    assert (frame(ink) != frame(255 - ink)).any()


@pytest.mark.parametrize("place", [(1, 1), (1, 3), (3, 1), (3, 3)])
def test_one_dark_pixel_inside_a_bright_border_is_ink(place):
    ink = np.full((5, 5), 255, np.uint8)
    ink[place] = 0
    assert (frame(ink) == frame(255 - ink)).all()


def test_small_ink_is_doubled_with_smooth_edges():
    ink = np.zeros((14, 14), np.uint8)
    ink[2:12, 2:12] = 200
    edge = np.array([0.75, *[1.0] * 18, 0.75], np.float32)
    expected = np.zeros((28, 28))
    expected[5:25, 5:25] = (255 * np.outer(edge, edge)).round()
    assert (frame(ink) == expected).all()


def test_faint_ink_is_kept_above_the_roughness_of_the_paper():
    page = np.full((40, 40), 10, np.uint8)
    page[::2] = 0
    page[10:30, 10:20] = 100
    smooth = frame(page)
    page[18:22, 20:30] = 25  # more than twice what half of the paper's pixels differ by
    assert (frame(page) != smooth).any()
    page[18:22, 20:30] = 19
    assert (frame(page) == smooth).all()
