import numpy as np
import torch

from digitnet.data.pages.truth import CHARACTER, KERNEL, OCTAVE, REGION
from digitnet.imaging.crop import contrast
from digitnet.imaging.page_find import find
from digitnet.models.page_model import PageModel
from digitnet.models.page_network import COARSE, PageNet
from digitnet.training.halving import halved
from digitnet.training.page_export import export_page
from digitnet.training.page_loop import Batch, augmented, loss


def a_truth():
    fine, coarse = torch.zeros(2, 64, 64, dtype=torch.uint8), torch.zeros(2, 4, 32, 32, dtype=torch.uint8)
    fine[0, 20:40, 16:48] = REGION
    fine[0, 26:34, 20:44] = REGION | KERNEL
    fine[0, 28:32, 22:26] |= CHARACTER
    coarse[0, 0, 12:16, 10:20] = 6
    coarse[0, 1, 10:20, 8:24] = 0
    coarse[0, 2, 10:20, 8:24] = int(OCTAVE * np.log2(40))
    coarse[0, 3, 14:16, 11:13] = 1 + 7
    return fine, coarse


def test_maps_are_at_a_half_and_a_quarter_of_the_page():
    network = PageNet().eval()
    with torch.inference_mode():
        fine, coarse = network(torch.rand(1, 3, 96, 160))
    assert fine.shape == (1, 3, 48, 80)
    assert coarse.shape == (1, COARSE, 24, 40)


def test_an_exported_network_answers_as_it_did_and_is_small(tmp_path):
    torch.manual_seed(0)
    network = PageNet()
    with torch.no_grad():
        network(torch.rand(2, 3, 64, 64))
    export_page(network, tmp_path / "page.onnx")
    assert (tmp_path / "page.onnx").stat().st_size < 3_000_000
    page = torch.rand(1, 3, 64, 96)
    with torch.inference_mode():
        ours = halved(network)(page)
    for one, other in zip(ours, PageModel(tmp_path / "page.onnx", 1)(page.numpy()), strict=True):
        assert np.abs(one.numpy() - other).max() < 1e-3


def test_right_answers_cost_least():
    fine, coarse = a_truth()
    bits = torch.stack([((fine & bit) > 0) * 40.0 - 20 for bit in (KERNEL, REGION, CHARACTER)], 1)
    said = torch.zeros(2, COARSE, 32, 32)
    said[:, :7].scatter_(1, coarse[:, :1].long(), 9.0)
    said[:, 7:18].scatter_(1, (coarse[:, 3:].long() - 1).clamp(min=0), 9.0)
    said[:, -3], said[:, -1] = 1.0, coarse[:, 2].float() / OCTAVE - 4
    right, parts = loss(bits, said, fine, coarse)
    wrong, _ = loss(-bits, -said, fine, coarse)
    assert (parts < 0.1).all(), parts
    assert wrong > 10 * right


def test_pages_are_turned_with_their_maps():
    fine, coarse = a_truth()
    image = torch.full((2, 3, 128, 128), 255, dtype=torch.uint8)
    torch.manual_seed(1)
    seen = set()
    for _ in range(20):
        pages, maps, kinds = augmented(Batch(image, fine, coarse), 128)
        assert pages.shape == (2, 3, 128, 128)
        assert pages.min() >= 0
        assert pages.max() <= 1
        where = (maps[0] & REGION) > 0
        if where.any():
            y, x = where.nonzero().float().var(dim=0)
            angle = float(kinds[0, 1][kinds[0, 2] > 0].float().median()) * np.pi / 128
            assert (x > y) == (abs(np.cos(angle)) > 0.7)
            seen.add(round(angle, 1))
    assert len(seen) > 4


def test_a_page_of_any_size_is_looked_at():
    def nothing(page):
        assert page.shape[2] % 32 == page.shape[3] % 32 == 0
        return np.full((1, 3, page.shape[2] // 2, page.shape[3] // 2), -9, np.float32), np.zeros(
            (1, COARSE, page.shape[2] // 4, page.shape[3] // 4), np.float32
        )

    for shape in ((28, 28, 3), (3, 900, 3), (700, 2100, 3)):
        assert find(np.full(shape, 200, np.uint8), nothing) == ([], [])


def test_ink_as_bright_as_its_paper_is_told_by_its_colour():
    picture = np.full((40, 60, 3), (110, 110, 110), np.float32)
    picture[10:30, 20:26] = (60, 60, 225)
    seen = contrast(picture)
    assert seen[15:25, 21:25].min() > seen[:, 30:].max() + 100
