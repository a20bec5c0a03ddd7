"""Which rows an earlier run of the same content has loaded: how rows without a key are not inserted twice."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import sqlalchemy as sa

from restock.chunks import ChunkRef
from sinks.ledger_tables import chunks, rejects, runs


def loaded_before(connection: sa.Connection, ref: ChunkRef) -> Callable[[int], bool]:
    """A test of whether an earlier run of the same content has loaded the row at a position.

    Rows it rejected were not loaded. The ledger is asked at the first question, if one is put at all.
    """

    @cache
    def earlier() -> tuple[list[tuple[str, int, int]], set[tuple[str, int]]]:
        return _loaded_spans(connection, ref)

    def is_loaded(position: int) -> bool:
        spans, refused = earlier()
        return any(start <= position < end and (run, position) not in refused for run, start, end in spans)

    return is_loaded


def _loaded_spans(connection: sa.Connection, ref: ChunkRef) -> tuple[list[tuple[str, int, int]], set[tuple[str, int]]]:
    """Chunks of earlier runs of the same content that share positions with a chunk, and the rows they rejected."""
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
    ends = chunks.c.first_row + chunks.c.row_count
    spans = connection.execute(sa.select(chunks.c.run_id, chunks.c.first_row, ends).where(same)).all()
    refused = connection.execute(
        sa.select(rejects.c.run_id, rejects.c.position).where(
            same,
            rejects.c.run_id == chunks.c.run_id,
            rejects.c.chunk == chunks.c.number,
            rejects.c.resolved_at.is_(None),
        )
    ).all()
    return [(run, start, end) for run, start, end in spans], {(run, position) for run, position in refused}
