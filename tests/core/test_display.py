import base64
import io
import re

import numpy as np
from PIL import Image

from digitnet import Digits, Reading, evaluate
from digitnet.core.display import data_uri
from digitnet.reading.result import Number


def pixels(png):
    with Image.open(io.BytesIO(png)) as picture:
        assert picture.format == "PNG"
        return np.asarray(picture.convert("RGB"))


def test_digits_show_their_first_images_as_ink_on_paper(drawn):
    page = pixels(drawn._repr_png_())
    assert page.shape[1] == 15 * 56
    ink = page[2:54, 2:54].mean(axis=2)
    expected = np.asarray(Image.fromarray(255 - drawn.images[0]).resize((52, 52), Image.Resampling.NEAREST))
    assert np.abs(ink - expected).max() <= 1
    assert len(pixels(drawn[:3]._repr_png_())) < len(page)


def test_below_digits_stands_what_they_are_and_wrong_answers_in_orange(drawn):
    bare = pixels(Digits(drawn.images[:5])._repr_png_())
    labelled = pixels(drawn[:5]._repr_png_())
    assert len(labelled) > len(bare)
    assert (labelled[56:] < 200).any()

    def orange(wrong):
        probs = np.roll(np.eye(10, dtype=np.float32), wrong, axis=1)[drawn.labels[:5]]
        page = pixels(Digits(drawn.images[:5], drawn.labels[:5], probs)._repr_png_())[56:].astype(int)
        return (page[..., 0] - page[..., 2] > 100).any()

    assert orange(1)
    assert not orange(0)


def test_no_digits_show_nothing(drawn):
    assert drawn[:0]._repr_png_() is None


def test_a_reading_shows_its_page_no_wider_than_a_screen():
    reading = Reading((Number("7", 0.99, (100, 100, 300, 400)),), np.full((600, 2000), 255, np.uint8))
    page = pixels(reading._repr_png_()).astype(int)
    assert page.shape[:2] == (300, 1000)
    green = page[..., 1] - page[..., 0] > 60
    rows, columns = np.flatnonzero(green.any(axis=1)), np.flatnonzero(green.any(axis=0))
    assert abs(columns[0] - 50) < 4
    assert abs(rows[-1] - 200) < 4


def test_scores_show_their_confusion_matrix_as_a_table(drawn):
    scores = evaluate(
        lambda images: np.eye(10, dtype=np.float32)[np.minimum(drawn.labels + (drawn.labels == 4), 9)], drawn
    )
    table = scores._repr_html_()
    cells = [int(text.replace(",", "")) for text in re.findall(r"<td style[^>]*>([\d,]+)</td>", table)]
    assert np.array_equal(np.reshape(cells, (10, 10)), scores.confusion)
    assert "<b>90.00%</b> of 600 correct" in table


def test_a_data_uri_holds_the_image(drawn):
    kind, _, packed = data_uri(Image.fromarray(drawn.images[0])).partition(",")
    assert kind == "data:image/png;base64"
    assert (pixels(base64.b64decode(packed))[..., 0] == drawn.images[0]).all()
