"""Text for messages: escaped, shortened, percentages and times."""

from __future__ import annotations

from collections.abc import Iterable
from unicodedata import category


def listed(names: Iterable[str], most: int = 20) -> str:
    """Return names out of a file as a message may list them: printable, at most `most`, or "none"."""
    known = list(names)
    shown = [printable(name[:80]) for name in known[:most]]
    return ", ".join(shown + [f"and {len(known) - most} more"] * (len(known) > most)) or "none"


def nearest(name: str, known: Iterable[str]) -> str:
    """Return advice on an unknown name: the one that was probably meant, or else all known names."""
    from difflib import get_close_matches  # not needed where all goes well

    names = list(known)
    if close := get_close_matches(name[:80].lower(), names, 1):
        return f"did you mean {close[0]!r}?"
    return f"choose one of {', '.join(names)}" if names else "omit it"


def printable(words: str, surrogates: bool = False) -> str:
    r"""Return words that may quote a file, with what would steer a terminal or break the line escaped: `\x1b`.

    surrogates: whether to leave those as they are; they stand for bytes that are not Unicode.
    """
    steering = {"Cc", "Cf", "Cn", "Co", "Zl", "Zp", *(() if surrogates else ("Cs",))}
    if words.isprintable():
        return words
    return "".join(ascii(c)[1:-1] if category(c) in steering else c for c in words)


def percent(share: float) -> str:
    """Return a share 0..1 as percent with two places; only 1 itself rounds to 100."""
    text = f"{100 * share:.2f}%"
    return "99.99%" if text == "100.00%" and share < 1 else text


def reason(error: BaseException, most: int = 200) -> str:
    """Return why something failed, as one printable line of at most `most` characters.

    It is the first line of the message, or the error's type where there is none. Of an error of the system it leaves
    out the number and the path.
    """
    words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    lines = words.strip().splitlines() or [type(error).__name__]
    return printable(lines[0][:most])


def duration(seconds: float) -> str:
    """Return a time as minutes and seconds, 3:05, from an hour on with hours: 17:58:05."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02}:{rest:02}"
