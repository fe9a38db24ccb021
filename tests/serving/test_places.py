import subprocess
import sys
from contextlib import contextmanager

import pytest
from helpers import Asked, png

from digitnet.serving import process
from digitnet.serving.app import create_app
from digitnet.serving.batching import Batcher, BusyError
from digitnet.serving.places import Places
from digitnet.serving.requests import Limits
from digitnet.serving.service import Settings

HOLD = """
import sys
from pathlib import Path
from digitnet.serving.places import Places
places = Places(10, Path(sys.argv[1]))
print([places.take() for _ in range(int(sys.argv[2]))], flush=True)
sys.stdin.read()
"""


@contextmanager
def held_by_another_process(shared, count):
    """Let another process hold so many places until it is killed."""
    command = [sys.executable, "-c", HOLD, str(shared), str(count)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == f"{list(range(count))}\n"
        yield
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def shared(tmp_path):
    file = tmp_path / "places"
    file.touch()
    return file


@pytest.mark.parametrize("alone", [True, False])
def test_there_are_as_many_places_as_were_asked_for(shared, alone):
    places = Places(3, None if alone else shared)
    assert [places.take() for _ in range(4)] == [0, 1, 2, None]
    assert places.taken() == 3
    places.give(1)
    assert (places.taken(), places.take()) == (2, 1)
    places.close()


def test_what_a_killed_process_held_is_free_again(shared):
    places = Places(4, shared)
    with held_by_another_process(shared, 3):
        assert places.taken() == 3
        assert [places.take(), places.take()] == [3, None]
        assert places.taken() == 4
    assert places.taken() == 1
    assert [places.take() for _ in range(4)] == [0, 1, 2, None]
    places.close()


def test_a_burst_gets_what_other_processes_leave(shared):
    batcher = Batcher(threads=1, places=4, standing=4, shared=shared)
    with held_by_another_process(shared, 3), batcher.place(), pytest.raises(BusyError):
        batcher.check()
    with batcher.place(), batcher.place(), batcher.place():
        batcher.check()
    batcher.close()


def test_a_service_that_shares_its_places_is_busy_when_another_process_has_them(shared):
    settings = Settings(threads=1, limits=Limits(waiting=1), places=shared)
    with Asked(create_app(settings)) as asked:
        while asked("GET", "/health/ready").status_code != 200:
            pass
        with held_by_another_process(shared, 2):
            assert asked.post("/v1/read", png("30")).status_code == 429
        assert asked.post("/v1/read", png("30")).status_code == 200


def test_several_workers_are_given_one_file_of_places(monkeypatch):
    given = []
    monkeypatch.setattr(process, "_alone", lambda settings, desk=None: given.append(settings))

    def serve(app, listening, opened, workers):
        app()
        assert given[-1].places.read_bytes() == b""

    monkeypatch.setattr(process, "serve_app", serve)
    process.run(Settings(), lambda: None, print, workers=2)
    assert given[0].places is None
    assert not given[-1].places.exists()
