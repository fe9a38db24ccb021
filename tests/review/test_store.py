"""The store of a job, on SQLite and on PostgreSQL alike."""

import json
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from digitnet.core.errors import DataError
from digitnet.forms.examples import example
from digitnet.review.database import Database
from digitnet.review.records import AwayError, DecidedError, Policy, StoredField, StoredSheet
from digitnet.review.store import Store

SQUARE = [(10.0, 10.0), (40.0, 10.0), (40.0, 20.0), (10.0, 20.0)]


def field(name="total", doubt=0.5, **changes):
    plain = {"kind": "digits", "critical": False, "corners": SQUARE, "text": "12", "confidence": 1 - min(doubt, 1)}
    return StoredField(**({"name": name, "status": "read", "doubt": doubt} | plain | changes))


def sheet(file="a.png", *fields, status="read", page=1, error=None):
    to_page = [[8, 0, 0], [0, 8, 0], [0, 0, 1]]
    return StoredSheet(
        file, page, f"/scans/{file}", None, status, 0, ("a note",), error, to_page, "d1", {"line": "m1"}, None, fields
    )


class Clock:
    now = 1_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def store(place, clock):
    store = Store(place, create=True, clock=clock)
    yield store
    store.close()


def left(store, clerk="amara"):
    """Decide all that is to be decided as it was read; return the names in the order in which they were handed out."""
    names = []
    while tasks := store.next(clerk):
        names.append(tasks[0].name)
        store.decide(clerk, tasks[0].field, tasks[0].text, "read", key=f"{clerk}-{tasks[0].field}")
    return names


def test_a_sheet_is_kept_once_with_all_of_its_fields(store):
    whole = sheet("a.png", field("one", 0.5, seen="17", alternatives=("17", "72")), field("two", 0.01, lot=0.5))
    assert store.add(whole)
    assert not store.add(sheet("a.png", field("three")))
    (kept,) = store.sheets()
    assert kept == whole
    assert json.loads(json.dumps(kept.to_page)) == kept.to_page


def test_a_sheet_that_could_not_be_read_is_replaced_and_the_last_file_is_read_again(store):
    store.add(sheet("a.png", field()))
    store.add(sheet("b.png", status="error", error="b.png: damaged"))
    store.add(sheet("c.png", field()))
    assert store.files() == {"a.png"}
    assert store.add(sheet("b.png", field()))
    assert [(each.file, each.status) for each in store.sheets()] == [(n, "read") for n in ("a.png", "b.png", "c.png")]
    assert store.files() == {"a.png", "c.png"}


def test_a_job_of_another_template_is_refused(store):
    marks = example("marks")
    store.add_forms([marks, example("order")])
    store.add_forms([marks])
    assert store.templates() == {"marks": marks, "order": example("order")}
    with pytest.raises(DataError, match="its form marks differs from this template; use another job"):
        store.add_forms([marks.model_copy(update={"title": "Other"})])


def test_only_doubtful_fields_are_handed_out_the_most_valuable_first(store):
    doubts = {"sure": 0.02, "slightly": 0.1, "must": 2.0, "very": 0.7, "unseen": -1.0}
    store.add(
        sheet("a.png", *(field(name, doubt) for name, doubt in doubts.items()), field("vital", 0.2, critical=True))
    )
    assert [task.name for task in store.next("amara", 9)] == ["vital", "must", "very", "slightly"]
    progress = store.progress("amara")
    assert (progress.sheets, progress.fields, progress.open, progress.done) == (1, 6, 4, 0)


def test_the_policy_decides_what_is_handed_out_and_leaves_decisions(store):
    lots = {"a": 0.001, "b": 0.5, "c": 0.9}
    store.add(sheet("a.png", *(field(name, 0.04, lot=lot) for name, lot in lots.items())))
    assert [task.name for task in store.next("amara", 9)] == ["a"]  # sampled
    left(store)
    store.set_policy(Policy(0.97, 0.0))
    assert store.policy() == Policy(0.97, 0.0)
    assert sorted(task.name for task in store.next("amara", 9)) == ["b", "c"]
    store.set_policy(Policy(0.9, 0.6))
    assert [task.name for task in store.next("amara", 9)] == ["b"]


def test_sampled_fields_lie_anywhere_among_doubtful_ones_by_either_way_of_ranking(store):
    policy = Policy(0.9, 0.5)
    store.set_policy(policy)
    fields = [field(f"f{n}", doubt, lot=n / 40) for n, doubt in enumerate([0.05, 0.3, 0.9, 0.01] * 5)]
    store.add(sheet("a.png", *fields))
    first = [task.name for task in store.next("amara", 99)]
    store.set_policy(Policy(0.5, 0.1))
    store.set_policy(policy)
    assert [task.name for task in store.next("amara", 99)] == first
    sure = {each.name for each in fields if each.doubt < 0.1}
    places = [place for place, name in enumerate(first) if name in sure]
    assert len(first) == 20
    assert min(places) < 5
    assert max(places) > 14


def test_a_decision_is_kept_with_who_and_when_and_once_a_key(store, clock):
    store.add(sheet("a.png", field("total", alternatives=("17",))))
    (task,) = store.next("amara")
    assert (task.file, task.page, task.name, task.text, task.alternatives) == ("a.png", 1, "total", "12", ("17",))
    clock.now = 2_000.0
    for _ in range(2):
        store.decide("amara", task.field, "17", "read", key="k1", seconds=0.8)
    (kept,) = store.sheets()
    (its,) = kept.fields
    assert (its.text, its.final_text, its.final_status, its.clerk, its.at) == ("12", "17", "read", "amara", 2_000.0)
    assert store.next("amara") == []
    progress = store.progress("amara")
    assert (progress.open, progress.done, progress.mine, progress.last, progress.pace) == (0, 1, 1, "k1", 0.8)
    with pytest.raises(DecidedError):
        store.decide("ben", task.field, "12", "read", key="k2")


def test_what_is_not_a_decision_is_refused(store):
    store.add(sheet("a.png", field()))
    (task,) = store.next("amara")
    for text, status in [("", "read"), ("7", "empty"), ("7", "guessed"), ("7\0", "read"), ("7\n", "read")]:
        with pytest.raises(DataError, match="not a value of status"):
            store.decide("amara", task.field, text, status, key="k")
    with pytest.raises(DataError, match="no field 99"):
        store.decide("amara", 99, "7", "read", key="k")
    with pytest.raises(DataError, match="no field 99"):
        store.source(99)
    store.decide("amara", task.field, "", "unreadable", key="k")
    assert next(store.sheets()).fields[0].final_status == "unreadable"


def test_a_decision_is_taken_back_and_its_field_handed_out_again(store):
    store.add(sheet("a.png", field("one", 0.9), field("two", 0.8)))
    (one,) = store.next("amara")
    store.decide("amara", one.field, "1", "read", key="k1")
    assert [task.name for task in store.next("amara")] == ["two"]
    with pytest.raises(DataError, match="ben has decided nothing"):
        store.undo("ben", "k1")
    for _ in range(2):
        assert store.undo("amara", "k1") == one
    assert store.progress("amara").last is None
    assert [task.name for task in store.next("amara", 9)] == ["one", "two"]
    store.decide("amara", one.field, "2", "read", key="k2")
    assert next(store.sheets()).fields[0].final_text == "2"


def test_a_field_belongs_to_one_clerk_until_the_lease_ends(store, clock):
    store.add(sheet("a.png", field("one", 0.9), field("two", 0.8), field("three", 0.7)))
    assert [task.name for task in store.next("amara", 2)] == ["one", "two"]
    assert [task.name for task in store.next("ben", 2)] == ["three"]
    assert [task.name for task in store.next("amara", 2)] == ["one", "two"]  # a page that is loaded again
    clock.now += 601
    assert [task.name for task in store.next("ben", 3)] == ["one", "two", "three"]


def test_a_critical_field_takes_two_clerks_who_agree(store):
    store.add(sheet("a.png", field("vital", critical=True)))
    assert left(store, "amara") == ["vital"]
    assert store.next("amara") == []
    assert store.progress("amara").open == 1
    assert left(store, "ben") == ["vital"]
    assert next(store.sheets()).fields[0].final_text == "12"
    assert store.progress("amara").open == 0


@pytest.mark.parametrize(("third", "final"), [("7", "7"), ("12", "12"), ("9", "9")])
def test_a_third_clerk_decides_where_two_disagree(store, third, final):
    store.add(sheet("a.png", field("vital", critical=True)))
    for clerk, text in [("amara", "12"), ("ben", "7"), ("chen", third)]:
        (task,) = store.next(clerk)
        assert task.text == "12"  # what was read: nobody sees what another clerk typed
        store.decide(clerk, task.field, text, "read", key=clerk)
    assert store.next("dana") == []
    assert next(store.sheets()).fields[0].final_text == final


def test_taking_back_leaves_the_lease_of_another_clerk(store):
    store.add(sheet("a.png", field("vital", critical=True)))
    (task,) = store.next("amara")
    store.decide("amara", task.field, "12", "read", key="a")
    assert len(store.next("ben")) == 1
    assert store.undo("amara", "a") is None
    assert store.next("amara") == []


def test_clerks_at_once_get_different_fields_and_nothing_is_lost(place):
    count, clerks = 40, 4
    first = Store(place, create=True)
    first.add(sheet("a.png", *(field(f"f{n}", 0.5) for n in range(count))))
    begin = threading.Barrier(clerks)

    def work(number):
        store, got = Store(place), []
        begin.wait()
        while tasks := store.next(f"clerk{number}", 2):
            for task in tasks:
                got.append(task.field)
                store.decide(f"clerk{number}", task.field, "12", "read", key=f"{number}-{task.field}")
        store.close()
        return got

    with ThreadPoolExecutor(clerks) as pool:
        got = [number for some in pool.map(work, range(clerks)) for number in some]
    assert max(Counter(got).values()) == 1
    assert len(got) == count
    assert first.progress("x").done == count
    first.close()


def test_a_job_is_opened_again_as_it_was(place):
    store = Store(place, create=True)
    store.add(sheet("a.png", field()))
    store.close()
    again = Store(place)
    assert len(list(again.sheets())) == 1
    again.close()


def test_the_migrations_make_the_tables_as_they_are_declared(place):
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    from digitnet.review import database, tables

    its = Database(place, create=True)
    found = its.run(lambda connection: compare_metadata(MigrationContext.configure(connection), tables.metadata))
    assert found == []
    name = its.run(lambda connection: MigrationContext.configure(connection).get_current_revision())
    assert name == database.REVISION
    its.close()


def test_a_job_of_an_older_digitnet_keeps_the_hash_of_its_line_reader(place, monkeypatch):
    import sqlalchemy as sa
    from alembic import command

    from digitnet.review import database

    with monkeypatch.context() as patch:
        upgrade = command.upgrade
        patch.setattr(command, "upgrade", lambda config, _: upgrade(config, "0001"))
        patch.setattr(database, "REVISION", "0001")
        its = Database(place, create=True)
        values = "'a.png', 1, '\"/a.png\"', 'read', 0, '[]', 'abc', 1000"
        columns = "file, page, path, status, turned, notes, model, at"
        its.run(lambda connection: connection.execute(sa.text(f"INSERT INTO sheet ({columns}) VALUES ({values})")))
        its.close()
    store = Store(place)
    assert [each.models for each in store.sheets()] == [{"line": "abc"}]
    store.close()


def test_a_job_of_a_newer_digitnet_is_refused(place):
    import sqlalchemy as sa

    its = Database(place, create=True)
    its.run(lambda connection: connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'")))
    with pytest.raises(DataError, match=r"made by a newer digitnet \(tables 9999"):
        Database(place)
    its.close()


def test_what_is_not_a_job_is_refused(tmp_path, digitnet):
    for name, content, said in [
        ("missing.job", None, "no such job"),
        ("text.job", b"words, words, words" * 100, "not a job, but another file"),
        ("empty.job", b"", "holds no job"),
    ]:
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=said):
            Store(str(tmp_path / name))
    with pytest.raises(DataError, match="a folder; name a file for the job"):
        Store(str(tmp_path))
    with pytest.raises(DataError, match="begins with postgresql://"):
        Store("mysql://root:secret@here/job")


def test_a_database_of_something_else_is_left_alone(place):
    import sqlalchemy as sa

    its = Database(place, create=True)
    its.run(lambda connection: connection.execute(sa.text("DROP TABLE alembic_version")))
    with pytest.raises(DataError, match="holds other tables than a job's"):
        Database(place, create=True)
    its.close()


def test_a_database_that_is_away_is_tried_again_and_then_named_without_its_password(postgresql):
    url = postgresql.create().replace("digitnet@", "digitnet:secret@")
    database = Database(url, create=True, waits=(0.01, 0.01))
    store = Store(url, database=database)
    store.add(sheet("a.png", field()))
    (task,) = store.next("amara")
    postgresql.stop()
    try:
        with pytest.raises(AwayError, match=r"postgresql://digitnet:\*\*\*@.*the database does not answer"):
            store.decide("amara", task.field, "17", "read", key="k1")
        with pytest.raises(AwayError, match="does not answer"):
            Database(url, waits=())
    finally:
        postgresql.start()
    store.decide("amara", task.field, "17", "read", key="k1")  # the same again: nothing is lost or doubled
    assert store.progress("amara").mine == 1
    store.close()


def test_a_server_that_is_started_again_meanwhile_goes_unnoticed(postgresql):
    url = postgresql.create()
    store = Store(url, create=True)
    store.add(sheet("a.png", field()))
    postgresql.stop()
    later = threading.Timer(0.2, postgresql.start)
    later.start()
    assert len(store.next("amara")) == 1
    later.join()
    store.close()


def test_a_file_that_is_locked_for_long_is_said(tmp_path, monkeypatch):
    import sqlite3

    monkeypatch.setattr("digitnet.review.database.BUSY", 0.05)
    place = str(tmp_path / "a.job")
    database = Database(place, create=True, waits=(0.01,))
    other = sqlite3.connect(place, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(AwayError, match=r"the database does not answer \(database is locked\); try again"):
        Store(place, database=database).add(sheet())
    other.close()
    database.close()
