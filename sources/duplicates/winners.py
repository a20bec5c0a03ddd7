"""Which row of each key counts, settled once over the whole source, exactly and in bounded memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from restock.chunks import FAULT, LINE, ROW, SPOOL_COLUMNS
from sources.chunks.framing import cells_of
from sources.chunks.scratch import Place, PlacedRows, Scratch
from sources.duplicates.key_hashes import Hashes, hashes_of
from sources.duplicates.losers import LOSER, FileRows, Losers, Numbers

if TYPE_CHECKING:
    from restock.feeds import OnDuplicate

Flags = np.ndarray[tuple[int], np.dtype[np.uint8]]  # one bit for each row
# Turns rows into their keys as they are compared: one column per part, the same index; under the rule `newest` the
# version as the last column.
CanonicalKeys = Callable[[pd.DataFrame], pd.DataFrame]
# Gives a chunk back as it was added, by its place among the chunks from 0.
ReadChunk = Callable[[int], pa.Table]

# Rows that may be duplicates are compared in parts of about this size.
PART_BYTES = 32 * 2**20
# Hashes are sorted in so many slices, by their first bits.
SLICES = 16


@dataclass(frozen=True)
class HashedChunk:
    """The number of a chunk's first row; of each row a hash of its key and a bit, whether it takes part; its bytes.

    `keyless` are the rows that could be read and have no sound key.
    """

    first_row: int
    hashes: Hashes
    takes_part: Flags
    row_bytes: float
    keyless: int


class Duplicates:
    """Collects the keys of a source and says which rows lose to another one with their key.

    Of each row a hash of its key is set down. Rows whose hashes occur twice are read again, and only their true keys
    decide. A row at fault, and one without a part of its key, takes no part.
    """

    def __init__(self, rule: OnDuplicate, canonical_keys: CanonicalKeys, scratch: Scratch, files: FileRows) -> None:
        """Begin with no rows; what grows with them goes to `scratch`. `files` says which file each row is in."""
        self.rule, self._canonical_keys, self._files = rule, canonical_keys, files
        self._scratch = scratch
        self._hashes: list[Place] = []
        self._takes_part: list[Flags] = []
        self._first_rows: list[int] = []
        self._row_bytes = 1.0
        self.keyless = 0

    def hashed(self, chunk: pa.Table, canonical_keys: pd.DataFrame) -> HashedChunk:
        """Hash the keys that the rows of a chunk have; for several chunks at a time, if that is faster."""
        is_sound = pc.is_null(chunk[FAULT]).to_numpy()
        keys = self._key_parts(canonical_keys)
        takes_part = is_sound & keys.notna().all(axis=1).to_numpy()
        hashes = np.zeros(chunk.num_rows, np.uint64)
        hashes[takes_part] = hashes_of(keys if takes_part.all() else keys[takes_part])
        keyless = int(is_sound.sum() - takes_part.sum())
        row_bytes = chunk.nbytes / chunk.num_rows
        return HashedChunk(chunk[ROW][0].as_py(), hashes, np.packbits(takes_part), row_bytes, keyless)

    def add(self, chunk: HashedChunk) -> None:
        """Add the next chunk."""
        self._hashes.append(self._scratch.set_down(chunk.hashes.tobytes()))
        self._takes_part.append(chunk.takes_part)
        self._first_rows.append(chunk.first_row)
        self._row_bytes = max(self._row_bytes, chunk.row_bytes)
        self.keyless += chunk.keyless

    def losers(self, read: ReadChunk) -> Losers:
        """The losing rows of all chunks, for as long as the scratch is open."""
        losers = Losers(self._scratch, self._first_rows, self._files)
        for tables in self._suspects(read):
            losers.add(self._settle(tables))
        return losers

    def key_texts(self, rows: pa.Table) -> pd.Series:
        """The keys of some rows as they are compared, as text."""
        texts = self._key_parts(self._canonical_keys(cells_of(rows))).astype("str")
        return texts.iloc[:, 0].str.cat(texts.iloc[:, 1:], sep=", ") if texts.shape[1] > 1 else texts.iloc[:, 0]

    def _suspects(self, read: ReadChunk) -> Iterator[list[pa.Table]]:
        """The rows whose hashes occur elsewhere too, in parts: every key is in one of them with all its rows."""
        found = [_repeated(map(self._hashes_at, self._hashes), slice_) for slice_ in range(SLICES)]
        repeated = np.concatenate([hashes for hashes, _ in found])
        parts = math.ceil(sum(rows for _, rows in found) * self._row_bytes / PART_BYTES)
        pieces: list[list[PlacedRows]] = [[] for _ in range(parts)]
        for chunk, (place, flags) in enumerate(zip(self._hashes, self._takes_part, strict=True)):
            hashes = self._hashes_at(place)
            at = _those_in(repeated, hashes, np.unpackbits(flags, count=len(hashes)).astype(bool))
            if not len(at):
                continue
            part_of = hashes[at] % np.uint64(parts)
            order = np.argsort(part_of, kind="stable")
            [rows] = read(chunk).take(pa.array(at[order])).combine_chunks().to_batches()
            ends = np.cumsum(np.bincount(part_of.astype(np.int64), minlength=parts))
            for part, end in enumerate(ends):
                start = ends[part - 1] if part else 0
                if start < end:
                    pieces[part].append(self._scratch.set_down_rows(rows.slice(start, end - start)))
        for some in pieces:
            if some:
                yield _alike(map(self._scratch.rows_at, some))

    def _hashes_at(self, place: Place) -> Hashes:
        return np.frombuffer(self._scratch.read(place), np.uint64)

    def _settle(self, tables: list[pa.Table]) -> Any:
        """The losers among rows that hold all of their keys."""
        keys = pd.concat([self._canonical_keys(cells_of(table)) for table in tables], ignore_index=True)
        rows = np.concatenate([table[ROW].to_numpy() for table in tables])
        lines = np.concatenate([table[LINE].fill_null(0).to_numpy() for table in tables])
        group = _groups(self._key_parts(keys))
        order = self._order(keys, rows, group)
        same_as_next = np.append(group[order][1:] == group[order][:-1], False)
        if self.rule == "reject":
            same_as_last = np.roll(same_as_next, 1)
            at = np.flatnonzero(same_as_next | same_as_last)
            other = np.where(same_as_last[at], at - 1, at + 1)
        else:
            at, winners = np.flatnonzero(same_as_next), np.flatnonzero(~same_as_next)
            other = winners[np.searchsorted(winners, at)]
        losers, others = order[at], order[other]
        found = np.empty(len(losers), LOSER)
        found["row"], found["line"] = rows[losers], lines[losers]
        found["other"], found["other_line"] = rows[others], lines[others]
        found["is_twin"] = _are_twins(tables, losers, others)
        return found

    def _order(self, keys: pd.DataFrame, rows: Numbers, group: Numbers) -> Numbers:
        """The order that puts the rows of a key together, the one that counts last."""
        if self.rule == "first":
            return np.lexsort((-rows, group))
        if self.rule == "newest":
            newer = pd.factorize(keys.iloc[:, -1], sort=True)[0]  # a missing version is -1: the oldest
            return np.lexsort((rows, newer, group))
        return np.lexsort((rows, group))

    def _key_parts(self, keys: pd.DataFrame) -> pd.DataFrame:
        parts = keys.iloc[:, :-1] if self.rule == "newest" else keys
        return parts.apply(lambda part: part + 0.0 if part.dtype.kind == "f" else part)  # no -0.0


def _repeated(hashes: Iterable[Hashes], slice_: int) -> tuple[Hashes, int]:
    """Those hashes of a slice that occur more than once, each once, in ascending order; and how often they all do."""
    found = np.concatenate([np.empty(0, np.uint64), *(each[each >> 60 == slice_] for each in hashes)])
    found.sort()
    again = found[1:][found[1:] == found[:-1]]
    repeated = np.unique(again)
    return repeated, len(again) + len(repeated)


def _those_in(repeated: Hashes, hashes: Hashes, takes_part: np.ndarray) -> Numbers:
    """Where the hashes are that are among the repeated ones, of rows that take part."""
    if not len(repeated):
        return np.empty(0, np.int64)
    nearest = np.minimum(np.searchsorted(repeated, hashes), len(repeated) - 1)
    return np.flatnonzero((repeated[nearest] == hashes) & takes_part)


def _alike(batches: Iterable[pa.RecordBatch]) -> list[pa.Table]:
    """The same rows in as few tables as their types allow: those of two files may differ."""
    alike = [list(some) for _, some in groupby(batches, key=lambda batch: batch.schema)]
    return [pa.Table.from_batches(some).combine_chunks() for some in alike]


def _groups(keys: pd.DataFrame) -> Numbers:
    """One number per row, the same for rows with the same key."""
    group: Numbers | None = None
    for part in range(keys.shape[1]):
        codes, known = pd.factorize(keys.iloc[:, part])
        # Renumbered after each part, so that the product stays below rows squared: no overflow, no collision.
        group = codes if group is None else pd.factorize(group * len(known) + codes)[0]
    assert group is not None, "a key has at least one part"
    return group.astype(np.int64)


def _are_twins(tables: list[pa.Table], first: Numbers, second: Numbers) -> np.ndarray:
    """Which pairs of rows are equal in every cell; cells of different types are not."""
    twins, start = np.zeros(len(first), bool), 0
    for table in tables:
        end = start + table.num_rows
        here = np.flatnonzero((first >= start) & (first < end) & (second >= start) & (second < end))
        equal = np.ones(len(here), bool)
        for cells in table.drop_columns(list(SPOOL_COLUMNS)).columns:
            equal &= _are_equal(cells.take(pa.array(first[here] - start)), cells.take(pa.array(second[here] - start)))
        twins[here] = equal
        start = end
    return twins


def _are_equal(first: pa.ChunkedArray, second: pa.ChunkedArray) -> Any:
    if pa.types.is_nested(first.type) or pa.types.is_null(first.type) or isinstance(first.type, pa.UuidType):
        return np.array([a == b for a, b in zip(first.to_pylist(), second.to_pylist(), strict=True)], bool)
    both_missing = pc.and_(pc.is_null(first, nan_is_null=True), pc.is_null(second, nan_is_null=True))
    return pc.or_(both_missing, pc.fill_null(pc.equal(first, second), False)).to_numpy()
