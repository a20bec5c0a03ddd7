"""Brings the files of a delta feed in: in their order, each new one as a run of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from flows.runs.admission_checks import refuse_moved, refuse_overtaken
from flows.runs.entrance import Entrance, named
from flows.runs.reports import RunReport
from flows.runs.spooling import QUIET
from restock.errors import ConfigurationError, NoRows, RestockError, RunIncomplete
from restock.feeds import Feed
from sinks.ledger.history import FeedRuns
from sources.places.locations import SourceFile, content_of


def bring_in_files(entrance: Entrance, files: list[SourceFile], are_asked_for: bool) -> list[RunReport]:
    """Load what older runs still owe, then each new file. One that somebody asks for is loaded in any case.

    Raises:
        RestockError: one of them stopped the others; those that came before are named.
    """
    past = entrance.past()
    refuse_moved(entrance.sink, past.newest)
    _refuse_namesakes(entrance.feed, files)
    new = _new(entrance, files, past, are_asked_for)
    reports: list[RunReport] = []
    try:
        for report in _in_order(entrance, past, new):
            reports.append(report)
    except RestockError:
        for each in reports:  # which the caller does not get
            entrance.progress.note(f"{each.run.source} came before, as run {each.run.run_id}: {each.summary.status}.")
        raise
    return reports


def _in_order(entrance: Entrance, past: FeedRuns, new: list[SourceFile]) -> Iterator[RunReport]:
    """A file that fails stops the next; with a version column it does not, for it may come late."""
    yield from _older(entrance, past, bool(new))
    for file in new:
        try:
            run_id = entrance.admit([file], entrance.runs())
        except NoRows:
            if not entrance.feed.may_be_quiet:
                raise
            entrance.progress.note(QUIET.format(source=file.name))
            continue
        report = entrance.load(run_id)
        yield report
        if report.summary.outstanding and entrance.feed.version_column is None:
            return


def _older(entrance: Entrance, past: FeedRuns, is_any_new: bool) -> Iterator[RunReport]:
    """What older runs still owe comes before anything new; without versions nothing may overtake it."""
    feed = entrance.feed
    for run in past.unfinished:
        refuse_overtaken(feed, past, run)
        report = entrance.load(run.run_id)
        if report.summary.outstanding and feed.version_column is not None:
            told = f"Run {run.run_id} is still {report.summary.status}; `restock show {run.run_id}` says why."
            entrance.progress.note(told)
        elif report.summary.outstanding and is_any_new:
            _refuse_new(feed, report)
        yield report


def _refuse_new(feed: Feed, report: RunReport) -> None:
    if report.summary.status == "held":
        report.verdict()
    run_id, numbers = report.run.run_id, ", ".join(str(chunk.number) for chunk in report.failed)
    raise RunIncomplete(
        f"Nothing new was read: feed {feed.name} is applied in order, and chunks of run {run_id} still fail "
        f"({numbers}); mend their cause, or give them up with `restock abandon {run_id}`."
    )


def _new(entrance: Entrance, files: list[SourceFile], past: FeedRuns, are_asked_for: bool) -> list[SourceFile]:
    """The files that are to be loaded: not those that were, unless somebody asks for them.

    A file is known by its name and its content: the same changes may come again under another name, or after others.
    """
    newest_of = {run.source: run for run in reversed(past.all)}
    new: list[SourceFile] = []
    for file in files:
        run = newest_of.get(named([file]))
        if run is None or run.content != content_of([file]):
            new.append(file)
        elif run.run_id not in past.owing:
            new += [file] if are_asked_for else []
            now = "loaded again" if are_asked_for else "skipped"
            entrance.progress.note(f"{file.name} was {past.fate_of(run)} and is {now}.")
    return new


def _refuse_namesakes(feed: Feed, files: list[SourceFile]) -> None:
    names = Counter(named([file]) for file in files)
    twice = next((name for name, times in names.items() if times > 1), None)
    if twice is not None:
        raise ConfigurationError(
            f"Feed {feed.name} has several files called {twice}, in different folders of RESTOCK_SOURCE_ROOTS or from "
            "different queries of one address; a delta feed knows its files by name, so rename one, or give each a "
            "feed of its own."
        )
