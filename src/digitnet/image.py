"""Whatever a user has, to upright grey pages: files, bytes, streams, Pillow images and arrays.

A picture becomes grey by ITU-R BT.601 luma (as Pillow has it: 0.299 R + 0.587 G + 0.114 B), is turned as its EXIF
orientation says, and shows white paper where it is transparent. Values of more than eight bits are scaled linearly, and
so that nothing is cut off: `_eight_bits` has the rule.

Kinds are told by first bytes, never by the file's name; only those in `FORMATS` reach a decoder, and no page is decoded
before its size is known to be within the limits. A TIFF or PDF gives all its pages, an animation its first frame.

Not covered: a program that sets Pillow's `ImageFile.LOAD_TRUNCATED_IMAGES` gets half pictures from here too, and a PDF
made to be slow or large inside takes the time and memory that PDFium gives it.
"""

from __future__ import annotations

import importlib
import io
import os
import re
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

from digitnet import extras, pipes
from digitnet.errors import ImageError

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

MOST_PIXELS = 100_000_000
"""Pixels of a page beyond which it is refused: A4 at 1000 dpi has 97 million."""

MOST_BYTES = 200_000_000
"""Bytes of a file, a stream or a bytes object beyond which it is refused."""

MOST_PAGES = 1000
"""Pages of a TIFF or PDF beyond which it is refused."""

DPI = 300
"""Dots per inch at which the pages of a PDF are drawn: a digit 2 mm high is 24 pixels high, enough for its frame."""

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

_ORIENTATION = 0x0112  # the EXIF tag
_UPRIGHT: dict[int, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {
    2: lambda page: page[:, ::-1],
    3: lambda page: page[::-1, ::-1],
    4: lambda page: page[::-1],
    5: lambda page: page.T,
    6: lambda page: np.rot90(page, -1),
    7: lambda page: page[::-1, ::-1].T,
    8: lambda page: np.rot90(page),
}
_PHOTOMETRIC, _WHITE_IS_ZERO = 262, 0  # a TIFF tag and its value
_SUBFILE, _NO_PAGE = 254, 0b101  # TIFF 6.0, page 36: a smaller copy of another page, or its mask

_PDFIUM = threading.RLock()  # PDFium may be in use by one thread at a time, whatever the documents

_Read = Callable[[int], NDArray[np.uint8]]


def pages(source: Source, name: str | None = None) -> Iterator[NDArray[np.uint8]]:
    """Yield each page of a source as (h, w) uint8, 0 black .. 255 white, upright.

    source: the path of a picture or PDF; its bytes, or a binary stream of them (`sys.stdin.buffer`), read from where it
    stands to its end; a Pillow image, whose current frame is the page; or an array (h, w), (h, w, 3) RGB or (h, w, 4)
    RGBA of uint8 0..255, of bool with True as white, of uint16, or of floats 0..1 or 0..255.
    name: what messages call the source, if not by its path.

    A page is decoded when it is asked for, and is the caller's to keep or change. A file is closed after its last page,
    or with the iterator.

    Raises ImageError where the source is missing, unreadable, damaged, cut short, of another kind or over a limit; not
    before the first `next()`, and only after the whole pages that a file with one bad page has before it.
    """
    with _open(source, name) as (count, read):
        for number in range(count):
            yield read(number)


def page(source: Source, name: str | None = None) -> NDArray[np.uint8]:
    """Return the only page of a source as `pages` would; raises ImageError where there are several, too."""
    with _open(source, name) as (count, read):
        if count > 1:
            fact = f"holds {count} pages; read them one by one with digitnet.Reader().read_pages"
            raise ImageError(f"{_shown(source, name)}: {fact}")
        return read(0)


@contextmanager
def _open(source: Source, name: str | None) -> Iterator[tuple[int, _Read]]:
    """Give how many pages a source has, and the function that reads one of them. All below leave naming it to this."""
    shown = _shown(source, name)
    with ExitStack() as stack:
        with _named(shown):
            count, read = _book(source, stack)
            if not 1 <= count <= MOST_PAGES:
                raise ImageError(f"more than {MOST_PAGES} pages; split it" if count else "no pages; save it again")

        def read_named(number: int) -> NDArray[np.uint8]:
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
        raise ImageError(f"{name}: too large for this machine's memory; save it smaller") from error
    except Exception as error:
        raise ImageError(f"{name}: damaged or unusual ({_reason(error)}); fetch or save it again") from error


def _reason(error: Exception) -> str:
    words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return (words.strip() or type(error).__name__).splitlines()[0][:150]


def _book(source: Any, stack: ExitStack) -> tuple[int, _Read]:
    """Open a source; `stack` will close it."""
    if isinstance(source, np.ndarray):
        return 1, lambda number: _from_array(source)
    if isinstance(source, Image.Image):
        return 1, lambda number: _from_picture(source)
    file = _file(source, stack)
    kind = _kind(file)
    module, opener = _OPENERS[kind]
    try:
        opened = getattr(importlib.import_module(module), opener)
    except ImportError as error:
        raise ImageError(f"{kind} is not read yet; {_INSTALL[kind]}") from error
    return _pdf(opened, file, stack) if kind == "PDF" else _picture(opened(file, ""), file, stack)


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
        raise ImageError(f"{what!r} is no picture; give a path, bytes, a Pillow image or a numpy array")
    content = io.BytesIO()
    try:
        while (part := source.read(1 << 20)) and content.tell() <= MOST_BYTES:
            content.write(part)
    except TypeError as error:
        raise ImageError("a stream of text; open it in binary ('rb'), or give its .buffer") from error
    return content


def _opened(path: str) -> BinaryIO:
    if re.match(r"(?i)[a-z][a-z0-9+.-]+:/|data:", path):
        raise ImageError("an address, and digitnet fetches nothing; download it and give the file")
    try:
        if not path or Path(path).is_dir():
            raise ImageError("a folder; name a picture in it")
        return pipes.content(path, MOST_BYTES) if Path(path).is_fifo() else Path(path).open("rb")
    except FileNotFoundError as error:
        if Path(path).is_symlink():
            raise ImageError(
                f"a link to {str(Path(path).readlink())!r}, which does not exist; correct the link"
            ) from error
        raise ImageError("no such file; check its name and folder") from error
    except PermissionError as error:
        raise ImageError("you may not read it; change its permissions") from error
    except (OSError, ValueError) as error:
        raise ImageError(f"cannot be opened ({_reason(error)}); check its name") from error


def _kind(file: BinaryIO) -> str:
    """Return which of `FORMATS` a file's first bytes are of, once its length is known to be within `MOST_BYTES`."""
    length = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(1024)
    file.seek(0)
    if not length:
        raise ImageError("empty, 0 bytes; fetch or save it again")
    if length > MOST_BYTES:
        raise ImageError(f"more than {MOST_BYTES // 10**6} MB; save it smaller or split its pages")
    for kind, start in FORMATS.items():
        if re.match(start, head, re.DOTALL):
            return kind
    if re.fullmatch(rb"[\t\n\f\r -~\x80-\xff]+", head):
        fact = f"text that begins {head[:20].decode('ascii', 'replace').strip()!r}"
    else:
        fact = f"no known kind of picture, by its first bytes {head[:8].hex(' ')}"
    raise ImageError(f"{fact}; save it as one of {', '.join(FORMATS)}")


def _check_size(width: float, height: float) -> None:
    if min(width, height) < 1:
        raise ImageError(f"{width:.0f}x{height:.0f} pixels; give a picture that has some")
    if not width * height <= MOST_PIXELS:
        most = f"at most {MOST_PIXELS // 10**6} million are read"
        raise ImageError(f"{width:.0f}x{height:.0f} pixels, {most}; scale it down or cut it up")


def _check_scans(picture: Image.Image, file: BinaryIO) -> None:
    """Refuse a JPEG that goes over its pixels so often that a few bytes take minutes; common ones do ten times."""
    if "progressive" in picture.info:
        file.seek(0)
        scans = file.read().count(b"\xff\xda")  # starts of scan: the data between cannot hold these bytes
        if scans * picture.width * picture.height > 40 * MOST_PIXELS:
            raise ImageError(f"a JPEG of {scans} scans; save it again, not as progressive")


def _picture(picture: Image.Image, file: BinaryIO, stack: ExitStack) -> tuple[int, _Read]:
    stack.callback(picture.close)
    _check_scans(picture, file)
    numbers = _page_numbers(picture)
    picture.draft("L", None)  # a colour JPEG holds its luma: as good, faster, and a quarter of the memory

    def read(number: int) -> NDArray[np.uint8]:
        picture.seek(numbers[number])
        return _from_picture(picture)

    return len(numbers), read


def _page_numbers(picture: Image.Image) -> list[int]:
    """Return which frames are pages: those of a TIFF but its thumbnails and masks; else the one it stands at."""
    if not isinstance(picture, TiffImagePlugin.TiffImageFile):
        return [picture.tell()]
    numbers: list[int] = []
    for number in range(MOST_PAGES + 1):
        try:
            picture.seek(number)
        except EOFError:
            return numbers
        if picture.tag_v2.next < 0:
            raise ImageError(f"cut short within page {number + 1}; fetch or save it again")
        picture.tag_v2.next = -1  # it stays so where the next directory is cut short, of which Pillow only warns
        if not number or not picture.tag_v2.get(_SUBFILE, 0) & _NO_PAGE:
            numbers.append(number)
    return list(range(MOST_PAGES + 1))  # too many already: a small file may chain millions


def _pdf(opener: Callable[[BinaryIO], Any], file: BinaryIO, stack: ExitStack) -> tuple[int, _Read]:
    with _PDFIUM:
        try:
            document = opener(file)
        except RuntimeError as error:
            if "password" in str(error):
                raise ImageError("locked by a password; save a copy without one") from error
            raise
        stack.callback(_close, document)
        document.init_forms()  # without, what was typed into the fields of a form is not drawn
        count = len(document)

    def read(number: int) -> NDArray[np.uint8]:
        with _PDFIUM:
            leaf = document[number]
            try:
                width, height = leaf.get_size()
                _check_size(width / 72 * DPI, height / 72 * DPI)
                drawn = leaf.render(scale=DPI / 72, grayscale=True).to_numpy()
                return np.array(drawn.reshape(drawn.shape[:2]), np.uint8)
            finally:
                leaf.close()

    return count, read


def _close(document: Any) -> None:
    with _PDFIUM:
        document.close()


def _from_picture(picture: Image.Image) -> NDArray[np.uint8]:
    """Return the current frame of a Pillow image as an upright grey page."""
    _check_size(*picture.size)
    picture.load()
    grey = _grey(picture)
    return np.array(_UPRIGHT.get(_orientation(picture), np.asarray)(grey), order="C")


def _orientation(picture: Image.Image) -> int:
    try:
        return int(picture.getexif().get(_ORIENTATION, 1))
    except Exception:  # damaged EXIF says nothing about the picture: it is shown as it is stored
        return 1


def _grey(picture: Image.Image) -> NDArray[np.uint8]:
    if picture.mode.startswith("I") or picture.mode == "F":
        deep = np.asarray(picture)
        grey = _eight_bits(deep)
        if isinstance(picture, TiffImagePlugin.TiffImageFile) and picture.tag_v2.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
            grey = 255 - grey  # Pillow does so for up to eight bits only
        if (clear := picture.info.get("transparency")) is not None:
            grey[deep == clear] = 255
        return grey
    if picture.mode == "LAB":
        picture = picture.convert("RGB")
    if not picture.has_transparency_data:
        return np.asarray(picture.convert("L"))
    if picture.mode not in ("LA", "RGBA"):
        picture = picture.convert("LA" if picture.mode == "La" else "RGBA")
    paper = Image.new("L", picture.size, 255)
    paper.paste(picture.convert("L"), mask=picture.getchannel("A"))
    return np.asarray(paper)


def _from_array(array: NDArray[Any]) -> NDArray[np.uint8]:
    """Return an array as a grey page."""
    shape, dtype = array.shape, array.dtype
    known = dtype.kind in "bf" or (dtype.kind == "u" and dtype.itemsize <= 2)
    if not known or not (len(shape) == 2 or shape[2:] in ((3,), (4,))):
        expected = "(h, w), (h, w, 3) or (h, w, 4) of uint8, uint16, bool or floats 0..1"
        raise ImageError(f"an array {shape} {dtype}, expected {expected}")
    _check_size(shape[1], shape[0])
    eight = array.astype(np.uint8) * np.uint8(255) if dtype.kind == "b" else _eight_bits(array)
    return eight if eight.ndim == 2 else np.array(_grey(Image.fromarray(eight)))


def _eight_bits(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Return the values of a page, scaled linearly to 0..255, in an array of its own.

    White is the least of 255, 1023, 4095, 16383 and 65535 that no value exceeds, because files of 8, 10, 12 and 14 bits
    come in 16 or more and seldom say so. Where paper is brighter than a quarter of a full 16 bits' white, this divides
    by 257; a darker page becomes brighter. Whatever was meant, no page loses what it shows: values up to 255 stay
    themselves, where a division by 257 would leave only 0.
    Floats are of 0..1; of 0..255 and so on if their brightest is 128 or more. Between the two they may be either, and
    one guess would make a black page: they raise ImageError, and so do negative, larger and not finite values.
    """
    if values.dtype == np.uint8:
        return np.array(values, order="C")
    low, high = values.min(), values.max()
    whites = [1] if values.dtype.kind == "f" and high < 128 else [255, 1023, 4095, 16383, 65535]
    white = next((white for white in whites if low >= 0 and high <= white), None)
    if white is None:
        raise ImageError(f"{values.dtype} values from {low:g} to {high:g}; scale them to 0..255, white at 255")
    grey = np.empty(values.shape, np.uint8)
    step = max(1, len(values) * 2**20 // values.size)  # rows: a page's floats all at once would fill the memory
    for top in range(0, len(values), step):
        grey[top : top + step] = np.rint(values[top : top + step] * np.float32(255 / white))
    return grey
