"""Limits for decoders: bounds on the memory and work of a file, computed from its header before decoding."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from PIL import ImageFile

from digitnet.core.errors import ImageError

if TYPE_CHECKING:  # imported when a file needs them
    from PIL.JpegImagePlugin import JpegImageFile
    from PIL.TiffImagePlugin import TiffImageFile

MAX_SMALL_READS, MAX_SMALL_BYTES = 300_000, 1_000_000
"""Reads of fewer than 256 bytes while a file is opened or one page decoded, and the bytes these may give together."""

MAX_TEXT = 5_000_000
"""Bytes of a PPM, PGM or PBM file whose pixels are written as text."""

MAX_CODED = 15_000_000
"""Bytes of a WebP, AVIF or HEIF file: their decoders need some 0.1 s for each million."""

MAX_SCANS = 100
"""Scans of a progressive JPEG; common ones have ten."""

MAX_SCANNED = 400_000_000
"""Pixels times scans of a progressive JPEG."""

CODED = {"WEBP": 17, "AVIF": 13, "HEIF": 13}
"""Bytes for each pixel that the decoder of a format takes, its page included."""

_TILE_WIDTH, _TILE_LENGTH, _ROWS_PER_STRIP = 322, 323, 278  # TIFF tags
_BITS, _SAMPLES = 258, 277


class CountedFile:
    """A file, as Pillow's decoders take it, that refuses what is made of very many small pieces, or read repeatedly.

    A file of a few megabytes may hold millions of empty chunks, comments of one byte, or tags that all show the same
    megabytes: work that no limit on pixels bounds.
    """

    def __init__(self, file: BinaryIO, length: int) -> None:
        """Wrap a file of so many bytes."""
        self._file, self.length = file, length
        self.renew()

    def renew(self) -> None:
        """Count from the beginning, for another page."""
        self._reads, self._small, self._left = MAX_SMALL_READS, MAX_SMALL_BYTES, self.length + self.length // 4 + 2**24

    def read(self, size: int = -1) -> bytes:
        """Return up to so many bytes. Raises ImageError where the pieces are too many."""
        data = self._file.read(size)
        self._left -= len(data)
        if len(data) < 256:
            self._reads -= 1
            self._small -= len(data)
        if self._reads < 0 or self._small < 0 or self._left < 0:
            raise ImageError("consists of too many small pieces; save it again as PNG or JPEG")
        return data

    def __getattr__(self, name: str) -> Any:
        """Give everything else that the file has."""
        return getattr(self._file, name)


def cost(picture: ImageFile.ImageFile, file: BinaryIO, length: int) -> tuple[float, float]:
    """Return the bytes that decoding a frame takes for each pixel, its grey page included, and those beside these.

    file: what the picture was opened from. length: of the file, bytes.

    Raises ImageError for what would take long: text, many scans, large files of slow formats.
    """
    kind, mode = picture.format or "", picture.mode
    each = {"1": 2, "L": 2, "P": 2, "I;16": 5, "I;16B": 5, "I;16L": 5, "I": 9, "F": 9}.get(mode, 5)
    each += picture.has_transparency_data
    beside = float(length) if isinstance(file, io.BytesIO) else 0.0
    if kind in CODED:
        if length > MAX_CODED:
            raise ImageError(f"a {kind} of more than {MAX_CODED // 10**6} MB; save it as PNG or JPEG")
        each = CODED[kind]
    if kind == "PPM" and picture.tile and picture.tile[0][0] == "ppm_plain" and length > MAX_TEXT:
        raise ImageError(f"pixels as text, more than {MAX_TEXT // 10**6} MB; save it as PNG")
    if kind == "PNG" and mode in ("RGB", "RGBA") and picture.tile and "16" in str(picture.tile[0][3]):
        each += 1  # twice as much to unpack
    if kind in ("JPEG", "MPO"):
        each += _coefficients(cast("JpegImageFile", picture), file)
    if kind == "TIFF":
        beside += _strip(cast("TiffImageFile", picture))
    return each, beside


def _coefficients(picture: JpegImageFile, file: BinaryIO) -> int:
    """Return the bytes for each pixel of the coefficients that a JPEG of several scans keeps until its last one."""
    scans = _count(file, b"\xff\xda")  # starts of scan: the data between cannot hold these bytes
    if "progressive" not in picture.info and scans <= 1:
        return 0
    if scans > MAX_SCANS or scans * picture.width * picture.height > MAX_SCANNED:
        raise ImageError(f"a JPEG of {scans} scans; save it again without the progressive option")
    return 2 * picture.layers


def _count(file: BinaryIO, mark: bytes) -> int:
    """Count a mark of two different bytes in a file, read in parts; the file is left where it was."""
    place, count, last = file.tell(), 0, b""
    file.seek(0)
    while part := file.read(2**20):
        count += (last + part).count(mark)
        last = part[-1:]
    file.seek(place)
    return count


def _strip(picture: TiffImageFile) -> float:
    """Return the bytes of the strip or tile of a TIFF that is unpacked at a time."""
    tags = picture.tag_v2
    if _TILE_WIDTH in tags:
        width, height = tags.get(_TILE_WIDTH, 1), tags.get(_TILE_LENGTH, 1)
    else:
        width, height = picture.width, min(tags.get(_ROWS_PER_STRIP, picture.height), picture.height)
    bits = tags.get(_BITS, (1,))
    most = max(bits) if isinstance(bits, tuple) else bits
    return float(width * height * max(tags.get(_SAMPLES, 1) * most / 8, 1))
