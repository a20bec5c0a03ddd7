"""What becomes of the rows of a chunk. Rows are named by their position; records are made for a writer that asks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from restock.chunks import Fault
from restock.records import Record
from sinks.database.data_faults import DataFault
from sinks.model.target import Target
from sinks.rows.columnar import Rows

Key = tuple[Any, ...]


@dataclass(frozen=True)
class RowFault:
    """A row that only the database could find fault with, by its position; `further` says more of the fault."""

    row: int
    fault: DataFault
    further: tuple[Fault, ...] = ()

    @classmethod
    def of(cls, row: int, fault: DataFault, target: Target) -> RowFault:
        """A row that met a fault of the database, which names columns as it knows them; here they are attributes."""
        return cls(row, replace(fault, column=target.attribute_of(fault.column)))


@dataclass
class Changes:
    """What has to be written for a chunk, and what does not.

    `inserts` are the positions of the rows to insert; `updates` those of the rows to update, each with the primary key
    of the row it meets. `stays` names the attributes of such a row that keep their value by a rule of the feed.
    `left_out` are the rows without a key that the feed's mode does not insert; they are among the skipped ones.
    """

    rows: Rows
    inserts: list[int] = field(default_factory=list)
    updates: dict[int, Key] = field(default_factory=dict)
    stays: dict[int, tuple[str, ...]] = field(default_factory=dict)
    faults: list[RowFault] = field(default_factory=list)
    unchanged: int = 0
    stale: int = 0
    skipped: int = 0
    left_out: list[int] = field(default_factory=list)

    def of(self, positions: Iterable[int]) -> Changes:
        """The writes of some of its rows only; nothing is counted."""
        positions = list(positions)
        return Changes(
            self.rows,
            [position for position in positions if position not in self.updates],
            {position: self.updates[position] for position in positions if position in self.updates},
            self.stays,
        )

    def without(self, refused: list[RowFault]) -> Changes:
        """The same changes but for rows that the database refused: these join the faults."""
        if not refused:
            return self
        gone = {each.row for each in refused}
        kept = self.of(position for position in [*self.inserts, *self.updates] if position not in gone)
        return replace(self, inserts=kept.inserts, updates=kept.updates, faults=self.faults + refused)

    def leave_alone(self, positions: Iterable[int]) -> None:
        """Count rows as unchanged to which the model's own code gives the values that they have."""
        for position in positions:
            del self.updates[position]
            self.unchanged += 1

    def new_records(self) -> list[Record]:
        """The records of the rows to insert. A primary key of None is left out: then the database makes one."""
        key = self.rows.target.primary_key
        records = self.rows.records(self.inserts)
        if not any(record.get(name, "") is None for record in records for name in key):
            return records
        return [{n: v for n, v in record.items() if v is not None or n not in key} for record in records]

    def changed_records(self) -> list[Record]:
        """The records of the rows to update: the primary key of the row they meet, and the values it takes."""
        target = self.rows.target
        names = [name for name in target.changeable if name in self.rows.attributes]
        records = []
        for (position, key), sent in zip(self.updates.items(), self.rows.records(list(self.updates)), strict=True):
            stays = self.stays.get(position, ())
            record = dict(zip(target.primary_key, key, strict=True))
            records.append(record | {name: sent[name] for name in names if name not in stays})
        return records
