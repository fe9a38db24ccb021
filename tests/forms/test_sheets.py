"""Blank and filled sheets: printing, registration and reading."""

import csv
import json
from collections import Counter

import cv2
import numpy as np
import pytest
from helpers import parsed_template, small_template
from PIL import Image

import digitnet.forms.template as templates
from digitnet.core.errors import DataError
from digitnet.data.synthesis.strokes import inventions
from digitnet.forms import printing
from digitnet.forms.answers import Answer
from digitnet.forms.composing import WAYS, SheetComposer, hands_of
from digitnet.forms.cutting import SCALE
from digitnet.forms.examples import EXAMPLES, example, path_of
from digitnet.forms.filling import contents, permitted
from digitnet.forms.registration import Refused, Registrar
from digitnet.forms.sheets import FormReader
from digitnet.forms.table import columns, resume
from digitnet.forms.truth import expected
from digitnet.reading.constraints import Rules
from digitnet.reading.reader import Reader


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
        printing.pdf(parsed_template(small_template()))
    with pytest.raises(DataError, match="the font of printed sheets is Latin"):
        printing.pdf(parsed_template(small_template(title="表", markers={"number": 3})))


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
    assert refused == Refused("half_sheet", "form marks: the top right and bottom right markers are not visible")
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
    assert sheet.notes[0] == "the top left corner is not visible; fields near it are not read"
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
    whole = out.read_bytes()
    rows = list(csv.DictReader(whole.decode().splitlines()))
    names = [field.name for field in example("meters").fields]
    doubtful = sum(float(rows[0][f"{name}_confidence"]) < 0.95 for name in names)
    assert f"3 sheets, 2 not read; {doubtful} of {len(names)} fields to check" in said
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
    status, _, error = digitnet("form", "print", "marks", "--out", tmp_path / "m.png")
    assert (status, (tmp_path / "m.png").exists()) == (1, False)
    assert "m.png: expected a name that ends in .pdf" in error
    status, out, _ = digitnet("compose", "--form", "meters", "--sheets", 1, "--out", tmp_path / "sheets")
    assert status == 0
    assert "digitnet form read meters" in out
    (row,) = csv.DictReader((tmp_path / "sheets" / "truth.csv").read_text().splitlines())
    assert row["file"] == "000001.png"
    assert {"way", "turned", "customer", "water_new"} <= row.keys()
    assert cv2.imread(str(tmp_path / "sheets" / "000001.png"), 0) is not None


def test_columns_that_would_be_there_twice_are_refused():
    with pytest.raises(DataError, match="field 'file': file is another column"):
        columns([parsed_template(small_template(fields=[{"name": "file", "kind": "digits", "box": [30, 40, 80, 50]}]))])


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
    status, said, warned = digitnet("form", "new", "scan.png", "--out", "grades.form.json")
    told = "grades.form.json: 6 fields on a sheet of 210 x 297 mm; name them and check their kinds"
    assert (status, said.strip()) == (0, told)
    assert warned.startswith("scan.png: the file does not tell the size of the sheet, which is taken to be 210 x 297")
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


def test_a_template_is_proposed_from_a_chosen_page(digitnet, printed, tmp_path):
    blank = Image.new("L", (1680, 2376), 255)
    blank.save(tmp_path / "form.tif", save_all=True, append_images=[Image.fromarray(printed)], dpi=(203.2, 203.2))
    words = ("form", "new", "form.tif", "--out", "own.form.json")
    status, _, warned = digitnet(*words)
    assert (status, warned.strip()) == (
        1,
        "Error: form.tif: has several pages, and a form is one sheet; choose one with --page",
    )
    assert "page 3 is not one of them" in digitnet(*words, "--page", "3")[2]
    assert digitnet(*words, "--page", "2")[:2] == (
        0,
        "own.form.json: 6 fields on a sheet of 210 x 297 mm; name them and check their kinds\n",
    )


def test_a_sheet_without_markers_is_known_by_its_print(printed, reader, tmp_path):
    fields = [
        {"name": "one", "kind": "digits", "box": [20, 60, 70, 70]},
        {"name": "tick", "kind": "mark", "box": [20, 120, 25, 125]},
    ]
    path = tmp_path / "own.form.json"
    path.write_text(json.dumps(small_template(name="own", page=[210, 297], reference="own.png", fields=fields)))
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
    path.write_text(json.dumps(small_template(name="own")))
    with pytest.raises(DataError, match="has neither markers nor a reference image"):
        FormReader(reader, [path])
