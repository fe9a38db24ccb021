"""The table of a job: what was read, with what people decided in its place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from digitnet.forms.answers import Answer, named
from digitnet.forms.sheets import Sheet
from digitnet.forms.table import table, writer
from digitnet.forms.template import Field
from digitnet.reading.batch import Done
from digitnet.review.records import StoredField, StoredSheet
from digitnet.review.store import Store

NUMBER_COLUMNS: dict[str, type] = {
    **{"file": str, "page": int, "number": int, "text": str, "confidence": float, "status": str, "by": str},
    **{"left": int, "top": int, "right": int, "bottom": int, "error": str},
}
"""The columns of a job of numbers without templates: a row a number, and one for a page without any."""


def export(store: Store, out: Path | None) -> Counter[str]:
    """Write a job as a table, and return how many fields are of which status, see `outcome`.

    The columns are those of `digitnet form read`, and for each field `NAME_by`, the clerk who decided it; for a job of
    numbers without templates they are `NUMBER_COLUMNS`. Raises DataError where the file cannot be written.
    """
    templates = store.templates()
    counts: Counter[str] = Counter()
    if not templates:
        with table(out, NUMBER_COLUMNS, {}) as write_row:
            for sheet in store.sheets():
                for row in _numbers(sheet):
                    write_row(row)
                counts.update(outcome(field) for field in sheet.fields)
        return counts
    with writer(out, list(templates.values()), reviewed=True) as write:
        for sheet in store.sheets():
            fields = {field.name: field for field in templates[sheet.form].fields} if sheet.form else {}
            write(_done(sheet, fields))
            counts.update(outcome(field) for field in sheet.fields)
    return counts


def outcome(field: StoredField) -> str:
    """Return the status of a field in the table: as it was read, or what a person made of it.

    "confirmed", "corrected" or "unreadable"; a field that a clerk cleared has no value.
    """
    if field.final_status is None:
        return field.status
    if (field.final_status, field.final_text) == (field.status, field.text):
        return "confirmed"
    return "unreadable" if field.final_status == "unreadable" else "corrected"


def _numbers(sheet: StoredSheet) -> Iterator[dict[str, Any]]:
    """Yield a row for each number that is on a page, or one for a page without any."""
    page = {"file": sheet.file, "page": sheet.page, "number": 0, "status": sheet.status, "error": sheet.error or ""}
    found = [field for field in sheet.fields if (field.final_status or field.status) != "empty"]
    for place, field in enumerate(found, 1):
        text = field.text if field.final_status is None else field.final_text or ""
        x, y = zip(*field.corners, strict=True)
        box = {"left": min(x), "top": min(y), "right": max(x), "bottom": max(y)}
        sure = {"confidence": round(field.confidence, 4), "status": outcome(field), "by": field.clerk or ""}
        yield page | {"number": place, "text": text, **sure, **{name: round(at) for name, at in box.items()}}
    if not found:
        yield page


def _done(sheet: StoredSheet, fields: dict[str, Field]) -> Done[Sheet]:
    if sheet.status == "error":
        return Done(sheet.file, sheet.page, None, sheet.error)
    answers = {}
    for its in sheet.fields:
        text = its.text if its.final_status is None else its.final_text or ""
        name = named(fields[its.name], text)
        answers[its.name] = Answer(text, its.confidence, outcome(its), name=name, by=its.clerk)
    return Done(sheet.file, sheet.page, Sheet(sheet.status, sheet.form, sheet.turned, answers, sheet.notes))
