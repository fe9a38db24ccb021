"""From any input to upright grey pages: files, bytes, streams, Pillow images and arrays.

A picture becomes grey by ITU-R BT.601 luma (as Pillow has it: 0.299 R + 0.587 G + 0.114 B), is turned as its EXIF
orientation says, and lies on white where it is transparent; on black, where all it shows is light ink. Values of more
than eight bits are scaled linearly, and so that nothing is cut off: `grey.eight_bits` has the rule.

Kinds are told by first bytes, never by the file's name; only those in `FORMATS` reach a decoder, and no page is decoded
before its size, and the memory and work that decoding it takes, are known to be within the limits. A TIFF or PDF gives
all its pages, an animation its first frame.

Not covered: a program that sets Pillow's `ImageFile.LOAD_TRUNCATED_IMAGES` gets half pictures from here too, and a PDF
made to be slow inside takes the time that PDFium gives it.
"""

from __future__ import annotations

import importlib
import io
import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from digitnet.core import extras
from digitnet.core.errors import ImageError
from digitnet.core.text import reason
from digitnet.imaging import pipes
from digitnet.imaging.decoding import CountedFile, cost
from digitnet.imaging.grey import of_array, resolution, upright
from digitnet.imaging.pdf import BYTES_PER_PIXEL, open_pdf

if TYPE_CHECKING:
    from PIL.TiffImagePlugin import TiffImageFile

FORMATS = {
    "PNG": rb"\x89PNG\r\n\x1a\n",
    "JPEG": rb"\xff\xd8\xff",
    "TIFF": rb"II[*+]\0|MM\0[*+]",
    "GIF": rb"GIF8[79]a",
    "BMP": rb"BM",
    "PPM": rb"P[1-6]\s",
    "WebP": rb"RIFF....WEBP",
    "AVIF": rb"....ftyp(avi[fs]|mi[fa][1f].{4,40}avif)",
    "HEIF": rb"....ftyp(hei[cxms]|hev[cxms]|mif1|msf1)",
    "PDF": rb".{0,1019}%PDF-",
}
"""The kinds that are read, and what their first bytes match; the first match counts."""

MAX_SIDE = 30_000
"""Pixels of a page's longer side beyond which it is refused: a receipt of one metre at 600 dpi has 23,600."""

MAX_ASPECT = 100
"""Longer side in shorter sides beyond which a page is refused, if it is longer than 4,000 pixels: a line of fifty
digits has some 40."""

MAX_MEMORY = 300_000_000
"""Bytes that decoding a page may take beyond which it is refused: in colour, 60 million pixels of a PNG."""

MAX_FILE_BYTES = 200_000_000
"""Bytes of a file, a stream or a bytes object beyond which it is refused."""


@dataclass(frozen=True)
class PageLimits:
    """What a source may hold at most; more is refused.

    pixels: of a page; A4 at 1000 dpi has 97 million. pages: of a TIFF or PDF.
    """

    pixels: int = 100_000_000
    pages: int = 1000


LIMITS = PageLimits()
"""The limits where no others are given."""


class NoPageError(ImageError):
    """A page of a number that a file does not have."""


class ManyPagesError(ImageError):
    """A file of several pages where one was expected."""


Source = str | Path | bytes | Image.Image | NDArray[Any] | BinaryIO
"""What pages come from: a path, a file's bytes or a binary stream of them, a Pillow image, an array."""

# Not Image.open(): its check for bombs warns or raises by a limit of the whole process, which others may have set.
_OPENERS = {
    "PNG": ("PIL.PngImagePlugin", "PngImageFile"),
    "JPEG": ("PIL.JpegImagePlugin", "JpegImageFile"),
    "TIFF": ("PIL.TiffImagePlugin", "TiffImageFile"),
    "GIF": ("PIL.GifImagePlugin", "GifImageFile"),
    "BMP": ("PIL.BmpImagePlugin", "BmpImageFile"),
    "PPM": ("PIL.PpmImagePlugin", "PpmImageFile"),
    "WebP": ("PIL.WebPImagePlugin", "WebPImageFile"),
    "AVIF": ("PIL.AvifImagePlugin", "AvifImageFile"),
    "HEIF": ("pillow_heif", "HeifImageFile"),
    "PDF": ("pypdfium2", "PdfDocument"),
}
_INSTALL = {"AVIF": "run: pip install -U pillow", "HEIF": "run: pip install pillow-heif", "PDF": extras.add("pdf")}

_SUBFILE, _NO_PAGE = 254, 0b101  # TIFF 6.0, page 36: a smaller copy of another page, or its mask

Dpi = tuple[float, float]
"""Dots per inch across and down."""

_Read = Callable[[int], tuple[NDArray[np.uint8], Dpi | None]]


def pages(source: Source, name: str | None = None, limits: PageLimits = LIMITS) -> Iterator[NDArray[np.uint8]]:
    """Yield each page of a source as (h, w) uint8, 0 black .. 255 white, upright.

    source: the path of a picture or PDF; its bytes, or a binary stream of them (`sys.stdin.buffer`), read from where it
    stands to its end; a Pillow image, whose current frame is the page; or an array (h, w), (h, w, 3) RGB or (h, w, 4)
    RGBA of uint8 0..255, of bool with True as white, of uint16, or of floats 0..1 or 0..255.
    name: what messages call the source, if not by its path. limits: how large a page and how many of them may be.

    A page is decoded when it is asked for, and is the caller's to keep or change. A file is closed after its last page,
    or with the iterator.

    Raises ImageError where the source is missing, unreadable, damaged, cut short, of another kind or over a limit; not
    before the first `next()`, and only after the whole pages that a file with one bad page has before it.
    """
    with _open(source, name, limits) as (count, read):
        for number in range(count):
            yield read(number)[0]


def page(
    source: Source, name: str | None = None, limits: PageLimits = LIMITS, number: int | None = None
) -> NDArray[np.uint8]:
    """Return a page of a source as `pages` would, by its number from 1; raises ImageError where there is none, too.

    Without a number it is the only page: then several are an ImageError.
    """
    return scan(source, name, limits, number)[0]


def scan(
    source: Source, name: str | None = None, limits: PageLimits = LIMITS, number: int | None = None
) -> tuple[NDArray[np.uint8], Dpi | None]:
    """Return a page as `page` would, and its resolution: None where the file states none."""
    with _open(source, name, limits) as (count, read):
        if number is not None:
            if not 1 <= number <= count:
                raise NoPageError(f"{_shown(source, name)}: has {count} pages, and page {number} is not one of them")
            return read(number - 1)
        if count > 1:
            fact = f"has {count} pages; read them one by one with digitnet.Reader().read_pages"
            raise ManyPagesError(f"{_shown(source, name)}: {fact}")
        return read(0)


def page_count(source: Source, name: str | None = None, limits: PageLimits = LIMITS) -> int:
    """Return how many pages a source has; raises as `pages` does."""
    with _open(source, name, limits) as (count, _):
        return count


@contextmanager
def _open(source: Source, name: str | None, limits: PageLimits) -> Iterator[tuple[int, _Read]]:
    """Give how many pages a source has, and the function that reads one of them. All below leave naming it to this."""
    shown = _shown(source, name)
    with ExitStack() as stack:
        with _named(shown):
            count, read = _book(source, stack, limits)
            if not 1 <= count <= limits.pages:
                raise ImageError(f"more than {limits.pages} pages; split it" if count else "no pages; save it again")

        def read_named(number: int) -> tuple[NDArray[np.uint8], Dpi | None]:
            with _named(f"{shown}, page {number + 1}" if count > 1 else shown):
                return read(number)

        yield count, read_named


def _shown(source: Any, name: str | None) -> str:
    """Return what messages call a source: short, and on one line."""
    if name is None:
        title = getattr(source, "name", None) or getattr(source, "filename", None)
        name = os.fsdecode(source) if isinstance(source, str | os.PathLike) else title
        name = "standard input" if name == "<stdin>" else name
    if not isinstance(name, str):  # the name of a pipe is its number
        return "the image"
    name = name if name.isprintable() and name else repr(name)
    return name if len(name) <= 200 else f"{name[:100]}…{name[-60:]}"


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Put the name before our errors, and tell all others in our words: decoders meet any bytes, and raise anything."""
    try:
        yield
    except ImageError as error:
        raise ImageError(f"{name}: {error}") from error.__cause__
    except MemoryError as error:
        raise ImageError(f"{name}: too large for this machine's memory; scale it down") from error
    except Exception as error:
        raise ImageError(f"{name}: damaged or unusual ({reason(error)}); download or save it again") from error


def _book(source: Any, stack: ExitStack, limits: PageLimits) -> tuple[int, _Read]:
    """Open a source; `stack` will close it."""
    if isinstance(source, np.ndarray):
        return 1, lambda number: (_from_array(source, limits), None)
    if isinstance(source, Image.Image):
        return 1, lambda number: _from_picture(source, limits)
    file = _file(source, stack)
    kind, length = _kind(file)
    module, opener = _OPENERS[kind]
    try:
        opened = getattr(importlib.import_module(module), opener)
    except ImportError as error:
        raise ImageError(f"{kind} needs another package; {_INSTALL[kind]}") from error
    if kind == "PDF":
        return open_pdf(opened, file, stack, partial(_of_pdf, limits))
    counted = CountedFile(file, length)
    return _picture(opened(counted, ""), file, counted, stack, limits)


def _file(source: Any, stack: ExitStack) -> BinaryIO:
    """Open a path, bytes or a stream as a file that can be sought in."""
    if isinstance(source, bytes | bytearray | memoryview):
        return io.BytesIO(source)
    if isinstance(source, str | os.PathLike):
        source = file = stack.enter_context(_opened(os.fsdecode(source)))
        if isinstance(file, io.BytesIO) or stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            return file
    if not hasattr(source, "read"):
        what = type(source).__name__
        raise ImageError(f"{what!r} is not an image; pass a path, bytes, a Pillow image or a numpy array")
    content = io.BytesIO()
    try:
        while (part := source.read(1 << 20)) and content.tell() <= MAX_FILE_BYTES:
            content.write(part)
    except TypeError as error:
        raise ImageError("a text stream; open it in binary mode ('rb'), or pass its .buffer") from error
    return content


def _opened(path: str) -> BinaryIO:
    if re.match(r"(?i)[a-z][a-z0-9+.-]+:/|data:", path):
        raise ImageError("an address, which digitnet does not download; download it and name the file")
    try:
        if not path or Path(path).is_dir():
            raise ImageError("a folder; name an image in it")
        return pipes.content(path, MAX_FILE_BYTES) if Path(path).is_fifo() else Path(path).open("rb")
    except FileNotFoundError as error:
        if Path(path).is_symlink():
            raise ImageError(
                f"a link to {str(Path(path).readlink())!r}, which does not exist; correct the link"
            ) from error
        raise ImageError("no such file; check its name and folder") from error
    except PermissionError as error:
        raise ImageError("permission denied; change its permissions") from error
    except (OSError, ValueError) as error:
        raise ImageError(f"cannot be opened ({reason(error)}); check its name") from error


def _kind(file: BinaryIO) -> tuple[str, int]:
    """Return which of `FORMATS` a file's first bytes are of, and its length, which is within `MAX_FILE_BYTES`."""
    length = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(1024)
    file.seek(0)
    if not length:
        raise ImageError("empty, 0 bytes; download or save it again")
    if length > MAX_FILE_BYTES:
        raise ImageError(f"more than {MAX_FILE_BYTES // 10**6} MB; scale it down or split its pages")
    for kind, start in FORMATS.items():
        if re.match(start, head, re.DOTALL):
            return kind, length
    if head.startswith(b"PK\3\4"):
        raise ImageError("a ZIP archive or a document in one; unpack it, or save the document as PDF")
    if head.startswith(b"\0\5\x16\7"):
        raise ImageError("contains macOS metadata of another file; name the file without ._")
    if re.fullmatch(rb"[\t\n\f\r -~\x80-\xff]+", head):
        fact = f"text that begins {head[:20].decode('ascii', 'replace').strip()!r}"
    else:
        fact = f"unknown image type, first bytes {head[:8].hex(' ')}"
    raise ImageError(f"{fact}; save it as one of {', '.join(FORMATS)}")


def _check_size(limits: PageLimits, width: float, height: float, each: float = 1, beside: float = 0) -> None:
    """Raise ImageError for a page of a size that is not read.

    each, beside: bytes that decoding it takes for each pixel, and beside these.
    """
    size, short, long = f"{width:.0f}x{height:.0f} pixels", min(width, height), max(width, height)
    if short < 1:
        raise ImageError(f"{size}; pass an image with pixels")
    if not width * height <= limits.pixels:
        raise ImageError(f"{size}, more than {limits.pixels // 10**6} million; scale it down or divide it")
    if long > MAX_SIDE:
        raise ImageError(f"{size}, more than {MAX_SIDE:,} per side; scale it down or divide it")
    if long > max(MAX_ASPECT * short, 4000):
        raise ImageError(f"{size}, more than {MAX_ASPECT} times as long as wide; divide it")
    if (needed := width * height * each + beside) > MAX_MEMORY:
        most = f"needs {needed / 10**6:,.0f} MB to decode, more than {MAX_MEMORY // 10**6} MB"
        raise ImageError(f"{size}, {most}; scale it down, or save it in grey as PNG or JPEG")


def _picture(
    picture: ImageFile.ImageFile, file: BinaryIO, counted: CountedFile, stack: ExitStack, limits: PageLimits
) -> tuple[int, _Read]:
    stack.callback(picture.close)
    numbers = _page_numbers(picture, limits.pages)
    picture.draft("L", None)  # a colour JPEG holds its luma: as good, faster, and a quarter of the memory

    def release() -> None:
        picture.im = Image.new("1", (1, 1)).im

    def read(number: int) -> tuple[NDArray[np.uint8], Dpi | None]:
        counted.renew()
        picture.seek(numbers[number])
        _check_size(limits, *picture.size)
        _check_size(limits, *picture.size, *cost(picture, file, counted.length))
        dpi = resolution(picture)  # before Pillow turns the pixels of a TIFF
        return upright(picture, release), dpi

    return len(numbers), read


def _page_numbers(picture: Image.Image, limit: int) -> list[int]:
    """Return which frames are pages: those of a TIFF but its thumbnails and masks; else the one it stands at.

    Where a TIFF has more frames than `limit`, one page more than that is returned.
    """
    if picture.format != "TIFF":
        return [picture.tell()]
    tiff = cast("TiffImageFile", picture)
    numbers: list[int] = []
    for number in range(limit + 1):
        try:
            tiff.seek(number)
        except EOFError:
            return numbers
        if tiff.tag_v2.next < 0:
            raise ImageError(f"truncated within page {number + 1}; download or save it again")
        tiff.tag_v2.next = -1  # it stays so where the next directory is cut short, of which Pillow only warns
        if not number or not tiff.tag_v2.get(_SUBFILE, 0) & _NO_PAGE:
            numbers.append(number)
    return list(range(limit + 1))  # too many already: a small file may chain millions


def _of_pdf(limits: PageLimits, width: float, height: float, beside: float) -> None:
    _check_size(limits, width, height, BYTES_PER_PIXEL, beside)


def _from_picture(picture: Image.Image, limits: PageLimits) -> tuple[NDArray[np.uint8], Dpi | None]:
    """Return the current frame of a caller's Pillow image as an upright grey page."""
    _check_size(limits, *picture.size)
    dpi = resolution(picture)
    return upright(picture), dpi


def _from_array(array: NDArray[Any], limits: PageLimits) -> NDArray[np.uint8]:
    """Return an array as a grey page."""
    shape, dtype = array.shape, array.dtype
    known = dtype.kind in "bf" or (dtype.kind == "u" and dtype.itemsize <= 2)
    if not known or not (len(shape) == 2 or shape[2:] in ((3,), (4,))):
        expected = "(h, w), (h, w, 3) or (h, w, 4) of uint8, uint16, bool or floats 0..1"
        raise ImageError(f"an array {shape} {dtype}, expected {expected}")
    _check_size(limits, shape[1], shape[0])
    return of_array(array)
