"""The work of the service: reading, classifying, inspecting. It is independent of the HTTP routes.

Reading goes file by file, in a thread for `SLICE_SECONDS` and then behind whoever waits: a long PDF holds nobody up.
Classifying joins the images of all who wait. Joining the pages of several readers would buy nothing: the line reader
takes strips one at a time, and `strong` is a tenth faster at best for 32 images at once, of a twentieth of the time.
"""

from __future__ import annotations

import asyncio
import json
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from digitnet.core.errors import DigitNetError
from digitnet.core.provenance import cores
from digitnet.core.terminal import say
from digitnet.data.synthesis.strokes import hands
from digitnet.evaluation.misclassified import load_report
from digitnet.imaging import pages as image
from digitnet.imaging.normalization import frame
from digitnet.imaging.pages import PageLimits
from digitnet.imaging.preview import preview
from digitnet.imaging.segmentation import whole
from digitnet.models.inspection import inside
from digitnet.models.model_file import BATCH
from digitnet.models.onnx_models import DEFAULT, LINE, OnnxClassifier, built_in, classifier
from digitnet.models.rapidocr import PACKAGE
from digitnet.reading.constraints import Rules, from_options
from digitnet.reading.output import judged
from digitnet.reading.reader import Printed, Reader
from digitnet.serving.batching import Batcher
from digitnet.serving.cache import Answers
from digitnet.serving.contents import File
from digitnet.serving.middleware import Metrics
from digitnet.serving.problems import problem
from digitnet.serving.requests import Limits
from digitnet.serving.trainings import Trainings

SLICE_SECONDS = 0.1
"""Seconds for which a file's pages are read before others have their turn."""

ABOUT = ("recipe", "temperature", "threshold", "test", "digitnet", "revision")
"""What is told of a model; where its data lay on the machine that trained it is nobody's business."""


@dataclass(frozen=True)
class Settings:
    """Settings of the service.

    model: a built-in name or an `.onnx` file, for reading and as the default of requests. line: the line reader, a
    built-in name or an `.onnx` file. report: a run's folder.
    token: the token that requests must send, see `middleware.Guard`. hosts: accepted host names, None for any.
    threads: pages or batches processed at the same time, 0 for the number of cores. access_log: write an `AccessLog`.
    clerk: who reviews a job and gives no other name.
    address: the host under which other machines reach the service; None if it listens to this machine alone.
    train: what the page may train on, a named data set or a path, into the folder `run`; None if it may not train.
    places: an empty file by which several processes share one limit on waiting requests; None for a limit of their own.
    second_opinion: as of `Reader`.
    """

    model: str = DEFAULT
    report: Path | None = None
    token: str | None = field(default=None, repr=False)
    hosts: frozenset[str] | None = None
    threads: int = 0
    limits: Limits = field(default_factory=Limits)
    access_log: bool = False
    line: str = LINE
    clerk: str = "clerk"
    address: str | None = None
    train: str | None = None
    places: Path | None = None
    second_opinion: bool = False


@dataclass(frozen=True)
class Asked:
    """How pages are to be read: as `digitnet read` has it, the rules in its words; least: `--min-confidence`.

    page: the only one to read, by its number from 1; None for all. turn: degrees clockwise by which pages are turned
    before they are read, 0, 90, 180 or 270. picture: whether each page comes with what can be shown of it.
    """

    single: bool = False
    least: float = 0.0
    length: int | None = None
    lengths: str | None = None
    value_range: str | None = None
    checksum: str | None = None
    kind: str | None = None
    decimal: str | None = None
    order: str | None = None
    printed: Printed = "keep"
    page: int | None = None
    turn: int = 0
    picture: bool = False

    def rules(self) -> Rules | None:
        """Return the rules, None where there are none. Raises DataError where they make no sense."""
        known = (self.length, self.lengths, self.value_range, self.checksum, self.kind, self.decimal, self.order)
        return from_options(*known)


class Models:
    """The models and the report, as they are opened together: at the start, and again when the service is told to."""

    def __init__(self, settings: Settings) -> None:
        """Open them. Raises ModelError or DataError if one is missing or damaged."""
        self.default = settings.model if settings.model in built_in() else Path(settings.model).stem
        self.report = None if settings.report is None else json.dumps(load_report(settings.report))
        self.reader = Reader(settings.line, settings.model, threads=1, second_opinion=settings.second_opinion)
        others = {name: classifier(name, 1) for name in built_in() if name != self.default}
        self.by_name: dict[str, OnnxClassifier] = {self.default: self.reader.digits} | others
        self.key = json.dumps(self.reader.hashes(), sort_keys=True).encode()
        # One function a model, always the same: by it the batcher knows what goes together.
        self.classify = {name: partial(_classified, model) for name, model in self.by_name.items()}

    def named(self) -> dict[str, Any]:
        """Return which models read, by name and SHA-256."""
        line, digits, other = self.reader.line, self.reader.digits, self.reader.other
        return {
            "line": {"name": line.name, "sha256": line.sha256},
            "digits": {"name": self.default, "sha256": digits.sha256},
            "second_opinion": {"name": PACKAGE, "sha256": other.sha256} if other else None,
        }

    def told(self) -> dict[str, Any]:
        """Return what there is to know of the models."""
        known = [(name, model.sha256, model.about) for name, model in self.by_name.items()]
        known.append(("line", self.reader.line.sha256, self.reader.line.about))
        return {
            "reading": self.named(),
            "models": [
                {"name": name, "sha256": sha256} | {key: about[key] for key in ABOUT if key in about}
                for name, sha256, about in known
            ],
        }


class Service:
    """The models, the threads that ask them, and what is counted. Its methods may be awaited by many at a time."""

    def __init__(self, settings: Settings) -> None:
        """Open the models. Raises what `Models` does."""
        limits, self.metrics = settings.limits, Metrics()
        self.page_limits = PageLimits(limits.pixels, limits.pages)
        self._settings, self._asked = settings, asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self.models = Models(settings)
        threads = settings.threads or cores()
        self.work = Batcher(
            threads=threads,
            places=threads + limits.waiting,
            standing=threads + min(limits.standing, limits.waiting),
            together=BATCH,
            deadline=limits.deadline,
            seen=self.metrics.batch.observe,
            shared=settings.places,
        )
        self.answers = Answers(self.metrics.cached)
        self.metrics.waiting.set_function(lambda: self.work.waiting)
        self.trainings = None if settings.train is None else Trainings(settings.train)
        self.warm = False
        self.examples: dict[str, tuple[Any, Any]] = {}

    async def run(self) -> None:
        """Warm up, then open the models again each time that `ask_to_reopen` asks; ends by being cancelled."""
        self._loop = asyncio.get_running_loop()
        await self.warm_up()
        while True:
            await self._asked.wait()
            self._asked.clear()
            await self._reopen()

    def ask_to_reopen(self) -> None:
        """Ask for the models and the report to be opened again, from any thread or a signal's handler."""
        if self._loop is None:
            self._asked.set()
        else:
            self._loop.call_soon_threadsafe(self._asked.set)

    async def _reopen(self) -> None:
        """Open everything again, or keep what is open. Requests under way go on with the models they began with."""
        try:
            self.models = await asyncio.to_thread(Models, self._settings)
        except DigitNetError as error:
            say(f"Error: {error}; the service keeps its present models")
            return
        await self.warm_up()
        say("Reopened the models.")

    async def warm_up(self) -> None:
        """Do everything once, since the first time takes longer; keep what was sent and answered as examples."""
        digits = hands(10, seed=3).images[[1, 9, 8, 4]]
        page = 255 - cv2.resize(np.hstack(list(digits[:, :, 5:-5])), None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC)
        picture = File("page.png", cv2.imencode(".png", page)[1].tobytes())
        read = {
            "results": [{"name": picture.name, "pages": await self.read(picture, Asked(), self.models.reader)}],
            "model": self.models.named(),
        }
        classified = [json.loads(await self.classify(digits[:1], name)) for name in self.models.by_name]
        framed = {"image": digits[0].tolist()}
        inside = json.loads(await self.inside(File(None, json.dumps(framed).encode()), self.models.default))
        self.examples = {
            "read": (None, read),
            "classify": ({"images": digits[:1].tolist()}, classified[0]),
            "inside": (framed, inside),
        }
        self.warm = True

    async def read_all(self, files: Sequence[File], asked: Asked) -> str:
        """Return what is read of files, as JSON; raises as `read` does if there is one file."""
        models, results = self.models, list[dict[str, Any]]()
        for file in files:
            try:
                results.append({"name": file.name, "pages": await self.read(file, asked, models.reader)})
            except DigitNetError as error:
                if len(files) == 1:
                    raise
                results.append({"name": file.name, "error": problem(422, str(error))})
        return json.dumps({"results": results, "model": models.named()})

    async def read(self, file: File, asked: Asked, reader: Reader) -> list[dict[str, Any]]:
        """Return what is read of each page of a file, as `Reading.to_dict` has it, each number with `accepted`.

        Raises ImageError where it cannot be read, DataError where the rules make no sense.
        """

        def read_page(page: NDArray[np.uint8]) -> dict[str, Any]:
            page = np.ascontiguousarray(np.rot90(page, -asked.turn // 90))
            reading = reader.read_page(page, single=asked.single, rules=asked.rules(), printed=asked.printed)
            return judged(reading, asked.least) | ({"picture": jpeg_url(page)} if asked.picture else {})

        found = await self.each(pages_of(file, self.page_limits, asked.page), read_page)
        for page in found:
            for number in page["numbers"]:
                self.metrics.confidence.labels("number").observe(number["confidence"])
        return found

    async def each(
        self, pages: Iterator[NDArray[np.uint8]], work: Callable[[NDArray[np.uint8]], dict[str, Any]]
    ) -> list[dict[str, Any]]:
        """Return what is made of each page, in a thread, giving way to others after each `SLICE_SECONDS`."""
        found: list[dict[str, Any]] = []
        while True:
            some, ended = await self.work.run(partial(_some, pages, work))
            found += some
            if ended:
                return found

    async def classify(self, images: NDArray[np.uint8], name: str) -> str:
        """Return what a model says of images (n, 28, 28) uint8, as JSON."""
        models, rows = self.models, []
        model = models.by_name[name]
        for start in range(0, len(images), BATCH):
            some = images[start : start + BATCH]
            text, sure = await self.work.join(models.classify[name], some, len(some))
            rows.append(text)
            for confidence in sure:
                self.metrics.confidence.labels("digit").observe(confidence)
        about = json.dumps({"model": {"name": name, "sha256": model.sha256}, "threshold": model.threshold})
        return f'{about[:-1]}, "results": [{", ".join(rows)}]}}'

    async def inside(self, file: File, name: str) -> str:
        """Return what a model makes of one digit, a picture of it or its frame, as JSON; see `Inside.to_dict`.

        Raises DataError or ImageError where the file holds neither.
        """

        model = self.models.by_name[name]

        def look() -> str:
            given = file.given()
            framed = (
                given if isinstance(given, np.ndarray) else frame(whole(image.page(given, limits=self.page_limits)).ink)
            )
            return json.dumps(inside(model, framed).to_dict())

        return await self.work.run(look)


def _some(
    pages: Iterator[NDArray[np.uint8]], work: Callable[[NDArray[np.uint8]], dict[str, Any]]
) -> tuple[list[dict[str, Any]], bool]:
    """Work on pages until they end or the slice of time does; say whether they ended."""
    began, found = time.monotonic(), []
    for page in pages:
        found.append(work(page))
        if time.monotonic() - began > SLICE_SECONDS:
            return found, False
    return found, True


def jpeg_url(page: NDArray[np.uint8]) -> str:
    """Return a page (h, w) uint8 as the data URL of a preview."""
    return f"data:image/jpeg;base64,{b64encode(preview(page)[0]).decode()}"


def pages_of(file: File, limits: PageLimits, number: int | None = None) -> Iterator[NDArray[np.uint8]]:
    """Yield a file's pages, or the one of a number; all of the work is in whoever asks for them, a thread."""
    if number is not None:
        yield image.page(file.picture(), file.name, limits, number)
    else:
        yield from image.pages(file.picture(), file.name, limits)


def _classified(model: OnnxClassifier, items: list[NDArray[np.uint8]]) -> Sequence[tuple[str, list[float]]]:
    """Classify the images of several at once; return for each theirs as rows of JSON, and the confidences."""
    probs, digitness = model.classify(np.concatenate(items) if len(items) > 1 else items[0])
    answers, end = [], 0
    for item in items:
        start, end = end, end + len(item)
        rows = [
            {
                "digit": int(row.argmax()),
                "confidence": round(float(row.max()), 6),
                "digitness": round(float(sure), 6),
                "accepted": bool(sure >= model.threshold),
                "probabilities": [round(p, 6) for p in row.tolist()],
            }
            for row, sure in zip(probs[start:end], digitness[start:end], strict=True)
        ]
        answers.append((json.dumps(rows)[1:-1], [float(row["confidence"]) for row in rows]))  # type: ignore[arg-type]
    return answers
