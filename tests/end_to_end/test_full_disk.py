"""Disks that are really full: a small tmpfs, where one can be mounted."""

import contextlib
import hashlib
import shutil
import subprocess
from dataclasses import replace

import pytest

from digitnet import DataError, TrainingError
from digitnet.data.download import File, Source, fetch
from digitnet.training.config import RECIPES
from digitnet.training.run import reopen, start


@pytest.fixture
def disk(tmp_path):
    """A folder on a disk of 16 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    try:
        made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", folder], capture_output=True)
    except OSError:
        made = None
    if made is None or made.returncode:
        pytest.skip("no tmpfs can be mounted here")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def fill(folder):
    """Write until nothing more fits; return the file that holds it."""
    junk = folder / "junk"
    with contextlib.suppress(OSError), junk.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    assert shutil.disk_usage(folder).free == 0
    return junk


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != ".lock"}


@pytest.fixture
def config(drawn_npz):
    return replace(RECIPES["best"], data=str(drawn_npz), epochs=3, batch_size=64, device="cpu")


def test_an_epoch_that_cannot_be_saved_is_one_error_and_the_last_one_stays_whole(config, disk, tmp_path):
    whole = start(config, tmp_path / "whole")
    list(whole.train())
    run = start(config, disk / "mine")
    epochs = run.train()
    next(epochs)
    before, junk = contents(disk / "mine"), fill(disk)
    with pytest.raises(
        TrainingError, match=r"No space left on device; every finished epoch is saved; resume with"
    ) as no:
        next(epochs)
    assert str(disk / "mine") in str(no.value)
    assert contents(disk / "mine") == before
    junk.unlink()
    assert [epoch.number for epoch in reopen(disk / "mine").train()] == [2, 3]
    assert (disk / "mine/model.safetensors").read_bytes() == (tmp_path / "whole/model.safetensors").read_bytes()


def test_scores_that_cannot_be_written_come_when_there_is_room(config, disk):
    run = start(replace(config, epochs=1), disk / "mine")
    list(run.train())
    before, junk = contents(disk / "mine"), fill(disk)
    with pytest.raises(OSError, match="No space left") as no:
        run.finish()
    assert no.value.filename.startswith(str(disk / "mine"))
    assert contents(disk / "mine") == before
    junk.unlink()
    again = reopen(disk / "mine")
    assert not list(again.train())
    again.finish()
    assert {"scores.json", "errors.npz", "confusion_matrix.png"} <= contents(disk / "mine").keys()


def test_a_run_that_cannot_begin_leaves_nothing_that_is_in_the_way(config, disk, digitnet):
    junk = fill(disk)
    words = ("train", "--data", config.data, "--recipe", "quick", "--epochs", 1, "--out", disk / "mine")
    code, _, err = digitnet(*words)
    assert code == 1
    assert err.startswith(f"Error: {disk / 'mine'}")
    assert err.endswith("No space left on device\n")
    assert len(err.splitlines()) == 1
    junk.unlink()
    assert digitnet(*words)[0] == 0


def test_a_download_that_does_not_fit_says_so_and_leaves_no_half_of_it(disk):
    small, large = bytes(1000), bytes(17 << 20)
    files = [File(name, len(data), hashlib.sha256(data).hexdigest()) for name, data in (("a", small), ("b", large))]
    asked = []

    def get(missing):
        asked.append(1)
        yield files[0], small
        yield files[1], large

    with pytest.raises(DataError, match=r"b: cannot be written \(No space left on device\); choose another folder"):
        fetch(files, [Source("one", get), Source("two", get)], disk)
    assert asked == [1]  # another source would not help
    assert contents(disk) == {"a": small}
