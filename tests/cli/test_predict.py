import csv
import io
import json

import numpy as np
import pytest

from digitnet import classifier


@pytest.fixture
def test_csv(drawn, tmp_path):
    """Kaggle's test.csv: pixels without labels."""
    path = tmp_path / "test.csv"
    header = ",".join(f"pixel{i}" for i in range(784))
    np.savetxt(path, drawn.images[:12].reshape(-1, 784), "%d", ",", header=header, comments="")
    return path


def test_a_submission_is_as_kaggle_takes_it(test_csv, drawn, digitnet, exported):
    words = ("predict", "--data", test_csv, "--model", exported, "--format", "kaggle", "--out", "submission.csv")
    status, out, _ = digitnet(*words)
    assert (status, out) == (0, "12 digits by " + str(exported) + ": submission.csv\n")
    lines = (test_csv.parent / "submission.csv").read_text().splitlines()
    answers = classifier(exported)(drawn.images[:12]).argmax(1)
    assert lines == ["ImageId,Label", *(f"{i},{digit}" for i, digit in enumerate(answers, 1))]


def test_csv_and_json_have_probability_and_digitness(test_csv, drawn, digitnet, exported):
    probs, digitness = classifier(exported).classify(drawn.images[:12])
    status, out, _ = digitnet("predict", "--data", test_csv, "--model", exported)
    rows = list(csv.DictReader(io.StringIO(out)))
    assert (status, list(rows[0])) == (0, ["index", "digit", "probability", "digitness"])
    found = json.loads(digitnet("predict", "--data", test_csv, "--model", exported, "--format", "json")[1])
    assert (found["model"], found["data"]) == (str(exported), str(test_csv))
    for given in (rows, found["predictions"]):
        assert [int(row["digit"]) for row in given] == probs.argmax(1).tolist()
        assert [float(row["probability"]) for row in given] == pytest.approx(probs.max(1), abs=1e-5)
        assert [float(row["digitness"]) for row in given] == pytest.approx(digitness, abs=1e-5)


def test_labels_are_kept_and_digitness_left_out_where_there_is_none(drawn_npz, drawn, taught, digitnet):
    from pathlib import Path

    from digitnet.models import checkpoint

    checkpoint.save_network(Path("ours.safetensors"), taught, "digitnet")
    out = digitnet("predict", "--data", drawn_npz, "--model", "ours.safetensors")[1]
    rows = list(csv.DictReader(io.StringIO(out)))
    assert list(rows[0]) == ["index", "digit", "probability", "label"]
    assert [int(row["label"]) for row in rows] == drawn.labels.tolist()


def test_a_place_that_cannot_be_written_is_named(test_csv, digitnet, exported, tmp_path):
    (tmp_path / "file").write_text("")
    words = ("predict", "--data", test_csv, "--model", exported, "--out", tmp_path / "file" / "out.csv")
    status, _, err = digitnet(*words)
    assert (status, "out.csv: cannot be written" in err) == (1, True)
