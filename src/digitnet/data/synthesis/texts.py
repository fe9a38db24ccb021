"""Random texts of numbers: amounts, decimals, dates, times, phone numbers, fractions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

SIGNS = ".,-+/:()%$="
"""The signs within numbers that are read as themselves; $ stands for every currency."""

OTHER = "?"
"""Any other mark, as it is read."""

TICK = "\N{CHECK MARK}"
"""The label of check marks among the signs."""

ALPHABET = "0123456789" + SIGNS + OTHER
"""What the line reader reads, in the order of its classes."""

LENGTHS = (0.10, 0.12, 0.16, 0.20, 0.20, 0.11, 0.06, 0.05)
"""How often a plain number has 1, 2, ... digits."""

ENDINGS = ("", "", "", "", ".", ",", ".-", ",-", "-", "=", ".=", ",=", "--", ".--", ",--")
"""What closes an amount, so that nothing can be added."""


def random_text(rng: np.random.Generator) -> str:
    """Return a number as it is written, of the digits, `SIGNS`, `OTHER` for a letter or another mark, and spaces."""
    kinds: tuple[tuple[float, Callable[[np.random.Generator], str]], ...] = (
        (0.44, plain),
        (0.22, amount),
        (0.11, decimal),
        (0.07, date),
        (0.03, time),
        (0.07, phone),
        (0.05, fraction),
        (0.025, marked),
    )
    shares = np.array([share for share, _ in kinds])
    return kinds[int(rng.choice(len(kinds), p=shares / shares.sum()))][1](rng)


def plain(rng: np.random.Generator) -> str:
    """Return 1 to 8 digits, seldom up to 14: any digits, or round as prices are."""
    length = 1 + int(rng.choice(len(LENGTHS), p=LENGTHS)) if rng.random() < 0.95 else int(rng.integers(9, 15))
    digits = rng.integers(0, 10, length)
    if rng.random() < 0.3:
        digits[length - int(rng.integers(0, length)) :] = 0
    if rng.random() < 0.1:
        digits[:] = np.where(rng.random(length) < 0.6, digits[0], digits)
    return "".join(map(str, digits))


def amount(rng: np.random.Generator) -> str:
    """Return an amount of money: 12.500.-, $ 1,250.00, 3.000,=."""
    length = int(rng.integers(1, 8))
    digits = rng.integers(0, 10, length)
    if rng.random() < 0.45:
        digits[length - int(rng.integers(0, length)) :] = 0
    if length > 1 and not digits[0]:
        digits[0] = rng.integers(1, 10)
    text = "".join(map(str, digits))
    mark = _choice(rng, ".,.,..,..,..'  ")
    if mark == "'":
        mark = OTHER
    if rng.random() < 0.6:
        head = len(text) % 3 or 3
        text = mark.join([text[:head], *(text[i : i + 3] for i in range(head, len(text), 3))])
    kind = rng.random()
    if kind < 0.2:
        text += ("," if mark == "." else ".") + "".join(map(str, rng.integers(0, 10, 2)))
    elif kind < 0.6:
        text += ENDINGS[int(rng.integers(len(ENDINGS)))]
    if rng.random() < 0.06:
        text = "$" + _choice(rng, ["", "", " "]) + text
    elif rng.random() < 0.02:
        text += " $"
    elif rng.random() < 0.05:
        text = _choice(rng, ["=", "-"]) + text
    return text


def decimal(rng: np.random.Generator) -> str:
    """Return a decimal: 12.5, -0,25, +3."""
    whole = str(int(rng.integers(0, 10 ** int(rng.integers(1, 5)))))
    part = "".join(map(str, rng.integers(0, 10, int(rng.integers(1, 4)))))
    text = whole + _choice(rng, "..,") + part if rng.random() < 0.8 else whole
    if rng.random() < 0.35:
        text = _choice(rng, "--+") + text
    if rng.random() < 0.15:
        text += _choice(rng, ["%", " %"])
    return text


def date(rng: np.random.Generator) -> str:
    """Return a date or two parts of one: 12/03/96, 1-2-2004, 12.3."""
    mark = _choice(rng, "//--.. ")
    day, month = int(rng.integers(1, 32)), int(rng.integers(1, 13))
    year = str(int(rng.integers(1900, 2040)))
    parts = [f"{day:02d}" if rng.random() < 0.5 else str(day), f"{month:02d}" if rng.random() < 0.5 else str(month)]
    if rng.random() < 0.2:
        parts.reverse()
    if rng.random() < 0.8:
        parts.append(year[2:] if rng.random() < 0.6 else year)
        if rng.random() < 0.1:
            parts = [year, *parts[:2]]
    return mark.join(parts)


def time(rng: np.random.Generator) -> str:
    """Return a time: 1:45, 13.05, 10:30:12."""
    mark = _choice(rng, ":::.")
    hour, minute = int(rng.integers(0, 24)), int(rng.integers(0, 60))
    text = f"{hour:02d}{mark}{minute:02d}" if rng.random() < 0.4 else f"{hour}{mark}{minute:02d}"
    return text + (f"{mark}{int(rng.integers(0, 60)):02d}" if rng.random() < 0.1 else "")


def phone(rng: np.random.Generator) -> str:
    """Return a phone number, a postcode or an account: 456-7890, (808) 555-1234, +49 30 1234567."""

    def some(low: int, high: int) -> str:
        return "".join(map(str, rng.integers(0, 10, int(rng.integers(low, high + 1)))))

    kind = rng.random()
    if kind < 0.3:
        return f"{some(3, 3)}-{some(4, 4)}"
    if kind < 0.45:
        return f"({some(3, 4)})" + (f" {some(3, 3)}-{some(4, 4)}" if rng.random() < 0.6 else "")
    if kind < 0.6:
        return _choice(rng, "--. /").join([some(1, 4) for _ in range(int(rng.integers(2, 5)))])
    if kind < 0.7:
        return "+" + " ".join([some(2, 3), some(2, 4), some(3, 6)])
    if kind < 0.85:
        return f"{some(2, 5)}/{some(3, 7)}"
    return " ".join([some(2, 4) for _ in range(int(rng.integers(2, 5)))])


def fraction(rng: np.random.Generator) -> str:
    """Return a fraction, a score, a range, a share or a sum: 3/4, 18/20, 5-7, 50%, 3+4=7."""
    first, second = int(rng.integers(0, 10 ** int(rng.integers(1, 4)))), int(rng.integers(1, 101))
    kind = rng.random()
    if kind < 0.45:
        return f"{first}/{second}"
    if kind < 0.6:
        return f"{first}{_choice(rng, ['-', ' - ', ':'])}{second}"
    if kind < 0.8:
        return f"{second}{_choice(rng, ['%', ' %'])}"
    mark = _choice(rng, "+-:" + OTHER)
    return f"{first}{mark}{second}={int(rng.integers(0, 1000))}" if kind < 0.9 else f"{first}{mark}{second}"


def marked(rng: np.random.Generator) -> str:
    """Return a number with something beside it: 3), (12), 7., No 5, 12 kg."""
    number = str(int(rng.integers(0, 10 ** int(rng.integers(1, 4)))))
    kind = rng.random()
    if kind < 0.2:
        return f"{number})"
    if kind < 0.35:
        return f"({number})"
    if kind < 0.5:
        return f"{number}."
    letters = OTHER * int(rng.integers(1, 4))
    space = " " if rng.random() < 0.5 else ""
    return f"{letters}{space}{number}" if rng.random() < 0.5 else f"{number}{space}{letters}"


def _choice(rng: np.random.Generator, items: str | list[str]) -> str:
    return items[int(rng.integers(len(items)))]
