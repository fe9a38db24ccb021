"""What a path of one's own holds: `parts(path) -> {"train": read, "test": read}`, or `{"all": read}`.

Files and folders are known by what is in them, as people get them: from Keras, Kaggle, OpenML, EMNIST, Hugging Face, or
out of a Mac's archive with its hidden files.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from digitnet.core.errors import DataError
from digitnet.core.text import listed
from digitnet.data import formats, pictures
from digitnet.data.formats import PARTS, Arrays

DEEPEST = 3
"""Folders around the one that holds the digits, at most."""

ALIASES = {"train": ("train",), "test": ("test", "t10k")}
"""How names of files and folders of each part begin, or go on after a hyphen."""

Read = Callable[[], Arrays]
"""Reads one part."""


def parts(path: Path) -> dict[str, Read]:
    """Return the readers of a source's parts, of "train" and "test", or of "all" where it has none.

    Raises DataError where the path leads to nothing that digitnet reads.
    """
    return _folder(path, 0) if path.is_dir() else _file(path)


def is_digitnets_own(path: Path) -> bool:
    """Return whether a file is an archive with arrays `images` and `labels`, which are upright by definition."""
    return path.is_file() and _is_npz(path) and formats.npz_arrays(path) == {"all": formats.ARRAYS[0]}


def _is_npz(path: Path) -> bool:
    return path.suffix.lower() == ".npz" or _start(path) == b"PK\3\4"


def _start(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(4)


def _file(path: Path) -> dict[str, Read]:
    """Return the readers of a file, by its name, or by its first bytes where the name tells nothing."""
    suffixes, start = [suffix.lower() for suffix in path.suffixes], _start(path)
    if ".parquet" in suffixes or start == b"PAR1":
        from digitnet.data.parquet import read_parquet

        return {"all": lambda: read_parquet([path])}
    if _is_npz(path):
        return {part: partial(formats.read_npz, path, part) for part in formats.npz_arrays(path)}
    if ".csv" in suffixes:
        return {"all": lambda: formats.read_csv(path)}
    if "ubyte" in path.name or "idx" in path.name or start[:3] == b"\0\0\x08":
        return {"all": lambda: formats.read_idx(path)}
    raise DataError(f"{path}: unknown file type; digitnet reads .csv, .npz, .parquet, IDX (*-ubyte[.gz]) and folders")


def _folder(path: Path, depth: int) -> dict[str, Read]:
    if (path / "MNIST" / "raw").is_dir():
        path = path / "MNIST" / "raw"
    entries = [entry for entry in sorted(path.iterdir()) if not entry.name.startswith((".", "__MACOSX"))]
    folders = [entry for entry in entries if entry.is_dir()]
    files = [entry for entry in entries if entry.is_file()]
    if any(pictures.is_digit_name(entry.name) for entry in folders):
        return {"all": lambda: pictures.read_folder(path)}
    for find in (_idx, _parquet, _pictures):
        if found := find(path, files, folders):
            return found
    if len(pictures.classes_in(path)) > 1:
        return {"all": lambda: pictures.read_folder(path)}
    if len(folders) == 1 and depth < DEEPEST:
        return _folder(folders[0], depth + 1)
    raise DataError(
        f"{path}: no digits found (it has {listed([entry.name for entry in entries], 6)}); digitnet reads folders with "
        "subfolders 0 to 9 of images (or with other names of classes), with train and test folders like that, or with "
        "train-* and t10k-* IDX files"
    )


def _idx(path: Path, files: list[Path], folders: list[Path]) -> dict[str, Read]:
    inside = [entry for folder in folders for entry in sorted(folder.iterdir()) if entry.is_file()]  # as Kaggle's lie
    for there in (files, inside):
        images = [entry for entry in there if "images" in entry.name and "idx" in entry.name]
        if found := _by_part(path, images):
            return {part: partial(formats.read_idx, file) for part, file in found.items()}
        if len(images) == 1:
            return {"all": partial(formats.read_idx, images[0])}
    return {}


def _by_part(path: Path, entries: list[Path]) -> dict[str, Path]:
    """Return the only entry of each part; none unless both are there."""
    found = {part: [each for each in entries if _is_of(each.name, part)] for part in PARTS}
    if not all(found.values()):
        return {}
    for several in found.values():
        plain = [
            each
            for each in several
            if each.with_name(each.name.removesuffix(".gz")) not in several or each.suffix != ".gz"
        ]
        if len({each.name for each in plain}) > 1:
            raise DataError(f"{path}: has {listed([each.name for each in plain], 4)}; name one of them")
        several[:] = plain
    return {part: several[0] for part, several in found.items()}


def _is_of(name: str, part: str) -> bool:
    return any(f"-{name.lower()}".find(f"-{alias}") >= 0 for alias in ALIASES[part])


def _parquet(path: Path, files: list[Path], folders: list[Path]) -> dict[str, Read]:
    from digitnet.data.parquet import read_parquet

    tables = [entry for entry in files if entry.suffix.lower() == ".parquet"]
    found = {part: [entry for entry in tables if _is_of(entry.name, part)] for part in PARTS}
    if all(found.values()):
        return {part: partial(read_parquet, several) for part, several in found.items()}
    return {"all": lambda: read_parquet(tables)} if tables else {}


def _pictures(path: Path, files: list[Path], folders: list[Path]) -> dict[str, Read]:
    named = _by_part(path, folders)
    homes = {part: _home(folder) for part, folder in named.items()}
    return {part: partial(pictures.read_folder, home) for part, home in homes.items()}


def _home(folder: Path) -> Path:
    """Return the folder with a subfolder a digit: this one, or the only one inside it."""
    for _ in range(DEEPEST):
        inside = [each for each in sorted(folder.iterdir()) if each.is_dir() and not each.name.startswith((".", "__"))]
        if len(inside) != 1 or pictures.is_digit_name(inside[0].name):
            break
        folder = inside[0]
    return folder
