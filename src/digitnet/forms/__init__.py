"""Forms: templates of sheets, blank sheets to print, and reading filled ones into tables.

It imports `core`, `imaging`, `models`, `data`, `reading` and `evaluation`. Start with `template.py`, what a form is,
and `sheets.py`, what becomes of a page; `registration.py` finds the sheet, `answers.py` reads a field, `agreement.py`
keeps relations between fields.
"""

from typing import TYPE_CHECKING

from digitnet.core.lazy import lazily

if TYPE_CHECKING:
    from digitnet.forms.printing import pdf
    from digitnet.forms.sheets import FormReader, Sheet
    from digitnet.forms.template import Field, Template, load, schema

__all__ = [
    "Field",
    "FormReader",
    "Sheet",
    "Template",
    "load",
    "pdf",
    "schema",
]

__getattr__, __dir__ = lazily(
    __name__,
    {
        "printing": ["pdf"],
        "sheets": ["FormReader", "Sheet"],
        "template": ["Field", "Template", "load", "schema"],
    },
)
