"""Tells the app which rows were committed: the answer to bulk methods that fire no events."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any

from restock.chunks import ChunkRef
from restock.feeds import Feed
from restock.references import place_of
from restock.signals import rows_loaded
from sinks.database.app_database import AppDatabase
from sinks.rows.changes import Changes, Key

log = logging.getLogger("restock")


def is_anybody_listening() -> bool:
    """Whether keys are worth collecting: a chunk does not pay for what nobody hears."""
    return bool(rows_loaded.receivers)


@dataclass
class WrittenKeys:
    """The primary keys that the latest attempt at a chunk wrote. Those of a failed attempt are forgotten."""

    inserted: list[Any] = field(default_factory=list)
    updated: list[Any] = field(default_factory=list)

    def note(self, written: Changes, inserted: list[Key]) -> None:
        """Remember the keys of what this attempt wrote."""
        if is_anybody_listening():
            self.inserted, self.updated = _plain(inserted), _plain(list(written.updates.values()))

    def announce(self, database: AppDatabase, feed: Feed, ref: ChunkRef) -> None:
        """Send the keys of a chunk that is committed to every receiver, whatever one of them does."""
        if not is_anybody_listening() or not (self.inserted or self.updated):
            return
        with database.app.app_context():
            for receiver in rows_loaded.receivers_for(database.app):
                try:
                    receiver(
                        database.app,
                        feed=feed.name,
                        run_id=ref.run_id,
                        model=database.model,
                        inserted=list(self.inserted),
                        updated=list(self.updated),
                    )
                except Exception as error:
                    # The rows are committed: what a listener makes of them can no longer change that.
                    log.error(
                        "A receiver of rows_loaded raised %s in %s after %s was committed; the rows are in the table.",
                        type(error).__name__,
                        place_of(error),
                        ref,
                    )


def _plain(keys: list[Key]) -> list[Any]:
    """Keys of one column as values, of several as tuples."""
    return [key[0] if len(key) == 1 else key for key in keys]
