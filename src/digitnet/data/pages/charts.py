"""Flowcharts, images and drawings."""

from __future__ import annotations

import numpy as np

from digitnet.data.pages import forms
from digitnet.data.pages.author import NAMES, Author, Rect
from digitnet.data.pages.sheet import PICTURE, Floats, Sheet
from digitnet.data.pages.writers import put

USUAL = ("0", "0", "0", "1", "1", "1", "2", "10", "100", "0.0")
"""Numbers that programs begin with, count by and stop at."""


def flowchart(author: Author, sheet: Sheet, rect: Rect) -> None:
    """Shapes with short texts in them, joined by arrows; digits beside names and signs."""
    rng = author.rng
    left, top, right, bottom = rect
    writing = author.writers.someone()
    tall = min(author.tall, (bottom - top) / 5, 40.0)
    thick = max(0.7, writing.pen.width * tall)
    colour = author.ink if rng.random() < 0.7 else author.colour(sheet)
    wobble = tall * rng.uniform(0.04, 0.14) if rng.random() < 0.75 else 0.0
    columns = max(1, min(3, int((right - left) / (9 * tall))))
    wide = (right - left) / columns
    for column in range(columns):
        y, x = top + 0.3 * tall, left + column * wide
        while y + 3 * tall < bottom:
            if rng.random() < 0.15:
                y += 3 * tall
                continue
            pieces = _statement(author)
            line = author.writers.line(writing, pieces, (0.15, 0.7))
            scale = min(tall, (wide * 0.75) / max(line.width, 1))
            text_wide = line.width * scale
            w, h = text_wide + tall * rng.uniform(0.6, 2.5), tall * rng.uniform(1.7, 2.6)
            shape = int(rng.integers(6))
            if shape == 2:
                w, h = w * 1.5, h * 1.6
            w = min(w, wide * 0.95)
            cx, cy = x + wide / 2 + rng.normal(0, 0.02) * wide, y + h / 2
            _shape(
                author,
                sheet,
                shape,
                (cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2),
                thick,
                colour,
                writing.pen.dark,
                wobble,
            )
            put(
                sheet,
                line,
                (cx - text_wide / 2, cy + 0.4 * scale),
                scale,
                rng.normal(0, 0.02),
                writing.pen,
                author.ink,
                rng,
            )
            arrows = forms.Strokes(sheet, (cx - 0.6 * wide, cy - h, cx + 0.6 * wide, cy + h + 4 * tall))
            gap = tall * rng.uniform(0.8, 2.2)
            foot = cy + h / 2
            if rng.random() < 0.9:
                arrows.line(forms.straight((cx, foot), (cx, foot + gap), wobble / 2, rng), thick)
                head = np.array(
                    [
                        [cx - 0.2 * tall, foot + gap - 0.35 * tall],
                        [cx, foot + gap],
                        [cx + 0.2 * tall, foot + gap - 0.35 * tall],
                    ]
                )
                arrows.line(head, thick, closed=rng.random() < 0.5)
                if rng.random() < 0.4:
                    arrows.fill(head)
            if rng.random() < 0.3:
                side = 1 if rng.random() < 0.5 else -1
                edge, out = cx + side * w / 2, cx + side * (w / 2 + rng.uniform(0.1, 0.5) * wide)
                arrows.line(np.array([[edge, cy], [out, cy], [out, cy + rng.uniform(-1, 2) * h]]), thick)
                at = (min(edge, out) + 0.1 * tall, cy - 0.2 * tall)
                author.write(
                    sheet,
                    writing,
                    [(str(rng.choice(["si", "no", "No", "Yes", "yes", "SI", "NO"])), False)],
                    at,
                    0.8 * tall,
                )
            arrows.lay(colour, writing.pen.dark)
            y = foot + gap


def _statement(author: Author) -> list[tuple[str, bool]]:
    rng = author.rng

    def name() -> str:
        return NAMES[int(rng.integers(len(NAMES)))]

    def value() -> tuple[str, bool]:
        if rng.random() < 0.5:
            return USUAL[int(rng.integers(len(USUAL)))], True
        return author.digits(1, int(rng.choice((1, 1, 1, 2, 3)))), True

    def sign() -> tuple[str, bool]:
        return str(rng.choice(["=", "=", "<", ">", "<=", "==", "+", "-", "%"])), False

    kind = rng.random()
    if kind < 0.3:
        return [(name(), False), sign(), value()]
    if kind < 0.45:
        return [(name(), False), ("=", False), (name(), False), ("+-%*"[int(rng.integers(4))], False), value()]
    if kind < 0.55:
        return [(name(), False), ("=", False), value(), (",", False), (name(), False), ("=", False), value()]
    if kind < 0.6:
        return [(name(), False), ("%", False), value(), ("==", False), value()]
    if kind < 0.7:
        return [(name(), False), ("=", False), (name(), False), ("+", False), (name(), False)]
    if kind < 0.75:
        return [value(), sign(), value()]
    if kind < 0.9:
        return author.text(int(rng.integers(1, 3)))
    return [(name(), False)]


def _shape(
    author: Author, sheet: Sheet, which: int, rect: Rect, thick: float, colour: Floats, alpha: float, wobble: float
) -> None:
    rng = author.rng
    left, top, right, bottom = rect
    strokes = forms.Strokes(sheet, rect)
    if which == 0:
        strokes.line(forms.oval(rect, rng, wobble > 0), thick)
    else:
        lean = 0.15 * (right - left) if which == 3 else 0
        middle = (left + right) / 2, (top + bottom) / 2
        corners = [(left + lean, top), (right, top), (right - lean, bottom), (left, bottom)]
        if which == 2:
            corners = [(middle[0], top), (right, middle[1]), (middle[0], bottom), (left, middle[1])]
        if which == 4:
            corners = [(left, top), (right, top), (right, bottom)]
        ends = corners[1:] + (corners[:1] if which != 4 else [])
        for one, other in zip(corners, ends, strict=False):
            strokes.line(forms.straight(one, other, wobble, rng), thick)
        if which == 4:
            t = np.linspace(0, 1, 16)
            x, y = right + (left - right) * t, bottom - 0.08 * (bottom - top) * np.sin(t * 6.28)
            strokes.line(np.stack([x, y], 1), thick)
            strokes.line(np.array([[left, bottom], [left, top]]), thick)
    strokes.lay(colour, alpha)


def pictures(author: Author, sheet: Sheet, rect: Rect) -> None:
    """A picture in a frame, a drawing of lines, doodles."""
    rng = author.rng
    left, top, right, bottom = (int(v) for v in rect)
    if rng.random() < 0.4:
        part = author.surfaces(max(8, bottom - top), max(8, right - left), rng)
        left, top = max(left, 0), max(top, 0)
        place = sheet.picture[top : top + part.shape[0], left : left + part.shape[1]]
        place[:] = part[: place.shape[0], : place.shape[1]]
        sheet.kinds[top : top + part.shape[0], left : left + part.shape[1]] = PICTURE
        return
    for _ in range(int(rng.integers(1, 7))):
        size = rng.uniform(0.1, 0.8) * min(right - left, bottom - top)
        x, y = rng.uniform(left, max(left + 1, right - size)), rng.uniform(top, max(top + 1, bottom - size))
        forms.doodle(sheet, (x, y, x + size, y + size), author.ink, rng.uniform(0.5, 1.0), rng)
