"""What the reader does on cheques, canvases, full pages and pictures of nothing, and how fast, beside its peers.

python benchmarks/reading.py --rapidocr ~/peer/bin/python >> benchmarks/RESULTS.md

Peers, where they are installed: PyPI's rapidocr (recognition alone, as it comes and with only digits and separators
allowed) and easyocr, in the Python that --rapidocr names, and Debian's tesseract-ocr; one thread each, in the same run.
Cheque amounts, pen strokes, whole numbers, letters and clothes are those in ../shared/data, or where DIGITNET_DEV_DATA
says; without them their rows are left out.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from foreign import FOLDER
from rows import note, row
from scenes import KINDS, Gray, canvas, digit, noisy, placed, without_digits

from digitnet.core.errors import ModelError
from digitnet.data.synthesis.pens import Pen, draw, grained
from digitnet.data.synthesis.texts import ALPHABET, OTHER
from digitnet.evaluation.line_metrics import LineScores
from digitnet.imaging import pages
from digitnet.models.onnx_models import LINE
from digitnet.reading.batch import read_all
from digitnet.reading.constraints import Rules
from digitnet.reading.reader import Reader
from digitnet.reading.result import Reading

Engine = Callable[[list[str]], tuple[float, list[str]]]  # reads files: the seconds it took, and a text for each

SLICE, ROUNDS, PICTURES = 30, 2, 200
"""Cheques that an engine reads before it is another's turn, how often all are read; pictures of a kind of nothing."""

SERVER = """
import json, logging, sys, time
logging.disable(logging.CRITICAL)
{engine}
print(flush=True)
for line in sys.stdin:
    began = time.perf_counter()
    found = [read(path) for path in json.loads(line)]
    print(json.dumps([time.perf_counter() - began, found]), flush=True)
"""
"""A peer in a process that times itself: neither its start nor the pipe counts."""

RAPIDOCR = """
from rapidocr import RapidOCR
one = {"EngineConfig.onnxruntime.intra_op_num_threads": 1, "EngineConfig.onnxruntime.inter_op_num_threads": 1}
engine = RapidOCR(params={**one, "Global.text_score": 0.0})
def read(path):
    return "".join(engine(path, use_det=False, use_cls=False, use_rec=True).txts or [])
"""
"""Recognition alone, however unsure."""

RESTRICTED = """
import numpy
read(numpy.full((48, 96, 3), 255, numpy.uint8))  # the recogniser is made when it is first needed
decode = engine.text_rec.postprocess_op
allowed = numpy.array([c == "blank" or len(c) == 1 and c in "0123456789 .,-+/:()%=$" for c in decode.character])
def restricted(preds, *more, decode=decode.__class__.__call__, self=decode, **options):
    return decode(self, numpy.where(allowed, preds, 0), *more, **options)
engine.text_rec.postprocess_op = restricted
"""
"""The same, where only digits and separators are allowed: other characters' probabilities are set to 0."""

EASYOCR = """
import cv2, easyocr, torch
torch.set_num_threads(1)
engine = easyocr.Reader(["en"], gpu=False, verbose=False)
def read(path):
    picture = cv2.imread(path, cv2.IMREAD_GRAYSCALE)
    height, width = picture.shape
    found = engine.recognize(picture, [[0, width, 0, height]], [], detail=0, allowlist="0123456789.,-+/:()%=$ ")
    return "".join(found)
"""


class Tally:
    """What was written and what was read; pictures that were read wrong are kept in a folder, if one is given."""

    def __init__(self, what: str, folder: Path | None = None) -> None:
        self.what, self.folder = what, folder and folder / what.replace(",", "").replace(" ", "-")
        self.answers: list[tuple[str, str, float]] = []

    def add(self, page: Gray, true: str, reading: Reading, as_written: bool = False) -> None:
        text = " ".join(number.written for number in reading.numbers) if as_written else reading.text
        self.answers.append((true, text, reading.confidence if text else 0.0))
        if true != text and self.folder:
            self.folder.mkdir(parents=True, exist_ok=True)
            name = f"{len(self.answers):04d}-{true}-read-{'-'.join(text.split())[:80]}.png".replace("/", "_")
            cv2.imwrite(str(self.folder / name), page)

    @property
    def scores(self) -> LineScores:
        true, read, sure = zip(*self.answers, strict=True)
        return LineScores(true, read, np.array(sure, np.float32))

    def row(self, least: float = 0) -> bool:
        right, (low, high) = self.scores.accuracy, self.scores.interval
        measured = f"{right:.2%}, 95% interval {low:.2%} to {high:.2%}"
        target = f">= {100 * least:.0f}%" if least else "report"
        return row(f"{self.what}, exact", target, measured, len(self.answers), right >= least)


def main() -> bool:
    parts = {
        "cheques": cheques,
        "second": second,
        "speed": speed,
        "strokes": strokes,
        "numbers": numbers,
        "a4": a4,
        "anywhere": anywhere,
        "nothing": nothing,
    }
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--line", default=LINE, help="the built-in line reader, or an .onnx file")
    parser.add_argument("--rapidocr", default=sys.executable, metavar="PYTHON", help="a Python that has RapidOCR")
    parser.add_argument("--only", nargs="+", choices=parts, default=list(parts), metavar="PART", help=", ".join(parts))
    parser.add_argument("--wrong", type=Path, metavar="DIR", help="keep pictures that were read wrong there")
    asked = parser.parse_args()
    if not FOLDER.is_dir():
        note(f"{FOLDER} is not there: no rows for cheque amounts, pen strokes, letters and clothes")
        asked.only = [name for name in asked.only if name not in ("cheques", "second", "speed", "strokes", "numbers")]
    reader, met = Reader(line=asked.line), True
    for name in asked.only:
        note(f"{name} ...")
        met &= parts[name](reader, asked)
    return met


def amounts() -> tuple[list[str], list[str]]:
    """Return the paths of the cheque amounts, and what they say."""
    with (FOLDER / "strings-dev" / "truth.csv").open(encoding="utf-8") as lines:
        pairs = [(str(FOLDER / "strings-dev" / line["file"]), line["digits"]) for line in csv.DictReader(lines)]
    return [path for path, _ in pairs], [true for _, true in pairs]


def cheques(reader: Reader, asked: argparse.Namespace) -> bool:
    """Read cheque amounts: each alone, found on its picture, and of known length."""
    names = "cheque amounts", "cheque amounts found on their pictures", "cheque amounts of known length"
    single, found, known = (Tally(name, asked.wrong) for name in names)
    for path, true in zip(*amounts(), strict=True):
        page = pages.page(path)
        single.add(page, true, reader.read_page(page, single=True))
        found.add(page, true, reader.read_page(page))
        known.add(page, true, reader.read_page(page, single=True, rules=Rules(lengths=(len(true), len(true)))))
    found.row()
    met = single.row(0.70) & known.row(0.78)
    scores = single.scores
    share = _alone(scores, 0.01)
    best, certain = scores.rejecting(1 - share), scores.selection(0.01)
    proven = f"{1 - certain.rejected:.1%} above {certain.threshold:.4f}" if certain else "no share"
    measured = f"{share:.1%}, {best.errors} wrong, above {best.threshold:.4f}; with 95% certainty {proven}"
    met &= row("cheque amounts read alone at an error <= 1%", ">= 35%", measured, scores.n, share >= 0.35)
    errors = (
        f"{scores.calibration_error:.2%}; of known length {known.scores.calibration_error:.2%}; {_by_chance(scores)}"
    )
    return met & row("cheque amounts, expected calibration error (15 bins)", "report", errors, scores.n, True)


def _alone(scores: LineScores, error: float) -> float:
    """Return the largest share that keeps an error, seen on these very pictures."""
    order = np.argsort(-scores.confidence, kind="stable")
    good = np.cumsum(~scores.right[order]) <= error * np.arange(1, scores.n + 1)
    good &= np.append(np.diff(scores.confidence[order]) != 0, True)  # no threshold separates equal confidences
    return float((np.flatnonzero(good).max(initial=-1) + 1) / scores.n)


def second(reader: Reader, asked: argparse.Namespace) -> bool:
    """Read cheque amounts with a second opinion, in this Python."""
    try:
        both = Reader(line=asked.line, threads=1, second_opinion=True)
    except ModelError as error:
        note(str(error))
        return True
    one, seconds = Reader(line=asked.line, threads=1), []
    single, found = (Tally(f"cheque amounts, second opinion{name}", asked.wrong) for name in ("", ", found"))
    for path, true in zip(*amounts(), strict=True):
        page, times = pages.page(path), []
        for its in (one, both):
            began = time.perf_counter()
            reading = its.read_page(page, single=True)
            times.append(time.perf_counter() - began)
        seconds.append(times)
        single.add(page, true, reading)
        found.add(page, true, both.read_page(page))
    found.row()
    met, scores = single.row(0.885), single.scores
    shares = f"{_alone(scores, 0.01):.1%}; {_alone(scores, 0.02):.1%}; calibration error {scores.calibration_error:.2%}"
    row("cheque amounts, second opinion, read alone at an error <= 1%; <= 2%", ">= 30%; >= 45%", shares, scores.n, True)
    alone, together = 1000 * np.median(seconds, axis=0)
    measured = f"{together:.1f} ms; alone {alone:.1f} ms"
    return row("a cheque amount, second opinion, one thread, median", "report", measured, scores.n, True) & met


def _by_chance(scores: LineScores) -> str:
    """Describe the calibration error that a perfect calibration would show on so few answers."""
    rng = np.random.default_rng(0)
    errors = []
    for _ in range(1000):
        right = rng.random(scores.n) < scores.confidence
        read = tuple(true if good else "" for true, good in zip(scores.true, right, strict=True))
        errors.append(replace(scores, read=read).calibration_error)
    low, middle, high = np.quantile(errors, [0.05, 0.5, 0.95])
    return f"perfect calibration would show {middle:.1%}, nine times of ten {low:.1%} to {high:.1%}"


def speed(reader: Reader, asked: argparse.Namespace) -> bool:
    """Time all engines on the same files, by path, in turns, so that what else the machine does hits all alike."""

    one = Reader(line=asked.line, threads=1)

    def ours(files: list[str]) -> tuple[float, list[str]]:
        began = time.perf_counter()
        texts = [each.reading.text if each.reading else "" for each in read_all(one, files, single=True, jobs=1)]
        return time.perf_counter() - began, texts

    engines = {
        "ours": (ours, 0),
        "RapidOCR, recognition alone": (peer(asked.rapidocr, RAPIDOCR), 6),
        "RapidOCR, digits and separators alone": (peer(asked.rapidocr, RAPIDOCR + RESTRICTED), 6),
        "EasyOCR, recognition alone": (peer(asked.rapidocr, EASYOCR), 6),
        "Tesseract, a process a picture": (tesseract(1), 1),
        "Tesseract, a process a list of pictures": (tesseract(SLICE), 1),
    }
    paths, truth = amounts()
    turns: dict[str, list[float]] = defaultdict(list)
    right: dict[str, list[bool]] = defaultdict(list)
    for turn, start in enumerate([0, *list(range(0, len(paths), SLICE)) * ROUNDS]):
        slice_ = slice(start, start + SLICE)
        for name, (engine, _) in engines.items():
            if engine:
                seconds, texts = engine(paths[slice_])
                read = ["".join(filter(str.isdecimal, text)) for text in texts]
                turns[name] += [1000 * seconds / len(read)] if turn else []  # the first one warms up
                right[name] += [one == other for one, other in zip(read, truth[slice_], strict=True)] if turn else []
    met, mine = True, statistics.median(turns.pop("ours"))
    for name, (_, least) in list(engines.items())[1:]:
        what, times, measured = f"cheque amounts by path, times as fast as {name}", np.inf, "not installed"
        if its := turns[name]:
            times = statistics.median(its) / mine
            exact = f"{statistics.median(its):.2f} ms and {np.mean(right[name]):.1%} exact"
            measured = f"{times:.1f} (ours {mine:.2f} ms a picture, it {exact})"
        met &= row(what, f"> {least}", measured, len(its), times > least)
    return met


def peer(python: str, engine: str) -> Engine | None:
    words = [python, "-c", SERVER.format(engine=engine)]
    single = {**os.environ, "OMP_NUM_THREADS": "1"}
    server = subprocess.Popen(words, stdin=-1, stdout=-1, stderr=subprocess.DEVNULL, text=True, env=single)
    to, back = server.stdin, server.stdout
    if to is None or back is None or not back.readline():
        return None

    def read(files: list[str]) -> tuple[float, list[str]]:
        print(json.dumps(files), file=to, flush=True)
        seconds, texts = json.loads(back.readline())
        return seconds, texts

    return read


def tesseract(together: int) -> Engine | None:
    words = ["tesseract", "-", "-", "--psm", "7", "-c", "tessedit_char_whitelist=0123456789"]
    single = {**os.environ, "OMP_THREAD_LIMIT": "1"}

    def read(files: list[str]) -> tuple[float, list[str]]:
        began, texts = time.perf_counter(), []
        for start in range(0, len(files), together):
            paths = "\n".join(files[start : start + together])
            done = subprocess.run(words, input=paths, capture_output=True, text=True, check=True, env=single)
            texts += done.stdout.split("\f")
        return time.perf_counter() - began, texts

    return read if shutil.which("tesseract") else None


def a4(reader: Reader, asked: argparse.Namespace) -> bool:
    """Read A4 pages at 300 dpi, each of 200 MNIST test digits in 45 numbers: three columns of cells, 800x230 pixels."""
    rng, seconds, right = np.random.default_rng(5), [], []
    for _ in range(11):
        ink, true = np.zeros((3508, 2480), np.float32), [""] * 45
        for cell, length in enumerate(rng.permutation([3, 4, 5, 6] * 10 + [4] * 5)):
            x, foot = (int(rng.integers(20, 100)) + at for at in (cell % 3 * 800, cell // 3 * 230 + 100))
            for i in rng.integers(10_000, size=length):
                glyph, text = digit(int(i), int(rng.integers(60, 91)))
                ink[foot - len(glyph) : foot, x : x + glyph.shape[1]] = glyph
                x += glyph.shape[1] + int(rng.integers(4, 18))
                true[cell] += text
        page = noisy(245 - 200 * ink, rng, 3)
        began = time.perf_counter()
        found = reader.read_page(page).numbers
        seconds.append(time.perf_counter() - began)
        read = [(number.box[1] // 230 * 3 + number.box[0] // 800, number.text) for number in found]
        right += [[text for at, text in read if at == cell] == [true[cell]] for cell in range(45)]
    row("numbers on A4 pages with 200 digits, exact", "report", f"{np.mean(right):.2%}", len(right), True)
    median = statistics.median(seconds[1:])  # the first page warms up
    measured = f"{median:.2f} s, slowest {max(seconds[1:]):.2f} s"
    return row("an A4 page at 300 dpi with 200 digits, median", "<= 0.5 s", measured, len(seconds) - 1, median <= 0.5)


def strokes(reader: Reader, asked: argparse.Namespace) -> bool:
    """Read digits from a tablet, drawn on a canvas: each alone, and three to six of one writer as a number."""
    with gzip.open(FOLDER / "pendigits-strokes.jsonl.gz", "rt", encoding="utf-8") as lines:
        records = [json.loads(line) for line in lines]
    rng, writers = np.random.default_rng(6), defaultdict(list)
    digits, numbers = Tally("single pen strokes", asked.wrong), Tally("pen strokes, 3 to 6 a number", asked.wrong)
    for record in records:
        page = canvas([record], rng)
        digits.add(page, str(record["label"]), reader.read_page(page))
        writers[record["comment"][1]].append(record)
    for writer in rng.choice(sorted(writers), 1000):
        some = [writers[writer][i] for i in rng.integers(len(writers[writer]), size=rng.integers(3, 7))]
        page = canvas(some, rng)
        numbers.add(page, "".join(str(record["label"]) for record in some), reader.read_page(page))
    return digits.row(0.96) & numbers.row(0.88)


PENS = {
    "ballpoint": Pen(0.06, pressure=0.2, dark=0.9),
    "pencil": Pen(0.06, pressure=0.3, dark=0.6, grain=0.5, coarse=0.03),
    "felt tip": Pen(0.12, dark=0.95),
    "one pixel": Pen(0.03),
}
"""Pens that whole numbers are drawn with."""


def numbers(reader: Reader, asked: argparse.Namespace) -> bool:
    """Read whole numbers of 82 writers, drawn from their pen strokes with several pens, 12 to 60 pixels high."""
    with gzip.open(FOLDER / "strokes" / "unipen-numbers.jsonl.gz", "rt", encoding="utf-8") as lines:
        records = [json.loads(line) for line in lines]
    met = True
    for name, pen in PENS.items():
        rng = np.random.default_rng(9)
        digits, signs = Tally(f"whole numbers, {name}", asked.wrong), Tally(f"as written, {name}", asked.wrong)
        for record in records:
            page = written(record["strokes"], pen, float(np.exp(rng.uniform(np.log(12), np.log(60)))), rng)
            reading = reader.read_page(page, single=True)
            label = "".join(record["label"].split())
            digits.add(page, "".join(filter(str.isdecimal, label)), reading)
            signs.add(page, "".join(c if c in ALPHABET else OTHER for c in label), reading, as_written=True)
        met &= digits.row(0.93) & signs.row(0.88)
    return met


def written(strokes: list[list[list[float]]], pen: Pen, tall: float, rng: np.random.Generator) -> Gray:
    """Draw strokes `tall` pixels high on white paper with a little noise."""
    points = [np.array(stroke, np.float32).reshape(-1, 2) for stroke in strokes]
    low, size = np.concatenate(points).min(axis=0), np.ptp(np.concatenate(points), axis=0)
    scale, room = tall / max(float(size[1]), 1), 0.4 * tall
    canvas = np.zeros((int(tall + 2 * room), int(size[0] * scale + 2 * room)), np.uint8)
    draw(canvas, [(stroke - low) * scale + room for stroke in points], pen, tall, rng)
    ink = grained(canvas.astype(np.float32) / np.float32(255), pen, tall, rng)
    return noisy(235 * (1 - pen.dark * ink), rng, 2)


def anywhere(reader: Reader, asked: argparse.Namespace) -> bool:
    """Read 2,000 MNIST test digits of any size anywhere on pages of either polarity."""
    rng, tally = np.random.default_rng(7), Tally("single digits anywhere", asked.wrong)
    heights = np.exp(rng.uniform(np.log(12), np.log(1001), 2000)).astype(int)
    for i, height in zip(rng.permutation(10_000).tolist(), heights.tolist(), strict=False):
        ink, true = digit(i, height)
        page = placed([ink], rng, 400, 1600)
        tally.add(page, true, reader.read_page(page))
    for low, high in ((12, 24), (24, 48), (48, 1001)):
        right = tally.scores.right[(heights >= low) & (heights < high)]
        row(f"single digits anywhere, {low} to {high - 1} px", "report", f"{right.mean():.2%}", len(right), True)
    return tally.row(0.99)


def nothing(reader: Reader, asked: argparse.Namespace) -> bool:
    """Read pictures that show no digit, and count the numbers that are found all the same."""
    kinds, means = KINDS if FOLDER.is_dir() else KINDS[:-2], []
    for kind in kinds:
        rng, counts, tally = np.random.default_rng([8, KINDS.index(kind)]), [], Tally(f"no digits {kind}", asked.wrong)
        for _ in range(PICTURES):
            page = without_digits(kind, rng)
            reading = reader.read_page(page)
            tally.add(page, "", reading)
            counts.append(len(reading.numbers))
        means.append(statistics.mean(counts))
        measured = f"{means[-1]:.3f} (on {np.count_nonzero(counts)} pictures, at most {max(counts)})"
        row(f"false numbers a picture: {kind}", "report", measured, PICTURES, True)
    mean, n = statistics.mean(means), PICTURES * len(means)
    return row(f"false numbers a picture, {len(means)} kinds", "<= 0.05", f"{mean:.3f}", n, mean <= 0.05)


if __name__ == "__main__":
    sys.exit(not main())
