"""Jobs to test: each test runs on SQLite and on a PostgreSQL server that is started here."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

pytest.importorskip("sqlalchemy")


class Server:
    """A PostgreSQL server of its own, reached by a socket in its folder: no port, no network."""

    def __init__(self, programs, folder):
        self.programs, self.folder = programs, Path(folder)
        account = {}
        if os.getuid() == 0:  # PostgreSQL does not run as root
            account = {"user": "postgres", "group": "postgres"}
            os.chown(folder, pwd.getpwnam("postgres").pw_uid, pwd.getpwnam("postgres").pw_gid)
        self.account = {**account, "cwd": folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        words = ["-D", self.folder / "data", "-U", "digitnet", "-A", "trust", "-N", "-E", "UTF8", "--locale=C"]
        subprocess.run([programs / "initdb", *words], check=True, **self.account)
        self.databases = 0

    def start(self):
        words = ["-D", self.folder / "data", "-k", self.folder, "-c", "listen_addresses=", "-c", "fsync=off"]
        self.process = subprocess.Popen([self.programs / "postgres", *words], **self.account)
        ready = [self.programs / "pg_isready", "-q", "-h", self.folder, "-U", "digitnet", "-d", "postgres"]
        while subprocess.run(ready, check=False).returncode:
            assert self.process.poll() is None, "the PostgreSQL server ended"
            time.sleep(0.05)

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait()

    def url(self, name):
        return f"postgresql://digitnet@/{name}?host={self.folder}"

    def create(self):
        import psycopg

        self.databases += 1
        name = f"job{self.databases}"
        with psycopg.connect(self.url("postgres").replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self.url(name)


def _programs():
    """Return the folder with PostgreSQL's programs, None where it is not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    name = str(found[-1]) if found else shutil.which("initdb")
    return None if name is None else Path(name).resolve().parent


@pytest.fixture(scope="session")
def postgresql():
    pytest.importorskip("psycopg")
    if (programs := _programs()) is None:
        pytest.skip("PostgreSQL is not installed; install Debian's package postgresql")
    with tempfile.TemporaryDirectory(prefix="digitnet-postgresql-") as folder:
        server = Server(programs, folder)
        server.start()
        yield server
        server.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request, tmp_path):
    """Where a job can be made: a file, and an empty database on a server."""
    if request.param == "sqlite":
        return str(tmp_path / "grades.job")
    return request.getfixturevalue("postgresql").create()
