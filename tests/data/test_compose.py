from pathlib import Path

import numpy as np
import pytest

from digitnet.data.pages.compose import PageComposer
from digitnet.data.pages.printing import Face, pack, unpack
from digitnet.data.pages.sheet import NUMBER, PAPER, PICTURE, SIGN
from digitnet.data.pages.truth import CHARACTER, IGNORED, KERNEL, OCTAVE, REGION, truth
from digitnet.data.pages.writers import Writers
from digitnet.data.synthesis.strokes import inventions
from digitnet.data.synthesis.texts import SIGNS
from digitnet.imaging.crop import cut
from digitnet.imaging.page_find import ordered, places_of


def strokes(*runs):
    return tuple(np.array(run, np.float32) for run in runs)


def upright(height, width):
    return np.full((height, width), 255, np.uint8)


@pytest.fixture(scope="module")
def faces():
    glyphs = {c: (upright(28, 16), 1, 10, 20.0) for c in "0123456789ABCDEFGHINOPabcdeghilmnoprstu"}
    return [Face("blocks", glyphs, 38)]


@pytest.fixture(scope="module")
def hands():
    return inventions(6, 3)


def composer(hands, faces, seed=0, size=(320, 320)):
    signs = {sign: [strokes([[0.3, 0], [0, 1]])] for sign in SIGNS + "#*?[]<"}
    letters = {c: [strokes([[0, 0], [0, 1], [0.6, 1]])] for c in "aeinorstxAEHNO"}
    letters |= {"das": [strokes([[0, 0.5], [0.2, 1], [0.3, 0], [0.6, 1], [1, 0.4]])]}
    return PageComposer(Writers([(1.0, hands)], signs, letters, np.random.default_rng(seed)), faces, size)


def maps(answer):
    """What a perfect network would say."""
    fine = np.stack([((answer.fine & bit) > 0) * 12.0 - 6 for bit in (KERNEL, REGION, CHARACTER)])
    coarse = np.zeros((21, *answer.kinds.shape), np.float32)
    for kind in range(7):
        coarse[kind] = (answer.kinds == kind) * 8
    for value in range(11):
        coarse[7 + value] = (answer.value == value + 1) * 8
    angle = answer.turn * (np.pi / 128)
    coarse[-3], coarse[-2], coarse[-1] = np.cos(angle), np.sin(angle), answer.tall / OCTAVE - 4
    return fine.astype(np.float32), coarse


def test_a_seed_gives_the_same_pages_and_another_gives_others(hands, faces):
    one, again, other = (composer(hands, faces, seed) for seed in (1, 1, 2))
    for _ in range(6):
        page, same, strange = one.page(), again.page(), other.page()
        assert np.array_equal(page.image, same.image)
        assert [mark.tall for mark in page.marks] == [mark.tall for mark in same.marks]
        assert not np.array_equal(page.image, strange.image)


@pytest.mark.parametrize(
    "block",
    ["numbers", "table", "boxes", "form", "flowchart", "notes", "document", "bubbles", "single", "pictures", "surface"],
)
def test_every_block_gives_a_page_and_its_truth(hands, faces, block):
    pages = composer(hands, faces, 3)
    for _ in range(4):
        page = pages.page(only=block)
        assert page.image.shape == (320, 320, 3)
        assert page.image.dtype == page.kinds.dtype == np.uint8
        assert page.kinds.max() <= NUMBER
        answer = truth(page)
        assert answer.fine.shape == (160, 160)
        assert answer.kinds.shape == answer.turn.shape == answer.tall.shape == answer.value.shape == (80, 80)


def test_pages_without_numbers_have_none(hands, faces):
    pages = composer(hands, faces, 4)
    assert not any(mark for _ in range(5) for mark in pages.page(only="pictures").marks)


def test_a_field_of_boxes_is_one_number(hands, faces):
    pages = composer(hands, faces, 5)
    fields = [mark for _ in range(12) for mark in pages.page(only="boxes", way="flat").marks if not mark.printed]
    digits = [sum(value != SIGN for _, value in mark.characters) for mark in fields]
    assert max(digits) >= 6
    for mark in fields:
        middles = np.array([quad.mean(axis=0)[0] for quad, _ in mark.characters])
        assert (np.diff(middles) > 0).all()


@pytest.mark.parametrize("way", ["flat", "tilted", "desk", "turned"])
def test_what_is_drawn_as_truth_is_found_where_it_was_written(hands, faces, way):
    pages = composer(hands, faces, 6, (480, 480))
    written = found = 0
    for _ in range(8):
        page = pages.page(way=way, only="numbers")
        answer = truth(page)
        places = places_of(maps(answer))
        for mark in page.marks:
            middle = mark.quad.mean(axis=0)
            x, y = (int(v) // 2 for v in middle)
            if not (8 <= x < 232 and 8 <= y < 232) or answer.fine[y, x] & IGNORED:
                continue
            written += 1
            across = mark.quad[1] - mark.quad[0]
            for place in places:
                near = np.abs(place.quad.mean(axis=0) - middle).max() < 0.5 * mark.tall + 4
                turned = np.angle(np.exp(1j * (place.angle - np.arctan2(across[1], across[0]))))
                if near and abs(turned) < 0.15 and 0.7 < place.tall / mark.tall < 1.4:
                    found += 1
                    break
    assert written > 30
    assert found >= 0.9 * written


def test_ink_is_of_its_kind(hands, faces):
    page = composer(hands, faces, 7).page(only="single", way="flat")
    left, top = page.marks[0].quad.min(axis=0).astype(int).clip(0)
    right, bottom = page.marks[0].quad.max(axis=0).astype(int)
    inside = page.kinds[top:bottom, left:right]
    assert (inside == NUMBER).mean() > 0.03
    assert (composer(hands, faces, 8).page(only="surface").kinds == PICTURE).mean() > 0.9
    assert PAPER == 0


def test_numbers_are_cut_out_upright_whatever_the_way_they_run(hands, faces):
    pages = composer(hands, faces, 9, (480, 480))
    flat = pages.page(only="single", way="flat")
    place = max(places_of(maps(truth(flat))), key=lambda each: each.tall)
    upside = type(flat)(flat.image[::-1, ::-1].copy(), flat.kinds[::-1, ::-1].copy(), [])
    quad = (479 - place.quad).astype(np.float32)
    (one, _), (other, _) = cut(flat.image, place), cut(upside.image, type(place)(quad, *list(vars(place).values())[1:]))
    assert one.shape == other.shape
    assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.95


def test_places_are_in_the_order_in_which_a_turned_page_is_read(hands, faces):
    pages = composer(hands, faces, 10, (480, 480))
    places = places_of(maps(truth(pages.page(only="numbers", way="flat"))))
    assert len(places) > 3
    order = [tuple(place.quad.mean(axis=0)) for place in ordered(places)]
    turned = [type(place)((479 - place.quad).astype(np.float32), *list(vars(place).values())[1:]) for place in places]
    again = [tuple(479 - place.quad.mean(axis=0)) for place in ordered(turned)]
    assert np.abs(np.array(order) - np.array(again)).max() < 0.01


def test_faces_are_packed_and_unpacked(faces, tmp_path: Path):
    np.savez_compressed(tmp_path / "faces.npz", **pack(faces))
    (face,) = unpack(np.load(tmp_path / "faces.npz"))
    assert face.name == "blocks"
    assert face.ascent == 38
    assert face.glyphs["7"][1:] == (1, 10, 20.0)
    assert np.array_equal(face.glyphs["7"][0], upright(28, 16))
