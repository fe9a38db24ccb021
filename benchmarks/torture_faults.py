"""What becomes of damaged model files, of missing or unwritable homes, of names that are no text, and of full disks.

python benchmarks/torture_faults.py models --count 4000 >> benchmarks/RESULTS.md
python benchmarks/torture_faults.py homes names disk >> benchmarks/RESULTS.md

Every command must do its work or say in one line why not, with status 1: a traceback, a signal, a hang or a
half-written file is a fault, and it exits 1. `homes` and `disk` mount small file systems in a namespace of their own,
which takes root on Linux (`unshare -m`); without it they say so and exit 1.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rows import note, row
from targets import MEGABYTES, SECONDS, TARGETS, mutations

from digitnet.core.digits import STRIP_HEIGHT
from digitnet.data.synthesis.strokes import hands
from digitnet.models.onnx_models import WEIGHTS

Words = list[str | bytes]
Runs = list[tuple[str, Words, tuple[str, str]]]
"""Where a command ran, its words, and what came of it, in a word and its last line."""

MOST_SECONDS = 300
"""Most time by the clock that a command may take, seconds: far more than any takes, but on a busy machine."""

DIGITNET: Words = [sys.executable, "-m", "digitnet"]
STARTS = ("Error: ", "Stopped.")

FETCH: Words = [
    sys.executable,
    "-c",
    "import hashlib, sys\n"
    "from digitnet.cli import app as cli\n"
    "from digitnet.data import datasets as data\n"
    "from digitnet.data import download as fetch\n"
    "content = bytes(2_000_000)\n"
    "file = fetch.File('digits', len(content), hashlib.sha256(content).hexdigest())\n"
    "source = fetch.Source('here', lambda files: [(file, content)])\n"
    "cli.app = lambda: sys.exit(fetch.fetch([file], [source], data.data_folder()))\n"
    "cli.main()",
]
"""Bring a file that needs no network into the folder of named data sets."""


def main() -> bool:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="+", choices=["models", "homes", "names", "disk", "mutate"])
    parser.add_argument("--count", type=int, default=4000, help="damaged models")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    if asked.parts == ["mutate"]:
        mutate(asked.count, asked.seed)
        return True
    if {"homes", "disk"} & set(asked.parts) and "DIGITNET_ALONE" not in os.environ:
        words = ["unshare", "-m", sys.executable, *sys.argv]
        return subprocess.run(words, env={**os.environ, "DIGITNET_ALONE": "1"}).returncode == 0
    parts = {"homes": homes, "names": names, "disk": disk}
    met = []
    for part in asked.parts:
        with tempfile.TemporaryDirectory(prefix="digitnet-") as folder:
            place = Path(folder)
            place.chmod(0o777)
            met.append(models(asked.count, asked.seed) if part == "models" else parts[part](place))
    return all(met)


# Damaged models


def models(count: int, seed: int) -> bool:
    """Damage model files in processes of their own, so that one that dies is only counted."""
    totals: Counter[str] = Counter()
    slowest = largest = 0.0
    step = 500
    for start in range(0, count, step):
        words = [
            sys.executable,
            __file__,
            "mutate",
            "--count",
            str(min(step, count - start)),
            "--seed",
            str(seed + start),
        ]
        done = subprocess.run(words, capture_output=True, text=True)
        if done.returncode:
            note(f"from seed {seed + start}: exit {done.returncode}\n{done.stderr[-2000:]}")
            totals["died"] += 1
            continue
        sys.stderr.write(done.stderr)
        told = json.loads(done.stdout.splitlines()[-1])
        totals.update(told["counts"])
        slowest, largest = max(slowest, told["seconds"]), max(largest, told["megabytes"])
        note(f"{start + step}: {dict(totals)}, slowest {slowest:.2f} s, largest {largest:.0f} MB")
    tried = totals["refused"] + totals["answered"] + totals["fault"]
    met = not totals["died"] and not totals["fault"] and slowest <= SECONDS and largest <= MEGABYTES
    faults = totals["fault"] + totals["died"]
    measured = (
        f"{totals['refused']:,} refused in words, {totals['answered']:,} answer; {faults} faults; "
        f"slowest {slowest:.1f} s, most memory {largest:.0f} MB"
    )
    target = f"no crash, no hang over {SECONDS} s, no memory over 1 GB"
    return row("damaged model files (bits, cuts, repeats, noise)", target, measured, tried, met)


def mutate(count: int, seed: int) -> None:
    """Damage the built-in models and two little ones, open and ask each, and print what came of it."""
    from digitnet.core.errors import ModelError
    from digitnet.models.onnx_models import LineReader, OnnxClassifier

    files = {path.stem: path.read_bytes() for path in WEIGHTS.glob("*.onnx")} | TARGETS["model"].seeds()
    counts: Counter[str] = Counter()
    slowest = 0.0
    images = hands(2).images
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        path = Path(folder) / "damaged.onnx"
        rng = np.random.default_rng(seed)
        for _ in range(count):
            name = sorted(files)[int(rng.integers(len(files)))]
            # Most of a file is weights; its head and its tail hold the graph.
            ((what, content),) = mutations(files[name], 1, rng)
            path.write_bytes(content)
            began = time.process_time()
            try:
                if "line" in name:
                    LineReader(path, threads=1)([np.zeros((STRIP_HEIGHT, 100), np.uint8)])
                else:
                    model = OnnxClassifier(path, threads=1)
                    model.classify(images)
                    model.layers(images[0])
                counts["answered"] += 1
            except ModelError:
                counts["refused"] += 1
            except Exception as error:
                counts["fault"] += 1
                note(f"{name}, {what}: {type(error).__name__}: {error}")
            slowest = max(slowest, time.process_time() - began)
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    print(json.dumps({"counts": counts, "seconds": slowest, "megabytes": megabytes}))


# Commands in odd places


def outcome(words: Sequence[str | bytes], folder: Path, environment: dict[str, str]) -> tuple[str, str]:
    """Run a command of digitnet's: "done", "told" where it says in one line why not, or "fault"; and its last words."""
    try:
        done = subprocess.run(words, cwd=folder, capture_output=True, env=environment, timeout=MOST_SECONDS)
    except subprocess.TimeoutExpired:
        return "fault", f"no end after {MOST_SECONDS} s"
    err = done.stderr.decode("utf-8", "backslashreplace").strip()
    last = err.splitlines()[-1] if err else ""
    if "Traceback" in err:
        return "fault", last
    if done.returncode == 0:
        return "done", last
    told = any(line.startswith(STARTS) for line in err.splitlines())
    return ("told" if done.returncode == 1 and told else "fault"), f"{done.returncode}: {last}"


def commands(folder: Path, own: dict[str, Path]) -> list[Words]:
    """The commands that use files, with `own` ones: data, picture, run (made by the first), model."""
    data, picture, run, model = (bytes(own[name]) for name in ("data", "picture", "run", "model"))
    line: list[Words] = [
        ["train", "--data", data, "--recipe", "quick", "--epochs", "1", "--device", "cpu", "--out", run],
        ["evaluate", "--model", run],
        ["evaluate", "--model", "digitnet", "--data", data],
        ["export", run, "--out", model],
        ["evaluate", "--model", model, "--data", data],
        ["read", picture],
        ["check"],
        ["data"],
    ]
    return [[*DIGITNET, *words] for words in line]


def given(folder: Path, end: str = "") -> dict[str, Path]:
    """Write digits and a picture into a folder, and return the names of all that the commands use."""
    from PIL import Image

    some = hands(300)
    own = {name: folder / f"{name}{end}{kind}" for name, kind in _KINDS.items()}
    with own["data"].open("wb") as file:
        np.savez(file, images=some.images, labels=some.labels)  # type: ignore[arg-type]
    page = np.full((60, 40), 255, np.uint8)
    page[16:44, 6:34] = 255 - some.images[0]
    with own["picture"].open("wb") as file:
        Image.fromarray(page).save(file, "PNG")
    return own


_KINDS = {"data": ".npz", "picture": ".png", "run": "", "model": ".onnx"}


def tally(what: str, runs: Runs, more: str = "") -> bool:
    """Print the row of some commands' outcomes, each with where and which it was."""
    counts = Counter(kind for _, _, (kind, _) in runs)
    for where, words, (kind, last) in runs:
        shown = " ".join(word if isinstance(word, str) else ascii(word) for word in words[3:])
        note(f"{kind}: {where}: {shown[:150]}: {last[:300]}")
    measured = f"{counts['done']} do their work, {counts['told']} say why not, {counts['fault']} faults{more}"
    return row(what, "works or says why", measured, len(runs), not counts["fault"])


def homes(place: Path) -> bool:
    """Without HOME, with one that cannot be written, that is full, that is nowhere; and a user whom nobody knows."""
    plain = {
        name: value for name, value in os.environ.items() if name not in ("HOME", "DIGITNET_DATA", "XDG_CACHE_HOME")
    }
    fixed, full = place / "fixed", place / "full"
    for folder, options in ((fixed, "ro"), (full, "size=64k")):
        folder.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=True)
    (full / "file").write_bytes(bytes(60_000))
    unknown = ["setpriv", "--reuid", "54321", "--clear-groups", "--inh-caps=+dac_read_search"]
    unknown += ["--ambient-caps=+dac_read_search", "--bounding-set=+dac_read_search"]
    kinds: list[tuple[str, list[str], dict[str, str]]] = [
        ("no HOME", [], {}),
        ("no HOME, a user without a name", unknown, {}),
        ("read-only HOME", [], {"HOME": str(fixed)}),
        ("full HOME", [], {"HOME": str(full)}),
        ("HOME that is not there", [], {"HOME": str(place / "nowhere" / "at all")}),
        ("read-only HOME and folder", [], {"HOME": str(fixed)}),
    ]
    runs: Runs = []
    try:
        for number, (where, before, home) in enumerate(kinds):
            folder = place / str(number)
            folder.mkdir()
            own = given(folder)
            folder.chmod(0o777)
            for words in [*commands(folder, own), [*DIGITNET, "evaluate", "--data", "~/no.npz"], FETCH]:
                inside = fixed if "folder" in where else folder
                got = outcome([*before, *words], inside, {**plain, **home})
                runs.append((where, words, got))
            if (folder / "~").exists():
                runs.append((where, DIGITNET, ("fault", "made a folder called ~")))
    finally:
        for folder in (fixed, full):
            subprocess.run(["umount", folder], check=True)
    return tally("no HOME, read-only, full, missing HOME, unknown user: every command", runs)


def names(place: Path) -> bool:
    """Files, folders and models whose names are no UTF-8, in a UTF-8 locale and in C."""
    runs: Runs = []
    for number, locale in enumerate(("C.UTF-8", "C")):
        folder = place / os.fsdecode(b"caf\xe9 \xff" + bytes([48 + number]))
        folder.mkdir()
        own = given(folder, os.fsdecode(b"-\xff\xfe"))
        environment = {**os.environ, "LC_ALL": locale, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
        if locale != "C":
            environment["PYTHONIOENCODING"] = "utf-8:strict"  # as in every UTF-8 locale but this
        for words in commands(folder, own):
            runs.append((locale, words, outcome(words, folder, environment)))
        missing = bytes(folder / os.fsdecode(b"no\xff.npz"))
        for words in ([*DIGITNET, "evaluate", "--data", missing], [*DIGITNET, "train", "--data", missing]):
            runs.append((locale, words, outcome(words, folder, environment)))
        cache = {"DIGITNET_DATA": str(folder / "cache")}
        runs.append((locale, FETCH, outcome(FETCH, folder, environment | cache)))
    return tally("names that are not UTF-8: train, evaluate, export, read, check, data", runs)


def disk(place: Path) -> bool:
    """Files written onto a full disk: the old ones stay whole, and it is said."""
    own = given(place)
    outcomes: Runs = [
        ("free disk", words, outcome(words, place, dict(os.environ))) for words in commands(place, own)[:4]
    ]
    small = place / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", small], check=True)
    try:
        shutil.copytree(own["run"], small / "run")
        shutil.copy(own["model"], small / "model.onnx")
        (small / "answers.csv").write_bytes(b"old\n")
        left = shutil.disk_usage(small).free
        (small / "fill").write_bytes(bytes(max(left, 0)))
        before = {path: path.read_bytes() for path in small.rglob("*") if path.is_file()}
        tried: list[Words] = [
            [*DIGITNET, "export", bytes(small / "run"), "--out", bytes(small / "model.onnx")],
            [*DIGITNET, "export", bytes(small / "run"), "--out", bytes(small / "new.onnx")],
            commands(place, {**own, "run": small / "run2"})[0],
            [*DIGITNET, "evaluate", "--model", bytes(small / "run"), "--data", bytes(own["data"])],
            [*DIGITNET, "read", bytes(own["picture"]), "--out", bytes(small / "new.csv"), "--format", "csv"],
            FETCH,
        ]
        outcomes += [
            ("full disk", words, outcome(words, small, {**os.environ, "DIGITNET_DATA": str(small)})) for words in tried
        ]
        for path, content in before.items():
            if path.read_bytes() != content:
                outcomes.append(
                    ("full disk", [*DIGITNET, str(path)], ("fault", "an old file is no longer what it was"))
                )
        for path in set(small.rglob("*")) - set(before):
            # a lock is an empty file, and is never removed: another process may hold it
            if path.is_file() and path.name != ".lock" and path.stat().st_size == 0:
                outcomes.append(("full disk", [*DIGITNET, str(path)], ("fault", "an empty file was left")))
    finally:
        subprocess.run(["umount", small], check=True)
    return tally("full disk (a small tmpfs): export, train, evaluate, read, fetch", outcomes, ", old files whole")


if __name__ == "__main__":
    sys.exit(not main())
