"""What /openapi.json, and the page /docs made of it, tell of each route besides what FastAPI knows.

The examples of answers are not written by hand: `Service.warm_up` gives the real ones.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from digitnet.digits import SIDE
from digitnet.intake import FIELD, Limits
from digitnet.problems import PROBLEM
from digitnet.service import Service

TAGS = [
    {"name": "digits", "description": "Read numbers, classify and explain single digits."},
    {"name": "service", "description": "Which models answer, and how the service is."},
]

Schema = dict[str, Any]


def _object(all_of_it: bool = True, /, **properties: Schema) -> Schema:
    return {"type": "object", "properties": properties} | ({"required": [*properties]} if all_of_it else {})


def _list(items: Schema, **more: Any) -> Schema:
    return {"type": "array", "items": items} | more


_TEXT, _WHOLE, _YES = {"type": "string"}, {"type": "integer"}, {"type": "boolean"}
_SHARE = {"type": "number", "minimum": 0, "maximum": 1}
_PERHAPS = {"type": ["string", "null"]}
_BOX = _list(_WHOLE, minItems=4, maxItems=4, description="left, top, right, bottom; pixels of the page")
_PIXEL = {"type": "integer", "minimum": 0, "maximum": 255}
_ROW = _list(_PIXEL, minItems=SIDE, maxItems=SIDE)
_IMAGE = _list(_ROW, minItems=SIDE, maxItems=SIDE, description="rows of pixels: 0 paper .. 255 ink")
_FLAT = _list(_WHOLE, minItems=SIDE * SIDE, maxItems=SIDE * SIDE, description="pixels, row after row")
_TEN = _list(_SHARE, minItems=10, maxItems=10)
_MODEL = _object(name=_TEXT, sha256=_TEXT)
_PROBLEM = _object(type=_TEXT, title=_TEXT, status=_WHOLE, detail=_TEXT)
_DIGIT = _object(
    value={"type": "integer", "minimum": 0, "maximum": 9},
    probability=_SHARE,
    box=_BOX,
    alternatives=_list(_object(value=_WHOLE, probability=_SHARE)),
)
_NUMBER = _object(
    text=_TEXT,
    confidence=_SHARE,
    box=_BOX,
    digits=_list(_DIGIT),
    alternatives=_list(_object(text=_TEXT, confidence=_SHARE)),
    reasons=_list(_object(code=_TEXT, advice=_TEXT)),
    seen=_PERHAPS,
    accepted=_YES,
)
_PAGE = _object(text=_TEXT, confidence=_SHARE, width=_WHOLE, height=_WHOLE, rules=_PERHAPS, numbers=_list(_NUMBER))
_RESULT = _object(False, name=_PERHAPS, pages=_list(_PAGE), error=_PROBLEM)
_READ = _object(results=_list(_RESULT), model=_object(line=_MODEL, digits=_MODEL))
_CLASSIFIED = _object(
    model=_MODEL,
    threshold=_SHARE,
    results=_list(_object(digit=_WHOLE, confidence=_SHARE, digitness=_SHARE, accepted=_YES, probabilities=_TEN)),
)
_LAYER = _object(channels=_WHOLE, height=_WHOLE, width=_WHOLE, maximum={"type": "number"}, maps=_list(_list(_PIXEL)))
_INSIDE = _object(
    image=_FLAT,
    digit=_WHOLE,
    probs=_TEN,
    digitness=_SHARE,
    accepted=_YES,
    layers=_list(_LAYER),
    hidden=_object(units=_WHOLE, strongest=_list(_object(index=_WHOLE, value={"type": "number"}))),
    occlusion=_FLAT,
)
_WRONG = _object(index=_WHOLE, true=_WHOLE, predicted=_WHOLE, probability=_SHARE, image=_FLAT)
_REPORT = _object(
    run=_TEXT,
    accuracy=_SHARE,
    interval=_list(_SHARE, minItems=2, maxItems=2),
    n=_WHOLE,
    errors=_WHOLE,
    confusion=_list(_list(_WHOLE), description="rows true digits, columns predicted ones"),
    wrong={"type": ["array", "null"], "items": _WRONG, "description": "null where the run kept no pictures"},
)
_STATUS = _object(status=_TEXT)

_PICTURES = ("image/png", "image/jpeg", "image/tiff", "image/webp", "image/bmp", "image/gif")
_FILE = {"type": "string", "format": "binary"}
_FORM = _object(**{FIELD: _list(_FILE, minItems=1, maxItems=Limits().files)}) | {"additionalProperties": False}

_WORDS = {
    400: "The form is damaged.",
    401: "The token is missing or wrong, where the service asks for one.",
    403: "Sent by a web page of another site.",
    404: "There is no report.",
    408: "The body came too slowly.",
    413: "Too many bytes.",
    422: "What was sent or asked for cannot be read, or is too much; the detail says why.",
    429: "Busy: all places are taken. Retry-After says when to try again.",
    503: "Waited too long for its turn, or not ready yet.",
}


def _route(summary: str, schema: Schema, refusals: tuple[int, ...], bodies: Schema | None = None) -> dict[str, Any]:
    """Return what FastAPI is told of a route; a route with bodies is one of work, the others tell of the service."""
    told = {status: {"description": _WORDS[status], "content": {PROBLEM: {"schema": _PROBLEM}}} for status in refusals}
    responses = {200: {"description": "OK", "content": {"application/json": {"schema": schema}}}} | told
    extra = {"requestBody": {"required": True, "content": bodies}} if bodies else {}
    tag = "digits" if bodies else "service"
    return {"summary": summary, "responses": responses, "openapi_extra": extra, "tags": [tag], "response_model": None}


_WORK = (400, 401, 403, 408, 413, 422, 429, 503)
_GUARDED = (401, 403)

ROUTES: dict[str, dict[str, Any]] = {
    "read": _route(
        "Read the numbers on pictures and PDFs",
        _READ,
        _WORK,
        {"multipart/form-data": {"schema": _FORM}}
        | {media: {"schema": _FILE} for media in (*_PICTURES, "application/pdf")},
    ),
    "classify": _route(
        "Classify images of 28 x 28 pixels, a digit each",
        _CLASSIFIED,
        _WORK,
        {
            "application/json": {
                "schema": _object(images=_list(_IMAGE, maxItems=Limits().images)) | {"additionalProperties": False}
            }
        }
        | {"application/x-npy": {"schema": _FILE}},
    ),
    "inside": _route(
        "Look at what a network makes of one digit",
        _INSIDE,
        _WORK,
        {media: {"schema": _FILE} for media in _PICTURES}
        | {"application/json": {"schema": _object(image=_IMAGE) | {"additionalProperties": False}}},
    ),
    "models": _route("Which models answer", _object(reading=_object(), models=_list(_MODEL)), _GUARDED),
    "report": _route("How well a trained network does, and what it got wrong", _REPORT, (*_GUARDED, 404)),
    "live": _route("Whether the service runs", _STATUS, (403,)),
    "ready": _route("Whether it is ready for work", _STATUS, (403, 503)),
    "metrics": _route("Counts, as Prometheus reads them", _STATUS, _GUARDED),
}
ROUTES["metrics"]["responses"][200]["content"] = {"text/plain": {"schema": _TEXT}}


def describe(app: FastAPI, service: Service) -> None:
    """Make the application tell the real answers to real requests, once the service has warmed up."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        document = plain()
        for path in document["paths"].values():
            for operation in path.values():
                operation["responses"].pop("422", None) if "requestBody" not in operation else None
        for name, (given, answered) in service.examples.items():
            operation = document["paths"][f"/v1/{name}"]["post"]
            operation["responses"]["200"]["content"]["application/json"]["example"] = answered
            if given is not None:
                operation["requestBody"]["content"]["application/json"]["example"] = given
        return document

    app.openapi = openapi  # type: ignore[method-assign]
