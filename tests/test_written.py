"""Numbers as written, with their signs: what a line reader that knows signs says reaches every output."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from conftest import Says
from PIL import Image
from test_reader import write

from digitnet import Reader
from digitnet.decode import DIGITS


@pytest.fixture(scope="module")
def picture():
    return write("120350", room=20)[0]


@pytest.fixture
def says(monkeypatch):
    """Return a reader whose line reader sees given characters, also the command line's."""

    def make(*seen, **more):
        reader = Reader(threads=1)
        reader.line = Says(*seen, **more)
        monkeypatch.setattr("digitnet.reader.Reader", lambda *_, **__: reader)
        return reader

    return make


@pytest.mark.parametrize("single", [True, False])
def test_a_number_has_its_digits_and_what_is_written(says, picture, single):
    (number,) = says(*"1.159,-").read(picture, single=single).numbers
    assert (number.text, number.written, number.status) == ("1159", "1.159,-", "read")
    assert [digit.value for digit in number.digits] == [1, 1, 5, 9]
    assert number.written_confidence == pytest.approx(number.confidence, rel=0.1)


def test_doubt_about_a_sign_is_doubt_about_what_is_written_and_not_about_the_digits(says, picture):
    signs = (".", {".": 0.6, ",": 0.4})
    sure, doubtful = (says("1", "2", sign, "5").read(picture, single=True).numbers[0] for sign in signs)
    assert doubtful.text == sure.text == "125"
    assert doubtful.written == "12.5"
    assert doubtful.confidence == pytest.approx(sure.confidence, rel=0.01)
    assert doubtful.written_confidence == pytest.approx(0.6 * doubtful.confidence, rel=0.02)


def test_digits_alone_are_written_as_they_are_read(picture):
    for number in Reader(threads=1).read(picture).numbers:
        assert number.written == number.text
        assert number.written_confidence == number.confidence


def test_text_prints_what_is_written_where_it_is_asked_for(says, picture, digitnet):
    Image.fromarray(picture).save("one.png")
    says(*"12/03/50")
    assert digitnet("read", "one.png", "--single")[1] == "120350\n"
    assert digitnet("read", "one.png", "--single", "--written")[1] == "12/03/50\n"
    says("1", {".": 0.6, ",": 0.4}, "5")
    assert digitnet("read", "one.png", "--single", "--written", "--min-confidence", "0.8")[1] == "?\n"
    assert digitnet("read", "one.png", "--single", "--min-confidence", "0.8")[1] == "15\n"


def test_a_line_reader_of_digits_alone_is_named(says, picture, digitnet):
    Image.fromarray(picture).save("one.png")
    says(*"125", alphabet=DIGITS)
    code, out, err = digitnet("read", "one.png", "--single", "--written")
    assert (code, out) == (0, "125\n")
    assert err == "The line reader says knows digits alone: numbers are printed without their signs\n"


def test_json_and_csv_have_what_is_written_and_no_formula(says, picture, digitnet):
    Image.fromarray(picture).save("one.png")
    says(*"=125=")
    (page,) = json.loads(digitnet("read", "one.png", "--single", "--format", "json")[1])
    (number,) = page["numbers"]
    assert (number["text"], number["written"]) == ("125", "=125=")
    (row,) = csv.DictReader(io.StringIO(digitnet("read", "one.png", "--single", "--format", "csv")[1]))
    assert (row["text"], row["written"]) == ("125", "'=125=")
    assert float(row["written_confidence"]) == pytest.approx(number["written_confidence"], abs=1e-4)
    code, out, err = digitnet("read", "one.png", "--written", "--format", "csv")
    assert (code, out) == (1, "")
    assert err == "Error: --written is for --format text; csv has the field written\n"


def test_tables_have_what_is_written(says, picture, digitnet):
    parquet = pytest.importorskip("pyarrow.parquet")
    Image.fromarray(picture).save("one.png")
    says(*"12-50")
    assert digitnet("read", "one.png", "--single", "--format", "parquet", "--out", "tables")[0] == 0
    (path,) = Path("tables").rglob("numbers*/*.parquet")
    (row,) = parquet.read_table(path).to_pylist()
    assert (row["text"], row["written"]) == ("1250", "12-50")
    assert np.isclose(row["written_confidence"], row["confidence"], rtol=0.1)
