"""The command `serve`."""

from __future__ import annotations

import ipaddress
import socket
import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import click

from digitnet.cli.command import Option
from digitnet.cli.options import SecondOpinion, use_file, warn_of_typos
from digitnet.cli.options import token as token_of
from digitnet.core.errors import DataError
from digitnet.core.terminal import say


def serve(
    context: click.Context,
    host: Annotated[str, Option(help="Address to listen on; 0.0.0.0 means all addresses of this machine.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, Option(min=0, max=65535, help="Port to listen on; 0 means any free port.")] = 8000,
    model: Annotated[str, Option(help="Single-digit model: strong, digitnet or an .onnx file.")] = "strong",
    line: Annotated[str, Option(help='The line reader: the built-in "line" or an .onnx file.')] = "line",
    workers: Annotated[int, Option(min=1, max=256, help="Number of processes, each with its own models.")] = 1,
    second_opinion: SecondOpinion = False,
    report: Annotated[
        Path | None, Option(show_default=False, help="Folder of a run whose errors the page shows.")
    ] = None,
    name: Annotated[
        list[str] | None,
        Option(show_default=False, help="Additional host name to accept, such as a reverse proxy's (repeatable)."),
    ] = None,
    allow_train: Annotated[bool, Option(help="Let the page start trainings, into the folder run.")] = False,
    access_log: Annotated[bool, Option(help="Write one line of JSON per request to standard output.")] = False,
    config: Annotated[
        Path | None,
        Option(
            show_default=False, is_eager=True, callback=use_file, help="TOML file with these options and the token."
        ),
    ] = None,
) -> None:
    """Serve a web page and an HTTP service for reading numbers.

    Examples: digitnet serve; digitnet serve --report run/best-1; DIGITNET_TOKEN=... digitnet serve --host 0.0.0.0.

    If the environment variable DIGITNET_TOKEN is set, requests must send this token.

    A flag takes precedence over a variable, and a variable over the file.
    """
    from digitnet.serving.invitation import reachable
    from digitnet.serving.process import run
    from digitnet.serving.service import Settings

    warn_of_typos(context)
    token = token_of(context)
    hosts = frozenset(map(str.lower, name or ())) if _is_local(host) and token is None else None

    out = sys.stderr if access_log else sys.stdout  # nothing but JSON where there is some

    def opened(listening: socket.socket) -> None:
        if not _is_local(host) and token is None:
            say(f"Warning: everyone who can reach {host} can use this service; set DIGITNET_TOKEN to require a token")
        shown = f"[{host}]" if ":" in host else {"0.0.0.0": "127.0.0.1"}.get(host, host)  # noqa: S104
        print(f"Open http://{shown}:{listening.getsockname()[1]} (stop with Ctrl+C)", flush=True, file=out)

    address = None if _is_local(host) else reachable(host)
    if allow_train and workers > 1:
        raise DataError("--allow-train needs one process; omit --workers")
    train = "mnist" if allow_train else None
    settings = Settings(
        *(model, report, token, hosts),
        access_log=access_log,
        line=line,
        address=address,
        train=train,
        second_opinion=second_opinion,
    )
    run(settings, partial(listen, host, port), opened, workers)


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens. Raises DataError where that address cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(2048)
    except OSError as error:
        listening.close()
        raise DataError(f"{host}:{port}: {error.strerror}; choose another --host or --port") from error
    listening.setblocking(False)
    return listening
