"""The desk of clerks: a job with its templates and pictures, and whether what a clerk typed is permitted."""

from __future__ import annotations

import re
from dataclasses import asdict
from datetime import date
from typing import Any

from digitnet.core.errors import DataError
from digitnet.core.text import printable
from digitnet.forms.answers import meaning
from digitnet.forms.filling import FORMATS, allowed
from digitnet.forms.template import Field
from digitnet.review.pictures import Pictures
from digitnet.review.records import Task
from digitnet.review.sampling import estimate
from digitnet.review.store import Store

MOST = 50
"""Fields that are handed out at a time, at most."""


class NotPermittedError(DataError):
    """What a clerk typed is not what the template permits; it is kept if the clerk insists."""


class Desk:
    """A job at which clerks work. Safe to share between threads."""

    def __init__(self, store: Store) -> None:
        """Take the job."""
        self.store, self.pictures = store, Pictures(store)
        self._fields = {(name, field.name): field for name, form in store.templates().items() for field in form.fields}

    def overview(self, clerk: str) -> dict[str, Any]:
        """Return how far the job and the clerk are, and how often accepted fields are wrong, as plain values."""
        threshold = self.store.policy().threshold
        return {
            "job": self.store.name,
            "progress": asdict(self.store.progress(clerk)),
            "estimate": str(estimate(self.store.checked(), threshold)),
        }

    def tasks(self, clerk: str, count: int) -> list[dict[str, Any]]:
        """Hand out fields to a clerk, as plain values."""
        return [self.plain(task) for task in self.store.next(clerk, min(count, MOST))]

    def plain(self, task: Task) -> dict[str, Any]:
        """Return a task as plain values, with the label of its field and what may be chosen by a key."""
        field = self._field(task)
        label = (field.label or field.name) if field else task.name
        names = field.values or {} if field else {}
        texts = {text: names[text] for text in (task.text, *task.alternatives) if text in names}
        shown = {"text": _shown(field, task.text), "alternatives": [_shown(field, text) for text in task.alternatives]}
        return asdict(task) | shown | {"label": label, "names": texts}

    def decide(
        self, clerk: str, number: int, text: str, status: str, *, key: str, seconds: float | None, insists: bool
    ) -> None:
        """Keep a decision; see `Store.decide`. Raises NotPermittedError unless the value is permitted, or `insists`."""
        if status == "read":
            _, task = self.store.source(number)
            field, text = self._field(task), text.strip()
            offered = {_shown(field, each): each for each in (task.text, *task.alternatives)}
            text = offered[text] if text in offered else _permitted(field, text, insists)
        self.store.decide(clerk, number, text, status, key=key, seconds=seconds)

    def _field(self, task: Task) -> Field | None:
        return self._fields.get((task.form or "", task.name))


def _shown(field: Field | None, text: str) -> str:
    """Return a value as people write it: a date in the order of the form."""
    if field is None or field.kind != "date" or field.order is None or not text:
        return text
    return date.fromisoformat(text).strftime(FORMATS[field.order])


def _permitted(field: Field | None, text: str, insists: bool) -> str:
    """Return what a person typed as the value that it means."""
    if field is None:
        return text
    if field.kind in ("choice", "mark"):
        permitted = tuple(field.options or ("0", "1"))
        if text not in permitted:
            raise DataError(f"{printable(text[:40])!r}: choose one of {', '.join(permitted)}")
        return text
    if field.kind == "date" and re.fullmatch("[0-9]{8}", text):  # typed without signs
        cuts = (4, 6) if field.order == "ymd" else (2, 4)
        text = f"{text[: cuts[0]]}.{text[cuts[0] : cuts[1]]}.{text[cuts[1] :]}"
    value, _ = meaning(field, text)
    if value and not any(map(str.isalpha, text)) and allowed(field, text):
        return value
    if insists:
        return text
    raise NotPermittedError(f"{printable(text[:40])} is not permitted here; accept once more to keep it")
