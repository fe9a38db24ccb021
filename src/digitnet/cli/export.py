"""The commands `export` and `trust`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from digitnet.cli.options import DataDir
from digitnet.core.errors import DataError
from digitnet.core.terminal import put


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


def trust(
    file: Annotated[Path, typer.Argument(help="An .onnx file that you exported yourself, or whose maker you trust.")],
) -> None:
    """Open a model file from now on although it holds more than digitnet's own models do.

    digitnet opens model files of any origin, as long as they are built of what its own are built of. Your own networks
    may hold more: on the machine where you exported them they are trusted already, elsewhere by this command.
    """
    from digitnet.models import trust as trusts

    print(f"{file}: trusted, sha256 {trusts.trust(file)}, in {trusts.trust_list()}")
