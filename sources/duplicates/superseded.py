"""The list of a run's rows that lost to another row of their source: a file of the spool that outlives its chunks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pcsv
import pyarrow.parquet as pq

from restock.errors import SourceError
from restock.paths import new_file
from sources.chunks.spool import RunSpool, unwritable
from sources.duplicates.losers import Losers

SCHEMA = pa.schema(
    {
        "file": pa.string(),
        "row": pa.int64(),
        "line": pa.int64(),
        "counting_file": pa.string(),
        "counting_row": pa.int64(),
        "counting_line": pa.int64(),
        "key": pa.large_string(),
        "equal": pa.bool_(),
    }
)


class SupersededList:
    """A list that is being written. There is no file before there is a row."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: pq.ParquetWriter | None = None

    def add(self, losers: Losers, some: np.ndarray[Any, Any], keys: pd.Series) -> None:
        """Add losers, with their keys as text."""
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._path, SCHEMA, compression="zstd", write_page_checksum=True)
        lost = losers.files.columns(some["row"], some["line"])
        counting = losers.files.columns(some["other"], some["other_line"])
        cells = [*lost, *counting, pa.array(keys, SCHEMA.field("key").type), pa.array(some["is_twin"])]
        self._writer.write_table(pa.table(cells, schema=SCHEMA))

    def close(self) -> bool:
        """End the file; say whether there is one."""
        if self._writer is not None:
            self._writer.close()
        return self._writer is not None


@contextmanager
def superseded_list(spool: RunSpool) -> Iterator[SupersededList]:
    """A list to write in a block; it is in the spool when the block ends well, and whole.

    Raises:
        SourceError: the spool cannot be written, or its disk is full.
    """
    path = spool.superseded_file
    # Among the chunks of the run: whatever clears those away after a kill takes it along.
    temporary = spool.folder / f".{path.name}"
    written = SupersededList(temporary)
    try:
        yield written
        if written.close():
            temporary.replace(path)
    except OSError as error:
        raise unwritable(spool.whole.folder, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def superseded_rows(spool: RunSpool) -> Iterator[pa.RecordBatch]:
    """The list of a run in the order of its source; nothing where there is none.

    Raises:
        SourceError: it cannot be read.
    """
    path = spool.superseded_file
    if not path.exists():
        return
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            yield from file.iter_batches()
    except (OSError, pa.ArrowException) as error:
        raise SourceError(
            f"The list of superseded rows of run {spool.run_id} cannot be read; its spool is damaged."
        ) from error


def export_superseded(spool: RunSpool, path: Path) -> int:
    """Write the list of a run as CSV; return how many rows there are.

    Raises:
        SourceError: it cannot be read, or the file is there already or cannot be written.
    """
    count = 0
    with new_file(path), path.open("wb") as file, pcsv.CSVWriter(file, SCHEMA) as written:
        for batch in superseded_rows(spool):
            written.write_batch(batch)
            count += batch.num_rows
    return count
