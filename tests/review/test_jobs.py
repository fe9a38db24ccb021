"""Sheets that are read into a job by the command line."""

import csv

import cv2
import numpy as np
import pytest
from helpers import few_hands

from digitnet.forms.answers import Answer
from digitnet.forms.examples import example
from digitnet.forms.sheets import Sheet
from digitnet.imaging.pages import page
from digitnet.reading.batch import Done
from digitnet.reading.reader import Reader
from digitnet.review.jobs import MUST, NEVER, Filed, digest_of, stored
from digitnet.review.records import Policy
from digitnet.review.store import Store


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    """A folder with two filled sheets of meter readings, a page of nothing and a damaged file."""
    from digitnet.data.synthesis.strokes import inventions
    from digitnet.forms.composing import SheetComposer

    folder = tmp_path_factory.mktemp("scans")
    composer = SheetComposer(example("meters"), [(1.0, inventions(4, 9))], 6)
    for name in ("a", "b"):
        cv2.imwrite(str(folder / f"{name}.png"), composer.sheet("scanned").image)
    cv2.imwrite(str(folder / "c.png"), np.full((400, 300), 255, np.uint8))
    (folder / "d.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    return folder


def test_sheets_are_read_into_a_job_as_into_a_table(digitnet, scans, place, tmp_path):
    status, out, said = digitnet("form", "read", "meters", scans, "--job", place)
    assert (status, out) == (2, "")
    assert "4 sheets, 2 not read" in said
    assert "fields to review: digitnet review" in said
    store = Store(place)
    assert store.templates() == {"meters": example("meters")}
    kept = list(store.sheets())
    assert [sheet.status for sheet in kept] == ["read", "read", "refused", "error"]
    digitnet("form", "read", "meters", scans, "--out", tmp_path / "m.csv")
    for sheet, row in zip(kept, csv.DictReader((tmp_path / "m.csv").read_text().splitlines()), strict=True):
        assert (sheet.file, sheet.page) == (row["file"], 1)
        assert sheet.models == Reader().hashes()
        for field in sheet.fields:
            assert (field.text, field.status) == (row[field.name], row[f"{field.name}_status"])
    first = kept[0]
    assert first.digest == digest_of(page(scans / "a.png"))
    assert store.source(1)[0].picture is None
    assert [field.name for field in first.fields] == [field.name for field in example("meters").fields]
    store.close()


def test_a_job_goes_on_with_resume_and_keeps_pictures_if_told_to(digitnet, scans, tmp_path):
    words = "form", "read", "meters", scans / "a.png", "--job", "m.job"
    assert digitnet(*words, "--keep-images")[0] == 0
    store = Store("m.job")
    assert np.array_equal(
        cv2.imdecode(np.frombuffer(store.source(1)[0].picture, np.uint8), cv2.IMREAD_GRAYSCALE), page(scans / "a.png")
    )
    status, _, said = digitnet(*words)
    assert (status, "m.job: already exists; add to it with --resume" in said) == (1, True)
    status, _, said = digitnet("form", "read", "meters", scans, "--job", "m.job", "--resume")
    assert "4 sheets, 2 not read" in said  # of the last file pages may be missing: it is read again
    assert [sheet.file for sheet in store.sheets()] == sorted(str(path) for path in scans.iterdir())
    store.close()
    status, _, said = digitnet("form", "read", "meters", scans, "--job", "m.job", "--resume")
    assert "2 of 4 files are already in m.job" in said or "3 of 4 files are already in m.job" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--job", "m.job", "--out", "m.csv"], "--job and --out: choose one"),
        (["--keep-images"], "--keep-images applies to --job"),
        (["--job", "."], "a folder; name a file for the job"),
        (["--job", "sqlite:///m.job"], "expected a file, or a URL that begins with postgresql://"),
        (["--job", "/proc/none/m.job"], "none"),
    ],
)
def test_a_job_that_cannot_be_made_is_said(digitnet, scans, words, said):
    status, _, error = digitnet("form", "read", "meters", scans, *words)
    assert status == 1
    assert said in error


def doubts(template, status="read", broken=(), **answers):
    every = {field.name: answers.get(field.name, Answer("1", 0.9, "read")) for field in template.fields}
    sheet = Sheet(status, template.name, 0, every, (), None, broken, np.diag([8.0, 8.0, 1.0]))
    kept = stored(Done("a.png", 1, Filed(sheet, "", None)), {template.name: template}, "")
    return {field.name: field.doubt for field in kept.fields}, kept


def test_what_people_must_look_at_and_what_they_cannot_see():
    template = example("meters")
    required = next(field.name for field in template.fields if field.required)
    optional = next(field.name for field in template.fields if not field.required and field.kind != "area")
    found, kept = doubts(template, **{required: Answer("", 0.99, "empty"), optional: Answer("", 0.75, "empty")})
    assert (found[required], found[optional]) == (MUST, 0.25)
    assert doubts(template, "blank", **{required: Answer("", 0.75, "empty")})[0][required] == 0.25
    found, _ = doubts(template, **{required: Answer("", 0, "unreadable"), optional: Answer("", 0, "hidden")})
    assert (found[required], found[optional]) == (MUST, NEVER)
    relation = template.relations[0]
    found, _ = doubts(template, broken=(relation,))
    assert {name for name, doubt in found.items() if doubt == MUST} == {
        name for name in found if name in relation.replace("(", " ").split()
    }
    box = template.fields[0].box
    assert kept.fields[0].corners[0] == (round(8 * box[0], 1), round(8 * box[1], 1))
    assert all(0 <= field.lot < 1 for field in kept.fields)
    assert len({field.lot for field in kept.fields}) == len(kept.fields)


@pytest.fixture(scope="module")
def numbers(tmp_path_factory):
    """A folder with a page of two numbers, and one with a picture of one number."""
    folder, scribe = tmp_path_factory.mktemp("numbers"), few_hands().scribe(2)
    page_of_two = np.full((300, 500), 250, np.uint8)
    for text, top in (("407", 40), ("1582", 180)):
        image = cv2.resize(255 - scribe.ink(text, scribe.penman()), (140, 60), interpolation=cv2.INTER_AREA)
        page_of_two[top : top + 60, 100:240] = np.minimum(image, 250)
    (folder / "pages").mkdir()
    (folder / "single").mkdir()
    cv2.imwrite(str(folder / "pages" / "two.png"), page_of_two)
    cv2.imwrite(str(folder / "single" / "one.png"), page_of_two[20:120, 60:280])
    return folder


def test_numbers_without_a_template_are_read_into_a_job_and_its_table(digitnet, numbers, place, tmp_path):
    assert digitnet("read", numbers / "pages", "--job", place, "--length", "4")[0] == 0
    store = Store(place)
    (sheet,) = store.sheets()
    assert (sheet.status, sheet.form, [field.name for field in sheet.fields]) == ("read", None, ["n1", "n2"])
    first, second = sheet.fields
    assert first.corners[0][0] < 110 < first.corners[2][0]
    assert first.corners[2][1] < second.corners[0][1]
    store.set_policy(Policy(1.0, 0.0))
    tasks = {task.name: task for task in store.next("amara", 2)}
    store.decide("amara", tasks["n1"].field, "407", "read", key="1")
    store.decide("amara", tasks["n2"].field, "", "empty", key="2")
    store.close()
    assert digitnet("review", place, "--out", tmp_path / "n.csv")[0] == 0
    (row,) = csv.DictReader((tmp_path / "n.csv").read_text().splitlines())  # the other number is none
    assert (row["number"], row["text"], row["by"]) == ("1", "407", "amara")
    assert row["status"] == ("confirmed" if first.text == "407" else "corrected")
    assert int(row["left"]) == min(x for x, _ in first.corners)


def test_the_only_number_of_a_picture_is_a_field_as_large_as_it(digitnet, numbers):
    assert digitnet("read", numbers / "single", "--single", "--job", "s.job", "--keep-images")[0] == 0
    store = Store("s.job")
    (sheet,) = store.sheets()
    assert [tuple(point) for point in sheet.fields[0].corners] == [(0, 0), (220, 0), (220, 100), (0, 100)]
    assert store.page(sheet.file, 1).picture is not None
    store.close()
    status, _, said = digitnet("form", "read", "meters", numbers / "single", "--job", "s.job", "--resume")
    assert (status, "s.job: holds numbers of pages; choose another --job" in said) == (1, True)


@pytest.mark.parametrize("words", [("--job", "n.job", "--format", "csv"), ("--keep-images",)])
def test_options_that_a_job_of_numbers_does_not_have_are_said(digitnet, numbers, words):
    status, _, error = digitnet("read", numbers / "pages", *words)
    assert status == 1
    assert "--job" in error
