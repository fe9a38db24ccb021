"""The commands `export` and `trust`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import click

from digitnet.cli.command import Argument, Option
from digitnet.cli.options import DataDir
from digitnet.core.errors import DataError
from digitnet.core.terminal import put


def export(
    run: Annotated[
        str | None,
        Argument(show_default=False, help="Folder of the run; for --page also a built-in model or .onnx file."),
    ] = None,
    out: Annotated[Path | None, Option(show_default=False, help=".onnx file to write.")] = None,
    page: Annotated[
        Path | None,
        Option(show_default=False, help="Folder for a web page that runs the network without a server."),
    ] = None,
    reader: Annotated[
        bool, Option("--reader", help="With --page: the page also reads numbers, with the built-in line reader (5 MB).")
    ] = False,
    data: Annotated[
        str | None,
        Option(show_default="where they were", help="Present path of the digits that the run was trained on."),
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Write a trained network as one calibrated .onnx file, which runs without PyTorch, or as a web page.

    Examples: digitnet export run/best-1 --out mine.onnx, then digitnet evaluate --model mine.onnx; digitnet export
    run/best-1 --page mine/, then open mine/index.html. Without RUN, --page takes the built-in model digitnet. With
    --reader the page also reads numbers of several digits.
    """
    if (out is None) == (page is None):
        raise click.UsageError("name what to write: --out FILE.onnx for a model file, or --page DIR for a web page")
    if reader and page is None:
        raise click.UsageError("--reader needs --page DIR: only a page can hold the line reader")
    if page is not None:
        _write_page(run or "digitnet", page, reader, data_dir, data)
        return
    if run is None:
        raise click.UsageError("name the folder of the run to export, such as run/best-1")
    _write_file(Path(run), out or Path(), data_dir, data)


def _write_file(run: Path, out: Path, data_dir: Path | None, data: str | None) -> None:
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


def _write_page(run: str, folder: Path, reader: bool, data_dir: Path | None, data: str | None) -> None:
    from tempfile import TemporaryDirectory

    from digitnet.core.files import require_writable
    from digitnet.models.onnx_models import OnnxClassifier, built_in, classifier
    from digitnet.serving.static_page import write_page

    require_writable(folder)
    if run in built_in() or Path(run).suffix == ".onnx":
        path = write_page(classifier(run), folder, reader)
    else:
        from digitnet.training.export import export_run

        with TemporaryDirectory() as trial:
            model = export_run(Path(run), Path(trial) / f"{Path(run).name}.onnx", data_dir, data)
            if not isinstance(model, OnnxClassifier):
                raise DataError(
                    f"{run}: the page runs networks for single digits; export this one with --out FILE.onnx"
                )
            path = write_page(model, folder, reader)
    put(f"{path}: {path.stat().st_size:,} bytes. Open it in any browser; it needs no server and no network")


def trust(
    file: Annotated[Path, Argument(help=".onnx file that you exported yourself, or whose author you trust.")],
) -> None:
    """Trust a model file that contains operators beyond those of digitnet's own models.

    digitnet opens model files of any origin if they consist of the operators of its own networks. Files of your own
    networks may contain others: they are trusted on the machine that exported them, and elsewhere after this command.
    """
    from digitnet.models import trust as trusts

    print(f"{file}: trusted, sha256 {trusts.trust(file)}, in {trusts.trust_list()}")
