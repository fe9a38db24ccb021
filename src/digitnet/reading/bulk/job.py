"""A large job, divided into parts that are each finished or not, so it can be stopped at any time and resumed.

    DIR/manifest.json                 what was asked: how many inputs, models, rules; written last of all that begins
    DIR/inputs.parquet                the files to read, sorted; for Parquet files of pictures also how many rows
    DIR/numbers/part-00042.parquet    a row a number
    DIR/pages/part-00042.parquet      a row a page; written after the part's numbers: a part is done when it is there
    DIR/failures.parquet              a row an input that could not be read; written at the end, of `pages`
    DIR/summary.json                  the counts, once every input is accounted for

A part that is read twice, since a machine was taken for dead or two processes do the same job, is written to the same
names: no input can be in the tables twice.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

from digitnet.core.errors import DataError
from digitnet.core.files import to_json
from digitnet.core.version import __version__
from digitnet.imaging.pages import Source
from digitnet.reading.batch import read_all
from digitnet.reading.bulk.inputs import FETCHES, File, Folder, Input, contents
from digitnet.reading.bulk.parquet import packed, tables, unicode
from digitnet.reading.constraints import Rules
from digitnet.reading.reader import Reader

MANIFEST, INPUTS, FAILURES, SUMMARY = "manifest.json", "inputs.parquet", "failures.parquet", "summary.json"

MIN_PARTS, PART_SIZE, MAX_PARTS = 64, 256, 4096
"""Parts of a small job; inputs in a part of a larger one; most inputs in a part, and parts up to which there are fewer.

A killed process loses the part it was reading; a folder of a hundred thousand files and more is slow to list.
"""

_LISTED = 1 << 12  # files in a row group of the list of inputs: what is loaded to find those of one part


@dataclass(frozen=True)
class Manifest:
    """What was asked; a job can be resumed only with the same settings.

    digitnet: the version. models: their sha256 by name. inputs: how many there are; files: sha256 of their list.
    part: how many inputs are in a part. single, rules: as for `Reader.read`.
    """

    digitnet: str
    models: dict[str, str]
    inputs: int
    files: str
    part: int
    single: bool
    rules: dict[str, Any] | None


@dataclass(frozen=True)
class Summary:
    """What came of a finished job, each of its inputs in one of three: with numbers, without any, not read."""

    inputs: int
    with_numbers: int
    without: int
    not_read: int
    pages: int
    numbers: int


def part_size(inputs: int) -> int:
    """Return how many inputs a part has, of how many there are."""
    return max(min(PART_SIZE, -(-inputs // MIN_PARTS)), min(MAX_PARTS, -(-inputs // MAX_PARTS)))


class Job:
    """A job that has begun, wherever its folder is."""

    def __init__(self, place: str) -> None:
        """Open the folder of a job. Raises DataError where none has begun there."""
        self.folder = Folder(place)
        try:
            with self.folder.open(MANIFEST) as file:
                self.manifest = Manifest(**json.load(file))
        except (ValueError, TypeError) as error:
            raise DataError(f"{self.folder}/{MANIFEST}: damaged; choose another --out") from error
        self._groups: list[int] = []
        self._loaded: tuple[int, list[dict[str, Any]]] = (-1, [])

    @property
    def parts(self) -> int:
        """How many parts there are."""
        return -(-self.manifest.inputs // self.manifest.part)

    def size(self, part: int) -> int:
        """Return how many inputs are in a part."""
        return min(self.manifest.part, self.manifest.inputs - part * self.manifest.part)

    def left(self) -> list[int]:
        """Return the numbers of the parts that are not done."""
        done = self.folder.names("pages")
        return [part for part in range(self.parts) if _name(part) not in done]

    def is_done(self, part: int) -> bool:
        """Say whether a part is done."""
        return self.folder.has(f"pages/{_name(part)}")

    def inputs(self, part: int) -> list[Input]:
        """Return the inputs of a part."""
        import pyarrow.parquet as pq

        found: list[Input] = []
        number, end = part * self.manifest.part, part * self.manifest.part + self.size(part)
        with self.folder.open(INPUTS) as file:
            table = pq.ParquetFile(file)
            groups = table.metadata.num_row_groups
            first = [int(table.metadata.row_group(group).column(0).statistics.min) for group in range(groups)]
            for group in range(groups):
                if number >= end or (group + 1 < groups and first[group + 1] <= number):
                    continue
                if self._loaded[0] != group:
                    self._loaded = group, table.read_row_group(group).to_pylist()
                for each in self._loaded[1]:
                    stop = each["first"] + (1 if each["rows"] is None else each["rows"])
                    while each["first"] <= number < min(stop, end):
                        source = (
                            each["source"] if each["raw"] is None else each["raw"].decode("utf-8", "surrogateescape")
                        )
                        found.append(Input(number, source, None if each["rows"] is None else number - each["first"]))
                        number += 1
        return found

    def read(self, reader: Reader, part: int, jobs: int = 1) -> None:
        """Read a part, `jobs` pages at the same time, and write its tables. Raises DataError where they cannot be."""
        inputs = self.inputs(part)
        come = contents(inputs)

        def opened(_: str) -> Source:
            content = next(come)
            if isinstance(content, Exception):
                raise content
            return content

        said = self.manifest.rules
        rules = Rules(**{**said, "lengths": tuple(said["lengths"]) if said["lengths"] else None}) if said else None
        names = [each.name for each in inputs]
        reads = read_all(reader, names, single=self.manifest.single, rules=rules, jobs=jobs, opened=opened)
        numbers, pages = tables(inputs, reads, model_name(self.manifest.models))
        self.folder.put(f"numbers/{_name(part)}", numbers)
        self.folder.put(f"pages/{_name(part)}", pages)

    def finish(self) -> Summary:
        """Account for every input, write the failures and the summary, and return that.

        Raises DataError where a part is damaged: it counts as not done from then on; and where there are others' files
        among the tables.
        """
        from digitnet.reading.bulk.parquet import schemas

        expected = {_name(part) for part in range(self.parts)}
        for table in ("numbers", "pages"):
            if strange := self.folder.names(table) - expected:
                raise DataError(f"{self.folder}/{table}/{min(strange)}: does not belong to this job; move it elsewhere")
        counts: Counter[str] = Counter()
        failures: list[dict[str, Any]] = []
        damaged = []
        with ThreadPoolExecutor(FETCHES) as pool:
            for start in range(0, self.parts, 1000):  # not all at once: their results wait in memory
                some = range(start, min(start + 1000, self.parts))
                for part, found in zip(some, pool.map(self._account, some), strict=True):
                    if found is None:
                        damaged.append(part)
                        self.folder.remove(f"pages/{_name(part)}")
                    else:
                        counts += found[0]
                        failures += found[1]
        if damaged:
            parts = "part" if len(damaged) == 1 else "parts"
            raise DataError(f"{self.folder}: {len(damaged)} {parts} damaged or missing; read again with --resume")
        schema = schemas()[1]
        self.folder.put(FAILURES, packed(failures, _only(schema, ("input", "source", "page", "error"))))
        summary = Summary(
            self.manifest.inputs, *(counts[name] for name in Summary.__dataclass_fields__ if name != "inputs")
        )
        self.folder.put(SUMMARY, to_json(asdict(summary)).encode())
        self.folder.sweep()
        return summary

    def _account(self, part: int) -> tuple[Counter[str], list[dict[str, Any]]] | None:
        """Return the counts and the failures of a part; None where it is not whole, or not of all its inputs."""
        import pyarrow.parquet as pq

        try:
            with self.folder.open(f"pages/{_name(part)}") as file:
                pages = pq.read_table(file).to_pylist()
            with self.folder.open(f"numbers/{_name(part)}") as file:
                numbers = pq.ParquetFile(file).metadata.num_rows
        except (DataError, OSError, ValueError):
            return None
        of: dict[int, list[dict[str, Any]]] = {}
        for page in pages:
            of.setdefault(page["input"], []).append(page)
        first = part * self.manifest.part
        if list(of) != list(range(first, first + self.size(part))) or numbers != sum(page["numbers"] for page in pages):
            return None
        failed = [page for page in pages if page["error"] is not None]
        kinds = Counter(pages=len(pages) - len(failed), numbers=numbers)
        for its in of.values():
            bad = any(page["error"] is not None for page in its)
            kinds["not_read" if bad else "with_numbers" if any(page["numbers"] for page in its) else "without"] += 1
        return kinds, [{name: page[name] for name in ("input", "source", "page", "error")} for page in failed]


def begin(
    place: str, files: Sequence[File], models: dict[str, str], single: bool, rules: Rules | None, resume: bool
) -> Job:
    """Begin a job in a new folder; with `resume` also go on with one that was asked to do the same.

    files: as `inputs.files` returns them. models: sha256 by name. Raises DataError where the folder holds anything
    else.
    """
    folder = Folder(place)
    inside = folder.names()
    count = sum(1 if file.rows is None else file.rows for file in files)
    listed = hashlib.sha256()
    for file in files:
        listed.update(file.source.encode("utf-8", "surrogateescape") + f"\0{file.rows}\n".encode())
    asked = Manifest(
        digitnet=__version__,
        models=models,
        inputs=count,
        files=listed.hexdigest(),
        part=part_size(count),
        single=single,
        rules=json.loads(json.dumps(asdict(rules))) if rules is not None else None,
    )
    if MANIFEST in inside:
        if not resume:
            raise DataError(f"{folder}: already exists; resume it with --resume, or choose another --out")
        job = Job(place)
        if fact := _difference(job.manifest, asked):
            raise DataError(f"{folder}: was started with {fact}; use the same, or choose another --out")
        return job
    if strange := inside - {INPUTS, "tmp"}:  # what is left where a process was killed before it had begun
        raise DataError(f"{folder}: contains {min(strange)} and is not a job of an earlier read; choose another --out")
    if not count:
        raise DataError("nothing to read: all Parquet files are empty")
    folder.put(INPUTS, _list(files))
    folder.put(MANIFEST, to_json(asdict(asked)).encode())
    return Job(place)


def model_name(models: dict[str, str]) -> str:
    """Return what the tables call the models that read: their hashes, in the order of the manifest."""
    return "+".join(models.values())


def _name(part: int) -> str:
    return f"part-{part:05}.parquet"


def _only(schema: Any, names: Sequence[str]) -> Any:
    import pyarrow as pa

    return pa.schema([schema.field(name) for name in names])


def _list(files: Sequence[File]) -> bytes:
    """Return the list of inputs: each file's source, rows, and the number of its first input."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([("first", pa.int64()), ("source", pa.string()), ("rows", pa.int64()), ("raw", pa.binary())])
    out = pa.BufferOutputStream()
    first = 0
    with pq.ParquetWriter(out, schema, compression="zstd") as writer:
        for start in range(0, len(files), _LISTED):
            rows = []
            for file in files[start : start + _LISTED]:
                raw = file.source.encode("utf-8", "surrogateescape")
                shown = unicode(file.source)
                odd = raw if shown != file.source else None
                rows.append({"first": first, "source": shown, "rows": file.rows, "raw": odd})
                first += 1 if file.rows is None else file.rows
            writer.write_table(pa.Table.from_pylist(rows, schema), row_group_size=_LISTED)
    return bytes(out.getvalue())


def _difference(begun: Manifest, asked: Manifest) -> str | None:
    """Return in what two manifests differ, in words; None where they do not."""
    if begun.digitnet != asked.digitnet:
        return f"digitnet {begun.digitnet}, this is {asked.digitnet}"
    if begun.models != asked.models:
        return "other models"
    if begun.inputs != asked.inputs:
        return f"{begun.inputs:,} inputs, now there are {asked.inputs:,}"
    if begun.files != asked.files:
        return "other inputs, of the same number"
    if begun.single != asked.single:
        return "--single" if begun.single else "no --single"
    if begun.rules != asked.rules:
        return f"other constraints ({_rules(begun.rules)}; now {_rules(asked.rules)})"
    return None if begun == asked else "other sizes of parts"


def _rules(said: dict[str, Any] | None) -> str:
    return ", ".join(f"{name} {value}" for name, value in said.items() if value is not None) if said else "none"


def read_here(job: Job, reader: Reader, jobs: int) -> Iterator[int]:
    """Read the parts that are left in this process, `jobs` pages at the same time; yield each part's inputs."""
    for part in job.left():
        job.read(reader, part, jobs)
        yield job.size(part)
