"""A model's report: one HTML file that needs nothing else, `report("strong", ["mnist"], out=Path("report.html"))`.

`measure.py` measures, `figures.py` and `style.py` draw, `summary.py` says it in sentences; here it becomes a page.
"""

from __future__ import annotations

import datetime
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digitnet.core.display import data_uri
from digitnet.core.errors import DataError, ModelError
from digitnet.core.files import require_writable, write_atomic
from digitnet.core.text import duration, percent
from digitnet.core.version import __version__
from digitnet.data.corruptions import CORRUPTIONS
from digitnet.data.datasets import wrong_labels
from digitnet.evaluation.confusion import row_shares
from digitnet.evaluation.metrics import Scores
from digitnet.evaluation.misclassified import A_CELL
from digitnet.evaluation.report.figures import drawings, short
from digitnet.evaluation.report.measure import Findings, elsewhere, measure, weights_path
from digitnet.evaluation.report.style import TEXT_COLOUR, ReportFigure
from digitnet.evaluation.report.summary import count, in_words, seeds_told, verdict
from digitnet.evaluation.scoring import Evaluation, own_data, score_model
from digitnet.models.loading import Model, open_models
from digitnet.models.onnx_models import LINE
from digitnet.models.run_folder import REPORT

MARK = "digitnet report"
"""What a report's page says made it: by this it is known for one, and may be overwritten."""

MAX_ERRORS_SHOWN = 24
"""Errors shown of all, the surest ones; and digits of each side on which two models differ."""


def report(
    model: str | Path | None = None,
    sources: Sequence[str] = (),
    *,
    compare: str | Path | None = None,
    inputs: str | None = None,
    out: Path | None = None,
    figures: Path | None = None,
    data_dir: str | Path | None = None,
    tell: Callable[[str], None] = lambda what: None,
) -> Path:
    """Measure a model and write its report; return its path.

    model: as `loading.open_model` takes it. sources: labelled data; the first is the subject of the report, by default
    the data that the model was trained on; the others, and the named data sets on this machine, show how it transfers.
    compare: another model. inputs: the input scaling of weights from elsewhere, as in `loading.open_model`. out: the
    file, by default report.html in the run's folder (report-NAME.html for other data), or in the current folder.
    figures: a folder for every figure as PNG and its data as CSV. tell: called with the name of each step.
    Raises ModelError and DataError as scoring does, DataError if `out` is a file other than a report, and
    ModuleNotFoundError if matplotlib, scikit-learn or Jinja2 are missing; nothing is written then.
    """
    import jinja2  # noqa: F401
    import matplotlib  # noqa: F401
    import sklearn  # noqa: F401

    for name in (model, compare):
        if str(name) == LINE and not Path(LINE).exists():
            raise ModelError(f"{LINE} reads whole numbers; score it with: digitnet evaluate --read --data FOLDER")
    opened, *rivals = open_models([model] if compare is None else [model, compare], inputs, data_dir)
    first, *more = sources or [own_data(opened)]
    out = out or _usual_place(opened, first)
    check_place(out, figures)
    tell(f"{opened.name} on {short(first)}")
    done = score_model(opened, first, data_dir)
    others = [score_model(opened, source, data_dir) for source in more]
    tell("data sets on this machine")
    others += elsewhere(opened, [done, *others], data_dir)
    against = score_model(rivals[0], first, data_dir) if rivals else None
    found = measure(done, others=others, rival=against, tell=tell)
    words = [shlex.quote(opened.name), *(f"--data {shlex.quote(source)}" for source in sources)]
    words += [] if compare is None else [f"--compare {shlex.quote(str(compare))}"]
    words += [] if inputs is None else [f"--input {inputs}"]
    tell("drawing")
    drawn = drawings(found)
    write_atomic(out, page(found, drawn, " ".join(["digitnet report", *words])).encode())
    if figures is not None:
        for each in drawn.values():
            write_atomic(figures / f"{each.name}.png", each.png())
            write_atomic(figures / f"{each.name}.csv", each.csv())
    return out


def report_run(done: Evaluation) -> Path:
    """Write the report of a run that was just scored into its folder: what takes no more than seconds."""
    found = measure(done, spoil=())
    out = done.model.home / REPORT
    write_atomic(out, page(found, drawings(found), f"digitnet report {shlex.quote(done.model.name)}").encode())
    return out


def _usual_place(model: Model, source: str) -> Path:
    """Return where a report goes; that of a run on other data leaves the one that training wrote."""
    if model.home == Path() or source == own_data(model):
        return model.home / REPORT
    return model.home / REPORT.replace(".", f"-{Path(source).name.split('.')[0]}.")


def check_place(out: Path, figures: Path | None = None) -> None:
    """Raise DataError where `out` is something else than a report, `figures` no folder, or either cannot be written."""
    if out.is_dir():
        raise DataError(f"{out}: is a folder; name a file in it: --out {out / REPORT}")
    if out.exists():
        with out.open("rb") as file:
            if MARK.encode() not in file.read(2000):
                raise DataError(f"{out}: exists and is not a digitnet report; choose another --out")
    if figures is not None and figures.exists() and not figures.is_dir():
        raise DataError(f"{figures}: is a file; name a folder for the figures")
    for folder in (out.parent, figures):
        if folder is not None:
            require_writable(folder)


def page(found: Findings, drawn: dict[str, ReportFigure], command: str) -> str:
    """Return a report as HTML. command: what made it."""
    import jinja2

    templates = jinja2.FileSystemLoader(Path(__file__).parent / "templates")
    environment = jinja2.Environment(
        loader=templates, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"percent": percent, "image": as_uri, "count": count}
    done, scores = found.done, found.scores
    return environment.get_template("report.html").render(
        mark=f"{MARK} {__version__}",
        model=short(done.model.name),
        source=short(done.source),
        date=datetime.datetime.now(datetime.UTC).date().isoformat(),
        held_out=done.held_out,
        scores=scores,
        cards=_cards(found),
        words=in_words(found),
        matrices=_matrices(scores),
        worst=[tile(done, row) for row in scores.ranked_errors()[:MAX_ERRORS_SHOWN]],
        cells=_cells(done),
        digits=_digits(scores),
        drawn=drawn,
        look=found.look if isinstance(found.look, str) else "",
        comparison=_comparison(found),
        corruptions=len(CORRUPTIONS),
        again=command,
        commands=_commands(found, command),
        settings={name: value for name, value in done.model.about.items() if not isinstance(value, dict | list)},
        facts=found.facts,
    )


MAX_CELLS = 90
"""Cells of the confusion matrix whose errors are shown, the largest: all of ten digits."""


def as_uri(image: NDArray[np.uint8]) -> str:
    """Return a digit (28, 28) uint8 as a data URI: black ink, as opaque as it is strong, on nothing."""
    from PIL import Image

    return data_uri(Image.fromarray(np.dstack([np.zeros_like(image), image]), "LA"))


def tile(done: Evaluation, row: int) -> dict[str, Any]:
    """Return what is shown of one digit: its picture, what it is, what it was read as, how sure, and where it lies."""
    scores = done.scores
    index = int(scores.index[row])
    return {
        "image": done.digits.images[row],
        "true": scores.names[scores.labels[row]],
        "predicted": scores.names[scores.predicted[row]],
        "sure": float(scores.confidence[row]),
        "true_sure": float(scores.probs[row, scores.labels[row]]),
        "place": str(done.files[index]) if done.files else f"index {index:,}",
    }


def _cells(done: Evaluation) -> list[dict[str, Any]]:
    """Return the mistakes of each cell of the confusion matrix, largest cells first, in each the surest ones."""
    rows: dict[tuple[int, int], list[int]] = {}
    for row in done.scores.ranked_errors():
        rows.setdefault((int(done.scores.labels[row]), int(done.scores.predicted[row])), []).append(row)
    return [
        {"pair": pair, "tiles": [tile(done, row) for row in rows[pair.true, pair.predicted][:A_CELL]]}
        for pair in done.scores.confused(MAX_CELLS)
    ]


def _matrices(scores: Scores) -> list[dict[str, Any]]:
    """Return the confusion matrix twice, as counts and as shares of each row, in the colours of matplotlib's Blues."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    blues = colormaps["Blues"]

    def cell(strength: float, text: str, true: int, predicted: int) -> dict[str, Any]:
        colour = blues(float(np.clip(strength, 0, 1)))
        # Luminance as WCAG 2.2 has it; at 0.2 the page's ink and white are about equally readable.
        dark = np.dot(np.power(colour[:3], 2.2), (0.2126, 0.7152, 0.0722)) < 0.2
        n = int(scores.confusion[true, predicted])
        return {
            "text": text,
            "n": n,
            "true": true,
            "predicted": predicted,
            "style": f"background:{to_hex(colour)};color:{'#fff' if dark else TEXT_COLOUR}" if n else "",
        }

    counts, shares = scores.confusion, row_shares(scores)
    most = np.log1p(counts.max())
    grid = range(len(counts))
    return [
        {
            "name": "counts",
            "title": "Counts",
            "rows": [[cell(np.log1p(counts[t, p]) / most, f"{counts[t, p]:,}", t, p) for p in grid] for t in grid],
        },
        {
            "name": "shares",
            "title": "% of each row",
            "rows": [
                [cell(1 + np.log10(max(shares[t, p], 1e-9)) / 4, _share(shares[t, p]), t, p) for p in grid]
                for t in grid
            ],
        },
    ]


def _share(share: float) -> str:
    """Return a share as percent in at most four characters."""
    return "100" if share == 1 else f"{min(100 * share, 99.9):.1f}"


def _digits(scores: Scores) -> list[dict[str, Any]]:
    found = []
    for digit, name in enumerate(scores.names):
        n, right = int(scores.confusion[digit].sum()), int(scores.confusion[digit, digit])
        shares = [float(column[digit]) for column in (scores.precision, scores.recall, scores.f1)]
        off = scores.confusion[digit].copy()
        off[digit] = 0
        most = int(off.argmax())
        found.append(
            {
                "digit": name,
                "n": n,
                "errors": n - right,
                "shares": shares,
                "most": scores.names[most] if off[most] else None,
            }
        )
    return found


def _cards(found: Findings) -> list[tuple[str, str, str]]:
    """Return the facts at the top: a value, what it is, and a word on it."""
    done, scores, about = found.done, found.scores, found.done.model.about
    cards = [(f"{scores.n - scores.correct:,}", "read wrong", f"of {count(scores.n, 'digit')}")]
    if wrong := wrong_labels(done.digits):
        rest = scores.without(wrong)
        cards.append((percent(rest.accuracy), "without wrong labels", f"the {len(wrong)} of MNIST known to be wrong"))
    cards.append((percent(scores.calibration_error), "calibration error", "between confidence and accuracy"))
    if done.refused is not None:
        cards.append((percent(done.refused), "rejected", "of these digits, as not a digit"))
    seed = f", seed\N{NO-BREAK SPACE}{about['seed']}" if "seed" in about else ""
    if found.history:
        seconds = sum(epoch["seconds"] for epoch in found.history)
        how = f"{count(len(found.history), 'epoch')} on {about.get('device', 'cpu')}{seed}"
        cards.append((_time(seconds), "of training", how))
    elif "epochs" in about:
        cards.append((str(about["epochs"]), "epochs of training", f"recipe {about.get('recipe', 'unknown')}{seed}"))
    cards.append((f"{found.rate:,.0f}", "digits per second", "on this machine, best of three"))
    path = weights_path(done.model)
    if path is not None:
        cards.append((f"{path.stat().st_size / 1e6:.2f} MB", "of weights", path.name))
    if len(found.seeds) > 1:
        cards.append((seeds_told(found.seeds), f"mean of {len(found.seeds)} runs", "that differ only in their seed"))
    return cards


def _time(seconds: float) -> str:
    """Return a time with its unit."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{duration(round(seconds))} {'min' if seconds < 3600 else 'h'}"


def _comparison(found: Findings) -> dict[str, Any] | None:
    comparison, rival = found.comparison, found.rival
    if comparison is None or rival is None:
        return None
    names = short(found.done.model.name), short(rival.model.name)
    pair = comparison.one, comparison.other
    chosen = [scores.selection() for scores in pair]
    low_high = [tuple(map(percent, scores.interval)) for scores in pair]
    return {
        "names": names,
        "verdict": verdict(comparison, *names),
        "p": comparison.p,
        "table": [
            ("accuracy", *(percent(scores.accuracy) for scores in pair)),
            ("95% interval", *(f"{low.removesuffix('%')} to {high}" for low, high in low_high)),
            ("errors", *(f"{scores.n - scores.correct:,}" for scores in pair)),
            ("correct where the other is wrong", f"{len(comparison.only_one):,}", f"{len(comparison.only_other):,}"),
            ("both wrong", *(f"{comparison.both_wrong:,}",) * 2),
            ("calibration error", *(percent(scores.calibration_error) for scores in pair)),
            ("rejected, for 0.1% errors", *("-" if each is None else percent(each.rejected) for each in chosen)),
        ],
        "sides": [
            {
                "title": f"{mine} correct, {theirs} wrong",
                "n": len(rows),
                "tiles": [(tile(found.done, int(row)), tile(rival, int(row))) for row in rows[:MAX_ERRORS_SHOWN]],
            }
            for mine, theirs, rows in (
                (*names, comparison.only_one),
                (*names[::-1], comparison.only_other),
            )
        ],
    }


def _commands(found: Findings, command: str) -> list[tuple[str, str]]:
    """Return the commands that make these numbers again."""
    about, name, source = found.done.model.about, found.done.model.name, found.done.source
    commands = []
    if "recipe" in about and "seed" in about:
        options = ("data", "model", "recipe", "epochs", "batch_size", "seed", "device")
        words = [f"--{key.replace('_', '-')} {shlex.quote(str(about[key]))}" for key in options if key in about]
        commands.append(("Train", " ".join(["digitnet train", *words])))
    model, data = shlex.quote(name), shlex.quote(source)
    given = f" --input {about['input']}" if "input" in about else ""
    scored = f"digitnet evaluate --model {model}{given} --data {data}"
    commands.append(("Evaluate", scored))
    if found.spoilt:
        commands.append(("Evaluate on all corrupted digits", f"{scored} --corrupt all"))
    return [*commands, ("Write this report", command)]
