import sys
from pathlib import Path

import pytest

from digitnet.core import terminal
from digitnet.core.terminal import console, program, say
from digitnet.core.text import duration, percent


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0.00%"), (0.5, "50.00%"), (0.98765, "98.77%"), (0.00004, "0.00%"), (1, "100.00%")],
)
def test_a_share_is_told_in_percent_with_two_places(share, text):
    assert percent(share) == text


@pytest.mark.parametrize("share", [0.99996, 0.9999999, 1 - 2**-53])
def test_only_all_of_them_are_a_hundred_percent(share):
    assert percent(share) == "99.99%"


def test_results_go_to_standard_output_and_notes_to_standard_error(capsys):
    console().print("a [i]table[/i] of 12")
    say("a note")
    assert capsys.readouterr() == ("a table of 12\n", "a note\n")


def test_without_a_terminal_nothing_is_coloured(capsys):
    console().print("[red]12.5 %[/red] 'text' True")
    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("found", "started_as", "name"),
    [
        ("/usr/bin/digitnet", "/usr/bin/digitnet", "digitnet"),
        (None, "/opt/venv/bin/digitnet", "/opt/venv/bin/digitnet"),
        (None, "/opt/digitnet/__main__.py", "digitnet"),
    ],
)
def test_the_program_is_called_what_the_user_must_type(monkeypatch, found, started_as, name):
    monkeypatch.setattr(terminal.shutil, "which", lambda _: found)
    monkeypatch.setattr(sys, "argv", [str(Path(started_as)), "read"])
    assert program() == name


def test_a_time_of_an_hour_or_more_has_hours():
    assert [duration(seconds) for seconds in (0, 59.9, 185, 3599, 3600, 64685)] == [
        *("0:00", "0:59", "3:05", "59:59", "1:00:00", "17:58:05")
    ]
