"""How the terminal command shows things: a bar while a run goes on, tables afterwards."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.table import Table

from flows.runs.correcting import Corrected
from flows.runs.progress import Progress
from flows.runs.reports import RunReport
from flows.terminal.shown_rejects import ShownReject
from restock.chunks import OUTCOMES, ChunkRef, RunSummary, WriteCounts
from restock.errors import ChunkFailed
from restock.reasons import sentence, sentences
from restock.wording import counted
from sinks.ledger.entries import RunEntry

# Always shown, also when zero: what a person looks for first.
USUAL_COUNTS = ("inserted", "updated", "unchanged", "rejected")
REASONS_SHOWN = 8
COLUMNS_SHOWN = 6
ROWS_SHOWN = 20
# What became of the rows of a correction, where a person reads it.
MENDED_WORDS = {
    "mended": "mended",
    "rejected_again": "rejected again",
    "skipped": "left out by the feed's rules",
    "stale": "older than the table's",
    "unmended": "still as they were written",
    "mended_before": "mended before",
}


def plain_console(**settings: Any) -> Console:
    """A console that shows text as it is: to Rich, brackets and colons in a file's cells would be commands."""
    return Console(highlight=False, markup=False, emoji=False, **settings)


class TerminalProgress(Progress):
    """A bar on standard error, while it is entered."""

    def __init__(self) -> None:
        self.console = plain_console(stderr=True)
        self._bar = Bar(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[unit]}"),
            TimeElapsedColumn(),
            console=self.console,
            transient=True,
            disable=not self.console.is_terminal,
        )
        self._task: TaskID | None = None
        self._rows = 0

    def __enter__(self) -> TerminalProgress:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def reading(self, rows: int) -> None:
        self._rows += rows
        if self._task is None:
            self._task = self._bar.add_task("reading", total=None, unit="rows")
        self._bar.update(self._task, completed=self._rows)

    def loading(self, feed: str, refs: list[ChunkRef]) -> None:
        if self._task is not None:
            self._bar.remove_task(self._task)
        self._rows = 0
        total = sum(ref.rows for ref in refs)
        self._task = self._bar.add_task(f"loading {feed}", total=total, unit="rows")

    def loaded(self, ref: ChunkRef, outcome: WriteCounts | ChunkFailed) -> None:
        if isinstance(outcome, ChunkFailed):
            self.note(f"Chunk {ref.number} failed: {outcome}")
        if self._task is not None:
            self._bar.advance(self._task, ref.rows)

    def note(self, sentence: str) -> None:
        # A sentence is one line, also in a log file: where there is no terminal, rich would break it at column 80.
        self.console.print(sentence, soft_wrap=True)


def print_report(report: RunReport) -> None:
    """Print a run's summary as one table, in which the counts add up to the rows read, and its first reasons."""
    console = plain_console()
    _print_totals(console, report)
    _print_reasons(console, report.reasons[:REASONS_SHOWN])
    more = len(report.reasons) - REASONS_SHOWN
    if more > 0:
        console.print(
            f"  and {counted(more, 'more reason')}; `restock show {report.run.run_id}` has all", soft_wrap=True
        )
    _print_hints(console, report)


def print_whole_report(report: RunReport) -> None:
    """Print all of a run: its summary, what it needs of a person, all reasons, and the chunks that are not loaded."""
    console = plain_console()
    _print_totals(console, report)
    if report.trouble is not None and report.summary.status != "running":
        console.print(f"  {report.trouble}", soft_wrap=True)
    _print_reasons(console, report.reasons)
    _print_hints(console, report)
    _print_chunks(console, report)


def _print_totals(console: Console, report: RunReport) -> None:
    summary, counts = report.summary, report.summary.as_dict()
    title = f"{summary.feed}: {summary.source}"
    table = Table(title=title, title_justify="left", caption_justify="left", box=SIMPLE_HEAD)
    table.add_column("run " + summary.run_id)
    table.add_column("rows", justify="right")
    table.add_row("read", f"{summary.read:,}", end_section=True)
    others = (name for name in OUTCOMES if name not in USUAL_COUNTS and counts[name])
    for name in (*USUAL_COUNTS, *others):
        table.add_row(name, f"{counts[name]:,}")
    table.add_section()
    chunks = f"{summary.chunks_loaded} of {counted(summary.chunks_planned, 'chunk')} loaded"
    pace = f", {summary.rows_per_second:,.0f} rows/s" if summary.rows_per_second else ""
    table.caption = f"{chunks} in {summary.seconds:.1f} s{pace}" if summary.seconds else chunks
    table.add_row("status", _status(report.run, summary))
    console.print(table)


def _status(run: RunEntry, summary: RunSummary) -> str:
    if summary.abandoned and summary.status != "abandoned":
        return f"{summary.status}, {counted(summary.abandoned, 'row')} abandoned"
    return f"{summary.status} ({run.reason})" if run.reason == "interrupted" else summary.status


def _print_reasons(console: Console, reasons: list[tuple[str, str | None, int]]) -> None:
    for code, column, rows in reasons:
        console.print(f"  {rows:,} × {sentence(code, column)} ({code})", soft_wrap=True)


def _print_hints(console: Console, report: RunReport) -> None:
    run_id = report.run.run_id
    if report.reasons:
        console.print(f"  `restock rejects {run_id} --csv FILE` writes these rows to be mended.", soft_wrap=True)
    ignored = report.run.ignored_columns
    if ignored:
        more = f" and {len(ignored) - COLUMNS_SHOWN} more" if len(ignored) > COLUMNS_SHOWN else ""
        console.print(f"  Columns not used: {', '.join(ignored[:COLUMNS_SHOWN])}{more}", soft_wrap=True)


def print_corrected(done: Corrected) -> None:
    """Print what loading a correction came to, and the first rows that are still wrong."""
    for report in done.reports:
        print_report(report)
    console = plain_console()
    parts = [f"{MENDED_WORDS[name]} {rows}" for name, rows in done.rows.items() if rows or name == "mended"]
    console.print(f"Rows of the file: {', '.join(parts)}.", soft_wrap=True)
    for each in done.again[:ROWS_SHOWN]:
        line = "" if each.line is None else f" (line {each.line})"
        console.print(f"  row {each.row} of run {each.run_id}{line}: {sentences(each.faults)}", soft_wrap=True)
    if len(done.again) > ROWS_SHOWN:
        console.print(f"  and {len(done.again) - ROWS_SHOWN} more; `restock rejects RUN` lists them", soft_wrap=True)


def print_runs(found: Iterable[tuple[RunEntry, RunSummary]]) -> None:
    """Print one line for each run, newest first."""
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("run", no_wrap=True)
    table.add_column("feed", overflow="fold")
    table.add_column("status", min_width=len("completed"))
    for name in ("read", "written", "rejected", "left"):
        table.add_column(name, justify="right", no_wrap=True)
    for run, summary in found:
        numbers = (summary.read, summary.inserted + summary.updated, summary.rejected, summary.outstanding)
        status = _status(run, summary)
        table.add_row(summary.run_id, summary.feed, status, *(f"{number:,}" for number in numbers))
    # A number cut short reads as another number: lines longer than the terminal wrap there.
    console = plain_console()
    width = max(console.width, console.measure(table, options=console.options.update(max_width=1000)).maximum)
    plain_console(width=width).print(table)


def _print_chunks(console: Console, report: RunReport) -> None:
    waiting = [chunk for chunk in report.chunks if chunk.status != "loaded"]
    if not waiting:
        return
    table = Table("chunk", "status", "rows", "attempts", "reason")
    for chunk in waiting:
        table.add_row(str(chunk.number), chunk.status, f"{chunk.rows:,}", str(chunk.attempts), chunk.error or "")
    console.print(table)


def print_rejects(rejects: list[ShownReject]) -> None:
    """Print the first rejects of a run with their place and key, reason and value."""
    shown = [(each.entry.faults, each.as_dict()) for each in rejects[:ROWS_SHOWN]]
    # Parquet has no lines, and most rows need no byte to be found by.
    known = [name for name in ("row", "line", "byte", "key") if any(row[name] is not None for _, row in shown)]
    table = Table(*known, "reason", "column", "value")
    for faults, row in shown:
        places = ["" if row[name] is None else str(row[name]) for name in known]
        for fault in faults:
            table.add_row(*places, fault.code, fault.column or "", fault.value or "")
            places = [""] * len(places)  # its further faults stand below
    console = plain_console()
    console.print(table)
    if len(rejects) > ROWS_SHOWN:
        console.print(f"and {len(rejects) - ROWS_SHOWN:,} more; `--csv FILE` writes them all")


def print_superseded(rows: list[dict[str, Any]], count: int) -> None:
    """Print the first rows of a run that lost to another one, each with the row that counts."""
    table = Table("file", "line or row", "key", "counting file", "line or row", "equal")
    for row in rows:
        places = [str(row[f"{which}line"] or row[f"{which}row"]) for which in ("", "counting_")]
        cells = (row["file"], places[0], row["key"], row["counting_file"], places[1], "yes" if row["equal"] else "")
        table.add_row(*cells)
    console = plain_console()
    console.print(table)
    if count > len(rows):
        console.print(f"and {count - len(rows):,} more; `--csv FILE` writes them all")
