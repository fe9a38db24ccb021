"""Many images: listing the files, and reading them one at a time or in parallel.

for read in read_all(Reader(), pictures(["scans/"])):
    print(read.file, read.error or read.reading.text)
"""

from __future__ import annotations

import glob
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Generic, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from digitnet.core.errors import ImageError
from digitnet.imaging import pages
from digitnet.imaging.suffixes import PAGE_SUFFIXES
from digitnet.reading.constraints import Rules
from digitnet.reading.reader import Printed, Reader
from digitnet.reading.result import Reading

Result = TypeVar("Result")

RESOURCE = "._"
"""How the names begin of the files that macOS lays beside others on foreign disks and in archives: never pictures."""


@dataclass(frozen=True)
class Read:
    """What became of one page.

    file: as `pictures` gave it; "-" is standard input. page: counted from 1. reading: None where the file could not be
    read. error: then one line that says why, else None.
    """

    file: str
    page: int
    reading: Reading | None
    error: str | None = None


def pictures(paths: Iterable[str], suffixes: Collection[str] = PAGE_SUFFIXES) -> list[str]:
    """Return the files that paths mean: files, "-" for standard input, folders with all pictures below, patterns.

    The files of a folder or pattern come sorted and include dead links, but no pipes, devices or (of a folder) `._*`
    files of macOS. A file that is named is taken whatever its suffix. suffixes: of the files taken from a folder, in
    lower case. Raises ImageError where a folder or a pattern holds no picture.
    """
    found: list[str] = []
    for path in paths:
        if path != "-" and Path(path).is_dir():
            below = (p for p in Path(path).rglob("*") if p.suffix.lower() in suffixes)
            inside = sorted(str(p) for p in below if not p.name.startswith(RESOURCE) and _is_named(p))
            if not inside:
                raise ImageError(f"{path}: a folder without images; expected files such as .png, .jpg, .tif or .pdf")
            found += inside
        elif path != "-" and glob.has_magic(path) and not Path(path).exists():
            matching = sorted(match for match in glob.glob(path, recursive=True) if _is_named(Path(match)))  # noqa: PTH207
            if not matching:
                raise ImageError(f"{path}: no file matches this pattern")
            found += matching
        else:
            found.append(path)
    return found


def _is_named(path: Path) -> bool:
    """Return whether a folder or pattern means a path: a file, or a dead link, which is then reported."""
    return path.is_file() or (path.is_symlink() and not path.exists())


def read_all(
    reader: Reader,
    files: Sequence[str],
    *,
    single: bool = False,
    rules: Rules | None = None,
    printed: Printed = "keep",
    jobs: int = 1,
    opened: Callable[[str], pages.Source] | None = None,
) -> Iterator[Read]:
    """Read files in their order, `jobs` pages at the same time; a file that cannot be read gives its error.

    opened: as for `each_page`.
    """
    work = partial(reader.read_page, single=single, rules=rules, printed=printed)
    for done in each_page(work, files, jobs=jobs, opened=opened):
        yield Read(done.file, done.page, done.result, done.error)


@dataclass(frozen=True)
class Done(Generic[Result]):
    """What `each_page` made of a page; result: None where the file could not be read, otherwise as `Read`."""

    file: str
    page: int
    result: Result | None
    error: str | None = None


def each_page(
    work: Callable[[NDArray[np.uint8]], Result],
    files: Sequence[str],
    *,
    jobs: int = 1,
    opened: Callable[[str], pages.Source] | None = None,
) -> Iterator[Done[Result]]:
    """Yield what `work` makes of every page of some files, in their order, `jobs` pages at the same time.

    opened: gives what a name stands for, such as the bytes of standard input for "-"; by itself a name is the path of
    a file. It is called once a name, in their order, and may raise ImageError. At most twice as many pages as jobs are
    held at a time. While several are worked on OpenCV, in the whole process, uses no threads within one: they would
    only get in each other's way.
    """
    threads = cv2.getNumThreads()
    if jobs > 1:
        cv2.setNumThreads(1)
    with ThreadPoolExecutor(jobs) as pool:
        waiting: deque[Done[Result] | tuple[str, int, Future[Result]]] = deque()
        try:
            for file in files:
                number = 0
                try:
                    source = opened(file) if opened else file
                    for number, page in enumerate(pages.pages(source, "standard input" if file == "-" else file), 1):
                        waiting.append((file, number, pool.submit(work, page)))
                        if len(waiting) >= 2 * jobs:
                            yield _done(waiting.popleft())
                except ImageError as error:
                    waiting.append(Done(file, number + 1, None, str(error)))
            while waiting:
                yield _done(waiting.popleft())
        finally:
            pool.shutdown(cancel_futures=True)
            cv2.setNumThreads(threads)


def _done(one: Done[Result] | tuple[str, int, Future[Result]]) -> Done[Result]:
    return one if isinstance(one, Done) else Done(one[0], one[1], one[2].result())
