import cv2
import numpy as np
import pytest

from digitnet.imaging import line_removal
from digitnet.imaging.deskew import levelled
from digitnet.imaging.line_removal import without_rules


def curves(height=300, width=600):
    """Bold curves as ink, (h, w) uint8."""
    ink = np.zeros((height, width), np.uint8)
    for y in range(60, height - 30, 80):
        for x in range(50, width - 40, 60):
            cv2.ellipse(ink, (x, y), (12, 22), 0, 20, 290, 200, 6, cv2.LINE_AA)
    return ink


def ruled(ink, every=30, thickness=2, across=False):
    """Return a copy with rules, and the mask of their pixels."""
    rules = np.zeros(ink.shape, bool)
    for start in range(15, 15 + thickness):
        rules[start::every] = True
        if across:
            rules[:, start::every] = True
    return np.maximum(ink, np.where(rules, np.uint8(150), np.uint8(0))), rules


def assert_only_specks(ink, largest=5):
    """Nothing is left but specks of a few pixels, as where two rules cross."""
    _, _, stats, _ = cv2.connectedComponentsWithStats((ink > 0).astype(np.uint8))
    assert stats[1:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]].max(initial=0) <= largest


def test_ink_without_lines_is_given_back_untouched():
    ink = curves()
    assert (without_rules(ink) == ink).all()


@pytest.mark.parametrize("thickness", [1, 2, 3])
@pytest.mark.parametrize("across", [False, True])
def test_rules_go_and_the_strokes_that_cross_them_stay(thickness, across):
    ink = curves()
    page, rules = ruled(ink, thickness=thickness, across=across)
    left = without_rules(page)
    away = cv2.dilate(ink, np.ones((9, 9), np.uint8)) == 0
    assert_only_specks(left * away)
    assert (left[ink > 150] > 100).mean() > 0.95
    assert (left[~rules & (ink > 150)] == page[~rules & (ink > 150)]).mean() > 0.95


def test_an_underline_goes_and_what_stands_on_it_stays_in_one_piece():
    page = np.zeros((120, 300), np.uint8)
    for x in range(60, 260, 40):
        cv2.line(page, (x, 30), (x, 80), 220, 6)
    before = page.copy()
    cv2.line(page, (30, 80), (280, 80), 220, 2)
    left = without_rules(page)
    assert (left[:78] == before[:78]).all()
    assert_only_specks(left * (cv2.dilate(before, np.ones((3, 3), np.uint8)) == 0))
    assert cv2.connectedComponents((left[:, 50:250] > 64).astype(np.uint8))[0] - 1 == 5


def test_the_borders_of_a_box_go_with_its_sides():
    zero = np.zeros((200, 300), np.uint8)
    cv2.ellipse(zero, (140, 100), (14, 24), 0, 0, 360, 220, 6)
    page = zero.copy()
    cv2.rectangle(page, (60, 60), (220, 140), 150, 2)
    left = without_rules(page)
    assert (left[zero > 0] == zero[zero > 0]).all()
    assert_only_specks(left * (zero == 0))


def test_a_lone_upright_line_is_a_one_and_stays():
    page = np.zeros((300, 300), np.uint8)
    cv2.line(page, (150, 40), (150, 260), 220, 5)
    assert (without_rules(page) == page).all()


def test_the_bar_of_a_seven_stays():
    page = np.zeros((300, 300), np.uint8)
    cv2.polylines(page, [np.array([[80, 60], [210, 60], [130, 240]])], False, 220, 8)
    assert (without_rules(page) == page).all()


def test_the_ink_that_is_given_stays_as_it_is():
    page, _ = ruled(curves(), across=True)
    before = page.copy()
    without_rules(page)
    levelled(page)
    assert (page == before).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 600), (600, 1), (28, 28)])
@pytest.mark.parametrize("value", [0, 255])
def test_pages_of_any_shape_pass(shape, value):
    page = np.full(shape, value, np.uint8)
    assert without_rules(page).shape == shape
    assert (levelled(page)[0] == page).all()


@pytest.mark.parametrize("angle", [-11, -4, -1.5, 2, 7, 11])
def test_lines_that_fall_are_made_level_and_the_way_back_is_told(angle):
    flat = np.zeros((500, 500), np.uint8)
    for y in range(150, 360, 50):
        for x in range(130, 380, 20):
            cv2.line(flat, (x, y), (x, y + 18), 220, 4)
    turn = cv2.getRotationMatrix2D((250, 250), angle, 1)
    ink = cv2.warpAffine(flat, turn, (500, 500))
    upright, back = levelled(ink)
    assert np.degrees(np.arctan2(back[1, 0], back[0, 0])) == pytest.approx(-angle, abs=0.3)
    assert back[:, :2] @ back[:, :2].T == pytest.approx(np.eye(2))  # a turn, nothing else
    height, width = upright.shape
    again = cv2.warpAffine(ink, back, (width, height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    assert (upright == again).all()
    assert int(upright.sum()) == pytest.approx(int(ink.sum()), rel=0.01)  # nothing is lost over the edge
    rows = (upright > 64).any(axis=1)
    assert (np.diff(rows.astype(int)) == 1).sum() == 5


def test_level_lines_and_ink_without_lines_are_not_turned():
    for ink in (curves(), ruled(curves())[0], np.zeros((300, 300), np.uint8)):
        same, back = levelled(ink)
        assert same is ink
        assert (back == np.eye(2, 3)).all()


def test_of_very_many_lines_the_longest_are_taken_away(monkeypatch):
    ink = np.zeros((400, 900), np.uint8)
    lengths = [150 + 30 * place for place in range(20)]
    for place, length in enumerate(lengths):
        ink[20 * place + 5 : 20 * place + 7, 100 : 100 + length] = 200
    monkeypatch.setattr(line_removal, "MAX_RULES", 5)
    left = without_rules(ink)
    gone = [not left[20 * place + 5 : 20 * place + 7].any() for place in range(20)]
    assert gone == [False] * 15 + [True] * 5
