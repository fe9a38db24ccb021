import json
from pathlib import Path

import pytest
from helpers import parsed_template, small_template

import digitnet.forms.template as templates
from digitnet.core.errors import DataError
from digitnet.forms.examples import EXAMPLES, example, path_of


def with_field(**changes):
    template = small_template()
    template["fields"][0] |= changes
    return template


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_written_as_it_is_read(name):
    template = example(name)
    assert templates.parsed(template.to_json().encode(), "x") == template
    assert template.name == name


def test_the_published_schema_is_that_of_the_templates():
    own = json.loads((Path(templates.__file__).parent / "form.schema.json").read_text())
    assert own == templates.schema()
    docs = Path(__file__).parents[2] / "docs" / "form.schema.json"
    assert json.loads(docs.read_text()) == own


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_examples_keep_the_schema(name):
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.validate(json.loads(path_of(name).read_text()), templates.schema())


@pytest.mark.parametrize(
    ("template", "said"),
    [
        (with_field(box=[30, 40, 130, 50]), "field 'a': box [30, 40, 130, 50] is outside the page of 120 x 150 mm"),
        (with_field(box=[80, 40, 30, 50]), "field 'a': box [80, 40, 30, 50]: expected left < right"),
        (with_field(kind="digits"), "field 'a': cells does not apply to kind digits"),
        (with_field(cells=None), "field 'a': cells is missing"),
        (with_field(kind="words"), "field 'a': kind: expected 'digits', 'comb'"),
        (with_field(colour="red"), "field 'a': colour: is unknown here"),
        (with_field(checksum="crc"), "field 'a': checksum 'crc': choose one of luhn"),
        (with_field(length=9), "field 'a': length 9: more than its 5 cells"),
        (
            with_field(checksum="isbn"),
            "field 'a': 5 cells, isbn, kind digits: no number satisfies all of these constraints, because isbn needs",
        ),
        (with_field(range=[1.5, 3]), "field 'a': range 1.5: expected whole numbers"),
        (with_field(values={"1": "Ada", "2": "Ada"}), "field 'a': values: the name 'Ada' occurs twice"),
        (with_field(name="b"), "field 'b': the name occurs twice"),
        (with_field(name="1st"), "field '1st': name: expected an English letter or _, then"),
        (with_field(values={"12a": "Ada"}), "field 'a': values.12a: expected numbers of up to 30 digits"),
        (small_template(fields=[]), "fields: expected at least 1"),
        (small_template(relations=["a = b"] * 101), "relations: at most 100 fit"),
        (
            small_template(fields=[{"name": f"f{i}", "kind": "area", "box": [0, 0, 120, 125]} for i in range(3)]),
            "the fields together have 2.5 times the area of the sheet, more than the limit of 2; make some smaller",
        ),
        (small_template(version=2), "version 2, expected 1"),
        (small_template(relations=["a = d"]), "relation 'a = d': 'd' is not a field"),
        (small_template(relations=["a = b.real"]), "relation 'a = b.real': expected a comparison"),
        (small_template(markers={"number": 146}), "markers.number: "),
        ([1], "not a form template: `fields` is missing"),
        ({"version": 1}, "not a form template: `fields` is missing"),
    ],
)
def test_a_template_that_is_not_one_is_refused_in_one_line_with_the_field(template, said):
    with pytest.raises(DataError) as caught:
        parsed_template(template)
    assert str(caught.value).startswith(f"t.form.json: {said}")
    assert "\n" not in str(caught.value)


def test_an_error_has_the_place_of_its_field():
    for template, place in (
        (with_field(box=[30, 40, 130, 50]), 0),
        (with_field(name="b"), 1),
        (with_field(kind="digits"), 0),
        (small_template(relations=["a = d"]), None),
    ):
        with pytest.raises(templates.TemplateError) as caught:
            parsed_template(template)
        assert caught.value.field == place
        assert str(caught.value) == f"t.form.json: {caught.value.line}"


def test_a_number_listed_twice_is_refused_with_the_field():
    raw = json.dumps(with_field(values={"12": "Ada"})).replace('{"12": "Ada"}', '{"12": "Ada", "12": "Bob"}')
    with pytest.raises(DataError, match="field 'a': values: '12' occurs twice"):
        templates.parsed(raw.encode(), "t")
    with pytest.raises(DataError, match="not a form template, because it is not JSON"):
        templates.parsed(b"{", "t")


def test_two_templates_that_could_not_be_told_apart_are_refused(tmp_path):
    for name in ("one", "two"):
        (tmp_path / f"{name}.form.json").write_text(json.dumps(small_template(name=name, markers={"number": 7})))
    paths = [tmp_path / "one.form.json", tmp_path / "two.form.json"]
    with pytest.raises(DataError, match="has the markers' number 7 of"):
        templates.tell_apart([templates.load(path) for path in paths], [path.name for path in paths])
    with pytest.raises(DataError, match=r"no\.form\.json: No such file"):
        templates.load(tmp_path / "no.form.json")
