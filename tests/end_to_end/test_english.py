"""What people read is short, in plain English, and names files that exist."""

import ast
import importlib
import re
from pathlib import Path

import pytest

import digitnet

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "digitnet"

THINGS = "page|file|header|image|picture|error|message|report|warning|model|network|table|rule|answer|command|option"
PHRASES = (
    r"(?<!there )\b(?:is|are|was|were) (?:(?-i:none)|no(?! longer| more))\b",
    r"\b(?:of which|anew|spoilt|learnt|whoever|somebody|nobody|kept back|surest|less sure|says nothing)\b",
    r"\b(?:by|to|for) whom\b",
    r"\b(?:go|goes|going|gone) on with\b",
    r"\b(?:sent to|for) a person\b",
    r"\d %",
    r"\bdigit-ness\b",
    rf"\b(?:{THINGS}) (?:says|tells|asks)\b",
    r"\bis (?:told|asked|said)\b",
    r"\b(?:images|digits|lines|requests|numbers|bytes|inputs) a second\b",
    r"\ba (?:row|line|file|page|number) an? \w+\b",
)
FOREIGN = re.compile("|".join(PHRASES), re.IGNORECASE)
"""Turns of phrase that stop a native speaker: denying by "is no", things that speak, 99 %, a row a number."""

PAGES = [
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "docs").rglob("*.ipynb")),
]
SOURCES = [path for path in sorted(PACKAGE.rglob("*.py")) if path.parent.name != "pages"]
KEYS = {"learnt from"}
"""Keys in files, which stay as they were."""
WEB = [path for path in sorted(PACKAGE.rglob("*")) if path.suffix in (".html", ".js")]


def foreign(text):
    return [match[0] for match in FOREIGN.finditer(text)]


def docstrings(tree):
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = [node for node in ast.walk(tree) if isinstance(node, kinds)]
    return {id(node.body[0].value) for node in nodes if ast.get_docstring(node, clean=False) is not None}


def messages(path):
    """Return the strings of a file that a user may read: all but its docstrings, and the help of commands."""
    tree = ast.parse(path.read_text())
    bare = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    quiet = docstrings(tree) | bare
    found = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in quiet]
    if path.parent.name == "cli":
        commands = [node for node in tree.body if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")]
        found += [ast.get_docstring(node) or "" for node in commands]
    return "\n".join(text for text in found if isinstance(text, str) and " " in text and text not in KEYS)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_the_documentation_is_in_plain_english(page):
    assert not foreign(page.read_text())


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_messages_and_help_are_in_plain_english(path):
    assert not foreign(messages(path))


@pytest.mark.parametrize("path", WEB, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_the_web_pages_and_reports_are_in_plain_english(path):
    shown = re.sub(r"/\*.*?\*/|(?<!:)//[^\n]*|\{%.*?%\}|\{\{.*?\}\}", "", path.read_text(), flags=re.DOTALL)
    assert not foreign(shown)


@pytest.mark.parametrize("name", sorted(set(digitnet.__all__) - {"__version__"}))
def test_public_names_are_documented_in_plain_english(name):
    thing = getattr(digitnet, name)
    assert not foreign(thing.__doc__ or "")
    if isinstance(thing, type) and thing.__module__.startswith("digitnet."):
        for part in vars(thing).values():
            assert not foreign(getattr(part, "__doc__", None) or "")


@pytest.mark.parametrize("wing", sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py")))
def test_a_wing_says_in_plain_english_what_it_is_for(wing):
    assert not foreign(importlib.import_module(f"digitnet.{wing}").__doc__)


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150


def test_the_architecture_page_names_every_wing_and_only_files_that_exist():
    page = (ROOT / "docs/architecture.md").read_text()
    for wing in PACKAGE.glob("*/__init__.py"):
        assert f"`{wing.parent.name}`" in page, wing.parent.name
    named = re.findall(r"`((?:\w+/)+\w+\.\w+)`", page)
    assert len(named) > 50
    missing = [name for name in named if not ((PACKAGE / name).exists() or (ROOT / name).exists())]
    assert not missing
