"""The child process in which programs by others run: `python -m digitnet.models.child KIND FILE`.

Only `foreign.py` starts it. A TorchScript or torch.export file is a program, not weights. It runs without PyTorch's
unpickling of objects, without network, other programs or files, and within limits of memory and time.
Images come on standard input and answers go to standard output: see `foreign.ChildModel`.
"""

from __future__ import annotations

import io
import os
import struct
import sys
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

MEMORY = 3 << 30
"""Bytes of data that the process may have, PyTorch's included."""

SECONDS = 1800
"""Seconds of the processor that the process may take, over all images."""

LAYOUTS: Sequence[tuple[int, ...]] = ((-1, 1, 28, 28), (-1, 784), (-1, 28, 28), (-1, 28, 28, 1))
"""Shapes of the input that are tried, in this order."""

REFUSED = (
    *("pickle.find_class", "socket.", "subprocess.", "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.spawn"),
    *("ctypes.", "os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.chmod", "shutil."),
)
"""What begins the names of Python's audit events that end the program."""


def main() -> None:
    """Load the program, then answer batch after batch until standard input ends."""
    kind, path = sys.argv[1:]
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    torch.set_num_threads(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1)
    with open(path, "rb") as file:  # noqa: PTH123 before anything of the program runs
        content = io.BytesIO(file.read())
    if kind == "export":
        from torch.export import pt2_archive  # noqa: F401 makes a cache folder when it is imported
    _limit()
    try:
        model, size = _script(content) if kind == "script" else _exported(content)
        layout: tuple[int, ...] | None = None
        _send(answers, b"")
        while head := sys.stdin.buffer.read(8):
            count = struct.unpack("<Q", head)[0]
            images = torch.frombuffer(bytearray(sys.stdin.buffer.read(count * 784 * 4)), dtype=torch.float32)
            layout, logits = _answer(model, images.view(count, 784), size, layout)
            _send(answers, logits.contiguous().numpy().tobytes())
    except BaseException as error:  # whatever a program raises
        lines = str(error).strip().splitlines() or [type(error).__name__]
        _send(answers, lines[-1][:200].encode("utf-8", "replace"), failed=True)


def _send(file: Any, content: bytes, failed: bool = False) -> None:
    file.write(struct.pack("<BQ", failed, len(content)) + content)
    file.flush()


def _limit() -> None:
    import resource

    for limit, value in (
        (resource.RLIMIT_DATA, MEMORY),
        (resource.RLIMIT_CPU, SECONDS),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (value, value))

    def audit(event: str, arguments: tuple[Any, ...]) -> None:
        if event.startswith(REFUSED) or (event == "open" and _writes(arguments)):
            raise PermissionError(f"it asks for {event}, which is not allowed")

    sys.addaudithook(audit)


def _writes(arguments: tuple[Any, ...]) -> bool:
    mode, flags = arguments[1], arguments[2]
    if isinstance(mode, str):
        return any(letter in mode for letter in "wax+")
    return bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))


def _script(content: io.BytesIO) -> tuple[Callable[[Tensor], Any], int]:
    module = torch.jit.load(content, map_location="cpu")  # type: ignore[no-untyped-call]
    return module.eval(), 0


def _exported(content: io.BytesIO) -> tuple[Callable[[Tensor], Any], int]:
    """Return the program and the batch that it takes, 0 for any."""
    program = torch.export.load(content)
    names = set(program.graph_signature.user_inputs)
    shape = next(node.meta["val"].shape for node in program.graph.nodes if node.name in names)
    return program.module(), shape[0] if isinstance(shape[0], int) else 0


def _answer(
    model: Callable[[Tensor], Any], images: Tensor, size: int, layout: tuple[int, ...] | None
) -> tuple[tuple[int, ...], Tensor]:
    """Return the layout of the input that the program takes, and its answers (n, 10)."""
    faults = []
    for shape in LAYOUTS if layout is None else [layout]:
        try:
            parts = []
            for part in torch.split(images, size or len(images)):
                given = torch.cat([part, part[-1:].expand(size - len(part), -1)]) if size > len(part) else part
                with torch.no_grad():
                    parts.append(model(given.reshape(shape))[: len(part)])
            answers = torch.cat(parts).float()
            if answers.shape != (len(images), 10):
                raise ValueError(f"it returns {tuple(answers.shape)} for {len(images)} images, expected logits (n, 10)")
            return shape, answers
        except Exception as error:
            faults.append(error)
    raise faults[0]


if __name__ == "__main__":
    main()
