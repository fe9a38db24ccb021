"""The tables of a benchmark: Markdown to read, CSV to compute with, LaTeX to print."""

from __future__ import annotations

import csv
import io
import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from digitnet.core.files import cell as csv_cell
from digitnet.data.corruptions import CORRUPTIONS
from digitnet.experiments.baselines import BASELINES
from digitnet.experiments.benchmark import Contender, Result
from digitnet.experiments.measurements import A_BATCH, REJECTED, SENT, TURNS
from digitnet.experiments.suite import MADE, MADE_COUNT, SOURCE, SUITES

NOT_KNOWN = "-"
"""What stands where nothing was measured or nothing can be shown."""


@dataclass(frozen=True)
class Column:
    """One number of every row.

    key: where cells have it, a measurement and a name in it. title: with its unit. scale: what it is multiplied by.
    places: after the point; None for three figures in all.
    """

    key: tuple[str, str]
    title: str
    scale: float = 100.0
    places: int | None = 2


HEADLINE = (
    Column(("test", "accuracy"), "accuracy, %"),
    Column(("test", "corrected"), "labels corrected, %"),
    Column(("spoilt", "accuracy"), "fifteen corruptions, %"),
    Column(("test", "calibration"), "calibration error, %"),
    Column(("test", "kept"), f"most confident {100 - 100 * SENT:.0f}%, %"),
    Column(("test", "sent"), "rejected, %"),
)
"""What is said of every model first."""

COST = (
    Column(("training", "wall"), "training, s", 1, None),
    Column(("training", "cpu"), "training, CPU s", 1, None),
    Column(("training", "bytes"), "size, MB", 1e-6, None),
    Column(("speed", "rate"), "images per CPU second", 1, None),
    Column(("speed", "ratio"), "times built-in digitnet", 1, None),
)
"""What a model costs."""


@dataclass(frozen=True)
class Row:
    """A model's numbers over its seeds.

    values: by column's key, one a seed, None where there is none. commands: what makes it and measures it.
    """

    entry: Contender
    seeds: tuple[int, ...]
    values: dict[tuple[str, str], list[float | None]]
    commands: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """All rows, what was measured besides `HEADLINE` and `COST`, and what it was measured on.

    others, kinds: names of other people's digits and of images without one. about: the folder's settings. expected: how
    many cells there are to be. command: what makes the whole.
    """

    rows: list[Row]
    others: list[str]
    kinds: list[str]
    about: Mapping[str, Any]
    done: int
    expected: int
    command: str

    def columns(self) -> dict[str, tuple[Column, ...]]:
        """Return all columns, by what they are about."""
        none = [
            column
            for kind in self.kinds
            for column in (
                Column((f"no-digit/{kind}", "auroc"), f"{kind}: AUROC, %"),
                Column((f"no-digit/{kind}", "refused"), f"{kind}: rejected, %"),
            )
        ]
        if self.kinds:
            none.append(Column((f"no-digit/{self.kinds[0]}", "test"), "test digits rejected, %"))
        return {
            "headline": HEADLINE,
            "corruptions": tuple(
                Column((f"spoilt/{name}", "accuracy"), name.replace("_", " ")) for name in CORRUPTIONS
            ),
            "transfer": tuple(Column((f"data/{name}", "accuracy"), f"{name}, %") for name in self.others),
            "transfer calibration": tuple(
                Column((f"data/{name}", "calibration"), f"{name}: calibration error, %") for name in self.others
            ),
            "no digit": tuple(none),
            "cost": COST,
        }


def rows(cells: Iterable[Result], commands: Callable[[Contender, int], Sequence[str]]) -> list[Row]:
    """Return cells as rows, a model each, in their order. commands: what makes a model of a seed and measures it."""
    together: dict[Contender, list[Result]] = {}
    for cell in cells:
        together.setdefault(cell.entry, []).append(cell)
    return [
        Row(
            entry,
            tuple(cell.seed for cell in group),
            _columns([_flat(cell) for cell in group]),
            tuple(command for cell in group for command in commands(entry, cell.seed)),
        )
        for entry, group in together.items()
    ]


def _flat(cell: Result) -> dict[tuple[str, str], float | None]:
    flat = {(part, name): value for part, values in cell.found.items() for name, value in values.items()}
    spoilt = [value for (part, _), value in flat.items() if part.startswith("spoilt/") and value is not None]
    return flat | {("spoilt", "accuracy"): statistics.mean(spoilt)}


def _columns(cells: list[dict[tuple[str, str], float | None]]) -> dict[tuple[str, str], list[float | None]]:
    return {key: [cell[key] for cell in cells] for key in cells[0]}


def mean_and_std(values: Sequence[float | None]) -> tuple[float | None, float | None]:
    """Return the mean, and the sample's standard deviation where there are two or more; None where any is missing."""
    known = [value for value in values if value is not None]
    if len(known) < len(values) or not known:
        return None, None
    return statistics.mean(known), statistics.stdev(known) if len(known) > 1 else None


def cell_text(row: Row, column: Column, plus_minus: str = " ± ") -> str:
    """Return a row's number in a column, its mean and spread over the seeds, rounded."""
    mean, std = mean_and_std(row.values.get(column.key, [None]))
    if mean is None:
        return NOT_KNOWN
    mean *= column.scale
    places = column.places
    if places is None:
        places = max(0, 2 - math.floor(math.log10(abs(mean)))) if mean else 0
    text = f"{mean:,.{places}f}"
    return text if std is None else f"{text}{plus_minus}{std * column.scale:,.{places}f}"


def to_csv(table: Table) -> str:
    """Return a line a model: every number's mean and standard deviation over the seeds, unrounded; shares are 0..1."""
    columns = [column for group in table.columns().values() for column in group]
    names = ["/".join(column.key).replace("/", "_").replace("-", "_") for column in columns]
    out = io.StringIO()
    lines = csv.writer(out, lineterminator="\n")
    spread = [f"{name}{end}" for name in names for end in ("", "_std")]
    lines.writerow(["model", "title", "kind", "seeds", *spread, "command"])
    for row in table.rows:
        numbers = [each for column in columns for each in mean_and_std(row.values.get(column.key, [None]))]
        said = ["" if number is None else repr(number) for number in numbers]
        lines.writerow(
            [
                csv_cell(row.entry.name),
                csv_cell(row.entry.title),
                row.entry.kind,
                len(row.seeds),
                *said,
                "; ".join(row.commands),
            ]
        )
    return out.getvalue()


def to_latex(table: Table) -> str:
    """Return tables for a paper (packages booktabs and graphicx), in the first each row below its commands."""
    groups = table.columns()
    sections = [
        (
            "headline",
            "Accuracy on MNIST's test digits and their fifteen corruptions, calibration, and rejection",
            False,
        ),
        ("corruptions", "Accuracy on each corruption, \\%", True),
        ("transfer", "Accuracy on digits from other sources, \\%", False),
        ("no digit", "Rejection of images that are not digits", False),
        ("cost", "Training, size and throughput", False),
    ]
    parts = [f"% {line}" for line in _facts(table)]
    for group, caption, turned in sections:
        if columns := groups[group]:
            parts += ["", *_latex(table, columns, caption, group.replace(" ", "-"), turned)]
    return "\n".join(parts) + "\n"


def _latex(table: Table, columns: Sequence[Column], caption: str, label: str, turned: bool) -> list[str]:
    body = []
    if turned:
        wide = len(table.rows)
        head = ["", *(latex(row.entry.title) for row in table.rows)]
        for column in columns:
            body.append(_latex_line([latex(column.title), *(_latex_number(row, column) for row in table.rows)]))
    else:
        wide = len(columns) + 1
        head = ["", "seeds", *(latex(column.title) for column in columns)]
        for row in table.rows:
            body += [f"% {command}" for command in row.commands if columns == HEADLINE]
            numbers = [_latex_number(row, column) for column in columns]
            body.append(_latex_line([latex(row.entry.title), str(len(row.seeds)), *numbers]))
    return [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{caption}. Mean $\pm$ standard deviation over seeds.}}",
        rf"\label{{tab:digitnet-{label}}}",
        rf"\resizebox{{\linewidth}}{{!}}{{\begin{{tabular}}{{l{'r' * wide}}}",
        r"\toprule",
        _latex_line(head),
        r"\midrule",
        *body,
        r"\bottomrule",
        r"\end{tabular}}",
        r"\end{table}",
    ]


def _latex_line(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


def _latex_number(row: Row, column: Column) -> str:
    text = cell_text(row, column, r" \pm ")
    return "--" if text == NOT_KNOWN else "$" + text.replace(",", "{,}") + "$"


_LATEX = {
    **{each: f"\\{each}" for each in "&%$#_{}"},
    **{"~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}"},
}


def latex(text: str) -> str:
    """Return text with LaTeX's special characters escaped."""
    return "".join(_LATEX.get(each, each) for each in text)


def to_markdown(table: Table) -> str:
    """Return the tables with what they mean and the commands, ready to be put beside other documents."""
    groups = table.columns()
    lines = ["# Benchmark", "", f"Made by `{table.command}`.", "", *(f"- {line}" for line in _facts(table)), ""]
    lines += ["## Accuracy", "", *_markdown(table.rows, groups["headline"]), "", *_HEADLINE_NOTES.splitlines(), ""]
    lines += ["## Cost", "", *_markdown(table.rows, groups["cost"]), "", *_COST_NOTES.splitlines(), ""]
    if table.others:
        lines += ["## Digits from other sources", "", "Accuracy; not used for training or for choices.", ""]
        lines += [*_markdown(table.rows, groups["transfer"]), ""]
        lines += ["Expected calibration error on the same digits:", ""]
        lines += [*_markdown(table.rows, groups["transfer calibration"]), "", *_fonts_note(table)]
    if table.kinds:
        lines += ["## Not a digit", "", *_markdown(table.rows, groups["no digit"]), "", *_NO_DIGIT_NOTES.splitlines()]
        lines += [*(_MADE_NOTES.splitlines() if MADE in table.kinds else []), ""]
    lines += ["## Corruptions", "", "Accuracy, %, on the test digits corrupted as in MNIST-C.", ""]
    lines += [*_turned(table.rows, groups["corruptions"]), ""]
    lines += ["## Commands", "", *_BASELINE_NOTES.splitlines(), ""]
    lines += [f"- {each.title}: `{each.about}`" for each in BASELINES.values()]
    for row in table.rows:
        lines += ["", f"**{row.entry.title}**", "", "```", *row.commands, "```"]
    return "\n".join(lines) + "\n"


def _facts(table: Table) -> list[str]:
    about, suite = table.about, SUITES[table.about["suite"]]
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    learnt = "all training digits" if suite.learnt is None else f"only {suite.learnt:,} of the training digits"
    spoilt = "all test digits" if suite.spoilt is None else f"the first {suite.spoilt:,} test digits"
    revision = f", revision {about['revision'][:7]}" if about.get("revision") else ""
    facts = [
        f"{about['begun']}, {about['processor']}, {about['cores']} cores; threads for training: {about['threads']}",
        f"{versions}, Python {about['python']}{revision}",
        f"Data: {SOURCE}; suite {about['suite']}: trained on {learnt}, a twelfth of them held out for validation; "
        f"corruptions on {spoilt}",
        f"Seeds: {about['seeds']}; what does not depend on the seed is measured once, without a spread",
    ]
    if table.done < table.expected:
        facts.append(f"NOT FINISHED: {table.done} of {table.expected} models times seeds measured")
    return facts


def _markdown(rows: Sequence[Row], columns: Sequence[Column]) -> list[str]:
    head = ["model", "seeds", *(column.title for column in columns)]
    body = [[row.entry.title, str(len(row.seeds)), *(cell_text(row, column) for column in columns)] for row in rows]
    return _pipes(head, body)


def _turned(rows: Sequence[Row], columns: Sequence[Column]) -> list[str]:
    head = ["corruption", *(row.entry.title for row in rows)]
    return _pipes(head, [[column.title, *(cell_text(row, column) for row in rows)] for column in columns])


def _pipes(head: Sequence[str], body: Sequence[Sequence[str]]) -> list[str]:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *body]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]


def _fonts_note(table: Table) -> list[str]:
    note = "`fonts`: held-out digits of handwriting fonts; - if a model was trained on them."
    return [note, ""] if "fonts" in table.others else []


_HEADLINE_NOTES = f"""\
- Mean ± standard deviation over seeds. Sampling alone has a standard deviation of 0.06 points near 99.6% of 10,000
  digits: smaller differences mean nothing.
- *Labels corrected*: without the fifteen test digits whose labels are known to be wrong.
- *Calibration error*: expected calibration error over 15 bins. Every model is calibrated on the validation digits, the
  networks as in `digitnet export`, the baselines by scikit-learn's temperature scaling.
- *Most confident {100 - 100 * SENT:.0f}%*: accuracy if the {100 * SENT:.0f}% with the lowest confidence are
  rejected for manual review.
- *Rejected*: smallest share to reject so that at most 0.1% of the rest is wrong with 95% certainty; - if no share
  achieves this."""

_COST_NOTES = f"""\
- *Training* is fitting without loading, calibrating and testing; for networks, the CPU seconds include scoring
  the validation digits after every epoch. CPU seconds are summed over all threads: on a machine with other
  work they are more reliable than wall-clock time.
- *Size*: of the model's file, or of the pickled model.
- *Images per CPU second*: in batches of {A_BATCH} on one thread, median of {TURNS} turns that alternate with the
  built-in `digitnet`, the reference of the last column."""

_NO_DIGIT_NOTES = f"""\
- *AUROC*: the probability that a test digit scores higher than such an image, ties count half.
- *Rejected*: share below the threshold that rejects {100 * REJECTED:.0f}% of the validation digits; beside it the same
  share of the test digits.
- The score is digitness (see the model card) for digitnet's files, and the highest probability for the baselines.
  The votes of neighbours have many ties, so fewer than {100 * REJECTED:.0f}% are rejected."""

_MADE_NOTES = f"""\
- `{MADE}`: {MADE_COUNT:,} generated images: letters of fonts, pairs, overlays and pieces of test digits,
  scribbles, shapes and textures. The recipes `thorough` and `transfer`, and so the built-in models, were trained on
  images of these kinds, including letters of the same fonts: for them this does not test unknown images. `--negatives`
  takes real ones."""

_BASELINE_NOTES = """\
The commands that reproduce each row. Baselines take pixels / 255; only the benchmark fits and measures
them. Their settings were chosen on validation digits."""
