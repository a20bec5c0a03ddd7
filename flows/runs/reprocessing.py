"""Loads outstanding chunks again, and gives chunks up."""

from __future__ import annotations

from flows.runs.admission_checks import refuse_moved, refuse_overtaken
from flows.runs.databases import FoundRun, find_run, unfinished_runs, visit_databases
from flows.runs.door import Door
from flows.runs.loading import load_run
from flows.runs.owning import own_target
from flows.runs.progress import Progress
from flows.runs.reports import RunReport, read_report
from flows.runs.workplace import Workplace
from restock.chunks import ChunkEntry
from restock.errors import ConfigurationError, TargetBusy


def reprocess(
    place: Workplace, door: Door, run_id: str | None = None, numbers: set[int] | None = None
) -> list[RunReport]:
    """Load outstanding chunks again from the spool, with today's feed and code.

    Args:
        run_id: the run whose chunks to load; every unfinished run if it is None.
        numbers: only these chunks of that run.

    Returns:
        A report for each run that had something outstanding; none if there was nothing to do.

    Raises:
        ConfigurationError: the run or a chunk is unknown, or the run was overtaken by a newer one.
        TargetBusy: another run owned the target all the while. Of several runs, one that is refused is passed by.
        SinkUnavailable, LeaseLost: what is loaded by then stays loaded.
    """
    found = _found(place, run_id, numbers, door.progress)
    reports = []
    for each in found:
        try:
            with own_target(each.sink.ledger, door) as owned:
                refuse_moved(each.sink, each.run)
                refuse_overtaken(each.sink.feed, each.history.runs_of(each.run.feed), each.run)
                report = load_run(each.sink, owned.lease, each.run.run_id, door, numbers)
        except (ConfigurationError, TargetBusy) as refused:
            if len(found) == 1:
                raise
            # What one run lacks is nothing to the others.
            door.progress.note(str(refused))
            report = read_report(each.history, each.run.run_id)
        if not report.summary.outstanding:
            place.spool.of(each.run.run_id).remove()
        reports.append(report)
    return reports


def _found(place: Workplace, run_id: str | None, numbers: set[int] | None, progress: Progress) -> list[FoundRun]:
    """The run that is asked for, if it owes anything, or all that do; those that cannot be loaded now are named."""
    if run_id is not None:
        named = find_run(place, run_id)
        chunks = named.history.chunks(run_id)
        _check_numbers(chunks, run_id, numbers)
        return [named] if any(chunk.is_outstanding for chunk in chunks) else []
    visits, unreached = visit_databases(place)
    owing = unfinished_runs(visits)
    found = [each for each in owing if each.run.feed in each.visit.sinks]
    if unreached and not found:
        unreached[0].verdict()
    for missed in unreached:
        progress.note(f"Feed {missed.feed} is left out: {missed.reason}")
    lost = {each.run.run_id: each.run for each in owing if each.run.feed not in place.feeds}
    for run in lost.values():  # each once, though two addresses may lead to one database
        progress.note(
            f"Run {run.run_id} of feed {run.feed} owes chunks, and feeds.yaml does not have that feed any more; put it "
            f"back to load them, or give them up with `restock abandon {run.run_id}`."
        )
    return found


def abandon(place: Workplace, door: Door, run_id: str, numbers: set[int] | None) -> RunReport:
    """Give outstanding chunks of a run up, on record; their rows count as abandoned from now on.

    Raises:
        ConfigurationError: the run or a chunk is unknown, or nothing of it is outstanding.
    """
    found = find_run(place, run_id)
    _check_numbers(found.history.chunks(run_id), run_id, numbers)
    with own_target(found.ledger, door) as owned:
        given_up = found.ledger.abandon(owned.lease, run_id, sorted(numbers) if numbers else None)
        if not given_up:
            raise ConfigurationError(
                f"Run {run_id} has no such outstanding chunks; `restock show {run_id}` lists them."
            )
        found.ledger.settle(run_id)
    for ref in given_up:
        place.spool.remove(ref.spool_file)
    return read_report(found.history, run_id)


def _check_numbers(chunks: list[ChunkEntry], run_id: str, numbers: set[int] | None) -> None:
    unknown = sorted((numbers or set()) - {chunk.number for chunk in chunks})
    if unknown:
        raise ConfigurationError(f"Run {run_id} has no chunk {unknown[0]}; it has chunks 1 to {len(chunks)}.")
