"""What is found and read on real pages: photos, scans, forms, tables, and small pictures, each a kind of fault.

python benchmarks/pages.py --rapidocr ~/peer/bin/python >> benchmarks/RESULTS.md

Pictures are those in ../shared/data, `photos` and `cases`, or where DIGITNET_DEV_DATA says; without them there are no
rows. Peers, where they are installed: PyPI's rapidocr (detection and recognition), in the Python that --rapidocr names,
and Debian's tesseract-ocr. With --cache the peers' answers are kept and not asked for again.
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from pathlib import Path

import numpy as np
from foreign import FOLDER
from numpy.typing import NDArray
from PIL import Image, ImageOps
from rows import note, row

Texts = list[list[str]]
"""For each picture what is read at each place, digits alone, in reading order."""

Engine = Callable[[list[Path]], tuple[list[float], Texts]]
"""Reads pictures: the seconds each took, and the texts."""

RAPIDOCR = """
import json, sys, time, logging
logging.disable(logging.CRITICAL)
from rapidocr import RapidOCR
engine = RapidOCR()
print(flush=True)
for line in sys.stdin:
    began = time.perf_counter()
    try:
        found = list(engine(line.rstrip("\\n")).txts or [])
    except Exception as error:
        found = []
    print(json.dumps([time.perf_counter() - began, found]), flush=True)
"""


@dataclass(frozen=True)
class Picture:
    """A picture and its truth: digits in reading order, what is printed on it, and its kind."""

    path: Path
    digits: str
    printed: tuple[str, ...]
    kind: str


@dataclass
class Score:
    """Digits written, found among them, read in all; pictures, exact ones; false numbers where nothing is written."""

    written: int = 0
    found: int = 0
    read: int = 0
    pictures: int = 0
    exact: int = 0
    empty: int = 0
    without: int = 0
    false: int = 0
    misses: list[str] = field(default_factory=list)

    def add(self, picture: Picture, texts: Sequence[str]) -> None:
        texts = without_printed(list(texts), picture)
        read = "".join(texts)
        if not picture.digits:
            self.without += 1
            self.false += len([text for text in texts if text])
            if texts:
                self.misses.append(f"{picture.path.name}: nothing, read {' '.join(texts)[:70]}")
            return
        self.pictures += 1
        self.written += len(picture.digits)
        self.read += len(read)
        self.found += common(picture.digits, read)
        self.exact += read == picture.digits
        self.empty += not read
        if read != picture.digits:
            self.misses.append(f"{picture.path.name}: {picture.digits[:50]}, read {' '.join(texts)[:70]}")

    def __str__(self) -> str:
        recall, precise = self.found / max(self.written, 1), self.found / max(self.read, 1)
        said = f"{self.exact} of {self.pictures} exact, {recall:.1%} of digits, precision {precise:.1%}"
        return said + (f", nothing on {self.empty}" if self.empty else "")


def common(one: str, other: str) -> int:
    """Return how many digits two strings have in common in the same order: their longest common subsequence."""
    if SequenceMatcher(None, one, other, autojunk=False).ratio() == 1:
        return len(one)
    before = [0] * (len(other) + 1)
    for a in one:
        now = [0]
        for column, b in enumerate(other):
            now.append(before[column] + 1 if a == b else max(before[column + 1], now[-1]))
        before = now
    return before[-1]


def without_printed(texts: list[str], picture: Picture) -> list[str]:
    """Leave out printed numbers that were read: they count neither for nor against."""
    printed = list(picture.printed)
    best = common(picture.digits, "".join(texts))
    for index in range(len(texts) - 1, -1, -1):
        if texts[index] in printed:
            rest = texts[:index] + texts[index + 1 :]
            if common(picture.digits, "".join(rest)) == best:
                printed.remove(texts[index])
                texts = rest
    return texts


def photos() -> list[Picture]:
    """Return the real photos, scans and forms."""
    with (FOLDER / "photos" / "truth.csv").open(encoding="utf-8") as lines:
        return [
            Picture(
                FOLDER / "photos" / line["file"],
                _digits(line["digits"]),
                tuple(filter(None, (_digits(part) for part in line["printed"].replace("|", " ").split()))),
                f"{line['file'][:2]} {line['pen']}, {line['paper']}" if line["digits"] else "without numbers",
            )
            for line in csv.DictReader(lines)
        ]


def cases() -> list[Picture]:
    """Return the small pictures, each a kind of fault."""
    with (FOLDER / "cases" / "truth.csv").open(encoding="utf-8") as lines:
        return [
            Picture(FOLDER / "cases" / line["file"], _digits(line["digits"]), (), line["file"].split("-")[0])
            for line in csv.DictReader(lines)
        ]


def _digits(text: str) -> str:
    return "".join(character for character in text if character in "0123456789")


def finder(line: str) -> Engine:
    """Return digitnet as it is."""
    from digitnet.reading.reader import Reader

    reader = Reader(line=line, threads=1)

    def read(paths: list[Path]) -> tuple[list[float], Texts]:
        seconds, texts = [], []
        for path in paths:
            began = time.perf_counter()
            texts.append([number.text for number in reader.read(path).numbers])
            seconds.append(time.perf_counter() - began)
        return seconds, texts

    return read


def paged(page: Path, line: str) -> Engine:
    """Return digitnet with a page network that is not built in yet."""
    from digitnet.imaging.crop import cut
    from digitnet.imaging.normalization import strip
    from digitnet.imaging.page_find import find
    from digitnet.models.onnx_models import line_reader
    from digitnet.models.page_model import PageModel
    from digitnet.reading.ctc import decode

    network, reader = PageModel(page, threads=1), line_reader(line, 1)

    def read(paths: list[Path]) -> tuple[list[float], Texts]:
        seconds, texts = [], []
        for path in paths:
            began = time.perf_counter()
            picture = coloured(path)
            places = [place for place in find(picture, network)[0] if place.printed < 0.5]
            strips = [strip(cut(picture, place)[0], 4000) for place in places]
            found = [decode(columns.log_probs, None, 1) for columns in reader(strips)]
            texts.append([paths[0].text for paths in found if paths and paths[0].text])
            seconds.append(time.perf_counter() - began)
        return seconds, texts

    return read


def coloured(path: Path) -> NDArray[np.uint8]:
    """Return a picture upright, (h, w, 3) uint8 blue, green, red; what is transparent becomes unlike the ink."""
    picture = ImageOps.exif_transpose(Image.open(path))
    if picture.mode in ("RGBA", "LA", "P", "PA"):
        rgba = np.asarray(picture.convert("RGBA"), np.float32)
        alpha = rgba[:, :, 3:] / 255
        ink = (rgba[:, :, :3] * alpha).sum() / max(3 * alpha.sum(), 1)
        paper = 255.0 if ink < 128 or alpha.min() == 1 else 0.0
        rgb = (rgba[:, :, :3] * alpha + paper * (1 - alpha)).astype(np.uint8)
    else:
        rgb = np.asarray(picture.convert("RGB"), np.uint8)
    return np.ascontiguousarray(rgb[:, :, ::-1])


def rapidocr(python: str) -> Engine | None:
    """Return RapidOCR, detection and recognition, with its own settings; None where it is not installed."""
    server = subprocess.Popen([python, "-c", RAPIDOCR], stdin=-1, stdout=-1, stderr=subprocess.DEVNULL, text=True)
    to, back = server.stdin, server.stdout
    if to is None or back is None or not back.readline():
        return None

    def read(paths: list[Path]) -> tuple[list[float], Texts]:
        seconds, texts = [], []
        for path in paths:
            print(path, file=to, flush=True)
            its, found = json.loads(back.readline())
            seconds.append(its)
            texts.append([digits for text in found if (digits := _digits(text))])
        return seconds, texts

    return read


def tesseract() -> Engine | None:
    """Return Tesseract with its own settings, of the text's digits; None where it is not installed."""
    if not shutil.which("tesseract"):
        return None

    def read(paths: list[Path]) -> tuple[list[float], Texts]:
        seconds, texts = [], []
        for path in paths:
            began = time.perf_counter()
            done = subprocess.run(["tesseract", str(path), "-"], capture_output=True, text=True, check=False)
            seconds.append(time.perf_counter() - began)
            texts.append([digits for text in done.stdout.split() if (digits := _digits(text))])
        return seconds, texts

    return read


def cached(name: str, engine: Engine | None, folder: Path | None) -> Engine | None:
    """Return an engine that remembers its answers in a folder."""
    if folder is None:
        return engine
    file = folder / f"{name}.json"
    known = json.loads(file.read_text()) if file.exists() else {}

    def read(paths: list[Path]) -> tuple[list[float], Texts]:
        new = [path for path in paths if str(path) not in known]
        if new and engine is not None:
            for path in new:
                (its,), (texts,) = engine([path])
                known[str(path)] = [its, texts]
            file.write_text(json.dumps(known))
        answers = [known[str(path)] for path in paths]
        return [its for its, _ in answers], [texts for _, texts in answers]

    return read if engine is not None or known else None


def main() -> bool:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--line", default="line", help="the built-in line reader, or an .onnx file")
    parser.add_argument("--page", type=Path, metavar="FILE", help="a page network, an .onnx file, measured besides")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="only these engines")
    parser.add_argument("--rapidocr", default=sys.executable, metavar="PYTHON", help="a Python that has RapidOCR")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="keep the peers' answers there")
    parser.add_argument("--kinds", action="store_true", help="a row for each kind of picture, too")
    parser.add_argument("--wrong", type=Path, metavar="FILE", help="list what was read wrong there")
    asked = parser.parse_args()
    if not (FOLDER / "photos" / "truth.csv").exists():
        note(f"{FOLDER}/photos is not there: no rows")
        return True
    makers: dict[str, Callable[[], Engine | None]] = {
        "digitnet": lambda: cached("digitnet", finder(asked.line), asked.cache),
        "page network": lambda: paged(asked.page, asked.line) if asked.page else None,
        "RapidOCR": lambda: cached("rapidocr", rapidocr(asked.rapidocr), asked.cache),
        "Tesseract": lambda: cached("tesseract", tesseract(), asked.cache),
    }
    engines = {name: make() for name, make in makers.items() if not asked.only or name in asked.only}
    for what, pictures in (("cases", cases()), ("photos", photos())):
        for name, engine in engines.items():
            if engine is None:
                note(f"{name} is not installed: no rows for it")
                continue
            report(what, name, pictures, engine, asked)
    return True


def report(what: str, name: str, pictures: list[Picture], engine: Engine, asked: argparse.Namespace) -> None:
    """Let an engine read pictures, and print its rows."""
    seconds, texts = engine([picture.path for picture in pictures])
    scores: dict[str, Score] = defaultdict(Score)
    for picture, its in zip(pictures, texts, strict=True):
        scores["all"].add(picture, its)
        scores[picture.kind].add(picture, its)
    total = scores.pop("all")
    row(f"{what}, {name}", "report", f"{total}; {1000 * sum(seconds) / len(seconds):.0f} ms", total.pictures, True)
    if total.without:
        row(f"{what} without numbers, {name}", "report", f"{total.false} false numbers", total.without, True)
    if asked.kinds:
        for kind, score in scores.items():
            if score.pictures:
                row(f"{what}, {name}: {kind}", "report", str(score), score.pictures, True)
    if asked.wrong:
        with asked.wrong.open("a", encoding="utf-8") as lines:
            lines.write("".join(f"{what} {name} {miss}\n" for miss in total.misses))


if __name__ == "__main__":
    sys.exit(not main())
