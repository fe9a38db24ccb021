import io
import zlib

import numpy as np
import pytest
from PIL import Image

from digitnet import ImageError
from digitnet.imaging import pages as image
from digitnet.imaging.pages import PageLimits, page, pages

pypdfium2 = pytest.importorskip("pypdfium2")

DRAWN = (167, 251)  # 60 x 40 points at 300 dpi, rounded up

SCAN = np.full((80, 120), 255, np.uint8)
SCAN[20:50, 30:40] = 0
SCAN[60:70, 90:110] = 100


def pdf(body, box, scan=SCAN, extra="", form=None, packed=None):
    """A PDF of one page that may show a scan as /I, a font as /F and, with a content, a form as /X.

    packed: the bytes and the filter of the scan, if not Flate.
    """
    height, width = scan.shape
    data, how = packed or (zlib.compress(scan.tobytes()), "FlateDecode")
    about = f"/Type/XObject/Subtype/Image/Width {width}/Height {height}/ColorSpace/DeviceGray/BitsPerComponent 8"
    font = "/Font<</F<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>"
    inner = (form or "").encode()
    parts = [
        b"%PDF-1.6\n1 0 obj <</Type/Catalog/Pages 2 0 R>> endobj",
        f"2 0 obj <</Type/Pages/Kids[3 0 R]/Count 1/MediaBox[{box}]>> endobj".encode(),
        f"3 0 obj <</Type/Page/Parent 2 0 R/Contents 4 0 R{extra}".encode(),
        f"/Resources<</XObject<</I 5 0 R/X 6 0 R>>{font}>>>> endobj".encode(),
        f"4 0 obj <</Length {len(body)}>> stream\n{body}\nendstream endobj".encode(),
        f"5 0 obj <<{about}/Filter/{how}/Length {len(data)}>> stream\n".encode() + data + b"\nendstream endobj",
        b"6 0 obj <</Type/XObject/Subtype/Form/BBox[0 0 999 999]/Resources<</XObject<</I 5 0 R>>>>/Length "
        + f"{len(inner)}>> stream\n".encode()
        + inner
        + b"\nendstream endobj",
        b"trailer <</Root 1 0 R>>\n%%EOF\n",
    ]
    return b"\n".join(parts)


def same(got, expected):
    assert got.shape == expected.shape
    assert np.abs(got.astype(int) - expected).mean() < 1


@pytest.mark.parametrize("points", [(120, 80), (60, 40), (480, 320), (28.8, 19.2)])
def test_a_scan_is_read_pixel_by_pixel_whatever_size_its_page_has(points):
    width, height = points
    same(page(pdf(f"{width} 0 0 {height} 0 0 cm /I Do", f"0 0 {width} {height}")), SCAN)


@pytest.mark.parametrize(("turn", "times"), [(90, -1), (180, 2), (270, 1)])
def test_a_turned_scan_is_read_pixel_by_pixel_and_upright(turn, times):
    got = page(pdf("60 0 0 40 0 0 cm /I Do", "0 0 60 40", extra=f"/Rotate {turn}"))
    same(got, np.rot90(SCAN, times))


def test_a_scan_that_lies_turned_on_its_page_stays_so():
    same(page(pdf("0 60 -40 0 40 0 cm /I Do", "0 0 40 60")), np.rot90(SCAN))


def test_the_unit_of_the_user_changes_nothing():
    same(page(pdf("60 0 0 40 0 0 cm /I Do", "0 0 60 40", extra="/UserUnit 10")), SCAN)


def test_a_scan_within_margins_keeps_its_resolution():
    got = page(pdf("60 0 0 40 20 10 cm /I Do", "0 0 100 60"))
    assert got.shape == (120, 200)
    same(got[20:100, 40:160], SCAN)


def test_a_scan_of_two_resolutions_is_read_at_the_finer_one():
    got = page(pdf("120 0 0 160 0 0 cm /I Do", "0 0 120 160"))
    assert got.shape == (160, 120)


def test_a_scan_within_forms_is_read_at_its_own_resolution():
    same(page(pdf("2 0 0 2 0 0 cm /X Do", "0 0 60 40", form="30 0 0 20 0 0 cm /I Do")), SCAN)


@pytest.mark.parametrize(("mode", "shape"), [(3, (80, 120)), (0, DRAWN)])
def test_invisible_text_over_a_scan_does_not_count(mode, shape):
    body = f"q 60 0 0 40 0 0 cm /I Do Q BT /F 8 Tf {mode} Tr 5 5 Td (47) Tj ET"
    assert page(pdf(body, "0 0 60 40")).shape == shape


@pytest.mark.parametrize("more", ["q 20 0 0 20 9 9 cm /I Do Q", "0 0 9 9 re f", "0 0 m 9 9 l S"])
def test_a_page_with_more_than_a_scan_is_drawn_at_300_dpi(more):
    assert page(pdf(f"q 60 0 0 40 0 0 cm /I Do Q {more}", "0 0 60 40")).shape == DRAWN


def test_a_scan_too_fine_to_be_read_is_drawn_at_half_its_resolution_or_300_dpi():
    content = pdf("7.2 0 0 4.8 0 0 cm /I Do", "0 0 7.2 4.8")
    assert page(content).shape == SCAN.shape
    got = page(content, limits=PageLimits(SCAN.size - 1))
    assert got.shape == (40, 60)
    assert np.abs(got.astype(int) - SCAN[::2, ::2]).mean() < 12
    assert page(content, limits=PageLimits(SCAN.size // 4 - 1)).shape == (21, 30)


def test_a_scan_too_large_for_any_resolution_is_refused_before_it_is_drawn(monkeypatch):
    content = pdf("120 0 0 80 0 0 cm /I Do", "0 0 120 80")
    own, half = (4 + 2.5) * SCAN.size, (1 + 2.5) * SCAN.size
    for memory, shape in ((own, (80, 120)), (own - 1, (40, 60)), (half, (40, 60))):
        monkeypatch.setattr(image, "MAX_MEMORY", memory)
        assert page(content).shape == shape
    monkeypatch.setattr(image, "MAX_MEMORY", half - 1)
    with pytest.raises(ImageError, match="120x80 pixels, needs 0 MB to decode"):
        page(content)


def test_jpeg_2000_is_decoded_once_its_memory_is_known(monkeypatch):
    packed = io.BytesIO()
    Image.fromarray(SCAN).save(packed, "JPEG2000")
    content = pdf("120 0 0 80 0 0 cm /I Do", "0 0 120 80", packed=(packed.getvalue(), "JPXDecode"))
    same(page(content), SCAN)
    monkeypatch.setattr(image, "MAX_MEMORY", (1 + 15) * SCAN.size - 1)
    monkeypatch.setattr(pypdfium2.PdfImage, "get_metadata", None)
    with pytest.raises(ImageError, match="to decode"):
        page(content)


def test_a_scan_of_no_size_on_its_page_is_no_scan():
    assert page(pdf("0 0 0 0 0 0 cm /I Do", "0 0 60 40")).shape == DRAWN


def test_a_scan_of_72_dpi_as_large_as_a4_at_300_dpi_is_not_magnified():
    scan = np.full((3508, 2480), 255, np.uint8)
    scan[1000:1100, 1000:1020] = 0
    (got,) = pages(pdf("2480 0 0 3508 0 0 cm /I Do", "0 0 2480 3508", scan))
    assert (got == scan).all()
