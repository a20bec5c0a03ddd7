"""What a source has to pass before anything of it is entered in the ledger."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from restock.errors import AlreadyServed, RunHeld
from restock.feeds import Feed
from sinks.history import History
from sources.locations import SourceFile, fingerprint


@dataclass(frozen=True)
class Checks:
    """The checks of an admission: each rule is a method, called where what it asks for is known."""

    feed: Feed
    history: History

    def before_reading(self, steps: list[list[SourceFile]], due: datetime | None) -> None:
        """Check what can be told before the source is read.

        Raises:
            AlreadyServed: the run comes late, and its content has been loaded since it was due.
        """
        self._is_still_due(steps, due)

    def before_entering(self, rows: int) -> None:
        """Check what is known once the source has been read.

        Raises:
            RunHeld: it has fewer rows than `min_rows` demands.
        """
        self._is_large_enough(rows)

    def _is_still_due(self, steps: list[list[SourceFile]], due: datetime | None) -> None:
        """After an outage every missed night of a schedule is due at once; the first that comes serves them all."""
        newest = self.history.newest(self.feed.name)
        if due is None or newest is None or len(steps) > 1 or not newest.status.startswith("completed"):
            return
        if newest.started_at >= due and newest.fingerprint == fingerprint(steps[0], self.feed):
            raise AlreadyServed(
                f"This run of feed {self.feed.name} was due at {due:%Y-%m-%d %H:%M} UTC, and run {newest.run_id} has "
                "loaded the same content since then; nothing is left to do."
            )

    def _is_large_enough(self, rows: int) -> None:
        """Nothing of a source that must have been cut short, or exported from nothing, is entered anywhere."""
        limit, name = self.feed.min_rows, self.feed.name
        if limit is None:
            return
        last = next((run for run in self.history.runs(name) if run.status.startswith("completed")), None)
        of = last.read if last is not None else 0
        if limit.is_missed(rows, of):
            share = (
                f" of the {of:,} that run {last.run_id} read" if limit.share is not None and last is not None else ""
            )
            raise RunHeld(
                f"The source of feed {name} has {rows:,} rows, and min_rows demands {limit}{share}; nothing was "
                "written. Have it exported again, or, if it is right, go on with --force."
            )
