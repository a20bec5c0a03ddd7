"""The rows of the ledger's tables as nouns, and the nouns as rows: what a column means is told here."""

from __future__ import annotations

import json
from dataclasses import asdict, astuple, dataclass, fields
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from restock.chunks import COUNTERS, ChunkEntry, ChunkRef, Fault, PlannedChunk, Reject, WriteCounts
from sinks.database.charsets import in_ascii
from sinks.ledger.lease import Lease
from sinks.ledger.tables import chunks, database_time, runs

# In seconds, and long enough for any database to tell apart.
SHORTLY = 0.001


@dataclass(frozen=True)
class Admission:
    """What the ledger is told of a run when its source is admitted."""

    run_id: str
    feed: str
    kind: str
    generation: int
    fingerprint: str
    code_digest: str
    source: str
    ignored_columns: list[str]
    content: str | None  # None in a run of an older restock


@dataclass(frozen=True, kw_only=True)
class RunEntry(Admission):
    """A run as the ledger holds it. `status` is the truth of this moment, also after a crash."""

    target: str
    status: str
    read: int
    started_at: datetime
    finished_at: datetime | None
    reason: str | None


@dataclass(frozen=True, kw_only=True)
class RejectEntry(Reject):
    """A reject as the ledger holds it: whose it is, and whether a correction has resolved it."""

    run_id: str
    chunk: int
    is_resolved: bool

    @property
    def address(self) -> tuple[int, int]:
        """Where it belongs in its run: its chunk and its row."""
        return self.chunk, self.row


def as_ref(entry: sa.Row[Any], lease: Lease) -> ChunkRef:
    """The address of a chunk, handed out under a lease."""
    address = entry.run_id, entry.number, entry.spool_file, entry.first_row, entry.row_count
    return ChunkRef(*address, lease.token, was_cut_short=entry.status == "loading")


def is_chunk(ref: ChunkRef) -> sa.ColumnElement[bool]:
    """The row of the ledger that stands for a chunk."""
    return sa.and_(chunks.c.run_id == ref.run_id, chunks.c.number == ref.number)


def locked_entry(connection: sa.Connection, ref: ChunkRef) -> sa.Row[Any]:
    """That row, which nobody else changes before the transaction of the connection has ended."""
    return connection.execute(sa.select(chunks).where(is_chunk(ref)).with_for_update()).one()


def counts_of(entry: sa.Row[Any]) -> WriteCounts:
    """What became of a chunk's rows, as the ledger holds it."""
    return WriteCounts(**{name: int(getattr(entry, name)) for name in COUNTERS})


def run_values(run: Admission) -> dict[str, object]:
    """The columns of a run that are known when it is admitted."""
    return {**asdict(run), "ignored_columns": json.dumps(run.ignored_columns)}


def start_of(connection: sa.Connection, feed: str) -> float:
    """When a run begins that is admitted now: after every other of its feed, also where the clock was set back."""
    others = sa.select(sa.func.max(runs.c.started_at)).where(runs.c.feed == feed).scalar_subquery()
    now, newest = connection.execute(sa.select(database_time(), others)).one()
    return float(now if newest is None else max(now, newest + SHORTLY))


def chunk_values(run_id: str, chunk: PlannedChunk) -> dict[str, object]:
    """The columns of a chunk that is planned."""
    return {
        "run_id": run_id,
        "number": chunk.number,
        "status": "planned",
        "spool_file": chunk.spool_file,
        "first_row": chunk.first_row,
        "row_count": chunk.rows,
        "unmoved": None if chunk.unmoved is None else json.dumps(chunk.unmoved),
    }


def reject_values(ref: ChunkRef, reject: Reject, as_ascii: bool) -> dict[str, object]:
    """The columns of a reject; what the source sent in ASCII, if the database does not take every character."""
    return {
        "run_id": ref.run_id,
        "chunk": ref.number,
        "position": reject.row,
        "line": reject.line,
        "byte": reject.byte,
        "original": json.dumps(reject.original, ensure_ascii=as_ascii),
        **fault_values(reject, as_ascii),
    }


def fault_values(reject: Reject, as_ascii: bool) -> dict[str, object]:
    """The columns that say what is wrong with a row."""
    further = [astuple(fault) for fault in reject.further]
    return {
        "code": reject.code[:200],
        "column_name": reject.column,
        "value": in_ascii(reject.value) if as_ascii else reject.value,
        "further": json.dumps(further, ensure_ascii=as_ascii) if further else None,
    }


def as_run(entry: sa.Row[Any], alive: set[str]) -> RunEntry:
    """A run as it is at this moment; `alive` are the runs whose owner holds its lease."""
    # A run that nobody is running any more was cut short; only its own process could have written that.
    cut_short = entry.status == "running" and entry.run_id not in alive
    admitted = {each.name: getattr(entry, each.name) for each in fields(Admission)}
    return RunEntry(
        **{**admitted, "ignored_columns": json.loads(entry.ignored_columns)},
        target=entry.target,
        status="incomplete" if cut_short else entry.status,
        read=entry.read_rows,
        started_at=_as_time(entry.started_at) or datetime.fromtimestamp(0, UTC),
        finished_at=_as_time(entry.finished_at),
        reason="interrupted" if cut_short else entry.reason,
    )


def as_chunk(entry: sa.Row[Any]) -> ChunkEntry:
    """A chunk with what became of its rows."""
    number, status, attempts = entry.number, entry.status, entry.attempts
    return ChunkEntry(
        number, status, attempts, entry.row_count, counts_of(entry), entry.error, _as_time(entry.loaded_at)
    )


def as_reject(entry: sa.Row[Any]) -> RejectEntry:
    """A reject, open or resolved."""
    return RejectEntry(
        run_id=entry.run_id,
        chunk=entry.chunk,
        row=entry.position,
        line=entry.line,
        code=entry.code,
        column=entry.column_name,
        value=entry.value,
        original=json.loads(entry.original),
        byte=entry.byte,
        is_resolved=entry.resolved_at is not None,
        further=tuple(Fault(*each) for each in json.loads(entry.further or "[]")),
    )


def _as_time(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
