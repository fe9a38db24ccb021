"""`python -m digitnet` is `digitnet`."""

from digitnet.cli import main

if __name__ == "__main__":  # processes that read import this module, too
    main()
