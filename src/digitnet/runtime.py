"""Models that need no torch: a built-in name or an `.onnx` file -> `Classifier` or `LineReader`, on ONNX Runtime.

A model file holds all that decides its answer: it takes (n, 28, 28) uint8 images as they are, and gives calibrated
probabilities and how digit-like each image is; or strips of numbers, and gives each column's classes and boxes.
`export.py` writes such files.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime  # type: ignore[import-untyped]
from numpy.typing import NDArray

from digitnet import vet
from digitnet.digits import SIDE, STRIP
from digitnet.digits import ensemble as ensemble
from digitnet.errors import DataError, ModelError, listed
from digitnet.trained_on import ImageSet, trained_on_by_file
from digitnet.trust import trusted

WEIGHTS = Path(__file__).parent / "weights"
"""Where the built-in models lie."""

DEFAULT = "strong"
"""The built-in model used where none is named."""

BATCH = 128
"""Images a run: on two cores `digitnet` was 5 to 34 % faster than with 16, 32 or 64, `strong` as fast as with any."""

LARGEST = 100_000_000
"""A model file of more bytes is refused."""

METADATA = "digitnet"
"""The name of the metadata entry, a JSON object, that makes an ONNX file a model of ours."""

INPUT, PROBABILITIES, DIGITNESS = "images", "probabilities", "digitness"
"""Names of a classifier's input and outputs."""

STRIPS, LOG_PROBS, REACH, PRESENCE = "strips", "log_probabilities", "reach", "presence"
"""Names of a line reader's input and outputs."""

AGAIN = "; export its run again: digitnet export RUN --out FILE.onnx"
"""What to do where a file has no layers to look into."""

YOURS = "if it is your own: digitnet trust"
"""What to do where a file is refused that is not damaged."""

LAYERS = "layers"
"""Where a classifier's metadata names the tensors to look into: maps after each pooling, last the hidden units."""

LINE = "line"
"""The built-in model that reads whole numbers; it classifies no single digits."""

STRIDE = 4
"""Pixels of a strip to one column of a line reader's answer."""

WIDEST = 2000
"""Pixels of the widest strip that `frame.strip` makes."""

MARGIN = 8
"""Pixels of paper put at either end of a strip, so that a line reader sees where it ends."""


_NEEDED = onnxruntime.RunOptions()
_NEEDED.only_execute_path_to_fetches = True  # who asks for probabilities alone does not wait for digit-ness


class OnnxClassifier:
    """A model file as a `Classifier`: (n, 28, 28) uint8 -> (n, 10) float32 probabilities, any n.

    about: the file's metadata: name, recipe, data and their SHA-256, scores, temperature, threshold, versions.
    threshold: images whose `digitness` is lower are to be refused as no digit, 0..1.
    sha256: of the file.
    """

    def __init__(self, path: Path, threads: int = 0) -> None:
        """Load a model file; threads: for one batch, 0 for as many as there are cores.

        Raises ModelError where it cannot be read or is no model of digitnet's.
        """
        self._session, self.about, self._content = _open(path, threads, (INPUT, PROBABILITIES, DIGITNESS))
        self._threads = threads
        self.sha256 = hashlib.sha256(self._content).hexdigest()
        self.threshold: float = self.about["threshold"]
        self.name: str = self.about["name"]

    def __repr__(self) -> str:
        """Say which model it is."""
        return f"<OnnxClassifier {self.name}, {self.sha256[:12]}>"

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the probabilities, (n, 10) float32, each row summing to 1."""
        return self._run([PROBABILITIES], images)[0].reshape(-1, 10)

    def digitness(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return how digit-like each image is, (n,) float32 in 0..1."""
        return self._run([DIGITNESS], images)[0]

    def classify(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return probabilities and digit-ness together, at the price of one."""
        probs, digitness = self._run([PROBABILITIES, DIGITNESS], images)
        return probs.reshape(-1, 10), digitness

    @cached_property
    def trained_on(self) -> ImageSet | None:
        """The images that it was trained on; None where they are not known. Raises ModelError where that is damaged."""
        return trained_on_by_file(self.name, self.about, self._session.get_modelmeta().custom_metadata_map)

    def layers(self, image: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """Return what each layer makes of one image (28, 28) uint8: the maps after every pooling, first to last, each
        (channels, h, w) float32; then the hidden units before the last linear layer, (units,) float32.

        Raises ModelError where the file does not name its layers, as one exported by an older digitnet.
        """
        session = self._looking  # tells names that are no list of names
        found = self._run(self.about[LAYERS], np.asarray(image)[None], session)
        if [layer.ndim for layer in found] != [4] * (len(found) - 1) + [2] or any(len(layer) != 1 for layer in found):
            raise ModelError(f"model {self.name}: its layers {listed(self.about[LAYERS])} are of other shapes{AGAIN}")
        return [layer[0] for layer in found]

    def hidden(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the hidden units before the last linear layer, (n, units) float32. Raises as `layers` does."""
        session = self._looking
        return self._run(self.about[LAYERS][-1:], images, session)[0].reshape(len(images), -1)

    def filters(self) -> NDArray[np.float32]:
        """Return the weights of the first convolution, (channels, h, w) float32.

        This reads the file with the package onnx, of the extra `train`. Raises ModelError where there is
        no convolution of images.
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
        raise ModelError(f"model {self.name}: its first layer is no convolution of images")

    @cached_property
    def _looking(self) -> Any:
        """The session that gives the layers, too; made when first asked for.

        ONNX Runtime tells the outputs of a graph and nothing between. Were the layers outputs of the file itself,
        `digitnet` would take 5 % longer for every batch: to convolve, ONNX Runtime orders channels in a way of its own,
        and would bring them back into the usual order each time.
        """
        names = self.about.get(LAYERS)
        if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
            raise ModelError(f"model {self.name}: does not name its layers{AGAIN}")
        # Protobuf merges what is appended to a message: here a model (7: its graph (12: an output (1: its name))).
        outputs = b"".join(vet.field(12, vet.field(1, name.encode())) for name in names)
        try:
            return _session(self._content + vet.field(7, outputs), self._threads)
        # ONNX Runtime's errors have no common parent but Exception.
        except Exception as error:
            raise ModelError(f"model {self.name}: has no layers {listed(names)}{AGAIN}") from error

    def _run(self, outputs: list[str], images: NDArray[np.uint8], session: Any = None) -> list[NDArray[np.float32]]:
        session = session or self._session
        images = np.asarray(images)
        if images.ndim != 3 or images.shape[1:] != (SIDE, SIDE) or images.dtype != np.uint8:
            raise DataError(
                f"images are {images.shape} {images.dtype}, expected (n, {SIDE}, {SIDE}) uint8; "
                "digitnet.frame() makes such an image of one digit's ink"
            )
        if not len(images):
            return [np.zeros(0, np.float32) for _ in outputs]
        if len(images) <= BATCH:
            return _answer(session, self.name, outputs, {INPUT: images})
        parts = [
            _answer(session, self.name, outputs, {INPUT: images[start : start + BATCH]})
            for start in range(0, len(images), BATCH)
        ]
        return [np.concatenate(column) for column in zip(*parts, strict=True)]


@dataclass(frozen=True)
class Columns:
    """What a line reader says of one strip, column by column, each `STRIDE` pixels wide.

    log_probs: (t, 11) float32, natural logarithms: the digits, then the blank; if the strip shows a number. boxes:
    (t, 4) float32 left, top, right, bottom of the digit at each column, in pixels of the strip; without meaning where
    there is none. presence: (t,) float32, the probability of there being a digit.
    """

    log_probs: NDArray[np.float32]
    boxes: NDArray[np.float32]
    presence: NDArray[np.float32]


class LineReader:
    """A model file that reads strips (STRIP, w) uint8, as `frame.strip` makes them; `about` is the file's metadata."""

    def __init__(self, path: Path, threads: int = 0) -> None:
        """Load a model file; threads: for many strips, 0 for as many as there are cores.

        Raises ModelError where it cannot be read or is no line reader of digitnet's.
        """
        self._session, self.about, content = _open(path, 1, (STRIPS, LOG_PROBS, REACH, PRESENCE))
        self._map = _mapping(threads)
        self.sha256 = hashlib.sha256(content).hexdigest()
        self.name: str = self.about["name"]

    def __repr__(self) -> str:
        """Say which model it is."""
        return f"<LineReader {self.name}, {self.sha256[:12]}>"

    def __call__(self, strips: Sequence[NDArray[np.uint8]]) -> list[Columns]:
        """Read strips of any widths."""
        for strip in strips:
            if strip.ndim != 2 or strip.shape[0] != STRIP or not strip.shape[1] or strip.dtype != np.uint8:
                raise DataError(
                    f"a strip is {strip.shape} {strip.dtype}, expected ({STRIP}, width) uint8; see frame.strip"
                )
        return list(self._map(self._read, strips))

    def _read(self, strip: NDArray[np.uint8]) -> Columns:
        # One at a time: padding to a common width would let a strip's neighbours change its last columns.
        given = {STRIPS: padded([strip])}
        log_probs, reach, presence = _answer(self._session, self.name, [LOG_PROBS, REACH, PRESENCE], given)
        middle = (np.arange(log_probs.shape[1], dtype=np.float32) + 0.5) * STRIDE - MARGIN
        boxes = np.empty_like(reach[0])
        boxes[:, 0], boxes[:, 2] = middle - reach[0, :, 0] * STRIP, middle + reach[0, :, 2] * STRIP
        boxes[:, 1], boxes[:, 3] = STRIP * (0.5 - reach[0, :, 1]), STRIP * (0.5 + reach[0, :, 3])
        return Columns(log_probs[0], boxes, presence[0])


def padded(strips: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Return strips (STRIP, w) in one array (n, STRIP, w'), each after `MARGIN` pixels of paper."""
    wide = max(strip.shape[1] for strip in strips) + 2 * MARGIN
    together = np.zeros((len(strips), STRIP, wide + -wide % STRIDE), np.uint8)
    for row, strip in zip(together, strips, strict=True):
        row[:, MARGIN : MARGIN + strip.shape[1]] = strip
    return together


def line_reader(name_or_path: str | Path = LINE, threads: int = 0) -> LineReader:
    """Return the built-in line reader, or the one in an `.onnx` file. Raises ModelError where there is none."""
    path = WEIGHTS / f"{LINE}.onnx" if str(name_or_path) == LINE else Path(name_or_path)
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
    return [name for name in hashes() if name != LINE]


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _mapping(threads: int) -> Callable[..., Iterable[Any]]:
    """Return what is like `map` and works in so many threads, 0 for as many as there are cores.

    For strips of a page, of which each thread takes its own: ONNX Runtime's own threads share every layer, and a strip
    has few columns to share.
    """
    threads = threads or cores()
    if threads == 1:
        return map
    pool = ThreadPoolExecutor(threads)
    return lambda function, items: pool.map(function, items) if len(items) > 1 else map(function, items)


def _open(path: Path, threads: int, expected: tuple[str, ...]) -> tuple[Any, dict[str, Any], bytes]:
    """Return a model file's session, its metadata and its content."""
    content = _read(path)
    sha256 = hashlib.sha256(content).hexdigest()
    foreign = sha256 not in hashes().values() and not trusted(sha256)
    if foreign and (fault := vet.fault(content)):
        raise ModelError(f"{path}: {fault}" + (f"; {YOURS} {path}" if fault.endswith("not run") else ""))
    try:
        session = vet.careful(content) if foreign else _session(content, threads)
        about: dict[str, Any] = json.loads(session.get_modelmeta().custom_metadata_map[METADATA])
        json.dumps(about, ensure_ascii=False, allow_nan=False).encode()  # else it could not be told over HTTP
        has = {node.name for node in (*session.get_inputs(), *session.get_outputs())}
        about["name"] = str(about["name"])
        if INPUT in expected and STRIPS not in has:  # a line reader has no threshold, and is told below
            about["threshold"] = float(about["threshold"])
    except KeyError as error:
        raise ModelError(f"{path}: an ONNX file, but none that digitnet exported (no {error.args[0]})") from error
    # ONNX Runtime's errors have no common parent but Exception.
    except Exception as error:
        raise _unfit(path) from error
    if INPUT in expected and STRIPS in has:
        raise ModelError(f"{path}: reads whole numbers; score it with: digitnet evaluate --read --data PICTURES")
    if not set(expected) <= has:
        raise ModelError(f"{path}: has {listed(sorted(has))}; expected {', '.join(expected)}")
    if not about["name"].isprintable() or not 0 < len(about["name"]) <= 200:
        raise ModelError(f"{path}: its name is none that can be printed in a line; export it again")
    if INPUT in expected and not 0 <= about["threshold"] <= 1:
        raise ModelError(f"{path}: its threshold is {about['threshold']:g}, not between 0 and 1; export it again")
    if foreign:
        _try(path, session, expected)
        try:
            session = _session(content, threads)
        except Exception as error:
            raise _unfit(path) from error
    return session, about, content


def _unfit(path: Path) -> ModelError:
    return ModelError(f"{path}: not a model that ONNX Runtime {onnxruntime.__version__} can run")


def _try(path: Path, session: Any, expected: tuple[str, ...]) -> None:
    """Raise ModelError unless a model answers the most that it will be given, within bounds, with what it should."""
    lines = STRIPS in expected
    most = WIDEST + 2 * MARGIN if lines else BATCH
    sizes = [max(most // part, 1) for part in (128, 64, 32, 16, 8, 4, 2, 1)]
    inputs = [np.zeros((1, STRIP, size + -size % STRIDE) if lines else (size, SIDE, SIDE), np.uint8) for size in sizes]
    for given in inputs:
        given[..., 10:18, 12:16] = 255
    answers = vet.trial(session, expected[1:], [{expected[0]: given} for given in inputs])
    for given in inputs:
        columns = (1, given.shape[2] // STRIDE)
        shapes = [(*columns, 11), (*columns, 4), columns] if lines else [(len(given), 10), (len(given),)]
        try:
            answer = next(answers)
        except Exception as error:
            bounds = f"{vet.SECONDS:g} s and {vet.MEMORY // 10**6} MB"
            raise ModelError(f"{path}: fails, or takes more than {bounds}, when tried; {YOURS} {path}") from error
        for name, values, shape in zip(expected[1:], answer, shapes, strict=True):
            if values.shape != shape or values.dtype != np.float32:
                raise ModelError(f"{path}: its {name} are {values.shape} {values.dtype}, expected {shape} float32")
            if not np.isfinite(values).all():
                raise ModelError(f"{path}: its {name} are not finite; train and export it again")
        if not lines and not np.allclose(answer[0].sum(axis=1), 1, atol=1e-3):
            raise ModelError(f"{path}: its {PROBABILITIES} do not sum to 1; export it again")


def _answer(session: Any, name: str, outputs: Sequence[str], given: Mapping[str, NDArray[np.uint8]]) -> list[Any]:
    """Run a model; its trial was with other pixels, so ModelError where it fails or is not finite at these."""
    try:
        answers = session.run(outputs, given, _NEEDED)
    except Exception as error:
        raise ModelError(f"model {name}: fails at what it was given; export it again") from error
    if not all(np.isfinite(answer).all() for answer in answers):
        raise ModelError(f"model {name}: answers with values that are not finite; train and export it again")
    return answers  # type: ignore[no-any-return]


def _session(content: bytes, threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4  # what is wrong with a file is said once, by an error of ours
    # With its fallback it would try twice, and print so to standard output.
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"], enable_fallback=0)


def _read(path: Path) -> bytes:
    if path.is_dir():
        raise ModelError(f"{path}: a run's folder; write it as a file first: digitnet export {path} --out FILE.onnx")
    try:
        if path.stat().st_size > LARGEST:
            raise ModelError(f"{path}: more than {LARGEST:,} bytes; no model of digitnet's is so large")
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror})") from error
    return content
