"""Forgets what the ledger need not know any more. Nothing outstanding is ever forgotten."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from restock.chunks import OUTSTANDING
from restock.feeds import Feed
from sinks.database.app_database import AppDatabase
from sinks.database.retries import with_retries
from sinks.ledger.measures import keep_sums
from sinks.ledger.tables import chunks, database_time, rejects, runs
from sinks.model.target import Target

# So many runs one statement names: databases limit the parameters of one.
RUNS_AT_A_TIME = 5_000


def forget_old_runs(database: AppDatabase, feed: Feed, target: Target, older_than_seconds: float) -> list[str]:
    """Remove the old runs of a feed, with their chunks and rejects; return which.

    Kept, however old: the newest run, runs with outstanding chunks, and of a delta feed those with open rejects, and
    the newest run of each file, or the file would be new again. Where rows without a key are inserted, the first run of
    each content stays, and every run that inserted rows, or these would be inserted again. What was measured of the
    others is added up and stays.
    """

    def forget() -> list[str]:
        with database.begin() as connection:
            old = _forgettable(connection, feed, target, older_than_seconds)
            # Another prune may be at it: only what is forgotten here is added to what is kept of it.
            names = [name for name in old if _is_locked(connection, name)]
            for some in (names[start : start + RUNS_AT_A_TIME] for start in range(0, len(names), RUNS_AT_A_TIME)):
                keep_sums(connection, feed.name, some)
                for table in (rejects, chunks, runs):
                    connection.execute(sa.delete(table).where(table.c.run_id.in_(some)))
        return names

    return with_retries(forget, f"forgetting old runs of feed {feed.name}")


def _forgettable(connection: sa.Connection, feed: Feed, target: Target, older_than_seconds: float) -> list[str]:
    known = connection.execute(
        sa.select(runs, (database_time() - runs.c.started_at).label("age"))
        .where(runs.c.feed == feed.name)
        .order_by(runs.c.started_at.desc(), runs.c.run_id.desc())
    ).all()
    owing = _run_ids(connection, sa.select(chunks.c.run_id).where(chunks.c.status.in_(OUTSTANDING)))
    rejecting = _run_ids(connection, sa.select(rejects.c.run_id).where(rejects.c.resolved_at.is_(None)))
    inserting = _run_ids(connection, sa.select(chunks.c.run_id).where(chunks.c.inserted > 0))
    first_of = {run.fingerprint: run.run_id for run in known}
    newest_of = {run.source: run.run_id for run in reversed(known)}
    names = []
    for run in known:
        # A feed that is full today may be a delta again tomorrow.
        is_delta = "delta" in (run.kind, feed.kind)
        if (
            run.run_id == known[0].run_id
            or run.age < older_than_seconds
            or run.run_id in owing
            or (is_delta and (run.run_id in rejecting or run.run_id == newest_of[run.source]))
            or (target.inserts_keyless and (run.run_id == first_of[run.fingerprint] or run.run_id in inserting))
        ):
            continue
        names.append(run.run_id)
    return names


def _is_locked(connection: sa.Connection, run_id: str) -> bool:
    """Whether the run is still there; then nobody else forgets it in this moment."""
    own = sa.update(runs).where(runs.c.run_id == run_id).values(run_id=runs.c.run_id)
    return connection.execute(own).rowcount == 1


def _run_ids(connection: sa.Connection, statement: sa.Select[Any]) -> set[str]:
    return set(connection.execute(statement.distinct()).scalars())
