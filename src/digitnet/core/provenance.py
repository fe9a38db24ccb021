"""What numbers may depend on besides settings and data: versions, revision, machine.

Imported by whatever counts cores, so it imports little.
"""

from __future__ import annotations

import os
from pathlib import Path

from digitnet.core.version import __version__


def environment(*packages: str) -> dict[str, str | None]:
    """Return the versions of digitnet, Python and the packages named, digitnet's revision, and the kind of machine."""
    import platform
    from importlib.metadata import version

    return {
        "digitnet": __version__,
        "revision": revision(),
        "python": platform.python_version(),
        **{package: version(package) for package in packages},
        "machine": f"{platform.system()} {platform.machine()}",
    }


def revision() -> str | None:
    """Return the git commit that this package's files are tracked in, with a + where they differ; or None."""
    import subprocess

    home = Path(__file__).parents[1]

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", "-C", str(home), *words], capture_output=True, text=True, check=True, timeout=5
        ).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", str(Path(__file__).relative_to(home)))
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", "--", ".") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def processor() -> str:
    """Return this machine's processor in a few words."""
    import platform

    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
