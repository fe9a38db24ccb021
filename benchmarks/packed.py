"""Hands and printed faces in one file of plain arrays, to compose lines and pages where the data is not."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digitnet.core.errors import DataError
from digitnet.core.files import write_atomic
from digitnet.data.pages import printing
from digitnet.data.synthesis.scribe import Glyph, Hand
from digitnet.training.line_sources import Sources
from digitnet.training.page_sources import PageSources

MAX_BYTES = 45_000_000
"""Size of the largest file that is written."""

SIGNS, LETTERS = -1, -2
"""Owners of glyphs that belong to no hand."""


def pack(path: Path, sources: PageSources, about: Mapping[str, Any]) -> None:
    """Write the hands, faces and a few words about them. Raises DataError where the file would be too large."""
    hands = sources.hands
    places: dict[int, int] = {}
    unique: list[Hand] = []
    for _, group in hands.groups:
        for hand in group:
            if id(hand) not in places:
                places[id(hand)] = len(unique)
                unique.append(hand)
    names: dict[str, int] = {}
    known: dict[int, int] = {}
    glyphs: list[Glyph] = []
    rows: list[tuple[int, int, int]] = []
    for owner, each in [*enumerate(unique), (SIGNS, hands.signs), (LETTERS, hands.letters)]:
        for label, ways in each.items():
            for glyph in ways:
                if id(glyph) not in known:
                    known[id(glyph)] = len(glyphs)
                    glyphs.append(glyph)
                rows.append((owner, names.setdefault(label, len(names)), known[id(glyph)]))
    bitmaps = [glyph for glyph in glyphs if isinstance(glyph, np.ndarray)]
    drawn = [glyph for glyph in glyphs if not isinstance(glyph, np.ndarray)]
    strokes = [stroke for glyph in drawn for stroke in glyph]
    arrays: dict[str, NDArray[Any]] = {
        "about": np.array(json.dumps(dict(about))),
        "shares": np.array([share for share, _ in hands.groups]),
        "counts": np.array([len(group) for _, group in hands.groups]),
        "members": np.array([places[id(hand)] for _, group in hands.groups for hand in group], np.int32),
        "names": np.array(list(names)),
        "rows": np.array(rows, np.int32).reshape(-1, 3),
        "bitmap": np.array([isinstance(glyph, np.ndarray) for glyph in glyphs], bool),
        "shapes": np.array([bitmap.shape for bitmap in bitmaps], np.uint16).reshape(-1, 2),
        "bits": np.concatenate([np.zeros(0, np.uint8), *(bitmap.ravel() for bitmap in bitmaps)]),
        "strokes": np.array([len(glyph) for glyph in drawn], np.uint16),
        "lengths": np.array([len(stroke) for stroke in strokes], np.uint16),
        "points": np.concatenate([np.zeros((0, 2), np.float16), *(one.astype(np.float16) for one in strokes)]),
    }
    arrays |= {f"faces_{name}": array for name, array in printing.pack(sources.faces).items()}
    file = io.BytesIO()
    np.savez_compressed(file, allow_pickle=False, **arrays)
    if file.tell() > MAX_BYTES:
        raise DataError(f"{path}: not written, for it would have {file.tell():,} bytes, more than {MAX_BYTES:,}")
    write_atomic(path, file.getvalue())


def unpack(path: Path) -> tuple[PageSources, dict[str, Any]]:
    """Return the sources that `pack` wrote, points as float16. Raises DataError if the file was not written by it."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        return _unpacked(arrays), dict(json.loads(str(arrays["about"])))
    except (OSError, ValueError, KeyError, IndexError, TypeError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: not a file of hands ({error}); write one with --pack") from error


def _unpacked(arrays: Mapping[str, NDArray[Any]]) -> PageSources:
    strokes = _cut(arrays["points"].astype(np.float32), arrays["lengths"])
    drawn = iter(np.split(np.arange(len(strokes)), np.cumsum(arrays["strokes"].astype(int))[:-1]))
    bits = iter(_cut(arrays["bits"], arrays["shapes"].astype(int).prod(axis=1)))
    shapes = iter(arrays["shapes"].tolist())
    glyphs: list[Glyph] = [
        next(bits).reshape(next(shapes)) if bitmap else tuple(strokes[i] for i in next(drawn))
        for bitmap in arrays["bitmap"]
    ]
    members, names = arrays["members"].tolist(), arrays["names"].tolist()
    owners: dict[int, dict[str, list[Glyph]]] = {owner: {} for owner in (*members, SIGNS, LETTERS)}
    for owner, name, glyph in arrays["rows"].tolist():
        owners[owner].setdefault(names[name], []).append(glyphs[glyph])
    hands, groups = iter(members), []
    for share, count in zip(arrays["shares"].tolist(), arrays["counts"].tolist(), strict=True):
        groups.append((share, [owners[next(hands)] for _ in range(count)]))
    faces = {name.removeprefix("faces_"): array for name, array in arrays.items() if name.startswith("faces_")}
    return PageSources(Sources(tuple(groups), owners[SIGNS], owners[LETTERS]), printing.unpack(faces))


def _cut(array: NDArray[Any], lengths: NDArray[Any]) -> list[NDArray[Any]]:
    return np.split(array, np.cumsum(lengths.astype(int))[:-1])
