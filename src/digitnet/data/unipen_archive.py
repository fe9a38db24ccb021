"""The format of the UNIPEN archive: pen trajectories in files that include one another, and labels of their parts.

A page in `data/` includes files of `include/`. `.PEN_DOWN` and `.PEN_UP` begin components, which are numbered together,
from 0, through all that a page includes; those without a point do not count. `.COORD` names the columns of their
points; y goes up. `.SEGMENT kind delineation quality "label"` names components, `3-5,8`, or points in them, `3:0-5:12`.

Guyon, Schomaker, Plamondon, Liberman, Janet: "UNIPEN project of on-line data exchange and recognizer benchmarks", 1994.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from digitnet.core.errors import DataError

MAX_FILE_BYTES = 1 << 24
"""Largest file of the archive that is read, bytes."""

MAX_PAGE_BYTES = 1 << 26
"""Most bytes that a page and all its includes may have together."""

MAX_DEPTH = 4
"""Most files that include one another in a chain."""

MAX_LABELS = 20_000
"""Most labels of a page."""

MAX_POINTS = 10_000
"""Most points of one trajectory."""

MAX_LENGTH = 200
"""Longest path of the pen in one trajectory, from its first point to its last, in longer sides of its box."""

SAMPLE = 3
"""Letters of either case and words that are taken from a page each, at random but always the same ones."""

CATEGORIES = {"1a": "digits", "1b": "writing", "1c": "writing", "1d": "signs", "6": "writing", "7": "numbers"}
"""What the folders of `data/` hold: isolated digits, capital and small letters, signs, words, words with numbers."""

_KEYWORD = re.compile(r"^\.(PEN_DOWN|PEN_UP|COORD|WRITER_ID|INCLUDE|SEGMENT|[A-Z])", re.MULTILINE)
_SEGMENT = re.compile(r'\s*\S+\s+(\S+)\s+\S+\s+"(.*)"\s*')
_PART = re.compile(r"(\d{1,9})(?::(\d{1,9}))?(?:-(\d{1,9})(?::(\d{1,9}))?)?")


class Row(NamedTuple):
    """One label of the archive and its ink.

    label: as the archive writes it, with backslashes. writer: an anonymous name, the same for all of a person's pages.
    strokes: pen-down runs in order, (n, 2) float64 x, y in the archive's units; y down.
    """

    label: str
    writer: str
    strokes: list[NDArray[np.float64]]


class _Keyword(NamedTuple):
    """A keyword, what follows it up to the next one, and where it is."""

    name: str
    body: str
    path: Path
    line: int

    def error(self, fact: str) -> DataError:
        return DataError(f"{self.path}: line {self.line}: {fact}")


class _Component(NamedTuple):
    keyword: _Keyword
    x: int
    y: int
    columns: int


class Segment(NamedTuple):
    """A label, the components it names, and the keyword it was read from."""

    label: str
    delineation: str
    keyword: _Keyword


class Page(NamedTuple):
    """A page of the archive with all that it includes."""

    writer: str
    segments: list[Segment]
    components: list[_Component]

    def strokes(self, segment: Segment) -> list[NDArray[np.float64]]:
        """Return the pen-down runs that a segment names, as in `Row`; none where they are not there or a single spot.

        Raises DataError where the delineation or a coordinate is malformed, or where there is too much ink.
        """
        runs: list[NDArray[np.float64]] = []
        seen = 0
        for part in segment.delineation.split(","):
            places = _PART.fullmatch(part)
            if places is None:
                raise segment.keyword.error(f"{part[:40]!r} does not name components")
            first, start, last, stop = (int(place) if place else None for place in places.groups())
            first = first or 0
            if last is None:
                last, stop = first, start
            if last >= len(self.components):
                return []
            for number in range(first, last + 1):
                seen += 1
                if (component := self.components[number]).keyword.name == "PEN_DOWN":
                    end = stop + 1 if stop is not None and number == last else None
                    points = _points(component)[start if number == first else 0 : end]
                    seen += len(points)
                    runs += [points] if len(points) else []
                if seen > MAX_POINTS:
                    raise segment.keyword.error(f"the label names more than {MAX_POINTS} points")
        if not runs:
            return []
        points = np.concatenate(runs)
        if wrong := fault(points):
            raise segment.keyword.error(f"the label names {wrong}")
        return runs if np.ptp(points, axis=0).any() else []


def fault(points: NDArray[np.float64]) -> str | None:
    """Return what makes the points (n, 2) of a trajectory unusable, or None: too many, not finite, too long a path."""
    if len(points) > MAX_POINTS:
        return f"more than {MAX_POINTS} points"
    if not (np.abs(points) < 1e9).all():
        return "a coordinate outside -1e9..1e9"
    if np.hypot(*np.diff(points, axis=0).T).sum() > MAX_LENGTH * np.ptp(points, axis=0).max():
        return f"a path more than {MAX_LENGTH} times as long as its box"
    return None


def _points(component: _Component) -> NDArray[np.float64]:
    """Return the points (n, 2) of a component, y down."""
    keyword = component.keyword
    try:
        numbers = np.array(keyword.body.split(), np.float64).reshape(-1, component.columns)
    except ValueError as error:
        raise keyword.error(f"its points are not rows of {component.columns} numbers") from error
    return numbers[:, (component.x, component.y)] * (1, -1)


def is_archive(folder: Path) -> bool:
    """Return whether a folder is laid out as `train_r01_v07`."""
    return (folder / "data" / "1a").is_dir() and (folder / "include").is_dir()


class Archive:
    """A copy of the folder `train_r01_v07`."""

    def __init__(self, folder: Path) -> None:
        """Read the archive in `folder`. Raises DataError where a part of it is missing."""
        parts = ["include", *(f"data/{name}" for name in CATEGORIES)]
        if missing := [part for part in parts if not (folder / part).is_dir()]:
            raise DataError(f"{folder}: the folder {missing[0]} is missing; copy the whole archive")
        self.data, self.include = folder / "data", (folder / "include").resolve()
        self._scan = lru_cache(maxsize=8)(_scan)  # a writer's pages share what they include

    def rows(self) -> dict[str, list[Row]]:
        """Return the "digits", the "signs" and, of each page, a sample of the "writing": letters and words.

        Left out are all pages of everyone who wrote a whole number: numbers as people write them measure what is
        trained on the rest. Raises DataError naming the file and the line that is malformed.
        """
        found: dict[str, list[Row]] = {"digits": [], "signs": [], "writing": []}
        measured = set()
        for path, kind in self._pages():
            page = self.page(path)
            if kind == "numbers":
                if any(is_number(segment.label) for segment in page.segments):
                    measured.add(page.writer)
                continue
            chosen = [segment for segment in page.segments if belongs(text_of(segment.label), kind)]
            if kind == "writing":
                rng = np.random.default_rng(zlib.crc32(path.relative_to(self.data).as_posix().encode()))
                chosen = [chosen[i] for i in sorted(rng.permutation(len(chosen))[:SAMPLE])]
            for segment in chosen:
                if strokes := page.strokes(segment):
                    found[kind].append(Row(segment.label, page.writer, strokes))
        return {kind: [row for row in rows if row.writer not in measured] for kind, rows in found.items()}

    def _pages(self) -> list[tuple[Path, str]]:
        """Return every page and what it holds, the pages of the same name behind one another."""
        folders = [(self.data / name, kind) for name, kind in CATEGORIES.items()]
        pages = [(path, folder, kind) for folder, kind in folders for path in folder.rglob("*.dat")]
        return [
            (path, kind) for path, folder, kind in sorted(pages, key=lambda page: (page[0].relative_to(page[1]), page))
        ]

    def page(self, path: Path) -> Page:
        """Read a page and all that it includes. Raises DataError where one of the files is malformed or too large."""
        writer, x, y, columns = path.stem, 0, 1, 2
        named = False
        segments: list[Segment] = []
        components: list[_Component] = []
        for keyword in self._expanded(path):
            match keyword.name:
                case "PEN_DOWN" | "PEN_UP" if keyword.body and not keyword.body.isspace():
                    components.append(_Component(keyword, x, y, columns))
                case "COORD":
                    names = keyword.body.partition("\n")[0].split()
                    if not {"X", "Y"} <= set(names):
                        raise keyword.error(".COORD does not name X and Y")
                    x, y, columns = names.index("X"), names.index("Y"), len(names)
                case "WRITER_ID" if not named and (words := keyword.body.split(maxsplit=1)):
                    writer, named = words[0], True
                case "SEGMENT":
                    parts = _SEGMENT.fullmatch(keyword.body.partition("\n")[0])
                    if parts is None or len(segments) == MAX_LABELS:
                        raise keyword.error(f'not kind delineation quality "label", or more than {MAX_LABELS} labels')
                    segments.append(Segment(parts[2], parts[1], keyword))
        return Page("w" + hashlib.sha256(writer.encode()).hexdigest()[:8], segments, components)

    def _expanded(self, path: Path) -> Iterator[_Keyword]:
        """Yield the keywords of a page in order, each .INCLUDE replaced by those of the file it names."""
        size = 0
        waiting = [iter(self._scan(path))]
        while waiting:
            keyword = next(waiting[-1], None)
            if keyword is None:
                waiting.pop()
            elif keyword.name != "INCLUDE":
                size += len(keyword.body)
                if size > MAX_PAGE_BYTES:
                    raise keyword.error(f"{path} has more than {MAX_PAGE_BYTES} bytes with all that it includes")
                yield keyword
            elif len(waiting) > MAX_DEPTH:
                raise keyword.error(f"more than {MAX_DEPTH} files include one another")
            else:
                waiting.append(iter(self._scan(self._included(keyword))))

    def _included(self, keyword: _Keyword) -> Path:
        """Return the file that .INCLUDE names: below `include/`, or from the folder of the file that says so."""
        name = keyword.body.partition("\n")[0].strip()
        for folder in (self.include, keyword.path.parent):
            try:
                path = (folder / name).resolve()
                if path.is_relative_to(self.include) and path.is_file():
                    return path
            except (OSError, ValueError):  # too long, or a null character
                continue
        raise keyword.error(f"includes {name[:80]!r}, which is not a file below {self.include}")


def _scan(path: Path) -> tuple[_Keyword, ...]:
    """Return the keywords of one file."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    if len(content) > MAX_FILE_BYTES:
        raise DataError(f"{path}: larger than {MAX_FILE_BYTES} bytes")
    text = content.decode("latin-1").replace("\r\n", "\n").replace("\r", "\n")
    found = []
    marks = list(_KEYWORD.finditer(text))
    line, counted = 1, 0
    ends = [*(mark.start() for mark in marks), len(text)][1:]
    for mark, end in zip(marks, ends, strict=True):
        line += text.count("\n", counted, mark.start())
        counted = mark.start()
        if len(mark[1]) > 1:
            found.append(_Keyword(mark[1], text[mark.end() : end], path, line))
    return tuple(found)


def text_of(label: str) -> str:
    """Return what a label of the archive stands for: backslashes are removed; "" where a part of it is not text."""
    return "" if r"\@" in label else re.sub(r"\\(.)", r"\1", label)


def belongs(text: str, kind: str) -> bool:
    """Return whether a text is one of the "digits", of the "signs" or of the "writing", which has letters alone."""
    if kind == "writing":
        return text.isalpha()
    if kind == "digits":
        return len(text) == 1 and text in "0123456789"
    return len(text) == 1 and text.isprintable() and not text.isalnum() and not text.isspace()


def is_number(label: str) -> bool:
    """Return whether a label is a whole number or contains one: a digit beside other characters."""
    return len(label) > 1 and any(character.isdigit() for character in label)
