"""What a door may show while a run goes on. The door decides how; the order decides when."""

from __future__ import annotations

from flows.runs.reports import RunReport
from restock.chunks import ChunkRef, WriteCounts
from restock.errors import ChunkFailed, TargetBusy


class Progress:
    """Shows nothing. Doors override what they show."""

    def waiting(self, busy: TargetBusy) -> None:
        """Another run owns the target, and it is waited for."""
        self.note(f"{busy} Waiting …")

    def reading(self, rows: int) -> None:
        """So many more rows of the source were read and spooled."""

    def loading(self, feed: str, refs: list[ChunkRef]) -> None:
        """Chunks of a feed are about to be loaded."""

    def loaded(self, ref: ChunkRef, outcome: WriteCounts | ChunkFailed) -> None:
        """A chunk was loaded, or failed."""

    def ended(self, report: RunReport) -> None:
        """An execution of a run has come to its end, whatever comes after it."""

    def note(self, sentence: str) -> None:
        """Something a person should know that is no error."""
