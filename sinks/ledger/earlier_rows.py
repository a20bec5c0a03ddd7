"""Which rows an earlier run of the same content has loaded: how rows without a key are not inserted twice."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import sqlalchemy as sa

from restock.chunks import ChunkRef
from sinks.ledger.entries import is_chunk
from sinks.ledger.tables import chunks, rejects, runs

Places = set[tuple[str, int]]


@dataclass(frozen=True)
class _Span:
    """The positions of the rows that an earlier chunk holds; `only` those of them, if others were moved elsewhere.

    A row that was moved had a sound key, by which it is recognised.
    """

    run_id: str
    first: int
    end: int
    only: frozenset[int] | None

    def __contains__(self, position: int) -> bool:
        return self.first <= position < self.end and (self.only is None or position in self.only)


def loaded_before(connection: sa.Connection, ref: ChunkRef) -> Callable[[int], bool]:
    """A test of whether an earlier run of the same content has loaded the row at a position.

    Rows it rejected were not loaded, nor were those it left out. The ledger is asked at the first question, if one is
    put at all.
    """

    @cache
    def earlier() -> tuple[list[_Span], Places]:
        return _loaded_spans(connection, ref)

    def is_loaded(position: int) -> bool:
        spans, not_loaded = earlier()
        return any(position in span and (span.run_id, position) not in not_loaded for span in spans)

    return is_loaded


def note_left_out(connection: sa.Connection, ref: ChunkRef, positions: list[int]) -> None:
    """Write down which rows without a key a chunk left out: those of its correction join those of its first load."""
    if not positions:
        return
    known = connection.execute(sa.select(chunks.c.left_out).where(is_chunk(ref))).scalar_one()
    together = sorted({*json.loads(known or "[]"), *positions})
    connection.execute(sa.update(chunks).where(is_chunk(ref)).values(left_out=json.dumps(together)))


def _loaded_spans(connection: sa.Connection, ref: ChunkRef) -> tuple[list[_Span], Places]:
    """Chunks of earlier runs of the same content that share positions with a chunk, and the rows they did not load."""
    this = runs.alias("this")
    same = sa.and_(
        this.c.run_id == ref.run_id,
        runs.c.feed == this.c.feed,
        runs.c.fingerprint == this.c.fingerprint,
        runs.c.run_id != this.c.run_id,
        chunks.c.run_id == runs.c.run_id,
        chunks.c.status == "loaded",
        chunks.c.first_row < ref.first_row + ref.rows,
        chunks.c.first_row + chunks.c.row_count > ref.first_row,
    )
    columns = chunks.c.run_id, chunks.c.first_row, chunks.c.row_count, chunks.c.left_out, chunks.c.unmoved
    found = connection.execute(sa.select(*columns).where(same)).all()
    refused = connection.execute(
        sa.select(rejects.c.run_id, rejects.c.position).where(
            same,
            rejects.c.run_id == chunks.c.run_id,
            rejects.c.chunk == chunks.c.number,
            rejects.c.resolved_at.is_(None),
        )
    ).all()
    not_loaded = {(run, position) for run, position in refused}
    spans = []
    for run, first, rows, left_out, unmoved in found:
        not_loaded |= {(run, position) for position in json.loads(left_out or "[]")}
        only = None if unmoved is None else frozenset(json.loads(unmoved))
        spans.append(_Span(run, first, first + rows, only))
    return spans, not_loaded
