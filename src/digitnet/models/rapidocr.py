"""The text recogniser of RapidOCR, from its installed package, as a second opinion on what digits a picture shows.

It is PP-OCRv6 (small), a network for text of any kind; only its probabilities of digits, and of signs that separate
them, are used. The package itself is not imported: nothing is downloaded and nothing is sent.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from digitnet.core.digits import DIGITS, SIGNS
from digitnet.core.errors import ModelError
from digitnet.core.extras import missing
from digitnet.models.model_file import content_of, session_of
from digitnet.models.onnx_models import mapping

PACKAGE, FILE, VERSION = "rapidocr", "PP-OCRv6_rec_small.onnx", "3.10"
"""The package, the file of its recogniser, and the version that brings it."""

HEIGHT, LEAST_WIDTH, MOST_WIDTH = 48, 320, 2400
"""Pictures are scaled to this height, and narrow ones padded, as RapidOCR does; wider ones are squeezed. Pixels."""

FLOOR = 1e-8
"""Least probability of a digit in a column."""


class Recogniser:
    """Reads pictures of one number each with the recogniser of RapidOCR. Safe to share between threads."""

    def __init__(self, threads: int = 0) -> None:
        """Open the model; threads: for several pictures, 0 for the number of cores.

        Raises ModelError if the package is not installed, or brings another model.
        """
        found = importlib.util.find_spec(PACKAGE)
        if found is None or not found.submodule_search_locations:
            raise ModelError(str(missing(PACKAGE)))
        path = Path(found.submodule_search_locations[0]) / "models" / FILE
        if not path.is_file():
            raise ModelError(f"{PACKAGE}: has no {FILE}; install its version {VERSION}")
        content = content_of(path)
        self.sha256 = hashlib.sha256(content).hexdigest()
        self._session = session_of(content, 1)
        self._map = mapping(threads)
        self._input = self._session.get_inputs()[0].name
        text = self._session.get_modelmeta().custom_metadata_map.get("character", "")
        classes = {character: place for place, character in enumerate(text.splitlines(), 1)}
        if not all(digit in classes for digit in DIGITS):
            raise ModelError(f"{PACKAGE}: {FILE} knows no digits; install its version {VERSION}")
        self._digits = [classes[digit] for digit in DIGITS]
        between = [classes[sign] for sign in SIGNS if sign in classes]
        self._between = [0, *between, len(classes) + 1]  # the blank of connectionist temporal classification; the space

    def __call__(self, pictures: Sequence[NDArray[np.uint8]]) -> list[NDArray[np.float32]]:
        """Return for each picture, (h, w) uint8 with bright ink, the log-probabilities of its columns: (t, 11) float32.

        As in `LineReader`: ten digits, then everything that separates digits. Other characters count as impossible.
        """
        return list(self._map(self._read, pictures))

    def _read(self, picture: NDArray[np.uint8]) -> NDArray[np.float32]:
        high, wide = picture.shape
        width = min(max(1, -(-HEIGHT * wide // high)), MOST_WIDTH)
        page = np.zeros((HEIGHT, max(width, LEAST_WIDTH)), np.float32)
        page[:, :width] = 1 - cv2.resize(picture, (width, HEIGHT)).astype(np.float32) / 127.5
        (probs,) = self._session.run(None, {self._input: np.repeat(page[None, None], 3, axis=1)})
        between = probs[0][:, self._between].sum(axis=1, keepdims=True)
        shares = np.concatenate([probs[0][:, self._digits], between], axis=1) + FLOOR
        log_probs: NDArray[np.float32] = np.log(shares / shares.sum(axis=1, keepdims=True)).astype(np.float32)
        return log_probs
