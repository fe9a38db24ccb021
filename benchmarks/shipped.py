"""What the built-in models do on data that they have never seen, and how fast.

python benchmarks/shipped.py --model strong >> benchmarks/RESULTS.md

Accuracy on MNIST's test digits and on other people's, the fifteen corruptions, calibration, selective reading, what is
no digit, and throughput beside eager torch. The other people's digits are those in ../shared/data, or where
DIGITNET_DEV_DATA says; without them their rows are left out.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from foreign import FOLDER, foreign, no_digits
from rows import note, row

from digitnet import classifier, evaluate
from digitnet.core.digits import Classifier, Digits
from digitnet.data import datasets
from digitnet.data.corruptions import CORRUPTIONS, corrupt
from digitnet.models.networks import MODELS, TorchClassifier
from digitnet.models.onnx_models import OnnxClassifier

FLOORS = {
    "strong": {"MNIST": 0.9968, "USPS": 0.985, "optdigits": 0.985, "semeion": 0.96, "pendigits": 0.975},
    "digitnet": {"MNIST": 0.9965},
}
RATES = {"digitnet": (120_000, 2.5, 0.05), "strong": (5_000, 1.2, 1.0)}
CORRUPTED = 0.94
REFUSED = {"letters": 0.90, "clothes": 0.97}


def main() -> bool:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="strong", choices=RATES)
    asked = parser.parse_args()
    model, name = classifier(asked.model), f"shipped `{asked.model}`"
    test = datasets.splits("mnist").test
    others = foreign() if FOLDER.is_dir() else {}
    if not others:
        note(f"{FOLDER} is not there: no rows for other people's digits, nor for letters and clothes")
    met = accuracy(name, model, {"MNIST": test} | others, FLOORS[asked.model])
    met &= corrupted(name, model, test, asked.model == "strong")
    met &= selective(name, model, test)
    if others:
        met &= refusing(name, model, test, others["USPS"], asked.model == "strong")
    return met & speed(name, model, asked.model, test)


def accuracy(name: str, model: OnnxClassifier, sets: dict[str, Digits], floors: dict[str, float]) -> bool:
    met = True
    for source, digits in sets.items():
        scores = evaluate(model, digits)
        floor = floors.get(source)
        met &= row(
            f"{name}: {source}, accuracy",
            f">= {floor:.2%}" if floor else "report",
            f"{scores.accuracy:.2%}, 95% interval {scores.interval[0]:.2%} to {scores.interval[1]:.2%}",
            scores.n,
            floor is None or scores.accuracy >= floor,
        )
        limit = {"MNIST": 0.003, "USPS": 0.01}.get(source)
        error = scores.calibration_error
        met &= row(
            f"{name}: {source}, expected calibration error (15 bins)",
            f"<= {limit:.1%}" if limit else "report",
            f"{error:.2%}",
            scores.n,
            limit is None or error <= limit,
        )
    return met


def corrupted(name: str, model: Classifier, test: Digits, must: bool) -> bool:
    found = {kind: evaluate(model, corrupt(test, kind)).accuracy for kind in CORRUPTIONS}
    mean = statistics.mean(found.values())
    each = ", ".join(f"{kind} {share:.1%}" for kind, share in found.items())
    target = f">= {CORRUPTED:.0%}" if must else "report"
    return row(f"{name}: MNIST-C, mean of fifteen", target, f"{mean:.2%} ({each})", 15, not must or mean >= CORRUPTED)


def selective(name: str, model: Classifier, test: Digits) -> bool:
    scores = evaluate(model, test)
    wrong = (scores.predicted != scores.labels)[np.argsort(-scores.confidence, kind="stable")]
    kept = np.flatnonzero(np.cumsum(wrong) <= 0.001 * np.arange(1, scores.n + 1))[-1] + 1
    enough = scores.rejecting(1 - kept / scores.n)
    certain = scores.selection()
    proven = f"{certain.rejected:.2%}, less sure than {certain.threshold:.4f}" if certain else "no share"
    return row(
        f"{name}: MNIST, least share sent to a person for an error <= 0.1%",
        "<= 1.5%",
        f"{enough.rejected:.2%}, less sure than {enough.threshold:.4f}; with 95% certainty {proven}",
        len(test),
        enough.rejected <= 0.015,
    )


def refusing(name: str, model: OnnxClassifier, test: Digits, usps: Digits, must: bool) -> bool:
    threshold = float(np.quantile(model.digitness(test.images), 0.01))

    def below(images: np.ndarray, limit: float) -> float:
        return float((model.digitness(images) < limit).mean())

    met = True
    for kind, floor in REFUSED.items():
        share = below(no_digits(kind), threshold)
        met &= row(
            f"{name}: {kind} refused where 1% of MNIST's test digits are",
            f">= {floor:.0%}" if must else "report",
            f"{share:.2%}; at its own threshold {below(no_digits(kind), model.threshold):.2%}",
            len(no_digits(kind)),
            not must or share >= floor,
        )
    share = below(usps.images, threshold)
    met &= row(
        f"{name}: USPS digits refused where 1% of MNIST's are",
        "<= 3%" if must else "report",
        f"{share:.2%}; at its own threshold {below(usps.images, model.threshold):.2%}, "
        f"MNIST {below(test.images, model.threshold):.2%}",
        len(usps),
        not must or share <= 0.03,
    )
    return met


def speed(name: str, model: OnnxClassifier, network: str, test: Digits) -> bool:
    rate_floor, ratio_floor, single_limit = RATES[network]
    eager = TorchClassifier(MODELS[network]())
    images = np.ascontiguousarray(test.images[:5120])

    def passing(answer: Classifier) -> Callable[[], None]:
        def once() -> None:
            for start in range(0, len(images), 256):
                answer(images[start : start + 256])

        return once

    ours, theirs, single = [], [], []
    for _ in range(7):  # in turns, so that what else the machine does hits both
        ours.append(len(images) / timed(passing(model)))
        theirs.append(len(images) / timed(passing(eager)))
        single += [timed(lambda: model(images[:1])) for _ in range(300)]
    rate, ratio = max(ours), statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
    one = statistics.median(single) * 1000
    cold = statistics.median(timed(lambda: start_cold(network)) for _ in range(5))
    met = row(
        f"{name}: images a second at batch 256, from uint8, best of 7",
        f">= {rate_floor:,}",
        f"{rate:,.0f} (median {statistics.median(ours):,.0f})",
        7,
        rate >= rate_floor,
    )
    met &= row(
        f"{name}: throughput beside eager torch's, median ratio of 7 turns",
        f">= {ratio_floor}",
        f"{ratio:.2f} (torch median {statistics.median(theirs):,.0f})",
        7,
        ratio >= ratio_floor,
    )
    met &= row(f"{name}: one image, median", f"<= {single_limit} ms", f"{one:.3f} ms", 2100, one <= single_limit)
    return met & row(
        f"{name}: a new process: import, load, classify one image, exit",
        "<= 0.5 s",
        f"{cold:.2f} s",
        5,
        cold <= 0.5,
    )


def start_cold(network: str) -> None:
    code = f"import numpy, digitnet; digitnet.classifier({network!r})(numpy.zeros((1, 28, 28), 'uint8'))"
    subprocess.run([sys.executable, "-c", code], check=True)


def timed(action: Callable[[], Any]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


if __name__ == "__main__":
    torch.manual_seed(0)
    sys.exit(not main())
