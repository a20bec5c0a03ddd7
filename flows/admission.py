"""Brings a feed in: who may write, whether an older run goes on or a new one is admitted, and then its chunks."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial

from flows.admission_checks import refuse_late, refuse_small
from flows.choices import Choices
from flows.loading import Loader, load_run
from flows.progress import Progress
from flows.reports import RunReport
from flows.stopping import check_stop
from flows.workplace import Workplace
from restock.errors import ConfigurationError, LeaseLost, RunHeld, RunIncomplete, TargetBusy
from restock.feeds import Feed
from sinks.flask_sink import FlaskSink, open_sink
from sinks.history import FeedRuns, History
from sinks.lease import Lease, keeping, take_lease
from sinks.ledger_entries import Admission, RunEntry
from sources.extract import Extraction, extract
from sources.locations import SourceFile, find_source, fingerprint
from sources.spool import Spool
from transforms.apply import canonical_keys, check_rules, code_digest

AS_USUAL = Choices()


def sync(
    place: Workplace, feed: Feed, loader: Loader, progress: Progress, choices: Choices = AS_USUAL, wait: float = 0.0
) -> RunReport:
    """Bring a feed in and load it: a full feed as one run, each file of a delta feed as a run of its own, in order.

    Args:
        choices: what was decided for this run.
        wait: seconds to wait for a target that another run owns.

    Returns:
        The report of the run; of several, that of the last one, or of the first that needs a person.

    Raises:
        ConfigurationError, SourceError: before anything was written.
        TargetBusy: another run owned the target all the while.
        AlreadyServed: the run comes late, and its content has been loaded since it was due.
        SinkUnavailable, LeaseLost: the run stopped; the same call resumes it.
        RunIncomplete: an older run of a delta feed has to be loaded first, and could not be.
        RunHeld: the source has fewer rows than `min_rows` demands.
    """
    feed = choices.applied_to(feed)
    sink = open_sink(feed, place.settings.lease_seconds)
    check_rules(feed, sink.target.contract)
    files = find_source(feed, place.settings, choices.file)
    sink.check_table()
    sink.ledger.create()
    with own_target(sink, progress, wait) as lease:
        history = History(sink.database)
        past = _past(place, sink, history)
        goes_on = None if choices.fresh else _resumable(feed, files, past)
        older = [run for run in past.unfinished if run.run_id != goes_on]
        if older and feed.kind == "delta":
            _load_older_first(sink, lease, older, loader, progress)
            past = history.runs_of(feed.name)
        steps = _generations(feed, files, past, progress)
        refuse_late(feed, past, steps, choices.due)
        for some in steps:
            if some is not steps[0]:
                past = history.runs_of(feed.name)
            resumed = None if choices.fresh else _resumable(feed, some, past)
            run_id = resumed or _admit(place, sink, lease, some, past, progress)
            report = load_run(sink, lease, run_id, loader, progress)
            if not report.summary.outstanding:
                place.spool.remove_run(run_id)
            elif feed.kind == "delta":
                break
    return report


@contextmanager
def own_target(sink: FlaskSink, progress: Progress, wait: float) -> Iterator[Lease]:
    """Hold the lease of the sink's target while the block lasts; wait for another owner for so many seconds.

    Raises:
        TargetBusy: the other run has not ended in time.
    """
    until = time.monotonic() + wait
    while True:
        try:
            lease = take_lease(sink.database, sink.target.name)
            break
        except TargetBusy as busy:
            if time.monotonic() >= until:
                raise
            progress.waiting(busy)
            time.sleep(min(1.0, max(0.0, until - time.monotonic())))
    with keeping(sink.database, lease):
        yield lease


def _past(place: Workplace, sink: FlaskSink, history: History) -> FeedRuns:
    """The runs of the feed. What processes did not come to after the last chunk of one is done: its end, its spool."""
    past = history.runs_of(sink.feed.name)
    finished = {run.run_id: run for run in past.all if run.run_id not in past.owing}
    for run_id in finished.keys() & place.spool.runs():
        place.spool.remove_run(run_id)
    cut_short = [run_id for run_id, run in finished.items() if run.status == "incomplete"]
    for run_id in cut_short:
        sink.ledger.settle(run_id)
    return history.runs_of(sink.feed.name) if cut_short else past


def _load_older_first(sink: FlaskSink, lease: Lease, older: list[RunEntry], loader: Loader, progress: Progress) -> None:
    """What older runs of a delta feed still owe comes before anything new; without versions nothing may overtake it."""
    feed = sink.feed
    for run in older:
        report = load_run(sink, lease, run.run_id, loader, progress)
        if not report.summary.outstanding:
            continue
        if feed.version_column is not None:
            progress.note(f"Run {run.run_id} is still {report.summary.status}; `restock show {run.run_id}` says why.")
            continue
        if report.summary.status == "held":
            report.verdict()
        numbers = ", ".join(str(chunk.number) for chunk in report.failed)
        raise RunIncomplete(
            f"Nothing new was read: feed {feed.name} is applied in order, and chunks of run {run.run_id} still "
            f"fail ({numbers}); mend their cause, or give them up with `restock abandon {run.run_id}`."
        )


def _generations(feed: Feed, files: list[SourceFile], past: FeedRuns, progress: Progress) -> list[list[SourceFile]]:
    """The files in the steps in which they are applied. Of several files of a delta feed only new ones are."""
    if feed.kind == "full" or len(files) == 1:
        return [files]
    known = {run.fingerprint for run in past.all}
    unfinished = {run.fingerprint for run in past.unfinished}
    prints = {file: fingerprint([file], feed) for file in files}
    chosen = [file for file in files if prints[file] not in known] or files[-1:]
    for file in files:
        if file not in chosen and prints[file] not in unfinished:
            progress.note(f"{file.name} was loaded before and is skipped.")
    return [[file] for file in chosen]


def _resumable(feed: Feed, files: list[SourceFile], past: FeedRuns) -> str | None:
    """The feed's newest run, if it is unfinished and nothing about it has changed since."""
    newest = past.newest
    if newest is None or newest.run_id not in past.owing:
        return None
    same = newest.fingerprint == fingerprint(files, feed) and newest.code_digest == code_digest(feed)
    return newest.run_id if same else None


def _admit(
    place: Workplace, sink: FlaskSink, lease: Lease, files: list[SourceFile], past: FeedRuns, progress: Progress
) -> str:
    """Spool a source whole, then enter it in the ledger with all its chunks."""
    feed, run_id = sink.feed, new_run_id()
    extraction = spool_source(sink, files, place.spool, run_id, progress)
    try:
        refuse_small(feed, past, extraction.rows)
    except RunHeld:
        place.spool.forget(run_id)
        raise
    newest, content = past.newest, fingerprint(files, feed)
    is_same = newest is not None and newest.fingerprint == content
    admission = Admission(
        run_id=run_id,
        feed=feed.name,
        kind=feed.kind,
        generation=1 if newest is None else newest.generation if is_same else newest.generation + 1,
        fingerprint=content,
        code_digest=code_digest(feed),
        source=", ".join(file.name for file in files)[:500],
        ignored_columns=extraction.ignored_columns,
    )
    # Older content may no longer be written over newer, unless a version column guards each row.
    supersedes = feed.kind == "full" and feed.version_column is None
    try:
        overtaken = sink.ledger.admit(lease, admission, extraction.chunks, supersedes)
    except (ConfigurationError, LeaseLost):
        # Surely not admitted. After other trouble it may be, and then it needs its spool.
        place.spool.forget(run_id)
        raise
    if place.spool.superseded_file(run_id).exists():
        progress.note(f"`restock superseded {run_id}` lists them all.")
    for older in overtaken:
        place.spool.remove_run(older)
    return run_id


def spool_source(sink: FlaskSink, files: list[SourceFile], spool: Spool, run_id: str, progress: Progress) -> Extraction:
    """Read a source whole into a spool, in chunks of the size that suits the feed or its database.

    Raises:
        SourceError: it cannot be read as the feed wants it; nothing of it stays in the spool.
    """
    feed, contract = sink.feed, sink.target.contract

    def read(rows: int) -> None:
        progress.reading(rows)
        check_stop()

    extraction = extract(
        files,
        feed,
        spool,
        run_id,
        feed.chunk_rows or sink.usual_chunk_rows,
        partial(canonical_keys, feed=feed, contract=contract),
        contract,
        read,
    )
    if extraction.duplicates is not None:
        progress.note(extraction.duplicates)
    return extraction


def new_run_id() -> str:
    """A globally unique id that sorts by time and can be read aloud."""
    now = datetime.now(UTC)
    alphabet = "23456789abcdefghjkmnpqrstvwxyz"
    tail = "".join(secrets.choice(alphabet) for _ in range(6))
    return f"{now:%Y%m%d-%H%M%S}-{now.microsecond // 1000:03d}-{tail}"
