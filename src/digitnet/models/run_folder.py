"""What a run's folder holds, by name, and its JSON files; without PyTorch.

run/NAME/config.json           the settings, with versions, seed, data hash and revision
         trained-on.gz         which images it is trained and validated on: `trained_on.py`
         history.jsonl         one line an epoch
         model.safetensors     the weights to use
         state.safetensors     everything that the next epoch depends on, while training goes on
         scores.json           the test scores, once training is done
         errors.npz            the test digits that were read wrong
         confusion_matrix.png  the same as an image
         report.html           a page with all of it
         .lock                 locked by the process that trains here
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from digitnet.core.errors import ModelError
from digitnet.core.files import to_json, write_atomic
from digitnet.core.text import reason

RUNS = Path("run")
"""The folder of runs, in the current one."""

CONFIG = "config.json"
TRAINED_ON = "trained-on.gz"
HISTORY = "history.jsonl"
WEIGHTS = "model.safetensors"
STATE = "state.safetensors"
SCORES = "scores.json"
ERRORS = "errors.npz"
CONFUSION = "confusion_matrix.png"
REPORT = "report.html"
LOCK = ".lock"


def save_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a mapping as JSON for people, atomically."""
    write_atomic(path, (to_json(value) + "\n").encode())


def load_json(path: Path) -> dict[str, Any]:
    """Read a JSON object. Raises ModelError where the file is missing or damaged."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path}: not JSON ({reason(error)})") from error
    if not isinstance(value, dict):
        raise ModelError(f"{path}: not a JSON object")
    return value


def latest_run(folder: Path) -> Path:
    """Return the run in `folder` whose weights are newest. Raises ModelError where there is none."""
    runs = sorted(folder.glob(f"*/{WEIGHTS}"), key=lambda path: path.stat().st_mtime)
    if not runs:
        raise ModelError(
            f"{folder.resolve()}: contains no run; train one with: digitnet train, or name one with --model"
        )
    return runs[-1].parent
