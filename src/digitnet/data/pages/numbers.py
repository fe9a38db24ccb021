"""Numbers on a page: in rows, lists and sums, or scattered; circled, underlined, struck out; single ones."""

from __future__ import annotations

import numpy as np

from digitnet.data.pages import forms
from digitnet.data.pages.author import NAMES, Author, Rect
from digitnet.data.pages.sheet import WRITING, Sheet
from digitnet.data.pages.writers import Writing


def numbers(author: Author, sheet: Sheet, rect: Rect) -> None:
    """Numbers: in rows, a list, sums, sheets of single digits, strewn; some ringed, underlined, struck out."""
    rng = author.rng
    left, top, right, bottom = rect
    writing, tall = author.writers.someone(), author.tall
    kind = str(
        rng.choice(["rows", "list", "digits", "sums", "strewn", "many hands"], p=[0.3, 0.2, 0.16, 0.14, 0.12, 0.08])
    )
    pitch, angle = tall * rng.uniform(1.35, 2.6), rng.normal(0, 0.02)
    if rng.random() < 0.12:
        angle = rng.uniform(-0.3, 0.3)
    step, y = tall * rng.uniform(1.5, 3.0), top + 1.1 * tall
    if kind == "strewn":
        for _ in range(int(rng.integers(1, 9))):
            at = (
                rng.uniform(left, max(left + 1, right - 3 * tall)),
                rng.uniform(top + tall, max(bottom, top + tall + 1)),
            )
            if author.free(sheet, at, tall):
                turn = rng.normal(0, 0.15) if rng.random() < 0.9 else rng.uniform(-3.14, 3.14)
                author.write(sheet, writing, [(author.digits(1, 5), True)], at, tall, angle=turn)
        return
    x0 = left + rng.uniform(0, 0.5) * max(0.0, right - left - 6 * tall) if kind in ("list", "sums") else left
    value = 0
    thick = max(0.7, writing.pen.width * tall)
    gap = (rng.uniform(0.85, 1.3), rng.uniform(1.4, 3.5))
    while y < bottom:
        if kind == "many hands":
            writing = author.writers.someone()
        if kind == "digits":
            count = max(1, int((right - left) / step))
            for i in range(count):
                at = left + (i + rng.normal(0, 0.06)) * step, y + (i * step) * angle + rng.normal(0, 0.06) * tall
                text = str(value % 10) if rng.random() < 0.7 else author.digits(1, 1)
                author.write(sheet, writing, [(text, True)], at, tall)
            value += rng.random() < 0.9
        elif kind == "sums":
            _sum(author, sheet, writing, (x0, y), right - x0, angle)
        else:
            x = x0
            while x < right - tall:
                pieces = author.number(8)
                if rng.random() < 0.08:
                    pieces = [(author.word(), False), *pieces]
                at = x, y + (x - left) * angle
                drawn = _adorned(author, sheet, writing, pieces, at, right - x, angle)
                x = drawn[2] + tall * rng.uniform(*gap)
                if kind == "list" or rng.random() < 0.05:
                    break
        if kind == "sums" and rng.random() < 0.12:  # a fraction
            bar = forms.Strokes(sheet, (x0, y, right, y + pitch))
            bar.line(
                forms.straight((x0, y + 0.3 * pitch), (min(right, x0 + 8 * tall), y + 0.3 * pitch), 0.05 * tall, rng),
                thick,
            )
            bar.lay(author.ink, writing.pen.dark)
        y += pitch * rng.uniform(0.9, 1.2)
        if rng.random() < 0.03:
            break
    if kind in ("rows", "digits") and rng.random() < 0.12:  # brackets of a matrix
        strokes = forms.Strokes(sheet, (left - tall, top, right, y))
        for x, side in ((left - 0.4 * tall, 1), (min(right, left + rng.uniform(2, 12) * tall), -1)):
            curl = np.array(
                [
                    [x + 0.4 * side * tall, top],
                    [x, top],
                    [x, y - pitch * 0.5],
                    [x + 0.4 * side * tall, y - pitch * 0.5],
                ]
            )
            strokes.line(curl + rng.normal(0, 0.05 * tall, (4, 2)), thick)
        strokes.lay(author.ink, writing.pen.dark)


def _adorned(
    author: Author,
    sheet: Sheet,
    writing: Writing,
    pieces: list[tuple[str, bool]],
    at: tuple[float, float],
    most: float,
    angle: float,
) -> Rect:
    """Write a number as it comes: plain, ringed, underlined, in brackets, struck out, with degrees, with a tick."""
    rng, tall = author.rng, author.tall
    kind = rng.random()
    thick = max(0.7, writing.pen.width * tall * rng.uniform(0.6, 1.2))
    dark = writing.pen.dark
    if kind < 0.05:
        pieces = [("[({"[which := int(rng.integers(3))], False), *pieces, ("])}"[which], False)]
        return author.write(sheet, writing, pieces, at, tall, most, angle, spaces=(0.1, 0.3))
    if kind < 0.09:
        drawn = author.write(sheet, writing, pieces, at, tall, most, angle, kind=WRITING)
        forms.strike(sheet, drawn, thick, author.ink, dark, rng)
        return drawn
    drawn = author.write(sheet, writing, pieces, at, tall, most, angle)
    colour = author.ink if rng.random() < 0.7 else author.colour(sheet)
    high, wide = drawn[3] - drawn[1], drawn[2] - drawn[0]
    if kind < 0.15:
        room = 0.2 * high + 0.15 * wide
        around = (drawn[0] - room, drawn[1] - 0.45 * high, drawn[2] + room, drawn[3] + 0.45 * high)
        forms.ring(sheet, around, thick, colour, dark, rng)
        return around
    if kind < 0.20:
        strokes = forms.Strokes(sheet, [drawn[0] - tall, drawn[1], drawn[2] + tall, drawn[3] + tall])
        for step in range(int(rng.choice((1, 1, 2)))):
            y = drawn[3] + high * (rng.uniform(0.02, 0.3) + 0.15 * step)
            ends = (drawn[0] - 0.2 * high, y), (drawn[2] + 0.2 * high, y + angle * wide)
            strokes.line(forms.straight(*ends, 0.02 * high, rng), thick)
        strokes.lay(colour, dark)
    elif kind < 0.22:
        size = 0.3 * high
        centre = drawn[2] + 0.5 * size, drawn[1] + 0.5 * size
        strokes = forms.Strokes(sheet, [drawn[2] - size, drawn[1] - size, drawn[2] + 2 * size, drawn[1] + 2 * size])
        strokes.line(
            forms.oval((centre[0] - size / 2, centre[1] - size / 2, centre[0] + size / 2, centre[1] + size / 2), rng),
            thick,
        )
        strokes.lay(author.ink, dark, WRITING)
    elif kind < 0.25:
        x = drawn[2] + tall
        forms.doodle(sheet, (x, drawn[1], x + tall, drawn[3]), colour, dark, rng)
        return (*drawn[:2], x + tall, drawn[3])
    return drawn


def _sum(author: Author, sheet: Sheet, writing: Writing, at: tuple[float, float], most: float, angle: float) -> None:
    """A formula on a line: numbers between signs and names."""
    rng = author.rng
    pieces: list[tuple[str, bool]] = []
    for place in range(int(rng.integers(1, 5))):
        if place:
            pieces.append(("+-+-x=:/*"[int(rng.integers(9))], False))
        if rng.random() < 0.12:
            pieces.append(("(", False))
        pieces.append((author.digits(1, int(rng.choice((1, 1, 2, 4)))), True))
        if rng.random() < 0.12:
            pieces.append((")", False))
    if rng.random() < 0.6:
        pieces += [("=", False), (author.digits(1, 4), True)]
    if rng.random() < 0.15:
        pieces.insert(0, (NAMES[int(rng.integers(len(NAMES)))], False))
    author.write(sheet, writing, pieces, at, None, most, angle, spaces=(0.15, 0.9))


def single(author: Author, sheet: Sheet, rect: Rect) -> None:
    """One number that fills much of the page."""
    rng = author.rng
    left, top, right, bottom = rect
    text = author.digits(1, int(rng.choice((1, 1, 2, 4))))
    tall = min((bottom - top) * rng.uniform(0.3, 0.85), (right - left) * rng.uniform(0.4, 1.3) / len(text), 400.0)
    at = left + rng.uniform(0, 0.3) * (right - left), (top + bottom) / 2 + tall / 2
    author.write(sheet, author.writers.someone(), [(text, True)], at, tall, right - at[0])
