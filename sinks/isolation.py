"""Finds the guilty rows of a chunk that the database refused, so that the others can be loaded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from sinks.changes import Changes, Key, RowFault
from sinks.db_errors import DataFault, ModelRefused, Trouble, data_fault, trouble_of
from sinks.dropped_rows import none_dropped
from sinks.rows import BoundRows, Rows
from sinks.stage import Stage
from sinks.target import Target
from sinks.unique_values import UniqueValues, unique_values

# What another row of the same chunk may cure: a parent or a freed value that comes later in the chunk.
_CURABLE = ("foreign_key", "unique")

# Brings some rows, named by a number each, into the database; raises what it raises.
Attempt = Callable[[Sequence[int]], None]
Refused = list[tuple[int, DataFault]]


class Writer(Protocol):
    """Writes changes in the session's transaction; raises what the database raises.

    Returns the primary keys of the rows it inserted, generated ones included, if anybody listens for them.
    """

    def write(self, session: Session, target: Target, changes: Changes) -> list[Key]: ...


def write_isolated(
    session: Session, writer: Writer, target: Target, changes: Changes
) -> tuple[list[RowFault], list[Key]]:
    """Write all changes but those the database refuses, by halving under savepoints.

    Returns:
        The rows that were refused, and the keys of those that were inserted. A row refused for a foreign key or a
        unique value is tried again after the others, so that the order of the rows in a chunk does not decide;
        backwards at first, then forwards and backwards in turn, so that a long line of children before their parents
        takes one pass and not one for each.

    Raises:
        SQLAlchemyError: trouble that is not about a row; the savepoints are gone and the chunk has to start again.
    """
    keys: list[Key] = []
    savepoints = _Savepoints(session, target)

    def write(positions: Sequence[int]) -> None:
        some = changes.of(positions)
        with none_dropped(savepoints.connection, some):
            written = writer.write(session, target, some)
            session.flush()
        keys.extend(written)

    everything = [*changes.inserts, *changes.updates]
    fault = savepoints.fault_of(write, everything)
    refused = (
        []
        if fault is None or _traded_at_once(savepoints, write, changes, fault)
        else savepoints.halve(write, everything, fault)
    )
    while True:
        again = [each for each in reversed(refused) if each[1].code.startswith(_CURABLE)]
        still = [each for position, _ in again for each in savepoints.refused(write, [position])]
        if len(still) == len(again):
            still = _traded(savepoints, write, changes, still)
        refused = [each for each in refused if not each[1].code.startswith(_CURABLE)] + still
        if len(still) == len(again) or not still:
            return _explained(savepoints.connection, changes, refused), keys


def fill_isolated(session: Session, stage: Stage, rows: BoundRows) -> list[RowFault]:
    """Stage all rows but those that the database would not even stage, by halving under savepoints.

    Raises:
        SQLAlchemyError: trouble that is not about a row.
    """

    def fill(places: Sequence[int]) -> None:
        stage.fill(rows.at(np.asarray(places)))

    refused = _Savepoints(session, stage.target).refused(fill, range(len(rows)))
    stage.index()  # the changed rows may be asked for one by one
    return [_named(int(rows.positions[place]), fault, stage.target) for place, fault in refused]


def _explained(connection: sa.Connection, changes: Changes, refused: Refused) -> list[RowFault]:
    """The rows that were refused, with what the database does not say of them by itself."""
    rows, target = changes.rows, changes.rows.target
    found = {
        position: _named(position, _with_foreign_keys(position, fault, rows), target) for position, fault in refused
    }
    for values, positions in _lacking(connection, changes, refused):
        found |= {each.row: each for each in values.explained([found[position] for position in positions])}
    return list(found.values())


def _with_foreign_keys(position: int, fault: DataFault, rows: Rows) -> DataFault:
    """A foreign key that the database does not name is one of those that the row fills: NULL refers to nothing."""
    if fault.code != "foreign_key":
        return fault
    [record] = rows.records([position])
    columns = [
        column.name
        for name, column in rows.target.columns.items()
        if column.foreign_keys and record.get(name) is not None
    ]
    if not columns:
        return fault
    return DataFault(f"foreign_key:{','.join(columns)}", columns[0] if len(columns) == 1 else None)


def _named(position: int, fault: DataFault, target: Target) -> RowFault:
    return RowFault(position, replace(fault, column=target.attribute_of(fault.column)))


def _traded(savepoints: _Savepoints, write: Attempt, changes: Changes, refused: Refused) -> Refused:
    """What is still refused when those that only want each other's unique values have traded them."""
    written: set[int] = set()
    for values, positions in _lacking(savepoints.connection, changes, refused):
        for ring in values.rings({each: changes.updates[each] for each in positions if each in changes.updates}):
            if savepoints.fault_of(values.trading(write, ring), ring) is None:
                written.update(ring)
    return [each for each in refused if each[0] not in written]


def _traded_at_once(savepoints: _Savepoints, write: Attempt, changes: Changes, fault: DataFault) -> bool:
    """Whether all changes could be written when the present rows had let go of a unique value.

    So they can where each takes that of the next one; to halve these would make some attempts for each.
    """
    everything = [*changes.inserts, *changes.updates]
    return any(
        savepoints.fault_of(values.trading(write, changes.updates), everything) is None
        for values, _ in _lacking(savepoints.connection, changes, [(position, fault) for position in everything])
        if values.may_be_let_go and changes.updates
    )


def _lacking(connection: sa.Connection, changes: Changes, refused: Refused) -> Iterator[tuple[UniqueValues, list[int]]]:
    """The unique values that other rows have, each with the rows that were refused for them."""
    if not len(changes.rows.keyed):
        return  # nothing is staged by which they could be found
    stage = Stage(connection, changes.rows.target, tuple(changes.rows.attributes))
    for code in dict.fromkeys(fault.code for _, fault in refused if fault.code.startswith("unique:")):
        values = unique_values(stage, code.removeprefix("unique:"))
        if values is not None:
            yield values, [position for position, fault in refused if fault.code == code]


@dataclass(frozen=True)
class _Savepoints:
    """Attempts under savepoints, in the transaction of a session."""

    session: Session
    target: Target

    @property
    def connection(self) -> sa.Connection:
        """The connection of the transaction. A savepoint of the session begins on it only when it is asked for."""
        return self.session.connection(bind_arguments={"mapper": self.target.mapper})

    def refused(self, attempt: Attempt, numbers: Sequence[int]) -> Refused:
        """Those of some rows that the database refuses; all others are in it."""
        fault = self.fault_of(attempt, numbers)
        return [] if fault is None else self.halve(attempt, numbers, fault)

    def halve(self, attempt: Attempt, numbers: Sequence[int], fault: DataFault) -> Refused:
        """The same of rows that have met a fault together."""
        if len(numbers) == 1:
            return [(numbers[0], fault)]
        middle = len(numbers) // 2
        return self.refused(attempt, numbers[:middle]) + self.refused(attempt, numbers[middle:])

    def fault_of(self, attempt: Attempt, numbers: Sequence[int]) -> DataFault | None:
        """What an attempt met, if it met something; nothing is left of it then."""
        if not numbers:
            return None
        savepoint, connection = self.session.begin_nested(), self.connection
        begun: Any = connection.get_nested_transaction()
        try:
            attempt(numbers)
        except (SQLAlchemyError, ModelRefused, OverflowError, UnicodeEncodeError) as error:
            if trouble_of(error) not in (Trouble.DATA, Trouble.GONE):
                # A deadlock or a full disk has ended the transaction and its savepoints: there is none to return to.
                raise
            savepoint.rollback()
            # SQLAlchemy leaves it open, and all that follows would be within it. Of thousands, each with a lock of its
            # own, PostgreSQL cannot keep track, and the more there are the longer it takes over each.
            connection.dialect.do_release_savepoint(connection, begun._savepoint)
            return data_fault(error)
        savepoint.commit()  # outside the try: what fails here can no longer be undone, and so blames no row
        return None
