"""What should be read in a field, from what was written there."""

from __future__ import annotations

from datetime import datetime

from digitnet.forms.filling import FORMATS
from digitnet.forms.template import Field


def expected(field: Field, text: str) -> str:
    """Return the value that a filled field stands for, as `answers.Answer.text`; its status in brackets without one."""
    if field.kind == "area":
        return "(written)" if text else "(empty)"
    if field.kind == "mark":
        return text or "0"
    if not text:
        return "(empty)"
    if field.kind == "date":
        return datetime.strptime(text, FORMATS[field.order or "dmy"]).date().isoformat()
    if field.kind in ("integer", "decimal"):
        return text.replace(",", ".")
    return text
