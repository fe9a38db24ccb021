"""Handwritten numbers drawn from pen trajectories and single digits, with signs and surroundings.

One writer's own digits and signs are kept together, perturbed smoothly, set along a baseline, joined or lifted, drawn
by one pen and put on paper (`paper.py`). All randomness comes from one numpy generator: a seed gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from digitnet.data.synthesis import paper
from digitnet.data.synthesis.handstyle import PLACES, Style, bow, random_style, varied
from digitnet.data.synthesis.pens import Pen, draw, grained, random_pen
from digitnet.data.synthesis.texts import OTHER, SIGNS, TICK, random_text
from digitnet.data.unipen import Strokes

Glyph = NDArray[np.uint8] | Strokes
"""One character: a bitmap (h, w) uint8, 255 ink, cut to its ink, or the strokes of a pen."""

Hand = Mapping[str, Sequence[Glyph]]
"""How one writer writes each character that they do write."""

FREQUENT = "?" + TICK
"""Other marks that people often put where a number could stand."""

TAILED = "1479"
"""Digits that some writers draw taller than the rest, above or below the line."""

DRAWN = 72
"""Height in which digits are drawn before they are scaled to a picture's size, pixels."""

ROOM = 1.4
"""Canvas above and below the baseline's digits, in heights of a digit."""


@dataclass(frozen=True, eq=False)
class Written:
    """An image of one number, or of something else.

    image: (h, w) uint8, 0 black .. 255 white. written: what is written, of digits, signs and `OTHER`; None where
    nothing but texture is seen, which teaches no reading. boxes: (n, 4) float32 left, top, right, bottom of the ink of
    every digit, pixels.
    """

    image: NDArray[np.uint8]
    written: str | None
    boxes: NDArray[np.float32]

    @property
    def text(self) -> str:
        """The digits alone."""
        return "".join(character for character in self.written or "" if character.isdigit())


@dataclass(frozen=True, eq=False)
class Penman:
    """One writer: a hand, a pen, and how a line is set."""

    hand: Hand
    pen: Pen
    style: Style


@dataclass
class Sheet:
    """Ink in the making: an 8-bit canvas and the boxes of the characters on it."""

    canvas: NDArray[np.uint8]
    pen: Pen
    boxes: list[tuple[float, float, float, float]] = field(default_factory=list)


class Scribe:
    """Writes numbers, and things that are not numbers, with the hands it is given."""

    def __init__(
        self,
        groups: Sequence[tuple[float, Sequence[Hand]]],
        signs: Hand,
        letters: Hand,
        seed: int,
        nothing: float = 0.12,
    ) -> None:
        """Take what is written with.

        groups: (share, hands): a number's writer comes from each group as often as its share says. signs: of all
        writers, for hands that lack one. letters: words and letters by label. nothing: share of pictures without
        digits.
        """
        shares = np.array([share for share, _ in groups])
        self.groups = [hands for _, hands in groups]
        self.shares = shares / shares.sum()
        self.signs = signs
        self.letters = letters
        self.words = [label for label in letters if len(label) > 2]
        self.single = [label for label in letters if len(label) == 1 and label in "ACEFHKMNPRTUVWXacefhkmnprtuvwx"]
        self.marks = [label for label in signs if label not in SIGNS and label not in "|!_"]
        self.marks += [label for label in FREQUENT if label in signs] * 5
        self.nothing = nothing
        self.rng = np.random.default_rng(seed)

    def line(self, text: str | None = None) -> Written:
        """Write a number, random unless given, as a picture that holds it alone, or, at times, no number."""
        if text is None:
            if self.rng.random() < self.nothing:
                return self._nothing()
            text = random_text(self.rng)
        return self._line(text)

    def penman(self, pen: Pen | None = None) -> Penman:
        """Return a random writer, with a random pen unless given."""
        hands = self.groups[int(self.rng.choice(len(self.groups), p=self.shares))]
        return Penman(hands[int(self.rng.integers(len(hands)))], pen or random_pen(self.rng), random_style(self.rng))

    def ink(self, text: str, penman: Penman) -> NDArray[np.uint8]:
        """Write a text with one writer's hand: ink (h, w) uint8, 255 full, digits `DRAWN` pixels high, cut to it."""
        canvas = self._write(text, [penman.hand], penman.pen, penman.style)[0].canvas
        left, top, wide, high = cv2.boundingRect((canvas > 60).astype(np.uint8))
        return canvas[top : top + high, left : left + wide]

    def digit(self, value: int) -> NDArray[np.uint8]:
        """Write one digit with a random hand that knows it: ink as `ink` returns it."""
        while True:
            penman = self.penman()
            if penman.hand.get(str(value)):
                return self.ink(str(value), penman)

    def _line(self, text: str, word: bool = False) -> Written:
        rng = self.rng
        hands = self.groups[int(rng.choice(len(self.groups), p=self.shares))]
        pen, style = random_pen(rng), random_style(rng)
        sheet, written = self._write(text, hands, pen, style, word)
        tall = float(np.exp(rng.uniform(np.log(11), np.log(46)))) if rng.random() < 0.93 else float(rng.uniform(46, 90))
        return self._photograph(sheet, written, tall)

    def _write(self, text: str, hands: Sequence[Hand], pen: Pen, style: Style, word: bool = False) -> tuple[Sheet, str]:
        """Write a text on a fresh canvas, digits `DRAWN` pixels high; return it and what was written."""
        rng = self.rng
        hand = hands[int(rng.integers(len(hands)))]
        helper = hands[int(rng.integers(len(hands)))]  # lends what the hand lacks
        mixed = rng.random() < 0.15
        width = int(DRAWN * (1.3 * len(text) + (6 if word else 3)) * max(1.0, style.wide)) + 40
        sheet = Sheet(np.zeros((int(DRAWN * (1 + 2 * ROOM)), width), np.uint8), pen)
        base, x = DRAWN * (1 + ROOM), DRAWN * 0.6
        end: NDArray[np.float32] | None = None
        written = []
        for place, character in enumerate(text):
            if character == " ":
                x += DRAWN * rng.uniform(0.25, 0.8)
                end = None
                continue
            if mixed and character.isdigit():
                hand = hands[int(rng.integers(len(hands)))]
            glyph = self._glyph(character, hand, helper, hands)
            if glyph is None:
                continue
            size, foot = self._place(character, style)
            if place:
                gap = (style.gap + rng.normal(0, style.jitter)) * DRAWN
                x += gap if character.isdigit() and text[place - 1].isdigit() else max(gap, DRAWN * 0.02)
            line_y = float(np.clip(base + style.drift * (x - DRAWN) + foot * DRAWN, DRAWN, sheet.canvas.shape[0] - 4))
            x, end, box = self._set(sheet, glyph, x, line_y, size, style, character, end)
            if box is None:
                continue
            written.append(character)
            if character.isdigit():
                sheet.boxes.append(box)
            if x > width - 1.5 * DRAWN:
                break
        return sheet, "".join(written)

    def _glyph(self, character: str, hand: Hand, helper: Hand, hands: Sequence[Hand]) -> Glyph | None:
        rng = self.rng
        if character == OTHER:
            kind = rng.random()
            if kind < 0.55 and self.single:
                ways = self.letters[self.single[int(rng.integers(len(self.single)))]]
            else:
                ways = self.signs[self.marks[int(rng.integers(len(self.marks)))]]
        else:
            ways = hand.get(character) or helper.get(character) or self.signs.get(character) or ()
            if not ways and character.isdigit():
                for _ in range(20):
                    if ways := hands[int(rng.integers(len(hands)))].get(character) or ():
                        break
        return ways[int(rng.integers(len(ways)))] if len(ways) else None

    def _place(self, character: str, style: Style) -> tuple[float, float]:
        """Return the size of a character's longer side, or height, and its foot below the line, in digit heights."""
        rng = self.rng
        if character.isdigit():
            height = float(np.exp(rng.normal(0, style.uneven)))
            if character in TAILED and style.tails:
                longer = style.tails * float(rng.uniform(0.5, 1.2))
                return height * (1 + longer), longer * float(rng.choice((0, 0.5, 1))) + float(
                    rng.normal(0, style.shake)
                )
            if character == "0" and style.wide > 1.25:  # round zeros, smaller than the rest
                height *= rng.uniform(0.45, 0.9)
            return height, float(rng.normal(0, style.shake) - (1 - height) * rng.choice((0, 0, 0.5)))
        if character in PLACES:
            low, high, above, below = PLACES[character]
            return float(rng.uniform(low, high)), float(rng.uniform(above, below))
        return float(rng.uniform(0.7, 1.15)), float(rng.uniform(-0.05, 0.15))

    def _set(
        self,
        sheet: Sheet,
        glyph: Glyph,
        x: float,
        base: float,
        size: float,
        style: Style,
        character: str,
        end: NDArray[np.float32] | None,
    ) -> tuple[float, NDArray[np.float32] | None, tuple[float, float, float, float] | None]:
        """Draw one character at x with its foot at `base`; return where it ends, its pen's last point and its box."""
        rng = self.rng
        if isinstance(glyph, np.ndarray):
            box = _stamp(sheet, glyph, x, base, size * DRAWN, style, rng)
            return (box[2], None, box) if box else (x, None, None)
        strokes = varied(glyph, style, rng, character)
        points = np.concatenate(strokes)
        extent = np.ptp(points, axis=0)
        tall = character.isdigit() or character not in PLACES
        scale = size * DRAWN / max(float(extent[1] if tall else extent.max()), 0.05)
        if tall and extent[0] * scale > 1.7 * DRAWN and len(points) < 200:  # no digit is so flat
            scale = 1.7 * DRAWN / float(extent[0])
        lean = np.array([[1, -style.slant], [0, 1]], np.float32)
        strokes = [((stroke - points.min(axis=0)) * scale) @ lean.T for stroke in strokes]
        points = np.concatenate(strokes)
        half = sheet.pen.width * DRAWN / 2
        move = np.array([x - points[:, 0].min() + half, base - points[:, 1].max()], np.float32)
        strokes = [stroke + move for stroke in strokes]
        points = points + move
        if points[:, 0].max() + half > sheet.canvas.shape[1] - 2:
            return x, end, None
        if end is not None and rng.random() < style.join and strokes[0][0, 0] - end[0] < 0.8 * DRAWN:
            middle = (end + strokes[0][0]) / 2 + rng.normal(0, 0.06 * DRAWN, 2)
            strokes[0] = np.concatenate([bow(end, middle.astype(np.float32), strokes[0][0]), strokes[0]])
        draw(sheet.canvas, strokes, sheet.pen, DRAWN, rng)
        left, top = points.min(axis=0) - half
        right, bottom = points.max(axis=0) + half
        return float(right), strokes[-1][-1], (float(left), float(top), float(right), float(bottom))

    def _photograph(self, sheet: Sheet, written: str | None, tall: float) -> Written:
        """Scale what was written to digits `tall` pixels high, cut it out and put it on paper."""
        rng = self.rng
        scale = tall / DRAWN
        canvas = sheet.canvas
        down, across = np.flatnonzero(canvas.max(axis=1) > 60), np.flatnonzero(canvas.max(axis=0) > 60)
        if not len(down):
            return Written(np.full((16, 24), 230, np.uint8), None, np.zeros((0, 4), np.float32))
        top, bottom, left, right = (float(v) for v in (down[0], down[-1] + 1, across[0], across[-1] + 1))
        high = bottom - top
        # Whoever cuts numbers out cuts some of them too tightly.
        room = np.where(rng.random(4) < 0.25, rng.uniform(-0.06, 0.05, 4), rng.uniform(0.02, 0.45, 4)) * high
        if rng.random() < 0.1:
            room[int(rng.integers(4))] += rng.uniform(0.3, 1.2) * high
        box = np.array([left - room[0], top - room[1], right + room[2], bottom + room[3]])
        size = (max(8, round((box[2] - box[0]) * scale)), max(8, round((box[3] - box[1]) * scale)))
        fit = np.array([[scale, 0, -box[0] * scale], [0, scale, -box[1] * scale]])
        if rng.random() < 0.3:  # seen askew
            turn = rng.normal(0, 0.02)
            fit[0, 1] += rng.normal(0, 0.05) * scale
            fit[1, 0] += turn * scale
            fit[:, 2] = np.array(size) / 2 - fit[:, :2] @ np.array([(box[0] + box[2]) / 2, (box[1] + box[3]) / 2])
        fewer = max(1, int(1 / scale))  # points of the canvas to one of the picture
        if fewer > 1:
            smaller = cv2.resize(canvas, None, fx=1 / fewer, fy=1 / fewer, interpolation=cv2.INTER_AREA)
            canvas = np.asarray(smaller, np.uint8)
        drawn = cv2.warpAffine(canvas, fit * [[fewer, fewer, 1]], size, flags=cv2.INTER_LINEAR)
        ink: NDArray[np.float32] = drawn.astype(np.float32) / np.float32(255)
        if sheet.pen.width * tall < 1:  # a line of one pixel stays one
            ink = np.clip(ink * np.float32(min(3.0, 1 / (sheet.pen.width * tall))), 0, 1, dtype=np.float32)
        boxes = np.array(sheet.boxes, np.float32).reshape(-1, 4)
        corners = np.stack([boxes[:, [0, 1]], boxes[:, [2, 1]], boxes[:, [0, 3]], boxes[:, [2, 3]]], axis=1)
        corners = corners @ fit[:, :2].T + fit[:, 2]
        boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1).astype(np.float32)
        ink = grained(ink, sheet.pen, tall, rng)
        self._around(ink, boxes, tall, sheet.pen)
        return Written(paper.photographed(ink, sheet.pen.dark, tall, rng), written, boxes)

    def _around(self, ink: NDArray[np.float32], boxes: NDArray[np.float32], tall: float, pen: Pen) -> None:
        """Draw what is around a number: rules, boxes, a comb, a ring, parts of neighbours."""
        rng = self.rng
        if rng.random() < 0.28:
            paper.rules(ink, rng)
        if len(boxes) and rng.random() < 0.12:
            paper.comb(ink, boxes, rng)
        if len(boxes) and rng.random() < 0.03:
            paper.ring(ink, boxes, pen.width * tall, rng)
        if rng.random() < 0.18:
            self._neighbours(ink, tall, pen)

    def _neighbours(self, ink: NDArray[np.float32], tall: float, pen: Pen) -> None:
        """Draw pieces of other writing that the cut has left at the edge, never more than a third of its height."""
        rng = self.rng
        height, width = ink.shape
        sheet, _ = self._write(str(int(rng.integers(10, 10**6))), self.groups[0], pen, random_style(rng))
        other = cv2.resize(sheet.canvas, None, fx=tall / DRAWN, fy=tall / DRAWN, interpolation=cv2.INTER_AREA)
        down = np.flatnonzero(other.max(axis=1) > 60)
        if not len(down):
            return
        other = other[down[0] : down[-1] + 1, :width].astype(np.float32) / 255
        seen = max(1, int(min(len(other), 0.12 * height) * rng.uniform(0.2, 1)))
        x = int(rng.integers(0, max(1, width - other.shape[1] + 1)))
        if rng.random() < 0.5:
            part = ink[:seen, x : x + other.shape[1]]
            np.maximum(part, other[-seen:, : part.shape[1]], out=part)
        else:
            part = ink[-seen:, x : x + other.shape[1]]
            np.maximum(part, other[:seen, : part.shape[1]], out=part)

    def _nothing(self) -> Written:
        """Return a picture without digits: words, signs alone, textures, fences of bars, scribbles."""
        rng = self.rng
        kind = rng.random()
        pen, style = random_pen(rng), random_style(rng)
        tall = float(np.exp(rng.uniform(np.log(12), np.log(44))))
        if kind < 0.42 and self.words:
            sheet = Sheet(np.zeros((int(DRAWN * (1 + 2 * ROOM)), DRAWN * 16), np.uint8), pen)
            x, written = DRAWN * 0.6, ""
            for _ in range(int(rng.choice((1, 1, 1, 2, 2, 3)))):
                word = self.words[int(rng.integers(len(self.words)))]
                ways = self.letters[word]
                glyph = ways[int(rng.integers(len(ways)))]
                size = float(rng.uniform(0.7, 1.4))
                x, _, box = self._set(sheet, glyph, x, DRAWN * (1.2 + ROOM), size, style, "a", None)
                if box is None:
                    break
                written += OTHER * len(word)
                x += DRAWN * rng.uniform(0.3, 0.8)
            return self._photograph(sheet, written or None, tall)
        if kind < 0.62:  # marks without digits, as a dash for nothing
            text = OTHER
            if rng.random() < 0.5:
                text = "".join(rng.choice(list("--.=/()+%" + OTHER), int(rng.integers(1, 4))).tolist())
            hands = self.groups[int(rng.choice(len(self.groups), p=self.shares))]
            sheet, written = self._write(text, hands, pen, style)
            return self._photograph(sheet, written or None, tall)
        ink = paper.nothing(tall, rng)
        return Written(paper.photographed(ink, pen.dark, tall, rng), None, np.zeros((0, 4), np.float32))


def _stamp(
    sheet: Sheet, glyph: NDArray[np.uint8], x: float, base: float, height: float, style: Style, rng: np.random.Generator
) -> tuple[float, float, float, float] | None:
    """Draw a bitmap of a digit, stretched, leaning over its foot and bent a little; return its ink's box."""
    canvas = sheet.canvas
    wide = style.wide * float(np.exp(rng.normal(0, 0.07)))
    width = max(min(glyph.shape[1] / glyph.shape[0] * height * wide, 1.5 * height), 3.0)
    across, down = width / glyph.shape[1], height / glyph.shape[0]
    slant = style.slant * 0.8 + rng.normal(0, 0.04)
    reach = abs(slant) * height / 2
    left, top = max(0, int(x - reach) - 1), max(0, int(base - height) - 1)
    size = (int(x + width + reach) + 3 - left, int(base) + 3 - top)
    if left + size[0] > canvas.shape[1] - 2:
        return None
    turn = rng.normal(0, 0.04)
    fit = np.array([[across, -slant * down, x - left + slant * height / 2], [turn * across, down, base - height - top]])
    drawn = cv2.warpAffine(glyph, fit, size, flags=cv2.INTER_CUBIC).astype(np.float32)
    # A threshold of soft edges decides how broad the pen is; enlarged, they are many points wide.
    level = rng.uniform(70, 170)
    drawn = np.clip((drawn - level) * (DRAWN / 24) + 128, 0, 255).astype(np.uint8)
    part = canvas[top : top + size[1], left : left + size[0]]
    drawn = drawn[: part.shape[0], : part.shape[1]]
    columns, rows = np.flatnonzero(drawn.max(axis=0) > 100), np.flatnonzero(drawn.max(axis=1) > 100)
    if not len(columns):
        return None
    np.maximum(part, drawn, out=part)
    return tuple(map(float, (left + columns[0], top + rows[0], left + columns[-1] + 1, top + rows[-1] + 1)))  # type: ignore[return-value]
