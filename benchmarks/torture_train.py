"""Kill `digitnet train` again and again, go on each time, and compare the weights with an undisturbed run's, by bytes.

python benchmarks/torture_train.py --kills 100 --minutes 30 >> benchmarks/RESULTS.md

Every run is killed by SIGKILL up to five times, at moments of four kinds: while it starts (imports, loads, makes its
folder), while it trains, within 4 ms after a file began to be written, and while it finishes (scores, picture). It is
gone on with as a user would: by --resume, or anew where nothing was saved. Damage of one kill therefore meets the next.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image
from rows import note, row

from digitnet import data
from digitnet.report import load_report

EPOCHS, DIGITS, KILLS_A_RUN = 6, 1_500, 5
KINDS = {"starting": 0.2, "training": 0.4, "writing": 0.25, "finishing": 0.15}


class Training:
    """One `digitnet train` process, and when it printed what."""

    def __init__(self, words: list[str], home: Path) -> None:
        self.began = time.perf_counter()
        self.lines: list[str] = []
        self.at: list[float] = []
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "digitnet", "train", *words],
            cwd=home,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.at.append(time.perf_counter() - self.began)
            self.lines.append(line)

    def when(self, start: str) -> float | None:
        """Return the seconds at which a line that begins so was printed; None before it is."""
        hits = (at for at, line in zip(self.at, self.lines, strict=False) if line.startswith(start))
        return next(hits, None)

    def alive(self) -> bool:
        return self.process.poll() is None

    def wait(self) -> tuple[int, str]:
        status = self.process.wait(timeout=900)
        self.reader.join(timeout=10)
        return status, "".join(self.lines)

    def kill(self) -> bool:
        """Kill the process; tell whether it was still alive."""
        alive = self.alive()
        self.process.kill()
        self.process.wait()
        return alive and self.process.returncode < 0


def words_for(home: Path, name: str) -> list[str]:
    """Return what a user would type to begin the run, or to go on with it."""
    if (home / name / "config.json").is_file():
        return ["--resume", name]
    return [
        *("--data", "digits.npz", "--recipe", "best", "--epochs", str(EPOCHS), "--batch-size", "64"),
        *("--device", "cpu", "--out", name),
    ]


def wait_for(training: Training, kind: str, folder: Path, spans: dict[str, float], rng: random.Random) -> None:
    """Return at a random moment of that kind, or when the process has ended."""
    last = f"epoch {EPOCHS}/{EPOCHS}"
    pause, parts = rng.random(), rng.randrange(1, 3 * EPOCHS)

    def since(line: str) -> float:
        at = training.when(line)
        return -1.0 if at is None else time.perf_counter() - training.began - at

    def writes() -> bool:
        return any(folder.glob(f"*.{training.process.pid}.part"))

    while training.alive():
        if kind == "starting" and time.perf_counter() - training.began > pause * spans["starting"]:
            return
        if kind == "training" and since("Training") > pause * spans["training"]:
            return
        if kind == "finishing" and since(last) > pause * spans["finishing"]:
            return
        if kind == "writing" and writes():
            parts -= 1
            if parts == 0:
                time.sleep(0.004 * pause)
                return
            while training.alive() and writes():
                time.sleep(0.0001)
        time.sleep(0.0002 if kind == "writing" else 0.002)


def fault(folder: Path, whole: Path) -> str | None:
    """Say what differs from the undisturbed run, or None."""
    if (folder / "model.safetensors").read_bytes() != (whole / "model.safetensors").read_bytes():
        return "other weights"
    files = {path.name for path in folder.iterdir() if path.suffix != ".part"}
    if files != {path.name for path in whole.iterdir()}:
        return f"other files: {sorted(files)}"
    lines = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    if [line["number"] for line in lines] != list(range(1, EPOCHS + 1)):
        return "a history with other epochs"
    if (folder / "scores.json").read_bytes() != (whole / "scores.json").read_bytes():
        return "other scores"
    load_report(folder)
    with Image.open(folder / "confusion_matrix.png") as picture:
        picture.load()
    return None


def state_of(folder: Path) -> str:
    """Say in a word how far a run has come."""
    if not folder.is_dir():
        return "no folder"
    if not (folder / "config.json").is_file():
        return "no configuration"
    if (folder / "scores.json").is_file():
        return "scores"
    return "epochs" if (folder / "state.safetensors").is_file() else "no epoch"


def main() -> bool:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--minutes", type=float, default=30.0, help="begin no run after so long")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    rng, began = random.Random(asked.seed), time.monotonic()
    note(f"seed {asked.seed}")
    kinds, states, faults, kills, runs = Counter[str](), Counter[str](), list[str](), 0, 0
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        digits = data.load("mnist", "train")[:DIGITS]
        assert digits.labels is not None
        np.savez(home / "digits.npz", images=digits.images, labels=digits.labels)
        whole = Training(words_for(home, "whole"), home)
        status, said = whole.wait()
        if status:
            raise SystemExit(said)
        training, last = whole.when("Training") or 0.0, whole.when(f"epoch {EPOCHS}") or 0.0
        spans = {"starting": training, "training": last - training, "finishing": whole.at[-1] - last + 0.2}
        note("undisturbed: " + ", ".join(f"{name} {seconds:.1f} s" for name, seconds in spans.items()))
        while kills < asked.kills and time.monotonic() - began < 60 * asked.minutes:
            runs += 1
            folder = home / f"run-{runs}"
            for _ in range(min(KILLS_A_RUN, asked.kills - kills)):
                kind = rng.choices(list(KINDS), list(KINDS.values()))[0]
                process = Training(words_for(home, folder.name), home)
                wait_for(process, kind, folder, spans, rng)
                if process.kill():
                    kills += 1
                    kinds[kind] += 1
                    states[state_of(folder)] += 1
                elif process.process.returncode:
                    faults.append(f"{folder.name}: {process.wait()[1].strip()[-300:]}")
                if state_of(folder) == "scores":
                    break
            if state_of(folder) != "scores":
                status, said = Training(words_for(home, folder.name), home).wait()
                if status:
                    faults.append(f"{folder.name}: {said.strip()[-300:]}")
                    continue
            if wrong := fault(folder, home / "whole"):
                faults.append(f"{folder.name}: {wrong}")
            note(f"{kills} kills, {runs} runs, {len(faults)} faults, {time.monotonic() - began:.0f} s")
    for each in faults:
        note(each)
    note("on disk after a kill: " + ", ".join(f"{count} times {state}" for state, count in states.most_common()))
    spread = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
    met = kills >= asked.kills and not faults
    return row(
        f"`digitnet train` killed by SIGKILL and gone on with, seed {asked.seed}",
        f"{asked.kills} kills, all runs end with the weights of an undisturbed one",
        f"{kills} kills ({spread}): {runs - len({each.split(':')[0] for each in faults})} of {runs} runs the same",
        kills,
        met,
    )


if __name__ == "__main__":
    sys.exit(not main())
