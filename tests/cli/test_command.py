import subprocess
import sys
from pathlib import Path
from typing import Annotated, Literal

import pytest
from click.testing import CliRunner

from digitnet.cli.command import Argument, Command, Group, Option

given = {}


def take(
    paths: Annotated[list[str], Argument(help="Images.")],
    form: Annotated[Literal["text", "json"] | None, Option("--format", show_default="text", help="Format.")] = None,
    jobs: Annotated[int, Option(min=1, max=9, help="Jobs.")] = 2,
    share: Annotated[float, Option(min=0, max=1, help="Share.")] = 0.5,
    out: Annotated[Path | None, Option(show_default=False, help="Output.")] = None,
    name: Annotated[list[str] | None, Option(help="Names.")] = None,
    single: Annotated[bool, Option("--single", help="One number.")] = False,
    access_log: Annotated[bool, Option(help="Log.")] = False,
) -> None:
    """Take what is given.

    More of it.
    """
    given.update(locals())


def pick(model: Annotated[str | None, Argument(help="A model.", show_default="the newest")] = None) -> None:
    """Pick one."""


def ask(command, *words, **settings):
    given.clear()
    return CliRunner().invoke(command, words, **settings)


def test_parameters_have_the_types_and_defaults_of_the_function():
    done = ask(Command(take, "take"), "a.png", "b.png")
    assert (done.exit_code, done.output) == (0, "")
    defaults = {"form": None, "jobs": 2, "share": 0.5, "out": None, "name": None, "single": False, "access_log": False}
    assert given == {"paths": ["a.png", "b.png"], **defaults}


def test_what_is_given_is_converted():
    words = [
        "a",
        "--format",
        "json",
        "--jobs",
        "3",
        "--share",
        "1",
        "--out",
        "x/y",
        "--name",
        "p",
        "--name",
        "q",
        "--single",
        "--access-log",
    ]
    assert ask(Command(take, "take"), *words).exit_code == 0
    values = {"form": "json", "jobs": 3, "share": 1.0, "out": Path("x/y"), "name": ["p", "q"]}
    assert given == {"paths": ["a"], **values, "single": True, "access_log": True}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "Missing argument 'PATHS...'"),
        (["a", "--jobs", "10"], "Invalid value for '--jobs': 10 is not in the range 1<=x<=9"),
        (["a", "--jobs", "x"], "Invalid value for '--jobs': 'x' is not a valid integer"),
        (["a", "--format", "xml"], "Invalid value for '--format': 'xml' is not one of 'text', 'json'"),
        (["a", "--shore", "1"], "No such option '--shore'"),
    ],
)
def test_what_is_wrong_is_refused(words, message):
    done = ask(Command(take, "take"), *words)
    assert done.exit_code == 2
    assert message in done.output
    assert not given


def test_the_help_lists_arguments_and_options():
    text = ask(Command(take, "take"), "--help").output
    shown = ask(Command(pick, "pick"), "--help").output
    assert "[MODEL]" in shown
    assert "A model.  [default: (the newest)]" in shown
    for part in ("Take what is given.", "Arguments:", "PATHS...  Images.", "--jobs", "[default: (text)]", "1<=x<=9"):
        assert part in text
    assert "--no-single" not in text
    assert "--access-log / --no-access-log" in text


def test_a_variable_gives_an_option_of_a_group_with_that_setting():
    group = Group("all", {"take": take}, settings={"take": {"auto_envvar_prefix": "MINE"}})
    assert ask(group, "take", "a", env={"MINE_JOBS": "7"}).exit_code == 0
    assert given["jobs"] == 7


def test_a_group_lists_its_commands_and_names_the_one_that_was_probably_meant():
    group = Group("all", {"take": take, "data": "digitnet.cli.data:data_app"}, help="All of them.")
    listed = ask(group, "--help").output
    assert listed.index("take") < listed.index("data  List the known data sets")
    done = ask(group, "tke")
    assert done.exit_code == 2
    assert "No such command 'tke'; did you mean 'take'?" in done.output


def test_a_command_imports_no_other(environment):
    code = (
        "import sys; from digitnet.cli import main\n"
        "sys.argv = ['digitnet', 'read', '--help']\n"
        "try: main()\n"
        "except SystemExit: print(*sorted(name for name in sys.modules if name.startswith('digitnet.cli.')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    names = {name.removeprefix("digitnet.cli.") for name in done.stdout.splitlines()[-1].split()}
    assert names == {"app", "command", "job", "options", "read", "read_tables"}
