"""`python -m digitnet`, and the command `digitnet`."""

import signal

from digitnet.core.interrupt import stop


def main() -> None:
    """Run the command line; Ctrl-C ends it with exit status 130 from its first import on."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # a job in the background may ignore it
        signal.signal(signal.SIGINT, stop)
    from digitnet import cli

    cli.main()


if __name__ == "__main__":  # processes that read import this module, too
    main()
