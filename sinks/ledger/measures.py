"""What the ledger measures of each feed, for dashboards and alerts. Sums are made by the database; reads only."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from restock.chunks import COUNTERS, OUTSTANDING
from sinks.database.retries import with_retries
from sinks.ledger.history import History
from sinks.ledger.tables import chunks, database_time, runs

CHUNK_SECONDS = (0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
GOOD = ("completed", "completed with rejects")


@dataclass
class FeedMeasures:
    """One feed by its ledger, over all runs; of those that are forgotten, the sums are kept.

    `rows` counts the rows of loaded chunks by outcome. `chunks_within` says how many chunks were loaded within each of
    `CHUNK_SECONDS`, from the beginning of the attempt to its commit. Times are seconds since 1970 by the database's
    clock, and `now` is that clock; `last_good` is None if no run was ever completed.
    """

    feed: str
    now: float
    rows: dict[str, int]
    chunks_loaded: int = 0
    chunks_within: list[int] = field(default_factory=list)
    chunk_seconds: float = 0.0
    chunks_outstanding: int = 0
    chunks_failed: int = 0
    last_status: str = ""
    last_started: float | None = None
    last_good: float | None = None


def read_measures(history: History) -> dict[str, FeedMeasures]:
    """The measures of every feed that the ledger knows, by name."""
    if not history.exists():
        return {}

    def read() -> dict[str, FeedMeasures]:
        with history.database.engine.connect() as connection:
            forgotten = _forgotten(connection)
            found = {
                entry.feed: _of(entry, _added(entry._mapping, forgotten.get(entry.feed, [])))
                for entry in connection.execute(_statement())
            }
            good = sa.select(runs.c.feed, sa.func.max(runs.c.finished_at)).where(runs.c.status.in_(GOOD))
            ended = {feed: at for feed, at in connection.execute(good.group_by(runs.c.feed))}
        for feed, measures in found.items():
            measures.last_good = ended.get(feed)
        return found

    found = with_retries(read, "measuring the ledger")
    for feed, measures in found.items():
        # Asked for last: a feed that has been measured has a run, and its newest is never forgotten.
        newest = history.newest(feed)
        assert newest is not None
        measures.last_status, measures.last_started = newest.status, newest.started_at.timestamp()
    return found


def keep_sums(connection: sa.Connection, feed: str, forgotten: Sequence[str]) -> None:
    """Let the newest run of a feed keep what was measured of runs that are about to be forgotten."""
    [entry] = connection.execute(sa.select(*_sums()).where(chunks.c.run_id.in_(forgotten)))
    newest = sa.select(runs.c.run_id, runs.c.forgotten).where(runs.c.feed == feed).with_for_update()
    keeper = connection.execute(newest.order_by(runs.c.started_at.desc(), runs.c.run_id.desc()).limit(1)).one()
    kept = sa.select(runs.c.forgotten).where(runs.c.run_id.in_(forgotten))
    earlier = [json.loads(each) for each in [*connection.scalars(kept), keeper.forgotten] if each]
    sums = json.dumps(_added(entry._mapping, earlier))
    connection.execute(sa.update(runs).where(runs.c.run_id == keeper.run_id).values(forgotten=sums))


def _forgotten(connection: sa.Connection) -> dict[str, list[dict[str, float]]]:
    found: dict[str, list[dict[str, float]]] = {}
    for feed, sums in connection.execute(sa.select(runs.c.feed, runs.c.forgotten)):
        found.setdefault(feed, []).extend([json.loads(sums)] if sums else [])
    return found


def _added(entry: sa.RowMapping, others: Sequence[Mapping[str, float]]) -> dict[str, float]:
    sums: Counter[str] = Counter()
    for each in ({column.name: float(entry[column.name] or 0) for column in _sums()}, *others):
        sums.update(each)
    return dict(sums)


def _sums() -> list[sa.Label[Any]]:
    """What is added up over chunks, and never falls."""
    # A loaded chunk of an older restock has no beginning, and is left out of the seconds.
    seconds = chunks.c.loaded_at - chunks.c.began_at
    timed = sa.and_(chunks.c.status == "loaded", chunks.c.began_at.is_not(None))
    return [
        *(sa.func.sum(chunks.c[name]).label(name) for name in COUNTERS),
        _count(timed).label("timed"),
        sa.func.sum(sa.case((timed, seconds), else_=0.0)).label("seconds"),
        *(_count(sa.and_(timed, seconds <= limit)).label(f"within_{limit}") for limit in CHUNK_SECONDS),
    ]


def _statement() -> sa.Select[Any]:
    return (
        sa.select(
            runs.c.feed,
            database_time().label("now"),
            *_sums(),
            _count(chunks.c.status.in_(OUTSTANDING)).label("outstanding"),
            _count(chunks.c.status == "failed").label("failed"),
        )
        .select_from(runs.outerjoin(chunks, runs.c.run_id == chunks.c.run_id))
        .group_by(runs.c.feed)
    )


def _count(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
    return sa.func.sum(sa.case((condition, 1), else_=0))


def _of(entry: sa.Row[Any], sums: Mapping[str, float]) -> FeedMeasures:
    return FeedMeasures(
        feed=entry.feed,
        now=float(entry.now),
        rows={name: int(sums[name]) for name in COUNTERS},
        chunks_loaded=int(sums["timed"]),
        chunks_within=[int(sums[f"within_{limit}"]) for limit in CHUNK_SECONDS],
        chunk_seconds=sums["seconds"],
        chunks_outstanding=int(entry.outstanding),
        chunks_failed=int(entry.failed),
    )
