import json

import numpy as np

from digitnet import Digits, evaluate
from digitnet.evaluation import misclassified
from digitnet.models import run_folder


def test_of_each_confusion_the_surest_wrong_digits_are_kept(tmp_path):
    rng = np.random.default_rng(1)
    labels = np.repeat([3, 4, 5], [30, 5, 5]).astype(np.uint8)
    probs = np.zeros((40, 10), np.float32)
    sure = rng.uniform(0.6, 1, 40).astype(np.float32)
    said = np.where(labels == 3, 8, np.where(labels == 4, 9, 5))
    probs[np.arange(40), said] = sure
    probs[np.arange(40), 0] = 1 - sure
    digits = Digits(rng.integers(0, 256, (40, 28, 28)).astype(np.uint8), labels)
    scores = evaluate(lambda images: probs, digits)
    misclassified.save_errors(scores, digits, tmp_path / run_folder.ERRORS)
    with np.load(tmp_path / run_folder.ERRORS, allow_pickle=False) as kept:
        kept = dict(kept)
    assert (kept["labels"] == 3).sum() == misclassified.A_CELL
    assert (kept["labels"] == 4).sum() == 5
    assert len(kept["labels"]) == misclassified.A_CELL + 5
    assert (kept["predicted"] == np.where(kept["labels"] == 3, 8, 9)).all()
    assert (np.diff(kept["probability"]) <= 0).all()
    assert set(kept["index"]) >= set(np.argsort(-sure[:30])[: misclassified.A_CELL])
    assert (kept["images"] == digits.images[kept["index"]]).all()


def test_without_errors_there_is_a_report_all_the_same(tmp_path):
    digits = Digits(np.zeros((10, 28, 28), np.uint8), np.arange(10, dtype=np.uint8))
    scores = evaluate(lambda images: np.eye(10, dtype=np.float32), digits)
    (tmp_path / run_folder.SCORES).write_text(json.dumps(scores.to_dict()))
    misclassified.save_errors(scores, digits, tmp_path / run_folder.ERRORS)
    assert misclassified.load_report(tmp_path)["wrong"] == []
