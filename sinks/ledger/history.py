"""What the ledger tells: runs, their chunks, their rejects and their totals. Reads only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import sqlalchemy as sa

from restock.chunks import COUNTERS, OUTSTANDING, ChunkEntry, ChunkRef, RunSummary, WriteCounts
from sinks.database.app_database import AppDatabase
from sinks.database.retries import with_retries
from sinks.ledger.creation import is_there
from sinks.ledger.entries import RejectEntry, RunEntry, as_chunk, as_ref, as_reject, as_run, counts_of
from sinks.ledger.lease import Lease
from sinks.ledger.owners import Owner
from sinks.ledger.tables import chunks, database_time, leases, rejects, runs

Found = TypeVar("Found")

_IS_OWED = chunks.c.status.in_(OUTSTANDING)
_NEWEST_FIRST = sa.select(runs).order_by(runs.c.started_at.desc(), runs.c.run_id.desc())


@dataclass(frozen=True)
class FeedRuns:
    """The runs of a feed at one moment, newest first, and the ids of all runs with outstanding or abandoned chunks."""

    all: list[RunEntry]
    owing: frozenset[str]
    given_up: frozenset[str] = frozenset()

    @property
    def newest(self) -> RunEntry | None:
        """The newest of them, if there is one."""
        return self.all[0] if self.all else None

    @property
    def unfinished(self) -> list[RunEntry]:
        """Those with outstanding chunks, in the order in which they have to be applied."""
        some = [run for run in self.all if run.run_id in self.owing]
        return sorted(some, key=lambda run: (run.generation, run.run_id))

    def fate_of(self, run: RunEntry) -> str:
        """What was done with a run that owes nothing any more."""
        if run.status in ("abandoned", "superseded"):
            return f"{run.status} (run {run.run_id})"
        return f"loaded but for abandoned chunks (run {run.run_id})" if run.run_id in self.given_up else "loaded before"

    @property
    def last_completed(self) -> RunEntry | None:
        """The newest that came to its end with nothing outstanding, and was not abandoned as a whole."""
        return next((run for run in self.all if run.status.startswith("completed")), None)


@dataclass(frozen=True)
class RunRecord:
    """A run with its chunks and its open rejects, both in the order of its source."""

    run: RunEntry
    chunks: list[ChunkEntry]
    rejects: list[RejectEntry]


class History:
    """The ledger of one database, for reading. A database without a ledger has no history yet."""

    def __init__(self, database: AppDatabase) -> None:
        self.database = database

    def exists(self) -> bool:
        """Whether the ledger's tables are there. Those of an older restock are brought up to date.

        Raises:
            ConfigurationError: the database user may not do that.
        """
        return is_there(self.database)

    def check_readable(self) -> None:
        """Ask the ledger, if there is one, for nothing: whether the database answers and lets its tables be read.

        Raises:
            RestockError: it does not.
        """
        if self.exists():
            joined = runs.join(chunks, chunks.c.run_id == runs.c.run_id).join(
                rejects, rejects.c.run_id == runs.c.run_id
            )
            self._read(lambda connection: connection.execute(sa.select(runs.c.run_id).select_from(joined).limit(0)))

    def runs(self) -> list[RunEntry]:
        """The runs of all feeds, newest first."""
        return self._read_runs(_NEWEST_FIRST)

    def runs_of(self, feed: str) -> FeedRuns:
        """The runs of a feed."""

        def read(connection: sa.Connection) -> FeedRuns:
            is_given_up = chunks.c.status == "abandoned"
            told = sa.select(chunks.c.run_id, chunks.c.status).where(sa.or_(_IS_OWED, is_given_up)).distinct()
            found = connection.execute(told).all()
            owing = frozenset(entry.run_id for entry in found if entry.status in OUTSTANDING)
            given_up = frozenset(entry.run_id for entry in found if entry.status not in OUTSTANDING)
            return FeedRuns(_runs(connection, _NEWEST_FIRST.where(runs.c.feed == feed)), owing, given_up)

        return self._read(read) if self.exists() else FeedRuns([], frozenset())

    def summaries(self) -> list[tuple[RunEntry, RunSummary]]:
        """The runs of all feeds with their totals, newest first."""

        def read(connection: sa.Connection) -> list[tuple[RunEntry, RunSummary]]:
            tallies = _tallies(connection)
            return [(run, _summary(run, tallies.get(run.run_id, ()))) for run in _runs(connection, _NEWEST_FIRST)]

        return self._read(read) if self.exists() else []

    def newest(self, feed: str) -> RunEntry | None:
        """The newest run of a feed, if it has one."""
        return next(iter(self._read_runs(_NEWEST_FIRST.where(runs.c.feed == feed).limit(1))), None)

    def find_run(self, run_id: str) -> RunEntry | None:
        """The run of that id, if this ledger has it."""
        return next(iter(self._read_runs(_run(run_id))), None)

    def record(self, run_id: str) -> RunRecord:
        """All that this ledger, which has the run, tells of it."""

        def read(connection: sa.Connection) -> RunRecord:
            [run] = _runs(connection, _run(run_id))
            return RunRecord(run, _chunks(connection, run_id), _rejects(connection, run_id))

        return self._read(read)

    def has_inserted(self, run_ids: Iterable[str]) -> bool:
        """Whether any of these runs put new rows into the table."""
        some = sa.select(chunks.c.run_id).where(chunks.c.run_id.in_(list(run_ids)), chunks.c.inserted > 0).limit(1)
        return self._read(lambda connection: connection.execute(some).first() is not None)

    def chunks(self, run_id: str) -> list[ChunkEntry]:
        """The chunks of a run in the order of its source."""
        return self._read(lambda connection: _chunks(connection, run_id))

    def outstanding(self, run_id: str, lease: Lease) -> list[ChunkRef]:
        """The chunks of a run that are still to be loaded, handed out under a lease, in the order of the source."""

        def read(connection: sa.Connection) -> list[ChunkRef]:
            wanted = sa.and_(chunks.c.run_id == run_id, _IS_OWED)
            statement = sa.select(chunks).where(wanted).order_by(chunks.c.number)
            return [as_ref(entry, lease) for entry in connection.execute(statement)]

        return self._read(read)

    def unfinished(self) -> list[RunEntry]:
        """The runs with outstanding chunks, in the order in which they have to be applied."""
        some = sa.select(chunks.c.run_id).where(_IS_OWED)
        return self._read_runs(
            sa.select(runs).where(runs.c.run_id.in_(some)).order_by(runs.c.generation, runs.c.run_id)
        )

    def rejects(self, run_id: str, with_resolved: bool = False) -> list[RejectEntry]:
        """The rejects of a run in the order of its source, without those that a correction has resolved."""
        return self._read(lambda connection: _rejects(connection, run_id, with_resolved))

    def _read_runs(self, statement: sa.Select[Any]) -> list[RunEntry]:
        return self._read(lambda connection: _runs(connection, statement)) if self.exists() else []

    def _read(self, read: Callable[[sa.Connection], Found]) -> Found:
        """What is read by one connection: far from the database, each one costs the time of two questions more."""

        def visit() -> Found:
            with self.database.engine.connect() as connection:
                return read(connection)

        return with_retries(visit, "reading the ledger")


@dataclass(frozen=True)
class _Tally:
    """What some chunks of one status add up to."""

    status: str
    chunks: int
    rows: int
    counts: WriteCounts


def summary_of(run: RunEntry, entries: Iterable[ChunkEntry]) -> RunSummary:
    """The totals of a run, over all its executions, whose chunks are known."""
    return _summary(run, [_Tally(entry.status, 1, entry.rows, entry.counts) for entry in entries])


def _summary(run: RunEntry, tallies: Iterable[_Tally]) -> RunSummary:
    totals, numbers, rows = WriteCounts(), Counter[str](), Counter[str]()
    for each in tallies:
        numbers[each.status] += each.chunks
        if each.status == "loaded":
            totals += each.counts
        else:
            rows["outstanding" if each.status in OUTSTANDING else each.status] += each.rows
    return RunSummary(
        run_id=run.run_id,
        feed=run.feed,
        source=run.source,
        generation=run.generation,
        status=run.status,
        read=run.read,
        **asdict(totals + WriteCounts(superseded=rows["superseded"])),
        abandoned=rows["abandoned"],
        outstanding=rows["outstanding"],
        chunks_planned=numbers.total(),
        chunks_loaded=numbers["loaded"],
        chunks_failed=numbers["failed"],
    )


def _tallies(connection: sa.Connection) -> dict[str, list[_Tally]]:
    """What the chunks of each run add up to, by their status."""
    sums = (sa.func.sum(chunks.c[name]).label(name) for name in COUNTERS)
    rows = sa.func.sum(chunks.c.row_count).label("rows")
    grouped = sa.select(chunks.c.run_id, chunks.c.status, sa.func.count().label("chunks"), rows, *sums)
    found: dict[str, list[_Tally]] = {}
    for entry in connection.execute(grouped.group_by(chunks.c.run_id, chunks.c.status)):
        tally = _Tally(entry.status, entry.chunks, int(entry.rows), counts_of(entry))
        found.setdefault(entry.run_id, []).append(tally)
    return found


def _run(run_id: str) -> sa.Select[Any]:
    return sa.select(runs).where(runs.c.run_id == run_id)


def _runs(connection: sa.Connection, statement: sa.Select[Any]) -> list[RunEntry]:
    entries = connection.execute(statement).all()
    alive = _living_runs(connection)
    return [as_run(entry, alive) for entry in entries]


def _chunks(connection: sa.Connection, run_id: str) -> list[ChunkEntry]:
    statement = sa.select(chunks).where(chunks.c.run_id == run_id).order_by(chunks.c.number)
    return [as_chunk(entry) for entry in connection.execute(statement)]


def _rejects(connection: sa.Connection, run_id: str, with_resolved: bool = False) -> list[RejectEntry]:
    statement = sa.select(rejects).where(rejects.c.run_id == run_id).order_by(rejects.c.position)
    if not with_resolved:
        statement = statement.where(rejects.c.resolved_at.is_(None))
    return [as_reject(entry) for entry in connection.execute(statement)]


def _living_runs(connection: sa.Connection) -> set[str]:
    """The runs whose owner holds its lease at this moment."""
    statement = sa.select(leases, database_time().label("now")).where(leases.c.owner.is_not(None))
    return {
        held.run_id
        for held in connection.execute(statement)
        if held.expires_at > held.now and not Owner.read(held.owner).is_dead_here
    }
