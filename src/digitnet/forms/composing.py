"""Filled sheets with known contents, as a scanner or a camera sees them: to try a template and to measure by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from digitnet.core.digits import Digits
from digitnet.data.synthesis.handstyle import Style
from digitnet.data.synthesis.pens import Pen, random_pen
from digitnet.data.synthesis.scribe import DRAWN, Glyph, Hand, Penman, Scribe
from digitnet.data.synthesis.strokes import DRAWN_SIGNS, inventions
from digitnet.data.synthesis.writers import styles
from digitnet.forms.filling import Contents, contents
from digitnet.forms.printing import picture
from digitnet.forms.template import Field, Template

SCALE = 8.0
"""Pixels to a millimetre on which sheets are written."""

WAYS = {"scanned": 0.4, "photographed": 0.25, "turned": 0.2, "creased": 0.15}
"""How sheets are seen, and how often."""


@dataclass(frozen=True, eq=False)
class Filled:
    """A filled sheet. image: (h, w) uint8, 0 black .. 255 white. way: one of `WAYS`. turned: degrees clockwise."""

    image: NDArray[np.uint8]
    contents: Contents
    way: str
    turned: int = 0


class SheetComposer:
    """Fills sheets of a form with the hands it is given; a seed gives the same bytes."""

    def __init__(self, template: Template, hands: Sequence[tuple[float, Sequence[Hand]]], seed: int = 0) -> None:
        """Take a template, and the hands of `hands_of`."""
        self.template = template
        self.rng = np.random.default_rng(seed)
        self.scribe = Scribe(hands, DRAWN_SIGNS, {}, seed)
        self.blank = picture(template, SCALE)

    def sheet(self, way: str | None = None) -> Filled:
        """Fill a sheet by one random writer; way: how it is seen, by default as often as `WAYS` says."""
        rng = self.rng
        way = way or str(rng.choice(list(WAYS), p=list(WAYS.values())))
        its = contents(self.template, rng)
        page = self.blank.astype(np.float32)
        penman = self.scribe.penman(_pen(rng))
        penman = replace(penman, style=_neat(penman.style))
        for field in self.template.fields:
            if text := its[field.name]:
                self._fill(page, field, text, penman)
        sheet = np.clip(page, 0, 255).astype(np.uint8)
        turned = int(rng.choice((90, 180, 270))) if way == "turned" else 0
        return Filled(seen(sheet, way, turned, rng), its, way, turned)

    def _fill(self, page: NDArray[np.float32], field: Field, text: str, penman: Penman) -> None:
        """Write a field's content on the page."""
        rng = self.rng
        left, top, right, bottom = (edge * SCALE for edge in field.box)
        if field.kind in ("mark", "choice"):
            box = (field.options or {}).get(text, field.box)
            self._tick(page, [edge * SCALE for edge in box], penman)
            return
        tall = (bottom - top) * float(rng.uniform(0.5, 0.75)) if field.kind != "area" else 5 * SCALE
        if field.kind != "comb":
            room = right - left - 1.5 * SCALE
            ink = self.scribe.ink(text, penman)
            times = min(tall / DRAWN, room / ink.shape[1], 1.1 * (bottom - top) / ink.shape[0])
            foot = bottom - (bottom - top - ink.shape[0] * times) * float(rng.uniform(0.2, 0.7))
            spare = max(0.0, room - ink.shape[1] * times)
            self._lay(page, ink, times, left + 0.5 * SCALE + spare * float(rng.uniform(0, 0.5)), foot, penman)
            return
        cells = field.cells or 1
        wide = (right - left) / cells
        first = 0 if len(text) == cells or rng.random() < 0.5 else cells - len(text)
        for place, digit in enumerate(text, first):
            ink = self.scribe.ink(digit, penman)
            times = min(tall / DRAWN, 0.85 * wide / ink.shape[1])
            x = left + (place + 0.5) * wide - ink.shape[1] * times / 2 + float(rng.normal(0, 0.05)) * wide
            foot = bottom - (bottom - top - ink.shape[0] * times) * float(rng.uniform(0.35, 0.65))
            self._lay(page, ink, times, x, foot, penman)

    def _lay(
        self, page: NDArray[np.float32], ink: NDArray[np.uint8], times: float, x: float, foot: float, penman: Penman
    ) -> None:
        size = max(1, round(ink.shape[1] * times)), max(1, round(ink.shape[0] * times))
        alpha = cv2.resize(ink, size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
        left, top = max(0, round(x)), max(0, round(foot - size[1]))
        part = page[top : top + size[1], left : left + size[0]]
        part *= 1 - alpha[: part.shape[0], : part.shape[1]] * np.float32(penman.pen.dark)

    def _tick(self, page: NDArray[np.float32], box: Sequence[float], penman: Penman) -> None:
        """Tick a box: a cross, a check mark or a stroke that fills most of it."""
        rng = self.rng
        left, top, right, bottom = box
        side = min(right - left, bottom - top)
        shapes = (
            [[(0.1, 0.1), (0.9, 0.9)], [(0.9, 0.1), (0.1, 0.9)]],
            [[(0.05, 0.5), (0.4, 0.95), (1.1, -0.15)]],
            [[(0.1, 0.2), (0.9, 0.3), (0.1, 0.5), (0.9, 0.6), (0.1, 0.8), (0.9, 0.9)]],
        )
        mask = np.zeros(page.shape, np.uint8)
        for stroke in shapes[int(rng.integers(3))]:
            points = np.array(stroke) * side + (left, top) + rng.normal(0, 0.06 * side, (len(stroke), 2))
            fixed = np.round(points * 16).astype(np.int32).reshape(-1, 1, 2)
            cv2.polylines(mask, [fixed], False, 255, max(3, round(0.09 * side)), cv2.LINE_AA, 4)
        page *= 1 - mask.astype(np.float32) * np.float32(penman.pen.dark / 255)


def hands_of(digits: Digits | None = None) -> list[tuple[float, Sequence[Hand]]]:
    """Return the hands to fill sheets with: invented ones, and those of labelled digits where they are given.

    Their shapes are those taught in schools: of the rare ones some are not told apart even by people.
    """
    groups: list[tuple[float, Sequence[Hand]]] = [(0.4, inventions(100, 2**31, rare=False))]
    if digits is not None:
        ways: list[dict[str, Sequence[Glyph]]] = [
            {str(value): list(glyphs) for value, glyphs in enumerate(writer)} for writer in styles(digits)
        ]
        groups.append((0.6, ways))
    return groups


def _neat(style: Style) -> Style:
    """Return the style of someone who fills in a form and writes to be read: digits side by side, none joined."""
    gap, jitter = max(style.gap, 0.06), min(style.jitter, 0.03)
    drift = float(np.clip(style.drift, -0.03, 0.03))
    return replace(style, gap=gap, jitter=jitter, slant=min(style.slant, 0.35), drift=drift, join=0.0)


def _pen(rng: np.random.Generator) -> Pen:
    """Return a pen that people fill forms with: neither a marker nor a stylus of one pixel."""
    while True:
        pen = random_pen(rng)
        if 0.035 <= pen.width <= 0.14 and pen.dark >= 0.55:
            return pen


def seen(sheet: NDArray[np.uint8], way: str, turned: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return what a scanner or a camera makes of a sheet (h, w) uint8; see `Filled`."""
    if way == "creased":
        sheet = _creased(sheet, rng)
    photo = way == "photographed" or (way != "scanned" and rng.random() < 0.5)
    if turned:
        turn = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}[turned]
        sheet = np.asarray(cv2.rotate(sheet, turn), np.uint8)
    height, width = sheet.shape
    scale = float(rng.uniform(5.9, 8.2)) / SCALE
    size = round(width * scale), round(height * scale)
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    if photo:
        angle, skew = float(rng.normal(0, 3)), 0.02
    else:
        angle, skew = float(rng.normal(0, 0.6)), 0.0
    turn_by = cv2.getRotationMatrix2D((width / 2, height / 2), angle, scale)
    turn_by[:, 2] += (size[0] / 2 - width / 2, size[1] / 2 - height / 2)
    target = corners @ turn_by[:, :2].T + turn_by[:, 2] + rng.normal(0, skew, (4, 2)) * scale * width
    if photo:  # whoever takes a picture of a sheet takes all of it
        low, high = target.min(axis=0), target.max(axis=0)
        size = round(float((high - low)[0]) * 1.06), round(float((high - low)[1]) * 1.06)
        target += np.array(size) / 2 - (low + high) / 2
    else:
        target += rng.normal(0, 1.2, 2) * scale * SCALE
    matrix = cv2.getPerspectiveTransform(corners, target.astype(np.float32))
    desk = float(rng.uniform(20, 170)) if photo else 255.0
    how: dict[str, Any] = {"flags": cv2.INTER_AREA, "borderMode": cv2.BORDER_CONSTANT, "borderValue": desk}
    soft = cv2.GaussianBlur(sheet, (0, 0), 0.35 / scale)
    image = cv2.warpPerspective(soft, matrix, size, **how).astype(np.float32)
    if photo:
        light = (1 + 0.22 * rng.standard_normal((2, 3))).clip(0.55, 1.25).astype(np.float32)
        image *= cv2.resize(light, size, interpolation=cv2.INTER_CUBIC) * np.float32(rng.uniform(0.65, 1.0))
        image = cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.3, 1.0))).astype(np.float32)
    else:
        image = image * np.float32(rng.uniform(0.9, 1.02)) + np.float32(rng.uniform(-5, 10))
    image += rng.normal(0, rng.uniform(0.5, 6 if photo else 3), image.shape).astype(np.float32)
    grey = np.clip(image, 0, 255).astype(np.uint8)
    packed = cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(55, 95))])[1]
    return np.asarray(cv2.imdecode(packed, cv2.IMREAD_GRAYSCALE), np.uint8)


def _creased(sheet: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return a sheet that was folded once or twice: it bulges along the fold by up to a millimetre, one side darker."""
    height, width = sheet.shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    light = np.ones(sheet.shape, np.float32)
    for across in ((True,), (False,), (True, False))[int(rng.integers(3))]:
        along, other, length = (y, x, height) if across else (x, y, width)
        fold = length * float(rng.uniform(0.3, 0.7)) + np.float32(rng.normal(0, 0.02)) * (other - other.mean())
        away = (along - fold) / np.float32(length)
        bulge = np.float32(rng.uniform(-1, 1) * SCALE) * np.exp(-np.abs(away) / np.float32(rng.uniform(0.03, 0.2)))
        other += bulge
        along += np.float32(rng.uniform(-0.6, 0.6) * SCALE) * np.exp(-np.abs(away) / np.float32(0.1))
        shade = np.float32(rng.uniform(0.04, 0.2))
        light *= 1 - shade * (away > 0) * np.exp(-np.abs(away) / np.float32(0.15))
        light *= 1 - np.float32(rng.uniform(0.1, 0.3)) * np.exp(-((away * np.float32(length / 4)) ** 2))
    moved = cv2.remap(sheet, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=255)
    return np.asarray(np.clip(moved * light, 0, 255), np.uint8)
