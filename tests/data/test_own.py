"""Data as people get it elsewhere: Keras, Kaggle, OpenML, EMNIST, Hugging Face, a Mac's archive."""

import gzip
import io
import logging
import warnings

import cv2
import numpy as np
import pytest
from helpers import draw_digits
from PIL import Image

from digitnet import DataError, Digits, frame, load
from digitnet.data import formats, pixels, splits


@pytest.fixture(scope="module")
def few():
    return draw_digits(20, 4)


@pytest.fixture(scope="module")
def written():
    """Sixty digits as a pen writes them, slanted: so near to MNIST's means that most are recognised by those."""
    rng, labels, images = np.random.default_rng(0), (np.arange(60) % 10).astype(np.uint8), []
    for label in labels:
        page, size = np.zeros((60, 60), np.uint8), float(rng.uniform(1, 1.4))
        cv2.putText(page, str(label), (18, 42), cv2.FONT_HERSHEY_SIMPLEX, size, 255, 4, cv2.LINE_AA)
        slant = np.array([[1, rng.uniform(-0.3, -0.1), 6], [0, 1, 0]], np.float32)
        images.append(frame(cv2.warpAffine(page, slant, (60, 60))))
    return Digits(np.stack(images), labels)


def save_csv(path, rows, header=None):
    np.savetxt(path, rows, "%s", ",", header=",".join(header or []), comments="")
    return path


def png(image):
    content = io.BytesIO()
    Image.fromarray(image).save(content, "PNG")
    return content.getvalue()


def same(found, digits):
    return bool((found.images == digits.images).all()) and bool((found.labels == digits.labels).all())


@pytest.mark.parametrize("names", [("x_{}", "y_{}"), ("{}_images", "{}_labels"), ("X_{}", "Y_{}")])
def test_keras_archive_has_parts(names, few, tmp_path):
    parts = {"train": few[:12], "test": few[12:]}
    arrays = {names[0].format(part): digits.images for part, digits in parts.items()}
    labels = {names[1].format(part): digits.labels for part, digits in parts.items()}
    np.savez(tmp_path / "mnist.npz", **arrays, **labels)
    for part, digits in parts.items():
        assert same(load(tmp_path / "mnist.npz", part), digits)
    assert len(load(tmp_path / "mnist.npz", "all")) == 20


def test_openmls_csv_has_its_label_last(few, tmp_path):
    rows = np.column_stack([few.images.reshape(20, 784), few.labels])
    header = [*(f"pixel{i}" for i in range(1, 785)), "class"]
    assert same(load(save_csv(tmp_path / "mnist_784.csv", rows, header)), few)
    quoted = np.column_stack([few.images.reshape(20, 784), [f'"{label}"' for label in few.labels]])
    assert same(load(save_csv(tmp_path / "quoted.csv", quoted, header)), few)


def test_fractions_in_a_csv_are_scaled_and_told(few, tmp_path, caplog):
    shares = np.round(few.images.reshape(20, 784) / 255, 5)
    with caplog.at_level(logging.INFO):
        assert same(load(save_csv(tmp_path / "shares.csv", np.column_stack([few.labels, shares]))), few)
    assert "values 0..1, scaled to 0..255" in caplog.text
    floats = np.column_stack([few.labels, few.images.reshape(20, 784)]).astype(float)
    assert same(load(save_csv(tmp_path / "floats.csv", floats)), few)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda images: images / 255, "0..1, scaled"),
        (lambda images: (images / 255).astype(np.float32)[..., None], "0..1, scaled"),
        (lambda images: images.astype(np.int64).reshape(-1, 784), ""),
        (lambda images: images.astype(np.float64), ""),
        (lambda images: np.repeat(images[..., None], 3, axis=3), "colour images, converted to grey"),
        (lambda images: np.repeat(images[:, None], 3, axis=1) / 255, "colour images, converted to grey"),
        (lambda images: images[:, None], ""),
    ],
)
def test_arrays_of_usual_layouts_become_the_same_digits(change, told, few, caplog):
    with caplog.at_level(logging.INFO):
        images = pixels.to_images(change(few.images), "x")
    assert np.abs(images.astype(int) - few.images).max() <= 1
    assert told in caplog.text
    assert bool(told) == bool(caplog.text)


def test_images_of_other_sizes_are_framed_and_that_is_told(few, tmp_path, caplog):
    large = few.images.repeat(2, axis=1).repeat(2, axis=2)
    np.savez(tmp_path / "large.npz", images=large, labels=few.labels)
    with caplog.at_level(logging.INFO):
        digits = load(tmp_path / "large.npz")
    assert (digits.images == [frame(image) for image in large]).all()
    assert "large.npz: images: images of 56x56 pixels, framed to 28x28 like MNIST's" in caplog.text
    levels = (few.images[:, 2:26:3, 2:26:3] // 16).reshape(20, 64)
    levels[0, 0] = 16
    assert load(save_csv(tmp_path / "small.csv", np.column_stack([few.labels, levels]))).images.shape == (20, 28, 28)


@pytest.mark.parametrize(
    "labels", [lambda x: x.astype(str), lambda x: x.astype(float), lambda x: np.eye(10)[x], lambda x: x[:, None]]
)
def test_labels_of_usual_kinds_are_digits(labels, few):
    assert (pixels.to_labels(labels(few.labels), "x") == few.labels).all()


@pytest.mark.parametrize("wrong", [[0.5, 1], [["a", "b"], ["c", "d"]], [[1, 2], [3, 4]], [np.nan, 1], [np.inf, 1]])
def test_labels_that_are_none_are_refused(wrong):
    with pytest.raises(DataError, match=r"x: labels are .* expected"):
        pixels.to_labels(np.array(wrong), "x")


def test_kaggles_nested_idx_files_are_found(few, tmp_path):
    for part, digits in {"train": few[:12], "t10k": few[12:]}.items():
        for name, array in {"images-idx3": digits.images, "labels-idx1": digits.labels}.items():
            folder = tmp_path / "archive" / f"{part}-{name}-ubyte"
            folder.mkdir(parents=True)
            (folder / f"{part}-{name}-ubyte").write_bytes(formats.idx_bytes(array))
            (tmp_path / "archive" / f"{part}-{name.replace('-', '.')}-ubyte").write_bytes(formats.idx_bytes(array))
    assert same(load(tmp_path / "archive"), few[12:])
    for file in (tmp_path / "archive").glob("*.idx*"):
        file.unlink()
    assert same(load(tmp_path / "archive", "train"), few[:12])
    assert same(load(tmp_path), few[12:])


def test_parts_of_several_sets_in_one_folder_are_not_mixed(few, tmp_path):
    for name in ("digits", "letters"):
        for part in ("train", "test"):
            path = tmp_path / f"emnist-{name}-{part}-images-idx3-ubyte.gz"
            path.write_bytes(gzip.compress(formats.idx_bytes(few.images)))
    with pytest.raises(DataError, match=r"has emnist-digits-train-images-idx3-ubyte.gz, emnist-letters-.*; name one"):
        load(tmp_path)


def save_folder(folder, digits):
    for i, (image, label) in enumerate(zip(digits.images, digits.labels, strict=True)):
        (folder / str(label)).mkdir(parents=True, exist_ok=True)
        (folder / str(label) / f"{i:02}.png").write_bytes(png(image))


def by_label(digits):
    return digits[np.argsort(digits.labels, kind="stable")]


@pytest.mark.parametrize("names", [("training", "testing"), ("trainingSet/trainingSet", "testSet"), ("train", "test")])
def test_folders_of_pictures_have_parts_by_any_of_their_names(names, few, tmp_path):
    for name, digits in zip(names, (few[:12], few[12:]), strict=True):
        save_folder(tmp_path / "mnist_png" / name, digits)
    assert same(load(tmp_path / "mnist_png"), by_label(few[12:]))
    assert same(load(tmp_path / "mnist_png", "train"), by_label(few[:12]))


def test_a_folder_out_of_a_macs_archive_is_read(few, tmp_path):
    save_folder(tmp_path / "digits", few)
    for path in [*(tmp_path / "digits").rglob("*.png")]:
        path.with_name(f"._{path.name}").write_bytes(b"\0\5\x16\7")
    (tmp_path / "digits" / ".DS_Store").write_bytes(b"\0")
    (tmp_path / "__MACOSX" / "digits" / "0").mkdir(parents=True)
    (tmp_path / ".DS_Store").write_bytes(b"\0")
    assert same(load(tmp_path), by_label(few))
    assert same(load(tmp_path / "digits"), by_label(few))


def test_pictures_of_other_sizes_are_told_of(few, tmp_path, caplog):
    save_folder(tmp_path, few[:3])
    Image.new("L", (40, 50)).save(tmp_path / str(few.labels[0]) / "large.png")
    with caplog.at_level(logging.INFO), pytest.warns(UserWarning, match="1 images are blank"):
        load(tmp_path)
    assert "1 images of other sizes, framed to 28x28" in caplog.text


def parquet(path, digits, **columns):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    pictures = [{"bytes": png(image), "path": None} for image in digits.images]
    table = {"image": pictures, "label": digits.labels.astype(np.int64)} | columns
    pq.write_table(pa.table({name: column for name, column in table.items() if column is not None}), path)


def test_hugging_faces_parquet_files_are_read(few, tmp_path):
    (tmp_path / "mnist").mkdir()
    parquet(tmp_path / "mnist" / "train-00000-of-00001.parquet", few[:12])
    parquet(tmp_path / "mnist" / "test-00000-of-00001.parquet", few[12:])
    (tmp_path / "README.md").write_text("a card")
    assert same(load(tmp_path), few[12:])
    assert same(load(tmp_path / "mnist" / "train-00000-of-00001.parquet"), few[:12])
    numbers = {f"pixel{i}": column for i, column in enumerate(few.images.reshape(20, 784).T)}
    parquet(tmp_path / "784.parquet", few, image=None, label=None, **numbers, **{"class": few.labels.astype(str)})
    assert same(load(tmp_path / "784.parquet"), few)


def test_a_wrong_parquet_file_is_named_with_its_fault(few, tmp_path):
    pa = pytest.importorskip("pyarrow")
    parquet(tmp_path / "a.parquet", few, image=[b"no picture"] * 20)
    with pytest.raises(DataError, match=r"a\.parquet: row 0: not a readable image"):
        load(tmp_path / "a.parquet")
    parquet(tmp_path / "b.parquet", few, image=pa.array([7] * 20))
    with pytest.raises(DataError, match=r"b\.parquet: its columns are image \(int64\), label"):
        load(tmp_path / "b.parquet")
    (tmp_path / "c.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match=r"c\.parquet: not a Parquet file that can be read"):
        load(tmp_path / "c.parquet")
    parquet(tmp_path / "d.parquet", few, label=pa.array([None, *few.labels[1:].tolist()]))
    with pytest.raises(DataError, match=r"d\.parquet: labels are"):
        load(tmp_path / "d.parquet")


def transposed(digits):
    return np.ascontiguousarray(digits.images.transpose(0, 2, 1))


def test_digits_that_lie_as_emnists_are_turned_with_a_warning(written, tmp_path):
    rows = np.column_stack([written.labels, transposed(written).reshape(-1, 784)])
    with pytest.warns(UserWarning, match="rows and columns of the images are swapped, as in EMNIST's files"):
        assert same(load(save_csv(tmp_path / "emnist.csv", rows)), written)
    np.savez(tmp_path / "emnist.npz", images=transposed(written), labels=written.labels)
    with pytest.warns(UserWarning, match="they are transposed"):
        assert same(load(tmp_path / "emnist.npz"), written)


def test_upright_digits_stay_as_they_are(written, drawn):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for digits in (written, drawn, written[:3], Digits(written.images)):
            assert pixels.upright(digits, "x") is digits


def test_digits_of_which_it_is_unclear_how_they_lie_are_refused(written, tmp_path):
    mixed, labels = np.concatenate([written.images[:25], transposed(written)[25:]]), written.labels
    path = save_csv(tmp_path / "mixed.csv", np.column_stack([labels, mixed.reshape(-1, 784)]))
    with pytest.raises(DataError, match="so their orientation is unclear; inspect some, and save them upright"):
        load(path)
    np.savez(tmp_path / "mixed.npz", images=mixed, labels=labels)
    assert (load(tmp_path / "mixed.npz").images == mixed).all()


@pytest.mark.mnist
def test_mnist_is_upright_and_turned_mnist_is_noticed(mnist_folder):
    digits = load("mnist")
    assert pixels.upright(digits, "x") is digits
    for start in range(0, 1000, 50):
        some = digits[start : start + 50]
        with pytest.warns(UserWarning, match="they are transposed"):
            assert same(pixels.upright(Digits(transposed(some), some.labels), "x"), some)


NAMED = ("0", "x", "Ä")


@pytest.mark.parametrize("kind", ["npz", "csv", "headed", "label last", "folder", "parts"])
def test_labels_of_other_names_are_kept_in_every_format(kind, few, tmp_path):
    images, labels = few.images[:6], np.array([NAMED[(i + 1) % 3] for i in range(6)])
    if kind == "npz":
        np.savez(path := tmp_path / "named.npz", images=images, labels=labels)
    elif kind in ("folder", "parts"):
        path = tmp_path / "named"
        for place, (image, label) in enumerate(zip(images, labels, strict=True)):
            for part in ("train", "test") if kind == "parts" else ("",):
                (path / part / label).mkdir(parents=True, exist_ok=True)
                (path / part / label / f"{place}.png").write_bytes(png(image))
    else:
        rows = np.column_stack([labels, images.reshape(6, -1)])
        header = ["label", *map(str, range(784))] if kind == "headed" else None
        path = save_csv(tmp_path / "named.csv", rows[:, ::-1] if kind == "label last" else rows, header)
    digits = load(path)
    assert digits.names == NAMED
    assert np.bincount(digits.labels).tolist() == [2, 2, 2]
    found = digits.images[digits.labels == 2]
    wanted = images[labels == "Ä"]
    assert sorted(image.tobytes() for image in found) == sorted(
        (image[::-1, ::-1] if kind == "label last" else image).tobytes() for image in wanted
    )


def test_a_few_digits_keep_the_names_of_all_ten(few, tmp_path):
    np.savez(tmp_path / "few.npz", images=few.images[:3], labels=few.labels[:3].astype(str))
    assert load(tmp_path / "few.npz").names == tuple("0123456789")


@pytest.mark.parametrize("kind", ["npz", "csv", "text", "folder", "parts"])
def test_whole_numbers_above_9_are_names_in_the_order_of_their_values(kind, few, tmp_path):
    images, labels = few.images[:6], np.array([26, 3, 9, 10, 3, 9])
    path = tmp_path / "numbered"
    if kind == "csv":
        save_csv(path := tmp_path / "numbered.csv", np.column_stack([labels, images.reshape(6, -1)]))
    elif kind in ("npz", "text"):
        np.savez(
            path := tmp_path / "numbered.npz", images=images, labels=labels.astype(str if kind == "text" else float)
        )
    else:
        for part in ("train", "test") if kind == "parts" else ("",):
            for place, (image, label) in enumerate(zip(images, labels, strict=True)):
                (path / part / str(label)).mkdir(parents=True, exist_ok=True)
                (path / part / str(label) / f"{place}.png").write_bytes(png(image))
    digits = load(path)
    assert digits.names == ("3", "9", "10", "26")
    for name, label in (("3", 0), ("9", 1), ("10", 2), ("26", 3)):
        found, wanted = digits.images[digits.labels == label], images[labels == int(name)]
        assert sorted(image.tobytes() for image in found) == sorted(image.tobytes() for image in wanted)


def test_parts_that_have_other_numbers_share_their_classes(tmp_path):
    images = draw_digits(120, 4).images
    labels = np.arange(120) % 12 + 1
    columns = {"x_train": images, "y_train": labels, "x_test": images[:9], "y_test": labels[:9]}
    np.savez(tmp_path / "letters.npz", **columns)
    parts = splits(tmp_path / "letters.npz")
    assert parts.train.names == parts.test.names == tuple(str(label) for label in range(1, 13))
    assert parts.test.labels.tolist() == list(range(9))


def test_other_folders_beside_those_of_digits_are_no_classes(few, tmp_path):
    for name in ("0", "1", "unsorted"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "one.png").write_bytes(png(few.images[0]))
    assert len(load(tmp_path)) == 2


def test_too_many_or_unprintable_names_are_refused(few, tmp_path):
    np.savez(tmp_path / "many.npz", images=np.zeros((101, 28, 28), np.uint8), labels=[f"n{i}" for i in range(101)])
    with pytest.raises(DataError, match=r"many\.npz: 101 different labels; at most 100 classes can be told apart"):
        load(tmp_path / "many.npz")
    np.savez(tmp_path / "odd.npz", images=few.images[:2], labels=["a\nb", "c"])
    with pytest.raises(DataError, match="expected a name of 1 to 40 printable characters"):
        load(tmp_path / "odd.npz")
