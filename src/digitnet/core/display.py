"""How digits, a reading and scores show themselves in a notebook: pictures and a table, with the base install alone."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image

    from digitnet.core.digits import Digits
    from digitnet.evaluation.metrics import Scores
    from digitnet.reading.result import Reading

MOST, COLUMNS = 60, 15
"""Digits shown, and how many in a row."""

TILE, WORDS = 56, 15
"""Side of a digit's picture and height of the line below it, pixels."""

WIDE = 1000
"""Largest width of a page's picture, pixels."""

WRONG, PLAIN = "#c4420a", "#5a6270"


def digits_png(digits: Digits) -> bytes | None:
    """Return the first digits as a PNG, dark ink on paper, or None where there are none.

    Below each stands its label, or what a model said: the most probable digit, and where that is wrong both, in orange.
    """
    from PIL import Image, ImageDraw, ImageFont

    count = min(MOST, len(digits))
    if not count:
        return None
    words = digits.labels is not None or digits.probs is not None
    high = TILE + (WORDS if words else 0)
    page = Image.new("RGB", (min(COLUMNS, count) * TILE, -(-count // COLUMNS) * high), "white")
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(12)
    for place in range(count):
        left, top = place % COLUMNS * TILE, place // COLUMNS * high
        ink = Image.fromarray(255 - digits.images[place]).resize((TILE - 4, TILE - 4), Image.Resampling.NEAREST)
        page.paste(ink, (left + 2, top + 2))
        text, colour = _caption(digits, place)
        draw.text((left + TILE / 2, top + TILE + WORDS / 2), text, colour, font, "mm")
    return _png(page)


def _caption(digits: Digits, place: int) -> tuple[str, str]:
    true = None if digits.labels is None else int(digits.labels[place])
    said = None if digits.probs is None else int(digits.probs[place].argmax())
    if true is not None and said is not None and true != said:
        return f"{true} as {said}", WRONG
    return "" if true is None and said is None else str(said if true is None else true), PLAIN


def reading_png(reading: Reading) -> bytes:
    """Return the page with a box around every number as a PNG; see `Reading.draw`."""
    from PIL import Image

    page = Image.fromarray(reading.draw())
    page.thumbnail((WIDE, 2 * WIDE))
    return _png(page)


def scores_html(scores: Scores) -> str:
    """Return accuracy, interval and confusion matrix as an HTML table."""
    from digitnet.core.terminal import percent

    low, high = scores.interval
    cell = "padding:.2em .45em;text-align:right;border:1px solid #fff"
    head = "".join(f'<th scope="col" style="text-align:right">{digit}</th>' for digit in range(10))
    most = np.log1p(scores.confusion.max())
    rows = "".join(
        f'<tr><th scope="row">{digit}</th>'
        + "".join(f'<td style="{cell};{_shade(np.log1p(n) / most)}">{n:,}</td>' for n in row)
        + "</tr>"
        for digit, row in enumerate(scores.confusion.tolist())
    )
    return (
        f"<p><b>{percent(scores.accuracy)}</b> of {scores.n:,} right, 95 % interval {percent(low)} to {percent(high)}; "
        f"{scores.n - scores.correct:,} wrong</p>"
        f'<table style="font-variant-numeric:tabular-nums"><caption style="text-align:left">Rows: what it is. Columns: '
        f"what was read.</caption><thead><tr><td></td>{head}</tr></thead><tbody>{rows}</tbody></table>"
    )


def _shade(strength: float) -> str:
    """Return the colours of a cell, from white to dark blue."""
    light, dark = np.array([255, 255, 255]), np.array([8, 69, 148])
    red, green, blue = np.rint(light + strength * (dark - light)).astype(int)
    ink = "#bbb" if strength == 0 else "#fff" if strength > 0.5 else "#1c2230"
    return f"background:#{red:02x}{green:02x}{blue:02x};color:{ink}"


def _png(image: Image) -> bytes:
    packed = io.BytesIO()
    image.save(packed, "PNG")
    return packed.getvalue()
