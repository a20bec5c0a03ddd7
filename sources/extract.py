"""Reads a source once, spools it in chunks, and settles which row of each key counts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from restock.ahead import in_order
from restock.chunks import FAULT, RAW, SUPERSEDED, PlannedChunk
from sources.chunks.framing import TEXT, cells_of, chunked, with_column
from sources.chunks.scratch import Scratch
from sources.csv_files.source import CsvSource
from sources.drift import Settlement, settle
from sources.duplicates.losers import FileRows, Losers
from sources.duplicates.superseded import superseded_list
from sources.duplicates.winners import CanonicalKeys, Duplicates, HashedChunk
from sources.key_order import KeyOrder, Sample
from sources.parquet_files.source import ParquetSource

if TYPE_CHECKING:
    from restock.contract import Contract
    from restock.feeds import Feed
    from sources.chunks.spool import RunSpool
    from sources.places.locations import SourceFile


@dataclass(frozen=True)
class Chunking:
    """How a source's rows are divided among chunks.

    Attributes:
        rows: the rows of a chunk; fewer only in the last one, and where the types of two files differ.
        in_key_order: whether rows with neighbouring keys are to be in one chunk, wherever the source has them.
    """

    rows: int
    in_key_order: bool = False


@dataclass(frozen=True)
class Extraction:
    """What was read: the chunks, the rows in all of them, how many of these have no sound key, and the source's columns
    that the feed ignores.

    `duplicates` says how many rows lost to another one with their key, and where some of them stand. All that do not
    count are listed in the spool.
    """

    chunks: list[PlannedChunk]
    rows: int
    keyless: int
    ignored_columns: list[str]
    duplicates: str | None = None


def open_source(file: SourceFile, feed: Feed, contract: Contract) -> CsvSource | ParquetSource:
    """The reader for a file, its columns known.

    Raises:
        SourceError: the file is not what its format says, or its columns cannot be used.
    """
    return ParquetSource(file, feed, contract) if file.format == "parquet" else CsvSource(file, feed)


def extract(
    files: list[SourceFile],
    feed: Feed,
    spool: RunSpool,
    chunking: Chunking,
    canonical_keys: CanonicalKeys,
    contract: Contract,
    on_rows: Callable[[int], None],
) -> Extraction:
    """Read a source whole into the spool. On any error nothing of the run stays there.

    Args:
        files: the files of the source, in order; rows are counted on from one to the next.
        feed: how they are read.
        spool: where the chunks go.
        chunking: how its rows are divided among chunks.
        canonical_keys: turns rows into their keys as they are compared.
        contract: what the model demands of the columns that the feed may fill.
        on_rows: called with the rows of each chunk that was spooled, and with 0 as they are put in order.

    Raises:
        SourceError: a file cannot be read to its end or its columns are wrong, or the spool cannot be written.
        SourceChanged: a file changed since it was found.
    """
    try:
        opened = [open_source(file, feed, contract) for file in files]
        settlement = settle(opened, feed, contract)
        chunks: list[PlannedChunk] = []
        with Scratch(spool.whole.folder) as scratch:
            file_rows = FileRows()
            duplicates = Duplicates(feed.duplicate_rule, canonical_keys, scratch, file_rows)
            order, samples = KeyOrder(canonical_keys, contract.key, spool), list[Sample]()

            def spooled(numbered: tuple[int, pa.Table]) -> tuple[PlannedChunk, HashedChunk, list[Sample]]:
                number, table = numbered
                keys = canonical_keys(cells_of(table))
                looked_at = [order.sample(table, keys)] if chunking.in_key_order else []
                return spool.write(number, table), duplicates.hashed(table, keys), looked_at

            tables = chunked(_tables(opened, settlement, file_rows), chunking.rows)
            with closing(in_order(spooled, enumerate(tables, 1))) as done:
                for chunk, hashed, looked_at in done:
                    chunks.append(chunk)
                    duplicates.add(hashed)
                    samples += looked_at
                    on_rows(chunk.rows)
            losers = duplicates.losers(lambda place: spool.read(chunks[place]))
            _set_aside(losers, duplicates, spool, chunks)
            told = str(losers) if len(losers) else None
        # Keys that the database makes follow those it has met: none of them may come before its row.
        if chunking.in_key_order and not (duplicates.keyless and contract.takes_keyless):
            chunks = order.settled(chunks, samples, lambda: on_rows(0))
    except BaseException:
        with suppress(OSError):  # what went wrong first is what matters
            spool.forget()
        raise
    rows = sum(chunk.rows for chunk in chunks)
    return Extraction(chunks, rows, duplicates.keyless, settlement.ignored, told)


def _tables(opened: list[CsvSource | ParquetSource], settlement: Settlement, file_rows: FileRows) -> Iterator[pa.Table]:
    """The tables of all files, as the feed wants those that differ from the first."""
    rows = 0
    for place, source in enumerate(opened):
        file_rows.begin(source.file.name, rows + 1)
        for table in source.tables():
            rows += table.num_rows
            yield settlement.settled(place, table)


def _set_aside(losers: Losers, duplicates: Duplicates, spool: RunSpool, chunks: list[PlannedChunk]) -> None:
    """Mark the losers in the spool: as rejects if the feed wants that, else as superseded, and list these."""
    with superseded_list(spool) as listed:
        for place, chunk in enumerate(chunks):
            lost = losers.of_chunk(place)
            if not len(lost):
                continue
            table = spool.read(chunk)
            at = lost["row"] - chunk.first_row
            mask = np.zeros(chunk.rows, bool)
            mask[at] = True
            if duplicates.rule == "reject":
                others = pa.array(losers.others(lost), TEXT)
                table = with_column(table, FAULT, pc.if_else(mask, pa.scalar("duplicate_key", TEXT), table[FAULT]))
                table = with_column(table, RAW, pc.replace_with_mask(table[RAW], mask, others))
            else:
                table = with_column(table, SUPERSEDED, pa.array(mask))
                listed.add(losers, lost, duplicates.key_texts(table.take(pa.array(at))))
            spool.write(chunk.number, table)
