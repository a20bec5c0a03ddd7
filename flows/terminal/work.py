"""What the terminal command does behind its words: opens the workplace and picks the way a run takes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flows.orchestration.prefect_server import check_server, configured_api_url, quiet_server
from flows.runs import admission, correcting, reprocessing
from flows.runs.choices import Choices
from flows.runs.databases import Unreached, find_run, visit_databases
from flows.runs.door import Door
from flows.runs.loading import load_here
from flows.runs.reports import RunReport, read_report
from flows.runs.stopping import heeding_signals
from flows.runs.workplace import Workplace, open_workplace
from flows.terminal.screen import TerminalProgress
from flows.terminal.shown_rejects import ShownReject, shown_rejects
from flows.upkeep.pruning import Pruned, prune
from restock.chunks import RunSummary
from sinks.flask_sink import open_sink
from sinks.ledger.entries import RunEntry
from sources.duplicates.superseded import export_superseded, superseded_rows


def sync_feed(name: str, choices: Choices, wait: float, prefect: bool) -> list[RunReport]:
    """Bring a feed in, through Prefect if a server is configured or it is asked for."""
    place = open_workplace()
    feed = place.feed(name)
    with heeding_signals(), TerminalProgress() as progress, _prefect(place, prefect) as through_prefect:
        if not through_prefect:
            return admission.sync(place, feed, Door(load_here, progress, wait), choices)
        from flows.sync_products import run_sync_flow

        return run_sync_flow(name, choices, progress, wait)


def reprocess_chunks(run_id: str | None, numbers: set[int] | None, wait: float, prefect: bool) -> list[RunReport]:
    """Load outstanding chunks again, through Prefect if a server is configured or it is asked for."""
    place = open_workplace()
    with heeding_signals(), TerminalProgress() as progress, _prefect(place, prefect) as through_prefect:
        if not through_prefect:
            return reprocessing.reprocess(place, Door(load_here, progress, wait), run_id, numbers)
        from flows.reprocess_failed_chunks import run_reprocess_flow

        return run_reprocess_flow(run_id, sorted(numbers) if numbers else None, progress, wait)


@contextmanager
def _prefect(place: Workplace, asked_for: bool) -> Iterator[bool]:
    """Whether the run goes through Prefect; on a quiet server of its own if it was asked for and none is configured."""
    url = configured_api_url()
    if url is not None:
        check_server(url)
        yield True
    elif asked_for:
        home = place.settings.folder / ".restock" / "prefect"
        with quiet_server(home) as url:
            # Set before Prefect is imported, which reads them then.
            os.environ |= {"PREFECT_API_URL": url, "PREFECT_HOME": str(home)}
            yield True
    else:
        yield False


def correct(path: Path, wait: float) -> correcting.Corrected:
    """Load a correction."""
    with heeding_signals(), TerminalProgress() as progress:
        return correcting.load_correction(open_workplace(), path, Door(load_here, progress, wait))


def create_ledgers() -> list[str]:
    """Create the ledger in every database of feeds.yaml; return where."""
    place = open_workplace()
    ready: dict[str, str] = {}
    for feed in place.feeds.values():
        sink = open_sink(feed, place.settings.lease_seconds)
        if sink.database.identity not in ready:
            sink.ledger.create()
            ready[sink.database.identity] = sink.database.address
    return list(ready.values())


def prune_all(older_than_days: float) -> Pruned:
    """Forget old runs and remove what the spool holds in vain."""
    return prune(open_workplace(), older_than_days)


def list_runs() -> tuple[list[tuple[RunEntry, RunSummary]], list[Unreached]]:
    """The runs of every database that answers with their totals, newest first; the feeds whose database does not."""
    visits, unreached = visit_databases(open_workplace())
    # Each once, though two addresses may lead to one database.
    found = {run.run_id: (run, summary) for visit in visits for run, summary in visit.history.summaries()}
    return sorted(found.values(), key=lambda each: each[0].started_at, reverse=True), unreached


def report_of(run_id: str) -> RunReport:
    """The report of one run."""
    found = find_run(open_workplace(), run_id)
    return read_report(found.history, run_id)


def rejects_of(run_id: str) -> list[ShownReject]:
    """The open rejects of a run."""
    return shown_rejects(find_run(open_workplace(), run_id))


def export(run_id: str, path: Path) -> int:
    """Write the open rejects of a run as a file to mend; return how many there are."""
    return correcting.export_rejects(open_workplace(), run_id, path)


def superseded_of(run_id: str, path: Path | None, most: int) -> tuple[list[dict[str, Any]], int]:
    """The first of a run's superseded rows, or none and all of them written as CSV; and how many there are."""
    place = open_workplace()
    find_run(place, run_id)
    if path is not None:
        return [], export_superseded(place.spool.of(run_id), path)
    first: list[dict[str, Any]] = []
    count = 0
    for batch in superseded_rows(place.spool.of(run_id)):
        first += batch.slice(0, most - len(first)).to_pylist()
        count += batch.num_rows
    return first, count


def give_up(run_id: str, numbers: set[int] | None, wait: float) -> RunReport:
    """Abandon outstanding chunks of a run."""
    with TerminalProgress() as progress:
        return reprocessing.abandon(open_workplace(), Door(load_here, progress, wait), run_id, numbers)
