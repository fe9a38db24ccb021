"""The style of all figures, and their formats; `plots.py` and `network_plots.py` draw them.

A figure's colours stand for roles: as SVG it follows its page into the dark, as PNG it is on white paper.
Data is told apart by the colours of Okabe and Ito ("Color Universal Design", 2008), which colour-blind people tell
apart too, and by place, shape or words besides.
"""

from __future__ import annotations

import csv
import functools
import html
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ParamSpec

import numpy as np
from numpy.typing import NDArray

from digitnet.core.files import cell

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

P = ParamSpec("P")

TEXT_COLOUR, SOFT, LINE_COLOUR, CARD = "#1c2230", "#5a6270", "#dfdbd2", "#fefefe"
BLUE, ORANGE, GREEN = "#0072b2", "#d55e00", "#009e73"
ROLES = {
    TEXT_COLOUR: "ink",
    SOFT: "soft",
    LINE_COLOUR: "line",
    CARD: "card",
    BLUE: "blue",
    ORANGE: "orange",
    GREEN: "green",
}
"""The page's colours by their role in its style sheet."""

GREY = (0.45, 0.48, 0.53)
"""Ink of digits within figures: readable on white and on black."""

WIDE, NARROW = 9.6, 4.7
"""Widths of figures, inches: of the page, and of half of it or a phone's."""

STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": TEXT_COLOUR,
    "axes.titlecolor": TEXT_COLOUR,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.facecolor": "none",
    "axes.axisbelow": True,
    "figure.facecolor": "none",
    "figure.dpi": 150,
    "grid.color": LINE_COLOUR,
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "legend.labelcolor": TEXT_COLOUR,
    "text.color": TEXT_COLOUR,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelcolor": TEXT_COLOUR,
    "ytick.labelcolor": TEXT_COLOUR,
    "lines.linewidth": 1.8,
}

Rows = Sequence[Sequence[object]]
"""A table, its first row the names of the columns."""


@dataclass(frozen=True, eq=False)
class ReportFigure:
    """A figure with what goes with it.

    name: of its files. title, caption: what it shows, and what to see in it. draw: draws it; a page does not need all.
    alt: what it shows, for who cannot see it. rows: its data.
    """

    name: str
    title: str
    draw: Callable[[], Figure]
    caption: str
    alt: str
    rows: Rows

    @functools.cached_property
    def figure(self) -> Figure:
        """The figure, drawn when first asked for."""
        return self.draw()

    def svg(self) -> str:
        """Return the figure as SVG to set into a page that has the colours of `ROLES` as variables."""
        import matplotlib

        with matplotlib.rc_context({"svg.hashsalt": self.name}):
            packed = io.StringIO()
            self.figure.savefig(packed, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
        text = packed.getvalue()
        text = text[text.index("<svg") :]
        text = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", text, flags=re.DOTALL)
        # On one page the names within every figure must be its own.
        text = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{self.name}-", text)
        for colour, role in ROLES.items():
            text = text.replace(colour, f"var(--{role})")
        label = f'role="img" aria-label="{html.escape(self.alt)}"'
        text = re.sub(r'width="[\d.]+pt" height="[\d.]+pt"', lambda _: label, text, count=1)
        return re.sub(r"\n\s*", "\n", text).strip()

    def png(self) -> bytes:
        """Return the figure as PNG on white."""
        packed = io.BytesIO()
        self.figure.savefig(packed, format="png", facecolor="white", dpi=200)
        return packed.getvalue()

    def csv(self) -> bytes:
        """Return the figure's data as CSV."""
        text = io.StringIO()
        rows = ([cell(value) if isinstance(value, str) else value for value in row] for row in self.rows)
        csv.writer(text, lineterminator="\n").writerows(rows)
        return text.getvalue().encode()


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Let a function draw in the style of all figures."""

    @functools.wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> Figure:
        import matplotlib

        with matplotlib.rc_context(STYLE):
            return draw(*args, **kwargs)

    return drawn


def blank(width: float, height: float) -> Figure:
    """Return an empty figure of that size, inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def show_digit(axes: Axes, image: NDArray[np.uint8]) -> None:
    """Show a digit (28, 28) uint8 as grey ink on nothing."""
    axes.imshow(veil(image / 255, GREY), interpolation="nearest")
    axes.set_axis_off()


def veil(strength: NDArray[np.floating[Any]], colour: tuple[float, float, float]) -> NDArray[np.float64]:
    """Return a picture (h, w, 4) of one colour, as opaque as `strength` (h, w) in 0..1 says."""
    return np.dstack([*(np.full(strength.shape, part) for part in colour), strength])
