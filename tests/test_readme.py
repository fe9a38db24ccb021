import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

ROOT = Path(__file__).parents[1]
PAGES = ["README.md", *(f"docs/{verb}.md" for verb in ("train", "evaluate", "classify", "data"))]


def blocks(page, language):
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)


def test_the_readmes_first_python_reads_a_seven(environment, tmp_path):
    page = Image.new("L", (300, 400), 255)
    ImageDraw.Draw(page).line([(90, 100), (210, 95), (140, 300)], fill=30, width=18, joint="curve")
    page.save(tmp_path / "seven.png")
    code = blocks("README.md", "python")[0]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"7 (0\.9\d\d|1\.000) \n", done.stdout)


@pytest.mark.mnist
def test_the_readmes_other_python_runs(mnist_folder, environment, tmp_path):
    code = blocks("README.md", "python")[1]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("1135 ones\n0.1135 ")


def test_the_first_commands_of_the_readme_are_targets_of_the_makefile():
    makefile = (ROOT / "Makefile").read_text()
    for word in re.findall(r"^make (\w+)", blocks("README.md", "")[0], re.MULTILINE):
        assert re.search(rf"^{word}:", makefile, re.MULTILINE)


@pytest.mark.parametrize("page", ["README.md", *(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))])
def test_every_link_and_picture_leads_to_a_file(page):
    for target in re.findall(r"\]\(([^)#]+)", (ROOT / page).read_text()):
        if "://" not in target:
            assert (ROOT / page).parent.joinpath(target).exists(), target


@pytest.mark.parametrize("page", PAGES)
def test_every_command_and_option_in_the_pages_exists(page, environment):
    helps = {}
    for line in re.findall(r"^digitnet (.+)$", "\n".join(blocks(page, "")), re.MULTILINE):
        words = re.split(r"\s{2,}", line)[0].split()
        command = words[0]
        if command not in helps:
            done = subprocess.run(
                [sys.executable, "-m", "digitnet", command, "--help"], capture_output=True, text=True, env=environment
            )
            assert done.returncode == 0, line
            helps[command] = done.stdout
        assert all(word in helps[command] for word in words if word.startswith("--")), line


def test_the_version_in_the_changelog_is_the_packages():
    from digitnet import __version__

    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text()
