"""Ctrl-C on the command line.

PyTorch and NumPy call Python from C++ while they are imported. A KeyboardInterrupt there is dropped, so that a part of
the module stays away, or it aborts the process. So Ctrl-C raises it only while a command works and imports nothing;
otherwise it ends the process at once: nothing is being written then that would have to be put in order.
"""

import contextlib
import os
import signal
import sys
from types import FrameType


def stop(number: int, frame: FrameType | None) -> None:
    """Say so and end the process with exit status 130, without leaving any function; a handler of SIGINT."""
    with contextlib.suppress(Exception):
        sys.stdout.flush()
    os.write(2, b"Stopped.\n")
    os._exit(130)


def interrupt(number: int, frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt, or stop where a module is being imported; a handler of SIGINT."""
    above = frame
    while above is not None:
        if above.f_code.co_filename == "<frozen importlib._bootstrap>":
            stop(number, frame)
        above = above.f_back
    signal.default_int_handler(number, frame)
