import sys
import time

import pytest

pytest.importorskip("fastapi", reason="the service needs the extra serve")

from helpers import Asked

from digitnet.serving import trainings
from digitnet.serving.app import create_app
from digitnet.serving.problems import ProblemError
from digitnet.serving.service import Settings

SHOWN = """
import json, sys, time
print(json.dumps({"run": "quick-1", "steps": 20, "digits": 540, "classes": list("0123456789")}), flush=True)
for step in range(0, 20, 5):
    print(json.dumps({"step": step, "loss": 2 - step / 10, "accuracy": step / 20,
                      "confusion": [[0] * 10] * 10, "filters": [[0.5] * 9] * 16}), flush=True)
%s
"""

ENDINGS = {
    "finished": 'print(json.dumps({"accuracy": 0.99, "errors": 100, "n": 10000}), flush=True)',
    "failed": 'sys.exit("Error: the digits are not here")',
    "stopped": "time.sleep(600)",
}


@pytest.fixture
def ending(monkeypatch):
    """Make trainings end in one of the ways of `ENDINGS`, without training."""

    def end(how):
        monkeypatch.setattr(trainings, "COMMAND", (sys.executable, "-c", SHOWN % ENDINGS[how]))

    return end


def until(told, condition):
    for _ in range(1_200):
        last = told()["trainings"][-1]
        if condition(last):
            return last
        time.sleep(0.05)
    raise AssertionError(last)


@pytest.mark.parametrize("how", ENDINGS)
def test_a_training_shows_its_curve_and_how_it_ended(how, ending):
    ending(how)
    some = trainings.Trainings()
    assert some.start(0.1, 7)["trainings"][-1]["state"] == "running"
    until(some.told, lambda last: len(last["curve"]) == 4)
    if how == "stopped":
        with pytest.raises(ProblemError, match="running"):
            some.start(1.0, 0)
        some.stop()
    last = until(some.told, lambda last: last["state"] != "running" and (how != "finished" or last["scores"]))
    some.close()
    assert (last["state"], last["rate"], last["seed"], last["number"]) == (how, 0.1, 7, 1)
    assert last["curve"][-1] == {"step": 15, "loss": 0.5, "accuracy": 0.75}
    assert last["about"]["steps"] == 20
    assert len(last["filters"]) == 16
    assert (last["scores"] is not None) == (how == "finished")
    assert last["message"] == ("the digits are not here" if how == "failed" else None)


def test_a_training_with_many_warnings_goes_on_to_its_end(monkeypatch):
    warn = "import sys; sys.stderr.write('warned\\n' * 100_000)\n"  # more than a pipe holds
    monkeypatch.setattr(trainings, "COMMAND", (sys.executable, "-c", warn + SHOWN % ENDINGS["failed"]))
    some = trainings.Trainings()
    some.start(1.0, 0)
    last = until(some.told, lambda last: last["state"] != "running")
    some.close()
    assert (last["state"], last["message"]) == ("failed", "the digits are not here")


def test_closing_ends_the_process(ending):
    ending("stopped")
    some = trainings.Trainings()
    some.start(1.0, 0)
    some.close()
    assert some.told()["trainings"][-1]["state"] == "stopped"


def test_only_a_service_that_allows_it_trains(ending):
    ending("finished")
    with Asked(create_app(Settings(threads=1))) as ask:
        assert ask("GET", "/v1/models").json()["features"] == {"share": False, "train": False}
        for answer in (ask("GET", "/v1/train"), ask("POST", "/v1/train"), ask("POST", "/v1/train/stop")):
            assert answer.status_code == 404
            assert "--allow-train" in answer.json()["detail"]
        assert "--host 0.0.0.0" in ask("GET", "/v1/share").json()["detail"]
    with Asked(create_app(Settings(threads=1, train="mnist"))) as ask:
        assert ask("GET", "/v1/train").json() == {"trainings": []}
        assert ask("POST", "/v1/train?rate=0").status_code == 422
        ask("POST", "/v1/train?rate=10&seed=2").raise_for_status()
        last = until(lambda: ask("GET", "/v1/train").json(), lambda last: last["state"] == "finished")
        assert (last["rate"], last["seed"]) == (10, 2)
        assert ask("POST", "/v1/train/stop").json()["trainings"][0]["state"] == "finished"
