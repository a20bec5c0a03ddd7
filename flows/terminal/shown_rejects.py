"""The rejects of a run as people are shown them: with the key that their source gave them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from flows.runs.databases import FoundRun
from restock.feeds import Feed
from sinks.ledger.entries import RejectEntry


@dataclass(frozen=True)
class ShownReject:
    """A reject, and the cells that are its key in the source; None where it has none, or a transform makes the key."""

    entry: RejectEntry
    key: str | None

    def as_dict(self) -> dict[str, Any]:
        """The reject as plain values: its place, all its faults and the row as its source wrote it."""
        entry = self.entry
        place = {"chunk": entry.chunk, "row": entry.row, "line": entry.line, "byte": entry.byte, "key": self.key}
        return {**place, "faults": [asdict(fault) for fault in entry.faults], "original": entry.original}


def shown_rejects(found: FoundRun) -> list[ShownReject]:
    """The open rejects of a run."""
    sink = found.sink
    rejects = found.history.rejects(found.run.run_id)
    return [ShownReject(each, _key_of(each, sink.feed, sink.target.key)) for each in rejects]


def _key_of(reject: RejectEntry, feed: Feed, key: tuple[str, ...]) -> str | None:
    columns = [feed.source_column_of(name) for name in key]
    cells = [None if column is None else reject.original.get(column) for column in columns]
    return ", ".join(cell for cell in cells if cell is not None) or None
