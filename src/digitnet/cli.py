"""The command line: one command a verb. Whatever is heavy is imported inside the command that needs it."""

from __future__ import annotations

import io
import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

import typer

from digitnet import __version__, cli_read, cli_serve
from digitnet.errors import DataError, DigitNetError, TrainingError
from digitnet.terminal import console, percent, print_sending, program, say

if TYPE_CHECKING:
    from digitnet.digits import Digits
    from digitnet.evaluate import Scores
    from digitnet.score import Model
    from digitnet.train import Epoch, TrainConfig

app = typer.Typer(
    name="digitnet",
    help="Handwritten digits: read them off pictures, train networks, score them, see what they confuse.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
data_app = typer.Typer(help="List the data sets that are known and those that are here; fetch one.")
app.add_typer(data_app, name="data")

DataDir = Annotated[
    Path | None,
    typer.Option(
        show_default="DIGITNET_DATA, else the platform's cache folder",
        help="Folder of named data sets.",
    ),
]


app.command()(cli_read.read)
app.command()(cli_read.compose)
app.command()(cli_serve.serve)


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

    from digitnet.data import DATASETS, data_folder, find

    table = Table("name", "what", "here")
    for dataset in DATASETS.values():
        found = [find(dataset, file, data_dir) for file in dataset.files]
        places = sorted({str(hit[0].parent) for hit in found if hit})
        state = ", ".join(places) if all(found) else f"no; get it: {program()} data get {dataset.name}"
        table.add_row(dataset.name, dataset.about, state)
    console().print(table)
    print(f"Cache: {data_folder(data_dir)}")
    print("Your own digits go by path: IDX, CSV, .npz, or a folder with a subfolder of pictures per digit.")


@data_app.command("get")
def data_get(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="A name that `digitnet data` lists.")],
    data_dir: DataDir = None,
) -> None:
    """Fetch a data set unless it is here. Example: digitnet data get mnist."""
    from digitnet.data import DATASETS, get

    if name not in DATASETS:
        raise DataError(f"data set {name!r} is not known; choose one of {', '.join(DATASETS)}")
    paths = get(DATASETS[name], data_dir or context.obj)
    for place in paths if len(paths) <= 4 else sorted({path.parent for path in paths}):
        print(place)


@app.command()
def train(
    data: Annotated[
        str | None, typer.Option(show_default="mnist", help="A data set's name, or the path of your own.")
    ] = None,
    model: Annotated[
        Literal["digitnet", "strong", "line"] | None,
        typer.Option(
            show_default="digitnet",
            help="The network: the tutorial's, the stronger one, or the one that reads whole numbers.",
        ),
    ] = None,
    recipe: Annotated[
        Literal["tutorial", "quick", "best", "thorough", "accurate", "transfer", "line"] | None,
        typer.Option(
            show_default="best, for strong transfer, for line line",
            help="digitnet: tutorial, as the tutorial has it; quick, 99 % in seconds; best, what two minutes on two "
            "cores give; thorough, twice as long, and what is no digit. strong: accurate, for MNIST alone; transfer, "
            "for digits from anywhere. line: line, on numbers composed anew for every epoch.",
        ),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, show_default="the recipe's", help="Passes over the training digits.")
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(min=1, show_default="the recipe's", help="Digits per optimizer step.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, show_default="0", help="Of first weights, order and augmentation.")
    ] = None,
    device: Annotated[
        Literal["auto", "cpu", "cuda", "mps"] | None,
        typer.Option(show_default="auto", help="Where to train."),
    ] = None,
    out: Annotated[Path | None, typer.Option(show_default="run/RECIPE-N", help="A new folder for the run.")] = None,
    resume: Annotated[Path | None, typer.Option(show_default=False, help="Go on with the run in this folder.")] = None,
    data_dir: DataDir = None,
) -> None:
    """Train a network, then score it once on the test digits.

    Examples: digitnet train --recipe quick; digitnet train --data my-digits/ --epochs 50; digitnet train --model
    strong.
    """
    from digitnet.evaluate import LineScores
    from digitnet.run import reopen, start
    from digitnet.score import PICTURE, RUNS
    from digitnet.train import RECIPE_OF, RECIPES

    asked: dict[str, Any] = {"data": data, "epochs": epochs, "batch_size": batch_size, "seed": seed}
    asked = {name: value for name, value in asked.items() if value is not None}
    if resume is None:
        config = RECIPES[recipe or RECIPE_OF[model or "digitnet"]]
        if model and config.model != model:
            raise TrainingError(f"the recipe {recipe!r} trains {config.model}; leave out --model {model}")
        run = start(replace(config, device=device or "auto", **asked), out, data_dir)
    else:
        others = {"model": model, "recipe": recipe, "out": out}
        if given := [*asked, *(name for name, value in others.items() if value)]:
            flags = ", ".join("--" + name.replace("_", "-") for name in given)
            raise TrainingError(f"--resume goes on with the settings of {resume}; leave out {flags}")
        run = reopen(resume, device, data_dir)

    config = run.config
    print(
        f"Training {config.model} by the recipe {config.recipe!r} on {len(run.parts.train):,} digits of {config.data}"
        f" ({config.device}, {config.precision}) into {run.folder}"
    )
    try:
        with _progress(config) as show:
            for epoch in run.train():
                show(epoch)
    except KeyboardInterrupt:
        say(f"Stopped; every finished epoch is kept. Go on with: {program()} train --resume {run.folder}")
        raise typer.Exit(130) from None
    scores = run.finish()
    if isinstance(scores, LineScores):
        cli_read.print_line_scores("\nNumbers composed from test digits", scores)
        return
    _print_scores("\nTest accuracy", scores, run.parts.test)
    print(f"Confusion matrix: {run.folder / PICTURE}\n")
    evaluate = f"{program()} evaluate" + ("" if run.folder.parent == RUNS else f" --model {run.folder}")
    print("Next:")
    print(f"  {evaluate} --show\n      opens the confusion matrix and lists the worst errors")
    print(f"  {evaluate} --data PATH\n      scores the network on digits of your own")
    if config.recipe == "best":
        print(f"  {program()} train --recipe quick\n      learns nearly as well in seconds")
    else:
        print(f"  {program()} train\n      learns better, in about two minutes for MNIST")


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
    corrupt: Annotated[
        str | None,
        typer.Option(show_default=False, help="Score digits spoilt in this way, or in all fifteen: all."),
    ] = None,
    read: Annotated[
        bool, typer.Option("--read", help="Score reading whole pictures: --data is a folder with a truth.csv.")
    ] = False,
    single: cli_read.Single = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the scores as JSON.")] = False,
    show: Annotated[bool, typer.Option("--show", help="Open the confusion matrix.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Score a model: accuracy, each digit, confusions, worst errors, how sure it is, and the confusion matrix.

    Examples: digitnet evaluate; digitnet evaluate --model their.pt --data my-digits.csv --json; digitnet evaluate
    --model strong --corrupt all.
    """
    from digitnet.files import to_json
    from digitnet.score import open_model, score, summary

    if read:
        cli_read.evaluate_reading(model, data, single, as_json)
        return
    opened = open_model(model)
    if corrupt is not None:
        _evaluate_corrupted(opened, corrupt, data, data_dir, as_json)
        return
    done = score(opened, data, data_dir)
    if done.kept_back:
        say(f"{opened.name} learnt from {done.source}; scoring only the {len(done.digits):,} digits kept back from it.")
    if as_json:
        print(to_json({"model": opened.name, "data": done.source, **summary(done.scores, done.digits)}))
    else:
        print(f"{opened.name} on {done.source}\n")
        _print_scores("Accuracy", done.scores, done.digits)
        _print_selection(done.scores)
        if done.refused is not None:
            print(f"Refused as no digit: {percent(done.refused)}")
        if worst := done.scores.worst():
            print("Worst errors, by file:" if done.files else "Worst errors, by index in the data:")
        for error in worst:
            name = str(done.files[error.index]) if done.files else f"{error.index:>6}"
            print(f"  {name}: a {error.true} read as {error.predicted}, {percent(error.probability)} sure")
        if done.picture.is_file():
            print(f"Confusion matrix: {done.picture}")
    if show and done.picture.is_file() and typer.launch(str(done.picture)):
        say(f"No viewer could be opened; the picture is {done.picture}")


def _evaluate_corrupted(model: Model, name: str, data: str | None, data_dir: Path | None, as_json: bool) -> None:
    from rich.table import Table

    from digitnet.corrupt import CORRUPTIONS
    from digitnet.files import to_json
    from digitnet.score import score_corrupted

    names = list(CORRUPTIONS) if name == "all" else [name]
    found = dict(score_corrupted(model, names, data, data_dir))
    mean = sum(scores.accuracy for scores in found.values()) / len(found)
    if as_json:
        shares = {name: scores.accuracy for name, scores in found.items()}
        print(to_json({"model": model.name, "accuracy": shares, "mean": mean}))
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
    data_dir: DataDir = None,
) -> None:
    """Write a trained network as one .onnx file, calibrated, that answers without torch.

    Example: digitnet export run/best-1 --out mine.onnx; then: digitnet evaluate --model mine.onnx.
    """
    from digitnet.export import export_run

    model = export_run(run, out, data_dir)
    print(f"{out}: {out.stat().st_size:,} bytes, sha256 {model.sha256}")
    refused = (
        f", images with a digit-ness below {model.about['threshold']:g} refused" if "threshold" in model.about else ""
    )
    print(f"temperature {model.about['temperature']:.3f}{refused}")


@app.command()
def check() -> None:
    """Say what is installed and whether the built-in models answer as they should. Exit status 1 if not."""
    from digitnet.check import check as findings

    wrong = 0
    for found in findings():
        print(f"{'ok' if found.good else 'WRONG':<5}  {found.what}")
        wrong += not found.good
    if wrong:
        raise typer.Exit(1)


def _print_selection(scores: Scores) -> None:
    """Print what is gained by sending the least sure digits to a person."""
    from digitnet.evaluate import SHARES

    print_sending(scores, SHARES)
    if (safe := scores.selection()) is None:
        print("At most 0.1 % wrong, with 95 % certainty: these digits are too few or too often misread to show it")
    else:
        print(
            f"At most 0.1 % wrong, with 95 % certainty: send the {percent(safe.rejected)} that are less sure than "
            f"{100 * safe.threshold:.4g} % to a person"
        )


def _print_scores(heading: str, scores: Scores, digits: Digits) -> None:
    from rich.table import Table

    from digitnet.data import wrong_labels

    low, high = scores.interval
    print(f"{heading} {percent(scores.accuracy)}  (95 % interval {percent(low)} to {percent(high)})")
    print(f"{scores.n - scores.correct:,} of {scores.n:,} digits read wrong")
    if wrong := wrong_labels(digits):
        rest = scores.without(wrong)
        print(f"Without the {len(wrong)} digits whose labels are known to be wrong: {percent(rest.accuracy)}")
    table = Table("digit", "images", "errors", "precision", "recall", "F1")
    for column in table.columns[1:]:
        column.justify = "right"
    for digit in range(10):
        count = int(scores.confusion[digit].sum())
        wrong_count = count - int(scores.confusion[digit, digit])
        shares = [percent(float(s[digit])) if count else "-" for s in (scores.precision, scores.recall, scores.f1)]
        table.add_row(str(digit), f"{count:,}", str(wrong_count), *shares)
    console().print(table)
    if pairs := scores.confused():
        listed = ", ".join(f"{pair.true} read as {pair.predicted} ({pair.count})" for pair in pairs)
        print(f"Most confused: {listed}")


@contextmanager
def _progress(config: TrainConfig) -> Iterator[Any]:
    """Show every epoch as a line that ends with the time left, and on a terminal a bar below them."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    terminal = console()
    columns = (TextColumn("epoch"), MofNCompleteColumn(), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=terminal, transient=True, disable=not terminal.is_terminal) as bar:
        task = bar.add_task("epochs", total=config.epochs)

        def show(epoch: Epoch) -> None:
            bar.update(task, completed=epoch.number)
            left = epoch.seconds * (epoch.epochs - epoch.number)
            line = (
                f"epoch {epoch.number:>{len(str(epoch.epochs))}}/{epoch.epochs}  loss {epoch.loss:.4f}  "
                f"valid {percent(epoch.scores.accuracy)}  {epoch.images_per_second:>7,.0f} images/s  "
                f"{int(left) // 60}:{int(left) % 60:02} left"
            )
            if terminal.is_terminal:
                bar.console.print(line)
            else:
                print(line, flush=True)

        yield show


def main() -> NoReturn:
    """Run the command line; turn every error that a user can mend into one clear message and exit status 1."""
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    logging.getLogger("digitnet").setLevel(logging.INFO)
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")  # a file's name may be no text
    warnings.showwarning = lambda message, *_, **__: say(f"Warning: {message}")
    try:
        app()
    except DigitNetError as error:
        say(f"Error: {error}")
    except ModuleNotFoundError as error:
        if error.name not in ("torch", "safetensors", "sklearn", "matplotlib", "onnx"):
            raise
        say(f"Error: {error.name} is not installed; install it with: pip install 'digitnet[train]'")
    except RuntimeError as error:  # of expanduser, and of platformdirs
        if "home directory" not in str(error):
            raise
        say("Error: the home folder is not known; set HOME, or give whole paths and --data-dir or DIGITNET_DATA")
    except BrokenPipeError:
        sys.stderr.close()
    except OSError as error:
        say(f"Error: {error.filename or 'the system'}: {error.strerror}")
    except KeyboardInterrupt:
        say("Stopped.")
        sys.exit(130)
    sys.exit(1)
