import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mkdocs", reason="the documentation site needs the extra docs")
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


def test_every_page_of_the_documentation_is_on_the_site_and_in_its_menu(site):
    menu = (site / "index.html").read_text()
    for page in [*(ROOT / "docs").rglob("*.md"), *(ROOT / "docs/learn").glob("*.ipynb")]:
        html = page.relative_to(ROOT / "docs").with_suffix(".html").as_posix()
        assert (site / html).is_file()
        assert f'href="{html}"' in menu or html == "index.html"


def test_every_public_name_is_explained(site):
    import digitnet

    text = (site / "api.html").read_text()
    for name in digitnet.__all__:
        if name != "__version__":
            assert re.search(rf'id="digitnet\.[a-z_.]+\.{name}"', text), name


def test_the_site_loads_nothing_from_elsewhere(site):
    for page in site.rglob("*.html"):
        loaded = re.findall(r'<(?:script|img|link|iframe)[^>]*(?:src|href)="([^"]+)"', page.read_text())
        assert loaded
        outside = [address for address in loaded if "//" in address and not address.startswith("data:")]
        assert not outside, page.name
