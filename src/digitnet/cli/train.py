"""The command `train`, and the scores it prints."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import click

from digitnet.cli.command import Option
from digitnet.cli.options import DataDir
from digitnet.cli.scores import print_line_scores, print_scores
from digitnet.core.errors import DigitNetError, TrainingError
from digitnet.core.terminal import console, program, put, say
from digitnet.core.text import duration, listed, percent
from digitnet.training.config import (
    DEVICES,
    FINETUNE,
    OPTIMIZERS,
    RECIPE_OF,
    RECIPES,
    TrainConfig,
    described,
    recipes_described,
)

PATIENCE = 300
"""Seconds of a training from which a quicker recipe is named."""

if TYPE_CHECKING:
    from digitnet.evaluation.metrics import Scores
    from digitnet.training.loop import Epoch
    from digitnet.training.run import Run

    RecipeName = str
    DeviceName = str
    OptimizerName = str
else:  # the choices of the options, which a type checker cannot derive
    RecipeName, DeviceName, OptimizerName = Literal[*RECIPES], Literal[DEVICES], Literal[OPTIMIZERS]


def train(
    data: Annotated[str | None, Option(show_default=TrainConfig.data, help=described("data"))] = None,
    model: Annotated[
        str | None,
        Option(show_default=TrainConfig.model, help=described("model")),
    ] = None,
    recipe: Annotated[
        RecipeName | None,
        Option(show_default=False, help=recipes_described()),
    ] = None,
    epochs: Annotated[
        int | None,
        Option(min=1, show_default="the recipe's; more for small data sets", help=described("epochs")),
    ] = None,
    batch_size: Annotated[int | None, Option(min=1, show_default="the recipe's", help=described("batch_size"))] = None,
    lr: Annotated[float | None, Option(show_default="the recipe's", help=described("lr"))] = None,
    optimizer: Annotated[OptimizerName | None, Option(show_default="the recipe's", help=described("optimizer"))] = None,
    augment: Annotated[str | None, Option(show_default="the recipe's", help=described("augment"))] = None,
    start_from: Annotated[str | None, Option("--from", show_default=False, help=described("start_from"))] = None,
    seed: Annotated[int | None, Option(min=0, show_default=str(TrainConfig.seed), help=described("seed"))] = None,
    device: Annotated[
        DeviceName | None,
        Option(show_default=TrainConfig.device, help=described("device")),
    ] = None,
    threads: Annotated[
        int | None, Option(min=1, show_default="the fastest, measured", help="Threads to train with on a CPU.")
    ] = None,
    out: Annotated[Path | None, Option(show_default="run/RECIPE-N", help="New folder for the run.")] = None,
    resume: Annotated[Path | None, Option(show_default=False, help="Resume the run in this folder.")] = None,
    data_dir: DataDir = None,
) -> None:
    """Train a network, then score it once on the test digits.

    Examples: digitnet train --recipe quick; digitnet train --data my-digits/ --epochs 50; digitnet train --from strong
    --data my-digits/.
    """
    from digitnet.training.distributed import joined
    from digitnet.training.memory import keep_freed
    from digitnet.training.run import reopen, start

    keep_freed()
    asked: dict[str, Any] = {"data": data, "epochs": epochs, "batch_size": batch_size, "seed": seed}
    asked |= {"lr": lr, "optimizer": optimizer, "augment": augment, "start_from": start_from}
    asked = {name: value for name, value in asked.items() if value is not None}
    with joined(device or "auto") as first:
        if resume is None:
            if start_from and (
                given := [f"--{name}" for name, value in (("model", model), ("recipe", recipe)) if value]
            ):
                raise TrainingError(
                    f"--from {start_from} determines the network and the recipe; omit {', '.join(given)}"
                )
            if start_from and not data:
                raise TrainingError(f"--from {start_from} needs --data, the digits to fine-tune it on")
            config = FINETUNE if start_from else RECIPES[recipe or RECIPE_OF.get(model or TrainConfig.model, "best")]
            if model and model not in RECIPE_OF and not config.lines:
                config = replace(config, model=model)
            if model and config.model != model:
                raise TrainingError(f"recipe {recipe!r} trains {config.model}; omit --model {model}")
            run = start(replace(config, device=device or "auto", **asked), out, data_dir, threads, measure=True)
        else:
            others = {"model": model, "recipe": recipe, "threads": threads, "out": out}
            asked.pop("data", None)
            asked.pop("augment", None)
            if given := [*asked, *(name for name, value in others.items() if value)]:
                flags = ", ".join("--" + name.removeprefix("start_").replace("_", "-") for name in given)
                raise TrainingError(f"--resume uses the settings of {resume}; omit {flags}")
            run = reopen(resume, device, data_dir, data, augment)
        _train(run, first)
    if first:
        _finish(run)


def _train(run: Run, first: bool) -> None:
    config = run.config
    epochs = "1 epoch" if config.epochs == 1 else f"{config.epochs:,} epochs"
    source = f"{len(run.parts.train):,} digits of {config.data}"
    if config.pages:
        source = f"{config.pages:,} pages per epoch, from pen trajectories, fonts, synthetic handwriting and {source}"
    if config.lines:
        source = f"{config.lines:,} lines per epoch, from pen trajectories, fonts, synthetic handwriting and {source}"
    if config.classes != TrainConfig.classes:
        put(f"Classes of {config.data}: {listed(config.classes, len(config.classes))}")
    if config.model not in RECIPE_OF:
        _show_network(run)
    put(
        f"Training {config.model} with recipe {config.recipe!r} on {source},"
        f" {epochs} ({config.device}, {config.precision}{_threads(run)}) into {run.folder}"
    )
    if run.seconds is not None:
        quick = config.model == RECIPES["quick"].model and config.recipe != "quick" and run.seconds > PATIENCE
        put(f"This takes about {duration(run.seconds)}" + ("; --recipe quick takes seconds" if quick else ""))
    if past := run.history():
        left = past[-1]["seconds"] * (config.epochs - len(past))
        put(f"{len(past):,} of {epochs} finished; {duration(left)} left at the speed of the last one")
    try:
        with _progress(config) as show:
            for epoch in run.train():
                show(epoch)
    except KeyboardInterrupt:
        if first:
            say(f"Stopped; every finished epoch is saved. Resume with: {program()} train --resume {run.folder}")
        raise click.exceptions.Exit(130) from None


def _threads(run: Run) -> str:
    """Return how many threads train, where that is known, for the settings of a run in parentheses."""
    if run.threads is None or run.config.device != "cpu":
        return ""
    return f", {run.threads} {'thread' if run.threads == 1 else 'threads'}"


def _show_network(run: Run) -> None:
    """Print the layers of a network of the user's own: the shape of what each gives, and the number of parameters."""
    from digitnet.models.networks import inner, layer_shapes
    from digitnet.training.loop import new_network

    network = new_network(run.config, run.folder)
    shapes = ", ".join(f"{name} {shape}" for name, shape in layer_shapes(network, len(run.config.classes)))
    count = sum(weight.numel() for weight in network.parameters())
    put(f"{type(inner(network)).__name__}: {count:,} parameters; {shapes}")


def _finish(run: Run) -> None:
    from digitnet.evaluation.find_metrics import FindScores
    from digitnet.evaluation.line_metrics import LineScores
    from digitnet.models.run_folder import CONFUSION, RUNS

    scores = run.finish()
    if isinstance(scores, LineScores):
        print()
        print_line_scores("Lines of held-out writers and test digits", scores)
        return
    if isinstance(scores, FindScores):
        print()
        put(
            f"Pages of held-out writers and test digits: {percent(scores.accuracy)} of {scores.n:,} numbers found; "
            f"{percent(scores.precision)} of the places found are numbers"
        )
        return
    print_scores("\nTest accuracy", scores, run.parts.test)
    if run.config.start_from:
        _show_fine_tuning(run)
    put(f"Confusion matrix: {run.folder / CONFUSION}")
    if (path := _report(run, scores)) is not None:
        put(f"Report: {path}")
    print()
    evaluate = f"{program()} evaluate" + ("" if run.folder.parent == RUNS else f" --model {run.folder}")
    print("Next:")
    put(f"  {evaluate} --show")
    print("      opens the confusion matrix and lists the worst errors")
    put(f"  {evaluate} --data PATH")
    print("      scores the network on your own digits")
    if run.config.recipe == "best":
        print(f"  {program()} train --recipe quick\n      trains in seconds, to about 99%")
    else:
        print(f"  {program()} train\n      trains a better network, in about two minutes for MNIST")


def _show_fine_tuning(run: Run) -> None:
    """Print what the first model reads, and how much of what it knew is kept."""
    from digitnet.models.run_folder import SCORES, load_json

    found = load_json(run.folder / SCORES)["fine_tuning"]
    known, first = found["known"], Path(run.config.start_from).name
    put(f"Before, {first} read {percent(found['before']['accuracy'])} of these digits correctly")
    put(
        f"Of {known['n']:,} held-out digits that {first} was made for: {percent(known['before'])} correct before, "
        f"{percent(known['after'])} now"
    )


def _report(run: Run, scores: Scores) -> Path | None:
    """Write the run's report; warn where that cannot be done, for the run is whole without it."""
    from digitnet.evaluation.report.build import report_run

    try:
        return report_run(run.evaluation(scores))
    except (OSError, ModuleNotFoundError, DigitNetError) as error:
        say(f"the report was not written ({error}); write it with: {program()} report {run.folder}")
        return None


@contextmanager
def _progress(config: TrainConfig) -> Iterator[Any]:
    """Show every epoch as a line that ends with the time left, and on a terminal a bar below them."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    terminal = console()
    columns = (TextColumn("epoch"), MofNCompleteColumn(), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=terminal, transient=True, disable=not terminal.is_terminal) as bar:
        task = bar.add_task("epochs", total=config.epochs)
        what, began = "lines" if config.lines else "pages" if config.pages else "images", time.monotonic()

        def show(epoch: Epoch) -> None:
            bar.update(task, completed=epoch.number)
            nonlocal began
            now = time.monotonic()
            left, began = (now - began) * (epoch.epochs - epoch.number), now  # scoring takes its time, too
            line = (
                f"epoch {epoch.number:>{len(str(epoch.epochs))}}/{epoch.epochs}  loss {epoch.loss:.4f}  "
                f"valid {percent(epoch.scores.accuracy)}  {epoch.images_per_second:>7,.0f} {what}/s  "
                f"{duration(left)} left"
            )
            if terminal.is_terminal:
                bar.console.print(line)
            else:
                print(line, flush=True)

        yield show
