"""What a chunk has come to: what its transaction tells the ledger, or the correction that stands in for it."""

from __future__ import annotations

from dataclasses import dataclass, field

from restock.chunks import Chunk, Reject, WriteCounts
from restock.feeds import Feed
from sinks.rows.changes import Changes
from sinks.rows.database_rejects import as_rejects


@dataclass(frozen=True)
class Result:
    """What became of the rows of a chunk: the counts, the rejects with their reasons, and the rows that were left out.

    `left_out` are the positions of skipped rows that have no key, where the database would make one: nothing in the
    table could ever tell that they were not loaded.
    """

    counts: WriteCounts
    rejects: list[Reject] = field(default_factory=list)
    left_out: list[int] = field(default_factory=list)


def result_of(chunk: Chunk, feed: Feed, written: Changes) -> Result:
    """What a chunk has come to with its changes written."""
    rejects = chunk.rejects + as_rejects(chunk, feed, written.rows.target.contract, written.faults)
    counts = WriteCounts(
        inserted=len(written.inserts),
        updated=len(written.updates),
        unchanged=written.unchanged,
        superseded=chunk.superseded,
        stale=written.stale,
        rejected=len(rejects),
        skipped=chunk.skipped + written.skipped,
    )
    return Result(counts, rejects, chunk.left_out + written.left_out)
