"""The result of reading a page: `Reading`, its numbers and digits, each with a box, a confidence and alternatives."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from digitnet.core.display import png
from digitnet.imaging.geometry import Box, Corners, level
from digitnet.reading.values import NO_VALUE, Value, value_text

if TYPE_CHECKING:
    from digitnet.reading.tables import Table


STATUSES = ("read", "empty", "unreadable")
"""Outcomes of a field: digits were read; nothing is written there; there is ink, but no number could be read."""

REASONS = {
    "empty": "nothing seems to be written there; if something is, use a darker pen or more light, or scan again",
    "not_a_digit": "part of it does not look like a digit; check it, or cut out the number alone",
    "touching": "digits touch or overlap; write them apart",
    "blurred": "the image is not sharp; hold the camera still, or scan again",
    "cut_off": "it touches the edge of the image; leave some margin around it",
    "faint": "the ink is hardly darker than the paper; use a darker pen or more light, or scan again",
    "too_small": "its digits are only a few pixels high; scan at a higher resolution, or move closer",
}
"""Reasons for low confidence, by code, each with its advice."""

LIMITS = {
    "too_many_parts": "the page has too many separate marks, some were left out; divide the page",
    "too_many_numbers": "the page has too many numbers, the last ones were left out; divide the page",
}
"""Reasons why a page was read in part, by code, each with its advice."""


UNREAD = {
    "low_confidence": "it looks like a number, but what it says is uncertain; check it, or cut it out alone",
    "not_a_digit": "it looks like writing, but not like digits; check it",
    "over_limit": "the page has more numbers than are read per page; divide the page",
}
"""Reasons why a place that looks like a number was not read, by code, each with its advice."""

NO_NUMBERS = {
    "nothing_found": "no ink was found that may be a number",
    "no_number": "there is ink, but it does not look like numbers",
    "printed": "all numbers are printed, and those were to be skipped",
    "not_read": "there are places that look like numbers, but none could be read; see unread",
}
"""Reasons why a reading has no numbers, by code."""


@dataclass(frozen=True)
class Unread:
    """A place on a page that looks like a number and was not read. reason: a code of `UNREAD`."""

    box: Box
    reason: str


@dataclass(frozen=True)
class Digit:
    """One digit of a number.

    value: 0..9. probability: of this value, 0..1, if the other digits are right. box: of its ink.
    alternatives: other likely values, most probable first, with their probabilities.
    """

    value: int
    probability: float
    box: Box
    alternatives: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True)
class Number:
    """One number on a page.

    text: its digits; separators, signs and currencies are left out. Empty unless `status` is "read".
    confidence: the probability that all of `text` is right, 0..1; with constraints, among the permitted numbers. If
    `text` is empty, the probability that nothing is written.
    box: around its digits. digits: left to right. alternatives: other texts, most probable first, with confidences.
    reasons: codes of `REASONS`; only if `text` is empty or `confidence` is below `reader.TRUSTED`. seen: the text of
    the image alone if a constraint changed it; else None. status: one of `STATUSES`; only an image that should contain
    one number can be "empty" or "unreadable". rules_applied: whether the constraints were applied to this number: on a
    page they are not applied to numbers that cannot satisfy them; None without constraints. written: the number as
    written, with its signs, such as `1.159,-`; "?" stands for any other sign. It equals `text` if the line reader knows
    only digits. written_confidence: the probability that all of `written` is right, 0..1, at most `confidence`. values:
    the possible values of `written`, usually one, see `values.values`. no_value: the reason if there is not exactly
    one, a code of `values.NO_VALUE`. corners: of the number in the direction of writing, four points (x, y), pixels of
    the page; () if `text` is empty.
    printed: the probability that it is printed, not handwritten, 0..1; None if it is unknown.
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
    printed: float | None = None

    @property
    def value(self) -> Value | None:
        """The value of the number, a `Decimal` or a value of the requested kind; None for the reason in `no_value`.

        `1.159` may be over a thousand or little more than one: its value is None unless the decimal separator is
        given.
        """
        return self.values[0] if len(self.values) == 1 else None

    def accepted(self, least: float) -> bool:
        """Return whether the number needs no manual review: its confidence is at least `least`, 0..1."""
        return self.status != "unreadable" and self.confidence >= least

    def to_dict(self) -> dict[str, Any]:
        """Return the number as plain values, ready for JSON; each reason with its advice."""
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

    page: (h, w) uint8, 0 black .. 255 white, the page itself. rules: the constraints, in words.
    unread: places that look like numbers and were not read.
    limits: codes of `LIMITS`, if the page was read in part. turned: the rotation of the page according to its numbers,
    degrees clockwise, 0 <= degrees < 360; rotations below 5 degrees are not detected.
    no_numbers: the reason if there are none, a code of `NO_NUMBERS`; else None.
    """

    numbers: tuple[Number, ...]
    page: NDArray[np.uint8] = field(repr=False)
    rules: str | None = None
    unread: tuple[Unread, ...] = ()
    limits: tuple[str, ...] = ()
    turned: float = 0.0
    no_numbers: str | None = None

    @property
    def tables(self) -> list[Table[Number]]:
        """The tables on the page: where numbers stand in a grid, its rows and columns."""
        from digitnet.reading.tables import tables_of

        return tables_of(self.numbers, self.turned)

    @property
    def left_out(self) -> int:
        """How many places look like numbers and were not read."""
        return len(self.unread)

    @property
    def text(self) -> str:
        """The numbers, separated by spaces within a line, and lines by line breaks."""
        text, last = "", None
        for number in self.numbers:
            box = level(number.box, number.corners, self.turned)
            if last is not None:
                overlap = min(last[3], box[3]) - max(last[1], box[1])
                text += " " if overlap > 0 and box[0] >= last[0] else "\n"
            text, last = text + number.text, box
        return text

    @property
    def confidence(self) -> float:
        """The probability that all numbers are right, 0..1: the product of their confidences."""
        return float(np.prod([number.confidence for number in self.numbers]))

    def _repr_png_(self) -> bytes:
        """Show the page with its numbers as an image in a notebook."""

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
            "unread": [
                {"box": place.box, "code": place.reason, "advice": UNREAD[place.reason]} for place in self.unread
            ],
            "no_numbers": {"code": self.no_numbers, "advice": NO_NUMBERS[self.no_numbers]} if self.no_numbers else None,
            "limits": [{"code": code, "advice": LIMITS[code]} for code in self.limits],
            "numbers": [number.to_dict() for number in self.numbers],
        }

    def draw(self) -> NDArray[np.uint8]:
        """Return the page with a box around every number, (h, w, 3) uint8 RGB: its text and confidence above it.

        Green for a confidence of at least 0.95, orange below, red below one half.
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


MAX_PICTURE_WIDTH = 1000
"""Largest width of a page's picture, pixels."""


def reading_png(reading: Reading) -> bytes:
    """Return the page with a box around every number as a PNG; see `Reading.draw`."""
    from PIL import Image

    page = Image.fromarray(reading.draw())
    page.thumbnail((MAX_PICTURE_WIDTH, 2 * MAX_PICTURE_WIDTH))
    return png(page)
