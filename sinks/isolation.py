"""Finds the guilty rows of a chunk that the database refused, so that the others can be loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from restock.records import Record
from sinks.db_errors import DataFault, ModelRefused, Trouble, data_fault, trouble_of
from sinks.presence import Changes, Key, RowFault
from sinks.target import Target

# A row, and whether it is to be inserted (else updated).
Write = tuple[bool, int, Record]

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
        unique value is tried again after the others, so that the order of the rows in a chunk does not decide;
        backwards at first, then forwards and backwards in turn, so that a long line of children before their parents
        takes one pass and not one for each.

    Raises:
        SQLAlchemyError: trouble that is not about a row; the savepoints are gone and the chunk has to start again.
    """
    writes: list[Write] = [(True, *each) for each in changes.inserts] + [(False, *each) for each in changes.updates]
    keys: list[Key] = []
    refused = _halve(session, writer, target, writes, keys)
    while True:
        again = [(write, fault) for write, fault in reversed(refused) if fault.code.startswith(_CURABLE)]
        still = [each for write, _ in again for each in _halve(session, writer, target, [write], keys)]
        final = [each for each in refused if not each[1].code.startswith(_CURABLE)]
        if len(still) == len(again) or not still:
            return [RowFault(write[1], fault) for write, fault in final + still], keys
        refused = final + still


def _halve(
    session: Session, writer: Writer, target: Target, writes: Sequence[Write], keys: list[Key]
) -> list[tuple[Write, DataFault]]:
    if not writes:
        return []
    savepoint = session.begin_nested()
    try:
        inserted = writer.write(session, target, _as_changes(writes))
        session.flush()
    except (SQLAlchemyError, ModelRefused, OverflowError, UnicodeEncodeError) as error:
        if trouble_of(error) is not Trouble.DATA:
            raise  # a deadlock or a full disk has ended the transaction and its savepoints: there is none to return to
        savepoint.rollback()
        if len(writes) == 1:
            fault = data_fault(error)
            return [(writes[0], replace(fault, column=target.attribute_of(fault.column)))]
    else:
        savepoint.commit()  # outside the try: what fails here can no longer be undone, and so blames no row
        keys += inserted
        return []
    middle = len(writes) // 2
    first = _halve(session, writer, target, writes[:middle], keys)
    return first + _halve(session, writer, target, writes[middle:], keys)


def _as_changes(writes: Sequence[Write]) -> Changes:
    changes = Changes()
    for is_insert, position, record in writes:
        (changes.inserts if is_insert else changes.updates).append((position, record))
    return changes
