"""Networks of one's own, in a Python file: `my_net.py:MyNet`.

Such a file is code, and making the network runs it. That is done for a file that the user names; a copy of it lies in
the folder of each run that it was trained in, and is run later only if it is on this user's list of trusted files, see
`trust.py`.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from digitnet.core.errors import ModelError
from digitnet.core.text import listed, reason
from digitnet.models.trust import trusted

SOURCE = "network.py"
"""The copy of the file in a run's folder."""

MAX_FILE_BYTES = 1 << 20
"""Largest file of code that is opened, bytes."""


def is_own(name: str) -> bool:
    """Return whether a network's name is that of one's own: a Python file, a colon, and a class or function."""
    return name.partition(":")[0].endswith(".py") and ":" in name


def split(name: str) -> tuple[Path, str]:
    """Return the file and the name in it. Raises ModelError where the name has other parts."""
    path, _, inside = name.rpartition(":")
    if not path.endswith(".py") or not inside.isidentifier():
        raise ModelError(f"network {name!r}: expected FILE.py:NAME, the file and the class in it")
    return Path(path).expanduser(), inside


def source(path: Path) -> bytes:
    """Return a file of code. Raises ModelError where it cannot be read."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}); it is the network's code") from error
    if len(content) > MAX_FILE_BYTES:
        raise ModelError(f"{path}: {len(content):,} bytes; a network's code has at most {MAX_FILE_BYTES:,}")
    return content


def maker(path: Path, inside: str) -> Callable[[], Any]:
    """Run a file of code that the user named and return what makes the network in it.

    Raises ModelError where the code fails or has nothing of that name.
    """
    content = source(path)
    spec = spec_from_file_location(f"digitnet_network_{hashlib.sha256(content).hexdigest()[:12]}", path)
    if spec is None or spec.loader is None:
        raise ModelError(f"{path}: not a Python file")
    module = module_from_spec(spec)
    sys.path.insert(0, str(path.parent.absolute()))  # as python FILE.py has it
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise ModelError(f"{path}: fails when it is run ({type(error).__name__}: {reason(error)})") from error
    finally:
        sys.path.remove(str(path.parent.absolute()))
    found = getattr(module, inside, None)
    if not callable(found):
        names = [name for name, value in vars(module).items() if isinstance(value, type) and not name.startswith("_")]
        raise ModelError(f"{path}: no class or function {inside!r} (it has {listed(names)})")
    made: Callable[[], Any] = found
    return made


def trusted_maker(path: Path, inside: str) -> Callable[[], Any]:
    """Do as `maker` if the file is on the user's list of trusted files. Raises ModelError where it is not."""
    if not trusted(hashlib.sha256(source(path)).hexdigest()):
        raise ModelError(f"{path}: the network's code, which digitnet runs only if you trust it: digitnet trust {path}")
    return maker(path, inside)
