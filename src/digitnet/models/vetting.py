"""Validation of ONNX files: their bytes before ONNX Runtime sees them, and a trial run before they are used.

A model of digitnet's is a chain of a few dozen plain operators over weights that lie in the file. Whatever else ONNX
can say is refused by its place in the file: operators outside `OPERATORS` or of another domain, subgraphs (If, Loop,
Scan), functions, sparse and string tensors, tensors kept in other files, training graphs, fields that ONNX does not
have, tensors whose shape claims more than the bytes that they bring, and windows wide enough to blow a digit up to
gigabytes. So nothing in a file loops, allocates what it does not bring, or names another file.

What is left, a graph of such operators that multiplies one large weight with another, is tried on as much as it will
ever be given at once, in a session whose memory is bounded, and is stopped where it takes too long.

The numbers of the fields are those of onnx.proto3 (ONNX 1.17); the wire format is that of Protocol Buffers.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache
from typing import Any

import onnxruntime  # type: ignore[import-untyped]
from numpy.typing import NDArray

from digitnet.models.trained_on import IMAGES

OPERATORS = frozenset(
    [
        *("Add", "AveragePool", "BatchNormalization", "Cast", "Concat", "Constant", "Conv", "Div", "Exp", "Flatten"),
        *("Gather", "Gemm", "GreaterOrEqual", "Identity", "LayerNormalization", "LogSoftmax", "MatMul"),
        *("MaxPool", "Mul", "ReduceLogSumExp", "ReduceMean", "Relu", "Sigmoid", "Slice", "Softmax", "Split"),
        *("Squeeze", "Sub", "Transpose", "Unsqueeze"),
    ]
)
"""The operators that `digitnet export` writes, and Identity. None loops."""

ENLARGING = frozenset(["DepthToSpace", "Resize"])
"""The operators that a page network needs as well: its maps are finer than its last layers."""

MAX_INTEGER = 64
"""Largest integer of an operator's attribute, such as the width of a window; exports have at most 5."""

MAX_FIELDS = 50_000
"""Fields of a file beyond which it is refused: exports have some 1,500."""

MAX_METADATA = 1_000_000
"""Bytes of an entry of the metadata that is JSON, which takes many times as much once read; exports have some 1,500."""

MEMORY = 800_000_000
"""Bytes that a trial may take; `strong` takes 60 million for the largest batch."""

SECONDS = 5.0
"""Seconds of the processor, which a busy machine takes longer for, that a trial may take."""

KINDS = frozenset([1, 2, 6, 7, 9, 10, 11])
"""Kinds of a tensor's values: float32, uint8, int32, int64, bool, float16, float64."""

_NO_MODEL = "not a model that ONNX Runtime can run"
_MODEL, _GRAPH, _NODE, _ATTRIBUTE, _TENSOR = "a model", "a graph", "an operator", "an attribute", "a tensor"
_ONNX = {*range(1, 9), 14, 20, 25, 26}
"""Fields of a model in the ONNX format."""
_BELOW = {_MODEL: {7: _GRAPH}, _GRAPH: {1: _NODE, 5: _TENSOR}, _NODE: {5: _ATTRIBUTE}, _ATTRIBUTE: {5: _TENSOR}}
_PLAIN = {
    _MODEL: {1, 2, 3, 4, 5, 6, 8, 14},
    _GRAPH: {2, 10, 11, 12, 13, 16},
    _NODE: {1, 2, 3, 4, 6, 7, 9},
    _ATTRIBUTE: {1, 2, 3, 4, 7, 8, 13, 20},
    _TENSOR: {1, 2, 4, 5, 7, 8, 9, 10, 11, 12, 14},
}


def fault(content: bytes, operators: frozenset[str] = OPERATORS) -> str | None:
    """Say in words why a file is no model that may be opened, or None where it may be; operators: those allowed."""
    try:
        _check(content, _MODEL, [MAX_FIELDS], {name.encode() for name in operators})
    except _FaultError as error:
        return str(error)
    return None


class _FaultError(Exception):
    """What is wrong with a file."""


def _check(content: bytes, what: str, left: list[int], operators: Container[int | bytes]) -> None:
    """Look at a message and those within it; left: fields that may still come."""
    dims: list[int] = []
    for number, value in _fields(content):
        left[0] -= 1
        if left[0] < 0:
            raise _FaultError(f"has more than {MAX_FIELDS:,} parts; digitnet's own models have fewer")
        if (below := _BELOW.get(what, {}).get(number)) is not None:
            if not isinstance(value, bytes):
                raise _FaultError(f"{_NO_MODEL} (damaged); copy it again")
            _check(value, below, left, operators)
        elif (what == _TENSOR and number == 13) or (what == _TENSOR and number == 14 and value):
            raise _FaultError("stores its weights in other files; export it again as one file")
        elif what == _MODEL and number == 14 and _long_metadata(value):
            raise _FaultError(f"has metadata of more than {MAX_METADATA:,} bytes; export it again")
        elif what == _MODEL and number not in _ONNX:
            raise _FaultError(f"{_NO_MODEL} (not an ONNX file); choose another")
        elif number not in _PLAIN[what]:
            raise _FaultError(f"has {what} with a field that digitnet does not write ({number}); export it again")
        elif what == _NODE and number == 4 and value not in operators:
            shown = ascii(value[:40].decode("utf-8", "replace") if isinstance(value, bytes) else value)
            raise _FaultError(f"has the operator {shown}, which digitnet's own models do not need; it is not run")
        elif what == _NODE and number == 7 and value not in (b"", b"ai.onnx"):
            raise _FaultError("has operators that are not ONNX's own; they are not run")
        elif what == _ATTRIBUTE and number in (3, 8):
            if max(map(abs, _integers(value)), default=0) > MAX_INTEGER:
                raise _FaultError(f"has an operator with an integer above {MAX_INTEGER}; it is not run")
        elif what == _TENSOR and number == 1:
            dims += _integers(value)
        elif what == _TENSOR and number == 2 and value not in KINDS:
            raise _FaultError("has a tensor that does not contain numbers; export it again")
    if what == _TENSOR and (min(dims, default=0) < 0 or math.prod(dims) > len(content)):
        raise _FaultError(f"has a tensor {tuple(dims[:8])} in {len(content):,} bytes; copy it again")


def operators(content: bytes) -> set[str]:
    """Return the names of the operators of a model that was opened."""
    graphs = [value for number, value in _fields(content) if number == 7 and isinstance(value, bytes)]
    nodes = [value for graph in graphs for number, value in _fields(graph) if number == 1 and isinstance(value, bytes)]
    return {
        value.decode() for node in nodes for number, value in _fields(node) if number == 4 and isinstance(value, bytes)
    }


def has_metadata(content: bytes, name: str) -> bool:
    """Return whether a model has an entry of that name in its metadata; also true of what cannot be told."""
    try:
        entries = [value for number, value in _fields(content) if number == 14 and isinstance(value, bytes)]
        return any(dict(_fields(entry)).get(1) == name.encode() for entry in entries)
    except _FaultError:
        return True


def _long_metadata(value: int | bytes) -> bool:
    """Return whether an entry of the metadata, a key and a value, is longer than JSON may be."""
    if isinstance(value, int) or len(value) <= MAX_METADATA:
        return False
    return dict(_fields(value)).get(1) != IMAGES.encode()


def _fields(content: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield the fields of a message: their number and value."""
    at = 0
    while at < len(content):
        key, at = _varint(content, at)
        match key & 7:
            case 0:
                value, at = _varint(content, at)
                yield key >> 3, value
                continue
            case 1:
                length = 8
            case 2:
                length, at = _varint(content, at)
            case 5:
                length = 4
            case _:
                raise _FaultError(f"{_NO_MODEL} (damaged); copy it again")
        if at + length > len(content):
            raise _FaultError(f"{_NO_MODEL} (cut short); copy it again")
        yield key >> 3, content[at : at + length]
        at += length


def _varint(content: bytes, at: int) -> tuple[int, int]:
    """Return the integer at a place, and the place behind it."""
    value = 0
    for place, byte in enumerate(content[at : at + 10]):
        value |= (byte & 127) << 7 * place
        if byte < 128:
            return value & (1 << 64) - 1, at + place + 1
    raise _FaultError(f"{_NO_MODEL} (cut short); copy it again")


def _integers(value: int | bytes) -> list[int]:
    """Return the signed integers of a field: one, or several packed into bytes."""
    found: list[int] = []
    if isinstance(value, int):
        found.append(value)
    else:
        at = 0
        while at < len(value):
            one, at = _varint(value, at)
            found.append(one)
    return [one - (1 << 64) if one >> 63 else one for one in found]


def careful(content: bytes) -> Any:
    """Return a session that computes nothing before it is asked, and then within `MEMORY`, on one thread.

    An ordinary one computes what is constant in a graph when it is made, with all the memory that there is.
    Raises what ONNX Runtime raises.
    """
    _bound_memory()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.add_session_config_entry("session.use_env_allocators", "1")
    # With its fallback it would try twice, and print so to standard output.
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"], enable_fallback=0)


def trial(
    session: Any, outputs: Sequence[str], inputs: Iterable[Mapping[str, NDArray[Any]]]
) -> Iterator[list[NDArray[Any]]]:
    """Yield a careful session's outputs of each of the inputs; raises what ONNX Runtime raises, and after `SECONDS`.

    It is stopped between two operators only. So give small inputs first, each at most twice as large as the last:
    then no operator takes more than twice `SECONDS`.
    """
    running, over = onnxruntime.RunOptions(), threading.Event()
    began = time.process_time()

    def watch() -> None:
        while not over.wait(0.05):
            if time.process_time() - began > SECONDS:
                running.terminate = True
                return

    threading.Thread(target=watch, daemon=True).start()
    try:
        for given in inputs:
            yield session.run(list(outputs), given, running)
    finally:
        over.set()


@cache
def _bound_memory() -> None:
    """Make the allocator of careful sessions: the process has one to share, and other sessions do not ask for it."""
    kind, usual = onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, onnxruntime.OrtMemType.DEFAULT
    place = onnxruntime.OrtMemoryInfo("Cpu", kind, 0, usual)
    with suppress(Exception):  # the program that we are part of has made one
        onnxruntime.create_and_register_allocator(
            place, onnxruntime.OrtArenaCfg({"max_mem": MEMORY, "arena_extend_strategy": 1})
        )


def field(number: int, content: bytes) -> bytes:
    """Return a protobuf field that holds bytes: its number and kind, its length in sevens of bits, and they."""
    length, sevens = len(content), b""
    while length > 127:
        length, sevens = length >> 7, sevens + bytes([length & 127 | 128])
    return bytes([number << 3 | 2]) + sevens + bytes([length]) + content
