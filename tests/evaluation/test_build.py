"""A report is one page that says what was measured, shows it, and asks nobody for anything."""

import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from functools import partial
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from digitnet import DataError, Digits, ModelError, evaluate
from digitnet.core import extras
from digitnet.data import corruptions, datasets
from digitnet.evaluation.metrics import Scores
from digitnet.evaluation.misclassified import A_CELL
from digitnet.evaluation.report import build, measure, summary
from digitnet.evaluation.scoring import Evaluation, score_model
from digitnet.models import run_folder
from digitnet.models.loading import Model, open_model
from digitnet.training.config import RECIPES
from digitnet.training.run import start

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
CHROMIUM = os.environ.get("DIGITNET_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


class Page(HTMLParser):
    """A page's elements, its text and the addresses it names."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.addresses, self.words, self.open = [], [], [], []
        self.feed(text)
        self.text = re.sub(r"\s+", " ", " ".join(self.words))

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.elements.append((tag, found))
        for name, value in found.items():
            if name in ("src", "href", "xlink:href", "action", "data", "poster", "srcset"):
                self.addresses.append(value)
            self.addresses += re.findall(r"url\(['\"]?([^)'\"]+)", value or "")
        if tag == "style":
            self.open.append(tag)

    def handle_endtag(self, tag):
        if self.open and tag == self.open[-1]:
            self.open.pop()

    def handle_data(self, text):
        if self.open:
            self.addresses += re.findall(r"url\(['\"]?([^)'\"]+)", text)
            assert "@import" not in text
        else:
            self.words.append(text)

    def ids(self):
        return [found["id"] for _, found in self.elements if "id" in found]

    def every(self, tag, **wanted):
        return [found for name, found in self.elements if name == tag and wanted.items() <= found.items()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, drawn):
    """A folder with the drawn digits, and others that are drawn bolder, in files of their own."""
    place = tmp_path_factory.mktemp("digits")
    np.savez(place / "drawn.npz", images=drawn.images, labels=drawn.labels)
    np.savez(place / "half.npz", images=drawn.images[::2] // 2, labels=drawn.labels[::2])
    return place


@pytest.fixture(scope="module")
def rival(folder, taught, drawn):
    """Another model than `exported`: the same network with its last bias pulled towards 1."""
    import copy

    import torch

    from digitnet.training.export import export

    other = copy.deepcopy(taught)
    with torch.no_grad():
        other.output_layer.bias[1] += 4
    export(other, drawn, {"name": "rival", "data": "mnist"}, folder / "rival.onnx")
    return folder / "rival.onnx"


@pytest.fixture(scope="module")
def written(folder, exported, rival, tmp_path_factory):
    """The report with everything in it: its text, and the folder of its figures."""
    out = folder / "report.html"
    patch = pytest.MonkeyPatch()
    patch.setenv("DIGITNET_DATA", str(tmp_path_factory.mktemp("none")))
    sources = [str(folder / "drawn.npz"), str(folder / "half.npz")]
    build.report(exported, sources, compare=rival, out=out, figures=folder / "figures")
    patch.undo()
    return out.read_text(), folder / "figures"


@pytest.fixture(scope="module")
def scores(folder, exported):
    return score_model(open_model(exported), str(folder / "drawn.npz")).scores


def test_a_report_has_its_parts_each_with_a_heading(written):
    page = Page(written[0])
    assert len(page.every("h1")) == 1
    parts = ["summary", "compared", "confusions", "digits", "mistakes", "trust", "sturdy", "inside", "again"]
    assert [name for name in page.ids() if name in parts] == parts
    figures = ["differences", "pairs", "reliability", "rejection", "robustness", "transfer"]
    figures += ["filters", "needed", "plane", "maps"]
    assert [name for name in page.ids() if name in figures] == figures
    assert len(set(page.ids())) == len(page.ids())
    assert written[0].count("<figcaption") >= len(figures)


def test_a_report_asks_nobody_for_anything(written):
    page = Page(written[0])
    assert page.addresses
    anchors = set(page.ids())
    for address in page.addresses:
        assert address.startswith("data:image/png;base64,") or (address[0] == "#" and address[1:] in anchors), address
    assert not page.every("script")
    assert not page.every("link")
    assert page.every("meta", **{"http-equiv": "Content-Security-Policy"})[0]["content"].startswith(
        "default-src 'none'"
    )


def test_every_picture_has_words_for_who_cannot_see_it(written):
    page = Page(written[0])
    assert page.every("img")
    assert all(re.fullmatch(r"a \d read as \d, confidence .+, index [\d,]+", each["alt"]) for each in page.every("img"))
    drawings = page.every("svg")
    assert len(drawings) == 10
    assert all(each["role"] == "img" and len(each["aria-label"]) > 10 for each in drawings)
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h\d", tag)]
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_the_numbers_are_those_of_evaluate(written, scores):
    page = Page(written[0])
    low, high = scores.interval
    assert f"{100 * scores.accuracy:.2f} %" in page.text
    assert f"95% interval {100 * low:.2f}% to {100 * high:.2f}%" in page.text
    assert f"read wrong of 600 digits {scores.n - scores.correct}" in page.text
    counts = re.search(r'<table class="matrix" id="counts">.*?</table>', written[0], re.DOTALL)[0]
    cells = re.findall(r"<td[^>]*>(?:<a[^>]*>)?([\d,]+|·)(?:</a>)?</td>", counts)
    assert [0 if cell == "·" else int(cell.replace(",", "")) for cell in cells] == scores.confusion.ravel().tolist()
    table = re.search(r'id="digits">.*?</table>', written[0], re.DOTALL)[0]
    for digit, row in enumerate(re.findall(r"<tr><th scope=\"row\">\d</th>(.*?)</tr>", table, re.DOTALL)):
        n, wrong, _, *shares = re.findall(r"<td>([^<]*)</td>", row)
        assert int(n) == scores.confusion[digit].sum()
        assert int(wrong) == n_wrong(scores, digit)
        assert shares == [f"{100 * share[digit]:.2f}" for share in (scores.precision, scores.recall, scores.f1)]


def n_wrong(scores, digit):
    return ((scores.labels == digit) & (scores.predicted != digit)).sum()


def test_every_confusion_leads_to_its_pictures(written, scores, drawn):
    wrong = {(t, p) for t, p in zip(scores.labels, scores.predicted, strict=True) if t != p}
    links = re.findall(r'href="#cell-(\d)-(\d)"', written[0])
    assert {(int(t), int(p)) for t, p in links} == wrong
    for true, predicted in wrong:
        cell = re.search(rf'id="cell-{true}-{predicted}">.*?</section>', written[0], re.DOTALL)[0]
        rows = np.flatnonzero((scores.labels == true) & (scores.predicted == predicted))
        shown = re.findall(r'src="([^"]+)".*?index ([\d,]+)"', cell)
        assert len(shown) == min(A_CELL, len(rows))
        for source, index in shown:
            row = int(index.replace(",", ""))
            assert row in rows
            assert source == build.as_uri(drawn.images[row])


def test_a_digit_is_shown_pixel_for_pixel(drawn):
    import base64

    with Image.open(io.BytesIO(base64.b64decode(build.as_uri(drawn.images[3]).partition(",")[2]))) as picture:
        assert (np.asarray(picture)[..., 1] == drawn.images[3]).all()
        assert not np.asarray(picture)[..., 0].any()


def test_every_figure_comes_as_a_picture_and_as_data(written, scores):
    names = {path.stem for path in written[1].glob("*.png")}
    assert names == {path.stem for path in written[1].glob("*.csv")}
    assert {"confusion", "shares", "reliability", "rejection", "robustness", "transfer", "plane"} <= names
    tables = {}
    for name in names:
        with Image.open(written[1] / f"{name}.png") as picture:
            grey = np.asarray(picture.convert("L"))
            assert grey.std() > 5, name
            assert min(grey.shape) > 200, name
        tables[name] = list(csv.reader((written[1] / f"{name}.csv").read_text().splitlines()))
        assert len(tables[name]) > 2
        assert len({len(row) for row in tables[name]}) == 1
    counts = np.array([row[1:] for row in tables["confusion"][1:]], int)
    assert (counts == scores.confusion).all()
    assert len(tables["robustness"]) == 16
    bins = np.array([row[2:] for row in tables["reliability"][1:]], float)
    error = (bins[:, 0] * np.abs(bins[:, 1] - bins[:, 2])).sum() / scores.n
    assert error == pytest.approx(scores.calibration_error)


def test_spoilt_digits_are_scored_as_evaluate_scores_them(written, drawn, exported):
    rows = {row[0]: row for row in csv.reader((written[1] / "robustness.csv").read_text().splitlines())}
    spoilt = evaluate(open_model(exported).classifier, corruptions.corrupt(drawn, "impulse_noise"))
    assert int(rows["impulse_noise"][1]) == 600
    assert int(rows["impulse_noise"][2]) == spoilt.n - spoilt.correct


def test_a_comparison_shows_the_digits_that_differ(written, scores, rival, folder):
    other = score_model(open_model(rival), str(folder / "drawn.npz")).scores
    only_one, only_other = (int((a.right & ~b.right).sum()) for a, b in ((scores, other), (other, scores)))
    assert only_one > 0
    text = Page(written[0]).text
    assert f"taught.onnx correct, rival.onnx wrong: {only_one}" in text
    assert f"taught.onnx alone reads {only_one} digits correctly, rival.onnx alone {only_other}" in text
    from scipy.stats import binomtest

    p = binomtest(only_one, only_one + only_other).pvalue
    assert f"p = {p:.3g} is the probability" in text


def test_other_data_is_told_in_words_and_as_points(written, exported, folder):
    accuracy = score_model(open_model(exported), str(folder / "half.npz")).scores.accuracy
    assert f"On other data, it reads {100 * accuracy:.2f}" in Page(written[0]).text
    rows = list(csv.reader((written[1] / "transfer.csv").read_text().splitlines()))
    assert float(rows[2][3]) == accuracy


def done(labels, predicted, sure=0.9, name="it"):
    """An evaluation of blank digits, with these labels and answers."""
    labels = np.asarray(labels)
    probs = np.full((len(labels), 10), (1 - sure) / 9, np.float32)
    probs[np.arange(len(labels)), predicted] = sure
    digits = Digits(np.zeros((len(labels), 28, 28), np.uint8), labels)
    found = Scores(digits.labels, probs, np.arange(len(labels)))
    model = Model(name, lambda images: probs[: len(images)], {}, Path())
    return measure.Findings(Evaluation(model, "some", digits, found, Path(), [], False, None), 1.0)


@pytest.mark.parametrize(
    ("labels", "predicted", "sentences"),
    [
        ([1, 2, 3], [1, 2, 3], ["it reads 3 of 3 digits of some correctly: no errors."]),
        (
            [4] * 10 + [7] * 30,
            [9, 9, 9] + [4] * 7 + [1] + [7] * 29,
            [
                "it reads 36 of 40 digits of some correctly (90.00%): one error in 10 digits.",
                "The most frequent error is reading 4 as 9 (3 times), followed by 7 as 1 (once).",
                "The hardest digit is 4 (70.00% read correctly), the easiest 7 (96.67%).",
            ],
        ),
        ([4, 4, 7, 7, 5], [9, 9, 1, 1, 5], ["The most frequent errors are reading 4 as 9 and 7 as 1 (twice each)."]),
        ([4, 4, 4], [4, 4, 9], ["No error occurred more than once; for example, a 4 was read as a 9."]),
    ],
)
def test_a_summary_says_in_words_what_is_mistaken(labels, predicted, sentences):
    said = summary.in_words(done(labels, predicted))
    assert set(sentences) <= set(said)


@pytest.mark.parametrize(
    ("wrong", "sure", "said"),
    [
        (100, 0.9, "Its confidence is reliable: the mean confidence is 90.00%, the accuracy 90.00%."),
        (10, 0.8, "It is underconfident: the mean confidence is 80.00%, the accuracy 99.00%."),
        (300, 0.99, "It is overconfident: the mean confidence is 99.00%, the accuracy 70.00%."),
    ],
)
def test_a_summary_says_how_sure_it_is(wrong, sure, said):
    told = summary.in_words(done([1] * 1000, [7] * wrong + [1] * (1000 - wrong), sure))
    assert any(sentence.startswith(said) for sentence in told)


def test_the_threshold_in_the_summary_is_that_of_evaluate():
    one = done([1] * 8000, [7] * 5 + [1] * 7995)
    probs = one.scores.probs.copy()
    probs[:400] = (probs[:400] + 0.1) / 2
    found = replace(one.done, scores=Scores(one.scores.labels, probs, one.scores.index))
    chosen = found.scores.selection()
    assert chosen.rejected == 0.05
    told = " ".join(summary.in_words(replace(one, done=found)))
    assert (
        "If the 5.00% with the lowest confidence are reviewed manually, at most one in 1,000 of the others is wrong"
        in told
    )


@pytest.fixture(scope="module")
def run(folder):
    patch = pytest.MonkeyPatch()
    patch.chdir(folder)
    config = replace(RECIPES["quick"], data=str(folder / "drawn.npz"), epochs=2, batch_size=32, device="cpu")
    runs = []
    for seed in (0, 1):
        runs.append(start(replace(config, seed=seed)))
        list(runs[-1].train())
        scores = runs[-1].finish()
    build.report_run(runs[-1].evaluation(scores))
    patch.undo()
    return runs[-1]


def test_a_run_ends_with_its_report(run, folder):
    text = (folder / run.folder / run_folder.REPORT).read_text()
    page = Page(text)
    kept = json.loads((folder / run.folder / "scores.json").read_text())
    assert f"read wrong of 100 digits {kept['errors']}" in page.text
    assert "only the held-out digits" in page.text
    assert "curves" in page.ids()
    assert "robustness" not in page.ids()
    assert f"digitnet report {run.folder}" in page.text
    assert "mean of 2 runs" in page.text
    assert "--seed 1" in page.text
    assert len(text) < 3_000_000


def test_a_network_in_torch_shows_what_its_file_shows(taught, exported, drawn):
    from digitnet.models.networks import TorchClassifier

    one, other = TorchClassifier(taught), open_model(exported).classifier
    assert one.filters() == pytest.approx(other.filters())
    assert one.hidden(drawn.images[:9]) == pytest.approx(other.hidden(drawn.images[:9]), abs=1e-3)
    for ours, theirs in zip(one.layers(drawn.images[0]), other.layers(drawn.images[0]), strict=True):
        assert ours == pytest.approx(theirs, abs=1e-3)


def test_the_map_is_the_plane_of_most_variance(exported, folder, drawn):
    look = measure.look_inside(score_model(open_model(exported), str(folder / "drawn.npz")))
    hidden = open_model(exported).classifier.hidden(drawn.images).astype(float)
    shares = np.linalg.svd(hidden - hidden.mean(axis=0), compute_uv=False) ** 2
    assert look.explained == pytest.approx(tuple(shares[:2] / shares.sum()), rel=1e-3)
    assert np.var(look.points, axis=0, ddof=0) == pytest.approx(shares[:2] / len(hidden), rel=1e-3)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["no-such"], "no-such: no such run or file"),
        (["line"], "line reads whole numbers; score it with: digitnet evaluate --read --data FOLDER"),
        (["{model}", "--data", "bare.npz"], "bare.npz: has no labels"),
        (["{model}", "--data", "{data}", "--out", "."], ".: is a folder; name a file in it: --out report.html"),
        (["{model}", "--data", "{data}", "--out", "mine.html"], "mine.html: exists and is not a digitnet report"),
        (["{model}", "--data", "{data}", "--figures", "mine.html"], "mine.html: is a file; name a folder"),
        (["{model}", "--data", "{data}", "--compare", "no-such.onnx"], "no-such.onnx: cannot be read"),
    ],
)
def test_a_mistake_is_one_clear_line_and_leaves_everything_as_it_was(
    words, said, digitnet, tmp_path, exported, folder, drawn
):
    np.savez(tmp_path / "bare.npz", images=drawn.images)
    (tmp_path / "mine.html").write_text("<p>my own page")
    before = {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    filled = [word.format(model=exported, data=folder / "drawn.npz") for word in words]
    status, out, err = digitnet("report", *filled)
    assert status == 1
    assert said in err
    assert len(err.strip().splitlines()) == 1
    assert not out
    assert {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before


@pytest.mark.parametrize("missing", ["matplotlib", "jinja2", "sklearn"])
def test_what_is_not_installed_is_said_before_anything_is_measured(missing, digitnet, monkeypatch, exported, folder):
    monkeypatch.setitem(sys.modules, missing, None)
    monkeypatch.setattr(build, "score_model", lambda *_: pytest.fail("measured"))
    status, _, err = digitnet("report", exported, "--data", folder / "drawn.npz")
    assert status == 1
    assert extras.missing(missing) in err


def test_a_line_reader_in_a_file_is_refused_with_the_next_step():
    from digitnet.models.onnx_models import WEIGHTS

    with pytest.raises(ModelError, match="reads whole numbers; score it with: digitnet evaluate --read"):
        build.report(WEIGHTS / "line.onnx")


def test_the_command_writes_over_its_own_report_alone(digitnet, tmp_path, written, exported, folder, monkeypatch):
    monkeypatch.setattr(build, "measure", partial(measure.measure, spoil=("fog",)))  # to save time
    (tmp_path / "report.html").write_text(written[0])
    status, out, err = digitnet("report", exported, "--data", folder / "drawn.npz")
    assert status == 0, err
    assert out == "Report: report.html\n"
    assert (tmp_path / "report.html").read_text().startswith("<!doctype html>")
    assert (tmp_path / "report.html").read_text() != written[0]
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_a_model_file_is_reported_without_torch(exported, folder, environment, drawn, tmp_path):
    np.savez(tmp_path / "few.npz", images=drawn.images[:20], labels=drawn.labels[:20])
    code = f"import sys; from digitnet.evaluation.report.build import report; report({str(exported)!r}, ['few.npz'])"
    code += "; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
    assert (tmp_path / "report.html").stat().st_size > 100_000


def test_names_may_hold_anything(exported, drawn, tmp_path):
    name = "a$b$ <script> & " + "long " * 20
    np.savez(tmp_path / f"{name}.npz", images=drawn.images[:50], labels=drawn.labels[:50])
    done = score_model(open_model(exported), f"{name}.npz")
    found = measure.measure(done, others=[done], rival=replace(done, model=replace(done.model, name=name)), spoil=())
    page = Page(build.page(found, build.drawings(found), "digitnet report"))
    assert not page.every("script")
    assert f"on {name}.npz" in page.text


def test_a_report_on_other_data_leaves_that_of_the_training(tmp_path):
    run = Model("run/a", lambda images: None, {"data": "mnist"}, tmp_path)
    bare = replace(run, home=Path())
    assert build._usual_place(run, "mnist") == tmp_path / "report.html"
    assert build._usual_place(run, "my/own.csv.gz") == tmp_path / "report-own.html"
    assert build._usual_place(bare, "my/own.csv") == Path("report.html")


def test_two_models_that_share_no_digits_are_not_compared(exported, folder):
    whole = score_model(open_model(exported), str(folder / "drawn.npz"))
    one, other = (replace(whole, scores=replace(whole.scores, index=whole.scores.index + add)) for add in (0, 600))
    with pytest.raises(DataError, match=r"no digits of .* on which both can be scored"):
        measure.in_common(one, other)
    half = replace(whole, digits=whole.digits[::2], scores=whole.scores.without(range(1, 600, 2)))
    one, other = measure.in_common(whole, half)
    assert (one.scores.index == np.arange(0, 600, 2)).all()
    assert (one.digits.images == half.digits.images).all()
    assert other.scores.n == 300


def test_a_damaged_history_is_an_error_in_words(tmp_path):
    (tmp_path / "history.jsonl").write_text('{"number": 1, "loss": "low"}\n')
    with pytest.raises(ModelError, match=r"history.jsonl: damaged"):
        measure._history(tmp_path)


@pytest.mark.parametrize("case", ["one", "one kind", "all wrong", "all right"])
def test_the_least_digits_and_the_worst_answers_are_reported_all_the_same(case, exported, drawn, scores, tmp_path):
    digits = {
        "one": drawn[:1],
        "one kind": drawn[drawn.labels == 3],
        "all wrong": Digits(drawn.images[:50], (scores.predicted[:50] + 1) % 10),
        "all right": drawn[scores.right][:50],
    }[case]
    np.savez(tmp_path / "few.npz", images=digits.images, labels=digits.labels)
    found = measure.measure(score_model(open_model(exported), "few.npz"), spoil=("rotate",))
    drawn_here = build.drawings(found)
    page = Page(build.page(found, drawn_here, "digitnet report"))
    assert f"{100 * found.scores.accuracy:.2f} % of {len(digits)} digit" in page.text
    assert "nan" not in page.text.lower().split()
    assert ("nothing to show" in page.text) == (case == "all wrong")
    assert ("The model made no errors on these digits" in page.text) == bool(found.scores.right.all())


@pytest.mark.mnist
def test_the_built_in_model_is_reported_on_mnist_as_it_is_evaluated(mnist_folder):
    done = score_model(open_model("digitnet"), "mnist")
    assert build.wrong_labels(done.digits) == datasets.WRONG_TEST_LABELS
    page = Page(build.page(measure.Findings(done, 1.0, look="Not looked at."), {}, "digitnet report digitnet"))
    assert f"{100 * done.scores.accuracy:.2f} % of 10,000 digits read correctly" in page.text
    assert "without wrong labels" in page.text


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="rendering needs Playwright")
    if CHROMIUM is None:
        pytest.skip("no Chromium here; name one in DIGITNET_CHROMIUM")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.mark.parametrize(("width", "scheme"), [(375, "light"), (1200, "light"), (1200, "dark")])
def test_a_report_fits_a_phone_and_a_desk_by_day_and_night(browser, written, folder, width, scheme):
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page, asked = context.new_page(), []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: asked.append(message.text))
    page.goto((folder / "report.html").as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert all(url.startswith(("file:", "data:")) for url in asked)
    ink, back = (
        page.evaluate(f"getComputedStyle(document.body).{name}.match(/\\d+/g).reduce((a, b) => +a + +b, 0)")
        for name in ("color", "backgroundColor")
    )
    assert (ink < 200 < 600 < back) if scheme == "light" else (back < 200 < 600 < ink)
    axis = page.evaluate(
        "getComputedStyle(document.querySelector('#reliability svg use')).fill.match(/\\d+/g).map(Number)"
    )
    assert (sum(axis) < 400) == (scheme == "light")
    page.click("#counts a >> nth=0")
    target = page.evaluate("document.querySelector(':target').getBoundingClientRect().top")
    assert 0 <= target < 800
    context.close()


def test_a_report_prints_on_a4_pages_with_nothing_cut_off(browser, written, folder):
    pdfium = pytest.importorskip("pypdfium2", reason="looking at the print needs pypdfium2")
    page = browser.new_page(color_scheme="dark")
    page.goto((folder / "report.html").as_uri())
    printed = pdfium.PdfDocument(page.pdf(prefer_css_page_size=True, print_background=True))
    sizes = {tuple(round(side * 25.4 / 72) for side in sheet.get_size()) for sheet in printed}
    assert sizes == {(210, 297)}
    assert 5 <= len(printed) <= 16
    for sheet in printed:
        grey = np.asarray(sheet.render(scale=1).to_pil().convert("L"))
        assert grey.min() < 120, "an empty page"
        assert (grey[:, :20] > 250).all(), "ink in the left margin: the page is dark or runs over"
        assert (grey[:, -20:] > 250).all()
    page.close()
