"""The documentation is complete, short where it must be, and names files that exist."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150


def test_the_architecture_page_names_every_wing_and_only_files_that_exist():
    page = (ROOT / "docs/architecture.md").read_text()
    package = ROOT / "src/digitnet"
    for wing in package.glob("*/__init__.py"):
        assert f"`{wing.parent.name}`" in page, wing.parent.name
    named = re.findall(r"`((?:\w+/)+\w+\.\w+)`", page)
    assert len(named) > 50
    missing = [name for name in named if not ((package / name).exists() or (ROOT / name).exists())]
    assert not missing
