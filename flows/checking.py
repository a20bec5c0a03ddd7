"""Looks at a feed without writing a thing: reads, transforms and casts it, and says what a sync would meet."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from flows.doubts import SUSPECT, doubt_about
from flows.findings import ChangedValue, Check, InTable, Reason, Sample
from flows.progress import Progress
from flows.spooling import QUIET, spool_source
from flows.stopping import check_stop
from flows.workplace import Workplace
from restock.chunks import LINE, ROW, SUPERSEDED, Chunk, ChunkRef, Fault
from restock.errors import ChunkFailed, ConfigurationError, NoRows, SinkUnavailable
from restock.feeds import Feed
from restock.interpreter import settle_interpreter
from restock.originals import presentable
from sinks.flask_sink import FlaskSink, open_sink
from sinks.foresight import Foreseen, Foresight
from sinks.newcomers import Newcomers
from sources.extract import Extraction
from sources.locations import SourceFile, find_source
from sources.spool import Spool
from transforms.apply import check_rules, transform_chunk

SAMPLES = 5
# Says what a sync would do with a chunk.
Judge = Callable[[Chunk], Foreseen]


def check_feed(
    place: Workplace, feed: Feed, progress: Progress, file: str | None = None, with_table: bool = False
) -> list[Check]:
    """Read a feed's source as a sync would, and transform and cast every chunk of it.

    Nothing is written: not to the database, whose tables need not exist, nor to the spool; a folder of the system for
    temporary files holds the chunks meanwhile.

    Args:
        file: a file to read in place of the feed's own source, inside the allowed roots.
        with_table: whether the rows are compared with those of the table too.

    Returns:
        One check; of a delta feed one for each file.

    Raises:
        ConfigurationError, SourceError: as a sync would.
        SinkUnavailable: the table is to be compared with, or rows lack what new ones need, and the database could not
            be asked.
    """
    sink = open_sink(feed, place.settings.lease_seconds)
    check_rules(feed, sink.target.contract)
    files = find_source(feed, place.settings, file)
    checks: list[Check] = []
    unfit = _unfit(sink, progress)
    for each in [files] if feed.kind == "full" else [[each] for each in files]:
        new = Newcomers(sink.database, sink.target, feed, follow_others=any(check.accepted for check in checks))
        judge = Foresight(sink).of if with_table and unfit is None else partial(_judged_alone, new)
        checks.append(_check_source(sink, each, judge, progress))
        checks[-1].unfit = unfit
    return checks


def _unfit(sink: FlaskSink, progress: Progress) -> str | None:
    """Why a sync would refuse the table, if it would. A source can be looked at without any."""
    try:
        sink.check_table()
    except ConfigurationError as error:
        return str(error)
    except SinkUnavailable as error:
        progress.note(f"The table was not looked at. {error}")
    return None


def _judged_alone(new: Newcomers, chunk: Chunk) -> Foreseen:
    return Foreseen(new.judged(chunk))


def _check_source(sink: FlaskSink, files: list[SourceFile], judge: Judge, progress: Progress) -> Check:
    found = Check(sink.feed.name, ", ".join(file.name for file in files))
    try:
        _look_at(found, sink, files, judge, progress)
    except NoRows:
        if not sink.feed.may_be_quiet:
            raise
        progress.note(QUIET.format(source=found.source))
    found.reasons.sort(key=lambda reason: -reason.rows)
    if found.in_table is not None:
        found.in_table.changed.sort(key=lambda each: -each.rows)
    return found


def _look_at(found: Check, sink: FlaskSink, files: list[SourceFile], judge: Judge, progress: Progress) -> None:
    with tempfile.TemporaryDirectory(prefix="restock-check-") as folder:
        spool = Spool(Path(folder))
        extraction = spool_source(sink, files, spool, "check", progress)
        found.ignored_columns = extraction.ignored_columns
        _apply_least_rows(found, sink.feed, extraction.rows)
        for ref, raw, transformed in _chunks(sink, spool, extraction, found):
            check_stop()
            foreseen = judge(transformed)
            chunk = foreseen.chunk
            _note_rows(found, raw, chunk)
            if _fits_its_limit(found, sink.feed, ref, chunk):
                _count(found, chunk)
                _note_changes(found, foreseen)
                _apply_run_limit(found, sink.feed, ref, extraction.rows)
            filled = set(chunk.frame.columns)
            found.lacking = [] if sink.feed.mode == "update_only" else sorted(set(sink.target.required) - filled)


def _chunks(
    sink: FlaskSink, spool: Spool, extraction: Extraction, found: Check
) -> Iterator[tuple[ChunkRef, pd.DataFrame, Chunk]]:
    settle_interpreter()
    for planned in extraction.chunks:
        ref = planned.ref("check")
        found.read += ref.rows
        raw = spool.read(ref)
        try:
            chunk = transform_chunk(raw, ref, sink.feed, sink.target.contract)
        except ChunkFailed as error:
            found.trouble.append(str(error))
            found.outstanding += ref.rows
            continue
        yield ref, raw, chunk


def _note_rows(found: Check, raw: pd.DataFrame, chunk: Chunk) -> None:
    for reject in chunk.rejects:
        for fault in reject.faults:
            _note(found.reasons, fault, reject.row, reject.line)
    _note_doubtful(found, chunk)
    losers = raw[raw[SUPERSEDED].astype(bool)].head(SAMPLES - len(found.superseded_samples))
    for row, line in zip(losers[ROW], losers[LINE], strict=True):
        found.superseded_samples.append(Sample(int(row), _number(line)))


def _note_doubtful(found: Check, chunk: Chunk) -> None:
    for name in chunk.frame.columns:
        if isinstance(chunk.frame[name].dtype, pd.StringDtype):
            cells = chunk.frame[name].dropna()
            cells = cells[cells.str.contains(SUSPECT)]
            lines = chunk.raw[LINE].loc[cells.index].astype(object)
            for row, line, text in zip(cells.index, lines, cells, strict=True):
                code = doubt_about(text)
                if code is not None:
                    _note(found.doubtful, Fault(code, name, text), int(row), _number(line))


def _note(reasons: list[Reason], fault: Fault, row: int, line: int | None) -> None:
    reason = next((each for each in reasons if (each.code, each.column) == (fault.code, fault.column)), None)
    if reason is None:
        reason = Reason(fault.code, fault.column)
        reasons.append(reason)
    reason.rows += 1
    if len(reason.samples) < SAMPLES:
        reason.samples.append(Sample(row, line, fault.value))


def _fits_its_limit(found: Check, feed: Feed, ref: ChunkRef, chunk: Chunk) -> bool:
    limit, rejects = feed.max_chunk_rejects, len(chunk.rejects)
    if limit is None or not limit.is_exceeded(rejects, ref.rows):
        return True
    found.outstanding += ref.rows
    found.trouble.append(
        f"Chunk {ref.number} has {rejects} rejects in {ref.rows} rows, more than max_chunk_rejects {limit} allows."
    )
    return False


def _count(found: Check, chunk: Chunk) -> None:
    found.accepted += chunk.ref.rows - len(chunk.rejects) - chunk.skipped - chunk.superseded
    found.rejected += len(chunk.rejects)
    found.skipped += chunk.skipped
    found.superseded += chunk.superseded


def _note_changes(found: Check, foreseen: Foreseen) -> None:
    if foreseen.counts is None:
        return
    table = found.in_table = found.in_table or InTable()
    table.add(foreseen.counts)
    lines = foreseen.chunk.raw[LINE]
    for name, change in foreseen.changed.items():
        column = table.column(name)
        column.rows += change.rows
        for each in change.first:
            values = [None if value is None else presentable(str(value)) for value in (each.stored, each.sent)]
            column.samples.append(ChangedValue(each.position, _number(lines.at[each.position]), *values))


def _number(line: Any) -> int | None:
    return None if pd.isna(line) else int(line)


def _apply_least_rows(found: Check, feed: Feed, rows: int) -> None:
    """A share is of the last run's rows, which only the database knows."""
    limit = feed.min_rows
    if limit is not None and limit.is_missed(rows, 0):
        found.held = f"A sync would be held: the source has {rows:,} rows, and min_rows demands {limit}."


def _apply_run_limit(found: Check, feed: Feed, ref: ChunkRef, rows: int) -> None:
    limit = feed.max_rejects
    if found.held is None and limit is not None and limit.is_exceeded(found.rejected, rows):
        found.held = (
            f"A sync would be held before chunk {ref.number}: {found.rejected} of the {rows} rows are rejects by then, "
            f"more than max_rejects {limit} allows; mend the source or the feed, or raise the limit."
        )
