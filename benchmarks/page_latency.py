"""How long a page takes from the last point of a stroke to the answer: that of `digitnet serve`, and an exported one.

python benchmarks/page_latency.py >> benchmarks/RESULTS.md

It needs the extras serve and dev, and a Chromium: on the PATH, or named in DIGITNET_CHROMIUM. The service runs beside
the browser, as it does for a learner with one machine. Before every stroke the same is measured of nothing, while the
page rests: an empty request, and a change that is shown. On a busy machine, only the ratio of the two can be compared.
"""

from __future__ import annotations

import os
import shutil
import statistics
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import Browser, Page, expect, sync_playwright
from rows import note, row
from serve_load import OURS, serving

from digitnet import classifier
from digitnet.serving.static_page import write_page

STROKES = 50
FLOOR = 35.0
"""Milliseconds that the median may take on a quiet core: below a tenth of a second an answer seems to come at once."""

EXPORTED = 30.0
"""The same for an exported page, which does not wait for a server."""

PACE = 8
"""Milliseconds between two points: mice and pens report some 125 times a second."""

STEPS = 3
"""Points from one corner of `DIGITS` to the next."""

DIGITS = (
    (
        *((42, 24), (44, 19), (47, 16), (51, 15), (55, 16), (58, 19), (59, 24), (58, 31), (55, 38), (51, 43), (47, 45)),
        *((52, 46), (57, 50), (61, 56), (62, 64), (61, 72), (57, 79), (52, 83), (47, 83), (43, 80), (41, 75)),
    ),
    ((44, 19), (51, 18), (60, 17), (58, 27), (55, 45), (52, 66), (51, 83)),
    (
        *((42, 30), (43, 23), (47, 17), (51, 16), (56, 18), (58, 24), (58, 32), (56, 42), (52, 54), (47, 67), (42, 79)),
        *((48, 77), (55, 79), (63, 82)),
    ),
)
"""A three, a seven and a two, as the corners that a hand goes to, in percent of the paper."""


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start the browser."""
    path = os.environ.get("DIGITNET_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


def draw(page: Page, corners: Sequence[tuple[float, float]], right: float = 0) -> None:
    """Draw a line through corners with the mouse at a hand's pace, moved to the right by some percent of the paper."""
    page.locator("#pad").scroll_into_view_if_needed()
    paper = page.locator("#pad").bounding_box()
    assert paper is not None
    (x, y), *rest = [
        (paper["x"] + (x + right) / 100 * paper["width"], paper["y"] + y / 100 * paper["height"]) for x, y in corners
    ]
    page.mouse.move(x, y)
    page.mouse.down()
    for end_x, end_y in rest:
        for step in range(1, STEPS + 1):
            page.mouse.move(x + (end_x - x) * step / STEPS, y + (end_y - y) * step / STEPS)
            page.wait_for_timeout(PACE)
        x, y = end_x, end_y
    page.mouse.up()


NOTHING = """async (asked) => {
    const began = performance.now();
    if (asked) await (await fetch("health/live")).text();
    document.documentElement.dataset.nothing = began;
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
    return performance.now() - began;
}"""
"""What every answer takes without any work: a request if there is a server, and a frame that shows a change."""


def latencies(page: Page, strokes: int, asked: bool) -> tuple[list[float], list[float]]:
    """Return for each of some strokes the milliseconds from its last point to the answer, as the page measures them.

    The second list has those of `NOTHING`, measured before each, on empty paper: after an answer, the page looks for
    the ink that it needs. asked: whether the page asks a server.
    """
    found, nothing = [], []
    for place in range(strokes):
        page.click("#clear", force=True)
        page.wait_for_timeout(300)
        nothing.append(float(page.evaluate(NOTHING, asked)))
        page.evaluate("delete document.documentElement.dataset.latency")
        draw(page, DIGITS[place % len(DIGITS)])
        page.wait_for_timeout(400)
        found.append(float(page.locator("html").get_attribute("data-latency") or "inf"))
        answer = page.locator("#answer").inner_text()
        note(f"stroke {place + 1}: {answer} after {found[-1]:.0f} ms, nothing after {nothing[-1]:.0f} ms")
    return found, nothing


def measure(browser: Browser, url: str, what: str, floor: float) -> bool:
    """Print the row of a page; return whether it is fast enough."""
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.goto(url)
    draw(page, DIGITS[0])
    expect(page.locator("#answer")).to_have_text("3")  # the first answer warms; it is not counted
    page.locator(".maps").first.wait_for()  # the network is open
    found, nothing = latencies(page, STROKES, asked=url.startswith("http"))
    median, slow = statistics.median(found), statistics.quantiles(found, n=20)[-1]
    empty = statistics.median(nothing)
    measured = f"{median:.0f} ms median, 95% within {slow:.0f} ms; {median / empty:.1f} times nothing ({empty:.0f} ms)"
    what = f"{what}: from a stroke's last point to the answer on the screen, in Chromium"
    return row(what, f"<= {floor:.0f} ms", measured, STROKES, median <= floor)


def main() -> bool:
    with serving(*OURS) as (_, port), chromium() as browser:
        quick = measure(browser, f"http://127.0.0.1:{port}/", "the page", FLOOR)
    with TemporaryDirectory() as folder, chromium() as browser:
        exported = write_page(classifier("digitnet"), Path(folder)).as_uri()
        return measure(browser, exported, "the exported page of `digitnet`", EXPORTED) and quick


if __name__ == "__main__":
    sys.exit(not main())
