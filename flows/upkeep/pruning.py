"""Clears away what nobody needs any more: orphans in the spool and old runs in the ledger."""

from __future__ import annotations

import time
from dataclasses import dataclass

from flows.runs.databases import Unreached, Visit, visit_databases
from flows.runs.workplace import Workplace
from restock.errors import ConfigurationError
from sinks.ledger.forgetting import forget_old_runs

SECONDS_PER_DAY = 86_400
# A folder no ledger knows may belong to a run that is being extracted at this moment.
ORPHAN_SECONDS = SECONDS_PER_DAY


@dataclass(frozen=True)
class Pruned:
    """The runs that were forgotten, the runs whose leavings were removed from the spool, and who could not be asked."""

    forgotten: list[str]
    orphans: list[str]
    unreached: list[Unreached]


def prune(place: Workplace, older_than_days: float) -> Pruned:
    """Forget finished runs older than so many days, and remove spool files that no outstanding chunk needs.

    Folders that no ledger knows are removed a day after they were last written, and only if every database of
    feeds.yaml answered: one that does not may know them.

    Raises:
        ConfigurationError: that is no number of days.
    """
    if not older_than_days >= 0:  # nan is neither more nor less
        raise ConfigurationError(f"Runs cannot be older than {older_than_days:g} days; give a number from 0 up.")
    visits, unreached = visit_databases(place)
    orphans = _remove_orphans(place, visits, is_all_known=not unreached)
    forgotten = [
        run_id
        for visit in visits
        if visit.history.exists()
        for sink in visit.sinks.values()
        for run_id in forget_old_runs(sink.database, sink.feed, sink.target, older_than_days * SECONDS_PER_DAY)
    ]
    for run_id in forgotten:
        place.spool.of(run_id).forget()
    return Pruned(forgotten, orphans, unreached)


def _remove_orphans(place: Workplace, visits: list[Visit], is_all_known: bool) -> list[str]:
    # In this order: a run that is admitted in between is in neither set.
    known = {run.run_id for visit in visits for run in visit.history.runs()}
    owing = {run.run_id for visit in visits for run in visit.history.unfinished()}
    finished = known - owing
    orphans = []
    for run_id in place.spool.runs():
        # The files of a run that is being loaded go away one by one, and are not looked at.
        if run_id in finished or (is_all_known and run_id not in owing and _is_old(place, run_id)):
            place.spool.of(run_id).remove()
            orphans.append(run_id)
    for run_id in place.spool.runs_with_lists() if is_all_known else ():
        if run_id not in known and _is_old(place, run_id):
            place.spool.of(run_id).forget()
            orphans.append(run_id)
    return orphans


def _is_old(place: Workplace, run_id: str) -> bool:
    return place.spool.of(run_id).last_written < time.time() - ORPHAN_SECONDS
