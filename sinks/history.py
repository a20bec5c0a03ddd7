"""What the ledger tells: runs, their chunks, their rejects and their totals. Reads only."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from restock.chunks import ChunkEntry, ChunkRef, RunSummary, WriteCounts
from restock.errors import ConfigurationError
from sinks.app_database import AppDatabase
from sinks.lease import Lease, Owner
from sinks.ledger import OUTSTANDING, as_ref
from sinks.ledger_tables import COUNTERS, chunks, database_time, leases, metadata, rejects, runs
from sinks.retries import with_retries


@dataclass(frozen=True)
class RunEntry:
    """One run as the ledger holds it. `status` is the truth of this moment, also after a crash."""

    run_id: str
    feed: str
    target: str
    kind: str
    generation: int
    fingerprint: str
    code_digest: str
    source: str
    ignored_columns: list[str]
    status: str
    read: int
    started_at: datetime
    finished_at: datetime | None
    reason: str | None


@dataclass(frozen=True)
class RejectEntry:
    """One reject as the ledger holds it; `original` has the row under its source's column names."""

    run_id: str
    chunk: int
    position: int
    line: int | None
    code: str
    column: str | None
    value: str | None
    original: dict[str, str | None]
    is_resolved: bool


class History:
    """The ledger of one database, for reading. A database without a ledger has no history yet."""

    def __init__(self, database: AppDatabase) -> None:
        self.database = database

    def exists(self) -> bool:
        """Whether the ledger's tables are there."""

        def look() -> bool:
            with self.database.engine.connect() as connection:
                return set(metadata.tables) <= set(sa.inspect(connection).get_table_names())

        return with_retries(look, f"looking for the ledger in {self.database.address}")

    def runs(self, feed: str | None = None) -> list[RunEntry]:
        """The runs, newest first; only those of one feed if it is named."""
        statement = sa.select(runs).order_by(runs.c.started_at.desc(), runs.c.run_id.desc())
        return self._read_runs(statement if feed is None else statement.where(runs.c.feed == feed))

    def find_run(self, run_id: str) -> RunEntry | None:
        """The run of that id, if this ledger has it."""
        return next(iter(self._read_runs(sa.select(runs).where(runs.c.run_id == run_id))), None)

    def run(self, run_id: str) -> RunEntry:
        """The run of that id.

        Raises:
            ConfigurationError: this ledger does not have it.
        """
        run = self.find_run(run_id)
        if run is None:
            raise ConfigurationError(f"There is no run {run_id} in the ledger; `restock runs` lists those there are.")
        return run

    def _read_runs(self, statement: sa.Select[Any]) -> list[RunEntry]:
        def read() -> list[RunEntry]:
            with self.database.engine.connect() as connection:
                entries = connection.execute(statement).all()
                alive = _living_runs(connection)
            return [_as_run(entry, alive) for entry in entries]

        return with_retries(read, "reading the ledger") if self.exists() else []

    def chunks(self, run_id: str) -> list[ChunkEntry]:
        """The chunks of a run in the order of its source."""

        def read() -> list[ChunkEntry]:
            with self.database.engine.connect() as connection:
                statement = sa.select(chunks).where(chunks.c.run_id == run_id).order_by(chunks.c.number)
                return [_as_chunk(entry) for entry in connection.execute(statement)]

        return with_retries(read, "reading the ledger")

    def outstanding(self, run_id: str, lease: Lease) -> list[ChunkRef]:
        """The chunks of a run that are still to be loaded, handed out under a lease, in the order of the source."""

        def read() -> list[ChunkRef]:
            with self.database.engine.connect() as connection:
                wanted = sa.and_(chunks.c.run_id == run_id, chunks.c.status.in_(OUTSTANDING))
                statement = sa.select(chunks).where(wanted).order_by(chunks.c.number)
                return [as_ref(entry, lease) for entry in connection.execute(statement)]

        return with_retries(read, "reading the ledger")

    def unfinished(self, feed: str | None = None) -> list[RunEntry]:
        """The runs with outstanding chunks, in the order in which they have to be applied."""
        if not self.exists():
            return []
        some = sa.select(chunks.c.run_id).where(chunks.c.status.in_(OUTSTANDING))
        statement = sa.select(runs).where(runs.c.run_id.in_(some)).order_by(runs.c.generation, runs.c.run_id)
        return self._read_runs(statement if feed is None else statement.where(runs.c.feed == feed))

    def rejects(self, run_id: str, with_resolved: bool = False) -> list[RejectEntry]:
        """The rejects of a run in the order of its source, without those that a correction has resolved."""

        def read() -> list[RejectEntry]:
            with self.database.engine.connect() as connection:
                statement = sa.select(rejects).where(rejects.c.run_id == run_id).order_by(rejects.c.position)
                if not with_resolved:
                    statement = statement.where(rejects.c.resolved_at.is_(None))
                return [_as_reject(entry) for entry in connection.execute(statement)]

        return with_retries(read, "reading the rejects")

    def summary(self, run: RunEntry) -> RunSummary:
        """The totals of a run, over all its executions."""
        totals = {name: 0 for name in COUNTERS}
        rows = {"superseded": 0, "abandoned": 0, "outstanding": 0}
        loaded = failed = 0
        entries = self.chunks(run.run_id)
        for entry in entries:
            if entry.status == "loaded":
                loaded += 1
                for name in COUNTERS:
                    totals[name] += getattr(entry.counts, name)
            else:
                failed += entry.status == "failed"
                rows["outstanding" if entry.status in OUTSTANDING else entry.status] += entry.rows
        return RunSummary(
            run_id=run.run_id,
            feed=run.feed,
            source=run.source,
            generation=run.generation,
            status=run.status,
            read=run.read,
            **{**totals, "superseded": totals["superseded"] + rows["superseded"]},
            abandoned=rows["abandoned"],
            outstanding=rows["outstanding"],
            chunks_planned=len(entries),
            chunks_loaded=loaded,
            chunks_failed=failed,
        )


def _living_runs(connection: sa.Connection) -> set[str]:
    """The runs whose owner holds its lease at this moment."""
    statement = sa.select(leases, database_time().label("now")).where(leases.c.owner.is_not(None))
    return {
        held.run_id
        for held in connection.execute(statement)
        if held.expires_at > held.now and not Owner.read(held.owner).is_dead_here
    }


def _as_run(entry: sa.Row[Any], alive: set[str]) -> RunEntry:
    # A run that nobody is running any more was cut short; only its own process could have written that.
    cut_short = entry.status == "running" and entry.run_id not in alive
    return RunEntry(
        run_id=entry.run_id,
        feed=entry.feed,
        target=entry.target,
        kind=entry.kind,
        generation=entry.generation,
        fingerprint=entry.fingerprint,
        code_digest=entry.code_digest,
        source=entry.source,
        ignored_columns=json.loads(entry.ignored_columns),
        status="incomplete" if cut_short else entry.status,
        read=entry.read_rows,
        started_at=_as_time(entry.started_at) or datetime.fromtimestamp(0, UTC),
        finished_at=_as_time(entry.finished_at),
        reason="interrupted" if cut_short else entry.reason,
    )


def _as_chunk(entry: sa.Row[Any]) -> ChunkEntry:
    counts = WriteCounts(**{name: getattr(entry, name) for name in COUNTERS})
    loaded_at = _as_time(entry.loaded_at)
    return ChunkEntry(entry.number, entry.status, entry.attempts, entry.row_count, counts, entry.error, loaded_at)


def _as_reject(entry: sa.Row[Any]) -> RejectEntry:
    return RejectEntry(
        run_id=entry.run_id,
        chunk=entry.chunk,
        position=entry.position,
        line=entry.line,
        code=entry.code,
        column=entry.column_name,
        value=entry.value,
        original=json.loads(entry.original),
        is_resolved=entry.resolved_at is not None,
    )


def _as_time(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
