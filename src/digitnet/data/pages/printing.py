"""Print on a sheet: text in many fonts, with known numbers.

Fonts are drawn once into an atlas, so that composing needs neither Pillow nor the fonts themselves.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from digitnet.data.pages.sheet import PRINT, PRINTED_NUMBER, SIGN, Colour, Floats, Mark, Sheet

DRAWN = 40
"""Size in which fonts are drawn into the atlas, pixels to an em."""

CHARACTERS = "".join(map(chr, range(33, 127))) + "€£°×÷–äöüßéèñçå"
"""Characters of the atlas."""

SCRIPTS = ((0x391, 0x3A1), (0x3B1, 0x3C9), (0x410, 0x44F), (0x5D0, 0x5EA), (0x627, 0x63A), (0x10D0, 0x10F0))
"""First and last letters of other scripts, Greek to Georgian, of fonts that have them."""

TYPEFACES = (
    *("DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSansMono", "DejaVuSansMono-Bold"),
    *("DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSerif-Italic", "STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic"),
    *("cmr10", "cmss10", "cmtt10"),
)
"""Printed faces that come with matplotlib."""

_NUMBER = re.compile(r"(?<![A-Za-z0-9])[+-]?\d[\d.,:/%-]*(?![A-Za-z])")


@dataclass(frozen=True, eq=False)
class Face:
    """A font: of each character its bitmap (h, w) uint8, where it begins right of the pen and below the ascent, and
    how far the pen moves on; pixels of `DRAWN`.
    """

    name: str
    glyphs: Mapping[str, tuple[NDArray[np.uint8], int, int, float]]
    ascent: int
    scaled: dict[tuple[int, str], tuple[NDArray[np.uint8], int, int, float]] = field(default_factory=dict)

    def glyph(self, character: str, size: int) -> tuple[NDArray[np.uint8], int, int, float] | None:
        """Return a character at a size, pixels to an em."""
        key = (size, character)
        if key not in self.scaled:
            if character not in self.glyphs:
                return None
            if len(self.scaled) > 4000:
                self.scaled.clear()
            bitmap, left, top, advance = self.glyphs[character]
            times = size / DRAWN
            shape = max(1, round(bitmap.shape[1] * times)), max(1, round(bitmap.shape[0] * times))
            small = cv2.resize(bitmap, shape, interpolation=cv2.INTER_AREA if times < 1 else cv2.INTER_CUBIC)
            self.scaled[key] = (
                np.asarray(small, np.uint8),
                round(left * times),
                round((top - self.ascent) * times),
                advance * times,
            )
        return self.scaled[key]


def typefaces() -> list[Path]:
    """Return the files of `TYPEFACES`."""
    import matplotlib

    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    return [folder / f"{name}.ttf" for name in TYPEFACES]


def draw_face(path: Path, scripts: bool = False) -> Face:
    """Draw a font's characters; scripts: those of `SCRIPTS`, too, for a font that has them."""
    from PIL import ImageFont

    font = ImageFont.truetype(str(path), DRAWN)
    glyphs = {}
    others = "".join(chr(code) for first, last in SCRIPTS for code in range(first, last + 1)) if scripts else ""
    for character in CHARACTERS + others:
        mask, (left, top) = font.getmask2(character, mode="L")
        if mask.size[0] and mask.size[1]:
            bitmap = np.array(mask, np.uint8).reshape(mask.size[1], mask.size[0])
            glyphs[character] = (bitmap, left, top, font.getlength(character))
    return Face(path.stem, glyphs, font.getmetrics()[0])


def pack(faces: Sequence[Face]) -> dict[str, NDArray[np.generic]]:
    """Return faces as arrays for `np.savez_compressed`."""
    bits, rows = [], []
    for index, face in enumerate(faces):
        for character, (bitmap, left, top, advance) in face.glyphs.items():
            rows.append((index, ord(character), *bitmap.shape, left, top, advance, face.ascent))
            bits.append(bitmap.ravel())
    return {
        "names": np.array([face.name for face in faces]),
        "rows": np.array(rows, np.float32),
        "bits": np.concatenate(bits),
    }


def unpack(packed: Mapping[str, NDArray[np.generic]]) -> list[Face]:
    """Return the faces that `pack` took."""
    names, rows, bits = packed["names"], np.asarray(packed["rows"], np.float64), np.asarray(packed["bits"], np.uint8)
    glyphs: list[dict[str, tuple[NDArray[np.uint8], int, int, float]]] = [{} for _ in names]
    ascents, start = [0] * len(names), 0
    for index, code, high, wide, left, top, advance, ascent in rows.tolist():
        stop = start + int(high * wide)
        bitmap = bits[start:stop].reshape(int(high), int(wide))
        glyphs[int(index)][chr(int(code))] = (bitmap, int(left), int(top), advance)
        ascents[int(index)], start = int(ascent), stop
    return [Face(str(name), each, ascent) for name, each, ascent in zip(names, glyphs, ascents, strict=True)]


def measure(face: Face, text: str, size: int) -> float:
    """Return how wide a text is at a size, pixels."""
    total = 0.0
    for character in text:
        glyph = face.glyph(character, size)
        total += glyph[3] if glyph else 0.3 * size
    return total


def put_print(
    sheet: Sheet,
    face: Face,
    text: str,
    at: tuple[float, float],
    size: int,
    colour: Colour,
    alpha: float = 1.0,
    spread: float = 0.0,
) -> float:
    """Set a text with its baseline beginning at `at`; return where it ends. spread: room between letters, ems."""
    x, y = float(at[0]), round(at[1])
    numbers = [match.span() for match in _NUMBER.finditer(text)] if any(map(str.isdigit, text)) else []
    spans: list[tuple[str, int, int, int, int] | None] = []
    stamps = []
    for character in text:
        glyph = face.glyph(character, size)
        if glyph is None:
            x += 0.3 * size
            spans.append(None)
            continue
        bitmap, left, top, advance = glyph
        x0, y0 = round(x) + left, y + top
        stamps.append((bitmap, x0, y0))
        spans.append((character, x0, y0, x0 + bitmap.shape[1], y0 + bitmap.shape[0]))
        x += advance + spread * size
    if not stamps:
        return x
    x0, y0 = min(s[1] for s in stamps), min(s[2] for s in stamps)
    x1, y1 = max(s[1] + s[0].shape[1] for s in stamps), max(s[2] + s[0].shape[0] for s in stamps)
    if x1 < 0 or y1 < 0 or x0 > sheet.width or y0 > sheet.height:
        return x
    canvas = np.zeros((y1 - y0, x1 - x0), np.uint8)
    for bitmap, left, top in stamps:
        part = canvas[top - y0 : top - y0 + bitmap.shape[0], left - x0 : left - x0 + bitmap.shape[1]]
        np.maximum(part, bitmap, out=part)
    soft = canvas.astype(np.float32) * np.float32(alpha / 255)
    sheet.lay(soft, x0, y0, colour, PRINT)
    for start, stop in numbers:
        mine = [span for span in spans[start:stop] if span]
        digits = [span for span in mine if span[0].isdigit()]
        if not digits:
            continue
        box = (mine[0][1], min(s[2] for s in digits), mine[-1][3], max(s[4] for s in digits))
        if box[0] >= 0 and y0 >= 0:
            sheet.rank(soft[:, box[0] - x0 : box[2] - x0], box[0], y0, PRINTED_NUMBER)
        characters = [(_quad(span[1:]), int(span[0]) if span[0].isdigit() else SIGN) for span in mine]
        sheet.marks.append(Mark(_quad(box), float(box[3] - box[1]), True, characters))
    return x


def _quad(box: tuple[int, int, int, int]) -> Floats:
    left, top, right, bottom = box
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float32)
