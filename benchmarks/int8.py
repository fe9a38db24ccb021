"""Whether models of 8-bit integers pay: processor time and accuracy beside the files of floats.

python benchmarks/int8.py --line line.onnx --page page.onnx --out DIR >> benchmarks/RESULTS.md

Convolutions are quantised by ONNX Runtime, per channel, calibrated on lines and pages composed with hands that training
did not see (sets mnist, fonts and unipen). Processors without VNNI add two products of 8 bits in 16, which overflows:
hence weights of 7 bits, or unsigned ones, which take another way. Accuracy is that on ../shared/data, or where
DIGITNET_DEV_DATA says. A file ships only if it keeps both floors.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime  # type: ignore[import-untyped]
from foreign import FOLDER
from numpy.typing import NDArray
from onnxruntime.quantization import (  # type: ignore[import-untyped]
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)
from pages import Score, cases
from rows import note, row

from digitnet.data.datasets import load
from digitnet.imaging.normalization import strip
from digitnet.models.model_file import STRIPS, session_of
from digitnet.models.onnx_models import LINE, PAGE, WEIGHTS, padded
from digitnet.models.page_model import PAGES
from digitnet.models.trust import trust_here
from digitnet.reading.reader import Reader
from digitnet.training import line_sources, page_sources

LINES, SHEETS = 120, 12
"""Composed lines and pages that quantisation is calibrated on."""

LEAST = 0.3
"""Points of the amounts that may be lost; of the cases none."""

KINDS: dict[str, dict[str, Any]] = {
    "7-bit weights": {"weight_type": QuantType.QInt8, "reduce_range": True},
    "unsigned weights": {"weight_type": QuantType.QUInt8},
}


class Given(CalibrationDataReader):  # type: ignore[misc]
    """Inputs of one name, one after the other."""

    def __init__(self, name: str, inputs: Sequence[NDArray[Any]]) -> None:
        self._inputs = iter([{name: each} for each in inputs])

    def get_next(self) -> dict[str, NDArray[Any]] | None:
        return next(self._inputs, None)


def lines() -> list[NDArray[np.uint8]]:
    composed = line_sources.unseen(load("mnist", "test")).lines(LINES)
    return [padded([strip(255 - line.image)]) for line in composed]


def sheets() -> list[NDArray[np.float32]]:
    composed = page_sources.unseen(load("mnist", "test")).pages(SHEETS)
    return [_grey(page.image) for page in islice(composed, SHEETS)]


def _grey(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    grey = image if image.ndim == 2 else image @ np.array([0.114, 0.587, 0.299])
    return np.repeat(grey[None, None].astype(np.float32) / 255, 3, axis=1)


def folded(path: Path, out: Path) -> Path:
    """Write a model with constants and normalisation folded, in floats of 32 bits: what is quantised."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(out)
    onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    metadata = onnx.load(path).metadata_props
    proto = onnx.load(out)
    del proto.metadata_props[:]
    proto.metadata_props.extend(metadata)
    onnx.save(proto, out)
    return out


def milliseconds(paths: Sequence[Path], name: str, given: Sequence[NDArray[Any]]) -> list[float]:
    """Return the processor time of models on the same inputs, taking turns; of each the least of five."""
    sessions = [session_of(path.read_bytes(), 1) for path in paths]
    taken: list[list[float]] = [[] for _ in paths]
    for _ in range(6):
        for session, its in zip(sessions, taken, strict=True):
            began = time.process_time()
            for each in given:
                session.run(None, {name: each})
            its.append(1000 * (time.process_time() - began) / len(given))
    return [min(its[1:]) for its in taken]


def amounts(reader: Reader, single: bool) -> Iterator[bool]:
    """Tell of each cheque amount whether it is read exactly; single: as one number, not found on its picture."""
    with (FOLDER / "strings-dev" / "truth.csv").open(encoding="utf-8") as rows:
        for line in csv.DictReader(rows):
            path = FOLDER / "strings-dev" / line["file"]
            yield reader.read(path, single=single).text == line["digits"]


def accuracy(reader: Reader, single: bool) -> tuple[float, int]:
    """Return the percentage of amounts, and how many of the cases, that are read exactly."""
    score = Score()
    for picture in cases():
        score.add(picture, [number.text for number in reader.read(picture.path).numbers])
    return 100 * float(np.mean(list(amounts(reader, single)))), score.exact


def main() -> bool:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--line", type=Path, default=WEIGHTS / f"{LINE}.onnx", help="a line reader of floats")
    parser.add_argument("--page", type=Path, default=WEIGHTS / f"{PAGE}.onnx", help="a page network of floats")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the quantised files")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    for path in (asked.line, asked.page):
        trust_here(path)
    floats = {"line": asked.line, "page": asked.page}
    made: dict[str, tuple[str, Callable[[], Sequence[NDArray[Any]]]]] = {
        "line": (STRIPS, lines),
        "page": (PAGES, sheets),
    }
    met = True
    for model, (name, compose) in made.items():
        given = compose()
        note(f"{model}: {len(given)} inputs to calibrate on")
        single = model == "line"  # reading one number does not use the page network
        before = accuracy(Reader(threads=1, **floats), single)
        plain = folded(floats[model], asked.out / f"{model}-float.onnx")
        for kind, settings in KINDS.items():
            path = asked.out / f"{model}-{kind.split()[0]}.onnx"
            quantize_static(
                plain,
                path,
                Given(name, given),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                op_types_to_quantize=["Conv"],
                activation_type=QuantType.QUInt8,
                **settings,
            )
            trust_here(path)
            slow, fast = milliseconds([floats[model], path], name, given[:8])
            exact, right = accuracy(Reader(threads=1, **(floats | {model: path})), single)
            good = exact >= before[0] - LEAST and right >= before[1]
            size = path.stat().st_size / floats[model].stat().st_size
            measured = (
                f"{fast / slow:.2f} of the time, {size:.2f} of the bytes; {exact:.2f}% of the amounts, {right} cases; "
                f"floats {before[0]:.2f}%, {before[1]}"
            )
            met &= row(f"int8, {model}, {kind}", f"-{LEAST} points; no case", measured, 345, good)
    return met


if __name__ == "__main__":
    sys.exit(not main())
