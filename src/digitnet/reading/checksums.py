"""Check digits, with the arithmetic of their standards.

- `luhn`: the check digit of ISO/IEC 7812-1, annex B: payment cards, IMEI, many customer numbers; two digits or more.
- `isbn`: ISBN-10 (ISO 2108; weights 10 to 1, modulo 11) and ISBN-13 (978 or 979, then as `ean`). An ISBN-10 whose
  check is X cannot be written in digits: it is never permitted.
- `ean`: the GS1 check digit, modulo 10, of EAN-8, UPC-A (12 digits) and EAN-13 (GS1 General Specifications, 7.9).
- `iban-digits-de` and its like: an IBAN (ISO 13616) without its two letters. Its check digits count the letters in,
  so digits prove nothing until the country is named; and the country must be one whose accounts are written in
  digits only, a fixed number of them (`IBAN_DIGITS`). Read are two check digits, 02 to 98, and the account.
"""

from __future__ import annotations

from collections.abc import Callable

IBAN_DIGITS: dict[str, int] = {
    country: digits
    for digits, countries in {
        11: "no",
        12: "be",
        14: "dk fi fo gl sd",
        15: "si",
        16: "at ba ee lt mn xk",
        17: "hr",
        18: "cr de me rs va",
        19: "ae il so tl",
        20: "cz es se sk tn",
        21: "ly pt st",
        22: "is",
        23: "bi dj mr",
        24: "hu pl",
        25: "eg",
    }.items()
    for country in countries.split()
}
"""Digits of an account by country, where it has no letters: SWIFT's IBAN registry (of ISO 13616), release 101."""

CHECKSUMS = ("luhn", "isbn", "ean", *(f"iban-digits-{country}" for country in sorted(IBAN_DIGITS)))
"""The checksums that a rule can ask for."""


def modulo_10(text: str, other: Callable[[int], int]) -> bool:
    """Say whether the digits sum to a multiple of ten, every other one from the right, not the last, changed."""
    last_first = [int(digit) for digit in reversed(text)]
    return (sum(last_first[::2]) + sum(map(other, last_first[1::2]))) % 10 == 0


def doubled(digit: int) -> int:
    """Return the sum of the digits of twice a digit, as `luhn` counts every other one."""
    return sum(divmod(2 * digit, 10))


def tripled(digit: int) -> int:
    """Return three times a digit, as `ean` counts every other one."""
    return 3 * digit


def checks(text: str, checksum: str) -> bool:
    """Return whether digits keep a checksum, one of `CHECKSUMS`."""
    if checksum == "luhn":
        return len(text) >= 2 and modulo_10(text, doubled)
    if checksum == "ean":
        return len(text) in (8, 12, 13) and modulo_10(text, tripled)
    if checksum == "isbn" and len(text) == 10:
        return sum((10 - place) * int(digit) for place, digit in enumerate(text)) % 11 == 0
    if checksum == "isbn":
        return len(text) == 13 and text.startswith(("978", "979")) and modulo_10(text, tripled)
    country = checksum.removeprefix("iban-digits-")
    if len(text) != 2 + IBAN_DIGITS[country] or not 2 <= int(text[:2]) <= 98:
        return False
    return int(text[2:] + letters(country) + text[:2]) % 97 == 1


def letters(country: str) -> str:
    """Return a country's letters as ISO 13616 counts them: A is 10, Z is 35."""
    return "".join(str(int(letter, 36)) for letter in country)


def unknown(checksum: str) -> str:
    """Return what to say of a checksum that is not one of `CHECKSUMS`."""
    if not checksum.startswith("iban"):
        return f"checksum {checksum!r}: choose one of luhn, isbn, ean, iban-digits-<country>"
    countries = " ".join(sorted(IBAN_DIGITS))
    return (
        f"checksum {checksum!r}: the check digits of an IBAN depend on its country; name one with all-digit "
        f"accounts, such as iban-digits-de: {countries}"
    )
