import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageFile

from digitnet import ImageError
from digitnet.imaging import decoding
from digitnet.imaging import pages as image
from digitnet.imaging.decoding import CountedFile
from digitnet.imaging.pages import page, pages

PIECES = "the image: consists of too many small pieces; save it again as PNG or JPEG"


def save(picture, kind, **options):
    content = io.BytesIO()
    picture.save(content, kind, **options)
    return content.getvalue()


def message(content):
    with pytest.raises(ImageError) as caught:
        list(pages(content))
    return str(caught.value)


def grey(width=60, height=40):
    return Image.fromarray(np.add.outer(np.arange(height), np.arange(width)).astype(np.uint8))


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_with_chunks(count):
    whole = save(grey(), "PNG")
    start = whole.index(b"IDAT") - 4
    return whole[:start] + chunk(b"prIv", b"") * count + whole[start:]


def jpeg_with_comments(count):
    whole = save(grey(), "JPEG")
    return whole[:2] + b"\xff\xfe\0\3a" * count + whole[2:]


def gif_with_comment(blocks):
    whole = save(grey(), "GIF")
    start = 13 + 3 * 2 ** ((whole[10] & 7) + 1)
    return whole[:start] + b"!\xfe" + (b"\xc8" + b"a" * 200) * blocks + b"\0" + whole[start:]


def tiff(*entries, after=b""):
    """A TIFF of 50x50 grey pixels, with these tags (tag, type, count, value) instead or beside."""
    tags = {256: (4, 1, 50), 257: (4, 1, 50), 258: (3, 1, 8), 259: (3, 1, 1), 262: (3, 1, 1), 277: (3, 1, 1)}
    tags |= {tag: tuple(rest) for tag, *rest in entries}
    written = b"".join(struct.pack("<HHII", tag, *tags[tag]) for tag in sorted(tags))
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + written + bytes(4) + after


@pytest.mark.parametrize("make", [png_with_chunks, jpeg_with_comments, gif_with_comment])
def test_a_file_of_very_many_small_pieces_is_refused(make):
    assert page(make(100)).shape == (40, 60)
    assert message(make(100_000)) == PIECES


def test_a_file_counts_its_small_reads_their_bytes_and_all_bytes(monkeypatch):
    monkeypatch.setattr(decoding, "MAX_SMALL_READS", 3)
    monkeypatch.setattr(decoding, "MAX_SMALL_BYTES", 300)
    content = bytes(40_000_000)
    small, large, twice = (CountedFile(io.BytesIO(content), length) for length in (10**6, 10**6, 10**7))
    for _ in range(3):
        assert len(small.read(100)) == 100
    with pytest.raises(ImageError):
        small.read(1)
    for _ in range(60):
        assert len(large.read(256)) == 256
    with pytest.raises(ImageError):
        [twice.read(8_000_000) for _ in range(4)]
    assert large.tell() == 60 * 256  # everything else is the file's own


def test_reads_are_counted_for_every_page_alone(monkeypatch):
    monkeypatch.setattr(decoding, "MAX_SMALL_BYTES", 3000)
    packed = io.BytesIO()
    small = Image.new("L", (20, 20), 255)
    small.save(packed, "TIFF", save_all=True, append_images=[small] * 9)
    assert len(list(pages(packed.getvalue()))) == 10
    counted = CountedFile(io.BytesIO(bytes(9000)), 9000)
    for _ in range(2):
        for _ in range(30):
            counted.read(100)
        with pytest.raises(ImageError):
            counted.read(1)
        counted.renew()


def test_text_pixels_are_read_up_to_a_length(monkeypatch):
    text = b"P2 3 2 255\n0 9 255\n255 9 0\n"
    assert page(text).tolist() == [[0, 9, 255], [255, 9, 0]]
    monkeypatch.setattr(decoding, "MAX_TEXT", len(text) - 1)
    assert message(text).startswith("the image: pixels as text, more than ")


@pytest.mark.parametrize("kind", ["WEBP", "AVIF"])
def test_slow_formats_are_read_up_to_a_length(kind, monkeypatch):
    content = save(grey(), kind)
    assert page(content).shape == (40, 60)
    monkeypatch.setattr(decoding, "MAX_CODED", len(content) - 1)
    assert message(content).startswith(f"the image: a {kind} of more than ")


def test_a_progressive_jpeg_is_read_up_to_so_many_scans(monkeypatch):
    content = save(grey(), "JPEG", progressive=True)
    scans = content.count(b"\xff\xda")
    assert page(content).shape == (40, 60)
    monkeypatch.setattr(decoding, "MAX_SCANNED", scans * 60 * 40 - 1)
    assert message(content) == f"the image: a JPEG of {scans} scans; save it again without the progressive option"


def test_marks_are_counted_across_the_parts_that_a_file_is_read_in():
    mark = b"\xff\xda"
    file = io.BytesIO(b"x" * (2**20 - 1) + mark + b"y" * 10 + mark)
    file.seek(7)
    assert decoding._count(file, mark) == 2
    assert file.tell() == 7


NEEDED = {
    "grey png": (grey(), "PNG", {}, 2),
    "colour png": (grey().convert("RGB"), "PNG", {}, 5),
    "transparent png": (grey().convert("RGBA"), "PNG", {}, 6),
    "16 bit png": (Image.fromarray(np.zeros((40, 60), np.uint16)), "PNG", {}, 5),
    "jpeg": (grey().convert("RGB"), "JPEG", {}, 2),
    "progressive jpeg": (grey().convert("RGB"), "JPEG", {"progressive": True}, 8),
    "webp": (grey().convert("RGB"), "WEBP", {}, 17),
    "tiff of one strip": (grey().convert("RGB"), "TIFF", {"compression": "tiff_deflate"}, 8),
    "tiff of floats": (Image.new("F", (60, 40)), "TIFF", {}, 13),
}


@pytest.mark.parametrize("kind", NEEDED)
def test_what_takes_too_much_memory_is_refused_before_it_is_decoded(kind, monkeypatch):
    picture, form, options, each = NEEDED[kind]
    content = save(picture, form, **options)
    monkeypatch.setattr(image, "MAX_MEMORY", each * 60 * 40 + len(content))
    assert page(content).shape == (40, 60)
    monkeypatch.setattr(image, "MAX_MEMORY", each * 60 * 40 + len(content) - 1)
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda self: pytest.fail("decoded"))
    assert "60x40 pixels, needs 0 MB to decode, more than 0 MB; scale it down" in message(content)


def test_a_file_on_a_disk_takes_no_memory_of_its_own(monkeypatch, tmp_path):
    content = save(grey(), "PNG")
    (tmp_path / "grey.png").write_bytes(content)
    monkeypatch.setattr(image, "MAX_MEMORY", 2 * 60 * 40)
    assert "to decode" in message(content)
    assert page(tmp_path / "grey.png").shape == (40, 60)


def test_an_enormous_tile_of_a_small_tiff_is_refused():
    tile = [(322, 4, 1, 30_000), (323, 4, 1, 30_000), (324, 4, 1, 200), (325, 4, 1, 10), (259, 3, 1, 8)]
    assert "50x50 pixels, needs 900 MB to decode" in message(tiff(*tile, after=bytes(300)))


def test_decoded_pixels_are_let_go_before_the_page_is_used():
    with Image.open(io.BytesIO(save(grey().convert("RGB"), "TIFF"))) as picture:
        _, read = image._picture(
            picture, io.BytesIO(), CountedFile(io.BytesIO(), 0), image.ExitStack(), image.PageLimits()
        )
        assert read(0)[0].shape == (40, 60)
        assert picture.im.size == (1, 1)
        assert read(0)[0].shape == (40, 60)
