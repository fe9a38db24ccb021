"""Values of numbers and the languages of their kinds: each is held against the other, and dates against a calendar."""

import itertools
from datetime import date, time, timedelta
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from digitnet.core.digits import DIGITS, SIGNS
from digitnet.core.errors import DataError
from digitnet.reading.automaton import joined
from digitnet.reading.constraints import Rules, from_options
from digitnet.reading.kinds import KINDS, ORDERS, after, ends, language
from digitnet.reading.values import value_text, values

ASKED = [
    *(Rules(kind=kind) for kind in KINDS),
    *(Rules(kind="date", order=order) for order in ORDERS),
    *(Rules(kind=kind, decimal=point) for kind in ("decimal", "integer") for point in ".,"),
]


def accepts(automaton, text, alphabet=DIGITS + SIGNS):
    state = 0
    for character in text:
        state = automaton.steps[state, alphabet.index(character)]
    return bool(automaton.accepts[state])


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("1.159,-", ["1159"]),
        ("1.159", ["1.159", "1159"]),
        ("12.50", ["12.50"]),
        ("1,234.56", ["1234.56"]),
        ("1.234.567", ["1234567"]),
        ("0.125", ["0.125"]),
        (".50", ["0.50"]),
        ("-3", ["-3"]),
        ("+3,5", ["3.5"]),
        ("$30.000", ["30.000", "30000"]),
        ("$-2.3", ["-2.3"]),
        ("50%", ["50"]),
        ("26%.", ["26"]),
        ("=125=", ["125"]),
        ("50-", ["50", "-50"]),
        ("-50-", ["-50"]),
        ("12/03/96", []),
        ("(808)", []),
        ("1.2.3", []),
        ("12,34,56", []),
        ("1?5", []),
        ("", []),
        ("-", []),
        ("$", []),
    ],
)
def test_a_decimal_is_all_that_its_signs_allow(written, expected):
    assert [value_text(value) for value in values(written)] == expected


def test_the_sign_before_decimals_settles_what_is_ambiguous():
    assert values("1.159", decimal=".") == [Decimal("1.159")]
    assert values("1.159", decimal=",") == [Decimal(1159)]
    assert values("12.50", decimal=",") == []


@pytest.mark.parametrize(
    ("written", "order", "expected"),
    [
        ("12/03/96", "dmy", [date(1996, 3, 12)]),
        ("12/03/96", "mdy", [date(1996, 12, 3)]),
        ("96-03-12", "ymd", [date(1996, 3, 12)]),
        ("12/03/96", None, [date(1996, 3, 12), date(1996, 12, 3)]),
        ("5/5/2005", None, [date(2005, 5, 5)]),
        ("31/12/68", None, [date(2068, 12, 31)]),
        ("2024-02-29", None, [date(2024, 2, 29)]),
        ("20240229", None, [date(2024, 2, 29)]),
        ("120396", "dmy", [date(1996, 3, 12)]),
        ("960312", "ymd", [date(1996, 3, 12)]),
        ("31/02/96", "dmy", []),
        ("29.2.1900", "dmy", []),
        ("29.2.2000", "dmy", [date(2000, 2, 29)]),
        ("12/03-96", "dmy", []),
        ("1203", "dmy", []),
        ("12/3/996", "dmy", []),
        ("1/1/0000", "dmy", []),
    ],
)
def test_a_date_is_one_of_the_calendar(written, order, expected):
    assert values(written, "date", order=order) == expected


@pytest.mark.parametrize(
    ("kind", "written", "expected"),
    [
        ("time", "1:45", [time(1, 45)]),
        ("time", "19.25", [time(19, 25)]),
        ("time", "0005", [time(0, 5)]),
        ("time", "12:00:30", [time(12, 0, 30)]),
        ("time", "24:00", []),
        ("time", "12:60", []),
        ("time", "1:5", []),
        ("phone", "(408)974-3145", ["4089743145"]),
        ("phone", "+49(0)30.12/34", ["+490301234"]),
        ("phone", "12", []),
        ("phone", "1" * 16, []),
        ("phone", "4--5678", []),
        ("fraction", "3/4", [Fraction(3, 4)]),
        ("fraction", "-1-1/2", [Fraction(-3, 2)]),
        ("fraction", "11/2", [Fraction(11, 2), Fraction(3, 2)]),
        ("fraction", "15/16", [Fraction(15, 16)]),
        ("fraction", "4/0", []),
        ("integer", "1.159", [Decimal(1159)]),
        ("integer", "-12", [Decimal(-12)]),
        ("integer", "1.15", []),
        ("digits", "007", ["007"]),
        ("digits", "1-2", []),
    ],
)
def test_other_kinds_have_the_values_of_their_signs(kind, written, expected):
    assert values(written, kind) == expected


def test_values_are_written_as_iso_and_without_an_exponent():
    assert value_text(time(13, 45)) == "13:45"
    assert value_text(time(13, 45, 7)) == "13:45:07"
    assert value_text(date(1996, 3, 12)) == "1996-03-12"
    assert value_text(Fraction(3, 4)) == "3/4"
    assert value_text(Decimal("1E+3")) == "1000"


@pytest.mark.parametrize("rules", ASKED, ids=str)
def test_the_language_of_a_kind_is_the_texts_that_have_a_value(rules):
    automaton = rules.automaton()
    for length in range(5):
        for text in map("".join, itertools.product("012" + SIGNS, repeat=length)):
            assert accepts(automaton, text) == bool(rules.values(text)) == rules.allows(text), text


@pytest.mark.parametrize("rules", ASKED, ids=str)
def test_random_walks_through_a_kind_have_values_and_their_neighbours_agree(rules):
    rng = np.random.default_rng(0)
    start, automaton = language(rules.kind, rules.decimal, rules.order), rules.automaton()
    for _ in range(300):
        state, text = start, ""
        while not (ends(state) and rng.random() < 0.3) and len(text) < 24:
            ways = [character for character in DIGITS + SIGNS if accepts_some(after(state, character))]
            if not ways:
                break
            character = ways[rng.integers(len(ways))]
            state, text = after(state, character), text + character
        place = rng.integers(len(text) + 1)
        for near in (text, text[:place] + text[place + 1 :], text[:place] + "3" + text[place:], text + "-"):
            assert accepts(automaton, near) == bool(rules.values(near)), near


def accepts_some(state):
    from digitnet.reading.kinds import NEVER

    return state != NEVER


@pytest.mark.parametrize("order", ORDERS)
def test_every_day_of_five_hundred_years_is_a_date_and_no_day_that_is_not(order):
    automaton = Rules(kind="date", order=order).automaton()
    day, parts = date(1899, 12, 25), {"d": "%d", "m": "%m", "y": "%Y"}
    for _ in range(300):
        day += timedelta(days=613)
        assert accepts(automaton, day.strftime("/".join(parts[letter] for letter in order)))
    for year, month, number in itertools.product((1900, 1996, 2000, 2023), range(14), (0, 1, 28, 29, 30, 31, 32)):
        fields = {"d": f"{number:02}", "m": f"{month:02}", "y": str(year)}
        text = ".".join(fields[letter] for letter in order)
        try:
            exists = bool(date(year, month, number))
        except ValueError:
            exists = False
        assert accepts(automaton, text) == exists, text


@pytest.mark.parametrize("written", ["01.06.7024", "01.06.1024", "70240601"])
def test_a_date_is_not_of_a_year_that_nobody_writes(written):
    assert not accepts(Rules(kind="date", order="dmy" if "." in written else "ymd").automaton(), written)


@given(st.text(DIGITS + SIGNS, max_size=12))
def test_any_text_agrees_with_its_language(text):
    for rules in ASKED:
        assert accepts(rules.automaton(), text) == bool(rules.values(text))


def test_rules_of_digits_hold_with_a_kind():
    rules = Rules(kind="phone", lengths=(7, 7), checksum="luhn")
    assert rules.allows("(123)-4566")
    assert accepts(rules.automaton(), "(123)-4566")
    for text in ("(123)-4567", "(123)-456", "123-4566)"):
        assert not rules.allows(text)
        assert not accepts(rules.automaton(), text)


def test_without_a_kind_signs_may_stand_anywhere():
    automaton = Rules(lengths=(2, 2)).automaton(DIGITS + SIGNS)
    assert accepts(automaton, "-1/2-")
    assert not accepts(automaton, "-1/2-3")


def test_two_automata_joined_accept_what_both_do():
    date_of, short = Rules(kind="date", order="dmy").automaton(), Rules(lengths=(6, 6)).automaton(DIGITS + SIGNS)
    both = joined(date_of, short)
    assert not both.accepts[-1]
    for text in ("12/03/96", "12/03/1996", "1/3/96", "31/02/96", "120396"):
        assert accepts(both, text) == (accepts(date_of, text) and accepts(short, text))


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"kind": "roman"}, "kind 'roman': choose one of digits, decimal"),
        ({"order": "dmy"}, "order dmy applies only to dates; use kind date, or omit the order"),
        ({"kind": "date", "order": "dym"}, "order 'dym'"),
        ({"decimal": ";"}, "decimal ';': expected"),
        ({"kind": "date", "decimal": "."}, "decimal '.' does not apply to kind date; omit one of them"),
        ({"kind": "decimal", "high": 9}, "range ..9 applies only to kind digits, not to decimal"),
        ({"kind": "time", "lengths": (9, 9)}, "no number satisfies all of these constraints"),
    ],
)
def test_rules_that_make_no_sense_are_refused(asked, message):
    with pytest.raises(DataError) as told:
        Rules(**asked)
    assert message in str(told.value)


def test_the_sign_before_decimals_alone_asks_nothing_of_a_number():
    assert not Rules(decimal=",")
    assert Rules(kind="digits")
    assert from_options(decimal=",") == Rules(decimal=",")
    assert from_options(lengths="", value_range="", checksum="", kind="", decimal="", order="") is None
    assert str(Rules(kind="date", order="dmy")) == "kind date in the order dmy"
    assert str(Rules(kind="decimal", decimal=",")) == "kind decimal, decimals after ','"
