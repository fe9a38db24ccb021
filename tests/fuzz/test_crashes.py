"""What fuzzing has found once must be refused in words for ever: files in tests/findings, named TARGET-WORDS."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

TARGETS = Path(__file__).parents[2] / "benchmarks" / "targets.py"
FINDINGS = sorted((Path(__file__).parent / "corpus").iterdir())


@pytest.fixture(scope="module")
def replayed(environment):
    """What became of every finding, by name, in a process of its own that may not go on for long."""
    if not TARGETS.is_file():
        pytest.skip("the targets of fuzzing, in benchmarks/, are not here")
    words = [sys.executable, TARGETS, *FINDINGS]
    done = subprocess.run(words, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    return {told["name"]: told for told in map(json.loads, done.stdout.splitlines())}


@pytest.mark.parametrize("path", FINDINGS, ids=lambda path: path.name)
def test_what_was_found_once_is_answered_or_refused_in_words(path, replayed):
    told = replayed[path.name]
    assert not told["fault"]
    assert told["megabytes"] < 1000


def test_the_harness_sees_a_fault_where_there_is_one(tmp_path, environment):
    """A target that lets everything pass would find nothing."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import targets; from pathlib import Path\n"
        "def broken(data): raise ZeroDivisionError('of this test')\n"
        "targets.TARGETS['data'] = targets.Target('', broken, dict)\n"
        "targets.replay([Path(sys.argv[2])])"
    )
    (tmp_path / "data-any").write_bytes(b"1")
    words = [sys.executable, "-c", code, TARGETS.parent, tmp_path / "data-any"]
    done = subprocess.run(words, capture_output=True, text=True, env=environment, check=True)
    assert json.loads(done.stdout)["fault"] == "ZeroDivisionError: of this test"
