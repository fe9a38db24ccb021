"""Kill `digitnet train` again and again, go on each time, and compare the weights with an undisturbed run's, by bytes.

python benchmarks/torture_train.py --kills 100 --minutes 30 >> benchmarks/RESULTS.md

Every run is killed by SIGKILL up to five times, at moments of four kinds: while it starts (imports, loads, makes its
folder), while it trains, within 4 ms after a file began to be written, and while it finishes (scores, picture). It is
resumed as a user would: by --resume, or from the start where nothing was saved. Damage of one kill thus meets the next.

The command runs in a process of its own: for kills at the start a new interpreter, for the others a fork of one that
has imported PyTorch already, since importing takes longer than all the rest and writes nothing.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image
from rows import note, row

from digitnet.data import datasets
from digitnet.evaluation.misclassified import load_report

EPOCHS, DIGITS, KILLS_A_RUN = 6, 1_000, 5
KINDS = {"starting": 0.15, "training": 0.4, "writing": 0.3, "finishing": 0.15}
FORKS = multiprocessing.get_context("forkserver")


def command(words: list[str], home: Path, log: Path) -> None:
    """Be the command `digitnet train`, with its output in a file."""
    with log.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.chdir(home)
    sys.argv = ["digitnet", "train", *words]
    from digitnet.cli import main

    main()


class Training:
    """One `digitnet train` process, and when it was seen to print what."""

    def __init__(self, words: list[str], home: Path, kind: str = "starting") -> None:
        self.began = time.perf_counter()
        self.log = home / "log"
        self.log.unlink(missing_ok=True)
        self.process: subprocess.Popen[bytes] | multiprocessing.process.BaseProcess
        if kind == "starting":
            with self.log.open("wb") as log:
                python = [sys.executable, "-u", "-m", "digitnet", "train"]
                self.process = subprocess.Popen([*python, *words], cwd=home, stdout=log, stderr=log)
        else:
            self.process = FORKS.Process(target=command, args=(words, home, self.log))
            self.process.start()

    @property
    def status(self) -> int | None:
        """The exit status, negative for a signal; None while it lives."""
        if isinstance(self.process, subprocess.Popen):
            return self.process.poll()
        return self.process.exitcode

    def said(self) -> str:
        return self.log.read_text() if self.log.is_file() else ""

    def wait_for(self, line: str) -> float:
        """Wait until a line that begins so is printed, or the process has ended; return the seconds since its start."""
        while self.status is None and f"\n{line}" not in f"\n{self.said()}":
            time.sleep(0.002)
        return time.perf_counter() - self.began

    def wait(self) -> int:
        while self.status is None:
            time.sleep(0.01)
        return self.status

    def kill(self) -> bool:
        """Kill the process; tell whether that is how it ended."""
        self.process.kill()
        return self.wait() < 0


def words_for(home: Path, name: str) -> list[str]:
    """Return what a user would type to begin the run, or to go on with it."""
    if (home / name / "config.json").is_file():
        return ["--resume", name]
    return [
        *("--data", "digits.npz", "--recipe", "best", "--epochs", str(EPOCHS), "--batch-size", "64"),
        *("--device", "cpu", "--out", name),
    ]


def await_moment(training: Training, kind: str, folder: Path, spans: dict[str, float], rng: random.Random) -> None:
    """Return at a random moment of that kind, or when the process has ended."""

    def writes() -> bool:
        return any(folder.glob(f"*.{training.process.pid}.part"))

    if kind == "writing":
        for part in range(rng.randrange(1, 3 * EPOCHS)):
            while training.status is None and writes() and part:
                time.sleep(0.0001)
            while training.status is None and not writes():
                time.sleep(0.0002)
        time.sleep(0.004 * rng.random())
        return
    after = {"training": "Training", "finishing": f"epoch {EPOCHS}/{EPOCHS}"}
    if kind in after:
        training.wait_for(after[kind])
    end = time.perf_counter() + rng.random() * spans[kind]
    while training.status is None and time.perf_counter() < end:
        time.sleep(0.001)


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
    scores, state = ((folder / name).is_file() for name in ("scores.json", "state.safetensors"))
    if scores:
        return "scores" if state else "done"
    return "epochs" if state else "no epoch"


def main() -> bool:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--minutes", type=float, default=30.0, help="begin no run after so long")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    FORKS.set_forkserver_preload(
        ["torch._dynamo", "digitnet.cli", "digitnet.training.run", "matplotlib.figure", "sklearn.metrics"]
    )
    rng, began = random.Random(asked.seed), time.monotonic()
    note(f"seed {asked.seed}")
    kinds, states, faults, kills, runs = Counter[str](), Counter[str](), list[str](), 0, 0
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        digits = datasets.load("mnist", "train")[:DIGITS]
        assert digits.labels is not None
        np.savez(home / "digits.npz", images=digits.images, labels=digits.labels)
        first = Training(words_for(home, "whole"), home)
        loaded = first.wait_for("Training")
        if first.wait():
            raise SystemExit(first.said())
        shutil.rmtree(home / "whole")
        whole = Training(words_for(home, "whole"), home, "training")
        training, last = whole.wait_for("Training"), whole.wait_for(f"epoch {EPOCHS}/{EPOCHS}")
        if whole.wait():
            raise SystemExit(whole.said())
        spans = {"starting": loaded, "training": last - training, "finishing": time.perf_counter() - whole.began - last}
        note("undisturbed: " + ", ".join(f"{name} {seconds:.1f} s" for name, seconds in spans.items()))
        while kills < asked.kills and time.monotonic() - began < 60 * asked.minutes:
            runs += 1
            folder = home / f"run-{runs}"
            for _ in range(min(KILLS_A_RUN, asked.kills - kills)):
                kind = rng.choices(list(KINDS), list(KINDS.values()))[0]
                process = Training(words_for(home, folder.name), home, kind)
                await_moment(process, kind, folder, spans, rng)
                if process.kill():
                    kills += 1
                    kinds[kind] += 1
                    states[state_of(folder)] += 1
                elif process.wait():
                    faults.append(f"{folder.name}: {process.said().strip()[-300:]}")
                if state_of(folder) == "done":
                    break
            if state_of(folder) != "done":
                process = Training(words_for(home, folder.name), home, "training")
                if process.wait():
                    faults.append(f"{folder.name}: {process.said().strip()[-300:]}")
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
        f"`digitnet train` killed by SIGKILL and resumed, seed {asked.seed}",
        f"{asked.kills} kills, all runs end with the weights of an undisturbed one",
        f"{kills} kills ({spread}): {runs - len({each.split(':')[0] for each in faults})} of {runs} runs the same",
        kills,
        met,
    )


if __name__ == "__main__":
    sys.exit(not main())
