"""Model files of classifiers and line readers: opening, validating and running them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Container, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime  # type: ignore[import-untyped]
from numpy.typing import NDArray

from digitnet.core.classes import class_names
from digitnet.core.digits import DIGITS, IMAGE_SIZE, STRIP_HEIGHT
from digitnet.core.errors import ModelError
from digitnet.core.text import listed
from digitnet.models import vetting
from digitnet.models.trust import trusted

LAYERS = "layers"
"""Where a classifier's metadata names the tensors to look into: maps after each pooling, last the hidden units."""

BATCH = 128
"""Images a run: on two cores `digitnet` was 5 to 34% faster than with 16, 32 or 64, `strong` as fast as with any."""

MAX_FILE_BYTES = 100_000_000
"""A model file of more bytes is refused."""

METADATA = "digitnet"
"""The name of the metadata entry, a JSON object, that makes an ONNX file a model of ours."""

INPUT, PROBABILITIES, DIGITNESS = "images", "probabilities", "digitness"
"""Names of a classifier's input and outputs."""

STRIPS, LOG_PROBS, REACH, PRESENCE = "strips", "log_probabilities", "reach", "presence"
"""Names of a line reader's input and outputs."""

YOURS = "if it is your own: digitnet trust"
"""What to do where a file is refused that is not damaged."""

ALPHABET = "alphabet"
"""Where a line reader's metadata names the characters it knows; without it they are the ten digits."""

STRIDE = 4
"""Pixels of a strip to one column of a line reader's answer."""

MAX_STRIP_WIDTH = 2000
"""Pixels of the widest strip that `normalization.strip` makes."""

MARGIN = 8
"""Pixels of paper put at either end of a strip, so that a line reader sees where it ends."""

_NEEDED = onnxruntime.RunOptions()
_NEEDED.only_execute_path_to_fetches = True  # who asks for probabilities alone does not wait for digit-ness


def open_model(
    path: Path, threads: int, expected: tuple[str, ...], known: Container[str]
) -> tuple[Any, dict[str, Any], bytes]:
    """Return a model file's session, its metadata and its content.

    expected: names of its input and outputs. known: SHA-256 of files that are opened without a trial. Raises
    ModelError where it cannot be read or is none that digitnet may run.
    """
    content = content_of(path)
    sha256 = hashlib.sha256(content).hexdigest()
    foreign = sha256 not in known and not trusted(sha256)
    if foreign and (fault := vetting.fault(content)):
        raise ModelError(f"{path}: {fault}" + (f"; {YOURS} {path}" if fault.endswith("not run") else ""))
    try:
        session = vetting.careful(content) if foreign else session_of(content, threads)
        about: dict[str, Any] = json.loads(session.get_modelmeta().custom_metadata_map[METADATA])
        json.dumps(about, ensure_ascii=False, allow_nan=False).encode()  # else it could not be told over HTTP
        has = {node.name for node in (*session.get_inputs(), *session.get_outputs())}
        about["name"] = str(about["name"])
        if INPUT in expected and STRIPS not in has:  # a line reader has no threshold, and is told below
            about["threshold"] = float(about["threshold"])
    except KeyError as error:
        raise ModelError(f"{path}: an ONNX file that was not exported by digitnet (no {error.args[0]})") from error
    # ONNX Runtime's errors have no common parent but Exception.
    except Exception as error:
        raise _unfit(path) from error
    if INPUT in expected and STRIPS in has:
        raise ModelError(f"{path}: reads whole numbers; score it with: digitnet evaluate --read --data FOLDER")
    if not set(expected) <= has:
        raise ModelError(f"{path}: has {listed(sorted(has))}; expected {', '.join(expected)}")
    if not about["name"].isprintable() or not 0 < len(about["name"]) <= 200:
        raise ModelError(f"{path}: the model name in its metadata is empty, too long or not printable; export it again")
    if INPUT in expected and not 0 <= about["threshold"] <= 1:
        raise ModelError(f"{path}: its threshold is {about['threshold']:g}, not between 0 and 1; export it again")
    alphabet = about.get(ALPHABET, DIGITS)
    if not isinstance(alphabet, str) or not alphabet.startswith(DIGITS) or len(set(alphabet)) < len(alphabet):
        raise ModelError(f"{path}: its alphabet must consist of the ten digits and signs, each once; export it again")
    classes = len(class_names(about, path)) if INPUT in expected else len(alphabet) + 1
    if foreign:
        _try(path, session, expected, classes)
        try:
            session = session_of(content, threads)
        except Exception as error:
            raise _unfit(path) from error
    return session, about, content


def _unfit(path: Path) -> ModelError:
    return ModelError(f"{path}: not a model that ONNX Runtime {onnxruntime.__version__} can run")


def _try(path: Path, session: Any, expected: tuple[str, ...], classes: int) -> None:
    """Raise ModelError unless a model answers the most that it will be given, within bounds, with what it should."""
    lines = STRIPS in expected
    most = MAX_STRIP_WIDTH + 2 * MARGIN if lines else BATCH
    sizes = [max(most // part, 1) for part in (128, 64, 32, 16, 8, 4, 2, 1)]
    inputs = [
        np.zeros((1, STRIP_HEIGHT, size + -size % STRIDE) if lines else (size, IMAGE_SIZE, IMAGE_SIZE), np.uint8)
        for size in sizes
    ]
    for given in inputs:
        given[..., 10:18, 12:16] = 255
    answers = vetting.trial(session, expected[1:], [{expected[0]: given} for given in inputs])
    for given in inputs:
        columns = (1, given.shape[2] // STRIDE)
        shapes = [(*columns, classes), (*columns, 4), columns] if lines else [(len(given), classes), (len(given),)]
        try:
            answer = next(answers)
        except Exception as error:
            bounds = f"{vetting.SECONDS:g} s and {vetting.MEMORY // 10**6} MB"
            raise ModelError(f"{path}: fails, or takes more than {bounds}, when tried; {YOURS} {path}") from error
        for name, values, shape in zip(expected[1:], answer, shapes, strict=True):
            if values.shape != shape or values.dtype != np.float32:
                raise ModelError(f"{path}: its {name} are {values.shape} {values.dtype}, expected {shape} float32")
            if not np.isfinite(values).all():
                raise ModelError(f"{path}: its {name} are not finite; train and export it again")
        if not lines and not np.allclose(answer[0].sum(axis=1), 1, atol=1e-3):
            raise ModelError(f"{path}: its {PROBABILITIES} do not sum to 1; export it again")


def answer_of(session: Any, name: str, outputs: Sequence[str], given: Mapping[str, NDArray[np.uint8]]) -> list[Any]:
    """Run a model; its trial was with other pixels, so ModelError where it fails or is not finite at these."""
    try:
        answers = session.run(outputs, given, _NEEDED)
    except Exception as error:
        raise ModelError(f"model {name}: fails on its input; export it again") from error
    if not all(np.isfinite(answer).all() for answer in answers):
        raise ModelError(f"model {name}: returns values that are not finite; train and export it again")
    return answers  # type: ignore[no-any-return]


def session_of(content: bytes, threads: int) -> Any:
    """Return a session of ONNX Runtime for a file that may be run; threads: 0 for as many as there are cores."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # beside busy programs it costs time
    options.log_severity_level = 4  # what is wrong with a file is said once, by an error of ours
    # With its fallback it would try twice, and print so to standard output.
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"], enable_fallback=0)


def content_of(path: Path) -> bytes:
    """Return the bytes of a model file. Raises ModelError where it cannot be read or is too large."""
    if path.is_dir():
        raise ModelError(f"{path} is the folder of a run; export it first: digitnet export {path} --out FILE.onnx")
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ModelError(f"{path}: more than {MAX_FILE_BYTES:,} bytes; digitnet's own models are smaller")
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror})") from error
    return content
