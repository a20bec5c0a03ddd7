"""Keeps the ledger: what is written about runs, chunks and rejects, and in whose transaction.

A verb that takes a connection writes in the caller's transaction; the others open one of their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa

from restock.chunks import OUTSTANDING, ChunkRef, PlannedChunk, WriteCounts
from restock.errors import ChunkFailed
from sinks.database.app_database import AppDatabase
from sinks.database.charsets import takes_all_text
from sinks.database.retries import ONCE, UNDER_WAY, with_retries
from sinks.ledger.creation import create_tables
from sinks.ledger.earlier_rows import note_left_out
from sinks.ledger.entries import (
    Admission,
    as_ref,
    chunk_values,
    counts_of,
    is_chunk,
    locked_entry,
    reject_values,
    run_values,
    start_of,
)
from sinks.ledger.lease import Lease, fence, nobody_took, renew
from sinks.ledger.results import Result
from sinks.ledger.tables import chunks, database_time, rejects, runs

# A chunk that was found `loading` so many times has ended as many processes.
DEADLY_ATTEMPTS = 3


class AlreadyLoaded(Exception):
    """The chunk has been loaded, by whomever: there is nothing left to do for it. `counts` says what became of it."""

    def __init__(self, counts: WriteCounts) -> None:
        super().__init__(counts)
        self.counts = counts


class Ledger:
    """The book of one target."""

    def __init__(self, database: AppDatabase, target: str) -> None:
        self.database = database
        self.target = target

    def lease_of(self, ref: ChunkRef) -> Lease:
        """The lease under which a chunk was handed out."""
        return Lease(self.target, ref.token, self.database.lease_seconds)

    def create(self) -> None:
        """Create the ledger's tables where they are missing, and bring those of an older restock up to date.

        Raises:
            ConfigurationError: the database user may not do that.
        """
        create_tables(self.database)

    def admit(self, lease: Lease, run: Admission, planned: Sequence[PlannedChunk], supersedes: bool) -> list[str]:
        """Enter a run with all its chunks. With `supersedes`, outstanding chunks of the feed's older runs end here.

        Returns:
            The runs that were superseded.
        """

        def enter() -> list[str]:
            with self.database.begin() as connection:
                renew(connection, lease, run.run_id)
                begun = {"target": self.target, "status": "running", "started_at": start_of(connection, run.feed)}
                read = sum(chunk.rows for chunk in planned)
                connection.execute(sa.insert(runs).values(**run_values(run), **begun, read_rows=read))
                if planned:
                    connection.execute(sa.insert(chunks), [chunk_values(run.run_id, chunk) for chunk in planned])
                return _supersede_older(connection, run) if supersedes else []

        def entered() -> list[str] | None:
            with self.database.engine.connect() as connection:
                found = connection.execute(sa.select(runs.c.run_id).where(runs.c.run_id == run.run_id)).first()
            return [] if found else None

        return with_retries(enter, f"admitting run {run.run_id}", entered, UNDER_WAY)

    def resume(self, lease: Lease, run_id: str) -> str:
        """Say that a run goes on, in this execution. One that was superseded since it was chosen stays so.

        Returns:
            The status that it had.
        """

        def write() -> str:
            with self.database.begin() as connection:
                renew(connection, lease, run_id)
                status: str = connection.execute(sa.select(runs.c.status).where(runs.c.run_id == run_id)).scalar_one()
                rejected = sa.select(sa.func.coalesce(sa.func.sum(chunks.c.rejected), 0))
                going_on = {"status": "running", "finished_at": None, "reason": None}
                connection.execute(
                    sa.update(runs)
                    .where(runs.c.run_id == run_id, runs.c.status != "superseded")
                    .values(**going_on, rejected_rows=rejected.where(chunks.c.run_id == run_id).scalar_subquery())
                )
                return status

        return with_retries(write, f"resuming run {run_id}", patience=UNDER_WAY)

    def begin_attempt(self, ref: ChunkRef) -> None:
        """Count an attempt at a chunk before it is made.

        Raises:
            AlreadyLoaded: there is nothing to do.
            ChunkFailed: the chunk has ended its process too often.
        """

        def begin() -> sa.Row[Any]:
            with self.database.begin() as connection:
                fence(connection, self.lease_of(ref))  # a lock that other workers share
                entry = locked_entry(connection, ref)
                if _is_deadly(entry):
                    _change(connection, ref, status="failed", error=_deadly(ref, entry.attempts))
                elif entry.status in OUTSTANDING:
                    attempts = 1 if entry.status == "failed" else entry.attempts + 1
                    _change(connection, ref, status="loading", attempts=attempts, error=None, began_at=database_time())
                return entry

        entry = with_retries(begin, f"beginning {ref}", patience=UNDER_WAY)
        if entry.status == "loaded":
            raise AlreadyLoaded(counts_of(entry))
        if _is_deadly(entry):
            raise ChunkFailed(_deadly(ref, entry.attempts))

    def fence(self, connection: sa.Connection, ref: ChunkRef) -> None:
        """Make sure, in the transaction that is going to write rows, that this execution may, and still has to.

        Raises:
            LeaseLost: another run owns the target.
            AlreadyLoaded: somebody else has loaded the chunk.
            ChunkFailed: it was put back, abandoned or superseded meanwhile.
        """
        fence(connection, self.lease_of(ref))
        entry = locked_entry(connection, ref)
        if entry.status == "loaded":
            raise AlreadyLoaded(counts_of(entry))
        if entry.status != "loading":
            raise ChunkFailed(f"The {ref} is {entry.status} and is not loaded any more.")

    def loaded(self, connection: sa.Connection, ref: ChunkRef, result: Result) -> None:
        """Write the rejects of a chunk and say that it is loaded: the last statement of the data transaction."""
        counts, rejected = result.counts, result.rejects
        if counts.total != ref.rows:
            raise ChunkFailed(
                f"The counts of {ref} do not add up ({counts.total} of {ref.rows} rows are accounted for); nothing of "
                "it was kept, please report this."
            )
        if rejected:
            as_ascii = not takes_all_text(connection)
            connection.execute(sa.insert(rejects), [reject_values(ref, reject, as_ascii) for reject in rejected])
            more = {"rejected_rows": runs.c.rejected_rows + len(rejected)}
            connection.execute(sa.update(runs).where(runs.c.run_id == ref.run_id).values(more))
        note_left_out(connection, ref, result.left_out)
        # That it is `loading` the fence has seen, and its entry is locked since.
        _change(connection, ref, status="loaded", loaded_at=database_time(), **asdict(counts))

    def counts_if_loaded(self, ref: ChunkRef) -> WriteCounts | None:
        """What became of a chunk if it is loaded under this lease, else None: decides an error from COMMIT."""
        # What another run has loaded meanwhile is none of ours: the fence says so to whoever tries again.
        under_this_lease = sa.and_(is_chunk(ref), chunks.c.status == "loaded", nobody_took(self.lease_of(ref)))
        with self.database.engine.connect() as connection:
            entry = connection.execute(sa.select(chunks).where(under_this_lease)).first()
        return None if entry is None else counts_of(entry)

    def failed(self, ref: ChunkRef, reason: str) -> None:
        """Say that a chunk cannot be loaded as it is, after its transaction was rolled back."""
        with_retries(
            lambda: self._mark(ref, {"status": "failed", "error": reason}), f"marking {ref} failed", patience=UNDER_WAY
        )

    def put_back(self, ref: ChunkRef) -> None:
        """Say that an attempt was given up for no fault of the chunk, so that it does not count.

        Tried once: a chunk left `loading` is outstanding all the same.
        """
        given_up = {"status": "planned", "attempts": chunks.c.attempts - 1}
        with_retries(lambda: self._mark(ref, given_up), f"putting {ref} back", patience=ONCE)

    def _mark(self, ref: ChunkRef, values: Mapping[str, object]) -> None:
        with self.database.begin() as connection:
            fence(connection, self.lease_of(ref))
            connection.execute(sa.update(chunks).where(is_chunk(ref), chunks.c.status == "loading").values(values))

    def settle(self, run_id: str, stopped: str | None = None) -> None:
        """Write the status a run has earned by its chunks; `stopped` says why a limit held it."""

        def write() -> None:
            with self.database.begin() as connection:
                mine = chunks.c.run_id == run_id
                owed = sa.func.count(sa.case((chunks.c.status.in_(OUTSTANDING), 1)))
                done = sa.func.count(sa.case((chunks.c.status != "abandoned", 1)))
                totals = sa.select(owed, sa.func.sum(chunks.c.rejected), done)
                outstanding, rejected, kept = connection.execute(totals.where(mine)).one()
                status = "completed with rejects" if rejected else "completed"
                if not kept:
                    status = "abandoned"
                if outstanding:
                    status = "incomplete" if stopped is None else "held"
                connection.execute(
                    sa.update(runs)
                    .where(runs.c.run_id == run_id, runs.c.status != "superseded")
                    .values(status=status, finished_at=database_time(), reason=stopped)
                )

        with_retries(write, f"closing run {run_id}", patience=UNDER_WAY)

    def abandon(self, lease: Lease, run_id: str, numbers: Sequence[int] | None) -> list[ChunkRef]:
        """Give outstanding chunks of a run up, all of them or those with the given numbers; return what they were."""
        wanted = sa.and_(chunks.c.run_id == run_id, chunks.c.status.in_(OUTSTANDING))
        if numbers:
            wanted = sa.and_(wanted, chunks.c.number.in_(numbers))
        refs: list[ChunkRef] = []

        def give_up() -> list[ChunkRef]:
            with self.database.begin() as connection:
                renew(connection, lease)
                refs[:] = [as_ref(entry, lease) for entry in connection.execute(sa.select(chunks).where(wanted))]
                connection.execute(sa.update(chunks).where(wanted).values(status="abandoned"))
            return refs

        def given_up() -> list[ChunkRef] | None:
            with self.database.engine.connect() as connection:
                left = connection.execute(sa.select(chunks.c.number).where(wanted).limit(1)).first()
            return None if left else refs

        return with_retries(give_up, f"abandoning chunks of run {run_id}", given_up)


def _change(connection: sa.Connection, ref: ChunkRef, **values: object) -> None:
    connection.execute(sa.update(chunks).where(is_chunk(ref)).values(values))


def _is_deadly(entry: sa.Row[Any]) -> bool:
    return entry.status == "loading" and entry.attempts >= DEADLY_ATTEMPTS


def _deadly(ref: ChunkRef, attempts: int) -> str:
    return (
        f"The {ref} has ended its process {attempts} times; look for what kills it (memory, a crash in a parser), then "
        "reprocess it."
    )


def _supersede_older(connection: sa.Connection, run: Admission) -> list[str]:
    older = sa.select(runs.c.run_id).where(runs.c.feed == run.feed, runs.c.run_id != run.run_id)
    affected = sa.and_(chunks.c.run_id.in_(older), chunks.c.status.in_(OUTSTANDING))
    names = connection.execute(sa.select(chunks.c.run_id).where(affected).distinct()).scalars().all()
    if not names:
        return []
    connection.execute(sa.update(chunks).where(affected).values(status="superseded"))
    overtaken = {"status": "superseded", "finished_at": database_time(), "reason": f"overtaken by run {run.run_id}"}
    connection.execute(sa.update(runs).where(runs.c.run_id.in_(names)).values(overtaken))
    return list(names)
