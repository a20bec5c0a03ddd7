"""What looking at a feed has found: what a sync of it would meet, and what it would come to."""

from __future__ import annotations

from bisect import insort
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

from restock.chunks import WriteCounts
from restock.errors import ConfigurationError, RunHeld, RunIncomplete
from restock.wording import counted

# So many rows are told of each kind.
SAMPLES = 5
# What may become of an accepted row in the table.
FATES = ("inserted", "updated", "unchanged", "stale")


@dataclass(frozen=True)
class Sample:
    """Where one row stands: its position in the source, its line in the file, and the value at fault."""

    row: int
    line: int | None
    value: str | None = None

    @property
    def shown(self) -> str | None:
        """The value for people, if there is one."""
        return None if self.value is None else repr(self.value)


@dataclass
class Reason:
    """One reason for rejects: the attribute at fault if it is one, the number of rows, and the first of them."""

    code: str
    column: str | None
    rows: int = 0
    samples: list[Sample] = field(default_factory=list)


@dataclass
class ChangedValue:
    """A value that a row would change, and the row's place."""

    row: int
    line: int | None
    stored: str | None
    sent: str | None

    @property
    def shown(self) -> str:
        """The two values for people."""
        return " → ".join("NULL" if value is None else repr(value) for value in (self.stored, self.sent))


Placed = TypeVar("Placed", Sample, ChangedValue)


def keep_first(samples: list[Placed], one: Placed) -> None:
    """Keep another row if it is among the first in the source: where this is in no order, chunks are of another."""
    insort(samples, one, key=lambda each: each.row)
    del samples[SAMPLES:]


@dataclass
class ChangedColumn:
    """An attribute that rows would change: of how many, and some of them in the order of their source."""

    column: str
    rows: int = 0
    samples: list[ChangedValue] = field(default_factory=list)


@dataclass
class InTable:
    """What would become of the accepted rows in the table, as it is now, and which attributes would change."""

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    stale: int = 0
    changed: list[ChangedColumn] = field(default_factory=list)

    def add(self, counts: WriteCounts) -> None:
        """Count the rows of another chunk."""
        for fate in FATES:
            setattr(self, fate, getattr(self, fate) + getattr(counts, fate))

    def column(self, name: str) -> ChangedColumn:
        """What is known of an attribute that rows would change."""
        known = next((each for each in self.changed if each.column == name), None)
        if known is None:
            self.changed.append(known := ChangedColumn(name))
        return known


@dataclass
class Check:
    """What a sync of one source would meet. Of what only the database can know, no more is in it than that all rows
    are new to an empty table, unless the source was compared with the table: then `in_table` tells of that.

    `read` is the sum of `accepted`, `rejected`, `skipped`, `superseded` and `outstanding` (the rows of chunks that
    would fail). `lacking` are attributes that a new row needs and the feed does not fill. `trouble` says which chunks
    would fail and why, `held` which limit would hold the run. `reasons` also tell of the rows in chunks that would fail
    for their limit. `doubtful` are accepted rows whose text looks damaged, by the codes of `DOUBTS`.
    `unfit` says why a sync would refuse the table.
    """

    feed: str
    source: str
    read: int = 0
    accepted: int = 0
    rejected: int = 0
    skipped: int = 0
    superseded: int = 0
    outstanding: int = 0
    reasons: list[Reason] = field(default_factory=list)
    doubtful: list[Reason] = field(default_factory=list)
    superseded_samples: list[Sample] = field(default_factory=list)
    ignored_columns: list[str] = field(default_factory=list)
    lacking: list[str] = field(default_factory=list)
    trouble: list[str] = field(default_factory=list)
    held: str | None = None
    unfit: str | None = None
    in_table: InTable | None = None

    def as_dict(self, with_values: bool) -> dict[str, Any]:
        """The check as plain values; those of rows only if they are asked for."""
        plain = asdict(self)
        if not with_values:
            for reason in [*plain["reasons"], *plain["doubtful"]]:
                for sample in reason["samples"]:
                    del sample["value"]
            for sample in plain["superseded_samples"]:
                del sample["value"]
            for changed in (plain["in_table"] or {}).get("changed", ()):
                for sample in changed["samples"]:
                    del sample["stored"], sample["sent"]
        return plain

    def verdict(self) -> None:
        """Be silent about a source that a sync would complete.

        Raises:
            ConfigurationError: the table is not what the model says.
            RunHeld: a limit would hold the run.
            RunIncomplete: chunks would fail.
        """
        if self.unfit is not None:
            raise ConfigurationError(self.unfit)
        if self.held is not None:
            raise RunHeld(self.held)
        if self.trouble:
            raise RunIncomplete(
                f"{counted(len(self.trouble), 'chunk')} of {self.source} would fail; mend their cause first."
            )
