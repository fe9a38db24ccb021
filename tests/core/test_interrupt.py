"""Ctrl-C while a command starts: SIGINT comes when a module is about to be imported, and not after some time."""

import gc
import os
import signal
import subprocess
import sys

import pytest

from digitnet import __main__

INTERRUPTED = """
import signal, sys

def interrupt(event, args):
    if event == "import" and args[0] == module:
        signal.raise_signal(signal.SIGINT)

module, *sys.argv[1:] = sys.argv[1:]
from digitnet.__main__ import main
sys.addaudithook(interrupt)
main()
"""


def interrupted(environment, module, *words, **how):
    command = [sys.executable, "-c", INTERRUPTED, module, *words]
    return subprocess.run(command, capture_output=True, text=True, env=environment, **how)


@pytest.mark.parametrize(
    "module",
    [
        *("digitnet.cli", "click", "torch", "torch._C", "torch.optim", "torch._dynamo", "digitnet.training.run"),
        "numpy",  # by C++ of torch, which would drop a KeyboardInterrupt and go on without NumPy
        "numpy.ctypeslib",  # in the first step
    ],
)
def test_ctrl_c_while_train_starts_ends_it_in_one_line(module, drawn_npz, tmp_path, environment):
    words = ["train", "--data", str(drawn_npz), "--recipe", "quick", "--epochs", "1", "--out", "mine"]
    done = interrupted(environment, module, *words, cwd=tmp_path)
    training = module == "numpy.ctypeslib"
    more = "; every finished epoch is saved. Resume with: digitnet train --resume mine" if training else "."
    *warnings, last = done.stderr.splitlines()
    assert (done.returncode, last) == (130, f"Stopped{more}")
    assert all("only 459 training digits" in line for line in warnings)
    assert len(warnings) == training
    assert done.stdout.startswith("Training digitnet") == training


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="Windows has no signals that are ignored")
def test_what_ignores_ctrl_c_goes_on_ignoring_it(environment):
    ignore = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_IGN)}
    done = interrupted(environment, "click", "--version", **ignore)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(("set_before", "found"), [(None, "passive"), ("active", "active")])
def test_threads_wait_without_spinning_unless_the_user_chose_otherwise(monkeypatch, set_before, found):
    monkeypatch.setenv("OMP_WAIT_POLICY", set_before or "")
    if set_before is None:
        monkeypatch.delenv("OMP_WAIT_POLICY")
    monkeypatch.setattr("digitnet.cli.main", lambda: None)
    __main__.main()
    gc.collect()
    assert os.environ["OMP_WAIT_POLICY"] == found


def test_garbage_is_first_looked_for_when_a_command_has_started(monkeypatch):
    gc.collect()
    usual, callbacks, started = gc.get_threshold(), list(gc.callbacks), []
    monkeypatch.setattr("digitnet.cli.main", lambda: started.append(gc.get_threshold()))
    __main__.main()
    assert started == [(__main__.STARTED, *usual[1:])]
    gc.collect()
    assert (gc.get_threshold(), gc.callbacks) == (usual, callbacks)
