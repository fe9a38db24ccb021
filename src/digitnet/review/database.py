"""The database of a job: an SQLite file or a PostgreSQL server; transactions that are tried again, and migrations."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    NoSuchModuleError,
    OperationalError,
    SQLAlchemyError,
)

from digitnet.core.errors import DataError
from digitnet.core.text import printable, reason
from digitnet.review.records import AwayError

REVISION = "0002"
"""The migration that this version of digitnet works with."""

LOCK = 7_246_001
"""Number of the advisory lock that PostgreSQL holds while a job's tables are made."""

WAITS = (0.1, 0.3, 1.0, 2.0, 4.0)
"""Seconds between the attempts of a transaction while the database does not answer."""

BUSY = 10
"""Seconds that a transaction waits for another one on SQLite."""

Result = TypeVar("Result")


class Database:
    """A job's database. Safe to share between threads."""

    def __init__(self, place: str, *, create: bool = False, waits: tuple[float, ...] = WAITS) -> None:
        """Open a job, a file or a URL such as `postgresql://name@host/job`, and bring its tables up to date.

        create: make the job where there is none. waits: as `WAITS`. Raises DataError where the place holds no job or
        cannot be used, AwayError where the database does not answer.
        """
        self.name, self._waits = shown(place), waits
        self._engine = _engine(place, create)
        try:
            self.run(lambda connection: _migrate(connection, self.name, create))
        except BaseException:
            self.close()
            raise

    def run(self, work: Callable[[sa.Connection], Result]) -> Result:
        """Return what `work` returns in a transaction of its own, tried again while the database does not answer.

        The answer to a commit may be lost, so `work` may run after it took effect: it must then change nothing.
        Raises AwayError if the database does not answer in the end, DataError if it refuses the work.
        """
        for wait in (*self._waits, None):
            try:
                with self._engine.begin() as connection:
                    return work(connection)
            except DBAPIError as error:
                away = error.connection_invalidated or isinstance(error, OperationalError)
                if "file is not a database" in str(error):
                    raise DataError(f"{self.name}: not a job, but another file; choose another name") from error
                if not away:
                    raise DataError(f"{self.name}: {_said(error)}") from error
                if wait is None or _hopeless(error):
                    raise AwayError(f"{self.name}: the database does not answer ({_said(error)}); try again") from error
            time.sleep(wait)
        raise AssertionError

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()


def shown(place: str) -> str:
    """Return how messages name a job: without the password of its URL."""
    if "://" not in place:
        return place
    try:
        return sa.make_url(place).render_as_string(hide_password=True)
    except ArgumentError:
        return place.partition("://")[0] + "://..."


def _engine(place: str, create: bool) -> sa.Engine:
    if "://" in place:
        try:
            url = sa.make_url(place)
            if url.get_backend_name() != "postgresql":
                raise DataError(f"{shown(place)}: expected a file, or a URL that begins with postgresql://")
            url = url.set(drivername="postgresql+psycopg").update_query_dict(
                {} if "connect_timeout" in url.query else {"connect_timeout": "5"}
            )
            return sa.create_engine(url, pool_pre_ping=True)
        except (ArgumentError, NoSuchModuleError, ValueError) as error:
            raise DataError(f"{shown(place)}: not a URL of PostgreSQL; write postgresql://NAME@HOST/JOB") from error
    path = Path(place)
    if path.is_dir():
        raise DataError(f"{place}: a folder; name a file for the job, such as {Path(place) / 'grades.job'}")
    if not create and not path.exists():
        raise DataError(f"{place}: no such job; make it with digitnet read ... --job {place}")
    if create:
        path.parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(sa.URL.create("sqlite", database=str(path)), connect_args={"timeout": BUSY})

    @sa.event.listens_for(engine, "connect")
    def connected(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # otherwise Python's driver begins transactions on its own, and late
        connection.execute("PRAGMA foreign_keys = ON")

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")  # two that read before they write would refuse each other

    return engine


def _migrate(connection: sa.Connection, name: str, create: bool) -> None:
    """Bring the tables up to date; make them where `create` is set and the database is empty."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
    present = set(sa.inspect(connection).get_table_names())
    if "alembic_version" in present and "field" in present:
        found = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
        if found == REVISION:
            return
        if found is None or found > REVISION:
            raise DataError(f"{name}: made by a newer digitnet (tables {found}, known {REVISION}); update digitnet")
    elif present:
        raise DataError(f"{name}: holds other tables than a job's; choose another place")
    elif not create:
        raise DataError(f"{name}: holds no job; make it with digitnet read ... --job")
    from alembic import command
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    command.upgrade(config, "head")


def _hopeless(error: SQLAlchemyError) -> bool:
    """Return whether trying again is of no use: the file or the account is wrong."""
    words = str(error)
    return any(
        part in words
        for part in ("unable to open", "readonly", "password authentication", "does not exist", "disk is full")
    )


def _said(error: DBAPIError) -> str:
    return printable(reason(error.orig or error))
