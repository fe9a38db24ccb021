import numpy as np
import pytest
from helpers import write

from digitnet.reading import visualization
from digitnet.reading.reader import Reader
from digitnet.reading.visualization import MAX_STRIPS, PICTURE_WIDTH, steps

CAPTION = 235


@pytest.fixture(scope="module")
def reader():
    return Reader(threads=1)


def panels(picture):
    """Split the picture at its captions: the parts between them, top to bottom."""
    caption = (picture[:, -1] == CAPTION).all(axis=1)
    edges = np.flatnonzero(np.diff(caption.astype(int), prepend=0, append=0))
    starts, stops = edges[1::2], [*edges[2::2], len(picture)]
    return [picture[start:stop] for start, stop in zip(starts, stops, strict=True)]


def test_the_steps_are_one_picture_with_four_parts_and_leave_the_page_as_it_is(reader):
    page = write("1984 7265", "30")[0]
    reading = reader.read(page)
    picture = steps(reader, reading)
    assert picture.shape[1:] == (PICTURE_WIDTH, 3)
    assert picture.dtype == np.uint8
    assert np.array_equal(reading.page, page)
    assert len(panels(picture)) == 4


def test_the_ink_is_dark_on_paper_of_both_polarities_and_without_light_and_shadow(reader):
    page = write("1984 7265")[0]
    shaded = (page * np.linspace(1, 0.5, page.shape[1])).astype(np.uint8)
    for sheet in (page, shaded, 255 - page):
        seen, ink, *_ = panels(steps(reader, reader.read(sheet)))
        assert seen.shape == ink.shape
        assert (ink > 200).mean() > 0.8
        written = ink[..., 0] < 100
        assert written.any()
        paper = seen[..., 0][6:-6][ink[6:-6, :, 0] > 250]
        strokes = seen[..., 0][written]
        assert abs(np.median(strokes) - np.median(paper)) > 60, "it is ink where the page's ink is"


def test_found_numbers_are_boxed_and_the_pages_are_grey(reader):
    page, ink, found, _ = panels(steps(reader, reader.read(write("1984 7265")[0])))
    for grey in (page, ink):
        assert (grey == grey[..., :1]).all()
    assert (found != found[..., :1]).any()


def test_every_number_has_its_strip_and_the_caption_counts_them(reader):
    def strips(*rows):
        return len(panels(steps(reader, reader.read(write(*rows)[0])))[3])

    one, two, four = strips("1984"), strips("1984 7265"), strips("1984 7265", "6071 2839")
    assert 1.5 * one < two < 2.5 * one
    assert 3 * one < four < 5 * one


def test_of_many_numbers_only_the_first_strips_are_shown(reader, monkeypatch):
    reading = reader.read(write("11 22 33", "44 55 66")[0])
    monkeypatch.setattr(visualization, "MAX_STRIPS", 2)
    few = panels(steps(reader, reading))
    monkeypatch.setattr(visualization, "MAX_STRIPS", MAX_STRIPS)
    assert len(few) == 5, "the last caption says how many more there are"
    assert len(few[3]) < len(panels(steps(reader, reading))[3])
    assert not len(few[4])


@pytest.mark.parametrize("shape", [(1, 1), (300, 2), (2, 3000), (3000, 40)])
@pytest.mark.parametrize("single", [False, True])
def test_empty_pages_of_any_shape_are_explained(reader, shape, single):
    reading = reader.read(np.full(shape, 255, np.uint8), single=single)
    picture = steps(reader, reading, single=single)
    assert picture.shape[1:] == (PICTURE_WIDTH, 3)
    assert len(panels(picture)[3]) == 0 or single
