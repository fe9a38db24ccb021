import re
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from digitnet.core.extras import EXTRAS, add, missing

ROOT = Path(__file__).parents[2]
WORDS = {".md", ".py", ".toml", ".txt", ".yml", ".yaml", ".cff", ".service", ".html", ".js", ".conf", ""}


@pytest.mark.parametrize("extra", EXTRAS)
def test_an_extra_brings_what_the_project_says(extra):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [Requirement(each) for each in project["optional-dependencies"][extra]]
    names = {canonicalize_name(each.name) for each in wanted if not each.marker and each.name != project["name"]}
    packages = packages_distributions()
    found = {canonicalize_name(packages[module][0]) for module in EXTRAS[extra] if module in packages}
    assert found <= names
    assert len(EXTRAS[extra]) == len(names)


def test_what_is_missing_is_said_with_the_extra_that_brings_it():
    assert missing("torch.nn") == f"torch is not installed; {add('train')}"
    assert missing("nosuch") is None
    assert missing(None) is None
    assert add("pdf").endswith(
        "pip install -c constraints.txt '.[pdf]' in its checkout, or pip install 'FILE.whl[pdf]'"
    )


BY_NAME = re.compile(r"""digitnet\[|pip install (.*[ '"])?digitnet\b(?![-/])""")


def test_nothing_suggests_a_package_index_that_has_digitnet():
    """An extra by the project's name is for pyproject.toml alone, where it means the project itself."""
    folders = [ROOT / name for name in ("src", "tests", "docs", "deploy", "examples", "benchmarks")]
    for path in [*ROOT.iterdir(), *(path for folder in folders for path in folder.rglob("*"))]:
        if path.is_file() and path.suffix in WORDS and path != Path(__file__):
            text = path.read_text(encoding="utf-8", errors="replace").replace(
                'audit = ["cleanlab>=2.7", "digitnet[', ""
            )
            assert not (found := BY_NAME.search(text)), f"{path}: {found[0]}"


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        ("pip install digitnet", True),
        ("run pip install -U 'digitnet>=1'", True),
        ("needs `digitnet[serve]`", True),
        ("pip install -c constraints.txt '.[serve]'", False),
        ("pip install digitnet-0.1.0-py3-none-any.whl", False),
        ("install digitnet's extra pdf: pip install '.[pdf]'", False),
    ],
)
def test_what_counts_as_such_a_suggestion(words, wrong):
    assert bool(BY_NAME.search(words)) == wrong
