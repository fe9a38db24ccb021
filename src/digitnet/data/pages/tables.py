"""Tables with one number per cell, and comb fields with one number each."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from digitnet.data.pages import forms
from digitnet.data.pages.author import WORDS, Author, Rect
from digitnet.data.pages.sheet import Floats, Mark, Sheet
from digitnet.data.pages.writers import Writing
from digitnet.data.synthesis.texts import TICK


def table(author: Author, sheet: Sheet, rect: Rect) -> None:
    """A table or grid: each cell a number of its own, a word, print, a dash, or empty."""
    rng, tall = author.rng, author.tall
    left, top, right, bottom = rect
    sudoku = rng.random() < 0.18
    cell_high = tall * rng.uniform(1.25, 2.4)
    columns = 9 if sudoku else int(rng.integers(1, 9))
    rows = 9 if sudoku else int(rng.integers(1, 22))
    wides = np.full(columns, cell_high) if sudoku else tall * rng.uniform(1.3, 5.5, columns)
    if not sudoku and rng.random() < 0.5:
        wides[:] = tall * rng.uniform(1.3, 4)
    while wides.sum() > right - left and len(wides) > 1:
        wides = wides[:-1]
    columns, rows = len(wides), max(1, min(rows, int((bottom - top) / cell_high)))
    x = left + rng.uniform(0, 1) * max(0.0, right - left - wides.sum()) + np.concatenate([[0], np.cumsum(wides)])
    y = top + np.arange(rows + 1) * cell_high
    area = (x[0], y[0], x[-1], y[-1])
    wobble = tall * rng.uniform(0.03, 0.12) if rng.random() < 0.25 else 0.0
    thick = min(max(0.6, tall * rng.uniform(0.02, 0.12)), 9.0)
    kind, alpha = rng.random(), rng.uniform(0.3, 1.0)
    colour = np.full(3, rng.uniform(0, 0.5)) if not author.light_ink else author.ink
    if rng.random() < 0.25:
        colour = author.colour(sheet)
    strokes = forms.Strokes(sheet, area)
    if sudoku or kind < 0.92:
        for i, each in enumerate(y):
            if sudoku or kind < 0.8 or i:
                heavy = thick * 2.2 if sudoku and i % 3 == 0 else thick
                strokes.line(forms.straight((x[0], each), (x[-1], each), wobble, rng), heavy)
    if sudoku or kind > 0.12:
        for i, each in enumerate(x):
            if sudoku or kind < 0.8 or 0 < i < columns:
                heavy = thick * 2.2 if sudoku and i % 3 == 0 else thick
                strokes.line(forms.straight((each, y[0]), (each, y[-1]), wobble, rng), heavy)
    if rng.random() < 0.15:
        tint = np.clip(rng.uniform(0.6, 1.0, 3), 0, 1)
        shade = np.ones((max(1, int(cell_high)), max(1, int(x[-1] - x[0]))), np.float32) * np.float32(0.6)
        sheet.lay(shade, int(x[0]), int(y[0]), tint, 0)
    strokes.lay(colour, alpha)
    writing = author.writers.someone()
    face = author.face()
    printed = 0.35 if rng.random() < 0.3 else 0.0
    filled = rng.uniform(0.3, 1.0)
    what = (
        ["number"] * columns
        if sudoku or rng.random() < 0.5
        else rng.choice(["number", "word", "print", "mark", "long"], columns, p=[0.5, 0.12, 0.15, 0.14, 0.09]).tolist()
    )
    marks = rng.choice([TICK, "?", "x", "-", ""], columns, p=[0.3, 0.25, 0.1, 0.05, 0.3]).tolist()
    most = [int(np.clip((wide / tall - 0.3) / 0.65, 1, 6)) for wide in wides]
    least = [1 if rng.random() < 0.6 else each for each in most]
    header = not sudoku and rng.random() < 0.4
    size = tall * rng.uniform(0.7, 0.95)
    place = str(rng.choice(["left", "middle", "right"], p=[0.3, 0.5, 0.2]))
    for row in range(rows):
        base = y[row] + cell_high / 2 + 0.42 * size
        for column in range(columns):
            if rng.random() > filled:
                continue
            room = wides[column] - 0.25 * tall
            at = (x[column] + 0.12 * tall + rng.normal(0, 0.05) * tall, base + rng.normal(0, 0.06) * tall)
            if header and row == 0:
                if printed or rng.random() < 0.5:
                    author.print(sheet, face, WORDS[int(rng.integers(len(WORDS)))], at, 0.8 * size, room)
                else:
                    author.write(
                        sheet, writing, [("ABCDEFGHKN"[int(rng.integers(10))], False)], at, size, room, place=place
                    )
                continue
            kind_here = what[column]
            if kind_here == "print" or (kind_here == "number" and rng.random() < printed):
                text = author.digits(1, most[column]) if rng.random() < 0.6 else WORDS[int(rng.integers(len(WORDS)))]
                author.print(sheet, face, text, at, 1.2 * size, room)
            elif kind_here == "word":
                author.write(sheet, writing, [(author.word(), False)], at, 0.8 * size, room)
            elif kind_here == "mark" and marks[column]:
                author.write(sheet, writing, [(marks[column], False)], at, size, room, place=place)
            elif kind_here == "mark":
                if rng.random() < 0.5:
                    cell = (
                        x[column] + 0.2 * tall,
                        y[row] + 0.2 * tall,
                        x[column + 1] - 0.2 * tall,
                        y[row + 1] - 0.2 * tall,
                    )
                    if cell[2] - cell[0] > 4 and cell[3] - cell[1] > 4:
                        forms.doodle(sheet, cell, author.ink, writing.pen.dark, rng)
                else:
                    author.write(
                        sheet, writing, [(("-?!x" + TICK)[int(rng.integers(5))], False)], at, size, room, place=place
                    )
            elif kind_here == "long":
                author.write(sheet, writing, author.number(most[column] + 1), at, size, room, place=place)
            elif rng.random() < 0.04:
                author.write(sheet, writing, [("-?"[int(rng.integers(2))], False)], at, size, room, place=place)
            else:
                text = author.digits(1 if sudoku else least[column], 1 if sudoku else most[column])
                author.write(sheet, writing, [(text, True)], at, size, room, place="middle" if sudoku else place)


def boxes(author: Author, sheet: Sheet, rect: Rect) -> None:
    """Fields of boxes, one digit in each: touching, apart, combs; with labels; some empty or with letters."""
    rng = author.rng
    left, top, right, bottom = rect
    y = top
    face, writing, tall = author.face(), author.writers.someone(), author.tall
    wide, high = tall * rng.uniform(0.85, 1.7), tall * rng.uniform(1.15, 1.9)
    apart = 0.0 if rng.random() < 0.65 else tall * rng.uniform(0.1, 0.7)
    style = str(
        rng.choice(["full", "comb", "ticks", "sides", "dashes", "tinted"], p=[0.62, 0.1, 0.06, 0.06, 0.06, 0.1])
    )
    thick, alpha = min(max(0.6, tall * rng.uniform(0.02, 0.1)), 8.0), rng.uniform(0.3, 1.0)
    colour = np.full(3, rng.uniform(0, 0.6)) if rng.random() < 0.7 else author.colour(sheet)
    wobble = tall * 0.05 if rng.random() < 0.12 else 0.0
    while y + high < bottom:
        x = left
        if rng.random() < 0.4:
            label = WORDS[int(rng.integers(len(WORDS)))]
            if rng.random() < 0.6:
                x = author.print(sheet, face, label, (x, y + 0.7 * high), 0.7 * tall, (right - x) / 2) + 0.5 * tall
            else:
                author.print(sheet, face, label, (x, y + 0.5 * tall), 0.5 * tall, right - x)
                y += 0.7 * tall
        most = int((right - x) / (wide + apart))
        if most < 1 or y + high > bottom:
            break
        _field(
            author,
            sheet,
            writing,
            (x, y),
            min(most, int(rng.integers(1, 17))),
            (wide, high, apart),
            style,
            (thick, alpha, wobble),
            colour,
        )
        y += high + tall * rng.uniform(0.3, 2.5)
        if rng.random() < 0.15:
            break


def _field(
    author: Author,
    sheet: Sheet,
    writing: Writing,
    at: tuple[float, float],
    count: int,
    cell: tuple[float, float, float],
    style: str,
    line: tuple[float, float, float],
    colour: Floats | NDArray[np.float64],
) -> None:
    """One field of boxes; its digits are one number, even where boxes stand apart."""
    rng = author.rng
    (wide, high, apart), (thick, alpha, wobble) = cell, line
    groups = [2, 2, 4] if count == 8 and rng.random() < 0.6 else [3, 3, 4] if count == 10 and rng.random() < 0.4 else []
    breaks = set(np.cumsum(groups)[:-1].tolist())
    wider = wide * rng.uniform(0.2, 0.6)
    x = at[0] + np.concatenate([[0], np.cumsum([wide + apart + wider * (i + 1 in breaks) for i in range(count)])])
    y = at[1]
    strokes = forms.Strokes(sheet, (x[0] - 2, y - 2, x[-1] + 2, y + high + 2))
    for i in range(count):
        box = np.array([[x[i], y], [x[i] + wide, y], [x[i] + wide, y + high], [x[i], y + high]])
        if style == "full":
            if wobble:
                box = box + rng.normal(0, wobble, (4, 2))
            strokes.line(box, thick, closed=True)
        elif style == "comb":
            low = y + high * 0.65
            strokes.line(np.array([[x[i], low], [x[i], y + high], [x[i] + wide, y + high], [x[i] + wide, low]]), thick)
        elif style == "ticks":
            strokes.line(np.array([[x[i] + 0.1 * wide, y + high], [x[i] + 0.9 * wide, y + high]]), thick)
        elif style == "sides":
            strokes.line(box[[0, 3]], thick)
            if i == count - 1:
                strokes.line(box[[1, 2]], thick)
        elif style == "dashes":
            for a, b in zip(box, np.roll(box, -1, axis=0), strict=True):
                for t in np.arange(0, 1, 0.25):
                    strokes.line(np.array([a + (b - a) * t, a + (b - a) * (t + 0.13)]), thick)
        else:
            inwards = np.array([[1.0, 1], [-1, 1], [-1, -1], [1, -1]])
            strokes.fill(box + inwards * max(1.0, 0.05 * wide))
    if style == "tinted":
        strokes.lay(np.clip(np.asarray(colour, np.float32) * 0.3 + 0.65, 0, 1), 0.7, 0)
    else:
        strokes.lay(colour, alpha)
    kind = rng.random()
    letters = kind < 0.12
    filled = count if rng.random() < 0.7 else int(rng.integers(0, count + 1))
    size = min(high * rng.uniform(0.55, 0.95), author.tall * 1.3)
    loose = rng.uniform(0.02, 0.12)
    before = len(sheet.marks)
    for i in range(filled):
        text = "ABCDEFGHIJKLMNPRSTUVWXYZ"[int(rng.integers(24))] if letters else author.digits(1, 1)
        base = y + high / 2 + 0.45 * size + rng.normal(0, loose) * author.tall * 0.5
        where = x[i] + 0.05 * wide + rng.normal(0, loose) * author.tall * 0.5, base
        author.write(sheet, writing, [(text, not letters)], where, size, 0.9 * wide, place="middle")
    mine = sheet.marks[before:]
    del sheet.marks[before:]
    if mine:
        points = np.concatenate([mark.quad for mark in mine])
        (x0, y0), (x1, y1) = points.min(axis=0), points.max(axis=0)
        quad = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], np.float32)
        sheet.marks.append(
            Mark(
                quad,
                float(np.median([mark.tall for mark in mine])),
                False,
                [c for mark in mine for c in mark.characters],
            )
        )
