import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from processes import Process, together, training

from digitnet import TrainingError
from digitnet.training import distributed
from digitnet.training.config import RECIPES, TrainConfig
from digitnet.training.loop import resolve
from digitnet.training.run import reopen, start

dist = pytest.importorskip("torch.distributed")
pytestmark = pytest.mark.skipif(
    not (dist.is_available() and dist.is_gloo_available()), reason="this build of PyTorch has no gloo"
)

CONFIG = replace(RECIPES["best"], epochs=4, batch_size=32, device="cpu", precision="float32")


@pytest.fixture(scope="module")
def folder(drawn, tmp_path_factory):
    """A folder with drawn.npz, and in `two` the run of two processes by CONFIG."""
    folder = tmp_path_factory.mktemp("distributed")
    np.savez(folder / "drawn.npz", images=drawn.images, labels=drawn.labels)
    return folder


@pytest.fixture(scope="module")
def launch(folder, environment):
    """Start a training of two processes in that folder: launch(training, "--out", "mine") -> Process."""

    def start(work, *words, restarts=0):
        alone = environment | {"OMP_NUM_THREADS": "1"}
        return Process(together, 2, restarts, work, *words, cwd=folder, env=alone)

    return start


@pytest.fixture(scope="module")
def two(folder, environment):
    """What a run of two processes prints and warns of, started as the documentation does; it is kept in `two`."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    words = [*torchrun, "-m", "digitnet", "train", *map(str, BEST), "--out", "two"]
    alone = environment | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(words, cwd=folder, env=alone, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


BEST = ("--data", "drawn.npz", "--recipe", "best", "--epochs", 4, "--batch-size", 32, "--device", "cpu")


def ended(process, status=0):
    out, err = process.communicate()
    assert process.returncode == status, err
    return out, err


def wait_for_epoch(process, number):
    while not re.match(rf"epoch +{number}/", line := process.stdout.readline()):
        assert line, process.stderr.read()


def history(folder):
    return [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]


def test_two_processes_learn_what_one_learns(folder, two):
    """The same batches in the same order: only the order of additions differs, and what grows out of it."""
    run = start(replace(CONFIG, data=str(folder / "drawn.npz"), precision="auto"), folder / "one")
    alone = [epoch.to_dict() for epoch in run.train()]
    run.finish()
    together = history(folder / "two")
    assert [line["loss"] for line in together] == pytest.approx([line["loss"] for line in alone], abs=0.02)
    assert [line["lr"] for line in together] == [line["lr"] for line in alone]
    assert [line["valid_n"] for line in together] == [line["valid_n"] for line in alone]
    scores = [json.loads((folder / name / "scores.json").read_text()) for name in ("one", "two")]
    assert scores[1]["accuracy"] == pytest.approx(scores[0]["accuracy"], abs=0.03)


def test_process_0_alone_prints_and_writes(folder, two):
    out, err = two
    assert out.count("epoch 1/4") == 1
    assert out.count("Test accuracy") == 1
    assert [line.count("only 459 training digits") for line in err.splitlines()] == [1]
    names = {"config.json", "history.jsonl", "model.safetensors", "scores.json", "errors.npz", "trained-on.gz"}
    names |= {"confusion_matrix.png", "report.html"}
    assert {path.name for path in (folder / "two").iterdir()} == names
    assert json.loads((folder / "two/config.json").read_text())["processes"] == 2


INSIDE = """
import sys, torch
from dataclasses import replace
from pathlib import Path
from digitnet import Digits
from digitnet.data import datasets as data
from digitnet.training import distributed
from digitnet.models.networks import MODELS, to_input
from digitnet.training.run import reopen, start
from digitnet.training.config import RECIPES
from digitnet.training.loop import new_network, train

with distributed.joined("cpu"):
    size = distributed.size()
    parts = data.splits("drawn.npz")
    letters = Digits(255 - parts.test.images)
    for recipe in ("quick", "accurate"):
        config = replace(RECIPES[recipe], epochs=2, batch_size=31, device="cpu", negatives=0.3, average=0.9)
        network = new_network(config)
        losses = [e.loss for e in train(network, parts.train, parts.valid, config, Path(recipe), letters=letters)]
        for name, tensor in network.state_dict().items():
            every = [torch.zeros_like(tensor) for _ in range(size)]
            torch.distributed.all_gather(every, tensor.contiguous())
            assert all((other == tensor).all() for other in every), name
        every = [None] * size
        torch.distributed.all_gather_object(every, losses)
        assert all(other == losses for other in every)

    torch.manual_seed(0)
    whole, shared = MODELS["strong"]().train(), MODELS["strong"]().train()
    shared.load_state_dict(whole.state_dict())
    x = to_input(torch.tensor(parts.train.images[:64]))
    whole(x)
    shared(distributed.own_rows(x, x)[0])
    distributed.average_statistics(shared)
    torch.testing.assert_close(shared.stem[2].running_mean, whole.stem[2].running_mean)
    torch.testing.assert_close(shared.stem[2].running_var, whole.stem[2].running_var, rtol=0.02, atol=0)
"""


def test_all_processes_hold_the_same_weights_and_the_statistics_of_all_rows(folder, launch):
    """With Muon, negatives, averages, batch normalisation, shares of uneven size and a small last batch."""
    ended(launch(INSIDE))


def test_a_run_of_one_goes_on_with_two(folder, launch):
    run = start(replace(CONFIG, data=str(folder / "drawn.npz"), epochs=4), folder / "begun")
    alone = [epoch.loss for epoch in start(run.config, folder / "alone").train()]
    for epoch in run.train():
        if epoch.number == 2:
            break
    out, _ = ended(launch(training, "--resume", "begun"))
    assert [line.split()[1] for line in out.splitlines() if line.startswith("epoch")] == ["3/4", "4/4"]
    assert [line["loss"] for line in history(folder / "begun")] == pytest.approx(alone, abs=0.02)


KILLABLE = """
import os, sys
from pathlib import Path
from processes import training

if os.environ["RANK"] == "0":
    Path("first").write_text(str(os.getpid()))
training(*sys.argv[1:])
"""


def test_a_killed_process_ends_the_job_with_one_error_and_one_alone_goes_on(folder, launch):
    process = launch(KILLABLE, *BEST[:4], "--epochs", 400, *BEST[6:], "--out", "killed")
    wait_for_epoch(process, 2)
    os.kill(int((folder / "first").read_text()), signal.SIGKILL)
    _, err = ended(process, status=1)
    assert [line for line in err.splitlines() if line.startswith("Error: ")] == [
        "Error: another process of this training ended, or did not respond for 5 minutes; "
        "every finished epoch is saved; resume with: digitnet train --resume killed"
    ]
    done = len(history(folder / "killed"))
    assert next(reopen(folder / "killed").train()).number == done + 1


DIES_ONCE = """
import os, signal, sys
from pathlib import Path
from digitnet.training import distributed
from digitnet.training.run import Run
from processes import training

def dies_once(run, train=Run.train):
    for epoch in train(run):
        yield epoch
        if epoch.number == 2 and distributed.rank() == 1 and not Path("died").exists():
            Path("died").touch()
            os.kill(os.getpid(), signal.SIGKILL)

Run.train = dies_once
training(*sys.argv[1:])
"""


def test_restarted_processes_go_on_by_themselves_to_the_same_weights(folder, launch, two):
    out, _ = ended(launch(DIES_ONCE, *BEST, "--out", "restarted", restarts=1))
    again = out[out.rindex("Training digitnet") :]
    assert int(re.search(r"epoch (\d)/4", again)[1]) > 1
    expected = (folder / "two/model.safetensors").read_bytes()
    assert (folder / "restarted/model.safetensors").read_bytes() == expected


def test_restarts_need_a_folder_that_is_named_and_go_on_with_the_same_settings_alone(folder, monkeypatch):
    config = replace(CONFIG, data=str(folder / "drawn.npz"))
    monkeypatch.setenv("TORCHELASTIC_MAX_RESTARTS", "1")
    with pytest.raises(TrainingError, match="--max-restarts requires --out"):
        start(config)
    next(start(config, folder / "again").train())
    before = (folder / "again/config.json").read_bytes()
    assert next(start(config, folder / "again").train()).number == 2
    with pytest.raises(TrainingError, match="already exists"):
        start(replace(config, seed=1), folder / "again")
    monkeypatch.setenv("TORCHELASTIC_MAX_RESTARTS", "0")
    with pytest.raises(TrainingError, match="already exists"):
        start(config, folder / "again")
    assert (folder / "again/config.json").read_bytes() == before


def test_a_mistake_is_told_once_whatever_the_number_of_processes(folder, launch):
    (folder / "mine").mkdir()
    (folder / "mine/letter.txt").write_text("mine")
    _, err = ended(launch(training, *BEST, "--out", "mine"), status=1)
    assert [line for line in err.splitlines() if line.startswith("Error: ")] == [
        "Error: mine: already exists; resume it with --resume mine, or choose another --out"
    ]
    assert [path.name for path in (folder / "mine").iterdir()] == ["letter.txt"]


def test_rows_are_shared_without_loss_and_weigh_as_one_batch(monkeypatch):
    x, y = torch.arange(11.0), torch.arange(11)
    monkeypatch.setattr(distributed, "size", lambda: 3)
    total, seen = 0.0, []
    for rank in range(3):
        monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
        own, labels, weight = distributed.own_rows(x, y)
        assert own.tolist() == labels.tolist()
        total += weight * own.mean().item() / 3
        seen += own.tolist()
        few, _, whole = distributed.own_rows(x[:5], y[:5])
        assert (few == x[:5]).all()
        assert whole == 1
    assert sorted(seen) == x.tolist()
    assert total == pytest.approx(x.mean().item())


def test_alone_nothing_is_shared():
    x, y = torch.rand(5), torch.arange(5)
    assert distributed.own_rows(x, y) == (x, y, 1.0)
    assert distributed.mean(x) is x
    network = torch.nn.Linear(2, 2)
    assert distributed.wrapped(network) is network
    assert (distributed.rank(), distributed.size()) == (0, 1)
    with distributed.joined("auto") as first:
        assert first
    with pytest.raises(RuntimeError, match="gloomy"), distributed.needing_peers("advice"):
        raise RuntimeError("gloomy")


def test_what_several_processes_cannot_train_is_refused(monkeypatch):
    monkeypatch.setattr(distributed, "size", lambda: 4)
    with pytest.raises(TrainingError, match="recipe 'line' composes its numbers in one process"):
        resolve(RECIPES["line"])
    with pytest.raises(TrainingError, match="batch size 7 for 4 processes: choose 8 or more"):
        resolve(TrainConfig(batch_size=7, device="cpu"))
    assert resolve(TrainConfig(batch_size=8, device="cpu")).batch_size == 8
