"""Models of others that are programs rather than weights: ONNX files, TorchScript, torch.export.

Each becomes a function from (n, 28, 28) floats, scaled as its inputs are, to probabilities. None says how pixels become
its inputs: see `loading.INPUTS`.
"""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import tempfile
import threading
import weakref
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digitnet.core.digits import IMAGE_SIZE
from digitnet.core.errors import ModelError
from digitnet.core.files import ZipBytes
from digitnet.core.text import listed, printable
from digitnet.models import vetting
from digitnet.models.model_file import METADATA, YOURS, content_of

OPERATORS = vetting.OPERATORS | {"Reshape", "Clip", "Dropout", "GlobalAveragePool", "LeakyRelu", "Pad", "Tanh", "Shape"}
"""What ONNX files of others may compute with, besides what digitnet writes."""

BATCH = 256
"""Images at a time."""

SECONDS = 120.0
"""Longest time for a batch, and for loading a program, seconds."""

Program = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""(n, 28, 28) float32 -> (n, 10) float32: logits, logarithms of probabilities, or probabilities."""


class Foreign:
    """A program as a `Classifier`: (n, 28, 28) uint8 -> (n, 10) float32 probabilities.

    mean, std: pixels become (pixel / 255 - mean) / std before the program sees them.
    """

    def __init__(self, program: Program, mean: float, std: float) -> None:
        """Wrap a program."""
        self.program, self.mean, self.std = program, np.float32(mean), np.float32(std)

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the probabilities, each row summing to 1. Raises ModelError where the program fails."""
        parts = [np.empty((0, 10), np.float32)]
        for start in range(0, len(images), BATCH):
            scaled = (images[start : start + BATCH].astype(np.float32) / np.float32(255) - self.mean) / self.std
            parts.append(_probabilities(self.program(scaled)))
        return np.concatenate(parts)


def _probabilities(answers: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a program's answers as probabilities; logits and logarithms of probabilities go through softmax."""
    if not np.isfinite(answers).all():
        raise ModelError("the model answers with values that are not finite")
    if answers.min(initial=0) >= 0 and np.allclose(answers.sum(1), 1, atol=1e-3):
        return answers
    powers = np.exp(answers - answers.max(axis=1, keepdims=True))
    shares: NDArray[np.float32] = powers / powers.sum(axis=1, keepdims=True)
    return shares


def kind_of(path: Path) -> str | None:
    """Return "onnx", "script" or "export" of a program by others; None of weights, and of digitnet's own files."""
    if not path.is_file():
        return None
    if path.suffix == ".onnx":
        return None if vetting.has_metadata(content_of(path), METADATA) else "onnx"
    names = []
    with suppress(zipfile.BadZipFile, OSError, ValueError, NotImplementedError), ZipBytes(path) as file:
        if file.read(4) == b"PK\3\4":
            with zipfile.ZipFile(file) as archive:
                names = archive.namelist()
    if any(name.endswith(("serialized_exported_program.json", "/archive_format")) for name in names):
        return "export"
    return "script" if any("/code/" in name for name in names) else None


def program(path: Path, kind: str) -> Program:
    """Open a program by others of that kind. Raises ModelError where it cannot be run."""
    return OnnxProgram(path) if kind == "onnx" else ChildModel(path, kind)


class OnnxProgram:
    """An ONNX file by others as a `Program`, in ONNX Runtime's bounded memory: one input of images, one of answers."""

    def __init__(self, path: Path) -> None:
        """Load a file. Raises ModelError where it is none that may be run, or takes or gives something else."""
        self.path, content = path, content_of(path)
        if fault := vetting.fault(content, OPERATORS):
            raise ModelError(f"{path}: {fault}")
        try:
            self._session = vetting.careful(content)
        # ONNX Runtime's errors have no common parent but Exception.
        except Exception as error:
            raise ModelError(f"{path}: not a model that ONNX Runtime can run") from error
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        has = listed([f"{node.name} {node.shape} {node.type}" for node in (*inputs, *outputs)])
        if len(inputs) != 1 or inputs[0].type != "tensor(float)" or not outputs:
            raise ModelError(f"{path}: has {has}; expected one input of images as float32, and ten answers")
        self._input, self._output, self._has = inputs[0], outputs[0].name, has
        shape = [size if isinstance(size, int) and size > 0 else 0 for size in self._input.shape]
        layout = _layout(shape[1:])
        if layout is None:
            raise ModelError(f"{path}: has {has}; expected an input of 28x28 grey images")
        self._batch, self._shape = shape[0], layout

    def __call__(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the answers (n, 10)."""
        size, parts = self._batch or len(images), []
        for start in range(0, len(images), size):
            part = images[start : start + size]
            given = np.concatenate([part, np.repeat(part[-1:], size - len(part), axis=0)])
            try:
                (answers,) = next(
                    vetting.trial(self._session, [self._output], [{self._input.name: given.reshape(-1, *self._shape)}])
                )
            except Exception as error:
                raise ModelError(f"{self.path}: fails on images ({self._has}); {YOURS} {self.path}") from error
            if np.size(answers) != 10 * size:
                raise ModelError(f"{self.path}: answers {np.shape(answers)} to {size} images, expected ({size}, 10)")
            parts.append(np.asarray(answers, np.float32).reshape(size, 10)[: len(part)])
        return np.concatenate(parts)


def _layout(shape: list[int]) -> tuple[int, ...] | None:
    """Return the shape of one image of those that an input takes; None where it takes something else."""
    for layout in (
        (1, IMAGE_SIZE, IMAGE_SIZE),
        (IMAGE_SIZE, IMAGE_SIZE, 1),
        (IMAGE_SIZE, IMAGE_SIZE),
        (IMAGE_SIZE * IMAGE_SIZE,),
    ):
        if len(shape) == len(layout) and all(size in (0, ours) for size, ours in zip(shape, layout, strict=True)):
            return layout
    return None


class ChildModel:
    """A TorchScript or torch.export file as a `Program`, in a process of its own, under the limits of `child.py`."""

    def __init__(self, path: Path, kind: str) -> None:
        """Start the process and load the file there. Raises ModelError where it fails."""
        self.path = path
        command = [sys.executable, "-m", "digitnet.models.child", kind, str(path.absolute())]
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 closed by _end
        home = os.pathsep.join([str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])])
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            bufsize=0,
            env=os.environ | {"PYTHONPATH": home},
        )
        weakref.finalize(self, _end, self._process, self._errors)
        self._answer()

    def __call__(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the answers (n, 10)."""
        content = struct.pack("<Q", len(images)) + np.ascontiguousarray(images, "<f4").tobytes()
        with suppress(BrokenPipeError):  # why it ended is told instead of an answer
            view = memoryview(content)
            while view:
                view = view[self._pipe(self._process.stdin).write(view) :]
        return np.frombuffer(self._answer(), "<f4").reshape(len(images), 10)

    def _answer(self) -> bytes:
        timer = threading.Timer(SECONDS, self._process.kill)
        timer.start()
        try:
            failed, size = struct.unpack("<BQ", self._read(9))
            content = self._read(size)
        except EOFError:
            raise ModelError(
                f"{self.path}: ended, or took more than {SECONDS:g} s or the memory that programs by others may have"
            ) from None
        finally:
            timer.cancel()
        if failed:
            reason = printable(content.decode("utf-8", "replace"))
            raise ModelError(
                f"{self.path}: cannot be run ({reason}); save its weights: torch.save(model.state_dict(), PATH)"
            )
        return content

    def _read(self, size: int) -> bytes:
        content = b""
        while len(content) < size:
            part = self._pipe(self._process.stdout).read(size - len(content))
            if not part:
                raise EOFError
            content += part
        return content

    @staticmethod
    def _pipe(pipe: Any) -> Any:
        assert pipe is not None  # noqa: S101 both are pipes
        return pipe


def _end(process: subprocess.Popen[bytes], errors: Any) -> None:
    process.kill()
    process.wait()
    for file in (process.stdin, process.stdout, errors):
        if file is not None:
            with suppress(OSError):
                file.close()
