"""The images that a model was trained on, `trained_on(about, own) -> ImageSet`, to detect scores on them.

A set keeps the first 40 bits of each image's SHA-256: 3.3 bytes an image once packed. An image that is not in MNIST's
60,000 is taken for one of them once in 18 million times. Images are compared to the pixel: what was turned, scaled,
inverted or saved with losses is another image.

The package has the sets of MNIST's training part and of the digits that handwriting fonts draw; a run on other data
keeps its own beside its weights, and a model file in its metadata.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digitnet.core.errors import DataError, ModelError
from digitnet.core.files import gunzip

HOME = Path(__file__).parent / "weights"
"""Where the package's sets lie."""

MNIST_SHA256 = "c2069063c1105f2bf96266aef1ff68c6e13bdda7a54e37bf19c16f1db24efc83"
"""`datasets.fingerprint` of MNIST, by which a model says that it was trained on it."""

IMAGES = "digitnet_trained_on"
"""The entry of a model file's metadata that has the set, as base64."""

MAX_IMAGES = 6_000_000
"""Most images of a set that is opened: more than a data file may hold."""

_BYTES = 5


@dataclass(frozen=True, eq=False)
class ImageSet:
    """A set of images. keys: (n,) uint64, sorted, the first 40 bits of each one's SHA-256; words: what set it is."""

    keys: NDArray[np.uint64]
    words: str = "those that the model was trained or validated on"

    @classmethod
    def of(cls, *images: NDArray[np.uint8]) -> ImageSet:
        """Return the set of all these images, (n, 28, 28) uint8 each."""
        return cls(np.unique(np.concatenate([_keys(some) for some in images])))

    def __len__(self) -> int:
        """Return the number of different images."""
        return len(self.keys)

    def __or__(self, other: ImageSet) -> ImageSet:
        """Return the set of the images in either."""
        return replace(self, keys=np.union1d(self.keys, other.keys))

    def has(self, images: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Return which of the images (n, 28, 28) uint8 are in the set, (n,) bool."""
        return np.isin(_keys(images), self.keys)

    def packed(self) -> bytes:
        """Return the set as bytes: the distances of its keys, byte by byte, as gzip."""
        gaps = np.diff(self.keys, prepend=np.uint64(0)).astype("<u8")
        return gzip.compress(gaps.view(np.uint8).reshape(-1, 8).T[:_BYTES].tobytes(), mtime=0)

    def to_text(self) -> str:
        """Return `packed` as base64, for a model file's metadata."""
        return base64.b64encode(self.packed()).decode()


def unpacked(data: bytes) -> ImageSet:
    """Return the set that `ImageSet.packed` wrote. Raises DataError where the bytes are damaged."""
    planes = gunzip(data, _BYTES * MAX_IMAGES)
    if len(planes) % _BYTES:
        raise DataError("not a complete set of images")
    gaps = np.zeros((len(planes) // _BYTES, 8), np.uint8)
    gaps[:, :_BYTES] = np.frombuffer(planes, np.uint8).reshape(_BYTES, -1).T
    return ImageSet(np.cumsum(gaps.view("<u8").ravel(), dtype=np.uint64))


def trained_on(about: Mapping[str, Any], own: ImageSet | None = None) -> ImageSet | None:
    """Return the images that a model was trained or validated on; None where they are not known.

    about: its run's configuration or its file's metadata; of a model that says nothing of its data MNIST's training
    digits are taken. own: the set that its run or its file keeps.
    """
    found = own
    if "data_sha256" not in about and about.get("data", "mnist") == "mnist":
        found = replace(known("mnist"), words="MNIST's training digits, which the model was probably trained on")
    elif about.get("data_sha256") == MNIST_SHA256:
        found = known("mnist")
    if about.get("fonts"):
        found = known("fonts") if found is None else found | known("fonts")
    return found


def trained_on_by_file(name: str, about: Mapping[str, Any], metadata: Mapping[str, str]) -> ImageSet | None:
    """Return what `trained_on` does of a model file with that metadata. Raises ModelError where that is damaged."""
    try:
        return trained_on(about, unpacked(base64.b64decode(metadata[IMAGES])) if IMAGES in metadata else None)
    except (DataError, ValueError) as error:
        raise ModelError(f"model {name}: its list of training images is damaged; export it again") from error


@cache
def known(name: str) -> ImageSet:
    """Return a set of the package: "mnist", all 60,000 training digits, or "fonts", all digits of `load("fonts")`."""
    return unpacked((HOME / f"{name}.images.gz").read_bytes())


def warn_of_seen(seen: NDArray[np.bool_], images: ImageSet, stacklevel: int = 2) -> None:
    """Warn (UserWarning) where some digits are among those that a model was trained on.

    seen: (n,) bool, which of the digits scored are in `images`.
    """
    if count := int(seen.sum()):
        warnings.warn(
            f"{count:,} of these {len(seen):,} digits ({count / len(seen):.2%}) are among {images.words}; "
            "the score on them does not show how well the model reads other digits",
            stacklevel=stacklevel + 1,
        )


def _keys(images: NDArray[np.uint8]) -> NDArray[np.uint64]:
    pad = bytes(8 - _BYTES)
    rows = np.ascontiguousarray(images).reshape(len(images), 28 * 28)
    hashes = b"".join(pad + hashlib.sha256(row.tobytes()).digest()[:_BYTES] for row in rows)
    return np.frombuffer(hashes, ">u8").astype(np.uint64)
