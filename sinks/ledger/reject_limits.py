"""How many rejects a feed allows, decided before the commit of the chunk that would cross the limit."""

from __future__ import annotations

from collections import Counter

import sqlalchemy as sa

from restock.chunks import ChunkRef, Reject
from restock.errors import ChunkFailed, RunHeld
from restock.feeds import Feed
from restock.wording import counted
from sinks.ledger.results import Result
from sinks.ledger.tables import runs


def check_limits(connection: sa.Connection, feed: Feed, ref: ChunkRef, result: Result) -> None:
    """Let a chunk pass, or say which limit it crosses and, as its rejects are not kept then, for what reasons.

    Raises:
        ChunkFailed: the chunk alone has too many rejects.
        RunHeld: with this chunk the run has too many.
    """
    counts, rejects = result.counts, result.rejects
    chunk_limit = feed.max_chunk_rejects
    if chunk_limit is not None and chunk_limit.is_exceeded(counts.rejected, ref.rows):
        raise ChunkFailed(
            f"The {ref} has {counted(counts.rejected, 'reject')} in {counted(ref.rows, 'row')}, more than "
            f"max_chunk_rejects {chunk_limit} of feed {feed.name} allows (here {_reasons(rejects)}); raise the limit "
            f"and reprocess it, or {feed.how_to_mend(ref.run_id)}."
        )
    if feed.max_rejects is None or not counts.rejected:
        return
    # Locked, so that of several chunks that are loaded at a time each knows of those that came before.
    mine = runs.c.run_id == ref.run_id
    run = connection.execute(sa.select(runs.c.read_rows, runs.c.rejected_rows).where(mine).with_for_update()).one()
    rejected = run.rejected_rows + counts.rejected
    if feed.max_rejects.is_exceeded(rejected, run.read_rows):
        raise RunHeld(
            f"Run {ref.run_id} is held: {counted(rejected, 'reject')} in {counted(run.read_rows, 'row')} with chunk "
            f"{ref.number}, more than max_rejects {feed.max_rejects} of feed {feed.name} allows (in that chunk "
            f"{_reasons(rejects)}); `restock check {feed.name} --samples` shows them, but for what the database "
            f"refused; {feed.how_to_mend(ref.run_id)}, or go on with `restock sync {feed.name} --force`."
        )


def _reasons(rejects: list[Reject]) -> str:
    """The most frequent reasons, without any value."""
    found = Counter(f"{each.code} of {each.column}" if each.column else each.code for each in rejects)
    return ", ".join(f"{rows} × {reason}" for reason, rows in found.most_common(3))
