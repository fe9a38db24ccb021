import itertools

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import digitnet.reading.constraints as constraints
from digitnet import DataError
from digitnet.reading.checksums import CHECKSUMS, IBAN_DIGITS
from digitnet.reading.constraints import Rules, parse_lengths, parse_range

PUBLISHED = {
    "luhn": ["79927398713", "49927398716", "4111111111111111", "378282246310005", "490154203237518"],
    "isbn": ["0306406152", "0131103628", "0262033844", "9780306406157", "9783161484100"],
    "ean": ["96385074", "73513537", "036000291452", "012345678905", "4006381333931", "5901234123457"],
    # The examples of SWIFT's registry, without their letters.
    "iban-digits-at": ["611904300234573201"],
    "iban-digits-be": ["68539007547034"],
    "iban-digits-cz": ["6508000000192000145399"],
    "iban-digits-de": ["89370400440532013000"],
    "iban-digits-dk": ["5000400440116243"],
    "iban-digits-ee": ["382200221020145685"],
    "iban-digits-es": ["9121000418450200051332"],
    "iban-digits-fi": ["2112345600000785"],
    "iban-digits-hr": ["1210010051863000160"],
    "iban-digits-hu": ["42117730161111101800000000"],
    "iban-digits-is": ["140159260076545510730339"],
    "iban-digits-lt": ["121000011101001000"],
    "iban-digits-no": ["9386011117947"],
    "iban-digits-pl": ["61109010140000071219812874"],
    "iban-digits-pt": ["50000201231234567890154"],
    "iban-digits-rs": ["35260005601001611379"],
    "iban-digits-se": ["4550000000058398257466"],
    "iban-digits-si": ["56263300012039086"],
    "iban-digits-sk": ["3112000000198742637541"],
}

EXAMPLES = [(checksum, text) for checksum, texts in PUBLISHED.items() for text in texts]

digits = st.text("0123456789", max_size=15)
limits = st.one_of(st.none(), st.integers(0, 2000))
checksums = st.sampled_from([None, None, "luhn", "isbn", "ean", "iban-digits-no"])


@st.composite
def rules(draw):
    """Any rules that some number keeps."""
    lengths = draw(st.none() | st.tuples(st.integers(0, 4), st.integers(0, 12)))
    low, high, checksum = draw(limits), draw(limits), draw(checksums)
    if low is not None and high is not None:
        low, high = sorted([low, high])
    try:
        return Rules(lengths and (lengths[0], sum(lengths)), low, high, checksum)
    except DataError:
        assume(False)


@st.composite
def valid(draw, *of):
    """A checksum and a number with it, found by trying: check digits first in an IBAN, else last."""
    checksum = draw(st.sampled_from(of))
    kept = Rules(checksum=checksum)
    if checksum.startswith("iban"):
        size = IBAN_DIGITS[checksum[-2:]]
        account = draw(st.text("0123456789", min_size=size, max_size=size))
        found = [text for check in range(100) if kept.allows(text := f"{check:02}{account}")]
    else:
        sizes = {"isbn": [9, 12], "ean": [7, 11, 12], "luhn": list(range(1, 19))}[checksum]
        size = draw(st.sampled_from(sizes))
        start = "978" if checksum == "isbn" and size == 12 else ""
        body = start + draw(st.text("0123456789", min_size=size - len(start), max_size=size - len(start)))
        found = [text for check in range(10) if kept.allows(text := f"{body}{check}")]
        assume(found or checksum != "isbn")  # its check is X
    assert len(found) == 1
    return kept, found[0]


def accepts(automaton, text):
    state = 0
    for digit in text:
        state = automaton.steps[state, int(digit)]
    return bool(automaton.accepts[state])


def permitted(rules, length):
    """How many strings of that length an automaton accepts, in Python's integers: no overflow."""
    automaton = rules.automaton()
    reached = {0: 1}
    for _ in range(length):
        following = {}
        for state, ways in reached.items():
            for after in automaton.steps[state].tolist():
                following[after] = following.get(after, 0) + ways
        reached = following
    return sum(ways for state, ways in reached.items() if automaton.accepts[state])


@pytest.mark.parametrize(("checksum", "text"), EXAMPLES)
def test_published_numbers_have_their_checksum(checksum, text):
    assert Rules(checksum=checksum).allows(text)


@pytest.mark.parametrize(("checksum", "text"), EXAMPLES)
def test_any_single_digit_changed_breaks_a_published_number(checksum, text):
    kept = Rules(checksum=checksum)
    for place, digit in itertools.product(range(len(text)), "0123456789"):
        changed = text[:place] + digit + text[place + 1 :]
        assert kept.allows(changed) == accepts(kept.automaton(), changed) == (changed == text)


@given(valid("luhn", "isbn", "ean", "iban-digits-de", "iban-digits-no"), st.data())
def test_any_single_digit_changed_breaks_a_checksum(found, data):
    kept, text = found
    place = data.draw(st.integers(0, len(text) - 1))
    digit = data.draw(st.sampled_from("0123456789".replace(text[place], "")))
    changed = text[:place] + digit + text[place + 1 :]
    assert accepts(kept.automaton(), text)
    assert not kept.allows(changed)
    assert not accepts(kept.automaton(), changed)


@given(valid("luhn", "isbn", "iban-digits-de", "iban-digits-es"))
def test_neighbours_swapped_break_a_checksum(found):
    kept, text = found
    for place in range(len(text) - 1):
        pair = text[place : place + 2]
        swapped = text[:place] + pair[::-1] + text[place + 2 :]
        same = pair[0] == pair[1]
        # Luhn's known gap, and that of the weights 1 and 3 in an ISBN-13.
        gap = (kept.checksum == "luhn" and set(pair) == set("09")) or (
            len(text) == 13 and abs(int(pair[0]) - int(pair[1])) == 5
        )
        assert kept.allows(swapped) == (same or gap)


@given(rules(), digits)
def test_an_automaton_accepts_what_is_allowed(rules, text):
    assert accepts(rules.automaton(), text) == rules.allows(text)


@pytest.mark.parametrize(
    "rules",
    [
        Rules(),
        Rules(lengths=(0, 2)),
        Rules(low=7),
        Rules(low=0),
        Rules(high=0),
        Rules(low=95, high=1203),
        Rules(lengths=(3, 3), high=120),
        Rules(lengths=(2, 4), checksum="luhn"),
        Rules(low=10, high=99, checksum="luhn"),
    ],
    ids=str,
)
def test_of_all_short_strings_an_automaton_accepts_just_those_allowed(rules):
    for length in range(5):
        for text in map("".join, itertools.product("0123456789", repeat=length)):
            assert accepts(rules.automaton(), text) == rules.allows(text), text


def test_as_many_numbers_are_permitted_as_arithmetic_says():
    assert [permitted(Rules(checksum="luhn"), length) for length in (1, 2, 16)] == [0, 10, 10**15]
    assert [permitted(Rules(checksum="ean"), length) for length in (7, 8, 12, 13, 14)] == [0, 10**7, 10**11, 10**12, 0]
    assert [permitted(Rules(checksum="isbn"), length) for length in (9, 11, 13)] == [0, 0, 2 * 10**9]
    # Of the ISBN-10 one in eleven ends in X.
    assert permitted(Rules(checksum="isbn"), 10) == pytest.approx(10**9 * 10 / 11, rel=1e-6)
    assert permitted(Rules(low=95, high=1203), 6) == 1203 - 95 + 1
    for country, size in IBAN_DIGITS.items():
        assert permitted(Rules(checksum=f"iban-digits-{country}"), 2 + size) == 10**size


@given(limits, limits, st.text("0123456789", min_size=1, max_size=6))
def test_a_range_is_of_values_whatever_the_leading_zeros(low, high, text):
    assume(low is None or high is None or low <= high)
    within = (low is None or low <= int(text)) and (high is None or int(text) <= high)
    assert Rules(low=low, high=high).allows(text) == within


def test_no_number_keeps_only_rules_of_length():
    assert Rules().allows("")
    assert Rules(lengths=(0, 3)).allows("")
    assert not Rules(lengths=(1, 3)).allows("")
    assert not any(Rules(low=0).allows(text) for text in ["", "1a", "-1", "²"])
    assert not any(Rules(checksum=checksum).allows("") for checksum in CHECKSUMS)


def test_an_isbn_that_ends_in_x_cannot_be_written_in_digits():
    assert not Rules(checksum="isbn").allows("316148410X")
    assert not any(Rules(checksum="isbn").allows(f"316148410{digit}") for digit in range(10))


def test_rules_that_ask_nothing_are_false():
    assert not Rules()
    assert all([Rules(lengths=(0, 9)), Rules(low=0), Rules(high=0), Rules(checksum="luhn")])


def test_rules_say_what_they_ask():
    assert str(Rules()) == "no rules"
    assert str(Rules((5, 5), 0, 70000, "luhn")) == "length 5, range 0..70000, luhn"
    assert str(Rules((4, 6), high=9000)) == "length 4-6, range ..9000"


def test_lengths_and_ranges_are_read_from_text():
    assert parse_lengths("5") == (5, 5)
    assert parse_lengths(" 4-6 ") == (4, 6)
    assert parse_range("0..100") == (0, 100)
    assert parse_range("10..") == (10, None)
    assert parse_range("..007") == (None, 7)


@pytest.mark.parametrize("text", ["", "five", "6-4", "-4", "4-", "4..6", "1234", "²"])
def test_what_is_no_length_is_refused_by_name(text):
    with pytest.raises(DataError) as error:
        parse_lengths(text)
    assert str(error.value) == (f"length {text!r}: expected a number of digits such as 5, or a range such as 4-6")


@pytest.mark.parametrize("text", ["", "..", "100", "9..3", "0-100", "-1..5", "a..b", "0...9", "1" * 31 + ".."])
def test_what_is_no_range_is_refused_by_name(text):
    with pytest.raises(DataError) as error:
        parse_range(text)
    assert str(error.value) == (
        f"range {text!r}: expected minimum and maximum such as 0..100, or one of them such as 10.."
    )


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"lengths": (3, 2)}, "lengths (3, 2): expected the minimum and the maximum, 0 or more"),
        ({"low": -1}, "range -1..: expected the minimum and the maximum value, 0 or more"),
        ({"low": 9, "high": 3}, "range 9..3: expected the minimum and the maximum value, 0 or more"),
        ({"checksum": "lun"}, "checksum 'lun': choose one of luhn, isbn, ean, iban-digits-<country>"),
        (
            {"lengths": (5, 5), "checksum": "ean"},
            "length 5, ean: no number satisfies all of these constraints, because ean needs 8, 12 or 13 digits; "
            "change one",
        ),
        (
            {"lengths": (1, 1), "low": 10, "high": 20, "checksum": "luhn"},
            "length 1, range 10..20, luhn: no number satisfies all of these constraints, because range needs 2 or more "
            "digits and luhn needs 2 or more digits; change one",
        ),
        (
            {"checksum": "isbn", "listed": ("1", "2")},
            "isbn, one of 2 listed: no number satisfies all of these constraints, because the list needs 1 digit and "
            "isbn needs 10 or 13 digits; change one",
        ),
        (
            {"low": 3, "high": 5, "checksum": "isbn", "lengths": (13, 13)},
            "length 13, range 3..5, isbn: no number satisfies all of these constraints; omit one",
        ),
        (
            {"lengths": (0, 400), "checksum": "luhn"},
            "length 0-400, luhn: too many combinations; omit or narrow one of them",
        ),
    ],
)
def test_rules_that_make_no_sense_are_refused(asked, message):
    with pytest.raises(DataError) as error:
        Rules(**asked)
    assert str(error.value) == message


@given(valid("luhn", "isbn", "ean", "iban-digits-de"))
def test_rules_that_one_number_satisfies_are_not_refused(found):
    kept, text = found
    its = Rules((len(text), len(text)), int(text), int(text), kept.checksum, listed=("0", text))
    assert its.allows(text)


def test_lengths_that_a_checksum_does_not_permit_are_refused_without_a_search(monkeypatch):
    monkeypatch.setattr(constraints, "build", None)
    with pytest.raises(DataError) as error:
        Rules((1, 19), checksum="iban-digits-de", kind="integer")
    assert str(error.value) == (
        "length 1-19, iban-digits-de, kind integer: no number satisfies all of these constraints, because "
        "iban-digits-de needs 20 digits; change one"
    )


@pytest.mark.parametrize("checksum", ["iban", "iban-digits", "iban-digits-gb", "iban-digits-DE"])
def test_an_iban_needs_a_country_whose_accounts_have_digits_only(checksum):
    with pytest.raises(DataError) as error:
        Rules(checksum=checksum)
    assert str(error.value).startswith(f"checksum {checksum!r}: the check digits of an IBAN depend on its country; ")
    assert " de dj " in str(error.value)
    assert " gb " not in str(error.value)


@pytest.mark.parametrize("kind", ["decimal", "date", "time", "fraction"])
def test_kinds_without_a_check_digit_are_refused_with_one(kind):
    with pytest.raises(DataError, match=f"luhn does not apply to kind {kind}; omit one of them"):
        Rules(checksum="luhn", kind=kind)
