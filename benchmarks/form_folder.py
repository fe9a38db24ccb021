"""A folder of filled sheets with five fields each, read by the command: time per sheet, memory, fields that are exact.

python benchmarks/form_folder.py --sheets 1000 >> benchmarks/RESULTS.md

A quarter of the sheets are different; each is there under four names. They are read twice, a tenth of them and all of
them, each time by `digitnet form read` in a process of its own. Fails where a sheet takes too long, or where memory
grows from the first run to the second.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from rows import note, row

from digitnet.forms.examples import example

FIELDS = ("customer", "ordered", "phone", "article1", "total")
"""Fields of the example `order` that the sheets have: two combs, a date, digits and an amount."""

NAMES = 4
"""Names under which each sheet is there."""

MAX_SECONDS, FLAT = 0.25, 1.1
"""Processor time of a sheet; growth of memory that counts as flat."""


def digitnet(*words: str | Path) -> tuple[float, float]:
    """Run a command of digitnet; return its processor seconds and its peak of memory in megabytes."""
    command = [sys.executable, "-m", "digitnet", *map(str, words)]
    child = subprocess.Popen(command, stdout=sys.stderr, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode not in (0, 2):  # 2: a sheet was refused
        raise RuntimeError(f"{' '.join(command)}: exit status {child.returncode}")
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def rows_of(path: Path) -> dict[str, dict[str, str]]:
    """Return the rows of a table by the names of their files."""
    with path.open(encoding="utf-8", newline="") as file:
        return {Path(its["file"]).name: its for its in csv.DictReader(file)}


def value(its: dict[str, str], field: str) -> str:
    """Return what was read in a field of a sheet; its status in brackets where that is not a value."""
    status = its[f"{field}_status"]
    return its[field] if status == "read" else f"({status})"


def main() -> None:
    """Compose sheets, read them, and print the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sheets", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    plain = json.loads(example("order").to_json())
    plain |= {"name": "five", "markers": {"number": 5}, "relations": []}
    plain["fields"] = [field for field in plain["fields"] if field["name"] in FIELDS]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        form, sheets, few = folder / "five.form.json", folder / "sheets", folder / "few"
        form.write_text(json.dumps(plain))
        composed = folder / "composed"
        different = str(-(-asked.sheets // NAMES))
        digitnet("compose", "--form", form, "--out", composed, "--sheets", different, "--seed", str(asked.seed))
        truth = rows_of(composed / "truth.csv")
        files = [(file, f"{name}-{file.name}") for name in range(NAMES) for file in sorted(composed.glob("*.png"))]
        for its, number in ((sheets, asked.sheets), (few, asked.sheets // 10)):
            its.mkdir()
            for file, its_name in files[:number]:
                os.link(file, its / its_name)
        (seconds, peak), (more_seconds, higher) = (
            digitnet("form", "read", form, its, "--out", folder / f"{its.name}.csv") for its in (few, sheets)
        )
        found = rows_of(folder / "sheets.csv")
    count = len(found)
    each = (more_seconds - seconds) / (count - asked.sheets // 10)  # without what starting takes
    read = len(FIELDS) * count
    exact = sum(value(its, field) == truth[file[2:]][field] for file, its in found.items() for field in FIELDS)
    note(f"{seconds:.1f} s, {more_seconds:.1f} s")
    name = f"a folder of {count:,} sheets with {len(FIELDS)} fields each"
    met = row(
        f"{name}: processor time per sheet",
        f"<= {1000 * MAX_SECONDS:.0f} ms",
        f"{1000 * each:.0f} ms",
        count,
        each <= MAX_SECONDS,
    )
    memory = f"{peak:.0f} MB after {asked.sheets // 10:,} sheets, {higher:.0f} MB after {count:,}"
    met &= row(f"{name}: peak of memory", f"<= {FLAT:g} times", memory, count, higher <= FLAT * peak)
    row(f"{name}: fields exact, with rules", "report", f"{exact / read:.2%}", read, True)
    sys.exit(not met or count != asked.sheets)


if __name__ == "__main__":
    main()
