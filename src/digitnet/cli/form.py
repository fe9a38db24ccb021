"""The commands `form print` and `form read`: blank sheets to print, and tables of filled ones."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import click

from digitnet.cli.command import Argument, Group, Option
from digitnet.cli.job import Job, KeepImages, fill
from digitnet.cli.options import Line, SecondOpinion
from digitnet.core.errors import DataError
from digitnet.core.terminal import put, say
from digitnet.core.text import listed

if TYPE_CHECKING:
    from digitnet.forms.sheets import FormReader, Sheet
    from digitnet.reading.batch import Done


def new(
    scan: Annotated[str, Argument(help="A scan of the blank form, edge to edge: an image or a PDF.")],
    out: Annotated[Path, Option(help="The template to write, such as grades.form.json.")],
    page: Annotated[int | None, Option(min=1, show_default="the only page", help="Page of a TIFF or PDF.")] = None,
) -> None:
    """Propose a template from a scan of a blank form: boxes, combs, boxes to tick, lines to write on.

    The fields are named f1, f2, ...; edit the template by hand. The scan is stored beside it, to recognise sheets by.
    Example: digitnet form new blank.png --out grades.form.json.
    """
    import cv2

    from digitnet.core.files import write_atomic
    from digitnet.forms.proposal import drafted, name_of
    from digitnet.forms.template import SUFFIX, save
    from digitnet.imaging import pages

    if not out.name.endswith(SUFFIX):
        raise DataError(f"{out}: expected a name that ends in {SUFFIX}")
    if out.exists():
        raise DataError(f"{out}: already exists; choose another --out")
    stem = out.name.removesuffix(SUFFIX)
    try:
        picture, dpi = pages.scan(sys.stdin.buffer.read() if scan == "-" else scan, number=page)
    except pages.ManyPagesError as error:
        raise DataError(f"{scan}: has several pages, and a form is one sheet; choose one with --page") from error
    draft = drafted(picture, dpi, name_of(stem), f"{stem}.png")
    try:
        template = draft.checked()
    except DataError as error:
        raise DataError(f"{scan}: {error}") from error
    write_atomic(out.with_name(f"{stem}.png"), cv2.imencode(".png", draft.reference)[1].tobytes())
    save(template, out)
    if draft.assumed is not None:
        advice = "store its resolution in the scan, or set the size in the tab Forms of digitnet serve"
        say(f"{scan}: {draft.assumed}; if it has another size, {advice}")
    count, (width, height) = len(template.fields), template.page
    fields = f"{count} {'field' if count == 1 else 'fields'} on a sheet of {width:g} x {height:g} mm"
    put(f"{out}: {fields}; name them and check their kinds")


def print_blank(
    template: Annotated[str, Argument(help="Template such as grades.form.json, or an example: marks, meters, order.")],
    out: Annotated[Path, Option(help="PDF to write.")],
) -> None:
    """Write a blank sheet of a form as PDF, with marks at its corners.

    Example: digitnet form print marks --out marks.pdf.
    """
    from digitnet.core.files import write_atomic
    from digitnet.forms.examples import file_of
    from digitnet.forms.printing import pdf
    from digitnet.forms.template import load

    if out.suffix.lower() != ".pdf":
        raise DataError(f"{out}: expected a name that ends in .pdf")
    form = load(file_of(template))
    write_atomic(out, pdf(form))
    width, height = form.page
    put(f"{out}: a sheet of {width:g} x {height:g} mm; print it at actual size")


def read(
    paths: Annotated[
        list[str],
        Argument(
            help="Templates (*.form.json, or marks, meters, order), then images, PDFs, folders; - is standard input."
        ),
    ],
    out: Annotated[
        Path | None,
        Option(show_default="standard output, as CSV", help="Output file: .csv, .jsonl, .parquet or .xlsx."),
    ] = None,
    jobs: Annotated[int, Option(min=1, max=256, help="Sheets read at the same time.")] = 1,
    job: Job = None,
    keep_images: KeepImages = False,
    resume: Annotated[bool, Option("--resume", help="Resume an interrupted .csv, .jsonl or job.")] = False,
    line: Line = "line",
    second_opinion: SecondOpinion = False,
) -> None:
    """Read filled sheets into a table with one row per sheet: value, confidence and status of each field.

    Example: digitnet form read grades.form.json scans/ --out grades.csv. With several templates, each sheet is
    recognised by its markers or its print. The exit status is 2 if a sheet was refused or a file could not be read; the
    others are still read.
    """
    from digitnet.forms.examples import EXAMPLES, file_of
    from digitnet.forms.sheets import FormReader
    from digitnet.forms.table import format_of, writer
    from digitnet.forms.table import resume as go_on
    from digitnet.forms.template import SUFFIX
    from digitnet.reading.batch import each_page, pictures
    from digitnet.reading.reader import Reader
    from digitnet.review.jobs import doubts
    from digitnet.review.records import Policy

    templates = [path for path in paths if path.endswith(SUFFIX) or path in EXAMPLES]
    sources = [path for path in paths if path not in templates]
    if not templates or not sources:
        raise DataError(f"expected templates such as grades{SUFFIX}, then images or folders of sheets")
    if job is not None and out is not None:
        raise DataError("--job and --out: choose one; digitnet review JOB --out writes the table of a job")
    if job is None and keep_images:
        raise DataError("--keep-images applies to --job; omit it, or name a job")
    format_of(out)
    forms = FormReader(
        Reader(line, threads=1 if jobs > 1 else 0, second_opinion=second_opinion),
        [file_of(path) for path in templates],
    )
    files = pictures(sources)
    done: set[str] = set()
    if out is not None and out.exists():
        if not resume:
            raise DataError(f"{out}: already exists; resume it with --resume, or choose another --out")
        done = go_on(out, forms.templates)
    if job is not None:
        _into_job(forms, files, job, keep_images, resume, jobs)
        return
    left = [file for file in files if file not in done]
    if done:
        say(f"{len(files) - len(left):,} of {len(files):,} files are already in {out}")
    count = failed = 0
    doubtful: list[bool] = []  # of each field
    named = {template.name: template for template in forms.templates}
    with writer(out, forms.templates) as write:
        for each in each_page(forms.read_page, left, jobs=jobs, opened=_opened):
            write(each)
            _told(each)
            count += 1
            if each.result is None or each.result.form is None:
                failed += 1
                continue
            its = doubts(each.result, named[each.result.form])
            doubtful += [Policy().doubtful(doubt) for doubt in its.values()]
    sheets = f"{count:,} {'sheet' if count == 1 else 'sheets'}, {failed:,} not read"
    say(f"{sheets}; {sum(doubtful):,} of {len(doubtful):,} fields to check")
    if failed:
        raise click.exceptions.Exit(2)


def _into_job(forms: FormReader, files: list[str], place: str, keep: bool, resume: bool, jobs: int) -> None:
    """Read sheets into a job."""
    from dataclasses import replace
    from functools import partial

    from digitnet.review.jobs import Filed, stored
    from digitnet.review.records import StoredSheet

    templates = {template.name: template for template in forms.templates}
    read = partial(forms.read_page, alternatives=True)

    def kept(each: Done[Filed[Sheet]]) -> StoredSheet:
        _told(replace(each, result=each.result and each.result.sheet))  # type: ignore[arg-type]
        return stored(each, templates, forms.reader.hashes())

    fill(place, files, read, kept, templates=forms.templates, keep=keep, resume=resume, jobs=jobs)


def _told(each: Done[Sheet]) -> None:
    """Print what is not in order on a sheet."""
    if each.result is None:
        say(f"Error: {each.error}")
        return
    sheet = each.result
    notes = [*sheet.notes, *([f"rotated by {sheet.turned} degrees"] if sheet.turned else [])]
    check = [f"{name} {its.status}" for name, its in sheet.fields.items() if its.status in ("unreadable", "ambiguous")]
    if notes or check:
        name = ("standard input" if each.file == "-" else each.file) + (f", page {each.page}" if each.page > 1 else "")
        say(f"{name}: {'; '.join([*notes, *([listed(check, 8)] if check else [])])}")


def _opened(file: str) -> str | bytes:
    return sys.stdin.buffer.read() if file == "-" else file


form_app = Group(
    "form",
    {"new": new, "print": print_blank, "read": read},
    help="Make templates of forms, print blank sheets, and read filled ones into a table.",
    no_args_is_help=True,
)
