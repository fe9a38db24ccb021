"""Clerks' work at `digitnet review`: keystrokes, decisions while the server is killed, and time in a large job.

python benchmarks/review.py >> benchmarks/RESULTS.md

The clerk is a script in Chromium that knows what was written: it accepts what is right, takes the right one of the
other values by its letter, and types the rest. Fails below the floors.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from playwright.sync_api import Page, expect, sync_playwright
from rows import note, row

from digitnet.data.synthesis.strokes import inventions
from digitnet.forms.composing import SheetComposer
from digitnet.forms.examples import example, path_of
from digitnet.forms.sheets import FormReader
from digitnet.forms.truth import expected
from digitnet.reading.batch import Done
from digitnet.reading.reader import Reader
from digitnet.review.desk import Desk
from digitnet.review.jobs import read_page, stored
from digitnet.review.records import Policy, StoredField, StoredSheet
from digitnet.review.store import Store
from digitnet.serving.app import create_app
from digitnet.serving.process import serve_app
from digitnet.serving.service import Settings

FORM, SHEETS, DOUBTFUL = "meters", 13, 15
"""The form whose sheets the clerk reviews, how many, and how many of their fields are doubtful."""

CLERKS = "amara", "ben"

KEYS, KILLS, LARGE = 1.3, 50, 10_000
"""Keystrokes of a doubtful field at most; kills of the server; fields of the large job."""

OPENING, NEXT = 1.0, 0.1
"""Seconds of processor time for opening the large job and for its next field, at most."""

CHROMIUM = os.environ.get("DIGITNET_CHROMIUM") or shutil.which("chromium") or "chromium"

expect.set_options(timeout=120_000)


class Served:
    """The service in a child process that can be killed, always on the same port."""

    def __init__(self, place: str) -> None:
        """Serve a job."""
        self.place, self.listening = place, socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listening.getsockname()[1]}/#/review"
        self.start()

    def start(self) -> None:
        """Start a process; the socket stays open, so that a page waits for an answer meanwhile."""
        self.process = os.fork()
        if self.process == 0:
            app = create_app(Settings(threads=1, clerk="script"), Desk(Store(self.place)))
            serve_app(app, self.listening, lambda _: None)
            os._exit(0)

    def kill(self) -> None:
        """Kill it as a power cut would."""
        os.kill(self.process, signal.SIGKILL)
        os.waitpid(self.process, 0)


@contextmanager
def pages_of(url: str, *clerks: str) -> Iterator[list[Page]]:
    """Give the Review view of some clerks, each in a browser of their own."""
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        pages = []
        for clerk in clerks:
            page = browser.new_context(viewport={"width": 1280, "height": 860}).new_page()
            page.add_init_script(f"localStorage.setItem('digitnet-clerk', '{clerk}')")
            page.set_default_timeout(120_000)
            page.goto(url)
            pages.append(page)
        yield pages
        browser.close()


def keystrokes(folder: Path) -> bool:
    """Let a script review sheets that were read, and count its keys."""
    template = example(FORM)
    composer = SheetComposer(template, [(1.0, inventions(20, 5))], 3)
    forms, place = FormReader(Reader(threads=1), [path_of(FORM)]), str(folder / "keys.job")
    store, truth = Store(place, create=True), {}
    store.add_forms([template])
    for number in range(SHEETS):
        sheet = composer.sheet("scanned")
        file = f"{number}.png"
        filed = read_page(partial(forms.read_page, alternatives=True), sheet.image, keep=True)
        store.add(stored(Done(file, 1, filed), {FORM: template}, forms.reader.hashes()))
        for field in template.fields:
            truth[file, field.name] = expected(field, sheet.contents[field.name])
    every = [(sheet, field) for sheet in store.sheets() for field in sheet.fields]
    doubts = sorted((field.doubt for _, field in every), reverse=True)
    store.set_policy(Policy(1 - (doubts[DOUBTFUL - 1] + doubts[DOUBTFUL]) / 2, 0.0))
    wrong = sum(truth[sheet.file, field.name] != _value(field.text, field.status) for sheet, field in every)
    note(f"{len(every)} fields, {wrong} read wrong, {store.progress('').open} to review")
    desk, served, count = Desk(store), Served(place), 0
    with pages_of(served.url, "script") as (page,):
        for decided in range(DOUBTFUL):
            expect(page.locator("#review-count")).to_contain_text(f"{decided} of {DOUBTFUL} reviewed")
            task = store.next("script", 1)[0]
            expect(page.locator("#review-answer")).to_have_value(desk.plain(task)["text"])
            keys = _keys(task.text, task.status, list(task.alternatives), truth[task.file, task.name])
            for key in keys:
                page.keyboard.press(key)
            count += len(keys)
        expect(page.locator("#review-done")).to_be_visible()
    served.kill()
    final = {
        (sheet.file, field.name): (field.final_text or "", field.final_status)
        for sheet, field in ((sheet, field) for sheet in store.sheets() for field in sheet.fields)
        if field.final_status
    }
    right = sum(_value(*its) == truth[place] for place, its in final.items())
    store.close()
    measured = f"{count / DOUBTFUL:.2f}; {right} of {DOUBTFUL} right then; {len(every)} fields"
    return row("review: keystrokes of a doubtful field", f"<= {KEYS}", measured, DOUBTFUL, count <= KEYS * DOUBTFUL)


def _value(text: str, status: str) -> str:
    return text if status == "read" else f"({status})"


def _keys(text: str, status: str, others: list[str], truth: str) -> list[str]:
    """Return the keys that a clerk presses who knows the truth."""
    if _value(text, status) == truth:
        return ["Enter"]
    if truth in others:
        return ["abcdf"[others.index(truth)]]
    return ["e"] if truth == "(empty)" else [*truth, "Enter"]


def kills(folder: Path) -> bool:
    """Kill the server at random moments while two clerks press keys; every field must be decided once, as typed."""
    place, rng = str(folder / "kills.job"), np.random.default_rng(1)
    count = 4 * KILLS
    store = _job(place, 1, count)
    served, killed = Served(place), 0
    with pages_of(served.url, *CLERKS) as pages:
        decided: list[set[str]] = [set() for _ in pages]
        working = list(zip(pages, decided, strict=True))
        while working:
            for page, seen in list(working):
                if (value := _next_value(page, seen)) is None:
                    working.remove((page, seen))
                    continue
                seen.add(value)
                page.keyboard.type(value[-1])
                page.keyboard.press("Enter", delay=0)
            if killed < KILLS:
                time.sleep(float(rng.uniform(0, 0.2)))
                served.kill()
                served.start()
                killed += 1
                if killed % 5 == 0:
                    pages[killed // 5 % len(pages)].reload()
        served.kill()  # it holds the browser's pipes, which were open when it was forked
    (sheet,) = store.sheets()
    lost = sum(field.final_text != str(number % 10) for number, field in enumerate(sheet.fields))
    doubled = sum(store.progress(clerk).mine for clerk in CLERKS) - count + len(decided[0] & decided[1])
    store.close()
    name = f"review: lost or doubled in {killed} kills, two clerks at once"
    return row(name, "0", f"{lost} + {doubled}; {count} fields", killed, lost == doubled == 0 and killed == KILLS)


def _next_value(page: Page, seen: set[str]) -> str | None:
    """Wait for a field that a clerk has not decided, and return what was read in it; None where nothing is left."""
    page.wait_for_function(
        """(seen) => {
          const { value } = document.getElementById("review-answer");
          const done = document.getElementById("review-done");
          return (value.length === 4 && !seen.includes(value)) || done.checkVisibility();
        }""",
        arg=list(seen),
    )
    return None if page.locator("#review-done").is_visible() else page.locator("#review-answer").input_value()


def _job(place: str, sheets: int, fields: int) -> Store:
    """Make a job of doubtful fields with the picture of a blank page, handed out in their order."""
    picture = cv2.imencode(".png", np.full((1200, 900), 255, np.uint8))[1].tobytes()
    corners = [(50.0, 50.0), (250.0, 50.0), (250.0, 100.0), (50.0, 100.0)]
    store = Store(place, create=True)
    for page in range(sheets):
        its = tuple(
            StoredField(f"f{n}", "digits", False, corners, str(1000 + n), 0.5, "read", doubt=0.9 - n / (10 * fields))
            for n in range(fields)
        )
        store.add(StoredSheet(f"{page}.png", 1, "", None, "read", 0, (), None, None, None, {}, picture, its))
    return store


def large(folder: Path) -> bool:
    """Open a large job, and decide fields of it one after the other."""
    place = str(folder / "large.job")
    _job(place, LARGE // 50, 50).close()
    began = time.process_time()
    desk = Desk(Store(place))
    desk.overview("script")
    (task,) = desk.tasks("script", 1)
    desk.pictures.page(task["field"]), desk.pictures.field(task["field"])
    opening, slowest = time.process_time() - began, 0.0
    for number in range(20):
        began = time.process_time()
        desk.decide("script", task["field"], "7", "read", key=f"key-{number}", seconds=1.0, insists=False)
        desk.overview("script")
        (task,) = desk.tasks("script", 1)
        desk.overview("script")
        desk.pictures.page(task["field"]), desk.pictures.field(task["field"])
        slowest = max(slowest, time.process_time() - began)
    desk.store.close()
    opened = row(
        f"review: processor time, opening {LARGE:,} fields",
        f"<= {OPENING:g} s",
        f"{opening:.2f} s",
        1,
        opening <= OPENING,
    )
    went = row(
        f"review: processor time, next of {LARGE:,} fields, slowest",
        f"<= {1000 * NEXT:g} ms",
        f"{1000 * slowest:.0f} ms",
        20,
        slowest <= NEXT,
    )
    return opened and went


def main() -> None:
    """Run what is named, by default all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    every = {"keystrokes": keystrokes, "kills": kills, "large": large}
    parser.add_argument("what", nargs="*", choices=[*every, []], default=[])
    names = parser.parse_args().what or list(every)
    with tempfile.TemporaryDirectory() as folder:
        met = [every[name](Path(folder)) for name in names]
    sys.exit(not all(met))


if __name__ == "__main__":
    main()
