"""Processes that have PyTorch loaded from their start: a new Python would load it again, for seconds."""

import multiprocessing
import os
import signal
import sys
from pathlib import Path

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["torch", "torch._dynamo"])


class Process:
    """A call of `work(*words)` in a process of its own; otherwise as subprocess.Popen with pipes of text.

    work: a function of a module that can be imported, or a program as text, whose `sys.argv[1:]` are `words`.
    """

    def __init__(self, work, *words, cwd=None, env=None):
        pipes = [_CONTEXT.Pipe(duplex=False) for _ in range(2)]
        ends = [writing for _, writing in pipes]
        self._process = _CONTEXT.Process(
            target=_run, args=(work, words, cwd or Path.cwd(), env or dict(os.environ), *ends)
        )
        self._process.start()
        for writing in ends:
            writing.close()
        self.stdout, self.stderr = (os.fdopen(os.dup(reading.fileno()), encoding="utf-8") for reading, _ in pipes)
        self.pid = self._process.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.communicate()

    @property
    def returncode(self):
        """The exit status, or -N where signal N ended it; None while it runs."""
        return self._process.exitcode

    def send_signal(self, number):
        os.kill(self.pid, number)

    def communicate(self):
        """Wait for the end; return standard output and error, of which the latter must be short."""
        said = tuple("" if pipe.closed else pipe.read() for pipe in (self.stdout, self.stderr))
        self.stdout.close()
        self.stderr.close()
        self._process.join()
        return said


def command(*words):
    """Run digitnet's command line, as `digitnet ...` does."""
    from digitnet.__main__ import main

    sys.argv = ["digitnet", *words]
    main()


def training(*words):
    """Run `digitnet train ...` without the report at the end, which takes longer than to learn from few digits."""
    from digitnet.cli import train

    train._report = lambda run, scores: None
    command("train", *words)


def together(count, restarts, work, *words):
    """Run `work(*words)` in `count` processes as torchrun does, whose launcher this process becomes."""
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    alone = {"min_nodes": 1, "max_nodes": 1, "rdzv_backend": "c10d", "rdzv_endpoint": "localhost:0"}
    config = LaunchConfig(
        nproc_per_node=int(count), max_restarts=int(restarts), run_id=str(os.getpid()), start_method="fork", **alone
    )
    elastic_launch(config, _returning)(work, *words)


def _returning(work, *words):
    """Do without an exit status of 0: a launcher of functions waits until they return."""
    try:
        _call(work, words)
    except SystemExit as end:
        if end.code:
            raise


def _call(work, words):
    if callable(work):
        return work(*words)
    sys.argv = ["-c", *words]
    return exec(work, {"__name__": "__main__"})


def _run(work, words, cwd, env, *ends):
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, end in enumerate(ends, 1):
        os.dup2(end.fileno(), number)
        end.close()
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    _call(work, [word if callable(word) else str(word) for word in words])
