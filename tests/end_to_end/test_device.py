import json
import queue
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from helpers import few_hands
from processes import Process

from digitnet import DataError
from digitnet.data.pages.printing import Face
from digitnet.models import checkpoint
from digitnet.models.networks import LineNet
from digitnet.models.page_model import PageModel
from digitnet.training.export import export_run
from digitnet.training.page_sources import PageSources

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
if not BENCHMARKS.is_dir():
    pytest.skip("the benchmarks are not here", allow_module_level=True)
sys.path.insert(0, str(BENCHMARKS))
import device  # noqa: E402
import packed  # noqa: E402


@pytest.fixture(scope="module")
def sources():
    bitmap = np.full((28, 16), 255, np.uint8)
    face = Face("blocks", dict.fromkeys("0123456789abcdeghilmnoprstu", (bitmap, 1, 10, 20.0)), 38)
    few = few_hands()
    ((_, hands),) = few.groups
    stamped = {str(digit): [bitmap[: 20 + digit]] for digit in range(10)}
    groups = ((0.7, [*hands, hands[0]]), (0.3, [stamped]))
    return PageSources(type(few)(groups, few.signs, few.letters), [face])


@pytest.fixture(scope="module")
def file(sources, tmp_path_factory):
    path = tmp_path_factory.mktemp("packed") / "hands.npz"
    packed.pack(path, sources, {"data": "mnist", "data_sha256": "0" * 64})
    return path


def device_py(*words):
    """Run the script; return its exit status, standard output and standard error."""
    script = f"""
import runpy, sys, warnings
warnings.simplefilter("error")
sys.path.insert(0, {str(BENCHMARKS)!r})
runpy.run_path({str(BENCHMARKS / "device.py")!r}, run_name="__main__")
"""
    with Process(script, *words) as process:
        out, err = process.communicate()
    return process.returncode, out, err


def test_hands_and_faces_are_unpacked_as_they_were(sources, file):
    again, about = packed.unpack(file)
    assert about["data"] == "mnist"
    assert [(share, len(hands)) for share, hands in again.hands.groups] == [(0.7, 7), (0.3, 1)]
    assert again.hands.groups[0][1][6] is again.hands.groups[0][1][0], "a hand that stands twice is kept once"
    for (_, hands), (_, others) in zip(sources.hands.groups, again.hands.groups, strict=True):
        for hand, other in zip(hands, others, strict=True):
            assert list(hand) == list(other)
            for label, ways in hand.items():
                for way, same in zip(ways, other[label], strict=True):
                    assert len(way) == len(same)
                    for one, two in zip(way, same, strict=True):
                        assert np.allclose(one, two, atol=1e-3)
    assert list(again.hands.signs) == list(sources.hands.signs)
    assert list(again.hands.letters) == ["H", "das"]
    assert again.faces[0].glyphs["7"][1:] == (1, 10, 20.0)
    with np.load(file, allow_pickle=False) as arrays:
        assert all(arrays[name].dtype != object for name in arrays.files)


def test_a_file_that_is_too_large_or_another_is_refused(sources, tmp_path, monkeypatch):
    monkeypatch.setattr(packed, "MAX_BYTES", 1000)
    with pytest.raises(DataError, match="not written, for it would have"):
        packed.pack(tmp_path / "hands.npz", sources, {})
    (tmp_path / "other.npz").write_bytes(b"nothing")
    np.savez(tmp_path / "images.npz", images=np.zeros(3))
    for name in ("other.npz", "images.npz", "missing.npz"):
        with pytest.raises(DataError, match=rf"{name}: not a file of hands .*; write one with --pack"):
            packed.unpack(tmp_path / name)


def test_lines_are_learnt_in_a_trial_and_gone_on_with(file, tmp_path):
    out = tmp_path / "line"
    status, said, err = device_py("--train", "line", "--smoke", "--workers", 2, "--hands", file, "--out", out)
    assert status == 0, err
    assert "images/s" in said
    history = [json.loads(line) for line in (out / "history.jsonl").read_text().splitlines()]
    assert [line["steps"] for line in history] == list(range(1, device.SMOKE + 1))
    assert isinstance(checkpoint.load_network(out), LineNet)
    words = ["--train", "line", "--smoke", "--hands", file, "--out", out, "--state", out / device.STATE]
    status, said, err = device_py(*words)
    assert status == 0, err
    assert f"steps {2 * device.SMOKE}" in said


def test_pages_are_learnt_in_a_trial_whose_run_is_exported(file, tmp_path):
    out = tmp_path / "page"
    status, _, err = device_py("--train", "page", "--smoke", "--workers", 2, "--hands", file, "--out", out)
    assert status == 0, err
    config = json.loads((out / "config.json").read_text())
    assert config["model"] == "page"
    assert config["data_sha256"] == "0" * 64
    assert isinstance(export_run(out, tmp_path / "page.onnx"), PageModel)


def test_what_is_missing_is_said_in_one_line(tmp_path):
    status, _, err = device_py("--train", "line", "--smoke", "--hands", tmp_path / "none.npz", "--out", tmp_path)
    assert status == 1
    assert err.count("\n") == 1
    assert device_py("--train", "line")[0] == 2


def test_changed_lines_keep_their_size_and_range_and_differ():
    torch.manual_seed(0)
    x = torch.zeros(6, 1, 40, 96)
    x[:, :, 10:30, 40:46] = 1
    y = device.changed(x)
    assert y.shape == x.shape
    assert y.min() >= 0
    assert y.max() <= 1
    assert len({round(float(one.sum())) for one in y}) == 6
    assert (y[:, :, 15:25, 42:44] > 0.5).all(), "the middle of a stroke stays"


def test_the_pool_shows_pieces_again_and_never_more_often_than_it_should(sources):
    task = device.Lines(2)
    pieces = task.compose(sources, 0)
    ready = queue.Queue()

    def compose():
        piece = next(pieces)
        ready.put(
            {name: each.numpy() if isinstance(each, torch.Tensor) else each for name, each in vars(piece).items()}
        )

    for _ in range(4):
        compose()
    worker = SimpleNamespace(is_alive=lambda: True)
    pool = device.Pool(task, ready, [worker], torch.device("cpu"))
    news = [pool.step()[1] for _ in range(4 * device.SHOWN)]
    assert news == [1] * 4 + [0] * (4 * device.SHOWN - 4)
    assert (pool.composed, pool.shown) == (8, 8 * device.SHOWN)
    worker.is_alive = lambda: False
    with pytest.raises(SystemExit, match="a worker process has ended"):
        pool.step()


def test_a_texture_shown_on_the_device_is_not_taught_as_an_empty_line(sources):
    task, network = device.Lines(4), LineNet()
    (piece,) = (next(task.compose(sources, 1)),)
    silent = device.replace(piece, texts=[None] * 4, on=torch.zeros_like(piece.on))
    _, parts = task.losses(network, [silent], 1, torch.device("cpu"))
    assert parts[0] == parts[1] == 0
    assert parts[2] > 0
