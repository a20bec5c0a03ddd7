"""Writes a run's rejects for a person to mend, and loads what comes back."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import pandas as pd

from flows.admission import own_target
from flows.databases import FoundRun, find_run
from flows.progress import Progress
from flows.reports import RunReport, read_report
from flows.workplace import Workplace
from restock.chunks import FAULT, LINE, RAW, ROW, SUPERSEDED, ChunkRef
from restock.errors import ConfigurationError, SourceError
from restock.paths import shown
from restock.reasons import sentence
from sinks.flask_sink import FlaskSink
from sinks.history import RejectEntry
from sinks.lease import Lease
from sources.corrections import RejectedRow, read_correction, write_rejects
from transforms.apply import transform_chunk


@dataclass(frozen=True)
class Corrected:
    """What loading a correction came to: the runs it mended, and its rows by what became of them."""

    reports: list[RunReport]
    taken: int
    rejected_again: int
    resolved_before: int


def export_rejects(place: Workplace, run_id: str, path: Path) -> int:
    """Write the open rejects of a run as a file to mend; return how many there are.

    Raises:
        ConfigurationError: no ledger has the run.
        SourceError: the file cannot be written.
    """
    found = find_run(place, run_id)
    rejects = found.history.rejects(run_id)
    rows = [
        RejectedRow(run_id, each.chunk, each.position, sentence(each.code, each.column), each.original)
        for each in rejects
    ]
    write_rejects(path, place.feed(found.run.feed), rows)
    return len(rows)


def load_correction(place: Workplace, path: Path, progress: Progress, wait: float = 0.0) -> Corrected:
    """Load a mended rejects file. It keeps the generation of its run and supersedes nothing.

    Rows whose reject is resolved already are left alone, so loading a file twice changes nothing.

    Raises:
        SourceError: the file is not a rejects file.
        ConfigurationError: its run is unknown, or newer content has overtaken it.
    """
    rows = _read(place, path)
    reports, taken, again, before = [], 0, 0, 0
    for run_id, of_run in groupby(sorted(rows, key=lambda row: (row.run_id, row.chunk)), key=lambda row: row.run_id):
        found = find_run(place, run_id)
        sink = _sink_for(found)
        with own_target(sink, progress, wait) as lease:
            for number, of_chunk in groupby(of_run, key=lambda row: row.chunk):
                mended = {row.row: row for row in of_chunk}
                rejects = {
                    each.position: each
                    for each in found.history.rejects(run_id, with_resolved=True)
                    if each.chunk == number and each.position in mended
                }
                _check_known(mended, rejects, run_id, number)
                still_open = [each for each in rejects.values() if not each.is_resolved]
                before += len(rejects) - len(still_open)
                if still_open:
                    rejected = _load_rows(sink, lease, found, still_open, mended)
                    taken, again = taken + len(still_open) - rejected, again + rejected
            sink.ledger.settle(run_id)
        reports.append(read_report(found.history, found.history.run(run_id)))
    return Corrected(reports, taken, again, before)


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
    """The sink for a correction of this run; one that only adds rows if a newer delta may have changed others."""
    feed, run = found.sink.feed, found.run
    newest = found.history.runs(feed.name)[0]
    if newest.generation == run.generation or feed.version_column is not None:
        return found.sink
    if feed.kind == "full" or feed.mode == "update_only":
        raise ConfigurationError(
            f"Run {run.run_id} was overtaken by run {newest.run_id}, which brought newer content of feed {feed.name}; "
            f"nothing was loaded, mend the rejects of {newest.run_id}."
        )
    return found.sink.only_adding()


def _load_rows(
    sink: FlaskSink, lease: Lease, found: FoundRun, rejects: list[RejectEntry], mended: dict[int, RejectedRow]
) -> int:
    """Load the mended rows of one chunk in one transaction; return how many were rejected again."""
    run_id, number = found.run.run_id, rejects[0].chunk
    positions = sorted(each.position for each in rejects)
    ref = ChunkRef(run_id, number, "", positions[0], len(positions), lease.token)
    lines = {each.position: each.line for each in rejects}
    raw = pd.DataFrame([mended[position].cells for position in positions], dtype="str")
    raw[ROW] = positions
    raw[LINE] = pd.array([lines[position] for position in positions], dtype="Int64")
    raw[FAULT] = pd.Series([None] * len(positions), dtype="str")
    raw[RAW] = pd.Series([None] * len(positions), dtype="str")
    raw[SUPERSEDED] = False
    chunk = transform_chunk(raw, ref, sink.feed, sink.target.contract)
    return sink.correcting(positions).load(chunk).rejected


def _check_known(mended: dict[int, RejectedRow], rejects: dict[int, RejectEntry], run_id: str, number: int) -> None:
    unknown = sorted(set(mended) - set(rejects))
    if unknown:
        raise ConfigurationError(
            f"Row {unknown[0]} of chunk {number} of run {run_id} is no reject; keep the columns that begin with _ as "
            "they were written."
        )
