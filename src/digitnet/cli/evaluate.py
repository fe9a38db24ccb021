"""The command `evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import click

from digitnet.cli import options
from digitnet.cli import read as cli_read
from digitnet.cli.command import Option
from digitnet.cli.options import DataDir, Inputs
from digitnet.cli.scores import print_line_scores, print_scores, print_selection
from digitnet.core.errors import DataError, ModelError
from digitnet.core.terminal import console, put, say
from digitnet.core.text import percent

if TYPE_CHECKING:
    from digitnet.models.loading import Model
    from digitnet.reading.constraints import Rules


def evaluate(
    model: Annotated[
        str | None,
        Option(
            show_default="the newest run, else strong",
            help="Built-in model (strong, digitnet), .onnx file, run folder, or weights (.safetensors, .pt).",
        ),
    ] = None,
    data: Annotated[
        str | None,
        Option(show_default="the model's own", help="Name of a data set (its test part is scored), or a path."),
    ] = None,
    inputs: Inputs = None,
    corrupt: Annotated[
        str | None,
        Option(show_default=False, help="Apply an MNIST-C corruption before scoring; all runs all fifteen."),
    ] = None,
    read: Annotated[
        bool, Option("--read", help="Score the reading of whole images: --data is a folder with a truth.csv.")
    ] = False,
    single: options.Single = False,
    length: options.Length = None,
    lengths: options.Lengths = None,
    value_range: options.Range = None,
    checksum: options.Checksum = None,
    kind: cli_read.KindOf = None,
    order: cli_read.Order = None,
    second_opinion: options.SecondOpinion = False,
    as_json: Annotated[bool, Option("--json", help="Print the scores as JSON.")] = False,
    show: Annotated[bool, Option("--show", help="Open the confusion matrix.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Score a model: accuracy, per-digit scores, worst errors, calibration, confusion matrix.

    Examples: digitnet evaluate; digitnet evaluate --model their.pt --data my-digits.csv --json; digitnet evaluate
    --model strong --corrupt all.
    """
    from digitnet.core.files import to_json
    from digitnet.evaluation.scoring import score, summary
    from digitnet.models.loading import open_model
    from digitnet.reading.constraints import from_options

    rules = from_options(length, lengths, value_range, checksum, kind, None, order)
    if read and inputs is not None:
        raise ModelError("--input applies only to single-digit networks; omit it with --read")
    if read:
        evaluate_reading(model, data, single, rules, second_opinion, as_json)
        return
    if rules or single or second_opinion:
        only = "--single, --length, --lengths, --range, --checksum, --kind, --second-opinion"
        raise DataError(f"{only} apply only to reading; add --read")
    opened = open_model(model, inputs, data_dir)
    if corrupt is not None:
        _evaluate_corrupted(opened, corrupt, data, data_dir, as_json)
        return
    done = score(opened, data, data_dir)
    if done.held_out:
        say(f"{opened.name} was trained on {done.source}; scoring only the {len(done.digits):,} held-out digits.")
    if as_json:
        about = {"model": opened.name, "data": done.source, **_input(opened)}
        print(to_json(about | summary(done.scores, done.digits)))
    else:
        put(f"{opened.name} on {done.source}")
        print()
        print_scores("Accuracy", done.scores, done.digits)
        print_selection(done.scores)
        if done.refused is not None:
            print(f"Rejected as not a digit: {percent(done.refused)}")
        if worst := done.scores.worst():
            print("Worst errors, by file:" if done.files else "Worst errors, by index in the data:")
        for error in worst:
            name = str(done.files[error.index]) if done.files else f"{error.index:>6}"
            true, predicted = done.scores.names[error.true], done.scores.names[error.predicted]
            put(f"  {name}: a {true} read as {predicted}, confidence {percent(error.probability)}")
        if done.picture.is_file():
            put(f"Confusion matrix: {done.picture}")
    if show and done.picture.is_file() and click.launch(str(done.picture)):
        say(f"Cannot open a viewer; the image is {done.picture}")


def _input(model: Model) -> dict[str, str]:
    return {"input": model.about["input"]} if "input" in model.about else {}


def _evaluate_corrupted(model: Model, name: str, data: str | None, data_dir: Path | None, as_json: bool) -> None:
    from rich.table import Table

    from digitnet.core.files import to_json
    from digitnet.data.corruptions import CORRUPTIONS
    from digitnet.evaluation.scoring import score_corrupted

    names = list(CORRUPTIONS) if name == "all" else [name]
    found = dict(score_corrupted(model, names, data, data_dir))
    mean = sum(scores.accuracy for scores in found.values()) / len(found)
    if as_json:
        shares = {name: scores.accuracy for name, scores in found.items()}
        print(to_json({"model": model.name, **_input(model), "accuracy": shares, "mean": mean}))
        return
    table = Table("corruption", "accuracy", "errors")
    for name, scores in found.items():
        table.add_row(name, percent(scores.accuracy), f"{scores.n - scores.correct:,}")
    console().print(table)
    print(f"Mean accuracy of {model.name}: {percent(mean)}")


def evaluate_reading(
    model: str | None, data: str | None, single: bool, rules: Rules | None, second_opinion: bool, as_json: bool
) -> None:
    """Score the reader on a folder of pictures with a truth.csv: what `digitnet evaluate --read` does."""
    from digitnet.core.files import to_json
    from digitnet.evaluation.reading_accuracy import score_reading
    from digitnet.models.onnx_models import LINE
    from digitnet.reading.reader import Reader

    if data is None:
        raise DataError("--read requires --data: a folder with images and truth.csv (columns file and digits)")
    reader = Reader(model or LINE, second_opinion=second_opinion)
    scores, files = score_reading(reader, Path(data), single=single, rules=rules)
    if as_json:
        found = scores.to_dict()
        for wrong in found["worst"]:
            wrong["file"] = files[wrong["index"]]
        print(to_json({"data": data, "rules": str(rules) if rules else None, **found}))
        return
    kept = f", with the constraints {rules}" if rules else ""
    print_line_scores(f"Images of {data}{kept}", scores)
    if worst := scores.worst():
        print("Worst errors, by file:")
    for wrong in worst:
        true, said = (text or "nothing" for text in (wrong.true, wrong.read))
        put(f"  {files[wrong.index]}: {true} read as {said}, confidence {percent(wrong.confidence)}")
