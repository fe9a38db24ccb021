"""The contents of request bodies: files, data URLs, images as JSON or `.npy`."""

from __future__ import annotations

import binascii
import contextlib
import io
import json
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digitnet.core.digits import IMAGE_SIZE
from digitnet.core.errors import DataError, ImageError
from digitnet.serving.problems import ProblemError

CURL = "application/x-www-form-urlencoded"
"""The media type that curl names for -d, and for --data-binary as well."""

_URL = "data:image/png;base64,..."
_BASE64 = re.compile(rb"(iVBORw0KGgo|/9j/|JVBERi0|R0lGOD|UklGR|SUkqA|TU0AK)[A-Za-z0-9+/=\s]*")
"""Base64 of the first bytes of PNG, JPEG, PDF, GIF, WebP and TIFF files."""


@dataclass(frozen=True)
class File:
    """A file as it came: its name, if it has one, its bytes, and the media type of a body that is one file."""

    name: str | None
    content: bytes
    kind: str = ""

    def picture(self) -> bytes:
        """Return the bytes of a picture or PDF: the content, or what a base64 data URL holds, alone or in JSON.

        Raises DataError or ImageError for what is neither, and says what to send instead.
        """
        found = self.given()
        if isinstance(found, bytes):
            return found
        raise DataError(f'"image" is an array, which only /v1/classify accepts; send an image, a PDF or "{_URL}"')

    def given(self) -> bytes | NDArray[np.uint8]:
        """Return one picture as `picture` does, or one image (28, 28) uint8 of JSON {"image": [...]}."""
        content = self.content
        if self.kind == "application/json" or content[:100].lstrip().startswith(b"{"):
            value = _of_json(content, "image")
            if not isinstance(value, str):
                return _square(value)
            content = value.encode()
            if not _is_url(content):
                raise DataError(f'"image" is text, but not a data URL; send "{_URL}"')
        if _is_url(content):
            return _decoded(content)
        if _BASE64.fullmatch(content[:1000]):
            raise ImageError(f"base64 without the head of a data URL; send {_URL}, or the file itself")
        if self.kind == CURL:
            _check_curl(content)
        return content


def _is_url(content: bytes) -> bool:
    return content[:5].lower() == b"data:"


def _decoded(url: bytes) -> bytes:
    """Return what a data URL holds, RFC 2397. Line breaks in it are of whoever wrapped it, and mean nothing."""
    head, _, data = url.partition(b",")
    if not head.lower().endswith(b";base64"):
        raise ImageError(f"a data URL without base64; send {_URL}")
    try:
        return binascii.a2b_base64(b"".join(data.split()), strict_mode=True)
    except binascii.Error as error:
        reason = str(error)
        raise ImageError(f"a data URL with damaged base64 ({reason[:1].lower()}{reason[1:]}); send it again") from error


def _check_curl(content: bytes) -> None:
    """Raise ImageError for what `curl -d` makes of a file or form: without line breaks a picture is damaged."""
    if re.match(rb"[\w-]{1,50}=", content):
        raise ImageError("a form as sent by curl -d; send files with curl -F file=@page.png")
    if b"\n" not in content and b"\r" not in content and not content.isascii():
        fact = "the body contains no line break, as if sent by curl -d, which removes them from files"
        raise ImageError(f"{fact}; send it with curl --data-binary @page.png -H 'Content-Type: image/png'")


def images(content: bytes, most: int) -> NDArray[np.uint8]:
    """Return images to classify, (n, 28, 28) uint8: of a `.npy` file, or of JSON {"images": [...]}.

    most: images. Raises DataError where the content is neither, ProblemError where there are too many.
    """
    if content.startswith(b"\x93NUMPY"):
        return _of_npy(content, most)
    rows = _of_json(content, "images")
    if not isinstance(rows, list):
        raise DataError(f'"images" must be a list of {IMAGE_SIZE} x {IMAGE_SIZE} arrays of integers 0..255')
    _count(len(rows), most)
    return np.array([_square(image) for image in rows], np.uint8).reshape(-1, IMAGE_SIZE, IMAGE_SIZE)


def _of_npy(content: bytes, most: int) -> NDArray[np.uint8]:
    """Return the array in a `.npy` file: where its header does not fit its length, nothing is allocated."""
    file = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(file)
    # numpy's parser of headers raises whatever Python's does.
    except Exception as error:
        raise DataError("not a complete .npy file; write it with numpy.save") from error
    if dtype != np.uint8 or len(shape) != 3 or shape[1:] != (IMAGE_SIZE, IMAGE_SIZE):
        raise DataError(f"images are {shape} {dtype}, expected (n, {IMAGE_SIZE}, {IMAGE_SIZE}) uint8")
    _count(shape[0], most)
    expected, found = shape[0] * IMAGE_SIZE * IMAGE_SIZE, len(content) - file.tell()
    if found != expected:
        raise DataError(
            f"the .npy file contains {found:,} bytes, but its header states {expected:,}; write it with numpy.save"
        )
    array = np.frombuffer(content, np.uint8, offset=file.tell())
    return np.ascontiguousarray(array.reshape(shape, order="F" if fortran else "C"))


def _of_json(content: bytes, name: str) -> Any:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DataError(f'not JSON; expected {{"{name}": ...}} with integers 0..255') from error
    if not isinstance(document, dict) or set(document) != {name}:
        raise DataError(f'expected {{"{name}": ...}} and nothing else')
    return document[name]


def _square(rows: Any) -> NDArray[np.uint8]:
    """Return lists of integers as an image. Raises DataError for what a cast would bend: true, 0.5, -1, 256."""
    lists = (
        isinstance(rows, list)
        and len(rows) == IMAGE_SIZE
        and all(type(row) is list and len(row) == IMAGE_SIZE for row in rows)
    )
    if lists and {type(value) for row in rows for value in row} <= {int, float}:
        with contextlib.suppress(OverflowError):
            values = np.array(rows, np.float64)
            if ((values >= 0) & (values <= 255) & (values == np.floor(values))).all():
                return values.astype(np.uint8)
    if isinstance(rows, str):
        raise DataError(
            f"an image is text, not {IMAGE_SIZE} rows of integers; send image files to /v1/read or /v1/inside"
        )
    raise DataError(f"an image is not {IMAGE_SIZE} rows of {IMAGE_SIZE} integers 0..255")


def _count(count: int, most: int) -> None:
    if count > most:
        raise ProblemError(422, f"{count:,} images, more than {most:,}; send fewer at a time")
