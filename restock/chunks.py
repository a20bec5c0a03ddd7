"""The nouns that travel: the address of a chunk, the chunk itself, its rejects, and what became of its rows."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime

    import pandas as pd

# Columns that a spooled row carries beside those of its source.
ROW = "_row"  # position of the row in its source, from 1
LINE = "_line"  # line of the file on which the row begins, from 1; null where a format has no lines
BYTE = "_byte"  # byte of the file, from 0, at which a row with a fault begins or cannot be decoded; else null
FAULT = "_fault"  # reason code of a row that could not be split or decoded
RAW = "_raw"  # the text of such a row as it stood in the file
SUPERSEDED = "_superseded"  # true for a row that lost to another one with its key
SPOOL_COLUMNS = (ROW, LINE, BYTE, FAULT, RAW, SUPERSEDED)


@dataclass(frozen=True)
class ChunkRef:
    """The small address of a chunk. Tasks pass refs, never frames.

    `token` is the fence of the lease under which the chunk was handed out. `was_cut_short` says that an attempt at it
    was begun and never ended: perhaps it ended its process.
    """

    run_id: str
    number: int
    spool_file: str
    first_row: int
    rows: int
    token: int
    was_cut_short: bool = False

    def __str__(self) -> str:
        return f"chunk {self.number} of run {self.run_id}"


@dataclass(frozen=True)
class PlannedChunk:
    """A chunk as it waits in the spool, before the ledger knows of it.

    It holds `rows` rows of its source from `first_row` on. Where the source was put in the order of its keys, it holds
    of them only those at the positions `unmoved`, and others in place of the rest.
    """

    number: int
    spool_file: str
    first_row: int
    rows: int
    unmoved: tuple[int, ...] | None = None

    def ref(self, run_id: str) -> ChunkRef:
        """Its address in a run; nobody has handed it out yet."""
        return ChunkRef(run_id, self.number, self.spool_file, self.first_row, self.rows, token=0)


@dataclass(frozen=True)
class Fault:
    """One reason why a row may not be loaded: its code, the attribute at fault and its value as text, shortened."""

    code: str
    column: str | None
    value: str | None


@dataclass(frozen=True)
class Reject:
    """One row that may not be loaded, with its reason and everything needed to mend it.

    `code`, `column` and `value` are those of its first fault, by which rejects are counted; `further` are the others.
    `original` holds the row's cells under the source's own column names; where it could not be split, these are None
    and its text stands under `_raw`. `byte` says where such a row begins in its file, or cannot be decoded.
    """

    row: int
    line: int | None
    code: str
    column: str | None
    value: str | None
    original: dict[str, str | None]
    byte: int | None = None
    further: tuple[Fault, ...] = ()

    @property
    def faults(self) -> tuple[Fault, ...]:
        """Everything that is wrong with the row, in the order of the model's columns."""
        return (Fault(self.code, self.column, self.value), *self.further)


@dataclass
class Chunk:
    """The rows of one transaction, cast to the contract, with what was decided about the others.

    `frame` is indexed by row position and holds one column per mapped attribute. `raw` is the frame as it was spooled,
    under the same positions: the sink takes from it the original of a row that only the database can refuse.
    `left_out` are the positions of skipped rows that have no key, where the database would make one.
    """

    ref: ChunkRef
    frame: pd.DataFrame
    raw: pd.DataFrame
    rejects: list[Reject] = field(default_factory=list)
    skipped: int = 0
    superseded: int = 0
    left_out: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class WriteCounts:
    """What became of the rows of a chunk. The numbers add up to the rows of the chunk."""

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    superseded: int = 0
    stale: int = 0
    rejected: int = 0
    skipped: int = 0

    @property
    def total(self) -> int:
        return sum(getattr(self, name) for name in COUNTERS)

    def __add__(self, other: WriteCounts) -> WriteCounts:
        return WriteCounts(*(getattr(self, name) + getattr(other, name) for name in COUNTERS))

    def __sub__(self, other: WriteCounts) -> WriteCounts:
        return WriteCounts(*(getattr(self, name) - getattr(other, name) for name in COUNTERS))


# What may become of a row, in the order in which people are told: once its chunk is loaded, and of any row of a run.
COUNTERS = tuple(each.name for each in fields(WriteCounts))
OUTCOMES = (*COUNTERS, "abandoned", "outstanding")
# The states of a chunk in which its rows are outstanding.
OUTSTANDING = ("planned", "loading", "failed")


@dataclass(frozen=True)
class RunSummary:
    """The totals of a run, whatever number of executions it took.

    `seconds` and `rows_per_second` are those of the execution that made the summary, and 0 in a report from the ledger.
    """

    run_id: str
    feed: str
    source: str
    generation: int
    status: str
    read: int
    inserted: int
    updated: int
    unchanged: int
    superseded: int
    stale: int
    rejected: int
    skipped: int
    abandoned: int
    outstanding: int
    chunks_planned: int
    chunks_loaded: int
    chunks_failed: int
    seconds: float = 0.0
    rows_per_second: float = 0.0

    @property
    def adds_up(self) -> bool:
        """Whether every row that was read is accounted for exactly once."""
        return self.read == sum(getattr(self, name) for name in OUTCOMES)

    def as_dict(self) -> dict[str, Any]:
        """The summary under the keys that `--json` promises, in their order."""
        return asdict(self)


@dataclass(frozen=True)
class ChunkEntry:
    """One chunk as the ledger holds it."""

    number: int
    status: str
    attempts: int
    rows: int
    counts: WriteCounts
    error: str | None
    loaded_at: datetime | None

    @property
    def is_outstanding(self) -> bool:
        """Whether its rows are still to be loaded."""
        return self.status in OUTSTANDING
