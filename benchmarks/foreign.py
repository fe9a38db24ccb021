"""Digits that nobody here wrote, framed like MNIST's: the sets in ../shared/data, or where DIGITNET_DEV_DATA says.

python benchmarks/foreign.py FOLDER    writes each as a .npz that `digitnet benchmark --data` and `evaluate --data` take
"""

from __future__ import annotations

import gzip
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from digitnet import Digits, frame

FOLDER = Path(os.environ.get("DIGITNET_DEV_DATA", Path(__file__).parents[2] / "shared" / "data"))

PEN = 18
"""Width of the pen that draws a digit from its strokes, in a glyph of `GLYPH` pixels, as a drawing canvas would."""

GLYPH = 160


def foreign() -> dict[str, Digits]:
    """Return the sets of other people's digits by name, framed."""
    return {
        "USPS": _scanned("usps-test.npz"),
        "optdigits": _scanned("optdigits-test.npz"),
        "semeion": _scanned("semeion.npz"),
        "pendigits": _drawn(FOLDER / "pendigits-strokes.jsonl.gz"),
    }


def no_digits(name: str) -> NDArray[np.uint8]:
    """Return the images (n, 28, 28) of "letters" or "clothes", as they are."""
    images: NDArray[np.uint8] = np.load(FOLDER / f"{name}.npz")["images"]
    return images


def _scanned(file: str) -> Digits:
    with np.load(FOLDER / file) as arrays:
        raw, labels = arrays["raw"], arrays["labels"]
    ink = (raw * (255 // int(raw.max()))).astype(np.uint8)
    return Digits(np.stack([frame(each) for each in ink]), labels)


def _drawn(path: Path) -> Digits:
    records = list(_records(path))
    images = np.stack([frame(_draw(record["strokes"])) for record in records])
    return Digits(images, np.array([record["label"] for record in records]))


def _records(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def _draw(strokes: list[list[list[float]]]) -> NDArray[np.uint8]:
    """Draw strokes of points x, y on a canvas, scaled so that their longer side is `GLYPH` pixels."""
    lines = [np.array(stroke, float) for stroke in strokes]
    points = np.concatenate(lines)
    low, size = points.min(axis=0), np.ptp(points, axis=0)
    canvas = np.zeros((GLYPH + 3 * PEN, GLYPH + 3 * PEN), np.uint8)
    for line in lines:
        moved = (line - low - size / 2) * (GLYPH / max(size.max(), 1)) + canvas.shape[0] / 2
        sixteenths = np.round(moved * 16).astype(np.int32).reshape(-1, 1, 2)
        cv2.polylines(canvas, [sixteenths], len(line) == 1, 255, PEN, cv2.LINE_AA, 4)
    return canvas


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, digits in foreign().items():
        np.savez_compressed(folder / f"{name.lower()}.npz", images=digits.images, labels=np.asarray(digits.labels))
    for name in ("letters", "clothes"):
        np.savez_compressed(folder / f"{name}.npz", images=no_digits(name))
