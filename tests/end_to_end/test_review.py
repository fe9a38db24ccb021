"""The page's Review view in a real browser: keys alone, reloads, a server that is killed."""

import os
import re
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers import served

pytest.importorskip("sqlalchemy", reason="reviewing needs the extra review")
pytest.importorskip("fastapi", reason="the page needs the extra serve")
playwright = pytest.importorskip("playwright.sync_api", reason="the page's tests need Playwright")
uvicorn = pytest.importorskip("uvicorn")

from digitnet.forms.template import parsed  # noqa: E402
from digitnet.review.desk import Desk  # noqa: E402
from digitnet.review.records import StoredField, StoredSheet  # noqa: E402
from digitnet.review.store import Store  # noqa: E402
from digitnet.serving.app import WEB, create_app  # noqa: E402
from digitnet.serving.service import Settings  # noqa: E402

expect = playwright.expect
expect.set_options(timeout=60_000)
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
CHROMIUM = os.environ.get("DIGITNET_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here; name one in DIGITNET_CHROMIUM")
TEMPLATE = """{"version": 1, "name": "small", "page": [100, 100], "fields": [
  {"name": "a", "label": "Amount", "kind": "digits", "box": [10, 10, 40, 20], "length": [1, 3]},
  {"name": "b", "kind": "digits", "box": [10, 30, 40, 40]},
  {"name": "c", "kind": "choice", "box": [10, 50, 40, 60], "options": {"yes": [10, 50, 15, 55], "no": [20, 50, 25, 55]}}
]}"""


def make_job(place):
    """A job of three doubtful fields, handed out in their order, with the picture of its sheet."""
    sheet = np.full((400, 400), 255, np.uint8)
    fields = []
    for number, (name, kind, text, others) in enumerate(
        [("a", "digits", "12", ("17", "72")), ("b", "digits", "34", ()), ("c", "choice", "yes", ("no",))]
    ):
        top = 40 + 80 * number
        corners = [(40, top), (160, top), (160, top + 40), (40, top + 40)]
        cv2.putText(sheet, text, (50, top + 32), cv2.FONT_HERSHEY_SIMPLEX, 1, 0, 2)
        fields.append(StoredField(name, kind, False, corners, text, 0.5, "read", None, others, 0.5 - number / 10))
    picture = cv2.imencode(".png", sheet)[1].tobytes()
    store = Store(place, create=True)
    store.add_forms([parsed(TEMPLATE.encode(), "small")])
    store.add(StoredSheet("a.png", 1, "", "small", "read", 0, (), None, None, None, {}, picture, tuple(fields)))
    return store


class Served:
    """`digitnet review` in a process of its own, on one port however often it is started."""

    def __init__(self, place, environment):
        self.words = [sys.executable, "-m", "digitnet", "review", place, "--clerk", "amara", "--port"]
        self.environment, self.port = environment, "0"

    def start(self):
        self.process = subprocess.Popen(
            [*self.words, self.port], env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self.url = re.search(r"http\S+", self.process.stdout.readline())[0]
        self.port = re.search(r":(\d+)/", self.url)[1]

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def visited(browser, url):
    """Give the page; nothing on it may fail."""
    wrong = []
    context = browser.new_context(viewport={"width": 1280, "height": 860})
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto(url)
    shown(page, "Amount", "12")
    yield page
    context.close()
    assert not wrong


@pytest.fixture
def store(tmp_path):
    store = make_job(str(tmp_path / "a.job"))
    yield store
    store.close()


def desk(store):
    """The service of a job, for one clerk."""
    return create_app(Settings(threads=1, clerk="amara"), Desk(store))


@pytest.fixture
def page(browser, store):
    with served(desk(store)) as url, visited(browser, url) as page:
        yield page


def shown(page, label, value):
    expect(page.locator("#review-label")).to_have_text(label)
    expect(page.locator("#review-answer")).to_have_value(value)


def reviewed(page, count):
    expect(page.locator("#review-count")).to_have_text(re.compile(f"^{count} of 3 reviewed"))


def finals(store):
    return {field.name: field.final_text for field in next(store.sheets()).fields}


def test_fields_are_decided_by_keys_alone(page, store):
    expect(page.locator("#review-field")).to_have_attribute("src", re.compile("^blob:"))
    page.keyboard.press("b")  # the second of the other values
    shown(page, "b", "34")
    page.keyboard.type("56")
    page.keyboard.press("Enter")
    shown(page, "c", "yes")
    page.keyboard.press("u")
    shown(page, "b", "34")
    page.keyboard.press("Backspace")
    page.keyboard.type("9")
    page.keyboard.press("Enter")
    shown(page, "c", "yes")
    page.keyboard.press("Enter")
    expect(page.locator("#review-done")).to_contain_text("Nothing is left to review")
    reviewed(page, 3)
    assert finals(store) == {"a": "72", "b": "39", "c": "yes"}
    assert {field.clerk for field in next(store.sheets()).fields} == {"amara"}


def test_keys_that_come_before_the_answer_of_the_server_are_not_lost(page, store):
    page.keyboard.type("7")
    for key in ("Enter", "8", "Enter", "Delete"):
        page.keyboard.press(key)
    reviewed(page, 3)
    assert finals(store) == {"a": "7", "b": "8", "c": ""}


def test_tab_leaves_a_field_for_later_and_a_reload_loses_nothing(page, store):
    page.keyboard.press("Tab")
    shown(page, "b", "34")
    page.keyboard.press("Enter")
    shown(page, "c", "yes")
    page.reload()
    shown(page, "Amount", "12")
    reviewed(page, 1)
    page.keyboard.press("Tab")
    shown(page, "c", "yes")
    page.keyboard.press("Enter")
    shown(page, "Amount", "12")


def test_what_is_not_permitted_needs_enter_twice(page, store):
    page.keyboard.type("1234")
    page.keyboard.press("Enter")
    expect(page.locator("#review-trouble")).to_have_text(re.compile("1234 is not permitted here"))
    page.keyboard.press("Enter")
    shown(page, "b", "34")
    assert finals(store)["a"] == "1234"


def test_a_decision_reaches_a_server_that_was_killed_and_started_again_once(browser, store, tmp_path, environment):
    served = Served(str(tmp_path / "a.job"), environment)
    served.start()
    try:
        with visited(browser, served.url) as page:
            survive(page, served)
    finally:
        served.kill()
    assert finals(store) == {"a": "7", "b": "34", "c": None}
    assert store.progress("amara").mine == 2


def test_two_clerks_at_once_decide_every_field_once(browser, tmp_path):
    count, corners = 30, [(40, 40), (160, 40), (160, 80), (40, 80)]
    names = [f"f{n}" for n in range(count)]
    fields = tuple(
        StoredField(name, "digits", False, corners, str(1000 + n), 0.5, "read", None, (), 0.9 - n / 100)
        for n, name in enumerate(names)
    )
    store = Store(str(tmp_path / "b.job"), create=True)
    picture = cv2.imencode(".png", np.full((400, 400), 255, np.uint8))[1].tobytes()
    store.add(StoredSheet("a.png", 1, "", None, "read", 0, (), None, None, None, {}, picture, fields))
    clerks, seen = ("amara", "ben"), {"amara": [], "ben": []}
    with served(desk(store)) as url:
        pages = {}
        for clerk in clerks:
            context = browser.new_context()
            context.add_init_script(f"localStorage.setItem('digitnet-clerk', '{clerk}')")
            pages[clerk] = context.new_page()
            pages[clerk].goto(url + "#/review")
        while pages:
            for clerk, page in list(pages.items()):
                if (value := next_value(page, seen[clerk])) is None:
                    pages.pop(clerk).context.close()
                    continue
                seen[clerk].append(value)
                page.keyboard.type(value[-1])
                page.keyboard.press("Enter")
                if len(seen[clerk]) == 5:
                    page.reload()
    assert min(len(seen[clerk]) for clerk in clerks) > 5
    assert sorted(seen["amara"] + seen["ben"]) == [str(1000 + n) for n in range(count)]
    assert finals(store) == {name: str(n % 10) for n, name in enumerate(names)}
    assert [store.progress(clerk).mine for clerk in clerks] == [len(seen[clerk]) for clerk in clerks]
    store.close()


def next_value(page, seen):
    """Wait for a field that a clerk has not decided yet, and give what was read in it; None where nothing is left."""
    page.wait_for_function(
        """(seen) => {
          const { value } = document.getElementById("review-answer");
          const done = document.getElementById("review-done");
          return (value.length === 4 && !seen.includes(value)) || done.checkVisibility();
        }""",
        arg=seen,
    )
    return None if page.locator("#review-done").is_visible() else page.locator("#review-answer").input_value()


def survive(page, served):
    served.kill()
    page.keyboard.type("7")
    page.keyboard.press("Enter")
    expect(page.locator("#review-trouble")).to_contain_text("The server does not respond")
    served.start()
    shown(page, "b", "34")
    reviewed(page, 1)
    served.kill()
    page.keyboard.press("Enter")
    expect(page.locator("#review-trouble")).to_contain_text("The server does not respond")
    served.start()
    page.reload()  # the decision is still to be sent: the page kept it
    shown(page, "c", "yes")
    reviewed(page, 2)


def test_the_view_is_usable_on_a_phone_and_by_a_screen_reader(page):
    axe = pytest.importorskip("axe_core_python.sync_playwright")
    for width, scheme in ((1280, "light"), (1280, "dark"), (375, "light"), (375, "dark")):
        page.set_viewport_size({"width": width, "height": 720})
        page.emulate_media(color_scheme=scheme)
        page.evaluate("() => Promise.all(document.getAnimations().map((each) => each.finished))")  # colours that fade
        size = page.evaluate("() => [document.documentElement.scrollWidth, document.documentElement.scrollHeight]")
        assert size[0] <= width
        assert size[1] <= 720 or width < 1000
        found = axe.Axe().run(page)["violations"]
        assert [(each["id"], [node["html"] for node in each["nodes"]]) for each in found] == []
    page.locator("#review-accept").click()
    shown(page, "b", "34")


def test_without_a_job_there_is_no_review():
    assert "data-review" not in (Path(WEB) / "index.html").read_text()
