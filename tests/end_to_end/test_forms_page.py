"""The page's Forms view in a real browser: a template made of a scan, saved, and tried; by mouse, touch and keys."""

import io
import json
import re
import zipfile

import cv2
import numpy as np
import pytest
from helpers import served
from PIL import Image

pytest.importorskip("fastapi", reason="the page needs the extra serve")
playwright = pytest.importorskip("playwright.sync_api", reason="the page's tests need Playwright")

from digitnet.data.synthesis.strokes import inventions  # noqa: E402
from digitnet.forms.composing import SheetComposer  # noqa: E402
from digitnet.forms.examples import example  # noqa: E402
from digitnet.forms.printing import picture  # noqa: E402
from digitnet.forms.sheets import FormReader  # noqa: E402
from digitnet.forms.template import load  # noqa: E402
from digitnet.forms.truth import expected  # noqa: E402
from digitnet.reading.reader import Reader  # noqa: E402
from digitnet.serving.app import create_app  # noqa: E402
from digitnet.serving.service import Settings  # noqa: E402

expect = playwright.expect


@pytest.fixture(scope="module")
def address():
    with served(create_app(Settings(threads=1))) as url:
        yield url


@pytest.fixture
def visit(opened, address):
    """Open the view: visit(width=...)."""

    def open_page(width=1280, height=720, **how):
        page = opened(address, "#/forms", width, height, reduced_motion="reduce", **how)
        expect(page.locator("#form-examples button")).to_have_count(3)
        return page

    return open_page


@pytest.fixture
def page(visit):
    return visit()


def png(sheet):
    return cv2.imencode(".png", sheet)[1].tobytes()


def give(page, *files, to="#form-files"):
    kinds = {"png": "image/png", "zip": "application/zip", "json": "application/json"}
    page.set_input_files(
        to, [{"name": name, "mimeType": kinds[name.split(".")[-1]], "buffer": content} for name, content in files]
    )


def chips(page):
    return page.locator("#form-list button")


def setting(page, label):
    return page.locator("#form-settings").get_by_label(label, exact=True)


def kind(page, label="Kind"):
    return page.locator("#form-settings").get_by_role("combobox", name=label)


def choose(page, name):
    page.locator("#form-list").get_by_text(name, exact=True).click()
    expect(setting(page, "Name")).to_have_value(name)


def place(page, x, y):
    """Where a point of the sheet, in millimetres, is on the screen, once it is scrolled there."""
    wide = page.locator("#form-wide").input_value()
    return page.evaluate(
        """([x, y, wide]) => {
          const host = document.getElementById("form-sheet");
          host.scrollIntoView({ block: "nearest" });
          const scale = host.firstChild.clientWidth / wide;
          host.scrollTop = y * scale - host.clientHeight / 2;
          const { left, top } = host.firstChild.getBoundingClientRect();
          return [left + x * scale, top + y * scale];
        }""",
        [x, y, float(wide)],
    )


def drag(page, start, end):
    from_x, from_y = place(page, *start)
    to_x, to_y = place(page, *end)
    from_x, from_y = place(page, *start) if abs(to_y - from_y) > 400 else (from_x, from_y)
    scale = (to_x - from_x) / (end[0] - start[0])
    page.mouse.move(*place(page, *start))
    x, y = place(page, *start)
    page.mouse.down()
    page.mouse.move(x + (end[0] - start[0]) * scale, y + (end[1] - start[1]) * scale, steps=5)
    page.mouse.up()


def box(page):
    return [float(setting(page, side).input_value()) for side in ("Left", "Top", "Width", "Height")]


def saved(page):
    """The files in the archive that is saved."""
    with page.expect_download() as given:
        page.click("#form-save")
    with zipfile.ZipFile(given.value.path()) as archive:
        assert archive.testzip() is None
        return given.value, {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(scope="module")
def blank():
    return png(picture(example("marks"), 6))


@pytest.fixture
def marks(page, blank):
    """The view with the mark sheet's scan opened."""
    give(page, ("grades.png", blank))
    expect(chips(page)).to_have_count(14)
    return page


@pytest.fixture(scope="module")
def filled():
    composer = SheetComposer(example("marks"), [(1.0, inventions(4, 9))], 2)
    return composer.sheet("scanned"), composer.sheet("photographed")


def test_a_template_is_made_of_a_scan_and_reads_filled_sheets(marks, filled, tmp_path):
    page = marks
    names = {"f1": "student", "f2": "exam_date", "f3": "task1", "f4": "task2", "f5": "task3", "f6": "task4"}
    for old, new in (names | {"f7": "total", "f13": "absent"}).items():
        choose(page, old)
        setting(page, "Name").fill(new)
    choose(page, "exam_date")
    kind(page).select_option("date")
    expect(setting(page, "Cells")).to_have_count(0)
    kind(page, "Order").select_option("dmy")
    choose(page, "student")
    roster = example("marks").fields[0].values
    values = setting(page, "Permitted numbers with their names, one per line")
    values.fill("\n".join(f"{number} {name}" for number, name in roster.items()))
    setting(page, "Required").check()
    for name, most in (("task1", 20), ("task2", 20), ("task3", 30), ("task4", 30)):
        choose(page, name)
        setting(page, "Value").fill(f"0..{most}")
    choose(page, "f14")
    page.click("#form-remove")
    expect(chips(page)).to_have_count(13)
    drag(page, (103, 103), (171, 113))
    expect(chips(page)).to_have_count(14)
    assert box(page) == pytest.approx([103, 103, 68, 10], abs=0.7)
    setting(page, "Name").fill("grade")
    kind(page).select_option("choice")
    expect(chips(page)).to_have_count(9)
    expect(page.locator("#form-settings .option")).to_have_count(5)
    page.fill("#form-relations", "total = task1 + task2 + task3 + task4")
    download, files = saved(page)
    expect(page.locator("#form-saved")).to_contain_text("digitnet form read grades.form.json scans/")
    assert (download.suggested_filename, [*files]) == ("grades.zip", ["grades.form.json", "grades.png"])
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    template = load(tmp_path / "grades.form.json")
    assert (template.relations, template.reference) == (example("marks").relations, "grades.png")
    made = {field.name: field for field in template.fields}
    its = {field.name: field for field in example("marks").fields}
    assert (made["student"].values, made["student"].required) == (roster, True)
    assert {name: made[name].range for name in names.values()} == {name: its[name].range for name in names.values()}
    assert [*made["grade"].options] == ["1", "2", "3", "4", "5"]
    forms = FormReader(Reader(threads=1), [tmp_path / "grades.form.json"])
    right = []
    for sheet in filled:
        found = forms.read_page(sheet.image)
        assert (found.form, found.status) == ("grades", "read")
        for name in made:
            answer = found.fields[name]
            right.append(expected(its[name], sheet.contents[name]) == (answer.text or f"({answer.status})"))
    assert sum(right) >= len(right) - 1


def test_a_size_that_is_assumed_is_told(marks):
    told = marks.locator("#form-assumed")
    expect(told).to_have_text(
        "The file does not tell the size of the sheet, which is taken to be 210 x 297 mm; if it has another size, "
        "correct it here."
    )
    marks.click("#form-close")
    marks.get_by_role("button", name="Mark sheet").click()
    expect(marks.locator("#form-desk")).to_be_visible()
    expect(told).to_be_hidden()


def test_sheets_are_tried_and_doubtful_values_marked(page, filled):
    page.get_by_role("button", name="Mark sheet").click()
    expect(chips(page)).to_have_count(10)
    scan = filled[0]
    smeared = scan.image.copy()
    high, wide = smeared.shape
    area = np.s_[round(0.362 * high) : round(0.378 * high), round(0.13 * wide) : round(0.21 * wide)]
    smeared[area] = 40  # over the total
    nothing = png(np.full((500, 400), 255, np.uint8))
    give(page, ("a.png", png(scan.image)), ("b.png", png(smeared)), ("c.png", nothing), to="#form-sheets")
    rows = page.locator("#form-rows tbody tr")
    expect(page.locator("#form-count")).to_contain_text(re.compile("^3 sheets, 1 not read; "))
    cells = [text.strip() for text in rows.nth(0).locator("td").all_text_contents()]
    number = scan.contents["student"]
    assert cells[:2] == ["read", f"{number} · {example('marks').fields[0].values[number]}"]
    assert rows.nth(1).locator("[data-doubt]").count() > 0
    expect(rows.nth(2)).to_contain_text("not a sheet of a known form")
    rows.nth(2).locator("button").scroll_into_view_if_needed()
    expect(rows.nth(2).locator(".notes div")).to_be_in_viewport()
    expect(rows.nth(0).locator("button")).to_have_attribute("aria-pressed", "true")
    shown = page.locator(".form-page img").get_attribute("src")
    assert page.locator(".form-field[data-grade=sure]").count() > 2
    rows.nth(1).locator("button").click()
    expect(rows.nth(1).locator("button")).to_have_attribute("aria-pressed", "true")
    expect(page.locator(".form-page img")).not_to_have_attribute("src", shown)
    expect(page.locator(".form-page img")).to_have_attribute("src", re.compile("^data:image/jpeg"))
    page.fill("#form-name", "other")
    expect(page.locator("#form-count")).to_contain_text("The form has changed")
    expect(page.locator(".form-field[data-grade]")).to_have_count(0)
    expect(page.locator(".form-page img")).to_have_attribute("src", re.compile("^data:image/png"))
    page.click("#form-again")
    expect(page.locator("#form-count")).to_contain_text(re.compile("^3 sheets, 1 not read; "))
    give(page, ("b.zip", b"nothing"), to="#form-sheets")
    expect(page.locator("#form-trouble")).to_contain_text('b.zip: a template, but a form is open; press "Start over"')
    expect(rows).to_have_count(3)


def test_what_is_typed_during_a_save_does_not_stop_it(marks):
    page, checks = marks, []
    setting(page, "Name").fill("student")
    page.wait_for_timeout(500)
    page.route("**/v1/forms/check", lambda route: checks.append(route))
    with page.expect_download() as given:
        page.click("#form-save")
        setting(page, "Name").fill("pupil")
        while len(checks) < 2:
            page.wait_for_timeout(50)
        for each in checks:
            each.continue_()
    with zipfile.ZipFile(given.value.path()) as archive:
        template = json.loads(archive.read("grades.form.json"))
    assert template["fields"][0]["name"] == "student"
    expect(setting(page, "Name")).to_have_value("pupil")


def test_what_is_wrong_is_said_at_once(marks):
    page = marks
    problem = page.locator("#form-problem")
    expect(problem).to_be_hidden()
    setting(page, "Name").fill("f2")
    expect(problem).to_have_text("field 'f2': the name occurs twice; choose another")
    expect(chips(page).nth(1)).to_have_accessible_name(re.compile("has a problem"))
    setting(page, "Name").fill("a b")
    expect(problem).to_contain_text("expected an English letter or _")
    setting(page, "Name").fill("a")
    page.fill("#form-relations", "f7 = f3 + x")
    expect(problem).to_have_text("relation 'f7 = f3 + x': 'x' is not a field")
    page.click("#form-save")  # nothing is saved
    page.fill("#form-relations", "f7 = f3 + f4")
    expect(problem).to_be_hidden()
    setting(page, "Digits").fill("four")
    expect(problem).to_have_text("field 'a': write the length as 5 or 4-6")
    setting(page, "Digits").fill("9")
    expect(problem).to_contain_text("length 9: more than its 7 cells")
    setting(page, "Digits").fill("")
    values = setting(page, "Permitted numbers with their names, one per line")
    values.fill("12 Ada\n12 Bob")
    expect(problem).to_have_text("field 'a': values: '12' occurs twice; omit one")
    values.fill("Ada")
    expect(problem).to_contain_text("expected numbers of up to 30 digits")
    values.fill("")
    expect(problem).to_be_hidden()
    give(page, ("a.png", b"nothing"), to="#form-sheets")
    expect(page.locator("#form-rows tbody")).to_contain_text("a.png")
    expect(page.locator("#form-rows [data-failed]")).to_contain_text("error")


def test_a_field_outside_the_page_and_a_file_that_is_none_are_told(page):
    give(page, ("a.zip", b"nothing"))
    expect(page.locator("#form-trouble")).to_have_text("a.zip: not a ZIP file that was saved here; choose another")
    give(page, ("a.form.json", b'{"version": 1}'))
    expect(page.locator("#form-trouble")).to_contain_text("a.form.json: not a form template")
    give(page, ("empty.png", png(np.full((500, 400), 255, np.uint8))))
    expect(page.locator("#form-problem")).to_have_text("The form has no field; drag on the sheet to draw one.")
    drag(page, (20, 30), (60, 40))
    expect(page.locator("#form-problem")).to_be_hidden()
    page.once("dialog", lambda dialog: dialog.accept())
    page.click("#form-close")
    page.get_by_role("button", name="Order form").click()
    expect(chips(page)).to_have_count(18)
    expect(page.locator("#form-trouble")).to_be_hidden()
    page.fill("#form-wide", "180")
    page.keyboard.press("Tab")
    expect(page.locator("#form-problem")).to_contain_text("is outside the page of 180 x 297 mm; move it or change")
    page.click("#form-undo")
    expect(page.locator("#form-problem")).to_be_hidden()


def test_all_is_done_by_keys_alone(page):
    page.locator("#tab-forms").focus()
    example = page.get_by_role("button", name="Mark sheet")
    for _ in range(6):
        page.keyboard.press("Tab")
        if example.evaluate("element => element === document.activeElement"):
            break
    page.keyboard.press("Enter")
    expect(chips(page)).to_have_count(10)
    expect(page.locator("#form-name")).to_be_focused()
    page.locator("#form-sheet").focus()
    page.keyboard.press("n")
    expect(setting(page, "Name")).to_have_value("exam_date")
    expect(page.locator("#form-said")).to_have_text("exam_date: 110 from left, 45 from top, 55 by 10 millimetres")
    for key in ("ArrowRight", "ArrowRight", "ArrowUp", "Shift+ArrowRight", "Shift+ArrowDown", "Shift+ArrowDown"):
        page.keyboard.press(key)
    assert box(page) == [111, 44.5, 55.5, 11]
    page.keyboard.press("Enter")
    expect(setting(page, "Name")).to_be_focused()
    page.keyboard.type("day")
    page.locator("#form-sheet").focus()
    page.keyboard.press("p")
    page.keyboard.press("Delete")
    expect(chips(page)).to_have_count(9)
    expect(setting(page, "Name")).to_have_value("day")
    page.keyboard.press("Control+z")
    expect(chips(page)).to_have_count(10)
    page.locator("#form-draw").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#form-hint")).to_contain_text("press the button again")
    page.keyboard.press("Enter")
    expect(chips(page)).to_have_count(11)
    assert box(page)[2:] == [40, 10]
    page.keyboard.press("Shift+Tab")
    chips(page).last.focus()
    page.keyboard.press("ArrowLeft")
    expect(setting(page, "Name")).to_have_value("remarks")
    for _ in range(2):
        page.locator("#form-sheet").press("Escape")
    expect(page.locator("#form-settings")).to_contain_text("Select a field")
    page.click("#form-undo")
    for _ in range(3):
        page.click("#form-undo")
    expect(page.locator("#form-undo")).to_be_disabled()
    choose(page, "exam_date")
    assert box(page) == [110, 45, 55, 10]


def test_boxes_are_moved_and_resized_by_mouse_and_options_move_with_their_choice(page):
    page.get_by_role("button", name="Mark sheet").click()
    expect(chips(page)).to_have_count(10)
    drag(page, (45, 110), (55, 114))
    expect(setting(page, "Name")).to_have_value("total")
    assert box(page) == pytest.approx([35, 109, 24, 10], abs=0.7)
    right = box(page)[0] + 24
    drag(page, (right, 114), (right + 12, 114.5))
    assert box(page) == pytest.approx([35, 109, 36, 10], abs=0.7)
    page.click("#form-undo")
    assert box(page) == pytest.approx([35, 109, 24, 10], abs=0.7)
    choose(page, "grade")
    drag(page, (112, 108), (120, 118))
    assert box(page) == pytest.approx([113, 115, 65, 6], abs=0.7)
    page.get_by_role("button", name="Select the box of option 5").click()
    assert box(page) == pytest.approx([165, 116, 5, 5], abs=0.7)
    setting(page, "Left").fill("190")
    page.get_by_role("button", name="Select the box of option 5").click()
    assert box(page)[2] == pytest.approx(82, abs=0.7)  # it holds its options
    page.get_by_role("button", name="Add an option").click()
    expect(page.locator("#form-settings .option")).to_have_count(6)
    expect(page.locator("#form-problem")).to_be_hidden()


def test_a_saved_template_is_opened_again_and_leaving_unsaved_work_asks(marks):
    page, asked = marks, []

    def stay(dialog):
        asked.append(dialog.type)
        dialog.dismiss()

    page.on("dialog", stay)
    setting(page, "Name").fill("student")
    setting(page, "Digits").fill("5-7")
    page.click("#form-close")
    with page.expect_event("dialog"):
        page.evaluate("setTimeout(() => location.reload())")
    assert asked == ["confirm", "beforeunload"]
    expect(setting(page, "Name")).to_have_value("student")
    _, files = saved(page)
    page.click("#form-close")
    expect(page.locator("#form-start")).to_be_visible()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(f"grades/{name}", content)
    for again in ([("grades.zip", packed.getvalue())], [*files.items()]):
        give(page, *again)
        expect(chips(page)).to_have_count(14)
        expect(setting(page, "Name")).to_have_value("student")
        expect(setting(page, "Digits")).to_have_value("5-7")
        page.click("#form-close")
    assert len(asked) == 2
    plain = json.loads(files["grades.form.json"])
    give(page, ("grades.form.json", json.dumps(plain).encode()))
    expect(page.locator("#form-trouble")).to_contain_text("its reference image grades.png is missing")


def test_on_a_phone_fields_are_drawn_and_moved_by_touch_and_nothing_is_cut_off(visit, blank):
    page = visit(375, 740, has_touch=True)
    give(page, ("grades.png", blank))
    expect(chips(page)).to_have_count(14)
    assert page.evaluate("document.documentElement.scrollWidth") == 375
    touch = page.context.new_cdp_session(page)

    def swipe(start, end):
        (x, y), (to_x, to_y) = place(page, *start), place(page, *end)
        x, y = place(page, *start)
        for part in range(6):
            at = {"x": x + (to_x - x) * part / 5, "y": y + (to_y - y) * part / 5}
            touch.send("Input.dispatchTouchEvent", {"type": "touchMove" if part else "touchStart", "touchPoints": [at]})
        touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})

    page.locator("#form-draw").tap()
    swipe((30, 220), (120, 240))
    expect(chips(page)).to_have_count(15)
    assert box(page) == pytest.approx([30, 220, 90, 20], abs=1.5)
    swipe((75, 230), (95, 250))
    assert box(page) == pytest.approx([50, 240, 90, 20], abs=3)
    swipe((20, 270), (120, 280))  # not on a field: the page scrolls, and nothing is drawn
    expect(chips(page)).to_have_count(15)
    page.locator("#form-larger").tap()
    assert page.evaluate("document.documentElement.scrollWidth") == 375


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (375, "dark")])
def test_axe_finds_nothing_wrong_with_forms(visit, axe, filled, width, scheme):
    page = visit(width, color_scheme=scheme)
    page.evaluate(axe)

    def check():
        page.evaluate("() => Promise.all(document.getAnimations().map((each) => each.finished))")  # colours that fade
        said = page.evaluate("axe.run()")["violations"]
        assert [(each["id"], [node["html"] for node in each["nodes"]]) for each in said] == []
        assert page.evaluate("document.documentElement.scrollWidth") == width

    check()
    page.get_by_role("button", name="Mark sheet").click()
    expect(chips(page)).to_have_count(10)
    page.click("#forms .keys summary")
    choose(page, "grade")
    give(page, ("a.png", png(filled[1].image)), ("b.png", b"nothing"), to="#form-sheets")
    expect(page.locator("#form-count")).to_contain_text("to check")
    check()
    setting(page, "Name").fill("a b")
    expect(page.locator("#form-problem")).to_be_visible()
    page.click("#form-draw")
    check()


def test_another_page_of_a_scan_becomes_the_form(page):
    sheets = [Image.fromarray(picture(example(name), 6)) for name in ("meters", "marks")]
    pdf = io.BytesIO()
    sheets[0].save(pdf, "PDF", save_all=True, append_images=sheets[1:], resolution=152.4)
    page.set_input_files("#form-files", {"name": "two.pdf", "mimeType": "application/pdf", "buffer": pdf.getvalue()})
    expect(page.locator("#form-page-count")).to_have_text("of 2")
    before = page.locator("#form-said").inner_text()
    page.locator("#form-page").fill("2")
    page.locator("#form-page").blur()
    expect(page.locator("#form-said")).not_to_have_text(before)
    expect(page.locator("#form-page")).to_have_value("2")
    page.locator("#form-page").fill("7")
    page.locator("#form-page").blur()
    expect(page.locator("#form-trouble")).to_contain_text("has 2 pages, and page 7 is not one of them")
    expect(page.locator("#form-page")).to_have_value("2")
