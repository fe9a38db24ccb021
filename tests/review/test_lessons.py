"""What a line reader can learn from a job: numbers of pages and of forms, and what is left out."""

import cv2
import numpy as np
import pytest
from helpers import few_hands

from digitnet.data.synthesis.strokes import inventions
from digitnet.forms.composing import SheetComposer
from digitnet.forms.examples import example
from digitnet.forms.template import save
from digitnet.imaging.pages import page
from digitnet.reading.ctc import decode
from digitnet.reading.reader import Reader
from digitnet.review.lessons import lessons
from digitnet.review.records import Policy
from digitnet.review.store import Store


@pytest.fixture(scope="module")
def reader():
    return Reader(threads=1)


def decided(place, truth):
    """Decide every field of a job: what `truth` gives for its file and name."""
    store = Store(place)
    store.set_policy(Policy(1.0, 1.0))
    while tasks := store.next("amara", 50):
        for task in tasks:
            text, status = truth(task)
            store.decide("amara", task.field, text, status, key=str(task.field))
    return store


def test_numbers_of_pictures_are_cut_out_as_they_were_read(digitnet, reader, tmp_path):
    scribe = few_hands().scribe(3)
    for text in ("407", "1582", "33"):
        cv2.imwrite(str(tmp_path / f"{text}.png"), scribe.line(text).image)
    digitnet("read", tmp_path, "--single", "--job", "n.job")
    store = decided("n.job", lambda task: (f"{task.file.split('/')[-1].split('.')[0]},-", "read"))
    found, notes = lessons(store, reader)
    assert notes == []
    assert sorted(lesson.digits for lesson in found) == ["1582", "33", "407"]
    for lesson in found:
        (strip, _), *_ = reader.look(page(lesson.sheet), single=True)
        assert np.array_equal(lesson.strip, strip)
    (tmp_path / "33.png").unlink()
    cv2.imwrite(str(tmp_path / "407.png"), np.zeros((40, 90), np.uint8))
    found, notes = lessons(store, reader)
    assert [lesson.digits for lesson in found] == ["1582"]
    assert len(notes) == 1
    assert notes[0].startswith("2 pages left out, without a picture: ")
    store.close()


def test_what_people_did_not_read_teaches_nothing(digitnet, reader, tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), few_hands().scribe(3).line("407").image)
    cv2.imwrite(str(tmp_path / "b.png"), few_hands().scribe(4).line("51").image)
    digitnet("read", tmp_path, "--single", "--job", "n.job")
    store = decided("n.job", lambda task: ("", "unreadable") if "a.png" in task.file else ("no 5", "read"))
    assert lessons(store, reader) == ([], [])
    store.close()


def test_fields_of_forms_are_read_without_the_lines_printed_around_them(digitnet, reader, tmp_path):
    template = example("meters")
    sheet = SheetComposer(template, [(1.0, inventions(4, 9))], 6).sheet("scanned")
    cv2.imwrite(str(tmp_path / "a.png"), sheet.image)
    digitnet("form", "read", "meters", tmp_path / "a.png", "--job", "m.job", "--keep-images")
    (tmp_path / "a.png").unlink()
    store = decided("m.job", lambda task: (task.text, task.status) if task.text else ("", "empty"))
    (kept,) = store.sheets()
    numbers = [its for its in kept.fields if its.kind in ("digits", "comb", "decimal", "integer", "date") and its.text]
    found, notes = lessons(store, reader)
    assert notes == []
    assert len(found) == len(numbers) > 4
    agree = 0
    for lesson, its in zip(found, numbers, strict=True):
        assert lesson.digits
        agree += decode(reader.line([lesson.strip])[0].log_probs, None, 1)[0].text == lesson.digits
        if its.kind in ("digits", "comb"):
            assert lesson.digits == its.text
    assert agree >= len(found) - 2  # relations and rules may have changed a text
    store.close()


def test_a_form_without_markers_needs_its_template(digitnet, reader, tmp_path):
    from digitnet.forms.printing import picture

    template = example("meters")
    blank = picture(template, 8.0)
    cv2.imwrite(str(tmp_path / "blank.png"), blank)
    path = tmp_path / "m.form.json"
    save(template.model_copy(update={"markers": None, "reference": "blank.png"}), path)
    sheet = SheetComposer(template, [(1.0, inventions(4, 9))], 6).sheet("scanned")
    cv2.imwrite(str(tmp_path / "a.png"), sheet.image)
    digitnet("form", "read", path, tmp_path / "a.png", "--job", "m.job")
    store = decided("m.job", lambda task: (task.text, task.status) if task.text else ("", "empty"))
    found, notes = lessons(store, reader)
    assert found == []
    assert notes == ["numbers left out: form meters: has no markers; name its template, too, for its reference image"]
    assert len(lessons(store, reader, [path])[0]) > 4
    store.close()
