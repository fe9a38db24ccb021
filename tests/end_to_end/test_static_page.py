"""The page that `digitnet export --page` writes, opened from the disk in a real browser."""

import base64
import re

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from digitnet import classifier, frame
from digitnet.data.synthesis.strokes import hands
from digitnet.models.inspection import inside
from digitnet.serving.static_page import OPERATORS, WEB, write_page
from digitnet.training.export import export

SEVEN = ((0.35, 0.2), (0.65, 0.2), (0.5, 0.5), (0.45, 0.8))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("pages")


@pytest.fixture
def opened(open_file, folder):
    """Open the page of a model."""
    return lambda model, *screen, **colours: open_file(write_page(model, folder / model.name), *screen, **colours)


def draw(page, corners, lift=True):
    paper = page.locator("#pad").bounding_box()
    for place, (x, y) in enumerate(corners):
        page.mouse.move(paper["x"] + x * paper["width"], paper["y"] + y * paper["height"], steps=4 if place else 1)
        if place == 0:
            page.mouse.down()
    if lift:
        page.mouse.up()


def inks(count):
    """Digits as ink of many sizes, some on grey or light paper."""
    rng = np.random.default_rng(0)
    for place, image in enumerate(hands(count, seed=5).images):
        size = rng.integers(8, 70, 2) if place % 3 else np.repeat(rng.integers(8, 30), 2)
        ink = cv2.resize(image[4:24, 4:24], size.tolist(), interpolation=cv2.INTER_CUBIC)
        ink = cv2.copyMakeBorder(ink, *rng.integers(0, 20, 4).tolist(), cv2.BORDER_CONSTANT, value=0)
        if place % 7 == 0:
            ink = (ink + rng.integers(0, 20, ink.shape)).clip(0, 255).astype(np.uint8)
        yield 255 - ink if place % 5 == 0 else ink


def test_frames_and_answers_of_500_digits_equal_those_of_python(opened):
    model = classifier("digitnet", threads=1)
    page = opened(model)
    given = list(inks(500))
    told = [[base64.b64encode(ink).decode(), ink.shape[1], ink.shape[0]] for ink in given]
    answers = page.evaluate(
        """(inks) => inks.map(([text, width, height]) => {
          const framed = digitnet.frame({ data: Uint8Array.from(atob(text), (c) => c.charCodeAt(0)), width, height });
          const { probs, digitness } = digitnet.look(framed);
          return { framed: btoa(String.fromCharCode(...framed)), probs, digitness };
        })""",
        told,
    )
    frames = np.array([frame(ink) for ink in given])
    assert [base64.b64decode(answer["framed"]) for answer in answers] == [framed.tobytes() for framed in frames]
    probs, digitness = model.classify(frames)
    assert np.abs(np.array([answer["probs"] for answer in answers]) - probs).max() < 1e-4
    assert np.abs(np.array([answer["digitness"] for answer in answers]) - digitness).max() < 1e-4


class Own(nn.Module):
    """A network of one's own, with other layers than digitnet's."""

    def __init__(self):
        super().__init__()
        self.first, self.norm, self.pool = nn.Conv2d(1, 6, 5, stride=2), nn.BatchNorm2d(6), nn.MaxPool2d(2)
        self.second, self.last = nn.Conv2d(6, 6, 3, padding=1), nn.Linear(6 * 36, 10)

    def forward(self, x):
        x = self.pool(self.norm(self.first(x)).tanh())
        return self.last((x.mean((2, 3), keepdim=True) + self.second(x)).relu().view(x.shape[0], -1))


@pytest.mark.parametrize("name", ["strong", "own"])
def test_other_networks_run_in_the_page_as_well(name, opened, drawn, tmp_path):
    if name == "own":
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            export(Own().eval(), drawn[:100], {"name": "own"}, tmp_path / "own.onnx")
    model = classifier(tmp_path / "own.onnx" if name == "own" else name, threads=1)
    images = drawn.images[:5]
    answers = opened(model).evaluate(
        """(images) => images.map((image) => {
          const { probs, digitness, layers } = digitnet.look(image);
          return { probs, digitness, layers: layers.map(({ values }) => [...values]) };
        })""",
        images.reshape(len(images), -1).tolist(),
    )
    probs, digitness = model.classify(images)
    assert np.abs(np.array([answer["probs"] for answer in answers]) - probs).max() < 1e-4
    assert np.abs(np.array([answer["digitness"] for answer in answers]) - digitness).max() < 1e-4
    for answer, image in zip(answers, images, strict=True):
        for told, layer in zip(answer["layers"], model.layers(image)[:-1], strict=True):
            assert np.abs(np.reshape(told, layer.shape) - layer).max() < 1e-3


def test_a_network_with_other_operators_is_refused_in_one_line(drawn, digitnet, tmp_path):
    class Gelu(Own):
        def forward(self, x):
            return super().forward(nn.functional.gelu(x))

    export(Gelu().eval(), drawn[:100], {"name": "gelu"}, tmp_path / "gelu.onnx")
    code, _, err = digitnet("export", tmp_path / "gelu.onnx", "--page", tmp_path / "page")
    assert code == 1
    assert "cannot run its operators Erf" in err.replace("\n", " ")
    assert not list((tmp_path / "page").glob("*.html"))


def test_python_knows_the_operators_of_the_page():
    text = (WEB / "operators.js").read_text("utf-8")
    table = text[text.index("export const OPERATORS") :]
    assert set(re.findall(r"^  (\w+):", table, re.MULTILINE)) == OPERATORS


def test_a_drawing_is_answered_and_its_layers_can_be_asked(opened):
    page = opened(classifier("digitnet", threads=1))
    expect = pytest.importorskip("playwright.sync_api").expect
    expect(page.locator("#answer")).to_have_text(re.compile("[0-9]"))  # it opens with a digit
    draw(page, SEVEN)
    expect(page.locator("#answer")).to_have_text("7")
    expect(page.locator(".maps").nth(0).locator("button")).to_have_count(16)
    expect(page.locator(".maps").nth(1).locator("button")).to_have_count(32)
    page.get_by_role("button", name="Filter 2 of 32").click()
    expect(page.locator(".arithmetic")).to_contain_text("with all 16 maps below and the bias")
    expect(page.locator(".inputs .window")).to_be_visible()
    large = page.get_by_role("button", name=re.compile("^Filter 2, row"))
    large.focus()
    for key in ("ArrowDown", "ArrowRight") * 7:
        page.keyboard.press(key)
    expect(large).to_have_attribute("aria-label", re.compile("row 7 of 7, column 7 of 7"))
    page.click("#clear")
    expect(page.locator("#answer")).to_have_text("–")


def test_lifting_the_pen_has_nothing_looked_at_again(opened):
    page = opened(classifier("digitnet", threads=1))
    expect = pytest.importorskip("playwright.sync_api").expect
    draw(page, SEVEN, lift=False)
    expect(page.locator("#answer")).to_have_text("7")
    page.evaluate("() => { digitnet.look = () => { digitnet.again = true; }; }")
    page.mouse.up()
    expect(page.locator("#spoken")).to_contain_text("7, ")
    assert page.evaluate("digitnet.again") is None


def test_the_arithmetic_of_a_value_adds_up_to_it(opened):
    for name in ("digitnet", "strong"):
        image = hands(3, seed=1).images[2].ravel().tolist()
        wrong = opened(classifier(name, threads=1)).evaluate(
            """(image) => {
              const look = digitnet.look(image);
              return look.layers.flatMap(({ name, channels, height, width, values }) =>
                Array.from({ length: Math.ceil((channels * height * width) / 37) }, (_, some) => {
                  const place = 37 * some;
                  const [channel, rest] = [Math.floor(place / (height * width)), place % (height * width)];
                  const { steps, conv } = digitnet.explain(look, name, channel, Math.floor(rest / width), rest % width);
                  const dot = ({ from, by }) => from.reduce((all, value, i) => all + value * by[i], 0);
                  const sum = conv.maps.reduce((sum, map) => sum + dot(map), conv.bias);
                  const found = [sum - conv.sum, Math.max(...steps[0].from) - sum, steps.at(-1).after - values[place]];
                  return Math.max(...found.map(Math.abs));
                }));
            }""",
            image,
        )
        assert max(wrong) < 1e-4


def test_the_needed_ink_is_that_of_python(opened):
    model = classifier("digitnet", threads=1)
    image = hands(5, seed=2).images[3]
    found = opened(model).evaluate(
        "(image) => [...[...digitnet.occlusion(digitnet.look(image))].at(-1)]", image.ravel().tolist()
    )
    assert np.abs(np.reshape(found, (28, 28)) - inside(model, image).occlusion).max() < 1e-4


def test_a_link_brings_a_drawing_back(opened, browser):
    page = opened(classifier("digitnet", threads=1))
    draw(page, SEVEN)
    page.click("#share summary")
    page.get_by_role("button", name="Copy link").click()
    link = page.get_by_label("Link to this drawing").input_value()
    assert len(link.split("strokes=")[1]) < 400
    expect = pytest.importorskip("playwright.sync_api").expect
    expect(page.locator("#answer")).to_have_text("7")
    page.click("#clear")
    page.evaluate("(link) => { location.href = link; }", link)
    expect(page.locator("#answer")).to_have_text("7")
    page.evaluate("location.hash = '#/draw?strokes=AAAA'")
    expect(page.locator("#share-body")).to_contain_text("does not hold a drawing")
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save picture").click()
    assert cv2.imread(str(saved.value.path())).shape[1] >= 360


def test_digits_of_ones_own_are_kept_scored_and_saved_as_a_data_set(opened):
    page = opened(classifier("digitnet", threads=1))
    expect = pytest.importorskip("playwright.sync_api").expect
    page.click("#own summary")
    for label in ("7", "1"):
        draw(page, SEVEN)
        expect(page.locator("#answer")).to_have_text("7")
        page.get_by_label("This is a").fill(label)
        page.keyboard.press("Enter")
        page.click("#clear")
    expect(page.locator("#own-body")).to_contain_text("digitnet reads 1 of your 2 digits right (50%)")
    page.reload()
    expect(page.locator("#own-body")).to_contain_text("1 of your 2 digits right")
    page.click("#own summary")
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save .npz").click()
    with np.load(saved.value.path()) as arrays:
        assert arrays["labels"].tolist() == [7, 1]
        assert arrays["images"].shape == (2, 28, 28)
        assert classifier("digitnet", threads=1)(arrays["images"]).argmax(axis=1).tolist() == [7, 7]
    page.get_by_role("button", name="1, read as 7: remove").click()
    expect(page.locator("#own-body")).to_contain_text("1 of your 1 digits right")
    page.get_by_role("button", name="Remove all").click()
    expect(page.locator(".kept button")).to_have_count(0)


def test_five_drawings_teach_a_sign_and_digits_stay_digits(opened):
    page = opened(classifier("digitnet", threads=1))
    expect = pytest.importorskip("playwright.sync_api").expect
    page.click("#own summary")

    def hook(shift):
        page.click("#clear")
        draw(page, [(0.35 + shift, 0.25), (0.5, 0.75 - shift), (0.65 - shift, 0.25)])

    for place in range(5):
        hook(0.01 * place)
        page.get_by_label("This is a").fill("vee")
        page.keyboard.press("Enter")
    expect(page.locator("#own-body")).to_contain_text("vee: taught by 5 drawings")
    hook(0.025)
    expect(page.locator("#answer")).to_have_text("vee")
    expect(page.locator("#bars li")).to_have_count(12)
    for digit in "0123456789":
        page.get_by_role("button", name=f"Write a {digit}").click()
        expect(page.locator("#answer")).to_have_text(digit)


def test_it_fits_a_projector_and_a_telephone(opened):
    model = classifier("strong", threads=1)
    for width, height in ((1280, 720), (375, 812)):
        page = opened(model, width, height)
        draw(page, SEVEN)
        page.get_by_role("button", name="Filter 2 of 32").click()
        size = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.scrollHeight]")
        assert size[0] == width
        assert size[1] <= height or width < 1000


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_wrong_with_it(opened, axe, scheme):
    page = opened(classifier("digitnet", threads=1), scheme=scheme)
    draw(page, SEVEN)
    page.get_by_role("button", name="Filter 2 of 32").click()
    page.evaluate(axe)
    said = page.evaluate("axe.run()")["violations"]
    assert [(each["id"], [node["html"] for node in each["nodes"]]) for each in said] == []


def test_the_command_writes_a_small_page_of_a_built_in_model_or_a_file(digitnet, exported, tmp_path):
    for words in ((), ("strong",), (exported,)):
        code, out, _ = digitnet("export", *words, "--page", tmp_path / "page")
        assert code == 0
        assert "index.html" in out.replace("\n", "")
        files = [path.name for path in (tmp_path / "page").iterdir()]
        assert files == ["index.html"]
        assert (tmp_path / "page" / "index.html").stat().st_size < 3_000_000


def test_export_needs_to_know_what_to_write(digitnet):
    for words in (("run/best-1",), ("run/best-1", "--out", "a.onnx", "--page", "b")):
        code, _, err = digitnet("export", *words)
        assert code == 2
        assert "--page DIR" in " ".join(err.split())
