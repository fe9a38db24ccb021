import json
import os
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from helpers import Stub
from hypothesis import given
from hypothesis import strategies as some
from PIL import Image

from digitnet.core.errors import DataError
from digitnet.reading.bulk import job as manifest
from digitnet.reading.bulk.inputs import File, Input, files
from digitnet.reading.bulk.job import FAILURES, MANIFEST, SUMMARY, Job, Summary, begin, part_size, read_here
from digitnet.reading.constraints import Rules

pa = pytest.importorskip("pyarrow", reason="pyarrow comes with the extra scale")
pq = pytest.importorskip("pyarrow.parquet", reason="pyarrow comes with the extra scale")

MODELS = {"line": "aaa", "digits": "bbb"}
WIDTHS = {9: [], 10: [("12", 0.9)], 11: [("345", 0.8), ("6", 0.5)]}
"""What the stub reads on pages, by their width."""


def picture(path, *widths):
    """A file with a page of each width."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    first, *rest = [Image.new("L", (width, 5), 255) for width in widths]
    first.save(path, **({"save_all": True, "append_images": rest} if rest else {}))


@pytest.fixture
def scans():
    """130 inputs: pages with two numbers, one and none, files of several pages, some torn, 20 rows of Parquet."""
    for n in range(110):
        picture(f"scans/{n:03}.png", 9 + n % 3)
    picture("scans/000.tif", 10, 9, 11)
    Path("scans/000.png").write_bytes(b"no picture")
    Path("scans/077.png").unlink()
    Path("scans/077.png").touch()
    Path("scans/005.png").unlink()
    rows = [Path(f"scans/{n:03}.png").read_bytes() for n in range(10, 30)]
    pq.write_table(pa.table({"image": pa.array(rows, pa.binary())}), "scans/rows.parquet", row_group_size=7)
    return "scans"


def start(folder, out="out", models=MODELS, single=False, rules=None, resume=False):
    return begin(out, files([folder], out), models, single, rules, resume)


def rows(out, table):
    """All rows of a table."""
    return pq.read_table(Path(out, table)).to_pylist()


def tree(out):
    """Every file of a folder with its bytes."""
    return {str(path.relative_to(out)): path.read_bytes() for path in Path(out).rglob("*") if path.is_file()}


def test_parts_are_of_a_size_that_suits_the_job():
    assert [part_size(n) for n in (1, 64, 65, 1000, 16_384, 10**6)] == [1, 1, 2, 16, 256, 256]
    assert [-(-n // part_size(n)) for n in (10**6, 10**7, 10**9)] == [3907, 4096, 244_141]


@given(some.lists(some.one_of(some.none(), some.integers(0, 50)), min_size=1, max_size=60), some.integers(1, 9))
def test_parts_hold_every_input_once_whatever_the_files_and_groups(tmp_path_factory, counts, group):
    listed = [File(f"/{n:03}", rows) for n, rows in enumerate(counts)]
    every = [(file.source, row) for file in listed for row in ([None] if file.rows is None else range(file.rows))]
    if not every:
        return
    place = str(tmp_path_factory.mktemp("job") / "out")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest, "_LISTED", group)
        job = begin(place, listed, MODELS, False, None, False)
    found = [each for part in reversed(range(job.parts)) for each in reversed(job.inputs(part))][::-1]
    assert found == [Input(n, source, row) for n, (source, row) in enumerate(every)]
    assert [job.size(part) for part in range(job.parts)] == [len(job.inputs(part)) for part in range(job.parts)]


def test_every_input_ends_in_one_of_three_and_every_number_is_a_row(scans):
    job = start(scans)
    counted = sum(read_here(job, Stub(WIDTHS), 1))
    done = job.finish()
    assert counted == done.inputs == 130
    pages, numbers, failures = rows("out", "pages"), rows("out", "numbers"), rows("out", FAILURES)
    kinds = Counter((n % 3) for n in [*range(110), *range(10, 30)] if n not in (0, 5, 77))
    assert done == Summary(130, kinds[1] + kinds[2] + 1, kinds[0], 2, 130 + 2 - 2, kinds[1] + 2 * kinds[2] + 3)
    assert json.loads(Path("out", SUMMARY).read_text())["numbers"] == done.numbers == len(numbers)
    assert sorted({page["input"] for page in pages}) == list(range(130))
    assert [Path(each["source"]).name for each in failures] == ["000.png", "077.png"]
    assert all(each["error"].startswith(each["source"]) for each in failures)
    book = [n for n in numbers if n["source"].endswith("000.tif")]
    assert [(n["page"], n["number"], n["text"]) for n in book] == [(1, 1, "12"), (3, 1, "345"), (3, 2, "6")]
    assert book[1] | {"input": 0, "source": ""} == {
        **{"input": 0, "source": "", "page": 3, "number": 1, "text": "345", "confidence": np.float32(0.8)},
        **{"left": 0, "top": 0, "right": 10, "bottom": 10, "alternatives": [], "reasons": []},
        **{"seen": None, "model": "aaa+bbb", "status": "read", "rules_applied": None},
        **{"written": "", "written_confidence": np.float32(0), "value": None, "no_value": None},
        "printed": None,
    }
    assert {n["source"].rsplit("#")[-1] for n in numbers if "#" in n["source"]} == {
        str(n) for n in range(20) if (n + 10) % 3
    }


@pytest.mark.parametrize("pages", [0, 1, 17, 90])
def test_a_job_that_was_stopped_goes_on_to_the_same_bytes(scans, pages):
    whole = start(scans, "whole")
    list(read_here(whole, Stub(WIDTHS), 1))
    whole.finish()

    class Stopped(Stub):
        def read_page(self, page, **asked):
            if len(self.asked) == pages:
                raise KeyboardInterrupt
            return super().read_page(page, **asked)

    with pytest.raises(KeyboardInterrupt):
        list(read_here(start(scans), Stopped(WIDTHS), 1))
    again = start(scans, resume=True)
    left = sum(again.size(part) for part in again.left())
    assert 130 - pages <= left + 3 <= 130 - pages + 3 + 2 * again.manifest.part
    assert sum(read_here(again, Stub(WIDTHS), 3)) == left
    again.finish()
    assert tree("out") == tree("whole")


def test_two_processes_at_the_same_job_write_it_once(scans):
    one, two = start(scans), start(scans, resume=True)
    for part in range(one.parts):
        one.read(Stub(WIDTHS), part)
        two.read(Stub(WIDTHS), part)
    first, second = one.finish(), two.finish()
    assert first == second
    assert first.inputs == 130
    assert len(rows("out", "numbers")) == first.numbers


@pytest.mark.parametrize(
    ("change", "fact"),
    [
        ({"models": {"line": "other", "digits": "bbb"}}, "other models"),
        ({"single": True}, "no --single"),
        ({"rules": Rules(lengths=(2, 3))}, r"other constraints \(none; now lengths \[2, 3\]\)"),
        ({"inputs": "more"}, "130 inputs, now there are 131"),
        ({"inputs": "others"}, "other inputs, of the same number"),
        ({"version": "0.0.9"}, r"digitnet \S+, this is 0\.0\.9"),
    ],
)
def test_a_job_goes_on_only_with_what_it_began_with(scans, monkeypatch, change, fact):
    start(scans)
    if change.pop("version", None):
        monkeypatch.setattr(manifest, "__version__", "0.0.9")
    if (inputs := change.pop("inputs", None)) is not None:
        picture("scans/more.png", 9)
        if inputs == "others":
            Path("scans/001.png").unlink()
    with pytest.raises(DataError, match=rf"out: was started with {fact}; use the same, or choose another --out$"):
        start(scans, resume=True, **change)


def test_rules_reach_the_reader_whole_on_every_machine(scans):
    rules = Rules((2, 3), 5, 800, None)
    start(scans, rules=rules, single=True)
    stub = Stub(WIDTHS)
    Job("out").read(stub, 1)
    assert {asked[1:] for asked in stub.asked} == {(True, rules)}


def test_a_folder_with_anything_else_in_it_is_refused(scans):
    start(scans)
    with pytest.raises(DataError, match="out: already exists; resume it with --resume, or choose another --out"):
        start(scans)
    Path("mine").mkdir()
    Path("mine/thesis.txt").touch()
    for resume in (False, True):
        with pytest.raises(DataError, match=r"mine: contains thesis\.txt and is not a job of an earlier read"):
            start(scans, "mine", resume=resume)
    (Path("out") / MANIFEST).write_text('{"digitnet": 1')
    with pytest.raises(DataError, match=r"manifest\.json: damaged"):
        start(scans, resume=True)
    with pytest.raises(DataError, match=r"nosuch/manifest\.json: cannot be read"):
        Job("nosuch")


def test_a_job_killed_before_it_had_begun_begins_anew(scans):
    start(scans)
    (Path("out") / MANIFEST).unlink()
    Path("out/tmp").mkdir(exist_ok=True)
    Path("out/tmp/half").write_bytes(b"PAR1")
    job = start(scans)
    list(read_here(job, Stub(WIDTHS), 1))
    job.finish()
    assert not Path("out/tmp").exists()


def shorter(path):
    path.write_bytes(path.read_bytes()[:-9])


def fewer(path):
    table = pq.read_table(path)
    pq.write_table(table.slice(1), path)


def doubled(path):
    table = pq.read_table(path)
    pq.write_table(pa.concat_tables([table, table]), path)


@pytest.mark.parametrize("table", ["numbers", "pages"])
@pytest.mark.parametrize("damage", [Path.unlink, shorter, fewer, doubled])
def test_damage_is_found_at_the_end_and_mended_by_going_on(scans, table, damage):
    job = start(scans)
    list(read_here(job, Stub(WIDTHS), 1))
    whole = job.finish()
    before = tree("out")
    damage(Path("out", table, "part-00003.parquet"))
    with pytest.raises(DataError, match="out: 1 part damaged or missing; read again with --resume"):
        job.finish()
    assert job.left() == [3]
    assert sum(read_here(job, Stub(WIDTHS), 1)) == job.size(3)
    assert job.finish() == whole
    assert tree("out") == before


def test_a_strange_file_among_the_tables_is_no_part_of_them(scans):
    job = start(scans)
    list(read_here(job, Stub(WIDTHS), 1))
    shutil.copy("out/numbers/part-00001.parquet", "out/numbers/part-00001 (copy).parquet")
    with pytest.raises(
        DataError, match=r"part-00001 \(copy\)\.parquet: does not belong to this job; move it elsewhere"
    ):
        job.finish()


def test_empty_tables_of_pictures_are_nothing_to_read():
    pq.write_table(pa.table({"image": pa.array([], pa.binary())}), "none.parquet")
    with pytest.raises(DataError, match="nothing to read"):
        start("none.parquet")


# What may happen to a machine


def test_names_that_are_no_unicode_are_read_and_told_apart():
    Path("scans").mkdir()
    odd = [os.fsdecode(name) for name in (b"scans/\xff.png", b"scans/\xfe.png")]
    try:
        for path in odd:
            picture("one.png", 10)
            Path("one.png").rename(path)
    except OSError:
        pytest.skip("this file system takes no names that are not UTF-8")
    Path(os.fsdecode(b"scans/\xfd.png")).touch()
    job = start("scans")
    list(read_here(job, Stub(WIDTHS), 1))
    assert job.finish() == Summary(3, 2, 0, 1, 2, 2)
    assert [(n["input"], Path(n["source"]).name) for n in rows("out", "numbers")] == [
        (1, r"\xfe.png"),
        (2, r"\xff.png"),
    ]
    assert start("scans", resume=True).left() == []


def test_thousands_of_files_are_each_read_once():
    picture("scans/0.png", 10)
    for n in range(1, 3000):
        os.link("scans/0.png", f"scans/{n}.png")
    job = start("scans")
    assert job.parts == 64
    list(read_here(job, Stub(WIDTHS), 2))
    assert job.finish() == Summary(3000, 3000, 0, 0, 3000, 3000)
    assert len({n["source"] for n in rows("out", "numbers")}) == 3000


def test_a_full_disk_is_said_and_loses_nothing(scans, small_disk):
    whole = start(scans, "whole")
    list(read_here(whole, Stub(WIDTHS), 1))
    whole.finish()
    out = str(small_disk / "out")
    job = start(scans, out)
    list(zip(read_here(job, Stub(WIDTHS), 1), range(5), strict=False))
    done = set(range(job.parts)) - set(job.left())
    with pytest.raises(OSError, match="No space left"), (small_disk / "hog").open("wb") as hog:
        hog.write(bytes(4 * 10**6))
    with pytest.raises(
        DataError, match=r"cannot be written \(No space left on device\); fix this, then continue with --res"
    ):
        list(read_here(job, Stub(WIDTHS), 1))
    assert set(range(job.parts)) - set(job.left()) == done
    (small_disk / "hog").unlink()
    again = start(scans, out, resume=True)
    list(read_here(again, Stub(WIDTHS), 1))
    again.finish()
    assert tree(out) == tree("whole")
