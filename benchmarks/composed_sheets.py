"""The pictures of composed training data in docs/: lines for the line reader, pages for the page network.

python benchmarks/composed_sheets.py docs/

Needs the data sets mnist, fonts and unipen. Lines and pages are those of validation, by hands that are held out.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from digitnet.data.datasets import splits
from digitnet.training import page_sources

LINES, LINES_WIDE, LINE_HIGH = 96, 6, 40
PAGES, PAGES_WIDE, PAGE_SIDE = 12, 4, 300


def tiled(tiles: Sequence[NDArray[np.uint8]], across: int) -> NDArray[np.uint8]:
    """Put pictures of one size side by side and below each other, a white gap between them."""
    framed = [np.pad(tile, [(3, 3), (3, 3), *[(0, 0)] * (tile.ndim - 2)], constant_values=255) for tile in tiles]
    rows = [np.concatenate(framed[start : start + across], axis=1) for start in range(0, len(framed), across)]
    return np.concatenate(rows)


def line_tile(image: NDArray[np.uint8], high: int, wide: int) -> NDArray[np.uint8]:
    """Scale a line's picture into a white tile."""
    times = min(high / image.shape[0], wide / image.shape[1])
    size = max(1, round(image.shape[1] * times)), max(1, round(image.shape[0] * times))
    tile = np.full((high, wide), 255, np.uint8)
    tile[: size[1], : size[0]] = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return tile


def page_tile(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Scale a page into a tile: red, green, blue."""
    small = cv2.resize(image, (PAGE_SIDE, PAGE_SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(small[:, :, ::-1], np.uint8)


def main() -> None:
    """Write composed-lines.png and composed-pages.png into the folder named."""
    out = Path(sys.argv[1])
    sources = page_sources.unseen(splits("mnist").valid)
    lines = [line_tile(line.image, LINE_HIGH, 4 * LINE_HIGH) for line in sources.hands.lines(LINES)]
    pages = [page_tile(page.image) for page in sources.pages(PAGES)]
    for name, sheet in (
        ("composed-lines.png", tiled(lines, LINES_WIDE)),
        ("composed-pages.png", tiled(pages, PAGES_WIDE)),
    ):
        picture = Image.fromarray(np.ascontiguousarray(sheet))
        picture.quantize(128 if picture.mode == "RGB" else 24).save(out / name, optimize=True)
        print(f"{out / name}: {(out / name).stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
