"""The commands `export` and `trust`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from digitnet.cli.command import Argument, Option
from digitnet.cli.options import DataDir
from digitnet.core.errors import DataError
from digitnet.core.terminal import put


def export(
    run: Annotated[Path, Argument(help="Folder of the run.")],
    out: Annotated[Path, Option(help=".onnx file to write.")],
    data: Annotated[
        str | None,
        Option(show_default="where they were", help="Present path of the digits that the run was trained on."),
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Write a trained network as one calibrated .onnx file, which runs without PyTorch.

    Example: digitnet export run/best-1 --out mine.onnx; then: digitnet evaluate --model mine.onnx.
    """
    from digitnet.core.files import require_writable
    from digitnet.models.page_model import PageModel
    from digitnet.training.export import export_run

    if out.is_dir():
        raise DataError(f"{out} is a folder; name a file in it: --out {out / 'mine.onnx'}")
    require_writable(out.parent)
    model = export_run(run, out, data_dir, data)
    put(f"{out}: {out.stat().st_size:,} bytes, sha256 {model.sha256}")
    if isinstance(model, PageModel):
        put(f"Read with it: digitnet.Reader(page={str(out)!r})")
        return
    refused = (
        f", rejects images with a digitness below {model.about['threshold']:g}" if "threshold" in model.about else ""
    )
    print(f"temperature {model.about['temperature']:.3f}{refused}")


def trust(
    file: Annotated[Path, Argument(help=".onnx file that you exported yourself, or whose author you trust.")],
) -> None:
    """Trust a model file that contains operators beyond those of digitnet's own models.

    digitnet opens model files of any origin if they consist of the operators of its own networks. Files of your own
    networks may contain others: they are trusted on the machine that exported them, and elsewhere after this command.
    """
    from digitnet.models import trust as trusts

    print(f"{file}: trusted, sha256 {trusts.trust(file)}, in {trusts.trust_list()}")
