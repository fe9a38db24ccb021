"""A trained page network -> one ONNX file with weights of 16 bits, proven equal to torch before it is written."""

from __future__ import annotations

import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from digitnet.core.errors import ModelError
from digitnet.core.files import write_atomic
from digitnet.models.page_model import COARSE, FINE, PAGES, PageModel
from digitnet.models.page_network import PageNet
from digitnet.training.halving import halved, store_halved

TOLERANCE = 0.01
"""Largest difference between the file's maps and torch's, in logits."""


def export_page(network: PageNet, path: Path) -> None:
    """Write a page network as one ONNX file, atomically; normalisation becomes part of its convolutions.

    Raises ModelError, and writes nothing, where the file's maps differ from torch's by more than `TOLERANCE`.
    """
    network = halved(network)
    with TemporaryDirectory() as folder:
        trial = Path(folder) / "trial.onnx"
        sides = {2: "height", 3: "width"}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                network,
                (torch.zeros(1, 3, 64, 64),),
                trial,
                input_names=[PAGES],
                output_names=[FINE, COARSE],
                dynamic_axes={PAGES: sides, FINE: {2: "half", 3: "wide"}, COARSE: {2: "quarter", 3: "across"}},
                opset_version=17,
                dynamo=False,
            )
        store_halved(trial)
        page = torch.rand(1, 3, 96, 64, generator=torch.Generator().manual_seed(0))
        with torch.inference_mode():
            ours = network(page)
        theirs = PageModel(trial, 1)(page.numpy())
        difference = max(float(abs(one.numpy() - other).max()) for one, other in zip(ours, theirs, strict=True))
        if not difference <= TOLERANCE:
            raise ModelError(f"{path}: not written, for its maps differ from torch's by {difference:.2g}")
        write_atomic(path, trial.read_bytes())
