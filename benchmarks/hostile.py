"""Processor time and memory of images that were made to take much of both.

python benchmarks/hostile.py >> benchmarks/RESULTS.md
python benchmarks/hostile.py --only checkerboard    only cases whose names contain a word

Every case is read in a process of its own: its processor time from opening the file to the answer, and the peak memory
of the whole process. A case that is refused has to be refused within the same bounds.
"""

from __future__ import annotations

import argparse
import io
import json
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rows import note, row
from targets import most_memory

from digitnet.core.errors import ImageError
from digitnet.imaging import pages as image
from digitnet.reading.reader import Reader

Gray = NDArray[np.uint8]

SECONDS, MEGABYTES = 3.0, 500
"""Most processor time that an image may take, and most memory that the process may have."""

SIDE = int(image.LIMITS.pixels**0.5)
"""Side of the largest square page, pixels."""


def blank(height: int = SIDE, width: int = SIDE) -> Gray:
    return np.full((height, width), 255, np.uint8)


def noise(height: int, width: int, block: int, share: float) -> Gray:
    """Return blocks of black with a share of the page, at random."""
    rng = np.random.default_rng(0)
    small = np.where(rng.random((-(-height // block), -(-width // block))) < share, np.uint8(0), np.uint8(255))
    return np.ascontiguousarray(small.repeat(block, 0).repeat(block, 1)[:height, :width])


def tiled(text: str, height: int, width: int, tall: int, room: int) -> Gray:
    """Return a page full of a text `tall` pixels high."""
    size = tall / 22
    (wide, high), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, size, max(1, tall // 12))
    tile = blank(high + room, wide + room)
    where = (room // 2, high + room // 2)
    cv2.putText(tile, text, where, cv2.FONT_HERSHEY_SIMPLEX, size, 0, max(1, tall // 12), cv2.LINE_AA)
    page = blank(height, width)
    part = np.tile(tile, (height // tile.shape[0], width // tile.shape[1]))
    page[: part.shape[0], : part.shape[1]] = part
    return page


def specks(pitch: int, size: int) -> Gray:
    page = blank()
    for y in range(size):
        for x in range(size):
            page[y::pitch, x::pitch] = 0
    return page


def comb(pitch: int, thick: int) -> Gray:
    page = blank()
    for x in range(thick):
        page[:, x::pitch] = 0
    page[: 2 * pitch] = 0
    return page


def checkerboard(cell: int) -> Gray:
    y, x = np.arange(SIDE)[:, None] // cell % 2, np.arange(SIDE)[None] // cell % 2
    return np.where(y == x, np.uint8(0), np.uint8(255))


def nested(shrink: float, thick: float) -> Gray:
    """Return boxes in boxes; each is `shrink` times as wide as the one around it, its border `thick` of its width."""
    page, side = blank(), SIDE * 0.95
    while side > 30:
        for part, grey in ((1.0, 0), (1 - 2 * thick, 255)):
            low, high = round((SIDE - side * part) / 2), round((SIDE + side * part) / 2)
            page[low:high, low:high] = grey
        side *= shrink
    return page


def panels(pitch: int) -> Gray:
    """Return dark squares, each with a light mark."""
    tile = blank(pitch, pitch)
    edge = pitch // 6
    tile[edge:-edge, edge:-edge] = 0
    tile[pitch // 3 : -pitch // 3, pitch // 2 - edge // 2 : pitch // 2 + edge // 2] = 255
    return np.tile(tile, (SIDE // pitch, SIDE // pitch))


def lines(pitch: int, thick: int, dash: int = 0) -> Gray:
    page = blank()
    for y in range(thick):
        page[y::pitch] = 0
    for x in range(dash // 4 if dash else 0):
        page[:, x::dash] = 255
    return page


def png(page: Gray) -> bytes:
    return cv2.imencode(".png", page, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes()


def saved(page: NDArray[Any], kind: str, **options: Any) -> bytes:
    packed = io.BytesIO()
    Image.fromarray(page).save(packed, kind, **options)
    return packed.getvalue()


def colours(pixels: int, channels: int) -> Gray:
    side = int(pixels**0.5)
    return np.ascontiguousarray(np.repeat(noise(side, side, 4, 0.5)[:, :, None], channels, axis=2))


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_header(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))


def empty_chunks(count: int) -> bytes:
    whole = png(blank(50, 50))
    start = whole.index(b"IDAT") - 4
    return whole[:start] + chunk(b"tEXt", b"a\0b") * count + whole[start:]


def long_strip(width: int) -> bytes:
    packed = zlib.compressobj(9)
    data = packed.compress(b"\0" + b"\xff" * width) + packed.flush()
    return png_header(width, 1) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def comments_of_a_gif(count: int) -> bytes:
    whole = saved(blank(50, 50), "GIF")
    start = 13 + 3 * 2 ** ((whole[10] & 7) + 1)
    return whole[:start] + b"!\xfe" + (b"\xff" + b"a" * 255) * count + b"\0" + whole[start:]


def comments_of_a_jpeg(count: int) -> bytes:
    whole = saved(blank(50, 50), "JPEG")
    return whole[:2] + b"\xff\xfe\0\3a" * count + whole[2:]


def scans_of_a_jpeg(side: int, count: int) -> bytes:
    whole = saved(noise(side, side, 1, 0.5), "JPEG", progressive=True, quality=50)
    last = whole[whole.rfind(b"\xff\xda") : -2]
    return whole[:-2] + last * (count - whole.count(b"\xff\xda")) + whole[-2:]


def tags_of_a_tiff(size: int) -> bytes:
    """A TIFF of thousands of tags that all show the same bytes."""
    entries = [(256, 4, 1, 50), (257, 4, 1, 50), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (277, 3, 1, 1)]
    entries += [(273, 4, 1, 100_000), (278, 4, 1, 50), (279, 4, 1, 2500)]
    entries += [(tag, 7, size - 200_000, 150_000) for tag in range(40_000, 44_000)]
    tags = b"".join(struct.pack("<HHII", *entry) for entry in sorted(entries))
    head = b"II*\0" + struct.pack("<IH", 8, len(entries)) + tags + bytes(4)
    return head + bytes(size - len(head))


def tile_of_a_tiff(side: int) -> bytes:
    """A TIFF of few pixels in one enormous tile."""
    data = zlib.compress(bytes(side * side), 9)
    entries = [(256, 4, 1, 50), (257, 4, 1, 50), (258, 3, 1, 8), (259, 3, 1, 8), (262, 3, 1, 1), (277, 3, 1, 1)]
    entries += [(322, 4, 1, side), (323, 4, 1, side), (324, 4, 1, 1000), (325, 4, 1, len(data))]
    tags = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return (b"II*\0" + struct.pack("<IH", 8, len(entries)) + tags + bytes(4)).ljust(1000, b"\0") + data


def tiff(count: int) -> bytes:
    """A TIFF of tiny pages that share their pixels."""
    out = bytearray(b"II*\0" + struct.pack("<I", 408) + bytes(400))
    for number in range(count):
        entries = [(256, 4, 1, 20), (257, 4, 1, 20), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1)]
        entries += [(273, 4, 1, 8), (277, 3, 1, 1), (278, 4, 1, 20), (279, 4, 1, 400)]
        tags = b"".join(struct.pack("<HHII", *entry) for entry in entries)
        after = len(out) + 2 + len(tags) + 4 if number < count - 1 else 0
        out += struct.pack("<H", len(entries)) + tags + struct.pack("<I", after)
    return bytes(out)


def pdf(count: int) -> bytes:
    """A PDF of tiny pages."""
    kids = " ".join(f"{n + 3} 0 R" for n in range(count))
    parts = [b"%PDF-1.4\n1 0 obj <</Type/Catalog/Pages 2 0 R>> endobj"]
    parts.append(f"2 0 obj <</Type/Pages/Kids[{kids}]/Count {count}/MediaBox[0 0 9 9]>> endobj".encode())
    parts += [f"{n + 3} 0 obj <</Type/Page/Parent 2 0 R>> endobj".encode() for n in range(count)]
    return b"\n".join([*parts, b"trailer <</Root 1 0 R>>"])


def pdf_scan(side: int, jpeg: bool = False) -> bytes:
    """A PDF of one scan, a pixel a point; in colour, if it is a JPEG."""
    page = noise(side, side, 4, 0.5)
    if jpeg:
        data = saved(np.repeat(page[:, :, None], 3, axis=2), "JPEG", progressive=True, quality=60)
    else:
        data = zlib.compress(page.tobytes(), 1)
    colour, packed = ("/DeviceRGB", "/DCTDecode") if jpeg else ("/DeviceGray", "/FlateDecode")
    about = f"/Type/XObject/Subtype/Image/Width {side}/Height {side}/ColorSpace{colour}/BitsPerComponent 8"
    body = f"{side} 0 0 {side} 0 0 cm /I Do".encode()
    return b"\n".join(
        [
            b"%PDF-1.4\n1 0 obj <</Type/Catalog/Pages 2 0 R>> endobj",
            f"2 0 obj <</Type/Pages/Kids[3 0 R]/Count 1/MediaBox[0 0 {side} {side}]>> endobj".encode(),
            b"3 0 obj <</Type/Page/Parent 2 0 R/Contents 4 0 R/Resources<</XObject<</I 5 0 R>>>>>> endobj",
            b"4 0 obj <</Length %d>> stream\n%s\nendstream endobj" % (len(body), body),
            f"5 0 obj <<{about}/Filter{packed}/Length {len(data)}>> stream\n".encode() + data,
            b"endstream endobj\ntrailer <</Root 1 0 R>>",
        ]
    )


CASES: dict[str, Callable[[], bytes]] = {
    "a strip of 39,000,000 x 1 pixels": lambda: long_strip(39_000_000),
    "a strip of 30,000 x 3,333 pixels, digits": lambda: png(tiled("7", 3333, 30_000, 60, 6)),
    "a strip of 30,000 x 3,333 pixels, noise": lambda: png(noise(3333, 30_000, 6, 0.3)),
    "a strip of 30,000 x 300 pixels, one number": lambda: png(tiled("7", 300, 30_000, 240, 40)),
    "noise of one pixel": lambda: png(noise(SIDE, SIDE, 1, 0.5)),
    "noise of blocks of 6 pixels": lambda: png(noise(SIDE, SIDE, 6, 0.4)),
    "noise of blocks of 12 pixels": lambda: png(noise(SIDE, SIDE, 12, 0.4)),
    "noise of blocks of 30 pixels": lambda: png(noise(SIDE, SIDE, 30, 0.4)),
    "noise of all grey levels": lambda: png(np.random.default_rng(0).integers(0, 256, (SIDE, SIDE), np.uint8)),
    "a million specks": lambda: png(specks(10, 4)),
    "specks as large as digits": lambda: png(specks(60, 28)),
    "a comb of a thousand teeth": lambda: png(comb(10, 4)),
    "a comb of wide teeth": lambda: png(comb(60, 20)),
    "a checkerboard of 6 pixels": lambda: png(checkerboard(6)),
    "a checkerboard of 24 pixels": lambda: png(checkerboard(24)),
    "a checkerboard of 36 pixels": lambda: png(checkerboard(36)),
    "a checkerboard of 100 pixels": lambda: png(checkerboard(100)),
    "nested boxes, thin": lambda: png(nested(0.98, 0.005)),
    "nested boxes, thick": lambda: png(nested(0.76, 0.06)),
    "dark squares with a mark, small": lambda: png(panels(120)),
    "dark squares with a mark, large": lambda: png(panels(1000)),
    "one-pixel lines": lambda: png(lines(4, 1)),
    "lines of a drawing": lambda: png(lines(30, 3)),
    "dashes": lambda: png(lines(24, 6, 300)),
    "a page full of 8": lambda: png(tiled("8", SIDE, SIDE, 45, 24)),
    "a page full of 1984": lambda: png(tiled("1984", SIDE, SIDE, 60, 60)),
    "a page full of very wide numbers": lambda: png(tiled("7", SIDE, SIDE, 70, 10)),
    "colour with transparency": lambda: saved(colours(50_000_000, 4), "PNG", compress_level=1),
    "colour": lambda: saved(colours(60_000_000, 3), "PNG", compress_level=1),
    "WebP": lambda: saved(colours(17_000_000, 3), "WEBP", quality=60, method=0),
    "AVIF": lambda: saved(colours(20_000_000, 3), "AVIF", quality=40, speed=10),
    "fax TIFF": lambda: saved(noise(SIDE, SIDE, 3, 0.5) > 0, "TIFF", compression="group4"),
    "JPEG": lambda: saved(noise(SIDE, SIDE, 2, 0.5), "JPEG", quality=90),
    "JPEG of 100 scans": lambda: scans_of_a_jpeg(2000, 100),
    "JPEG of ten scans": lambda: scans_of_a_jpeg(6300, 10),
    "JPEG of 4,000,000 comments": lambda: comments_of_a_jpeg(4_000_000),
    "GIF with a comment of 50 MB": lambda: comments_of_a_gif(200_000),
    "PNG of 1,000,000 chunks": lambda: empty_chunks(1_000_000),
    "PPM as text": lambda: b"P3 1000 1000 255 " + b"9 " * 3_000_000,
    "PPM of 16 bits": lambda: b"P6 3000 3000 65535 " + bytes(54_000_000),
    "TIFF of 4,000 tags that show the same 30 MB": lambda: tags_of_a_tiff(30_000_000),
    "TIFF of one tile of 30,000 x 30,000": lambda: tile_of_a_tiff(30_000),
    "TIFF of 10,000 tiny pages": lambda: tiff(10_000),
    "TIFF of 1,000 tiny pages": lambda: tiff(1000),
    "PDF of 10,000 tiny pages": lambda: pdf(10_000),
    "PDF of 1,000 tiny pages": lambda: pdf(1000),
    "PDF of one scan of 100 million pixels": lambda: pdf_scan(SIDE),
    "PDF of one scan": lambda: pdf_scan(6700),
    "PDF of one progressive JPEG": lambda: pdf_scan(5900, jpeg=True),
}


def read(path: str, single: bool) -> None:
    """Read a file in this process; print what it took as a line of JSON."""
    reader = Reader(threads=1)
    reader.read(blank(64, 64))
    began, pages, numbers, said = time.process_time(), 0, 0, ""
    try:
        for reading in reader.read_pages(path, single=single):
            pages, numbers = pages + 1, numbers + len(reading.numbers)
            said = f"{numbers} numbers" + "".join(f", {code}" for code in reading.limits)
    except ImageError as error:
        said = f"refused: {str(error).partition(': ')[2]}"
    seconds = time.process_time() - began
    print(json.dumps({"seconds": seconds, "megabytes": most_memory(), "pages": pages, "said": said}))


def measure(content: bytes, single: bool) -> dict[str, Any]:
    """Read bytes in a process of its own."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        words = [sys.executable, __file__, "--read", file.name, *["--single"] * single]
        done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=600)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def main() -> bool:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", metavar="WORD", help="cases whose names contain it")
    parser.add_argument("--read", metavar="FILE", help=argparse.SUPPRESS)
    parser.add_argument("--single", action="store_true", help="take each page for one number")
    asked = parser.parse_args()
    if asked.read:
        read(asked.read, asked.single)
        return True
    met = True
    for name, make in CASES.items():
        if asked.only in name:
            note(f"{name} ...")
            try:
                took = measure(make(), asked.single)
            except subprocess.CalledProcessError as error:
                note(error.stderr)
                took = {"seconds": np.inf, "megabytes": np.inf, "pages": 0, "said": "ended in an error"}
            # A file of many pages is read page by page: the bounds are for one.
            seconds = took["seconds"] / max(took["pages"], 1)
            good = seconds <= SECONDS and took["megabytes"] <= MEGABYTES
            measured = f"{seconds:.2f} s, {took['megabytes']:.0f} MB; {took['said']}"
            what = f"hostile{', single' if asked.single else ''}: {name}"
            met &= row(what, f"<= {SECONDS:g} s and {MEGABYTES} MB", measured, max(took["pages"], 1), good)
    return met


if __name__ == "__main__":
    sys.exit(not main())
