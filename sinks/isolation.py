"""Finds the guilty rows of a chunk that the database refused, so that the others can be loaded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import sqlalchemy as sa
from sqlalchemy.orm import Session

from sinks.changes import Changes, Key, RowFault
from sinks.db_errors import DataFault
from sinks.dropped_rows import none_dropped
from sinks.orphans import likely_orphans
from sinks.rows import Rows
from sinks.savepoints import Attempt, Refused, Savepoints
from sinks.stage import Stage
from sinks.target import Target
from sinks.unique_values import UniqueValues, unique_values

# What another row of the same chunk may cure: a parent or a freed value that comes later in the chunk.
_CURABLE = ("foreign_key", "unique")


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
        unique value is tried again after others were written, so that the order of the rows in a chunk does not decide;
        backwards at first, then forwards and backwards in turn, so that a long line of children before their parents
        takes one pass and not one for each.

    Raises:
        SQLAlchemyError: trouble that is not about a row; the savepoints are gone and the chunk has to start again.
    """
    keys: list[Key] = []
    savepoints = Savepoints(session, target)

    def write(positions: Sequence[int]) -> None:
        some = changes.of(positions)
        with none_dropped(savepoints.connection, some):
            written = writer.write(session, target, some)
            session.flush()
        keys.extend(written)

    # Those that are likely to be refused come last, for halving would meet one of them in nearly every part.
    orphans = _orphans(savepoints.connection, changes)
    positions = [*changes.inserts, *changes.updates]
    refused = _refused(savepoints, write, changes, [each for each in positions if each not in orphans])
    refused += savepoints.all_or_each(write, [each for each in positions if each in orphans])
    while True:
        while again := [each for each in reversed(refused) if _is_worth_another_try(savepoints, *each)]:
            tried = {position for position, _ in again}
            refused = [each for each in refused if each[0] not in tried]
            refused += [each for position, _ in again for each in savepoints.refused(write, [position])]
        still = _traded(savepoints, write, changes, refused)
        if len(still) == len(refused):
            return _explained(savepoints.connection, changes, refused), keys
        refused = still


def _explained(connection: sa.Connection, changes: Changes, refused: Refused) -> list[RowFault]:
    """The rows that were refused, with what the database does not say of them by itself."""
    rows = changes.rows
    named = ((position, _with_foreign_keys(position, fault, rows)) for position, fault in refused)
    found = {position: RowFault.of(position, fault, rows.target) for position, fault in named}
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


def _traded(savepoints: Savepoints, write: Attempt, changes: Changes, refused: Refused) -> Refused:
    """What is still refused when those that only want each other's unique values have traded them."""
    written: set[int] = set()
    for values, positions in _lacking(savepoints.connection, changes, refused):
        for ring in values.rings({each: changes.updates[each] for each in positions if each in changes.updates}):
            if savepoints.fault_of(values.trading(write, ring), ring) is None:
                written.update(ring)
    return [each for each in refused if each[0] not in written]


def _refused(savepoints: Savepoints, write: Attempt, changes: Changes, positions: list[int]) -> Refused:
    """Those of some rows that the database refuses; all others are written."""
    fault = savepoints.fault_of(write, positions)
    if fault is None or _traded_at_once(savepoints, write, changes.of(positions), fault):
        return []
    return savepoints.halve(write, positions, fault)


def _traded_at_once(savepoints: Savepoints, write: Attempt, changes: Changes, fault: DataFault) -> bool:
    """Whether all changes could be written when the present rows had let go of a unique value.

    So they can where each takes that of the next one; to halve these would make some attempts for each.
    """
    positions = [*changes.inserts, *changes.updates]
    return any(
        savepoints.fault_of(values.trading(write, changes.updates), positions) is None
        for values, _ in _lacking(savepoints.connection, changes, [(position, fault) for position in positions])
        if values.may_be_let_go and changes.updates
    )


def _is_worth_another_try(savepoints: Savepoints, position: int, fault: DataFault) -> bool:
    """Whether another row may have cured it that was written since."""
    return fault.code.startswith(_CURABLE) and savepoints.refused_at[position] < savepoints.kept


def _orphans(connection: sa.Connection, changes: Changes) -> set[int]:
    return likely_orphans(_stage(connection, changes)) if len(changes.rows.keyed) else set()


def _stage(connection: sa.Connection, changes: Changes) -> Stage:
    return Stage(connection, changes.rows.target, tuple(changes.rows.attributes))


def _lacking(connection: sa.Connection, changes: Changes, refused: Refused) -> Iterator[tuple[UniqueValues, list[int]]]:
    """The unique values that other rows have, each with the rows that were refused for them."""
    if not len(changes.rows.keyed):
        return  # nothing is staged by which they could be found
    stage = _stage(connection, changes)
    for code in dict.fromkeys(fault.code for _, fault in refused if fault.code.startswith("unique:")):
        values = unique_values(stage, code.removeprefix("unique:"))
        if values is not None:
            yield values, [position for position, fault in refused if fault.code == code]
