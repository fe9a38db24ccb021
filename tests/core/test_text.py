"""Text for people."""

import pytest

from digitnet.core.text import reason


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("one line"), "one line"),
        (ValueError("\n  the first\nthe second"), "the first"),
        (ValueError(), "ValueError"),
        (RuntimeError(" \n "), "RuntimeError"),
        (FileNotFoundError(2, "No such file or directory", "/some/path"), "No such file or directory"),
        (OSError("without a number"), "without a number"),
        (ValueError("a \x1b[31m colour"), "a \\x1b[31m colour"),
    ],
)
def test_a_reason_is_the_first_line_of_a_message(error, said):
    assert reason(error) == said


def test_a_reason_is_cut():
    assert reason(ValueError("x" * 300)) == "x" * 200
    assert reason(ValueError("x" * 300), 10) == "x" * 10
