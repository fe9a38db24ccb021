"""Numbers on the page that `digitnet export --page DIR --reader` writes, opened from the disk in a real browser."""

import base64
import re

import cv2
import numpy as np
import pytest

from digitnet import Reader, classifier
from digitnet.core.digits import STRIP_HEIGHT
from digitnet.data.synthesis.strokes import SHAPES
from digitnet.imaging.normalization import strip
from digitnet.reading.ctc import decode
from digitnet.serving.static_page import write_page

pytest.importorskip("playwright.sync_api")
from playwright.sync_api import expect


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_page(classifier("digitnet", threads=1), tmp_path_factory.mktemp("reader"), reader=True)


@pytest.fixture
def opened(open_file, path):
    """Open the page, to write numbers or digits."""

    def open_page(*screen, mode="Number"):
        page = open_file(path, *screen)
        page.get_by_role("button", name=mode, exact=True).click()
        return page

    return open_page


@pytest.fixture(scope="module")
def reader():
    return Reader(threads=1)


def written(digits, rng):
    """Return the strokes of a number, (points, width) each, in units of which the paper is 400 high."""
    high, pen = rng.uniform(60, 260), rng.uniform(6, 30)
    left, top, strokes = -150.0, rng.uniform(60, 120), []
    for digit in digits:
        shape = SHAPES[digit][rng.integers(len(SHAPES[digit]))]
        wide = high * rng.uniform(0.5, 0.7)
        for stroke in shape.split("/"):
            points = np.array([point.split(",") for point in stroke.split()], float) / 100 * (wide, high)
            points += rng.normal((left, top), high / 60, points.shape)
            strokes.append((points, pen))
        left += wide + pen + high * rng.uniform(0.15, 0.3)
    return strokes


def link(strokes):
    """Return strokes as the page's links hold them: widths, numbers of points and steps between them."""
    numbers = []
    for points, width in strokes:
        whole = points.round().astype(int)
        steps = np.diff(whole, axis=0, prepend=[[0, 0]])
        numbers += [round(width), len(whole), *steps.ravel().tolist()]
    content = bytearray()
    for number in numbers:
        rest = -2 * number - 1 if number < 0 else 2 * number
        while rest > 127:
            content.append(rest % 128 + 128)
            rest //= 128
        content.append(rest)
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


READ = """async (link) => {
  await new Promise((done) => {
    addEventListener("hashchange", done, { once: true });
    location.hash = `#/draw?strokes=${link}`;
  });
  const ink = digitnet.picture();
  const { strip, columns, texts } = await digitnet.read(ink);
  const text = (data) => btoa(Array.from(data, (value) => String.fromCharCode(value)).join(""));
  return { ...ink, data: text(ink.data), strip: text(strip.data), columns, texts };
}"""


def pixels(text, height, width=-1):
    return np.frombuffer(base64.b64decode(text), np.uint8).reshape(height, width)


def test_20_drawn_numbers_are_read_as_python_reads_them(opened, reader):
    page, rng = opened(mode="Digit"), np.random.default_rng(0)  # where the page itself does not read them as well
    for count in range(20):
        digits = rng.integers(0, 10, count % 6 + 1)
        found = page.evaluate(READ, link(written(digits, rng)))
        picture = 255 - pixels(found["data"], found["height"])
        ((its_strip, columns),) = reader.look(picture, single=True)
        assert np.array_equal(pixels(found["strip"], STRIP_HEIGHT), its_strip)
        assert np.abs(np.array(found["columns"]) - columns.log_probs).max() < 1e-4
        texts = [(one.text, pytest.approx(one.probability, abs=1e-5)) for one in decode(columns.log_probs)]
        assert [(one["text"], one["probability"]) for one in found["texts"]] == texts
        assert reader.read(picture, single=True).text == found["texts"][0]["text"] == "".join(map(str, digits))


def test_pictures_are_scaled_to_strips_as_in_python(opened):
    rng = np.random.default_rng(1)
    pictures = []
    for size in ((80, 120), (80, 121), (120, 240), (41, 100), (40, 77), (97, 31), (160, 400), (200, 60), (333, 1001)):
        ink = cv2.GaussianBlur(rng.integers(0, 256, size).astype(np.uint8), (5, 5), 0)
        pictures.append(ink if len(pictures) % 2 else cv2.convertScaleAbs(ink, alpha=0.3))
    pictures.append(np.full((60, 90), 7, np.uint8))
    given = [[base64.b64encode(ink).decode(), ink.shape[1], ink.shape[0]] for ink in pictures]
    strips = opened().evaluate(
        """(given) => given.map(([text, width, height]) => {
          const data = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
          return String.fromCharCode(...digitnet.strip({ data, width, height }).data);
        })""",
        given,
    )
    for made, ink in zip(strips, pictures, strict=True):
        assert np.array_equal(np.frombuffer(made.encode("latin-1"), np.uint8), strip(ink).ravel())


def test_what_is_drawn_by_hand_is_read_once_the_pen_is_lifted(opened):
    page = opened()
    paper = page.locator("#pad").bounding_box()

    def draw(*corners):
        for place, (x, y) in enumerate(corners):
            page.mouse.move(paper["x"] + x * paper["width"], paper["y"] + y * paper["height"], steps=4 if place else 1)
            if place == 0:
                page.mouse.down()
        page.mouse.up()

    draw((0.2, 0.2), (0.35, 0.2), (0.25, 0.8))
    draw((0.45, 0.2), (0.45, 0.8))
    expect(page.locator("#answer")).to_have_text("71")
    expect(page.locator("#grade")).to_contain_text(re.compile("[Ss]ure"))
    expect(page.locator("#strip")).to_be_visible()
    expect(page.locator("#spoken")).to_have_text(re.compile("^71, "))
    page.click("#undo")
    expect(page.locator("#answer")).to_have_text("7")
    page.click("#clear")
    expect(page.locator("#answer")).to_have_text("–")
    expect(page.locator("#strip")).to_be_hidden()
    page.get_by_role("button", name="Digit", exact=True).click()
    page.get_by_role("button", name="Write a 4").click()
    expect(page.locator("#answer")).to_have_text("4")
    expect(page.locator("#bars")).to_be_visible()


@pytest.mark.parametrize(("width", "height", "scheme"), [(1280, 720, "light"), (375, 812, "dark")])
def test_it_fits_the_screen_and_axe_finds_nothing_wrong(opened, axe, width, height, scheme):
    page = opened(width, height, scheme)
    page.evaluate(READ, link(written([4, 7, 1, 1, 5], np.random.default_rng(2))))
    expect(page.locator("#answer")).not_to_have_text("–")
    size = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.scrollHeight]")
    assert size[0] == width
    assert size[1] <= height or width < 1000
    page.evaluate(axe)
    said = page.evaluate("axe.run()")["violations"]
    assert [(each["id"], [node["html"] for node in each["nodes"]]) for each in said] == []


def test_the_command_writes_the_reader_with_the_network(digitnet, tmp_path):
    code, _, _ = digitnet("export", "strong", "--page", tmp_path, "--reader")
    assert code == 0
    assert 6_000_000 < (tmp_path / "index.html").stat().st_size < 15_000_000
    code, _, err = digitnet("export", "strong", "--out", tmp_path / "a.onnx", "--reader")
    assert code == 2
    assert "--reader needs --page DIR" in " ".join(err.split())
