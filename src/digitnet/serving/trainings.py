"""Trainings that the page starts, one at a time, each in a process of its own: `digitnet.training.live`."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import IO, Any, Literal, cast

from digitnet.serving.problems import ProblemError

COMMAND = (sys.executable, "-m", "digitnet.training.live")
"""The process of a training."""

MAX_KEPT = 8
"""Trainings that are kept for comparison, the newest."""

SECONDS = 10
"""Seconds that a stopped training has to end."""


@dataclass
class Training:
    """One training: its settings, and what it has shown."""

    rate: float
    seed: int
    process: subprocess.Popen[str]
    state: Literal["running", "finished", "stopped", "failed"] = "running"
    about: dict[str, Any] = field(default_factory=dict)
    curve: list[dict[str, float]] = field(default_factory=list)
    latest: dict[str, Any] = field(default_factory=dict)
    scores: dict[str, Any] | None = None
    message: str | None = None

    def to_dict(self, number: int) -> dict[str, Any]:
        """Return it as plain values, ready for JSON; number: its place among all, from 1."""
        latest = {name: self.latest.get(name) for name in ("confusion", "filters")}
        names = ("rate", "seed", "state", "about", "curve", "scores", "message")
        return {"number": number} | {name: getattr(self, name) for name in names} | latest

    def follow(self) -> None:
        """Take what the process shows until it ends; the work of a thread."""
        with self.process, ThreadPoolExecutor(1) as beside:  # a full pipe would hold up the training
            last = beside.submit(deque[str], cast("IO[str]", self.process.stderr), 1)
            for line in cast("IO[str]", self.process.stdout):
                self._take(json.loads(line))
            words = [line.strip() for line in last.result()]
        if self.process.returncode == 0:
            self.state = "finished"
        elif self.state == "running":
            self.state = "failed"
            self.message = words[-1].removeprefix("Error: ") if words else "the training ended unexpectedly"

    def _take(self, shown: dict[str, Any]) -> None:
        if "steps" in shown:
            self.about = shown
        elif "step" in shown:
            self.latest = shown
            self.curve.append({name: shown[name] for name in ("step", "loss", "accuracy")})
        else:
            self.scores = shown


class Trainings:
    """The trainings of a service. Its methods are called on the event loop and wait for nothing."""

    def __init__(self, data: str = "mnist") -> None:
        """Start with none; data: what they train on, a named data set or a path."""
        self._data, self._all, self._lock = data, list[Training](), threading.Lock()
        self._first = 1
        self._thread: threading.Thread | None = None

    def start(self, rate: float, seed: int) -> dict[str, Any]:
        """Start one with the recipe `quick`. Raises ProblemError if another is running."""
        with self._lock:
            if any(training.state == "running" for training in self._all):
                raise ProblemError(409, "a training is running; stop it, or wait for its end")
            words = ["--data", self._data, "--rate", str(rate), "--seed", str(seed)]
            process = subprocess.Popen(
                [*COMMAND, *words],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                encoding="utf-8",
            )
            self._all.append(Training(rate, seed, process))
            self._first += max(0, len(self._all) - MAX_KEPT)
            self._all = self._all[-MAX_KEPT:]
            self._thread = threading.Thread(target=self._all[-1].follow, daemon=True)
            self._thread.start()
        return self.told()

    def stop(self) -> dict[str, Any]:
        """Stop the one that is running, if there is one."""
        with self._lock:
            for training in self._all:
                if training.state == "running":
                    training.state = "stopped"
                    training.process.terminate()
        return self.told()

    def told(self) -> dict[str, Any]:
        """Return all that are kept, the oldest first."""
        return {"trainings": [each.to_dict(number) for number, each in enumerate(self._all, self._first)]}

    def close(self) -> None:
        """Stop what is running and wait for its end."""
        self.stop()
        for training in self._all:
            try:
                training.process.wait(SECONDS)
            except subprocess.TimeoutExpired:
                training.process.kill()
                training.process.wait()
        if self._thread is not None:
            self._thread.join()
