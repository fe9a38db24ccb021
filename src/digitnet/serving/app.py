"""The HTTP service: `create_app()` for any ASGI server; `process.py` runs it with uvicorn.

Routes are here; what they do is in `service.py`, what may come in in `requests.py`, who may ask in `middleware.py`. The
page at / is the folder `web`, and nothing it or the documentation at /docs loads is from another host.
"""

# No `from __future__ import annotations`: FastAPI resolves the routes' hints, which use names of `create_app`.

import asyncio
import hashlib
import json
import mimetypes
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import Depends, FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from prometheus_client import generate_latest
from starlette.exceptions import HTTPException

from digitnet.core.errors import DigitNetError
from digitnet.core.text import nearest
from digitnet.core.version import __version__
from digitnet.imaging.pages import NoPageError
from digitnet.reading.checksums import CHECKSUMS
from digitnet.reading.kinds import KINDS, ORDERS
from digitnet.review.records import AwayError, DecidedError
from digitnet.serving.access_log import AccessLog, Entry
from digitnet.serving.batching import BusyError, LateError
from digitnet.serving.connection import GATE, Gate
from digitnet.serving.contents import File, images
from digitnet.serving.forms import add_forms
from digitnet.serving.invitation import invitation
from digitnet.serving.middleware import Guard
from digitnet.serving.openapi import ROUTES, TAGS, describe
from digitnet.serving.problems import ProblemError, answer, busy
from digitnet.serving.requests import Intake, kind
from digitnet.serving.review import add_review
from digitnet.serving.service import Asked, Service, Settings
from digitnet.serving.shares import Shares
from digitnet.serving.trainings import Trainings

if TYPE_CHECKING:
    from digitnet.review.desk import Desk

WEB = Path(__file__).parent / "web"
"""The page and what it loads."""

MIN_LARGE_BODY = 100_000
"""Bytes from which a body is parsed in a thread: nobody else is answered meanwhile on the event loop."""


def create_app(settings: Settings | None = None, desk: "Desk | None" = None) -> FastAPI:
    """Return the service as an ASGI application; opening the models takes about 0.2 s. desk: of the job to review.

    Raises ModelError if a model does not exist, DataError if the report's folder contains no report.
    """
    settings = settings or Settings()
    service, limits = Service(settings), settings.limits
    intake = Intake(limits, service.work.place)
    connections = Shares(limits.connections, limits.per_client)
    journal = AccessLog() if settings.access_log else None

    def refused(entry: Entry) -> None:
        service.metrics.refuse(entry.status)
        if journal is not None:
            journal.write(entry)

    gate = Gate(limits, connections, refused)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        running = asyncio.create_task(service.run())
        yield {GATE: gate}
        running.cancel()
        service.work.close()
        if service.trainings is not None:
            await asyncio.to_thread(service.trainings.close)

    app = FastAPI(
        title="digitnet",
        version=__version__,
        description="Reads handwritten numbers in images, and classifies and explains single digits.",
        openapi_tags=TAGS,
        dependencies=[Depends(_only_known)],
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.reopen = service.ask_to_reopen
    app.add_middleware(
        Guard,
        metrics=service.metrics,
        check=service.work.check,
        token=settings.token,
        hosts=settings.hosts,
        journal=journal,
    )
    _tell_problems(app)
    model_of = Annotated[
        str, Query(description="The network to use.", json_schema_extra={"enum": [*service.models.by_name]})
    ]

    def known(model: str) -> str:
        if model not in service.models.by_name:
            raise ProblemError(422, f"model {model!r}: choose one of {', '.join(service.models.by_name)}")
        return model

    async def answered(asked: Sequence[bytes], make: Callable[[], Awaitable[str]]) -> Response:
        return _json(await service.answers.answer((service.models.key, *asked), make))

    @app.post("/v1/read", **ROUTES["read"])
    async def read(
        request: Request,
        single: Annotated[bool, Query(description="Each image contains one number and nothing else.")] = False,
        printed: Annotated[
            Literal["keep", "skip"], Query(alias="print", description="Whether printed numbers are read.")
        ] = "keep",
        length: Annotated[int | None, Query(ge=1, le=999, description="Number of digits of every number.")] = None,
        lengths: Annotated[
            str | None,
            Query(
                pattern=r"^([0-9]{1,3}(-[0-9]{1,3})?)?$",
                description="Minimum and maximum number of digits, such as 4-6.",
            ),
        ] = None,
        value_range: Annotated[
            str | None,
            Query(
                alias="range",
                pattern=r"^([0-9]{0,30}\.\.[0-9]{0,30})?$",
                description="Minimum and maximum value, such as 0..100.",
            ),
        ] = None,
        checksum: Annotated[
            str | None, Query(description="Check digit.", json_schema_extra={"enum": [*CHECKSUMS, ""]})
        ] = None,
        number_kind: Annotated[
            str | None,
            Query(alias="kind", description="Kind of every number.", json_schema_extra={"enum": [*KINDS, ""]}),
        ] = None,
        decimal: Annotated[
            str | None, Query(description="Decimal separator.", json_schema_extra={"enum": [".", ",", ""]})
        ] = None,
        order: Annotated[
            str | None,
            Query(description="Order of day, month and year in dates.", json_schema_extra={"enum": [*ORDERS, ""]}),
        ] = None,
        min_confidence: Annotated[
            float, Query(ge=0, le=1, description="Numbers below this confidence are not `accepted`.")
        ] = 0.0,
        page: Annotated[int | None, Query(ge=1, le=10_000, description="The only page to read, from 1.")] = None,
        turn: Annotated[
            Literal["0", "90", "180", "270"],
            Query(description="Degrees clockwise by which pages are turned before they are read."),
        ] = "0",
        picture: Annotated[bool, Query(description="Return each page as a data URL, to be shown.")] = False,
    ) -> Response:
        rules = (length, lengths, value_range, checksum, number_kind, decimal, order)
        asked = Asked(single, min_confidence, *rules, printed, page, int(turn), picture)
        async with intake.files(request) as given:
            if picture:  # the page itself is not kept in memory for others
                return _json(await service.read_all(given, asked))
            parts = (part for file in given for part in (repr((file.name, file.kind)).encode(), file.content))
            return await answered((repr(asked).encode(), *parts), partial(service.read_all, given, asked))

    @app.post("/v1/classify", **ROUTES["classify"])
    async def classify(request: Request, model: model_of = service.models.default) -> Response:
        name = known(model)
        async with intake.body(request) as content:
            if len(content) < MIN_LARGE_BODY:
                return _json(await service.classify(images(content, limits.images), name))
            given = await service.work.run(partial(images, content, limits.images))
            return _json(await service.classify(given, name))

    @app.post("/v1/inside", **ROUTES["inside"])
    async def inside(request: Request, model: model_of = service.models.default) -> Response:
        name = known(model)
        async with intake.body(request) as content:
            return _json(await service.inside(File(None, content, kind(request)), name))

    @app.get("/v1/network", **ROUTES["network"])
    async def network(model: model_of = service.models.default) -> Response:
        return Response(service.models.by_name[known(model)].content, media_type="application/octet-stream")

    @app.get("/v1/models", **ROUTES["models"])
    async def models() -> Response:
        return _json(json.dumps(service.models.told() | {"features": features}))

    @app.get("/v1/share", **ROUTES["share"])
    async def share(request: Request) -> Response:
        if settings.address is None:
            raise ProblemError(
                404, "the service listens to this machine alone; start it with --host 0.0.0.0 to share it"
            )
        return _json(json.dumps(invitation(settings.address, request.scope["server"][1], settings.token)))

    features = {"share": settings.address is not None, "train": settings.train is not None}

    def trainings() -> Trainings:
        if service.trainings is None:
            raise ProblemError(404, "the page may not train here; start the service with --allow-train")
        return service.trainings

    @app.get("/v1/train", **ROUTES["train"])
    async def trained() -> Response:
        return _json(json.dumps(trainings().told()))

    @app.post("/v1/train", **ROUTES["start"])
    async def start(
        rate: Annotated[
            float, Query(ge=0.001, le=100, description="What the recipe's learning rates are multiplied by.")
        ] = 1.0,
        seed: Annotated[int, Query(ge=0, lt=2**32, description="Seed of the initial weights and the order.")] = 0,
    ) -> Response:
        return _json(json.dumps(trainings().start(rate, seed)))

    @app.post("/v1/train/stop", **ROUTES["stop"])
    async def stop() -> Response:
        return _json(json.dumps(trainings().stop()))

    @app.get("/v1/report", **ROUTES["report"])
    async def told() -> Response:
        if (report := service.models.report) is None:
            raise ProblemError(404, "no report; start the service with --report RUN, the folder of a trained network")
        return _json(report)

    @app.get("/health/live", **ROUTES["live"])
    async def live() -> Response:
        return _json('{"status": "live"}')

    @app.get("/health/ready", **ROUTES["ready"])
    async def ready() -> Response:
        if not service.warm:
            raise ProblemError(503, "still opening the models; try again in a second", {"Retry-After": "1"})
        return _json('{"status": "ready"}')

    @app.get("/metrics", **ROUTES["metrics"])
    async def metrics() -> Response:
        return Response(generate_latest(service.metrics.registry), media_type="text/plain; version=0.0.4")

    add_forms(app, service, intake)
    if desk is not None:
        add_review(app, desk, settings.clerk, intake)
    _add_page(app, desk is not None)
    describe(app, service, settings.token is not None)
    return app


async def _only_known(request: Request) -> None:
    """Refuse query parameters that a route does not have, or that are given twice: neither may be ignored."""
    known = [field.alias for field in request.scope["route"].dependant.query_params]
    given = [name for name, _ in request.query_params.multi_items()]
    for name in given:
        if name not in known:
            raise ProblemError(422, f"unknown query parameter {name[:50]!r}; {nearest(name, known)}")
        if given.count(name) > 1:
            raise ProblemError(422, f"query parameter {name!r} is given {given.count(name)} times; give it once")


def _json(content: str) -> Response:
    return Response(content, media_type="application/json")


def _tell_problems(app: FastAPI) -> None:
    """Make every refusal application/problem+json."""

    async def refused(request: Request, error: Exception) -> Response:
        return answer(error) if isinstance(error, ProblemError) else answer(_as_problem(error))

    for kind_of in (ProblemError, DigitNetError, BusyError, LateError, RequestValidationError, HTTPException):
        app.add_exception_handler(kind_of, refused)


def _as_problem(error: Exception) -> ProblemError:
    match error:
        case BusyError():
            return busy()
        case LateError():
            return ProblemError(503, "waited too long in the queue; try again in a second", {"Retry-After": "1"})
        case RequestValidationError():
            wrong = (f"{each['loc'][-1]}: {each['msg'][:1].lower()}{each['msg'][1:]}" for each in error.errors())
            return ProblemError(422, "; ".join(wrong))
        case AwayError():
            return ProblemError(503, str(error), {"Retry-After": "1"})
        case NoPageError():
            return ProblemError(404, str(error))
        case DecidedError():
            return ProblemError(409, str(error))
        case HTTPException(status_code=404):
            return ProblemError(404, "unknown address; /docs lists all addresses")
        case HTTPException(status_code=405):
            return ProblemError(405, "method not allowed; /docs lists the methods of this address", error.headers)
        case HTTPException():
            return ProblemError(error.status_code, str(error.detail), error.headers)
        case _:
            return ProblemError(422, str(error))


def _add_page(app: FastAPI, review: bool) -> None:
    """Serve the folder `web` at /, from memory: it is small, and changes with the package alone.

    review: whether the page shows its Review view.
    """
    for path in sorted(WEB.iterdir()):
        content = path.read_bytes()
        if review and path.name == "index.html":
            content = content.replace(b'<html lang="en">', b'<html lang="en" data-review>')
        media_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        headers = {"ETag": f'"{hashlib.sha256(content).hexdigest()[:16]}"', "Cache-Control": "no-cache"}

        async def send(
            request: Request, content: bytes = content, media_type: str = media_type, headers: Any = headers
        ) -> Response:
            if request.headers.get("if-none-match") == headers["ETag"]:
                return Response(status_code=304, headers=headers)
            return Response(content, headers=headers, media_type=media_type)

        places = {"index.html": ["/"], "docs.html": ["/docs"]}.get(path.name, [f"/{path.name}"])
        for place in places:
            app.add_route(place, send, methods=["GET"], include_in_schema=False)
