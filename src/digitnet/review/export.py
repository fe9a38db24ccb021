"""The table of a job: what was read, with what people decided in its place."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from digitnet.forms.answers import Answer, named
from digitnet.forms.sheets import Sheet
from digitnet.forms.table import writer
from digitnet.forms.template import Field
from digitnet.reading.batch import Done
from digitnet.review.records import StoredField, StoredSheet
from digitnet.review.store import Store


def export(store: Store, out: Path | None) -> Counter[str]:
    """Write a job as a table, and return how many fields are of which status, see `outcome`.

    The columns are those of `digitnet form read`, and for each field `NAME_by`, the clerk who decided it. Raises
    DataError where the file cannot be written.
    """
    templates = store.templates()
    counts: Counter[str] = Counter()
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


def _done(sheet: StoredSheet, fields: dict[str, Field]) -> Done[Sheet]:
    if sheet.status == "error":
        return Done(sheet.file, sheet.page, None, sheet.error)
    answers = {}
    for its in sheet.fields:
        text = its.text if its.final_status is None else its.final_text or ""
        name = named(fields[its.name], text)
        answers[its.name] = Answer(text, its.confidence, outcome(its), name=name, by=its.clerk)
    return Done(sheet.file, sheet.page, Sheet(sheet.status, sheet.form, sheet.turned, answers, sheet.notes))
