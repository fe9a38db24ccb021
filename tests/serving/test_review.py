"""The routes of the Review view: what is refused, and with which status."""

import json

import pytest

pytest.importorskip("sqlalchemy", reason="reviewing needs the extra review")
pytest.importorskip("fastapi", reason="the service needs the extra serve")
httpx = pytest.importorskip("httpx")

from digitnet.review.desk import Desk  # noqa: E402
from digitnet.review.records import AwayError, StoredField, StoredSheet  # noqa: E402
from digitnet.review.store import Store  # noqa: E402
from digitnet.serving.app import create_app  # noqa: E402
from digitnet.serving.service import Settings  # noqa: E402


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    store = Store(str(tmp_path_factory.mktemp("review") / "a.job"), create=True)
    corners = [(1.0, 1.0), (9.0, 1.0), (9.0, 5.0), (1.0, 5.0)]
    fields = tuple(StoredField(name, "digits", False, corners, "12", 0.5, "read", doubt=0.5) for name in "ab")
    store.add(StoredSheet("a.png", 1, "/nowhere/a.png", None, "read", 0, (), None, None, None, {}, None, fields))
    yield store
    store.close()


@pytest.fixture(scope="module")
def app(store):
    return create_app(Settings(threads=1, clerk="amara"), Desk(store))


@pytest.fixture
def ask(app):
    """Ask the service: ask(path, body or None) -> (status, plain answer)."""

    def run(path, body=None, content=None):
        import asyncio

        async def one():
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
                if body is None and content is None:
                    return await client.get(path)
                return await client.post(path, content=content or json.dumps(body))

        answer = asyncio.run(one())
        return answer.status_code, answer.json() if "json" in answer.headers["content-type"] else answer.content

    return run


def test_fields_are_handed_out_decided_and_taken_back(ask, store):
    status, told = ask("/v1/review")
    assert (status, told["clerk"], told["progress"]["open"]) == (200, "amara", 2)
    _, told = ask("/v1/review/next", {"clerk": "ben", "count": 1})
    (task,) = told["tasks"]
    decision = {"clerk": "ben", "field": task["field"], "text": "7", "status": "read", "key": "abcdefgh", "seconds": 1}
    for _ in range(2):
        status, told = ask("/v1/review/decide", decision)
        assert (status, told["progress"]["done"], told["progress"]["mine"]) == (200, 1, 1)
    status, said = ask("/v1/review/decide", decision | {"clerk": "amara", "key": "ijklmnop"})
    assert (status, said["detail"]) == (409, f"field {task['field']} is decided already")
    status, told = ask("/v1/review/undo", {"clerk": "ben", "key": "abcdefgh"})
    assert (status, told["task"]["field"], told["progress"]["done"]) == (200, task["field"], 0)
    assert ask("/v1/review/undo", {"clerk": "ben", "key": "qrstuvwx"})[0] == 422


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("next", {"clerk": "", "count": 1}, "clerk: "),
        ("next", {"clerk": "a\nb", "count": 1}, "clerk: "),
        ("next", {"clerk": "ben", "count": 51}, "count: "),
        ("next", {"clerk": "ben", "count": 1, "more": 1}, "more: "),
        ("decide", {"clerk": "ben", "field": 1, "text": "7" * 201, "status": "read", "key": "abcdefgh"}, "text: "),
        ("decide", {"clerk": "ben", "field": 1, "text": "7", "status": "sure", "key": "abcdefgh"}, "not a value of"),
        ("decide", {"clerk": "ben", "field": 99, "text": "7", "status": "read", "key": "abcdefgh"}, "no field 99"),
        ("decide", [], "the body: "),
    ],
)
def test_what_is_wrong_with_a_request_is_said(ask, path, body, said):
    status, told = ask(f"/v1/review/{path}", body)
    assert status == 422
    assert said in told["detail"]


def test_what_is_not_json_and_a_picture_that_is_not_there(ask):
    assert ask("/v1/review/next", content=b"{")[0] == 422
    status, told = ask("/v1/review/fields/1/page")
    assert (status, "/nowhere/a.png" in told["detail"]) == (422, True)
    assert ask("/v1/review/fields/99/field")[0] == 422


def test_a_database_that_is_away_is_a_503_that_may_be_tried_again(ask, store, monkeypatch):
    def away(*_):
        raise AwayError("a.job: the database does not answer")

    monkeypatch.setattr(store, "next", away)
    status, told = ask("/v1/review/next", {"clerk": "ben", "count": 1})
    assert (status, told["detail"]) == (503, "a.job: the database does not answer")


def test_the_page_shows_its_review_where_a_job_is_open(ask):
    assert b"data-review" in ask("/")[1]
