"""Change the code in a thousand small ways: how many of the changes do the tests notice? pip install mutmut==3.8.1

python benchmarks/mutation.py >> benchmarks/RESULTS.md
python benchmarks/mutation.py frame fetch

Mutmut changes one thing at a time (a number, a comparison, a string, an argument) in a copy of the package as it was
committed, and runs the tests of that module which reach the change. A change that they let pass, or that no test
reaches, survives. The copy lies outside the checkout, where pytest finds no other; a call that was stopped goes on.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rows import commit, note, row

MODULES = ("imaging/normalization", "evaluation/metrics", "data/download", "models/checkpoint")
LEAST = 0.85
"""The share of changes that the tests of a module must notice."""

SURVIVED = {0: "survived", 33: "no test", 34: "skipped", 5: "no test"}
"""Mutmut's exit codes of changes that were not noticed; all others are failed tests, ended processes, endless loops."""

LEFT_OUT = "not two_processes and not stopped_by"
"""Tests that start processes of their own, which would use the package as it is."""


def main() -> bool:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", nargs="*", default=MODULES, help=" ".join(MODULES))
    parser.add_argument("--jobs", type=int, default=1)
    asked = parser.parse_args()
    here = Path(__file__).parents[1]
    copy = Path(tempfile.gettempdir()) / "-".join(["digitnet-mutation", commit().rstrip("+"), *asked.modules])
    if not copy.is_dir():
        subprocess.run(["git", "clone", "--quiet", here, copy], check=True)
        with (copy / "pyproject.toml").open("a") as file:
            file.write(settings(asked.modules))
        (copy / "mutants/src").mkdir(parents=True)  # Python does not look again for a folder that was not there
    words = [str(Path(sys.executable).with_name("mutmut")), "run", "--max-children", str(asked.jobs)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(copy / "mutants/src")}
    done = subprocess.run(words, cwd=copy, env=environment, stdout=sys.stderr)
    if done.returncode:
        raise SystemExit(f"{copy}: mutmut ended with {done.returncode}")
    met = [told(copy, module) for module in asked.modules]
    return all(met)


def settings(modules: Sequence[str]) -> str:
    """Return what mutmut is told, as a table of pyproject.toml."""
    chosen = [f"src/digitnet/{module}.py" for module in modules]
    tests = [f"tests/{module.replace('/', '/test_')}.py" for module in modules]
    return (
        '\n[tool.mutmut]\nsource_paths = ["src"]\n'
        f"only_mutate = {json.dumps(chosen)}\n"
        f"pytest_add_cli_args_test_selection = {json.dumps(tests)}\n"
        f"pytest_add_cli_args = {json.dumps(['-p', 'no:cacheprovider', '-k', LEFT_OUT])}\n"
    )


def told(copy: Path, module: str) -> bool:
    """Print the row of a module; name the changes that survived."""
    codes = json.loads((copy / f"mutants/src/digitnet/{module}.py.meta").read_text())["exit_code_by_key"]
    undone = sum(code in (None, 2) for code in codes.values())
    missed = {name: SURVIVED[code] for name, code in codes.items() if code in SURVIVED}
    for name, why in missed.items():
        note(f"{why}: {name}")
    killed = len(codes) - undone - len(missed)
    share = killed / len(codes)
    kinds = ", ".join(f"{count} {why}" for why, count in Counter(missed.values()).most_common())
    measured = f"{share:.1%}: {killed} of {len(codes)}" + (f" ({kinds})" if kinds else "")
    met = share >= LEAST and not undone
    return row(f"mutation testing: changes of `{module}` that tests notice", ">= 85%", measured, len(codes), met)


if __name__ == "__main__":
    sys.exit(not main())
