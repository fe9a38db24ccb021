"""The command `read`."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import click

from digitnet.cli import read_tables
from digitnet.cli.command import Argument, Option
from digitnet.cli.job import Job, KeepImages, fill
from digitnet.cli.options import Checksum, Length, Lengths, Line, Print, Range, SecondOpinion, Single
from digitnet.core.errors import DataError, ImageError
from digitnet.core.terminal import say
from digitnet.core.text import percent

if TYPE_CHECKING:
    from digitnet.reading.batch import Read
    from digitnet.reading.constraints import Rules
    from digitnet.reading.reader import Printed, Reader

KindOf = Annotated[
    Literal["digits", "decimal", "integer", "date", "time", "phone", "fraction"] | None,
    Option("--kind", show_default=False, help="Kind of every number; text prints its value, dates as ISO 8601."),
]
DecimalSign = Annotated[Literal[".", ","] | None, Option("--decimal", show_default="either", help="Decimal separator.")]
Order = Annotated[
    Literal["dmy", "mdy", "ymd"] | None,
    Option("--order", show_default="any", help="Order of day, month and year in dates."),
]


def read(
    paths: Annotated[
        list[str],
        Argument(
            help="Images, PDFs, folders, patterns; - is standard input. For tables also Parquet files and addresses. "
            "Put names that begin with a dash after --."
        ),
    ],
    form: Annotated[
        Literal["text", "json", "jsonl", "csv", "xlsx", "parquet"] | None,
        Option("--format", show_default="text", help="Output format; parquet writes tables into a folder."),
    ] = None,
    table: Annotated[
        bool, Option("--table", help="With csv: rows and columns as on the page, instead of one row per number.")
    ] = False,
    min_confidence: Annotated[
        float, Option(min=0, max=1, help="Reject numbers below this confidence (0 to 1): text prints a ?.")
    ] = 0.0,
    single: Single = False,
    printed: Print = "keep",
    length: Length = None,
    lengths: Lengths = None,
    value_range: Range = None,
    checksum: Checksum = None,
    kind: KindOf = None,
    decimal: DecimalSign = None,
    order: Order = None,
    written: Annotated[
        bool, Option("--written", help="In text, print numbers as written, with their signs, such as 1.159,-.")
    ] = False,
    line: Line = "line",
    second_opinion: SecondOpinion = False,
    out: Annotated[
        str | None,
        Option(show_default="standard output", help="Output file; for parquet a folder or an address."),
    ] = None,
    job: Job = None,
    keep_images: KeepImages = False,
    resume: Annotated[bool, Option("--resume", help="Resume an interrupted --out or --job.")] = False,
    overlay: Annotated[
        Path | None, Option(show_default=False, help="Folder for the pages with a box around every number.")
    ] = None,
    explain: Annotated[
        Path | None, Option(show_default=False, help="Folder for images of the steps: page, ink, strips.")
    ] = None,
    jobs: Annotated[
        int | None,
        Option(min=1, max=100_000, show_default="1; all cores with ray", help="Pages read at the same time."),
    ] = None,
    engine: Annotated[
        Literal["local", "ray"], Option(help="Read on this machine, or on a Ray cluster (parquet only).")
    ] = "local",
    address: Annotated[
        str | None,
        Option(show_default="starts Ray on this machine", help="Address of the Ray cluster; auto finds it."),
    ] = None,
) -> None:
    """Read the numbers in images: scans, photos, drawings.

    Examples: digitnet read photo.jpg; digitnet read scans/ --format csv --out read.csv --jobs 2; digitnet read
    amount.png --single --lengths 3-5; digitnet read s3://bucket/scans/ --engine ray --out s3://bucket/read.

    The exit status is 2 if a file could not be read; the others are still read.
    """
    from digitnet.reading.constraints import from_options

    rules = from_options(length, lengths, value_range, checksum, kind, decimal, order)
    if job is not None:
        if form or table or out or min_confidence or kind or written or overlay or explain or engine == "ray":
            raise DataError(
                "--job: omit --format, --table, --out, --min-confidence, --kind, --written, --overlay, --explain and "
                "--engine; digitnet review JOB --out writes the table of a job, and forms have kinds"
            )
        reader = _reader(line, second_opinion, jobs)
        _into_job(paths, rules, reader, job, single=single, printed=printed, keep=keep_images, resume=resume, jobs=jobs)
        return
    if keep_images:
        raise DataError("--keep-images applies to --job; omit it, or name a job")
    form = form or ("parquet" if engine == "ray" else "text")
    if written and form != "text":
        raise DataError(f"--written requires --format text; {form} has the field written")
    if table and form != "csv":
        raise DataError("--table requires --format csv; --format xlsx writes tables by itself")
    if form == "xlsx" and out is None:
        raise DataError("--format xlsx requires --out, the file to write")
    if form == "parquet":
        if overlay or explain or min_confidence or printed == "skip" or second_opinion:
            raise DataError(
                "--overlay, --explain, --min-confidence, --print and --second-opinion do not apply to tables; "
                "filter the tables by their columns"
            )
        read_tables.read_tables(paths, out, resume, single, rules, engine, address, jobs, line)
        return
    if engine == "ray" or address or (jobs or 1) > read_tables.MAX_LOCAL_JOBS:
        raise DataError(f"--format {form} requires --engine local and --jobs of at most {read_tables.MAX_LOCAL_JOBS}")
    from digitnet.core.digits import DIGITS
    from digitnet.reading.batch import pictures, read_all
    from digitnet.reading.notes import note
    from digitnet.reading.output import resume as go_on
    from digitnet.reading.output import writer

    path = Path(out) if out is not None else None
    files = pictures(paths)
    jobs = jobs or 1
    if resume and (path is None or table or form not in ("jsonl", "csv")):
        raise DataError("--resume requires --out and --format jsonl, csv or parquet")
    done = go_on(path, form) if resume and path is not None and path.is_file() else set()
    if path is not None and path.is_file() and not resume:
        raise DataError(f"{out}: already exists; resume it with --resume, or choose another --out")
    left = [file for file in files if file not in done]
    if done:
        say(f"{len(files) - len(left):,} of {len(files):,} files are already in {out}")
    for option, folder in (("--overlay", overlay), ("--explain", explain)):
        if folder is not None:
            if folder.suffix.lower() in (".png", ".jpg", ".jpeg") and not folder.is_dir():
                raise DataError(f"{folder}: the name of an image; name a folder with {option}")
            folder.mkdir(parents=True, exist_ok=True)
    reader = _reader(line, second_opinion, jobs)
    failed = doubtful = count = 0
    drawn: dict[Path, str] = {}
    explained: dict[Path, str] = {}
    shown = "written" if written else "value" if kind else "text"
    if written and reader.line.alphabet == DIGITS:
        say(f"The line reader {reader.line.name} knows only digits: numbers are printed without their signs")
    many = len(files) > 1
    if path is not None and form == "xlsx":
        from digitnet.reading.sheets import sheet_writer

        output = sheet_writer(path, min_confidence)
    elif table:
        from digitnet.reading.sheets import table_writer

        output = table_writer(path, many, min_confidence)
    else:
        output = writer(path, form, many, min_confidence, shown)
    with output as write, _bar(len(left)) as advance:
        for each in read_all(reader, left, single=single, rules=rules, printed=printed, jobs=jobs, opened=_opened):
            if each.reading is None:
                failed += 1
                say(f"Error: {each.error}")
            else:
                count += len(each.reading.numbers)
                doubtful += sum(not number.accepted(min_confidence) for number in each.reading.numbers)
                if open_ends := note(each, kind is not None):
                    say(open_ends)
                if overlay is not None:
                    _save(overlay, each, each.reading.draw(), drawn)
                if explain is not None:
                    from digitnet.reading.visualization import steps

                    _save(explain, each, steps(reader, each.reading, single=single), explained)
            write(each)
            advance(each.file)
    least = f", {doubtful:,} of them below {percent(min_confidence)}" if min_confidence else ""
    if len(files) == 1 and doubtful and min_confidence:
        say(f"{count:,} {'number' if count == 1 else 'numbers'}{least}")
    elif len(files) > 1:
        say(f"{len(left) - failed:,} files, {count:,} numbers{least}" + (f"; {failed:,} not read" if failed else ""))
    if failed:
        raise click.exceptions.Exit(2)


def _reader(line: str, second_opinion: bool, jobs: int | None) -> Reader:
    from digitnet.reading.reader import Reader

    return Reader(line, threads=1 if (jobs or 1) > 1 else 0, second_opinion=second_opinion)


def _into_job(
    paths: list[str],
    rules: Rules | None,
    reader: Reader,
    job: str,
    *,
    single: bool,
    printed: Printed,
    keep: bool,
    resume: bool,
    jobs: int | None,
) -> None:
    """Read pages into a job, each number a field."""
    from functools import partial

    from digitnet.reading.batch import Done, Read, pictures
    from digitnet.reading.notes import note
    from digitnet.reading.result import Reading
    from digitnet.review.jobs import Filed, stored_numbers
    from digitnet.review.records import StoredSheet

    files = pictures(paths)

    def kept(each: Done[Filed[Reading]]) -> StoredSheet:
        if each.result is None:
            say(f"Error: {each.error}")
        elif open_ends := note(Read(each.file, each.page, each.result.sheet)):
            say(open_ends)
        return stored_numbers(each, reader.hashes(), single)

    read = partial(reader.read_page, single=single, rules=rules, printed=printed)
    fill(job, files, read, kept, keep=keep, resume=resume, jobs=jobs or 1)


def _opened(file: str) -> str | bytes:
    """Return what a name on the command line stands for."""
    return sys.stdin.buffer.read() if file == "-" else file


def _save(folder: Path, each: Read, picture: Any, taken: dict[Path, str]) -> None:
    """Save a picture below a folder, in the place that the file it is of has below its own, atomically.

    taken: the places given so far, and to which file; no two files get the same.
    """
    from PIL import Image

    from digitnet.core.files import write_atomic

    parts = ["up" if part == ".." else part for part in Path(each.file).parts if part != Path(each.file).anchor]
    place = Path("stdin") if each.file == "-" else Path(*parts)
    name = place.name.removesuffix(".png") + ("" if each.page == 1 else f"-{each.page}")
    path, more = folder / place.with_name(f"{name}.png"), 2
    while taken.setdefault(path, each.file) != each.file:
        path, more = folder / place.with_name(f"{name}~{more}.png"), more + 1
    if path.resolve() == Path(each.file).resolve():
        raise ImageError(f"{path} is the input image itself; choose another folder")
    packed = io.BytesIO()
    Image.fromarray(picture).save(packed, "PNG")
    write_atomic(path, packed.getvalue())


@contextmanager
def _bar(files: int) -> Iterator[Callable[[str], None]]:
    """Show on a terminal's standard error how far the reading of several files is."""
    if files < 2 or not sys.stderr.isatty():
        yield lambda file: None
        return
    from rich.console import Console
    from rich.progress import Progress

    last: str | None = None
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("reading", total=files)

        def advance(file: str) -> None:
            nonlocal last
            if file != last:
                bar.advance(task)
            last = file

        yield advance
