"""The command `predict`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

from digitnet.cli.command import Option
from digitnet.cli.options import DataDir
from digitnet.core.errors import DataError
from digitnet.core.terminal import put


def predict(
    data: Annotated[str, Option(help="A data set's name (its test part), or a path. Labels are not needed.")],
    model: Annotated[
        str | None,
        Option(show_default="the newest run, else strong", help="The same models as for `evaluate`."),
    ] = None,
    inputs: Annotated[
        str | None,
        Option(
            "--input",
            show_default="the best on validation digits",
            help="Scaling that other people's models expect: 0..1, mnist, -1..1 or 0..255.",
        ),
    ] = None,
    form: Annotated[
        Literal["csv", "json", "kaggle"],
        Option("--format", help="csv or json, with probability and digitness; kaggle: ImageId and Label."),
    ] = "csv",
    out: Annotated[Path | None, Option(show_default="standard output", help="The file to write.")] = None,
    data_dir: DataDir = None,
) -> None:
    """Classify images of single digits, with or without labels.

    Examples: digitnet predict --data test.csv --format kaggle --out submission.csv; digitnet predict --data
    my-digits/ --format json.
    """
    from digitnet.core.files import write_atomic
    from digitnet.evaluation.prediction import FORMATS
    from digitnet.evaluation.prediction import predict as predictions
    from digitnet.models.loading import open_model

    found = predictions(open_model(model, inputs, data_dir), data, data_dir)
    text = FORMATS[form](found)
    if out is None:
        sys.stdout.write(text)
        return
    try:
        write_atomic(out, text.encode())
    except OSError as error:
        raise DataError(f"{out}: cannot be written ({error.strerror}); choose another --out") from error
    put(f"{len(found.digits):,} digits by {found.model}: {out}")
