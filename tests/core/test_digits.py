import numpy as np
import pytest

from digitnet import DataError, Digits


def blank(n=3, **columns):
    return Digits(np.zeros((n, 28, 28), np.uint8), **columns)


def test_a_mask_selects_rows_of_every_column():
    digits = blank(labels=np.array([1, 7, 7]), probs=np.eye(10)[[1, 7, 7]], boxes=np.arange(12).reshape(3, 4))
    sevens = digits[digits.labels == 7]
    assert len(sevens) == 2
    assert sevens.labels.tolist() == [7, 7]
    assert sevens.probs.argmax(axis=1).tolist() == [7, 7]
    assert sevens.boxes.tolist() == [[4, 5, 6, 7], [8, 9, 10, 11]]


def test_one_index_gives_digits_of_length_one():
    assert blank(labels=[1, 2, 3])[-1].labels.tolist() == [3]


def test_columns_take_their_documented_types():
    digits = blank(labels=[1, 2, 3], probs=np.full((3, 10), 0.1), boxes=np.zeros((3, 4), np.int64))
    assert (digits.labels.dtype, digits.probs.dtype, digits.boxes.dtype) == (np.uint8, np.float32, np.int32)


def test_digits_show_themselves_in_a_few_words():
    assert repr(blank(labels=[1, 2, 3])) == "<3 Digits: images, labels>"


def test_digits_are_frozen():
    with pytest.raises(AttributeError):
        blank().labels = None


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"labels": [1, 2]}, "labels are (2,)"),
        ({"labels": [1, 2, 10]}, "label 10 at index 2"),
        ({"labels": [1, -1, 3]}, "label -1 at index 1"),
        ({"labels": [0.5, 1, 2]}, "expected (3,) integers"),
        ({"probs": np.zeros((3, 9))}, "probs are (3, 9)"),
        ({"probs": np.full((3, 10), 2.0)}, "outside 0..1"),
        ({"probs": np.full((3, 10), np.nan)}, "outside 0..1"),
        ({"boxes": np.zeros((3, 4))}, "expected (3, 4) integers"),
    ],
)
def test_a_wrong_column_is_refused_in_words(columns, words):
    with pytest.raises(DataError) as caught:
        blank(**columns)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "images", [np.zeros((2, 28, 28)), np.zeros((28, 28), np.uint8), np.zeros((2, 32, 32), np.uint8)]
)
def test_images_of_another_kind_are_refused(images):
    with pytest.raises(DataError, match="expected \\(n, 28, 28\\) uint8"):
        Digits(images)


def test_labels_are_counted_in_other_names():
    digits = blank(labels=[0, 1, 1], names=("b", "a"))
    assert digits.present() == ("b", "a")
    assert digits.with_names(("a", "b", "c")).labels.tolist() == [1, 0, 0]
    assert repr(digits) == "<3 Digits of the classes b, a: images, labels>"
    assert digits[1:].names == ("b", "a")
    with pytest.raises(DataError, match=r"labels that the model does not classify: b \(it classifies a, c\); choose"):
        digits.with_names(("a", "c"))
    with pytest.raises(DataError, match=r"label 2 at index 0 is not the number of a class, 0\.\.1"):
        blank(1, labels=[2], names=("b", "a"))
