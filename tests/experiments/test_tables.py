import csv
import io
import re
import statistics

import pytest

from digitnet.data.corruptions import CORRUPTIONS
from digitnet.experiments.benchmark import Contender, Result
from digitnet.experiments.tables import (
    HEADLINE,
    Table,
    cell_text,
    latex,
    mean_and_std,
    rows,
    to_csv,
    to_latex,
    to_markdown,
)

ABOUT = {
    "suite": "quick",
    "seeds": 2,
    "begun": "2026-01-02",
    "processor": "A processor_1",
    "cores": 2,
    "threads": 1,
    "python": "3.11.0",
    "revision": None,
    "versions": {"digitnet": "0.1.0"},
}
NET, KNN = Contender("best_1", "best_1 & co", "recipe", True), Contender("knn", "neighbours", "baseline", False)


def cell(entry, seed, accuracy, **changed):
    found = {
        "training": {"wall": 100.0, "cpu": 1234.5, "bytes": 833_618.0},
        "test": {"accuracy": accuracy, "corrected": accuracy, "calibration": 0.01, "kept": 1.0, "sent": None},
        **{f"spoilt/{name}": {"accuracy": place / 20} for place, name in enumerate(CORRUPTIONS)},
        "data/usps": {"accuracy": 0.9, "calibration": 0.02},
        "no-digit/made": {"auroc": 0.95, "refused": 0.5, "test": 0.01},
        "speed": {"rate": 25564.1, "ratio": 0.98123},
    }
    return Result(entry, seed, found | changed)


@pytest.fixture
def table():
    cells = [cell(NET, 0, 0.99), cell(NET, 1, 0.98), cell(KNN, 0, 0.97)]
    made = rows(cells, lambda entry, seed: [f"make {entry.name} {seed}"])
    return Table(made, ["usps"], ["made"], ABOUT, 3, 3, "digitnet benchmark")


def test_a_row_is_a_model_with_the_mean_and_the_samples_standard_deviation(table):
    assert [row.entry for row in table.rows] == [NET, KNN]
    assert cell_text(table.rows[0], HEADLINE[0]) == "98.50 ± 0.71"
    assert cell_text(table.rows[1], HEADLINE[0]) == "97.00"
    assert mean_and_std([0.99, 0.98]) == (statistics.mean([0.99, 0.98]), statistics.stdev([0.99, 0.98]))
    assert mean_and_std([0.5]) == (0.5, None)


def test_where_any_seed_has_no_number_none_is_told(table):
    assert mean_and_std([0.5, None]) == mean_and_std([]) == (None, None)
    sent = next(column for column in HEADLINE if column.key == ("test", "sent"))
    assert cell_text(table.rows[0], sent) == "-"


def test_costs_have_three_figures(table):
    costs = table.columns()["cost"]
    said = [cell_text(table.rows[1], column) for column in costs]
    assert said == ["100", "1,234", "0.834", "25,564", "0.981"]


def test_the_mean_of_the_corruptions_is_that_of_the_fifteen(table):
    assert table.rows[0].values["spoilt", "accuracy"] == [pytest.approx(sum(range(15)) / 15 / 20)] * 2


def test_csv_has_every_number_unrounded(table):
    lines = list(csv.DictReader(io.StringIO(to_csv(table))))
    assert [line["model"] for line in lines] == ["best_1", "knn"]
    assert float(lines[0]["test_accuracy"]) == statistics.mean([0.99, 0.98])
    assert float(lines[0]["test_accuracy_std"]) == statistics.stdev([0.99, 0.98])
    assert lines[1]["test_accuracy_std"] == ""
    assert lines[0]["test_sent"] == ""
    assert float(lines[0]["spoilt_fog_accuracy"]) == list(CORRUPTIONS).index("fog") / 20
    assert float(lines[0]["data_usps_calibration"]) == 0.02
    assert float(lines[0]["no_digit_made_auroc"]) == 0.95
    assert lines[0]["command"] == "make best_1 0; make best_1 1"
    assert lines[0]["seeds"] == "2"


def test_markdown_has_tables_of_equal_width_and_every_command(table):
    text = to_markdown(table)
    tables = re.findall(r"(?:^\|.*\|\n)+", text, re.M)
    assert len(tables) == 6
    for each in tables:
        lines = each.splitlines()
        assert len({line.count("|") for line in lines}) == 1
        assert set(lines[1]) <= set("| -:")
    assert all(name.replace("_", " ") in tables[-1] for name in CORRUPTIONS)
    assert all(f"make best_1 {seed}\n" in text for seed in (0, 1))
    assert "only 6,000 of the training digits" in text
    assert "NOT FINISHED" not in text


def test_what_is_not_finished_says_so(table):
    from dataclasses import replace

    assert "NOT FINISHED: 3 of 8" in to_markdown(replace(table, expected=8))
    assert "NOT FINISHED: 3 of 8" in to_latex(replace(table, expected=8))


def test_without_other_sets_there_are_no_tables_of_them(table):
    from dataclasses import replace

    bare = replace(table, others=[], kinds=[])
    assert "Not a digit" not in to_markdown(bare)
    assert "other sources" not in to_markdown(bare)
    assert "tab:digitnet-transfer" not in to_latex(bare)


def test_before_anything_is_measured_the_files_can_be_written(table):
    from dataclasses import replace

    empty = replace(table, rows=[], done=0)
    assert "NOT FINISHED: 0 of 3" in to_markdown(empty)
    assert len(to_csv(empty).splitlines()) == 1
    assert r"\toprule" in to_latex(empty)


def test_latex_escapes_what_it_would_understand():
    assert latex(r"50 % & a_b #1 $x {y} ~ ^ \z") == (
        r"50 \% \& a\_b \#1 \$x \{y\} \textasciitilde{} \textasciicircum{} \textbackslash{}z"
    )


def test_latex_has_balanced_environments_and_as_many_cells_as_columns(table):
    text = to_latex(table)
    for kind in ("table", "tabular"):
        assert text.count(rf"\begin{{{kind}}}") == text.count(rf"\end{{{kind}}}") == 5
    for block in re.findall(r"\\begin\{tabular\}\{(l?r*)\}(.*?)\\end", text, re.S):
        lines = [line for line in block[1].splitlines() if line.endswith(r"\\") and not line.startswith("%")]
        assert lines
        assert {len(re.split(r"(?<!\\)&", line)) for line in lines} == {len(block[0])}
    code = "\n".join(line for line in text.splitlines() if not line.startswith("%"))
    assert not re.search(r"(?<!\\)[%#_]", code)
    assert r"best\_1 \& co" in code
    assert r"$98.50 \pm 0.71$" in code
    assert "% make best_1 0\n" in text
    assert r"$25{,}564 \pm 0$" in code
