"""`python -m digitnet`, and the command `digitnet`."""

import os
import signal

from digitnet.core.interrupt import stop


def main() -> None:
    """Run the command line; Ctrl-C ends it with exit status 130 from its first import on.

    OpenMP's threads wait without spinning, unless the user has set OMP_WAIT_POLICY.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # a job in the background may ignore it
        signal.signal(signal.SIGINT, stop)
    # Threads that spin while they wait make training three times slower beside one busy program.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    from digitnet import cli

    cli.main()


if __name__ == "__main__":  # processes that read import this module, too
    main()
