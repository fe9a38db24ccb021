"""What a sheet becomes in the store: its fields, where they lie on the page, and which of them people must look at."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from digitnet.forms.answers import Answer
from digitnet.forms.relations import parse
from digitnet.forms.sheets import Sheet
from digitnet.forms.template import Field, Template
from digitnet.imaging.geometry import Box, Corners
from digitnet.reading.batch import Done
from digitnet.reading.result import Reading
from digitnet.review.records import StoredField, StoredSheet

MUST, NEVER = 2.0, -1.0
"""The doubt of fields that people must look at, and of those where there is nothing to see; see `tables.field`."""


What = TypeVar("What", Sheet, Reading)


@dataclass(frozen=True)
class Filed(Generic[What]):
    """A page as it is read for a job. digest: of its pixels, see `digest_of`; picture: PNG, None unless it is kept."""

    sheet: What
    digest: str
    picture: bytes | None


def read_page(read: Callable[[NDArray[np.uint8]], What], page: NDArray[np.uint8], keep: bool) -> Filed[What]:
    """Read a page (h, w) uint8 for a job. keep: whether its picture is kept."""
    return Filed(read(page), digest_of(page), _png(page) if keep else None)


def _png(page: NDArray[np.uint8]) -> bytes:
    return cv2.imencode(".png", page)[1].tobytes()


def digest_of(page: NDArray[np.uint8]) -> str:
    """Return the SHA-256 of a page's pixels and shape."""
    return hashlib.sha256(repr(page.shape).encode() + np.ascontiguousarray(page).tobytes()).hexdigest()


def name_of(file: str) -> str:
    r"""Return the name of a file as a job keeps it: bytes that are not UTF-8 are written as `\xff`."""
    return os.fsencode(file).decode("utf-8", "backslashreplace")


def stored(done: Done[Filed[Sheet]], templates: Mapping[str, Template], models: Mapping[str, str]) -> StoredSheet:
    """Return what a job keeps of a sheet of a form. models: SHA-256 of each network, by its name."""
    file, path = name_of(done.file), _path(done.file)
    if done.result is None:
        return _failed(done, models)
    sheet = done.result.sheet
    fields = _fields(sheet, templates[sheet.form], file, done.page) if sheet.form is not None else ()
    return StoredSheet(
        *(file, done.page, path, sheet.form, sheet.status, sheet.turned, sheet.notes, None),
        None if sheet.to_page is None else sheet.to_page.tolist(),
        *(done.result.digest, models, done.result.picture, fields),
    )


def stored_numbers(done: Done[Filed[Reading]], models: Mapping[str, str], single: bool) -> StoredSheet:
    """Return what a job keeps of a page without a template: each number, and each place left unread, is a field.

    single: whether the page holds one number, and the field is all of it.
    """
    if done.result is None:
        return _failed(done, models)
    reading, file = done.result.sheet, name_of(done.file)
    high, wide = reading.page.shape
    fields = [
        StoredField(
            *(
                f"n{place}",
                "digits",
                False,
                _around((0, 0, wide, high)) if single else number.corners or _around(number.box),
            ),
            *(number.text, number.confidence, number.status, number.seen),
            tuple(text for text, _ in number.alternatives if text),
            MUST if number.status == "unreadable" else 1 - number.confidence,
            _lot(file, done.page, f"n{place}"),
        )
        for place, number in enumerate(reading.numbers, 1)
    ]
    for place, left in enumerate(reading.unread, len(fields) + 1):
        its = f"n{place}", "digits", False, _around(left.box), "", 0.0, "unreadable"
        fields.append(StoredField(*its, doubt=MUST, lot=_lot(file, done.page, f"n{place}")))
    return StoredSheet(
        *(
            file,
            done.page,
            _path(done.file),
            None,
            "read" if fields else "blank",
            round(reading.turned) % 360,
            (),
            None,
        ),
        *(None, done.result.digest, models, done.result.picture, tuple(fields)),
    )


def _around(box: Box) -> Corners:
    left, top, right, bottom = box
    return (left, top), (right, top), (right, bottom), (left, bottom)


def _failed(done: Done[Filed[What]], models: Mapping[str, str]) -> StoredSheet:
    known = name_of(done.file), done.page, _path(done.file), None, "error", 0, (), done.error
    return StoredSheet(*known, None, None, models, None)


def _path(file: str) -> str:
    return "" if file == "-" else str(Path(file).resolve())


def _fields(sheet: Sheet, template: Template, file: str, page: int) -> tuple[StoredField, ...]:
    doubt, found = doubts(sheet, template), []
    for field in template.fields:
        answer = sheet.fields[field.name]
        found.append(
            StoredField(
                *(field.name, field.kind, field.critical, _corners(field, sheet.to_page)),
                answer.text,
                answer.confidence,
                answer.status,
                answer.seen,
                alternatives(field, answer),
                doubt[field.name],
                _lot(file, page, field.name),
            )
        )
    return tuple(found)


def doubts(sheet: Sheet, template: Template) -> dict[str, float]:
    """Return how doubtful each field of a sheet that was not refused is, by its name; see `tables.field`."""
    related = set().union(*(parse(relation).names for relation in sheet.broken))
    blank = sheet.status == "blank"
    return {its.name: _doubt(its, sheet.fields[its.name], blank, its.name in related) for its in template.fields}


def alternatives(field: Field, answer: Answer) -> tuple[str, ...]:
    """Return the values that a person may choose by one key instead of what was read."""
    every = ("1", "0") if field.kind == "mark" else tuple(field.options or ()) or answer.alternatives
    return tuple(value for value in every if value != answer.text)


def _doubt(field: Field, answer: Answer, blank: bool, broken: bool) -> float:
    if answer.status == "hidden" or field.kind == "area":
        return NEVER
    missing = answer.status == "empty" and field.required and not blank
    if broken or missing or answer.status in ("unreadable", "ambiguous"):
        return MUST
    return 1 - answer.confidence


def _lot(file: str, page: int, name: str) -> float:
    """Return a number in [0, 1) that is random as far as what is written goes, and always the same for a field."""
    return int.from_bytes(hashlib.sha256(f"{file}\0{page}\0{name}".encode()).digest()[:6]) / 2**48


def _corners(field: Field, to_page: NDArray[np.float64] | None) -> list[tuple[float, float]]:
    if to_page is None:
        return []
    left, top, right, bottom = field.box
    box = np.array([[(left, top), (right, top), (right, bottom), (left, bottom)]], np.float64)
    points: list[list[float]] = cv2.perspectiveTransform(box, to_page)[0].round(1).tolist()
    return [(x, y) for x, y in points]
