"""Which form a page is a sheet of, and where its fields are: by printed markers, or by features of a reference picture.

A page is accepted where all of the sheet is seen, or all but one corner; else a `Refused` names the reason. Nothing is
read of a sheet that was refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from digitnet.forms.layout import dictionary, places
from digitnet.forms.reference import Reference, matched
from digitnet.forms.template import Box, Template

CORNERS = ("top left", "top right", "bottom right", "bottom left")
"""The corners of a sheet, clockwise."""

SEARCHED_SIDES = 1_200, 2_400
"""Pixels of a page's longer side on which markers are looked for, and where fewer than four are found again."""

SEARCH_RADIUS = 0.9
"""How far around its place a missing marker is looked for again, in sides of it."""

MODULE_PIXELS = 12
"""Pixels to a module when a marker is looked for again."""

REASONS = {
    "no_form": "not a sheet of a known form",
    "other_form": "a sheet of another form",
    "half_sheet": "only part of the sheet is visible",
    "several_sheets": "several sheets in one image",
}
"""Why a page is refused, by code."""

Points = NDArray[np.float64]
"""(n, 2) x and y."""


@dataclass(frozen=True, eq=False)
class Registered:
    """A sheet that was recognised.

    template: its form. to_page: (3, 3) homography from millimetres of the sheet to pixels of the page. turned: degrees
    clockwise by which the sheet lies turned: 0, 90, 180 or 270. missing: corners not seen, numbers of `CORNERS`.
    """

    template: Template
    to_page: NDArray[np.float64]
    turned: int
    missing: tuple[int, ...] = ()


@dataclass(frozen=True)
class Refused:
    """A page that is not read. code: of `REASONS`. note: what is known about it, one line."""

    code: str
    note: str


class Registrar:
    """Registers pages to one of some templates. Safe to share between threads."""

    def __init__(self, templates: Sequence[Template], references: Sequence[Reference] = ()) -> None:
        """Take templates with markers, and references of those without."""
        self.numbers = {each.markers.number: each for each in templates if each.markers}
        self.references = references

    def register(self, page: NDArray[np.uint8]) -> Registered | Refused:
        """Return where the sheet on a page lies (h, w) uint8, or why it is refused."""
        found = _markers(page)
        refused: Refused | None = None
        if found:
            answer = self._by_markers(page, found)
            if isinstance(answer, Registered):
                return answer
            refused = answer
        if self.references and (refused is None or refused.code == "other_form"):
            match = matched(page, self.references)
            if match is not None:
                missing = match.missing
                if len(missing) > 1:
                    shown = " and ".join(CORNERS[corner] for corner in missing)
                    return Refused("half_sheet", f"form {match.template.name}: the {shown} corners are not visible")
                return Registered(match.template, match.to_page, _turned(match.to_page), missing)
        return refused or Refused("no_form", "no markers of a form and no known sheet found")

    def _by_markers(self, page: NDArray[np.uint8], found: Sequence[tuple[int, Points]]) -> Registered | Refused:
        """Return the sheet that markers (id, (4, 2) corners) stand on."""
        known = sorted({number for marker, _ in found if (number := marker // 4) in self.numbers})
        if not known:
            other = listed_numbers({marker // 4 for marker, _ in found})
            return Refused("other_form", f"its markers are those of form number {other}")
        several = Refused("several_sheets", "markers of several sheets; scan them one at a time")
        if len(known) > 1:
            return several
        template = self.numbers[known[0]]
        its: dict[int, Points] = {}
        for marker, corners in found:
            if marker // 4 == known[0]:
                if marker % 4 in its:
                    return several
                its[marker % 4] = corners
        if len(its) < 2:
            return Refused("half_sheet", f"form {template.name}: {_without(its)}")
        to_page = _homography(template, its)
        for corner in set(range(4)) - its.keys():
            if (again := _again(page, template, to_page, known[0], corner)) is not None:
                its[corner] = again
        missing = tuple(sorted(set(range(4)) - its.keys()))
        if len(missing) > 1:
            return Refused("half_sheet", f"form {template.name}: {_without(its)}")
        to_page = _homography(template, its)
        return Registered(template, to_page, _turned(to_page), missing)


def listed_numbers(numbers: set[int]) -> str:
    """Return some numbers in words."""
    return ", ".join(str(number) for number in sorted(numbers)[:3])


def _without(found: dict[int, Points]) -> str:
    missing = [CORNERS[corner] for corner in range(4) if corner not in found]
    return f"the {', '.join(missing[:-1])} and {missing[-1]} markers are not visible"


@lru_cache(1)
def _detector() -> cv2.aruco.ArucoDetector:
    parameters = cv2.aruco.DetectorParameters()
    parameters.cornerRefinementMethod = cv2.aruco.CORNER_REFINE_SUBPIX
    parameters.minMarkerPerimeterRate = 0.02
    parameters.errorCorrectionRate = 0.4
    return cv2.aruco.ArucoDetector(dictionary(), parameters)


def _markers(page: NDArray[np.uint8]) -> list[tuple[int, Points]]:
    """Return the markers on a page: each its id and its corners, (4, 2) in pixels, clockwise from its top left."""
    found: list[tuple[int, Points]] = []
    for side in SEARCHED_SIDES:
        times = max(1.0, max(page.shape) / side)
        small = page
        if times > 1:
            size = max(1, round(page.shape[1] / times)), max(1, round(page.shape[0] / times))
            small = np.asarray(cv2.resize(page, size, interpolation=cv2.INTER_AREA), np.uint8)
        back = np.diag([page.shape[1] / small.shape[1], page.shape[0] / small.shape[0], 1])
        found = max(found, list(_detected(small, back)), key=len)
        if len(found) >= 4 or times == 1:
            break
    return found


def _detected(picture: NDArray[np.uint8], back: NDArray[np.float64]) -> Iterator[tuple[int, Points]]:
    if min(picture.shape) < 16:
        return
    corners, ids, _ = _detector().detectMarkers(picture)
    for quad, marker in zip(corners, () if ids is None else np.ravel(ids).tolist(), strict=True):
        middle = np.asarray(quad, np.float64).reshape(1, 4, 2) + 0.5  # pixels' centres are at halves
        yield int(marker), cv2.perspectiveTransform(middle, back)[0]


def _again(
    page: NDArray[np.uint8], template: Template, to_page: NDArray[np.float64], number: int, corner: int
) -> Points | None:
    """Look for a missing marker around the place where it should be, enlarged and upright."""
    left, top, right, _ = _places(template)[corner]
    room = SEARCH_RADIUS * (right - left)
    scale = MODULE_PIXELS * 8 / (right - left)
    place = np.array([[1 / scale, 0, left - room], [0, 1 / scale, top - room], [0, 0, 1]])
    side = round((right - left + 2 * room) * scale)
    back = to_page @ place
    patch = cv2.warpPerspective(
        page, back, (side, side), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderValue=255
    )
    for picture in (patch, cv2.normalize(cv2.GaussianBlur(patch, (0, 0), 2), None, 0, 255, cv2.NORM_MINMAX)):  # type: ignore[call-overload]
        for marker, corners in _detected(np.asarray(picture, np.uint8), back):
            if marker == 4 * number + corner:
                return corners
    return None


def _places(template: Template) -> dict[int, Box]:
    return places(template.markers, template.page) if template.markers else {}


def _homography(template: Template, found: dict[int, Points]) -> NDArray[np.float64]:
    """Return the homography from millimetres to pixels that fits the corners of markers best."""
    boxes = _places(template)
    sheet, page = [], []
    for corner, points in found.items():
        left, top, right, bottom = boxes[corner]
        sheet += [(left, top), (right, top), (right, bottom), (left, bottom)]
        page += points.tolist()
    matrix, _ = cv2.findHomography(np.array(sheet, np.float64), np.array(page, np.float64), 0)
    return np.asarray(matrix, np.float64)


def _turned(to_page: NDArray[np.float64]) -> int:
    """Return by how many degrees clockwise a sheet lies turned, a multiple of 90."""
    (x0, y0), (x1, y1) = cv2.perspectiveTransform(np.array([[[0.0, 0.0], [100.0, 0.0]]]), to_page)[0]
    return round(float(np.degrees(np.arctan2(y1 - y0, x1 - x0))) / 90) % 4 * 90
