"""Options of a command from its flags, the environment or a TOML file, in this order of precedence.

Click does the work: flags and variables are its own, the file becomes its `default_map`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal

import click

from digitnet.cli.command import Option
from digitnet.core.errors import DataError
from digitnet.core.terminal import say
from digitnet.core.text import nearest

PREFIX = "DIGITNET"
"""The beginning of the variables' names: --port is DIGITNET_PORT."""

TOKEN = "token"  # noqa: S105
"""The key of the only option without a flag: other users of a machine can see the flags of its programs."""


def use_file(context: click.Context, path: Path | None) -> Path | None:
    """Take a command's options from a TOML file, if there is one; the callback of its eager option --config.

    Raises DataError if the file is unreadable or has a key that is not an option, and if a value of the file or of a
    variable is not valid.
    """
    import tomllib

    if context.resilient_parsing:
        return path
    known = {_flag(param): param for param in context.command.params if param.callback is None}
    for param in known.values():
        if (given := param.value_from_envvar(context)) is not None:
            _check(context, param, given, _variable(param.name))
    if path is None:
        return path
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; name the file of options with --config") from error
    except ValueError as error:
        raise DataError(f"{path}: not TOML: {error}") from error
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key == TOKEN:
            if not isinstance(value, str):
                raise DataError(f"{path}: token: expected text in quotes")
            context.meta[TOKEN] = value
        elif key in known:
            values[known[key].name or ""] = _checked(context, known[key], value, f"{path}: {key}")
        else:
            raise DataError(f"{path}: {key!r} is not an option; {nearest(key, [*known, TOKEN])}")
    context.default_map = values
    return path


def token(context: click.Context) -> str | None:
    """Return the token, of the environment or else of the file. Raises DataError if it is empty."""
    variable = _variable(TOKEN)
    found: str | None = os.environ.get(variable, context.meta.get(TOKEN))
    if found is not None and not found.strip():
        raise DataError(f"{variable} is empty; give it a value, or unset it")
    return found


def warn_of_typos(context: click.Context) -> None:
    """Warn about variables that nearly have an option's name. Other variables may belong to Kubernetes, for example."""
    from difflib import get_close_matches

    known = [_variable(param.name) for param in context.command.params] + [_variable(TOKEN), _variable("data")]
    for name in os.environ:
        if name.startswith(f"{PREFIX}_") and name not in known and (close := get_close_matches(name, known, 1, 0.85)):
            say(f"Warning: the variable {name} is not used; did you mean {close[0]}?")


def _variable(name: str | None) -> str:
    return f"{PREFIX}_{(name or '').upper()}"


def _flag(param: Any) -> str:
    return str(param.opts[0]).lstrip("-")


def _checked(context: click.Context, param: Any, value: Any, where: str) -> Any:
    """Return a value of the file as text, as if a variable had it. Raises DataError if it is not valid."""
    many = value if param.multiple and isinstance(value, list) else [value]
    for each in many:
        if isinstance(each, bool) != bool(param.is_flag) or not isinstance(each, str | int | float):
            kind = "true or false" if param.is_flag else "text or a number"
            raise DataError(f"{where}: expected {kind}{' or a list of them' if param.multiple else ''}")
    given = [str(each) for each in many] if param.multiple else str(value)
    _check(context, param, given, where)
    return given


def _check(context: click.Context, param: Any, given: Any, where: str) -> None:
    """Raise DataError unless a value is one of the option's."""
    try:
        param.process_value(context, given)
    except click.BadParameter as error:
        raise DataError(f"{where} is {given!r}: {error.message[:1].lower()}{error.message[1:]}") from error


DataDir = Annotated[
    Path | None,
    Option(
        show_default="DIGITNET_DATA, else the platform's cache folder",
        help="Folder of the named data sets.",
    ),
]


Inputs = Annotated[
    str | None,
    Option(
        "--input",
        show_default="the best on validation digits",
        help="Input scaling of weights from elsewhere: 0..1, mnist (mean 0.1307, std 0.3081), -1..1 or 0..255.",
    ),
]


Length = Annotated[int | None, Option(min=1, show_default=False, help="Number of digits of every number.")]


Lengths = Annotated[str | None, Option(show_default=False, help="Minimum and maximum number of digits, such as 4-6.")]


Checksum = Annotated[
    str | None,
    Option(show_default=False, help="Check digit: luhn, isbn, ean, or iban-digits-XX, such as iban-digits-de."),
]


Line = Annotated[str, Option(help='The line reader: the built-in "line" or an .onnx file.')]


Range = Annotated[str | None, Option("--range", show_default=False, help="Minimum and maximum value, such as 0..100.")]


Print = Annotated[
    Literal["keep", "skip"],
    Option("--print", help="Whether numbers that are printed, not handwritten, are read."),
]
SecondOpinion = Annotated[
    bool,
    Option("--second-opinion", help="Also ask RapidOCR (extra rapidocr): fewer errors, up to 0.1 s more per number."),
]
Single = Annotated[bool, Option("--single", help="Each image contains one number and nothing else.")]
