"""What a line reader can learn from a job: the numbers that people decided, each cut out as it is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from digitnet.core.digits import DIGITS
from digitnet.core.errors import DataError, ImageError
from digitnet.core.lessons import Lesson
from digitnet.core.text import listed
from digitnet.forms.answers import MANY, meaning
from digitnet.forms.cutting import cut
from digitnet.forms.sheets import printed
from digitnet.forms.template import Field, load
from digitnet.imaging.crop import CROP_MARGIN
from digitnet.reading.constraints import Rules
from digitnet.reading.ctc import Hypothesis, decode_written
from digitnet.reading.reader import Reader
from digitnet.review.pictures import Pictures, upright
from digitnet.review.records import StoredField, StoredSheet
from digitnet.review.store import Store

NOT_NUMBERS = ("choice", "mark", "area")
"""Kinds of fields in which no number is written."""


def lessons(store: Store, reader: Reader, templates: Sequence[Path] = ()) -> tuple[list[Lesson], list[str]]:
    """Return the numbers of a job that people decided, and a line on each kind of what is left out.

    reader: cuts the numbers out; where a value does not tell the digits written, as of a date, the most probable ones
    are taken that mean it. templates: files of the job's forms, needed for those without markers. Left out are numbers
    whose page is neither kept in the job nor where it was, and those whose form's blank sheet cannot be had.
    """
    files = {load(path).name: path for path in templates}
    blanks: dict[str, NDArray[np.uint8]] = {}
    fields: dict[str, dict[str, Field]] = {}
    found, pictures, unseen, notes = [], Pictures(store), list[str](), list[str]()
    for name, template in store.templates().items():
        fields[name] = {field.name: field for field in template.fields}
        try:
            blanks[name] = printed(template, files.get(name))
        except (DataError, ImageError) as error:
            notes.append(f"numbers left out: {error}")
    for sheet in store.sheets():
        decided = [its for its in sheet.fields if its.final_status == "read" and its.kind not in NOT_NUMBERS]
        if not decided or (sheet.form is not None and sheet.form not in blanks):
            continue
        try:
            page = pictures.decoded(store.page(sheet.file, sheet.page))
        except (DataError, ImageError) as error:
            unseen.append(str(error))
            continue
        for its in decided:
            field = fields[sheet.form][its.name] if sheet.form is not None else None
            picture = _picture(page, sheet, its, field, blanks)
            strip, columns = reader.look(picture, single=True)[0]
            digits = _digits(its.final_text or "", field, partial(decode_written, columns.characters, columns.alphabet))
            if digits and strip.any():
                found.append(Lesson(strip, digits, sheet.file))
    if unseen:
        pages = f"{len(unseen):,} page{'s' * (len(unseen) > 1)}"
        notes.append(f"{pages} left out, without a picture: {listed(unseen, 1)}")
    return found, notes


def _picture(
    page: NDArray[np.uint8],
    sheet: StoredSheet,
    its: StoredField,
    field: Field | None,
    blanks: Mapping[str, NDArray[np.uint8]],
) -> NDArray[np.uint8]:
    """Return the picture of a field as the reader was given it."""
    if field is None or sheet.form is None or sheet.to_page is None:
        return upright(page, its.corners, CROP_MARGIN)
    return cut(page, np.array(sheet.to_page), field.box, blanks[sheet.form]).picture


def _digits(text: str, field: Field | None, decoded: Callable[[Rules | None, int], Sequence[Hypothesis]]) -> str:
    """Return the digits that are written where people read a value; "" where they are not known."""
    if field is None or field.kind in ("digits", "comb"):
        return "" if any(map(str.isalpha, text)) else _only_digits(text)
    meant = (each.text for each in decoded(field.rules(), MANY) if meaning(field, each.text)[0] == text)
    return _only_digits(next(meant, ""))


def _only_digits(text: str) -> str:
    return "".join(character for character in text if character in DIGITS)
