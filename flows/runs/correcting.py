"""Writes a run's rejects for a person to mend, and loads what comes back."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from flows.runs.admission_checks import refuse_moved
from flows.runs.databases import FoundRun, find_run
from flows.runs.door import Door
from flows.runs.mended_rows import MendedRow, as_spooled, loaded_together, with_keys_compared
from flows.runs.owning import own_target
from flows.runs.reports import RunReport, read_report
from flows.runs.workplace import Workplace
from restock.chunks import RAW, ChunkRef, WriteCounts
from restock.errors import ConfigurationError, SourceError
from restock.feeds import Feed
from restock.paths import shown
from restock.reasons import sentences
from sinks.flask_sink import FlaskSink
from sinks.ledger.entries import RejectEntry
from sinks.ledger.lease import Lease
from sources.corrections import RejectedRow, read_correction, write_rejects
from transforms.apply import transform_chunk


@dataclass(frozen=True)
class Corrected:
    """What loading a correction came to: the runs it mended, and its rows by what became of them."""

    reports: list[RunReport] = field(default_factory=list)
    counts: WriteCounts = field(default_factory=WriteCounts)  # of the rows that a person has changed
    unmended: int = 0  # still as they were written
    resolved_before: int = 0
    again: list[RejectEntry] = field(default_factory=list)  # those that are still wrong, with their new reasons

    @property
    def taken(self) -> int:
        """The rows that are in the table as they were mended."""
        return self.counts.inserted + self.counts.updated + self.counts.unchanged

    @property
    def rejected_again(self) -> int:
        return len(self.again)

    @property
    def rows(self) -> dict[str, int]:
        """The rows of the file by what became of them, each counted once."""
        return {
            "mended": self.taken,
            "rejected_again": self.rejected_again,
            "skipped": self.counts.skipped,
            "stale": self.counts.stale,
            "unmended": self.unmended,
            "mended_before": self.resolved_before,
        }

    def __add__(self, other: Corrected) -> Corrected:
        return Corrected(
            self.reports + other.reports,
            self.counts + other.counts,
            self.unmended + other.unmended,
            self.resolved_before + other.resolved_before,
            self.again + other.again,
        )


def export_rejects(place: Workplace, run_id: str, path: Path) -> int:
    """Write the open rejects of a run as a file to mend; return how many there are.

    Raises:
        ConfigurationError: no ledger has the run.
        SourceError: the file cannot be written.
    """
    found = find_run(place, run_id)
    rejects = found.history.rejects(run_id)
    rows = [RejectedRow(run_id, each.chunk, each.row, sentences(each.faults), each.original) for each in rejects]
    write_rejects(path, found.sink.feed, rows)
    return len(rows)


def load_correction(place: Workplace, path: Path, door: Door) -> Corrected:
    """Load a mended rejects file. It keeps the generation of its run and supersedes nothing.

    Rows that nobody changed, and rows whose reject is resolved already, are left alone: loading a file twice changes
    nothing.

    Raises:
        SourceError: the file is not a rejects file, or its columns are no longer those that were written.
        ConfigurationError: its run is unknown, or a newer run has overtaken it.
        TargetBusy: another run owned the target all the while.
    """
    rows = _read(place, path)
    done = Corrected()
    for run_id in sorted({row.run_id for row in rows}):
        found = find_run(place, run_id)
        with own_target(found.sink.ledger, door) as owned:
            done += _load_of_run(found, owned.lease, [row for row in rows if row.run_id == run_id], path)
    return done


def _load_of_run(found: FoundRun, lease: Lease, rows: list[RejectedRow], path: Path) -> Corrected:
    """Load the rows of one run. The ledger is read under the lease: what was waited for may be a newer run."""
    refuse_moved(found.sink, found.run)
    sink, run_id = _sink_for(found), found.run.run_id
    known = {each.address: each for each in found.history.rejects(run_id, with_resolved=True)}
    _check_rows(rows, known, sink.feed, path)
    still_open = [row for row in rows if not known[row.chunk, row.row].is_resolved]
    changed = [row for row in still_open if row.is_changed(known[row.chunk, row.row].original, sink.feed)]
    mended = [_mended(row, known[row.chunk, row.row], sink.feed, path) for row in changed]
    mended = with_keys_compared(mended, sink.feed, sink.target.contract)
    _check_new_keys(mended, sink.feed)
    counts = WriteCounts()
    for together in loaded_together(mended):
        counts += _load_rows(sink, lease, together)
    sink.ledger.settle(run_id)
    tried = {each.reject.address for each in mended}
    return Corrected(
        reports=[read_report(found.history, run_id)],
        counts=counts,
        unmended=len(still_open) - len(changed),
        resolved_before=len(rows) - len(still_open),
        again=[each for each in found.history.rejects(run_id) if each.address in tried],
    )


def _mended(row: RejectedRow, reject: RejectEntry, feed: Feed, path: Path) -> MendedRow:
    """A changed row with its cells: those that were filled in, or those of its text if that was corrected."""
    if not row.is_text_changed(reject.original):
        return MendedRow(reject, row.mended_cells(reject.original, feed))
    columns = [name for name in reject.original if name != RAW]
    return MendedRow(reject, row.cells_of_text(columns, feed, path))


def _read(place: Workplace, path: Path) -> list[RejectedRow]:
    """The rows of a correction, as its own feed writes them: any dialect that fits tells which feed that is."""
    run_ids = sorted({row.run_id for row in read_correction(path, place.feeds.values())})
    feeds = sorted({find_run(place, run_id).run.feed for run_id in run_ids})
    if len(feeds) > 1:
        raise SourceError(
            f"{shown(path)} holds rows of the feeds {' and '.join(feeds)}; give each feed a file of its own."
        )
    return read_correction(path, [place.feed(name) for name in feeds]) if feeds else []


def _sink_for(found: FoundRun) -> FlaskSink:
    """The sink for a correction of this run; one that changes no row if a newer delta may have done so."""
    feed, run = found.sink.feed, found.run
    newest = found.history.newest(feed.name)
    assert newest is not None, "the run itself is one"
    if newest.run_id == run.run_id or feed.version_column is not None:
        return found.sink
    if feed.kind == "full" or feed.mode == "update_only":
        raise ConfigurationError(
            f"Run {run.run_id} was overtaken by run {newest.run_id}, a newer one of feed {feed.name}; nothing was "
            f"loaded, mend the rejects of {newest.run_id}."
        )
    return found.sink if feed.mode == "insert_only" else found.sink.only_adding()


def _load_rows(sink: FlaskSink, lease: Lease, mended: list[MendedRow]) -> WriteCounts:
    """Load mended rows of one chunk in one transaction; return what became of them."""
    if mended[0].has_new_key and _may_replace(sink.feed):
        sink = sink.only_adding()
    first = mended[0].reject
    positions = [each.reject.row for each in mended]
    span = positions[-1] - positions[0] + 1
    ref = ChunkRef(first.run_id, first.chunk, "", positions[0], span, lease.token)
    chunk = transform_chunk(as_spooled(mended), ref, sink.feed, sink.target.contract)
    return sink.correcting(positions).load(chunk)


def _may_replace(feed: Feed) -> bool:
    """Whether a row may replace one of the table that another row of its run has brought, and nothing would tell."""
    return feed.version_column is None and feed.mode != "insert_only"


def _check_new_keys(mended: list[MendedRow], feed: Feed) -> None:
    if feed.mode != "update_only" or not _may_replace(feed):
        return
    for each in mended:
        if each.has_new_key:
            raise ConfigurationError(
                f"Row {each.reject.row} of chunk {each.reject.chunk} of run {each.reject.run_id} has another key "
                f"than its source gave it, and feed {feed.name} only updates: it could replace what another row "
                "brought; nothing was loaded, leave the row out and send it with the feed's next file."
            )


def _check_rows(rows: list[RejectedRow], known: dict[tuple[int, int], RejectEntry], feed: Feed, path: Path) -> None:
    for row in rows:
        reject = known.get((row.chunk, row.row))
        if reject is None:
            raise ConfigurationError(
                f"Row {row.row} of chunk {row.chunk} of run {row.run_id} is no reject; keep the columns that begin "
                "with _ as they were written."
            )
        columns = set(reject.original) - {RAW}
        differing = sorted(columns ^ set(row.cells_of_file(reject.original, feed)))
        if columns and differing:
            raise SourceError(
                f"{shown(path)} no longer has the columns that were written ({differing[0]!r} is "
                f"{'missing' if differing[0] in columns else 'new'}); keep them all, nothing was loaded."
            )
