"""The command line: one command a verb. Whatever is heavy is imported inside the command that needs it."""

from __future__ import annotations

import io
import logging
import signal
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from digitnet import __version__
from digitnet.cli import audit, benchmark, report, serve, train
from digitnet.cli import read as cli_read
from digitnet.cli.options import PREFIX
from digitnet.cli.train import DataDir
from digitnet.core import extras
from digitnet.core.errors import DataError, DigitNetError, ModelError, printable
from digitnet.core.interrupt import interrupt, stop
from digitnet.core.terminal import console, percent, print_sending, program, put, say

if TYPE_CHECKING:
    from digitnet.evaluation.metrics import Scores
    from digitnet.evaluation.scoring import Model


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
    help="Handwritten digits: read them off pictures, train networks, score them, see what they confuse.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
data_app = typer.Typer(help="List the data sets that are known and those that are here; fetch one.")
app.add_typer(data_app, name="data")


app.command()(train.train)
app.command()(cli_read.read)
app.command()(cli_read.compose)
app.command(context_settings={"auto_envvar_prefix": PREFIX})(serve.serve)
app.command()(report.report)
app.command()(audit.audit)
app.command()(benchmark.benchmark)


@app.callback(invoke_without_command=True)
def _options(
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    if version:
        print(f"digitnet {__version__}")
        raise typer.Exit


@data_app.callback(invoke_without_command=True)
def data(context: typer.Context, data_dir: DataDir = None) -> None:
    """List the data sets that are known and those that are here."""
    if context.invoked_subcommand:
        context.obj = data_dir  # `digitnet data --data-dir DIR get mnist` means DIR too
        return
    from rich.table import Table

    from digitnet.data import unipen
    from digitnet.data.datasets import DATASETS, TRAJECTORIES, data_folder, find

    table = Table("name", "what", "here")
    for dataset in DATASETS.values():
        found = [find(dataset, file, data_dir) for file in dataset.files]
        places = sorted({str(hit[0].parent) for hit in found if hit})
        state = ", ".join(places) if all(found) else f"no; get it: {program()} data get {dataset.name}"
        table.add_row(dataset.name, dataset.about, state)
    place = unipen.find(data_dir)
    table.add_row(TRAJECTORIES, unipen.ABOUT, str(place or f"no; get it: {program()} data get {TRAJECTORIES}"))
    console().print(table)
    put(f"Cache: {data_folder(data_dir)}")
    print("Your own digits go by path: IDX, CSV, .npz, or a folder with a subfolder of pictures per digit.")


@data_app.command("get")
def data_get(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="A name that `digitnet data` lists.")],
    data_dir: DataDir = None,
) -> None:
    """Fetch a data set unless it is here, or make it from its archive. Example: digitnet data get mnist."""
    from digitnet.data import unipen
    from digitnet.data.datasets import DATASETS, TRAJECTORIES, get

    folder = data_dir or context.obj
    if name not in (*DATASETS, TRAJECTORIES):
        raise DataError(f"data set {name!r} is not known; choose one of {', '.join((*DATASETS, TRAJECTORIES))}")
    paths = unipen.get(folder) if name == TRAJECTORIES else get(DATASETS[name], folder)
    for place in paths if len(paths) <= 4 else sorted({path.parent for path in paths}):
        print(place)


@app.command()
def evaluate(
    model: Annotated[
        str | None,
        typer.Option(
            show_default="the newest run, else strong",
            help="A built-in model (strong, digitnet), an .onnx file, a run's folder, or weights (.safetensors, .pt).",
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(show_default="the model's own", help="A data set's name (its test part), or a path."),
    ] = None,
    inputs: Annotated[
        str | None,
        typer.Option(
            "--input",
            show_default="the best on validation digits",
            help="What weights by others take: 0..1; mnist, normalised by 0.1307 and 0.3081; -1..1; or 0..255.",
        ),
    ] = None,
    corrupt: Annotated[
        str | None,
        typer.Option(show_default=False, help="Score digits spoilt in this way, or in all fifteen: all."),
    ] = None,
    read: Annotated[
        bool, typer.Option("--read", help="Score reading whole pictures: --data is a folder with a truth.csv.")
    ] = False,
    single: cli_read.Single = False,
    length: cli_read.Length = None,
    lengths: cli_read.Lengths = None,
    value_range: cli_read.Range = None,
    checksum: cli_read.Checksum = None,
    kind: cli_read.KindOf = None,
    order: cli_read.Order = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the scores as JSON.")] = False,
    show: Annotated[bool, typer.Option("--show", help="Open the confusion matrix.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Score a model: accuracy, each digit, confusions, worst errors, how sure it is, and the confusion matrix.

    Examples: digitnet evaluate; digitnet evaluate --model their.pt --data my-digits.csv --json; digitnet evaluate
    --model strong --corrupt all.
    """
    from digitnet.core.files import to_json
    from digitnet.evaluation.scoring import open_model, score, summary
    from digitnet.reading.constraints import from_options

    rules = from_options(length, lengths, value_range, checksum, kind, None, order)
    if read and inputs is not None:
        raise ModelError("--input: is for networks of single digits; leave it out with --read")
    if read:
        cli_read.evaluate_reading(model, data, single, rules, as_json)
        return
    if rules or single:
        raise DataError("--single, --length, --lengths, --range, --checksum, --kind apply only to reading; add --read")
    opened = open_model(model, inputs, data_dir)
    if corrupt is not None:
        _evaluate_corrupted(opened, corrupt, data, data_dir, as_json)
        return
    done = score(opened, data, data_dir)
    if done.kept_back:
        say(f"{opened.name} learnt from {done.source}; scoring only the {len(done.digits):,} digits kept back from it.")
    if as_json:
        about = {"model": opened.name, "data": done.source, **_input(opened)}
        print(to_json(about | summary(done.scores, done.digits)))
    else:
        put(f"{opened.name} on {done.source}")
        print()
        train.print_scores("Accuracy", done.scores, done.digits)
        _print_selection(done.scores)
        if done.refused is not None:
            print(f"Refused as no digit: {percent(done.refused)}")
        if worst := done.scores.worst():
            print("Worst errors, by file:" if done.files else "Worst errors, by index in the data:")
        for error in worst:
            name = str(done.files[error.index]) if done.files else f"{error.index:>6}"
            put(f"  {name}: a {error.true} read as {error.predicted}, {percent(error.probability)} sure")
        if done.picture.is_file():
            put(f"Confusion matrix: {done.picture}")
    if show and done.picture.is_file() and typer.launch(str(done.picture)):
        say(f"No viewer could be opened; the picture is {done.picture}")


def _input(model: Model) -> dict[str, str]:
    return {"input": model.about["input"]} if "input" in model.about else {}


def _evaluate_corrupted(model: Model, name: str, data: str | None, data_dir: Path | None, as_json: bool) -> None:
    from rich.table import Table

    from digitnet.core.files import to_json
    from digitnet.data.corruptions import CORRUPTIONS
    from digitnet.evaluation.scoring import score_corrupted

    names = list(CORRUPTIONS) if name == "all" else [name]
    found = dict(score_corrupted(model, names, data, data_dir))
    mean = sum(scores.accuracy for scores in found.values()) / len(found)
    if as_json:
        shares = {name: scores.accuracy for name, scores in found.items()}
        print(to_json({"model": model.name, **_input(model), "accuracy": shares, "mean": mean}))
        return
    table = Table("corruption", "right", "errors")
    for name, scores in found.items():
        table.add_row(name, percent(scores.accuracy), f"{scores.n - scores.correct:,}")
    console().print(table)
    print(f"Mean accuracy of {model.name}: {percent(mean)}")


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="A run's folder.")],
    out: Annotated[Path, typer.Option(help="The .onnx file to write.")],
    data: Annotated[
        str | None,
        typer.Option(show_default="where they were", help="Where the digits that the run was trained on are now."),
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Write a trained network as one .onnx file, calibrated, that answers without torch.

    Example: digitnet export run/best-1 --out mine.onnx; then: digitnet evaluate --model mine.onnx.
    """
    from digitnet.core.files import require_writable
    from digitnet.training.export import export_run

    if out.is_dir():
        raise DataError(f"{out}: is a folder; name a file in it: --out {out / 'mine.onnx'}")
    require_writable(out.parent)
    model = export_run(run, out, data_dir, data)
    put(f"{out}: {out.stat().st_size:,} bytes, sha256 {model.sha256}")
    refused = (
        f", images with a digit-ness below {model.about['threshold']:g} refused" if "threshold" in model.about else ""
    )
    print(f"temperature {model.about['temperature']:.3f}{refused}")


@app.command()
def trust(
    file: Annotated[Path, typer.Argument(help="An .onnx file that you exported yourself, or whose maker you trust.")],
) -> None:
    """Open a model file from now on although it holds more than digitnet's own models do.

    digitnet opens model files of any origin, as long as they are built of what its own are built of. Your own networks
    may hold more: on the machine where you exported them they are trusted already, elsewhere by this command.
    """
    from digitnet.models import trust as trusts

    print(f"{file}: trusted, sha256 {trusts.trust(file)}, in {trusts.trust_list()}")


@app.command()
def check() -> None:
    """Say what is installed and whether the built-in models answer as they should. Exit status 1 if not."""
    from digitnet.evaluation.self_test import check as findings

    wrong = 0
    for found in findings():
        print(f"{'ok' if found.good else 'WRONG':<5}  {found.what}")
        wrong += not found.good
    if wrong:
        raise typer.Exit(1)


def _print_selection(scores: Scores) -> None:
    """Print what is gained by sending the least sure digits to a person."""
    from digitnet.evaluation.metrics import SHARES

    print_sending(scores, SHARES)
    if (safe := scores.selection()) is None:
        print("At most 0.1 % wrong, with 95 % certainty: these digits are too few or too often misread to show it")
    else:
        print(
            f"At most 0.1 % wrong, with 95 % certainty: send the {percent(safe.rejected)} that are less sure than "
            f"{100 * safe.threshold:.4g} % to a person"
        )


class _Printable(logging.Formatter):
    """Escapes control characters in messages, which may quote the name of a file."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        return printable(super().formatMessage(record))


def main() -> NoReturn:
    """Run the command line; turn every error that a user can mend into one clear message and exit status 1."""
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
        say("Error: the home folder is not known; set HOME, or give whole paths and --data-dir or DIGITNET_DATA")
    except BrokenPipeError:
        sys.stderr.close()
    except OSError as error:
        say(f"Error: {error.filename or 'the system'}: {error.strerror}")
    sys.exit(1)
