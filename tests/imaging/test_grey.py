import numpy as np
import pytest
from PIL import Image

from digitnet import read
from digitnet.imaging import grey
from digitnet.imaging.pages import page


def drawn(ink, background, coverage=None, mode="RGBA"):
    """An image of 60x80 with a number's strokes in a grey level on transparent ground, or on a card of a level."""
    luma, alpha = np.full((60, 80), 0, np.uint8), np.zeros((60, 80), np.uint8)
    if background is not None:
        card = np.s_[: round(60 * coverage)]
        luma[card], alpha[card] = background, 255
    strokes = np.s_[10:30, 10:60:10]
    luma[strokes], alpha[strokes] = ink, 255
    return Image.merge("LA", [Image.fromarray(luma), Image.fromarray(alpha)]).convert(mode)


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
@pytest.mark.parametrize(("ink", "ground"), [(255, 0), (200, 0), (130, 0), (0, 255), (60, 255), (120, 255)])
def test_ink_on_transparent_ground_lies_on_what_it_stands_out_from(ink, ground, mode):
    got = page(drawn(ink, None, mode=mode))
    assert (got[10:30, 10:60:10] == ink).all()
    assert (got[:10] == ground).all()


@pytest.mark.parametrize("coverage", [0.6, 0.9])
@pytest.mark.parametrize("ink", [0, 255])
def test_paper_with_transparent_corners_lies_on_white(ink, coverage):
    got = page(drawn(ink, 250, coverage))
    assert (got[-5:] == 255).all()
    assert got[5, 5] == 250


def test_a_small_card_with_dark_ink_lies_on_white():
    assert (page(drawn(0, 250, 0.4))[-5:] == 255).all()


def test_what_is_all_transparent_is_white_and_what_is_all_opaque_is_itself():
    assert (page(Image.new("RGBA", (20, 10), (255, 255, 255, 0))) == 255).all()
    assert (page(Image.new("RGBA", (20, 10), (255, 255, 255, 255))) == 255).all()
    assert (page(Image.new("RGBA", (20, 10), (9, 9, 9, 255))) == 9).all()


def test_white_ink_of_sixteen_bits_or_of_a_palette_lies_on_black(tmp_path):
    values = np.full((60, 80), 7, np.uint16)
    values[10:30, 10:60:10] = 65535
    Image.fromarray(values).save(tmp_path / "deep.png", transparency=7)
    indexed = Image.fromarray((values > 7).astype(np.uint8), "P")
    indexed.putpalette([0, 0, 0, 255, 255, 255])
    indexed.save(tmp_path / "palette.png", transparency=0)
    for name in ("deep.png", "palette.png"):
        got = page(tmp_path / name)
        assert (got[10:30, 10:60:10] == 255).all()
        assert (got[:10] == 0).all()


@pytest.mark.parametrize("ink", [0, 255])
def test_a_number_drawn_on_transparent_ground_is_read(ink):
    import cv2

    alpha = np.zeros((120, 200), np.uint8)
    cv2.putText(alpha, "47", (40, 90), cv2.FONT_HERSHEY_SIMPLEX, 2.5, 255, 7, cv2.LINE_AA)
    picture = Image.merge("LA", [Image.new("L", (200, 120), ink), Image.fromarray(alpha)])
    assert read(picture).text == "47"


def test_bands_of_rows_give_the_same_page_as_all_at_once(monkeypatch):
    rng = np.random.default_rng(0)
    rgba = Image.fromarray(rng.integers(0, 256, (50, 30, 4), np.uint8))
    deep = Image.fromarray(rng.integers(0, 65536, (50, 30)).astype(np.uint16))
    pictures = [rgba, rgba.convert("RGB"), rgba.convert("CMYK"), rgba.convert("F"), rgba.convert("1"), deep]
    whole = [page(picture) for picture in pictures]
    monkeypatch.setattr(grey, "_BAND", 70)
    for picture, expected in zip(pictures, whole, strict=True):
        assert (page(picture) == expected).all()


def test_mixing_with_the_background_is_rounded_as_pillow_rounds_it():
    luma, alpha = np.meshgrid(np.arange(256, dtype=np.uint8), np.arange(256, dtype=np.uint8))
    picture = Image.merge("LA", [Image.fromarray(luma), Image.fromarray(alpha)])
    white = Image.new("L", picture.size, 255)
    white.paste(picture.getchannel("L"), mask=picture.getchannel("A"))
    assert (page(picture) == np.asarray(white)).all()
