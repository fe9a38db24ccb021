"""Models without PyTorch: a built-in name or an `.onnx` file -> `Classifier` or `LineReader`, on ONNX Runtime.

A model file holds all that decides its answer: it takes (n, 28, 28) uint8 images as they are, and gives calibrated
probabilities and how digit-like each image is; or strips of numbers, and gives each column's classes and boxes.
`export.py` writes such files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digitnet.core.classes import class_names
from digitnet.core.digits import DIGITS, IMAGE_SIZE, STRIP_HEIGHT
from digitnet.core.digits import ensemble as ensemble
from digitnet.core.errors import DataError, ModelError
from digitnet.core.provenance import cores
from digitnet.core.text import listed
from digitnet.models import vetting
from digitnet.models.model_file import (
    ALPHABET,
    BATCH,
    DIGITNESS,
    INPUT,
    LAYERS,
    LOG_PROBS,
    MARGIN,
    PRESENCE,
    PROBABILITIES,
    REACH,
    STRIDE,
    STRIPS,
    answer_of,
    open_model,
    session_of,
)
from digitnet.models.trained_on import ImageSet, trained_on_by_file

WEIGHTS = Path(__file__).parent / "weights"
"""Where the built-in models lie."""

DEFAULT = "strong"
"""The built-in model used where none is named."""

AGAIN = "; export its run again: digitnet export RUN --out FILE.onnx"
"""What to do where a file has no layers to look into."""

LINE = "line"
"""The built-in model that reads whole numbers; it classifies no single digits."""

ROWS = "rows"
"""The built-in model that reads a line with all that is in it, letters as other marks; see `reading.formulas`."""

PAGE = "page"
"""The built-in model that finds numbers on pages."""


class OnnxClassifier:
    """A model file as a `Classifier`: (n, 28, 28) uint8 -> (n, 10) float32 probabilities, any n.

    about: the file's metadata: name, recipe, data and their SHA-256, scores, temperature, threshold, versions.
    names: of its classes; with k other names than the ten digits, k takes the place of 10.
    threshold: images with a lower `digitness` should be rejected as not a digit, 0..1.
    sha256: of the file.
    """

    def __init__(self, path: Path, threads: int = 0) -> None:
        """Load a model file; threads: for one batch, 0 for the number of cores.

        Raises ModelError if it cannot be read or was not exported by digitnet.
        """
        self._session, self.about, self._content = open_model(
            path, threads, (INPUT, PROBABILITIES, DIGITNESS), hashes().values()
        )
        self._threads = threads
        self.sha256 = hashlib.sha256(self._content).hexdigest()
        self.threshold: float = self.about["threshold"]
        self.name: str = self.about["name"]
        self.names = class_names(self.about, path)

    @property
    def content(self) -> bytes:
        """The model file itself."""
        return self._content

    def __repr__(self) -> str:
        """Say which model it is."""
        return f"<OnnxClassifier {self.name}, {self.sha256[:12]}>"

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the probabilities, (n, 10) float32, each row summing to 1."""
        return self._run([PROBABILITIES], images)[0].reshape(-1, len(self.names))

    def digitness(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return how much each image looks like a digit, (n,) float32 in 0..1."""
        return self._run([DIGITNESS], images)[0]

    def classify(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return probabilities and digitness together, at the cost of one of them."""
        probs, digitness = self._run([PROBABILITIES, DIGITNESS], images)
        return probs.reshape(-1, len(self.names)), digitness

    @cached_property
    def trained_on(self) -> ImageSet | None:
        """The images that it was trained on; None if unknown. Raises ModelError if this metadata is damaged."""
        return trained_on_by_file(self.name, self.about, self._session.get_modelmeta().custom_metadata_map)

    def layers(self, image: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """Return the output of each layer for one image (28, 28) uint8: the maps after every pooling, in order, each
        (channels, h, w) float32; then the hidden units before the last linear layer, (units,) float32.

        Raises ModelError if the file does not name its layers, because an older digitnet exported it.
        """
        session = self._looking  # tells names that are no list of names
        found = self._run(self.about[LAYERS], np.asarray(image)[None], session)
        if [layer.ndim for layer in found] != [4] * (len(found) - 1) + [2] or any(len(layer) != 1 for layer in found):
            raise ModelError(
                f"model {self.name}: its layers {listed(self.about[LAYERS])} have unexpected shapes{AGAIN}"
            )
        return [layer[0] for layer in found]

    def hidden(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the hidden units before the last linear layer, (n, units) float32. Raises as `layers` does."""
        session = self._looking
        return self._run(self.about[LAYERS][-1:], images, session)[0].reshape(len(images), -1)

    def filters(self) -> NDArray[np.float32]:
        """Return the weights of the first convolution, (channels, h, w) float32.

        This reads the file with the package onnx, of the extra `train`. Raises ModelError if it has no
        convolution over images.
        """
        import onnx

        graph = onnx.load_from_string(self._content).graph
        weights = {tensor.name: tensor for tensor in graph.initializer}
        for node in graph.node:
            if node.op_type == "Conv" and node.input[1] in weights:
                kernel: NDArray[np.float32] = onnx.numpy_helper.to_array(weights[node.input[1]])
                if kernel.ndim == 4 and kernel.shape[1] == 1:
                    return kernel[:, 0]
                break
        raise ModelError(f"model {self.name}: its first layer is not a convolution over images")

    @cached_property
    def _looking(self) -> Any:
        """The session that gives the layers, too; made when first asked for.

        ONNX Runtime tells the outputs of a graph and nothing between. Were the layers outputs of the file itself,
        `digitnet` would take 5% longer for every batch: to convolve, ONNX Runtime orders channels in a way of its own,
        and would bring them back into the usual order each time.
        """
        names = self.about.get(LAYERS)
        if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
            raise ModelError(f"model {self.name}: does not name its layers{AGAIN}")
        # Protobuf merges what is appended to a message: here a model (7: its graph (12: an output (1: its name))).
        outputs = b"".join(vetting.field(12, vetting.field(1, name.encode())) for name in names)
        try:
            return session_of(self._content + vetting.field(7, outputs), self._threads)
        # ONNX Runtime's errors have no common parent but Exception.
        except Exception as error:
            raise ModelError(f"model {self.name}: has no layers {listed(names)}{AGAIN}") from error

    def _run(self, outputs: list[str], images: NDArray[np.uint8], session: Any = None) -> list[NDArray[np.float32]]:
        session = session or self._session
        images = np.asarray(images)
        if images.ndim != 3 or images.shape[1:] != (IMAGE_SIZE, IMAGE_SIZE) or images.dtype != np.uint8:
            raise DataError(
                f"images are {images.shape} {images.dtype}, expected (n, {IMAGE_SIZE}, {IMAGE_SIZE}) uint8; "
                "digitnet.frame() produces such an image from a digit's ink"
            )
        if not len(images):
            return [np.zeros(0, np.float32) for _ in outputs]
        if len(images) <= BATCH:
            return answer_of(session, self.name, outputs, {INPUT: images})
        parts = [
            answer_of(session, self.name, outputs, {INPUT: images[start : start + BATCH]})
            for start in range(0, len(images), BATCH)
        ]
        return [np.concatenate(column) for column in zip(*parts, strict=True)]


@dataclass(frozen=True)
class Columns:
    """What a line reader says of one strip, column by column, each `STRIDE` pixels wide.

    log_probs: (t, 11) float32, natural logarithms: the digits, then the blank; if the strip shows a number. boxes:
    (t, 4) float32 left, top, right, bottom of the digit at each column, in pixels of the strip; without meaning where
    there is none. presence: (t,) float32, the probability of there being a digit. characters: (t, n + 1) float32, as
    log_probs, of all n characters of `alphabet`, signs included, then the blank.
    """

    log_probs: NDArray[np.float32]
    boxes: NDArray[np.float32]
    presence: NDArray[np.float32]
    characters: NDArray[np.float32]
    alphabet: str = DIGITS


RARE_SIGNS, RARER = "/:()+%$?", 0.3
"""Signs that the lines to learn from hold more often than numbers do, so that each is learnt; and how often numbers
have them, as a share of that."""


def with_rare_signs(log_probs: NDArray[np.float32], alphabet: str) -> NDArray[np.float32]:
    """Return a line reader's log-probabilities, (t, n + 1), where signs are as rare as numbers have them."""
    rare = [character in RARE_SIGNS for character in alphabet] + [False]  # the blank is last
    known = log_probs + np.where(rare, np.log(RARER), 0).astype(np.float32)
    return known - np.logaddexp.reduce(known, axis=1, keepdims=True)


class LineReader:
    """A model file that reads strips (STRIP_HEIGHT, w) uint8, as `normalization.strip` makes them.

    about: the file's metadata. alphabet: the characters it knows, the ten digits first.
    """

    def __init__(self, path: Path, threads: int = 0) -> None:
        """Load a model file; threads: for several strips, 0 for the number of cores.

        Raises ModelError if it cannot be read or is not a line reader exported by digitnet.
        """
        self._session, self.about, content = open_model(
            path, 1, (STRIPS, LOG_PROBS, REACH, PRESENCE), hashes().values()
        )
        self._map = mapping(threads)
        self.alphabet: str = self.about.get(ALPHABET, DIGITS)
        self.sha256 = hashlib.sha256(content).hexdigest()
        self.name: str = self.about["name"]

    def __repr__(self) -> str:
        """Say which model it is."""
        return f"<LineReader {self.name}, {self.sha256[:12]}>"

    def __call__(self, strips: Sequence[NDArray[np.uint8]]) -> list[Columns]:
        """Read strips of any widths."""
        for strip in strips:
            if strip.ndim != 2 or strip.shape[0] != STRIP_HEIGHT or not strip.shape[1] or strip.dtype != np.uint8:
                raise DataError(
                    f"a strip is {strip.shape} {strip.dtype}, expected ({STRIP_HEIGHT}, width) uint8; see frame.strip"
                )
        return list(self._map(self._read, strips))

    def _read(self, strip: NDArray[np.uint8]) -> Columns:
        # One at a time: padding to a common width would let a strip's neighbours change its last columns.
        given = {STRIPS: padded([strip])}
        log_probs, reach, presence = answer_of(self._session, self.name, [LOG_PROBS, REACH, PRESENCE], given)
        middle = (np.arange(log_probs.shape[1], dtype=np.float32) + 0.5) * STRIDE - MARGIN
        boxes = np.empty_like(reach[0])
        boxes[:, 0], boxes[:, 2] = middle - reach[0, :, 0] * STRIP_HEIGHT, middle + reach[0, :, 2] * STRIP_HEIGHT
        boxes[:, 1], boxes[:, 3] = STRIP_HEIGHT * (0.5 - reach[0, :, 1]), STRIP_HEIGHT * (0.5 + reach[0, :, 3])
        characters = with_rare_signs(log_probs[0], self.alphabet)
        digits = only_digits(characters, self.alphabet)
        return Columns(digits, boxes, presence[0], characters, self.alphabet)


def padded(strips: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Return strips (STRIP_HEIGHT, w) in one array (n, STRIP_HEIGHT, w'), each after `MARGIN` pixels of paper."""
    wide = max(strip.shape[1] for strip in strips) + 2 * MARGIN
    together = np.zeros((len(strips), STRIP_HEIGHT, wide + -wide % STRIDE), np.uint8)
    for row, strip in zip(together, strips, strict=True):
        row[:, MARGIN : MARGIN + strip.shape[1]] = strip
    return together


def line_reader(name_or_path: str | Path = LINE, threads: int = 0) -> LineReader:
    """Return a built-in line reader, `LINE` or `ROWS`, or the one in a file. Raises ModelError if it does not exist."""
    path = WEIGHTS / f"{name_or_path}.onnx" if str(name_or_path) in (LINE, ROWS) else Path(name_or_path)
    return LineReader(path, threads)


def classifier(name_or_path: str | Path = DEFAULT, threads: int = 0) -> OnnxClassifier:
    """Return a built-in model by its name, or the model in an `.onnx` file.

    threads: for one batch, 0 for as many as there are cores. Raises ModelError where there is no such model.
    """
    if str(name_or_path) in built_in():
        return OnnxClassifier(WEIGHTS / f"{name_or_path}.onnx", threads)
    path = Path(name_or_path)
    if not path.suffix and not path.exists():
        raise ModelError(f"model {str(name_or_path)!r}: choose one of {', '.join(built_in())}, or the path of a file")
    return OnnxClassifier(path, threads)


def hashes() -> dict[str, str]:
    """Return what the SHA-256 of each built-in model must be, by its name: what `WEIGHTS`/SHA256SUMS says."""
    lines = (WEIGHTS / "SHA256SUMS").read_text(encoding="ascii").splitlines()
    return {file.removesuffix(".onnx"): sha256 for sha256, file in map(str.split, lines)}


def built_in() -> list[str]:
    """Return the names of the built-in classifiers."""
    return [name for name in hashes() if name not in (LINE, ROWS, PAGE)]


def mapping(threads: int) -> Callable[..., Iterable[Any]]:
    """Return what is like the built-in `map` and works in so many threads, 0 for as many as there are cores.

    For strips of a page, of which each thread takes its own: ONNX Runtime's own threads share every layer, and a strip
    has few columns to share.
    """
    threads = threads or cores()
    if threads == 1:
        return map
    pool = ThreadPoolExecutor(threads)
    return lambda function, items: pool.map(function, items) if len(items) > 1 else map(function, items)


def only_digits(log_probs: NDArray[np.float32], alphabet: str) -> NDArray[np.float32]:
    """Return what a line reader's columns say of digits alone: (T, 11) float32, of (T, len(alphabet) + 1).

    Signs count as blanks, which separate characters, too: a string of digits is then as probable as all strings that
    have these digits and any signs.
    """
    digits = log_probs[:, : len(DIGITS)]
    others = np.logaddexp.reduce(log_probs[:, len(DIGITS) :], axis=1, keepdims=True)
    return np.concatenate([digits, others], axis=1)
