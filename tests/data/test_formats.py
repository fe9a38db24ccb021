import gzip
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image, ImageDraw, ImageOps

from digitnet import DataError, frame
from digitnet.data import formats, pictures


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (5, 28, 28), dtype=np.uint8)


LABELS = np.array([3, 1, 4, 1, 5], np.uint8)


def write_idx_pair(folder, images, labels=LABELS, gz=False):
    """Write IDX files with struct, independently of the code under test."""
    pixels = struct.pack(">4I", 0x803, *images.shape) + images.tobytes()
    marks = struct.pack(">2I", 0x801, len(labels)) + labels.tobytes()
    pack, end = (gzip.compress, ".gz") if gz else (bytes, "")
    (folder / f"train-images-idx3-ubyte{end}").write_bytes(pack(pixels))
    (folder / f"train-labels-idx1-ubyte{end}").write_bytes(pack(marks))
    return folder / f"train-images-idx3-ubyte{end}"


@given(arrays(np.uint8, array_shapes(min_dims=1, max_dims=3, max_side=7)))
def test_idx_bytes_read_back_as_the_same_array(array):
    back = formats.parse_idx(formats.idx_bytes(array), "x")
    assert back.shape == array.shape
    assert (back == array).all()


@given(st.binary(max_size=64))
def test_any_bytes_are_an_idx_array_or_a_data_error(data):
    try:
        assert formats.parse_idx(data, "x").dtype == np.uint8
    except DataError as error:
        assert str(error).startswith("x: ")


@pytest.mark.parametrize("gz", [False, True])
def test_an_idx_file_brings_the_labels_beside_it(tmp_path, images, gz):
    path = write_idx_pair(tmp_path, images, gz=gz)
    for name in (path, path.with_name(path.name.replace("images-idx3", "labels-idx1"))):
        read, labels = formats.read_idx(name)
        assert (read == images).all()
        assert (labels == LABELS).all()


def test_idx_images_without_a_labels_file_have_no_labels(tmp_path, images):
    path = write_idx_pair(tmp_path, images)
    (tmp_path / "train-labels-idx1-ubyte").unlink()
    assert formats.read_idx(path)[1] is None


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda data: b"", "not an IDX file"),
        (lambda data: b"PK\3\4" + data, "not an IDX file"),
        (lambda data: data[:2] + b"\x0d" + data[3:], "type code 0x0d"),
        (lambda data: data[:10], "truncated inside its header"),
        (lambda data: data[:-1], "truncated"),
        (lambda data: data + b"\0", "too long"),
        (lambda data: data[:4] + b"\xff\xff\xff\xff" + data[8:], "states more than 4 GiB"),
        (lambda data: data[:4] + b"\x00\x01\x00\x00" + data[8:], "truncated"),
        (lambda data: data[:4] + struct.pack(">3I", 20, 14, 14) + data[16:], "expected images (n, 28, 28)"),
    ],
)
def test_a_damaged_idx_file_is_named_with_its_fault(tmp_path, images, damage, words):
    path = write_idx_pair(tmp_path, images)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError) as caught:
        formats.read_idx(path)
    assert words in str(caught.value)
    assert path.name in str(caught.value)


def test_a_truncated_gz_is_named(tmp_path, images):
    path = write_idx_pair(tmp_path, images, gz=True)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte\.gz: .*gzip"):
        formats.read_idx(path)


def test_labels_that_differ_in_count_are_refused(tmp_path, images):
    path = write_idx_pair(tmp_path, images, LABELS[:4])
    with pytest.raises(DataError, match=r"\(4,\) labels for 5 images"):
        formats.read_idx(path)


def csv_text(images, labels=LABELS, header=True):
    names = ",".join([*(["label"] if labels is not None else []), *(f"pixel{i}" for i in range(784))])
    rows = [",".join(map(str, image.ravel())) for image in images]
    if labels is not None:
        rows = [f"{label},{row}" for label, row in zip(labels, rows, strict=True)]
    return "\n".join([*([names] if header else []), *rows]) + "\n"


@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("labelled", [True, False])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_csv_reads_back(tmp_path, images, header, labelled, newline):
    path = tmp_path / "digits.csv"
    text = csv_text(images, LABELS if labelled else None, header).replace("\n", newline)
    path.write_bytes(b"\xef\xbb\xbf" * header + text.encode())
    read, labels = formats.read_csv(path)
    assert (read == images).all()
    assert labels.tolist() == LABELS.tolist() if labelled else labels is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: "a,b,c\n1,2,3\n", "3 columns, expected 784"),
        (lambda text: "", "0 columns"),
        (lambda text: text.split("\n")[0] + "\n", "contains only a header"),
        (lambda text: text.replace("label", "answer", 1), "has the name 'answer'"),
        (lambda text: text.rstrip() + ",7\n", "line 6 has 786 columns"),
        (lambda text: text.replace("\n3,", "\n3,x", 1), "line 2 has 'x"),
        (lambda text: text.replace("\n3,", "\n3,999", 1), "line 2 has a pixel outside 0..255"),
        (lambda text: text.replace("\n1,", "\n1,-1", 1), "outside 0..255"),
    ],
)
def test_a_wrong_csv_is_named_with_its_line(tmp_path, images, change, words):
    path = tmp_path / "digits.csv"
    path.write_text(change(csv_text(images)))
    with pytest.raises(DataError) as caught:
        formats.read_csv(path)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_binary_file_called_csv_is_refused(tmp_path):
    path = tmp_path / "digits.csv"
    path.write_bytes(b"\xff\xfe\0\1" * 100)
    with pytest.raises(DataError, match="not a text file"):
        formats.read_csv(path)


def test_an_npz_reads_back(tmp_path, images):
    np.savez_compressed(tmp_path / "digits.npz", images=images, labels=LABELS)
    read, labels = formats.read_npz(tmp_path / "digits.npz")
    assert (read == images).all()
    assert (labels == LABELS).all()


@pytest.mark.parametrize(
    ("arrays_", "words"),
    [
        ({"z": np.zeros(3)}, "no array named 'images' (it has z)"),
        ({"images": np.zeros((2, 28, 29, 28))}, "(2, 28, 29, 28) float64, expected images (n, 28, 28), or (n, 784)"),
        ({"images": np.zeros((2, 4, 4), np.uint8)}, "images of 4x4 pixels; expected 28x28, or 8 to 1024 per side"),
        ({"images": np.full((2, 28, 28), 256)}, "pixels from 256 to 256; expected 0..255 or 0..1"),
        (
            {"images": np.linspace(-0.42, 2.82, 784).reshape(1, 28, 28)},
            "to 2.82, as if normalised: save",
        ),
        ({"images": np.full((2, 28, 28), np.nan)}, "pixels that are not finite"),
        ({"images": np.array(["seven"])}, "<U5, expected numbers"),
        (
            {"images": np.zeros((1, 28, 28), np.uint8), "labels": np.array([["seven", "six"]])},
            "labels are (1, 2) <U5, expected (n,)",
        ),
        ({"images": np.zeros((2, 28, 28), np.uint8), "labels": np.zeros(3, int)}, "labels are (3,)"),
        ({"images": np.array([{"a": 1}], object)}, "pickled objects, which digitnet does not open"),
    ],
)
def test_a_wrong_npz_is_named_with_its_fault(tmp_path, arrays_, words):
    path = tmp_path / "digits.npz"
    np.savez(path, **arrays_)
    with pytest.raises(DataError) as caught:
        formats.read_npz(path)
    assert words in str(caught.value)


@given(st.binary(max_size=200), st.integers(0, 400))
def test_a_damaged_npz_is_a_data_error(tmp_path_factory, noise, at):
    path = tmp_path_factory.mktemp("npz") / "digits.npz"
    np.savez(path, images=np.zeros((1, 28, 28), np.uint8))
    data = bytearray(path.read_bytes())
    data[at : at + len(noise)] = noise
    path.write_bytes(data)
    try:
        formats.read_npz(path)
    except DataError as error:
        assert str(path) in str(error)


def test_a_folder_of_pictures_reads_by_its_subfolders_names(tmp_path, images):
    for i, label in enumerate(LABELS):
        (tmp_path / str(label)).mkdir(exist_ok=True)
        Image.fromarray(images[i]).save(tmp_path / str(label) / f"{i}.png")
    (tmp_path / "3" / "notes.txt").write_text("passed over")
    (tmp_path / "other").mkdir()
    read, labels = pictures.read_folder(tmp_path)
    order = np.argsort(LABELS, kind="stable")
    assert (labels == LABELS[order]).all()
    assert (read == images[order]).all()


def test_pictures_of_other_sizes_are_framed_dark_or_light(tmp_path):
    (tmp_path / "7").mkdir()
    page = Image.new("L", (120, 160), 255)
    ImageDraw.Draw(page).line([(30, 30), (90, 30), (60, 130)], fill=20, width=9)
    page.save(tmp_path / "7" / "dark.png")
    ImageOps.invert(page).resize((240, 320)).save(tmp_path / "7" / "light.jpg", quality=95)
    (dark, light), labels = pictures.read_folder(tmp_path)
    assert labels.tolist() == [7, 7]
    assert (dark == frame(np.asarray(page))).all()
    assert np.abs(dark.astype(float) - light).mean() < 4


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("large", "5000x4000 pixels, more than the 16,000,000 of a digit; crop it"),
        ("text", "not a readable image"),
        ("cut", "not a readable image"),
    ],
)
def test_a_wrong_picture_is_named(tmp_path, content, words):
    path = tmp_path / "7" / "a.png"
    path.parent.mkdir()
    Image.new("L", (5000, 4000) if content == "large" else (28, 28)).save(path)
    if content == "text":
        path.write_text("no picture")
    if content == "cut":
        path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(DataError) as caught:
        pictures.read_folder(tmp_path)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)


def test_pictures_of_every_common_kind_become_grey(tmp_path, images):
    (tmp_path / "5").mkdir()
    grey = Image.fromarray(images[0])
    transparent = Image.merge("LA", (Image.new("L", (28, 28), 255), grey))
    kinds = (grey, grey.convert("RGB"), grey.convert("P"), grey.convert("RGBA"), transparent)
    for i, picture in enumerate(kinds):
        picture.save(tmp_path / "5" / f"{i}.png")
    read, _ = pictures.read_folder(tmp_path)
    assert np.abs(read.astype(int) - images[0]).max() <= 1


def test_pictures_with_sixteen_bits_are_refused_rather_than_clipped(tmp_path, images):
    (tmp_path / "5").mkdir()
    Image.fromarray(images[0].astype(np.uint16) * 256).save(tmp_path / "5" / "a.png")
    with pytest.raises(DataError, match="save it with 8 bits per channel"):
        pictures.read_folder(tmp_path)
