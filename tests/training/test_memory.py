import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource
from digitnet.training.memory import keep_freed
kept = keep_freed()
for _ in range(3):
    bytearray(2**23)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    bytearray(b"x" * 2**23)
print(kept, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(environment):
    done = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, text=True, env=environment, check=True)
    kept, count = done.stdout.split()
    return kept == "True", int(count)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has the setting")
def test_memory_that_is_freed_and_needed_again_is_not_fetched_again(environment):
    mine = {name: value for name, value in environment.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    kept, few = faults(mine)
    assert kept
    left, many = faults(mine | {"MALLOC_TRIM_THRESHOLD_": "131072"})
    assert not left
    assert few < many / 3
