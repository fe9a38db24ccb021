"""Templates, relations, blank sheets, registration and reading of forms."""

import csv
import json
from collections import Counter
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

import digitnet.forms.template as templates
from digitnet.core.errors import DataError
from digitnet.data.synthesis.strokes import inventions
from digitnet.forms import printing
from digitnet.forms.agreement import agreed
from digitnet.forms.answers import Answer, Option
from digitnet.forms.composing import WAYS, SheetComposer, hands_of
from digitnet.forms.cutting import SCALE
from digitnet.forms.examples import EXAMPLES, example, path_of
from digitnet.forms.filling import contents, permitted
from digitnet.forms.registration import Refused, Registrar
from digitnet.forms.relations import parse
from digitnet.forms.sheets import FormReader
from digitnet.forms.table import columns, resume
from digitnet.forms.truth import expected
from digitnet.reading.constraints import Rules
from digitnet.reading.reader import Reader


def plain(**changes):
    """A small valid template, changed."""
    fields = [
        {"name": "a", "kind": "comb", "cells": 5, "box": [30, 40, 80, 50]},
        {"name": "b", "kind": "decimal", "box": [30, 70, 80, 80], "decimal": "."},
        {"name": "c", "kind": "mark", "box": [30, 100, 35, 105]},
    ]
    return {"version": 1, "name": "small", "page": [120, 150], "fields": fields} | changes


def with_field(**changes):
    template = plain()
    template["fields"][0] |= changes
    return template


def parsed(template):
    return templates.parsed(json.dumps(template).encode(), "t.form.json")


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_written_as_it_is_read(name):
    template = example(name)
    assert templates.parsed(template.to_json().encode(), "x") == template
    assert template.name == name


def test_the_published_schema_is_that_of_the_templates():
    own = json.loads((Path(templates.__file__).parent / "form.schema.json").read_text())
    assert own == templates.schema()
    docs = Path(__file__).parents[2] / "docs" / "form.schema.json"
    assert json.loads(docs.read_text()) == own


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_examples_keep_the_schema(name):
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.validate(json.loads(path_of(name).read_text()), templates.schema())


@pytest.mark.parametrize(
    ("template", "said"),
    [
        (with_field(box=[30, 40, 130, 50]), "field 'a': box [30, 40, 130, 50] is outside the page of 120 x 150 mm"),
        (with_field(box=[80, 40, 30, 50]), "field 'a': box [80, 40, 30, 50]: expected left < right"),
        (with_field(kind="digits"), "field 'a': cells does not apply to kind digits"),
        (with_field(cells=None), "field 'a': cells is missing"),
        (with_field(kind="words"), "field 'a': kind: expected 'digits', 'comb'"),
        (with_field(colour="red"), "field 'a': colour: is unknown here"),
        (with_field(checksum="crc"), "field 'a': checksum 'crc': choose one of luhn"),
        (with_field(length=9), "field 'a': length 9: more than its 5 cells"),
        (with_field(range=[1.5, 3]), "field 'a': range 1.5: expected whole numbers"),
        (with_field(values={"1": "Ada", "2": "Ada"}), "field 'a': values: the name 'Ada' occurs twice"),
        (with_field(name="b"), "field 'b': the name occurs twice"),
        (with_field(name="1st"), "field '1st': name"),
        (plain(fields=[]), "fields: "),
        (plain(version=2), "version 2, expected 1"),
        (plain(relations=["a = d"]), "relation 'a = d': 'd' is not a field"),
        (plain(relations=["a = b.real"]), "relation 'a = b.real': expected a comparison"),
        (plain(markers={"number": 146}), "markers.number: "),
        ([1], "not a form template; it has no fields"),
        ({"version": 1}, "not a form template; it has no fields"),
    ],
)
def test_a_template_that_is_not_one_is_refused_in_one_line_with_the_field(template, said):
    with pytest.raises(DataError) as caught:
        parsed(template)
    assert str(caught.value).startswith(f"t.form.json: {said}")
    assert "\n" not in str(caught.value)


def test_a_number_listed_twice_is_refused_with_the_field():
    raw = json.dumps(with_field(values={"12": "Ada"})).replace('{"12": "Ada"}', '{"12": "Ada", "12": "Bob"}')
    with pytest.raises(DataError, match="field 'a': values: '12' occurs twice"):
        templates.parsed(raw.encode(), "t")
    with pytest.raises(DataError, match="not a form template, because it is not JSON"):
        templates.parsed(b"{", "t")


def test_two_templates_that_could_not_be_told_apart_are_refused(tmp_path):
    for name in ("one", "two"):
        (tmp_path / f"{name}.form.json").write_text(json.dumps(plain(name=name, markers={"number": 7})))
    paths = [tmp_path / "one.form.json", tmp_path / "two.form.json"]
    with pytest.raises(DataError, match="has the markers' number 7 of"):
        templates.load_all(paths)
    with pytest.raises(DataError, match=r"no\.form\.json: No such file"):
        templates.load_all([tmp_path / "no.form.json"])


@pytest.mark.parametrize(
    ("relation", "values", "holds"),
    [
        ("total = a + b", (5, 2, 3), True),
        ("total = a + b", (6, 2, 3), False),
        ("total = a + b", (2, 2, None), True),
        ("total = a + b", (None, 2, 3), True),
        ("total == 2 * (a - b) / 4", (Fraction(1, 2), 3, 2), True),
        ("total >= a", (3, 3, 0), True),
        ("total != a", (3, 3, 0), False),
        ("total = a / b", (1, 1, 0), False),
        ("total < 1.5", (1, 0, 0), True),
        ("-total <= -2", (2, 0, 0), True),
    ],
)
def test_a_relation_holds_by_exact_arithmetic(relation, values, holds):
    named = {name: None if v is None else Fraction(v) for name, v in zip(("total", "a", "b"), values, strict=True)}
    assert parse(relation).holds(named) is holds


@pytest.mark.parametrize(
    "text",
    ["", "a", "1 = 1", "a = b = c", "a = f(b)", "a = 'x'", "a = b ** 9", "a = [b]", "a if b else c", "a = " * 99],
)
def test_what_is_not_a_relation_is_refused(text):
    with pytest.raises(DataError, match="expected a comparison of fields and numbers"):
        parse(text)


def test_a_list_of_numbers_is_part_of_the_rules():
    rules = Rules(listed=("0123", "77", "78"))
    assert [rules.allows(text) for text in ("0123", "123", "77", "7", "")] == [True, False, True, False, False]
    steps, accepts = rules.automaton()
    for text in ("0123", "123", "77", "7", "78", "79"):
        state = 0
        for digit in text:
            state = steps[state, int(digit)]
        assert bool(accepts[state]) is rules.allows(text)
    assert str(rules) == "one of 3 listed"
    with pytest.raises(DataError, match="expected digits"):
        Rules(listed=("12a",))


def test_relations_correct_a_field_and_leave_a_sum_that_was_written_wrong():
    def read(text, sure):
        return Answer(text, sure, "read", Fraction(text))

    answers = {"a": read("12", 0.999), "b": read("31", 0.6), "total": read("49", 0.99)}
    options = {
        "a": [Option("12", Fraction(12), 0.999)],
        "b": [Option("31", Fraction(31), 0.6), Option("37", Fraction(37), 0.4)],
        "total": [Option("49", Fraction(49), 0.99), Option("43", Fraction(43), 0.01)],
    }
    found, broken = agreed(answers, [parse("total = a + b")], options.get)
    assert (found["b"].text, found["b"].seen, broken) == ("37", "31", [])
    assert found["b"].confidence > 0.9
    options["b"] = [Option("31", Fraction(31), 0.99999)]
    options["total"] = [Option("49", Fraction(49), 0.99999)]
    found, broken = agreed(answers, [parse("total = a + b")], options.get)
    assert (found["b"].text, found["total"].text, broken) == ("31", "49", ["total = a + b"])


@pytest.mark.parametrize("name", EXAMPLES)
def test_contents_keep_the_rules_and_relations(name):
    template, rng = example(name), np.random.default_rng(3)
    for _ in range(5):
        its = contents(template, rng)
        for field in template.fields:
            rules = field.rules()
            if its[field.name] and rules is not None and field.kind in ("digits", "comb"):
                assert rules.allows(its[field.name])
            assert its[field.name] or not field.required or field.kind == "mark"
    assert permitted(Rules((8, 8), checksum="luhn"), rng) != permitted(Rules((8, 8), checksum="luhn"), rng)


def test_a_blank_sheet_is_a_pdf_of_the_page_with_the_markers_of_the_form():
    pdfium = pytest.importorskip("pypdfium2")
    template = example("meters")
    packed = printing.pdf(template)
    assert packed == printing.pdf(template)
    page = pdfium.PdfDocument(packed)[0]
    assert page.get_size() == pytest.approx((210 * 72 / 25.4, 148 * 72 / 25.4), abs=0.01)
    image = np.asarray(page.render(scale=2).to_pil().convert("L"))
    found = Registrar([template]).register(image)
    corners = np.array([[[0.0, 0], [210, 0], [210, 148], [0, 148]]])
    seen = cv2.perspectiveTransform(corners, found.to_page)[0]
    height, width = image.shape
    assert np.allclose(seen, [[0, 0], [width, 0], [width, height], [0, height]], atol=1)
    with pytest.raises(DataError, match='has no markers; add "markers"'):
        printing.pdf(parsed(plain()))
    with pytest.raises(DataError, match="the font of printed sheets is Latin"):
        printing.pdf(parsed(plain(title="表", markers={"number": 3})))


@pytest.fixture(scope="module")
def blank():
    return printing.picture(example("marks"), 6)


@pytest.mark.parametrize("turned", [0, 90, 180, 270])
def test_a_sheet_is_found_however_it_lies(blank, turned):
    page = np.ascontiguousarray(np.rot90(blank, -turned // 90))
    found = Registrar([example("marks"), example("meters")]).register(page)
    assert (found.template.name, found.turned, found.missing) == ("marks", turned, ())


def covered(page, *corners):
    """A page with a white patch over some of its corners."""
    page = page.copy()
    height, width = page.shape
    for corner in corners:
        y = np.s_[: height // 8] if corner < 2 else np.s_[-height // 8 :]
        x = np.s_[: width // 8] if corner in (0, 3) else np.s_[-width // 8 :]
        page[y, x] = 255
    return page


def test_a_corner_that_is_not_seen_is_told_and_two_are_refused(blank):
    registrar = Registrar([example("marks")])
    assert registrar.register(covered(blank, 1)).missing == (1,)
    refused = registrar.register(covered(blank, 1, 2))
    assert refused == Refused("half_sheet", "form marks: the markers right top and right bottom are not visible")
    assert registrar.register(blank[: len(blank) // 2]).code == "half_sheet"


def test_other_pages_are_refused_with_what_is_known(blank):
    assert Registrar([example("order")]).register(blank) == Refused(
        "other_form", "its markers are those of form number 1"
    )
    assert Registrar([example("order")]).register(np.full((900, 700), 255, np.uint8)).code == "no_form"
    two = np.concatenate([blank, blank], axis=1)
    assert Registrar([example("marks")]).register(two).code == "several_sheets"


@pytest.fixture(scope="module")
def reader():
    return Reader(threads=1)


@pytest.fixture(scope="module")
def filled():
    """A composer of meter readings in a few invented hands, and two sheets: scanned, and turned."""
    composer = SheetComposer(example("meters"), [(1.0, inventions(4, 9))], 6)
    return composer, [composer.sheet("scanned"), composer.sheet("turned")]


def test_filled_sheets_are_read_as_they_were_filled(reader, filled):
    forms = FormReader(reader, [path_of(name) for name in EXAMPLES])
    composer, sheets = filled
    right = total = 0
    for sheet in sheets:
        found = forms.read_page(sheet.image)
        assert (found.form, found.status, found.turned) == ("meters", "read", sheet.turned)
        for field in composer.template.fields:
            answer = found.fields[field.name]
            truth = expected(field, sheet.contents[field.name])
            right += truth == (answer.text if answer.status == "read" else f"({answer.status})")
            total += 1
    assert right >= total - 1


def test_a_blank_form_is_told_so_and_a_field_near_a_missing_corner_is_hidden(reader, filled):
    forms = FormReader(reader, [path_of("meters")])
    blank = printing.picture(example("meters"), 7)
    assert forms.read_page(blank).status == "blank"
    _, (scan, _) = filled
    sheet = forms.read_page(covered(scan.image, 0))
    assert sheet.status == "partial"
    assert sheet.notes[0] == "the corner left top is not visible; fields near it are not read"
    assert sheet.fields["customer"] == Answer("", 0.0, "hidden")
    assert sheet.fields["water_new"].status == "read"


def test_a_seed_gives_the_same_sheets(filled):
    composer, sheets = filled
    again = SheetComposer(composer.template, [(1.0, inventions(4, 9))], 6)
    assert np.array_equal(again.sheet("scanned").image, sheets[0].image)
    assert {*WAYS} == {"scanned", "photographed", "turned", "creased"}
    assert len(hands_of()) == 1


@pytest.fixture(scope="module")
def scans(filled, tmp_path_factory):
    """A folder with a sheet, a page of nothing, and a file that is damaged."""
    folder = tmp_path_factory.mktemp("scans")
    cv2.imwrite(str(folder / "a.png"), filled[1][0].image)
    cv2.imwrite(str(folder / "b.png"), np.full((400, 300), 255, np.uint8))
    (folder / "c.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    return folder


def test_form_read_writes_a_row_a_sheet_and_goes_on_where_it_was_stopped(digitnet, scans, filled, tmp_path):
    out = tmp_path / "m.csv"
    status, _, said = digitnet("form", "read", "meters", scans, "--out", out)
    assert status == 2
    assert "b.png: not a sheet of a known form" in said
    assert "3 sheets, 2 not read" in said
    whole = out.read_bytes()
    rows = list(csv.DictReader(whole.decode().splitlines()))
    assert [row["status"] for row in rows] == ["read", "refused", "error"]
    assert list(rows[0]) == list(columns([example("meters")]))
    composer, (sheet, _) = filled
    customer = next(field for field in composer.template.fields if field.name == "customer")
    assert rows[0]["customer"] == expected(customer, sheet.contents["customer"])
    assert rows[0]["customer_status"] == "read"
    status, _, said = digitnet("form", "read", "meters", scans, "--out", out)
    assert status == 1
    assert "already exists" in said
    out.write_bytes(whole[:-20])
    status, _, said = digitnet("form", "read", "meters", scans, "--out", out, "--resume")
    assert "1 of 3 files are already in" in said
    assert out.read_bytes() == whole
    with pytest.raises(DataError, match="not the table of an earlier read"):
        resume(out, [example("order")])


def test_form_read_writes_json_excel_and_parquet(dignet_tables):
    rows, book, table = dignet_tables
    assert [row["status"] for row in rows] == ["read", "refused", "error"]
    header, first, *_ = book
    assert len(book) == 4
    cells = dict(zip(header, first, strict=True))
    assert cells["customer"] == rows[0]["customer"]  # a number that is a name stays text
    assert float(cells["water_new"]) == float(rows[0]["water_new"])
    assert table.num_rows == 3
    assert table.column("customer")[0].as_py() == rows[0]["customer"]


@pytest.fixture
def dignet_tables(digitnet, scans, tmp_path):
    openpyxl, parquet = pytest.importorskip("openpyxl"), pytest.importorskip("pyarrow.parquet")
    for suffix in ("jsonl", "xlsx", "parquet"):
        assert digitnet("form", "read", "meters", scans, "--out", tmp_path / f"m.{suffix}", "--jobs", 2)[0] == 2
    rows = [json.loads(line) for line in (tmp_path / "m.jsonl").read_text().splitlines()]
    book = openpyxl.load_workbook(tmp_path / "m.xlsx", read_only=True)
    cells = [tuple(row) for row in book.active.iter_rows(values_only=True)]
    book.close()
    return rows, cells, parquet.read_table(tmp_path / "m.parquet")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["marks"], "expected templates such as grades.form.json, then images"),
        (["no.form.json", "x.png"], "no.form.json: No such file or directory; name a form template"),
        (["marks", "x.png", "--out", "x.txt"], "x.txt: expected a name that ends in .csv, .jsonl, .parquet, .xlsx"),
    ],
)
def test_form_read_says_what_is_wrong(digitnet, words, said):
    status, _, error = digitnet("form", "read", *words)
    assert status == 1
    assert said in error


def test_form_print_and_compose(digitnet, tmp_path):
    assert digitnet("form", "print", "marks", "--out", tmp_path / "m.pdf")[0] == 0
    assert (tmp_path / "m.pdf").read_bytes().startswith(b"%PDF")
    status, out, _ = digitnet("compose", "--form", "meters", "--sheets", 1, "--out", tmp_path / "sheets")
    assert status == 0
    assert "digitnet form read meters" in out
    (row,) = csv.DictReader((tmp_path / "sheets" / "truth.csv").read_text().splitlines())
    assert row["file"] == "000001.png"
    assert {"way", "turned", "customer", "water_new"} <= row.keys()
    assert cv2.imread(str(tmp_path / "sheets" / "000001.png"), 0) is not None


def test_columns_that_would_be_there_twice_are_refused():
    with pytest.raises(DataError, match="field 'file': file is another column"):
        columns([parsed(with_field(name="file"))])


def test_cuts_are_at_one_scale_whatever_the_page():
    from digitnet.forms.cutting import cut

    page = np.full((400, 600), 200, np.uint8)
    for times in (1.0, 3.0, 12.0):
        its = cut(page, np.diag([times, times, 1.0]), (10, 10, 30, 20), np.full((10, 10), 255, np.uint8))
        assert its.dark[its.inside].shape == (10 * SCALE, 20 * SCALE)
        assert float(its.dark.max()) == 0


@pytest.fixture(scope="module")
def printed():
    """A blank form as others print it: black boxes, a comb of cells, one with teeth, a box to tick, a line, words."""
    page = np.full((2376, 1680), 255, np.uint8)
    rng = np.random.default_rng(4)

    def box(left, top, right, bottom):
        cv2.rectangle(page, (left * 8, top * 8), (right * 8, bottom * 8), 0, 3)

    box(20, 60, 70, 70)
    for cell in range(6):
        box(20 + 8 * cell, 90, 28 + 8 * cell, 100)
    box(100, 90, 148, 98)
    for tooth in range(1, 6):
        cv2.line(page, (800 + 64 * tooth, 98 * 8), (800 + 64 * tooth, 95 * 8), 0, 3)
    box(20, 120, 25, 125)
    cv2.line(page, (60 * 8, 125 * 8), (120 * 8, 125 * 8), 0, 3)
    box(20, 150, 190, 200)
    for y in (30, 40, 57, 87, 117, 147, 220, 240, 260, 280):
        words = "".join(rng.choice(list("abcdefghikmnorstuvw "), 50))
        cv2.putText(page, words, (160, y * 8), cv2.FONT_HERSHEY_SIMPLEX, 0.9, 0, 2, cv2.LINE_AA)
    return page


def test_a_template_is_proposed_from_ruled_lines(digitnet, printed, tmp_path):
    matrix = cv2.getRotationMatrix2D((840, 1188), 0.8, 1)
    scan = cv2.warpAffine(printed, matrix, (1680, 2376), borderValue=255)
    cv2.imwrite(str(tmp_path / "scan.png"), scan)
    status, said, _ = digitnet("form", "new", "scan.png", "--out", "grades.form.json")
    assert (status, said.strip()) == (0, "grades.form.json: 6 fields; name them and check their kinds")
    template = templates.load(tmp_path / "grades.form.json")
    assert (template.name, template.page, template.reference) == ("grades", (210, 297), "grades.png")
    found = [(field.name, field.kind, field.cells) for field in template.fields]
    kinds = [("digits", None), ("comb", 6), ("comb", 6), ("digits", None), ("mark", None), ("area", None)]
    assert Counter(each[1:] for each in found) == Counter(kinds)
    assert [each[0] for each in found] == [f"f{n}" for n in range(1, 7)]
    first = next(field for field in template.fields if field.kind == "digits")
    assert np.allclose(first.box, (20, 60, 70, 70), atol=1)
    assert "already exists" in digitnet("form", "new", "scan.png", "--out", "grades.form.json")[2]
    cv2.imwrite("blank.png", np.full((800, 600), 255, np.uint8))
    assert "blank.png: found neither boxes nor lines" in digitnet("form", "new", "blank.png", "--out", "b.form.json")[2]


def test_a_sheet_without_markers_is_known_by_its_print(printed, reader, tmp_path):
    fields = [
        {"name": "one", "kind": "digits", "box": [20, 60, 70, 70]},
        {"name": "tick", "kind": "mark", "box": [20, 120, 25, 125]},
    ]
    path = tmp_path / "own.form.json"
    path.write_text(json.dumps(plain(name="own", page=[210, 297], reference="own.png", fields=fields)))
    cv2.imwrite(str(tmp_path / "own.png"), printed)
    forms = FormReader(reader, [path])
    sheet = printed.copy()
    cv2.line(sheet, (160, 960), (200, 1000), 60, 5)
    cv2.line(sheet, (200, 960), (160, 1000), 60, 5)
    page = np.rot90(cv2.resize(sheet, None, fx=0.7, fy=0.7, interpolation=cv2.INTER_AREA), 2)
    found = forms.read_page(np.ascontiguousarray(page))
    assert (found.form, found.status, found.turned) == ("own", "read", 180)
    assert (found.fields["tick"].text, found.fields["one"].status) == ("1", "empty")
    assert forms.read_page(np.ascontiguousarray(page[: len(page) // 2])).code == "half_sheet"
    other = printing.picture(example("order"), 6)
    assert forms.read_page(other).status == "refused"
    path.write_text(json.dumps(plain(name="own")))
    with pytest.raises(DataError, match="has neither markers nor a reference image"):
        FormReader(reader, [path])
