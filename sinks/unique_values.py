"""Values that only one row may have: which has them, and rows of one chunk that trade them, as two products barcodes.

None of these can be written by itself, as a database looks for equals row by row. So all rows of such a ring let go of
their values first, and then take those that they were sent.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from restock.chunks import Fault
from restock.originals import presentable
from sinks.changes import Key, RowFault
from sinks.comparing import readable
from sinks.stage import Stage, is_one_of
from sinks.target import Target


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

    def rings(self, updates: Mapping[int, Key]) -> list[list[int]]:
        """Those of some rows that want each other's values, ring by ring; none where they cannot let go.

        Args:
            updates: the positions of the rows, each with the primary key of the row it meets.
        """
        if not self.may_be_let_go or len(updates) < 2:
            return []
        met = {key: position for position, key in updates.items()}
        return list(_rings({each: met[key] for each, key in self.holders(list(updates)).items() if key in met}))

    def explained(self, faults: Sequence[RowFault]) -> Iterator[RowFault]:
        """The faults of rows that others keep out, with the column, if there is only one, and the row that has it."""
        column = self.names[0] if len(self.names) == 1 else None
        holders = self.holders([fault.row for fault in faults])
        for each in faults:
            named = zip(self.stage.target.primary_key, holders.get(each.row, ()), strict=False)
            further = tuple(Fault("held_by", name, presentable(str(value))) for name, value in named)
            yield replace(each, fault=replace(each.fault, column=column), further=further)

    def trading(
        self, write: Callable[[Sequence[int]], None], held_by: Iterable[int]
    ) -> Callable[[Sequence[int]], None]:
        """What writes rows once others, those that these staged ones meet, have let go of the values."""

        def trade(positions: Sequence[int]) -> None:
            self._let_go(list(held_by))
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
        """One of the columns, and what it takes for a moment: NULL, or a text that no other row has."""
        target = self.stage.target
        if any(name in target.stays or name not in target.changeable for name in self.names):
            return None  # what stays is decided by the value that a row has
        columns = [target.columns[name] for name in self.names]
        for column in columns:
            if column.nullable:
                return column, sa.null()
        for column in columns:
            if isinstance(column.type, sa.String) and not isinstance(column.type, sa.Enum):
                return column, sa.literal(uuid.uuid4().hex[:8]) + sa.cast(self.stage.position, sa.String(12))
        return None

    def _is_at(self, positions: Sequence[int]) -> sa.ColumnElement[bool]:
        return is_one_of(self.stage.position, list(positions), self.stage.connection.dialect.name)


def unique_values(stage: Stage, constraint: str) -> UniqueValues | None:
    """What a unique constraint spans, by the name that the database has for it; None if that is not columns alone.

    SQLite names the columns in place of the constraint.
    """
    names = _attributes(stage.target, _columns_of(stage, constraint))
    return UniqueValues(stage, names) if names and set(names) <= {*stage.attributes} else None


def _columns_of(stage: Stage, constraint: str) -> Sequence[str | None]:
    if stage.connection.dialect.name == "sqlite":
        return constraint.split(",")
    table = stage.target.table
    indexes = sa.inspect(stage.connection).get_indexes(table.name, table.schema)
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
