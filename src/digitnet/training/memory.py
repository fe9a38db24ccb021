"""Keeping the memory that every step of a training frees and needs again."""

from __future__ import annotations

import ctypes
import os

TRIM_THRESHOLD, TOP_PAD, MMAP_THRESHOLD = -1, -2, -3
"""Parameters of glibc's `mallopt`, and their settings below."""

SETTINGS = {MMAP_THRESHOLD: 2**25, TRIM_THRESHOLD: 2**31 - 1, TOP_PAD: 2**26}

VARIABLES = ("GLIBC_TUNABLES", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "MALLOC_TOP_PAD_")


def keep_freed() -> bool:
    """Let this process keep the memory that it frees; return whether that was possible and not set otherwise.

    By default glibc gives large pieces, such as a layer's activations, back to the system and gets them again at every
    step: with page faults, which cost 15% to 40% of the time of a small network. The results stay the same. Only glibc
    has this setting.
    """
    if any(name in os.environ for name in VARIABLES):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # musl, macOS, Windows
        return False
    done = [mallopt(parameter, value) for parameter, value in SETTINGS.items()]
    return all(done)
