"""`python -m digitnet`, and the command `digitnet`."""

import atexit
import gc
import os
import signal
from typing import Any

from digitnet.core.interrupt import stop

STARTED = 100_000
"""Objects from which a command has started: reading makes as many as 60,000 before it reads."""


def main() -> None:
    """Run the command line; Ctrl-C ends it with exit status 130 from its first import on.

    OpenMP's threads wait without spinning, unless the user has set OMP_WAIT_POLICY. What imports make stays, so the
    garbage collector first looks for garbage when a command has started, and leaves the rest to the end of the process.
    """
    _collect_later()
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # a job in the background may ignore it
        signal.signal(signal.SIGINT, stop)
    # Threads that spin while they wait make training three times slower beside one busy program.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    from digitnet import cli

    cli.main()


def _collect_later() -> None:
    """Spare the garbage collector what imports make, a tenth of the time that a short command takes."""
    usual = gc.get_threshold()

    def as_usual(phase: str, _: dict[str, Any]) -> None:
        if phase == "stop":
            gc.callbacks.remove(as_usual)
            gc.set_threshold(*usual)

    gc.callbacks.append(as_usual)
    gc.set_threshold(STARTED)
    atexit.register(gc.freeze)


if __name__ == "__main__":  # processes that read import this module, too
    main()
