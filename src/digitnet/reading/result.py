"""What a page gives back: `Reading`, its numbers and their digits, each with a box, a confidence and alternatives."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from digitnet.core.display import png
from digitnet.imaging.geometry import Box, Corners
from digitnet.reading.values import NO_VALUE, Value, value_text

if TYPE_CHECKING:
    pass


STATUSES = ("read", "empty", "unreadable")
"""What became of a field: digits were read; nothing is written there; there is ink, but no number could be read."""

REASONS = {
    "empty": "nothing seems to be written there; if something is, use a darker pen, more light or another scan",
    "not_a_digit": "something in it is not like a digit; look at it, or cut the number out alone",
    "touching": "digits touch or overlap; write them apart",
    "blurred": "the picture is not sharp; hold the camera still or scan it again",
    "cut_off": "it touches the edge of the picture; leave some paper around it",
    "faint": "the ink is hardly darker than the paper; use a darker pen, more light or another scan",
    "too_small": "its digits are only a few pixels high; scan at a higher resolution or go closer",
}
"""Why a number should not be trusted, by code, and what can be done about it."""

LIMITS = {
    "too_many_parts": "the page has more separate marks than are looked at, some were left out; cut it up",
    "too_many_numbers": "the page holds more than is read of one page, what comes last was left out; cut it up",
}
"""Why a page was read in part, by code, and what can be done about it."""


@dataclass(frozen=True)
class Digit:
    """One digit of a number.

    value: 0..9. probability: that it is, 0..1, if the others are right. box: of its ink.
    alternatives: the other values that are not improbable, most probable first, with their probabilities.
    """

    value: int
    probability: float
    box: Box
    alternatives: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True)
class Number:
    """One number on a page.

    text: its digits; separators, signs and currencies are left out. Empty unless `status` is "read".
    confidence: that all of `text` is right, 0..1; with rules, among the numbers that keep them. Where `text` is empty,
    the probability that nothing is written.
    box: around its digits. digits: left to right. alternatives: other texts, most probable first, with confidences.
    reasons: codes of `REASONS`; only where `text` is empty or `confidence` below `reader.TRUSTED`. seen: what the image
    alone says, where a rule changed it; else None. status: one of `STATUSES`; only a picture that should hold one
    number can be "empty" or "unreadable". rules_applied: whether the rules were applied to this number: on a page they
    are not to one that cannot keep them; None without rules. written: the number as written, with its signs, such as
    `1.159,-`; "?" stands for a mark of another kind. It equals `text` where the line reader knows digits alone.
    written_confidence: that all of `written` is right, 0..1, at most `confidence`. values: all that `written` can stand
    for, most often one, see `values.values`. no_value: why that is not one, a code of `values.NO_VALUE`. corners:
    of the number in the direction of writing, four points (x, y), pixels of the page; () where `text` is empty.
    """

    text: str
    confidence: float
    box: Box
    digits: tuple[Digit, ...] = ()
    alternatives: tuple[tuple[str, float], ...] = ()
    reasons: tuple[str, ...] = ()
    seen: str | None = None
    status: str = "read"
    rules_applied: bool | None = None
    written: str = ""
    written_confidence: float = 0.0
    values: tuple[Value, ...] = ()
    no_value: str | None = None
    corners: Corners = ()

    @property
    def value(self) -> Value | None:
        """What the number stands for, a `Decimal` or a value of the kind asked for; None where `no_value` says why.

        `1.159` may be over a thousand or little more than one: its value is None unless the sign before decimals is
        given.
        """
        return self.values[0] if len(self.values) == 1 else None

    def accepted(self, least: float) -> bool:
        """Return whether the number can do without a manual review: it is at least `least` confident, 0..1."""
        return self.status != "unreadable" and self.confidence >= least

    def to_dict(self) -> dict[str, Any]:
        """Return the number as plain values, ready for JSON; each reason with what can be done about it."""
        plain = asdict(self)
        plain["alternatives"] = [{"text": text, "confidence": sure} for text, sure in self.alternatives]
        for mine, digit in zip(plain["digits"], self.digits, strict=True):
            mine["alternatives"] = [{"value": value, "probability": p} for value, p in digit.alternatives]
        plain["value"] = None if self.value is None else value_text(self.value)
        plain["values"] = [value_text(value) for value in self.values]
        plain["no_value"] = {"code": self.no_value, "advice": NO_VALUE[self.no_value]} if self.no_value else None
        plain["reasons"] = [{"code": code, "advice": REASONS[code]} for code in self.reasons]
        return plain


@dataclass(frozen=True, eq=False)
class Reading:
    """A page's numbers in reading order: lines from top to bottom, each from left to right.

    page: (h, w) uint8, 0 black .. 255 white, what was read. rules: what the numbers had to keep, in words.
    left_out: how many places with ink on the page were not taken for numbers.
    limits: codes of `LIMITS`, where the page was read in part. turned: by how much the page was turned, as its numbers
    show, degrees clockwise, 0 <= degrees < 360; a turn of less than 5 degrees is not told from none.
    """

    numbers: tuple[Number, ...]
    page: NDArray[np.uint8] = field(repr=False)
    rules: str | None = None
    left_out: int = 0
    limits: tuple[str, ...] = ()
    turned: float = 0.0

    @property
    def text(self) -> str:
        """The numbers, those of one line apart by spaces, lines by line breaks."""
        text, last = "", None
        for number in self.numbers:
            box = level(number, self.turned)
            if last is not None:
                overlap = min(last[3], box[3]) - max(last[1], box[1])
                text += " " if overlap > 0 and box[0] >= last[0] else "\n"
            text, last = text + number.text, box
        return text

    @property
    def confidence(self) -> float:
        """That all numbers are right, 0..1: the product of theirs."""
        return float(np.prod([number.confidence for number in self.numbers]))

    def _repr_png_(self) -> bytes:
        """Show the page with its numbers as a picture in a notebook."""

        return reading_png(self)

    def to_dict(self) -> dict[str, Any]:
        """Return the reading as plain values, ready for JSON; without the page itself."""
        height, width = self.page.shape
        return {
            "text": self.text,
            "confidence": self.confidence,
            "width": width,
            "height": height,
            "turned": self.turned,
            "rules": self.rules,
            "left_out": self.left_out,
            "limits": [{"code": code, "advice": LIMITS[code]} for code in self.limits],
            "numbers": [number.to_dict() for number in self.numbers],
        }

    def draw(self) -> NDArray[np.uint8]:
        """Return the page with a box around every number, (h, w, 3) uint8 RGB: its text and confidence above it.

        Green where the confidence is at least 0.95, orange where it is lower, red below one half.
        """
        import cv2

        picture: NDArray[np.uint8] = np.repeat(self.page[:, :, None], 3, axis=2)
        height, width = self.page.shape
        line = max(1, round(max(height, width) / 800))
        tall = float(np.median([number.box[3] - number.box[1] for number in self.numbers] or [0]))
        size = min(max(tall / 70, 0.4), 3.0)
        for number in self.numbers:
            sure = number.confidence
            colour = (0, 140, 60) if sure >= 0.95 else (220, 120, 0) if sure >= 0.5 else (210, 0, 0)
            left, top, right, bottom = number.box
            for digit in number.digits:
                cv2.rectangle(picture, digit.box[:2], (digit.box[2] - 1, digit.box[3] - 1), (90, 150, 255), 1)
            cv2.rectangle(picture, (left, top), (right - 1, bottom - 1), colour, line)
            shown = {"empty": "empty", "unreadable": "?"}.get(number.status, number.text)
            label = f"{shown} {100 * sure:.0f}%"
            (wide, high), below = cv2.getTextSize(label, cv2.FONT_HERSHEY_SIMPLEX, size, line)
            y = top - 3 * line if top - 3 * line - high >= 0 else min(bottom + high + 3 * line, height - below)
            where = (max(0, min(left, width - wide)), y)
            cv2.putText(picture, label, where, cv2.FONT_HERSHEY_SIMPLEX, size, colour, line, cv2.LINE_AA)
        return picture


def level(number: Number, turned: float) -> tuple[float, float, float, float]:
    """Return the box around a number on its page turned upright, about the page's corner, pixels."""
    if not turned or not number.corners:
        return number.box
    angle = math.radians(-turned)
    c, s = math.cos(angle), math.sin(angle)
    x, y = zip(*((c * x - s * y, s * x + c * y) for x, y in number.corners), strict=True)
    return min(x), min(y), max(x), max(y)


WIDE = 1000
"""Largest width of a page's picture, pixels."""


def reading_png(reading: Reading) -> bytes:
    """Return the page with a box around every number as a PNG; see `Reading.draw`."""
    from PIL import Image

    page = Image.fromarray(reading.draw())
    page.thumbnail((WIDE, 2 * WIDE))
    return png(page)
