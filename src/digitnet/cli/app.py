"""The command line: one command per verb. A command is imported when it is used, heavy packages inside it."""

from __future__ import annotations

import io
import logging
import signal
import sys
import warnings
from typing import Annotated, Any, NoReturn

import click

from digitnet.cli.command import Group, Option
from digitnet.cli.options import PREFIX
from digitnet.core import extras
from digitnet.core.errors import DigitNetError
from digitnet.core.interrupt import interrupt, stop
from digitnet.core.terminal import say
from digitnet.core.text import printable
from digitnet.core.version import __version__

COMMANDS = {
    "train": "train:train",
    "read": "read:read",
    "predict": "predict:predict",
    "compose": "compose:compose",
    "serve": "serve:serve",
    "report": "report:report",
    "review": "review:review",
    "learn": "learn:learn",
    "audit": "audit:audit",
    "benchmark": "benchmark:benchmark",
    "evaluate": "evaluate:evaluate",
    "export": "export:export",
    "trust": "export:trust",
    "check": "check:check",
    "data": "data:data_app",
    "form": "form:form_app",
}
"""The commands and where they are, in this folder."""


class _Commands(Group):
    """The commands; Ctrl-C ends each with a word and exit status 130, whatever Click makes of it."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that is asked for."""
        if signal.getsignal(signal.SIGINT) is stop:
            signal.signal(signal.SIGINT, interrupt)
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            say("Stopped.")
            raise click.exceptions.Exit(130) from None


def _options(version: Annotated[bool, Option("--version", help="Print the version and exit.")] = False) -> None:
    if version:
        print(f"digitnet {__version__}")
        raise click.exceptions.Exit


app = _Commands(
    "digitnet",
    {name: f"digitnet.cli.{home}" for name, home in COMMANDS.items()},
    _options,
    {"serve": {"auto_envvar_prefix": PREFIX}},
    help="Recognise handwritten digits and numbers in images, and train the models that do it.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class _Printable(logging.Formatter):
    """Escapes control characters in messages, which may quote the name of a file."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        return printable(super().formatMessage(record))


def main() -> NoReturn:
    """Run the command line; turn every error that a user can fix into one clear message and exit status 1."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Printable("%(message)s"))
    logging.basicConfig(handlers=[handler])
    logging.getLogger("digitnet").setLevel(logging.INFO)
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")  # a file's name may be no text
    warnings.showwarning = lambda message, *_, **__: say(f"Warning: {message}")
    try:
        app()
    except DigitNetError as error:
        say(f"Error: {error}")
    except ModuleNotFoundError as error:
        if (told := extras.missing(error.name)) is None:
            raise
        say(f"Error: {told}")
    except RuntimeError as error:  # of expanduser, and of platformdirs
        if "home directory" not in str(error):
            raise
        say("Error: the home folder is unknown; set HOME, or use absolute paths and --data-dir or DIGITNET_DATA")
    except BrokenPipeError:
        sys.stderr.close()
    except OSError as error:
        say(f"Error: {error.filename or 'the system'}: {error.strerror}")
    sys.exit(1)
