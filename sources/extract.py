"""Reads a source once, spools it in chunks, and settles which row of each key counts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from restock.chunks import FAULT, ROW, SPOOL_COLUMNS, SUPERSEDED, ChunkRef, PlannedChunk
from restock.errors import SourceError
from sources.columns import check_columns
from sources.csv_source import CsvSource
from sources.duplicates import Duplicates
from sources.framing import resized
from sources.parquet_source import ParquetSource

if TYPE_CHECKING:
    from restock.contract import Contract
    from restock.feeds import Feed
    from sources.locations import SourceFile
    from sources.spool import Spool

CanonicalKeys = Callable[[pd.DataFrame], pd.DataFrame]


@dataclass(frozen=True)
class Extraction:
    """What was read: the chunks, the rows in all of them, and the source's columns that the feed ignores."""

    chunks: list[PlannedChunk]
    rows: int
    ignored_columns: list[str]


def open_source(file: SourceFile, feed: Feed, contract: Contract) -> CsvSource | ParquetSource:
    """The reader for a file, its columns known.

    Raises:
        SourceError: the file is not what its format says, or its columns cannot be used.
    """
    return ParquetSource(file, feed, contract) if file.format == "parquet" else CsvSource(file, feed)


def extract(
    files: list[SourceFile],
    feed: Feed,
    spool: Spool,
    run_id: str,
    chunk_rows: int,
    canonical_keys: CanonicalKeys | None,
    contract: Contract,
    on_rows: Callable[[int], None],
) -> Extraction:
    """Read a source whole into the spool. On any error nothing of the run stays there.

    Args:
        files: the files of the source, in order; rows are counted on from one to the next.
        feed: how they are read.
        spool: where the chunks go.
        run_id: the run the chunks belong to.
        chunk_rows: the rows of a chunk; fewer only in the last one, and where the types of two files differ.
        canonical_keys: turns the sound rows of a frame into their keys as they are compared (same index, and under
            the rule `newest` the version as the last column); None where duplicates need not be settled.
        contract: what the model demands of the columns that the feed may fill.
        on_rows: called with the rows of each chunk that was spooled.

    Raises:
        SourceError: a file cannot be read to its end or its columns are wrong, or the spool cannot be written.
        SourceChanged: a file changed since it was found.
    """
    try:
        opened = [open_source(file, feed, contract) for file in files]
        ignored = _check_sources(opened, feed, contract)
        duplicates = Duplicates(feed.duplicate_rule)
        chunks: list[PlannedChunk] = []
        for frame in resized(_frames(opened, chunk_rows), chunk_rows):
            chunks.append(_spool_chunk(spool, run_id, len(chunks) + 1, frame))
            if canonical_keys is not None:
                sound = frame[frame[FAULT].isna()]
                duplicates.add(sound[ROW], canonical_keys(sound))
            on_rows(len(frame))
        _mark_losers(duplicates, spool, run_id, chunks)
    except BaseException:
        spool.remove_run(run_id)
        raise
    return Extraction(chunks, sum(chunk.rows for chunk in chunks), ignored)


def _check_sources(opened: list[CsvSource | ParquetSource], feed: Feed, contract: Contract) -> list[str]:
    first = opened[0]
    for other in opened[1:]:
        differing = sorted(set(first.columns) ^ set(other.columns))
        if differing:
            raise SourceError(
                f"{first.file.name} and {other.file.name} have different columns ({differing[0]!r} is in one only); "
                "give all files of a source the same columns."
            )
    return check_columns(first.columns, feed, set(contract.fields), first.file.name)


def _frames(opened: list[CsvSource | ParquetSource], rows: int) -> Iterator[pd.DataFrame]:
    read = 0
    order: list[str] | None = None
    for source in opened:
        in_file = 0
        for frame in source.frames(rows):
            in_file += len(frame)
            frame[ROW] += read
            order = order or [name for name in frame.columns if name not in SPOOL_COLUMNS] + list(SPOOL_COLUMNS)
            yield frame[order]
        read += in_file


def _spool_chunk(spool: Spool, run_id: str, number: int, frame: pd.DataFrame) -> PlannedChunk:
    return PlannedChunk(number, spool.write(run_id, number, frame), int(frame[ROW].iloc[0]), len(frame))


def _mark_losers(duplicates: Duplicates, spool: Spool, run_id: str, chunks: list[PlannedChunk]) -> None:
    losers = duplicates.losers().index.to_numpy()
    for chunk in chunks:
        here = losers[(losers >= chunk.first_row) & (losers < chunk.first_row + chunk.rows)]
        if not len(here):
            continue
        frame = spool.read(ChunkRef(run_id, chunk.number, chunk.spool_file, chunk.first_row, chunk.rows, token=0))
        is_loser = frame[ROW].isin(here)
        if duplicates.rule == "reject":
            frame.loc[is_loser, FAULT] = "duplicate_key"
        else:
            frame.loc[is_loser, SUPERSEDED] = True
        spool.write(run_id, chunk.number, frame)
