"""What is printed on a sheet: lines, texts and markers, in millimetres; PDF and pictures are made of the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from digitnet.forms.template import Box, Field, Markers, Template

FRAME, TOOTH = 0.3, 0.25
"""Width of a field's frame and of a comb's teeth, millimetres."""

TEETH = 0.4
"""Height of a comb's teeth, as a share of its height: writing seldom touches them."""

PALE, DARK = 0.6, 0.15
"""Grey of a field's frame, 0 black .. 1 white, and of a box to tick: pale lines are told from ink."""

LABEL, HEAD = 2.9, 6.0
"""Height of labels and of the title, millimetres."""

MODULES = 8
"""Modules on a marker's side, its black border included."""


@dataclass(frozen=True)
class Line:
    """A straight line: its ends and width in millimetres, its grey 0 black .. 1 white."""

    start: tuple[float, float]
    end: tuple[float, float]
    width: float
    grey: float


@dataclass(frozen=True)
class Label:
    """A text: the left end of its baseline and its height in millimetres."""

    at: tuple[float, float]
    height: float
    text: str


def lines(field: Field) -> Iterator[Line]:
    """Yield the lines that are printed for a field."""
    boxes = list(field.options.values()) if field.options else [field.box]
    grey = DARK if field.kind in ("mark", "choice") else PALE
    for left, top, right, bottom in boxes:
        corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
        for start, end in zip(corners, [*corners[1:], corners[0]], strict=True):
            yield Line(start, end, FRAME, grey)
    left, top, right, bottom = field.box
    for cell in range(1, field.cells or 0):
        x = left + (right - left) * cell / (field.cells or 1)
        yield Line((x, bottom - TEETH * (bottom - top)), (x, bottom), TOOTH, grey)


def labels(template: Template) -> Iterator[Label]:
    """Yield the texts that are printed on a sheet."""
    if template.title:
        edge = template.markers.inset + template.markers.size if template.markers else 10.0
        yield Label((edge + 6, edge - 1), HEAD, template.title)
    for field in template.fields:
        text = (field.label or field.name) + (" *" if field.required else "")
        if field.kind == "mark":
            yield Label((field.box[2] + 1.5, (field.box[1] + field.box[3]) / 2 + LABEL / 3), LABEL, text)
        else:
            yield Label((field.box[0], field.box[1] - 1.2), LABEL, text)
        for option, box in (field.options or {}).items():
            yield Label((box[2] + 1, (box[1] + box[3]) / 2 + LABEL / 3), LABEL, option)


def places(markers: Markers, page: tuple[float, float]) -> dict[int, Box]:
    """Return the box of each marker by its corner: 0 top left, 1 top right, 2 bottom right, 3 bottom left."""
    near, far_x, far_y = markers.inset, page[0] - markers.inset, page[1] - markers.inset
    size = markers.size
    return {
        0: (near, near, near + size, near + size),
        1: (far_x - size, near, far_x, near + size),
        2: (far_x - size, far_y - size, far_x, far_y),
        3: (near, far_y - size, near + size, far_y),
    }


@lru_cache(1)
def dictionary() -> cv2.aruco.Dictionary:
    """Return the markers: AprilTags 36h11, which differ in at least eleven of their 36 modules."""
    return cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_APRILTAG_36h11)


def modules(number: int, corner: int) -> NDArray[np.bool_]:
    """Return which modules of a marker are black: (MODULES, MODULES)."""
    return np.asarray(dictionary().generateImageMarker(4 * number + corner, MODULES) < 128)
