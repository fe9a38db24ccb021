"""What a model makes of digits without labels: `predict(model, "test.csv")`, and that as CSV, JSON or for Kaggle."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from digitnet.core.classes import DIGIT_NAMES
from digitnet.core.digits import Digits
from digitnet.core.files import cell
from digitnet.data.datasets import load
from digitnet.evaluation.scoring import files_of, in_classes
from digitnet.models.loading import Model


@dataclass(frozen=True)
class Predictions:
    """A model's answers to the digits of a source, in their order.

    digits: the images with `probs`. digitness: (n,) float32, how digit-like each image is, 0..1; None if the model does
    not give it. files: of a folder of pictures, the file of each digit; else empty.
    """

    model: str
    source: str
    digits: Digits
    digitness: NDArray[np.float32] | None
    files: list[Path]

    def rows(self) -> list[dict[str, object]]:
        """Return a row per digit: index, file, digit, probability, digitness and label, as far as they are known."""
        probs, names = np.asarray(self.digits.probs), _names(self.digits)
        found = []
        for i, row in enumerate(probs):
            one: dict[str, object] = {"index": i}
            if self.files:
                one["file"] = str(self.files[i])
            one |= {"digit": names[row.argmax()], "probability": round(float(row.max()), 6)}
            if self.digitness is not None:
                one["digitness"] = round(float(self.digitness[i]), 6)
            if self.digits.labels is not None:
                one["label"] = names[self.digits.labels[i]]
            found.append(one)
        return found


def predict(model: Model, source: str, data_dir: str | Path | None = None) -> Predictions:
    """Return a model's answers to digits, with or without labels.

    source: a data set's name or a path, as `load` takes it; of one with parts the test part is taken.
    Raises DataError if the digits are not available, or have labels that are not among the model's classes.
    """
    digits, digitness = in_classes(load(source, "test", data_dir), model, source), None
    if hasattr(model.classifier, "classify"):
        probs, digitness = model.classifier.classify(digits.images)
    else:
        probs = model.classifier(digits.images)
    known = Digits(digits.images, digits.labels, probs, names=digits.names)
    return Predictions(model.name, source, known, digitness, files_of(source))


def as_csv(found: Predictions) -> str:
    """Return predictions as CSV: a line per digit, with a header."""
    rows, out = found.rows(), io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(rows[0])
    writer.writerows([[cell(str(value)) for value in row.values()] for row in rows])
    return out.getvalue()


def as_json(found: Predictions) -> str:
    """Return predictions as JSON: the model's name, the source, and an object per digit."""
    lines = ",\n    ".join(json.dumps(row) for row in found.rows())
    head = f'{{\n  "model": {json.dumps(found.model)},\n  "data": {json.dumps(found.source)},\n'
    return f'{head}  "predictions": [\n    {lines}\n  ]\n}}\n'


def as_kaggle(found: Predictions) -> str:
    """Return predictions as Kaggle's digit-recognizer takes them: `ImageId`, from 1, and `Label`."""
    names = _names(found.digits)
    answers = (names[best] for best in np.asarray(found.digits.probs).argmax(1))
    return "ImageId,Label\n" + "".join(f"{i},{cell(str(digit))}\n" for i, digit in enumerate(answers, 1))


def _names(digits: Digits) -> list[int | str]:
    """Return the names of the classes as they are written: digits as numbers."""
    return [int(name) if digits.names == DIGIT_NAMES else name for name in digits.names]


FORMATS: dict[str, Callable[[Predictions], str]] = {"csv": as_csv, "json": as_json, "kaggle": as_kaggle}
"""The formats by name."""
