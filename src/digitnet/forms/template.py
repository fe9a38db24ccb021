"""Form templates: what a sheet holds, and where; JSON files named `*.form.json`, written and edited by hand.

Lengths are millimetres from the top left corner of the sheet. `form.schema.json` beside this file is the JSON Schema.
"""

from __future__ import annotations

import json
import math
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError, model_validator
from pydantic import Field as Setting
from pydantic_core import PydanticCustomError

from digitnet.core.errors import DataError
from digitnet.core.files import write_atomic
from digitnet.core.text import printable
from digitnet.forms.relations import Relation, parse
from digitnet.reading.constraints import Rules

VERSION = 1
"""The version of the templates that are read and written."""

SUFFIX = ".form.json"
"""How the names of templates end."""

MAX_BYTES = 4_000_000
"""Bytes of a template's file."""

MIN_SIDE, MAX_SIDE = 20.0, 600.0
"""Sides of a sheet, millimetres."""

MAX_AREA = 2
"""The areas of a template's fields together, in areas of the sheet: what is read of a page takes a limited time."""

MARKER_NUMBERS = 146
"""How many forms can be told apart by their markers: four of the 587 AprilTags 36h11 each."""

NUMERIC = ("digits", "comb", "integer", "decimal")
"""Kinds whose value is a number."""

COMPARED = (*NUMERIC, "date", "time", "fraction", "mark")
"""Kinds that relations can name."""

KEYS: Mapping[str, frozenset[str]] = {
    "digits": frozenset({"length", "range", "checksum", "values"}),
    "comb": frozenset({"cells", "length", "range", "checksum", "values"}),
    "integer": frozenset({"length", "range", "decimal"}),
    "decimal": frozenset({"length", "range", "decimal", "decimals"}),
    "date": frozenset({"order"}),
    "time": frozenset(),
    "phone": frozenset({"length"}),
    "fraction": frozenset(),
    "mark": frozenset(),
    "choice": frozenset({"options"}),
    "area": frozenset(),
}
"""What may be said of a field of each kind, beside its name, label, kind, box and whether it is required."""

Box = tuple[float, float, float, float]
"""Left, top, right, bottom in millimetres of the sheet."""

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=60)]
Text = Annotated[str, StringConstraints(max_length=200)]


class TemplateError(DataError):
    """What is wrong with a template. line: without the template's name. field: the place of the field, None if none."""

    def __init__(self, name: str, line: str, field: int | None = None) -> None:
        """Name the template and what is wrong."""
        super().__init__(f"{name}: {line}")
        self.line, self.field = line, field


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Field(_Model):
    """A place on the sheet where something is written or marked."""

    name: Name = Setting(description="The name of the column in the results.")
    label: Text = Setting("", description="What is printed above the field; by default its name.")
    kind: Literal[
        "digits", "comb", "integer", "decimal", "date", "time", "phone", "fraction", "mark", "choice", "area"
    ] = Setting(description="What is written there; mark: a box to tick; choice: one of several boxes; area: free.")
    box: Box = Setting(description="Left, top, right, bottom, millimetres of the sheet.")
    required: bool = Setting(False, description="Whether an empty field is reported.")
    critical: bool = Setting(False, description="Whether two people must agree on it where it is reviewed.")
    cells: int | None = Setting(None, ge=1, le=60, description="Of a comb: its cells, a digit in each.")
    length: int | tuple[int, int] | None = Setting(None, description="Digits: exactly so many, or from and to.")
    range: tuple[float | None, float | None] | None = Setting(None, description="The least and the greatest value.")
    checksum: Text | None = Setting(None, description="luhn, isbn, ean, or iban-digits-de (any country of digits).")
    decimal: Literal[".", ","] | None = Setting(None, description="The sign before decimals; by default either.")
    decimals: int | None = Setting(None, ge=1, le=6, description="Digits after the sign, which may be left out then.")
    order: Literal["dmy", "mdy", "ymd"] | None = Setting(None, description="Of a date's parts; by default any.")
    values: dict[Annotated[str, StringConstraints(pattern="^[0-9]{1,30}$")], Text] | None = Setting(
        None, max_length=20_000, description="The numbers that are permitted, each with its name, such as a roster."
    )
    options: dict[Text, Box] | None = Setting(
        None, min_length=1, max_length=100, description="Of a choice: each value and its box, millimetres."
    )

    @model_validator(mode="after")
    def _consistent(self) -> Field:
        given = {key for key in self.model_fields_set if getattr(self, key) is not None}
        for key in sorted(given & set().union(*KEYS.values()) - KEYS[self.kind]):
            raise ValueError(f"{key} does not apply to kind {self.kind}; omit it")
        for key in ("cells", "options"):
            if key in KEYS[self.kind] and getattr(self, key) is None:
                raise ValueError(f"{key} is missing; a {self.kind} needs it")
        for left, top, right, bottom in (self.box, *(self.options or {}).values()):
            if not (left < right and top < bottom):
                raise ValueError(f"box {_shown(left, top, right, bottom)}: expected left < right and top < bottom")
        names = Counter(name for name in (self.values or {}).values() if name)
        for name, count in names.items():
            if count > 1:
                raise ValueError(f"values: the name {name!r} occurs twice; make the names different")
        low, high = self.range or (None, None)
        if low is not None and high is not None and low > high:
            raise ValueError(f"range {low:g}..{high:g}: expected the least and the greatest value")
        try:
            self.rules()
        except DataError as error:
            raise ValueError(str(error)) from error
        return self

    def rules(self) -> Rules | None:
        """Return what the reader must keep to when it reads this field; None where nothing is known.

        Raises DataError where the rules make no sense, or no number keeps them all.
        """
        if self.kind in ("mark", "choice", "area"):
            return None
        length = (self.length, self.length) if isinstance(self.length, int) else self.length
        if self.kind == "comb" and self.cells:
            length = length or (1, self.cells)
            if length[1] > self.cells:
                raise DataError(f"length {length[1]}: more than its {self.cells} cells; change one of them")
        kind = {"digits": None, "comb": "digits"}.get(self.kind, self.kind)
        low, high = self.range if self.range and self.kind in ("digits", "comb") else (None, None)
        for limit in (low, high):
            if limit is not None and not float(limit).is_integer():
                raise DataError(f"range {limit:g}: expected whole numbers for the kind {self.kind}")
        low, high = (None if limit is None else int(limit) for limit in (low, high))
        listed = tuple(self.values) if self.values else None
        decimal = None if self.decimals else self.decimal
        try:
            return Rules(length, low, high, self.checksum, kind, decimal, self.order, listed)
        except DataError as error:
            if self.cells is None or self.length is not None:
                raise
            raise DataError(str(error).replace(f"length 1-{self.cells}", f"{self.cells} cells", 1)) from error


class Markers(_Model):
    """Registration marks at the corners of the sheet: AprilTags 36h11, 4 * number + corner, clockwise from top left."""

    number: int = Setting(ge=0, lt=MARKER_NUMBERS, description="Of the form: sheets of other forms have another one.")
    size: float = Setting(9, ge=4, le=40, description="Side of a marker, millimetres.")
    inset: float = Setting(8, ge=0, le=60, description="From the edge of the sheet to a marker, millimetres.")


class Template(_Model):
    """A form: the sheet, its fields, and what holds between them."""

    schema_: str | None = Setting(None, alias="$schema", description="For editors; not used.")
    version: Literal[1] = Setting(description="Of the format.")
    name: Name = Setting(description="Of the form, in the results.")
    title: Text = Setting("", description="Printed at the head of the sheet.")
    page: tuple[float, float] = Setting((210, 297), description="Width and height of the sheet, millimetres.")
    markers: Markers | None = Setting(None, description="Printed registration marks, where the sheet has them.")
    reference: Text | None = Setting(None, description="A picture of the sheet, relative to this file.")
    fields: tuple[Field, ...] = Setting(min_length=1, max_length=200)
    relations: tuple[Text, ...] = Setting((), max_length=100, description="Such as total = a + b, or end >= start.")

    @model_validator(mode="after")
    def _consistent(self) -> Template:
        width, height = self.page
        if not (min(self.page) >= MIN_SIDE and max(self.page) <= MAX_SIDE):
            raise ValueError(f"page {width:g} x {height:g}: expected {MIN_SIDE:g} to {MAX_SIDE:g} mm on each side")
        seen: set[str] = set()
        for number, field in enumerate(self.fields):
            if field.name in seen:
                raise _wrong(number, f"field {field.name!r}: the name occurs twice; choose another")
            seen.add(field.name)
            for box in (field.box, *(field.options or {}).values()):
                if box[0] < 0 or box[1] < 0 or box[2] > width or box[3] > height:
                    place = f"box {_shown(*box)} is outside the page of {width:g} x {height:g} mm"
                    raise _wrong(number, f"field {field.name!r}: {place}; move it or change the page")
        boxes = [box for field in self.fields for box in (field.box, *(field.options or {}).values())]
        sheets = sum((right - left) * (bottom - top) for left, top, right, bottom in boxes) / (width * height)
        if sheets > MAX_AREA:
            times = math.ceil(10 * sheets) / 10
            fact = f"the fields together have {times} times the area of the sheet, more than the limit of {MAX_AREA}"
            raise ValueError(f"{fact}; make some smaller")
        kinds = {field.name: field.kind for field in self.fields}
        for text in self.relations:
            try:
                relation = parse(text)
            except DataError as error:
                raise ValueError(str(error)) from error
            for name in sorted(relation.names):
                if name not in kinds:
                    raise ValueError(f"relation {text!r}: {name!r} is not a field")
                if kinds[name] not in COMPARED:
                    raise ValueError(f"relation {text!r}: field {name!r} of the kind {kinds[name]} cannot be compared")
        if self.markers and 2 * (self.markers.inset + self.markers.size) > min(self.page):
            raise ValueError("markers: too large for the page; reduce size or inset")
        return self

    def bounds(self) -> tuple[Relation, ...]:
        """Return the relations, and the ranges of fields that their rules do not keep, as relations."""
        ranges = []
        for field in self.fields:
            if field.range and field.kind in ("integer", "decimal"):
                low, high = field.range
                ranges += [f"{field.name} >= {low}"] * (low is not None) + [f"{field.name} <= {high}"] * (
                    high is not None
                )
        return tuple(map(parse, (*ranges, *self.relations)))

    def to_json(self) -> str:
        """Return the template as JSON to be edited: a line a field, without what is at its default."""
        plain = _short(self.model_dump(mode="json", exclude_defaults=True, by_alias=True))
        fields = ",\n".join(f"    {json.dumps(field, ensure_ascii=False)}" for field in plain.pop("fields"))
        lines = [f"  {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in plain.items()]
        return "{\n" + ",\n".join([*lines, f'  "fields": [\n{fields}\n  ]']) + "\n}\n"


def load(path: Path) -> Template:
    """Return the template in a file. Raises DataError, in one line that names the field, where it is not one."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; name a form template, a file such as grades{SUFFIX}") from error
    return parsed(raw, str(path))


def parsed(raw: bytes, name: str) -> Template:
    """Return the template in JSON bytes; name: what messages call it. Raises DataError as `load`."""
    if len(raw) > MAX_BYTES:
        raise DataError(f"{name}: more than {MAX_BYTES // 10**6} MB, which is too large for a form template")
    try:
        plain = json.loads(raw, object_pairs_hook=_Pairs)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{name}: not a form template, because it is not JSON ({str(error)[:100]})") from error
    if not isinstance(plain, _Pairs):
        raise DataError(f"{name}: not a form template: `fields` is missing")
    if "fields" not in plain:
        raise TemplateError(name, "not a form template: `fields` is missing")
    if twice := _twice(plain):
        number, line = twice
        raise TemplateError(name, printable(line), number)
    if plain.get("version") != VERSION:
        given = printable(repr(plain.get("version"))[:40])
        raise TemplateError(name, f"version {given}, expected {VERSION}; change it, or install another digitnet")
    try:
        return Template.model_validate(plain)
    except ValidationError as error:
        raise TemplateError(name, *_first(error, plain)) from error


def tell_apart(templates: Sequence[Template], names: Sequence[str]) -> None:
    """Raise DataError where two templates could not be told apart. names: what messages call them."""
    found: dict[object, str] = {}
    for template, name in zip(templates, names, strict=True):
        for what in (template.name, template.markers and template.markers.number):
            if what is not None and found.setdefault(what, name) != name:
                shown = f"name {what!r}" if isinstance(what, str) else f"markers' number {what}"
                raise DataError(f"{name}: has the {shown} of {found[what]}; change one of them")


def save(template: Template, path: Path) -> None:
    """Write a template to a file, atomically. Raises OSError where that fails."""
    write_atomic(path, template.to_json().encode())


def schema() -> dict[str, Any]:
    """Return the JSON Schema of templates."""
    return Template.model_json_schema(by_alias=True)


def default_number(name: str) -> int:
    """Return the number of a form's markers by its name, where none was chosen."""
    return zlib.crc32(name.encode()) % MARKER_NUMBERS


class _Pairs(dict[str, Any]):
    """A JSON object that remembers a name it had twice."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        names = [name for name, _ in pairs]
        self.twice = next((name for name in self if names.count(name) > 1), None) if len(self) < len(names) else None


def _twice(plain: _Pairs) -> tuple[int | None, str] | None:
    """Return what is wrong where a list of a template has the same name twice, and the place of the field."""
    if plain.twice is not None:
        return None, f"{plain.twice[:80]!r} occurs twice; omit one"
    for number, field in enumerate(plain["fields"] if isinstance(plain["fields"], list) else ()):
        for part, value in field.items() if isinstance(field, _Pairs) else ():
            if isinstance(value, _Pairs) and value.twice is not None:
                name = str(field.get("name", number + 1))[:80]
                return number, f"field {name!r}: {part}: {value.twice[:80]!r} occurs twice; omit one"
    return None


def _wrong(number: int, line: str) -> PydanticCustomError:
    """Return the error of a field, by its place, that only all fields together show."""
    return PydanticCustomError("field", "{line}", {"line": line, "field": number})


PATTERNS = {
    "name": "an English letter or _, then English letters, digits and _",
    "values": "numbers of up to 30 digits",
}
"""What names of forms and fields, and permitted numbers, consist of."""


def _first(error: ValidationError, plain: Mapping[str, Any]) -> tuple[str, int | None]:
    """Return the first thing wrong with a template, with the name of the field, and the place of the field."""
    first = error.errors(include_url=False)[0]
    place, message = list(first["loc"]), first["msg"].removeprefix("Value error, ")
    where, number = "", first.get("ctx", {}).get("field")
    if place[:1] == ["fields"] and len(place) > 1:
        number = int(place[1])
        field = plain["fields"][number]
        name = field.get("name") if isinstance(field, dict) else None
        where = f"field {name[:80]!r}: " if isinstance(name, str) else f"field {number + 1}: "
        place = place[2:]
    inside = ".".join(str(part) for part in place if part != "[key]")
    if first["type"] == "string_pattern_mismatch":
        message = f"expected {PATTERNS[str(place[0])]}"
    elif first["type"] in ("too_short", "too_long"):
        ctx = first["ctx"]
        message = (
            f"expected at least {ctx['min_length']}" if "min_length" in ctx else f"at most {ctx['max_length']} fit"
        )
    elif message.startswith("Input should"):
        message = "expected" + message.removeprefix("Input should be")
    elif first["type"] == "extra_forbidden":
        message = "is unknown here; omit it"
    elif first["type"] == "missing":
        message = "is missing"
    return printable(where + (f"{inside}: " if inside else "") + message)[:400], number


def _short(plain: Any) -> Any:
    """Return plain values with whole numbers written as such."""
    if isinstance(plain, dict):
        return {key: _short(value) for key, value in plain.items()}
    if isinstance(plain, list):
        return [_short(value) for value in plain]
    return int(plain) if isinstance(plain, float) and plain.is_integer() else plain


def _shown(*box: float) -> str:
    return "[" + ", ".join(f"{edge:g}" for edge in box) + "]"
