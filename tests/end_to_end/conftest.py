"""The browser of the tests of pages, and a checker of accessibility."""

import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
CHROMIUM = os.environ.get("DIGITNET_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


@pytest.fixture(scope="module")
def browser():
    """Chromium, without a window."""
    playwright = pytest.importorskip("playwright.sync_api", reason="the tests of pages need Playwright")
    if CHROMIUM is None:
        pytest.skip("no Chromium here; name one in DIGITNET_CHROMIUM")
    playwright.expect.set_options(timeout=60_000)
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def opened(browser):
    """Open a page of a service: opened(url, at, width, height, script). No page may fail or ask another host."""
    contexts, wrong = [], []

    def open_page(url, at="", width=1280, height=720, script="", **how):
        context = browser.new_context(viewport={"width": width, "height": height}, **how)
        contexts.append(context)
        context.add_init_script(script)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda said: "Content Security" in said.text and wrong.append(said.text))
        page.on("request", lambda asked: asked.url.startswith((url, "blob:", "data:")) or wrong.append(asked.url))
        page.goto(url + at)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert wrong == []


@pytest.fixture
def open_file(browser):
    """Open the page in a file, without a network; nothing may fail, and nothing but the file may be asked for."""
    contexts, wrong = [], []

    def visit(path, width=1280, height=720, scheme="light"):
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion="reduce", offline=True
        )
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda said: said.type == "error" and wrong.append(said.text))
        own = path.as_uri()
        page.on("request", lambda asked: asked.url == own or asked.url.startswith("blob:") or wrong.append(asked.url))
        page.goto(own)
        return page

    yield visit
    for context in contexts:
        context.close()
    assert wrong == []


@pytest.fixture(scope="session")
def axe(tmp_path_factory):
    """The source of axe-core, a checker of accessibility: the file in DIGITNET_AXE, or from npm's registry."""
    if named := os.environ.get("DIGITNET_AXE"):
        return Path(named).read_text(encoding="utf-8")
    folder = tmp_path_factory.mktemp("axe")
    words = ["npm", "pack", "--silent", "axe-core@4"]
    if not shutil.which("npm") or subprocess.run(words, cwd=folder, capture_output=True).returncode:
        pytest.skip("axe-core is not here: npm or its registry is missing; name axe.min.js in DIGITNET_AXE")
    with tarfile.open(next(folder.glob("*.tgz"))) as package:
        return package.extractfile("package/axe.min.js").read().decode()
