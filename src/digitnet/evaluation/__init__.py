"""Scores, comparisons, and scoring any model on any data; `report/` makes the HTML report.

It imports `core`, `imaging`, `data`, `models` and `reading`, and not PyTorch. Start with `metrics.py`, then
`scoring.py`.
"""

from typing import TYPE_CHECKING

from digitnet.core.lazy import lazily

if TYPE_CHECKING:
    from digitnet.evaluation.comparison import Comparison, mcnemar
    from digitnet.evaluation.line_metrics import LineScores
    from digitnet.evaluation.metrics import Scores, evaluate
    from digitnet.evaluation.scoring import Evaluation, judge, score, score_model

__all__ = [
    "Comparison",
    "Evaluation",
    "LineScores",
    "Scores",
    "evaluate",
    "judge",
    "mcnemar",
    "score",
    "score_model",
]

__getattr__, __dir__ = lazily(
    __name__,
    {
        "comparison": ["Comparison", "mcnemar"],
        "line_metrics": ["LineScores"],
        "metrics": ["Scores", "evaluate"],
        "scoring": ["Evaluation", "judge", "score", "score_model"],
    },
)
