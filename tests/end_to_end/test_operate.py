"""Running the service: where its options come from, its access log, SIGHUP, the files in deploy/."""

import contextlib
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from datetime import datetime
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the service needs the extra serve")
httpx = pytest.importorskip("httpx")

from helpers import Asked, png, refused  # noqa: E402

from digitnet.models import onnx_models  # noqa: E402
from digitnet.reading.reader import Reader  # noqa: E402
from digitnet.serving import process as running  # noqa: E402
from digitnet.serving.app import create_app  # noqa: E402
from digitnet.serving.service import Settings  # noqa: E402

DEPLOY = Path(__file__).parents[2] / "deploy"
ENTRY = {"time", "id", "client", "method", "path", "status", "seconds", "received", "sent"}


@pytest.fixture(autouse=True)
def no_variable_of_the_tests(monkeypatch):
    """Hide the variable that names the pictures for tests: the service warns of names that it does not know."""
    monkeypatch.delenv("DIGITNET_DEV_DATA", raising=False)


# Options


@pytest.fixture
def options(digitnet, monkeypatch):
    """Run `digitnet serve` without serving: options(words...) -> its settings, address and number of processes."""

    def run(*words):
        seen = []

        def instead(settings, listen, opened, workers):
            seen.append({"settings": settings, "address": listen.args, "workers": workers})
            sys.exit(0)

        monkeypatch.setattr(running, "run", instead)
        code, _, err = digitnet("serve", *words)
        assert (code, err) == (0, "")
        return seen[0]

    return run


ALL = {
    "host": ("'0.0.0.0'", "0.0.0.0", lambda seen: seen["address"][0], "0.0.0.0"),
    "port": ("8123", "8123", lambda seen: seen["address"][1], 8123),
    "model": ("'digitnet'", "digitnet", lambda seen: seen["settings"].model, "digitnet"),
    "line": ("'mine.onnx'", "mine.onnx", lambda seen: seen["settings"].line, "mine.onnx"),
    "workers": ("3", "3", lambda seen: seen["workers"], 3),
    "second-opinion": ("true", "1", lambda seen: seen["settings"].second_opinion, True),
    "report": ("'run/mine'", "run/mine", lambda seen: seen["settings"].report, Path("run/mine")),
    "name": ("['A.example', 'b']", "A.example b", lambda seen: seen["settings"].hosts, frozenset({"a.example", "b"})),
    "allow-train": ("true", "1", lambda seen: seen["settings"].train == "mnist", True),
    "access-log": ("true", "1", lambda seen: seen["settings"].access_log, True),
    "token": ("'secret'", "secret", lambda seen: seen["settings"].token, "secret"),
}
"""Every option: as TOML, as a variable, where it shows, and its value."""


def flags(words):
    return set(re.findall(r"--([a-z][a-z-]*)", words))


def test_all_options_are_known_here(digitnet):
    assert flags(digitnet("serve", "--help")[1]) - {
        "help",
        "config",
        "no-access-log",
        "no-allow-train",
        "report",
        "host",
    } <= set(ALL)


@pytest.mark.parametrize("name", ALL)
def test_every_option_is_a_variable_and_a_key_of_the_file(options, monkeypatch, name):
    toml, variable, shown, value = ALL[name]
    assert shown(options()) != value
    Path("serve.toml").write_text(f"{name} = {toml}\n")
    assert shown(options("--config", "serve.toml")) == value
    monkeypatch.setenv(f"DIGITNET_{name.upper().replace('-', '_')}", variable)
    assert shown(options()) == value


def test_a_flag_goes_before_a_variable_and_a_variable_before_the_file(options, monkeypatch):
    Path("serve.toml").write_text("port = 1\nworkers = 2\nmodel = 'digitnet'\ntoken = 'file'\naccess-log = true\n")
    monkeypatch.setenv("DIGITNET_CONFIG", "serve.toml")
    monkeypatch.setenv("DIGITNET_PORT", "11")
    monkeypatch.setenv("DIGITNET_WORKERS", "22")
    monkeypatch.setenv("DIGITNET_TOKEN", "variable")
    seen = options("--port", "111", "--no-access-log")
    assert (seen["address"][1], seen["workers"], seen["settings"].model) == (111, 22, "digitnet")
    assert (seen["settings"].token, seen["settings"].access_log) == ("variable", False)


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        ("prot = 1", "'prot' is not an option; did you mean 'port'?"),
        ("access_log = true", "'access_log' is not an option; did you mean 'access-log'?"),
        ("config = 'x'", "'config' is not an option; "),
        ("[serve]\nport = 1", "'serve' is not an option; "),
        ("port = 'x'", "port is 'x': "),
        ("port = 70000", "port is '70000': "),
        ("port = true", "port: expected text or a number"),
        ("port = [1]", "port: expected text or a number"),
        ("workers = 1.5", "workers is '1.5': "),
        ("name = [['x']]", "name: expected text or a number or a list of them"),
        ("access-log = 'yes'", "access-log: expected true or false"),
        ("token = 5", "token: expected text in quotes"),
        ("port", "not TOML: "),
        ("model = '\udcff'", "not TOML: "),
    ],
)
def test_what_is_wrong_in_the_file_is_one_line_that_names_it(digitnet, text, fact):
    Path("serve.toml").write_bytes(text.encode("utf-8", "surrogateescape"))
    code, out, err = digitnet("serve", "--config", "serve.toml")
    assert (code, out) == (1, "")
    assert err.startswith(f"Error: serve.toml: {fact}")
    assert len(err.splitlines()) == 1


def test_a_file_that_is_not_there_and_variables_that_are_wrong_are_told(digitnet, monkeypatch):
    assert digitnet("serve", "--config", "nosuch.toml")[2].startswith("Error: nosuch.toml: No such file or directory")
    Path("serve.toml").write_text("token = ' '\n")
    assert "DIGITNET_TOKEN is empty" in digitnet("serve", "--config", "serve.toml")[2]
    monkeypatch.setenv("DIGITNET_PORT", "tcp://10.0.0.1:8000")  # as Kubernetes sets it for a service of this name
    code, _, err = digitnet("serve")
    assert code == 1
    assert err.startswith("Error: DIGITNET_PORT is 'tcp://10.0.0.1:8000': ")
    assert len(err.splitlines()) == 1


def test_a_variable_that_nearly_has_an_option_s_name_is_warned_of(digitnet, monkeypatch):
    monkeypatch.setattr(running, "run", lambda *_: sys.exit(0))
    monkeypatch.setenv("DIGITNET_WORKER", "4")
    monkeypatch.setenv("DIGITNET_PORT_8000_TCP_PROTO", "tcp")
    warning = "Warning: the variable DIGITNET_WORKER is not used; did you mean DIGITNET_WORKERS?\n"
    assert digitnet("serve")[2] == warning


# The access log


@pytest.fixture
def logged(capfd):
    """A service with a log, and what it has logged."""
    with Asked(create_app(Settings(threads=1, access_log=True, token="secret"))) as asked:
        while asked("GET", "/health/ready").status_code != 200:
            time.sleep(0.01)
        capfd.readouterr()
        yield asked, lambda: [json.loads(line) for line in capfd.readouterr().out.splitlines()]


TOKEN = {"authorization": "Bearer secret"}


def test_each_request_is_a_line_of_json_without_what_was_sent_or_read(logged):
    asked, entries = logged
    picture = png("4711")
    answer = asked.files("/v1/read?min_confidence=0.5&range=4000..5000", ("confidential.png", picture), headers=TOKEN)
    assert answer.json()["results"][0]["pages"][0]["text"] == "4711"
    (entry,) = entries()
    assert set(entry) == ENTRY
    assert (entry["method"], entry["path"], entry["status"]) == ("POST", "/v1/read", 200)
    assert entry["client"] == "127.0.0.1"
    assert entry["received"] > len(picture)
    assert entry["sent"] == len(answer.content)
    assert entry["seconds"] > 0
    assert datetime.fromisoformat(entry["time"]).tzinfo is not None
    kept = {key: entry[key] for key in entry if key not in ("id", "time", "seconds", "received", "sent")}
    assert not re.search("4711|confidential|secret|range|Bearer", json.dumps(kept))


def test_refusals_and_heads_and_failures_are_logged_too(logged, monkeypatch):
    asked, entries = logged
    asked.post("/v1/read", b"x")
    asked("HEAD", "/health/live")
    asked("GET", "/nosuch%0A" + "x" * 500)
    monkeypatch.setattr(Reader, "read_page", lambda *_, **__: 1 / 0)
    asked.post("/v1/read", png("30"), headers=TOKEN)
    told = [(entry["method"], entry["status"], entry["sent"] > 0) for entry in entries()]
    assert told == [("POST", 401, True), ("HEAD", 200, False), ("GET", 404, True), ("POST", 500, True)]


@pytest.mark.parametrize("name", ["a", "0123456789abcdef" * 8, "3f0c-1.2:a/b+c=d@e~f"])
def test_a_request_keeps_the_valid_id_it_came_with(logged, name):
    asked, entries = logged
    answer = asked("GET", "/health/live", headers={"x-request-id": name})
    assert answer.headers["x-request-id"] == name == entries()[0]["id"]


@pytest.mark.parametrize("name", [None, "", "a b", "x" * 129, 'a"b', "ä".encode(), "a\tb", "<script>"])
def test_any_other_request_gets_an_id_of_its_own(logged, name):
    asked, entries = logged
    headers = {} if name is None else {"x-request-id": name}
    ids = {asked("GET", "/nosuch", headers=headers).headers["x-request-id"] for _ in range(3)}
    assert len(ids) == 3
    assert all(re.fullmatch("[0-9a-f]{32}", each) for each in ids)
    assert {entry["id"] for entry in entries()} == ids


def test_without_the_option_there_is_no_log_but_ids(capfd):
    with Asked(create_app(Settings(threads=1))) as asked:
        assert asked("GET", "/health/live").headers["x-request-id"]
    assert capfd.readouterr().out == ""


def test_a_failure_is_told_with_the_id_of_its_request(logged, monkeypatch, caplog):
    asked, _ = logged
    monkeypatch.setattr(Reader, "read_page", lambda *_, **__: 1 / 0)
    refused(asked.post("/v1/read", png("30"), headers=TOKEN | {"x-request-id": "mine"}), 500)
    assert "POST /v1/read failed, request mine" in caplog.text


def test_a_log_that_cannot_be_written_is_given_up_with_a_word(capsys):
    from digitnet.serving.access_log import AccessLog, Entry

    reading, writing = os.pipe()
    os.close(reading)
    log = AccessLog(writing)
    for _ in range(3):
        log.write(Entry("a", "", "GET", "/", 200))
    os.close(writing)
    assert capsys.readouterr().err == "Warning: the access log ends here: Broken pipe\n"


# Signals


@pytest.fixture
def serving(environment):
    """Start `digitnet serve` with some words; gives the process, its address and a client."""
    processes, clients = [], []

    def start(*words, **more):
        command = [sys.executable, "-m", "digitnet", "serve", "--port", "0", *words]
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | more
        process = subprocess.Popen(command, text=True, env=environment, start_new_session=True, **pipes)
        processes.append(process)
        address = process.stdout.readline().split()[1]
        client = httpx.Client(base_url=address, timeout=300, trust_env=False)
        clients.append(client)
        while client.get("/health/ready").status_code != 200:
            time.sleep(0.05)
        return process, client

    yield start
    for client in clients:
        client.close()
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # its workers, too
        process.communicate()


def used(client):
    """Return the SHA-256 of the model that reads, as a new connection sees it."""
    with httpx.Client(base_url=client.base_url, timeout=300, trust_env=False) as fresh:
        return fresh.get("/v1/models").json()["reading"]["digits"]["sha256"]


@pytest.mark.parametrize("workers", [1, 2])
def test_sighup_opens_the_models_again_or_keeps_them_and_loses_no_request(serving, workers):
    shutil.copy(onnx_models.WEIGHTS / "digitnet.onnx", "mine.onnx")
    process, client = serving("--model", "mine.onnx", "--workers", str(workers))
    before, after = onnx_models.hashes()["digitnet"], onnx_models.hashes()["strong"]
    assert used(client) == before
    process.send_signal(signal.SIGHUP)  # a process that still starts answers it when it serves
    assert [process.stderr.readline() for _ in range(workers)] == ["Reopened the models.\n"] * workers
    Path("new.onnx").write_bytes(b"no model")
    Path("new.onnx").replace("mine.onnx")
    process.send_signal(signal.SIGHUP)
    said = [process.stderr.readline() for _ in range(workers)]
    assert all(line.startswith("Error: mine.onnx") for line in said), said
    assert all(line.endswith("; the service keeps its present models\n") for line in said)
    assert {used(client) for _ in range(8)} == {before}
    shutil.copy(onnx_models.WEIGHTS / "strong.onnx", "new.onnx")
    Path("new.onnx").replace("mine.onnx")
    process.send_signal(signal.SIGHUP)
    seen = []
    while seen[-8:] != [after] * 8:
        seen.append(used(client))
        assert client.post("/v1/read", content=png("30")).json()["results"][0]["pages"][0]["text"] == "30"
    assert set(seen) <= {before, after}
    assert [process.stderr.readline() for _ in range(workers)] == ["Reopened the models.\n"] * workers
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=120) == ("", "")


@pytest.mark.parametrize("workers", [1, 2])
def test_the_end_of_its_terminal_ends_the_service(serving, workers):
    ours, theirs = pty.openpty()

    def own_terminal():
        import fcntl
        import termios

        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    process, _ = serving("--workers", str(workers), stdin=theirs, preexec_fn=own_terminal)
    os.close(theirs)
    os.close(ours)
    process.communicate(timeout=120)
    assert process.returncode is not None


# deploy/


def test_the_file_of_options_has_every_option_and_only_defaults(options):
    text = (DEPLOY / "digitnet.toml").read_text()
    assert options("--config", DEPLOY / "digitnet.toml") == options()
    every = tomllib.loads(re.sub(r"^# (?=[a-z-]+ = )", "", text, flags=re.MULTILINE))
    assert set(every) == set(ALL)


def test_the_compose_file_sets_variables_that_there_are():
    yaml = pytest.importorskip("yaml")
    (service,) = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"].values()
    names = {f"DIGITNET_{name.upper().replace('-', '_')}" for name in ALL}
    assert set(service["environment"]) <= names
    assert (DEPLOY / ".." / service["build"]["dockerfile"]).is_file()
    assert service["read_only"] is True


def test_the_unit_reloads_by_sighup():
    assert "ExecReload=/bin/kill -HUP $MAINPID" in (DEPLOY / "digitnet.service").read_text()
