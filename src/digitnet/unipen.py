"""Real pen trajectories of many writers: the digits, signs, letters and words of the UNIPEN archive.

A trajectory is worth more than a bitmap: it can be drawn at any size with any pen. The archive is "UNIPEN
train_r01_v07" (Guyon, Schomaker, Plamondon, Liberman, Janet 1994), released by the International Unipen Foundation
under CC BY 4.0, doi 10.5281/zenodo.1195803.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from digitnet.errors import DataError

Strokes = tuple[NDArray[np.float32], ...]
"""Pen-down runs in order, each (n, 2) float32 x, y; y down. The whole is one high, or one wide where it is wider."""

SPACING = 0.04
"""Distance between neighbouring points of a stroke, in heights of the trajectory."""

HELD_OUT = 8
"""One writer in so many is held out of training, to validate and calibrate on."""


@dataclass(frozen=True, eq=False)
class Trajectory:
    """One character or word as one person wrote it.

    label: what is written. writer: an anonymous name. strokes: see `Strokes`; they begin at x, y = 0, 0.
    """

    label: str
    writer: str
    strokes: Strokes


def trajectories(path: Path) -> Iterator[Trajectory]:
    """Read trajectories from a gzip file of JSON lines, {"label", "writer", "strokes"}.

    Raises DataError where the file cannot be read or is not of this form.
    """
    try:
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                try:
                    row = json.loads(line)
                    strokes = [np.asarray(stroke, np.float32).reshape(-1, 2) for stroke in row["strokes"]]
                    label, writer = str(row["label"]), str(row["writer"])
                except (ValueError, KeyError, TypeError) as error:
                    raise DataError(f"{path}: line {number} is not a trajectory ({error})") from error
                if strokes := [stroke for stroke in strokes if len(stroke)]:
                    yield Trajectory(label.replace("\\", "") or label, writer, normalized(strokes))
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error


def held_out(writer: str) -> bool:
    """Return whether a writer is held out of training, always the same for a name."""
    return hashlib.sha256(writer.encode()).digest()[0] % HELD_OUT == 0


def normalized(strokes: list[NDArray[np.float32]]) -> Strokes:
    """Move strokes to the origin, scale their longer side to 1, and space their points evenly, `SPACING` apart."""
    points = np.concatenate(strokes)
    low, size = points.min(axis=0), float(np.ptp(points, axis=0).max())
    return tuple(_resampled((stroke - low) / max(size, 1e-6)) for stroke in strokes)


def _resampled(stroke: NDArray[np.float32]) -> NDArray[np.float32]:
    steps = np.hypot(*np.diff(stroke, axis=0).T)
    along = np.concatenate([[0], np.cumsum(steps)])
    if along[-1] < SPACING / 2:
        return stroke[:1]
    places = np.linspace(0, along[-1], max(2, round(float(along[-1]) / SPACING) + 1))
    return np.stack([np.interp(places, along, stroke[:, 0]), np.interp(places, along, stroke[:, 1])], 1).astype(
        np.float32
    )
