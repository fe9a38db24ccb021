"""The user's list of trusted model files, by SHA-256, which may contain operators beyond digitnet's own.

`export` records a file that digitnet would otherwise refuse; `digitnet trust FILE` records one from another machine.
The list belongs to the user, and each line is a SHA-256 and, for people, a path.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from digitnet.core.errors import ModelError
from digitnet.core.text import printable

LIST = "DIGITNET_TRUST"
"""The environment variable that names the list."""

_made_here: set[str] = set()


def trust_list() -> Path:
    """Return the list's path: `DIGITNET_TRUST`, else `trusted` in the platform's folder for digitnet's settings."""
    if named := os.environ.get(LIST):
        return Path(named)
    from platformdirs import user_config_path

    return user_config_path("digitnet", appauthor=False) / "trusted"


def trust_here(path: Path) -> None:
    """Trust a file's content in this process alone."""
    _made_here.add(_sha256(path))


def trusted(sha256: str) -> bool:
    """Return whether a file with this SHA-256 (hex) is on the list, or was made in this process."""
    if sha256 in _made_here:
        return True
    try:
        lines = trust_list().read_text(encoding="utf-8", errors="replace").splitlines()
    except (OSError, RuntimeError):  # of platformdirs, where the home folder is not known
        return False
    return any(line.split(maxsplit=1)[:1] == [sha256] for line in lines)


def trust(path: str | Path) -> str:
    """Put a file's content on the list and return its SHA-256. Raises ModelError where it or the list cannot be."""
    path = Path(path)
    sha256, place = _sha256(path), trust_list()
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("a", encoding="utf-8", errors="replace") as file:
            file.write(f"{sha256}  {printable(str(path.absolute()))}\n")
    except OSError as error:
        raise ModelError(
            f"{place}: cannot be written ({error.strerror}), so {path} is not trusted; name another list with {LIST}"
        ) from error
    return sha256


def _sha256(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror})") from error
