"""What a sheet becomes in the store: its fields, where they lie on the page, and which of them people must look at."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from digitnet.forms.answers import Answer
from digitnet.forms.relations import parse
from digitnet.forms.sheets import FormReader, Sheet
from digitnet.forms.template import Field, Template
from digitnet.reading.batch import Done
from digitnet.review.records import StoredField, StoredSheet

MUST, NEVER = 2.0, -1.0
"""The doubt of fields that people must look at, and of those where there is nothing to see; see `tables.field`."""


@dataclass(frozen=True)
class Filed:
    """A sheet as it is read for a job. digest: of its page, see `digest_of`; picture: PNG, None unless it is kept."""

    sheet: Sheet
    digest: str
    picture: bytes | None


def read_page(forms: FormReader, page: NDArray[np.uint8], keep: bool) -> Filed:
    """Read a page (h, w) uint8 for a job. keep: whether its picture is kept."""
    return Filed(forms.read_page(page, alternatives=True), digest_of(page), _png(page) if keep else None)


def _png(page: NDArray[np.uint8]) -> bytes:
    return cv2.imencode(".png", page)[1].tobytes()


def digest_of(page: NDArray[np.uint8]) -> str:
    """Return the SHA-256 of a page's pixels and shape."""
    return hashlib.sha256(repr(page.shape).encode() + np.ascontiguousarray(page).tobytes()).hexdigest()


def name_of(file: str) -> str:
    r"""Return the name of a file as a job keeps it: bytes that are not UTF-8 are written as `\xff`."""
    return os.fsencode(file).decode("utf-8", "backslashreplace")


def stored(done: Done[Filed], templates: Mapping[str, Template], model: str) -> StoredSheet:
    """Return what a job keeps of a page. model: SHA-256 of the line reader."""
    path = "" if done.file == "-" else str(Path(done.file).resolve())
    file = name_of(done.file)
    if done.result is None:
        return StoredSheet(file, done.page, path, None, "error", 0, (), done.error, None, None, model, None)
    sheet = done.result.sheet
    fields = _fields(sheet, templates[sheet.form], file, done.page) if sheet.form is not None else ()
    return StoredSheet(
        *(file, done.page, path, sheet.form, sheet.status, sheet.turned, sheet.notes, None),
        None if sheet.to_page is None else sheet.to_page.tolist(),
        *(done.result.digest, model, done.result.picture, fields),
    )


def _fields(sheet: Sheet, template: Template, file: str, page: int) -> tuple[StoredField, ...]:
    related = set().union(*(parse(relation).names for relation in sheet.broken))
    found = []
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
                _doubt(field, answer, sheet.status == "blank", field.name in related),
                _lot(file, page, field.name),
            )
        )
    return tuple(found)


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
