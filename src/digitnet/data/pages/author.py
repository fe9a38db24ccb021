"""The author of a page: its texts, handwriting, ink and size, and the places of print."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from digitnet.data.pages.printing import SCRIPTS, Face, measure, put_print
from digitnet.data.pages.sheet import NUMBER, Colour, Floats, Sheet
from digitnet.data.pages.texture import Surfaces
from digitnet.data.pages.writers import JOINED, Line, Writers, Writing, put
from digitnet.data.synthesis.texts import random_text

Rect = tuple[float, float, float, float]
"""Left, top, right, bottom in pixels of the sheet."""

_WORDS = (
    "Name Date Phone Address City Zip State Total Sum Amount No Number Account Page Student Code Grade Period Class "
    "Price Quantity Item Description Signature Order Invoice Due Paid Tax Balance Born Email Street Company Room Table "
    "Points Score Player Upper Bonus Pair Full House Chance Straight Patient First Last Middle Emergency Contact "
    "the of and to in a is that for it as was with be by on not he his but at are this have from or had an they which "
    "one you were all her she there would their we him been has when who will no more if out so up said what its about "
    "than into them can only other time new some could these two may first then do any like my now over such our man"
)
WORDS = tuple(_WORDS.split())
"""Words of print."""

_NAMES = "a b c i j k m n p s t x y z n1 res aux sum cont total max min num val inicio fin si no yes print leer"
NAMES = tuple(_NAMES.split())
"""Names in flowcharts and formulas."""


class Author:
    """Writes and prints on a sheet, with one ink and one size until they are changed.

    tall: height of digits, pixels. ink: (3,) float32, 0..1. light_ink: whether the paper is dark.
    """

    def __init__(self, writers: Writers, faces: Sequence[Face]) -> None:
        """Take what is written and printed with."""
        self.writers, self.faces, self.rng = writers, faces, writers.rng
        self.surfaces = Surfaces()
        self.foreign = [face for face in faces if chr(SCRIPTS[0][0]) in face.glyphs]
        self.tall, self.light_ink, self.ink = 20.0, False, np.zeros(3, np.float32)

    def begin(self, sheet: Sheet, light_ink: bool) -> None:
        """Take up another size and ink for another sheet."""
        self.light_ink = light_ink
        self.tall = self.height()
        self.ink = self.colour(sheet)

    def pieces(self, text: str) -> list[tuple[str, bool]]:
        """Split what is written into numbers and other writing."""
        found: list[tuple[str, bool]] = []
        for word in text.split():
            joined = ""
            for token in re.split(r"([?]+|[+=*x<>]+)", word):
                if token:
                    is_number = any(map(str.isdigit, token))
                    found.append((joined + (token if is_number else token.replace("?", self.letter())), is_number))
                    joined = JOINED
        return found

    def letter(self) -> str:
        """Return a letter or a mark."""
        rng = self.rng
        if rng.random() < 0.7:
            letters = "ACEFHKMNPRTUVWXacefhkmnprtuvwxOIlSZoszbgqBD"
            return letters[int(rng.integers(len(letters)))]
        return self.writers.marks[int(rng.integers(len(self.writers.marks)))]

    def number(self, most: int = 99) -> list[tuple[str, bool]]:
        """Return a random number as pieces, of at most so many digits."""
        rng = self.rng
        for _ in range(8):
            text = random_text(rng) if rng.random() < 0.6 else self.digits(1, 6)
            if sum(map(str.isdigit, text)) <= most:
                return self.pieces(text)
        return [(self.digits(1, most), True)]

    def digits(self, low: int, high: int) -> str:
        """Return from low to high random digits."""
        return "".join(map(str, self.rng.integers(0, 10, int(self.rng.integers(low, max(low, high) + 1)))))

    def word(self) -> str:
        """Return a random word that somebody wrote."""
        words = self.writers.words
        return words[int(self.rng.integers(len(words)))]

    def text(self, count: int) -> list[tuple[str, bool]]:
        """Return handwriting that is no number: words, names spelt in capitals, single letters."""
        rng = self.rng
        found = []
        spelt = rng.random() < 0.4
        for _ in range(count):
            word = self.word()
            if spelt:
                word = word.upper() + ("" if len(word) > 2 else "E")
            found.append((word if rng.random() < 0.93 else self.letter(), False))
        return found

    def write(
        self,
        sheet: Sheet,
        writing: Writing,
        pieces: Sequence[tuple[str, bool]],
        at: tuple[float, float],
        tall: float | None = None,
        most: float = 1e9,
        angle: float = 0.0,
        place: str = "left",
        spaces: tuple[float, float] = (0.85, 1.6),
        colour: Floats | None = None,
        kind: int | None = None,
    ) -> Rect:
        """Write pieces with their baseline at `at`, no wider than `most` pixels; return the rectangle around them."""
        line = self.writers.line(writing, pieces, spaces)
        tall = tall or self.tall
        if line.width * tall > most:
            tall = max(most / line.width, 0.35 * tall)
        wide = line.width * tall
        x = at[0] if place == "left" else at[0] + (most - wide) * (0.5 if place == "middle" else 1.0)
        put(sheet, line, (x, at[1]), tall, angle, writing.pen, self.ink if colour is None else colour, self.rng, kind)
        return _around(line, (x, at[1]), tall)

    def face(self) -> Face:
        """Return a random font."""
        return self.faces[int(self.rng.integers(len(self.faces)))]

    def print(
        self,
        sheet: Sheet,
        face: Face,
        text: str,
        at: tuple[float, float],
        size: float,
        most: float,
        colour: Colour | None = None,
    ) -> float:
        """Print a text, smaller or shorter where it would be wider than `most`; return where it ends."""
        size = max(5.0, size)
        wide = measure(face, text, round(size))
        if wide > most:
            size = max(5.0, size * max(0.6, most / wide))
            while text and measure(face, text, round(size)) > most:
                text = text[:-1]
        if colour is None:
            colour = self.ink if self.light_ink else np.full(3, self.rng.uniform(0, 0.3))
        return put_print(sheet, face, text, at, round(size), colour, float(self.rng.uniform(0.6, 1.0)))

    def height(self) -> float:
        """Return a random height of digits, pixels."""
        rng = self.rng
        kind = rng.random()
        if kind < 0.82:
            return float(np.exp(rng.uniform(np.log(10), np.log(64))))
        return float(rng.uniform(6.5, 10)) if kind < 0.9 else float(np.exp(rng.uniform(np.log(64), np.log(260))))

    def colour(self, sheet: Sheet) -> Floats:
        """Return an ink that can be seen on the sheet."""
        rng = self.rng
        ground = sheet.picture[::16, ::16].mean(axis=(0, 1))
        for _ in range(40):
            kind = rng.random()
            if self.light_ink and kind < 0.8:
                tone = np.clip(rng.uniform(0.75, 1.0) + rng.uniform(-0.4, 0.1, 3) * rng.uniform(0, 1), 0, 1)
            elif kind < 0.45:
                tone = np.full(3, rng.uniform(0.0, 0.25)) + rng.uniform(0, 0.05, 3)
            elif kind < 0.7:  # blue, in the order blue, green, red
                tone = np.array([rng.uniform(0.4, 0.9), rng.uniform(0.1, 0.4), rng.uniform(0.0, 0.3)])
            elif kind < 0.8:
                tone = np.array([rng.uniform(0.05, 0.3), rng.uniform(0.05, 0.3), rng.uniform(0.6, 0.95)])
            elif kind < 0.92:  # pencil
                tone = np.full(3, rng.uniform(0.25, 0.5))
            else:
                tone = rng.uniform(0, 1, 3)
            if np.abs(tone - ground).max() > 0.35:
                return tone.astype(np.float32)
        return np.full(3, 1.0 if ground.mean() < 0.5 else 0.0, np.float32)

    def free(self, sheet: Sheet, at: tuple[float, float], tall: float) -> bool:
        """Tell whether no number is near a place."""
        x, y = int(at[0]), int(at[1])
        reach = int(3 * tall)
        part = sheet.kinds[max(0, y - reach) : y + reach, max(0, x - reach // 2) : x + 2 * reach]
        return not (part >= NUMBER).any()

    def foreign_words(self) -> tuple[Face, str]:
        """Return words of another script and a font that has it."""
        rng = self.rng
        first, last = SCRIPTS[int(rng.integers(len(SCRIPTS)))]
        words = ["".join(map(chr, rng.integers(first, last + 1, int(rng.integers(2, 10))))) for _ in range(6)]
        return self.foreign[int(rng.integers(len(self.foreign)))], " ".join(words)


def _around(line: Line, at: tuple[float, float], tall: float) -> Rect:
    """Return the rectangle around a level line of writing."""
    if not line.placed:
        return (at[0], at[1] - tall, at[0], at[1])
    boxes = np.array([one.box for one in line.placed]) * tall
    low, high = boxes[:, :2].min(axis=0) + at, boxes[:, 2:].max(axis=0) + at
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])
