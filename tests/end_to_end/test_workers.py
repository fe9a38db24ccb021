import contextlib
import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers import save

from digitnet.core.errors import DataError
from digitnet.reading.bulk import workers
from digitnet.reading.bulk.inputs import files
from digitnet.reading.bulk.job import Job, begin, read_here
from digitnet.reading.bulk.workers import PartReader, read_in_processes, read_on_ray
from digitnet.reading.reader import Reader

pq = pytest.importorskip("pyarrow.parquet", reason="pyarrow comes with the extra scale")
ray = pytest.importorskip("ray", reason="ray comes with the extra scale")

MACHINE = {"num_cpus": 1, "object_store_memory": 100 * 2**20}


@pytest.fixture(scope="module")
def reader():
    return Reader(threads=1)


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    """A folder of 210 pictures of a number and one that cannot be read."""
    folder = tmp_path_factory.mktemp("scans")
    save(folder / "0.png", "1984")
    for n in range(1, 210):
        os.link(folder / "0.png", folder / f"{n}.png")
    (folder / "zero.png").touch()
    return str(folder)


def start(scans, reader, out="out", resume=False):
    return begin(out, files([scans], out), reader.hashes(), True, None, resume)


def tree(out):
    return {str(path.relative_to(out)): path.read_bytes() for path in Path(out).rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def whole(scans, reader, tmp_path_factory):
    """What is in the folder of a job that one process reads."""
    out = tmp_path_factory.mktemp("whole") / "out"
    job = start(scans, reader, str(out))
    list(read_here(job, reader, 1))
    assert job.finish().not_read == 1
    return tree(out)


def test_an_actor_says_what_is_wrong_instead_of_dying(scans, reader, monkeypatch):
    job = start(scans, reader)
    assert PartReader("nosuch", [0])({"id": 0})["wrong"].startswith(
        f"{Path.cwd()}/nosuch/manifest.json: cannot be read"
    )
    assert PartReader("out", [4])({"id": 0}) == {"inputs": job.size(4), "wrong": None}
    assert job.is_done(4)
    monkeypatch.setattr(Job, "read", None)
    assert PartReader("out", [4])({"id": 0}) == {"inputs": job.size(4), "wrong": None}  # done: not read again
    monkeypatch.setattr("digitnet.reading.bulk.workers.__version__", "9.9")
    wrong = PartReader("out", [5])({"id": 0})
    assert wrong == {
        "inputs": 0,
        "wrong": "a machine of the cluster has another digitnet version, 9.9; install the same one on all",
    }


def test_processes_of_this_machine_read_what_one_reads(scans, reader, whole):
    job = start(scans, reader)
    assert sum(read_in_processes(job, 2)) == 211
    assert job.finish().not_read == 1
    assert tree("out") == whole
    assert list(read_in_processes(job, 2)) == []


def test_a_reading_process_that_is_killed_is_said_and_what_is_done_stays(scans, reader):
    job = start(scans, reader)
    reading = read_in_processes(job, 2)
    next(reading)
    with pytest.raises(DataError, match=rf"^{Path.cwd()}/out: a reading process has died; continue with --resume"):
        multiprocessing.active_children()[0].kill() or list(reading)
    assert not multiprocessing.active_children()
    before = len(job.left())
    assert 0 < before < job.parts
    list(read_in_processes(job, 2))
    assert job.finish().inputs == 211


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="processes are looked for in /proc")
@pytest.mark.parametrize("later", [0, 0.1], ids=["at once", "while they import"])
def test_ctrl_c_while_the_processes_start_is_answered_by_the_command_alone(later, scans, environment):
    command = [sys.executable, "-m", "digitnet", "read", str(scans), "--single", "--format", "parquet", "--jobs", "2"]
    with subprocess.Popen(
        [*command, "--out", "out"], stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True
    ) as process:
        while not reading_processes_of(process.pid):
            assert process.poll() is None, process.stderr.read()
        time.sleep(later)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the command and all that it started
        _, err = process.communicate()
    assert process.returncode == 130, err
    assert "Resume with the same command and --resume" in err
    assert "Traceback" not in err


def reading_processes_of(group):
    """The processes of a group that multiprocessing has spawned to work, not to keep its books."""
    found = []
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if b"spawn_main" in each.read_bytes() and os.getpgid(int(each.parent.name)) == group:
                found.append(each.parent.name)
    return found


def test_what_is_wrong_in_a_reading_process_is_said(scans, reader):
    job = start(scans, reader)
    Path("out/numbers").write_text("no folder")
    with pytest.raises(DataError, match="out/numbers/part-"):
        list(read_in_processes(job, 2))


def test_a_cluster_that_is_not_there_is_said(scans, reader):
    with pytest.raises(
        DataError, match=r"^Ray at 127\.0\.0\.1:1: Connection refused; is the cluster up, and reachable\?$"
    ):
        list(read_on_ray(start(scans, reader), "127.0.0.1:1", None))


@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_a_machine_of_the_cluster_dies_and_nothing_is_lost_or_doubled(scans, reader, whole, monkeypatch, tmp_path):
    """Two machines of a core each, of which one is killed while it reads; the job was begun without Ray."""
    from ray.cluster_utils import Cluster

    class Slow(PartReader):
        """Leaves a file for every part that it begins, named by its machine."""

        def __call__(self, row):
            (tmp_path / "begun" / f"{ray.get_runtime_context().get_node_id()} {row['id']}").touch()
            time.sleep(0.12)
            return super().__call__(row)

    def machines():
        return [path.name.split()[0] for path in (tmp_path / "begun").iterdir()]

    (tmp_path / "begun").mkdir()
    monkeypatch.setattr(workers, "PartReader", Slow)
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    job = start(scans, reader)
    done = sum(inputs for _, inputs in zip(range(10), read_here(job, reader, 1), strict=False))
    soon = {"health_check_period_ms": 1000, "health_check_failure_threshold": 8}
    head = {**MACHINE, "include_dashboard": False, "_system_config": soon}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        other = cluster.add_node(**MACHINE)
        ray.init(address=cluster.address, log_to_driver=False, logging_level=logging.ERROR)
        before = 0
        for inputs in read_on_ray(job, None, 2):
            done += inputs
            if not before and machines().count(other.node_id) > 2:
                before = len(job.left())
                cluster.remove_node(other, allow_graceful=False)
        assert before > 10  # the machine died in the middle
        assert len(set(machines())) == 2
        assert done == 211
        assert job.finish().inputs == 211
        assert tree("out") == whole
    finally:
        ray.shutdown()
        cluster.shutdown()
