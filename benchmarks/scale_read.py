"""Reading many pictures with one worker and with two, here and on Ray: how fast, how efficient, is memory flat?

python benchmarks/scale_read.py >> benchmarks/RESULTS.md
python benchmarks/scale_read.py --inputs 10000 --rounds 1

Each is `digitnet read` into tables, in a process of its own, turn by turn. Measured is from the first part that is done
to the last: neither starting nor the account at the end counts. Processor seconds are of all processes, Ray's own too.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from rows import note, row
from torture_read import READ, command, descendants

PICTURES, TICK = 400, os.sysconf("SC_CLK_TCK")
"""Different pictures, each of which is there under many names; ticks of a processor second."""

SAMPLE, FLAT, EFFICIENT = 0.25, 1.10, 0.85
"""Seconds between two looks; growth of memory that counts as flat; least share of twice one worker's speed."""


@dataclass(frozen=True)
class Look:
    """What there is at one moment: seconds, parts done, processor seconds used, largest reading process in MB."""

    at: float
    parts: int
    used: float
    megabytes: float


@dataclass(frozen=True)
class Run:
    """One run: inputs a second, inputs a processor second, memory in its second eighth and in its last, MB."""

    speed: float
    per_core: float
    early: float
    late: float


def main() -> bool:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--only", choices=["local", "ray"])
    asked = parser.parse_args()
    engines = [asked.only] if asked.only else ["local", "ray"]
    runs: dict[tuple[str, int], list[Run]] = {}
    loads: list[float] = []  # what else runs on this machine spoils speeds, less so processor seconds
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        pages = compose(scratch, asked.inputs)
        for turn in range(asked.rounds):
            for engine in engines:
                for workers in (1, 2):
                    done = run(pages, scratch / f"{engine}-{workers}-{turn}", engine, workers, asked.inputs)
                    loads.append(load := os.getloadavg()[0])
                    note(f"{engine}, {workers}: {done.speed:.1f}/s, {done.per_core:.1f} a core-second, load {load:.1f}")
                    runs.setdefault((engine, workers), []).append(done)
    low, high = min(loads), max(loads)
    met, what = True, "composed numbers, a picture each"
    for engine in engines:
        one, two = ([each.speed for each in runs[engine, workers]] for workers in (1, 2))
        for workers in (1, 2):
            cores = [each.per_core for each in runs[engine, workers]]
            measured = f"{statistics.median(cores):.1f} ({min(cores):.1f} to {max(cores):.1f})"
            row(f"{what}: {engine}, {workers} at a time: a core-second", "report", measured, asked.inputs, True)
        share = max(two) / max(one) / 2
        best = f"{max(one):.1f} and {max(two):.1f} a second, best of {asked.rounds}"
        measured = f"{share:.2f}: {best}; load {low:.0f} to {high:.0f}"
        met &= row(
            f"{what}: {engine}, two at a time beside twice one", ">= 0.85", measured, asked.inputs, share >= EFFICIENT
        )
        for workers in (1, 2):
            last = runs[engine, workers][-1]
            growth = last.late / last.early
            measured = f"{growth - 1:+.1%}: {last.early:.0f} to {last.late:.0f} MB a process"
            named = f"{what}: {engine}, {workers} at a time: memory, second eighth to last"
            met &= row(named, "<= +10%", measured, asked.inputs, growth <= FLAT)
    return met


def compose(scratch: Path, inputs: int) -> Path:
    """Return a folder with so many pictures."""
    words = [sys.executable, "-m", "digitnet", "compose", "--out", str(scratch / "some"), "--numbers", str(PICTURES)]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    some, many = sorted((scratch / "some").glob("*.png")), scratch / "pages"
    many.mkdir()
    for number in range(inputs):
        os.link(some[number % len(some)], many / f"{number:06}.png")
    return many


def run(pages: Path, out: Path, engine: str, workers: int, inputs: int) -> Run:
    """Read the folder; look now and then."""
    words = [*READ, str(pages), "--out", str(out), "--engine", engine, "--jobs", str(workers), "--format", "parquet"]
    looks: list[Look] = []
    # One thread each, as Ray's workers have it: else one worker alone would take both cores.
    with subprocess.Popen(words, stderr=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"}) as process:
        while process.poll() is None:
            if not looks or (found := look(process.pid, out, engine)).parts > looks[-1].parts:
                looks.append(look(process.pid, out, engine) if not looks else found)
            time.sleep(SAMPLE)
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(words)}: exit status {process.returncode}")
    begun = [each for each in looks if each.parts]
    first, last = begun[0], begun[-1]
    size = inputs / len(list((out / "pages").iterdir()))
    count = (last.parts - first.parts) * size
    eighths = [
        [each.megabytes for each in begun if lo < each.parts / last.parts <= hi]
        for lo, hi in ((1 / 8, 1 / 4), (7 / 8, 1))
    ]
    early, late = (statistics.mean(eighth) for eighth in eighths)
    return Run(count / (last.at - first.at), count / (last.used - first.used), early, late)


def look(pid: int, out: Path, engine: str) -> Look:
    """Return what there is now."""
    processes = [pid, *descendants(pid)]
    readers = [each for each in processes if "PartReader" in command(each)] if engine == "ray" else processes
    parts = len(list((out / "pages").glob("*.parquet")))
    used = sum(processor_seconds(each) for each in processes)
    return Look(time.monotonic(), parts, used, max(map(resident, readers), default=0.0))


def processor_seconds(pid: int) -> float:
    """Return what a process has used, with those that it started and that have ended; nothing where it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / TICK


def resident(pid: int) -> float:
    """Return the memory of a process, MB."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    except OSError:
        return 0.0


if __name__ == "__main__":
    sys.exit(not main())
