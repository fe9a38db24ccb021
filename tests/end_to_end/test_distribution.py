"""What is handed out: the source distribution, its metadata and how to cite it."""

import re
import tarfile
import tomllib
from pathlib import Path

import pytest

import digitnet

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_the_source_distribution_has_everything_that_its_readers_need(tmp_path):
    sdist = pytest.importorskip("hatchling.builders.sdist", reason="hatchling comes with the extra dev")
    (path,) = sdist.SdistBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    with tarfile.open(path) as packed:
        names = {name.partition("/")[2] for name in packed.getnames()}
    folders = ("src", "tests", "docs", "deploy", "examples", "benchmarks")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file()]
    expected = {str(path.relative_to(ROOT)) for path in files if "__pycache__" not in path.parts}
    assert expected <= names
    alone = (
        "README",
        "LICENSE",
        "Makefile",
        "SECURITY",
        "CONTRIBUTING",
        "CITATION",
        "CHANGELOG",
        "constraints",
        "mkdocs",
    )
    for name in alone:
        assert any(each.startswith(name) for each in names), name


def test_the_classifiers_are_known_and_agree_with_the_required_python():
    known = pytest.importorskip("trove_classifiers", reason="it comes with hatchling").classifiers
    assert set(PROJECT["classifiers"]) <= known
    versions = [each.rpartition("3.")[2] for each in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", each)]
    assert f">=3.{min(map(int, versions))}" == PROJECT["requires-python"]


def test_the_citation_is_of_this_version():
    yaml = pytest.importorskip("yaml", reason="it comes with the extra docs")
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= set(cited)
    assert (cited["version"], cited["license"]) == (digitnet.__version__, PROJECT["license"])
    assert cited["authors"] == PROJECT["authors"]
    assert cited["keywords"] == PROJECT["keywords"]
