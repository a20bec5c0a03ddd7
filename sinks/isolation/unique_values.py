"""Values that only one row may have: which has them, and rows of one chunk that trade them, as two products barcodes.

None of these can be written by itself, as a database looks for equals row by row. So all rows of such a ring let go of
their values first, and then take those that they were sent.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from restock.chunks import Fault
from restock.originals import presentable
from sinks.database.data_faults import DataFault
from sinks.model.target import Target
from sinks.rows.changes import Key, RowFault
from sinks.staging.comparing import readable
from sinks.staging.savepoints import Attempt, Refused
from sinks.staging.stage import Stage, is_one_of

# What the code of a fault begins with that names a unique constraint.
_UNIQUE = "unique:"


@dataclass(frozen=True)
class UniqueValues:
    """What a unique constraint of the table spans, by attributes, and the rows that are staged for it."""

    stage: Stage
    names: tuple[str, ...]

    def holders(self, positions: Sequence[int]) -> dict[int, Key]:
        """The primary key of the row that has what a staged row is to get, by the position of the staged one.

        Rows without a key are not staged, and have none.
        """
        stage, target = self.stage, self.stage.target
        has_it = sa.and_(*(target.columns[name] == stage.sent(name) for name in self.names))
        key = [readable(target, name).label(f"k{place}") for place, name in enumerate(target.primary_key)]
        asked = sa.select(stage.position, *key).select_from(stage.table.join(target.table, has_it))
        found = stage.connection.execute(asked.where(self._is_at(positions)))
        return {position: tuple(holder) for position, *holder in found}

    def trading(self, write: Attempt, held_by: Sequence[int]) -> Attempt:
        """What writes rows once others, those that these staged ones meet, have let go of the values."""

        def trade(positions: Sequence[int]) -> None:
            self._let_go(held_by)
            write(positions)

        return trade

    def _let_go(self, positions: Sequence[int]) -> None:
        stage, target = self.stage, self.stage.target
        assert self._stand_in is not None, "they may be let go"
        column, value = self._stand_in
        is_met = (target.columns[name] == stage.sent(name) for name in target.key)
        stage.connection.execute(sa.update(target.table).values({column: value}).where(*is_met, self._is_at(positions)))

    @property
    def may_be_let_go(self) -> bool:
        """Whether rows can do without the values for a moment."""
        return self._stand_in is not None

    @property
    def _stand_in(self) -> tuple[sa.Column[Any], sa.ColumnElement[Any]] | None:
        """A column that may change, and what it takes for a moment: NULL, or a text that no other row has.

        A short one, as a barcode has 13 characters.
        """
        target = self.stage.target
        if any(name in target.stays for name in self.names):
            return None  # what stays is decided by the value that a row has
        columns = [target.columns[name] for name in self.names if name in target.changeable]
        for column in columns:
            if column.nullable:
                return column, sa.null()
        for column in columns:
            if isinstance(column.type, sa.String) and not isinstance(column.type, sa.Enum):
                return column, sa.literal(uuid.uuid4().hex[:4]) + sa.cast(self.stage.position, sa.String(12))
        return None

    def _is_at(self, positions: Sequence[int]) -> sa.ColumnElement[bool]:
        return is_one_of(self.stage.position, list(positions), self.stage.connection.dialect.name)


@dataclass(frozen=True)
class Wanted:
    """Unique values that other rows have: the rows that were refused for them, and by these who has what each wants."""

    values: UniqueValues
    positions: list[int]
    holders: dict[int, Key]

    def rings(self, updates: Mapping[int, Key]) -> list[list[int]]:
        """Those of the refused rows that want each other's values, ring by ring; none where they cannot let go.

        Args:
            updates: the positions of present rows, each with the primary key of the row it meets.
        """
        met = {updates[position]: position for position in self.positions if position in updates}
        if not self.values.may_be_let_go:
            return []
        return list(_rings({each: met[key] for each, key in self.holders.items() if key in met}))

    def explained(self, refused: RowFault) -> RowFault:
        """The fault of a refused row, with the column, if there is only one, and the row that has its value."""
        names = self.values.names
        holder = zip(self.values.stage.target.primary_key, self.holders.get(refused.row, ()), strict=False)
        further = tuple(Fault("held_by", name, presentable(str(value))) for name, value in holder)
        column = names[0] if len(names) == 1 else None
        return replace(refused, fault=replace(refused.fault, column=column), further=further)


def wanted(stage: Stage, refused: Refused) -> list[Wanted]:
    """The unique values for which rows were refused, one by one, as far as they are staged."""
    found: list[Wanted] = []
    for fault in {fault.code: fault for _, fault in refused}.values():
        values = unique_values(stage, fault)
        if values is not None:
            positions = [position for position, each in refused if each.code == fault.code]
            found.append(Wanted(values, positions, values.holders(positions)))
    return found


def unique_values(stage: Stage, fault: DataFault) -> UniqueValues | None:
    """What the unique constraint spans that a fault names; None if there is none, or it is not of columns alone.

    SQLite names the columns in place of the constraint.
    """
    if not fault.code.startswith(_UNIQUE):
        return None
    names = _attributes(stage.target, _columns_of(stage, fault.code.removeprefix(_UNIQUE)))
    return UniqueValues(stage, names) if names and set(names) <= {*stage.attributes} else None


def _columns_of(stage: Stage, constraint: str) -> Sequence[str | None]:
    if stage.connection.dialect.name == "sqlite":
        return constraint.split(",")
    table, inspector = stage.target.table, sa.inspect(stage.connection)
    key = inspector.get_pk_constraint(table.name, table.schema)
    if constraint == (key["name"] or "PRIMARY"):  # MariaDB calls each of its own so
        return key["constrained_columns"]
    indexes = inspector.get_indexes(table.name, table.schema)
    return next((each["column_names"] for each in indexes if each["name"] == constraint), ())


def _attributes(target: Target, columns: Sequence[str | None]) -> tuple[str, ...]:
    names = [target.attribute_of(column) for column in columns]
    return tuple(name for name in names if name is not None) if None not in names else ()


def _rings(following: Mapping[int, int]) -> Iterator[list[int]]:
    """The rings in what leads from one to the next."""
    met: set[int] = set()
    for start in following:
        path: list[int] = []
        at: int | None = start
        while at is not None and at not in met:
            met.add(at)
            path.append(at)
            at = following.get(at)
        if at in path:
            yield path[path.index(at) :]
