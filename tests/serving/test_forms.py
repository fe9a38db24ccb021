"""The routes of the Forms view: a scan proposed, templates opened and checked, filled sheets read."""

import base64
import io
import json
import sys

import cv2
import numpy as np
import pytest
from helpers import small_template
from PIL import Image

pytest.importorskip("fastapi", reason="the service needs the extra serve")

from helpers import Asked, png, refused

from digitnet.data.synthesis.strokes import inventions
from digitnet.forms.composing import SheetComposer
from digitnet.forms.examples import EXAMPLES, example, path_of
from digitnet.forms.printing import picture
from digitnet.forms.proposal import drafted
from digitnet.forms.template import KEYS
from digitnet.forms.truth import expected
from digitnet.imaging.pages import page
from digitnet.serving.app import create_app
from digitnet.serving.requests import Limits
from digitnet.serving.service import Settings


@pytest.fixture(scope="module")
def ask():
    with Asked(create_app(Settings(threads=1))) as asked:
        yield asked.until_ready()


def packed(sheet):
    return cv2.imencode(".png", sheet)[1].tobytes()


def shown(url):
    """The picture (h, w) uint8 in a data URL."""
    return page(base64.b64decode(url.partition(",")[2]))


def check(ask, template, query=""):
    return ask("POST", f"/v1/forms/check{query}", json=template).json()


@pytest.fixture(scope="module")
def filled():
    composer = SheetComposer(example("meters"), [(1.0, inventions(4, 9))], 6)
    return composer, [composer.sheet("scanned"), composer.sheet("turned")]


def test_a_scan_is_proposed_as_the_command_line_proposes_it(ask):
    blank = picture(example("marks"), 6)
    opened = ask.files("/v1/forms/open", ("2 marks.png", packed(blank))).json()
    draft = drafted(blank, None, "_2_marks", "_2_marks.png")
    template = draft.checked()
    assert opened["assumed"] == draft.assumed
    assert np.array_equal(shown(opened["picture"]), draft.reference)
    checked = check(ask, opened["template"])
    assert checked == {"problem": None, "field": None, "file": template.to_json(), "picture": None}


def test_a_scan_without_boxes_is_opened_without_fields(ask):
    opened = ask.post("/v1/forms/open", png("7")).json()
    assert (opened["template"]["fields"], opened["template"]["name"]) == ([], "form")
    assert check(ask, opened["template"])["problem"].startswith("fields: ")


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_opened_with_its_sheet(ask, name):
    opened = ask("GET", f"/v1/forms/examples/{name}").json()
    assert json.loads(check(ask, opened["template"])["file"]) == json.loads(example(name).to_json())
    assert shown(opened["picture"]).shape == tuple(round(5 * side) for side in example(name).page[::-1])
    assert name in refused(ask("GET", f"/v1/forms/examples/{name}x"), 422)


def test_forms_need_no_package_beyond_those_of_the_service(ask, monkeypatch):
    monkeypatch.setitem(sys.modules, "reportlab", None)
    opened = ask("GET", "/v1/forms/examples/marks").json()
    assert check(ask, opened["template"], "?picture=true")["picture"] == opened["picture"]


def test_kinds_are_listed_with_their_settings(ask):
    about = ask("GET", "/v1/forms").json()
    assert {kind: set(keys) for kind, keys in about["kinds"].items()} == KEYS
    assert about["examples"] == [*EXAMPLES]


def test_a_problem_has_the_place_of_its_field(ask):
    template = small_template()
    template["fields"][1]["name"] = "a"
    assert check(ask, template) == {"problem": "field 'a': the name occurs twice; choose another", "field": 1}
    told = check(ask, small_template(relations=["a = d"]))
    assert told == {"problem": "relation 'a = d': 'd' is not a field", "field": None}
    template["fields"][1]["name"] = "status"
    told = check(ask, template)
    assert told == {"problem": "field 'status': status is another column of the results; rename it", "field": 1}
    large = [{"name": f"f{number}", "kind": "digits", "box": [0, 0, 120, 150]} for number in range(3)]
    told = check(ask, small_template(fields=large, relations=[]))
    assert told["problem"].startswith("the fields together have 3.0 times the area of the sheet")
    for wrong in (b"[]", b"{", b""):
        assert "not a form template" in refused(ask.post("/v1/forms/check", wrong), 422)
    assert "more than 4 MB" in refused(ask.post("/v1/forms/check", b'{"fields": "' + b"a" * 4_000_001 + b'"}'), 422)


def test_a_form_with_markers_is_drawn_as_it_is_printed(ask):
    told = check(ask, small_template(markers={"number": 7}), "?picture=true")
    assert shown(told["picture"]).shape == (750, 600)
    assert check(ask, small_template(), "?picture=true")["picture"] is None


def test_filled_sheets_are_read_with_their_picture(ask, filled):
    composer, (scan, turned) = filled
    files = [("m.form.json", path_of("meters").read_bytes()), ("a.png", packed(scan.image)), ("b.png", b"text")]
    first, bad = ask.files("/v1/forms/read", *files, ("b.png", packed(turned.image))).json()["results"][:2]
    assert (first["name"], bad["error"]["status"]) == ("a.png", 422)
    (sheet,) = first["pages"]
    assert (sheet["form"], sheet["status"], sheet["code"], sheet["broken"]) == ("meters", "read", None, [])
    right = [
        expected(field, scan.contents[field.name]) == (its["text"] if its["status"] == "read" else f"({its['status']})")
        for field in composer.template.fields
        for its in [sheet["fields"][field.name]]
    ]
    assert sum(right) >= len(right) - 1
    assert "picture" not in sheet
    last = ask.files("/v1/forms/read?picture=true", files[0], ("b.png", packed(turned.image))).json()["results"][0]
    (sheet,) = last["pages"]
    assert sheet["turned"] == turned.turned
    flat, blank = shown(sheet["picture"]), picture(composer.template, 8)
    assert flat.shape == blank.shape
    assert np.corrcoef(cv2.blur(flat, (9, 9)).ravel(), cv2.blur(blank, (9, 9)).ravel())[0, 1] > 0.7


def test_a_sheet_without_markers_is_read_by_its_reference(ask, filled):
    _, (scan, _) = filled
    opened = ask.files("/v1/forms/open", ("m.png", packed(picture(example("meters"), 6)))).json()
    form = ("m.form.json", check(ask, opened["template"])["file"].encode())
    reference = ("m.png", base64.b64decode(opened["picture"].partition(",")[2]))
    results = ask.files("/v1/forms/read", form, reference, ("m.png", packed(scan.image))).json()["results"]
    (sheet,) = results[0]["pages"]
    assert (sheet["form"], sheet["status"], len(sheet["fields"])) == ("m", "read", 8)
    again = ask.files("/v1/forms/open", form, reference).json()
    assert (again["template"]["fields"], again["picture"]) == (
        json.loads(form[1])["fields"],
        opened["picture"],
    )
    blank = ask.files("/v1/forms/read?picture=true", form, reference, ("x.png", png("1984"))).json()
    (sheet,) = blank["results"][0]["pages"]
    assert (sheet["status"], sheet["code"], sheet["picture"]) == ("refused", "no_form", None)
    assert "m.form.json: its reference image m.png is missing" in refused(ask.files("/v1/forms/open", form), 422)


def test_what_cannot_be_read_is_refused_in_one_line(ask):
    template = ("a.form.json", path_of("marks").read_bytes())
    assert "such as grades.form.json" in refused(ask.files("/v1/forms/read", ("a.png", png("7"))), 422)
    assert "such as grades.form.json" in refused(ask.files("/v1/forms/read", template), 422)
    assert "1 templates and 1 other" in refused(ask.files("/v1/forms/open", template, ("a.png", png("7"))), 422)
    assert "b.form.json: not a form template" in refused(ask.files("/v1/forms/open", ("b.form.json", b"{}")), 422)
    assert "a.txt: text that begins" in refused(ask.files("/v1/forms/open", ("a.txt", b"hello")), 422)
    assert "has the name 'marks' of" in refused(
        ask.files("/v1/forms/read", template, ("b.form.json", template[1]), ("a.png", png("7"))), 422
    )


def test_the_limits_of_reading_hold_for_forms():
    with Asked(create_app(Settings(threads=1, limits=Limits(body=50_000, pixels=1_000, files=1)))) as asked:
        assert "pixels, more than" in refused(asked.post("/v1/forms/open", png("7")), 422)
        assert "more than 1 files" in refused(asked.files("/v1/forms/read", ("a.png", b"1"), ("b.png", b"1")), 422)
        for path in ("open", "check", "read"):
            assert "MB" in refused(asked.post(f"/v1/forms/{path}", b"1" * 50_001), 413)


def test_another_page_of_a_scan_can_be_the_form(ask):
    sheets = [Image.fromarray(picture(example(name), 6)) for name in ("meters", "marks")]
    pdf = io.BytesIO()
    sheets[0].save(pdf, "PDF", save_all=True, append_images=sheets[1:], resolution=152.4)
    first, second = (ask.files(f"/v1/forms/open{page}", ("two.pdf", pdf.getvalue())).json() for page in ("", "?page=2"))
    assert [(its["page"], its["pages"]) for its in (first, second)] == [(1, 2), (2, 2)]
    assert len(first["template"]["fields"]) != len(second["template"]["fields"])
    assert "has 2 pages, and page 3 is not one" in refused(
        ask.files("/v1/forms/open?page=3", ("two.pdf", pdf.getvalue())), 404
    )
