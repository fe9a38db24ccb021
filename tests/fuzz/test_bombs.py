"""Small files that claim or unpack to much more: refused within twice the largest array allowed."""

import gzip
import io
import json
import struct
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import torch

from digitnet.models.networks import DigitNet

LIMIT = 64 << 20
"""The largest array allowed here, bytes."""

BOMB = 3 * LIMIT
"""What the bombs unpack to."""

SCRIPT = """
import sys
from pathlib import Path
from digitnet import DataError, DigitNetError
from digitnet.data import datasets as data
from digitnet.data import formats
from digitnet.evaluation import misclassified as mistakes

kind, path, limit = sys.argv[1:]
if kind == "model":
    from digitnet.models import checkpoint

def peak():
    return next(int(line.split()[1]) << 10 for line in Path("/proc/self/status").open() if line.startswith("VmHWM"))

if kind == "table":
    import pyarrow.parquet

    from digitnet.data import parquet
    from digitnet.reading.bulk import inputs as store

    store.MAX_FILE_BYTES = parquet.MAX_FILE_BYTES = int(limit)

formats.MAX_BYTES = int(limit)
before = peak()
try:
    if kind == "table":
        for row in store.contents([store.Input(n, path, n) for n in range(store.files([path], "out")[0].rows)]):
            if isinstance(row, Exception):
                raise row
        raise DataError("read")
    (data.load if kind == "data" else mistakes.load_report if kind == "run" else checkpoint.load_network)(Path(path))
except DigitNetError as error:
    print(error, file=sys.stderr)
print(peak() - before)
"""


def packed(*parts):
    """gzip of parts, each bytes or how many zeros."""
    file = io.BytesIO()
    with gzip.GzipFile(fileobj=file, mode="wb", compresslevel=1) as stream:
        for part in parts:
            if isinstance(part, int):
                for _ in range(part >> 20):
                    stream.write(bytes(1 << 20))
            else:
                stream.write(part)
    return file.getvalue()


def repeated(line, size):
    return packed(*[line * ((1 << 20) // len(line))] * (size >> 20))


def archive(members, pack=zipfile.ZIP_DEFLATED):
    """A zip file of members, each some bytes and zeros behind them."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", pack, compresslevel=1) as into:
        for name, (start, zeros) in members.items():
            with into.open(name, "w", force_zip64=True) as member:
                member.write(start)
                for _ in range(zeros >> 20):
                    member.write(bytes(1 << 20))
    return file.getvalue()


def npy(shape, dtype="|u1"):
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": dtype, "fortran_order": False, "shape": shape})
    return file.getvalue()


def idx(*shape):
    return struct.pack(f">{len(shape) + 1}I", 0x800 + len(shape), *shape)


def weights_archive():
    saved = io.BytesIO()
    torch.save(DigitNet().state_dict(), saved)
    with zipfile.ZipFile(saved) as whole:
        members = {member.filename: (whole.read(member), 0) for member in whole.infolist()}
    return archive({name: (b"", BOMB) if name.endswith("data/0") else parts for name, parts in members.items()})


def many_tensors():
    count = 50_000
    header = json.dumps({f"{i}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for i in range(count)}).encode()
    return struct.pack("<Q", len(header)) + header


def table(pictures, **how):
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    file = io.BytesIO()
    pq.write_table(pa.table({"image": pictures(pa)}), file, compression="zstd", store_schema=False, **how)
    return file.getvalue()


def one_large_picture():
    return table(lambda pa: pa.array([bytes(BOMB)], pa.binary()), use_dictionary=False)


def one_picture_often():
    def pictures(pa):
        return pa.DictionaryArray.from_arrays(pa.array([0] * 64), pa.array([bytes(LIMIT // 8)], pa.binary()))

    return table(pictures, dictionary_pagesize_limit=1 << 30)


def many_members():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as into:
        for i in range(60_000):
            into.writestr(str(i), b"")
    return file.getvalue()


BOMBS = {
    "zeros-ubyte.gz": (lambda: packed(BOMB), "not an IDX file"),
    "far-images-idx3-ubyte.gz": (lambda: packed(idx(BOMB // 784, 28, 28), BOMB), "states more than"),
    "long-images-idx3-ubyte.gz": (lambda: packed(idx(1000, 28, 28), BOMB), "too long"),
    "wide-images-idx3-ubyte.gz": (lambda: packed(idx(1, 1 << 14, 1 << 14), BOMB), "expected images (n, 28, 28)"),
    "endless-line.csv.gz": (lambda: repeated(b"0,", BOMB), "has a line of more than"),
    "endless.csv.gz": (lambda: repeated(b",".join([b"0"] * 784) + b"\n", BOMB), "contains more than"),
    "blank.csv.gz": (lambda: repeated(b"\n", BOMB), "0 columns"),
    "large.npz": (lambda: archive({"images.npy": (npy((BOMB // 784, 28, 28)), BOMB)}), "has more than"),
    "long.npz": (lambda: archive({"images.npy": (npy((1000, 28, 28)), BOMB)}), "is truncated or too long"),
    "cut.npz": (lambda: archive({"images.npy": (npy((LIMIT // 784, 28, 28)), 0)}), "is truncated or too long"),
    "text.npz": (lambda: archive({"images.npy": (npy((1,), f"<U{BOMB // 4}"), BOMB)}), "expected numbers"),
    "header.npz": (
        lambda: archive({"images.npy": (b"\x93NUMPY\2\0" + struct.pack("<I", BOMB), BOMB)}),
        "not a readable .npz",
    ),
    "lzma.npz": (lambda: archive({"images.npy": (npy((1, 28, 28)), 0)}, zipfile.ZIP_LZMA), "uses a compression"),
    "members.npz": (many_members, "its list of members is too long"),
    "run/errors.npz": (
        lambda: archive({f"{name}.npy": (npy((BOMB // 784, 28, 28)), BOMB) for name in ERRORS}),
        "has more than",
    ),
    "packed.pt": (weights_archive, "without compression"),
    "many.safetensors": (many_tensors, "a header of"),
    "large.parquet": (one_large_picture, "unpack to more than 100 times their size"),
    "often.parquet": (one_picture_often, "read"),
}
ERRORS = ("images", "index", "labels", "predicted", "probability")


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of memory is told by Linux")
@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_within_twice_the_largest_array(name, tmp_path, environment):
    make, words = BOMBS[name]
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(make())
    assert path.stat().st_size < LIMIT / 2
    kind = {".pt": "model", ".safetensors": "model", ".parquet": "table"}.get(path.suffix, "data")
    if path.parent != tmp_path:
        kind, path = "run", path.parent
        (path / "scores.json").write_text('{"confusion": []}')
    command = [sys.executable, "-c", SCRIPT, kind, str(path), str(LIMIT)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert words in done.stderr
    assert int(done.stdout) <= 2 * LIMIT


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of memory is told by Linux")
@pytest.mark.parametrize("name", ["images-idx3-ubyte.gz", "digits.npz", "digits.csv.gz"])
def test_the_largest_array_itself_is_read_within_twice_its_size(name, tmp_path, environment):
    count = LIMIT // 784
    zeros = count * 784 >> 20 << 20
    rest = bytes(count * 784 - zeros)
    content = {
        "images-idx3-ubyte.gz": lambda: packed(idx(count, 28, 28), zeros, rest),
        "digits.npz": lambda: archive({"images.npy": (npy((count, 28, 28)) + rest, zeros)}),
        "digits.csv.gz": lambda: packed((",".join(["0"] * 784) + "\n").encode() * count),
    }[name]()
    (tmp_path / name).write_bytes(content)
    command = [sys.executable, "-W", "ignore", "-c", SCRIPT, "data", str(tmp_path / name), str(LIMIT)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert done.stderr == ""
    assert LIMIT * 0.9 < int(done.stdout) <= 2 * LIMIT
