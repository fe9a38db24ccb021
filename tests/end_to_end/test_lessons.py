"""The lessons of docs/learn: complete, in the menu, and two of them run from top to bottom, solutions included."""

import re
from pathlib import Path

import pytest
import yaml

nbformat = pytest.importorskip("nbformat", reason="the extra dev brings nbformat and nbclient")

ROOT = Path(__file__).parents[2]
LEARN = ROOT / "docs" / "learn"
LESSONS = sorted(LEARN.glob("*.ipynb"))
SHORTEST = ("1-pictures", "2-network")


def texts(book):
    return [cell.source for cell in book.cells if cell.cell_type == "markdown"]


def solutions(book):
    return [code for text in texts(book) for code in re.findall(r"<details>.*?```python\n(.*?)```", text, re.DOTALL)]


def test_there_are_eight_lessons_all_in_the_menu_and_in_the_table():
    assert [path.name[0] for path in LESSONS] == list("12345678")
    menu = yaml.load((ROOT / "mkdocs.yml").read_text(), Loader=yaml.BaseLoader)["nav"]
    pages = next(part["Learn"] for part in menu if "Learn" in part)
    assert pages == ["learn/index.md", *(f"learn/{path.name}" for path in LESSONS)]
    table = (LEARN / "index.md").read_text()
    assert all(f"]({path.name})" in table for path in LESSONS)


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_a_lesson_says_what_it_needs_and_has_two_exercises_with_folded_solutions(path):
    book = nbformat.read(path, 4)
    nbformat.validate(book)
    text = "\n".join(texts(book))
    assert text.startswith(f"# {path.name[0]}. ")
    assert "*Needs*: " in text
    assert re.findall(r"\*\*Exercise (\d)\.\*\*", text) == ["1", "2"]
    assert text.count("<summary>Solution</summary>") == text.count("</details>") == 2
    assert len(solutions(book)) == 2


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_what_is_kept_of_a_lesson_is_small_and_free_of_errors(path):
    book = nbformat.read(path, 4)
    outputs = [output for cell in book.cells if cell.cell_type == "code" for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error"]
    assert path.stat().st_size < 250_000
    assert not re.search(r"/(?:root|home|work)/", path.read_text())


@pytest.mark.mnist
@pytest.mark.parametrize("name", SHORTEST)
def test_the_shortest_lessons_run_with_their_solutions(name, mnist_folder, tmp_path, monkeypatch):
    nbclient = pytest.importorskip("nbclient")
    monkeypatch.setenv("DIGITNET_DATA", str(mnist_folder))
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))
    book = nbformat.read(LEARN / f"{name}.ipynb", 4)
    book.cells += [nbformat.v4.new_code_cell(code) for code in solutions(book)]
    nbclient.NotebookClient(book, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert all(cell.execution_count for cell in book.cells if cell.cell_type == "code")
