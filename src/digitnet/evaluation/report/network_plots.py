"""Figures of a network's internals: filters, the layers' output for a digit, the decisive ink, a map."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from digitnet.core.classes import DIGIT_NAMES
from digitnet.evaluation.report.style import GREY, NARROW, TEXT_COLOUR, WIDE, blank, show_digit, styled, veil

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CHANNELS = 16
"""Maps shown of a layer, those with the most in them."""

TEN = (
    "#1f7fc4",
    "#d65f02",
    "#049f74",
    "#cc79a7",
    "#e69f00",
    "#56b4e9",
    "#8a63c4",
    "#a5793b",
    "#7f8894",
    "#c23b3b",
)
"""A colour for each digit. No ten colours are safe for all colour-blind people, so points are drawn as their digits."""

HEAT = (0.84, 0.37, 0.0)
"""The orange of ink that decided."""


@styled
def filters_figure(filters: NDArray[np.float32]) -> Figure:
    """Draw the first layer's filters (channels, h, w): blue weights look for ink, orange ones for paper."""
    from matplotlib.colors import LinearSegmentedColormap

    columns = 8 if len(filters) <= 32 else 16
    figure = blank(NARROW, NARROW * math.ceil(len(filters) / columns) / columns + 0.6)
    axes = figure.subplots()
    most = float(np.quantile(np.abs(filters), 0.98)) or 1.0  # a single strong weight would pale all others
    colours = LinearSegmentedColormap.from_list("weights", ["#d55e00", "#f7f5f0", "#0072b2"])
    drawn = axes.imshow(mosaic(filters, columns), cmap=colours, vmin=-most, vmax=most, interpolation="nearest")
    axes.set_axis_off()
    bar = figure.colorbar(drawn, ax=axes, location="bottom", aspect=40, shrink=0.8, pad=0.04, extend="both")
    bar.set_label("weight of a pixel")
    bar.outline.set_visible(False)
    return figure


@styled
def maps_figure(example: NDArray[np.uint8], layers: Sequence[NDArray[np.float32]]) -> Figure:
    """Draw a digit (28, 28), and of each layer the maps (channels, h, w) with the most in them."""
    figure = blank(WIDE, 0.2 + 2.05 * len(layers))
    left, right = figure.subfigures(1, 2, width_ratios=(1, 4), squeeze=False)[0]
    axes = left.subplots()
    show_digit(axes, example)
    axes.set_title("the digit")
    for number, (axes, maps) in enumerate(
        zip(right.subplots(len(layers), 1, squeeze=False).flat, layers, strict=True), 1
    ):
        kept = strongest(maps)
        most = float(maps.max()) or 1.0
        cells = mosaic(0.07 + 0.93 * np.clip(maps[kept] / most, 0, 1), CHANNELS // 2)
        axes.imshow(veil(np.nan_to_num(cells), (0.0, 0.45, 0.7)), interpolation="nearest")
        axes.set_title(f"layer {number}: {len(kept)} of {len(maps)} maps, {maps.shape[1]} x {maps.shape[2]} each")
        axes.set_axis_off()
    return figure


def mosaic(tiles: NDArray[np.floating[Any]], columns: int) -> NDArray[np.float64]:
    """Return pictures (n, h, w) side by side in rows of so many; NaN between them and where there are none."""
    n, height, width = tiles.shape
    scale = 24 // height + 1  # so that the gaps are thin
    gap = max(2, height * scale // 8)
    rows = math.ceil(n / columns)
    page = np.full((rows * (height * scale + gap) - gap, columns * (width * scale + gap) - gap), np.nan)
    for place, tile in enumerate(tiles):
        top, left = place // columns * (height * scale + gap), place % columns * (width * scale + gap)
        page[top : top + height * scale, left : left + width * scale] = np.kron(tile, np.ones((scale, scale)))
    return page


def strongest(maps: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return the channels, in their order, of the `CHANNELS` maps with the largest sums."""
    return np.sort(np.argsort(-maps.sum(axis=(1, 2)), kind="stable")[:CHANNELS])


@styled
def needed_figure(images: NDArray[np.uint8], needed: Sequence[NDArray[np.float32]]) -> Figure:
    """Draw digits (n, 28, 28), over each the ink without which it would be less probable, above it the largest fall."""
    columns = min(5, len(images))
    rows = math.ceil(len(images) / columns)
    figure = blank(NARROW, 0.95 * rows + 0.1)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, image, falls in zip(grid.flat, images, needed, strict=False):
        axes.imshow(veil(0.75 * image / 255, GREY), interpolation="nearest")
        strength = np.clip(falls, 0, 1)
        axes.imshow(veil(0.9 * np.sqrt(strength), HEAT), interpolation="bilinear")
        axes.set_title(f"{100 * strength.max():.0f}%", size=8, color=TEXT_COLOUR, pad=2)
    return figure


@styled
def plane_figure(
    points: NDArray[np.float64],
    labels: NDArray[np.uint8],
    right: NDArray[np.bool_],
    explained: tuple[float, float],
    names: Sequence[str] = DIGIT_NAMES,
) -> Figure:
    """Draw digits as points (n, 2), each as the name of its label where that is short, those read wrong in a ring."""
    figure = blank(NARROW, NARROW)
    axes = figure.subplots()
    for label, name in enumerate(names):
        mine = points[labels == label]
        axes.plot(
            *mine.T,
            linestyle="",
            marker=f"${name}$" if name.isalnum() and name.isascii() and len(name) < 3 else "o",
            markersize=5.5,
            color=TEN[label % len(TEN)],
            markeredgewidth=0.2,
            alpha=0.85,
        )
    if not right.all():
        axes.plot(
            *points[~right].T,
            "o",
            markersize=11,
            markerfacecolor="none",
            markeredgecolor=TEXT_COLOUR,
            label="read wrong",
        )
        axes.legend(loc="best")
    for axis, share, name in ((axes.xaxis, explained[0], "first"), (axes.yaxis, explained[1], "second")):
        axis.set_label_text(f"{name} main axis ({100 * share:.0f}% of the variance)")
    axes.grid()
    return figure
