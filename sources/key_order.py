"""Puts the rows of a spool in the order of their keys, where their source has scattered them.

A table, or its index, lies in the order of its primary key. A chunk of scattered keys touches most pages of it, and the
next one does so again; a chunk of neighbouring keys touches each of its pages once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from restock.ahead import in_order
from restock.chunks import FAULT, ROW, PlannedChunk
from sources.chunks.framing import cells_of
from sources.chunks.scratch import PlacedRows, Scratch
from sources.chunks.spool import RunSpool
from sources.duplicates.losers import Numbers
from sources.duplicates.winners import CanonicalKeys

# Fewer rows are in the database's memory anyway.
LEAST_ROWS = 10_000
# Chunks that are put in order together: each touches a hundredth of the table then, and the bookkeeping stays small.
TOGETHER = 128
# The keys that are looked at to see whether a chunk holds neighbours.
SAMPLED = 64
# Rows are moved in blocks of neighbours, so many for each chunk that they may go to: more order, and more blocks.
BLOCKS = 4
# In a source in order, the middle half of a chunk's keys spans that of its share; beyond this multiple it is scattered.
MOST_SPAN = 1.5


@dataclass(frozen=True)
class Sample:
    """What is kept of a chunk: the types of its columns, and some of its keys, from evenly spaced rows."""

    schema: pa.Schema
    keys: pd.DataFrame


@dataclass(frozen=True)
class _Sorted:
    """A chunk whose rows are leaving it: blocks of them in their order, with the first key of each; and who stays."""

    blocks: list[pa.RecordBatch]
    first_keys: pd.DataFrame
    staying: pa.RecordBatch


class KeyOrder:
    """Looks at the chunks of a source as they come, and puts them in order when all are there.

    Rows are moved, none is changed: each chunk keeps its number, its size and, where they stood, its rows without a
    sound key, which are known by their place alone.
    """

    def __init__(self, canonical_keys: CanonicalKeys, key: tuple[str, ...], spool: RunSpool) -> None:
        """Begin with the chunks of a spool; `key` are the columns of `canonical_keys` that make one."""
        self._canonical_keys, self._key, self._spool = canonical_keys, list(key), spool

    def sample(self, chunk: pa.Table, keys: pd.DataFrame) -> Sample:
        """What to keep of a chunk whose rows have these keys."""
        places = np.unique(np.linspace(0, chunk.num_rows - 1, SAMPLED).astype(np.int64))
        return Sample(chunk.schema, self._sound(chunk.select([FAULT]).take(pa.array(places)), keys.iloc[places]))

    def settled(
        self, chunks: list[PlannedChunk], samples: list[Sample], on_chunk: Callable[[], None]
    ) -> list[PlannedChunk]:
        """The chunks of a source, those in order whose keys were scattered.

        Args:
            samples: one of each chunk.
            on_chunk: called as the work goes on, with each chunk.

        Raises:
            SourceError: the spool cannot be read or written, or its disk is full.
        """
        done: list[PlannedChunk] = []
        for some in _together(chunks, samples):
            window = [chunk for chunk, _ in some]
            is_worth_it = sum(chunk.rows for chunk in window) >= LEAST_ROWS
            if is_worth_it and _are_scattered([sample.keys for _, sample in some]):
                with Scratch(self._spool.whole.folder) as scratch:
                    window = list(self._in_order(window, scratch, on_chunk))
            done += window
        return done

    def _in_order(
        self, window: list[PlannedChunk], scratch: Scratch, on_chunk: Callable[[], None]
    ) -> Iterator[PlannedChunk]:
        """Some chunks with the same rows between them: in the order of their keys in each, and from one to the next."""
        block_rows = -(-max(chunk.rows for chunk in window) // (BLOCKS * len(window)))
        blocks: list[PlacedRows] = []
        first_keys: list[pd.DataFrame] = []
        stayed: list[PlacedRows] = []
        with closing(in_order(partial(self._sorted, block_rows=block_rows), window)) as all_sorted:
            for each in all_sorted:
                blocks += [scratch.set_down_rows(block) for block in each.blocks]
                first_keys.append(each.first_keys)
                stayed.append(scratch.set_down_rows(each.staying))
                on_chunk()
        order = _sorted_by_all(pd.concat(first_keys, ignore_index=True)).index
        moved = _divided(
            (scratch.rows_at(blocks[place]) for place in order),
            [chunk.rows - kept.rows for chunk, kept in zip(window, stayed, strict=True)],
        )
        filled = ((chunk, scratch.rows_at(kept), next(moved)) for chunk, kept in zip(window, stayed, strict=True))
        with closing(in_order(self._written, filled)) as written:
            for chunk in written:
                on_chunk()
                yield chunk

    def _sorted(self, chunk: PlannedChunk, block_rows: int) -> _Sorted:
        table = self._spool.read(chunk)
        keys = _sorted_by_all(self._sound(table, self._canonical_keys(cells_of(table))))
        leaving, stays = keys.index.to_numpy(), np.ones(chunk.rows, bool)
        stays[leaving] = False
        rows = _taken(table, leaving)
        blocks = [rows.slice(start, block_rows) for start in range(0, len(leaving), block_rows)]
        return _Sorted(blocks, keys.iloc[::block_rows], _taken(table, np.flatnonzero(stays)))

    def _sound(self, rows: pa.Table, keys: pd.DataFrame) -> pd.DataFrame:
        """Of these rows' keys the sound ones, with the index that they have."""
        parts = keys[self._key]
        return parts[pc.is_null(rows[FAULT]).to_numpy() & parts.notna().all(axis="columns").to_numpy()]

    def _written(self, filled: tuple[PlannedChunk, pa.RecordBatch, list[pa.RecordBatch]]) -> PlannedChunk:
        chunk, kept, moved = filled
        self._spool.write(chunk.number, pa.Table.from_batches([kept, *moved]))
        return replace(chunk, unmoved=tuple(kept[ROW].to_pylist()))


def _together(chunks: list[PlannedChunk], samples: list[Sample]) -> Iterator[list[tuple[PlannedChunk, Sample]]]:
    """Neighbouring chunks whose columns have the same types, with their samples; at most `TOGETHER`."""
    for _, alike in groupby(zip(chunks, samples, strict=True), key=lambda each: each[1].schema):
        some = list(alike)
        yield from (some[start : start + TOGETHER] for start in range(0, len(some), TOGETHER))


def _are_scattered(samples: list[pd.DataFrame]) -> bool:
    """Whether chunks hold keys from all over rather than each its own share of them. A few strays do not count."""
    sampled = pd.concat(samples, keys=range(len(samples)))
    if sampled.empty:
        return False
    ranks = pd.Series(np.arange(len(sampled)), _sorted_by_all(sampled).index.get_level_values(0))
    quarters = ranks.groupby(level=0).quantile(np.array([0.25, 0.75])).unstack()
    spans = (quarters[0.75] - quarters[0.25]) / (ranks.groupby(level=0).size() / 2)
    return bool(spans.mean() > MOST_SPAN)


def _sorted_by_all(keys: pd.DataFrame) -> pd.DataFrame:
    return keys.sort_values(list(keys.columns), kind="stable")


def _taken(table: pa.Table, places: Numbers) -> pa.RecordBatch:
    """Some rows of a table in one piece, whatever their number."""
    rows = table.take(pa.array(places)).combine_chunks()
    return rows.to_batches()[0] if rows.num_rows else pa.RecordBatch.from_pylist([], rows.schema)


def _divided(batches: Iterable[pa.RecordBatch], sizes: list[int]) -> Iterator[list[pa.RecordBatch]]:
    """The rows of all batches, in their order, in pieces that make so many each time."""
    coming, rest = iter(batches), None
    for size in sizes:
        pieces: list[pa.RecordBatch] = []
        while size:
            batch = rest or next(coming)
            pieces.append(batch.slice(0, size))
            size -= pieces[-1].num_rows
            rest = batch.slice(pieces[-1].num_rows)
        yield pieces
