import io
import os
import sys
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageFile, ImageOps, TiffImagePlugin

from digitnet.core import extras
from digitnet.core.errors import ImageError
from digitnet.imaging import pages as image
from digitnet.imaging.pages import PageLimits, page, pages, scan

HEIGHT, WIDTH = 60, 80


def draw(seed=0):
    """A grey page with an upright 'F' on a slope, noise in one corner: (60, 80) uint8, no symmetry."""
    grey = np.add.outer(np.arange(HEIGHT), np.arange(WIDTH)).astype(np.uint8) + np.uint8(100)
    grey[10:50, 20:26] = grey[10:16, 20:40] = grey[26:32, 20:34] = 10
    grey[40:, 60:] = np.random.default_rng(seed).integers(0, 256, (20, 20))
    return grey


GREY = draw()
L = Image.fromarray(GREY)
RGB = Image.merge("RGB", [L, L.rotate(180), L.transpose(Image.Transpose.FLIP_LEFT_RIGHT)])
BILEVEL = L.point(lambda value: 255 * (value > 90)).convert("1")


def encode(picture, kind, **options):
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def apart(one, other):
    assert one.shape == other.shape
    return np.abs(one.astype(int) - np.asarray(other)).max()


def message(source, name=None, read=pages, **how):
    """What is said about a source that cannot be read: one line."""
    with pytest.raises(ImageError) as caught:
        list(read(source, name, **how))
    text = str(caught.value)
    assert text.isprintable()
    return text


def pdf(*bodies, box="0 0 72 36", extra=b"", trailer=b""):
    """A PDF with a page per content stream. No table of offsets: PDFium rebuilds it."""
    kids = " ".join(f"{2 * n + 3} 0 R" for n in range(len(bodies)))
    parts = [b"%PDF-1.4\n1 0 obj <</Type/Catalog/Pages 2 0 R>> endobj"]
    parts.append(f"2 0 obj <</Type/Pages/Kids[{kids}]/Count {len(bodies)}/MediaBox[{box}]>> endobj".encode())
    for n, body in enumerate(bodies):
        parts.append(f"{2 * n + 3} 0 obj <</Type/Page/Parent 2 0 R/Contents {2 * n + 4} 0 R".encode() + extra)
        parts.append(f">> endobj {2 * n + 4} 0 obj <</Length {len(body)}>> stream".encode())
        parts.append(body + b"\nendstream endobj")
    return b"\n".join([*parts, b"trailer <</Root 1 0 R" + trailer + b">>\n%%EOF\n"])


SQUARE = b"0 g 6 18 12 12 re f"  # points from the lower left: at 300 dpi rows 25..75, columns 25..75

FILES = {
    "png": encode(RGB, "PNG"),
    "png of 1 bit": encode(BILEVEL, "PNG"),
    "png of 16 bits": encode(Image.fromarray(GREY.astype(np.uint16) * 257), "PNG"),
    "palette png": encode(RGB.quantize(16), "PNG", transparency=3),
    "jpeg": encode(RGB, "JPEG"),
    "progressive jpeg": encode(RGB, "JPEG", progressive=True),
    "cmyk jpeg": encode(RGB.convert("CMYK"), "JPEG"),
    "tiff": encode(RGB, "TIFF"),
    "cmyk tiff": encode(RGB.convert("CMYK"), "TIFF"),
    "lzw tiff": encode(RGB, "TIFF", compression="tiff_lzw"),
    "jpeg tiff": encode(RGB, "TIFF", compression="jpeg"),
    "fax tiff": encode(BILEVEL, "TIFF", compression="group4"),
    "tiff of 16 bits": encode(Image.fromarray(GREY.astype(np.uint16) * 257), "TIFF"),
    "tiff of 3 pages": encode(L, "TIFF", save_all=True, append_images=[RGB, BILEVEL], compression="tiff_lzw"),
    "bmp": encode(RGB, "BMP"),
    "gif": encode(L, "GIF"),
    "webp": encode(RGB, "WEBP"),
    "lossless webp": encode(RGB.convert("RGBA"), "WEBP", lossless=True),
    "ppm": encode(RGB, "PPM"),
    "pgm": encode(L, "PPM"),
    "pbm": encode(BILEVEL, "PPM"),
}


@pytest.fixture
def pdfium():
    return pytest.importorskip("pypdfium2")


@pytest.mark.parametrize("kind", ["png", "jpeg", "progressive jpeg", "tiff", "lzw tiff", "bmp", "lossless webp", "ppm"])
def test_colour_becomes_the_grey_that_opencv_reads(kind):
    expected = cv2.imdecode(np.frombuffer(FILES[kind], np.uint8), cv2.IMREAD_GRAYSCALE)
    assert apart(page(FILES[kind]), expected) <= 2


@pytest.mark.parametrize("kind", ["png of 16 bits", "tiff of 16 bits", "pgm", "gif"])
def test_grey_stays_itself(kind):
    assert (page(FILES[kind]) == GREY).all()


@pytest.mark.parametrize("kind", ["png of 1 bit", "fax tiff", "pbm"])
def test_one_bit_is_black_and_white(kind):
    assert (page(FILES[kind]) == np.where(GREY > 90, 255, 0)).all()


@pytest.mark.parametrize("kind", FILES)
def test_pages_are_arrays_of_the_callers_own(kind):
    for one in pages(FILES[kind]):
        assert (one.shape, one.dtype) == ((HEIGHT, WIDTH), np.uint8)
        assert one.flags.writeable
        assert one.flags.c_contiguous


@pytest.mark.parametrize(("kind", "most"), [("cmyk tiff", 1), ("cmyk jpeg", 40)])
def test_cmyk_is_not_a_negative(kind, most):
    expected = np.asarray(RGB.convert("L"))
    assert apart(page(FILES[kind]), expected) <= most
    assert np.abs(page(FILES[kind]).astype(int) - expected).mean() < 4


@pytest.mark.parametrize("source", ["path", "string", "bytes", "stream", "pillow", "pipe", "array"])
def test_a_source_may_be(source, tmp_path):
    path = tmp_path / "page.png"
    path.write_bytes(encode(L, "PNG"))
    if source == "path":
        assert (page(path) == GREY).all()
    elif source == "string":
        assert (page(str(path)) == GREY).all()
    elif source == "bytes":
        assert (page(path.read_bytes()) == GREY).all()
    elif source == "stream":
        with path.open("rb") as file:
            assert (page(file) == GREY).all()
            assert not file.closed
    elif source == "pillow":
        with Image.open(path) as picture:
            assert (page(picture) == GREY).all()
            assert picture.getpixel((0, 0)) == GREY[0, 0]
    elif source == "pipe":
        reading, writing = os.pipe()
        with os.fdopen(reading, "rb") as out, os.fdopen(writing, "wb") as into:
            threading.Thread(target=lambda: (into.write(path.read_bytes()), into.close())).start()
            assert (page(out) == GREY).all()
    else:
        assert (page(GREY) == GREY).all()
        assert page(GREY) is not GREY


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are of Unix")
def test_a_named_pipe_is_read_to_its_end(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    threading.Thread(target=lambda: (tmp_path / "pipe").write_bytes(FILES["jpeg"])).start()
    assert (page(tmp_path / "pipe") == page(FILES["jpeg"])).all()


def test_the_name_does_not_decide_the_kind(tmp_path):
    (tmp_path / "page.png").write_bytes(FILES["jpeg"])
    assert (page(tmp_path / "page.png") == page(FILES["jpeg"])).all()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_a_page_stands_upright_as_its_orientation_says(kind, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"quality": 95} if kind == "JPEG" else {"lossless": True} if kind == "WEBP" else {}
    file = encode(L.crop((0, 0, 60, 40)), kind, exif=exif, **options)
    with Image.open(io.BytesIO(file)) as picture:
        expected = np.asarray(ImageOps.exif_transpose(picture).convert("L"))
    assert apart(page(file), expected) <= 1
    assert page(file).shape == ((40, 60) if orientation < 5 else (60, 40))
    with Image.open(io.BytesIO(file)) as picture:
        assert apart(page(picture), expected) <= 1


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "BMP"])
def test_a_page_has_the_resolution_of_its_file_as_it_stands_upright(kind, orientation):
    exif = Image.Exif()
    if kind != "BMP":
        exif[0x0112] = orientation
    its = scan(encode(L, kind, exif=exif, dpi=(200, 100)))[1]
    assert its == pytest.approx((200, 100) if orientation < 5 or kind == "BMP" else (100, 200), rel=1e-3)
    assert scan(encode(L, "PNG"))[1] is None
    assert scan(np.zeros((20, 30), np.uint8))[1] is None


@pytest.mark.parametrize("dpi", [(0, 300), (float("nan"), 300), (300, float("inf")), (-1, -1), 300, "fine", (1, 2, 3)])
def test_a_resolution_that_is_none_is_not_believed(dpi):
    picture = Image.new("L", (30, 20))
    picture.info["dpi"] = dpi
    assert scan(picture)[1] is None


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("exif", [b"Exif\0\0" + b"\xff" * 40, b"Exif\0\0MM\0*\0\0\0\x08\0\1\1\x12\0\2\0\0\0\3no\0\0"])
def test_damaged_exif_turns_nothing(exif):
    assert page(encode(L, "PNG", exif=exif)).shape == (HEIGHT, WIDTH)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA", "La", "RGBa"])
def test_what_is_transparent_is_white(mode):
    alpha = np.zeros((HEIGHT, WIDTH), np.uint8)
    alpha[:30] = 255
    alpha[30:40] = 51
    picture = Image.merge("LA", [L, Image.fromarray(alpha)])
    if mode in ("RGBA", "RGBa"):
        picture = picture.convert("RGBA")
    if mode in ("La", "RGBa"):
        picture = picture.convert(mode)
    if mode == "PA":
        picture = L.convert("P").convert("PA")
        picture.putalpha(Image.fromarray(alpha))
    assert picture.mode == mode
    got = page(picture)
    assert apart(got[:30], GREY[:30]) == 0
    assert apart(got[30:40], 255 - (255.0 - GREY[30:40]) * 0.2) <= 4  # premultiplied colours are coarse
    assert (got[40:] == 255).all()


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_a_transparent_colour_of_a_palette_is_white(kind):
    indexed = L.quantize(8)
    got = page(encode(indexed, kind, transparency=2))
    clear = np.asarray(indexed) == 2
    assert clear.any()
    assert (got[clear] == 255).all()
    assert apart(got[~clear], np.asarray(indexed.convert("L"))[~clear]) == 0


@pytest.mark.parametrize(("picture", "clear"), [(L, 10), (RGB, (10, 10, 10)), (BILEVEL, 0)])
def test_a_transparent_colour_of_a_png_is_white(picture, clear):
    got = page(encode(picture, "PNG", transparency=clear))
    expected = np.asarray(picture.convert("L")).copy()
    expected[(np.asarray(picture.convert("RGB")) == np.array(clear)).all(axis=2)] = 255
    assert apart(got, expected) == 0


def test_a_transparent_value_of_16_bits_is_white():
    picture = Image.fromarray(GREY.astype(np.uint16) * 257)
    picture.info["transparency"] = 10 * 257
    assert (page(picture) == np.where(GREY == 10, 255, GREY)).all()


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBX", "RGBA", "CMYK", "YCbCr", "LAB", "HSV", "I", "F"])
def test_every_mode_of_pillows_shows_the_same_page(mode):
    grey = np.where(GREY > 90, 255, 0).astype(np.uint8)
    picture = Image.fromarray(grey).convert("RGB")
    if mode == "LAB":
        colours = [Image.fromarray(np.full_like(grey, 128))] * 2
        picture = Image.merge("LAB", [Image.fromarray(grey), *colours])
    else:
        picture = picture.convert("L").convert(mode) if mode in "IF" else picture.convert(mode)
    assert picture.mode == mode
    assert apart(page(picture), grey) <= 3


def deep(values, kind="TIFF", **options):
    return encode(Image.fromarray(values), kind, **options)


@pytest.mark.parametrize(("white", "times"), [(255, 1), (1023, 4.01), (4095, 16.06), (16383, 64.25), (65535, 257)])
def test_deep_pages_are_scaled_by_the_white_they_need(white, times):
    grey = GREY.copy()
    grey[0, 0] = 255
    values = np.minimum(np.rint(grey * float(times)), white).astype(np.uint16)
    for source in (
        values,
        deep(values),
        deep(values, "PNG"),
        Image.fromarray(values.astype(np.int32)),
        deep(values.astype(np.int32)),
    ):
        assert apart(page(source), grey) <= 1


def test_sixteen_bits_are_divided_by_257():
    values = np.random.default_rng(0).integers(0, 65536, (300, 300)).astype(np.uint16)
    assert (page(values) == np.rint(values / 257)).all()
    assert (page(values.astype(">u2")) == np.rint(values / 257)).all()
    assert (page(Image.fromarray(values.astype(">u2"))) == np.rint(values / 257)).all()


def test_a_deep_pgm_is_read_by_its_own_white():
    header = f"P5 {WIDTH} {HEIGHT} 1000\n".encode()
    values = np.rint(GREY / 255 * 1000).astype(">u2")
    assert apart(page(header + values.tobytes()), GREY) <= 1


def test_a_deep_tiff_whose_white_is_zero_is_not_a_negative():
    values = (255 - GREY.astype(np.uint16)) * 257
    assert (page(deep(values, tiffinfo={262: 0})) == GREY).all()
    assert (page(encode(L, "TIFF", tiffinfo={262: 0})) == GREY).all()


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_are_of_0_to_1_or_0_to_255(dtype):
    assert apart(page((GREY / 255).astype(dtype)), GREY) <= 1
    assert apart(page(GREY.astype(dtype)), GREY) == 0
    assert apart(page(np.dstack([GREY / 255] * 3).astype(dtype)), GREY) <= 1
    assert not page(np.zeros((3, 3), dtype)).any()


def test_a_tiff_of_floats_is_of_0_to_1_or_0_to_255():
    assert apart(page(deep((GREY / 255).astype(np.float32))), GREY) == 0
    assert apart(page(deep(GREY.astype(np.float32))), GREY) == 0


@pytest.mark.parametrize("values", [[[0.0, 1.2]], [[0, np.nan]], [[0, np.inf]], [[-0.1, 0.5]], [[0, 7e4]]])
def test_values_without_a_known_white_are_refused(values):
    told = message(np.array(values, np.float32))
    assert told.startswith("the image: float32 values from ")
    assert told.endswith("; scale them to 0..255, white at 255")


@pytest.mark.parametrize("values", [[[-1, 200]], [[0, 70000]]])
def test_large_and_negative_integers_are_refused(values):
    low, high = values[0]
    assert f"int32 values from {low:g} to {high:g}" in message(Image.fromarray(np.array(values, np.int32)))


def test_arrays_have_colours_in_the_order_red_green_blue_alpha():
    colours = np.asarray(RGB)
    luma = np.rint(colours @ [0.299, 0.587, 0.114])
    assert apart(page(colours), luma) <= 1
    alpha = np.where(np.indices((HEIGHT, WIDTH))[1] < 40, 255, 0)[..., None].astype(np.uint8)
    got = page(np.concatenate([colours, alpha], axis=2))
    assert apart(got[:, :40], luma[:, :40]) <= 1
    assert (got[:, 40:] == 255).all()
    assert apart(page(np.concatenate([colours, alpha], axis=2) / 255), got) <= 1


def test_arrays_of_any_layout_are_read():
    assert (page(GREY[::-2, ::3]) == GREY[::-2, ::3]).all()
    assert (page(GREY > 90) == np.where(GREY > 90, 255, 0)).all()
    assert (page(np.asfortranarray(GREY)) == GREY).all()


@pytest.mark.parametrize(
    ("array", "told"),
    [
        (np.zeros((28, 28), np.int64), "an array (28, 28) int64"),
        (np.zeros((28, 28), complex), "an array (28, 28) complex128"),
        (np.array([["a"]]), "an array (1, 1) <U1"),
        (np.zeros((2, 28, 28), np.uint8), "an array (2, 28, 28) uint8"),
        (np.zeros((1, 1, 1, 3), np.uint8), "an array (1, 1, 1, 3) uint8"),
        (np.zeros(3, np.uint8), "an array (3,) uint8"),
        (np.array(3, np.uint8), "an array () uint8"),
    ],
)
def test_other_arrays_are_refused_by_shape_and_dtype(array, told):
    expected = "expected (h, w), (h, w, 3) or (h, w, 4) of uint8, uint16, bool or floats 0..1"
    assert message(array) == f"the image: {told}, {expected}"


@pytest.mark.parametrize("empty", [np.zeros((0, 5), np.uint8), np.zeros((5, 0, 3), bool), Image.new("L", (0, 5))])
def test_a_page_without_pixels_is_refused(empty):
    assert message(empty).endswith("pixels; pass an image with pixels")


def test_a_tiff_gives_its_pages_one_at_a_time():
    got = list(pages(FILES["tiff of 3 pages"]))
    assert len(got) == 3
    assert (got[0] == GREY).all()
    assert apart(got[1], page(FILES["tiff"])) == 0
    assert (got[2] == np.where(GREY > 90, 255, 0)).all()


def test_a_tiffs_thumbnails_and_masks_are_no_pages():
    turned, file = L.rotate(180), io.BytesIO()
    with TiffImagePlugin.AppendingTiffWriter(file) as tiff:
        for picture, subfile in [(L, 0), (L.resize((8, 6)), 1), (turned, 2), (BILEVEL, 4)]:
            picture.save(tiff, "TIFF", tiffinfo={254: subfile})
            tiff.newFrame()
        got = list(pages(file.getvalue()))
    assert [one.shape for one in got] == [(HEIGHT, WIDTH)] * 2
    assert (got[1] == np.asarray(turned)).all()


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_an_animation_gives_its_first_frame(kind):
    options = {"lossless": True} if kind == "WEBP" else {}
    assert (page(encode(L, kind, save_all=True, append_images=[L.rotate(90)], **options)) == GREY).all()


def test_a_cameras_second_picture_is_left_out():
    assert apart(page(encode(RGB, "MPO", save_all=True, append_images=[L])), page(FILES["jpeg"])) == 0


def test_page_refuses_several_pages_and_counts_them():
    told = "scan.tif: has 3 pages; read them one by one with digitnet.Reader().read_pages"
    assert message(FILES["tiff of 3 pages"], "scan.tif", page) == told


def test_the_pages_before_a_bad_one_are_read_whole():
    file = bytearray(FILES["tiff of 3 pages"])
    with Image.open(io.BytesIO(file)) as tiff:
        tiff.seek(1)
        (start,) = tiff.tag_v2[273]
    file[start : start + 200] = bytes(200)
    reading = pages(bytes(file), "scan.tif")
    assert (next(reading) == GREY).all()
    with pytest.raises(ImageError, match=r"^scan.tif, page 2: damaged or unusual \("):
        next(reading)


def test_more_pages_than_the_limit_are_refused_at_once(pdfium):
    for file in (FILES["tiff of 3 pages"], pdf(SQUARE, SQUARE, SQUARE)):
        assert message(file, limits=PageLimits(pages=2)) == "the image: more than 2 pages; split it"


@pytest.mark.parametrize("kind", FILES)
def test_too_many_pixels_are_refused_before_decoding(kind, monkeypatch):
    limits = PageLimits(pixels=HEIGHT * WIDTH - 1)
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda self: pytest.fail("decoded"))
    assert "80x60 pixels, more than 0 million; scale it down or divide it" in message(FILES[kind], limits=limits)


@pytest.mark.parametrize("header", [b"P5 20000 20000 255\n", b"P4 99999 99999\n", b"P1 99999 99999\n"])
def test_a_bomb_is_refused_before_decoding(header, monkeypatch):
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda self: pytest.fail("decoded"))
    assert "million; scale" in message(header + bytes(100))


def test_a_jpeg_of_very_many_scans_is_refused_before_decoding(monkeypatch):
    file = encode(Image.new("L", (2000, 2000), 128), "JPEG", progressive=True)
    last_scan = file[file.rfind(b"\xff\xda") : -2]
    assert page(file).shape == (2000, 2000)
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda self: pytest.fail("decoded"))
    told = message(file[:-2] + last_scan * 1000 + file[-2:])
    assert told == "the image: a JPEG of 1006 scans; save it again without the progressive option"


def test_too_many_bytes_are_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(image, "MAX_FILE_BYTES", 1000)
    (tmp_path / "large.png").write_bytes(FILES["ppm"])
    for source in (FILES["ppm"], io.BytesIO(FILES["ppm"]), tmp_path / "large.png"):
        assert message(source).endswith("more than 0 MB; scale it down or split its pages")


def test_an_endless_stream_is_left_in_time(monkeypatch):
    monkeypatch.setattr(image, "MAX_FILE_BYTES", 5 << 20)

    class Endless(io.RawIOBase):
        given = 0

        def read(self, n):
            self.given += n
            return bytes(n)

    endless = Endless()
    assert "more than 5 MB" in message(endless)
    assert endless.given < 8 << 20


def test_limits_that_others_set_for_pillow_do_not_matter(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    for file in (FILES["png"], FILES["jpeg"], FILES["ppm"]):
        assert page(file).shape == (HEIGHT, WIDTH)
    assert Image.MAX_IMAGE_PIXELS == 10


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "empty, 0 bytes; download or save it again"),
        (b"hello\nworld", "text that begins 'hello\\nworld'; save it as one of PNG, JPEG, TIFF"),
        (b"<!DOCTYPE html><title>404", "text that begins '<!DOCTYPE html><titl'; save it as one of "),
        ("ünïcode".encode(), "text that begins "),
        (
            b"PK\3\4rest of a zip",
            "a ZIP archive or a document in one; unpack it, or save the document as PDF",
        ),
        (
            b"\0\5\x16\7\0\2\0\0Mac OS X",
            "contains macOS metadata of another file; name the file ",
        ),
        (b"\0\0\0\x18ftypisom\0\0\0\0isommp41", "unknown image type, first bytes "),
        (bytes(100), "unknown image type, first bytes 00 00 00 00 00 00 00 00; save it as one "),
        (b"\x89PNG\r\n\x1a\n", "damaged or unusual ("),
        (b"BM", "damaged or unusual ("),
        (b"P5 ", "damaged or unusual ("),
        (FILES["png"][:500], "damaged or unusual ("),
    ],
)
def test_what_is_no_picture_is_told_in_one_line(content, told, tmp_path):
    path = tmp_path / "page.png"
    path.write_bytes(content)
    assert message(path).startswith(f"{path}: {told}")
    assert message(content).startswith(f"the image: {told}")


def test_what_cannot_be_opened_is_told_in_one_line(tmp_path):
    assert message(tmp_path / "no.png") == f"{tmp_path / 'no.png'}: no such file; check its name and folder"
    assert message(str(tmp_path)) == f"{tmp_path}: a folder; name an image in it"
    assert message("") == "'': a folder; name an image in it"
    assert message("a\0b.png").startswith("'a\\x00b.png': cannot be opened (")
    assert message("a\nb.png") == "'a\\nb.png': no such file; check its name and folder"
    assert len(message("x" * 5000)) < 300
    assert message(io.StringIO("text")) == (
        "the image: a text stream; open it in binary mode ('rb'), or pass its .buffer"
    )
    assert message([1, 2]) == ("the image: 'list' is not an image; pass a path, bytes, a Pillow image or a numpy array")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may read all")
def test_a_file_that_may_not_be_read_is_told(tmp_path):
    path = tmp_path / "page.png"
    path.write_bytes(FILES["png"])
    path.chmod(0)
    assert message(path) == f"{path}: permission denied; change its permissions"


def test_missing_permission_is_told_to_root_too(monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    assert message("page.png") == "page.png: permission denied; change its permissions"


@pytest.mark.parametrize(
    "url", ["http://example.org/7.png", "HTTPS://example.org", "s3://a/b", "data:image/png;base64,aa"]
)
def test_addresses_are_not_fetched(url):
    assert message(url) == f"{url}: an address, which digitnet does not download; download it and name the file"


def test_a_name_given_or_known_is_used(tmp_path):
    assert message(b"", "upload 3").startswith("upload 3: empty")
    assert message(tmp_path / "a", "that").startswith("that: no such file")
    stream = io.BytesIO()
    stream.name = "<stdin>"
    assert message(stream).startswith("standard input: empty")


@pytest.fixture
def opened(monkeypatch):
    """The files that are opened for the reader from here on."""
    files, really = [], image._opened
    monkeypatch.setattr(image, "_opened", lambda path: files.append(really(path)) or files[-1])
    return files


def test_files_are_closed_after_the_last_page_an_error_or_with_the_iterator(opened, tmp_path):
    path = tmp_path / "scan.tif"
    path.write_bytes(FILES["tiff of 3 pages"])
    list(pages(path))
    message(path, read=page)
    reading = pages(path)
    next(reading)
    assert [file.closed for file in opened] == [True, True, False]
    reading.close()
    path.write_bytes(FILES["tiff"][:1000])
    message(path)
    path.write_bytes(b"text")
    message(path)
    assert [file.closed for file in opened] == [True] * 5


CUTS = {**FILES, "pdf of 2 pages": pdf(SQUARE, SQUARE)}


@pytest.mark.filterwarnings("ignore")  # of Pillow's about EXIF: a program that makes them errors is tested all over
@pytest.mark.parametrize("kind", CUTS)
def test_a_file_cut_short_is_refused_or_whole(kind):
    if kind.startswith("pdf"):
        pytest.importorskip("pypdfium2")
    file = CUTS[kind]
    whole = list(pages(file))
    near_the_end = range(len(file) - 20, len(file))
    for length in [*range(40), *range(40, len(file), len(file) // 60), *near_the_end]:
        try:
            got = list(pages(file[:length]))
        except ImageError as error:
            assert str(error).isprintable()
        else:
            if not kind.startswith("pdf"):  # PDFium rebuilds what it can
                assert len(got) == len(whole)
                assert all((one == other).all() for one, other in zip(got, whole, strict=True))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", CUTS)
def test_any_bytes_give_pages_or_one_clear_line(kind):
    if kind.startswith("pdf"):
        pytest.importorskip("pypdfium2")
    rng = np.random.default_rng(len(kind))
    for _ in range(60):
        file = np.frombuffer(CUTS[kind], np.uint8).copy()
        places = rng.integers(0, 64 if rng.random() < 0.5 else len(file), rng.integers(1, 8))
        file[places] = rng.choice([0, 255, *rng.integers(0, 256, 6)], len(places))
        try:
            for one in pages(file.tobytes()):
                assert one.dtype == np.uint8
                assert one.ndim == 2
                assert one.size <= image.LIMITS.pixels
        except ImageError as error:
            assert str(error).isprintable()
            assert len(str(error)) < 300


def test_a_pdf_is_drawn_at_300_dpi(pdfium):
    got = page(pdf(SQUARE))
    expected = np.full((150, 300), 255)
    expected[25:75, 25:75] = 0
    assert (got.shape, got.dtype) == ((150, 300), np.uint8)
    assert np.abs(got.astype(int) - expected).mean() < 1
    assert scan(pdf(SQUARE))[1] == pytest.approx((300, 300))


def test_a_pdf_gives_its_pages_turned_and_in_grey(pdfium):
    red = b"1 0 0 rg 0 0 72 36 re f"
    first, second = pages(pdf(SQUARE, red, extra=b"/Rotate 90"))
    assert first.shape == second.shape == (300, 150)
    assert (first[30:70, 80:120] == 0).all()
    assert abs(int(second[100, 100]) - 0.299 * 255) < 3
    assert message(pdf(SQUARE, red), read=page).startswith("the image: has 2 pages")


def test_pdfs_are_read_by_several_threads_at_once(pdfium):
    file, results = pdf(*[SQUARE] * 5), []
    threads = [threading.Thread(target=lambda: results.append(list(pages(file)))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 6
    assert all((one == results[0][0]).all() for result in results for one in result)


def test_two_pdfs_are_read_in_turns(pdfium):
    for one, other in zip(pages(pdf(SQUARE, SQUARE)), pages(pdf(SQUARE, SQUARE)), strict=True):
        assert (one == other).all()


def test_a_pdf_page_too_large_is_refused_before_drawing(pdfium, monkeypatch):
    monkeypatch.setattr(pdfium.PdfPage, "render", lambda *_, **__: pytest.fail("drawn"))
    told = "the image: 40000x40000 pixels, more than 100 million; scale it down or divide it"
    assert message(pdf(SQUARE, box="0 0 9600 9600")) == told


def test_locked_and_damaged_pdfs_are_told(pdfium):
    key = b"<" + b"5A" * 32 + b">"
    locked = pdf(SQUARE, trailer=b"/ID[<00><00>]/Encrypt<</Filter/Standard/V 1/R 2/P -4/O" + key + b"/U" + key + b">>")
    assert message(locked) == "the image: protected by a password; save a copy without one"
    assert message(b"%PDF-1.7 and no more").startswith("the image: damaged or unusual (")


@pytest.mark.parametrize(
    ("module", "head", "told"),
    [
        ("pypdfium2", b"%PDF-1.7", f"PDF needs another package; {extras.add('pdf')}"),
        ("pillow_heif", b"\0\0\0\x18ftypheic", "HEIF needs another package; run: pip install pillow-heif"),
        (
            "pillow_heif",
            b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic",
            "HEIF needs another package; run: pip install pillow-heif",
        ),
        ("PIL.AvifImagePlugin", b"\0\0\0\x18ftypavif", "AVIF needs another package; run: pip install -U pillow"),
        (
            "PIL.AvifImagePlugin",
            b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif",
            "AVIF needs another package; run: pip install -U pillow",
        ),
    ],
)
def test_a_missing_plug_in_is_told_with_its_install(module, head, told, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    assert message(head + bytes(100)) == f"the image: {told}"


@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_the_pictures_of_phones_are_read_upright(orientation):
    heif = pytest.importorskip("pillow_heif")
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    heif.from_pillow(RGB).save(file, quality=95, exif=exif.tobytes())
    tagged = RGB.copy()
    tagged.getexif()[0x0112] = orientation
    upright = np.asarray(ImageOps.exif_transpose(tagged).convert("L"))
    got = page(file.getvalue())
    assert got.shape == upright.shape
    assert np.abs(got.astype(int) - upright).mean() < 8
    assert "HEIF" not in Image.OPEN
    assert message(file.getvalue()[:900]).startswith("the image: damaged or unusual (")


def test_avif_is_read():
    if not pytest.importorskip("PIL.AvifImagePlugin").SUPPORTED:
        pytest.skip("this Pillow was built without AVIF")
    assert np.abs(page(encode(L, "AVIF", quality=95)).astype(int) - GREY).mean() < 4


@pytest.mark.parametrize(
    ("width", "height", "told"),
    [
        (39_000_000, 1, "39000000x1 pixels, more than 30,000 per side"),
        (300, 30_001, "300x30001 pixels, more than 30,000 per side"),
        (10, 4001, "10x4001 pixels, more than 100 times as long as wide; divide it"),
        (30_000, 299, "30000x299 pixels, more than 100 times as long as wide; divide it"),
    ],
)
def test_very_long_pages_are_refused_before_decoding(width, height, told, monkeypatch):
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda self: pytest.fail("decoded"))
    assert told in message(b"P5 %d %d 255\n" % (width, height))
    assert told in message(np.broadcast_to(np.uint8(255), (height, width)))


@pytest.mark.parametrize(("width", "height"), [(1, 4000), (20, 2000), (944, 23_600), (30_000, 300)])
def test_receipts_long_numbers_and_small_strips_are_read(width, height):
    assert page(encode(Image.new("1", (width, height), 1), "PNG")).shape == (height, width)
