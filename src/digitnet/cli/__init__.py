"""The command line: a module for each command, `app.py` puts them together.

It may import every wing, but inside the commands: `digitnet --help` loads nothing heavy. Start with `app.py`.
"""

from digitnet.cli.app import main

__all__ = ["main"]
