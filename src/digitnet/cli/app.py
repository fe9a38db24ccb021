"""The command line: one command per verb. Heavy packages are imported inside the commands that need them."""

from __future__ import annotations

import io
import logging
import signal
import sys
import warnings
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from digitnet.cli.audit import audit
from digitnet.cli.benchmark import benchmark
from digitnet.cli.check import check
from digitnet.cli.compose import compose
from digitnet.cli.data import data_app
from digitnet.cli.evaluate import evaluate
from digitnet.cli.export import export, trust
from digitnet.cli.form import form_app
from digitnet.cli.options import PREFIX
from digitnet.cli.predict import predict
from digitnet.cli.read import read
from digitnet.cli.report import report
from digitnet.cli.serve import serve
from digitnet.cli.train import train
from digitnet.core import extras
from digitnet.core.errors import DigitNetError
from digitnet.core.interrupt import interrupt, stop
from digitnet.core.terminal import say
from digitnet.core.text import printable
from digitnet.core.version import __version__


class _Commands(TyperGroup):
    """The commands; Ctrl-C ends each with a word and exit status 130, whatever Typer makes of it."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that is asked for."""
        if signal.getsignal(signal.SIGINT) is stop:
            signal.signal(signal.SIGINT, interrupt)
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            say("Stopped.")
            raise typer.Exit(130) from None


app = typer.Typer(
    name="digitnet",
    cls=_Commands,
    help="Recognise handwritten digits and numbers in images, and train the models that do it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(data_app, name="data")
app.add_typer(form_app, name="form")
app.command()(train)
app.command()(read)
app.command()(predict)
app.command()(compose)
app.command(context_settings={"auto_envvar_prefix": PREFIX})(serve)
app.command()(report)
app.command()(audit)
app.command()(benchmark)
app.command()(evaluate)
app.command()(export)
app.command()(trust)
app.command()(check)


@app.callback(invoke_without_command=True)
def _options(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    if version:
        print(f"digitnet {__version__}")
        raise typer.Exit


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
