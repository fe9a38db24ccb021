"""Descriptions for /openapi.json and the page /docs, in addition to FastAPI's own.

The examples of answers are not written by hand: `Service.warm_up` gives the real ones.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from digitnet.core.digits import IMAGE_SIZE
from digitnet.forms.answers import STATUSES as FIELD_STATUSES
from digitnet.forms.sheets import STATUSES as SHEET_STATUSES
from digitnet.reading.result import STATUSES
from digitnet.serving.middleware import needs_token
from digitnet.serving.problems import PROBLEM
from digitnet.serving.requests import FIELD, Limits
from digitnet.serving.service import Service

TAGS = [
    {"name": "digits", "description": "Read numbers, classify and explain single digits."},
    {"name": "forms", "description": "Make templates of forms, and read filled sheets."},
    {"name": "service", "description": "The models, and the state of the service."},
]

SECURITY = {"token": {"type": "http", "scheme": "bearer", "description": "The value of DIGITNET_TOKEN, if it is set."}}
"""How requests name the token."""

Schema = dict[str, Any]


def _object(all_of_it: bool = True, /, **properties: Schema) -> Schema:
    return {"type": "object", "properties": properties} | ({"required": [*properties]} if all_of_it else {})


def _closed(**properties: Schema) -> Schema:
    return _object(**properties) | {"additionalProperties": False}


def _list(items: Schema, **more: Any) -> Schema:
    return {"type": "array", "items": items} | more


_TEXT, _WHOLE, _YES = {"type": "string"}, {"type": "integer"}, {"type": "boolean"}
_SHARE = {"type": "number", "minimum": 0, "maximum": 1}
_PERHAPS = {"type": ["string", "null"]}
_PIXEL = {"type": "integer", "minimum": 0, "maximum": 255}
_TEN = _list(_SHARE, minItems=10, maxItems=10)
_MAPS = _list(_list(_PIXEL))
_MANY = Limits().images

SCHEMAS: dict[str, Schema] = {}
"""The components that routes refer to, by name."""


def _named(name: str, schema: Schema) -> Schema:
    """Make a schema a component, and return what refers to it."""
    SCHEMAS[name] = schema
    return {"$ref": f"#/components/schemas/{name}"}


_BOX = _named("Box", _list(_WHOLE, minItems=4, maxItems=4, description="left, top, right, bottom; pixels of the page"))
_ROW = _list(_PIXEL, minItems=IMAGE_SIZE, maxItems=IMAGE_SIZE)
_IMAGE = _named(
    "Image",
    _list(_ROW, minItems=IMAGE_SIZE, maxItems=IMAGE_SIZE, description="rows of pixels: 0 background .. 255 ink"),
)
_FLAT = _named(
    "Pixels",
    _list(
        _WHOLE, minItems=IMAGE_SIZE * IMAGE_SIZE, maxItems=IMAGE_SIZE * IMAGE_SIZE, description="pixels, row after row"
    ),
)
_URL = _named(
    "DataURL",
    {"type": "string", "format": "data-url", "description": "an image or PDF as data:image/png;base64,..."},
)
_MODEL = _named("Model", _object(name=_TEXT, sha256=_TEXT))
_READERS = _named(
    "Readers",
    _object(line=_MODEL, digits=_MODEL, second_opinion={"anyOf": [_MODEL, {"type": "null"}]}),
)
_PROBLEM = _named("Problem", _object(type=_TEXT, title=_TEXT, status=_WHOLE, detail=_TEXT))
_DIGIT = _named(
    "Digit",
    _object(
        value={"type": "integer", "minimum": 0, "maximum": 9},
        probability=_SHARE,
        box=_BOX,
        alternatives=_list(_object(value=_WHOLE, probability=_SHARE)),
    ),
)
_NUMBER = _named(
    "Number",
    _object(
        text=_TEXT,
        confidence=_SHARE,
        box=_BOX,
        digits=_list(_DIGIT),
        alternatives=_list(_object(text=_TEXT, confidence=_SHARE)),
        reasons=_list(_object(code=_TEXT, advice=_TEXT)),
        seen=_PERHAPS,
        status={"type": "string", "enum": [*STATUSES]},
        rules_applied={"type": ["boolean", "null"], "description": "null without constraints"},
        written=_TEXT | {"description": "the number as written, with its signs; ? stands for any other sign"},
        written_confidence=_SHARE,
        value=_PERHAPS | {"description": "the value of the written number; null for the reason in no_value"},
        values=_list(_TEXT, description="all possible values of the written number"),
        no_value={"oneOf": [_object(code=_TEXT, advice=_TEXT), {"type": "null"}]},
        corners=_list(
            _list(_WHOLE | {"minimum": -(2**31)}, minItems=2, maxItems=2),
            description="x, y of its four corners in the direction of writing; none where text is empty",
        ),
        printed={"type": ["number", "null"], "minimum": 0, "maximum": 1}
        | {"description": "the probability that it is printed; null where it is unknown"},
        accepted=_YES,
    ),
)
_PAGE = _named(
    "Page",
    _object(
        text=_TEXT,
        confidence=_SHARE,
        width=_WHOLE,
        height=_WHOLE,
        turned={"type": "number", "minimum": 0, "exclusiveMaximum": 360}
        | {"description": "by how much the page was turned, degrees clockwise"},
        rules=_PERHAPS,
        left_out=_WHOLE | {"description": "how many places look like numbers and were not read"},
        unread=_list(_object(box=_BOX, code=_TEXT, advice=_TEXT), description="places that look like numbers"),
        no_numbers={"oneOf": [_object(code=_TEXT, advice=_TEXT), {"type": "null"}]}
        | {"description": "why there are no numbers; null where there are some"},
        limits=_list(_object(code=_TEXT, advice=_TEXT))
        | {"description": "limits that were reached, if the page was read only in part"},
        numbers=_list(_NUMBER),
    ),
)
SCHEMAS["Page"]["properties"]["picture"] = _TEXT | {"description": "the page as a JPEG data URL, if it was asked for"}
_RESULT = _named("FileResult", _object(False, name=_PERHAPS, pages=_list(_PAGE), error=_PROBLEM))
_READ = _named("ReadAnswer", _object(results=_list(_RESULT), model=_READERS))
_CLASS = _named(
    "ImageResult", _object(digit=_WHOLE, confidence=_SHARE, digitness=_SHARE, accepted=_YES, probabilities=_TEN)
)
_CLASSIFIED = _named("ClassifyAnswer", _object(model=_MODEL, threshold=_SHARE, results=_list(_CLASS)))
_LAYER = _named("Layer", _object(channels=_WHOLE, height=_WHOLE, width=_WHOLE, maximum={"type": "number"}, maps=_MAPS))
_INSIDE = _named(
    "InsideAnswer",
    _object(
        image=_FLAT,
        digit=_WHOLE,
        probs=_TEN,
        digitness=_SHARE,
        accepted=_YES,
        layers=_list(_LAYER),
        hidden=_object(units=_WHOLE, strongest=_list(_object(index=_WHOLE, value={"type": "number"}))),
        occlusion=_FLAT,
    ),
)
_WRONG = _named("WrongDigit", _object(index=_WHOLE, true=_WHOLE, predicted=_WHOLE, probability=_SHARE, image=_FLAT))
_REPORT = _named(
    "Report",
    _object(
        run=_TEXT,
        accuracy=_SHARE,
        interval=_list(_SHARE, minItems=2, maxItems=2),
        n=_WHOLE,
        errors=_WHOLE,
        confusion=_list(_list(_WHOLE), description="true digits in rows, predicted digits in columns"),
        wrong={"type": ["array", "null"], "items": _WRONG, "description": "null if the run stored no images"},
    ),
)
_MODELS = _named(
    "ModelsAnswer", _object(reading=_object(), models=_list(_MODEL), features=_object(share=_YES, train=_YES))
)
_TRAINING = _named(
    "Training",
    _object(
        False,
        number=_WHOLE,
        rate={"type": "number"},
        seed=_WHOLE,
        state={"type": "string", "enum": ["running", "finished", "stopped", "failed"]},
        about=_object(False, run=_TEXT, steps=_WHOLE, digits=_WHOLE, classes=_list(_TEXT)),
        curve=_list(_object(step=_WHOLE, loss={"type": "number"}, accuracy=_SHARE)),
        scores={"type": ["object", "null"], "description": "the test scores, once it has finished"},
        message=_PERHAPS,
        confusion={"type": ["array", "null"], "description": "of the latest look: true digits in rows"},
        filters={"type": ["array", "null"], "description": "the weights of the first convolution, row after row"},
    ),
)
_TRAININGS = _named("TrainAnswer", _object(trainings=_list(_TRAINING)))
_SHARED = _named("ShareAnswer", _object(url=_TEXT, svg=_TEXT))
_TEMPLATE = {"type": "object", "description": "a form template, as docs/form.schema.json has it"}
_FORM_OPENED = _named(
    "FormAnswer",
    _object(
        template=_TEMPLATE,
        picture=_TEXT | {"description": "the blank sheet, edge to edge, as a PNG data URL"},
        assumed=_PERHAPS | {"description": "what was assumed of the size of a scanned sheet; null if it is known"},
        page={"type": "integer", "description": "the page of the scan that is the form, from 1"},
        pages={"type": "integer", "description": "how many pages the scan has"},
    ),
)
_FORMS = _named(
    "FormsAnswer",
    _object(
        kinds={"type": "object", "additionalProperties": _list(_TEXT), "description": "the settings of each kind"},
        examples=_list(_TEXT),
    ),
)
_CHECKED = _named(
    "CheckAnswer",
    _object(
        False,
        problem=_PERHAPS | {"description": "the first thing that is wrong; null if the template is valid"},
        field={"type": ["integer", "null"], "description": "the place of the field with the problem, from 0"},
        file=_TEXT | {"description": "the template as the command line writes it"},
        picture=_PERHAPS | {"description": "its sheet as a PNG data URL, if it was asked for and has markers"},
    ),
)
_ANSWER = _named(
    "FieldAnswer",
    _object(text=_TEXT, name=_PERHAPS, confidence=_SHARE, status={"type": "string", "enum": [*FIELD_STATUSES]}),
)
_SHEET = _named(
    "Sheet",
    _object(
        False,
        form=_PERHAPS,
        status={"type": "string", "enum": [*SHEET_STATUSES]},
        turned=_WHOLE,
        code=_PERHAPS | {"description": "why the sheet was refused"},
        notes=_list(_TEXT),
        broken=_list(_TEXT, description="the relations that do not hold"),
        fields={"type": "object", "additionalProperties": _ANSWER},
        picture=_PERHAPS | {"description": "the sheet as it lies under its template, as a JPEG data URL"},
    ),
)
_SHEET_RESULT = _named("SheetFile", _object(False, name=_PERHAPS, pages=_list(_SHEET), error=_PROBLEM))
_SHEETS = _named("SheetsAnswer", _object(results=_list(_SHEET_RESULT), model=_READERS))
_STATUS = _named("Status", _object(status=_TEXT))
_CLASSIFY_BODY = _named("ClassifyBody", _closed(images=_list(_IMAGE, maxItems=_MANY)))
_INSIDE_BODY = _named("InsideBody", _closed(image={"oneOf": [_IMAGE, _URL]}))
_READ_BODY = _named("ReadBody", _closed(image=_URL))

_PICTURES = ("image/png", "image/jpeg", "image/tiff", "image/webp", "image/bmp", "image/gif")
_FILE = {"type": "string", "format": "binary"}
_FORM = _named("Files", _closed(**{FIELD: _list(_FILE, minItems=1, maxItems=Limits().files)}))
_BODIES = {media: {"schema": _FILE} for media in _PICTURES} | {"text/plain": {"schema": _URL}}

_WORDS = {
    400: "The form is damaged.",
    401: "The token is missing or wrong, if the service requires one.",
    403: "Sent by a web page of another site.",
    404: "The service was started without it, or the file has no such page; see the detail.",
    408: "The body arrived too slowly.",
    409: "A training is running.",
    413: "Too many bytes.",
    422: "The request is invalid, unreadable or over a limit; see the detail.",
    429: "Busy: the queue is full. Try again after Retry-After.",
    503: "Waited too long in the queue, or the service is not ready yet.",
}


def _route(
    summary: str, schema: Schema, refusals: tuple[int, ...], bodies: Schema | None = None, tag: str | None = None
) -> dict[str, Any]:
    """Return what FastAPI is told of a route; a route with bodies is one of work, the others tell of the service."""
    told = {status: {"description": _WORDS[status], "content": {PROBLEM: {"schema": _PROBLEM}}} for status in refusals}
    responses = {200: {"description": "OK", "content": {"application/json": {"schema": schema}}}} | told
    extra = {"requestBody": {"required": True, "content": bodies}} if bodies else {}
    tag = tag or ("digits" if bodies else "service")
    return {"summary": summary, "responses": responses, "openapi_extra": extra, "tags": [tag], "response_model": None}


_WORK = (400, 401, 403, 408, 413, 422, 429, 503)
_GUARDED = (401, 403, 422)

ROUTES: dict[str, dict[str, Any]] = {
    "read": _route(
        "Read the numbers in images and PDFs",
        _READ,
        (*_WORK, 404),
        {"multipart/form-data": {"schema": _FORM}}
        | _BODIES
        | {"application/pdf": {"schema": _FILE}, "application/json": {"schema": _READ_BODY}},
    ),
    "classify": _route(
        "Classify images of 28 x 28 pixels with one digit each",
        _CLASSIFIED,
        _WORK,
        {"application/json": {"schema": _CLASSIFY_BODY}} | {"application/x-npy": {"schema": _FILE}},
    ),
    "inside": _route(
        "Inspect how a network processes one digit",
        _INSIDE,
        _WORK,
        _BODIES | {"application/json": {"schema": _INSIDE_BODY}},
    ),
    "forms": _route("The kinds of fields with their settings, and the example forms", _FORMS, _GUARDED, tag="forms"),
    "example": _route("An example form", _FORM_OPENED, (*_GUARDED, 429, 503), tag="forms"),
    "open": _route(
        "Propose a template from a scan of a blank form, or open one with its reference image",
        _FORM_OPENED,
        (*_WORK, 404),
        {"multipart/form-data": {"schema": _FORM}} | _BODIES | {"application/pdf": {"schema": _FILE}},
        "forms",
    ),
    "check": _route("Check a template", _CHECKED, _WORK, {"application/json": {"schema": _TEMPLATE}}, "forms"),
    "sheets": _route(
        "Read filled sheets: templates such as grades.form.json, their reference images, then the sheets",
        _SHEETS,
        _WORK,
        {"multipart/form-data": {"schema": _FORM}},
        "forms",
    ),
    "network": _route("A network itself, as the .onnx file that the page runs", _STATUS, _GUARDED),
    "models": _route("List the models", _MODELS, _GUARDED),
    "train": _route("The trainings that the page started", _TRAININGS, (*_GUARDED, 404)),
    "start": _route("Start a training with the recipe quick", _TRAININGS, (*_GUARDED, 404, 409, 429)),
    "stop": _route("Stop the training", _TRAININGS, (*_GUARDED, 404, 429)),
    "share": _route("The address for other devices, with a QR code", _SHARED, (*_GUARDED, 404)),
    "report": _route("The scores and errors of a trained network", _REPORT, (*_GUARDED, 404)),
    "live": _route("Whether the service runs", _STATUS, (403, 422)),
    "ready": _route("Whether it is ready for work", _STATUS, (403, 422, 503)),
    "metrics": _route("Metrics for Prometheus", _STATUS, _GUARDED),
}
ROUTES["network"]["responses"][200]["content"] = {"application/octet-stream": {"schema": _FILE}}
ROUTES["metrics"]["responses"][200]["content"] = {"text/plain": {"schema": _TEXT}}


def describe(app: FastAPI, service: Service, guarded: bool) -> None:
    """Complete what the application tells of itself: components, and real answers once the service has warmed up.

    guarded: requests to /v1 and /metrics must name a token.
    """
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        document = plain()
        document["components"] = {"schemas": SCHEMAS, "securitySchemes": SECURITY}
        for path, operations in document["paths"].items():
            for operation in operations.values():
                operation["security"] = [{"token": []}] if guarded and needs_token(path) else []
        for name, (given, answered) in service.examples.items():
            operation = document["paths"][f"/v1/{name}"]["post"]
            operation["responses"]["200"]["content"]["application/json"]["example"] = answered
            if given is not None:
                operation["requestBody"]["content"]["application/json"]["example"] = given
        return document

    app.openapi = openapi  # type: ignore[method-assign]
