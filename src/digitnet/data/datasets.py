"""Named data sets and your own: `load(name_or_path) -> Digits`, and the splits for training.

A named set is looked for in the cache, in folders as torchvision lays them out, and then fetched; each of its files
is verified by SHA-256 every time. A path is read as what it is: see `own.py`.
"""

from __future__ import annotations

import hashlib
import logging
import os
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from digitnet.core.classes import DIGIT_NAMES, check_names, ordered
from digitnet.core.digits import Digits
from digitnet.core.errors import DataError
from digitnet.data import fonts, formats, own
from digitnet.data.download import File, fetch
from digitnet.data.fonts import FONTS, FontSet
from digitnet.data.mnist import MNIST, WRONG_TEST_LABELS, Dataset
from digitnet.data.pixels import coded, upright

log = logging.getLogger("digitnet")

SPLITS = ("train", "test", "all")
"""What `load` can give: the training digits, the test digits, or both, training first."""

SPLIT_SEED = 0
"""Seed of every split, so that all runs on the same data hold out the same digits."""

DATASETS: dict[str, Dataset | FontSet] = {MNIST.name: MNIST, FONTS.name: FONTS}
"""The named data sets of images."""

TRAJECTORIES = "unipen"
"""The named set of pen trajectories, which `unipen.load` gives."""


def data_folder(data_dir: str | Path | None = None) -> Path:
    """Return the folder that keeps named data sets.

    It is `data_dir`, else the environment's DIGITNET_DATA, else the platform's cache folder for digitnet.
    """
    chosen = data_dir or os.environ.get("DIGITNET_DATA")
    if chosen:
        return Path(chosen).expanduser()
    import platformdirs

    return Path(platformdirs.user_cache_dir("digitnet", appauthor=False))


def find(
    dataset: Dataset | FontSet, file: File, data_dir: str | Path | None = None
) -> tuple[Path, bytes | bytearray] | None:
    """Return where a file of a named set is, and its verified bytes; None where it is nowhere.

    Looked through: the cache (`DIR/mnist/NAME`, or NAME right in DIR), and torchvision's layout
    (`MNIST/raw/NAME[.gz]`) in DIR, in `./data` and in the current folder. A damaged file is passed over,
    with a warning in the log.
    """
    folder = data_folder(data_dir)
    layout = Path(dataset.name.upper()) / "raw"
    places = [folder / dataset.name, folder, folder / "raw", folder / layout, Path("data") / layout, layout]
    for place in places:
        for path in (place / file.name, place / f"{file.name}.gz"):
            if not path.is_file():
                continue
            try:
                data = formats.read_bytes(path, file.size)
                fault = file.fault(data)
            except DataError as error:
                fault = str(error)
            if fault is None:
                return path, data
            log.warning("skipping %s: %s", path, fault)
    return None


def get(dataset: Dataset | FontSet, data_dir: str | Path | None = None) -> list[Path]:
    """Download the missing files of a named data set; return the path of each of its files.

    Raises DataError with the attempted sources and the manual alternative.
    """
    return [path for path, _ in _files(dataset, dataset.files, data_dir)]


def _files(
    dataset: Dataset | FontSet, files: Sequence[File], data_dir: str | Path | None
) -> list[tuple[Path, bytes | bytearray]]:
    found = {file: find(dataset, file, data_dir) for file in files}
    missing = [file for file, hit in found.items() if hit is None]
    folder = data_folder(data_dir) / dataset.name
    if missing:
        try:
            if isinstance(dataset, FontSet):
                dataset.fetch(missing, folder)
            else:
                fetch(missing, dataset.sources, folder)
        except DataError as error:
            names = ", ".join(file.name for file in dataset.files[:4])
            names += f" and {len(dataset.files) - 4} more" if len(dataset.files) > 4 else ""
            raise DataError(
                f"{error}. Without a network, put {names} (plain or .gz) into {folder}, "
                "or name a folder that contains them with --data-dir or DIGITNET_DATA."
            ) from error
        found |= {file: (folder / file.name, (folder / file.name).read_bytes()) for file in missing}
    return [hit for hit in found.values() if hit is not None]


def load(name_or_path: str | Path, split: str = "test", data_dir: str | Path | None = None) -> Digits:
    """Load digits by the name of a data set, downloaded if necessary, or from a file or folder.

    name_or_path: a name of `DATASETS`; or an IDX file (plain or .gz), a CSV, a .npz, a Parquet file, a folder with a
        subfolder of images per digit, or per class of another name, or a folder with `train` and `test` parts of such
        files or subfolders.
    split: "train", "test" or "all". A source without these parts returns all its digits for any split.
    data_dir: the folder of the named data sets; see `data_folder`.

    Images are (n, 28, 28) uint8, 0 background .. 255 ink; labels are None if the source has no labels. Labels other
    than the ten digits, text or whole numbers, are sorted and become `Digits.names`. Warns
    (UserWarning) if images from a path look like dark ink on light paper or are blank, or if their rows and columns are
    swapped, as in EMNIST's files; these are transposed. Other conversions, such as values 0..1 or another size, are
    logged. Raises DataError with the file and its fault.
    """
    if split not in SPLITS:
        raise DataError(f"split {split!r}: choose one of {', '.join(SPLITS)}")
    parts = _parts(name_or_path, data_dir)
    chosen = [part for name, part in parts.items() if split in ("all", name) or name == "all"]
    columns = [part() for part in chosen]
    images = columns[0][0] if len(columns) == 1 else np.concatenate([images for images, _ in columns])
    found = [labels for _, labels in columns if labels is not None]
    if any(part.dtype.kind == "U" for part in found):
        found = [part.astype(str) for part in found]
    labels = (found[0] if len(found) == 1 else np.concatenate(found)) if len(found) == len(columns) else None
    try:
        digits = Digits(images, None) if labels is None else _named(images, labels)
    except DataError as error:
        raise DataError(f"{name_or_path}: {error}") from error
    if not len(digits):
        raise DataError(f"{name_or_path}: contains no digits")
    if str(name_or_path) not in DATASETS:
        own_archive = own.is_digitnets_own(Path(name_or_path).expanduser())
        digits = upright(digits, name_or_path, refuse=not own_archive)
        _warn_of_surprises(digits, name_or_path)
    return digits


def _named(images: NDArray[np.uint8], labels: NDArray[Any]) -> Digits:
    numbers, names = coded(labels)
    if names != DIGIT_NAMES:
        check_names(names)
    return Digits(images, numbers, names=names)


def part_names(name_or_path: str | Path) -> tuple[str, ...]:
    """Return the parts that a source has, as `load` takes them: "train" and "test", or "all" where it has none."""
    return tuple(_parts(name_or_path, None))


def _parts(name_or_path: str | Path, data_dir: str | Path | None) -> dict[str, Callable[[], formats.Arrays]]:
    """Return the readers of a source's parts: of "train" and "test", or of "all"."""
    dataset = DATASETS.get(str(name_or_path))
    if str(name_or_path) == TRAJECTORIES:
        raise DataError(
            f"{TRAJECTORIES} contains pen trajectories, not images; read them with digitnet.data.unipen.load()"
        )
    if isinstance(dataset, FontSet):
        return {
            "train": lambda: _drawn(dataset, "train", data_dir),
            "test": lambda: _drawn(dataset, "test", data_dir),
        }
    if dataset is not None:
        return {
            "train": lambda: _idx_pair(dataset, dataset.files[:2], data_dir),
            "test": lambda: _idx_pair(dataset, dataset.files[2:], data_dir),
        }
    path = Path(name_or_path).expanduser()
    if not path.exists():
        known = ", ".join(DATASETS)
        raise DataError(f"{name_or_path}: no such file, folder or data set (known data sets: {known})")
    return own.parts(path)


def _idx_pair(dataset: Dataset, files: Sequence[File], data_dir: str | Path | None) -> formats.Arrays:
    images, labels = (formats.parse_idx(data, path) for path, data in _files(dataset, files, data_dir))
    return images, labels


def _drawn(dataset: FontSet, split: str, data_dir: str | Path | None) -> formats.Arrays:
    digits = fonts.digits([path for path, _ in _files(dataset, dataset.part(split), data_dir)])
    return digits.images, digits.labels


def _warn_of_surprises(digits: Digits, name: str | Path) -> None:
    """Warn where people's own images are probably not what they think: dark on light, or blank."""
    sample = digits.images[:: max(1, len(digits) // 1000)]
    border = np.concatenate([sample[:, 0], sample[:, -1], sample[:, :, 0], sample[:, :, -1]], axis=1)
    dark = float((np.median(border, axis=1) > 127).mean())
    if dark > 0.5:
        warnings.warn(
            f"{name}: {dark:.0%} of the images look like dark ink on light paper; digitnet expects 0 for the "
            "background and 255 for ink. Invert them (255 - pixel) unless this is intended.",
            stacklevel=3,
        )
    blocks = [digits.images[start : start + 10_000] for start in range(0, len(digits), 10_000)]
    blank = np.flatnonzero(np.concatenate([(block == block[:, :1, :1]).all(axis=(1, 2)) for block in blocks]))
    if len(blank):
        warnings.warn(f"{name}: {len(blank)} images are blank, the first at index {blank[0]}", stacklevel=3)


class Splits(NamedTuple):
    """What one training run uses.

    test_rows: (len(test),) int64, the place of each test digit in the source's test part, or in the whole source
    where it has no parts. sha256: the `fingerprint` of all the source's digits.
    """

    train: Digits
    valid: Digits
    test: Digits
    test_rows: NDArray[np.int64]
    sha256: str


def splits(name_or_path: str | Path, data_dir: str | Path | None = None) -> Splits:
    """Return the training, validation and test digits of a source. The split is always the same.

    A twelfth of the training digits (5,000 of MNIST's 60,000), stratified by label, becomes the validation set. If
    the source has no test part, a stratified sixth of its digits is first held out for testing.
    Raises DataError if labels are missing or if there are fewer than 100 digits.
    """
    if "all" in _parts(name_or_path, data_dir):
        everything = load(name_or_path, "all", data_dir)
        _require_labels(everything, name_or_path)
        held_out = held_out_rows(everything)
        train, test, rows = everything[~held_out], everything[held_out], np.flatnonzero(held_out)
        sha256 = fingerprint(everything)
    else:
        train, test = load(name_or_path, "train", data_dir), load(name_or_path, "test", data_dir)
        for part in (train, test):
            _require_labels(part, name_or_path)
        names = train.names if train.names == test.names else ordered((*train.present(), *test.present()))
        train, test = train.with_names(names), test.with_names(names)
        rows, sha256 = np.arange(len(test)), fingerprint(train, test)
    total = len(train) + len(test)
    if total < 100:
        raise DataError(f"{name_or_path}: {total} digits; training needs 100 or more")
    valid = stratified(train, max(1, len(train) // 12))
    return Splits(train[~valid], train[valid], test, rows, sha256)


def _require_labels(digits: Digits, name: str | Path) -> None:
    if digits.labels is None:
        raise DataError(f"{name}: has no labels; training and scoring require them")


def held_out_rows(digits: Digits) -> NDArray[np.bool_]:
    """Return the mask (n,) of the digits that training on this source keeps for testing: a stratified sixth."""
    return stratified(digits, len(digits) // 6)


def stratified(digits: Digits, count: int) -> NDArray[np.bool_]:
    """Return a mask (n,) that is true for `count` digits, each label in proportion to its share.

    The choice depends on the labels' order alone (seed `SPLIT_SEED`). What rounding leaves over goes to the labels
    with the largest remainders.
    """
    labels = digits.labels
    if labels is None:
        raise DataError("digits without labels cannot be split by label")
    rng = np.random.default_rng(SPLIT_SEED)
    exact = np.bincount(labels, minlength=len(digits.names)) * count / max(1, len(labels))
    take = np.floor(exact).astype(int)
    take[np.argsort(take - exact, kind="stable")[: count - take.sum()]] += 1
    mask = np.zeros(len(labels), bool)
    for digit, n in enumerate(take):
        mask[rng.permutation(np.flatnonzero(labels == digit))[:n]] = True
    return mask


def fingerprint(*parts: Digits) -> str:
    """Return the SHA-256 (hex) over the images, then the labels, of all parts in order, and over names of classes."""
    total = hashlib.sha256()
    for part in parts:
        total.update(np.ascontiguousarray(part.images).data)
    for part in parts:
        if part.labels is not None:
            total.update(np.ascontiguousarray(part.labels).data)
        if part.names != DIGIT_NAMES:
            total.update("\0".join(part.names).encode())
    return total.hexdigest()


def wrong_labels(digits: Digits) -> tuple[int, ...]:
    """Return the indices of labels known to be wrong: `WRONG_TEST_LABELS` for MNIST's test set, else none."""
    if len(digits) != 10_000 or digits.labels is None:
        return ()
    images, labels = MNIST.files[2:]
    same = (
        images.fault(formats.idx_bytes(digits.images)) is None
        and labels.fault(formats.idx_bytes(digits.labels)) is None
    )
    return WRONG_TEST_LABELS if same else ()
