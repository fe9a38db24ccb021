"""The routes of the page's Review view: fields of a job for clerks, their pictures, and decisions."""

import asyncio
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import FastAPI, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from digitnet.serving.problems import ProblemError
from digitnet.serving.requests import Intake

if TYPE_CHECKING:
    from digitnet.review.desk import Desk

Name = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$")]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Wanted(_Model):
    """A clerk and how many fields the clerk wants to hold."""

    clerk: Name
    count: int = Field(ge=1, le=50)


class Decision(_Model):
    """What a clerk decided; see `Desk.decide`."""

    clerk: Name
    field: int
    text: str = Field(max_length=200)
    status: str
    key: Annotated[str, StringConstraints(min_length=8, max_length=64)]
    seconds: float | None = Field(None, ge=0)
    insists: bool = False


class Undo(_Model):
    """A decision that a clerk takes back."""

    clerk: Name
    key: Annotated[str, StringConstraints(max_length=64)]


def add_review(app: FastAPI, desk: "Desk", clerk: str, intake: Intake) -> None:
    """Add the routes. clerk: the name of clerks who give none."""

    def route(path: str, model: type[_Model], work: Callable[[Any], dict[str, Any]]) -> None:
        async def answer(request: Request) -> Response:
            async with intake.body(request) as content:
                try:
                    given = model.model_validate_json(content)
                except ValidationError as error:
                    first = error.errors(include_url=False)[0]
                    place = ".".join(map(str, first["loc"])) or "the body"
                    raise ProblemError(422, f"{place}: {first['msg'][:1].lower()}{first['msg'][1:]}") from error
                return _json(await asyncio.to_thread(work, given))

        app.add_api_route(path, answer, methods=["POST"], include_in_schema=False)

    def overview(name: str) -> dict[str, Any]:
        return desk.overview(name) | {"clerk": name}

    def wanted(given: Wanted) -> dict[str, Any]:
        return {"tasks": desk.tasks(given.clerk, given.count)} | overview(given.clerk)

    def decided(given: Decision) -> dict[str, Any]:
        desk.decide(
            *(given.clerk, given.field, given.text, given.status),
            key=given.key,
            seconds=given.seconds,
            insists=given.insists,
        )
        return overview(given.clerk)

    def undone(given: Undo) -> dict[str, Any]:
        task = desk.store.undo(given.clerk, given.key)
        return {"task": None if task is None else desk.plain(task)} | overview(given.clerk)

    route("/v1/review/next", Wanted, wanted)
    route("/v1/review/decide", Decision, decided)
    route("/v1/review/undo", Undo, undone)

    @app.get("/v1/review", include_in_schema=False)
    async def told(name: Annotated[Name, Query(alias="clerk")] = clerk) -> Response:
        return _json(await asyncio.to_thread(overview, name))

    @app.get("/v1/review/fields/{number}/page", include_in_schema=False)
    async def page(number: Annotated[int, Path(ge=1)]) -> Response:
        content, scale = await asyncio.to_thread(desk.pictures.page, number)
        return Response(content, media_type="image/jpeg", headers={"X-Scale": str(scale), **_PRIVATE})

    @app.get("/v1/review/fields/{number}/field", include_in_schema=False)
    async def field(number: Annotated[int, Path(ge=1)]) -> Response:
        content = await asyncio.to_thread(desk.pictures.field, number)
        return Response(content, media_type="image/png", headers=_PRIVATE)


_PRIVATE = {"Cache-Control": "private, no-store"}


def _json(plain: dict[str, Any]) -> Response:
    return Response(json.dumps(plain), media_type="application/json", headers=_PRIVATE)
