"""The routes of the page's Forms view: scans and templates opened, templates checked, filled sheets read.

Nothing is kept: a request that reads sheets brings the template and its reference picture along.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Sequence
from functools import partial
from pathlib import PurePosixPath
from typing import Any

import cv2
import numpy as np
from fastapi import FastAPI, Path, Query, Request, Response
from numpy.typing import NDArray

from digitnet.core.errors import DataError, DigitNetError
from digitnet.forms.cutting import SCALE
from digitnet.forms.examples import EXAMPLES, example
from digitnet.forms.printing import picture
from digitnet.forms.proposal import drafted, name_of
from digitnet.forms.sheets import Form, FormReader, Sheet
from digitnet.forms.table import columns
from digitnet.forms.template import KEYS, SUFFIX, Template, TemplateError, parsed
from digitnet.imaging import pages as image
from digitnet.imaging.pages import PageLimits
from digitnet.serving.contents import File
from digitnet.serving.openapi import ROUTES
from digitnet.serving.problems import problem
from digitnet.serving.requests import Intake
from digitnet.serving.service import Service, jpeg_url, pages_of

SHOWN_SCALE = 5.0
"""Pixels to a millimetre of the picture of a sheet with markers, which the page draws fields on."""

Plain = dict[str, Any]


def add_forms(app: FastAPI, service: Service, intake: Intake) -> None:
    """Add the routes."""
    limits = service.page_limits

    @app.get("/v1/forms", **ROUTES["forms"])
    async def about() -> Response:
        return _json({"kinds": {kind: sorted(keys) for kind, keys in KEYS.items()}, "examples": [*EXAMPLES]})

    @app.get("/v1/forms/examples/{name}", **ROUTES["example"])
    async def opened_example(
        name: str = Path(description="The example form.", json_schema_extra={"enum": [*EXAMPLES]}),
    ) -> Response:
        with service.work.place():
            return _json(await service.work.run(lambda: _shown(Form(example(name), None, name))))

    @app.post("/v1/forms/open", **ROUTES["open"])
    async def opened(
        request: Request,
        number: int = Query(1, alias="page", ge=1, description="Of a scan of several pages, the one that is the form."),
    ) -> Response:
        async with intake.files(request) as given:
            return _json(await service.work.run(partial(_opened, given, limits, number)))

    @app.post("/v1/forms/check", **ROUTES["check"])
    async def checked(
        request: Request,
        shown: bool = Query(
            False, alias="picture", description="Return the sheet of a form with markers, to be shown."
        ),
    ) -> Response:
        async with intake.body(request) as content:
            return _json(await service.work.run(partial(_checked, content, shown)))

    @app.post("/v1/forms/read", **ROUTES["sheets"])
    async def read(
        request: Request,
        shown: bool = Query(False, alias="picture", description="Return each sheet as it lies under its template."),
    ) -> Response:
        async with intake.files(request) as given:
            return _json(await _read(service, given, shown))


async def _read(service: Service, given: Sequence[File], shown: bool) -> Plain:
    """Return what is read of filled sheets; raises as `Service.read` does if there is one."""
    models, results = service.models, list[Plain]()
    forms, sheets = await service.work.run(partial(_sorted, given, service.page_limits))
    if not forms or not sheets:
        raise DataError(f"expected templates such as grades{SUFFIX}, their reference images, and images of sheets")
    reader = await service.work.run(partial(FormReader, models.reader, forms))

    def read_page(page: NDArray[np.uint8]) -> Plain:
        sheet = reader.read_page(page)
        return _plain(sheet) | ({"picture": _flat(page, sheet, reader.templates)} if shown else {})

    for file in sheets:
        try:
            pages = pages_of(file, service.page_limits)
            results.append({"name": file.name, "pages": await service.each(pages, read_page)})
        except DigitNetError as error:
            if len(sheets) == 1:
                raise
            results.append({"name": file.name, "error": problem(422, str(error))})
    return {"results": results, "model": models.named()}


def _opened(given: Sequence[File], limits: PageLimits, number: int) -> Plain:
    """Return the form in some files: of a template and its reference, or proposed from a scan of a blank sheet.

    number: of the scan's page.
    """
    forms, others = _sorted(given, limits)
    if len(forms) + len(others) != 1:
        fact = f"{len(forms)} templates and {len(others)} other images"
        raise DataError(f"{fact}; send one scan, or one template with its reference image")
    if forms:
        return _shown(forms[0])
    (scan,) = others
    page, dpi = image.scan(scan.picture(), scan.name, limits, number)
    count = image.page_count(scan.picture(), scan.name, limits)
    stem = PurePosixPath(scan.name or "form").stem
    draft = drafted(page, dpi, name_of(stem), f"{name_of(stem)}.png")
    about = {"assumed": draft.assumed, "page": number, "pages": count}
    return {"template": draft.template, "picture": _png(draft.reference)} | about


def _sorted(given: Sequence[File], limits: PageLimits) -> tuple[list[Form], list[File]]:
    """Return the forms in some files, and the files that are neither templates nor their reference pictures."""
    templates = [file for file in given if file.name is not None and file.name.endswith(SUFFIX)]
    others = [file for file in given if file not in templates]
    forms = []
    for file in templates:
        template, reference = parsed(file.content, str(file.name)), None
        if template.markers is None and template.reference is not None:
            name = PurePosixPath(template.reference).name
            its = next((other for other in others if other.name == name), None)
            if its is None:
                raise DataError(f"{file.name}: its reference image {name} is missing; send it, too")
            others.remove(its)
            reference = image.page(its.picture(), its.name, limits)
        forms.append(Form(template, reference, str(file.name)))
    return forms, others


def _shown(form: Form) -> Plain:
    """Return a form as the page edits it: its template and a picture of its blank sheet."""
    plain = form.template.model_dump(mode="json", exclude_defaults=True, by_alias=True)
    sheet = picture(form.template, SHOWN_SCALE) if form.template.markers else form.printed()
    about = {"assumed": None, "page": 1, "pages": 1}
    return {"template": plain | {"page": form.template.page}, "picture": _png(sheet)} | about


def _checked(content: bytes, shown: bool) -> Plain:
    """Return what is wrong with a template; where nothing is, its file and, if asked for, what is printed of it."""
    try:
        template = parsed(content, "the template")
        columns([template])
    except TemplateError as error:
        return {"problem": error.line, "field": error.field}
    printed = shown and template.markers is not None
    return {
        "problem": None,
        "field": None,
        "file": template.to_json(),
        "picture": _png(picture(template, SHOWN_SCALE)) if printed else None,
    }


def _plain(sheet: Sheet) -> Plain:
    fields = {
        name: {
            "text": its.text,
            "name": its.name,
            "confidence": round(its.confidence, 4),
            "status": its.status,
        }
        for name, its in sheet.fields.items()
    }
    told = {name: getattr(sheet, name) for name in ("form", "status", "turned", "code", "notes", "broken")}
    return told | {"fields": fields}


def _flat(page: NDArray[np.uint8], sheet: Sheet, templates: Sequence[Template]) -> str | None:
    """Return a sheet as it lies under its template, as a data URL; None where it was refused."""
    if sheet.to_page is None:
        return None
    width, height = next(template.page for template in templates if template.name == sheet.form)
    size = round(width * SCALE), round(height * SCALE)
    matrix = sheet.to_page @ np.diag([1 / SCALE, 1 / SCALE, 1])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    flat = cv2.warpPerspective(page, matrix, size, flags=flags, borderValue=255)
    return jpeg_url(np.asarray(flat, np.uint8))


def _png(sheet: NDArray[np.uint8]) -> str:
    return f"data:image/png;base64,{b64encode(cv2.imencode('.png', sheet)[1].tobytes()).decode()}"


def _json(plain: Plain) -> Response:
    return Response(json.dumps(plain), media_type="application/json", headers={"Cache-Control": "private, no-store"})
