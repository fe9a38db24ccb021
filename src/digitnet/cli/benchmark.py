"""The command `benchmark`."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import click

from digitnet.cli.command import Option
from digitnet.cli.options import DataDir, Inputs
from digitnet.core.terminal import console, program, put, say

if TYPE_CHECKING:
    from digitnet.experiments.benchmark import Contender
    from digitnet.experiments.suite import BenchmarkConfig, BenchmarkData
    from digitnet.experiments.tables import Table


def benchmark(
    model: Annotated[
        list[str] | None,
        Option(
            show_default="the suite's",
            help="Recipe to train with every seed, built-in model, .onnx file or run folder (repeatable).",
        ),
    ] = None,
    seeds: Annotated[
        int | None, Option(min=1, max=1000, show_default="the suite's", help="Number of seeds, from 0.")
    ] = None,
    suite: Annotated[
        Literal["quick", "full"],
        Option(help="quick: part of the digits, a minute or two. full: all of them, an hour or more."),
    ] = "quick",
    data: Annotated[
        list[str] | None,
        Option(show_default="those on this machine", help="Labelled digits from other sources (repeatable)."),
    ] = None,
    negatives: Annotated[
        list[str] | None,
        Option(show_default="generated", help="Images that are not digits (repeatable)."),
    ] = None,
    inputs: Inputs = None,
    out: Annotated[Path | None, Option(show_default="run/benchmark-SUITE", help="Folder for the results.")] = None,
    data_dir: DataDir = None,
) -> None:
    """Measure models and classical baselines in the same way: a table for a paper, as Markdown, CSV and LaTeX.

    Examples: digitnet benchmark; digitnet benchmark --suite full --seeds 5 --model best --data usps.npz.

    Every measurement is saved. After an interruption, the same command resumes.
    """
    from digitnet.experiments import benchmark as bench
    from digitnet.experiments.suite import SUITES, BenchmarkConfig, BenchmarkData
    from digitnet.models.run_folder import RUNS

    chosen = SUITES[suite]
    models = tuple(model or chosen.models)
    plan = BenchmarkConfig(
        suite, models, seeds or chosen.seeds, tuple(data or ()), tuple(negatives or ()), data_dir, inputs
    )
    folder = out or RUNS / f"benchmark-{suite}"
    rows = bench.entries(models, inputs)
    sets = BenchmarkData(plan, folder)
    about = bench.begin(plan, sets, folder)
    expected = sum(plan.seeds if row.seeded else 1 for row in rows)
    if not sets.kinds or "fonts" not in sets.others:
        say(
            f"The fonts are missing, so their digits and letters are omitted; download them: {program()} data get fonts"
        )
    say(f"Measuring {len(rows)} models, {expected} with their seeds, into {folder}")

    def write() -> Table:
        return _write(plan, sets, folder, about, expected)

    table, current = write(), None
    try:
        for row, seed, name in bench.measure(plan, sets, folder):
            if current not in (None, (row, seed)):
                table = write()
            current = row, seed
            say(f"{row.title}, seed {seed}: {name}" if row.seeded else f"{row.title}: {name}")
    except KeyboardInterrupt:
        say("Stopped; finished measurements are saved. Resume with the same command")
        raise click.exceptions.Exit(130) from None
    table = write()
    _print(table)
    for end in ("md", "csv", "tex"):
        put(str(folder / f"benchmark.{end}"))


def _write(plan: BenchmarkConfig, sets: BenchmarkData, folder: Path, about: dict[str, object], expected: int) -> Table:
    """Write the three files from what is measured so far."""
    from digitnet.core.files import write_atomic
    from digitnet.experiments import benchmark as bench
    from digitnet.experiments import tables

    whole = _command(plan, folder)

    def commands(entry: Contender, seed: int) -> list[str]:
        return _commands(entry, seed, plan, folder, sets.source, whole)

    cells = bench.cells(plan, sets, folder)
    rows = tables.rows(cells, commands)
    table = tables.Table(rows, list(sets.others), list(sets.kinds), about, len(cells), expected, whole)
    for end, form in {"md": tables.to_markdown, "csv": tables.to_csv, "tex": tables.to_latex}.items():
        write_atomic(folder / f"benchmark.{end}", form(table).encode())
    return table


def _command(plan: BenchmarkConfig, folder: Path) -> str:
    words = ["digitnet", "benchmark", "--suite", plan.suite, "--seeds", str(plan.seeds)]
    words += [] if plan.inputs is None else ["--input", plan.inputs]
    for flag, values in {"--model": plan.models, "--data": plan.data, "--negatives": plan.negatives}.items():
        words += [word for value in values for word in (flag, value)]
    return shlex.join([*words, "--out", str(folder)])


def _commands(entry: Contender, seed: int, plan: BenchmarkConfig, folder: Path, source: str, whole: str) -> list[str]:
    """Return what makes one model again and measures it."""
    from digitnet.models.loading import is_weights

    if entry.kind == "baseline":
        return [whole] if seed == 0 else []
    if entry.kind == "file" and Path(entry.name).is_dir():
        file = folder / "models" / f"{entry.name.replace('/', '~')}.onnx"
        export = shlex.join(["digitnet", "export", entry.name, "--out", str(file)])
        return [export, *_commands(replace(entry, name=str(file)), seed, plan, folder, source, whole)]
    if entry.kind == "file":
        given = ["--input", plan.inputs] if plan.inputs and is_weights(entry.name) else []
        scored = ["digitnet", "evaluate", "--model", entry.name, *given, "--data", source]
        return [shlex.join([*scored, *more]) for more in _KINDS]
    run, file = folder / "runs" / f"{entry.name}-{seed}", folder / "models" / f"{entry.name}-{seed}.onnx"
    train = ["train", "--recipe", entry.name, "--seed", str(seed), "--data", source, "--out", str(run)]
    return [
        shlex.join(["digitnet", *train]),
        shlex.join(["digitnet", "export", str(run), "--out", str(file)]),
        *(shlex.join(["digitnet", "evaluate", "--model", str(file), "--data", source, *more]) for more in _KINDS),
    ]


_KINDS: tuple[list[str], ...] = ([], ["--corrupt", "all"])


def _print(table: Table) -> None:
    from rich.table import Table as Shown

    from digitnet.experiments.tables import COST, HEADLINE, cell_text

    columns = (HEADLINE[0], *HEADLINE[2:4], COST[1])  # what 80 characters are enough for; the files have the others
    shown = Shown(show_edge=False, pad_edge=False)
    shown.add_column("model", no_wrap=True)
    for column in columns:
        shown.add_column(column.title, justify="right")
    for row in table.rows:
        shown.add_row(row.entry.title, *(cell_text(row, column) for column in columns))
    console().print(shown)
