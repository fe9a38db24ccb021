import contextlib
import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

if "PYTEST_XDIST_WORKER" in os.environ:  # a thread for each process: those of two would wait for each other
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
from helpers import draw_digits
from hypothesis import HealthCheck, settings
from PIL import ImageFont

from digitnet import Digits
from digitnet.core.errors import DataError

# The same examples every time, and no clock: this machine may be busy.
TIMELESS = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("digitnet", derandomize=True, database=None, max_examples=50, **TIMELESS)
settings.load_profile("digitnet")


@pytest.fixture(scope="session")
def drawn() -> Digits:
    return draw_digits(600)


@pytest.fixture(scope="session")
def taught(drawn):
    """A DigitNet that has learnt the drawn digits in a second, a twentieth of them as threes: it is too little sure."""
    import torch

    from digitnet.models.networks import DigitNet, to_input

    images = to_input(torch.tensor(drawn.images))
    labels = torch.tensor(np.where(np.arange(600) % 20, drawn.labels, 3)).long()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = DigitNet()
    adam = torch.optim.Adam(network.parameters(), 3e-3)
    for step in range(60):
        rows = torch.arange(step, 600, 6)
        adam.zero_grad()
        torch.nn.functional.cross_entropy(network(images[rows]), labels[rows]).backward()
        adam.step()
    return network.eval()


@pytest.fixture(scope="session")
def exported(taught, drawn, tmp_path_factory):
    """The path of that network as a model file."""
    from digitnet.training.export import export

    path = tmp_path_factory.mktemp("exported") / "taught.onnx"
    export(taught, drawn, {"name": "taught", "data": "mnist"}, path)
    return path


@pytest.fixture
def drawn_npz(drawn, tmp_path):
    path = tmp_path / "drawn.npz"
    np.savez(path, images=drawn.images, labels=drawn.labels)
    return path


@pytest.fixture
def put_fonts(monkeypatch, tmp_path):
    """put_fonts(hand, printed): Pillow's own font under those names instead of digitnet's fonts; nothing is fetched."""
    from digitnet.data import datasets, fonts

    def put(hand, printed):
        content = ImageFont.load_default(20).path.getvalue()
        sha256 = hashlib.sha256(content).hexdigest()
        made = [tuple(fonts.Font(name, len(content), sha256) for name in names) for names in (hand, printed)]
        few = replace(fonts.FONTS, hand=made[0], printed=made[1])
        monkeypatch.setitem(datasets.DATASETS, "fonts", few)
        folder = tmp_path / "cache" / "fonts"
        folder.mkdir(parents=True)
        for file in few.files:
            (folder / file.name).write_bytes(content)
        return few

    return put


@pytest.fixture(autouse=True)
def _alone(request, monkeypatch, tmp_path):
    """Keep every test in its own folder, away from the user's cache and from the network."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("DIGITNET_TRUST", str(tmp_path / "trusted"))
    if "mnist" not in request.keywords:
        monkeypatch.setenv("DIGITNET_DATA", str(tmp_path / "cache"))


@pytest.fixture(scope="session")
def mnist_folder():
    """The folder with the real MNIST: the user's, or fetched once."""
    from digitnet.data import datasets, mnist

    try:
        return datasets.get(mnist.MNIST)[0].parent
    except DataError as error:
        pytest.skip(f"MNIST is not here and cannot be fetched: {str(error).splitlines()[0]}")


@pytest.fixture(scope="session")
def environment():
    """The environment for subprocesses: no network, no terminal, no variable of the tests, of which commands warn."""
    with contextlib.suppress(ImportError):  # on a new machine matplotlib lists the fonts, and warns where that is slow
        import matplotlib.font_manager  # noqa: F401
    inherited = {name: value for name, value in os.environ.items() if name != "DIGITNET_DEV_DATA"}
    return {**inherited, "NO_COLOR": "1", "PYTHONPATH": str(Path(__file__).parents[1] / "src")}


@pytest.fixture
def digitnet(monkeypatch, capsys):
    """Run the command line in this process: digitnet("train", ...) -> (exit status, stdout, stderr)."""

    from digitnet import cli

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["digitnet", *map(str, words)])
        # Under `python -m pytest` the help would be called that of `python -m pytest.digitnet`.
        monkeypatch.setattr(sys.modules["__main__"], "__package__", None)
        with pytest.raises(SystemExit) as caught:
            cli.main()
        out, err = capsys.readouterr()
        return caught.value.code or 0, out, err

    return run


@pytest.fixture
def unreported(monkeypatch):
    """Let `digitnet train` end without its report, which takes longer than to learn from few digits."""
    monkeypatch.setattr("digitnet.cli.train._report", lambda run, scores: None)


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a disk of 2 MB."""
    place = tmp_path / "small"
    place.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)]
    try:
        mounted = subprocess.run(words, capture_output=True).returncode == 0
    except OSError:
        mounted = False
    if not mounted:
        pytest.skip("a small disk can be mounted by root on Linux alone")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)
