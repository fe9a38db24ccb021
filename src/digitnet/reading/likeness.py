"""How probable it is that a place of a page contains a number, by the networks' outputs for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from digitnet.reading.candidates import Draft
from digitnet.reading.result import Number

Floats = NDArray[np.float64]

WEIGHTS = np.array(
    [0.165, 0.0, 0.041, 0.078, 0.088, 1.122, 0.163, -2.288, -2.788, -11.538, -1.913, -3.983, -7.217, 2.784, -0.227]
)
"""Weights of `evidence`, fitted on composed pages by `benchmarks/likeness.py`."""

INTERCEPT = 0.183
"""Intercept, for pages on which half of the places contain a number."""

FOUND = 0.8
"""Assumed share of the page network's places that contain a number, for the reported confidence."""

LEAST, LEAST_ALONE = 0.48, 0.4
"""Confidence below which a region of a page is not read, where half of the regions contain a number; and where it is
the only one of its page, most often a drawing."""

CERTAIN, LEGIBLE = 0.9, 0.6
"""Probability of a number, and mean probability of its digits, from which it is read even if long and so improbable."""


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


def number_probs(drafts: Sequence[Draft], opinions: Mapping[int, Opinion]) -> tuple[Floats, Floats]:
    """Return two probabilities that each place of a page contains a number, each (n,) float64, 0..1.

    The first assumes that half of the places do, and decides which are read: a false number costs more than one that is
    reported as not read. The second assumes a share of `FOUND`, and is reported. Both combine all three networks.
    Places found by thresholds have their likeness twice.
    """
    if any(draft.region.place is None for draft in drafts):
        like = np.array([likeness(draft, opinions) for draft in drafts], np.float64)
        return like, like
    known = [(draft, opinions.get(id(draft))) for draft in drafts]
    odds = [
        evidence(draft, opinion) @ WEIGHTS + INTERCEPT if draft.boxes and opinion else -10 for draft, opinion in known
    ]
    even = 1 / (1 + np.exp(-np.array(odds, np.float64)))
    return even, given(FOUND, even)


def least_confidence(regions: int) -> float:
    """Return `LEAST`, or `LEAST_ALONE` for the only region of a page."""
    return LEAST_ALONE if regions == 1 else LEAST


def readable(draft: Draft, real: float, confidence: float, least: float) -> bool:
    """Return whether a region is read as a number, or reported as not read.

    real: the probability that it contains one. confidence: of the number, rules included. least: the confidence from
    which it is read, whatever else is known.
    """
    alone = draft.alone  # by the image alone: a rule that is broken must not make a number vanish
    if max(real * alone.probability, confidence) >= least:
        return True
    return real >= CERTAIN and alone.probability >= LEGIBLE ** len(alone.text)


def evidence(draft: Draft, opinion: Opinion) -> Floats:
    """Return the networks' outputs for a place found by the page network, (15,) float64, in the order of `WEIGHTS`.

    As log odds: mean and minimum of the line reader's presence, mean and minimum of the classifier's digitness, the
    probability of the text, and the score of the place. Then the number of digits, the probability that they are
    printed, and the share of each kind of ink. Raises ValueError for other places.
    """
    place = draft.region.place
    if place is None:
        raise ValueError("the page network did not find this place")
    presence, digitness = draft.presence, opinion.digitness
    shares = [presence.mean(), presence.min(), digitness.mean(), digitness.min(), draft.alone.probability, place.score]
    sure = np.clip(np.array(shares, np.float64), 1e-4, 1 - 1e-4)
    return np.concatenate([np.log(sure / (1 - sure)), [len(draft.text), place.printed], place.kinds])


def given(share: float, like: Floats) -> Floats:
    """Return the probability that each region holds a number, where a share of them does; like: as `likeness` says."""
    return np.asarray(share * like / (share * like + (1 - share) * (1 - like)))


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
