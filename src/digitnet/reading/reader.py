"""The main job, reading: `read("photo.jpg").text`; `Reader().read(...)` for many images.

A page is searched for regions that contain one number each. A line reader reads each region
(`onnx_models.LineReader`), a decoder finds the most probable texts (`ctc.py`), and the single-digit classifier
estimates whether these are digits at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from digitnet.core.digits import require_digits
from digitnet.imaging import pages
from digitnet.imaging.crop import picture_of, roomier, section
from digitnet.imaging.geometry import around, corners_of, mapped, part_of
from digitnet.imaging.normalization import strip
from digitnet.imaging.page_regions import regions, traced
from digitnet.imaging.page_turn import turned_back, way_up
from digitnet.imaging.reduction import LARGEST
from digitnet.imaging.segmentation import Found, Region, lone, moved, search, whole
from digitnet.models.onnx_models import LINE, PAGE, ROWS, Columns, LineReader, classifier, line_reader
from digitnet.models.page_model import page_model
from digitnet.models.rapidocr import Recogniser
from digitnet.reading.blank import has_writing, nothing_written, unread
from digitnet.reading.candidates import Draft, Seen, draft_of, terms, values_of
from digitnet.reading.constraints import Rules, require_signs
from digitnet.reading.ctc import digit_probs, written
from digitnet.reading.doubts import reasons
from digitnet.reading.effort import WIDEST, within
from digitnet.reading.formulas import in_formulas
from digitnet.reading.joining import put_together
from digitnet.reading.likeness import Opinion, given, least_confidence, likelier, likeness, number_probs, readable
from digitnet.reading.opinions import compared, lone_digit, looked_again, opinions_of, reconsidered, seconded
from digitnet.reading.orientation import CLEAR, LOST, View, better, upside_down
from digitnet.reading.result import Digit, Number, Reading

TRUSTED = 0.95
"""Confidence below which reasons for doubt are looked for."""

KNOWN = 0.98
"""Share of pictures said to hold one number that do."""

NOTABLE = 0.01
"""Probability below which another value of a digit is not told."""

UNSEEN = 0.25
"""Share of the work that a page may take where the page network sees no number: mostly texture, or a few digits."""

FEW, HUGE = 2, 100
"""Places up to which, and pixels of height from which, the page network may have seen parts of huge digits."""

CROP = 600
"""Pixels of a picture's longer side up to which all of it may be one number, cut out of its page."""

CUT_OUT = 0.8
"""Share of the pictures of so few pixels that hold one number: most were cut out, or drawn, for it."""

Printed = Literal["keep", "skip"]


class Reader:
    """Reads images. Opening the models takes about 0.1 s, so create one and keep it. Safe to share between threads."""

    def __init__(
        self,
        line: str | Path = LINE,
        digits: str | Path = "strong",
        threads: int = 0,
        page: str | Path = PAGE,
        *,
        second_opinion: bool = False,
    ) -> None:
        """Open the models: built-in names or `.onnx` files. threads: for one image, 0 for the number of cores.

        second_opinion: ask RapidOCR about every number as well, which needs the extra `rapidocr`.

        Raises ModelError if a model does not exist, or classifies something else than digits.
        """
        self.line = line_reader(line, threads)
        self.digits = classifier(digits, threads)
        require_digits(self.digits, digits, "reading numbers")
        self.page = page_model(page, threads)
        self._threads = threads
        self.other = Recogniser(threads) if second_opinion else None

    @cached_property
    def rows(self) -> LineReader:
        """The line reader for formulas, which is opened when the first one may be on a page."""
        return line_reader(ROWS, self._threads)

    def hashes(self) -> dict[str, str]:
        """Return the SHA-256 of the files of all networks, which determine every result."""
        found = {"line": self.line.sha256, "rows": self.rows.sha256}
        found |= {"digits": self.digits.sha256, "page": self.page.sha256}
        return found | ({"second_opinion": self.other.sha256} if self.other else {})

    def read(
        self,
        source: pages.Source,
        *,
        single: bool = False,
        rules: Rules | None = None,
        name: str | None = None,
        printed: Printed = "keep",
    ) -> Reading:
        """Read an image of one page.

        source: a path, bytes, a stream, a Pillow image or an array; see `pages.page`.
        single: the image contains one number and nothing else. The result then has one number, without text if
            nothing is written or it cannot be read. Otherwise the page is searched, and other ink is left out.
        rules: constraints on the numbers. With `single` they always apply. On a page they apply to the numbers that
            can satisfy them (`Number.rules_applied`); the others are read without constraints. `Number.seen` has the
            text of the image alone if a constraint changed it.
        printed: "skip" leaves out numbers that are more likely printed than handwritten (`Number.printed`); with
            `single` it has no effect.

        Raises ImageError as `pages.page` does, DataError if the constraints have a kind with signs and the line reader
        does not know signs.
        """
        return self.read_page(pages.page(source, name), single=single, rules=rules, printed=printed)

    def read_pages(
        self,
        source: pages.Source,
        *,
        single: bool = False,
        rules: Rules | None = None,
        name: str | None = None,
        printed: Printed = "keep",
    ) -> Iterator[Reading]:
        """Read every page of a TIFF or PDF, one at a time; otherwise like `read`."""
        for page in pages.pages(source, name):
            yield self.read_page(page, single=single, rules=rules, printed=printed)

    def read_page(
        self,
        page: NDArray[np.uint8],
        *,
        single: bool = False,
        rules: Rules | None = None,
        printed: Printed = "keep",
    ) -> Reading:
        """Read a page (h, w) uint8, 0 black .. 255 white; otherwise like `read`."""
        require_signs(rules, self.line.alphabet, self.line.name)
        said = str(rules) if rules else None
        if single:
            return Reading((self._only(page, rules)[0],), page, said)
        drawn = self._drawn(page, rules) if printed == "keep" else None
        view, opinions = drawn or self._upright(page, rules)
        if self.other:
            drafts = compared(view.drafts, self.other(view.pictures), rules)
            opinions = opinions_of(self.digits, drafts[: view.places] or drafts)
            view = replace(view, drafts=drafts)
        places, all_of_it = view.places, view.drafts[view.places :]
        even, real = number_probs(view.drafts[:places], opinions)
        kept = self._numbers(view.drafts[:places], real, opinions, page, rules, least_confidence(places) * real / even)
        if all_of_it and (
            len(kept) > 1 or sum(len(draft.text) for draft in all_of_it) > sum(len(number.text) for number in kept)
        ):
            opinions = opinions if id(all_of_it[0]) in opinions else opinions_of(self.digits, all_of_it)
            like = np.array([likeness(draft, opinions) for draft in all_of_it], np.float64)
            least = np.full(len(all_of_it), least_confidence(len(all_of_it)))
            kept = likelier(kept, self._numbers(all_of_it, given(CUT_OUT, like), opinions, page, rules, least))
        kept = tuple(replace(number, printed=view.printed(number)) for number in kept)
        left = view.unread(kept, printed == "skip", len(view.drafts) if drawn else places)
        why = None if kept else "not_read" if left else "no_number" if places or drawn else "nothing_found"
        if printed == "skip" and kept:
            kept = tuple(number for number in kept if number.printed is None or number.printed < 0.5)
            why = None if kept else "printed"
        return Reading(kept, page, said, left, view.limits, view.turned, why)

    def read_field(self, page: NDArray[np.uint8], rules: Rules) -> tuple[Number, Columns]:
        """Read a page (h, w) uint8 with one number whose digits stand apart, as on forms; the classifier has a say.

        With it come the columns that it was decoded from, which tell what else it may be. Raises DataError as `read`.
        """
        require_signs(rules, self.line.alphabet, self.line.name)
        return self._only(page, rules, apart=True)

    def _only(self, page: NDArray[np.uint8], rules: Rules | None, apart: bool = False) -> tuple[Number, Columns]:
        """Read a page that holds one number. apart: whether its digits do not touch each other."""
        ((region, _, columns),) = self._seen([roomier(whole(page), page)], page)
        if not has_writing(region):
            return unread(page, rules), columns
        models, picture = (self.line, self.digits, self.other), picture_of(region, page)
        draft, opinion = reconsidered(draft_of(region, columns, rules, True), picture, rules, apart, models)
        columns = draft.columns if apart else columns
        lone = {id(draft): opinion} if opinion and len(draft.text) == len(opinion.probs) == 1 else {}
        known = float(given(KNOWN, np.array([likeness(draft, lone)]))[0])
        return self._number(draft, page, lone.get(id(draft)), known, rules), columns

    def _drawn(self, page: NDArray[np.uint8], rules: Rules | None) -> tuple[View, dict[int, Opinion]] | None:
        """Read a page that is a drawing of a single number; return None for other pages and for sums."""
        if (region := lone(page)) is None:
            return None
        seen = self._seen([roomier(region, page)], page)
        if len(terms(seen[0][2])) > 1:
            return None
        return self._judged(0.0, Found([], ()), seen, 0, rules)

    def _upright(self, page: NDArray[np.uint8], rules: Rules | None) -> tuple[View, dict[int, Opinion]]:
        """Look at a page as it is, and where it shows little turned as its numbers suggest; return what shows most."""
        look = cache(lambda turn: self._view(page, rules, turn))

        def best(found: tuple[View, dict[int, Opinion]], turn: float) -> tuple[View, dict[int, Opinion]]:
            return look(turn) if better(found[0], look(turn)[0]) is look(turn)[0] else found

        found = look(0.0)
        view = found[0]
        if view.sure >= CLEAR:
            return found
        lost = view.sure < LOST
        turn, aside = way_up(page, self.page, view.regions[: view.places]) if lost else (0.0, [])
        if turn := turn or view.turned:
            found = best(found, turn)
        if found[0] is view and view.places > 2:  # what shows no direction may lie on its side
            for quarter in aside:
                found = best(found, quarter)
        round_too = (found[0].turn + 180) % 360
        if round_too and (found[0].turn or upside_down(found[0], self.line)):
            found = best(found, round_too)
        return found

    def _view(self, page: NDArray[np.uint8], rules: Rules | None, turn: float = 0.0) -> tuple[View, dict[int, Opinion]]:
        """Look at a page that was turned by so much, and ask the classifier about what is found."""
        upright, back = turned_back(page, turn) if turn else (page, None)
        found, seen, places = self._look(upright)
        if back is not None:
            seen = [
                (moved(replace(region, picture=picture_of(region, upright)), back, page.shape), its_strip, columns)
                for region, its_strip, columns in seen
            ]
            found = found._replace(beyond=tuple(mapped(back, box, page.shape) for box in found.beyond))
        return self._judged(turn, found, seen, places, rules)

    def _judged(
        self, turn: float, found: Found, seen: Sequence[Seen], places: int, rules: Rules | None
    ) -> tuple[View, dict[int, Opinion]]:
        """Return what a page shows, and what the classifier says of its places; of all of it, where there are none."""
        regions, strips, answers = map(list, zip(*seen, strict=True)) if seen else ([], [], [])
        drafts = [draft_of(region, columns, rules, False) for region, columns in zip(regions, answers, strict=True)]
        judged = drafts[:places] or drafts
        first = opinions_of(self.digits, judged)
        judged = [seconded(draft, first[id(draft)].probs, rules, False) for draft in judged]
        pictures = [its_strip if region.picture is None else region.picture for region, its_strip, _ in seen]
        judged = looked_again(judged, pictures[: len(judged)], rules, self.line, self.other is None)
        opinions = {id(draft): said for draft, said in zip(judged, first.values(), strict=True)}
        changed = [draft for draft in judged if len(draft.boxes) != len(opinions[id(draft)].probs)]
        opinions |= opinions_of(self.digits, changed)
        drafts = [*judged, *drafts[len(judged) :]]
        like = np.array([likeness(draft, opinions) for draft in judged], np.float64)
        return View(turn, regions, found.limits, found.beyond, places, strips, drafts, like), opinions

    def look(
        self, page: NDArray[np.uint8], *, single: bool = False, turned: float = 0.0
    ) -> list[tuple[NDArray[np.uint8], Columns]]:
        """Return the strips of a page, (STRIP_HEIGHT, w) uint8 each, and the line reader's output for each.

        See `explain`. turned: as in the `Reading` of the page.
        """
        page = turned_back(page, turned)[0] if turned else page
        if single:
            seen = self._seen([roomier(whole(page), page)], page)
        elif drawn := self._drawn(page, None):
            return [(drawn[0].strips[0], drawn[0].drafts[0].columns)]
        else:
            _, seen, places = self._look(page)
            seen = seen[:places]
        return [(strip, columns) for _, strip, columns in seen]

    def _look(self, page: NDArray[np.uint8]) -> tuple[Found, list[Seen], int]:
        """Find the numbers of a page and read them, and after so many all of a small page, too; each of a sum alone."""
        found = within(self._found(page))
        all_of_it = [roomier(whole(page), page)] if max(page.shape) <= CROP else []
        seen = self._seen([*found.regions, *all_of_it], page)
        together = put_together(seen[: len(found.regions)], page, self._seen)
        places = self._terms(in_formulas(together, found.lines, page, lambda: self.rows), page)
        return found, [*places, *self._terms(seen[len(found.regions) :], page)], len(places)

    def _seen(self, regions: Sequence[Region], page: NDArray[np.uint8]) -> list[Seen]:
        strips = [strip(picture_of(region, page), WIDEST) for region in regions]
        return list(zip(regions, strips, self.line(strips), strict=True))

    def _terms(self, seen: Sequence[Seen], page: NDArray[np.uint8]) -> list[Seen]:
        """Read the numbers of sums one by one."""
        parts: list[Seen] = []
        for each in seen:
            region, its_strip, columns = each
            ends = np.round(np.array(terms(columns)) * region.ink.shape[1] / its_strip.shape[1]).astype(int)
            ends = ends.clip(0, region.ink.shape[1])
            sections = [section(region, left, right, page) for left, right in ends.tolist() if left < right]
            parts += [each] if len(ends) == 1 else self._seen(sections, page)
        return parts

    def _found(self, page: NDArray[np.uint8]) -> Found:
        """Find the numbers on a page by the page network; by thresholds where it sees nothing, or parts of huge digits.

        By itself the network misses one in fifteen of the digits that are alone on a large page, but shows a trace.
        """
        found = regions(page, self.page)
        if not found.regions:
            if page.size > LARGEST:
                self.page.release()
            return within(traced(page, search(page), self.page)._replace(lines=found.lines), UNSEEN)
        high = [region.box[3] - region.box[1] for region in found.regions]
        if len(high) > FEW or max(high) < HUGE:
            return found
        others = search(page)
        boxes = [other.box for other in others.regions]
        parts = boxes and all(any(part_of(part.box, box) for box in boxes) for part in found.regions)
        return others if parts and self._clearer(others, found, page) else found

    def _clearer(self, one: Found, other: Found, page: NDArray[np.uint8]) -> bool:
        """Return whether the line reader reads the places of one more clearly than those of the other."""
        said = []
        for places in (one.regions, other.regions):
            answers = self.line([strip(picture_of(region, page), WIDEST) for region in places])
            drafts = [draft_of(region, columns, None, False) for region, columns in zip(places, answers, strict=True)]
            said.append(
                np.mean([each.alone.probability * each.presence.mean() if each.boxes else 0 for each in drafts])
            )
        return bool(said[0] > said[1])

    def _numbers(
        self,
        drafts: Sequence[Draft],
        real: NDArray[np.float64],
        opinions: Mapping[int, Opinion],
        page: NDArray[np.uint8],
        rules: Rules | None,
        least: NDArray[np.float64],
    ) -> tuple[Number, ...]:
        """Return the numbers of those drafts that hold one.

        real: the probability of each that it does. least: the confidence from which each is a number.
        """
        numbers = []
        for draft, share, enough in zip(drafts, real.tolist(), least.tolist(), strict=True):
            if draft.boxes:
                number = self._number(draft, page, opinions.get(id(draft)), share, rules)
                if readable(draft, share, number.confidence, enough):
                    numbers.append(number)
        return tuple(numbers)

    def _number(
        self,
        draft: Draft,
        page: NDArray[np.uint8],
        opinion: Opinion | None,
        real: float,
        rules: Rules | None,
    ) -> Number:
        """Return a number with all that is known of it; real: the probability that it is one."""
        region, text, sure = draft.region, draft.text, draft.sure
        if not text:
            sure, seen = nothing_written(page, region.box, True), draft.alone.text or None
            return Number("", sure, region.box, (), (), ("not_a_digit",), seen, "unreadable", draft.ruled)
        shares = digit_probs(draft.columns.log_probs, text)
        others = tuple((each.text, each.probability) for each in draft.hypotheses[1:] if each.text)
        if len(text) == 1 and opinion is not None and not draft.ruled:
            text, sure, shares, others = lone_digit(shares, opinion.probs, sure, others)
        digits = []
        for value, box, row in zip(map(int, text), draft.boxes, shares, strict=True):
            order = [
                int(other) for other in np.argsort(-row, kind="stable") if other != value and row[other] >= NOTABLE
            ]
            rest = tuple((other, float(row[other])) for other in order)
            digits.append(Digit(value, float(row[value]), mapped(region.to_page, box, page.shape), rest))
        sure, others = sure * real, tuple((other, p * real) for other, p in others)
        refused = opinion is not None and bool((opinion.digitness < self.digits.threshold).any())
        doubts = () if sure >= TRUSTED else reasons(draft, page, refused)
        seen = draft.alone.text if draft.alone.text != draft.text else None
        box = around([digit.box for digit in digits])
        signed, share = written(draft.columns.characters, draft.columns.alphabet, text, rules if draft.ruled else None)
        its = ("read", draft.ruled, signed, sure * share, *values_of(draft, signed, rules))
        corners = corners_of(region.to_page, around(draft.boxes))
        return Number(text, sure, box, tuple(digits), others, doubts, seen, *its, corners)


@lru_cache(1)
def _reader() -> Reader:
    return Reader()


def read(
    source: pages.Source, *, single: bool = False, rules: Rules | None = None, printed: Printed = "keep"
) -> Reading:
    """Read an image of one page with the built-in models; see `Reader.read`."""
    return _reader().read(source, single=single, rules=rules, printed=printed)
