"""What a door lends to the run that comes in by it: how chunks are loaded, what is shown, and how long it waits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from flows.runs.progress import Progress
from restock.chunks import ChunkRef, WriteCounts
from restock.errors import ChunkFailed
from restock.feeds import Feed

Outcome = WriteCounts | ChunkFailed
# Loads chunks of a feed, wherever that happens, and tells what became of each.
Loader = Callable[[Feed, list[ChunkRef]], Iterator[tuple[ChunkRef, Outcome]]]


@dataclass(frozen=True)
class Door:
    """The terminal command or a Prefect flow, as a run sees it.

    `wait` are the seconds that a target is waited for which another run owns. `waits_for_own_feed` says that this holds
    for a run too that brings in the same feed, and so what this one would have.
    """

    load: Loader
    progress: Progress = field(default_factory=Progress)
    wait: float = 0.0
    waits_for_own_feed: bool = True
