"""The command that shows a model: `digitnet report`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from digitnet.cli.options import DataDir, Inputs
from digitnet.core.terminal import put, say


def report(
    model: Annotated[
        str | None,
        typer.Argument(
            show_default="the newest run, else strong",
            help="A run's folder, a built-in model (strong, digitnet), an .onnx file, or weights (.safetensors, .pt).",
        ),
    ] = None,
    data: Annotated[
        list[str] | None,
        typer.Option(
            show_default="the model's own",
            help="A data set's name, or a path; may be repeated: the first is the main one, the others show how the "
            "model does elsewhere.",
        ),
    ] = None,
    compare: Annotated[
        str | None, typer.Option(show_default=False, help="Another model, to set beside it on the same digits.")
    ] = None,
    inputs: Inputs = None,
    out: Annotated[
        Path | None, typer.Option(show_default="report.html, in the folder of a run", help="The file.")
    ] = None,
    figures: Annotated[
        Path | None, typer.Option(show_default=False, help="A folder for every figure as PNG and its data as CSV.")
    ] = None,
    open_it: Annotated[bool, typer.Option("--open", help="Open the report when it is done.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Write a model's report, one HTML file to look at, print or send: mistakes, trust, spoilt digits, what is inside.

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
    if open_it and typer.launch(str(path)):
        say(f"No viewer could be opened; the report is {path}")


@contextmanager
def _status() -> Iterator[Callable[[str], None]]:
    """Show on a terminal's standard error what is being measured."""
    from rich.console import Console

    with Console(stderr=True).status("opening the model") as status:
        yield lambda what: status.update(f"measuring: {what}")
