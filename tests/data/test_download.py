import gzip
import hashlib
import io
import json
import multiprocessing
import os
import socket
import sys
import tarfile
import threading
import time
import urllib.request
import zipfile
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.error import HTTPError, URLError

import pytest
from helpers import fetch_from

from digitnet import DataError
from digitnet.data.download import File, Source, fetch, mirror, npm_package, pip_package

CONTENT = bytes(range(256)) * 400
FILE = File("digits-ubyte", len(CONTENT), hashlib.sha256(CONTENT).hexdigest())


@pytest.fixture
def server():
    """A local http server; `server.answers[path]` is (status, body, promised length or None)."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.server.seen.append(self.path)
            status, body, length = self.server.answers.get(self.path, (404, b"", None))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body) if length is None else length))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.answers, server.seen = {}, []
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def good(server, folder="good"):
    server.answers[f"/{folder}/{FILE.name}.gz"] = (200, gzip.compress(CONTENT), None)
    return mirror(f"{server.url}/{folder}")


def closed_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_a_mirror_gives_the_file_unpacked_and_whole(server, tmp_path):
    fetch([FILE], [good(server)], tmp_path / "cache")
    assert (tmp_path / "cache" / FILE.name).read_bytes() == CONTENT
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [FILE.name]


PACKED = gzip.compress(CONTENT)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((404, b"", None), "404"),
        ((503, b"busy", None), "503"),
        ((200, PACKED[:500], len(PACKED)), "interrupted"),
        ((200, PACKED[:500], None), "truncated gzip"),
        ((200, b"<html>sign in</html>", None), "incomplete gzip"),
        ((200, gzip.compress(CONTENT[:-1] + b"!"), None), "sha256"),
        ((200, gzip.compress(CONTENT[:-1]), None), "102399 bytes, expected 102400"),
        ((200, gzip.compress(bytes(1 << 24)), None), "unpacks to more than"),
        ((200, b"x" * (1 << 21), None), "more than"),
    ],
)
def test_a_bad_answer_leaves_nothing_and_is_named(server, tmp_path, answer, words):
    server.answers[f"/bad/{FILE.name}.gz"] = answer
    with pytest.raises(DataError) as caught:
        fetch([FILE], [mirror(f"{server.url}/bad")], tmp_path)
    assert words in str(caught.value)
    assert f"{server.url}/bad" in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_sources_are_tried_in_order_and_only_for_what_is_missing(server, tmp_path):
    other = File("other-ubyte", 3, hashlib.sha256(b"abc").hexdigest())
    server.answers[f"/half/{FILE.name}.gz"] = (200, PACKED, None)
    server.answers["/rest/other-ubyte.gz"] = (200, gzip.compress(b"abc"), None)
    sources = [mirror(f"{server.url}/{name}") for name in ("none", "half", "rest", "never")]
    fetch([FILE, other], sources, tmp_path)
    assert server.seen == [
        f"/none/{FILE.name}.gz",
        f"/half/{FILE.name}.gz",
        "/half/other-ubyte.gz",
        "/rest/other-ubyte.gz",
    ]
    assert (tmp_path / "other-ubyte").read_bytes() == b"abc"


def test_a_refusal_moves_on_without_a_wait_or_a_second_try(server, tmp_path, monkeypatch):
    asked, urlopen = [], urllib.request.urlopen
    monkeypatch.setattr(urllib.request, "urlopen", lambda url, **more: asked.append(url) or urlopen(url, **more))
    monkeypatch.setattr(time, "sleep", lambda seconds: pytest.fail("waited"))
    closed = f"http://127.0.0.1:{closed_port()}"
    fetch([FILE], [mirror(closed), good(server)], tmp_path)
    assert asked == [f"{closed}/{FILE.name}.gz", f"{server.url}/good/{FILE.name}.gz"]


def test_a_silent_mirror_is_left_after_a_short_time(tmp_path, monkeypatch):
    monkeypatch.setattr("digitnet.data.download.CONNECT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert "timed out" in faults(mirror(f"http://127.0.0.1:{silent.getsockname()[1]}"), tmp_path)


def test_a_mirror_that_drips_is_left_too(server, tmp_path, monkeypatch):
    monkeypatch.setattr("digitnet.data.download.TRANSFER_SECONDS", 0.0)
    with pytest.raises(DataError, match="slower than 0 s"):
        fetch([FILE], [good(server)], tmp_path)


def test_an_unwritable_cache_is_said_at_once(server, tmp_path):
    (tmp_path / "cache").write_text("a file, not a folder")
    with pytest.raises(DataError, match="cannot be written"):
        fetch([FILE], [good(server), good(server, "next")], tmp_path / "cache")
    assert not any(path.startswith("/next") for path in server.seen)


def test_an_interrupted_download_never_looks_whole(tmp_path):
    def interrupted(files):
        raise KeyboardInterrupt
        yield

    with pytest.raises(KeyboardInterrupt):
        fetch([FILE], [Source("interrupted", interrupted)], tmp_path)
    assert not list(tmp_path.iterdir())


def test_two_processes_fetching_at_once_both_end_whole(server, tmp_path):
    good(server)
    context = multiprocessing.get_context("spawn")
    pair = [context.Process(target=fetch_from, args=(f"{server.url}/good", FILE, tmp_path)) for _ in range(2)]
    for process in pair:
        process.start()
    for process in pair:
        process.join()
        assert process.exitcode == 0
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [CONTENT]


def fake_program(folder, name, script):
    """Put a program called `name` first in the PATH's folder."""
    path = folder / name
    path.write_text(f"#!{sys.executable}\n{script}")
    path.chmod(0o755)


def test_npm_packages_give_their_files(tmp_path, monkeypatch):
    package = io.BytesIO()
    with tarfile.open(fileobj=package, mode="w:gz") as tar:
        member = tarfile.TarInfo(f"package/data/{FILE.name}")
        member.size = len(CONTENT)
        tar.addfile(member, io.BytesIO(CONTENT))
    (tmp_path / "kept.tgz").write_bytes(package.getvalue())
    script = f"""
import shutil, sys
assert sys.argv[1:3] == ["pack", "some-data@1.0.0"], sys.argv
shutil.copy({str(tmp_path / "kept.tgz")!r}, sys.argv[sys.argv.index("--pack-destination") + 1])
"""
    (tmp_path / "bin").mkdir()
    fake_program(tmp_path / "bin", "npm", script)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    fetch([FILE], [npm_package("some-data@1.0.0", "package/data")], tmp_path / "cache")
    assert (tmp_path / "cache" / FILE.name).read_bytes() == CONTENT


def test_a_failing_npm_is_quoted(tmp_path, monkeypatch):
    fake_program(tmp_path, "npm", "import sys; sys.exit('npm error code ENOTFOUND')")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DataError, match="npm error code ENOTFOUND"):
        fetch([FILE], [npm_package("some-data@1.0.0", "package/data")], tmp_path / "cache")


def test_a_machine_without_npm_is_no_failure_of_the_rest(server, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    fetch([FILE], [npm_package("some-data@1.0.0", "package/data"), good(server)], tmp_path)
    assert (tmp_path / FILE.name).is_file()


def test_pip_packages_give_their_files(tmp_path, monkeypatch):
    wheel = tmp_path / "kept.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("inside", CONTENT)
    script = f"""
import shutil, sys
assert sys.argv[1:4] == ["-m", "pip", "download"] and "--no-deps" in sys.argv, sys.argv
shutil.copy({str(wheel)!r}, sys.argv[sys.argv.index("--dest") + 1])
"""
    fake_program(tmp_path, "python", script)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))

    def unpack(path, files):
        with zipfile.ZipFile(path) as archive:
            yield files[0], archive.read("inside")

    fetch([FILE], [pip_package("some-data==1.0", unpack)], tmp_path / "cache")
    assert (tmp_path / "cache" / FILE.name).read_bytes() == CONTENT


def faults(source, folder):
    """Fetch from a source that fails, and return what is said of it: one line without the source's name."""
    with pytest.raises(DataError) as caught:
        fetch([FILE], [source], folder)
    heading = f"{FILE.name} could not be downloaded: {source.name}: "
    assert str(caught.value).startswith(heading)
    return str(caught.value).removeprefix(heading)


def failing(error):
    def get(files):
        raise error
        yield

    return Source("it", get)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (URLError(ConnectionRefusedError(111, "Connection refused")), "Connection refused"),
        (URLError("no host given"), "no host given"),
        (TimeoutError("timed out"), "timed out"),
        (PermissionError(13, "Permission denied"), "Permission denied"),
        (HTTPError("http://it/", 410, "Gone", Message(), None), "HTTP Error 410: Gone"),
        (DataError("three words only"), "three words only"),
    ],
)
def test_a_fault_is_told_in_the_words_of_what_failed(tmp_path, error, words):
    assert faults(failing(error), tmp_path) == words
    if isinstance(error, HTTPError):
        error.close()


def test_every_fault_of_every_source_is_told_in_their_order(tmp_path):
    first, second = failing(DataError("one")), Source("other", failing(DataError("two")).get)
    with pytest.raises(DataError) as caught:
        fetch([FILE, File("more", 1, "0")], [first, second], tmp_path)
    assert str(caught.value) == f"{FILE.name}, more could not be downloaded: it: one; other: two"


def test_what_is_fetched_is_logged_with_its_count_and_source(server, tmp_path, caplog):
    source = good(server)
    with caplog.at_level("INFO", "digitnet"):
        fetch([FILE], [source], tmp_path)
    assert caplog.messages == [f"Downloading 1 files from {server.url}/good"]


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (CONTENT, None),
        (CONTENT[:-1], "102399 bytes, expected 102400"),
        (
            CONTENT[:-1] + b"!",
            f"sha256 {hashlib.sha256(CONTENT[:-1] + b'!').hexdigest()[:12]}…, expected {FILE.sha256[:12]}…",
        ),
    ],
)
def test_a_file_says_what_is_wrong_with_bytes(data, fault):
    assert FILE.fault(data) == fault


def test_a_mirror_may_send_a_mebibyte_more_than_the_file_and_no_byte_beyond(server, tmp_path):
    source = mirror(f"{server.url}/large")
    path = f"/large/{FILE.name}.gz"
    limit = FILE.size + 2**20
    server.answers[path] = (200, bytes(limit), None)
    assert "incomplete gzip" in faults(source, tmp_path)
    server.answers[path] = (200, bytes(limit + 1), None)
    assert faults(source, tmp_path) == f"{server.url}{path}: more than {limit} bytes"


def test_a_large_answer_is_left_before_all_of_it_has_come(server, tmp_path):
    """The server promises more than it will ever send: who waited for all would see it broken off."""
    server.answers[f"/huge/{FILE.name}.gz"] = (200, bytes(FILE.size + 2**20 + 2**18), 2**40)
    assert "more than" in faults(mirror(f"{server.url}/huge"), tmp_path)


def test_an_answer_cut_short_says_how_much_came(server, tmp_path):
    path = f"/cut/{FILE.name}.gz"
    server.answers[path] = (200, PACKED[:500], len(PACKED))
    assert faults(mirror(f"{server.url}/cut"), tmp_path) == (
        f"{server.url}{path}: interrupted after 500 of {len(PACKED)} bytes"
    )


def test_an_answer_that_is_no_http_is_broken_off(tmp_path):
    def answer(listening):
        connection, _ = listening.accept()
        connection.recv(1000)
        connection.sendall(b"HTTP/1.1 " + b"x" * 100_000 + b"\r\n\r\n")
        connection.close()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=answer, args=(listening,))
        thread.start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        assert faults(mirror(url), tmp_path) == f"{url}/{FILE.name}.gz: interrupted (LineTooLong)"
        thread.join()


RECORD = """
import json, os, pathlib, sys
folder = sys.argv[sys.argv.index({option!r}) + 1]
said = dict(arguments=sys.argv[1:], cwd=os.getcwd(), folder=folder)
pathlib.Path({record!r}).write_text(json.dumps(said))
"""


def recorded(tmp_path):
    return json.loads((tmp_path / "record.json").read_text())


def test_npm_is_asked_for_the_package_quietly_in_a_folder_that_goes_again(tmp_path, monkeypatch):
    fake_program(tmp_path, "npm", RECORD.format(option="--pack-destination", record=str(tmp_path / "record.json")))
    monkeypatch.setenv("PATH", str(tmp_path))
    source = npm_package("some-data@1.0.0", "package/data")
    assert source.name == "the npm package some-data@1.0.0"
    assert faults(source, tmp_path / "cache") == "received 0 packages, expected one"
    said = recorded(tmp_path)
    assert said["arguments"] == ["pack", "some-data@1.0.0", "--pack-destination", said["folder"], "--silent"]
    assert said["cwd"] == os.path.realpath(said["folder"])
    assert Path(said["folder"]).name.startswith("digitnet-")
    assert not Path(said["folder"]).exists()


def unpack_nothing(path, files):
    raise AssertionError(path)


def test_pip_is_asked_for_the_wheel_alone_quietly_in_a_folder_that_goes_again(tmp_path, monkeypatch):
    fake_program(tmp_path, "python", RECORD.format(option="--dest", record=str(tmp_path / "record.json")))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    source = pip_package("some-data==1.0", unpack_nothing)
    assert source.name == "the PyPI package some-data==1.0"
    assert faults(source, tmp_path / "cache") == "received 0 packages, expected one"
    said = recorded(tmp_path)
    options = ["--no-deps", "--only-binary=:all:", "--quiet", "--disable-pip-version-check"]
    assert said["arguments"] == ["-m", "pip", "download", *options, "--dest", said["folder"], "some-data==1.0"]
    assert said["cwd"] == os.path.realpath(said["folder"])
    assert Path(said["folder"]).name.startswith("digitnet-")
    assert not Path(said["folder"]).exists()


@pytest.mark.parametrize("name", ["pip", "pip3"])
def test_where_this_python_has_no_pip_another_is_asked(tmp_path, monkeypatch, name):
    fake_program(tmp_path, name, RECORD.format(option="--dest", record=str(tmp_path / "record.json")))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("importlib.util.find_spec", lambda module: None)
    assert (
        faults(pip_package("some-data==1.0", unpack_nothing), tmp_path / "cache") == "received 0 packages, expected one"
    )
    assert recorded(tmp_path)["arguments"][0] == "download"


def test_no_npm_and_no_pip_at_all_are_said(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("importlib.util.find_spec", lambda module: None)
    assert faults(npm_package("some-data@1.0.0", "data"), tmp_path) == "npm is not installed"
    assert faults(pip_package("some-data==1.0", unpack_nothing), tmp_path) == "pip is not installed"


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("import sys; print('fine so far', file=sys.stderr); sys.exit(3)", "exit status 3"),
        (
            "import sys; print('an Error: first\\n  the last ERROR \\nbye', file=sys.stderr); sys.exit(1)",
            "the last ERROR",
        ),
        ("import sys; print('error on the other stream'); sys.exit(1)", "error on the other stream"),
        ("import sys; sys.exit(1)", "exit status 1"),
    ],
)
def test_a_failing_program_is_told_by_its_last_line_about_an_error(tmp_path, monkeypatch, script, words):
    fake_program(tmp_path, "npm", script)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert faults(npm_package("some-data@1.0.0", "data"), tmp_path / "cache") == words


def test_a_program_that_hangs_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr("digitnet.data.download.TRANSFER_SECONDS", 0.5)
    fake_program(tmp_path, "npm", "import time\nwhile True: time.sleep(1000)")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert faults(npm_package("some-data@1.0.0", "data"), tmp_path / "cache") == "slower than 0 s"


@pytest.mark.parametrize("content", [None, b"not a package"])
def test_a_package_without_the_file_is_said(tmp_path, monkeypatch, content):
    package = tmp_path / "kept.tgz"
    if content is None:
        with tarfile.open(package, "w:gz") as tar:
            tar.addfile(tarfile.TarInfo("package/data/something-else"))
    else:
        package.write_bytes(content)
    script = f"import shutil, sys; shutil.copy({str(package)!r}, sys.argv[4])"
    fake_program(tmp_path, "npm", script)
    monkeypatch.setenv("PATH", str(tmp_path))
    fault = faults(npm_package("some-data@1.0.0", "package/data"), tmp_path / "cache")
    assert fault == f"some-data@1.0.0: no readable package/data/{FILE.name} in it"


def test_no_more_of_a_packed_file_is_taken_than_shows_that_it_is_too_large(tmp_path, monkeypatch):
    package = tmp_path / "kept.tgz"
    with tarfile.open(package, "w:gz") as tar:
        member = tarfile.TarInfo(f"data/{FILE.name}")
        member.size = 10 * FILE.size
        tar.addfile(member, io.BytesIO(bytes(member.size)))
    fake_program(tmp_path, "npm", f"import shutil, sys; shutil.copy({str(package)!r}, sys.argv[4])")
    monkeypatch.setenv("PATH", str(tmp_path))
    fault = faults(npm_package("some-data@1.0.0", "data"), tmp_path / "cache")
    assert fault == f"{FILE.name}: {FILE.size + 1} bytes, expected {FILE.size}"
