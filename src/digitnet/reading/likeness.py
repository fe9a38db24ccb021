"""How probable it is that a place of a page holds a number, by what the networks make of it and of the other places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from digitnet.reading.candidates import Draft
from digitnet.reading.result import Number

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Opinion:
    """What the classifier says of a draft's digits, (n, 10) probabilities and (n,) digit-ness."""

    probs: NDArray[np.float32]
    digitness: NDArray[np.float32]


def likeness(draft: Draft, opinions: Mapping[int, Opinion]) -> float:
    """Return how like a number a draft is, 0..1, by what line reader and classifier say of its digits."""
    if not draft.boxes:
        return 1e-4
    opinion = opinions.get(id(draft))
    # Half a vote: the classifier sees digits cut out of their number, and is strict with strange hands.
    second = np.sqrt(opinion.digitness.mean()) if opinion else 1.0
    return float(np.clip(draft.presence.mean() * second, 1e-4, 1 - 1e-4))


def given(share: float, like: Floats) -> Floats:
    """Return the probability that each region holds a number, where a share of them does; like: as `likeness` says."""
    return np.asarray(share * like / (share * like + (1 - share) * (1 - like)))


def prevalent(like: Floats) -> Floats:
    """Return the probability that each region of a page holds a number.

    On a page of words or gravel what looks like a number seldom is one. How many do hold numbers the page itself tells,
    by expectation maximisation (Saerens, Latinne, Decaestecker 2002): it starts at every other region, and one of each
    kind is counted more than there are.
    """
    share = 0.5
    for _ in range(10):
        share = (float(given(share, like).sum()) + 1) / (len(like) + 2)
    return given(share, like)


def likelier(found: Sequence[Number], whole: Sequence[Number]) -> tuple[Number, ...]:
    """Return the numbers found on a picture, or what it says as a whole, as one number or a sum: what explains more.

    The whole is preferred where it has more digits and is more probable or has all those found, and where a sign within
    a number joins the numbers found.
    """
    one, other = ("".join(number.text for number in numbers) for numbers in (found, whole))
    rest = iter(other)
    longer = len(other) > len(one)
    contained = all(digit in rest for digit in one)
    joined = len(whole) == 1 < len(found) and other == one != whole[0].written
    sure, surer = (np.prod([number.confidence for number in numbers]) for numbers in (found, whole))
    return tuple(whole if joined or (longer and (contained or surer > sure)) else found)
