"""From MNIST to a trained network to a number read on a page: `python examples/quickstart.py`, about 15 s.

It needs the extra train and leaves the run in quickstart/, with its confusion matrix.
"""

from pathlib import Path

import cv2
import numpy as np

import digitnet
from digitnet.data.synthesis.strokes import hands
from digitnet.training.config import RECIPES
from digitnet.training.run import start

# Train: one pass over 55,000 digits. Other recipes take longer and are more accurate.
run = start(RECIPES["quick"], Path("quickstart"))
for epoch in run.train():
    print(f"epoch {epoch.number}: {epoch.scores.accuracy:.2%} of the validation digits correct")

# Evaluate: the test digits are scored once, at the end.
scores = run.finish()
assert isinstance(scores, digitnet.Scores)  # the recipe "line" would return LineScores
low, high = scores.interval
print(f"test accuracy {scores.accuracy:.2%}, 95% interval {low:.2%} to {high:.2%}")
for pair in scores.confused(3):
    print(f"  {pair.true} read as {pair.predicted}: {pair.count} times")
# Read: a page with the number 1984, drawn here and read by the built-in models without PyTorch.
digits = np.hstack(list(hands(10, seed=3).images[[1, 9, 8, 4]]))
page = 255 - cv2.copyMakeBorder(digits, 60, 60, 60, 60, cv2.BORDER_CONSTANT)
for number in digitnet.read(page).numbers:
    print(f"read {number.text}, confidence {number.confidence:.1%}, at {number.box}")
