"""What numbers may depend on besides settings and data."""

import platform
import subprocess
from pathlib import Path

import numpy as np

import digitnet
from digitnet.core import provenance


def test_the_environment_names_versions_revision_and_machine():
    found = provenance.environment("numpy")
    assert list(found) == ["digitnet", "revision", "python", "numpy", "machine"]
    assert found["digitnet"] == digitnet.__version__
    assert found["numpy"] == np.__version__
    assert platform.machine() in found["machine"]


def test_the_revision_is_that_of_the_whole_package(monkeypatch):
    asked = []

    def answer(words, **_):
        asked.append(words)
        return subprocess.CompletedProcess(words, 0, stdout=" M reading/ctc.py\n" if "status" in words else "abc\n")

    monkeypatch.setattr(subprocess, "run", answer)
    assert provenance.revision() == "abc+"
    assert {words[2] for words in asked} == {str(Path(digitnet.__file__).parent)}


def test_outside_a_repository_there_is_no_revision(monkeypatch):
    def fail(words, **_):
        raise subprocess.CalledProcessError(128, words)

    monkeypatch.setattr(subprocess, "run", fail)
    assert provenance.revision() is None


def test_this_process_may_use_a_core_of_a_named_processor():
    assert provenance.cores() >= 1
    assert provenance.processor()
