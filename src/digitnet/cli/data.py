"""The commands `data` and `data get`."""

from __future__ import annotations

from typing import Annotated

import click

from digitnet.cli.command import Argument, Group
from digitnet.cli.options import DataDir
from digitnet.core.errors import DataError
from digitnet.core.terminal import console, program, put


def data(context: click.Context, data_dir: DataDir = None) -> None:
    """List the known data sets and where they are on this machine."""
    if context.invoked_subcommand:
        context.obj = data_dir  # `digitnet data --data-dir DIR get mnist` means DIR too
        return
    from rich.table import Table

    from digitnet.data import unipen
    from digitnet.data.datasets import DATASETS, TRAJECTORIES, data_folder, find

    table = Table("name", "contents", "folder")
    for dataset in DATASETS.values():
        found = [find(dataset, file, data_dir) for file in dataset.files]
        places = sorted({str(hit[0].parent) for hit in found if hit})
        state = ", ".join(places) if all(found) else f"missing; get it: {program()} data get {dataset.name}"
        table.add_row(dataset.name, dataset.about, state)
    place = unipen.find(data_dir)
    table.add_row(TRAJECTORIES, unipen.ABOUT, str(place or f"missing; get it: {program()} data get {TRAJECTORIES}"))
    console().print(table)
    put(f"Cache: {data_folder(data_dir)}")
    print("Name your own digits by path: IDX, CSV, .npz, or a folder with one subfolder of images per digit.")


def data_get(
    context: click.Context,
    name: Annotated[str, Argument(help="Name from the list of `digitnet data`.")],
    data_dir: DataDir = None,
) -> None:
    """Download a data set if it is missing, or import it from its archive. Example: digitnet data get mnist."""
    from digitnet.data import unipen
    from digitnet.data.datasets import DATASETS, TRAJECTORIES, get

    folder = data_dir or context.obj
    if name not in (*DATASETS, TRAJECTORIES):
        raise DataError(f"unknown data set {name!r}; choose one of {', '.join((*DATASETS, TRAJECTORIES))}")
    paths = unipen.get(folder) if name == TRAJECTORIES else get(DATASETS[name], folder)
    for place in paths if len(paths) <= 4 else sorted({path.parent for path in paths}):
        print(place)


data_app = Group(
    "data", {"get": data_get}, data, help="List the known data sets and where they are on this machine; download one."
)
