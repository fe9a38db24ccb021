"""The page of `digitnet serve` in a real browser against the real service, offline."""

import csv
import io
import json
import re
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers import served, write
from PIL import Image

pytest.importorskip("fastapi", reason="the page needs the extra serve")
playwright = pytest.importorskip("playwright.sync_api", reason="the page's tests need Playwright")
uvicorn = pytest.importorskip("uvicorn")
httpx = pytest.importorskip("httpx")

from digitnet import Digits, evaluate  # noqa: E402
from digitnet.core.files import cell  # noqa: E402
from digitnet.evaluation.misclassified import save_errors  # noqa: E402
from digitnet.models.run_folder import ERRORS, SCORES  # noqa: E402
from digitnet.serving import trainings  # noqa: E402
from digitnet.serving.app import create_app  # noqa: E402
from digitnet.serving.service import Settings  # noqa: E402

playwright.expect.set_options(timeout=60_000)

THREE = ((42, 22), (47, 16), (52, 15), (58, 18), (60, 25), (59, 38), (54, 44), (48, 46), (55, 48), (61, 55))
THREE += ((63, 65), (61, 77), (54, 84), (46, 83), (41, 77))
SEVEN = ((45, 18), (60, 17), (55, 45), (51, 82))
"""Digits as the corners that a mouse goes to, in percent of the paper."""


@pytest.fixture(scope="module")
def address():
    with served(create_app(Settings(threads=1))) as url:
        yield url


@pytest.fixture
def visit(opened):
    """Open the page: visit(url, width=..., scheme=...), always with the same random numbers."""
    script = "let n = 1; Math.random = () => (n = (n * 16807) % 2147483647) / 2147483647"  # opens with a 0

    def open_page(url, width=1280, scheme="light", at="", height=860):
        return opened(url, at, width, height, script, color_scheme=scheme)

    return open_page


@pytest.fixture
def page(visit, address):
    return visit(address)


def draw(page, corners, right=0):
    """Draw a line through corners with the mouse, moved to the right by some percent of the paper."""
    page.locator("#pad").scroll_into_view_if_needed()
    paper = page.locator("#pad").bounding_box()
    for place, (x, y) in enumerate(corners):
        to = paper["x"] + (x + right) / 100 * paper["width"], paper["y"] + y / 100 * paper["height"]
        page.mouse.move(*to, steps=1 if place == 0 else 4)
        if place == 0:
            page.mouse.down()
    page.mouse.up()


def answer(page, text):
    """Wait until the page answers with a text."""
    playwright.expect(page.locator("#answer")).to_have_text(text)


def png(sheet):
    """A page (h, w) uint8 as a PNG file's bytes."""
    file = io.BytesIO()
    Image.fromarray(sheet).save(file, "png")
    return file.getvalue()


def picture(*rows):
    """A page of numbers as a PNG file's bytes."""
    return png(write(*rows)[0])


def give(page, *files):
    """Go to Read and choose files, each a name and its bytes; wait until all are read."""
    page.click("#tab-read")
    page.set_input_files("#files", [{"name": name, "mimeType": "", "buffer": content} for name, content in files])
    playwright.expect(page.locator("#count")).to_contain_text("to review")


def saved(page, button):
    """Press a button that saves a file, and return the file's text."""
    with page.expect_download() as download:
        page.click(button)
    return download.value.path().read_text(encoding="utf-8")


# Draw


def test_a_three_drawn_with_the_mouse_is_a_3(page):
    draw(page, THREE)
    answer(page, "3")
    playwright.expect(page.locator("#grade")).to_contain_text("sure")
    playwright.expect(page.locator("#bars [data-best] .digit")).to_have_text("3")
    playwright.expect(page.locator("html")).to_have_attribute("data-latency", re.compile("[1-9]"))  # a frame later


def test_every_drawing_is_asked_about_once_and_not_again_when_the_pen_is_lifted(page):
    page.evaluate(
        """() => {
          const ask = fetch;
          window.sent = [];
          window.fetch = async (url, how) => {
            if (String(url).includes("v1/read")) sent.push(await how.body.text());
            return ask(url, how);
          };
        }"""
    )
    draw(page, THREE)
    playwright.expect(page.locator("#spoken")).to_contain_text("3, ")
    sent = page.evaluate("sent")
    assert len(sent) == len(set(sent))


def test_the_readers_answer_does_not_wait_for_the_layers(page):
    held = []
    page.route("**/v1/network?*", lambda route: held.append(route))
    page.reload()
    draw(page, THREE)
    answer(page, "3")
    assert page.locator(".maps").count() == 0
    held[0].continue_()
    playwright.expect(page.locator(".maps")).to_have_count(3)


def test_all_maps_of_a_layer_are_one_canvas_since_each_takes_time_in_every_frame(page):
    draw(page, THREE)
    playwright.expect(page.locator(".maps button")).to_have_count(32 + 48 + 96)
    assert page.locator("#middle canvas").count() == 3 + 3, "the input, the needed ink and the hidden units"


def test_a_screen_reader_hears_the_answer_once_it_has_settled(page):
    page.evaluate("""() => {
        const note = (id, name) =>
            new MutationObserver(() => (window[name] = performance.now())).observe(
                document.getElementById(id), { childList: true }
            );
        note("spoken", "spokenAt");
        note("answer", "answeredAt");
    }""")
    draw(page, THREE)
    answer(page, "3")
    page.wait_for_function("() => window.spokenAt > window.answeredAt")
    playwright.expect(page.locator("#spoken")).to_contain_text("3, ")
    assert page.evaluate("spokenAt - answeredAt") >= 600, "milliseconds without a new answer"


def test_two_digits_are_a_number_and_each_can_be_looked_into(page):
    draw(page, THREE, right=-25)
    draw(page, SEVEN, right=10)
    answer(page, "37")
    playwright.expect(page.locator("#bars [data-best] .digit")).to_have_text("7")
    page.locator("#answer button").first.click()
    playwright.expect(page.locator("#bars [data-best] .digit")).to_have_text("3")
    playwright.expect(page.locator("#answer [aria-pressed=true]")).to_be_focused()


def test_undo_takes_one_stroke_back_and_clear_all(page):
    draw(page, THREE, right=-25)
    draw(page, SEVEN, right=10)
    answer(page, "37")
    page.click("#undo")
    answer(page, "3")
    page.click("#clear")
    answer(page, "–")
    playwright.expect(page.locator("#undo")).to_be_disabled()


def test_a_scribble_is_no_digit(page):
    draw(page, [(20 + 60 * (i % 2), 10 + 5 * i) for i in range(16)])
    playwright.expect(page.locator("#grade")).to_contain_text("No digit")


def test_every_digit_can_be_written_by_its_key(page):
    page.emulate_media(reduced_motion="reduce")
    page.focus("#pad")
    for digit in "0123456789":
        page.keyboard.press(digit)
        answer(page, digit)


def test_a_one_can_be_drawn_with_arrow_keys_and_taken_back(page):
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "pad":
            break
    for key in ["Shift+ArrowUp"] * 2 + ["Space"] + ["Shift+ArrowDown"] * 5 + ["Space"]:
        page.keyboard.press(key)
    answer(page, "1")
    page.keyboard.press("Backspace")
    answer(page, "–")


def test_a_six_upside_down_is_a_nine_to_a_network(page):
    page.select_option("#by", "strong")
    page.get_by_role("button", name="Write a 6").click()
    answer(page, "6")
    page.click("#break summary")
    page.fill("#turn", "180")
    answer(page, "9")
    page.click("#mend")
    answer(page, "6")


def test_light_ink_on_dark_paper_reads_as_well(page):
    draw(page, THREE)
    page.click("#break summary")
    page.check("#invert")
    page.wait_for_function("document.getElementById('seen').getContext('2d').getImageData(0, 0, 1, 1).data[0] === 0")
    answer(page, "3")


def test_a_learner_sees_the_tutorial_networks_filters_and_what_it_needed(page):
    page.select_option("#by", "digitnet")
    draw(page, THREE)
    answer(page, "3")
    playwright.expect(page.locator(".maps").nth(0).locator("button")).to_have_count(16)
    playwright.expect(page.locator(".maps").nth(1).locator("button")).to_have_count(32)
    playwright.expect(page.locator(".layers")).to_contain_text("of 128 active")
    seen = page.evaluate("[...document.getElementById('seen').getContext('2d').getImageData(0, 0, 28, 28).data]")
    assert np.reshape(seen, (28, 28, 4))[:, :, 0].max() == 255
    orange = (
        "const { data } = document.querySelectorAll('.inputs canvas')[1].getContext('2d').getImageData(0, 0, 28, 28);"
    )
    page.wait_for_function(
        f"() => {{ {orange} return data.some((value, i) => i % 4 === 0 && value > data[i + 2] + 100); }}"
    )
    page.get_by_role("button", name="Filter 3 of 16").click()
    playwright.expect(page.locator(".arithmetic")).to_contain_text("Their sum is")
    playwright.expect(page.locator(".inputs .window")).to_be_visible()


def test_a_digit_and_one_value_of_a_map_are_looked_into_with_the_keyboard_alone(page):
    def to(place, key="Tab"):
        for _ in range(60):
            if page.evaluate("place => document.activeElement.matches(place)", place):
                return
            page.keyboard.press(key)
        pytest.fail(f"{place} is not reached by {key}")

    to("#pad")
    page.keyboard.press("7")
    answer(page, "7")
    to("#break summary")
    page.keyboard.press("Enter")
    to("#turn")
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    playwright.expect(page.locator("#turn-out")).to_have_text("15°")
    to("#break summary", "Shift+Tab")
    page.keyboard.press("Enter")
    to(".maps button")
    for key in ("ArrowRight", "ArrowDown", "ArrowLeft", "Enter"):
        page.keyboard.press(key)
    label = page.evaluate("document.activeElement.getAttribute('aria-label')")
    assert re.fullmatch(r"Filter (9 of 16|17 of 32)", label)
    playwright.expect(page.locator(".arithmetic")).to_contain_text("Their sum is")
    to(".arithmetic .large")
    place = re.compile(r"row (\d+) of 14, column (\d+) of 14")
    before = place.search(page.locator(".arithmetic .large").get_attribute("aria-label"))
    page.keyboard.press("ArrowUp" if int(before[1]) > 1 else "ArrowDown")
    row = int(before[1]) + (-1 if int(before[1]) > 1 else 1)
    large = page.locator(".arithmetic .large")
    playwright.expect(large).to_be_focused()
    playwright.expect(large).to_have_attribute("aria-label", re.compile(f"row {row} of 14"))
    playwright.expect(page.locator(".arithmetic .sum")).to_contain_text(f"Value at row {row}")
    to("#by")
    page.keyboard.press("ArrowDown")
    playwright.expect(page.locator("#who")).to_contain_text("alone")


def test_errors_of_a_report_are_looked_into_with_the_keyboard_alone(visit, report):
    with served(create_app(Settings(threads=1, report=report))) as url:
        page = visit(url)
        for key in ("Tab", "ArrowRight", "ArrowRight", "ArrowRight"):
            page.keyboard.press(key)
        playwright.expect(page.locator("#tab-report")).to_be_focused()
        button = page.get_by_role("button", name="1 of 0 read as 6: show")
        playwright.expect(button).to_be_visible()
        for _ in range(10):
            if button.evaluate("it => it === document.activeElement"):
                break
            page.keyboard.press("Tab")
        page.keyboard.press("Space")
        playwright.expect(page.locator(".faces canvas")).to_have_count(1)
        playwright.expect(button).to_be_focused()


def test_the_page_opens_with_a_digit_and_fits_a_projector(visit, address):
    page = visit(address, height=720)
    playwright.expect(page.locator("#answer")).to_have_text(re.compile("[0-9]"))
    page.get_by_role("button", name="Filter 3 of 32").click()
    page.click("#break summary")
    size = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.scrollHeight]")
    assert size == [1280, 720]


def test_while_a_stroke_goes_on_the_answer_stays_until_there_is_another(page):
    playwright.expect(page.locator("#answer")).to_have_text(re.compile("[0-9]"))
    page.evaluate(
        """() => {
          window.grades = [];
          const seen = document.getElementById("grade");
          new MutationObserver(() => grades.push(seen.textContent)).observe(seen, { childList: true });
        }"""
    )
    draw(page, SEVEN)
    answer(page, "7")
    grades = page.evaluate("grades")
    assert grades
    assert not [grade for grade in grades if "digit" in grade]


def test_two_numbers_above_each_other_are_two_lines(page):
    small = [tuple((x, y / 2.4 + up) for x, y in SEVEN) for up in (2, 58)]
    for corners in small:
        draw(page, corners)
    playwright.expect(page.locator("#answer div")).to_have_text(["7", "7"])


def test_pill_and_bar_say_the_same_of_a_bare_one(page):
    for by in ("reader", "strong"):
        page.select_option("#by", by)
        draw(page, ((50, 20), (50, 50), (50, 80)))
        answer(page, "1")
        page.wait_for_function(
            "() => document.querySelector('#grade b')?.textContent"
            " === document.querySelector('#bars [data-best] .value')?.textContent"
        )  # the answer before the last one may still be shown
        assert page.locator("#bars [data-best] .digit").text_content() == "1"
        page.click("#clear")


def test_clear_mends_what_was_broken(page):
    draw(page, THREE)
    answer(page, "3")
    page.click("#break summary")
    page.fill("#noise", "30")
    page.check("#invert")
    page.click("#clear")
    answer(page, "–")
    playwright.expect(page.locator("#noise")).to_have_value("0")
    playwright.expect(page.locator("#invert")).not_to_be_checked()
    playwright.expect(page.locator("#mend")).to_be_disabled()


# Read


def test_the_numbers_of_a_page_are_listed_and_boxed(page):
    give(page, ("page.png", picture("1984 7265", "30")))
    assert page.locator(".number-button").all_text_contents() == ["1984", "7265", "30"]
    assert page.locator(".page .number").count() == 3
    page.locator(".page .number").nth(1).hover()
    assert "pointed" in page.locator(".row").nth(1).get_attribute("class")
    page.locator(".page .number").nth(1).click()
    playwright.expect(page.locator(".number-button").nth(1)).to_have_attribute("aria-expanded", "true")


def test_its_csv_and_json_are_what_the_command_line_writes(page, digitnet):
    content = picture("1984 7265", "30 4162 958")
    Path("page.png").write_bytes(content)
    give(page, ("page.png", content))
    assert saved(page, "#csv") == digitnet("read", "page.png", "--format", "csv", "--min-confidence", "0.95")[1]
    told = json.loads(digitnet("read", "page.png", "--format", "json", "--min-confidence", "0.95")[1])
    assert json.loads(saved(page, "#json")) == told


def test_a_files_name_is_no_formula_in_a_spreadsheet(page):
    names = ['=1+1,"x".png', "'a.png", "'=1.png", "-.png", "\uff0b1.png"]
    give(page, *((name, picture("30")) for name in names))
    rows = list(csv.DictReader(io.StringIO(saved(page, "#csv"))))
    assert [(row["file"], row["text"]) for row in rows] == [(cell(name), "30") for name in names]


def test_blank_and_crossed_out_fields_are_told_apart(page):
    blank = np.full((90, 200), 240, np.uint8)
    crossed = cv2.line(cv2.line(blank.copy(), (60, 20), (140, 70), 30, 5), (140, 20), (60, 70), 30, 5)
    give(page, *((f"{i}.png", png(sheet)) for i, sheet in enumerate((blank, crossed))))
    page.click("#field summary")
    page.check("[name=single]")
    playwright.expect(page.locator(".number-button")).to_have_text(["empty", "unreadable"])
    playwright.expect(page.locator("#count")).to_have_text("2 numbers on 2 pages, 1 to review")
    page.fill("#least", "0")
    playwright.expect(page.locator("#count")).to_have_text("2 numbers on 2 pages, 1 to review")
    rows = csv.DictReader(io.StringIO(saved(page, "#csv")))
    assert [(row["text"], row["status"], row["accepted"]) for row in rows] == [
        ("", "empty", "1"),
        ("", "unreadable", "0"),
    ]


def test_numbers_below_the_threshold_are_for_a_person(page):
    give(page, ("page.png", picture("1984 7265", "30")))
    page.fill("#least", "100")
    playwright.expect(page.locator("#count")).to_have_text("3 numbers on 1 page, 3 to review")
    assert page.locator(".row[data-doubted]").count() == 3
    page.fill("#least", "0")
    playwright.expect(page.locator("#count")).to_have_text("3 numbers on 1 page, 0 to review")
    page.check("#only")
    playwright.expect(page.locator(".row:visible")).to_have_count(0)


def test_what_is_known_of_the_numbers_changes_the_answer_and_says_so(page):
    give(page, ("page.png", picture("1984")))
    page.click("#field summary")
    page.fill("[name=lengths]", "3")
    page.keyboard.press("Enter")
    playwright.expect(page.locator("#pages")).to_contain_text(
        "Constraints, for numbers that can satisfy them: length 3."
    )
    playwright.expect(page.locator(".advice").last).to_contain_text("Read without constraints: it cannot satisfy them.")
    playwright.expect(page.locator(".number-button")).to_have_text("1984")
    page.check("[name=single]")
    playwright.expect(page.locator(".advice").last).to_contain_text("Without constraints it reads 1984.")
    page.fill("[name=lengths]", "three")
    page.keyboard.press("Enter")
    playwright.expect(page.locator("#pages .trouble")).to_contain_text("lengths")


def test_a_file_of_a_wrong_kind_is_said_and_the_others_are_read(page):
    give(page, ("letter.txt", b"Dear Sir,"), ("page.png", picture("30")))
    playwright.expect(page.locator(".trouble:visible")).to_contain_text("PNG, JPEG")
    assert page.locator(".number-button").all_text_contents() == ["30"]
    assert "letter.txt" in saved(page, "#csv")


def tiff(*texts):
    """Pages of a number each as a TIFF file's bytes."""
    sheets, file = [Image.fromarray(write(text)[0]) for text in texts], io.BytesIO()
    sheets[0].save(file, "tiff", save_all=True, append_images=sheets[1:])
    return file.getvalue()


def draw_box(page, place, box):
    """Press Add a number of a page, and draw a box of its pixels with the mouse."""
    sheet = page.locator(".reading").nth(place)
    sheet.get_by_role("button", name="Add a number").click()
    svg = sheet.locator(".page svg")
    svg.scroll_into_view_if_needed()
    at, width = svg.bounding_box(), json.loads(saved(page, "#json"))[place]["width"]
    left, top, right, bottom = (at["width"] / width * edge for edge in box)
    page.mouse.move(at["x"] + left - 4, at["y"] + top - 4)
    page.mouse.down()
    page.mouse.move(at["x"] + right + 4, at["y"] + bottom + 4, steps=4)
    page.mouse.up()


def ink_of(page, selector):
    """The share of dark pixels of pictures on the page."""
    return page.eval_on_selector_all(
        selector,
        """all => all.map((picture) => {
          const canvas = document.createElement("canvas");
          canvas.width = picture.naturalWidth ?? picture.width;
          canvas.height = picture.naturalHeight ?? picture.height;
          canvas.getContext("2d").drawImage(picture, 0, 0);
          const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          return data.filter((value, i) => i % 4 === 0 && value < 128).length * 4 / data.length;
        })""",
    )


def test_pages_that_the_browser_cannot_show_come_from_the_server_and_are_corrected_as_others(page):
    give(page, ("book.tif", tiff("1984", "30")))
    assert [share > 0.005 for share in ink_of(page, ".page img") + ink_of(page, ".crop canvas")] == [True] * 4
    boxes = [each["numbers"][0]["box"] for each in json.loads(saved(page, "#json"))]
    page.locator(".reading").nth(1).locator(".number-button").click()
    page.get_by_role("button", name="Delete").locator("visible=true").click()
    draw_box(page, 1, boxes[1])
    added = page.locator(".reading").nth(1).locator(".row").nth(1)
    playwright.expect(added.locator(".typed")).to_have_value("30")  # the reader's proposal, by the picture
    page.keyboard.press("Enter")
    pages = json.loads(saved(page, "#json"))
    assert [number["status"] for each in pages for number in each["numbers"]] == ["read", "deleted", "added"]
    assert all("picture" not in each for each in pages)


def test_a_page_is_turned_and_read_again_with_its_corrections(page):
    upright = np.array(Image.open(io.BytesIO(picture("1984 7265", "30"))))
    sheets = [Image.fromarray(np.ascontiguousarray(np.rot90(upright, turn))) for turn in (0, 1)]
    file = io.BytesIO()
    sheets[0].save(file, "tiff", save_all=True, append_images=sheets[1:])
    give(page, ("book.tif", file.getvalue()))
    second = page.locator(".reading").nth(1)
    second.locator(".number-button").filter(has_text="30").click()
    page.keyboard.type("31")
    page.keyboard.press("Enter")
    second.get_by_role("button", name="Rotate").click()
    playwright.expect(page.locator(".reading").nth(1).get_by_role("button", name="Rotate")).to_be_focused()
    assert page.locator(".reading").nth(1).locator(".number-button").all_text_contents() == ["1984", "7265", "31"]
    first, turned = json.loads(saved(page, "#json"))
    assert (turned["width"], turned["height"]) == (first["width"], first["height"]) == upright.shape[::-1]
    assert np.allclose([n["box"] for n in turned["numbers"]], [n["box"] for n in first["numbers"]], atol=3)
    page.click("#field summary")
    page.select_option("[name=kind]", "integer")  # all is read again: it stays turned
    playwright.expect(page.locator("#pages")).to_contain_text("Constraints, for numbers that can satisfy them")
    playwright.expect(page.locator(".reading").nth(1).locator(".number-button").nth(2)).to_have_text("31")
    assert json.loads(saved(page, "#json"))[1]["width"] == upright.shape[1]


def test_a_number_is_corrected_by_typing_and_the_next_doubtful_one_opens(page):
    give(page, ("page.png", picture("1984 7265", "30")))
    page.fill("#least", "100")
    page.locator(".page .number").nth(1).click()
    typed = page.locator(".typed:visible")
    playwright.expect(typed).to_be_focused()
    page.keyboard.type("no digit")
    page.keyboard.press("Enter")
    playwright.expect(typed).to_have_attribute("aria-invalid", "true")
    page.keyboard.press("Control+a")
    page.keyboard.type("7.265,-")
    page.keyboard.press("Enter")
    playwright.expect(page.locator(".number-button").nth(1)).to_have_text("7.265,-")
    playwright.expect(page.locator(".row").nth(2).locator(".typed")).to_be_focused()
    page.keyboard.press("Enter")  # 30 is right
    playwright.expect(page.locator(".row").nth(0).locator(".typed")).to_be_focused()
    playwright.expect(page.locator("#count")).to_have_text("3 numbers on 1 page, 1 to review")
    rows = list(csv.DictReader(io.StringIO(saved(page, "#csv"))))
    assert [(row["text"], row["status"], row["accepted"]) for row in rows] == [
        ("1984", "read", "0"),
        ("7265", "corrected", "1"),
        ("30", "confirmed", "1"),
    ]
    assert (rows[1]["written"], rows[1]["seen"]) == ("7.265,-", "7265")


def test_a_false_number_is_deleted_and_a_missed_one_added_by_drawing_its_box(page):
    give(page, ("page.png", picture("1984 7265", "30")))
    boxes = [number["box"] for number in json.loads(saved(page, "#json"))[0]["numbers"]]
    page.locator(".number-button").nth(1).click()
    page.get_by_role("button", name="Delete").click()
    playwright.expect(page.locator(".number-button").nth(1)).to_have_text("deleted")
    playwright.expect(page.locator("#count")).to_have_text("2 numbers on 1 page, 0 to review")
    draw_box(page, 0, boxes[1])
    added = page.locator(".row").nth(3)
    playwright.expect(added.locator(".typed")).to_have_value("7265")  # the reader's proposal
    page.keyboard.type("7266")
    page.keyboard.press("Enter")
    playwright.expect(added.locator(".number-button")).to_have_text("7266")
    pages = json.loads(saved(page, "#json"))
    assert [(number["text"], number["status"]) for number in pages[0]["numbers"]] == [
        ("1984", "read"),
        ("", "deleted"),
        ("30", "read"),
        ("7266", "added"),
    ]
    assert max(abs(a - b) for a, b in zip(pages[0]["numbers"][3]["box"], boxes[1], strict=True)) < 12
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.click("#copy")
    assert page.evaluate("navigator.clipboard.readText()") == "1984 7266\n30\n"
    page.locator(".number-button").nth(1).click()
    page.get_by_role("button", name="As read").click()
    playwright.expect(page.locator(".number-button").nth(1)).to_have_text("7265")


def test_corrections_outlive_another_reading(page):
    give(page, ("page.png", picture("1984", "30")))
    page.locator(".number-button").first.click()
    page.keyboard.type("1985")
    page.keyboard.press("Enter")
    page.click("#field summary")
    page.select_option("[name=kind]", "integer")
    playwright.expect(page.locator("#pages")).to_contain_text("Constraints, for numbers that can satisfy them")
    playwright.expect(page.locator(".number-button").first).to_have_text("1985")
    playwright.expect(page.locator(".number-button").nth(1)).to_have_text("30")


def test_one_key_opens_the_next_number_to_review(page):
    give(page, ("a.png", picture("1984 7265")), ("b.png", picture("30")))
    playwright.expect(page.locator("#next")).to_be_disabled()
    page.fill("#least", "100")
    playwright.expect(page.locator("#next")).to_be_enabled()
    for number in (0, 1, 2, 0):
        page.keyboard.press("n")
        playwright.expect(page.locator(".row").nth(number).locator(".typed")).to_be_focused()
        page.keyboard.press("Escape")
        playwright.expect(page.locator(".row").nth(number).locator(".number-button")).to_be_focused()
    page.click("#next")
    playwright.expect(page.locator(".row").first.locator(".typed")).to_be_focused()


def test_a_batch_is_not_lost_by_a_reload_unasked(page):
    asked = []

    def stay(dialog):
        asked.append(dialog.type)
        dialog.dismiss()

    page.on("dialog", stay)
    give(page, ("page.png", picture("1984")))
    page.locator(".number-button").click()
    with page.expect_event("dialog"):
        page.evaluate("setTimeout(() => location.reload())")
    assert asked == ["beforeunload"]
    playwright.expect(page.locator(".number-button")).to_have_text("1984")
    page.click("#forget")
    page.reload()
    playwright.expect(page.locator("#summary")).to_be_hidden()
    assert asked == ["beforeunload"]


# Train and share


def test_a_class_watches_a_network_learn_and_compares_two_trainings(visit, monkeypatch):
    look = {"step": 5, "loss": 0.4, "accuracy": 0.9, "confusion": [[9] * 10] * 10, "filters": [[0.1] * 9] * 16}
    about = {"run": "quick-1", "steps": 20, "digits": 540, "classes": list("0123456789")}
    shown = [about, look, {"accuracy": 0.99, "errors": 10, "n": 1000}]
    told = f"import json; [print(json.dumps(each), flush=True) for each in {shown}]"
    monkeypatch.setattr(trainings, "COMMAND", (sys.executable, "-c", told))
    with served(create_app(Settings(threads=1, train="mnist"))) as url:
        page = visit(url, at="#/train", height=720)
        for rate in ("1", "10"):
            page.select_option("[name=rate]", rate)
            page.click("#train-start")
            playwright.expect(page.locator("#train-status")).to_have_text(
                "quick-1: 99.00% of 1,000 test digits, 10 errors."
            )
        playwright.expect(page.locator(".runs button")).to_have_text(["1: rate × 1, seed 0", "2: rate × 10, seed 0"])
        playwright.expect(page.locator(".chart polyline")).to_have_count(4)
        playwright.expect(page.locator(".filters canvas")).to_have_count(16)
        page.locator(".runs button").first.click()
        playwright.expect(page.locator(".runs button").first).to_have_attribute("aria-pressed", "true")
        assert page.evaluate("document.documentElement.scrollHeight") == 720
        monkeypatch.setattr(trainings, "COMMAND", (sys.executable, "-c", told + "; import time; time.sleep(600)"))
        page.click("#train-start")
        playwright.expect(page.locator("#train-status")).to_contain_text("90.0%")
        page.click("#train-stop")
        playwright.expect(page.locator("#train-status")).to_have_text("Stopped: 90.0% after 5 of 20 steps.")


def test_the_address_for_a_classes_phones_brings_its_token(visit):
    with served(create_app(Settings(threads=1, token="open sesame", address="127.0.0.1"))) as url:
        page = visit(url, at="#/draw?token=open%20sesame")
        page.click("#share summary")
        playwright.expect(page.locator(".qr img")).to_be_visible()
        assert page.locator(".qr a").get_attribute("href") == f"{url}#/draw?token=open%20sesame"
        assert "token" not in page.url
        assert page.locator("#token").is_hidden()


# Look inside


def test_without_a_report_the_page_says_how_to_get_one(page):
    page.click("#tab-report")
    playwright.expect(page.locator("#report-body")).to_contain_text("digitnet serve --report")
    playwright.expect(page.locator(".model h3")).to_have_text(["strong recipe transfer", "digitnet recipe thorough"])
    playwright.expect(page.locator(".model").first).to_contain_text("99.67%")


@pytest.fixture
def report(tmp_path):
    """A run's folder whose network took 25 eights for threes and one zero for a six, of 100 digits."""
    labels = np.repeat([8, 0], [60, 40]).astype(np.uint8)
    said = np.where(np.arange(100) < 25, 3, labels)
    said[99] = 6
    digits = Digits(np.full((100, 28, 28), 200, np.uint8), labels)
    scores = evaluate(lambda images: np.eye(10, dtype=np.float32)[said], digits)
    save_errors(scores, digits, tmp_path / ERRORS)
    (tmp_path / SCORES).write_text(json.dumps(scores.to_dict()), encoding="utf-8")
    return tmp_path


def test_a_report_shows_each_mistake_with_its_digits(visit, report):
    with served(create_app(Settings(threads=1, report=report))) as url:
        page = visit(url, at="#/report")
        playwright.expect(page.locator(".facts")).to_contain_text("74.00%")
        page.get_by_role("button", name="25 of 8 read as 3: show").press("Enter")
        playwright.expect(page.locator("#report h3")).to_have_text("8 read as 3, the 20 most confident of 25")
        assert page.locator(".faces canvas").count() == 20
        page.get_by_role("button", name="1 of 0 read as 6: show").click()
        playwright.expect(page.locator(".faces canvas")).to_have_count(1)


# The page as a whole


def test_tabs_follow_the_arrow_keys_and_the_address(visit, address):
    page = visit(address, at="#/read")
    playwright.expect(page.locator("#read")).to_be_visible()
    page.focus("#tab-read")
    for tab in ("#tab-forms", "#tab-report"):
        page.keyboard.press("ArrowRight")
        playwright.expect(page.locator(tab)).to_be_focused()
    playwright.expect(page.locator("#report")).to_be_visible()
    page.keyboard.press("Home")
    playwright.expect(page.locator("#draw")).to_be_visible()


def test_on_a_phone_nothing_is_wider_than_the_screen(visit, address):
    page = visit(address, width=375)
    page.click("#break summary")
    draw(page, THREE)
    answer(page, "3")
    playwright.expect(page.locator(".maps").first).to_be_visible()
    widths = [page.evaluate("document.documentElement.scrollWidth")]
    give(page, ("a-name-that-is-far-too-long-for-a-telephone-held-upright-in-one-hand.png", picture("1984 7265", "30")))
    page.click("#field summary")
    widths.append(page.evaluate("document.documentElement.scrollWidth"))
    page.click("#tab-report")
    widths.append(page.evaluate("document.documentElement.scrollWidth"))
    assert widths == [375, 375, 375]


def test_a_server_that_is_gone_is_said_and_the_drawing_stays(page):
    page.route("**/v1/**", lambda route: route.abort())
    draw(page, THREE)
    playwright.expect(page.locator("#draw-trouble")).to_contain_text("does not respond")
    page.unroute("**/v1/**")
    page.click("#break summary")
    page.fill("#thick", "1")
    answer(page, "3")
    playwright.expect(page.locator("#draw-trouble")).to_be_hidden()


def trial(page, path):
    """Open a route of the documents, and its form."""
    card = page.locator("details.card", has=page.locator(f"summary code:text-is('{path}')"))
    if card.get_attribute("open") is None:
        card.locator("> summary").click()
    card.locator(".trying > summary").click()
    return card.locator(".trying")


def test_every_route_can_be_tried_in_the_documents(visit, address):
    while httpx.get(f"{address}health/ready").status_code != 200:  # its examples are real answers
        time.sleep(0.05)
    page = visit(address, at="docs")
    read = trial(page, "POST /v1/read")
    read.locator("input[type=file]").set_input_files(
        [{"name": name, "mimeType": "image/png", "buffer": picture(text)} for name, text in (("a", "30"), ("b", "958"))]
    )
    read.get_by_label("length", exact=True).fill("3")
    read.get_by_role("button", name="Send").click()
    playwright.expect(read.locator(".answered p")).to_contain_text(
        re.compile(r"^200 OK, [0-9.]+ s, request [0-9a-f]{32}$")
    )
    playwright.expect(read.locator(".answered pre")).to_contain_text('"text": "958"')
    read.get_by_label("length", exact=True).fill("x")
    read.get_by_role("button", name="Send").click()
    playwright.expect(read.locator(".answered .trouble")).to_contain_text("422 Unprocessable")
    playwright.expect(read.locator(".answered pre")).to_contain_text("length: input should be a valid integer")
    classify = trial(page, "POST /v1/classify")
    classify.get_by_label("model").select_option("digitnet")
    classify.get_by_role("button", name="Send").click()
    playwright.expect(classify.locator(".answered pre")).to_contain_text('"name": "digitnet"')
    inside = trial(page, "POST /v1/inside")
    inside.locator("input[type=file]").set_input_files([{"name": "7", "mimeType": "image/png", "buffer": picture("7")}])
    inside.get_by_role("button", name="Send").click()
    playwright.expect(inside.locator(".answered pre")).to_contain_text('"digit": 7')
    for path, text in (
        ("GET /v1/models", "sha256"),
        ("GET /v1/forms/examples/{name}", "Mark sheet"),
        ("GET /health/ready", "ready"),
        ("GET /metrics", "digitnet_requests"),
    ):
        form = trial(page, path)
        form.get_by_role("button", name="Send").click()
        playwright.expect(form.locator(".answered pre")).to_contain_text(text)


def test_the_documents_take_the_token_and_say_when_it_is_wrong(visit):
    with served(create_app(Settings(threads=1, token="sesame"))) as url:
        page = visit(url, at="docs")
        models = trial(page, "GET /v1/models")
        for token, text in (("", "no token"), ("wrong", "the token is wrong"), ("sesame", "sha256")):
            page.get_by_label("Token").fill(token)
            models.get_by_role("button", name="Send").click()
            playwright.expect(models.locator(".answered pre")).to_contain_text(text)


def test_a_token_is_asked_for_once(visit):
    with served(create_app(Settings(threads=1, token="open sesame"))) as url:
        page = visit(url)
        page.fill("#token-value", "open sesame")
        page.keyboard.press("Enter")
        draw(page, THREE)
        answer(page, "3")
        page.reload()
        playwright.expect(page.locator("#by option")).not_to_have_count(1)
        playwright.expect(page.locator("#token")).to_be_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_wrong_with_any_tab(visit, address, axe, scheme):
    page = visit(address, scheme=scheme)
    page.evaluate(axe)

    def violations():
        said = page.evaluate("axe.run()")["violations"]
        return [(each["id"], each["impact"], [node["html"] for node in each["nodes"]]) for each in said]

    draw(page, THREE, right=-25)
    draw(page, SEVEN, right=10)
    answer(page, "37")
    page.click("#break summary")
    playwright.expect(page.locator(".maps").first).to_be_visible()
    assert violations() == []
    give(page, ("letter.txt", b"Dear Sir,"), ("page.png", picture("1984 7265")))
    page.click("#field summary")
    page.fill("#least", "100")
    assert violations() == []
    page.click("#tab-report")
    playwright.expect(page.locator("#report-body")).to_contain_text("digitnet serve")
    assert violations() == []


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 375)])
def test_axe_finds_nothing_wrong_with_opened_tools_a_training_and_a_report(
    visit, axe, scheme, width, report, monkeypatch
):
    look = {"step": 5, "loss": 0.4, "accuracy": 0.9, "confusion": [[9] * 10] * 10, "filters": [[0.1] * 9] * 16}
    shown = [{"run": "quick-1", "steps": 20, "digits": 540, "classes": list("0123456789")}, look]
    told = f"import json, time; [print(json.dumps(each), flush=True) for each in {shown}]; time.sleep(600)"
    monkeypatch.setattr(trainings, "COMMAND", (sys.executable, "-c", told))
    with served(create_app(Settings(threads=1, train="mnist", report=report, address="192.0.2.7"))) as url:
        page = visit(url, width=width, scheme=scheme, height=720)
        page.evaluate(axe)

        def check(part):
            said = page.evaluate("part => axe.run(part)", part)["violations"]
            assert [(each["id"], [node["html"] for node in each["nodes"]]) for each in said] == []
            assert page.evaluate("document.documentElement.scrollWidth") == width

        page.locator(".maps button").first.click()
        for tool in ("own", "share", "keys", "break"):
            page.click(f"#{tool} > summary")
            panel = page.locator(f"#{tool} > .panel")
            playwright.expect(panel).to_be_visible()
            check("#draw")
            box, footer = panel.bounding_box(), page.locator("footer").bounding_box()
            assert box["y"] + box["height"] <= footer["y"] + footer["height"] / 4  # a quarter of it is empty
        page.click("#tab-report")
        playwright.expect(page.locator(".faces figure").first).to_be_visible()
        check("#report")
        page.click("#tab-train")
        page.click("#train-start")
        playwright.expect(page.locator(".filters canvas")).to_have_count(16)
        check("#train")
        page.click("#train-stop")
        page.goto(url + "docs")
        page.evaluate(axe)
        check("body")
