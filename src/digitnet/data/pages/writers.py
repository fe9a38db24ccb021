"""Synthetic writers: one handwriting and one pen each, from pen trajectories, at the size of writing on a sheet.

Thin pens stay thin so. Not covered: what is written where (`author.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from digitnet.data.pages.sheet import NUMBER, SIGN, WRITING, Floats, Mark, Sheet
from digitnet.data.synthesis.handstyle import PLACES, Style, bow, random_style, varied
from digitnet.data.synthesis.pens import Pen, draw, grained, random_pen
from digitnet.data.synthesis.scribe import Glyph, Hand
from digitnet.data.synthesis.texts import TICK
from digitnet.data.unipen import Strokes

FORMS = 5
"""Ways in which a writer forms a character, at most."""

KEPT, AGAIN = 60, 0.6
"""Writers who are remembered with the characters that they have formed, for speed; how often one of them writes."""

MAX_PATCH = 6_000_000
"""Most points of the enlarged patch that writing is drawn on."""

JOINED = "\0"
"""Before a piece of a line that stands close to the one before."""


@dataclass(frozen=True, eq=False)
class Placed:
    """A character set on a line; lengths in heights of a digit, x to the right, y down, the baseline at 0.

    strokes: of the pen, or a bitmap that fills `box` and leans by `slant`. box: left, top, right, bottom. number: which
    number of the line it belongs to, -1 for none. value: the digit, or `SIGN`.
    """

    ink: list[Floats] | NDArray[np.uint8]
    box: tuple[float, float, float, float]
    number: int
    value: int
    slant: float = 0.0


@dataclass(frozen=True, eq=False)
class Line:
    """Characters along a line, from 0 to `width`, in heights of a digit."""

    placed: list[Placed]
    width: float


@dataclass(frozen=True, eq=False)
class Writing:
    """One writer with one pen: a hand, a second that lends what it lacks, how the line is set."""

    hand: Hand
    helper: Hand
    hands: Sequence[Hand]
    style: Style
    pen: Pen
    formed: dict[str, list[tuple[list[Floats], float]]] = field(default_factory=dict)


class Writers:
    """Everybody who writes."""

    def __init__(
        self,
        groups: Sequence[tuple[float, Sequence[Hand]]],
        signs: Hand,
        letters: Hand,
        rng: np.random.Generator,
    ) -> None:
        """Take the hands; see `scribe.Scribe`."""
        shares = np.array([share for share, _ in groups])
        self.groups = [hands for _, hands in groups]
        self.shares = shares / shares.sum()
        self.signs, self.letters, self.rng = signs, letters, rng
        self.lately: list[Writing] = []
        self.words = [label for label in letters if len(label) > 1 and not any(c.isdigit() for c in label)]
        self.alphabet: Mapping[str, Sequence[Glyph]] = {c: ways for c, ways in letters.items() if len(c) == 1}
        self.marks = [label for label in signs if label in "?!#&*@^~_<>[]{}|\\'\"" + TICK]

    def someone(self) -> Writing:
        """Return a random writer with a random pen; one of those seen lately, more often than not."""
        rng = self.rng
        if self.lately and rng.random() < AGAIN:
            return replace(self.lately[int(rng.integers(len(self.lately)))], pen=random_pen(rng))
        hands = self.groups[int(rng.choice(len(self.groups), p=self.shares))]
        hand, helper = (hands[int(rng.integers(len(hands)))] for _ in range(2))
        new = Writing(hand, helper, hands, random_style(rng), random_pen(rng))
        if len(self.lately) < KEPT:
            self.lately.append(new)
        else:
            self.lately[int(rng.integers(KEPT))] = new
        return new

    def line(
        self, writing: Writing, pieces: Sequence[tuple[str, bool]], spaces: tuple[float, float] = (0.8, 1.6)
    ) -> Line:
        """Set pieces along a line: each a text, and whether it is a number or other writing, `spaces` apart.

        An empty text is a space alone.
        """
        rng, style = self.rng, writing.style
        placed: list[Placed] = []
        x, number = 0.0, 0
        space = rng.uniform(*spaces)
        mixed = rng.random() < 0.1
        for index, (piece, is_number) in enumerate(pieces):
            text = piece
            if text.startswith(JOINED):
                text = text.removeprefix(JOINED)
                x += rng.uniform(0.03, 0.35)
            elif index:
                x += space * float(np.exp(rng.normal(0, 0.12)))
            if not is_number and text in self.letters and len(text) > 1 and rng.random() < 0.7:
                x = self._word(writing, text, x, placed)
                continue
            hand, end, start = writing.hand, None, x
            gap = min(style.gap, 0.5) if is_number else max(style.gap, 0.03)
            for place, character in enumerate(text):
                if character == " ":
                    x += rng.uniform(0.15, 0.4)
                    end = None
                    continue
                if mixed and character.isdigit():
                    hand = writing.hands[int(rng.integers(len(writing.hands)))]
                known = writing.formed.setdefault(character, [])
                glyph: Glyph | None = None
                if mixed or len(known) < FORMS:
                    glyph = self._glyph(character, hand, writing)
                    if glyph is None:
                        continue
                size, foot = self._place(character, style)
                if place:
                    step = gap + rng.normal(0, style.jitter)
                    between = character.isdigit() and text[place - 1].isdigit()
                    x += float(np.clip(step, -0.15, 0.55)) if between else max(float(step), 0.03)
                foot += float(np.clip(style.drift * (x - start), -0.6, 0.6)) if is_number else 0.0
                one, end = self._set(glyph, x, foot, size, style, character, end, number if is_number else -1, known)
                placed.append(one)
                x = one.box[2]
            number += is_number
        return Line(placed, x)

    def _word(self, writing: Writing, text: str, x: float, placed: list[Placed]) -> float:
        """Set a whole word as somebody wrote it."""
        ways = self.letters[text]
        glyph = ways[int(self.rng.integers(len(ways)))]
        if isinstance(glyph, np.ndarray):
            return x
        points = np.concatenate(glyph)
        extent = np.ptp(points, axis=0)
        size = self.rng.uniform(0.9, 1.7) / max(float(extent[1]), 0.08)
        strokes = [(stroke - points.min(axis=0)) * np.float32(size) for stroke in glyph]
        foot = self.rng.uniform(0.0, 0.3)
        move = np.array([x, foot - extent[1] * size], np.float32)
        strokes = [stroke + move for stroke in strokes]
        right = x + float(extent[0]) * size
        placed.append(Placed(strokes, (x, float(move[1]), right, foot), -1, SIGN))
        return right

    def _glyph(self, character: str, hand: Hand, writing: Writing) -> Glyph | None:
        rng = self.rng
        ways: Sequence[Glyph]
        if character.isalpha():
            ways = self.alphabet.get(character) or self.alphabet.get(character.lower()) or ()
        else:
            ways = hand.get(character) or writing.helper.get(character) or self.signs.get(character) or ()
            if not len(ways) and character.isdigit():
                for _ in range(20):
                    if len(ways := writing.hands[int(rng.integers(len(writing.hands)))].get(character) or ()):
                        break
        return ways[int(rng.integers(len(ways)))] if len(ways) else None

    def _place(self, character: str, style: Style) -> tuple[float, float]:
        """Return the size of a character's longer side, or height, and its foot below the line."""
        rng = self.rng
        if character.isdigit():
            height = float(np.exp(rng.normal(0, style.uneven)))
            if character == "0" and style.wide > 1.25:
                height *= rng.uniform(0.5, 0.95)
            return height, float(rng.normal(0, style.shake))
        if character in PLACES:
            low, high, above, below = PLACES[character]
            return float(rng.uniform(low, high)), float(rng.uniform(above, below))
        if character in "acemnorsuvwxz":
            return float(rng.uniform(0.5, 0.8)), float(rng.normal(0, 0.03))
        if character in "gpqyj":
            return float(rng.uniform(0.7, 1.1)), float(rng.uniform(0.2, 0.4))
        return float(rng.uniform(0.85, 1.15)), float(rng.normal(0, 0.05))

    def _set(
        self,
        glyph: Glyph | None,
        x: float,
        foot: float,
        size: float,
        style: Style,
        character: str,
        end: Floats | None,
        number: int,
        known: list[tuple[list[Floats], float]],
    ) -> tuple[Placed, Floats | None]:
        rng = self.rng
        value = int(character) if character.isdigit() else SIGN
        if isinstance(glyph, np.ndarray):
            wide = style.wide * float(np.exp(rng.normal(0, 0.07)))
            width = max(min(glyph.shape[1] / glyph.shape[0] * size * wide, 1.5 * size), 0.08)
            slant = float(np.clip(style.slant * 0.8 + rng.normal(0, 0.04), -0.5, 0.5))
            return Placed(glyph, (x, foot - size, x + width, foot), number, value, slant), None
        if glyph is None:
            strokes, wide = known[int(rng.integers(len(known)))]
        else:
            strokes, wide = self._form(glyph, style, character)
            known.append((strokes, wide))
        scale, move = np.float32(size), np.array([x, foot], np.float32)
        strokes = [stroke * scale + move for stroke in strokes]
        left, top, right, bottom = x, foot - size, x + size * wide, foot
        if character in PLACES:
            top = min(float(stroke[:, 1].min()) for stroke in strokes)
        if end is not None and rng.random() < style.join and strokes[0][0, 0] - end[0] < 0.8:
            middle = (end + strokes[0][0]) / 2 + rng.normal(0, 0.06, 2)
            strokes[0] = np.concatenate([bow(end, middle.astype(np.float32), strokes[0][0]), strokes[0]])
        return Placed(strokes, (left, top, right, bottom), number, value), strokes[-1][-1]

    def _form(self, glyph: Strokes, style: Style, character: str) -> tuple[list[Floats], float]:
        """Form a character as a writer does: strokes from 0 to the right, up from 0 to 1, or 1 wide; its width."""
        strokes = varied(glyph, style, self.rng, character if character.isdigit() or character in ".,:;" else "+")
        points = np.concatenate(strokes)
        extent = np.ptp(points, axis=0)
        tall = character not in PLACES
        scale = 1 / max(float(extent[1] if tall else extent.max()), 0.05)
        lean = np.array([[1, -style.slant], [0, 1]], np.float32)
        if tall and extent[0] * scale > 1.7 and len(points) < 200:  # no digit is so flat
            lean[0] *= np.float32(1.7 / (extent[0] * scale))
        strokes = [((stroke - points.min(axis=0)) * np.float32(scale)) @ lean.T for stroke in strokes]
        points = np.concatenate(strokes)
        low = np.array([points[:, 0].min(), points[:, 1].max()], np.float32)
        return [stroke - low for stroke in strokes], float(np.ptp(points[:, 0]))


def put(
    sheet: Sheet,
    line: Line,
    at: tuple[float, float],
    tall: float,
    angle: float,
    pen: Pen,
    colour: Sequence[float] | Floats,
    rng: np.random.Generator,
    kind: int | None = None,
) -> None:
    """Write a line on a sheet: its beginning at `at`, digits `tall` pixels high, running down by `angle` radians.

    kind: of all its ink, instead of numbers and other writing: struck out, shining through.
    """
    if not line.placed:
        return
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]], np.float32) * np.float32(tall)
    origin = np.array(at, np.float32)
    width = pen.width * tall
    for is_number in (False, True):
        some = [one for one in line.placed if (one.number >= 0) == is_number]
        if some:
            ink_kind = kind if kind is not None else NUMBER if is_number else WRITING
            _draw(sheet, some, turn, origin, tall, pen, width, colour, rng, ink_kind)
    if kind is not None:
        return
    half = pen.width / 2
    for number in sorted({one.number for one in line.placed if one.number >= 0}):
        mine = [one for one in line.placed if one.number == number]
        digits = [one for one in mine if one.value != SIGN] or mine
        left, right = min(one.box[0] for one in mine) - half, max(one.box[2] for one in mine) + half
        top, bottom = min(one.box[1] for one in digits) - half, max(one.box[3] for one in digits) + half
        characters = [(_quad(one.box, half, turn, origin), one.value) for one in mine]
        high = float(np.median([one.box[3] - one.box[1] for one in digits])) + 2 * half
        sheet.marks.append(Mark(_quad((left, top, right, bottom), 0, turn, origin), tall * high, False, characters))


def _draw(
    sheet: Sheet,
    placed: Sequence[Placed],
    turn: Floats,
    origin: Floats,
    tall: float,
    pen: Pen,
    width: float,
    colour: Sequence[float] | Floats,
    rng: np.random.Generator,
    kind: int,
) -> None:
    corners = np.concatenate([_quad(one.box, pen.width, turn, origin) for one in placed])
    left, top = np.maximum(np.floor(corners.min(axis=0)) - 2, -4).astype(int).tolist()
    limit = np.array([sheet.width, sheet.height]) + 4
    right, bottom = np.minimum(np.ceil(corners.max(axis=0)) + 3, limit).astype(int).tolist()
    if right - left < 2 or bottom - top < 2:
        return
    times = 1 if width >= 3 else 2 if width >= 1.3 else 3
    while times > 1 and times * times * (right - left) * (bottom - top) > MAX_PATCH:
        times -= 1
    canvas = np.zeros(((bottom - top) * times, (right - left) * times), np.uint8)
    move = (origin - np.array([left, top], np.float32)) * np.float32(times)
    matrix = turn * np.float32(times)
    plain = Pen(pen.width) if tall < 20 else pen
    for one in placed:
        if isinstance(one.ink, np.ndarray):
            _stamp(canvas, one.ink, one, matrix, move, tall * times, rng)
        else:
            draw(canvas, [stroke @ matrix.T + move for stroke in one.ink], plain, tall * times, rng)
    if times > 1:
        canvas = cv2.resize(canvas, (right - left, bottom - top), interpolation=cv2.INTER_AREA).astype(
            np.uint8, copy=False
        )
    alpha = canvas.astype(np.float32) * np.float32(pen.dark / 255)
    if width * times < 1:
        alpha *= np.float32(max(0.4, width * times))
    sheet.lay(grained(alpha, pen, tall, rng) if tall >= 14 else alpha, left, top, colour, kind)


def _stamp(
    canvas: NDArray[np.uint8],
    glyph: NDArray[np.uint8],
    one: Placed,
    matrix: Floats,
    move: Floats,
    tall: float,
    rng: np.random.Generator,
) -> None:
    """Draw a bitmap of a digit, stretched to its box and leaning over its foot."""
    left, top, right, bottom = one.box
    across, down = (right - left) / glyph.shape[1], (bottom - top) / glyph.shape[0]
    inner = np.array([[across, -one.slant * down, left + one.slant * (bottom - top) / 2], [0, down, top]], np.float32)
    fit = np.concatenate([matrix @ inner[:, :2], (matrix @ inner[:, 2] + move)[:, None]], axis=1)
    corners = np.array([[0, 0, 1], [glyph.shape[1], 0, 1], [0, glyph.shape[0], 1], [*glyph.shape[::-1], 1]]) @ fit.T
    x0, y0 = np.maximum(np.floor(corners.min(axis=0)) - 1, 0).astype(int).tolist()
    x1, y1 = np.minimum(np.ceil(corners.max(axis=0)) + 2, canvas.shape[::-1]).astype(int).tolist()
    if x1 - x0 < 1 or y1 - y0 < 1:
        return
    fit[:, 2] -= (x0, y0)
    drawn = cv2.warpAffine(glyph, fit, (x1 - x0, y1 - y0), flags=cv2.INTER_CUBIC).astype(np.float32)
    drawn = np.clip((drawn - rng.uniform(70, 170)) * max(tall / 24, 1.0) + 128, 0, 255)
    part = canvas[y0:y1, x0:x1]
    np.maximum(part, drawn.astype(np.uint8), out=part)


def _quad(box: tuple[float, float, float, float], more: float, turn: Floats, origin: Floats) -> Floats:
    left, top, right, bottom = box[0] - more, box[1] - more, box[2] + more, box[3] + more
    corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float32)
    moved: Floats = (corners @ turn.T + origin).astype(np.float32)
    return moved
