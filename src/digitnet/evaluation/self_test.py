"""The check of an installation: versions, extras, and the hash and accuracy of every built-in model."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from digitnet.core import extras
from digitnet.core.digits import IMAGE_SIZE
from digitnet.core.errors import ModelError
from digitnet.core.version import __version__
from digitnet.data.synthesis.strokes import hands
from digitnet.models import onnx_models

PACKAGES = ("numpy", "onnxruntime", "opencv-python-headless", "pillow", "torch")
"""The packages whose versions are told; torch is for training alone."""

DRAWN = 100
"""Digits drawn for the self-test."""

LINES = 20
"""Numbers written for the self-test."""

MIN_FOUND = 4
"""Of the five numbers written on a page, those that networks in order find and read right."""

MIN_LINE_ACCURACY = 0.4
"""Share of the written numbers, many of them on bad paper, that a line reader in order reads right."""

MIN_ACCURACY = 0.8
"""Share of the drawn digits that a model in order reads right; of images without ink or of noise it refuses all."""


@dataclass(frozen=True)
class Finding:
    """One thing looked at: whether it is as it should be, and a line that says what was found."""

    good: bool
    what: str


def check() -> Iterator[Finding]:
    """Look at the installation, one finding after the other; takes about a second and needs no network."""
    system = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    yield Finding(True, f"digitnet {__version__}, Python {platform.python_version()}, {system}")
    yield Finding(True, ", ".join(f"{name} {_version(name)}" for name in PACKAGES))
    for name, modules in extras.EXTRAS.items():
        lacking = next((module for module in modules if find_spec(module) is None), None)
        yield Finding(True, f"optional extra {name}: {extras.missing(lacking) or 'installed'}")
    expected = onnx_models.hashes()
    yield Finding(bool(expected), f"built-in models: {', '.join(expected) or 'none'}")
    digits = hands(DRAWN)
    rng = np.random.default_rng(0)
    nothing = np.concatenate(
        [
            np.stack([np.full((IMAGE_SIZE, IMAGE_SIZE), grey, np.uint8) for grey in (0, 128, 255)]),
            rng.integers(0, 256, (17, IMAGE_SIZE, IMAGE_SIZE), np.uint8),
        ]
    )
    for name, sha256 in expected.items():
        if name in (onnx_models.LINE, onnx_models.ROWS, onnx_models.PAGE):
            continue  # a reader needs all three
        try:
            model = onnx_models.classifier(name)
        except ModelError as error:
            yield Finding(False, str(error))
            continue
        yield Finding(model.sha256 == sha256, f"{name}: sha256 {model.sha256}")
        right = float((model(digits.images).argmax(axis=1) == digits.labels).mean())
        refused = float((model.digitness(nothing) < model.threshold).mean())
        told = (
            f"{name}: reads {right:.0%} of {DRAWN} drawn digits, rejects {refused:.0%} of {len(nothing)} empty images"
        )
        yield Finding(right >= MIN_ACCURACY and refused == 1, told)
    if onnx_models.LINE in expected:
        yield from _check_reader(expected)


def _check_reader(expected: dict[str, str]) -> Iterator[Finding]:
    """Look at the built-in line reader and page network."""
    from digitnet.data.synthesis.composer import unseen
    from digitnet.reading.reader import Reader

    try:
        reader = Reader()
        hashes = reader.hashes()
    except ModelError as error:
        yield Finding(False, str(error))
        return
    for name, sha256 in hashes.items():
        if name == "digits":
            continue  # looked at above
        yield Finding(sha256 == expected.get(name), f"{name}: sha256 {sha256}")
    lines = unseen(hands(300), count=LINES)
    right = np.mean([reader.read_page(line.image, single=True).text == line.text for line in lines])
    yield Finding(
        bool(right >= MIN_LINE_ACCURACY), f"{onnx_models.LINE}: reads {right:.0%} of {LINES} written numbers exactly"
    )
    drawn = hands(20)
    labels = (np.arange(20) % 10).tolist()  # as `hands` draws them
    said = {number.text for number in reader.read_page(_page(drawn.images)).numbers}
    found = sum("".join(map(str, labels[row : row + 4])) in said for row in range(0, 20, 4))
    yield Finding(found >= MIN_FOUND, f"{onnx_models.PAGE}: {found} of 5 numbers on a page found and read exactly")


def _page(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Write images of digits (20, 28, 28) uint8 on a white page, five numbers of four digits one below the other."""
    rows = images.reshape(5, 4, IMAGE_SIZE, IMAGE_SIZE)[:, :, :, 4:24].transpose(0, 2, 1, 3).reshape(5, IMAGE_SIZE, 80)
    page = np.pad(rows, ((0, 0), (10, 10), (60, 120))).reshape(-1, 260)
    return np.asarray(255 - page.repeat(2, axis=0).repeat(2, axis=1), np.uint8)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
