"""What a source has to pass before anything of it is entered in the ledger."""

from __future__ import annotations

from datetime import datetime

from restock.errors import AlreadyServed, ConfigurationError, RunHeld
from restock.feeds import Feed
from restock.wording import counted
from sinks.flask_sink import FlaskSink
from sinks.ledger.entries import RunEntry
from sinks.ledger.history import FeedRuns, History
from sources.places.locations import SourceFile, content_of, fingerprint


def refuse_late(feed: Feed, past: FeedRuns, files: list[SourceFile], due: datetime | None) -> None:
    """After an outage every missed night of a schedule is due at once; the first that comes serves them all.

    Raises:
        AlreadyServed: the run comes late, and its content has been loaded since it was due.
    """
    newest = past.newest
    if due is None or newest is None or not newest.status.startswith("completed"):
        return
    if newest.started_at >= due and newest.fingerprint == fingerprint(files, feed):
        raise AlreadyServed(
            f"This run of feed {feed.name} was due at {due:%Y-%m-%d %H:%M} UTC, and run {newest.run_id} has "
            "loaded the same content since then; nothing is left to do."
        )


def refuse_overtaken(feed: Feed, past: FeedRuns, run: RunEntry) -> None:
    """Only a version column lets an older run come after a newer one; a feed may have lost its own meanwhile.

    Raises:
        ConfigurationError: what the run still owes would be written over what a newer one brought.
    """
    newest, is_owing = past.newest, run.run_id in past.owing
    if feed.version_column is None and is_owing and newest is not None and newest.run_id != run.run_id:
        raise ConfigurationError(
            f"Run {run.run_id} of feed {feed.name} owes chunks that are older than run {newest.run_id}, and the feed "
            "has no version_column any more that keeps newer rows; give it back, or give the chunks up with "
            f"`restock abandon {run.run_id}`."
        )


def refuse_moved(sink: FlaskSink, run: RunEntry | None) -> None:
    """What a run did to one table says nothing of another, and what it owes belongs into the first.

    Raises:
        ConfigurationError: the feed lands in another table than that of the run, which is still there.
    """
    if run is not None and not sink.is_target_of(run):
        raise ConfigurationError(
            f"Feed {run.feed} has brought run {run.run_id} into the table {run.target}, and lands in the table "
            f"{sink.target.name} now, of which its history says nothing; undo that change, or bring the source into "
            "the new table under another feed's name."
        )


def refuse_other_rows(feed: Feed, past: FeedRuns, files: list[SourceFile], history: History) -> None:
    """A row without a key is known by its place in its content, and what makes rows of that decides the places.

    Raises:
        ConfigurationError: the same bytes were other rows when some of them were inserted.
    """
    content, today = content_of(files), fingerprint(files, feed)
    others = [run.run_id for run in past.all if run.content == content and run.fingerprint != today]
    if others and history.has_inserted(others):
        raise ConfigurationError(
            f"Feed {feed.name} now makes other rows of a content that it has brought in before (run {others[0]}): what "
            "`csv:` says of encoding, lines, header, quotes or delimiter has changed. Rows without a key are known by "
            "their place, so some would be inserted twice; undo that change, or take those rows out of the table and "
            "give the feed another name."
        )


def refuse_small(feed: Feed, past: FeedRuns, rows: int) -> None:
    """Nothing of a source that must have been cut short, or exported from nothing, is entered anywhere.

    Raises:
        RunHeld: it has fewer rows than `min_rows` demands.
    """
    limit, last = feed.min_rows, past.last_completed
    if limit is None or not limit.is_missed(rows, last.read if last is not None else 0):
        return
    share = f" of the {last.read:,} that run {last.run_id} read" if limit.share is not None and last is not None else ""
    raise RunHeld(
        f"The source of feed {feed.name} has {counted(rows, 'row')}, and min_rows demands {limit}{share}; nothing was "
        "written. Have it exported again, or, if it is right, bring it in with `--force` (in Prefect's form: `force`)."
    )
