"""What a run has come to, for people: the report that every door shows in its own way."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

from restock.chunks import ChunkEntry, RunSummary
from restock.errors import RunHeld, RunIncomplete
from restock.wording import counted
from sinks.ledger.entries import RunEntry
from sinks.ledger.history import History, summary_of

CHUNKS_NAMED = 12
PLACES_NAMED = 5


def nothing_new(feed: str) -> str:
    """What a sync of a delta feed says that found no file to load, and no chunk that the feed owes.

    Files are passed over that were loaded before, were given up, or hold no rows: the notes name each.
    """
    return f"There is nothing to load: the source of feed {feed} has nothing new."


def nothing_owed(run_id: str | None) -> str:
    """What a reprocess says that found nothing to load, of one run or, without its id, of all."""
    whose = f"run {run_id}" if run_id else "a feed in feeds.yaml"
    return f"There is nothing to load again: no chunk of {whose} is outstanding."


@dataclass(frozen=True)
class RunReport:
    """A run's totals, its chunks, and its open rejects by reason and column, most frequent first.

    A row with several faults is among the rows of each of their reasons. `places` says of each reason and column where
    its first rejects stand in the source, as `line 7` or `row 7`. `was_held` says that a limit had held the run before
    the execution that has just ended.
    """

    run: RunEntry
    summary: RunSummary
    chunks: list[ChunkEntry]
    reasons: list[tuple[str, str | None, int]]
    places: dict[tuple[str, str | None], list[str]] = field(default_factory=dict)
    was_held: bool = False

    @property
    def failed(self) -> list[ChunkEntry]:
        return [chunk for chunk in self.chunks if chunk.status == "failed"]

    def executed(self, seconds: float, rows: int, was_held: bool) -> RunReport:
        """The same report with what is known of the execution that has just ended."""
        pace = round(rows / seconds, 1) if seconds else 0.0
        summary = replace(self.summary, seconds=round(seconds, 3), rows_per_second=pace)
        return replace(self, summary=summary, was_held=was_held)

    @property
    def trouble(self) -> RunHeld | RunIncomplete | None:
        """What a run needs of a person, if nobody is at work on it: a limit tripped, chunks are outstanding, or the
        totals do not add up.
        """
        if not self.summary.adds_up:
            return RunIncomplete(
                f"The counts of run {self.run.run_id} do not add up to the {counted(self.summary.read, 'row')} read; "
                f"please report this with the output of `restock show {self.run.run_id} --json`."
            )
        if self.summary.status == "held":
            before = " It had been held before." if self.was_held else ""
            return RunHeld((self.run.reason or f"Run {self.run.run_id} is held.") + before, self.was_held)
        return RunIncomplete(self._what_is_left()) if self.summary.outstanding else None

    def verdict(self) -> None:
        """Say what a run that needs a person needs; be silent about one that is finished.

        Raises:
            RunHeld, RunIncomplete: its trouble.
        """
        if self.trouble is not None:
            raise self.trouble

    def _what_is_left(self) -> str:
        run_id, failed = self.run.run_id, self.failed
        again = f"`restock reprocess --run {run_id}`"
        if not failed:
            waiting = self.summary.chunks_planned - self.summary.chunks_loaded
            return f"Run {run_id} is incomplete: {counted(waiting, 'chunk')} still to be loaded; go on with {again}."
        reason = (failed[0].error or "").rstrip(".")
        share = f"{len(failed)} of {counted(len(self.chunks), 'chunk')} failed ({_numbers(failed)})"
        return (
            f"Run {run_id} is incomplete: {share}, the first with: {reason}; mend the cause, then load them again with "
            f"{again}."
        )


def read_report(history: History, run_id: str) -> RunReport:
    """The report of a run as the ledger knows it at this moment."""
    record = history.record(run_id)
    found: Counter[tuple[str, str | None]] = Counter()
    places: dict[tuple[str, str | None], list[str]] = {}
    for reject in record.rejects:
        place = f"row {reject.row}" if reject.line is None else f"line {reject.line}"
        for fault in reject.faults:
            if fault.code == "held_by":
                continue  # it tells of the one before it, and would be a second reason of the row
            reason = (fault.code, fault.column)
            found[reason] += 1
            if found[reason] <= PLACES_NAMED:
                places.setdefault(reason, []).append(place)
    reasons = [(code, column, rows) for (code, column), rows in found.most_common()]
    return RunReport(record.run, summary_of(record.run, record.chunks), record.chunks, reasons, places)


def _numbers(chunks: list[ChunkEntry]) -> str:
    named = ", ".join(str(chunk.number) for chunk in chunks[:CHUNKS_NAMED])
    return named if len(chunks) <= CHUNKS_NAMED else f"{named} and {len(chunks) - CHUNKS_NAMED} more"
