"""The store of a job: sheets, fields, answers, and what people decided about them.

store = Store("grades.job")
for task in store.next("amara", 1):
    store.decide("amara", task.field, task.text, "read", key=uuid4().hex)

A field is handed to one clerk at a time. A critical one needs two clerks who agree, or a third.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

import sqlalchemy as sa

from digitnet.core.errors import DataError
from digitnet.forms.template import Template, parsed
from digitnet.review import tables as t
from digitnet.review.database import Database
from digitnet.review.records import STATUSES, DecidedError, Policy, Progress, Source, StoredField, StoredSheet, Task

LEASE = 600
"""Seconds for which a field belongs to the clerk who got it."""

CHUNK = 200
"""Sheets that are fetched at a time."""

RECENT = 50
"""Decisions that a clerk's speed is measured on."""


class Store:
    """A job. Safe to share between threads, and with other processes."""

    def __init__(
        self,
        place: str,
        *,
        create: bool = False,
        lease: float = LEASE,
        clock: Callable[[], float] = time.time,
        database: Database | None = None,
    ) -> None:
        """Open a job: a file, or the URL of a PostgreSQL database. Raises as `database.Database`.

        lease: seconds for which a field belongs to whom it was handed to.
        """
        self._database = database or Database(place, create=create)
        self.name = self._database.name
        self._lease, self._clock = lease, clock

    def close(self) -> None:
        """Close the connections."""
        self._database.close()

    # What was read

    def add_forms(self, templates: Sequence[Template]) -> None:
        """Keep templates. Raises DataError where the job has another one of the same name."""

        def work(connection: sa.Connection) -> None:
            for template in templates:
                text = template.to_json()
                kept = connection.execute(sa.select(t.form.c.template).where(t.form.c.name == template.name)).scalar()
                if kept is None:
                    connection.execute(t.form.insert().values(name=template.name, template=text))
                elif kept != text:
                    raise DataError(
                        f"{self.name}: its form {template.name} differs from this template; use another job"
                    )

        self._database.run(work)

    def templates(self) -> dict[str, Template]:
        """Return the templates by name."""
        rows = self._database.run(lambda connection: connection.execute(sa.select(t.form).order_by(t.form.c.id)).all())
        return {row.name: parsed(row.template.encode(), f"{self.name}: form {row.name}") for row in rows}

    def files(self) -> set[str]:
        """Return the files that need not be read again: all but those with errors and the one added last."""

        def work(connection: sa.Connection) -> set[str]:
            rows = connection.execute(sa.select(t.sheet.c.file, t.sheet.c.status).order_by(t.sheet.c.id)).all()
            again = {row.file for row in rows if row.status == "error"} | {row.file for row in rows[-1:]}
            return {row.file for row in rows} - again

        return self._database.run(work)

    def add(self, sheet: StoredSheet) -> bool:
        """Keep a sheet; return False where it is there already. One that could not be read then is replaced."""

        def work(connection: sa.Connection) -> bool:
            here = (t.sheet.c.file == sheet.file) & (t.sheet.c.page == sheet.page)
            known = connection.execute(sa.select(t.sheet.c.id, t.sheet.c.status).where(here)).first()
            if known is not None and known.status != "error":
                return False
            if known is not None:
                connection.execute(t.sheet.delete().where(t.sheet.c.id == known.id))
            form = connection.execute(sa.select(t.form.c.id).where(t.form.c.name == sheet.form)).scalar()
            plain = {name: value for name, value in vars(sheet).items() if name != "fields"}
            plain |= {"form": form, "path": json.dumps(sheet.path), "notes": json.dumps(sheet.notes)}
            plain["models"] = json.dumps(sheet.models)
            plain |= {"to_page": None if sheet.to_page is None else json.dumps(sheet.to_page), "at": self._clock()}
            (number,) = connection.execute(t.sheet.insert().values(plain).returning(t.sheet.c.id)).one()
            policy, rows = _policy(connection), []
            for field in sheet.fields:
                row = {name: value for name, value in asdict(field).items() if name not in ("clerk", "at")}
                row |= {"sheet": number, "corners": json.dumps(field.corners)}
                row |= {"alternatives": json.dumps(field.alternatives), "open": policy.opens(field.doubt, field.lot)}
                rows.append(row | {"rank": policy.rank(field.doubt, field.lot, field.critical)})
            if rows:
                connection.execute(t.field.insert(), rows)
            return True

        return self._database.run(work)

    def sheets(self) -> Iterator[StoredSheet]:
        """Yield all sheets in the order of files, with their fields in that of the template; without pictures."""
        names, numbers = self._database.run(_listed)
        for start in range(0, len(numbers), CHUNK):
            yield from self._database.run(partial(_sheets, numbers[start : start + CHUNK], names))

    # What people look at

    def policy(self) -> Policy:
        """Return what people look at."""
        return self._database.run(_policy)

    def set_policy(self, policy: Policy) -> None:
        """Change what people look at; what was decided stays decided."""

        def work(connection: sa.Connection) -> None:
            value = json.dumps(asdict(policy))
            connection.execute(t.setting.delete().where(t.setting.c.name == "policy"))
            connection.execute(t.setting.insert().values(name="policy", value=value))
            f = t.field.c
            doubtful = f.doubt > 1 - policy.threshold
            sampled = (f.doubt >= 0) & (f.lot < policy.share)
            among = 1 - policy.threshold + policy.threshold * f.lot / (policy.share or 1)
            value_of = sa.case((doubtful, sa.case((f.doubt > 1, 1.0), else_=f.doubt)), else_=among)
            rank = value_of + sa.case((f.critical, 1.0), else_=0.0)
            connection.execute(t.field.update().values(open=(doubtful | sampled) & f.final_status.is_(None), rank=rank))

        self._database.run(work)

    def next(self, clerk: str, count: int = 1) -> list[Task]:
        """Hand out at most `count` fields to a clerk, those first that the clerk has already, then the most valuable.

        They belong to the clerk for a while; nobody else gets them meanwhile.
        """

        def work(connection: sa.Connection) -> list[Task]:
            now, f = self._clock(), t.field.c
            mine = (f.leased_by == clerk) & (f.leased_until >= now)
            free = f.leased_by.is_(None) | (f.leased_until < now)
            decided = sa.exists().where(
                t.decision.c.field == f.id, t.decision.c.clerk == clerk, sa.not_(t.decision.c.undone)
            )
            numbers: list[int] = []
            for which in (mine, free):
                chosen = (
                    sa.select(f.id)
                    .where(f.open, which, sa.not_(decided))
                    .order_by(f.rank.desc(), f.id)
                    .limit(count - len(numbers))
                    .with_for_update(skip_locked=True)
                )
                numbers += connection.execute(chosen).scalars()
            connection.execute(
                t.field.update().where(f.id.in_(numbers)).values(leased_by=clerk, leased_until=now + self._lease)
            )
            return _tasks(connection, numbers)

        return self._database.run(work)

    def decide(self, clerk: str, field: int, text: str, status: str, *, key: str, seconds: float | None = None) -> None:
        """Keep what a clerk decided about a field; with a key that is known already, nothing.

        text: the value, "" unless `status`, one of `STATUSES`, is "read". seconds: that it took. Raises DecidedError
        where the field needs no decision of this clerk, DataError where there is no such field.
        """
        if status not in STATUSES or (status == "read") != bool(text) or not text.isprintable():
            raise DataError(f"{text!r}: not a value of status {status!r}; expected one of {', '.join(STATUSES)}")

        def work(connection: sa.Connection) -> None:
            known = connection.execute(sa.select(t.decision.c.id).where(t.decision.c.key == key)).scalar()
            if known is not None:
                return
            row = _locked(connection, field)
            if row is None:
                raise DataError(f"{self.name}: no field {field}")
            before = _decisions(connection, field)
            if row.final_status is not None or clerk in {each.clerk for each in before}:
                raise DecidedError(f"field {field} is decided already")
            plain = {"key": key, "field": field, "clerk": clerk, "at": self._clock(), "seconds": seconds}
            connection.execute(t.decision.insert().values(plain | {"text": text, "status": status, "undone": False}))
            _settle(connection, row, clerk)

        self._database.run(work)

    def undo(self, clerk: str, key: str) -> Task | None:
        """Take back a clerk's decision, and hand the field out to the clerk again, unless another one has it now.

        Raises DataError where the clerk made no decision with this key.
        """

        def work(connection: sa.Connection) -> Task | None:
            mine = (t.decision.c.key == key) & (t.decision.c.clerk == clerk)
            field = connection.execute(sa.select(t.decision.c.field).where(mine)).scalar()
            if field is None:
                raise DataError(f"{self.name}: {clerk} has decided nothing that could be taken back")
            row = _locked(connection, field)
            connection.execute(t.decision.update().where(mine).values(undone=True))
            _settle(connection, row, clerk)
            now, f = self._clock(), t.field.c
            free = f.leased_by.is_(None) | (f.leased_until < now) | (f.leased_by == clerk)
            leased = connection.execute(
                t.field.update()
                .where(f.id == field, f.open, free)
                .values(leased_by=clerk, leased_until=now + self._lease)
            )
            return _tasks(connection, [field])[0] if leased.rowcount else None

        return self._database.run(work)

    def progress(self, clerk: str) -> Progress:
        """Return how far the job is, and the clerk."""

        def work(connection: sa.Connection) -> Progress:
            f, d = t.field.c, t.decision.c

            def count(what: sa.Table, *where: sa.ColumnElement[bool]) -> int:
                return connection.execute(sa.select(sa.func.count()).select_from(what).where(*where)).scalar_one()

            mine = (d.clerk == clerk, sa.not_(d.undone))
            latest = connection.execute(
                sa.select(d.key, d.seconds).where(*mine).order_by(d.id.desc()).limit(RECENT)
            ).all()
            paces = sorted(row.seconds for row in latest if row.seconds is not None)
            return Progress(
                sheets=count(t.sheet),
                fields=count(t.field),
                open=count(t.field, f.open),
                done=count(t.field, f.final_status.is_not(None)),
                mine=count(t.decision, *mine),
                last=latest[0].key if latest else None,
                pace=paces[len(paces) // 2] if paces else None,
            )

        return self._database.run(work)

    def source(self, field: int) -> tuple[Source, Task]:
        """Return where the picture of a field's page is, and the field. Raises DataError where there is none."""

        def work(connection: sa.Connection) -> tuple[Source, Task]:
            s = t.sheet.c
            row = connection.execute(
                sa.select(s.path, s.page, s.digest, s.picture)
                .join(t.field, t.field.c.sheet == s.id)
                .where(t.field.c.id == field)
            ).first()
            if row is None:
                raise DataError(f"{self.name}: no field {field}")
            return Source(json.loads(row.path), row.page, row.digest, row.picture), _tasks(connection, [field])[0]

        return self._database.run(work)

    def page(self, file: str, page: int) -> Source:
        """Return where the picture of a page is. Raises DataError where the job has no such page."""

        def work(connection: sa.Connection) -> Source:
            s = t.sheet.c
            which = sa.select(s.path, s.page, s.digest, s.picture).where(s.file == file, s.page == page)
            row = connection.execute(which).first()
            if row is None:
                raise DataError(f"{self.name}: no page {page} of {file}")
            return Source(json.loads(row.path), row.page, row.digest, row.picture)

        return self._database.run(work)

    def checked(self) -> list[tuple[float, bool, bool]]:
        """Return the sampled fields: how doubtful each was, whether it was decided, and whether it was wrong then."""
        f = t.field.c
        wrong = (f.final_status != f.status) | (f.final_text != f.text)
        chosen = sa.select(f.doubt, f.final_status.is_not(None), sa.func.coalesce(wrong, sa.false()))
        share = self.policy().share
        rows = self._database.run(
            lambda connection: connection.execute(chosen.where(f.lot < share, f.doubt >= 0, f.doubt <= 1)).all()
        )
        return [(float(doubt), bool(done), bool(bad)) for doubt, done, bad in rows]


def _policy(connection: sa.Connection) -> Policy:
    value = connection.execute(sa.select(t.setting.c.value).where(t.setting.c.name == "policy")).scalar()
    return Policy(**json.loads(value)) if value else Policy()


def _locked(connection: sa.Connection, field: int) -> Any:
    return connection.execute(sa.select(t.field).where(t.field.c.id == field).with_for_update()).first()


def _decisions(connection: sa.Connection, field: int) -> Sequence[Any]:
    d = t.decision.c
    return connection.execute(sa.select(t.decision).where(d.field == field, sa.not_(d.undone)).order_by(d.id)).all()


def _settle(connection: sa.Connection, row: Any, clerk: str) -> None:
    """Set what people decided about a field from their decisions, or open it again; this clerk holds it no more."""
    made = [(each.text, each.status) for each in _decisions(connection, row.id)]
    twice = next((each for each in made if made.count(each) > 1), None)
    final = twice or (made[-1] if len(made) >= (3 if row.critical else 1) else None)
    text, status = final or (None, None)
    values: dict[str, Any] = {"final_text": text, "final_status": status, "open": final is None}
    if final is not None or row.leased_by == clerk:
        values |= {"leased_by": None, "leased_until": None}
    connection.execute(t.field.update().where(t.field.c.id == row.id).values(values))


def _tasks(connection: sa.Connection, numbers: Sequence[int]) -> list[Task]:
    rows = connection.execute(
        sa.select(t.field, t.sheet.c.file, t.sheet.c.page, t.form.c.name.label("its_form"))
        .join(t.sheet, t.sheet.c.id == t.field.c.sheet)
        .join(t.form, t.form.c.id == t.sheet.c.form, isouter=True)
        .where(t.field.c.id.in_(numbers))
    ).all()
    found = {
        row.id: Task(
            *(row.id, row.file, row.page, row.its_form, row.name, row.kind, row.text, row.status),
            tuple(json.loads(row.alternatives)),
            _points(row.corners),
        )
        for row in rows
    }
    return [found[number] for number in numbers]


def _points(corners: str) -> list[tuple[float, float]]:
    return [(x, y) for x, y in json.loads(corners)]


def _listed(connection: sa.Connection) -> tuple[dict[int, str], list[int]]:
    """Return the names of forms, and all sheets in the order of files."""
    forms = {row.id: row.name for row in connection.execute(sa.select(t.form))}
    numbers = sa.select(t.sheet.c.id).order_by(t.sheet.c.file, t.sheet.c.page)
    return forms, list(connection.execute(numbers).scalars())


def _sheets(numbers: Sequence[int], forms: Mapping[int, str], connection: sa.Connection) -> list[StoredSheet]:
    s = t.sheet.c
    every = [column for column in t.sheet.columns if column is not s.picture]
    rows = {row.id: row for row in connection.execute(sa.select(*every).where(s.id.in_(numbers)))}
    who = {}
    made = sa.select(t.decision.c.field, t.decision.c.clerk, t.decision.c.at).join(
        t.field, t.field.c.id == t.decision.c.field
    )
    made = made.where(t.field.c.sheet.in_(numbers), sa.not_(t.decision.c.undone)).order_by(t.decision.c.id)
    for row in connection.execute(made):
        who[row.field] = row.clerk, row.at
    fields: dict[int, list[StoredField]] = {}
    for row in connection.execute(sa.select(t.field).where(t.field.c.sheet.in_(numbers)).order_by(t.field.c.id)):
        clerk, at = who.get(row.id, (None, None)) if row.final_status is not None else (None, None)
        read = row.text, row.confidence, row.status, row.seen, tuple(json.loads(row.alternatives))
        its = row.name, row.kind, row.critical, _points(row.corners), *read, row.doubt, row.lot
        fields.setdefault(row.sheet, []).append(StoredField(*its, row.final_text, row.final_status, clerk, at))
    sheets = []
    for number in numbers:
        row = rows[number]
        to_page = None if row.to_page is None else json.loads(row.to_page)
        its_sheet = StoredSheet(
            *(row.file, row.page, json.loads(row.path), forms.get(row.form), row.status, row.turned),
            *(tuple(json.loads(row.notes)), row.error, to_page, row.digest, json.loads(row.models), None),
            tuple(fields.get(number, ())),
        )
        sheets.append(its_sheet)
    return sheets
