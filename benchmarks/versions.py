"""Two versions of digitnet against each other: how much processor time commands and readings take.

python benchmarks/versions.py COMMIT [PICTURE ...] >> benchmarks/RESULTS.md

COMMIT is the version before. The two take turns, and of each the least processor time (user and system) counts: on a
machine that others use, seconds by the clock tell how busy they are. Readings are compared, too.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from rows import note, row

HERE = Path(__file__).resolve().parents[1]
TIMES = 10

READ = """
import json, sys, time
from digitnet.reading.reader import Reader
single = sys.argv[1] == "single"
reader = Reader(threads=1)
reader.read(sys.argv[2], single=single)
for path in sys.argv[2:]:
    began = time.process_time()
    found = reader.read(path, single=single)
    print(json.dumps([time.process_time() - began, found.text]), flush=True)
"""


def cpu(source: Path, words: Sequence[str]) -> tuple[float, str]:
    """Return the processor seconds of a Python command with a version of the package, and what it printed."""
    environment = {**os.environ, "PYTHONPATH": str(source), "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": ""}
    environment |= {"PYTHONPYCACHEPREFIX": str(source.parent / "bytecode")}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, *words], env=environment, capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime, done.stdout


def commands(sources: Sequence[Path], picture: Path) -> None:
    """Compare whole commands, from the start of Python on."""
    tried = {
        "`import digitnet`": ["-c", "import digitnet"],
        "`digitnet --help`": ["-m", "digitnet", "--help"],
        "`digitnet read` of a drawn digit": ["-m", "digitnet", "read", str(picture)],
    }
    bare = min(cpu(sources[0], ["-c", "pass"])[0] for _ in range(TIMES))
    for name, words in tried.items():
        used = [[cpu(source, words)[0] for source in sources] for _ in range(TIMES + 1)][1:]  # the first compiles
        before, after = (min(each) for each in zip(*used, strict=True))
        measured = (
            f"{after / before:.2f}: {after:.3f} s of processor time, {before:.3f} s before; Python alone {bare:.3f} s"
        )
        row(f"{name}: processor time against the version before", "report", measured, TIMES, True)


def readings(sources: Sequence[Path], name: str, paths: Sequence[Path], single: bool) -> None:
    """Compare reading pictures with the models open."""
    words = ["-c", READ, "single" if single else "page", *map(str, paths)]
    runs = [[cpu(source, words)[1].splitlines() for source in sources] for _ in range(3)]
    told = [[[json.loads(line) for line in lines] for lines in run] for run in runs]
    before, after = (
        sum(min(run[version][place][0] for run in told) for place in range(len(paths))) for version in (0, 1)
    )
    same = sum(one[1] == other[1] for one, other in zip(*told[0], strict=True))
    measured = (
        f"{after / before:.2f}: {after / len(paths):.3f} s, {before / len(paths):.3f} s before; {same} read the same"
    )
    row(f"reading {name}: processor time against the version before", "report", measured, len(paths), True)


def drawn(folder: Path) -> Path:
    """Return a picture of a drawn seven, 280x280 pixels."""
    page = np.full((280, 280), 255, np.uint8)
    cv2.polylines(page, [np.array([[80, 70], [180, 70], [120, 230]])], False, 0, 18, cv2.LINE_AA)
    path = folder / "drawn.png"
    path.write_bytes(cv2.imencode(".png", page)[1].tobytes())
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("commit")
    parser.add_argument("pictures", nargs="*", type=Path, help="pages, each a row")
    parser.add_argument("--single", nargs="*", type=Path, default=[], help="pictures of one number, together a row")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sources = []
        for name, commit in (("before", given.commit), ("after", "HEAD")):
            (Path(folder) / name).mkdir()
            packed = subprocess.run(["git", "-C", str(HERE), "archive", commit, "src"], check=True, capture_output=True)
            subprocess.run(["tar", "x", "-C", str(Path(folder) / name)], input=packed.stdout, check=True)
            sources.append(Path(folder) / name / "src")
        seven = drawn(Path(folder))
        commands(sources, seven)
        readings(sources, "a drawn digit", [seven], False)
        if given.single:
            readings(sources, "pictures of one number", given.single, True)
        for picture in given.pictures:
            note(str(picture))
            readings(sources, picture.stem, [picture], False)


if __name__ == "__main__":
    main()
