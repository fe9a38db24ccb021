"""Reading sheets of forms: a page in, a row of fields out.

forms = FormReader(Reader(), [Path("grades.form.json")])
sheet = forms.read_page(page)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from digitnet.core.errors import DataError
from digitnet.forms.agreement import agreed
from digitnet.forms.answers import Answer, Evidence, Option, answer, named, options_of
from digitnet.forms.cutting import SCALE
from digitnet.forms.printing import picture
from digitnet.forms.reference import reference_of
from digitnet.forms.registration import CORNERS, REASONS, Refused, Registered, Registrar
from digitnet.forms.template import Field, Template, load, tell_apart
from digitnet.imaging import pages
from digitnet.reading.reader import Reader

ALTERNATIVES = 5
"""Other values of a number that are listed, at most."""

STATUSES = ("read", "partial", "blank", "refused")
"""What became of a sheet: all of it was read; a corner is not seen; nothing is filled in; it is not read at all."""


@dataclass(frozen=True)
class Sheet:
    """What a page holds as a form.

    status: of `STATUSES`. form: the template's name, None where it was refused. turned: degrees clockwise by which the
    sheet lay turned. code: of `registration.REASONS` where it was refused. notes: lines on what is not in order: why it
    was refused, corners that are not seen, required fields that are empty, relations that do not hold. fields: the
    answers, by name. broken: the relations that do not hold. to_page: (3, 3) homography from millimetres of the sheet
    to pixels of the page, None where it was refused.
    """

    status: str
    form: str | None
    turned: int
    fields: Mapping[str, Answer]
    notes: tuple[str, ...] = ()
    code: str | None = None
    broken: tuple[str, ...] = ()
    to_page: NDArray[np.float64] | None = field(default=None, compare=False)


@dataclass(frozen=True, eq=False)
class Form:
    """A template and the reference image of its sheets, (h, w) uint8, or None if it needs no reference.

    source: what messages call the template.
    """

    template: Template
    reference: NDArray[np.uint8] | None
    source: str

    @classmethod
    def load(cls, path: Path) -> Form:
        """Return the form in a file. Raises DataError where it is not one, ImageError if its picture cannot be read."""
        template = load(path)
        return cls(template, _reference(template, path), str(path))

    def printed(self) -> NDArray[np.uint8]:
        """Return the blank sheet, `SCALE` pixels to a millimetre: (h, w) uint8.

        Raises DataError where the template has neither markers nor a reference picture.
        """
        if self.template.markers is not None:
            return picture(self.template, SCALE)
        if self.reference is None:
            fact = "has neither markers nor a reference image to recognise its sheets"
            raise DataError(f"{self.source}: {fact}; add one")
        size = round(self.template.page[0] * SCALE), round(self.template.page[1] * SCALE)
        return np.asarray(cv2.resize(self.reference, size, interpolation=cv2.INTER_AREA), np.uint8)


class FormReader:
    """Reads pages as sheets of the forms it knows. Safe to share between threads."""

    def __init__(self, reader: Reader, templates: Sequence[Path | Form]) -> None:
        """Take a reader and the files of templates, or forms that are open.

        Raises DataError where a template is not one or cannot be recognised on paper, ImageError where its reference
        picture cannot be read.
        """
        self.reader = reader
        forms = [each if isinstance(each, Form) else Form.load(each) for each in templates]
        self.templates = [form.template for form in forms]
        tell_apart(self.templates, [form.source for form in forms])
        self._printed = {form.template.name: form.printed() for form in forms}
        unmarked = [form for form in forms if form.template.markers is None]
        references = [reference_of(form.template, form.reference) for form in unmarked if form.reference is not None]
        self._registrar = Registrar(self.templates, references)

    def read_page(self, page: NDArray[np.uint8], alternatives: bool = False) -> Sheet:
        """Read a page (h, w) uint8, 0 black .. 255 white.

        alternatives: whether to list those of numbers; this takes half as long again.
        """
        place = self._registrar.register(page)
        if isinstance(place, Refused):
            return Sheet("refused", None, 0, {}, (f"{REASONS[place.code]}: {place.note}",), place.code)
        template = place.template
        answers: dict[str, Answer] = {}
        seen: dict[str, Evidence] = {}
        for each in template.fields:
            if _hidden(each, place):
                answers[each.name] = Answer("", 0.0, "hidden")
                continue
            answers[each.name], evidence = answer(self.reader, page, place.to_page, each, self._printed[template.name])
            if evidence is not None:
                seen[each.name] = evidence
        fields = {each.name: each for each in template.fields}

        @cache
        def options(name: str) -> Sequence[Option]:
            return options_of(fields[name], seen[name]) if name in seen else ()

        answers, broken = agreed(answers, template.bounds(), options)
        for name, its in answers.items():
            others = [one.text for one in options(name) if one.text != its.text] if alternatives else []
            answers[name] = replace(its, name=named(fields[name], its.text), alternatives=tuple(others[:ALTERNATIVES]))
        return _sheet(place, answers, broken)


def printed(template: Template, path: Path | None) -> NDArray[np.uint8]:
    """Return the blank sheet of a template, `SCALE` pixels to a millimetre: (h, w) uint8.

    path: the template's file, beside which its reference picture lies. Raises DataError where a template without
    markers has none, ImageError where it cannot be read.
    """
    if template.markers is not None:
        return picture(template, SCALE)
    if path is None:
        raise DataError(f"form {template.name}: has no markers; name its template, too, for its reference image")
    return Form(template, _reference(template, path), str(path)).printed()


def _reference(template: Template, path: Path) -> NDArray[np.uint8] | None:
    if template.markers is not None or template.reference is None:
        return None
    return pages.page(path.parent / template.reference)


def _hidden(its: Field, place: Registered) -> bool:
    """Return whether a field is in the quarter of the sheet whose corner is not seen: it may be folded over."""
    width, height = place.template.page
    x, y = (its.box[0] + its.box[2]) / 2, (its.box[1] + its.box[3]) / 2
    quarters = {0: (True, True), 1: (False, True), 2: (False, False), 3: (True, False)}
    return any(quarters[corner] == (x < width / 2, y < height / 2) for corner in place.missing)


def _sheet(place: Registered, answers: Mapping[str, Answer], broken: Sequence[str]) -> Sheet:
    template: Template = place.template
    notes = [f"the {CORNERS[corner]} corner is not visible; fields near it are not read" for corner in place.missing]
    filled = [each for each in template.fields if answers[each.name].status not in ("empty", "hidden")]
    blank = all(each.kind == "mark" and answers[each.name].text == "0" for each in filled)
    if blank:
        notes.append("nothing is filled in")
    else:
        empty = [each.name for each in template.fields if each.required and answers[each.name].status == "empty"]
        notes += [f"required and empty: {', '.join(empty)}"] * bool(empty)
        notes += [f"does not hold: {relation}" for relation in broken]
    status = "partial" if place.missing else "blank" if blank else "read"
    broken = () if blank else tuple(broken)
    return Sheet(status, template.name, place.turned, answers, tuple(notes), None, broken, place.to_page)
