"""Real pen trajectories of many writers: the digits, signs, letters and words of the UNIPEN archive.

A trajectory is worth more than a bitmap: it can be drawn at any size with any pen. The archive is "UNIPEN
train_r01_v07" (Guyon, Schomaker, Plamondon, Liberman, Janet 1994), released by the International Unipen Foundation
under CC BY 4.0, doi 10.5281/zenodo.1195803. It is read once; its trajectories are then kept in three files of JSON
lines.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import logging
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from digitnet.core.errors import DataError
from digitnet.core.files import write_atomic
from digitnet.data.datasets import TRAJECTORIES, data_folder
from digitnet.data.unipen_archive import Archive, Row, belongs, fault, is_archive, text_of

log = logging.getLogger("digitnet")

Strokes = tuple[NDArray[np.float32], ...]
"""Pen-down runs in order, each (n, 2) float32 x, y; y down. The whole is one high, or one wide where it is wider."""

SPACING = 0.04
"""Distance between neighbouring points of a stroke, in heights of the trajectory."""

HELD_OUT = 8
"""One writer in so many is held out of training, to validate and calibrate on."""

ABOUT = "pen trajectories of digits, signs, letters and words"
"""What the set holds, in a line."""

FILES = {
    "digits": "unipen-digits.jsonl.gz",
    "signs": "unipen-signs.jsonl.gz",
    "writing": "unipen-words-letters.jsonl.gz",
}
"""The files of JSON lines that the set is kept in."""

LAYOUTS = ("", "train_r01_v07", "CDROM/train_r01_v07")
"""Where the archive may be inside a folder."""

MAX_LINE_BYTES = 1 << 20
"""Longest line of a file of JSON lines, bytes."""

MAX_UNPACKED_BYTES = 1 << 29
"""Most bytes of such a file, once unpacked."""

HEIGHT, WIDTH = 500, 6_000
"""Height and largest width in which trajectories are kept, in the whole numbers of the files."""

NUMBERS = "unipen-numbers.jsonl.gz"
"""A file of whole numbers that may lie beside the three: they measure reading, so their writers are not trained on."""


@dataclass(frozen=True, eq=False)
class Trajectory:
    """One character or word as one person wrote it.

    label: what is written. writer: an anonymous name. strokes: see `Strokes`; they begin at x, y = 0, 0.
    """

    label: str
    writer: str
    strokes: Strokes


@dataclass(frozen=True, eq=False)
class Collection:
    """The trajectories that may be trained on: digits, signs, and writing that is not a number (letters and words).

    People whose whole numbers measure reading are not part of it: files made from the archive hold no such writer, and
    where a file `NUMBERS` lies beside the three, its writers are left out. About one label in a hundred is wrong.
    """

    digits: tuple[Trajectory, ...]
    signs: tuple[Trajectory, ...]
    writing: tuple[Trajectory, ...]


def load(data_dir: str | Path | None = None) -> Collection:
    """Return the collection, from the three files or, the first time, from a copy of the archive.

    data_dir: the folder of named sets; see `datasets.data_folder`. Raises DataError as `get` and `trajectories`.
    """
    paths = get(data_dir)
    numbers = paths[0].with_name(NUMBERS)
    measured = {one.writer for one in trajectories(numbers)} if numbers.is_file() else set()
    parts = {}
    for kind, path in zip(FILES, paths, strict=True):
        known = (one for one in trajectories(path) if belongs(one.label, kind))
        parts[kind] = tuple(one for one in known if one.writer not in measured)
    return Collection(**parts)


def find(data_dir: str | Path | None = None) -> Path | None:
    """Return the folder of the three files, else that of a copy of the archive, else None.

    Looked through are `DIR/unipen` and DIR, where DIR is `datasets.data_folder`; the archive may be in them as
    `train_r01_v07` or `CDROM/train_r01_v07`, or be the folder itself.
    """
    folder = data_folder(data_dir)
    places = [folder / TRAJECTORIES, folder]
    for place in places:
        if _has_files(place):
            return place
    return next((place / layout for place in places for layout in LAYOUTS if is_archive(place / layout)), None)


def _has_files(folder: Path) -> bool:
    return all((folder / name).is_file() for name in FILES.values())


def get(data_dir: str | Path | None = None) -> list[Path]:
    """Return the paths of the three files, in the order of `FILES`; make them from a copy of the archive if need be.

    They are written into `DIR/unipen`. Raises DataError saying what to download and where to put it, or what is wrong
    with the archive.
    """
    folder = data_folder(data_dir) / TRAJECTORIES
    place = find(data_dir)
    if place is None:
        raise DataError(
            f"{TRAJECTORIES}: not found, and not downloaded because digitnet does not know its checksum: get "
            "unipen-CDROM-train_r01_v07.tgz from https://doi.org/10.5281/zenodo.1195803, unpack it, and put its "
            f"folder train_r01_v07 into {folder}, or name a folder that contains it with --data-dir or DIGITNET_DATA"
        )
    if not _has_files(place):
        log.info("Reading the archive in %s: half a minute or more, once", place)
        rows = Archive(place).rows()
        place = folder
        for kind, name in FILES.items():
            try:
                write_atomic(folder / name, _packed(rows[kind]))
            except OSError as error:
                raise DataError(
                    f"{folder / name}: cannot be written ({error.strerror}); put the archive into a writable folder"
                ) from error
    return [place / name for name in FILES.values()]


def _packed(rows: Sequence[Row]) -> bytes:
    """Return rows as a gzip file of JSON lines, the same bytes for the same rows."""
    lines = []
    for label, writer, strokes in rows:
        points = np.concatenate(strokes)
        low, size = points.min(axis=0), np.ptp(points, axis=0)
        scale = min(WIDTH / max(size[0], 1e-9), HEIGHT / max(size[1], 1e-9))
        whole = [np.rint((stroke - low) * scale).astype(int).tolist() for stroke in strokes]
        lines.append(json.dumps({"label": label, "writer": writer, "strokes": whole}, separators=(",", ":")))
    return gzip.compress("".join(f"{line}\n" for line in lines).encode(), mtime=0)


def trajectories(path: Path) -> Iterator[Trajectory]:
    """Read trajectories from a gzip file of JSON lines, {"label", "writer", "strokes": [[[x, y], ...], ...]}; y down.

    Those without extent are skipped, and those whose label is not text. Raises DataError where the file cannot be read
    or is not of this form, naming the line.
    """
    rows = _rows(path)
    while batch := list(islice(rows, 1_000)):
        for row, strokes in zip(batch, _normalized([row.strokes for row in batch]), strict=True):
            yield Trajectory(row.label, row.writer, strokes)


def _rows(path: Path) -> Iterator[Row]:
    """Yield the rows of a file of JSON lines that `trajectories` reads, with their labels as text."""
    size = number = 0
    try:
        with gzip.open(path, "rb") as lines:
            while line := lines.readline(MAX_LINE_BYTES + 1):
                number += 1
                size += len(line)
                if len(line) > MAX_LINE_BYTES or size > MAX_UNPACKED_BYTES:
                    limits = f"{MAX_LINE_BYTES} bytes a line and {MAX_UNPACKED_BYTES} in all"
                    raise DataError(f"{path}: line {number} exceeds {limits}")
                if (row := _row(line, f"{path}: line {number}")) is not None:
                    yield row
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from error
    if not number:
        raise DataError(f"{path}: is empty; copy it again")


def _row(line: bytes, place: str) -> Row | None:
    """Return one line's row, or None where it is to be skipped. Raises DataError, beginning with `place`."""
    try:
        row = json.loads(line)
        label, writer = row["label"], row["writer"]
        strokes = [np.array(stroke, np.float64) for stroke in row["strokes"] if stroke]
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise DataError(f"{place} is not a trajectory ({type(error).__name__}: {error})") from error
    if not isinstance(label, str) or not isinstance(writer, str):
        raise DataError(f"{place} is not a trajectory (label and writer must be strings)")
    if not all(stroke.ndim == 2 and stroke.shape[1] == 2 for stroke in strokes):
        raise DataError(f"{place} is not a trajectory (strokes must be lists of pairs of numbers)")
    text = text_of(label)
    if not strokes or not text:
        return None
    points = np.concatenate(strokes)
    if wrong := fault(points):
        raise DataError(f"{place} has {wrong}")
    return Row(text, writer, strokes) if np.ptp(points, axis=0).any() else None


def held_out(writer: str) -> bool:
    """Return whether a writer is held out of training, always the same for a name."""
    return hashlib.sha256(writer.encode()).digest()[0] % HELD_OUT == 0


def normalized(strokes: Sequence[NDArray[np.floating]]) -> Strokes:
    """Move strokes to the origin, scale their longer side to 1, and space their points evenly, `SPACING` apart."""
    return _normalized([strokes])[0]


def _normalized(many: Sequence[Sequence[NDArray[np.floating]]]) -> list[Strokes]:
    """Normalize many trajectories at once, which takes a tenth of the time."""
    points = np.concatenate([stroke for strokes in many for stroke in strokes]).astype(np.float64)
    counts = np.array([len(stroke) for strokes in many for stroke in strokes])  # points of each stroke
    runs = np.array([len(strokes) for strokes in many])  # strokes of each trajectory
    starts = np.cumsum(counts) - counts
    firsts = starts[np.cumsum(runs) - runs]
    sizes = np.diff(firsts, append=len(points))  # points of each trajectory
    low, high = np.minimum.reduceat(points, firsts), np.maximum.reduceat(points, firsts)
    longer = np.maximum((high - low).max(axis=1), 1e-6)
    spaced = _spaced((points - np.repeat(low, sizes, axis=0)) / np.repeat(longer, sizes)[:, None], starts, counts)
    return [tuple(islice(spaced, count)) for count in runs]


def _spaced(
    points: NDArray[np.float64], starts: NDArray[np.int_], counts: NDArray[np.int_]
) -> Iterator[NDArray[np.float32]]:
    """Yield the strokes that begin at `starts` of points (n, 2), their points spaced evenly."""
    steps = np.hypot(*np.diff(points, axis=0, prepend=points[:1]).T)
    steps[starts] = 1  # one axis for all strokes, with gaps between them
    along = np.cumsum(steps)
    begin, end = along[starts], along[starts + counts - 1]
    length = end - begin
    new = np.where(length < SPACING / 2, 1, np.maximum(2, np.rint(length / SPACING).astype(int) + 1))
    nth = np.arange(new.sum()) - np.repeat(np.cumsum(new) - new, new)
    places = np.repeat(begin, new) + nth * np.repeat(length / np.maximum(new - 1, 1), new)
    columns = [np.interp(places, along, points[:, column]) for column in (0, 1)]
    yield from np.split(np.stack(columns, 1).astype(np.float32), np.cumsum(new)[:-1])
