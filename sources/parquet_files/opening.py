"""Opens Parquet files that may lie: what a footer claims is weighed before it is believed, and bounds what is read.

Every page's checksum is verified where there is one. Old INT96 timestamps are read as microseconds.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from restock.errors import SourceError
from sources.parquet_files.pages import Page

# A footer takes some twenty times its size in memory, and its size grows with columns times row groups.
MOST_FOOTER_BYTES = 32 * 2**20
# A small file can hold huge rows, so batches stay small whatever the size of a chunk.
BATCH_ROWS = 16_384
BATCH_BYTES = 16 * 2**20
SAMPLE_ROWS = 64
# A column of text with fewer stored bytes for each value repeats itself: one huge value may stand in every row.
REPEATING_BYTES = 2
# Reading a column bit by bit is no slower, and a row group of any size fits into memory.
BUFFER_BYTES = 2**20

_TAIL_BYTES = 8
_ENCRYPTED, _PLAIN = b"PARE", b"PAR1"


def open_parquet(handle: BinaryIO, name: str, int96_unit: str = "us", repeating: Iterable[str] = ()) -> pq.ParquetFile:
    """Open a Parquet file.

    Args:
        handle: the file; it stays the caller's.
        name: what to call it in an error.
        int96_unit: the unit INT96 timestamps are read in.
        repeating: columns of text that are read as dictionaries, each of their values once.

    Raises:
        SourceError: it is encrypted, or its footer is too large to be read in bounded memory.
        pa.ArrowException, OSError: it is no Parquet file.
    """
    _check_footer(handle, name)
    return pq.ParquetFile(
        handle,
        page_checksum_verification=True,
        coerce_int96_timestamp_unit=int96_unit,
        pre_buffer=False,
        buffer_size=BUFFER_BYTES,
        read_dictionary=list(repeating),
    )


def batches(handle: BinaryIO, name: str, columns: list[str], pages: Iterable[Page]) -> Iterator[pa.RecordBatch]:
    """The rows in order, in batches of about `BATCH_BYTES` and at most `BATCH_ROWS` rows; none is empty.

    Dictionaries are decoded. Memory is bounded by the largest page and the largest row, not by what a footer says.

    Args:
        pages: those of the columns.
    """
    opened, decoded = open_parquet(handle, name), defaultdict[int, float](float)
    for page in pages:
        decoded[page.group] += page.decoded
    reader, repeating = opened, list[str]()
    for groups, rows in _spans(opened.metadata):
        found = _repeating_columns(opened, groups, columns)
        if found != repeating:
            reader, repeating = open_parquet(handle, name, repeating=found), found
        expected = sum(decoded[group] for group in groups)
        if math.isinf(expected):
            looked_at = next(reader.iter_batches(SAMPLE_ROWS, row_groups=groups, columns=columns), None)
            expected = 0 if not looked_at else rows / looked_at.num_rows * _decoded_bytes(looked_at)
        size = max(1, min(BATCH_ROWS, int(BATCH_BYTES * rows // max(1, expected))))
        for batch in reader.iter_batches(size, row_groups=groups, columns=columns):
            yield from _decoded(batch)


def stored_bytes(metadata: pq.FileMetaData) -> int:
    """What the pages of a file take without their compression, as its footer says."""
    return sum(metadata.row_group(place).total_byte_size for place in range(metadata.num_row_groups))


def wrapped_columns(opened: pq.ParquetFile) -> list[str]:
    """The columns whose values may not fit the unit they are read in: INT96 reaches further than 64 bits do."""
    paths = [leaf.path for leaf in _leaves(opened) if leaf.physical_type == "INT96"]
    return [name for name in opened.schema_arrow.names if any(_belongs(path, name) for path in paths)]


def refuse_false_counts(opened: pq.ParquetFile, columns: list[str], read: int, name: str) -> None:
    """Refuse a footer that contradicts itself or the rows that were read: Arrow drops what goes beyond a number.

    To be called when the columns were read: Arrow ends the process over the metadata of a column that is encrypted.

    Args:
        opened: the file.
        columns: those that were read.
        read: the rows that were read.
        name: what to call the file in an error.

    Raises:
        SourceError: the file, its row groups and its columns do not agree about the number of rows.
    """
    metadata = opened.metadata
    flat = [place for place in _places(opened, columns) if opened.schema.column(place).max_repetition_level == 0]
    groups = [metadata.row_group(place) for place in range(metadata.num_row_groups)]
    promised = {metadata.num_rows, sum(group.num_rows for group in groups)}
    promised |= {sum(group.column(place).num_values for group in groups) for place in flat}
    if promised != {read}:
        raise SourceError(
            f"{name} is not a readable Parquet file: it promises {', '.join(map(str, sorted(promised)))} rows and "
            f"holds {read}; have it exported again."
        )


def _leaves(opened: pq.ParquetFile) -> list[pq.ColumnSchema]:
    return [opened.schema.column(place) for place in range(len(opened.schema))]


def _places(opened: pq.ParquetFile, columns: list[str]) -> list[int]:
    """The leaves of some columns, by their number."""
    leaves = enumerate(_leaves(opened))
    return [place for place, leaf in leaves if any(_belongs(leaf.path, column) for column in columns)]


def _belongs(path: str, column: str) -> bool:
    """Whether a leaf is that column, or inside it. Names may hold points, so the path cannot be split."""
    return path == column or path.startswith(f"{column}.")


def _check_footer(handle: BinaryIO, name: str) -> None:
    end = handle.seek(0, 2)
    handle.seek(max(0, end - _TAIL_BYTES))
    tail = handle.read(_TAIL_BYTES)
    handle.seek(0)
    if tail.endswith(_ENCRYPTED):
        raise SourceError(f"{name} is encrypted; have it exported without encryption.")
    footer = int.from_bytes(tail[:4], "little")
    if tail.endswith(_PLAIN) and MOST_FOOTER_BYTES < footer < end:
        raise SourceError(
            f"{name} has a footer of {footer} bytes, and restock reads up to {MOST_FOOTER_BYTES}; have it exported "
            "with fewer columns or larger row groups."
        )


def _spans(metadata: pq.FileMetaData) -> Iterator[tuple[list[int], int]]:
    """Consecutive row groups and their rows: small ones together, so that many of them are not many batches."""
    groups: list[int] = []
    rows = 0
    for place in range(metadata.num_row_groups):
        groups.append(place)
        rows += metadata.row_group(place).num_rows
        if rows >= BATCH_ROWS:
            yield groups, rows
            groups, rows = [], 0
    if groups:
        yield groups, rows


def _repeating_columns(opened: pq.ParquetFile, groups: list[int], columns: list[str]) -> list[str]:
    """The columns of text that repeat themselves in some row groups."""
    for group in groups:
        # Arrow ends the process over the metadata of an encrypted column; to begin reading it is an error before that.
        next(opened.reader.iter_batches(0, [group], _places(opened, columns), use_threads=False), None)
    found = []
    for place, leaf in enumerate(_leaves(opened)):
        if leaf.physical_type != "BYTE_ARRAY" or leaf.path not in columns:
            continue
        chunks = [opened.metadata.row_group(group).column(place) for group in groups]
        stored, values = (sum(getattr(chunk, of) for chunk in chunks) for of in ("total_compressed_size", "num_values"))
        if stored < REPEATING_BYTES * values:
            found.append(leaf.path)
    return found


def _decoded(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """A batch without dictionaries, in parts where it would be large."""
    rows = batch.num_rows
    if rows > 1 and _decoded_bytes(batch) > 2 * BATCH_BYTES:
        yield from _decoded(batch.slice(0, rows // 2))
        yield from _decoded(batch.slice(rows // 2))
    elif rows:
        cells = [column.dictionary_decode() if pa.types.is_dictionary(column.type) else column for column in batch]
        yield pa.RecordBatch.from_arrays(cells, batch.schema.names)


def _decoded_bytes(batch: pa.RecordBatch) -> int:
    """What a batch takes at most once its dictionaries are decoded."""
    size = 0
    for column in batch:
        values = column.dictionary if pa.types.is_dictionary(column.type) else None
        if values is None or not (pa.types.is_binary(values.type) or pa.types.is_string(values.type)):
            size += column.nbytes
            continue
        lengths = pc.binary_length(values)
        most = (pc.max(lengths).as_py() or 0) * len(column)
        if most > BATCH_BYTES:  # else it is not worth it to look which of them each row has
            most = pc.sum(lengths.take(column.indices).cast(pa.int64())).as_py() or 0
        size += most
    return size
