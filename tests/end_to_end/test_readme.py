import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image, ImageDraw
from processes import Process

ROOT = Path(__file__).parents[2]
PAGES = ["README.md", *(f"docs/{verb}.md" for verb in ("read", "train", "evaluate", "classify", "data"))]


def blocks(page, language):
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", (ROOT / page).read_text(), re.DOTALL | re.MULTILINE)
    return [text for name, text in fenced if name == language]


def test_the_readmes_first_python_reads_a_photo(environment, tmp_path):
    page = Image.new("L", (800, 600), 225)
    pen = ImageDraw.Draw(page)
    pen.line([(190, 200), (310, 195), (240, 400)], fill=30, width=18, joint="curve")
    pen.line([(420, 200), (415, 400)], fill=30, width=18)
    page.save(tmp_path / "photo.jpg")
    code = blocks("README.md", "python")[0]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert re.match(r"71 (0\.\d{3}|1\.000) \(1\d\d, 1\d\d, 4\d\d, [34]\d\d\)", done.stdout), done.stdout


def test_the_page_about_reading_reads(environment, tmp_path):
    page = Image.new("L", (400, 400), 255)
    ImageDraw.Draw(page).line([(190, 100), (310, 95), (240, 300)], fill=30, width=18, joint="curve")
    page.save(tmp_path / "photo.jpg")
    code = blocks("docs/read.md", "python")[0]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("7\n7 ")


@pytest.mark.mnist
def test_the_readmes_other_python_runs(mnist_folder, environment, tmp_path):
    code = blocks("README.md", "python")[1]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("1135 ones\n0.1135 ")


def test_the_python_of_every_page_is_typed(tmp_path):
    """As whoever checks a program made of it by mypy --strict sees it; the blocks of a page go together."""
    pytest.importorskip("mypy", reason="the extra dev brings mypy")
    for page in ("README.md", *(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))):
        if code := blocks(page, "python"):
            (tmp_path / f"{Path(page).stem.replace('-', '_').lower()}_page.py").write_text("\n".join(code))
    assert (tmp_path / "readme_page.py").is_file()
    files = [*tmp_path.glob("*_page.py"), "examples/quickstart.py"]
    words = ["--strict", "--cache-dir", ".mypy_cache", *files]
    paths = os.environ | {"MYPYPATH": "src"}  # a relative path, as `make lint` has it: its cache is used
    done = subprocess.run([sys.executable, "-m", "mypy", *words], cwd=ROOT, capture_output=True, text=True, env=paths)
    assert done.returncode == 0, done.stdout


def test_the_first_commands_of_the_readme_are_targets_of_the_makefile():
    makefile = (ROOT / "Makefile").read_text()
    words = re.findall(r"^make (\w+)", "\n".join(blocks("README.md", "")), re.MULTILINE)
    assert words
    for word in words:
        assert re.search(rf"^{word}:", makefile, re.MULTILINE)


@pytest.mark.parametrize(
    "page",
    ["README.md", "CONTRIBUTING.md", "SECURITY.md", *(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))],
)
def test_every_link_and_picture_leads_to_a_file(page):
    for target in re.findall(r"\]\(([^)#]+)", (ROOT / page).read_text()):
        if "://" not in target:
            assert (ROOT / page).parent.joinpath(target).exists(), target


@pytest.mark.parametrize("page", PAGES)
def test_every_command_and_option_in_the_pages_exists(page, digitnet):
    helps = {}
    for line in re.findall(r"^digitnet (.+)$", "\n".join(blocks(page, "")), re.MULTILINE):
        words = re.split(r"\s{2,}", line)[0].split()
        command = words[0]
        if command not in helps:
            status, helps[command], _ = digitnet(command, "--help")
            assert status == 0, line
        assert all(word in helps[command] for word in words if word.startswith("--")), line


def test_the_version_in_the_changelog_is_the_packages():
    from digitnet import __version__

    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text()


@pytest.mark.mnist
def test_the_quickstart_learns_judges_and_reads(mnist_folder, digitnet):
    script = ROOT / "examples" / "quickstart.py"
    with Process(script.read_text()) as process:
        out, err = process.communicate()
    assert process.returncode == 0, err
    assert float(re.search(r"test accuracy (\d\d\.\d\d)%", out)[1]) > 98.5
    assert "read 1984, " in out
    assert len(script.read_text().splitlines()) <= 32
    # The same by the command line, which knows the digits of MNIST whose labels are wrong.
    status, out, _ = digitnet("evaluate", "--model", "quickstart", "--data-dir", mnist_folder)
    assert (status, "Without the 15 digits whose labels are known to be wrong" in out) == (0, True)
    scores = json.loads(Path("quickstart/scores.json").read_text())
    assert scores["n"] == 10_000
    assert scores["accuracy"] > 0.985
    assert scores["without_wrong_labels"]["n"] == 9_985


def test_the_tests_that_security_names_exist():
    named = re.findall(r"`(tests/[\w/]+\.py)`", (ROOT / "SECURITY.md").read_text())
    assert len(named) > 5
    assert all((ROOT / name).is_file() for name in named)


def test_the_bill_of_materials_has_exactly_the_packages_of_the_constraints():
    pinned = {
        tuple(line.lower().split("==")) for line in (ROOT / "constraints.txt").read_text().split() if "==" in line
    }
    listed = json.loads((ROOT / "sbom.json").read_text())["components"]
    assert {(part["name"].lower(), part["version"]) for part in listed} == pinned
    assert not any("externalReferences" in part for part in listed), "packages are named, not hosts"
