"""Brings a feed in: what is looked at first, who may write, and then a full feed as one run or a delta file by file."""

from __future__ import annotations

from flows.runs.admission_checks import refuse_late
from flows.runs.choices import Choices
from flows.runs.deltas import bring_in_files
from flows.runs.door import Door
from flows.runs.entrance import Entrance
from flows.runs.owning import own_target
from flows.runs.reports import RunReport
from flows.runs.workplace import Workplace
from restock.feeds import Feed
from sinks.flask_sink import open_sink
from sinks.ledger.history import History
from sources.places.locations import SourceFile, find_source
from transforms.apply import check_rules

AS_USUAL = Choices()


def sync(place: Workplace, feed: Feed, door: Door, choices: Choices = AS_USUAL) -> list[RunReport]:
    """Bring a feed in and load it: a full feed as one run, each new file of a delta feed as a run of its own, in order.

    Args:
        door: how the run comes in.
        choices: what was decided for it.

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
    with own_target(sink.ledger, door, feed.name if choices.file is None else None) as owned:
        if owned.was_waited_for:  # perhaps for an hour, in which files come and change
            files = find_source(feed, place.settings, choices.file)
        entrance = Entrance(place, sink, owned.lease, History(sink.database), door)
        if feed.kind == "delta":
            return bring_in_files(entrance, files, are_asked_for=choices.file is not None)
        return [_bring_in_whole(entrance, files, choices)]


def _bring_in_whole(entrance: Entrance, files: list[SourceFile], choices: Choices) -> RunReport:
    """Load all files as one run, or go on with the one that was interrupted."""
    past = entrance.past()
    refuse_late(entrance.feed, past, files, choices.due)
    resumed = None if choices.fresh else entrance.resumed(files, past)
    return entrance.load(resumed or entrance.admit(files, past))
