from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from helpers import few_hands

from digitnet import DataError, ModelError, Reader, TrainingError, cli
from digitnet.data import fonts
from digitnet.data.pages import printing
from digitnet.data.pages.printing import Face
from digitnet.data.pages.truth import CHARACTER, IGNORED, KERNEL, OCTAVE, REGION, truth
from digitnet.evaluation.find_metrics import FindScores, matched
from digitnet.models import checkpoint
from digitnet.models.loading import open_model
from digitnet.models.page_network import COARSE, PageNet
from digitnet.models.run_folder import load_json
from digitnet.training import page_sources
from digitnet.training.config import RECIPES
from digitnet.training.export import export_run
from digitnet.training.loop import new_network, optimizers_of
from digitnet.training.page_loop import augmented, batch_of, evaluate_pages, train_pages
from digitnet.training.page_sources import PageSources
from digitnet.training.run import reopen, start

SMALL = replace(RECIPES["page"], epochs=2, pages=4, batch_size=8, device="cpu", precision="float32", average=0.9)


def few_pages():
    bitmap = np.full((28, 16), 255, np.uint8)
    glyphs = dict.fromkeys("0123456789ABCDEFGHINOPabcdeghilmnoprstu", (bitmap, 1, 10, 20.0))
    return PageSources(few_hands(), [Face("blocks", glyphs, 38)], 128)


@pytest.fixture(scope="module")
def sources():
    return few_pages()


@pytest.fixture(scope="module")
def valid(sources):
    return list(sources.pages(2))


@pytest.fixture
def little(monkeypatch, drawn_npz):
    """The recipe made small, on sources made up."""
    for name in ("learning", "unseen"):
        monkeypatch.setattr(page_sources, name, lambda digits, data_dir: few_pages())
    monkeypatch.setattr(page_sources, "WATCHED", 2)
    monkeypatch.setattr(PageSources.pages, "__defaults__", (3,))
    monkeypatch.setattr("digitnet.data.unipen.get", lambda data_dir: [])
    monkeypatch.setattr("digitnet.training.dataset.get", lambda dataset, data_dir: [])
    return replace(SMALL, data=str(drawn_npz))


class Perfect(torch.nn.Module):
    """Says what is true of the pages it is shown, one after the other; `turned` the wrong way round."""

    def __init__(self, pages, wrong=False):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.truths, self.wrong = iter([truth(page) for page in pages]), wrong

    def forward(self, x):
        maps = next(self.truths)
        fine = np.stack([((maps.fine & bit) > 0) * 12.0 - 6 for bit in (KERNEL, REGION, CHARACTER)])
        coarse = torch.zeros(1, COARSE, *maps.kinds.shape)
        coarse[0, :7].scatter_(0, torch.tensor(maps.kinds[None]).long(), 8.0)
        angle = torch.tensor(maps.turn) * (np.pi / 128)
        coarse[0, -3], coarse[0, -2] = angle.cos(), angle.sin()
        coarse[0, -1] = torch.tensor(maps.tall) / OCTAVE - 4
        fine = torch.tensor(fine[None]).float()
        return (fine.flip(3) if self.wrong else fine), coarse


def test_a_box_is_one_numbers_and_the_best_overlap_comes_first():
    numbers = np.array([[0, 0, 10, 10], [2, 0, 12, 10], [50, 50, 60, 60]], np.float32)
    found = np.array([[2, 0, 12, 10], [80, 80, 90, 90]], np.float32)
    assert matched(numbers, found).tolist() == [-1, 0, -1]
    assert matched(numbers, found[:0]).tolist() == [-1, -1, -1]
    counted = np.array([True, True, False])
    scores = FindScores.of([(numbers, counted, found), (numbers[:0], counted[:0], found[:1])])
    assert scores == FindScores(n=2, found=1, false=2)
    assert (scores.accuracy, scores.precision) == (0.5, pytest.approx(1 / 3))
    assert FindScores(0, 0, 0).to_dict()["precision"] == 0


def test_right_maps_score_high_and_wrong_ones_low():
    composer = replace(few_pages(), side=320).composer(1)
    pages = [composer.page(only="numbers") for _ in range(5)]
    right, wrong = evaluate_pages(Perfect(pages), pages), evaluate_pages(Perfect(pages, wrong=True), pages)
    assert right.n == wrong.n > 10
    assert right.accuracy > 0.9
    assert right.precision > 0.9
    assert wrong.accuracy < 0.5 > wrong.precision


def test_what_cannot_be_seen_is_neither_missed_nor_false():
    page = next(replace(few_pages(), side=160).pages(1))
    hidden = replace_marks(page, 3.0)
    assert truth(hidden).fine.max() <= IGNORED
    assert evaluate_pages(Perfect([hidden]), [hidden]).n == 0


def replace_marks(page, tall):
    for mark in page.marks:
        mark.tall = tall
    return page


def test_a_seed_changes_pages_alike_grain_within(valid):
    def changed(seed):
        return augmented(batch_of(valid), 64, torch.Generator().manual_seed(seed))

    assert all(torch.equal(one, other) for one, other in zip(changed(1), changed(1), strict=True))
    assert not torch.equal(changed(1)[0], changed(2)[0])


def test_both_last_layers_are_left_to_adam():
    network = PageNet()
    adam, muon = optimizers_of(network, RECIPES["page"])
    by_muon = {id(weight) for weight in muon.param_groups[0]["params"]}
    assert not {id(network.fine.weight), id(network.coarse.weight), id(network.stem[0].weight)} & by_muon
    assert id(network.mixed[0].weight) in by_muon
    assert len(by_muon) + len(adam.param_groups[0]["params"]) == len(list(network.parameters()))


def test_training_lowers_the_loss(sources, valid, tmp_path):
    config = replace(SMALL, epochs=3, batch_size=4)
    done = list(train_pages(new_network(config), lambda seed: sources.composer(5), valid, config, tmp_path))
    assert done[-1].loss < 0.9 * done[0].loss
    assert done[-1].scores.n > 0
    assert done[0].to_dict().keys() >= {"valid_accuracy", "valid_precision", "valid_n"}
    assert isinstance(checkpoint.load_network(tmp_path), PageNet)


def test_an_interrupted_training_ends_with_the_same_weights(sources, valid, tmp_path):
    def trained(folder, **how):
        return train_pages(new_network(SMALL), sources.composer, valid, SMALL, tmp_path / folder, **how)

    list(trained("whole"))
    half = trained("half")
    next(half)
    half.close()
    assert [epoch.number for epoch in trained("half", resume=True)] == [2]
    one, other = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "half"))
    assert one == other


def test_training_needs_pages_to_validate_on(sources, tmp_path):
    with pytest.raises(TrainingError, match="pages for validation"):
        next(train_pages(new_network(SMALL), sources.composer, [], SMALL, tmp_path))


def test_a_run_is_resumed_scored_exported_and_read_with(little, tmp_path):
    begun = start(little, tmp_path / "page-1")
    next(begun.train())
    again = reopen(begun.folder)
    assert [epoch.number for epoch in again.train()] == [2]
    scores = again.finish()
    assert load_json(begun.folder / "scores.json") == scores.to_dict()
    assert not (begun.folder / "report.html").exists()
    model = export_run(begun.folder, tmp_path / "page.onnx")
    reader = Reader(page=tmp_path / "page.onnx")
    assert reader.hashes()["page"] == model.sha256
    assert reader.read(np.full((60, 80), 255, np.uint8)).numbers == ()
    with pytest.raises(ModelError, match="finds numbers on pages; export it"):
        open_model(begun.folder)


def test_the_command_line_trains_and_exports(little, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(RECIPES, "page", little)
    monkeypatch.chdir(tmp_path)

    def digitnet(*words):
        monkeypatch.setattr("sys.argv", ["digitnet", *words])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        return caught.value.code or 0, *capsys.readouterr()

    code, out, err = digitnet("train", "--model", "page", "--data", little.data, "--device", "cpu")
    assert (code, err) == (0, "")
    assert "4 pages per epoch" in out
    assert "pages/s" in out
    assert "numbers found" in out
    code, out, _ = digitnet("export", "run/page-1", "--out", "mine.onnx")
    assert code == 0
    assert out.startswith("mine.onnx: ")
    assert "digitnet.Reader(page='mine.onnx')" in out


def test_a_missing_source_is_named_before_a_folder_is_made(drawn_npz, tmp_path, monkeypatch):
    config = replace(SMALL, data=str(drawn_npz))
    monkeypatch.setenv("DIGITNET_DATA", str(tmp_path))
    with pytest.raises(DataError, match="unipen: not found"):
        start(config, tmp_path / "mine")
    assert not (tmp_path / "mine").exists()


def test_faces_are_matplotlibs_and_the_printed_fonts_that_can_be_read(monkeypatch):
    names = [font.name for font in fonts.FONTS.printed]
    files = [f"{font.name}.woff2" for font in fonts.FONTS.hand + fonts.FONTS.printed]
    monkeypatch.setattr(page_sources, "get", lambda dataset, data_dir: files)
    monkeypatch.setattr(page_sources, "draw_face", lambda path, scripts=False: SimpleNamespace(name=path, has=scripts))
    drawn = [str(face.name).rsplit("/", 1)[-1] for face in page_sources.faces()]
    assert set(page_sources.ODD) < set(names)
    assert len(drawn) == len(printing.TYPEFACES) + len(names) - len(page_sources.ODD)
    assert {"DejaVuSans.ttf", "cmr10.ttf", "vt323.woff2"} < set(drawn)


def test_matplotlib_has_the_faces():
    import matplotlib

    for name in printing.TYPEFACES:
        assert (page_sources.Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{name}.ttf").is_file()
