"""What a line reader says of strips, decoded and scored against the digits that are written."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from digitnet.evaluation.line_metrics import LineScores
from digitnet.reading.ctc import decode


def score_columns(log_probs: Iterable[NDArray[np.float32]], digits: Sequence[str]) -> LineScores:
    """Score a line reader's columns, (t, 11) of each strip as `Columns.log_probs`, against what is written."""
    best = [decode(each, None, 1)[0] for each in log_probs]
    sure = np.array([each.probability for each in best], np.float32)
    return LineScores(tuple(digits), tuple(each.text for each in best), sure)
