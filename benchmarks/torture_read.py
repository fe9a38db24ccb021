"""Reading a folder, killed with kill -9 at random moments and resumed: is any input lost or doubled?

python benchmarks/torture_read.py >> benchmarks/RESULTS.md
python benchmarks/torture_read.py --only ray --kills 5 --seed 7

Killed are: `digitnet read` into tables and into CSV; on Ray the command with all that it started, the command alone,
one of Ray's agents, for which it gives the machine up, or one of its workers, after which it must go on. After
every kill each part that is there must be, byte for byte, that of a run nobody disturbed; at the end of every job all
of it must be.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from rows import note, row

PICTURES, LIMIT = 300, 180.0
"""Pictures in the folder; seconds beyond which a run counts as hung."""

READ = [sys.executable, "-m", "digitnet", "read"]


class Torture:
    """One way of reading: its words, what it leaves undisturbed, and how long that took."""

    def __init__(self, name: str, words: list[str], scratch: Path, rng: random.Random) -> None:
        self.name, self.words, self.scratch, self.rng = name, words, scratch, rng
        began = time.monotonic()
        self.whole = self._job("whole")
        if self._start(self.whole).wait(LIMIT) != 0:
            raise SystemExit(f"{name}: does not even read undisturbed")
        self.seconds = time.monotonic() - began
        self.expected = tree(self.whole)
        note(f"{name}: {self.seconds:.1f} s undisturbed")

    def run(self, kills: int, ways: list[str]) -> tuple[int, list[str]]:
        """Kill so often, going on each time; return how many jobs were ended, and what was wrong."""
        wrong: list[str] = []
        done = jobs = 0
        while done < kills:
            jobs += 1
            out = self._job(f"job{jobs}")
            while True:
                process = self._start(out)
                way, moment = self.rng.choice(ways), self.rng.uniform(0, self.seconds)
                ended = self._kill(process, way, moment) if done < kills else process.wait(LIMIT) == 0
                if ended is None or not ended:
                    done += 1
                    note(f"{self.name}: kill {done}, {way} after {moment:.2f} s, {len(tree(out))} files")
                    wrong += self._compare(out, whole=False)
                if ended is None and way == "worker":  # Ray goes on by itself
                    ended = process.wait(LIMIT) == 0
                    wrong += [] if ended else [f"{out.name}: Ray did not go on after a worker was killed"]
                if ended:
                    break
            wrong += self._compare(out, whole=True)
        return jobs, wrong

    def _kill(self, process: subprocess.Popen[bytes], way: str, moment: float) -> bool | None:
        """Kill at a moment; return True where it ends by itself, False where it was killed, None where a worker was."""
        try:
            if process.wait(moment) != 0:
                raise SystemExit(f"{self.name}: ended with an error: see {self.scratch}")
            return True
        except subprocess.TimeoutExpired:
            pass
        below = descendants(process.pid)
        agents = [pid for pid in below if command(pid).startswith("ray::") and "Agent" in command(pid)]
        workers = [pid for pid in below if command(pid).startswith("ray::") and pid not in agents]
        if way == "worker" and workers:
            os.kill(self.rng.choice(workers), signal.SIGKILL)
            return None
        if way == "agent" and agents:
            os.kill(self.rng.choice(agents), signal.SIGKILL)
            return process.wait(LIMIT) == 0
        process.kill()
        process.wait()
        if way == "command":
            time.sleep(2)  # what it started lives on for a moment, and may still write
        for pid in below:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        return False

    def _job(self, name: str) -> Path:
        return self.scratch / f"{self.name.replace(' ', '-')}-{name}"

    def _start(self, out: Path) -> subprocess.Popen[bytes]:
        log = (self.scratch / "log.txt").open("ab")
        words = [*READ, str(self.scratch / "pages"), "--out", str(out), "--resume", *self.words]
        return subprocess.Popen(words, stdout=log, stderr=log, env={**os.environ, "OMP_NUM_THREADS": "1"})

    def _compare(self, out: Path, whole: bool) -> list[str]:
        found = {name: data for name, data in tree(out).items() if not name.startswith("tmp/")}
        if whole:
            if found == self.expected:
                return []
            return [f"{out.name}: at its end {sorted(set(found) ^ set(self.expected))[:3] or 'other bytes'}"]
        if self.words[:2] == ["--format", "csv"]:
            return []
        return [f"{out.name}: {name}" for name, data in found.items() if data != self.expected[name]]


def tree(out: Path) -> dict[str, bytes]:
    """Return the bytes of a file, or of all files of a folder by name."""
    if out.is_file():
        return {"": out.read_bytes()}
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}


def descendants(pid: int) -> list[int]:
    """Return the processes that a process started, and those that they did."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        parents.setdefault(int(fields[1]), []).append(int(entry.parent.name))
    found, todo = [], [pid]
    while todo:
        children = parents.get(todo.pop(), [])
        found += children
        todo += children
    return found


def command(pid: int) -> str:
    """Return the command line of a process; nothing where it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode("utf-8", "replace")
    except OSError:
        return ""


def main() -> bool:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=["local", "ray"])
    parser.add_argument("--kills", type=int, default=25, help="of each engine")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    engines: dict[str, Callable[[Path, random.Random], tuple[int, list[str]]]] = {
        "local": lambda scratch, rng: local(scratch, rng, asked.kills),
        "ray": lambda scratch, rng: on_ray(scratch, rng, asked.kills),
    }
    met = True
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        pages = str(scratch / "pages")
        words = [sys.executable, "-m", "digitnet", "compose", "--out", pages, "--numbers", str(PICTURES)]
        subprocess.run([*words, "--seed", str(asked.seed)], check=True, stdout=subprocess.DEVNULL)
        for name, torture in engines.items():
            if asked.only in (None, name):
                began = time.monotonic()
                jobs, wrong = torture(scratch, random.Random(asked.seed))
                for each in wrong:
                    note(f"WRONG {each}")
                what = f"a folder of {PICTURES} pictures read ({name}), kill -9 at random moments, seed {asked.seed}"
                measured = f"{len(wrong)} wrong in {jobs} jobs, {time.monotonic() - began:.0f} s"
                met &= row(what, "no input lost or doubled", measured, asked.kills, not wrong)
    return met


def local(scratch: Path, rng: random.Random, kills: int) -> tuple[int, list[str]]:
    """Torture this process's engine: two thirds of the kills into tables, the others into CSV."""
    tables = Torture("local tables", ["--format", "parquet", "--jobs", "2"], scratch, rng)
    first = tables.run(kills - kills // 3, ["command"])
    lines = Torture("local csv", ["--format", "csv"], scratch, rng)
    second = lines.run(kills // 3, ["command"])
    return first[0] + second[0], first[1] + second[1]


def on_ray(scratch: Path, rng: random.Random, kills: int) -> tuple[int, list[str]]:
    """Torture Ray, started anew by every command."""
    return Torture("ray", ["--engine", "ray", "--jobs", "2"], scratch, rng).run(
        kills, ["all", "command", "agent", "worker"]
    )


if __name__ == "__main__":
    sys.exit(not main())
