"""Rows that numbers stand in: formulas, assignments as in programs and flowcharts, and words beside numbers.

`RowScribe` writes them with letters, which a line reader learns as other marks, and with sides of boxes around them.
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np

from digitnet.data.synthesis.handstyle import Style
from digitnet.data.synthesis.pens import Pen
from digitnet.data.synthesis.scribe import DRAWN, Glyph, Hand, Scribe, Sheet, Written
from digitnet.data.synthesis.texts import OTHER, SIGNS, random_text

KINDS = 0.36, 0.36, 0.28
"""How often a row is a formula, assignments, or words with numbers."""

LONGEST = 26
"""Characters of a row at most."""

TALL = "bdfhklt" + string.ascii_uppercase
"""Letters as high as digits."""

TAILED = "gjpqy"
"""Letters that reach below the line."""

DRAWN_MARKS = "<>*!"
"""Marks in rows that are not digits, letters or `texts.SIGNS`."""

NAMES = "n i x y a b N T S x1 k j m c sum cont ans num max total res suma edad nota area prom val fact temp aux"
"""Names of variables, and spaces between them."""

WORDS = (
    "no Nr kg cm inicio fin yes si end start print read while if then for mod and or Name Class Date page item Total "
    "Room table sheet Qty box call tel Age Year Score Points Team Day leer escribir suma es par hasta do"
)
"""Words beside numbers, and spaces between them."""

VALUES = "0 0 0 1 1 2 10 100 5 0.0"
"""Values that variables often have, and spaces between them."""

FRAMED = 0.5
"""Share of rows beside which sides of a box, a diamond or a ring may be drawn."""

SIDE = 0.7
"""Probability of each of these sides."""

PADDING = 2.6
"""Paper on both sides of a row where they are drawn, in heights of digits."""


def row_text(rng: np.random.Generator) -> str:
    """Return the text of a row: digits, `texts.SIGNS`, letters, `DRAWN_MARKS` and spaces."""
    kinds = (formula, assignments, words)
    return kinds[int(rng.choice(3, p=KINDS))](rng)[:LONGEST]


def formula(rng: np.random.Generator) -> str:
    """Return a formula: 3+4=7, (12-5)*2, 10/2:5."""
    spaced, text, depth, count = rng.random(), "", 0, int(rng.integers(2, 7))
    for term in range(count):
        if term:
            text += _spaced(rng, _one(rng, "++--*/:"), spaced)
        if rng.random() < 0.2 and term < count - 1:
            text += "("
            depth += 1
        elif not term and rng.random() < 0.06:
            text += "-"
        text += number(rng) if rng.random() < 0.96 else _one(rng, ["x", "y", "a", "b", "n", "2x", "3y"])
        while depth and rng.random() < 0.45:
            text += ")"
            depth -= 1
    text += ")" * depth
    if rng.random() < 0.4:
        text += _spaced(rng, "=", spaced) + (number(rng) if rng.random() < 0.75 else "")
    return text


def assignments(rng: np.random.Generator) -> str:
    """Return assignments and conditions: i=0, sum = 10; n=n+1; x>5; n%2==0."""
    spaced, kind = 0.7 * rng.random(), rng.random()

    def joined(sign: str, other: str, name: str) -> str:
        return name + _spaced(rng, sign, spaced) + other

    name = _name(rng)
    if kind < 0.55:
        count = int(rng.choice([1, 1, 2, 3]))
        values = [_value(rng) if rng.random() < 0.85 else _name(rng) for _ in range(count)]
        return ("," + _space(rng, 0.6)).join(joined("=", value, _name(rng)) for value in values)
    if kind < 0.75:
        changed = name if rng.random() < 0.7 else _name(rng)
        step = _value(rng) if rng.random() < 0.7 else _name(rng)
        return joined("=", joined(_one(rng, "++-*/"), step, changed), name)
    if kind < 0.93:
        sign = _one(rng, ["<", ">", "<=", ">=", "==", "=", "!="])
        text = joined(sign, _value(rng) if rng.random() < 0.75 else _name(rng), name)
        return f"({text})" if rng.random() < 0.15 else text
    return joined(_one(rng, ["==", "="]), _one(rng, "01"), joined("%", number(rng), name))


def words(rng: np.random.Generator) -> str:
    """Return words, mostly with a number: page 12, 5 kg, Total: 130, or two numbers far apart."""
    kind, word = rng.random(), _word(rng)
    if kind < 0.22:
        return " ".join(_word(rng) for _ in range(int(rng.integers(1, 4))))
    value = random_text(rng).replace(OTHER, "") if rng.random() < 0.3 else number(rng)
    if kind < 0.45:
        return word + _one(rng, [" ", ": ", ":", "  ", ". ", " = "]) + value
    if kind < 0.6:
        return value + _one(rng, [" ", "  ", ". ", ") "]) + word
    if kind < 0.75:
        return f"{word} {value} {_word(rng)}"
    if kind < 0.87:
        return value + " " * int(rng.integers(2, 5)) + number(rng)
    return _one(rng, ["Total", "Sum", "Nr", "No", "x", "y", "A", "B"]) + _one(rng, [" ", "", ".", " = ", "="]) + value


def number(rng: np.random.Generator) -> str:
    """Return a number as formulas have them: mostly one or two digits."""
    kind = rng.random()
    if kind < 0.95:
        low, high = ((0, 10), (10, 100), (100, 10_000))[(kind >= 0.55) + (kind >= 0.85)]
        return str(int(rng.integers(low, high)))
    return f"{int(rng.integers(0, 100))}.{int(rng.integers(0, 100))}"


def _value(rng: np.random.Generator) -> str:
    return _one(rng, VALUES.split()) if rng.random() < 0.65 else number(rng)


def _name(rng: np.random.Generator) -> str:
    return _one(rng, NAMES.split()) if rng.random() < 0.5 else _letters(rng, 1, 7)


def _word(rng: np.random.Generator) -> str:
    if rng.random() < 0.4:
        return _one(rng, WORDS.split())
    word, kind = _letters(rng, 2, 9), rng.random()
    return word.upper() if kind < 0.15 else word.capitalize() if kind < 0.35 else word


def _letters(rng: np.random.Generator, low: int, high: int) -> str:
    return "".join(_one(rng, string.ascii_lowercase) for _ in range(int(rng.integers(low, high))))


def _spaced(rng: np.random.Generator, sign: str, share: float) -> str:
    return _space(rng, share) + sign + _space(rng, share)


def _space(rng: np.random.Generator, share: float) -> str:
    return " " if rng.random() < share else ""


def _one(rng: np.random.Generator, items: Sequence[str]) -> str:
    return items[int(rng.integers(len(items)))]


class RowScribe(Scribe):
    """A scribe that writes rows as well.

    rows: share of lines that are rows.
    """

    rows = 0.5
    _in_row = False

    def line(self, text: str | None = None) -> Written:
        """Write a line as `Scribe.line` does, or at times a row; letters and marks count as `texts.OTHER`."""
        self._in_row = text is None and self.rng.random() < self.rows
        line = self._line(row_text(self.rng)) if self._in_row else super().line(text)
        if line.written is None:
            return line
        known = (one if one.isdigit() or one in SIGNS else OTHER for one in line.written)
        return replace(line, written="".join(known))

    def _write(self, text: str, hands: Sequence[Hand], pen: Pen, style: Style, word: bool = False) -> tuple[Sheet, str]:
        sheet, written = super()._write(text, hands, pen, style, word)
        if self._in_row and text and not text.isdigit() and self.rng.random() < FRAMED:
            self._sides(sheet)
        return sheet, written

    def _glyph(self, character: str, hand: Hand, helper: Hand, hands: Sequence[Hand]) -> Glyph | None:
        if character in string.ascii_letters or character in DRAWN_MARKS:
            ways = self.letters.get(character) or self.signs.get(character) or ()
            if len(ways):
                return ways[int(self.rng.integers(len(ways)))]
            character = OTHER
        return super()._glyph(character, hand, helper, hands)

    def _place(self, character: str, style: Style) -> tuple[float, float]:
        if character not in string.ascii_letters:
            return super()._place(character, style)
        rng, low = self.rng, self.rng.uniform(0.5, 0.85)
        if character in TALL:
            return float(rng.uniform(0.9, 1.15)), float(rng.normal(0, style.shake))
        if character in TAILED:
            return float(1.6 * low), float(0.6 * low * rng.uniform(0.7, 1.1))
        return float(low), float(rng.normal(0, style.shake))

    def _sides(self, sheet: Sheet) -> None:
        """Draw a box's sides, slanted ones, a diamond's or a ring's, to the left and right of what is written."""
        rng, padding = self.rng, round(PADDING * DRAWN)
        canvas = np.pad(sheet.canvas, ((0, 0), (padding, padding)))
        columns, rows = np.flatnonzero(canvas.max(axis=0) > 60), np.flatnonzero(canvas.max(axis=1) > 60)
        if not len(columns):
            return
        high, middle = float(rows[-1] - rows[0]), float(rows[-1] + rows[0]) / 2
        width = max(1, round(sheet.pen.width * DRAWN * rng.uniform(0.4, 1.2)))
        kind = str(rng.choice(["upright", "slanted", "diamond", "ring"], p=[0.55, 0.15, 0.15, 0.15]))
        slant = rng.uniform(-0.6, 0.6) if kind == "slanted" else rng.normal(0, 0.04)
        for side, end in ((-1, columns[0]), (1, columns[-1])):
            if rng.random() > SIDE:
                continue
            x = end + side * rng.uniform(0.12, 1.8) * DRAWN
            above, below = (1 + 2 * rng.uniform(0, 0.35) for _ in range(2))
            down = np.linspace(-0.5 * above, 0.5 * below, 12)
            bent = {"diamond": np.abs(down) * rng.uniform(0.5, 1.6), "ring": down**2 * rng.uniform(0.6, 2.2)}
            across = x - side * bent[kind] * DRAWN if kind in bent else x - slant * down * high
            points = np.stack([across, middle + down * high], axis=1) + rng.normal(0, 0.01 * DRAWN, (12, 2))
            ink = int(rng.integers(150, 256))
            cv2.polylines(canvas, [np.round(16 * points).astype(np.int32)], False, ink, width, cv2.LINE_AA, 4)
        sheet.canvas = canvas
        sheet.boxes = [(left + padding, top, right + padding, bottom) for left, top, right, bottom in sheet.boxes]
