"""What the store of a job takes and gives: sheets, fields, tasks of clerks, and how far they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from digitnet.core.errors import DataError


class AwayError(DataError):
    """The database of a job does not answer; what was not confirmed is not in it."""


class DecidedError(DataError):
    """A field needs no decision of this clerk: it is settled, or the clerk has decided it already."""


STATUSES = ("read", "empty", "unreadable")
"""What a person can decide: a value is written; nothing is; it cannot be read."""


@dataclass(frozen=True)
class Policy:
    """What people look at: fields with a confidence below `threshold`, and a `share` of the others, 0..1 both."""

    threshold: float = 0.95
    share: float = 0.02

    def opens(self, doubt: float, lot: float) -> bool:
        """Return whether people look at a field; see `tables.field` for the arguments."""
        return self.doubtful(doubt) or (doubt >= 0 and lot < self.share)

    def doubtful(self, doubt: float) -> bool:
        """Return whether people look at a field because of its doubt; see `tables.field`."""
        return doubt > 1 - self.threshold

    def rank(self, doubt: float, lot: float, critical: bool) -> float:
        """Return the place of a field in the queue, the highest first; sampled ones lie anywhere among the doubtful."""
        sure = doubt <= 1 - self.threshold
        value = 1 - self.threshold + self.threshold * lot / self.share if sure and self.share else min(doubt, 1.0)
        return value + critical


@dataclass(frozen=True)
class StoredField:
    """A field of a sheet.

    text, confidence, status, seen, alternatives: what was read. corners: four points (x, y) in pixels of the page.
    doubt, lot: see `tables.field`. final_text and final_status: what people decided, None until then. clerk: who did,
    the last one where it took several; at: when, seconds since 1970.
    """

    name: str
    kind: str
    critical: bool
    corners: Sequence[tuple[float, float]]
    text: str
    confidence: float
    status: str
    seen: str | None = None
    alternatives: tuple[str, ...] = ()
    doubt: float = 0.0
    lot: float = 1.0
    final_text: str | None = None
    final_status: str | None = None
    clerk: str | None = None
    at: float | None = None


@dataclass(frozen=True)
class StoredSheet:
    """A page of a file; see `tables.sheet`. form: the template's name; to_page: three rows of three numbers.

    models: SHA-256 of each network that read it, as `Reader.hashes` has them.
    """

    file: str
    page: int
    path: str
    form: str | None
    status: str
    turned: int
    notes: tuple[str, ...]
    error: str | None
    to_page: Sequence[Sequence[float]] | None
    digest: str | None
    models: Mapping[str, str]
    picture: bytes | None
    fields: tuple[StoredField, ...] = ()


@dataclass(frozen=True)
class Task:
    """A field that a clerk is to decide. The reason is left out: sampled fields look like doubtful ones."""

    field: int
    file: str
    page: int
    form: str | None
    name: str
    kind: str
    text: str
    status: str
    alternatives: tuple[str, ...]
    corners: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Source:
    """Where the picture of a page is: its file and page, or the picture itself, where it was kept."""

    path: str
    page: int
    digest: str | None
    picture: bytes | None


@dataclass(frozen=True)
class Progress:
    """How far a job is.

    sheets, fields: all of them. open, done: fields that people are still to decide, and have decided. mine: decisions
    of the clerk; last: the key of the latest one that is not undone; pace: the median of seconds that recent ones took.
    """

    sheets: int
    fields: int
    open: int
    done: int
    mine: int
    last: str | None
    pace: float | None
