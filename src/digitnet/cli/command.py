"""Functions with annotated parameters as Click commands.

`jobs: Annotated[int, Option(min=1, help="...")] = 1` is the option --jobs. A command's module is imported, and its
parameters are built, when they are needed: `digitnet read` builds those of no other command.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import click

from digitnet.core.text import nearest


@dataclass(frozen=True)
class Argument:
    """A positional argument; show_default: text for what it means to omit it."""

    help: str
    show_default: str = ""


@dataclass(frozen=True, init=False)
class Option:
    """An option.

    flags: by default the parameter's name, for a bool with its opposite. show_default: text for what the default means,
    False for none. min, max: of numbers. callback: takes the context and the value, and returns the value.
    """

    flags: tuple[str, ...]
    help: str
    show_default: bool | str
    min: int | None
    max: int | None
    is_eager: bool
    callback: Callable[[click.Context, Any], Any] | None

    def __init__(
        self,
        *flags: str,
        help: str,
        show_default: bool | str = True,
        min: int | None = None,
        max: int | None = None,
        is_eager: bool = False,
        callback: Callable[[click.Context, Any], Any] | None = None,
    ) -> None:
        """Take the option's settings."""
        values = {"flags": flags, "help": help, "show_default": show_default, "min": min, "max": max}
        vars(self).update(values, is_eager=is_eager, callback=callback)


class _Positional(click.Argument):
    """An argument that `--help` explains."""

    def __init__(self, names: Sequence[str], help_text: str, **attributes: Any) -> None:
        super().__init__(names, **attributes)
        self.help_text = help_text

    def get_help_record(self, ctx: click.Context) -> tuple[str, str]:
        """Return its two columns of the help."""
        return self.make_metavar(ctx), self.help_text


class _Lazy(click.Command):
    """A command that runs a function, of which it builds the parameters when they are needed."""

    function: Callable[..., Any] | None = None

    @cached_property
    def _lists(self) -> dict[str, Any]:
        """The names of the parameters that are lists, and their defaults; the first use builds the parameters."""
        if self.function is None:
            return {}
        hints = get_type_hints(self.function, include_extras=True)
        signature = inspect.signature(self.function).parameters
        lists: dict[str, Any] = {}
        for name, hint in hints.items():
            if get_origin(hint) is Annotated:
                kind, about = get_args(hint)[:2]
                self.params.append(_parameter(name, kind, about, signature[name].default))
                if get_origin(_plain(kind)) is list:
                    lists[name] = None if NoneType in get_args(kind) else []
        return lists

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the parameters, `--help` included."""
        _ = self._lists
        return super().get_params(ctx)

    def get_short_help_str(self, limit: int = 45) -> str:
        """Return the help's first paragraph, whole, for the list of commands."""
        return " ".join((self.help or "").partition("\n\n")[0].split())

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the arguments, then the options, and a group's commands."""
        params = self.get_params(ctx)
        for title, kind in (("Arguments", click.Argument), ("Options", click.Option)):
            records = [param.get_help_record(ctx) for param in params if isinstance(param, kind)]
            if shown := [record for record in records if record is not None]:
                with formatter.section(title):
                    formatter.write_dl(shown)
        if isinstance(self, click.Group):
            self.format_commands(ctx, formatter)

    def invoke(self, ctx: click.Context) -> Any:
        """Call the function; what can be given several times is a list."""
        for name, default in self._lists.items():
            ctx.params[name] = list(ctx.params[name]) or default
        return super().invoke(ctx)


class Command(_Lazy):
    """A function as a command; its docstring is the help."""

    def __init__(self, function: Callable[..., Any], name: str, context_settings: dict[str, Any] | None = None) -> None:
        """Take the function and the command's name."""
        super().__init__(name, context_settings, _passing_context(function), help=inspect.getdoc(function))
        self.function = function


class Group(_Lazy, click.Group):
    """Commands by name, each a function or a group, or where to import it from: `module:function`.

    function: what runs before the command, or where none is named. settings: Click's context settings by command.
    """

    def __init__(
        self,
        name: str,
        commands: Mapping[str, str | Callable[..., Any]],
        function: Callable[..., Any] | None = None,
        settings: Mapping[str, dict[str, Any]] | None = None,
        **attributes: Any,
    ) -> None:
        """Take the commands in the order in which they are listed, and Click's own settings of a group."""
        callback = _passing_context(function) if function else None
        super().__init__(name, callback=callback, invoke_without_command=function is not None, **attributes)
        self.function = function
        self.homes = dict(commands)
        self.settings = dict(settings or {})

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands."""
        return list(self.homes)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command:
        """Return a command, imported now. Raises UsageError where there is none of that name."""
        if cmd_name not in self.homes:
            raise click.UsageError(f"No such command {cmd_name!r}; {nearest(cmd_name, self.homes)}", ctx)
        home = self.homes[cmd_name]
        if isinstance(home, str):
            module, _, function = home.partition(":")
            home = getattr(importlib.import_module(module), function)
        if isinstance(home, click.Command):
            return home
        return Command(home, cmd_name, self.settings.get(cmd_name))


def _passing_context(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that is also given Click's context, if its first parameter is named so."""
    return (
        click.pass_context(function)
        if next(iter(inspect.signature(function).parameters), "") == "context"
        else function
    )


def _plain(kind: Any) -> Any:
    """Return a type without None."""
    kinds = [each for each in get_args(kind) if each is not NoneType]
    return kinds[0] if NoneType in get_args(kind) else kind


def _parameter(name: str, kind: Any, about: Option | Argument, default: Any) -> click.Parameter:
    """Return a function's parameter as one of Click's; its default is the function's."""
    kind = _plain(kind)
    many = get_origin(kind) is list
    attributes: dict[str, Any] = {"type": _type(get_args(kind)[0] if many else kind, about)}
    if default is inspect.Parameter.empty:
        attributes["required"] = True
    elif not many:
        attributes["default"] = default
    if isinstance(about, Argument):
        default_text = f"  [default: ({about.show_default})]" if about.show_default else ""
        return _Positional([name], about.help + default_text, nargs=-1 if many else 1, **attributes)
    flag = f"--{name.replace('_', '-')}"
    if kind is bool:
        attributes |= {"is_flag": True}
        flag = f"{flag}/--no-{flag[2:]}"
    if callback := about.callback:
        attributes["callback"] = lambda context, _, value: callback(context, value)
    return click.Option(
        [*(about.flags or (flag,)), name],
        help=about.help,
        show_default=about.show_default,
        is_eager=about.is_eager,
        multiple=many,
        **attributes,
    )


def _type(kind: Any, about: Option | Argument) -> Any:
    """Return Click's type of a value."""
    if get_origin(kind) is Literal:
        return click.Choice(get_args(kind))
    if isinstance(about, Option) and (about.min is not None or about.max is not None):
        return (click.IntRange if kind is int else click.FloatRange)(about.min, about.max)
    return click.Path(path_type=Path) if kind is Path else kind
