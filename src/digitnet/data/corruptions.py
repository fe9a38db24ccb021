"""The fifteen corruptions of MNIST-C: `corrupt(digits, name, seed) -> Digits`.

The corruptions, their order and their strength are those of MNIST-C (Mu and Gilmer, "MNIST-C: A Robustness Benchmark
for Computer Vision", 2019, whose functions stand in github.com/google-research/mnist-c). They are written anew here
for whole batches; the draws differ from the published images, their distribution does not. Where a name promises
something else than MNIST-C does, MNIST-C wins: its glass blur smooths down the columns only, its shear also stretches.

Every function of `CORRUPTIONS` takes images (n, 28, 28) uint8, 0 paper .. 255 ink, and a generator, and gives a new
batch of the same shape and type. Random choices are made for each image alone.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from digitnet.core.digits import IMAGE_SIZE, Digits
from digitnet.core.errors import DataError

Images = NDArray[np.uint8]
"""(n, 28, 28) uint8, 0 paper .. 255 ink."""

Corruption = Callable[[Images, np.random.Generator], Images]
"""Images and a generator -> a new batch of the same shape and type."""

Matrix = Sequence[Sequence[float]]
"""(2, 2), a linear map from where ink is seen, (x, y) from the centre, to where it was."""

BLOCK = 250
"""Digits corrupted at a time by `corrupt`, to bound its memory: fog needs 0.7 MB a digit."""

TINY = 1e-6
"""Added before fractions are dropped, so that full ink does not fall to 254 by a rounding error."""

CENTRE = (IMAGE_SIZE - 1) / 2
"""The point that geometric corruptions leave in place, pixels in both directions."""


def corrupt(digits: Digits, name: str, seed: int = 0) -> Digits:
    """Corrupt every digit with the corruption `name`, one of `CORRUPTIONS`.

    Labels and boxes are kept; probabilities are dropped, because they belong to the original images. The same digits,
    name and seed (0 or more) always give the same images. Raises DataError if the name is unknown.
    """
    if name not in CORRUPTIONS:
        raise DataError(f"unknown corruption {name!r}; choose one of {', '.join(CORRUPTIONS)}")
    rng = np.random.default_rng([seed, *name.encode()])
    images = np.empty_like(digits.images)
    for start in range(0, len(images), BLOCK):
        rows = slice(start, start + BLOCK)
        images[rows] = CORRUPTIONS[name](digits.images[rows], rng)
    return replace(digits, images=images, probs=None)


def shot_noise(images: Images, rng: np.random.Generator, photons: float = 3.0) -> Images:
    """Count light instead of measuring it: Poisson noise where full ink is `photons` on average."""
    return _to_bytes(rng.poisson(images * (photons / 255)) * (255 / photons))


def impulse_noise(images: Images, rng: np.random.Generator, amount: float = 0.17) -> Images:
    """Replace a random share of all pixels, half of them by paper and half by ink."""
    chance = rng.random(images.shape)
    salted = np.where(chance >= 1 - amount / 2, np.uint8(255), images)
    return np.where(chance < amount / 2, np.uint8(0), salted)


def glass_blur(images: Images, rng: np.random.Generator, sigma: float = 0.7, rounds: int = 2) -> Images:
    """Smooth, swap pixels with near ones, smooth again, as rippled glass does.

    In each round every pixel but the outermost, last ones first, is swapped with a chance of a half: with itself, the
    one above, the one to the left or the one between them. sigma: width of the Gaussian, in pixels, down the columns.
    """
    smooth = _gaussian(sigma)
    # Pixels first, so that one step of all images is one row.
    pixels = np.floor(smooth @ images + TINY).reshape(len(images), IMAGE_SIZE * IMAGE_SIZE).T.copy()
    partners = np.array([0, 0, 0, 0, 0, -1, -IMAGE_SIZE, -IMAGE_SIZE - 1])
    columns = np.arange(len(images))
    for _ in range(rounds):
        for row in range(IMAGE_SIZE - 1, 1, -1):
            for column in range(IMAGE_SIZE - 1, 1, -1):
                here = row * IMAGE_SIZE + column
                there = here + partners[rng.integers(len(partners), size=len(images))]
                taken = pixels[there, columns]
                pixels[there, columns] = pixels[here]
                pixels[here] = taken
    return _to_bytes(smooth @ pixels.T.reshape(images.shape))


def motion_blur(images: Images, rng: np.random.Generator, length: int = 20, sigma: float = 3.0) -> Images:
    """Draw out each image from one side, at its own angle within 45 degrees of level.

    length: farthest pixel that still counts. sigma: how fast its weight falls, as a Gaussian, pixels. After
    ImageMagick's motion blur, which takes the pixel nearest to each step along the line; fractions are dropped.
    """
    angles = np.radians(rng.uniform(-45, 45, len(images)))
    weights = np.exp(-0.5 * (np.arange(length + 1) / sigma) ** 2)
    padded = np.pad(images, ((0, 0), (length, length), (length, length)), mode="edge")
    windows = sliding_window_view(padded, (IMAGE_SIZE, IMAGE_SIZE), axis=(1, 2))
    rows = np.arange(len(images))
    blurred = np.zeros(images.shape)
    for step, weight in enumerate(weights / weights.sum()):
        right = np.ceil(step * np.cos(angles) - 0.5).astype(int)
        down = np.ceil(step * np.sin(angles) - 0.5).astype(int)
        blurred += weight * windows[rows, length + down, length + right]
    return _to_bytes(np.floor(blurred + TINY))


def shear(images: Images, rng: np.random.Generator, angle: float = 0.4) -> Images:
    """Slant each image by `angle`, radians, to a random side, its height growing by 1 / cos(angle)."""
    sin, cos = math.sin(angle), math.cos(angle)
    return _either(images, rng, [[1, -sin], [0, cos]], [[1, sin], [0, cos]])


def scale(images: Images, rng: np.random.Generator, factor: float = 0.7) -> Images:
    """Shrink each image to `factor` of its size; `rng` is not used."""
    return _to_bytes(_warp(images, [[1 / factor, 0], [0, 1 / factor]]))


def rotate(images: Images, rng: np.random.Generator, angle: float = 0.4) -> Images:
    """Turn each image by `angle`, radians, in a random direction."""
    sin, cos = math.sin(angle), math.cos(angle)
    return _either(images, rng, [[cos, -sin], [sin, cos]], [[cos, sin], [-sin, cos]])


def brightness(images: Images, rng: np.random.Generator, light: float = 0.5) -> Images:
    """Add `light`, 0..1 of full ink, to every pixel; `rng` is not used."""
    return _to_bytes(images + 255 * light)


def translate(images: Images, rng: np.random.Generator, shift: int = 3) -> Images:
    """Move each image by `shift` pixels left or right and as many up or down."""
    padded = np.pad(images, ((0, 0), (shift, shift), (shift, shift)))
    windows = sliding_window_view(padded, (IMAGE_SIZE, IMAGE_SIZE), axis=(1, 2))
    down, right = rng.integers(2, size=(2, len(images))) * (2 * shift)
    moved: Images = windows[np.arange(len(images)), down, right]
    return moved


def stripe(images: Images, rng: np.random.Generator, width: int = 7) -> Images:
    """Exchange ink and paper in the `width` leftmost and rightmost columns; `rng` is not used."""
    striped = images.copy()
    striped[:, :, :width] ^= 255
    striped[:, :, IMAGE_SIZE - width :] ^= 255
    return striped


def fog(images: Images, rng: np.random.Generator, amount: float = 3.0, roughness: float = 1.4) -> Images:
    """Cover each image with its own cloud, of up to `amount` times full ink, then darken it to its former ink.

    roughness: see `_clouds`; larger is smoother.
    """
    brightest = images.max(axis=(1, 2), keepdims=True, initial=0) / 255
    fogged = images + 255 * amount * _clouds(len(images), rng, roughness)
    return _to_bytes(fogged * (brightest / (brightest + amount)))


def spatter(images: Images, rng: np.random.Generator, mud: int = 63) -> Images:
    """Splash mud of one grey, 0..255, on each image: smoothed white noise, where it and its surroundings are high."""
    drops, edges = _gaussian(1.0), _gaussian(1.5)
    wet = drops @ rng.standard_normal(images.shape) @ drops.T > 0
    cover = edges @ wet @ edges.T
    cover[cover < 0.8] = 0
    return _to_bytes(images * (1 - cover) + mud * cover)


def dotted_line(images: Images, rng: np.random.Generator) -> Images:
    """Draw a straight line of dots across each image, from a random height to another."""
    columns, rows = np.arange(IMAGE_SIZE), np.arange(IMAGE_SIZE)[:, None]
    left, right = rng.integers(IMAGE_SIZE - 1, size=(2, len(images)))
    heights = left[:, None] + (right - left)[:, None] / (IMAGE_SIZE - 1) * columns
    dots = (columns // 2 % 2 == 1) & (columns < IMAGE_SIZE - 1)
    return _to_bytes(images + 255 * _stroke(rows - heights[:, None, :]) * dots)


def zigzag(images: Images, rng: np.random.Generator) -> Images:
    """Draw a zigzag across each image, from a random height, rising or falling by up to five pixels."""
    start = rng.integers(IMAGE_SIZE - 1, size=len(images))
    rise = rng.integers(-5, 5, size=len(images))
    return _to_bytes(images + 255 * _zigzags()[start, rise])


def canny_edges(images: Images, rng: np.random.Generator, low: float = 0.1, high: float = 0.2) -> Images:
    """Keep the edges of each image alone, 0 or 255, as Canny's detector finds them; `rng` is not used.

    low, high: least gradient (Sobel, ink 0..1) of a pixel that may lie on an edge, and of one that each edge must
    have. Canny, "A Computational Approach to Edge Detection" (1986), after smoothing by a Gaussian of one pixel.
    """
    import cv2

    if not len(images):
        return images.copy()
    smooth = _gaussian(1.0, edge="constant")
    smooth /= smooth.sum(axis=1, keepdims=True)
    across, along = _operator([-1, 0, 1], "symmetric") @ smooth, _operator([1, 2, 1], "symmetric") @ smooth
    down, right = across @ (images / 255) @ along.T, along @ (images / 255) @ across.T
    steepness = _crests(down, right)
    # Every image has an empty border, so that no edge runs on into the next one of the stack.
    stack = (steepness >= low).astype(np.uint8).reshape(-1, IMAGE_SIZE)
    count, edges = cv2.connectedComponents(stack, connectivity=8)
    kept = np.zeros(count, bool)
    kept[edges[(steepness >= high).reshape(-1, IMAGE_SIZE)]] = True
    return np.where(kept[edges], np.uint8(255), np.uint8(0)).reshape(images.shape)


CORRUPTIONS: dict[str, Corruption] = {
    "shot_noise": shot_noise,
    "impulse_noise": impulse_noise,
    "glass_blur": glass_blur,
    "motion_blur": motion_blur,
    "shear": shear,
    "scale": scale,
    "rotate": rotate,
    "brightness": brightness,
    "translate": translate,
    "stripe": stripe,
    "fog": fog,
    "spatter": spatter,
    "dotted_line": dotted_line,
    "zigzag": zigzag,
    "canny_edges": canny_edges,
}
"""The fifteen of MNIST-C, in its order: name -> function."""


def _to_bytes(images: NDArray[np.floating]) -> Images:
    rounded: Images = np.rint(np.clip(images, 0, 255)).astype(np.uint8)
    return rounded


def _operator(taps: Sequence[float] | NDArray[np.float64], edge: str) -> NDArray[np.float64]:
    """Return a filter of odd length as the matrix (28, 28) that does it to columns; edge: a mode of `np.pad`."""
    reach = len(taps) // 2
    padded = np.pad(np.eye(IMAGE_SIZE), ((reach, reach), (0, 0)), mode=edge)  # type: ignore[call-overload]
    return sum((tap * padded[k : k + IMAGE_SIZE] for k, tap in enumerate(taps)), np.zeros((IMAGE_SIZE, IMAGE_SIZE)))


def _gaussian(sigma: float, edge: str = "edge") -> NDArray[np.float64]:
    """Return Gaussian smoothing as a matrix; see `_operator`. The filter is cut off after four sigma."""
    reach = int(4 * sigma + 0.5)
    taps = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    return _operator(taps / taps.sum(), edge)


def _warp(images: Images, matrix: Matrix) -> NDArray[np.float64]:
    """Move ink by a linear map about the centre, with bilinear interpolation and paper outside; values 0..255."""
    rows, columns = np.indices((IMAGE_SIZE, IMAGE_SIZE)) - CENTRE
    (xx, xy), (yx, yy) = matrix
    # One pixel of paper all round; what lies farther out is paper as well.
    x = np.clip(xx * columns + xy * rows + CENTRE + 1, 0, IMAGE_SIZE + 1)
    y = np.clip(yx * columns + yy * rows + CENTRE + 1, 0, IMAGE_SIZE + 1)
    left, top = np.minimum(x.astype(int), IMAGE_SIZE), np.minimum(y.astype(int), IMAGE_SIZE)
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1))).astype(np.float64)
    x, y = x - left, y - top
    upper = padded[:, top, left] * (1 - x) + padded[:, top, left + 1] * x
    lower = padded[:, top + 1, left] * (1 - x) + padded[:, top + 1, left + 1] * x
    warped: NDArray[np.float64] = upper * (1 - y) + lower * y
    return warped


def _either(images: Images, rng: np.random.Generator, one: Matrix, other: Matrix) -> Images:
    """Warp each image by one of two maps, drawn with equal chances."""
    first = rng.integers(2, size=len(images)) == 1
    warped = np.empty_like(images)
    warped[first], warped[~first] = _to_bytes(_warp(images[first], one)), _to_bytes(_warp(images[~first], other))
    return warped


def _clouds(n: int, rng: np.random.Generator, roughness: float) -> NDArray[np.float32]:
    """Return the corners (n, 28, 28) of clouds of 256x256 pixels, each of which spans 0..1.

    Diamond-square midpoint displacement (Fournier, Fussell, Carpenter 1982) on a torus: a grid is refined eight times,
    each new point the mean of its four neighbours and a random step, 1 / roughness^2 times as large in each turn.
    """
    heights = np.zeros((n, 1, 1), np.float32)
    for turn in range(8):
        spread = roughness ** (-2 * turn)

        def displaced(total: NDArray[np.float32], spread: float = spread) -> NDArray[np.float32]:
            return total / 4 + (rng.random(total.shape, np.float32) * 2 - 1) * spread

        pairs = heights + np.roll(heights, -1, axis=1)
        middles = displaced(pairs + np.roll(pairs, -1, axis=2))
        tops = displaced(middles + np.roll(middles, 1, axis=1) + heights + np.roll(heights, -1, axis=2))
        lefts = displaced(middles + np.roll(middles, 1, axis=2) + pairs)
        finer = np.empty((n, 2 * heights.shape[1], 2 * heights.shape[2]), np.float32)
        finer[:, ::2, ::2], finer[:, ::2, 1::2] = heights, tops
        finer[:, 1::2, ::2], finer[:, 1::2, 1::2] = lefts, middles
        heights = finer
    lowest, highest = heights.min(axis=(1, 2), keepdims=True), heights.max(axis=(1, 2), keepdims=True)
    corners: NDArray[np.float32] = (heights[:, :IMAGE_SIZE, :IMAGE_SIZE] - lowest) / (highest - lowest)
    return corners


def _stroke(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the ink 0..1 of a line at vertical distances from it, pixels: it thins out and ends at 1.45."""
    ink: NDArray[np.float64] = np.clip(1 + np.log(1 - np.minimum(np.abs(distance), 2.2) / 2.3), 0, 1)
    return ink


@functools.cache
def _zigzags() -> NDArray[np.float64]:
    """Return the ink 0..1 of every zigzag, (27, 10, 28, 28): by its first row, and by its rise (-5..-1 are last)."""
    patterns = np.zeros((IMAGE_SIZE - 1, 10, IMAGE_SIZE, IMAGE_SIZE))
    columns, rows = np.arange(IMAGE_SIZE), np.arange(IMAGE_SIZE)[:, None]
    left, right, size = 2, 25, 2.0  # its ends; how far it strays from its middle line, and a quarter of its period
    for rise in range(-5, 5):
        length = math.hypot(right - left, rise)
        along = np.array([0, *np.arange(size, length, 2 * size), length])
        beside = size * (-1.0) ** np.arange(-1, len(along) - 1)
        # Both ends are MNIST-C's: the first on the middle line, the last on the way back to it.
        beside[0], beside[-1] = 0, beside[-2] / (2 * (length % (2 * size)))
        cos, sin = (right - left) / length, rise / length
        points = np.column_stack([left + cos * along - sin * beside, sin * along + cos * beside])
        for (x0, y0), (x1, y1) in pairwise(points):
            heights = np.arange(IMAGE_SIZE - 1)[:, None] + y0 + (y1 - y0) / (x1 - x0) * (columns - x0)
            drawn = (columns >= math.floor(x0)) & (columns < math.ceil(x1))
            patterns[:, rise] += _stroke(rows - heights[:, None, :]) * drawn
    return patterns


def _crests(down: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the gradient's length where it is not longer one pixel up or down the slope, and 0 elsewhere.

    down, right: (n, 28, 28), the gradient. One pixel off, its length is interpolated between the two pixels that the
    gradient points between. The outermost pixels give 0.
    """
    length = np.hypot(down, right)
    steep, shallow = np.maximum(np.abs(down), np.abs(right)), np.minimum(np.abs(down), np.abs(right))
    share = np.divide(shallow, steep, out=np.zeros_like(steep), where=steep > 0)[:, 1:-1, 1:-1]
    vertical = (np.abs(down) > np.abs(right))[:, 1:-1, 1:-1]
    alike = (down * right >= 0)[:, 1:-1, 1:-1]

    def moved(dy: int, dx: int) -> NDArray[np.float64]:
        return length[:, 1 + dy : IMAGE_SIZE - 1 + dy, 1 + dx : IMAGE_SIZE - 1 + dx]

    crests = np.zeros_like(length)
    crests[:, 1:-1, 1:-1] = moved(0, 0)
    for step in (-1, 1):
        straight = np.where(vertical, moved(step, 0), moved(0, step))
        other = np.where(vertical, moved(step, -step), moved(-step, step))
        beside = straight * (1 - share) + np.where(alike, moved(step, step), other) * share
        crests[:, 1:-1, 1:-1] *= beside <= moved(0, 0)
    return crests
