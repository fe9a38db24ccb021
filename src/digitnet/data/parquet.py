"""Digits in Parquet files: a column of pictures as bytes (Hugging Face's `mnist`), or a column a pixel (OpenML's).

pyarrow reads them, which comes with the extra `scale`.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from digitnet.core.errors import DataError
from digitnet.core.text import listed, reason
from digitnet.data import formats
from digitnet.data.formats import LABELS, Arrays
from digitnet.data.pictures import read_pictures
from digitnet.data.pixels import to_images, to_labels
from digitnet.imaging.pages import MAX_FILE_BYTES

MOST_UNPACKED = 100
"""How many times their size pictures, which are packed already, may unpack to, beyond `MAX_FILE_BYTES`."""


def column_of_pictures(schema: Any, source: object) -> str:
    """Return the column of pictures: the only one of bytes, alone or as the field `bytes` of a record.

    schema: a pyarrow schema. Raises DataError where there is none, or several.
    """
    import pyarrow.types as kinds

    def is_bytes(kind: Any) -> bool:
        return bool(kinds.is_binary(kind) or kinds.is_large_binary(kind))

    found = []
    for field in schema:
        if is_bytes(field.type):
            found.append(field.name)
        elif kinds.is_struct(field.type) and field.type.get_field_index("bytes") >= 0:
            found += [f"{field.name}.bytes"] * is_bytes(field.type.field("bytes").type)
    if len(found) != 1:
        columns = ", ".join(f"{field.name} ({field.type})" for field in schema)
        raise DataError(f"{source}: its columns are {columns[:300]}; expected one of bytes, with one image per row")
    return str(found[0])


def rows_together(group: Any, column: str) -> int:
    """Return how many rows of a row group to unpack at a time: in a dictionary, each may be as large as all of it.

    Raises DataError where the pictures unpack to much more than pictures do, which are packed already.
    """
    chunks = (group.column(index) for index in range(group.num_columns))
    chunk = next(each for each in chunks if each.path_in_schema == column)
    size = int(chunk.total_uncompressed_size)
    if size > MAX_FILE_BYTES + MOST_UNPACKED * int(chunk.total_compressed_size):
        raise DataError(f"images that unpack to more than {MOST_UNPACKED} times their size; write it uncompressed")
    return max(1, min(64, MAX_FILE_BYTES // (8 * size + 1)))  # arrow keeps several copies


def read_parquet(paths: Sequence[Path]) -> Arrays:
    """Read Parquet files of digits, in order: a picture a row, or 784 columns of pixels; and a column called `label`.

    Raises DataError where a file is damaged, has no such columns, or unpacks to too much.
    """
    parts = [_read(path) for path in paths]
    labels = [each for _, each in parts if each is not None]
    images = np.concatenate([each for each, _ in parts])
    return images, np.concatenate(labels) if len(labels) == len(parts) else None


def _read(path: Path) -> Arrays:
    import pyarrow.parquet as pq

    try:
        with path.open("rb") as file:
            table = pq.ParquetFile(file)
            names = table.schema_arrow.names
            label = next((name for name in names if name.strip().lower() in LABELS), None)
            numbers = [name for name in names if name != label]
            size = sum(table.metadata.row_group(group).total_byte_size for group in range(table.num_row_groups))
            if max(size, table.metadata.num_rows * 8 * len(numbers)) > formats.MAX_BYTES:
                raise DataError(
                    f"{path}: contains more than {formats.MAX_BYTES >> 30} GiB; split it into smaller files"
                )
            if len(numbers) > 2:  # pixels
                images = to_images(np.column_stack([_values(table, name, path) for name in numbers]), path)
            else:
                images = _pictures(table, path)
            return images, to_labels(_values(table, label, path), path) if label else None
    except (OSError, ValueError) as error:  # pyarrow's errors are of these
        raise DataError(f"{path}: not a Parquet file that can be read ({reason(error)})") from error


def _values(table: Any, name: str, path: Path) -> NDArray[Any]:
    values: NDArray[Any] = table.read(columns=[name]).column(0).to_numpy()
    if values.dtype.kind not in "biufO" or len(values) != table.metadata.num_rows:
        raise DataError(f"{path}: {listed([name])} is {values.dtype}, expected numbers")
    if values.dtype.kind == "O" and not all(isinstance(each, str) for each in values):
        raise DataError(f"{path}: {listed([name])} has missing values, expected numbers")
    return values


def _pictures(table: Any, path: Path) -> NDArray[np.uint8]:
    column = column_of_pictures(table.schema_arrow, path)

    def rows() -> Iterator[tuple[BinaryIO, str]]:
        number = 0
        for group in range(table.num_row_groups):
            try:
                together = rows_together(table.metadata.row_group(group), column)
            except DataError as error:
                raise DataError(f"{path}: {error}") from error
            for batch in table.iter_batches(together, row_groups=[group], columns=[column]):
                values = batch.column(0)
                for value in values.field("bytes") if hasattr(values, "field") else values:
                    yield io.BytesIO(value.as_py() or b""), f"{path}: row {number}"
                    number += 1

    return read_pictures(rows(), path)
