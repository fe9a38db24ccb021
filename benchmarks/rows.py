"""One measured fact as one row of RESULTS.md, and the judgement whether it meets its target."""

from __future__ import annotations

import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

HEADER = "| date | what | target | measured | n | machine | commit |\n|---|---|---|---|---|---|---|"


def row(what: str, target: str, measured: str, n: int, met: bool) -> bool:
    """Print one row to standard output; the last cell of a missed target says so. Returns `met`."""
    verdict = "" if met else " **missed**"
    today = datetime.now(UTC).date().isoformat()
    print(f"| {today} | {what} | {target} | {measured}{verdict} | {n} | {machine()} | {commit()} |", flush=True)
    return met


def note(message: str) -> None:
    """Print progress to standard error, so that standard output holds rows alone."""
    print(message, file=sys.stderr, flush=True)


def machine() -> str:
    """Return processor, cores and PyTorch version in a few words."""
    import torch

    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        names = [line.split(":")[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        name = names[0] if names else name
    threads = torch.get_num_threads()
    return f"{name}, {threads} {'core' if threads == 1 else 'cores'}, torch {torch.__version__}"


def commit() -> str:
    """Return the short commit that was measured, with a + where the files differ from it."""
    words = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty=+"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
