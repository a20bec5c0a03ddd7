"""Loads chunks: plain Python, used by every door. The sink says how one is written; here is the order."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pandas as pd

from flows.progress import Progress
from flows.reports import RunReport, read_report
from flows.stopping import check_stop
from restock.chunks import ChunkRef, WriteCounts
from restock.errors import ChunkFailed, RunHeld, RunInterrupted, SourceError
from restock.feeds import Feed
from restock.references import add_to_import_path
from restock.settings import read_settings
from sinks.flask_sink import FlaskSink, open_sink
from sinks.history import History
from sinks.lease import Lease
from sinks.ledger import AlreadyLoaded
from sources.spool import Spool
from transforms.apply import transform_chunk

Outcome = WriteCounts | ChunkFailed
# Loads chunks of a feed, wherever that happens, and tells what became of each.
Loader = Callable[[Feed, list[ChunkRef]], Iterator[tuple[ChunkRef, Outcome]]]


def load_chunk(ref: ChunkRef, feed: Feed) -> WriteCounts:
    """Read one spooled chunk, transform it and load it. A chunk that is loaded already is left alone.

    Raises:
        ChunkFailed: it cannot be loaded as it is; the ledger says so, and the run goes on.
        SinkUnavailable, LeaseLost, RunHeld, RunInterrupted: the run stops here.
    """
    check_stop()
    settings = read_settings()
    add_to_import_path(str(settings.folder))
    spool, sink = Spool(settings.spool), open_sink(feed, settings.lease_seconds)
    try:
        with sink.attempt(ref):
            chunk = transform_chunk(_spooled(spool, ref), ref, feed, sink.target.contract)
            counts = sink.load(chunk)
    except AlreadyLoaded as done:
        counts = done.counts
    spool.remove(ref.spool_file)
    return counts


def _spooled(spool: Spool, ref: ChunkRef) -> pd.DataFrame:
    try:
        return spool.read(ref)
    except SourceError as error:
        raise ChunkFailed(str(error)) from error


def load_here(feed: Feed, refs: list[ChunkRef]) -> Iterator[tuple[ChunkRef, Outcome]]:
    """Load chunks one after the other, in this process."""
    for ref in refs:
        try:
            yield ref, load_chunk(ref, feed)
        except ChunkFailed as error:
            yield ref, error


def load_run(
    sink: FlaskSink, lease: Lease, run_id: str, loader: Loader, progress: Progress, numbers: set[int] | None = None
) -> RunReport:
    """Load the outstanding chunks of a run, or those of them with the given numbers, and close the execution.

    Returns:
        The report of the run, whatever its status is now.

    Raises:
        SinkUnavailable, LeaseLost, RunInterrupted: the run stopped; it can be resumed.
    """
    started = time.monotonic()
    history = History(sink.database)
    refs = [ref for ref in history.outstanding(run_id, lease) if numbers is None or ref.number in numbers]
    sink.ledger.resume(lease, run_id)
    progress.loading(history.run(run_id), refs)
    held: str | None = None
    rows = 0
    try:
        for ref, outcome in loader(sink.feed, refs):
            rows += ref.rows if isinstance(outcome, WriteCounts) else 0
            progress.loaded(ref, outcome)
    except RunHeld as limit:
        held = str(limit)
    except (RunInterrupted, KeyboardInterrupt):
        sink.ledger.settle(run_id)
        raise
    sink.ledger.settle(run_id, held)
    return read_report(history, history.run(run_id)).timed(time.monotonic() - started, rows)
