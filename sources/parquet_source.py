"""Reads Parquet with its types kept exactly, in frames of bounded size; page checksums are verified."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from restock.chunks import FAULT, LINE, RAW, ROW, SPOOL_COLUMNS, SUPERSEDED
from restock.errors import SourceError
from sources.columns import refuse_bad_names
from sources.framing import column_of, no_text, plain_type, resized
from sources.locations import open_pinned

if TYPE_CHECKING:
    from restock.feeds import Feed
    from sources.locations import SourceFile

# A small file can hold huge rows, so batches stay small whatever the size of a chunk.
BATCH_ROWS = 16_384


class ParquetSource:
    """One Parquet file. `columns` are all its columns; frames hold those the feed takes.

    Text is `str`; any other type stays what it is, as an Arrow type. INT96 timestamps are read as microseconds.
    """

    def __init__(self, file: SourceFile, feed: Feed) -> None:
        """Read the schema.

        Raises:
            SourceError: the file is no Parquet, has no rows, or a column that the feed takes cannot be loaded.
        """
        self.file = file
        with open_pinned(file) as handle, self._readable():
            opened = _open(handle)
            schema, rows = opened.schema_arrow, opened.metadata.num_rows
        self.columns = list(schema.names)
        refuse_bad_names(self.columns, file.name)
        self._taken = list(feed.renames(self.columns))
        self._refuse_nested(schema)
        if rows == 0:
            raise SourceError(f"{file.name} holds no rows; have it exported again.")

    def frames(self, rows: int) -> Iterator[pd.DataFrame]:
        """The rows in frames of that many (the last may be smaller), with the spool columns beside those taken.

        Raises:
            SourceError: the file cannot be read to its end.
            SourceChanged: the file is not the one that was planned.
        """
        first = 1
        for frame in resized(self._batches(), rows):
            frame[ROW] = np.arange(first, first + len(frame))
            first += len(frame)
            yield frame

    def _batches(self) -> Iterator[pd.DataFrame]:
        with open_pinned(self.file) as handle, self._readable():
            opened, count = _open(handle), 0
            for batch in opened.iter_batches(BATCH_ROWS, columns=self._taken):
                batch.validate(full=True)  # text that is no UTF-8 would be met later, and far from its file
                count += batch.num_rows
                if batch.num_rows:
                    yield _frame(batch, self._taken)
            if count != opened.metadata.num_rows:
                raise SourceError(
                    f"{self.file.name} is not a readable Parquet file: it promises {opened.metadata.num_rows} rows "
                    f"and holds {count}; have it exported again."
                )

    @contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except (pa.ArrowException, OSError, EOFError, MemoryError, UnicodeDecodeError) as error:
            hint = "it is encrypted" if "crypt" in str(error) else "have it exported again"
            raise SourceError(f"{self.file.name} is not a readable Parquet file; {hint}.") from error

    def _refuse_nested(self, schema: pa.Schema) -> None:
        for name in self._taken:
            kind = schema.field(name).type
            if pa.types.is_nested(plain_type(kind)):
                raise SourceError(
                    f"The column {name!r} of {self.file.name} is nested ({kind}), which fits no table column; "
                    "flatten it in the export, or leave it out under `columns:`."
                )


def _open(handle: BinaryIO) -> pq.ParquetFile:
    return pq.ParquetFile(handle, page_checksum_verification=True, coerce_int96_timestamp_unit="us", pre_buffer=False)


def _frame(batch: pa.RecordBatch, names: list[str]) -> pd.DataFrame:
    rows = batch.num_rows
    columns: dict[str, Any] = {name: column_of(batch.column(name)) for name in names}
    columns[ROW] = np.zeros(rows, np.int64)
    columns[LINE] = pd.array([None] * rows, dtype="Int64")
    columns[FAULT] = columns[RAW] = no_text(rows)
    columns[SUPERSEDED] = np.zeros(rows, bool)
    return pd.DataFrame(columns, columns=[*names, *SPOOL_COLUMNS])
