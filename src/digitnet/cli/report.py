"""The command `report`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import click

from digitnet.cli.command import Argument, Option
from digitnet.cli.options import DataDir, Inputs
from digitnet.core.terminal import put, say


def report(
    model: Annotated[
        str | None,
        Argument(
            show_default="the newest run, else strong",
            help="Run folder, built-in model (strong, digitnet), .onnx file, or weights (.safetensors, .pt).",
        ),
    ] = None,
    data: Annotated[
        list[str] | None,
        Option(
            show_default="the model's own",
            help="Name of a data set, or a path (repeatable): the first is the subject, the others show how well the "
            "model transfers.",
        ),
    ] = None,
    compare: Annotated[
        str | None, Option(show_default=False, help="Another model to compare on the same digits.")
    ] = None,
    inputs: Inputs = None,
    out: Annotated[Path | None, Option(show_default="report.html, in the run's folder", help="File to write.")] = None,
    figures: Annotated[
        Path | None, Option(show_default=False, help="Folder for every figure as PNG and its data as CSV.")
    ] = None,
    open_it: Annotated[bool, Option("--open", help="Open the finished report.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Write a model's report: one HTML file with its errors, calibration, robustness and internals.

    Examples: digitnet report; digitnet report run/best-1 --open; digitnet report strong --compare digitnet; digitnet
    report mine.onnx --data mnist --data my-digits/ --figures figures.
    """
    from digitnet.evaluation.report.build import report

    with _status() as tell:
        places = {"out": out, "figures": figures, "data_dir": data_dir}
        path = report(model, data or (), compare=compare, inputs=inputs, **places, tell=tell)
    put(f"Report: {path}")
    if figures is not None:
        put(f"Figures: {figures}")
    if open_it and click.launch(str(path)):
        say(f"Cannot open a viewer; the report is {path}")


@contextmanager
def _status() -> Iterator[Callable[[str], None]]:
    """Show on a terminal's standard error what is being measured."""
    from rich.console import Console

    with Console(stderr=True).status("opening the model") as status:
        yield lambda what: status.update(f"measuring: {what}")
