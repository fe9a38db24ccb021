"""How much of a page the numbers read on it explain, by which its turns are compared; the upright page is preferred."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from digitnet.imaging.geometry import Box, same_place
from digitnet.imaging.page_turn import rotation, slant, snapped
from digitnet.imaging.segmentation import Region
from digitnet.models.onnx_models import LineReader
from digitnet.reading.candidates import Draft, draft_of
from digitnet.reading.result import Number, Unread

CLEAR, LOST = 0.7, 0.58
"""Mean probability of a page's digits from which it is upright, and below which other directions are looked at."""

ALONE = 0.3
"""Digits by which every number is taken for longer than it is: digits of a turned page are strokes, one by one."""

MORE, DIGITS_MORE, LIKELY = 1.3, 3.5, 0.5
"""How much more a turned page must explain, as a share and in digits, and the mean probability of its digits: on photos
without numbers one direction in twelve shows two or three."""

UNLIKELY, MANY_MORE = 0.35, 15
"""The mean probability of its digits that is enough for a turned page that explains many digits more, and how many."""

SAMPLE = 4
"""Numbers of a page that are read upside down, to see whether all of it should be: the longest."""


ENOUGH = 6
"""Digits beside others that show how a page slants; of fewer, the slant may be that of a hand."""


@dataclass(frozen=True, eq=False)
class View:
    """A page looked at in one direction.

    turn: by how much it is taken to be turned, degrees clockwise. regions: in pixels of the page as it was given, the
    `places` found on it and then all of it as one number, if it was looked at so. limits, beyond: as `Found` has them.
    strips, drafts: of each region what the line reader was given, and what it shows. like: (n,) how like a number each
    of these places is, 0..1; where there are none, all of the page.
    """

    turn: float
    regions: Sequence[Region]
    limits: tuple[str, ...]
    beyond: Sequence[Box]
    places: int
    strips: Sequence[NDArray[np.uint8]]
    drafts: Sequence[Draft]
    like: NDArray[np.float64]

    def unread(self, numbers: Sequence[Number], handwritten: bool, count: int) -> tuple[Unread, ...]:
        """Return those of the first `count` places that look like numbers and are not among the numbers read.

        handwritten: and are not printed.
        """
        found = [
            (draft.region.box, "low_confidence" if draft.boxes and like >= 0.5 else "not_a_digit", draft.region.printed)
            for draft, like in zip(self.drafts[:count], self.like, strict=False)
        ]
        # What thresholds find may be ink of any kind: the page network shows no more than a trace of it.
        places = [
            Unread(box, reason)
            for box, reason, printed in found
            if (reason != "not_a_digit" if printed is None else printed < 0.5 or not handwritten)
        ]
        places += [Unread(box, "over_limit") for box in self.beyond]
        return tuple(place for place in places if not any(same_place(place.box, number.box) for number in numbers))

    def printed(self, number: Number) -> float | None:
        """Return the probability that a number is printed, by the places found where it is; None if it is unknown."""
        places = self.regions[: self.places]
        known = [place.printed for place in places if place.printed is not None and same_place(place.box, number.box)]
        return sum(known) / len(known) if known else None

    @property
    def pictures(self) -> list[NDArray[np.uint8]]:
        """The pictures of all regions, (h, w) uint8 with bright ink; strips where there are no better ones."""
        pairs = zip(self.regions, self.strips, strict=True)
        return [its_strip if region.picture is None else region.picture for region, its_strip in pairs]

    @cached_property
    def _digits(self) -> list[tuple[int, float]]:
        """Of each place how many digits it shows, at least one, and how many of them are probably there."""
        drafts = zip(self.drafts[: self.places], self.like, strict=False)
        shown = [(len(draft.alone.text), draft.alone.probability * float(like)) for draft, like in drafts]
        return [(max(count, 1), count * share) for count, share in shown]

    @property
    def explained(self) -> float:
        """How many digits the page shows, each counted by the probability that its number is there and right."""
        return sum(probable for _, probable in self._digits)

    @property
    def sure(self) -> float:
        """The mean probability of a digit, 0..1, a little less where they stand alone; 1 where there are no places."""
        return self.explained / sum(count + ALONE for count, _ in self._digits) if self._digits else 1.0

    @property
    def turned(self) -> float:
        """By how much the page is turned, by its numbers, degrees clockwise, 0 <= degrees < 360."""
        back = rotation(-self.turn)
        drafts = zip(self.drafts[: self.places], self.like, strict=False)
        lines = [_centres(draft) @ back.T for draft, like in drafts if like > 0.5]
        enough = sum(max(len(line) - 1, 0) for line in lines) >= ENOUGH
        return snapped(self.turn + slant(lines)) if enough else self.turn


def better(one: View, other: View) -> View:
    """Return the view that explains more of a page; one that is upright where there is not much between them."""
    if other.sure < LIKELY:
        many = other.sure >= UNLIKELY and other.explained > MORE * one.explained + MANY_MORE
        return other if many else one
    if one.turn:
        return other if other.explained > one.explained else one
    return other if other.explained > MORE * one.explained + DIGITS_MORE else one


def upside_down(view: View, line: LineReader) -> bool:
    """Return whether the longest numbers of a page say more when they are turned round."""
    longest = sorted(range(view.places), key=lambda place: -len(view.drafts[place].alone.text))[:SAMPLE]
    found = [view.drafts[place] for place in longest]
    answers = line([np.ascontiguousarray(view.strips[place][::-1, ::-1]) for place in longest])
    reverse = [draft_of(draft.region, columns, None, False) for draft, columns in zip(found, answers, strict=True)]
    one, other = (sum(map(_said, drafts)) for drafts in (found, reverse))
    return other > 1.1 * one


def _said(draft: Draft) -> float:
    return len(draft.alone.text) * draft.alone.probability * float(draft.presence.mean() if len(draft.presence) else 0)


def _centres(draft: Draft) -> NDArray[np.float64]:
    """Return the middles of a draft's digits, (n, 2), pixels of the page."""
    boxes = np.array(draft.boxes, np.float64).reshape(-1, 4)
    middles = np.column_stack([boxes[:, [0, 2]].mean(axis=1), boxes[:, [1, 3]].mean(axis=1), np.ones(len(boxes))])
    return np.asarray(middles @ draft.region.to_page.T)
