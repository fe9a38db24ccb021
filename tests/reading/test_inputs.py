import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from digitnet.core.errors import DataError, ImageError
from digitnet.imaging import pages
from digitnet.reading.bulk import inputs as store
from digitnet.reading.bulk.inputs import File, Folder, Input, contents, files, is_address, local

pa = pytest.importorskip("pyarrow", reason="pyarrow comes with the extra scale")
pq = pytest.importorskip("pyarrow.parquet", reason="pyarrow comes with the extra scale")
fsspec = pytest.importorskip("fsspec", reason="fsspec comes with the extra scale")


def png(value=255):
    """The bytes of a picture of one value."""
    path = Path("one.png")
    Image.new("L", (8, 6), value).save(path)
    data = path.read_bytes()
    path.unlink()
    return data


def table(path, pictures, groups=3, column="image"):
    """A Parquet file with a picture a row, in row groups of so many."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    data = pa.array(pictures, pa.binary())
    if column == "record":
        data = pa.StructArray.from_arrays([data, pa.array(["x"] * len(pictures))], ["bytes", "path"])
    columns = {"id": pa.array(range(len(pictures))), column: data}
    pq.write_table(pa.table(columns), path, row_group_size=groups)
    return path


@pytest.fixture
def memory():
    """An empty file system in memory at memory://: an object store as fsspec sees one."""
    fs = fsspec.filesystem("memory")
    fs.store.clear()
    fs.pseudo_dirs[:] = [""]
    yield fs
    fs.store.clear()


# What is meant


def test_an_address_is_no_path():
    assert [is_address(each) for each in ("s3://b/x", "gs://b", "memory://x", "https://x/y")] == [True] * 4
    assert [is_address(each) for each in ("a/b.png", "c:x", "/s3:/x", "file:///x", "s3:/b", "-")] == [False] * 6
    assert local("file:///a%20b/c.png") == "/a b/c.png"


def test_files_are_absolute_sorted_each_once_and_parquet_files_tell_their_rows():
    table("scans/many.parquet", [png()] * 5)
    for name in ("scans/b.png", "scans/deep/a.tif", "scans/notes.txt", "z.xyz"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()
    here = Path.cwd()
    names = [("scans/b.png", None), ("scans/deep/a.tif", None), ("scans/many.parquet", 5), ("z.xyz", None)]
    expected = [File(str(here / name), rows) for name, rows in names]
    assert files(["z.xyz", "scans", "scans/*.png", f"file://{here}/scans"], "out") == expected


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        (["-"], "^-: a job cannot resume from standard input or a pipe"),
        (["empty"], "^empty: a folder without images"),
        (["nosuch*.png"], "no file matches this pattern$"),
        (["torn.parquet"], r"torn\.parquet: not a Parquet file that can be read \("),
        (["words.parquet"], r"words\.parquet: its columns are a \(string\); expected one of bytes"),
        (["out/x.png"], r"out/x\.png: is inside --out, which is for results"),
        (["nosuch://bucket/x"], r"^nosuch://bucket/x: cannot be opened \(.*\); check the address"),
        (["memory://nosuch/*.png"], "^memory://nosuch/.*contains no image or Parquet file"),
    ],
)
def test_what_cannot_be_read_is_said_before_anything_begins(memory, paths, message):
    Path("empty").mkdir()
    Path("torn.parquet").write_bytes(b"PAR1 and no more")
    pq.write_table(pa.table({"a": ["x"]}), "words.parquet")
    Path("out").mkdir()
    Path("out/x.png").touch()
    with pytest.raises((DataError, ImageError), match=message):
        files(paths, "out")


def test_names_that_are_no_unicode_are_found_and_sorted_by_their_bytes():
    Path("scans").mkdir()
    try:
        Path(os.fsdecode(b"scans/\xff.png")).touch()
    except OSError:
        pytest.skip("this file system takes no names that are not UTF-8")
    Path("scans/a.png").touch()
    Path("scans/ü.png").touch()
    assert [os.fsencode(Path(file.source).name) for file in files(["scans"], "out")] == [
        b"a.png",
        "ü.png".encode(),
        b"\xff.png",
    ]


def test_addresses_are_listed_by_folder_by_pattern_and_alone(memory):
    for name in ("a.png", "b c.jpg", "deep/d.tif", "notes.txt", "._a.png", "deep/._d.tif"):
        memory.pipe_file(f"/scans/{name}", b"x")
    base = "memory:///scans"
    all_files = [File(f"{base}/{name}", None) for name in ("a.png", "b c.jpg", "deep/d.tif")]
    assert files(["memory://scans"], "out") == all_files
    assert files(["memory://scans/*.png"], "out") == all_files[:1]
    assert files(["memory://scans/a.png"], "out")[0].source == "memory://scans/a.png"


# What is in them


def test_contents_come_in_order_from_wherever_they_are(memory):
    pictures = [png(value) for value in range(0, 200, 20)]
    for number, data in enumerate(pictures):
        memory.pipe_file(f"/scans/{number}.png", data)
    remote = [Input(n, f"memory:///scans/{n}.png", None) for n in (*range(10), 99)]
    rows = [Input(20 + n, table("t.parquet", pictures), 2 + n) for n in range(6)]
    here = [Input(40, "/nosuch.png", None)]
    *fetched, missing = list(contents(remote + rows + here + remote[:1]))[:11]
    assert fetched == pictures
    assert isinstance(missing, ImageError)
    assert str(missing) == "memory:///scans/99.png: no such file; check its name and folder"
    assert list(contents(rows + here + remote[:1])) == [*pictures[2:8], "/nosuch.png", pictures[0]]


@pytest.mark.parametrize("column", ["image", "record"])
@pytest.mark.parametrize("groups", [1, 3, 100])
def test_rows_of_parquet_are_the_pictures_in_their_place(column, groups):
    pictures = [bytes([n]) * (n + 1) for n in range(150)]
    table("t.parquet", pictures, groups, column)
    for first, last in ((0, 150), (0, 1), (63, 66), (149, 150), (70, 141)):
        inputs = [Input(n, "t.parquet", n) for n in range(first, last)]
        assert list(contents(inputs)) == pictures[first:last]


def test_a_row_without_a_picture_and_rows_that_are_gone_are_errors_of_theirs():
    table("t.parquet", [png(), None, png()])
    empty = list(contents([Input(n, "t.parquet", n) for n in range(3)]))[1]
    with pytest.raises(ImageError, match="row: empty, 0 bytes"):
        next(pages.pages(empty, "row"))
    given = list(contents([Input(n, "t.parquet", n) for n in range(2, 5)]))
    assert given[0] == png()
    assert [str(each).split(":")[0] for each in given[1:]] == ["t.parquet#3", "t.parquet#4"]
    Path("t.parquet").write_bytes(b"no longer")
    assert all(isinstance(each, ImageError) for each in contents([Input(n, "t.parquet", n) for n in range(3)]))


def test_a_store_that_fails_is_asked_again(memory, monkeypatch):
    monkeypatch.setattr(store.time, "sleep", lambda seconds: None)
    memory.pipe_file("/x.png", b"picture")
    answers = iter([OSError("busy"), OSError("busy")])
    real = type(memory)._open

    def shaky(self, *args, **kwargs):
        for error in answers:
            raise error
        return real(self, *args, **kwargs)

    monkeypatch.setattr(type(memory), "_open", shaky)
    assert list(contents([Input(0, "memory:///x.png", None)])) == [b"picture"]
    answers = iter([OSError("busy")] * 3)
    (error,) = contents([Input(0, "memory:///x.png", None)])
    assert str(error) == "memory:///x.png: cannot be downloaded (busy); check that it exists and is readable"


# Where results go


@pytest.mark.parametrize("place", ["results", "memory://results", "memory://a/b/results"])
def test_a_folder_gives_back_what_was_put_there(memory, place):
    folder = Folder(place)
    assert folder.names() == folder.names("pages") == set()
    folder.put("pages/a.parquet", b"one")
    folder.put("pages/a.parquet", b"two")
    folder.put("manifest.json", b"{}")
    assert folder.names("pages") == {"a.parquet"}
    assert folder.names() - {"tmp"} == {"manifest.json", "pages"}
    assert folder.has("pages/a.parquet")
    with folder.open("pages/a.parquet") as file:
        assert file.read() == b"two"
    folder.remove("pages/a.parquet")
    folder.remove("pages/a.parquet")
    folder.sweep()
    assert not folder.has("pages/a.parquet")
    assert "tmp" not in folder.names()
    with pytest.raises(DataError, match=r"results/none: cannot be read \("):
        folder.open("none")


def test_where_a_put_is_not_atomic_the_file_is_renamed_into_place(memory, monkeypatch):
    monkeypatch.setattr(store, "_PUT_IS_ATOMIC", set())
    folder = Folder("memory://results")
    moved = []
    real = type(memory).mv
    monkeypatch.setattr(type(memory), "mv", lambda self, a, b, **more: (moved.append(b), real(self, a, b, **more)))
    folder.put("pages/a.parquet", b"one")
    assert moved == ["/results/pages/a.parquet"]
    assert memory.cat_file("/results/pages/a.parquet") == b"one"
    folder.sweep()
    assert folder.names() == {"pages"}


def test_a_folder_that_cannot_be_written_says_so_and_keeps_the_old_file():
    Path("results").mkdir()
    folder = Folder("results")
    folder.put("a", b"one")
    Path("results/pages").touch()
    with pytest.raises(
        DataError, match=r"results/pages/b: cannot be written \(.*\); fix this, then continue with --resume"
    ):
        folder.put("pages/b", np.zeros(3).tobytes())
    assert not list(Path("results/tmp").iterdir())
    assert Path("results/a").read_bytes() == b"one"


@pytest.mark.parametrize(
    "address",
    [
        "s3://bucket/a/b.png?region=eu-west-1",
        "s3://bucket/a%20b%2520%C3%BC/?region=eu-west-1&endpoint_override=127.0.0.1:1",
        "s3://key:secret@bucket/x.png?region=eu-west-1",
        "gs://anonymous@bucket/a/b.png",
    ],
)
def test_a_bucket_is_opened_once_and_its_paths_are_those_that_arrow_finds(address):
    from pyarrow.fs import FileSystem

    try:
        expected = FileSystem.from_uri(address)[1]
    except (ImportError, NotImplementedError, pa.ArrowNotImplementedError):
        pytest.skip("this pyarrow has no such file system")
    fs, path = store._filesystem(address)
    assert path.rstrip("/") == expected.rstrip("/")
    assert store._filesystem(address.replace("b.png", "c.png"))[0] is fs
