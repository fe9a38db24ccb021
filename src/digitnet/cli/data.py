"""The commands `data` and `data get`."""

from __future__ import annotations

from typing import Annotated

import typer

from digitnet.cli.options import DataDir
from digitnet.core.errors import DataError
from digitnet.core.terminal import console, program, put

data_app = typer.Typer(help="List the data sets that are known and those that are here; fetch one.")


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
