from fractions import Fraction

import pytest

from digitnet.core.errors import DataError
from digitnet.forms.agreement import agreed
from digitnet.forms.answers import Answer, Option
from digitnet.forms.relations import parse
from digitnet.reading.constraints import Rules


@pytest.mark.parametrize(
    ("relation", "values", "holds"),
    [
        ("total = a + b", (5, 2, 3), True),
        ("total = a + b", (6, 2, 3), False),
        ("total = a + b", (2, 2, None), True),
        ("total = a + b", (None, 2, 3), True),
        ("total == 2 * (a - b) / 4", (Fraction(1, 2), 3, 2), True),
        ("total >= a", (3, 3, 0), True),
        ("total != a", (3, 3, 0), False),
        ("total = a / b", (1, 1, 0), False),
        ("total < 1.5", (1, 0, 0), True),
        ("-total <= -2", (2, 0, 0), True),
    ],
)
def test_a_relation_holds_by_exact_arithmetic(relation, values, holds):
    named = {name: None if v is None else Fraction(v) for name, v in zip(("total", "a", "b"), values, strict=True)}
    assert parse(relation).holds(named) is holds


@pytest.mark.parametrize(
    "text",
    ["", "a", "1 = 1", "a = b = c", "a = f(b)", "a = 'x'", "a = b ** 9", "a = [b]", "a if b else c", "a = " * 99],
)
def test_what_is_not_a_relation_is_refused(text):
    with pytest.raises(DataError, match="expected a comparison of fields and numbers"):
        parse(text)


def test_a_list_of_numbers_is_part_of_the_rules():
    rules = Rules(listed=("0123", "77", "78"))
    assert [rules.allows(text) for text in ("0123", "123", "77", "7", "")] == [True, False, True, False, False]
    steps, accepts = rules.automaton()
    for text in ("0123", "123", "77", "7", "78", "79"):
        state = 0
        for digit in text:
            state = steps[state, int(digit)]
        assert bool(accepts[state]) is rules.allows(text)
    assert str(rules) == "one of 3 listed"
    with pytest.raises(DataError, match="expected digits"):
        Rules(listed=("12a",))


def test_relations_correct_a_field_and_leave_a_sum_that_was_written_wrong():
    def read(text, sure):
        return Answer(text, sure, "read", Fraction(text))

    answers = {"a": read("12", 0.999), "b": read("31", 0.6), "total": read("49", 0.99)}
    options = {
        "a": [Option("12", Fraction(12), 0.999)],
        "b": [Option("31", Fraction(31), 0.6), Option("37", Fraction(37), 0.4)],
        "total": [Option("49", Fraction(49), 0.99), Option("43", Fraction(43), 0.01)],
    }
    found, broken = agreed(answers, [parse("total = a + b")], options.get)
    assert (found["b"].text, found["b"].seen, broken) == ("37", "31", [])
    assert found["b"].confidence > 0.9
    options["b"] = [Option("31", Fraction(31), 0.99999)]
    options["total"] = [Option("49", Fraction(49), 0.99999)]
    found, broken = agreed(answers, [parse("total = a + b")], options.get)
    assert (found["b"].text, found["total"].text, broken) == ("31", "49", ["total = a + b"])
