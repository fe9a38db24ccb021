"""Forms, notes, print and sheets of answers: numbers among words."""

from __future__ import annotations

import numpy as np

from digitnet.data.pages import forms
from digitnet.data.pages.author import WORDS, Author, Rect
from digitnet.data.pages.printing import Face, measure
from digitnet.data.pages.sheet import PICTURE, Sheet


def form(author: Author, sheet: Sheet, rect: Rect) -> None:
    """Labels in print, values by hand on a line, on dots, in a box, or free."""
    rng, tall = author.rng, author.tall
    left, top, right, bottom = rect
    face, writing = author.face(), author.writers.someone()
    size, y = tall * rng.uniform(0.45, 1.0), top + 1.2 * tall
    pitch = tall * rng.uniform(1.6, 3.2)
    under = str(rng.choice(["line", "dots", "box", "nothing"], p=[0.45, 0.12, 0.2, 0.23]))
    tone = np.full(3, rng.uniform(0, 0.45)) if not author.light_ink else author.ink
    while y < bottom:
        x = left
        while x < right - 5 * tall:
            label = " ".join(WORDS[int(i)] for i in rng.integers(0, 45, int(rng.integers(1, 3)))) + str(
                rng.choice([":", "", "", " #"])
            )
            x = author.print(sheet, face, label, (x, y), size, (right - x) * 0.5) + 0.4 * tall
            wide = min(right - x, tall * rng.uniform(3, 10))
            if wide < 2 * tall:
                break
            if rng.random() < 0.1:  # boxes to tick
                x = _ticks(author, sheet, face, (x, y), right, size)
                continue
            strokes = forms.Strokes(sheet, (x, y - 1.5 * tall, x + wide, y + tall))
            thick = max(0.6, 0.05 * tall)
            if under == "line":
                strokes.line(np.array([[x, y + 0.15 * tall], [x + wide, y + 0.15 * tall]]), thick)
            elif under == "dots":
                for each in np.arange(x, x + wide, max(2.0, 0.25 * tall)):
                    strokes.line(
                        np.array([[each, y + 0.1 * tall], [each + max(1, 0.06 * tall), y + 0.1 * tall]]), thick
                    )
            elif under == "box":
                corners = [
                    [x, y - 1.15 * tall],
                    [x + wide, y - 1.15 * tall],
                    [x + wide, y + 0.3 * tall],
                    [x, y + 0.3 * tall],
                ]
                strokes.line(np.array(corners), thick, closed=True)
            strokes.lay(tone, rng.uniform(0.4, 1.0))
            kind = rng.random()
            at = x + 0.3 * tall, y + rng.normal(0, 0.08) * tall
            if kind < 0.55:
                author.write(sheet, writing, author.number(), at, None, wide - 0.5 * tall)
            elif kind < 0.8:
                author.write(
                    sheet,
                    writing,
                    author.text(int(rng.integers(1, 4))),
                    at,
                    None,
                    wide - 0.5 * tall,
                    spaces=(0.3, 0.8),
                )
            elif kind < 0.86:
                forms.signature(sheet, (x + tall, y - 0.3 * tall), tall, author.ink, rng)
            elif kind < 0.92:
                author.print(sheet, author.face(), author.digits(2, 8), at, tall, wide)
            x += wide + 0.7 * tall
            if rng.random() < 0.4:
                break
        y += pitch


def _ticks(author: Author, sheet: Sheet, face: Face, at: tuple[float, float], right: float, size: float) -> float:
    rng = author.rng
    x, y = at
    for _ in range(int(rng.integers(1, 5))):
        if x + 3 * size > right:
            break
        box = (x, y - 0.8 * size, x + 0.8 * size, y)
        strokes = forms.Strokes(sheet, box)
        strokes.line(
            np.array([box[:2], (box[2], box[1]), box[2:], (box[0], box[3])]), max(0.6, 0.06 * size), closed=True
        )
        strokes.lay(np.full(3, rng.uniform(0, 0.4)), rng.uniform(0.5, 1))
        if rng.random() < 0.4:
            forms.doodle(sheet, (box[0] - 2, box[1] - 2, box[2] + 2, box[3] + 2), author.ink, 0.9, rng)
        x = author.print(sheet, face, WORDS[int(rng.integers(len(WORDS)))], (x + 1.1 * size, y), size, right - x) + size
    return x


def notes(author: Author, sheet: Sheet, rect: Rect) -> None:
    """Handwriting: words in lines, with a number now and then, headings, ticks, doodles."""
    rng, tall = author.rng, author.tall
    left, top, right, bottom = rect
    writing = author.writers.someone()
    pitch, angle = tall * rng.uniform(1.6, 2.8), rng.normal(0, 0.025)
    share = float(rng.choice((0.0, 0.05, 0.2, 0.5)))
    y = top + 1.3 * tall
    while y < bottom:
        x = left
        while x < right - 2 * tall:
            at = x, y + (x - left) * angle
            if rng.random() < share:
                drawn = author.write(sheet, writing, author.number(), at, None, right - x, angle)
            else:
                drawn = author.write(sheet, writing, author.text(1), at, None, right - x, angle)
            x = drawn[2] + tall * rng.uniform(0.5, 1.3)
            if rng.random() < 0.12:
                break
        y += pitch
        if rng.random() < 0.05:
            at = rng.uniform(left, max(left + 1, right - 4 * tall)), y
            forms.doodle(sheet, (*at, at[0] + 3 * tall, y + 3 * tall), author.ink, writing.pen.dark, rng)
            y += 4 * tall


def document(author: Author, sheet: Sheet, rect: Rect) -> None:
    """Print: headings, paragraphs, price lists, an address, a code; by hand a number, a date, a signature, a stamp."""
    rng = author.rng
    left, top, right, bottom = rect
    face, size = author.face(), float(np.clip(author.tall * rng.uniform(0.5, 1.3), 7, 80))
    tone = np.full(3, rng.uniform(0, 0.4)) if not author.light_ink else author.ink
    if rng.random() < 0.15:
        tone = author.colour(sheet)
    y, kind = top + 1.5 * size, rng.random()
    writing = author.writers.someone()
    while y < bottom:
        if rng.random() < 0.1:
            big = size * rng.uniform(1.3, 3)
            y += big
            author.print(
                sheet,
                author.face(),
                " ".join(WORDS[int(i)] for i in rng.integers(0, 45, 3)),
                (left, y),
                big,
                right - left,
                tone,
            )
            y += 0.7 * big
            continue
        if author.foreign and rng.random() < 0.06:
            author.print(sheet, *author.foreign_words(), (left, y), size, right - left, tone)
            y += size * 1.4
            continue
        x = left + (rng.uniform(0, 0.3) * (right - left) if kind > 0.8 else 0)
        words: list[str] = []
        width = 0.0
        while width < right - x and len(words) < 40:
            word = WORDS[int(rng.integers(len(WORDS)))] if rng.random() < 0.88 else printed_number(author)
            words.append(word)
            width += measure(face, word + "i", round(size))
            if kind > 0.6 and rng.random() < 0.25:
                break
        author.print(sheet, face, " ".join(words), (x, y), size, right - x, tone)
        y += size * rng.uniform(1.15, 1.5)
        if rng.random() < 0.12:
            author.write(
                sheet,
                writing,
                author.number(),
                (rng.uniform(left, (left + right) / 2), y + 0.9 * author.tall),
                None,
                (right - left) / 2,
            )
            y += 1.9 * author.tall
        if rng.random() < 0.05:
            forms.signature(sheet, (rng.uniform(left, right), y + author.tall), author.tall, author.ink, rng)
            y += 2 * author.tall
        if rng.random() < 0.04:
            forms.bars(sheet, (x, y, x + rng.uniform(3, 10) * size, y + rng.uniform(3, 6) * size), rng)
            y += 7 * size
    if rng.random() < 0.2:
        _stamp(author, sheet, rect)


def printed_number(author: Author) -> str:
    """Return a number as it is printed: plain, a price, a date, a phone number."""
    rng = author.rng
    kind = rng.random()
    if kind < 0.5:
        return author.digits(1, 5)
    if kind < 0.7:
        return f"{author.digits(1, 4)}.{author.digits(2, 2)}"
    if kind < 0.8:
        return f"{author.digits(1, 2)}/{author.digits(1, 2)}/{author.digits(4, 4)}"
    return f"{author.digits(1, 2)}." if kind < 0.9 else f"{author.digits(3, 3)}-{author.digits(4, 4)}"


def _stamp(author: Author, sheet: Sheet, rect: Rect) -> None:
    rng = author.rng
    size = rng.uniform(14, 60)
    x, y = rng.uniform(rect[0], rect[2]), rng.uniform(rect[1], rect[3])
    colour = author.colour(sheet)
    strokes = forms.Strokes(sheet, (x - 3 * size, y - 3 * size, x + 3 * size, y + 3 * size))
    for grow in (2.0, 2.3):
        strokes.line(
            forms.oval((x - grow * size, y - grow * size * 0.7, x + grow * size, y + grow * size * 0.7), rng, False),
            0.08 * size,
        )
    strokes.lay(colour, 0.6, PICTURE)
    author.print(
        sheet,
        author.face(),
        str(rng.choice(["PAID", "OK", "COPY", author.digits(4, 8)])),
        (x - 1.2 * size, y + 0.3 * size),
        size,
        2.6 * size,
        colour,
    )


def bubbles(author: Author, sheet: Sheet, rect: Rect) -> None:
    """A sheet of answers: numbers and letters in print, letters in rings, some filled in."""
    rng = author.rng
    left, top, right, bottom = rect
    size = float(np.clip(author.tall * rng.uniform(0.6, 1.2), 8, 40))
    face = author.face()
    question, y = int(rng.integers(1, 60)), top + 1.2 * size
    tone = np.full(3, rng.uniform(0, 0.4)) if not author.light_ink else author.ink
    if rng.random() < 0.4:
        author.write(
            sheet,
            author.writers.someone(),
            [(author.digits(1, 6), True)],
            (left + 3 * size, y),
            author.tall,
            right - left,
        )
        y += 1.6 * author.tall
    while y < bottom:
        x = left
        while x + 9 * size < right:
            author.print(sheet, face, f"{question}.", (x, y), size, 3 * size, tone)
            question += 1
            strokes = forms.Strokes(sheet, (x, y - 2 * size, x + 10 * size, y + size))
            for i in range(4):
                cx = x + (2.6 + 1.6 * i) * size
                where = (cx - 0.6 * size, y - 1.0 * size, cx + 0.6 * size, y + 0.25 * size)
                strokes.line(forms.oval(where, rng, False), max(0.7, 0.07 * size))
                if rng.random() < 0.2:
                    strokes.fill(forms.oval(where, rng), rng.uniform(0.6, 1))
                author.print(sheet, face, "ABCD"[i], (cx - 0.3 * size, y - 0.08 * size), 0.8 * size, size, tone)
            strokes.lay(tone, rng.uniform(0.4, 0.9))
            x += 11 * size
        y += 1.7 * size
