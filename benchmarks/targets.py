"""What untrusted bytes meet first: functions of bytes that answer, refuse in words, or have found a fault.

`fuzz.py` feeds them what libFuzzer invents, tests/fuzz/test_crashes.py what was found so before. Each target takes any
bytes and returns where digitnet gave an answer or a DigitNetError, over HTTP a status below 500; all else leaves it as
an exception. Time and memory are for the caller to watch.
"""

from __future__ import annotations

import asyncio
import io
import itertools
import json
import logging
import resource
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from digitnet.core.digits import IMAGE_SIZE, STRIP_HEIGHT
from digitnet.core.errors import DigitNetError
from digitnet.data.synthesis.strokes import hands
from digitnet.imaging import pages

PAGES = 3
"""Pages that are decoded of each picture: every one comes alone, a thousand of them are only slower."""

SECONDS, MEGABYTES = 5, 1000
"""Most time that one input may take, and most memory that the process may have meanwhile."""


@dataclass(frozen=True)
class Target:
    """try_it: meets the bytes. seeds: small valid inputs, by name, to start from. about: in words, for a row."""

    about: str
    try_it: Callable[[bytes], None]
    seeds: Callable[[], dict[str, bytes]]


@contextmanager
def refusals() -> Iterator[None]:
    """Take our own errors for answers, if they are one line or a list of them and can be printed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except DigitNetError as error:
            told = str(error)
            assert told.isprintable() or "\n" in told, f"not printable: {told!r}"
            told.encode()


@cache
def _folder() -> Path:
    """A folder in memory where there is one, for readers that want paths."""
    shared = Path("/dev/shm")
    return Path(tempfile.mkdtemp(prefix="digitnet-", dir=shared if shared.is_dir() else None))


def _file(name: str, content: bytes) -> Path:
    path = _folder() / name
    path.write_bytes(content)
    return path


# Pictures and PDFs


def decode(data: bytes) -> None:
    """Bytes -> grey pages."""
    with refusals():
        for page in itertools.islice(pages.pages(data), PAGES):
            assert page.dtype == np.uint8
            assert page.ndim == 2
            assert page.size <= pages.LIMITS.pixels


def _pictures() -> dict[str, bytes]:
    from PIL import Image

    grey = Image.fromarray(255 - hands(2).images[0]).resize((20, 12))
    colour = Image.merge("RGB", [grey, grey.rotate(180), grey])
    glass = Image.merge("RGBA", [*colour.split(), grey])
    deep = Image.fromarray((np.asarray(grey).astype(np.uint16) * 257).astype(np.uint16))
    exif = Image.Exif()
    exif[0x0112] = 6
    wanted: list[tuple[str, Any, str, dict[str, Any]]] = [
        ("png", colour, "PNG", {"exif": exif}),
        ("png-glass", glass, "PNG", {}),
        ("png-deep", deep, "PNG", {}),
        ("png-palette", colour.quantize(8), "PNG", {"transparency": 3}),
        ("apng", colour, "PNG", {"save_all": True, "append_images": [glass]}),
        ("jpeg", colour, "JPEG", {"exif": exif}),
        ("jpeg-progressive", colour, "JPEG", {"progressive": True}),
        ("jpeg-cmyk", colour.convert("CMYK"), "JPEG", {}),
        ("mpo", colour, "MPO", {"save_all": True, "append_images": [grey]}),
        ("tiff", colour, "TIFF", {}),
        ("tiff-pages", grey, "TIFF", {"save_all": True, "append_images": [grey.convert("1"), colour]}),
        ("tiff-float", grey.convert("F"), "TIFF", {}),
        ("tiff-deep", deep, "TIFF", {}),
        ("gif", grey, "GIF", {"save_all": True, "append_images": [colour.quantize(4)]}),
        ("bmp", colour, "BMP", {}),
        ("bmp-palette", grey.quantize(4), "BMP", {}),
        ("ppm", colour, "PPM", {}),
        ("pgm-deep", deep.convert("I"), "PPM", {}),
        ("pbm", grey.convert("1"), "PPM", {}),
        ("webp", colour, "WEBP", {"lossless": True}),
        ("webp-lossy", glass, "WEBP", {"exif": exif}),
        ("avif", colour, "AVIF", {}),
    ]
    wanted += [(f"tiff-{kind}", colour, "TIFF", {"compression": kind}) for kind in ("tiff_lzw", "jpeg", "packbits")]
    wanted += [(f"tiff-{kind}", grey.convert("1"), "TIFF", {"compression": kind}) for kind in ("group3", "group4")]
    seeds = {}
    for name, picture, kind, options in wanted:
        packed = io.BytesIO()
        picture.save(packed, kind, **options)
        seeds[name] = packed.getvalue()
    seeds["pgm-plain"] = b"P2 3 2 255\n0 9 255\n255 9 0\n"
    packed = io.BytesIO()
    colour.save(packed, "PDF")
    seeds["pdf"] = packed.getvalue()
    seeds["pdf-text"] = _pdf(b"BT /F1 12 Tf 10 10 Td (1984) Tj ET 0 0 50 20 re f 1 0 0 RG 0 0 m 9 9 l S")
    try:
        import pillow_heif
    except ImportError:
        return seeds
    packed = io.BytesIO()
    pillow_heif.from_pillow(colour.resize((64, 64))).save(packed)
    return seeds | {"heic": packed.getvalue()}


def _pdf(body: bytes) -> bytes:
    """A PDF of one page; without a table of offsets, which PDFium makes anew."""
    font = b"/Resources<</Font<</F1<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>>>"
    return b"\n".join(
        [
            b"%PDF-1.4\n1 0 obj <</Type/Catalog/Pages 2 0 R>> endobj",
            b"2 0 obj <</Type/Pages/Kids[3 0 R]/Count 1/MediaBox[0 0 72 36]>> endobj",
            b"3 0 obj <</Type/Page/Parent 2 0 R/Contents 4 0 R" + font + b">> endobj",
            b"4 0 obj <</Length %d>> stream\n%s\nendstream endobj" % (len(body), body),
            b"trailer <</Root 1 0 R>>",
        ]
    )


# Data files: the first byte says of which kind, a file's name would

_KINDS = ("images-idx3-ubyte", "images-idx3-ubyte.gz", "digits.csv", "digits.npz")


def load_data(data: bytes) -> None:
    """A byte for the kind of file, then the file -> Digits."""
    from digitnet.data.datasets import load

    if data:
        with refusals():
            digits = load(_file(_KINDS[data[0] % len(_KINDS)], data[1:]))
            assert digits.images.shape[1:] == (IMAGE_SIZE, IMAGE_SIZE)


def _data_files() -> dict[str, bytes]:
    from digitnet.data.formats import idx_bytes

    some = hands(2)
    idx = idx_bytes(some.images)
    compress = _gzip(idx)
    rows = [
        ",".join(map(str, [label, *picture.ravel()]))
        for label, picture in zip(some.labels, some.images, strict=True)  # type: ignore[arg-type]
    ]
    header = ",".join(["label", *(f"pixel{n}" for n in range(IMAGE_SIZE * IMAGE_SIZE))])
    packed, plain = io.BytesIO(), io.BytesIO()
    np.savez_compressed(packed, images=some.images, labels=some.labels)  # type: ignore[arg-type]
    np.savez(plain, images=some.images[:1], labels=some.labels[:1])  # type: ignore[index]
    return {
        "idx": b"\0" + idx,
        "idx-short": b"\0" + idx_bytes(some.images[:0]),
        "idx-gz": b"\1" + compress,
        "csv": b"\2" + "\n".join([header, *rows]).encode(),
        "csv-bare": b"\2" + rows[0].encode(),
        "npz": b"\3" + packed.getvalue(),
        "npz-plain": b"\3" + plain.getvalue(),
    }


def _gzip(data: bytes) -> bytes:
    import gzip

    return gzip.compress(data, mtime=0)


# Checkpoints: the first byte says of which kind


def load_checkpoint(data: bytes) -> None:
    """A byte for the kind of file, then the file -> a network, a run's state, or a run's JSON."""
    import torch

    from digitnet.models import checkpoint, run_folder
    from digitnet.models.networks import DigitNet

    if not data:
        return
    with refusals():
        match data[0] % 4:
            case 0:
                checkpoint.load_network(_file("model.safetensors", data[1:]))
            case 1:
                checkpoint.load_network(_file("their.pt", data[1:]))
            case 2:
                run_folder.load_json(_file("config.json", data[1:]))
            case 3:
                network = DigitNet()
                optimizer = torch.optim.Adam(network.parameters())
                checkpoint.load_state(_file("state.safetensors", data[1:]), [network], [optimizer])


def _checkpoints() -> dict[str, bytes]:
    import torch

    from digitnet.models import checkpoint

    little = {"conv1.weight": torch.zeros(2, 1, 3, 3), "conv1.bias": torch.zeros(2)}
    path, other = _folder() / "seed.safetensors", _folder() / "seed.pt"
    checkpoint.save_tensors(path, little, {"model": "digitnet"})
    state = {f"network.0.{name}": value for name, value in little.items()}
    checkpoint.save_tensors(
        _folder() / "seed-state.safetensors", state | {"optimizer.0.0.step": torch.ones(())}, {"epochs_done": 2}
    )
    torch.save(little, other)
    old = io.BytesIO()
    torch.save({"state_dict": little}, old, _use_new_zipfile_serialization=False)
    return {
        "safetensors": b"\0" + path.read_bytes(),
        "pt": b"\1" + other.read_bytes(),
        "pt-old": b"\1" + old.getvalue(),
        "json": b"\2" + b'{\n  "model": "digitnet",\n  "test": {"accuracy": 0.99, "list": [1, 2, null, true]}\n}',
        "state": b"\3" + (_folder() / "seed-state.safetensors").read_bytes(),
    }


# Models


def load_model(data: bytes) -> None:
    """An ONNX file -> a classifier and its answer, or a line reader and its."""
    from digitnet.models.model_file import STRIPS
    from digitnet.models.onnx_models import LineReader, OnnxClassifier

    path = _file("model.onnx", data)
    with refusals():
        if STRIPS.encode() in data:
            reader = LineReader(path, threads=1)
            (columns,) = reader([np.zeros((STRIP_HEIGHT, 32), np.uint8)])
            assert columns.log_probs.ndim == 2
        else:
            classifier = OnnxClassifier(path, threads=1)
            probs, digitness = classifier.classify(hands(2).images)
            assert probs.shape == (2, 10)
            assert digitness.shape == (2,)
            json.dumps(classifier.about, allow_nan=False).encode()
            classifier.layers(hands(2).images[0])


def _models() -> dict[str, bytes]:
    """Files as `export` writes them, of networks far smaller than ours, so that few of their bytes are weights."""
    import torch
    from torch import nn

    from digitnet.data.synthesis.composer import unseen
    from digitnet.data.synthesis.scribe import Written
    from digitnet.data.synthesis.texts import ALPHABET
    from digitnet.training.export import export
    from digitnet.training.line_export import export_lines

    class LittleLine(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.see = nn.Conv2d(1, len(ALPHABET) + 6, (STRIP_HEIGHT, 4), stride=(STRIP_HEIGHT, 4))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.see(x).squeeze(2).transpose(1, 2)  # type: ignore[no-any-return]

    torch.manual_seed(0)
    little = nn.Sequential(
        nn.Conv2d(1, 1, 3, stride=3), nn.MaxPool2d(2), nn.BatchNorm2d(1), nn.ReLU(), nn.Flatten(), nn.Linear(16, 10)
    )
    export(little, hands(20), {"name": "little"}, _folder() / "little.onnx")
    lines = [Written(line.image, line.text, line.boxes.astype(np.float32)) for line in unseen(hands(300), count=2)]
    export_lines(LittleLine(), lines, {"name": "line"}, _folder() / "line.onnx")
    return {name: (_folder() / f"{name}.onnx").read_bytes() for name in ("little", "line")}


# HTTP: a request as text, "METHOD address", headers, an empty line, the body


def ask(data: bytes) -> None:
    """A request -> an answer below 500."""
    head, _, body = data.partition(b"\n\n")
    first, *lines = head.split(b"\n")
    method, _, address = first.partition(b" ")
    path, _, query = address.partition(b"?")
    named = [line.partition(b":") for line in lines]
    headers = [(name.strip().lower(), value.strip()) for name, _, value in named if name.strip()]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "scheme": "http",
        "method": method.decode("latin-1") if method.isalpha() else "POST",
        "path": path.decode("utf-8", "replace") or "/",
        "raw_path": path,
        "root_path": "",
        # Servers take only what is printable in an address; the rest comes percent-encoded.
        "query_string": quote(query, safe="%=&.+-_~!$'()*,;:@/?").encode(),
        "headers": [(b"host", b"127.0.0.1"), *headers],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8000),
    }
    status, content = _loop().run_until_complete(_ask(scope, body))
    assert 200 <= status < 500, f"{status}: {content[:500]!r}"
    if status >= 400:
        assert json.loads(content)["status"] == status


async def _ask(scope: dict[str, Any], body: bytes) -> tuple[int, bytes]:
    sent: list[dict[str, Any]] = []
    incoming = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> dict[str, Any]:
        return incoming.pop() if incoming else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    await _application()(scope, receive, send)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])


@cache
def _loop() -> asyncio.AbstractEventLoop:
    return asyncio.new_event_loop()


@cache
def _application() -> Any:
    from digitnet.serving.app import create_app
    from digitnet.serving.service import Settings

    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)  # as the service has it
    return create_app(Settings(threads=1))


def _requests() -> dict[str, bytes]:
    pictures = _pictures()
    digit = hands(2).images[0]
    npy = io.BytesIO()
    np.save(npy, hands(2).images)
    images, one = json.dumps({"images": [digit.tolist()]}), json.dumps({"image": digit.tolist()})
    form = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\nContent-Type: image/png\r\n\r\n'
    kind = b"\ncontent-type: multipart/form-data; boundary=b\n\n"
    asked = b"single=true&lengths=1-6&range=0..100&checksum=luhn&min_confidence=0.5"
    return {
        "read": b"POST /v1/read\n\n" + pictures["png"],
        "read-rules": b"POST /v1/read?" + asked + b"\n\n" + pictures["gif"],
        "read-length": b"POST /v1/read?length=3&checksum=ean\n\n" + pictures["pbm"],
        "read-form": b"POST /v1/read" + kind + form + pictures["png"] + b"\r\n" + form + b"no\r\n--b--\r\n",
        "read-tiff": b"POST /v1/read\n\n" + pictures["tiff-pages"],
        "classify": b"POST /v1/classify?model=digitnet\ncontent-type: application/json\n\n" + images.encode(),
        "classify-npy": b"POST /v1/classify\n\n" + npy.getvalue(),
        "inside": b"POST /v1/inside?model=strong\ncontent-type: application/json\n\n" + one.encode(),
        "inside-picture": b"POST /v1/inside\n\n" + pictures["jpeg"],
        "models": b"GET /v1/models\nif-none-match: x\n\n",
        "page": b"GET /\norigin: http://127.0.0.1\nsec-fetch-site: same-origin\n\n",
        "metrics": b"GET /metrics\naccept: text/plain\n\n",
        "docs": b"GET /openapi.json\n\n",
    }


TARGETS = {
    "image": Target("decoding pictures and PDFs", decode, _pictures),
    "data": Target("reading IDX, CSV and npz", load_data, _data_files),
    "checkpoint": Target("opening runs and weights", load_checkpoint, _checkpoints),
    "model": Target("opening and asking ONNX files", load_model, _models),
    "http": Target("HTTP requests", ask, _requests),
}
"""The targets by name."""


def mend(data: bytes) -> bytes:
    """Return a PNG, or a zip of stored members, with its checksums put right: else no change would get past them."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return _mend_png(data)
    return data


def _mend_png(data: bytes) -> bytes:
    import zlib

    mended, at = bytearray(data), 8
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        end = at + 8 + length
        if end + 4 > len(data):
            break
        mended[end : end + 4] = zlib.crc32(data[at + 4 : end]).to_bytes(4, "big")
        at = end + 4
    return bytes(mended)


def mutations(data: bytes, count: int, rng: np.random.Generator) -> Iterator[tuple[str, bytes]]:
    """Yield `count` damaged copies of some bytes, each with what was done: bits turned, cut, repeated, overwritten."""
    for _ in range(count):
        changed = bytearray(data)
        at = int(rng.integers(len(data)))
        match int(rng.integers(6)):
            case 0:
                changed[at] ^= 1 << int(rng.integers(8))
                yield f"bit at {at}", bytes(changed)
            case 1:
                yield f"cut at {at}", bytes(changed[:at])
            case 2:
                end = at + int(rng.integers(1, 64))
                yield f"without {at} to {end}", bytes(changed[:at] + changed[end:])
            case 3:
                end = at + int(rng.integers(1, 64))
                yield f"twice {at} to {end}", bytes(changed[:end] + changed[at:])
            case 4:
                some = _noise(rng, 8)
                changed[at : at + len(some)] = some
                yield f"noise at {at}", bytes(changed)
            case _:
                for place in rng.integers(len(data), size=int(rng.integers(2, 20))):
                    changed[int(place)] ^= 1 << int(rng.integers(8))
                yield f"bits from {at}", bytes(changed)


def _noise(rng: np.random.Generator, most: int) -> bytes:
    some: NDArray[np.uint8] = rng.integers(0, 256, int(rng.integers(1, most + 1)), np.uint8)
    return some.tobytes()


def replay(paths: Sequence[Path]) -> None:
    """Try files named TARGET-WORDS, each with the limits of fuzzing, and print a line of JSON for each."""
    for path in paths:
        began, fault = time.process_time(), ""
        try:
            TARGETS[path.name.partition("-")[0]].try_it(path.read_bytes())
        except Exception as error:
            fault = f"{type(error).__name__}: {error}"
        seconds = time.process_time() - began
        print(json.dumps({"name": path.name, "fault": fault, "seconds": seconds, "megabytes": most_memory()}))


def most_memory() -> float:
    """Return the most memory that this process has held, MB; on Linux without what its parent held before it."""
    status = Path("/proc/self/status")
    if status.is_file():
        return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM")) / 1000
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


if __name__ == "__main__":
    replay([Path(word) for word in sys.argv[1:]])
