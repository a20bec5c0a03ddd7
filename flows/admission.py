"""Brings a feed in: who may write, whether an older run goes on or a new one is admitted, and then its chunks."""

from __future__ import annotations

import secrets
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from flows.admission_checks import refuse_late, refuse_moved, refuse_other_rows, refuse_overtaken, refuse_small
from flows.choices import Choices
from flows.loading import Loader, load_run
from flows.progress import Progress
from flows.reports import RunReport
from flows.spooling import spool_source
from flows.workplace import Workplace
from restock.errors import ConfigurationError, LeaseLost, RestockError, RunHeld, RunIncomplete, TargetBusy
from restock.feeds import Feed
from sinks.flask_sink import FlaskSink, open_sink
from sinks.history import FeedRuns, History
from sinks.lease import Lease, keeping, take_lease
from sinks.ledger_entries import Admission
from sources.locations import SourceFile, content_of, find_source, fingerprint, former_fingerprints
from transforms.apply import check_rules, code_digest

AS_USUAL = Choices()


def sync(
    place: Workplace, feed: Feed, loader: Loader, progress: Progress, choices: Choices = AS_USUAL, wait: float = 0.0
) -> list[RunReport]:
    """Bring a feed in and load it: a full feed as one run, each new file of a delta feed as a run of its own, in order.

    Args:
        choices: what was decided for this run.
        wait: seconds to wait for a target that another run owns.

    Returns:
        The reports of the runs, in their order; the last one may need a person. None where no file of a delta is new.

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
    with own_target(sink, progress, wait, feed.name if choices.file is None else None) as lease:
        if lease.was_waited_for:  # perhaps for an hour, in which files come and change
            files = find_source(feed, place.settings, choices.file)
        entrance = _Entrance(place, sink, lease, History(sink.database), loader, progress)
        return entrance.full(files, choices) if feed.kind == "full" else entrance.delta(files, choices)


@dataclass(frozen=True)
class _Entrance:
    """Where sources come in while the lease of their target is held."""

    place: Workplace
    sink: FlaskSink
    lease: Lease
    history: History
    loader: Loader
    progress: Progress

    def full(self, files: list[SourceFile], choices: Choices) -> list[RunReport]:
        """Load all files as one run, or go on with the one that was interrupted."""
        past = self._past([files])
        refuse_late(self.sink.feed, past, files, choices.due)
        resumed = None if choices.fresh else self._resumed(files, past)
        return [self._load(resumed or self._admit(files, past))]

    def delta(self, files: list[SourceFile], choices: Choices) -> list[RunReport]:
        """Load what older runs still owe, then each new file. One that the run's choices name is loaded in any case.

        A file that fails stops the next; with a version column it does not, for it may come late.
        """
        past = self._past([[file] for file in files])
        refuse_moved(self.sink, past.newest)
        _refuse_namesakes(self.sink.feed, files)
        new = self._new(files, past, are_asked_for=choices.file is not None)
        reports = self._load_older(past, new)
        try:
            for file in new:
                reports.append(self._load(self._admit([file], self._runs())))
                if reports[-1].summary.outstanding and self.sink.feed.version_column is None:
                    break
        except RestockError:
            for each in reports:  # which the caller does not get
                self.progress.note(f"{each.run.source} came before, as run {each.run.run_id}: {each.summary.status}.")
            raise
        return reports

    def _resumed(self, files: list[SourceFile], past: FeedRuns) -> str | None:
        """The run of a full feed that goes on, if there is one and the spool still has what it owes."""
        run_id = _resumable(self.sink.feed, files, past)
        if run_id is None or all(self.place.spool.has(ref) for ref in self.history.outstanding(run_id, self.lease)):
            return run_id
        self.progress.note(f"The spool has lost chunks of run {run_id}, so the feed is begun anew.")
        return None

    def _past(self, sources: list[list[SourceFile]]) -> FeedRuns:
        """The runs of the feed. What processes did not come to after the last chunk is done: a run's end, its spool."""
        past = self._know_again(sources, self._runs())
        finished = {run.run_id: run for run in past.all if run.run_id not in past.owing}
        for run_id in finished.keys() & self.place.spool.runs():
            self.place.spool.remove_run(run_id)
        cut_short = [run_id for run_id, run in finished.items() if run.status == "incomplete"]
        for run_id in cut_short:
            self.sink.ledger.settle(run_id)
        return self._runs() if cut_short else past

    def _know_again(self, sources: list[list[SourceFile]], past: FeedRuns) -> FeedRuns:
        """The runs of the feed, also those that an older restock entered under another fingerprint."""
        feed, old = self.sink.feed, {run.fingerprint for run in past.all if run.content is None}
        known = False
        for files in sources if old else []:
            values = {"fingerprint": fingerprint(files, feed), "content": content_of(files)}
            for former in old.intersection(former_fingerprints(files, feed)):
                self.sink.ledger.know_again(self.lease, feed.name, former, values)
                known = True
        return self._runs() if known else past

    def _runs(self) -> FeedRuns:
        return self.history.runs_of(self.sink.feed.name)

    def _new(self, files: list[SourceFile], past: FeedRuns, are_asked_for: bool) -> list[SourceFile]:
        """The files of a delta feed that are to be loaded: not those that were, unless somebody asks for them.

        A file is known by its name and its content: the same changes may come again under another name, or after
        others.
        """
        newest_of = {run.source: run for run in reversed(past.all)}
        new: list[SourceFile] = []
        for file in files:
            run = newest_of.get(_named([file]))
            if run is None or run.content != content_of([file]):
                new.append(file)
            elif run.run_id not in past.owing:
                new += [file] if are_asked_for else []
                now = "loaded again" if are_asked_for else "skipped"
                self.progress.note(f"{file.name} was {past.fate_of(run)} and is {now}.")
        return new

    def _load(self, run_id: str) -> RunReport:
        report = load_run(self.sink, self.lease, run_id, self.loader, self.progress)
        if not report.summary.outstanding:
            self.place.spool.remove_run(run_id)
        return report

    def _load_older(self, past: FeedRuns, new: list[SourceFile]) -> list[RunReport]:
        """What older runs of a delta still owe comes before anything new; without versions nothing may overtake it."""
        feed, reports = self.sink.feed, []
        for run in past.unfinished:
            refuse_overtaken(feed, past, run)
            reports.append(report := self._load(run.run_id))
            if not report.summary.outstanding:
                continue
            if feed.version_column is not None:
                self.progress.note(
                    f"Run {run.run_id} is still {report.summary.status}; `restock show {run.run_id}` says why."
                )
                continue
            if not new:
                break
            if report.summary.status == "held":
                report.verdict()
            numbers = ", ".join(str(chunk.number) for chunk in report.failed)
            raise RunIncomplete(
                f"Nothing new was read: feed {feed.name} is applied in order, and chunks of run {run.run_id} still "
                f"fail ({numbers}); mend their cause, or give them up with `restock abandon {run.run_id}`."
            )
        return reports

    def _admit(self, files: list[SourceFile], past: FeedRuns) -> str:
        """Spool a source whole, then enter it in the ledger with all its chunks."""
        feed, run_id = self.sink.feed, new_run_id()
        extraction = spool_source(self.sink, files, self.place.spool, run_id, self.progress)
        try:
            refuse_small(feed, past, extraction.rows)
            if extraction.keyless and self.sink.target.inserts_keyless:
                refuse_moved(self.sink, past.newest)
                refuse_other_rows(feed, past, files, self.history)
        except (RunHeld, ConfigurationError):
            self.place.spool.forget(run_id)
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
            source=_named(files),
            ignored_columns=extraction.ignored_columns,
            content=content_of(files),
        )
        # Older content may no longer be written over newer, unless a version column guards each row.
        supersedes = feed.kind == "full" and feed.version_column is None
        try:
            overtaken = self.sink.ledger.admit(self.lease, admission, extraction.chunks, supersedes)
        except (ConfigurationError, LeaseLost):
            # Surely not admitted. After other trouble it may be, and then it needs its spool.
            self.place.spool.forget(run_id)
            raise
        if self.place.spool.superseded_file(run_id).exists():
            self.progress.note(f"`restock superseded {run_id}` lists them all.")
        for older in overtaken:
            self.place.spool.remove_run(older)
        return run_id


@contextmanager
def own_target(sink: FlaskSink, progress: Progress, wait: float, brings_in: str | None = None) -> Iterator[Lease]:
    """Hold the lease of the sink's target while the block lasts; wait for another owner for so many seconds.

    Args:
        brings_in: the feed whose source is brought in meanwhile; none where chunks, mended rows or one file are loaded.

    Raises:
        TargetBusy: the other run has not ended in time.
    """
    until, is_waiting = time.monotonic() + wait, False
    while True:
        try:
            lease = replace(take_lease(sink.database, sink.target.name, brings_in), was_waited_for=is_waiting)
            break
        except TargetBusy as busy:
            if time.monotonic() >= until:
                raise
            is_waiting = True
            progress.waiting(busy)
            time.sleep(min(1.0, max(0.0, until - time.monotonic())))
    with keeping(sink.database, lease):
        yield lease


def _refuse_namesakes(feed: Feed, files: list[SourceFile]) -> None:
    names = Counter(_named([file]) for file in files)
    twice = next((name for name, times in names.items() if times > 1), None)
    if twice is not None:
        raise ConfigurationError(
            f"Feed {feed.name} has several files called {twice}, in different folders of RESTOCK_SOURCE_ROOTS or from "
            "different queries of one address; a delta feed knows its files by name, so rename one, or give each a "
            "feed of its own."
        )


def _named(files: list[SourceFile]) -> str:
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
