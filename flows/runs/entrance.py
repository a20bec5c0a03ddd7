"""Where sources come in while the lease of their target is held: what is known of them, and how they are entered."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime

from flows.runs.admission_checks import refuse_moved, refuse_other_rows, refuse_small
from flows.runs.door import Door
from flows.runs.loading import load_run
from flows.runs.progress import Progress
from flows.runs.reports import RunReport
from flows.runs.spooling import spool_source
from flows.runs.workplace import Workplace
from restock.errors import ConfigurationError, LeaseLost, RunHeld
from restock.feeds import Feed
from restock.wording import counted
from sinks.flask_sink import FlaskSink
from sinks.ledger.entries import Admission
from sinks.ledger.history import FeedRuns, History
from sinks.ledger.lease import Lease
from sources.extract import Extraction
from sources.places.locations import SourceFile, content_of, fingerprint
from transforms.apply import code_digest


@dataclass(frozen=True)
class Entrance:
    """What a feed needs to bring sources in, and the steps of that; the order of them is told by its kind."""

    place: Workplace
    sink: FlaskSink
    lease: Lease
    history: History
    door: Door

    @property
    def feed(self) -> Feed:
        """The feed that comes in."""
        return self.sink.feed

    @property
    def progress(self) -> Progress:
        """What the door shows."""
        return self.door.progress

    def past(self) -> FeedRuns:
        """The runs of the feed. What processes did not come to after the last chunk is done: a run's end, its spool."""
        past = self.runs()
        finished = {run.run_id: run for run in past.all if run.run_id not in past.owing}
        for run_id in finished.keys() & self.place.spool.runs():
            self.place.spool.of(run_id).remove()
        cut_short = [run_id for run_id, run in finished.items() if run.status == "incomplete"]
        for run_id in cut_short:
            self.sink.ledger.settle(run_id)
        return self.runs() if cut_short else past

    def runs(self) -> FeedRuns:
        """The runs of the feed as they are now."""
        return self.history.runs_of(self.feed.name)

    def resumed(self, files: list[SourceFile], past: FeedRuns) -> str | None:
        """The run of a full feed that goes on, if there is one and the spool still has what it owes."""
        run_id = _resumable(self.feed, files, past)
        if run_id is None:
            return None
        left = self.history.outstanding(run_id, self.lease)
        if not all(self.place.spool.has(ref) for ref in left):
            self.progress.note(f"The spool has lost chunks of run {run_id}, so the feed is begun anew.")
            return None
        chunks = len(self.history.chunks(run_id))
        self.progress.note(
            f"Run {run_id} of the same content goes on: {len(left)} of its {counted(chunks, 'chunk')} left."
        )
        return run_id

    def admit(self, files: list[SourceFile], past: FeedRuns) -> str:
        """Spool a source whole, then enter it in the ledger with all its chunks."""
        feed, run_id = self.feed, new_run_id()
        spool = self.place.spool.of(run_id)
        extraction = spool_source(self.sink, files, spool, self.progress)
        # Older content may no longer be written over newer, unless a version column guards each row.
        supersedes = feed.kind == "full" and feed.version_column is None
        try:
            self._refuse_unfit(extraction, files, past)
            admission = _admission(run_id, feed, files, past, extraction)
            overtaken = self.sink.ledger.admit(self.lease, admission, extraction.chunks, supersedes)
        except (RunHeld, ConfigurationError, LeaseLost):
            # Surely not admitted. After other trouble it may be, and then it needs its spool.
            spool.forget()
            raise
        if spool.superseded_file.exists():
            self.progress.note(f"`restock superseded {run_id}` lists them all.")
        for older in overtaken:
            self.place.spool.of(older).remove()
        return run_id

    def _refuse_unfit(self, extraction: Extraction, files: list[SourceFile], past: FeedRuns) -> None:
        refuse_small(self.feed, past, extraction.rows)
        if extraction.keyless and self.sink.target.inserts_keyless:
            refuse_moved(self.sink, past.newest)
            refuse_other_rows(self.feed, past, files, self.history)

    def load(self, run_id: str) -> RunReport:
        """Load what a run owes."""
        report = load_run(self.sink, self.lease, run_id, self.door)
        if not report.summary.outstanding:
            self.place.spool.of(run_id).remove()
        return report


def _admission(run_id: str, feed: Feed, files: list[SourceFile], past: FeedRuns, extraction: Extraction) -> Admission:
    newest, content = past.newest, fingerprint(files, feed)
    is_same = newest is not None and newest.fingerprint == content
    return Admission(
        run_id=run_id,
        feed=feed.name,
        kind=feed.kind,
        generation=1 if newest is None else newest.generation if is_same else newest.generation + 1,
        fingerprint=content,
        code_digest=code_digest(feed),
        source=named(files),
        ignored_columns=extraction.ignored_columns,
        content=content_of(files),
    )


def named(files: list[SourceFile]) -> str:
    """What the ledger calls a source."""
    return ", ".join(file.name for file in files)[:500]


def _resumable(feed: Feed, files: list[SourceFile], past: FeedRuns) -> str | None:
    """The feed's newest run, if it is unfinished and nothing about it has changed since."""
    newest = past.newest
    if newest is None or newest.run_id not in past.owing:
        return None
    same = newest.fingerprint == fingerprint(files, feed) and newest.code_digest == code_digest(feed)
    return newest.run_id if same else None


def new_run_id() -> str:
    """A globally unique id that sorts by time and can be read aloud."""
    now = datetime.now(UTC)
    alphabet = "23456789abcdefghjkmnpqrstvwxyz"
    tail = "".join(secrets.choice(alphabet) for _ in range(6))
    return f"{now:%Y%m%d-%H%M%S}-{now.microsecond // 1000:03d}-{tail}"
