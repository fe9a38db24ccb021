"""What several test files make their pictures, answers and models with."""

import asyncio
import io
import json
import re
import socket
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from digitnet import Digits
from digitnet.reading.result import Number, Reading


def draw_digits(n: int, seed: int = 0) -> Digits:
    """Digits set in Pillow's own font, a little off centre: something to learn in a second without MNIST."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(n) % 10).astype(np.uint8)
    images = np.zeros((n, 28, 28), np.uint8)
    for image, label in zip(images, labels, strict=True):
        page = Image.new("L", (28, 28))
        place = tuple(float(v) for v in 14 + rng.uniform(-2, 2, 2))
        font = ImageFont.load_default(float(rng.uniform(18, 24)))
        ImageDraw.Draw(page).text(place, str(label), fill=int(rng.integers(180, 256)), font=font, anchor="mm")
        image[:] = np.asarray(page)
    return Digits(images, labels)


def few_hands():
    """Six invented hands, straight-lined signs and two words: what a scribe needs, without any data."""
    from digitnet.data.synthesis.strokes import inventions
    from digitnet.data.synthesis.texts import SIGNS
    from digitnet.training.line_sources import Sources

    def strokes(*runs):
        return tuple(np.array(run, np.float32) for run in runs)

    signs = {sign: [strokes([[0, 0], [0.3, 1]])] for sign in SIGNS + "#*"}
    signs |= {
        ".": [strokes([[0, 0]])],
        "-": [strokes([[0, 0], [1, 0]])],
        "(": [strokes([[0.3, 0], [0, 0.5], [0.3, 1]])],
    }
    letters = {
        "H": [strokes([[0, 0], [0, 1]], [[0.6, 0], [0.6, 1]], [[0, 0.5], [0.6, 0.5]])],
        "das": [strokes([[0, 0.5], [0.2, 1], [0.3, 0], [0.6, 1], [1, 0.4]])],
    }
    return Sources(((1.0, inventions(6, 3)),), signs, letters)


class Says:
    """A line reader with signs that sees the same in every strip.

    seen: for each character in a row the probabilities of what it may be, "1" or {".": 0.7, ",": 0.2}.
    """

    name, sha256 = "says", "0" * 64

    def __init__(self, *seen, alphabet="0123456789.,-+/:()%$=?"):
        self.seen, self.alphabet = seen, alphabet

    def __call__(self, strips):
        return [self.columns(one.shape[1]) for one in strips]

    def columns(self, width):
        from digitnet.core.digits import STRIP_HEIGHT
        from digitnet.models.model_file import MARGIN, STRIDE
        from digitnet.models.onnx_models import Columns, only_digits

        count = -(-(width + 2 * MARGIN) // STRIDE)
        probs = np.full((count, len(self.alphabet) + 1), 1e-9)
        probs[:, -1] = 1
        places = np.linspace(0.25 * count, 0.75 * count, len(self.seen)).astype(int)
        for place, may_be in zip(places, self.seen, strict=True):
            probs[place, -1] = 1e-9
            for character, p in ({may_be: 0.99} if isinstance(may_be, str) else may_be).items():
                probs[place, self.alphabet.index(character)] = p
        log_probs = np.log(probs / probs.sum(axis=1, keepdims=True)).astype(np.float32)
        middle = (np.arange(count) + 0.5) * STRIDE - MARGIN
        box = np.stack([middle - 6, np.full(count, 2), middle + 6, np.full(count, STRIP_HEIGHT - 2)], 1).astype(
            np.float32
        )
        presence = np.full(count, 0.99, np.float32)
        return Columns(only_digits(log_probs, self.alphabet), box, presence, log_probs, self.alphabet)


def small_template(**changes):
    """A small valid template of a form, changed."""
    fields = [
        {"name": "a", "kind": "comb", "cells": 5, "box": [30, 40, 80, 50]},
        {"name": "b", "kind": "decimal", "box": [30, 70, 80, 80], "decimal": "."},
        {"name": "c", "kind": "mark", "box": [30, 100, 35, 105]},
    ]
    return {"version": 1, "name": "small", "page": [120, 150], "fields": fields} | changes


def parsed_template(template):
    """Read a template as from its file."""
    from digitnet.forms.template import parsed

    return parsed(json.dumps(template).encode(), "t.form.json")


PAPER = 240


STROKES = (
    "50,0 18,22 10,55 28,92 52,100 80,85 92,50 80,12 50,0",
    "22,26 52,0 52,100",
    "10,26 28,3 66,2 80,24 58,58 10,100 92,98",
    "12,12 46,0 78,16 70,38 40,46 78,56 84,80 52,100 10,90",
    "70,100 70,0 2,68 98,68",
    "84,0 22,0 16,46 48,36 84,52 88,76 60,99 14,94",
    "72,0 34,26 10,66 34,99 76,88 80,62 50,50 16,72",
    "8,2 92,2 42,100",
    "76,12 44,0 18,22 50,46 84,72 54,100 14,78 48,48 78,22 70,6",
    "80,18 46,0 12,24 36,50 80,22 76,100",
)
"""The plainest digits: the corners that a pen goes to, in percent of a box; drawn without what is tested."""


def write(*rows, tall=48, pen=5, gap=0.35, room=40, ink=30):
    """Write numbers, those of a row apart by spaces, on clean paper with `room` around.

    Returns the page (h, w) uint8 and of each number in reading order the boxes of its digits' ink, (n, 4) float.
    """
    points = [np.array([p.split(",") for p in stroke.split()], float) / 100 * (0.6, 1) for stroke in STROKES]
    wide = max(sum(len(number) * (0.6 + gap) + 1.5 for number in row.split()) - 1.5 - gap for row in rows)
    page = np.full((2 * room + round(tall * (1.8 * len(rows) - 0.8)), 2 * room + round(wide * tall)), PAPER, np.uint8)
    boxes = []
    for line, row in enumerate(rows):
        x = room
        for number in row.split():
            its = []
            for digit in map(int, number):
                curve = points[digit] * tall + (x, room + 1.8 * tall * line)
                sixteenths = np.round(curve * 16).astype(np.int32)
                cv2.polylines(page, [sixteenths], False, ink, pen, cv2.LINE_AA, 4)
                its.append((*curve.min(axis=0) - pen / 2, *curve.max(axis=0) + pen / 2))
                x += (0.6 + gap) * tall
            boxes.append(np.array(its))
            x += 1.5 * tall
    return page, boxes


ROWS = ("1984 7265", "30 4162 958", "6071 2839")


def texts(reading):
    """The numbers of a reading as texts."""
    return [number.text for number in reading.numbers]


def overlap(one, other):
    """Share of what two boxes cover that both do, 0..1."""
    left, top, right, bottom = (*np.maximum(one[:2], other[:2]), *np.minimum(one[2:], other[2:]))
    both = max(0, right - left) * max(0, bottom - top)
    one, other = ((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return both / (one + other - both)


def turn(page, degrees):
    """Turn a page clockwise, on paper of its own."""
    if degrees % 90 == 0:
        return np.ascontiguousarray(np.rot90(page, -degrees // 90))
    side = int(np.hypot(*page.shape)) + 1
    way = cv2.getRotationMatrix2D((page.shape[1] / 2, page.shape[0] / 2), -degrees, 1)
    way[:, 2] += (side - page.shape[1]) / 2, (side - page.shape[0]) / 2
    return cv2.warpAffine(page, way, (side, side), flags=cv2.INTER_LINEAR, borderValue=int(page[0, 0]))


def dark(tall, seen=None):
    """A network that takes dark pixels for numbers, upright, whose digits are so many of its pixels high."""

    def network(x):
        if seen is not None:
            seen.append(x.shape[2:])
        ink = x[0, 0] < 0.5
        fine = np.full((1, 3, ink.shape[0] // 2, ink.shape[1] // 2), -9, np.float32)
        fine[0, :2, ink[::2, ::2]] = 9
        coarse = np.zeros((1, 21, ink.shape[0] // 4, ink.shape[1] // 4), np.float32)
        coarse[0, 6], coarse[0, -3], coarse[0, -1] = 9, 1, np.log2(tall) - 4
        return fine, coarse

    return network


def dotted(side, pitch, size):
    page = np.full((side, side), 255, np.uint8)
    at = np.arange(side) % pitch < size
    page[np.ix_(at, at)] = 0
    return page


def fetch_from(url, file, folder):
    """Fetch a file from a mirror: for processes of their own, which find no test file by its name."""
    from digitnet.data.download import fetch, mirror

    fetch([file], [mirror(url)], folder)


def save(path, *texts):
    """Write each text on a page of its own, all in one file."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    first, *rest = [Image.fromarray(write(text)[0]) for text in texts]
    first.save(path, **({"save_all": True, "append_images": rest} if rest else {}))
    return str(path)


class Stub:
    """Stands for a Reader: reads of every page the number that its name in `answers` says, by the page's width."""

    def __init__(self, answers):
        self.answers = answers
        self.asked = []

    def read_page(self, page, *, single=False, rules=None, printed="keep"):
        self.asked.append((page.shape[1], single, rules))
        texts = self.answers[page.shape[1]]
        numbers = [Number(text, sure, (20 * i, 0, 20 * i + 10, 10)) for i, (text, sure) in enumerate(texts)]
        return Reading(tuple(numbers), page)


httpx = pytest.importorskip("httpx")


PROBLEM = {"type", "title", "status", "detail"}


@contextmanager
def served(app):
    """Serve an application on a free port of this machine, and give the address."""
    uvicorn = pytest.importorskip("uvicorn")
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", ws="none", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
    server.should_exit = True
    thread.join()


class Asked:
    """An application with its lifespan running on a loop of its own, and a client that asks it without a network."""

    def __init__(self, app, base="http://127.0.0.1:8000"):
        self.app, self.base = app, base
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)

    def __enter__(self):
        self.thread.start()
        self.life = self.app.router.lifespan_context(self.app)
        self.wait(self.life.__aenter__())
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url=self.base)
        return self

    def __exit__(self, *_):
        self.wait(self.client.aclose())
        self.wait(self.life.__aexit__(None, None, None))
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()

    def until_ready(self):
        """Wait until the models are open."""
        while self("GET", "/health/ready").status_code != 200:
            time.sleep(0.01)
        return self

    def wait(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result()

    def __call__(self, method, path, **more):
        return self.wait(self.client.request(method, path, **more))

    def post(self, path, content=b"", **more):
        return self("POST", path, content=content, **more)

    def files(self, path, *files, **more):
        return self("POST", path, files=[("file", file) for file in files], **more)


def png(*rows):
    """Return a PNG file of written numbers."""
    file = io.BytesIO()
    Image.fromarray(write(*rows)[0]).save(file, "PNG")
    return file.getvalue()


def refused(answer, status, paths=True):
    """Check that an answer is a problem, and return its detail; paths: none may be in it."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    told = answer.json()
    assert set(told) == PROBLEM
    assert told["status"] == status
    assert "Traceback" not in answer.text
    assert not paths or not re.search(r"(/\w+){2,}", told["detail"]), "a path"
    return told["detail"]


NO_PAGES = pytest.mark.parametrize(
    ("page", "fact"),
    [
        (np.zeros((28, 28)), r"\(28, 28\) float64"),
        (np.zeros((28, 28, 3), np.uint8), r"\(28, 28, 3\) uint8"),
        (np.zeros((0, 28), np.uint8), r"\(0, 28\) uint8"),
    ],
)
