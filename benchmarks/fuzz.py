"""Fuzz what meets untrusted bytes, with Atheris (libFuzzer): pip install atheris; CPython 3.11 to 3.13 on Linux.

python benchmarks/fuzz.py image --seconds 900 >> benchmarks/RESULTS.md

Seconds are of the processor, and are counted over all calls: one that was stopped goes on. The corpus grows in
run/fuzz/TARGET, what was found lies in run/fuzz/TARGET-found. Python code is instrumented, so that inputs which reach
new places of digitnet's and Pillow's are kept; the native decoders, ONNX Runtime and PyTorch are not: they meet the
mutations blindly.

A finding is an input that neither is answered nor refused by a DigitNetError, that takes more than 5 s of the
processor or hangs for two minutes, or at which the process holds more than 1 GB. Exits 1 where there is one.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import os
import subprocess
import sys
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

INSTRUMENTED = ["digitnet", "PIL", "numpy.lib", "json", "zipfile", "csv", "python_multipart", "starlette"]
if "--child" in sys.argv:
    # Only what is imported within is instrumented, so this comes before all that imports digitnet.
    import atheris  # type: ignore[import-untyped]

    with atheris.instrument_imports(include=INSTRUMENTED):
        for module in {"checkpoint": ["checkpoint"], "http": ["serve"]}.get(sys.argv[1], ["data", "runtime"]):
            importlib.import_module(f"digitnet.{module}")

from rows import note, row  # noqa: E402
from targets import MEGABYTES, SECONDS, TARGETS, mend  # noqa: E402

HOME = Path("run/fuzz")
ONE_ARENA = os.environ | {"MALLOC_ARENA_MAX": "1"}
"""Threads come and go with every request here: glibc would keep the memory of a large picture for each of them."""

FULL = 600
"""Memory, MB, at which a process gives way to a new one between two inputs: Atheris' own grows with every input."""

LONGEST = {"image": 4096, "data": 8192, "checkpoint": 8192, "model": 16384, "http": 8192}
"""Bytes of the longest input that is tried."""


def main() -> bool:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--seconds", type=float, default=600, help="of the processor, over all calls")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        fuzz(asked.target, asked.seconds)
    found, log = HOME / f"{asked.target}-found", HOME / f"{asked.target}.jsonl"
    found.mkdir(parents=True, exist_ok=True)
    seeds = HOME / f"{asked.target}-seeds"
    seeds.mkdir(exist_ok=True)
    for name, content in TARGETS[asked.target].seeds().items():
        (seeds / name).write_bytes(content)
    while (left := asked.seconds - spent(log)[0]) > 1:
        note(f"{asked.target}: {left:.0f} s of the processor left")
        began = os.times()
        words = [sys.executable, __file__, asked.target, "--seconds", str(left), "--child"]
        done = subprocess.run(words, env=ONE_ARENA)
        used = os.times()
        if done.returncode:  # stopped by libFuzzer at a finding, which it has kept
            seconds = used.children_user + used.children_system - began.children_user - began.children_system
            runs = int(counted(log).read_text()) if counted(log).is_file() else 0
            with log.open("a") as file:
                file.write(json.dumps({"seconds": seconds, "runs": runs, "exit": done.returncode}) + "\n")
            counted(log).unlink(missing_ok=True)
            drop_quick(asked.target, found)
    seconds, runs = spent(log)
    files = sorted(path.name for path in found.iterdir() if path.suffix != ".txt")
    measured = f"{len(files)} findings in {seconds / 60:.0f} minutes of one core, {runs:,} inputs"
    return row(f"fuzzing: {TARGETS[asked.target].about}", "no finding", measured, runs, not files)


def drop_quick(name: str, found: Path) -> None:
    """Drop what libFuzzer's clock took for hangs, where it takes little time again: the process itself was halted."""
    code = f"import sys, targets; targets.TARGETS[{name!r}].try_it(open(sys.argv[1], 'rb').read())"
    for path in found.glob("timeout-*"):
        began = os.times()
        words = ["sh", "-c", 'ulimit -t 60; exec "$0" "$@"', sys.executable, "-c", code, str(path)]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
        done = subprocess.run(words, env=environment, capture_output=True)
        used = os.times()
        seconds = used.children_user + used.children_system - began.children_user - began.children_system
        if not done.returncode and seconds < SECONDS + 10:  # imports and models take some of it
            path.unlink()


def counted(log: Path) -> Path:
    """Return the file in which a child under way keeps how many inputs it has tried."""
    return log.with_suffix(".count")


def spent(log: Path) -> tuple[float, int]:
    """Return the seconds used and the inputs tried so far."""
    rows = [json.loads(line) for line in log.read_text().splitlines()] if log.is_file() else []
    return sum(each["seconds"] for each in rows), sum(each["runs"] for each in rows)


def fuzz(name: str, seconds: float) -> None:
    """Try inputs until the time is up; never returns."""
    target, found, log = TARGETS[name], HOME / f"{name}-found", HOME / f"{name}.jsonl"
    (HOME / name).mkdir(exist_ok=True)
    tried, began = 0, time.process_time()
    warnings.simplefilter("ignore")  # Pillow's, of threads that catch none

    def one(data: bytes) -> None:
        nonlocal tried
        tried += 1
        if tried % 500 == 0:
            counted(log).write_text(str(tried))
        start = time.process_time()
        try:
            target.try_it(data)
            took = time.process_time() - start
            assert took <= SECONDS, f"{took:.1f} s"
        except Exception as error:
            keep(found, data, error)
        if (used := time.process_time() - began) > seconds or (tried % 100 == 0 and held() > FULL):
            with log.open("a") as file:
                file.write(json.dumps({"seconds": used, "runs": tried}) + "\n")
            counted(log).unlink(missing_ok=True)
            sys.stdout.flush()
            os._exit(0)

    def mutate(data: bytes, longest: int, seed: int) -> Any:
        changed = atheris.Mutate(data, longest)
        return mend(changed)[:longest] if seed % 4 else changed

    options = [
        "-timeout=120",  # by the clock, for what waits; a busy machine takes its time with the rest
        "-report_slow_units=120",
        f"-rss_limit_mb={MEGABYTES}",
        f"-max_len={LONGEST[name]}",
        f"-artifact_prefix={found}/",
        "-print_final_stats=0",
        "-verbosity=0",
        str(HOME / name),
        str(HOME / f"{name}-seeds"),
    ]
    atheris.Setup([sys.argv[0], *options], one, custom_mutator=mutate)
    atheris.Fuzz()


def held() -> float:
    """Return the memory that this process holds now, MB; 0 where the system does not tell."""
    status = Path("/proc/self/statm")
    return int(status.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20 if status.is_file() else 0.0


def keep(folder: Path, data: bytes, error: Exception) -> None:
    """Keep an input that found a fault, the smallest for each place in the code."""
    trace = traceback.extract_tb(error.__traceback__)
    place = f"{type(error).__name__} at {trace[-1].filename}:{trace[-1].lineno}"
    path = folder / f"error-{hashlib.sha256(place.encode()).hexdigest()[:10]}"
    if not path.is_file() or path.stat().st_size > len(data):
        path.write_bytes(data)
        path.with_suffix(".txt").write_text("".join(traceback.format_exception(error)))


if __name__ == "__main__":
    sys.exit(not main())
