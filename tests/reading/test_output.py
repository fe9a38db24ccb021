"""Numbers as written, with their signs: what a line reader that knows signs says reaches every output."""

import csv
import io
import json
from datetime import date
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from helpers import Says, write
from PIL import Image

from digitnet import DataError, Number, Reader, Reading, Rules
from digitnet.core.digits import DIGITS
from digitnet.reading.batch import Read
from digitnet.reading.bulk.inputs import Input
from digitnet.reading.bulk.parquet import tables
from digitnet.reading.output import writer
from digitnet.reading.result import Unread
from digitnet.serving.service import Asked


@pytest.fixture(scope="module")
def picture():
    return write("120350", room=20)[0]


@pytest.fixture
def says(monkeypatch):
    """Return a reader whose line reader sees given characters, also the command line's."""

    def make(*seen, **more):
        reader = Reader(threads=1)
        reader.line = Says(*seen, **more)
        monkeypatch.setattr("digitnet.reading.reader.Reader", lambda *_, **__: reader)
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


def test_digits_alone_are_written_as_they_are_read(says, picture):
    for number in says(*"120350", alphabet=DIGITS).read(picture).numbers:
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
    assert err == "The line reader says knows only digits: numbers are printed without their signs\n"


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
    assert err == "Error: --written requires --format text; csv has the field written\n"


def test_tables_have_what_is_written(says, picture, digitnet):
    parquet = pytest.importorskip("pyarrow.parquet")
    Image.fromarray(picture).save("one.png")
    says(*"12-50")
    assert digitnet("read", "one.png", "--single", "--format", "parquet", "--out", "tables")[0] == 0
    (path,) = Path("tables").rglob("numbers*/*.parquet")
    (row,) = parquet.read_table(path).to_pylist()
    assert (row["text"], row["written"]) == ("1250", "12-50")
    assert np.isclose(row["written_confidence"], row["confidence"], rtol=0.1)


# Values and kinds


def test_a_number_has_the_value_of_what_is_written(says, picture):
    (number,) = says(*"1.159,-").read(picture, single=True).numbers
    assert (number.value, number.no_value) == (Decimal(1159), None)
    assert isinstance(number.value, Decimal)


def test_an_ambiguous_value_is_none_until_the_sign_before_decimals_is_given(says, picture):
    reader = says(*"1.159")
    free, pointed = (reader.read(picture, single=True, rules=rules) for rules in (None, Rules(decimal=".")))
    assert (free.numbers[0].value, free.numbers[0].no_value) == (None, "ambiguous")
    assert free.numbers[0].values == (Decimal("1.159"), Decimal(1159))
    assert pointed.numbers[0].value == Decimal("1.159")
    assert pointed.rules is None, "nothing is asked of what is written"
    assert pointed.numbers[0].rules_applied is None
    assert pointed.numbers[0].text == free.numbers[0].text


def test_digits_alone_have_no_value_for_a_point_may_be_lost(says, picture):
    number = says(*"120350", alphabet=DIGITS).read(picture, single=True).numbers[0]
    assert (number.value, number.no_value) == (None, "signs_unknown")


def test_a_kind_finds_the_date_where_the_image_says_something_else(says, picture, monkeypatch):
    monkeypatch.setattr("digitnet.reading.opinions.seconded", lambda draft, *_: draft)  # the picture shows other digits
    reader = says({"3": 0.7, "2": 0.3}, "1", {"1": 0.5, "/": 0.4}, "0", "2", "/", "9", "6")
    (free,) = reader.read(picture, single=True).numbers
    assert free.text == "3110296"
    (number,) = reader.read(picture, single=True, rules=Rules(kind="date", order="dmy")).numbers
    assert (number.written, number.text, number.value) == ("21/02/96", "210296", date(1996, 2, 21))
    assert number.rules_applied
    assert number.seen == "3110296"
    assert number.confidence < 0.95, "the image spoke against it"


def test_a_kind_counts_all_spellings_of_the_same_digits(says, picture):
    reader = says("1", "2", {"/": 0.5, "-": 0.3, ".": 0.2}, "0", "3", {"/": 0.5, "-": 0.3, ".": 0.2}, "9", "6")
    (number,) = reader.read(picture, single=True, rules=Rules(kind="date", order="dmy")).numbers
    assert (number.text, number.written) == ("120396", "12/03/96")
    assert number.written_confidence / number.confidence == pytest.approx(0.25 / (0.25 + 0.09 + 0.04), rel=0.02)


def test_a_field_that_shows_nothing_of_its_kind_is_unreadable(says, picture):
    (number,) = says(*"31/02/96").read(picture, single=True, rules=Rules(kind="date", order="dmy")).numbers
    assert (number.status, number.text, number.value, number.seen) == ("unreadable", "", None, "310296")


def test_on_a_page_what_is_of_another_kind_is_read_and_has_no_value(says, picture):
    (number,) = says(*"(808)").read(picture, rules=Rules(kind="date")).numbers
    assert (number.text, number.rules_applied, number.value, number.no_value) == ("808", False, None, "not_a_value")


def test_a_line_reader_of_digits_alone_refuses_kinds_with_signs(says, picture):
    reader = says(*"120350", alphabet=DIGITS)
    with pytest.raises(DataError, match="kind date: the line reader says knows only digits; use one that knows signs"):
        reader.read(picture, rules=Rules(kind="date"))
    (number,) = reader.read(picture, single=True, rules=Rules(kind="digits")).numbers
    assert number.value == number.text == "120350"


def test_text_prints_the_value_of_a_kind_and_says_what_is_ambiguous(says, picture, digitnet):
    Image.fromarray(picture).save("one.png")
    says(*"12/03/96")
    assert digitnet("read", "one.png", "--single", "--kind", "date", "--order", "dmy") == (0, "1996-03-12\n", "")
    assert digitnet("read", "one.png", "--single", "--kind", "date", "--written")[1] == "12/03/96\n"
    code, out, err = digitnet("read", "one.png", "--single", "--kind", "date")
    assert (code, out) == (0, "?\n")
    assert err == "one.png: ambiguous: 12/03/96 is 1996-03-12 or 1996-12-03\n"


def test_json_csv_and_http_have_the_value(says, picture, digitnet):
    Image.fromarray(picture).save("one.png")
    says(*"-12,50")
    (page,) = json.loads(digitnet("read", "one.png", "--single", "--format", "json")[1])
    (number,) = page["numbers"]
    assert (number["value"], number["values"], number["no_value"]) == ("-12.50", ["-12.50"], None)
    (row,) = csv.DictReader(io.StringIO(digitnet("read", "one.png", "--single", "--format", "csv")[1]))
    assert (row["written"], row["value"], row["no_value"]) == ("'-12,50", "-12.50", "")
    (row,) = csv.DictReader(
        io.StringIO(digitnet("read", "one.png", "--single", "--decimal", ".", "--format", "csv")[1])
    )
    assert (row["value"], row["no_value"]) == ("", "not_a_value")
    asked = Asked(single=True, kind="decimal", decimal=",", order="")
    assert asked.rules() == Rules(kind="decimal", decimal=",")


def test_csv_and_parquet_give_the_reason_of_a_page_without_numbers_and_count_what_was_not_read():
    page = np.full((20, 30), 255, np.uint8)
    left = (Unread((1, 1, 9, 9), "not_a_digit"),)
    number = Number("7", 0.9, (0, 0, 9, 9), written="7", printed=0.25)
    reads = [
        Read("a.png", 1, Reading((), page, None, left, no_numbers="not_read")),
        Read("a.png", 2, Reading((number,), page, None, left)),
        Read("b.png", 1, None, "b.png: broken"),
    ]
    with writer(Path("out.csv"), "csv", True, 0.5) as write:
        for each in reads:
            write(each)
    rows = list(csv.DictReader(io.StringIO(Path("out.csv").read_text())))
    assert [(row["printed"], row["unread"], row["no_numbers"], row["error"]) for row in rows] == [
        ("", "1", "not_read", ""),
        ("0.2500", "1", "", ""),
        ("", "", "", "b.png: broken"),
    ]
    pq = pytest.importorskip("pyarrow.parquet", reason="pyarrow comes with the extra scale")
    numbers, pages = tables([Input(0, "a.png", None), Input(1, "b.png", None)], reads, "model")
    pages = pq.read_table(io.BytesIO(pages)).to_pylist()
    assert [(row["unread"], row["no_numbers"]) for row in pages] == [(1, "not_read"), (1, None), (None, None)]
    assert pq.read_table(io.BytesIO(numbers)).to_pylist()[0]["printed"] == 0.25
