"""Looks at a feed without writing a thing: reads, transforms and casts it, and says what a sync would meet."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from flows.looking.doubts import SUSPECT, doubt_about
from flows.looking.findings import SAMPLES, ChangedValue, Check, InTable, Reason, Sample, keep_first
from flows.runs.progress import Progress
from flows.runs.spooling import QUIET, spool_source
from flows.runs.stopping import check_stop
from flows.runs.workplace import Workplace
from restock.chunks import LINE, ROW, SUPERSEDED, Chunk, ChunkRef, Fault
from restock.errors import ChunkFailed, ConfigurationError, NoRows, SinkUnavailable
from restock.feeds import Feed
from restock.originals import presentable
from restock.wording import counted
from sinks.flask_sink import FlaskSink, open_sink
from sinks.foresight import Foreseen, Foresight
from sinks.staging.newcomers import Newcomers
from sources.chunks.spool import Spool
from sources.extract import Extraction
from sources.places.locations import SourceFile, find_source
from transforms.apply import check_rules, transform_chunk

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
        checks.append(_Look(sink, each, judge, unfit).made(progress))
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


class _Look:
    """One look at one source, chunk by chunk, and what it has found so far."""

    def __init__(self, sink: FlaskSink, files: list[SourceFile], judge: Judge, unfit: str | None) -> None:
        self._sink, self._feed, self._files, self._judge = sink, sink.feed, files, judge
        self._found = Check(sink.feed.name, ", ".join(file.name for file in files), unfit=unfit)

    def made(self, progress: Progress) -> Check:
        """Look at all of it."""
        found = self._found
        try:
            self._read(progress)
        except NoRows:
            if not self._feed.may_be_quiet:
                raise
            progress.note(QUIET.format(source=found.source))
        found.reasons.sort(key=lambda reason: -reason.rows)
        if found.in_table is not None:
            found.in_table.changed.sort(key=lambda each: -each.rows)
        return found

    def _read(self, progress: Progress) -> None:
        with tempfile.TemporaryDirectory(prefix="restock-check-") as folder:
            spool = Spool(Path(folder))
            extraction = spool_source(self._sink, self._files, spool.of("check"), progress)
            self._found.ignored_columns = extraction.ignored_columns
            self._apply_least_rows(extraction.rows)
            for transformed in self._chunks(spool, extraction):
                check_stop()
                foreseen = self._judge(transformed)
                self._note_rows(foreseen.chunk)
                if self._fits_its_limit(foreseen.chunk):
                    self._count(foreseen.chunk)
                    self._note_changes(foreseen)
                    self._apply_run_limit(foreseen.chunk.ref, extraction.rows)
                self._note_lacking(foreseen.chunk)

    def _chunks(self, spool: Spool, extraction: Extraction) -> Iterator[Chunk]:
        for planned in extraction.chunks:
            ref = planned.ref("check")
            self._found.read += ref.rows
            try:
                chunk = transform_chunk(spool.read(ref), ref, self._feed, self._sink.target.contract)
            except ChunkFailed as error:
                self._found.trouble.append(str(error))
                self._found.outstanding += ref.rows
            else:
                yield chunk

    def _note_rows(self, chunk: Chunk) -> None:
        for reject in chunk.rejects:
            for fault in reject.faults:
                _note(self._found.reasons, fault, reject.row, reject.line)
        self._note_doubtful(chunk)
        losers = chunk.raw[chunk.raw[SUPERSEDED].astype(bool)].nsmallest(SAMPLES, ROW)
        for row, line in zip(losers[ROW], losers[LINE], strict=True):
            keep_first(self._found.superseded_samples, Sample(int(row), _number(line)))

    def _note_doubtful(self, chunk: Chunk) -> None:
        for name in chunk.frame.columns:
            if isinstance(chunk.frame[name].dtype, pd.StringDtype):
                cells = chunk.frame[name].dropna()
                cells = cells[cells.str.contains(SUSPECT)]
                lines = chunk.raw[LINE].loc[cells.index].astype(object)
                for row, line, text in zip(cells.index, lines, cells, strict=True):
                    code = doubt_about(text)
                    if code is not None:
                        _note(self._found.doubtful, Fault(code, name, text), int(row), _number(line))

    def _fits_its_limit(self, chunk: Chunk) -> bool:
        limit, rejects, ref = self._feed.max_chunk_rejects, len(chunk.rejects), chunk.ref
        if limit is None or not limit.is_exceeded(rejects, ref.rows):
            return True
        self._found.outstanding += ref.rows
        self._found.trouble.append(
            f"Chunk {ref.number} has {counted(rejects, 'reject')} in {counted(ref.rows, 'row')}, more than "
            f"max_chunk_rejects {limit} allows."
        )
        return False

    def _count(self, chunk: Chunk) -> None:
        found = self._found
        found.accepted += chunk.ref.rows - len(chunk.rejects) - chunk.skipped - chunk.superseded
        found.rejected += len(chunk.rejects)
        found.skipped += chunk.skipped
        found.superseded += chunk.superseded

    def _note_changes(self, foreseen: Foreseen) -> None:
        if foreseen.counts is None:
            return
        table = self._found.in_table = self._found.in_table or InTable()
        table.add(foreseen.counts)
        lines = foreseen.chunk.raw[LINE]
        for name, change in foreseen.changed.items():
            column = table.column(name)
            column.rows += change.rows
            for each in change.first:
                values = [None if value is None else presentable(str(value)) for value in (each.stored, each.sent)]
                keep_first(column.samples, ChangedValue(each.position, _number(lines.at[each.position]), *values))

    def _note_lacking(self, chunk: Chunk) -> None:
        if self._feed.mode != "update_only":
            lacking = set(self._sink.target.required) - set(chunk.frame.columns)
            self._found.lacking = sorted(lacking.union(self._found.lacking))

    def _apply_least_rows(self, rows: int) -> None:
        """A share is of the last run's rows, which only the database knows."""
        limit = self._feed.min_rows
        if limit is not None and limit.is_missed(rows, 0):
            self._found.held = (
                f"A sync would be held: the source has {counted(rows, 'row')}, and min_rows demands {limit}."
            )

    def _apply_run_limit(self, ref: ChunkRef, rows: int) -> None:
        found, limit = self._found, self._feed.max_rejects
        if found.held is None and limit is not None and limit.is_exceeded(found.rejected, rows):
            found.held = (
                f"A sync would be held before chunk {ref.number}: {counted(found.rejected, 'reject')} in "
                f"{counted(rows, 'row')} by then, more than max_rejects {limit} allows; mend the source or the "
                "feed, or raise the limit."
            )


def _note(reasons: list[Reason], fault: Fault, row: int, line: int | None) -> None:
    reason = next((each for each in reasons if (each.code, each.column) == (fault.code, fault.column)), None)
    if reason is None:
        reason = Reason(fault.code, fault.column)
        reasons.append(reason)
    reason.rows += 1
    keep_first(reason.samples, Sample(row, line, fault.value))


def _number(line: Any) -> int | None:
    return None if pd.isna(line) else int(line)
