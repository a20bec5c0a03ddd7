"""Looks at a feed without writing a thing: reads, transforms and casts it, and says what a sync would meet."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from flows.progress import Progress
from flows.spooling import spool_source
from flows.stopping import check_stop
from flows.workplace import Workplace
from restock.chunks import LINE, ROW, SUPERSEDED, Chunk, ChunkRef, Fault
from restock.errors import ChunkFailed, ConfigurationError, RunHeld, RunIncomplete, SinkUnavailable
from restock.feeds import Feed
from restock.interpreter import settle_interpreter
from sinks.flask_sink import FlaskSink, open_sink
from sinks.newcomers import Newcomers
from sources.extract import Extraction
from sources.locations import SourceFile, find_source
from sources.spool import Spool
from transforms.apply import check_rules, transform_chunk

SAMPLES = 5
# What text is doubtful for, by code.
DOUBTS = {
    "encoded_twice": "looks encoded twice, as CafÃ© for Café",
    "control_characters": (
        "holds control characters (U+0080 to U+009F), as text of cp1252 does that is read as ISO 8859"
    ),
}
# Letters that would be UTF-8 if they were bytes stand side by side, as in `CafÃ©`.
_NO_ASCII = re.compile("[^\\x00-\\x7f]{2,}")
_CONTROL = re.compile("[\\x80-\\x9f]")


@dataclass(frozen=True)
class Sample:
    """Where one row stands: its position in the source, its line in the file, and the value at fault."""

    row: int
    line: int | None
    value: str | None = None


@dataclass
class Reason:
    """One reason for rejects: the attribute at fault if it is one, the number of rows, and the first of them."""

    code: str
    column: str | None
    rows: int = 0
    samples: list[Sample] = field(default_factory=list)


@dataclass
class Check:
    """What a sync of one source would meet. Of what only the database can know, no more is in it than that all rows
    are new to an empty table.

    `read` is the sum of `accepted`, `rejected`, `skipped`, `superseded` and `outstanding` (the rows of chunks that
    would fail). `lacking` are attributes that a new row needs and the feed does not fill. `trouble` says which chunks
    would fail and why, `held` which limit would hold the run. `reasons` also tell of the rows in chunks that would fail
    for their limit. `doubtful` are accepted rows whose text looks as if it had been read in a wrong encoding, by the
    codes of `DOUBTS`. `unfit` says why a sync would refuse the table.
    """

    feed: str
    source: str
    read: int = 0
    accepted: int = 0
    rejected: int = 0
    skipped: int = 0
    superseded: int = 0
    outstanding: int = 0
    reasons: list[Reason] = field(default_factory=list)
    doubtful: list[Reason] = field(default_factory=list)
    superseded_samples: list[Sample] = field(default_factory=list)
    ignored_columns: list[str] = field(default_factory=list)
    lacking: list[str] = field(default_factory=list)
    trouble: list[str] = field(default_factory=list)
    held: str | None = None
    unfit: str | None = None

    def as_dict(self, with_values: bool) -> dict[str, Any]:
        """The check as plain values; those of rows only if they are asked for."""
        plain = asdict(self)
        if not with_values:
            for reason in [*plain["reasons"], *plain["doubtful"]]:
                for sample in reason["samples"]:
                    del sample["value"]
            for sample in plain["superseded_samples"]:
                del sample["value"]
        return plain

    def verdict(self) -> None:
        """Be silent about a source that a sync would complete.

        Raises:
            ConfigurationError: the table is not what the model says.
            RunHeld: a limit would hold the run.
            RunIncomplete: chunks would fail.
        """
        if self.unfit is not None:
            raise ConfigurationError(self.unfit)
        if self.held is not None:
            raise RunHeld(self.held)
        if self.trouble:
            raise RunIncomplete(f"{len(self.trouble)} chunks of {self.source} would fail; mend their cause first.")


def check_feed(place: Workplace, feed: Feed, progress: Progress, file: str | None = None) -> list[Check]:
    """Read a feed's source as a sync would, and transform and cast every chunk of it.

    Nothing is written: not to the database, whose tables need not exist, nor to the spool; a folder of the system for
    temporary files holds the chunks meanwhile.

    Args:
        file: a file to read in place of the feed's own source, inside the allowed roots.

    Returns:
        One check; of a delta feed one for each file.

    Raises:
        ConfigurationError, SourceError: as a sync would.
        SinkUnavailable: rows lack what new ones need, and the database could not be asked whether they are new.
    """
    sink = open_sink(feed, place.settings.lease_seconds)
    check_rules(feed, sink.target.contract)
    files = find_source(feed, place.settings, file)
    checks: list[Check] = []
    unfit = _unfit(sink, progress)
    for each in [files] if feed.kind == "full" else [[each] for each in files]:
        new = Newcomers(sink.database, sink.target, feed, follow_others=any(check.accepted for check in checks))
        checks.append(_check_source(sink, each, new, progress))
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


def _check_source(sink: FlaskSink, files: list[SourceFile], new: Newcomers, progress: Progress) -> Check:
    found = Check(sink.feed.name, ", ".join(file.name for file in files))
    with tempfile.TemporaryDirectory(prefix="restock-check-") as folder:
        spool = Spool(Path(folder))
        extraction = spool_source(sink, files, spool, "check", progress)
        found.ignored_columns = extraction.ignored_columns
        _apply_least_rows(found, sink.feed, extraction.rows)
        for ref, raw, transformed in _chunks(sink, spool, extraction, found):
            check_stop()
            chunk = new.judged(transformed)
            _note_rows(found, raw, chunk)
            if _fits_its_limit(found, sink.feed, ref, chunk):
                _count(found, chunk)
                _apply_run_limit(found, sink.feed, ref, extraction.rows)
            filled = set(chunk.frame.columns)
            found.lacking = [] if sink.feed.mode == "update_only" else sorted(set(sink.target.required) - filled)
    found.reasons.sort(key=lambda reason: -reason.rows)
    return found


def _chunks(
    sink: FlaskSink, spool: Spool, extraction: Extraction, found: Check
) -> Iterator[tuple[ChunkRef, pd.DataFrame, Chunk]]:
    settle_interpreter()
    for planned in extraction.chunks:
        ref = ChunkRef("check", planned.number, planned.spool_file, planned.first_row, planned.rows, token=0)
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
        found.superseded_samples.append(Sample(int(row), None if pd.isna(line) else int(line)))


def _note_doubtful(found: Check, chunk: Chunk) -> None:
    """Text such as `CafÃ©` can be right, so its row is accepted."""
    for name in chunk.frame.columns:
        if isinstance(chunk.frame[name].dtype, pd.StringDtype):
            cells = chunk.frame[name].dropna()
            cells = cells[cells.str.contains(f"{_NO_ASCII.pattern}|{_CONTROL.pattern}")]
            lines = chunk.raw[LINE].loc[cells.index].astype(object)
            for row, line, text in zip(cells.index, lines, cells, strict=True):
                code = _doubt_about(text)
                if code is not None:
                    _note(found.doubtful, Fault(code, name, text), int(row), None if pd.isna(line) else int(line))


def _doubt_about(text: str) -> str | None:
    if _is_encoded_twice(text):
        return "encoded_twice"
    return "control_characters" if _CONTROL.search(text) else None


def _is_encoded_twice(text: str) -> bool:
    for letters in _NO_ASCII.findall(text):
        for encoding in ("cp1252", "latin-1"):
            with suppress(UnicodeError):
                letters.encode(encoding).decode("utf-8")
                return True
    return False


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
    found.accepted += len(chunk.frame)
    found.rejected += len(chunk.rejects)
    found.skipped += chunk.skipped
    found.superseded += chunk.superseded


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
